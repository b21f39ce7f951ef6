/* Goal: the planner writes exactly what its table says. */
#include <string.h>

#include "daemon/control/reason.h"
#include "tests/unit/control/world.h"

static void assert_plan(struct world *world, const char *name, const char *host, const char *reason)
{
	struct plan plan;

	g_assert_true(world_plan(world, name, &plan));
	g_assert_cmpint(plan.refused, ==, host == NULL);
	if (host)
		g_assert_cmpstr(plan.host, ==, host);
	if (reason)
		g_assert_cmpstr(plan.reason, ==, reason);
	noun_clear(&plan_noun, &plan);
}

static gboolean plan_removes(struct world *world, const char *name)
{
	struct plan plan;
	gboolean removes;

	g_assert_true(world_plan(world, name, &plan));
	removes = plan.remove;
	noun_clear(&plan_noun, &plan);
	return removes;
}

static void test_placement(void)
{
	struct world world;

	world_init(&world);
	world_put_vm(&world, (struct wish) { .name = "early" });
	g_assert_cmpuint(world_settle(&world), ==, 0); /* no host yet: it waits, it is not refused */
	g_assert_cmpuint(planner_waiting(world.planner), ==, 1);
	world_put_host(&world, "h1", 2, 4 * GIB);
	g_assert_cmpuint(world_settle(&world), ==, 1);
	assert_plan(&world, "early", "h1", "host h1: the only host; 1 vCPU and 64M fit (4G free of 4G)");
	world_put_vm(&world, (struct wish) { .name = "web", .cpus = 2, .memory = 512 * MIB });
	world_settle(&world);
	assert_plan(&world, "web", "h1", "host h1: the only host; 2 vCPUs and 512M fit (4032M free of 4G)");
	world_put_vm(&world, (struct wish) { .name = "huge", .memory = 9999ull << 40 });
	world_settle(&world);
	assert_plan(&world, "huge", NULL, "no host has 9999T of memory free: h1 has 3520M");
	world_put_vm(&world, (struct wish) { .name = "wide", .cpus = 3 });
	world_settle(&world);
	assert_plan(&world, "wide", NULL, "no host has 3 CPUs: h1 has 2");
	g_assert_cmpuint(planner_waiting(world.planner), ==, 2);
	g_assert_cmpuint(world_settle(&world), ==, 0);
	world_clear(&world);
}

static void test_retry(void)
{
	struct world world;

	world_init(&world);
	world_put_host(&world, "h1", 2, 4 * GIB);
	world_put_vm(&world, (struct wish) { .name = "a", .memory = 3 * GIB });
	world_put_vm(&world, (struct wish) { .name = "b", .memory = 3 * GIB });
	world_put_vm(&world, (struct wish) { .name = "s", .memory = 3 * GIB, .engine = "sim" });
	world_settle(&world);
	assert_plan(&world, "a", "h1", NULL);
	assert_plan(&world, "b", NULL, NULL);
	assert_plan(&world, "s", "h1", NULL); /* simulated memory is free */
	g_assert_cmpuint(planner_memory_placed(world.planner, "h1"), ==, 3 * GIB);
	world_put_status(&world, "a", "a", VM_STATE_STOPPED, 1);
	world_settle(&world);
	assert_plan(&world, "b", NULL, NULL); /* it ended by itself and is still wanted */
	world_delete(&world, "/vm/a");
	world_settle(&world);
	g_assert_true(plan_removes(&world, "a"));
	assert_plan(&world, "b", NULL, NULL);
	world_delete(&world, "/status/a");
	world_settle(&world);
	g_assert_null(world_lookup("/plan/a", &world));
	assert_plan(&world, "b", "h1", NULL);
	world_put_vm(&world, (struct wish) { .name = "c", .memory = 3 * GIB });
	world_settle(&world);
	assert_plan(&world, "c", NULL, NULL);
	world_put_host(&world, "h2", 2, 4 * GIB);
	world_settle(&world);
	assert_plan(&world, "c", "h2",
		    "host h2: the only one of 2 that fits; 1 vCPU and 3G fit (4G free of 4G); 1 lacks memory");
	world_clear(&world);
}

static void assert_held(struct world *world, const char *name, guint64 run, const char *reason)
{
	g_autofree char *key = g_strconcat("/vm/", name, NULL);
	struct plan plan;

	g_assert_true(world_plan(world, name, &plan));
	g_assert_cmpint(plan.desired, ==, VM_DESIRED_STOPPED);
	g_assert_cmpuint(plan.run, ==, run);
	g_assert_cmpuint(plan.vm_revision, ==,
			 (guint64)((const struct store_kv *)world_lookup(key, world))->mod_revision);
	g_assert_cmpstr(plan.reason, ==, reason);
	noun_clear(&plan_noun, &plan);
}

/* A VM that was stopped and has ended takes no memory, and starts again only when it fits. */
static void test_stopped(void)
{
	struct world world;
	struct wish stop = { .name = "a", .memory = 3 * GIB, .desired = VM_DESIRED_STOPPED };

	world_init(&world);
	world_put_host(&world, "h1", 2, 4 * GIB);
	world_put_vm(&world, (struct wish) { .name = "a", .memory = 3 * GIB });
	world_settle(&world);
	world_put_status(&world, "a", "a", VM_STATE_RUNNING, 1);
	world_put_vm(&world, stop);
	world_settle(&world);
	world_put_vm(&world, (struct wish) { .name = "b", .memory = 3 * GIB });
	world_settle(&world);
	assert_plan(&world, "b", NULL, NULL); /* a has not ended yet */
	world_put_status(&world, "a", "a", VM_STATE_STOPPED, 1);
	world_settle(&world);
	assert_plan(&world, "b", "h1", NULL);
	g_assert_cmpuint(planner_memory_placed(world.planner, "h1"), ==, 3 * GIB);
	/* Its start does not fit: its plan stays as it was, and says why. */
	world_put_vm(&world, (struct wish) { .name = "a", .memory = 3 * GIB, .run = 2 });
	g_assert_cmpuint(world_settle(&world), ==, 1);
	assert_held(&world, "a", 1, "host h1 has 1G of memory free and the VM takes 3G");
	g_assert_cmpuint(planner_waiting(world.planner), ==, 1);
	g_assert_cmpuint(planner_memory_placed(world.planner, "h1"), ==, 3 * GIB);
	/* Taken back. */
	world_put_vm(&world, stop);
	g_assert_cmpuint(world_settle(&world), ==, 1);
	assert_held(&world, "a", 1, "host h1: it stays there, and takes no memory while it is stopped");
	g_assert_cmpuint(planner_waiting(world.planner), ==, 0);
	/* Left to wait instead, it starts once there is room. */
	world_put_vm(&world, (struct wish) { .name = "a", .memory = 3 * GIB, .run = 2 });
	world_settle(&world);
	world_delete(&world, "/vm/b");
	world_settle(&world);
	assert_plan(&world, "a", "h1", "host h1: it stays there; 1 vCPU and 3G fit (4G free of 4G)");
	g_assert_cmpuint(planner_memory_placed(world.planner, "h1"), ==, 3 * GIB);
	g_assert_cmpuint(world_settle(&world), ==, 0);
	world_clear(&world);
}

/* A stopped VM's memory was given away; that it is removed does not take it back for a moment. */
static void test_stopped_removal(void)
{
	struct world world;

	world_init(&world);
	world_put_host(&world, "h1", 2, 4 * GIB);
	world_put_vm(&world, (struct wish) { .name = "a", .memory = 3 * GIB });
	world_settle(&world);
	world_put_vm(&world, (struct wish) { .name = "a", .memory = 3 * GIB, .desired = VM_DESIRED_STOPPED });
	world_settle(&world);
	world_put_status(&world, "a", "a", VM_STATE_STOPPED, 1);
	world_put_vm(&world, (struct wish) { .name = "b", .memory = 3 * GIB });
	world_settle(&world);
	assert_plan(&world, "b", "h1", NULL);
	world_delete(&world, "/vm/a");
	world_settle(&world);
	g_assert_true(plan_removes(&world, "a"));
	world_delete(&world, "/status/a");
	g_assert_cmpuint(planner_memory_placed(world.planner, "h1"), ==, 3 * GIB);
	world_settle(&world);
	g_assert_null(world_lookup("/plan/a", &world));
	g_assert_cmpuint(planner_memory_placed(world.planner, "h1"), ==, 3 * GIB);
	world_clear(&world);
}

/* Two starts at once into room for one; the status of the run before does not free what the new one takes. */
static void test_start_race(void)
{
	struct planner_write write;
	struct world world;

	world_init(&world);
	world_put_host(&world, "h1", 2, 4 * GIB);
	for (guint i = 0; i < 2; i++) {
		const char *name = i ? "b" : "a";

		world_put_vm(&world, (struct wish) { .name = name, .memory = 3 * GIB });
		world_settle(&world);
		world_put_vm(&world, (struct wish) { .name = name, .memory = 3 * GIB, .desired = VM_DESIRED_STOPPED });
		world_settle(&world);
		world_put_status(&world, name, name, VM_STATE_STOPPED, i ? 0 : 1); /* b was never started */
		world_settle(&world);
	}
	g_assert_cmpuint(planner_memory_placed(world.planner, "h1"), ==, 0);
	world_put_vm(&world, (struct wish) { .name = "a", .memory = 3 * GIB, .run = 2 });
	world_put_vm(&world, (struct wish) { .name = "b", .memory = 3 * GIB, .run = 2 });
	g_assert_true(planner_next(world.planner, &write));
	world_put_status(&world, "a", "a", VM_STATE_STOPPED, 1); /* while the write is under way */
	g_assert_cmpuint(planner_memory_placed(world.planner, "h1"), ==, 3 * GIB);
	world_apply(&world, &write);
	planner_write_clear(&write);
	world_settle(&world);
	assert_plan(&world, "a", "h1", NULL);
	assert_held(&world, "b", 1, "host h1 has 1G of memory free and the VM takes 3G");
	world_put_vm(&world, (struct wish) { .name = "a", .memory = 3 * GIB, .run = 2, .desired = VM_DESIRED_STOPPED });
	world_settle(&world);
	world_put_status(&world, "a", "a", VM_STATE_STOPPED, 1);
	world_settle(&world);
	assert_held(&world, "b", 1, "host h1 has 1G of memory free and the VM takes 3G");
	world_put_status(&world, "a", "a", VM_STATE_STOPPED, 2);
	world_settle(&world);
	assert_plan(&world, "b", "h1", "host h1: it stays there; 1 vCPU and 3G fit (4G free of 4G)");
	world_clear(&world);
}

static void test_update(void)
{
	struct world world;
	struct plan plan;

	world_init(&world);
	world_put_host(&world, "h1", 2, 4 * GIB);
	world_put_vm(&world, (struct wish) { .name = "a" });
	world_settle(&world);
	world_put_vm(&world, (struct wish) { .name = "a", .desired = VM_DESIRED_STOPPED, .run = 2 });
	g_assert_cmpuint(world_settle(&world), ==, 1);
	g_assert_true(world_plan(&world, "a", &plan));
	g_assert_cmpint(plan.desired, ==, VM_DESIRED_STOPPED);
	g_assert_cmpuint(plan.run, ==, 2);
	g_assert_cmpuint(plan.vm_revision, ==,
			 (guint64)((const struct store_kv *)world_lookup("/vm/a", &world))->mod_revision);
	noun_clear(&plan_noun, &plan);
	world_put_status(&world, "a", "a", VM_STATE_RUNNING, 2);
	g_assert_cmpuint(world_settle(&world), ==, 0);
	/* Its host goes away for a while: the VM stays where it is. */
	world_delete(&world, "/host/h1");
	g_assert_cmpuint(world_settle(&world), ==, 0);
	assert_plan(&world, "a", "h1", NULL);
	world_clear(&world);
}

static void test_removal(void)
{
	struct world world;

	world_init(&world);
	world_put_host(&world, "h1", 2, 4 * GIB);
	world_put_vm(&world, (struct wish) { .name = "a" });
	world_put_vm(&world, (struct wish) { .name = "r", .cpus = 9 });
	world_settle(&world);
	world_delete(&world, "/vm/r"); /* refused: no agent ever saw it */
	g_assert_cmpuint(world_settle(&world), ==, 1);
	g_assert_null(world_lookup("/plan/r", &world));
	world_delete(&world, "/vm/a"); /* placed, and no agent has answered yet */
	g_assert_cmpuint(world_settle(&world), ==, 2);
	g_assert_null(world_lookup("/plan/a", &world));
	g_assert_cmpuint(planner_memory_placed(world.planner, "h1"), ==, 0);
	/* An agent still has what nobody wants. */
	world_put_status(&world, "a", "old", VM_STATE_RUNNING, 1);
	g_assert_cmpuint(world_settle(&world), ==, 1);
	g_assert_true(plan_removes(&world, "a"));
	/* A new VM of that name waits until the old one is gone. */
	world_put_vm(&world, (struct wish) { .name = "a", .uuid = "new" });
	g_assert_cmpuint(world_settle(&world), ==, 0);
	world_delete(&world, "/status/a");
	world_settle(&world);
	assert_plan(&world, "a", "h1", NULL);
	world_clear(&world);
}

static void test_ephemeral(void)
{
	struct world world;

	world_init(&world);
	world_put_host(&world, "h1", 2, 4 * GIB);
	world_put_vm(&world, (struct wish) { .name = "e", .ephemeral = TRUE });
	world_settle(&world);
	world_put_status(&world, "e", "e", VM_STATE_RUNNING, 1);
	g_assert_cmpuint(world_settle(&world), ==, 0);
	world_put_status(&world, "e", "e", VM_STATE_FAILED, 1);
	world_settle(&world);
	g_assert_null(world_lookup("/vm/e", &world));
	g_assert_true(plan_removes(&world, "e"));
	world_delete(&world, "/status/e");
	world_settle(&world);
	g_assert_null(world_lookup("/plan/e", &world));
	world_clear(&world);
}

static void test_failed_write(void)
{
	struct planner_write write;
	struct world world;

	world_init(&world);
	world_put_host(&world, "h1", 2, 4 * GIB);
	world_put_vm(&world, (struct wish) { .name = "a", .memory = 3 * GIB });
	g_assert_true(planner_next(world.planner, &write));
	planner_write_clear(&write);
	g_assert_cmpuint(planner_memory_placed(world.planner, "h1"), ==, 3 * GIB); /* charged while in flight */
	g_assert_cmpuint(world_settle(&world), ==, 0);
	planner_failed(world.planner, "a");
	g_assert_cmpuint(planner_memory_placed(world.planner, "h1"), ==, 0);
	g_assert_cmpuint(world_settle(&world), ==, 1);
	assert_plan(&world, "a", "h1", NULL);
	world_clear(&world);
}

static void test_malformed(void)
{
	struct world world;

	world_init(&world);
	world_put_host(&world, "h1", 2, 4 * GIB);
	g_test_expect_message(NULL, G_LOG_LEVEL_WARNING, "record /vm/bad is malformed*");
	world_put_text(&world, "/vm/bad", g_strdup("{\"nonsense\":1}"));
	g_assert_cmpuint(world_settle(&world), ==, 0);
	g_test_assert_expected_messages();
	world_clear(&world);
}

static void test_size(void)
{
	static const struct {
		guint64 bytes;
		const char *text;
	} cases[] = { { 0, "0" },
		      { 1023, "1023" },
		      { 512 * MIB, "512M" },
		      { 2 * GIB, "2G" },
		      { 9999ull << 40, "9999T" },
		      { 1536 * MIB, "1536M" },
		      { 25276502016, "23.5G" },
		      { 1025, "1.0K" },
		      { G_MAXUINT64, "15.9E" } };

	for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *text = reason_size(cases[i].bytes);

		g_assert_cmpstr(text, ==, cases[i].text);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/planner/placement", test_placement);
	g_test_add_func("/planner/retry", test_retry);
	g_test_add_func("/planner/stopped", test_stopped);
	g_test_add_func("/planner/stopped-removal", test_stopped_removal);
	g_test_add_func("/planner/start-race", test_start_race);
	g_test_add_func("/planner/update", test_update);
	g_test_add_func("/planner/removal", test_removal);
	g_test_add_func("/planner/ephemeral", test_ephemeral);
	g_test_add_func("/planner/failed-write", test_failed_write);
	g_test_add_func("/planner/malformed", test_malformed);
	g_test_add_func("/planner/size", test_size);
	return g_test_run();
}
