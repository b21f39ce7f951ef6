/* Engine sim: its life cycle, adoption, and ten thousand VMs. */
#include <glib/gstdio.h>
#include <malloc.h>
#include <string.h>
#include <unistd.h>

#include "daemon/engine/sim.h"
#include "daemon/engine/sim_clock.h"
#include "daemon/model/error.h"
#include "tests/unit/engine/fake_guest.h"

struct world {
	char *root;
	struct dirs dirs;
	struct engine *engine;
};

struct observed {
	struct engine_vm *vm;
	guint started, adopted, adopted_paused, resumed, paused, ready, addresses, exited;
	enum engine_exit_cause cause;
	char last; /* 's'tarted, 'r'esumed, 'p'aused, 'e'xited … */
};

static void on_started(struct engine_vm *vm, gpointer user_data)
{
	struct observed *seen = user_data;
	seen->started++;
	seen->last = 's';
}

static void on_adopted(struct engine_vm *vm, gboolean paused, gpointer user_data)
{
	struct observed *seen = user_data;
	seen->adopted++;
	seen->adopted_paused += paused;
	seen->last = 'a';
}

static void on_resumed(struct engine_vm *vm, gpointer user_data)
{
	struct observed *seen = user_data;
	seen->resumed++;
	seen->last = 'r';
}

static void on_paused(struct engine_vm *vm, const char *reason, gpointer user_data)
{
	struct observed *seen = user_data;
	g_assert_null(reason);
	seen->paused++;
	seen->last = 'p';
}

static void on_ready(struct engine_vm *vm, gboolean ready, gpointer user_data)
{
	((struct observed *)user_data)->ready += ready;
}

static void on_addresses(struct engine_vm *vm, const char *const *addresses, gpointer user_data)
{
	((struct observed *)user_data)->addresses++;
}

static void on_exited(struct engine_vm *vm, const struct engine_exit *gone, gpointer user_data)
{
	struct observed *seen = user_data;
	g_assert_nonnull(gone->reason);
	g_assert_cmpint(gone->ended_at, >, 0);
	seen->exited++;
	seen->cause = gone->cause;
	seen->last = 'e';
}

static const struct engine_events events = { .started = on_started,
					     .adopted = on_adopted,
					     .resumed = on_resumed,
					     .paused = on_paused,
					     .ready = on_ready,
					     .addresses = on_addresses,
					     .exited = on_exited };

static void world_init(struct world *world)
{
	world->root = g_dir_make_tmp("polder-sim-XXXXXX", NULL);
	world->dirs = (struct dirs) { .run = world->root };
	world->engine = engine_sim.engine_new(&world->dirs);
}

static void world_clear(struct world *world)
{
	engine_sim.engine_free(world->engine);
	fake_remove_tree(world->root);
	g_free(world->root);
}

static void vm_new(struct world *world, struct observed *seen, const char *name, guint64 run)
{
	const struct engine_config config = {
		.name = name,
		.uuid = "6a0b2c50-4a0e-4f7c-9a58-0d8f3f9c2b11",
		.run = run,
		.cpus = 1,
		.memory_bytes = 512u << 20,
	};
	*seen = (struct observed) { .vm = engine_sim.vm_new(world->engine, &config, &events, seen) };
}

static gboolean has_record(struct world *world, const char *name)
{
	guint64 run;
	return engine_sim.intent(world->engine, name, NULL, &run);
}

static void test_life(void)
{
	struct world world;
	struct observed seen;
	world_init(&world);
	vm_new(&world, &seen, "web", 3);
	gint64 began = g_get_monotonic_time();
	engine_sim.start(seen.vm);
	g_assert_cmpuint(seen.started, ==, 0);
	g_assert_true(has_record(&world, "web")); /* durable before it runs */
	WAIT_FOR(seen.started == 1);
	g_assert_cmpint(g_get_monotonic_time() - began, >=, 15000);
	engine_sim.resume(seen.vm);
	g_assert_cmpuint(seen.resumed, ==, 0);
	WAIT_FOR(seen.resumed == 1);
	engine_sim.pause(seen.vm);
	WAIT_FOR(seen.paused == 1);
	engine_sim.resume(seen.vm);
	engine_sim.pause(seen.vm);
	WAIT_FOR(seen.resumed == 2 && seen.paused == 2);
	g_assert_cmpint(seen.last, ==, 'p');
	g_assert_false(engine_sim.shutdown(seen.vm, ENGINE_SHUTDOWN_ACPI)); /* paused */
	engine_sim.resume(seen.vm);
	WAIT_FOR(seen.resumed == 3);
	g_assert_false(engine_sim.shutdown(seen.vm, ENGINE_SHUTDOWN_AGENT));

	struct status status = { 0 };
	engine_sim.describe(seen.vm, &status);
	g_assert_cmpstr(status.accelerator, ==, "none");
	g_free(status.accelerator);
	for (int kind = ENGINE_STREAM_EXEC; kind <= ENGINE_STREAM_LOG; kind++) {
		g_autoptr(GError) error = NULL;
		struct engine_stream stream = { .kind = kind, .request = "{}" };
		g_assert_cmpint(engine_sim.stream_open(seen.vm, &stream, &error), ==, -1);
		g_assert_error(error, POLDER_ERROR, POLDER_ERROR_CONFLICT);
		g_assert_nonnull(strstr(error->message, "engine sim runs no guest"));
	}

	g_assert_true(engine_sim.shutdown(seen.vm, ENGINE_SHUTDOWN_ACPI));
	engine_sim.kill(seen.vm);
	WAIT_FOR(seen.exited == 1);
	g_assert_cmpint(seen.cause, ==, ENGINE_EXIT_STOPPED);
	g_assert_false(has_record(&world, "web"));
	g_assert_cmpuint(seen.ready, ==, 0);
	engine_sim.kill(seen.vm);
	for (guint i = 0; i < 20; i++)
		g_main_context_iteration(NULL, FALSE);
	g_assert_cmpuint(seen.exited, ==, 1);
	engine_sim.vm_free(seen.vm);
	world_clear(&world);
}

static void test_kill_in_every_state(void)
{
	struct world world;
	struct observed seen;
	world_init(&world);
	for (guint state = 0; state < 4; state++) {
		vm_new(&world, &seen, "web", 1);
		if (state >= 1)
			engine_sim.start(seen.vm);
		if (state >= 2)
			WAIT_FOR(seen.started);
		if (state >= 3)
			engine_sim.resume(seen.vm);
		engine_sim.kill(seen.vm);
		WAIT_FOR(seen.exited);
		g_assert_cmpuint(seen.resumed, ==, 0);
		g_assert_false(has_record(&world, "web"));
		engine_sim.vm_free(seen.vm);
	}
	world_clear(&world);
}

static void test_adopt(void)
{
	struct world world;
	struct observed running, paused, starting, gone;
	world_init(&world);
	vm_new(&world, &running, "running", 7);
	vm_new(&world, &paused, "paused", 8);
	vm_new(&world, &starting, "starting", 9);
	engine_sim.start(running.vm);
	engine_sim.start(paused.vm);
	WAIT_FOR(running.started && paused.started);
	engine_sim.resume(running.vm);
	WAIT_FOR(running.resumed);
	engine_sim.start(starting.vm);
	engine_sim.vm_free(running.vm);
	engine_sim.vm_free(paused.vm);
	engine_sim.vm_free(starting.vm);
	engine_sim.engine_free(world.engine); /* that agent is gone; here is another */
	world.engine = engine_sim.engine_new(&world.dirs);

	g_auto(GStrv) names = engine_sim.scan(world.engine);
	g_assert_cmpuint(g_strv_length(names), ==, 3);
	g_assert_true(g_strv_contains((const char *const *)names, "starting"));
	g_autofree char *uuid = NULL;
	guint64 run;
	g_assert_true(engine_sim.intent(world.engine, "running", &uuid, &run));
	g_assert_cmpuint(run, ==, 7);
	g_assert_cmpstr(uuid, ==, "6a0b2c50-4a0e-4f7c-9a58-0d8f3f9c2b11");

	vm_new(&world, &running, "running", 7);
	vm_new(&world, &paused, "paused", 8);
	vm_new(&world, &starting, "starting", 9);
	vm_new(&world, &gone, "gone", 9);
	struct observed *all[] = { &running, &paused, &starting, &gone };
	for (guint i = 0; i < G_N_ELEMENTS(all); i++)
		engine_sim.adopt(all[i]->vm);
	WAIT_FOR(running.adopted && paused.adopted && starting.adopted && gone.exited);
	g_assert_cmpuint(running.adopted_paused, ==, 0);
	g_assert_cmpuint(paused.adopted_paused, ==, 1);
	g_assert_cmpuint(starting.adopted_paused, ==, 1);
	g_assert_cmpint(gone.cause, ==, ENGINE_EXIT_LOST);
	engine_sim.kill(running.vm);
	WAIT_FOR(running.exited);
	engine_sim.clean(world.engine, "paused");
	g_assert_false(has_record(&world, "paused"));
	for (guint i = 0; i < G_N_ELEMENTS(all); i++)
		engine_sim.vm_free(all[i]->vm);
	world_clear(&world);
}

static void test_bad_records(void)
{
	struct world world;
	struct observed seen;
	world_init(&world);
	static const char *const texts[] = {
		"x", "u 1", "u -1 0", "u 1 2", "u 1 0 0", "u 99999999999999999999 0", " "
	};
	for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
		g_autofree char *path = g_build_filename(world.root, "sim", "bad", NULL);
		g_unlink(path);
		g_assert_cmpint(symlink(texts[i], path), ==, 0);
		g_assert_false(has_record(&world, "bad"));
		vm_new(&world, &seen, "bad", 1);
		engine_sim.adopt(seen.vm);
		WAIT_FOR(seen.exited);
		engine_sim.vm_free(seen.vm);
	}
	world_clear(&world);
}

static void test_no_directory(void)
{
	struct world world;
	struct observed seen;
	world_init(&world);
	g_autofree char *directory = g_build_filename(world.root, "sim", NULL);
	g_assert_cmpint(g_rmdir(directory), ==, 0);
	vm_new(&world, &seen, "web", 1);
	g_test_expect_message(NULL, G_LOG_LEVEL_WARNING, "write the record*");
	engine_sim.start(seen.vm);
	g_test_assert_expected_messages();
	WAIT_FOR(seen.exited);
	g_assert_cmpint(seen.cause, ==, ENGINE_EXIT_START_FAILED);
	engine_sim.vm_free(seen.vm);
	world_clear(&world);
}

static void test_probe_and_environment(void)
{
	struct world world;
	struct observed seen;
	g_setenv("POLDER_SIM_START_MS", "0", TRUE);
	g_setenv("POLDER_SIM_READY_MS", "1", TRUE);
	world_init(&world);
	g_unsetenv("POLDER_SIM_START_MS");
	g_unsetenv("POLDER_SIM_READY_MS");
	struct host host = { 0 };
	g_assert_true(engine_sim.probe(world.engine, &host, NULL));
	g_assert_true(engine_sim.probe(world.engine, &host, NULL));
	g_assert_cmpuint(g_strv_length(host.engines), ==, 1);
	g_strfreev(host.engines);
	vm_new(&world, &seen, "web", 1);
	engine_sim.start(seen.vm);
	WAIT_FOR(seen.started);
	engine_sim.resume(seen.vm);
	WAIT_FOR(seen.addresses == 1);
	g_assert_cmpuint(seen.ready, ==, 1);
	engine_sim.kill(seen.vm);
	WAIT_FOR(seen.exited);
	engine_sim.vm_free(seen.vm);
	world_clear(&world);
}

/* ---- the clock ---- */

#define ALARMS 2000u
static gint64 last_due;
static guint rung;

static void on_ring(struct sim_alarm *alarm)
{
	g_assert_cmpint(alarm->due_us, >=, last_due);
	g_assert_cmpint(alarm->due_us, <=, g_get_monotonic_time());
	last_due = alarm->due_us;
	rung++;
}

/* Alarms set, moved both ways and cancelled at random ring once each, in the order of their times. */
static void test_clock(void)
{
	g_autofree struct sim_alarm *alarms = g_new0(struct sim_alarm, ALARMS);
	struct sim_clock *clock = sim_clock_new(on_ring);
	gint64 begin = g_get_monotonic_time();
	for (guint i = 0; i < 10 * ALARMS; i++) {
		struct sim_alarm *alarm = &alarms[g_test_rand_int_range(0, ALARMS)];
		if (g_test_rand_int_range(0, 8) == 0)
			sim_clock_cancel(clock, alarm);
		else
			sim_clock_set(clock, alarm, begin + g_test_rand_int_range(0, 20000));
	}
	guint set = 0;
	for (guint i = 0; i < ALARMS; i++)
		set += alarms[i].slot != 0;
	WAIT_FOR(rung == set);
	for (guint i = 0; i < ALARMS; i++)
		g_assert_cmpuint(alarms[i].slot, ==, 0);
	sim_clock_free(clock);
}

#define MANY 10000u

static guint count_of(const struct observed *all, gsize offset)
{
	guint n = 0;
	for (guint i = 0; i < MANY; i++)
		n += *(const guint *)((const char *)&all[i] + offset);
	return n;
}

static void test_ten_thousand(void)
{
	struct world world;
	world_init(&world);
	g_autofree struct observed *all = g_new0(struct observed, MANY);
	gsize before = mallinfo2().uordblks;
	gint64 began = g_get_monotonic_time();
	for (guint i = 0; i < MANY; i++) {
		g_autofree char *name = g_strdup_printf("vm-%05u", i);
		vm_new(&world, &all[i], name, 1);
		engine_sim.start(all[i].vm);
	}
	gint64 created = g_get_monotonic_time();
	WAIT_FOR(count_of(all, offsetof(struct observed, started)) == MANY);
	for (guint i = 0; i < MANY; i++)
		engine_sim.resume(all[i].vm);
	WAIT_FOR(count_of(all, offsetof(struct observed, resumed)) == MANY);
	gint64 running = g_get_monotonic_time();
	gsize bytes = (mallinfo2().uordblks - before) / MANY;
	g_test_message("%u VMs: created in %" G_GINT64_FORMAT " ms, running after %" G_GINT64_FORMAT
		       " ms, %" G_GSIZE_FORMAT " bytes each",
		       MANY, (created - began) / 1000, (running - began) / 1000, bytes);
	g_assert_cmpuint(bytes, <=, 300); /* reads as 0 under a sanitizer's allocator */
	for (guint i = 0; i < MANY; i++)
		engine_sim.kill(all[i].vm);
	WAIT_FOR(count_of(all, offsetof(struct observed, exited)) == MANY);
	g_auto(GStrv) names = engine_sim.scan(world.engine);
	g_assert_cmpuint(g_strv_length(names), ==, 0);
	for (guint i = 0; i < MANY; i++)
		engine_sim.vm_free(all[i].vm);
	world_clear(&world);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/sim/life", test_life);
	g_test_add_func("/sim/kill-in-every-state", test_kill_in_every_state);
	g_test_add_func("/sim/adopt", test_adopt);
	g_test_add_func("/sim/bad-records", test_bad_records);
	g_test_add_func("/sim/no-directory", test_no_directory);
	g_test_add_func("/sim/probe-and-environment", test_probe_and_environment);
	g_test_add_func("/sim/clock", test_clock);
	g_test_add_func("/sim/ten-thousand", test_ten_thousand);
	return g_test_run();
}
