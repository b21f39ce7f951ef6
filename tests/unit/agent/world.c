#include "tests/unit/agent/world.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>

#include "daemon/model/error.h"

#define DEADLINE_S 20

gint64 world_now_us = 1000000;
static struct world *the_world;

static gint64 world_clock(void)
{
	return world_now_us;
}

/* ---- Engine fake ---- */

struct fake_vm {
	struct engine_vm base;
	struct machine *machine;
	const struct engine_events *events;
	gpointer user_data;
	char *name, *uuid;
	guint64 run;
};

static struct machine *machine_of(struct engine_vm *vm)
{
	return ((struct fake_vm *)vm)->machine;
}

static gboolean fake_probe(struct engine *engine, struct host *host, GError **error)
{
	return TRUE;
}

static struct engine *fake_engine_new(const struct dirs *dirs)
{
	struct engine *engine = g_new0(struct engine, 1);

	engine->ops = &fake_ops;
	engine->dirs = dirs;
	return engine;
}

static void fake_engine_free(struct engine *engine)
{
	g_free(engine);
}

static struct engine_vm *fake_vm_new(struct engine *engine, const struct engine_config *config,
				     const struct engine_events *events, gpointer user_data)
{
	struct fake_vm *vm = g_new0(struct fake_vm, 1);

	vm->base.engine = engine;
	vm->events = events;
	vm->user_data = user_data;
	vm->uuid = g_strdup(config->uuid);
	vm->run = config->run;
	vm->machine = g_hash_table_lookup(the_world->machines, config->name);
	if (!vm->machine) {
		vm->machine = g_new0(struct machine, 1);
		vm->machine->name = g_strdup(config->name);
		g_hash_table_insert(the_world->machines, vm->machine->name, vm->machine);
	}
	g_assert_null(vm->machine->vm);
	vm->machine->vm = &vm->base;
	return &vm->base;
}

static void fake_vm_free(struct engine_vm *engine_vm)
{
	struct fake_vm *vm = (struct fake_vm *)engine_vm;
	struct machine *machine = vm->machine;

	machine->vm = NULL;
	machine->says_started = machine->says_adopted = machine->says_resumed = FALSE;
	machine->says_paused = machine->says_exited = FALSE;
	g_free(vm->uuid);
	g_free(vm);
}

static void fake_start(struct engine_vm *engine_vm)
{
	struct fake_vm *vm = (struct fake_vm *)engine_vm;
	struct machine *machine = vm->machine;

	/* The one thing that must never happen. */
	g_assert_false(machine->alive);
	g_assert_false(machine->has_dir);
	g_free(machine->uuid);
	machine->uuid = g_strdup(vm->uuid);
	machine->run = vm->run;
	machine->has_dir = machine->alive = machine->paused = machine->says_started = TRUE;
	machine->started = machine->ended = machine->cut_short = FALSE;
	machine->starts++;
}

static void fake_adopt(struct engine_vm *engine_vm)
{
	struct machine *machine = machine_of(engine_vm);

	if (machine->alive)
		machine->says_adopted = TRUE;
	else
		machine->says_exited = TRUE;
}

static void fake_resume(struct engine_vm *engine_vm)
{
	struct machine *machine = machine_of(engine_vm);

	if (!machine->alive)
		return;
	machine->resumes++;
	machine->paused = FALSE;
	machine->says_resumed = TRUE;
	machine->says_paused = FALSE;
}

static void fake_pause(struct engine_vm *engine_vm)
{
	struct machine *machine = machine_of(engine_vm);

	if (!machine->alive)
		return;
	machine->paused = TRUE;
	machine->says_paused = TRUE;
	machine->says_resumed = FALSE;
}

void world_machine_ends(struct machine *machine, enum engine_exit_cause cause)
{
	if (!machine->alive)
		return;
	machine->alive = FALSE;
	machine->ended = TRUE;
	machine->cause = cause;
	machine->ended_at = g_get_real_time();
	if (machine->vm) {
		machine->says_started = machine->says_adopted = FALSE;
		machine->says_resumed = machine->says_paused = FALSE;
		machine->says_exited = TRUE;
	}
}

void world_machine_pauses(struct machine *machine, const char *reason)
{
	struct fake_vm *vm = (struct fake_vm *)machine->vm;

	machine->paused = TRUE;
	vm->events->paused(&vm->base, reason, vm->user_data);
}

static gboolean fake_shutdown(struct engine_vm *engine_vm, enum engine_shutdown_step step)
{
	struct machine *machine = machine_of(engine_vm);

	if (step == ENGINE_SHUTDOWN_AGENT)
		machine->shutdowns_agent++;
	else
		machine->shutdowns_acpi++;
	if (step == ENGINE_SHUTDOWN_AGENT && machine->no_agent)
		return FALSE;
	if (!machine->deaf && !machine->paused)
		world_machine_ends(machine, ENGINE_EXIT_SHUTDOWN);
	return TRUE;
}

static void fake_kill(struct engine_vm *engine_vm)
{
	struct machine *machine = machine_of(engine_vm);

	machine->kills++;
	world_machine_ends(machine, ENGINE_EXIT_STOPPED);
}

static void fake_describe(struct engine_vm *vm, struct status *status)
{
	g_free(status->accelerator);
	status->accelerator = g_strdup("none");
	status->pid = 4711;
}

static int fake_stream_open(struct engine_vm *vm, const struct engine_stream *stream, GError **error)
{
	struct machine *machine = machine_of(vm);

	if (stream->kind == ENGINE_STREAM_LOG || (machine->alive && !machine->says_started && !machine->says_adopted))
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	g_set_error(error, POLDER_ERROR, POLDER_ERROR_UNAVAILABLE, "not there yet");
	return -1;
}

static char **fake_scan(struct engine *engine)
{
	g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
	GHashTableIter iter;
	gpointer value;

	g_hash_table_iter_init(&iter, the_world->machines);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		if (((struct machine *)value)->has_dir)
			g_strv_builder_add(builder, ((struct machine *)value)->name);
	}
	return g_strv_builder_end(builder);
}

static void fake_clean(struct engine *engine, const char *name)
{
	struct machine *machine = g_hash_table_lookup(the_world->machines, name);

	if (!machine)
		return;
	g_assert_false(machine->alive);
	machine->has_dir = machine->ended = FALSE;
	machine->cleans++;
}

static gboolean fake_intent(struct engine *engine, const char *name, char **uuid, guint64 *run)
{
	struct machine *machine = g_hash_table_lookup(the_world->machines, name);

	*uuid = g_strdup(machine->uuid);
	*run = machine->run;
	return TRUE;
}

const struct engine_ops fake_ops = {
	.name = "qemu", /* plans can name it */
	.probe = fake_probe,
	.engine_new = fake_engine_new,
	.engine_free = fake_engine_free,
	.vm_new = fake_vm_new,
	.vm_free = fake_vm_free,
	.start = fake_start,
	.adopt = fake_adopt,
	.resume = fake_resume,
	.pause = fake_pause,
	.shutdown = fake_shutdown,
	.kill = fake_kill,
	.describe = fake_describe,
	.stream_open = fake_stream_open,
	.scan = fake_scan,
	.clean = fake_clean,
	.intent = fake_intent,
};

gboolean world_answer(struct machine *machine)
{
	struct fake_vm *vm = (struct fake_vm *)machine->vm;

	if (!vm)
		return FALSE;
	if (machine->says_started) {
		machine->says_started = FALSE;
		machine->started = TRUE;
		vm->events->started(&vm->base, vm->user_data);
	} else if (machine->says_adopted) {
		machine->says_adopted = FALSE;
		vm->events->adopted(&vm->base, machine->paused, vm->user_data);
	} else if (machine->says_resumed) {
		machine->says_resumed = FALSE;
		vm->events->resumed(&vm->base, vm->user_data);
	} else if (machine->says_paused) {
		machine->says_paused = FALSE;
		vm->events->paused(&vm->base, NULL, vm->user_data);
	} else if (machine->says_exited) {
		struct engine_exit ended = { .cause = machine->ended       ? machine->cause
						      : machine->cut_short ? ENGINE_EXIT_CUT_SHORT
									   : ENGINE_EXIT_LOST,
					     .reason = "it ended",
					     .ended_at = machine->ended_at };

		machine->says_exited = FALSE;
		vm->events->exited(&vm->base, &ended, vm->user_data);
	} else {
		return FALSE;
	}
	return TRUE;
}

struct machine *world_machine(struct world *world, const char *name)
{
	return g_hash_table_lookup(world->machines, name);
}

void world_answer_all(struct world *world)
{
	gboolean any;

	do {
		GHashTableIter iter;
		gpointer value;

		any = FALSE;
		g_hash_table_iter_init(&iter, world->machines);
		while (g_hash_table_iter_next(&iter, NULL, &value))
			any |= world_answer(value);
		world_settle(world);
	} while (any);
}

void world_reboot(struct world *world)
{
	GHashTableIter iter;
	gpointer value;

	g_assert_null(world->vms);
	g_hash_table_iter_init(&iter, world->machines);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		struct machine *machine = value;

		machine->alive = machine->has_dir = machine->ended = FALSE;
	}
	world->boot_id = "another-boot";
}

static void machine_free(gpointer data)
{
	struct machine *machine = data;

	g_free(machine->name);
	g_free(machine->uuid);
	g_free(machine);
}

/* ---- Waiting ---- */

static gboolean wake(gpointer user_data)
{
	*(gboolean *)user_data = TRUE;
	return G_SOURCE_CONTINUE;
}

#define WAIT_UNTIL(condition)                                                 \
	do {                                                                  \
		gboolean late = FALSE;                                        \
		guint timer = g_timeout_add_seconds(DEADLINE_S, wake, &late); \
		while (!(condition)) {                                        \
			g_assert_false(late);                                 \
			g_main_context_iteration(NULL, TRUE);                 \
		}                                                             \
		g_source_remove(timer);                                       \
	} while (0)

void world_settle(struct world *world)
{
	if (world->vms)
		WAIT_UNTIL(vms_settled(world->vms) && writer_idle(world->writer));
}

void world_pass(struct world *world, guint64 ms)
{
	for (guint64 passed = 0; passed < ms; passed += 250) {
		world_now_us += 250 * 1000;
		if (world->vms)
			vms_tick(world->vms);
		world_settle(world);
	}
}

/* ---- The store ---- */

struct answer {
	struct world *world;
	gboolean done;
	gint64 revision;
	struct store_range *range;
};

static void txn_done(GObject *object, GAsyncResult *result, gpointer user_data)
{
	struct answer *answer = user_data;
	g_autoptr(GError) error = NULL;
	struct store_txn_result *done = store_txn_finish(answer->world->store, result, &error);

	g_assert_no_error(error);
	answer->revision = done->revision;
	answer->done = TRUE;
	store_txn_result_free(done);
}

static gint64 put(struct world *world, const char *key, const char *value)
{
	struct answer answer = { .world = world };
	g_autoptr(GBytes) bytes = value ? g_bytes_new(value, strlen(value)) : NULL;

	if (value)
		store_put_async(world->store, key, bytes, 0, NULL, txn_done, &answer);
	else
		store_delete_async(world->store, key, NULL, txn_done, &answer);
	WAIT_UNTIL(answer.done);
	return answer.revision;
}

void world_put(struct world *world, const char *key, const char *value)
{
	put(world, key, value);
}

void world_plan_text(struct world *world, const char *name, const char *json)
{
	g_autofree char *key = g_strdup_printf("/plan/%s", name);
	gint64 revision = put(world, key, json);
	const struct vm_life *vm;

	if (!world->vms)
		return;
	/* Gone VMs are known to have seen it, too. */
	WAIT_UNTIL((vm = vms_get(world->vms, name)) ? vm->plan_revision >= revision : !json || strstr(json, "remove"));
	world_settle(world);
}

void world_plan(struct world *world, const char *name, const struct plan *plan)
{
	g_autofree char *json = plan ? noun_to_json(&plan_noun, plan) : NULL;

	world_plan_text(world, name, json);
}

static void range_done(GObject *object, GAsyncResult *result, gpointer user_data)
{
	struct answer *answer = user_data;
	g_autoptr(GError) error = NULL;

	answer->range = store_range_finish(answer->world->store, result, &error);
	g_assert_no_error(error);
	answer->done = TRUE;
}

char *world_get(struct world *world, const char *key)
{
	struct answer answer = { .world = world };
	char *value = NULL;

	store_range_async(world->store, key, NULL, 0, 1, NULL, range_done, &answer);
	WAIT_UNTIL(answer.done);
	if (answer.range->kvs->len == 1) {
		struct store_kv *kv = answer.range->kvs->pdata[0];
		gsize bytes;
		const char *data = g_bytes_get_data(kv->value, &bytes);

		value = g_strndup(data, bytes);
	}
	store_range_free(answer.range);
	return value;
}

gboolean world_status(struct world *world, const char *name, struct status *status)
{
	struct answer answer = { .world = world };
	g_autofree char *key = g_strdup_printf("/status/%s", name);
	g_autoptr(GError) error = NULL;
	gboolean found;

	store_range_async(world->store, key, NULL, 0, 1, NULL, range_done, &answer);
	WAIT_UNTIL(answer.done);
	found = answer.range->kvs->len == 1;
	if (found) {
		struct store_kv *kv = answer.range->kvs->pdata[0];
		gsize bytes;
		const char *json = g_bytes_get_data(kv->value, &bytes);

		noun_from_json(&status_noun, status, json, bytes, NOUN_FROM_STORE, &error);
		g_assert_no_error(error);
	}
	store_range_free(answer.range);
	return found;
}

/* ---- The agent's objects ---- */

static const struct image_status *look_at_image(const char *name, gboolean want, gpointer user_data)
{
	struct world *world = user_data;

	world->image_wants += want != FALSE;
	return &world->image;
}

static void recovered(const GError *error, gpointer user_data)
{
	g_assert_no_error(error);
	((struct world *)user_data)->recovered = TRUE;
}

void world_agent_start(struct world *world)
{
	struct vms_config config = {
		.store = world->store,
		.dirs = &world->dirs,
		.host = "here",
		.boot_id = world->boot_id,
		.engines = world->engines,
		.image = look_at_image,
		.now_us = world_clock,
		.recovered = recovered,
		.user_data = world,
	};
	g_autofree char *host = g_strdup_printf("{\"name\":\"here\",\"boot_id\":\"%s\"}", world->boot_id);

	world->recovered = FALSE;
	config.writer = world->writer = writer_new(world->store);
	world->vms = vms_new(&config);
	WAIT_UNTIL(world->recovered);
	put(world, "/host/here", host);
	world_settle(world);
}

void world_agent_stop(struct world *world)
{
	g_clear_pointer(&world->vms, vms_free);
	g_clear_pointer(&world->writer, writer_free);
}

void world_init(struct world *world)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *file = NULL;

	memset(world, 0, sizeof *world);
	the_world = world;
	world->root = g_dir_make_tmp("polder-agent-XXXXXX", &error);
	g_assert_no_error(error);
	dirs_init(&world->dirs, world->root, NULL);
	g_assert_cmpint(g_mkdir_with_parents(world->dirs.state, 0700), ==, 0);
	g_assert_cmpint(g_mkdir_with_parents(world->dirs.run, 0700), ==, 0);
	file = g_build_filename(world->dirs.state, "store.db", NULL);
	world->store = store_sqlite_open(file, NULL, &error);
	g_assert_no_error(error);
	world->machines = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, machine_free);
	world->boot_id = "this-boot";
	world->engines[0].engine = fake_engine_new(&world->dirs);
	world->engines[0].probed = world->engines[0].needs_image = TRUE;
	world->engines[0].starting_max = 2;
	noun_init(&image_status_noun, &world->image);
	world->image.state = IMAGE_STATE_READY;
}

static void remove_tree(const char *path)
{
	g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir)) != NULL) {
		g_autofree char *child = g_build_filename(path, name, NULL);

		if (g_file_test(child, G_FILE_TEST_IS_DIR) && !g_file_test(child, G_FILE_TEST_IS_SYMLINK))
			remove_tree(child);
		else
			g_unlink(child);
	}
	g_rmdir(path);
}

void world_clear(struct world *world)
{
	world_agent_stop(world);
	for (struct life_engine *engine = world->engines; engine->engine; engine++) {
		g_free(engine->unusable);
		engine->engine->ops->engine_free(engine->engine);
	}
	store_unref(world->store);
	while (g_main_context_iteration(NULL, FALSE))
		;
	g_hash_table_unref(world->machines);
	noun_clear(&image_status_noun, &world->image);
	remove_tree(world->root);
	dirs_clear(&world->dirs);
	g_free(world->root);
}

struct plan world_new_plan(const char *uuid)
{
	return (struct plan) {
		.uuid = (char *)uuid,
		.host = (char *)"here",
		.image = (char *)"tiny",
		.engine = (char *)"qemu",
		.cpus = 1,
		.memory_bytes = 64 << 20,
		.network = VM_NETWORK_NONE,
		.restart = VM_RESTART_NEVER,
		.desired = VM_DESIRED_RUNNING,
		.run = 1,
		.stop_timeout_ms = 30000,
	};
}

void world_assert_state(struct world *world, const char *name, enum vm_state state)
{
	struct status status;

	g_assert_true(world_status(world, name, &status));
	g_assert_cmpint(status.state, ==, state);
	noun_clear(&status_noun, &status);
}

void world_assert_reason(struct world *world, const char *name, const char *part)
{
	struct status status;

	g_assert_true(world_status(world, name, &status));
	if (!strstr(status.reason ? status.reason : "", part))
		g_error("reason \"%s\" lacks \"%s\"", status.reason, part);
	noun_clear(&status_noun, &status);
}
