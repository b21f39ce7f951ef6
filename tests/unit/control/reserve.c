/* Goal: CPU that is kept for VMs is a resource of a host: never more than there is, refused with what is left and what would
 * help, when a VM comes, when it starts again and when it asks for more. */
#include <string.h>

#include "daemon/control/accounts.h"
#include "daemon/control/questions.h"
#include "tests/unit/control/world.h"

/* A running real VM that asks for so much of a CPU. */
static void put(struct world *world, const char *name, guint64 percent)
{
	g_autofree char *members = g_strdup_printf("\"cpu_reserve_percent\":%" G_GUINT64_FORMAT, percent);

	world_put_vm(world, (struct wish) { .name = name, .cpus = 2, .members = members });
	world_settle(world);
}

static void settle_twice(struct world *world)
{
	world_settle(world);
	world_settle(world);
}

static void assert_plan(struct world *world, const char *name, const char *host, guint64 percent, const char *held)
{
	struct plan plan;

	g_assert_true(world_plan(world, name, &plan));
	g_assert_cmpstr(plan.refused ? "refused" : plan.host, ==, host);
	g_assert_cmpuint(plan.cpu_reserve_percent, ==, percent);
	if (held)
		g_assert_cmpstr(plan.held ? plan.held : "", ==, held);
	noun_clear(&plan_noun, &plan);
}

static void assert_reason(struct world *world, const char *name, const char *reason, const char *relief)
{
	struct plan plan;

	g_assert_true(world_plan(world, name, &plan));
	g_assert_cmpstr(plan.reason, ==, reason);
	g_assert_cmpstr(plan.relief ? plan.relief : "", ==, relief);
	noun_clear(&plan_noun, &plan);
}

static void test_one_host(void)
{
	struct world world;

	world_init(&world);
	world_put_host(&world, "h1", 2, 4 * GIB);
	put(&world, "a", 100);
	put(&world, "b", 60);
	assert_plan(&world, "a", "h1", 100, "");
	assert_plan(&world, "b", "h1", 60, "");
	put(&world, "c", 60);
	assert_plan(&world, "c", "refused", 60, "");
	assert_reason(&world, "c",
		      "no host can keep 60% of a CPU for it: h1 has 20% left of the 180% it may reserve; it would fit "
		      "with at "
		      "most 20% of a CPU reserved (on h1)",
		      "it would fit with at most 20% of a CPU reserved (on h1)");
	put(&world, "d", 20);
	assert_plan(&world, "d", "h1", 20, "");
	put(&world, "e", 1);
	assert_reason(
		&world, "e",
		"no host can keep 1% of a CPU for it: h1 has 0% left of the 180% it may reserve; without a reservation "
		"it would fit on h1",
		"without a reservation it would fit on h1");
	put(&world, "f", 0);
	assert_plan(&world, "f", "h1", 0, "");
	world_delete(&world, "/vm/a");
	settle_twice(&world);
	assert_plan(&world, "c", "h1", 60, "");
	world_clear(&world);
}

static void test_many_hosts(void)
{
	struct world world;

	world_init(&world);
	world_put_host(&world, "h1", 2, 4 * GIB);
	world_put_host(&world, "h2", 2, 4 * GIB);
	put(&world, "a", 150);
	put(&world, "b", 100);
	assert_plan(&world, "a", "h1", 150, "");
	assert_plan(&world, "b", "h2", 100, "");
	put(&world, "c", 100);
	assert_reason(&world, "c",
		      "no host can keep 100% of a CPU for it: the most is 80% on h2; 2 lack CPU to reserve; it would "
		      "fit with "
		      "at most 80% of a CPU reserved (on h2)",
		      "it would fit with at most 80% of a CPU reserved (on h2)");
	world_clear(&world);
}

/* Stopped it keeps nothing; its next start must fit again. */
static void test_start(void)
{
	struct world world;
	struct plan plan;

	world_init(&world);
	world_put_host(&world, "h1", 2, 4 * GIB);
	put(&world, "a", 100);
	world_put_vm(&world, (struct wish) { .name = "a",
					     .cpus = 2,
					     .desired = VM_DESIRED_STOPPED,
					     .members = "\"cpu_reserve_percent\":100" });
	world_put_status(&world, "a", "a", VM_STATE_STOPPED, 1);
	world_settle(&world);
	put(&world, "b", 100);
	assert_plan(&world, "b", "h1", 100, "");
	world_put_vm(&world,
		     (struct wish) { .name = "a", .cpus = 2, .run = 2, .members = "\"cpu_reserve_percent\":100" });
	world_settle(&world);
	g_assert_true(world_plan(&world, "a", &plan));
	g_assert_cmpint(plan.desired, ==, VM_DESIRED_STOPPED);
	g_assert_cmpstr(
		plan.reason, ==,
		"host h1 can keep 80% of a CPU for the VM, which asks for 100% (180% may be reserved there in all)");
	noun_clear(&plan_noun, &plan);
	world_delete(&world, "/vm/b");
	settle_twice(&world);
	g_assert_true(world_plan(&world, "a", &plan));
	g_assert_cmpint(plan.desired, ==, VM_DESIRED_RUNNING);
	noun_clear(&plan_noun, &plan);
	world_clear(&world);
}

static void test_raise(void)
{
	struct world world;

	world_init(&world);
	world_put_host(&world, "h1", 2, 4 * GIB);
	put(&world, "a", 100);
	put(&world, "b", 40);
	put(&world, "a", 140);
	assert_plan(&world, "a", "h1", 140, "");
	put(&world, "b", 50);
	assert_plan(&world, "b", "h1", 40,
		    "host h1 can keep 40% of a CPU for the VM, which asks for 50% (180% may be reserved there in all)");
	g_assert_cmpuint(world_settle(&world), ==, 0);
	/* Nobody else gets what it could not have … */
	put(&world, "c", 10);
	assert_plan(&world, "c", "refused", 10, "");
	/* … and it has it as soon as there is room. */
	put(&world, "a", 130);
	settle_twice(&world);
	assert_plan(&world, "b", "h1", 50, "");
	/* Taken back by whoever asked, before there was. */
	put(&world, "b", 90);
	assert_plan(&world, "b", "h1", 50, NULL);
	put(&world, "b", 50);
	assert_plan(&world, "b", "h1", 50, "");
	world_clear(&world);
}

/* Two decisions in one batch: the second knows of the first, though nothing was written yet. */
static void test_raise_in_flight(void)
{
	struct planner_write writes[4];
	struct world world;
	guint n = 0;

	world_init(&world);
	world_put_host(&world, "h1", 2, 4 * GIB);
	put(&world, "a", 100);
	world_put_vm(&world, (struct wish) { .name = "a", .cpus = 2, .members = "\"cpu_reserve_percent\":150" });
	world_put_vm(&world, (struct wish) { .name = "b", .cpus = 2, .members = "\"cpu_reserve_percent\":60" });
	while (n < G_N_ELEMENTS(writes) && planner_next(world.planner, &writes[n]))
		n++;
	for (guint i = 0; i < n; i++) {
		world_apply(&world, &writes[i]);
		planner_write_clear(&writes[i]);
	}
	world_settle(&world);
	assert_plan(&world, "a", "h1", 150, "");
	assert_plan(&world, "b", "refused", 60, "");
	world_clear(&world);
}

/* As any amount, a pool may be bounded in it. */
static void test_pool(void)
{
	struct world world;

	world_init(&world);
	world_put_host(&world, "h1", 2, 4 * GIB);
	world_put_text(&world, "/pool/gold", g_strdup("{\"name\":\"gold\",\"limit\":[\"cpu-reserve=0.5\"]}"));
	world_put_vm(&world, (struct wish) { .name = "a", .members = "\"pool\":\"gold\",\"cpu_reserve_percent\":40" });
	world_put_vm(&world, (struct wish) { .name = "b", .members = "\"pool\":\"gold\",\"cpu_reserve_percent\":20" });
	world_settle(&world);
	assert_reason(
		&world, "b",
		"pool gold has a limit of 50% of a CPU reserved: 10% of a CPU reserved left, and the VM takes 20% of a "
		"CPU reserved",
		"");
	world_put_vm(&world, (struct wish) { .name = "a", .members = "\"pool\":\"gold\",\"cpu_reserve_percent\":60" });
	world_settle(&world);
	assert_plan(
		&world, "a", "h1", 40,
		"pool gold has a limit of 50% of a CPU reserved: 50% of a CPU reserved left, and the VM takes 60% of a "
		"CPU reserved");
	world_clear(&world);
}

/* Simulated VMs take nothing of a real host, but none may ask for more than there could be. */
static void test_simulated(void)
{
	struct world world;

	world_init(&world);
	world_put_host(&world, "h1", 2, 4 * GIB);
	for (guint i = 0; i < 3; i++) {
		g_autofree char *name = g_strdup_printf("s%u", i);

		world_put_vm(&world, (struct wish) { .name = name,
						     .engine = "sim",
						     .cpus = 2,
						     .members = "\"cpu_reserve_percent\":180" });
		world_settle(&world);
		assert_plan(&world, name, "h1", 180, "");
	}
	world_put_vm(
		&world,
		(struct wish) { .name = "s3", .engine = "sim", .cpus = 2, .members = "\"cpu_reserve_percent\":190" });
	world_settle(&world);
	assert_plan(&world, "s3", "refused", 190, "");
	world_clear(&world);
}

static const char *named(JsonObject *object, const char *list, const char *prefix)
{
	JsonArray *array = json_object_get_array_member(object, list);

	for (guint i = 0; i < json_array_get_length(array); i++) {
		const char *text = json_array_get_string_element(array, i);

		if (g_str_has_prefix(text, prefix))
			return text;
	}
	return NULL;
}

static void test_questions(void)
{
	g_autoptr(JsonObject) host = NULL, explained = NULL, capacity = NULL;
	JsonArray *out;
	struct world world;
	struct vm vm;

	world_init(&world);
	world_put_host(&world, "h1", 2, 4 * GIB);
	put(&world, "a", 100);
	host = questions_host(world.planner, "h1", NULL);
	g_assert_cmpstr(named(host, "free", "cpu-reserve="), ==, "cpu-reserve=0.8");
	g_assert_cmpstr(named(host, "total", "cpu-reserve="), ==, "cpu-reserve=1.8");
	noun_init(&vm_noun, &vm);
	vm.cpu_reserve_percent = 90;
	explained = questions_explain(world.planner, &vm, NULL);
	g_assert_true(json_object_get_boolean_member(explained, "refused"));
	out = json_object_get_array_member(explained, "ruled_out");
	g_assert_cmpuint(json_array_get_length(out), ==, 1);
	g_assert_cmpstr(json_object_get_string_member(json_array_get_object_element(out, 0), "text"), ==,
			"1 lacks CPU to reserve");
	vm.cpu_reserve_percent = 30;
	capacity = questions_capacity(world.planner, &vm, 100, NULL);
	g_assert_cmpint(json_object_get_int_member(capacity, "more"), ==, 2);
	out = json_object_get_array_member(capacity, "first_out");
	g_assert_cmpstr(json_object_get_string_member(json_array_get_object_element(out, 0), "constraint"), ==,
			"cpu-reserve");
	noun_clear(&vm_noun, &vm);
	world_clear(&world);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/reserve/one-host", test_one_host);
	g_test_add_func("/reserve/many-hosts", test_many_hosts);
	g_test_add_func("/reserve/start", test_start);
	g_test_add_func("/reserve/raise", test_raise);
	g_test_add_func("/reserve/raise-in-flight", test_raise_in_flight);
	g_test_add_func("/reserve/pool", test_pool);
	g_test_add_func("/reserve/simulated", test_simulated);
	g_test_add_func("/reserve/questions", test_questions);
	return g_test_run();
}
