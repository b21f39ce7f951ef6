/* Goal: where VMs may be is obeyed, refusals say what would help, and the crowd's rules hold: pools, priorities, gangs. */
#include <string.h>

#include "daemon/control/questions.h"
#include "tests/unit/control/world.h"

static void put_noun(struct world *world, const char *key, const struct noun *noun, gpointer object)
{
	world_put_text(world, key, noun_to_json(noun, object));
	noun_clear(noun, object);
}

/* A simulated host of two nodes with 8 processors and 16G each. */
static void put_sim(struct world *world, const char *name, const char *labels)
{
	g_autofree char *key = g_strconcat("/host/", name, NULL), *spec_key = g_strconcat("/host-spec/", name, NULL);
	struct host_spec spec;
	struct host host;

	noun_init(&host_noun, &host);
	host.name = g_strdup(name);
	host.engines = g_strsplit("sim", ",", 0);
	host.simulated = TRUE;
	g_free(host.agent);
	host.agent = g_strdup("h1");
	host.cpus = 16;
	host.memory_bytes = 32 * GIB;
	host.nodes = g_strsplit("8c16G,8c16G", ",", 0);
	put_noun(world, key, &host_noun, &host);
	noun_init(&host_spec_noun, &spec);
	spec.labels = labels ? g_strsplit(labels, ",", 0) : NULL;
	put_noun(world, spec_key, &host_spec_noun, &spec);
}

static void put_sims(struct world *world, guint n)
{
	for (guint i = 1; i <= n; i++) {
		g_autofree char *name = g_strdup_printf("s%u", i), *labels = g_strdup_printf("rack=r%u", (i + 1) / 2);

		put_sim(world, name, labels);
	}
}

/* A VM of engine sim from JSON members: "\"cpus\":2". */
static void put_vm(struct world *world, const char *name, const char *members)
{
	g_autofree char *key = g_strconcat("/vm/", name, NULL);

	world_put_text(
		world, key,
		g_strdup_printf("{\"name\":\"%s\",\"uuid\":\"%s\",\"image\":\"tiny\",\"engine\":\"sim\",\"run\":1%s%s}",
				name, name, *members ? "," : "", members));
}

static char *host_of(struct world *world, const char *name)
{
	struct plan plan;
	char *host;

	if (!world_plan(world, name, &plan))
		return g_strdup("none");
	host = plan.refused ? g_strdup("refused") : g_strdup(plan.host);
	noun_clear(&plan_noun, &plan);
	return host;
}

static void assert_host(struct world *world, const char *name, const char *expected)
{
	g_autofree char *host = host_of(world, name);

	g_assert_cmpstr(host, ==, expected);
}

static void assert_says(struct world *world, const char *name, const char *part)
{
	struct plan plan;

	g_assert_true(world_plan(world, name, &plan));
	if (!strstr(plan.reason, part))
		g_error("vm %s: '%s' lacks '%s'", name, plan.reason, part);
	noun_clear(&plan_noun, &plan);
}

static void test_affinity(void)
{
	struct world world;

	world_init(&world);
	put_sims(&world, 4);
	for (guint i = 1; i <= 4; i++) {
		g_autofree char *name = g_strdup_printf("db%u", i), *host = g_strdup_printf("s%u", i);

		put_vm(&world, name, "\"anti_affinity\":[\"group=db\"]");
		world_settle(&world);
		assert_host(&world, name, host);
	}
	put_vm(&world, "db5", "\"anti_affinity\":[\"group=db\"]");
	world_settle(&world);
	assert_host(&world, "db5", "refused");
	assert_says(&world, "db5", "none of 4 hosts fits: 4 break anti-affinity group=db");
	/* Nobody referred to db3 by name before. */
	put_vm(&world, "near", "\"affinity\":[\"vm=db3\"]");
	world_settle(&world);
	assert_host(&world, "near", "s3");
	put_vm(&world, "far", "\"anti_affinity\":[\"vm=db1@rack\"]");
	world_settle(&world);
	assert_host(&world, "far", "s3");
	/* It comes in when one of them is gone. */
	world_delete(&world, "/vm/db2");
	world_settle(&world);
	world_settle(&world);
	assert_host(&world, "db5", "s2");
	world_clear(&world);
}

static void test_labels(void)
{
	struct world world;

	world_init(&world);
	put_sim(&world, "s1", "rack=r1");
	put_sim(&world, "s2", "rack=r1,disk=ssd");
	put_vm(&world, "fast", "\"require\":[\"disk=ssd\"]");
	world_settle(&world);
	assert_host(&world, "fast", "s2");
	put_vm(&world, "slow", "\"avoid_labels\":[\"disk=ssd\"]");
	world_settle(&world);
	assert_host(&world, "slow", "s1");
	put_vm(&world, "gold", "\"require\":[\"disk=gold\"]");
	world_settle(&world);
	assert_says(&world, "gold", "2 have other labels than asked for: disk=gold");
	put_sim(&world, "s1", "disk=gold"); /* labelled later */
	world_settle(&world);
	assert_host(&world, "gold", "s1");
	world_put_text(&world, "/host-spec/s2", g_strdup("{\"labels\":[\"disk=ssd\"],\"taints\":[\"fire\"]}"));
	put_vm(&world, "fast2", "\"require\":[\"disk=ssd\"]");
	put_vm(&world, "fast3", "\"require\":[\"disk=ssd\"],\"tolerate\":[\"fire\"]");
	world_settle(&world);
	assert_host(&world, "fast2", "refused");
	assert_says(&world, "fast2", "1 is tainted");
	assert_host(&world, "fast3", "s2");
	world_put_text(&world, "/host-spec/s2", g_strdup("{\"labels\":[\"disk=ssd\"],\"cordoned\":true}"));
	put_vm(&world, "fast4", "\"require\":[\"disk=ssd\"]");
	world_settle(&world);
	assert_host(&world, "fast4", "refused");
	assert_says(&world, "fast4", "1 is cordoned");
	world_clear(&world);
}

static void test_shapes(void)
{
	struct plan plan;
	struct world world;

	world_init(&world);
	world_put_host(&world, "h1", 2, 4 * GIB);
	put_sims(&world, 2);
	put_vm(&world, "one", "\"cpus\":12,\"numa\":\"one\"");
	put_vm(&world, "two", "\"cpus\":12,\"numa\":\"split\",\"numa_nodes\":2");
	put_vm(&world, "huge", "\"memory_bytes\":107374182400");
	put_vm(&world, "pages", "\"hugepages\":\"2M\"");
	put_vm(&world, "gpu", "\"extended\":[\"gpu=1\"]");
	put_vm(&world, "v3", "\"cpu_model\":\"x86-64-v3\"");
	world_settle(&world);
	assert_says(&world, "one", "2 lack room on their NUMA nodes");
	assert_host(&world, "two", "s1");
	g_assert_true(world_plan(&world, "two", &plan));
	g_assert_cmpuint(g_strv_length(plan.nodes), ==, 2);
	g_assert_cmpstr(plan.agent, ==, "h1");
	noun_clear(&plan_noun, &plan);
	assert_says(&world, "huge", "no host has 100G of memory free: the most is ");
	assert_says(&world, "huge", "1 lacks the engine sim, 2 lack memory; it would fit with at most ");
	assert_says(&world, "pages", "2 lack 2M huge pages");
	assert_says(&world, "gpu", "2 lack gpu=1");
	assert_says(&world, "v3", "2 lack the processor level x86-64-v3");
	world_clear(&world);
}

/* Simulated VMs take nothing of a real host, and go to simulated ones as soon as there are any. */
static void test_engines(void)
{
	struct world world;

	world_init(&world);
	world_put_host(&world, "h1", 2, 4 * GIB);
	put_vm(&world, "a", "\"memory_bytes\":4294967296");
	put_vm(&world, "b", "\"memory_bytes\":4294967296");
	world_settle(&world);
	assert_host(&world, "a", "h1");
	assert_host(&world, "b", "h1");
	put_sims(&world, 1);
	put_vm(&world, "c", "");
	world_put_vm(&world, (struct wish) { .name = "real", .memory = 4 * GIB });
	world_settle(&world);
	assert_host(&world, "c", "s1");
	assert_host(&world, "real", "h1");
	g_assert_cmpuint(planner_memory_placed(world.planner, "h1"), ==, 4 * GIB);
	world_clear(&world);
}

static void test_pools(void)
{
	struct world world;

	world_init(&world);
	put_sims(&world, 1);
	world_put_text(&world, "/pool/gold", g_strdup("{\"name\":\"gold\",\"limit\":[\"cpu=4\"],\"max_vms\":3}"));
	put_vm(&world, "a", "\"pool\":\"gold\",\"cpus\":3");
	put_vm(&world, "b", "\"pool\":\"gold\",\"cpus\":2");
	put_vm(&world, "c", "\"pool\":\"tin\"");
	world_settle(&world);
	assert_host(&world, "a", "s1");
	assert_host(&world, "b", "refused");
	assert_says(&world, "b", "pool gold has a limit of 4 vCPUs: 1 vCPU left, and the VM takes 2 vCPUs");
	assert_says(&world, "c", "there is no pool 'tin'");
	world_put_text(&world, "/pool/tin", g_strdup("{\"name\":\"tin\"}"));
	world_delete(&world, "/vm/a");
	world_settle(&world);
	world_settle(&world);
	assert_host(&world, "b", "s1");
	assert_host(&world, "c", "s1");
	/* What is reserved is kept from others. */
	world_put_text(&world, "/pool/kept", g_strdup("{\"name\":\"kept\",\"reserve\":[\"cpu=12\"]}"));
	put_vm(&world, "d", "\"cpus\":8,\"numa\":\"any\"");
	put_vm(&world, "e", "\"cpus\":8,\"pool\":\"kept\"");
	world_settle(&world);
	assert_says(&world, "d", "reserved");
	assert_host(&world, "e", "s1");
	world_clear(&world);
}

static void test_preemption(void)
{
	struct plan plan;
	struct world world;

	world_init(&world);
	put_sims(&world, 1);
	put_vm(&world, "low", "\"cpus\":8,\"priority\":100");
	put_vm(&world, "mid", "\"cpus\":8");
	world_settle(&world);
	put_vm(&world, "same", "\"cpus\":8,\"priority\":100");
	world_settle(&world);
	assert_host(&world, "same", "refused");
	put_vm(&world, "high", "\"cpus\":8,\"priority\":900");
	world_put_status(&world, "low", "low", VM_STATE_RUNNING, 1);
	world_settle(&world);
	assert_host(&world, "high", "none"); /* it waits for low to end */
	g_assert_true(world_plan(&world, "low", &plan));
	g_assert_cmpint(plan.desired, ==, VM_DESIRED_STOPPED);
	g_assert_true(plan.preempted);
	g_assert_nonnull(strstr(plan.reason, "stopped to make room for vm high"));
	noun_clear(&plan_noun, &plan);
	g_assert_cmpuint(world_settle(&world), ==, 0);
	world_put_status(&world, "low", "low", VM_STATE_STOPPED, 1);
	world_settle(&world);
	assert_host(&world, "high", "s1");
	assert_host(&world, "mid", "s1");
	g_assert_true(world_plan(&world, "low", &plan));
	g_assert_cmpint(plan.desired, ==, VM_DESIRED_STOPPED);
	noun_clear(&plan_noun, &plan);
	/* Room again: it starts again, as a new run. */
	world_delete(&world, "/vm/same");
	world_delete(&world, "/vm/high");
	world_settle(&world);
	world_settle(&world);
	g_assert_true(world_plan(&world, "low", &plan));
	g_assert_cmpint(plan.desired, ==, VM_DESIRED_RUNNING);
	g_assert_cmpuint(plan.run, ==, 2);
	g_assert_false(plan.preempted);
	noun_clear(&plan_noun, &plan);
	g_assert_cmpuint(world_settle(&world), ==, 0);
	world_clear(&world);
}

/* All are told, though none of the answers has landed when the next is made. */
static void test_gang_at_once(void)
{
	struct planner_write writes[4];
	struct world world;
	guint n = 0;

	world_init(&world);
	put_sims(&world, 2);
	for (guint i = 0; i < 3; i++) {
		g_autofree char *name = g_strdup_printf("x%u", i);

		put_vm(&world, name, "\"require\":[\"disk=ssd\"],\"gang\":\"x\",\"gang_size\":3");
	}
	while (n < G_N_ELEMENTS(writes) && planner_next(world.planner, &writes[n]))
		n++;
	g_assert_cmpuint(n, ==, 3);
	for (guint i = 0; i < n; i++) {
		world_apply(&world, &writes[i]);
		planner_write_clear(&writes[i]);
	}
	world_settle(&world);
	for (guint i = 0; i < 3; i++) {
		g_autofree char *name = g_strdup_printf("x%u", i);

		assert_host(&world, name, "refused");
		assert_says(&world, name, "only 0 of 3 VMs of gang x fit");
	}
	world_clear(&world);
}

static void test_gang(void)
{
	struct world world;

	world_init(&world);
	put_sims(&world, 2);
	for (guint i = 0; i < 3; i++) {
		g_autofree char *name = g_strdup_printf("g%u", i);

		put_vm(&world, name, "\"cpus\":8,\"gang\":\"g\",\"gang_size\":4");
		g_assert_cmpuint(world_settle(&world), ==, 0);
	}
	put_vm(&world, "g3", "\"cpus\":8,\"gang\":\"g\",\"gang_size\":4");
	g_assert_cmpuint(world_settle(&world), ==, 4);
	assert_host(&world, "g0", "s1");
	assert_host(&world, "g3", "s2");
	for (guint i = 0; i < 2; i++) {
		g_autofree char *name = g_strdup_printf("x%u", i);

		put_vm(&world, name, "\"gang\":\"x\",\"gang_size\":2");
		world_settle(&world);
	}
	assert_host(&world, "x0", "refused");
	assert_host(&world, "x1", "refused");
	assert_says(&world, "x0", "only 0 of 2 VMs of gang x fit");
	world_delete(&world, "/vm/g0");
	world_settle(&world);
	world_settle(&world);
	assert_host(&world, "x0", "s1");
	assert_host(&world, "x1", "s1");
	world_clear(&world);
}

static void test_strategy(void)
{
	struct plan plan;
	struct world world;

	world_init(&world);
	put_sims(&world, 3);
	put_vm(&world, "a", "\"cpus\":2,\"numa\":\"split\",\"numa_nodes\":2");
	world_settle(&world);
	assert_host(&world, "a", "s1");
	world_put_text(&world, "/strategy/allocation/all",
		       g_strdup("{\"family\":\"allocation\",\"scope\":\"all\",\"name\":\"worst-fit\"}"));
	put_vm(&world, "b", "");
	world_settle(&world);
	assert_host(&world, "b", "s2");
	assert_host(&world, "a", "s1");
	g_assert_true(world_plan(&world, "b", &plan));
	g_assert_cmpstr(plan.strategy, ==, "worst-fit");
	g_assert_cmpstr(plan.runner_up, ==, "s3");
	noun_clear(&plan_noun, &plan);
	g_test_expect_message(NULL, G_LOG_LEVEL_WARNING, "worst-fit stays at work: there is no allocation strategy*");
	world_put_text(&world, "/strategy/allocation/all",
		       g_strdup("{\"family\":\"allocation\",\"scope\":\"all\",\"name\":\"nosuch\"}"));
	g_test_assert_expected_messages();
	world_delete(&world, "/strategy/allocation/all");
	put_vm(&world, "c", "");
	world_settle(&world);
	assert_host(&world, "c", "s1");
	world_clear(&world);
}

static void test_questions(void)
{
	g_autoptr(JsonObject) explained = NULL, placed = NULL, capacity = NULL, host = NULL, drain = NULL;
	g_autoptr(GError) error = NULL;
	struct world world;
	struct vm vm;

	world_init(&world);
	put_sims(&world, 2);
	put_vm(&world, "a", "\"cpus\":8");
	world_settle(&world);
	noun_init(&vm_noun, &vm);
	g_free(vm.engine);
	vm.engine = g_strdup("sim");
	vm.cpus = 8;
	explained = questions_explain(world.planner, &vm, &error);
	g_assert_no_error(error);
	g_assert_cmpstr(json_object_get_string_member(explained, "host"), ==, "s1");
	g_assert_cmpstr(json_object_get_string_member(explained, "runner_up"), ==, "s2");
	g_assert_cmpint(json_object_get_int_member(explained, "feasible"), ==, 2);
	capacity = questions_capacity(world.planner, &vm, 1000, &error);
	g_assert_no_error(error);
	g_assert_cmpint(json_object_get_int_member(capacity, "more"), ==, 3);
	g_assert_cmpuint(json_array_get_length(json_object_get_array_member(capacity, "first_out")), >, 0);
	host = questions_host(world.planner, "s1", &error);
	g_assert_no_error(error);
	g_assert_cmpint(json_object_get_int_member(host, "vms"), ==, 1);
	drain = questions_drain(world.planner, "s1", &error);
	g_assert_no_error(error);
	g_assert_cmpuint(json_array_get_length(json_object_get_array_member(drain, "moves")), ==, 1);
	g_free(vm.name);
	vm.name = g_strdup("a");
	placed = questions_explain_placed(world.planner, &vm, NULL, &error);
	g_assert_no_error(error);
	g_assert_cmpstr(json_object_get_string_member(placed, "host"), ==, "s1");
	g_assert_null(questions_host(world.planner, "nosuch", NULL));
	g_free(vm.pool);
	vm.pool = g_strdup("nosuch");
	g_assert_null(questions_explain(world.planner, &vm, NULL));
	noun_clear(&vm_noun, &vm);
	/* Asking changed nothing. */
	g_assert_cmpuint(world_settle(&world), ==, 0);
	world_clear(&world);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/constraints/affinity", test_affinity);
	g_test_add_func("/constraints/labels", test_labels);
	g_test_add_func("/constraints/shapes", test_shapes);
	g_test_add_func("/constraints/engines", test_engines);
	g_test_add_func("/constraints/pools", test_pools);
	g_test_add_func("/constraints/preemption", test_preemption);
	g_test_add_func("/constraints/gang", test_gang);
	g_test_add_func("/constraints/gang-at-once", test_gang_at_once);
	g_test_add_func("/constraints/strategy", test_strategy);
	g_test_add_func("/constraints/questions", test_questions);
	return g_test_run();
}
