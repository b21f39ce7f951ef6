/* Many VMs of engine sim, through a real store: started, found again by another agent, stopped, removed.
 * POLDER_TEST_LONG: 10,000 of them. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/engine/sim.h"
#include "daemon/model/limits.h"
#include "tests/unit/agent/world.h"

struct scale {
	struct store *store;
	struct dirs dirs;
	struct life_engine engines[2];
	struct writer *writer;
	struct vms *vms;
	guint count, pending;
	gboolean recovered;
};

static gboolean expire(gpointer user_data)
{
	*(gboolean *)user_data = TRUE;
	return G_SOURCE_CONTINUE;
}

#define WAIT_UNTIL(condition)                                            \
	do {                                                             \
		gboolean late = FALSE;                                   \
		guint timer = g_timeout_add_seconds(100, expire, &late); \
		while (!(condition)) {                                   \
			g_assert_false(late);                            \
			g_main_context_iteration(NULL, TRUE);            \
		}                                                        \
		g_source_remove(timer);                                  \
	} while (0)

static const struct image_status *no_image(const char *name, gboolean want, gpointer user_data)
{
	g_assert_not_reached();
}

static void recovered(const GError *error, gpointer user_data)
{
	g_assert_no_error(error);
	((struct scale *)user_data)->recovered = TRUE;
}

static void agent_start(struct scale *scale)
{
	struct vms_config config = { .store = scale->store,
				     .dirs = &scale->dirs,
				     .host = "here",
				     .boot_id = "b",
				     .image = no_image,
				     .recovered = recovered,
				     .user_data = scale };

	scale->engines[0].engine = engine_sim.engine_new(&scale->dirs);
	scale->engines[0].probed = TRUE;
	config.engines = scale->engines;
	config.writer = scale->writer = writer_new(scale->store);
	scale->recovered = FALSE;
	scale->vms = vms_new(&config);
	WAIT_UNTIL(scale->recovered);
}

static void agent_stop(struct scale *scale)
{
	g_clear_pointer(&scale->vms, vms_free);
	g_clear_pointer(&scale->writer, writer_free);
	engine_sim.engine_free(scale->engines[0].engine);
}

static void planned(GObject *object, GAsyncResult *result, gpointer user_data)
{
	struct scale *scale = user_data;
	g_autoptr(GError) error = NULL;
	struct store_txn_result *done = store_txn_finish(scale->store, result, &error);

	g_assert_no_error(error);
	store_txn_result_free(done);
	scale->pending--;
}

static void write_plans(struct scale *scale, const struct plan *model)
{
	for (guint i = 0; i < scale->count;) {
		struct store_txn *txn = store_txn_new();

		for (guint n = 0; n < LIMIT_STORE_TXN_OPS && i < scale->count; n++, i++) {
			g_autofree char *key = g_strdup_printf("/plan/vm-%u", i);
			g_autofree char *uuid = g_strdup_printf("3f1b7f0e-7c7b-4b0e-9f2e-%012x", i);
			struct plan plan = *model;
			g_autoptr(GBytes) value = NULL;
			char *json;

			plan.uuid = uuid;
			if (i % 2) { /* on a simulated host that we serve */
				plan.host = (char *)"sim-0001";
				plan.agent = (char *)"here";
			}
			json = noun_to_json(&plan_noun, &plan);
			value = g_bytes_new_take(json, strlen(json));
			store_txn_put(txn, STORE_THEN, key, value, 0);
		}
		scale->pending++;
		store_txn_async(scale->store, txn, NULL, planned, scale);
	}
	WAIT_UNTIL(!scale->pending);
}

static guint in_state(struct scale *scale, enum life state)
{
	guint count = 0;

	for (guint i = 0; i < scale->count; i++) {
		char name[32];
		const struct vm_life *vm;

		g_snprintf(name, sizeof name, "vm-%u", i);
		vm = vms_get(scale->vms, name);
		count += vm && vm->state == state;
	}
	return count;
}

static void wait_for_state(struct scale *scale, enum life state)
{
	gint64 begun_us = g_get_monotonic_time();

	WAIT_UNTIL(vms_settled(scale->vms) && writer_idle(scale->writer) && in_state(scale, state) == scale->count);
	g_test_message("%u VMs %s after %" G_GINT64_FORMAT " ms", scale->count, life_name(state),
		       (g_get_monotonic_time() - begun_us) / 1000);
}

static void check_hosts(struct world *world)
{
	struct status status;

	g_assert_true(world_status(world, "vm-0", &status));
	g_assert_cmpstr(status.host, ==, "here");
	noun_clear(&status_noun, &status);
	g_assert_true(world_status(world, "vm-1", &status));
	g_assert_cmpstr(status.host, ==, "sim-0001");
	g_assert_cmpstr(status.agent, ==, "here");
	noun_clear(&status_noun, &status);
}

/* A plan for another agent's host, or one that would run something real on a simulated host, starts nothing here. */
static void test_elsewhere(void)
{
	struct scale scale = { .count = 1 };
	struct plan plan = world_new_plan("3f1b7f0e-7c7b-4b0e-9f2e-000000000001");
	g_autofree char *json = NULL;
	struct world world;

	world_init(&world);
	scale.store = world.store;
	scale.dirs = world.dirs;
	agent_start(&scale);
	plan.host = (char *)"sim-0001";
	plan.agent = (char *)"there";
	plan.engine = (char *)"sim";
	json = noun_to_json(&plan_noun, &plan);
	world_put(&world, "/plan/a", json);
	g_free(json);
	plan.agent = (char *)"here";
	plan.engine = (char *)"qemu";
	json = noun_to_json(&plan_noun, &plan);
	world_put(&world, "/plan/b", json);
	WAIT_UNTIL(vms_get(scale.vms, "b") && vms_settled(scale.vms) && writer_idle(scale.writer));
	g_assert_cmpint(vms_get(scale.vms, "a")->state, ==, LIFE_NEW);
	g_assert_cmpint(vms_get(scale.vms, "b")->state, ==, LIFE_NEW);
	agent_stop(&scale);
	world_clear(&world);
}

static void test_scale(void)
{
	struct scale scale = { .count = g_getenv("POLDER_TEST_LONG") ? 10000 : 500 };
	struct plan plan = world_new_plan(NULL);
	struct world world; /* its store and directories */

	world_init(&world);
	scale.store = world.store;
	scale.dirs = world.dirs;
	plan.engine = (char *)"sim";
	agent_start(&scale);
	write_plans(&scale, &plan);
	wait_for_state(&scale, LIFE_RUNNING);
	check_hosts(&world);
	agent_stop(&scale);
	agent_start(&scale);
	wait_for_state(&scale, LIFE_RUNNING);
	check_hosts(&world);
	plan.desired = VM_DESIRED_STOPPED;
	write_plans(&scale, &plan);
	wait_for_state(&scale, LIFE_STOPPED);
	plan.run++;
	plan.desired = VM_DESIRED_PAUSED;
	write_plans(&scale, &plan);
	wait_for_state(&scale, LIFE_PAUSED);
	agent_stop(&scale);
	plan.remove = TRUE;
	write_plans(&scale, &plan);
	agent_start(&scale);
	WAIT_UNTIL(vms_count(scale.vms) == 0 && writer_idle(scale.writer));
	agent_stop(&scale);
	world_clear(&world);
}

int main(int argc, char **argv)
{
	g_setenv("POLDER_SIM_START_MS", "20", TRUE);
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/agent/sim/scale", test_scale);
	g_test_add_func("/agent/sim/elsewhere", test_elsewhere);
	return g_test_run();
}
