#include "daemon/engine/qemu/internal.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/model/error.h"
#include "daemon/model/ids.h"
#include "daemon/model/limits.h"
#include "daemon/model/source.h"

#define LOOK_AGAIN_MS 20u

/* One start or search, in a worker thread. It owns copies of all it needs. */
struct launch {
	struct qemu_vm *vm; /* main thread only; NULL: nobody waits any more */
	struct qemu_engine *engine;
	gboolean adopting;
	gboolean busy;  /* adopting: a start is under way, nothing can be told yet */
	char *runs_dir; /* RUN/vm */
	char *run_dir, *state_dir, *polder_vm;
	char **args;
	gint64 kvm_gid;
	guint timeout_ms;
	struct intent intent;
	struct process process; /* the result */
};

static void launch_free(gpointer data)
{
	struct launch *launch = data;

	process_clear(&launch->process);
	intent_clear(&launch->intent);
	qemu_engine_unref(launch->engine);
	g_free(launch->runs_dir);
	g_free(launch->run_dir);
	g_free(launch->state_dir);
	g_free(launch->polder_vm);
	g_strfreev(launch->args);
	g_free(launch);
}

/* The uids of all run directories there are. Under the engine's lock. */
static void load_uids(struct qemu_engine *engine, const char *runs_dir)
{
	g_autoptr(GDir) dir = g_dir_open(runs_dir, 0, NULL);
	const char *name;

	if (engine->uids)
		return;
	engine->uids = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	while (dir && (name = g_dir_read_name(dir))) {
		g_autofree char *run_dir = g_build_filename(runs_dir, name, NULL);
		struct intent intent;
		if (!intent_read(run_dir, &intent, NULL))
			continue;
		if (intent.uid)
			g_hash_table_insert(engine->uids, g_strdup(name), GUINT_TO_POINTER((guint)intent.uid));
		intent_clear(&intent);
	}
}

/* The VM's own uid: the one it had, else the smallest that no other VM has. */
static gboolean take_uid(struct launch *launch, GError **error)
{
	struct qemu_engine *engine = launch->engine;
	g_autoptr(GHashTable) taken = g_hash_table_new(NULL, NULL);
	GHashTableIter iter;
	gpointer value;
	guint uid;

	if (geteuid() != 0)
		return TRUE;
	g_mutex_lock(&engine->lock);
	load_uids(engine, launch->runs_dir);
	uid = GPOINTER_TO_UINT(g_hash_table_lookup(engine->uids, launch->intent.name));
	g_hash_table_iter_init(&iter, engine->uids);
	while (g_hash_table_iter_next(&iter, NULL, &value))
		g_hash_table_add(taken, value);
	for (guint i = 0; !uid && i < POLDER_VM_UID_COUNT; i++)
		if (!g_hash_table_contains(taken, GUINT_TO_POINTER(POLDER_VM_UID_FIRST + i)))
			uid = POLDER_VM_UID_FIRST + i;
	if (uid)
		g_hash_table_insert(engine->uids, g_strdup(launch->intent.name), GUINT_TO_POINTER(uid));
	g_mutex_unlock(&engine->lock);
	launch->intent.uid = uid;
	if (!uid)
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_NO_CAPACITY, "all %u user ids for VMs are taken",
			    POLDER_VM_UID_COUNT);
	return uid != 0;
}

static char **supervisor_args(const struct launch *launch)
{
	GPtrArray *argv = g_ptr_array_new();
	g_autofree char *uid = g_strdup_printf("%" G_GUINT64_FORMAT, launch->intent.uid);
	g_autofree char *kvm_gid = g_strdup_printf("%" G_GINT64_FORMAT, launch->kvm_gid);
	const char *head[] = { launch->polder_vm,
			       "--dir",
			       launch->run_dir,
			       "--log",
			       launch->intent.console_log,
			       "--launch-fd",
			       G_STRINGIFY(PROCESS_LAUNCH_FD) };
	const char *ids[] = { "--uid", uid, "--gid", uid };

	for (guint i = 0; i < G_N_ELEMENTS(head); i++)
		g_ptr_array_add(argv, g_strdup(head[i]));
	for (guint i = 0; launch->intent.uid && i < G_N_ELEMENTS(ids); i++)
		g_ptr_array_add(argv, g_strdup(ids[i]));
	if (launch->intent.uid && launch->kvm_gid > 0) {
		g_ptr_array_add(argv, g_strdup("--kvm-gid"));
		g_ptr_array_add(argv, g_strdup(kvm_gid));
	}
	g_ptr_array_add(argv, g_strdup("--"));
	for (guint i = 0; launch->args[i]; i++)
		g_ptr_array_add(argv, g_strdup(launch->args[i]));
	g_ptr_array_add(argv, NULL);
	return (char **)g_ptr_array_free(argv, FALSE);
}

static gboolean start_locked(struct launch *launch, int launch_fd, GError **error)
{
	struct process running;

	/* Nothing may be touched under a VM that runs. */
	if (process_find(launch->run_dir, &running, NULL)) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_CONFLICT, "it runs already, under process %d",
			    (int)running.supervisor);
		process_clear(&running);
		return FALSE;
	}
	if (!rundir_prepare(launch->run_dir, error))
		return FALSE;
	if (g_mkdir_with_parents(launch->state_dir, 0700) < 0) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_FAILED, "make %s: %s", launch->state_dir,
			    g_strerror(errno));
		return FALSE;
	}
	if (!take_uid(launch, error) || !intent_write(launch->run_dir, &launch->intent, error))
		return FALSE;
	g_auto(GStrv) argv = supervisor_args(launch);
	if (process_spawn(argv, launch_fd, launch->timeout_ms, error))
		return TRUE;
	/* Given up in the very moment in which it was done: it must not run on unseen. */
	if (process_find(launch->run_dir, &running, NULL)) {
		process_kill(&running);
		process_clear(&running);
	}
	return FALSE;
}

static gboolean start(struct launch *launch, GError **error)
{
	int launch_fd = rundir_launch_lock(launch->run_dir, launch->timeout_ms, error);
	gboolean done = launch_fd >= 0 && start_locked(launch, launch_fd, error);

	if (launch_fd >= 0)
		close(launch_fd);
	return done;
}

static void work(GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
	struct launch *launch = data;
	GError *error = NULL;

	if (!launch->adopting && !start(launch, &error)) {
		g_task_return_error(task, error);
		return;
	}
	/* Looked at before the lock is: who starts it takes that before he lets go of this. */
	launch->busy = launch->adopting && rundir_launching(launch->run_dir);
	if (launch->busy) {
		g_task_return_boolean(task, TRUE);
		return;
	}
	/* Nobody there: it has ended already, and left its record. */
	if (!process_find(launch->run_dir, &launch->process, &error)) {
		if (g_error_matches(error, POLDER_ERROR, POLDER_ERROR_NOT_FOUND)) {
			g_error_free(error);
		} else {
			g_task_return_error(task, error);
			return;
		}
	}
	if (launch->adopting && !intent_read(launch->run_dir, &launch->intent, NULL))
		launch->intent.boot_id = boot_id_get();
	g_task_return_boolean(task, TRUE);
}

static gboolean on_look_timer(gpointer data)
{
	struct qemu_vm *vm = data;

	source_clear(&vm->look_timer);
	launch_begin(vm);
	return G_SOURCE_REMOVE;
}

static void done(GObject *source, GAsyncResult *result, gpointer data)
{
	struct launch *launch = g_task_get_task_data(G_TASK(result));
	g_autoptr(GError) error = NULL;
	struct qemu_vm *vm = launch->vm;

	g_task_propagate_boolean(G_TASK(result), &error);
	if (!vm)
		return;
	vm->launch = NULL;
	if (launch->busy) {
		source_set_timeout(vm, &vm->look_timer, LOOK_AGAIN_MS, on_look_timer);
		return;
	}
	if (launch->adopting) {
		g_autofree char *boot_id = boot_id_get();
		vm->rebooted = g_strcmp0(boot_id, launch->intent.boot_id) != 0;
		if (launch->intent.accelerator && *launch->intent.accelerator) {
			g_free(vm->accelerator);
			vm->accelerator = g_strdup(launch->intent.accelerator);
		}
	}
	struct process process = launch->process;
	launch->process = PROCESS_NONE;
	qemu_vm_launched(vm, &process, error);
}

void launch_begin(struct qemu_vm *vm)
{
	struct qemu_engine *engine = (struct qemu_engine *)vm->base.engine;
	struct launch *launch = g_new0(struct launch, 1);
	g_autoptr(GTask) task = g_task_new(NULL, NULL, done, NULL);

	launch->vm = vm;
	launch->engine = qemu_engine_ref(engine);
	launch->adopting = vm->adopting;
	launch->run_dir = g_strdup(vm->run_dir);
	launch->runs_dir = g_path_get_dirname(vm->run_dir);
	launch->state_dir = g_path_get_dirname(vm->console_log);
	launch->process = PROCESS_NONE;
	launch->timeout_ms = engine->start_timeout_ms;
	if (!vm->adopting) {
		launch->polder_vm = dirs_tool("polder-vm");
		launch->args = g_strdupv(vm->args);
		launch->kvm_gid = g_str_equal(vm->accelerator, "kvm") ? engine->kvm_gid : -1;
		launch->intent = (struct intent) { .name = g_strdup(vm->name),
						   .uuid = g_strdup(vm->uuid),
						   .engine = g_strdup(RUNDIR_ENGINE),
						   .accelerator = g_strdup(vm->accelerator),
						   .boot_id = boot_id_get(),
						   .console_log = g_strdup(vm->console_log),
						   .run = vm->run };
	}
	vm->launch = launch;
	vm->phase = PHASE_LAUNCHING;
	g_task_set_task_data(task, launch, launch_free);
	g_task_run_in_thread(task, work);
}

void launch_forget(struct qemu_vm *vm)
{
	source_clear(&vm->look_timer);
	if (vm->launch)
		vm->launch->vm = NULL;
	vm->launch = NULL;
}
