#include "daemon/engine/qemu/qemu.h"

#include <glib-unix.h>
#include <string.h>

#include "daemon/engine/qemu/args.h"
#include "daemon/engine/qemu/fate.h"
#include "daemon/engine/qemu/internal.h"
#include "daemon/engine/qemu/stream.h"
#include "daemon/model/error.h"
#include "daemon/model/limits.h"
#include "daemon/model/source.h"

#define RECONNECT_MS 1000u
/* A LOST VM's QEMU dies with its supervisor; this is how long we look before we say so anyway. */
#define END_WAIT_MS  5000u
#define MONITOR_NOTE "QEMU's monitor does not answer"

static void source_start(struct qemu_vm *vm, GSource **slot, GSource *source, GSourceFunc func)
{
	source_clear(slot);
	*slot = source;
	g_source_set_callback(source, func, vm, NULL);
	g_source_attach(source, vm->context);
}

void source_set_timeout(struct qemu_vm *vm, GSource **source, guint ms, GSourceFunc func)
{
	source_start(vm, source, g_timeout_source_new(ms), func);
}

/* ---- the engine ---- */

struct qemu_engine *qemu_engine_ref(struct qemu_engine *engine)
{
	g_atomic_int_inc(&engine->refs);
	return engine;
}

void qemu_engine_unref(struct qemu_engine *engine)
{
	if (!g_atomic_int_dec_and_test(&engine->refs))
		return;
	g_mutex_clear(&engine->lock);
	g_clear_pointer(&engine->uids, g_hash_table_unref);
	g_free(engine->binary);
	g_free(engine->accelerator);
	g_free(engine);
}

static struct engine *qemu_engine_new(const struct dirs *dirs)
{
	struct qemu_engine *engine = g_new0(struct qemu_engine, 1);

	engine->base.ops = &engine_qemu;
	engine->base.dirs = dirs;
	engine->refs = 1;
	g_mutex_init(&engine->lock);
	engine->binary = g_find_program_in_path(QEMU_BINARY);
	engine->accelerator = g_strdup("tcg"); /* until probe() has seen that KVM is real */
	engine->kvm_gid = -1;
	engine->qmp_timeout_ms = LIMIT_QMP_TIMEOUT_MS;
	engine->start_timeout_ms = LIMIT_START_TIMEOUT_MS;
	engine->reconnect_ms = RECONNECT_MS;
	return &engine->base;
}

static void qemu_engine_free(struct engine *engine)
{
	qemu_engine_unref((struct qemu_engine *)engine);
}

/* ---- one VM ---- */

static struct engine_vm *qemu_vm_new(struct engine *base, const struct engine_config *config,
				     const struct engine_events *events, gpointer user_data)
{
	struct qemu_engine *engine = (struct qemu_engine *)base;
	struct qemu_vm *vm = g_new0(struct qemu_vm, 1);
	g_autofree char *state_dir = dirs_vm_state(base->dirs, config->name);

	vm->base.engine = base;
	vm->events = events;
	vm->user_data = user_data;
	vm->context = g_main_context_ref_thread_default();
	vm->name = g_strdup(config->name);
	vm->uuid = g_strdup(config->uuid);
	vm->run = config->run;
	vm->run_dir = dirs_vm_run(base->dirs, config->name);
	vm->console_log = g_build_filename(state_dir, "console.log", NULL);
	vm->process = PROCESS_NONE;
	vm->reconnect_ms = engine->reconnect_ms;
	g_mutex_lock(&engine->lock);
	vm->accelerator = g_strdup(engine->accelerator);
	g_mutex_unlock(&engine->lock);
	if (engine->binary)
		vm->args = args_new(config, engine->binary, vm->accelerator, &vm->args_error);
	else
		vm->args_error = g_error_new(POLDER_ERROR, POLDER_ERROR_UNAVAILABLE,
					     QEMU_BINARY " is not installed; on Debian: apt install qemu-system-x86");
	return &vm->base;
}

static void let_go(struct qemu_vm *vm)
{
	launch_forget(vm);
	monitor_disconnect(vm);
	g_clear_pointer(&vm->guest, guest_free);
	source_clear(&vm->watch);
	source_clear(&vm->start_timer);
	source_clear(&vm->end_timer);
	process_clear(&vm->process);
	g_clear_pointer(&vm->vcpus, g_free);
	vm->n_vcpus = 0;
}

static void qemu_vm_free(struct engine_vm *base)
{
	struct qemu_vm *vm = (struct qemu_vm *)base;

	let_go(vm);
	g_main_context_unref(vm->context);
	g_free(vm->name);
	g_free(vm->uuid);
	g_free(vm->run_dir);
	g_free(vm->console_log);
	g_free(vm->accelerator);
	g_strfreev(vm->args);
	g_clear_error(&vm->args_error);
	g_free(vm->problem);
	g_free(vm->io_error);
	g_free(vm->monitor_problem);
	g_free(vm);
}

/* ---- the end ---- */

static void finish(struct qemu_vm *vm)
{
	struct exit_record record;
	gboolean recorded = exit_record_read(vm->run_dir, &record, NULL);
	g_autofree char *child = g_build_filename(vm->run_dir, "child", NULL);
	struct fate fate = { .record = recorded ? &record : NULL,
			     .killed = vm->killed,
			     .asked = vm->asked,
			     .started = vm->told || vm->adopting,
			     .panicked = vm->panicked,
			     .rebooted = vm->rebooted,
			     .cut_short = !g_file_test(child, G_FILE_TEST_EXISTS),
			     .boot_loop = vm->boot_loop,
			     .problem = vm->problem };
	struct engine_exit end = { 0 };
	g_autofree char *reason = fate_decide(&fate, &end.cause);

	end.reason = reason;
	end.status = recorded ? record.status : 0;
	end.ended_at = recorded && record.ended_at ? record.ended_at : g_get_real_time();
	exit_record_clear(&record);
	let_go(vm);
	if (!recorded)
		rundir_remove_sockets(vm->run_dir);
	vm->phase = PHASE_ENDED;
	vm->events->exited(&vm->base, &end, vm->user_data); /* may free the VM */
}

static gboolean on_end_timer(gpointer data)
{
	finish(data);
	return G_SOURCE_REMOVE;
}

static gboolean on_child_end(int fd, GIOCondition condition, gpointer data)
{
	finish(data);
	return G_SOURCE_REMOVE;
}

/* polder-vm has ended. Without a record it was killed; QEMU follows it at once, and only then is nothing left. */
static gboolean on_supervisor_end(int fd, GIOCondition condition, gpointer data)
{
	struct qemu_vm *vm = data;
	g_autofree char *record = g_build_filename(vm->run_dir, "exit", NULL);

	if (vm->process.child_fd < 0 || g_file_test(record, G_FILE_TEST_EXISTS) ||
	    process_ended(vm->process.child_fd)) {
		finish(vm);
		return G_SOURCE_REMOVE;
	}
	process_kill(&vm->process);
	source_start(vm, &vm->watch, g_unix_fd_source_new(vm->process.child_fd, G_IO_IN), G_SOURCE_FUNC(on_child_end));
	source_set_timeout(vm, &vm->end_timer, END_WAIT_MS, on_end_timer);
	return G_SOURCE_REMOVE;
}

void qemu_vm_give_up(struct qemu_vm *vm, const char *problem)
{
	if (!vm->problem)
		vm->problem = g_strdup(problem);
	process_kill(&vm->process);
}

static gboolean on_start_timer(gpointer data)
{
	struct qemu_vm *vm = data;

	source_clear(&vm->start_timer);
	qemu_vm_give_up(vm, vm->monitor_problem ? vm->monitor_problem : "QEMU did not answer in time");
	return G_SOURCE_REMOVE;
}

static void on_guest_ready(gboolean ready, gpointer data)
{
	struct qemu_vm *vm = data;

	if (ready)
		vm->resets = 0;
	vm->events->ready(&vm->base, ready, vm->user_data);
}

static void on_guest_addresses(const char *const *addresses, gpointer data)
{
	struct qemu_vm *vm = data;

	vm->events->addresses(&vm->base, addresses, vm->user_data);
}

void qemu_vm_launched(struct qemu_vm *vm, const struct process *process, const GError *error)
{
	static const struct guest_events guest_events = { .ready = on_guest_ready, .addresses = on_guest_addresses };
	struct qemu_engine *engine = (struct qemu_engine *)vm->base.engine;

	vm->process = *process;
	if (error || process->supervisor == 0) {
		if (error)
			vm->problem = g_strdup(error->message);
		finish(vm);
		return;
	}
	vm->phase = PHASE_CONNECTING;
	source_start(vm, &vm->watch, g_unix_fd_source_new(vm->process.supervisor_fd, G_IO_IN),
		     G_SOURCE_FUNC(on_supervisor_end));
	if (vm->killed) {
		process_kill(&vm->process);
		return;
	}
	vm->guest = guest_new(vm->run_dir, &guest_events, vm);
	if (!vm->adopting)
		source_set_timeout(vm, &vm->start_timer, engine->start_timeout_ms, on_start_timer);
	monitor_connect(vm);
}

/* ---- operations ---- */

static void qemu_start(struct engine_vm *base)
{
	struct qemu_vm *vm = (struct qemu_vm *)base;

	g_return_if_fail(vm->phase == PHASE_IDLE);
	if (vm->args) {
		launch_begin(vm);
		return;
	}
	vm->phase = PHASE_LAUNCHING;
	vm->problem = g_strdup(vm->args_error->message);
	source_set_timeout(vm, &vm->end_timer, 0, on_end_timer);
}

static void qemu_adopt(struct engine_vm *base)
{
	struct qemu_vm *vm = (struct qemu_vm *)base;

	g_return_if_fail(vm->phase == PHASE_IDLE);
	vm->adopting = TRUE;
	launch_begin(vm);
}

static void qemu_resume(struct engine_vm *base)
{
	monitor_resume((struct qemu_vm *)base);
}

static void qemu_pause(struct engine_vm *base)
{
	monitor_pause((struct qemu_vm *)base);
}

static gboolean qemu_shutdown(struct engine_vm *base, enum engine_shutdown_step step)
{
	struct qemu_vm *vm = (struct qemu_vm *)base;
	gboolean tried = step == ENGINE_SHUTDOWN_AGENT ? vm->guest && guest_shutdown(vm->guest) : monitor_powerdown(vm);

	if (tried)
		vm->asked = TRUE;
	return tried;
}

static void qemu_kill(struct engine_vm *base)
{
	struct qemu_vm *vm = (struct qemu_vm *)base;

	vm->killed = TRUE;
	if (vm->phase == PHASE_IDLE) {
		vm->phase = PHASE_LAUNCHING;
		source_set_timeout(vm, &vm->end_timer, 0, on_end_timer);
	} else {
		process_find_child(vm->run_dir, &vm->process);
		process_kill(&vm->process); /* nothing yet while launching: then as soon as it is there */
	}
}

static void replace_note(struct status *status, const char *note)
{
	GPtrArray *notes = g_ptr_array_new();

	for (guint i = 0; status->notes && status->notes[i]; i++) {
		if (g_str_has_prefix(status->notes[i], MONITOR_NOTE))
			g_free(status->notes[i]);
		else
			g_ptr_array_add(notes, status->notes[i]);
	}
	if (note)
		g_ptr_array_add(notes, g_strdup_printf(MONITOR_NOTE ": %s; it is tried again", note));
	g_free(status->notes);
	status->notes = NULL;
	if (notes->len)
		g_ptr_array_add(notes, NULL);
	status->notes = (char **)g_ptr_array_free(notes, notes->len == 0);
}

static void qemu_describe(struct engine_vm *base, struct status *status)
{
	struct qemu_vm *vm = (struct qemu_vm *)base;

	g_free(status->accelerator);
	status->accelerator = g_strdup(vm->accelerator);
	status->pid = (guint64)vm->process.child;
	status->supervisor_pid = (guint64)vm->process.supervisor;
	replace_note(status, vm->phase == PHASE_UP ? vm->monitor_problem : NULL);
}

static guint qemu_vcpus(struct engine_vm *base, const pid_t **threads)
{
	struct qemu_vm *vm = (struct qemu_vm *)base;

	*threads = vm->vcpus;
	return vm->n_vcpus;
}

static int qemu_stream_open(struct engine_vm *base, const struct engine_stream *stream, GError **error)
{
	struct qemu_vm *vm = (struct qemu_vm *)base;

	if (stream->kind == ENGINE_STREAM_LOG)
		return stream_log(vm->console_log, vm->run_dir, stream->follow, stream->tail_bytes, error);
	if (vm->phase != PHASE_UP) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_UNAVAILABLE, "VM %s is not running", vm->name);
		return -1;
	}
	if (stream->kind == ENGINE_STREAM_CONSOLE)
		return stream_console(vm->run_dir, error);
	return stream_exec(vm->guest, stream->request, error);
}

/* ---- recovery ---- */

/* A directory without a readable intent can only be one of ours. */
static gboolean is_ours(const char *run_dir)
{
	struct intent intent;

	if (!intent_read(run_dir, &intent, NULL))
		return TRUE;
	gboolean ours = !strcmp(intent.engine, RUNDIR_ENGINE);
	intent_clear(&intent);
	return ours;
}

/* Its start was cut short before even the intent was written: nothing was forked, nothing is to be told of it. */
static gboolean never_begun(const char *run_dir)
{
	g_autofree char *intent = g_build_filename(run_dir, "intent", NULL);
	struct process process;

	if (g_file_test(intent, G_FILE_TEST_EXISTS) || rundir_launching(run_dir))
		return FALSE;
	if (!process_find(run_dir, &process, NULL))
		return TRUE;
	process_clear(&process);
	return FALSE;
}

static char **qemu_scan(struct engine *engine)
{
	GPtrArray *names = g_ptr_array_new();
	g_autofree char *some = dirs_vm_run(engine->dirs, "x");
	g_autofree char *parent = g_path_get_dirname(some);
	g_autoptr(GDir) dir = g_dir_open(parent, 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir))) {
		g_autofree char *run_dir = g_build_filename(parent, name, NULL);
		if (!g_file_test(run_dir, G_FILE_TEST_IS_DIR))
			continue;
		if (never_begun(run_dir))
			rundir_remove(run_dir);
		else if (is_ours(run_dir))
			g_ptr_array_add(names, g_strdup(name));
	}
	g_ptr_array_add(names, NULL);
	return (char **)g_ptr_array_free(names, FALSE);
}

static void qemu_clean(struct engine *base, const char *name)
{
	struct qemu_engine *engine = (struct qemu_engine *)base;
	g_autofree char *run_dir = dirs_vm_run(base->dirs, name);
	struct process process;

	if (rundir_launching(run_dir))
		return;
	if (process_find(run_dir, &process, NULL)) {
		process_clear(&process);
		return; /* it runs: not now */
	}
	rundir_remove(run_dir);
	g_mutex_lock(&engine->lock);
	if (engine->uids)
		g_hash_table_remove(engine->uids, name);
	g_mutex_unlock(&engine->lock);
}

static gboolean qemu_intent(struct engine *engine, const char *name, char **uuid, guint64 *run)
{
	g_autofree char *run_dir = dirs_vm_run(engine->dirs, name);
	struct intent intent;

	if (!intent_read(run_dir, &intent, NULL))
		return FALSE;
	*uuid = g_steal_pointer(&intent.uuid);
	*run = intent.run;
	intent_clear(&intent);
	return TRUE;
}

const struct engine_ops engine_qemu = {
	.name = RUNDIR_ENGINE,
	.probe = qemu_probe,
	.engine_new = qemu_engine_new,
	.engine_free = qemu_engine_free,
	.vm_new = qemu_vm_new,
	.vm_free = qemu_vm_free,
	.start = qemu_start,
	.adopt = qemu_adopt,
	.resume = qemu_resume,
	.pause = qemu_pause,
	.shutdown = qemu_shutdown,
	.kill = qemu_kill,
	.describe = qemu_describe,
	.vcpus = qemu_vcpus,
	.stream_open = qemu_stream_open,
	.scan = qemu_scan,
	.clean = qemu_clean,
	.intent = qemu_intent,
};
