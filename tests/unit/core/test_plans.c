/* Plans for live worlds: on random worlds with labels, groups, spreads and exclusive hosts, every move has room and breaks
 * nothing when its turn comes, and the world a plan is made for stays as it is. */
#include <glib.h>
#include <string.h>

#include "core/allocation/family.h"
#include "core/allocation/rebalance.h"

static guint32 seed;

static void add_hosts(struct allocation_world *world, GRand *random, guint n)
{
	for (guint i = 0; i < n; i++) {
		struct allocation_host host = { .n_nodes = g_rand_int_range(random, 1, 3),
						.powered = TRUE,
						.engines = 1,
						.cpu_overcommit_percent = 100,
						.threads_per_core = 2 };

		for (guint k = 0; k < host.n_nodes; k++) {
			host.node_capacity[k][ALLOCATION_CPU] = 16000;
			host.node_capacity[k][ALLOCATION_MEMORY] = g_rand_int_range(random, 1, 3) * 32768;
		}
		host.capacity[0] = 1000;
		host.rack = 1 + i / 4;
		host.zone = 1 + i / 8;
		host.labels = g_rand_int_range(random, 0, 4);
		host.cordoned = g_rand_int_range(random, 0, 12) == 0;
		host.powered = g_rand_int_range(random, 0, 12) != 0;
		g_assert_cmpuint(allocation_world_host_add(world, &host), !=, ALLOCATION_NONE);
	}
}

static struct allocation_request draw_request(GRand *random)
{
	struct allocation_request request;

	memset(&request, 0, sizeof request);
	request.amount[ALLOCATION_CPU] = g_rand_int_range(random, 1, 9) * 500;
	request.amount[ALLOCATION_MEMORY] = g_rand_int_range(random, 1, 9) * 1024;
	request.amount[ALLOCATION_DISK] = g_rand_int_range(random, 0, 3) * 10;
	request.tenant = g_rand_int_range(random, 1, 4);
	request.numa = g_rand_int_range(random, 0, 3);
	request.numa_nodes = request.numa == ALLOCATION_NUMA_SPLIT ? g_rand_int_range(random, 1, 3) : 0;
	request.labels_required = g_rand_int_range(random, 0, 5) == 0;
	request.exclusive_host = g_rand_int_range(random, 0, 25) == 0;
	if (g_rand_boolean(random)) {
		request.member_of[0] = g_rand_int_range(random, 1, 6);
		if (g_rand_boolean(random)) {
			request.term[0].group = g_rand_int_range(random, 1, 6);
			request.term[0].level = g_rand_int_range(random, 0, 2);
			request.term[0].anti = g_rand_int_range(random, 0, 4) != 0;
			request.term[0].soft_weight = g_rand_boolean(random) ? g_rand_int_range(random, 1, 9) : 0;
		}
		if (g_rand_int_range(random, 0, 3) == 0) {
			request.spread[0].group = request.member_of[0];
			request.spread[0].level = g_rand_int_range(random, 0, 3);
			request.spread[0].max_skew = g_rand_int_range(random, 1, 4);
			request.spread[0].soft_weight = g_rand_boolean(random) ? 5 : 0;
		}
	}
	return request;
}

/* VMs where they fit, anywhere: uneven on purpose. */
static void add_vms(struct allocation_world *world, GRand *random, guint n)
{
	for (guint i = 0; i < n; i++) {
		struct allocation_request request = draw_request(random);
		guint32 class_id = allocation_world_class(world, &request);
		guint32 n_hosts = allocation_world_n_hosts(world);
		guint32 first = g_rand_int_range(random, 0, (gint32)n_hosts) / (1 + g_rand_int_range(random, 0, 3));

		for (guint32 k = 0; k < n_hosts; k++) {
			struct allocation_fit fits[ALLOCATION_NODES_MAX];
			unsigned n_fits = allocation_world_fits(world, &request, (first + k) % n_hosts, fits);

			if (!n_fits)
				continue;
			g_assert_cmpuint(allocation_world_place(world, class_id, &fits[i % n_fits], i), !=,
					 ALLOCATION_NONE);
			break;
		}
		allocation_world_class_unref(world, class_id);
	}
}

static struct allocation_world *draw_world(GRand *random)
{
	struct allocation_world *world = allocation_world_new();

	add_hosts(world, random, g_rand_int_range(random, 3, 24));
	add_vms(world, random, g_rand_int_range(random, 0, 120));
	g_assert_cmpstr(allocation_world_verify(world), ==, NULL);
	return world;
}

static guint64 picture(const struct allocation_world *world)
{
	guint64 sum = 0;

	for (guint32 vm = 0; vm < allocation_world_n_placements(world); vm++) {
		const struct allocation_placement *placement = allocation_world_placement(world, vm);

		if (placement->class_id != ALLOCATION_NONE)
			sum = sum * 1000003 + placement->host * 8u + placement->nodes + placement->class_id * 31u;
	}
	return sum;
}

static void check_plan(const struct allocation_world *world, const struct allocation_strategy *strategy, GRand *random)
{
	struct rebalance_limits limits = { .max_moves = g_rand_boolean(random) ? g_rand_int_range(random, 1, 20) : 0,
					   .max_hosts = g_rand_boolean(random) ? g_rand_int_range(random, 1, 5) : 0 };
	struct rebalance_plan plan, again;
	guint64 before = picture(world);

	g_assert_true(allocation_rebalance_plan(world, strategy, NULL, 3, &limits, &plan));
	g_assert_true(allocation_rebalance_plan(world, strategy, NULL, 3, &limits, &again));
	g_assert_cmpuint(picture(world), ==, before);
	g_assert_cmpstr(allocation_plan_check(world, &plan), ==, NULL);
	g_assert_cmpuint(plan.n_steps, ==, again.n_steps);
	if (limits.max_moves)
		g_assert_cmpuint(plan.n_steps, <=, limits.max_moves);
	if (g_str_equal(strategy->info.name, "consolidation")) {
		g_assert_cmpuint(plan.hosts_used_after + plan.hosts_emptied, ==, plan.hosts_used_before);
		if (limits.max_hosts)
			g_assert_cmpuint(plan.hosts_emptied, <=, limits.max_hosts);
		g_assert_cmpint(plan.n_steps > 0, ==, plan.hosts_emptied > 0);
	}
	if (g_str_equal(strategy->info.name, "greedy-descent"))
		g_assert_true(!plan.n_steps || plan.imbalance_after < plan.imbalance_before + 1e-9);
	if (g_str_equal(strategy->info.name, "mmt"))
		g_assert_cmpuint(plan.overloaded_after, <=, plan.overloaded_before);
	rebalance_plan_clear(&again);
	rebalance_plan_clear(&plan);
}

static void test_plans(void)
{
	GRand *random = g_rand_new_with_seed(seed);

	for (guint i = 0; i < (g_getenv("POLDER_TEST_LONG") ? 3000 : 150); i++) {
		struct allocation_world *world = draw_world(random);

		for (gsize s = 0; s < allocation_n_strategies; s++)
			if (allocation_strategies[s]->rebalance && allocation_strategies[s]->rebalance->plan)
				check_plan(world, allocation_strategies[s], random);
		allocation_world_free(world);
	}
	g_rand_free(random);
}

static void test_drain(void)
{
	GRand *random = g_rand_new_with_seed(seed + 1);
	guint moved = 0, stuck = 0;

	for (guint i = 0; i < 150; i++) {
		struct allocation_world *world = draw_world(random);
		guint32 host = g_rand_int_range(random, 0, (gint32)allocation_world_n_hosts(world));
		struct rebalance_drain drain;

		g_assert_true(allocation_drain_plan(world, host, &drain));
		g_assert_cmpstr(allocation_plan_check(world, &drain.plan), ==, NULL);
		g_assert_cmpuint(drain.plan.n_steps + drain.n_stuck, ==, allocation_world_hosts(world)[host].n_vms);
		for (guint32 k = 0; k < drain.n_stuck; k++)
			g_assert_cmpint(drain.stuck[k].most, <, ALLOCATION_CONSTRAINTS);
		moved += drain.plan.n_steps;
		stuck += drain.n_stuck;
		rebalance_drain_clear(&drain);
		allocation_world_free(world);
	}
	g_assert_cmpuint(moved, >, 0);
	g_assert_cmpuint(stuck, >, 0);
	g_rand_free(random);
}

static void test_consolidator(void)
{
	GRand *random = g_rand_new_with_seed(seed + 2);
	guint emptied = 0;

	for (guint i = 0; i < 150; i++) {
		struct allocation_world *world = draw_world(random);
		struct rebalance_consolidator *consolidator = rebalance_consolidator_new(world);
		guint64 before = picture(world);

		for (guint32 host = 0; host < allocation_world_n_hosts(world); host++) {
			guint32 n = allocation_world_hosts(world)[host].n_vms;
			g_autofree struct rebalance_step *steps = g_new0(struct rebalance_step, n + 1);
			struct rebalance_plan plan = { .steps = steps };

			rebalance_consolidator_empty(consolidator, host, n, steps, &plan.n_steps);
			g_assert_true(plan.n_steps == 0 || plan.n_steps == n);
			g_assert_cmpuint(picture(world), ==, before);
			g_assert_cmpstr(allocation_plan_check(world, &plan), ==, NULL);
			emptied += plan.n_steps > 0;
		}
		g_assert_cmpstr(allocation_world_verify(world), ==, NULL);
		rebalance_consolidator_free(consolidator);
		allocation_world_free(world);
	}
	g_assert_cmpuint(emptied, >, 0);
	g_rand_free(random);
}

int main(int argc, char **argv)
{
	const char *given = g_getenv("POLDER_TEST_SEED");

	g_test_init(&argc, &argv, NULL);
	seed = given ? (guint32)g_ascii_strtoull(given, NULL, 10) : g_random_int();
	g_test_message("POLDER_TEST_SEED=%u", seed);
	g_test_add_func("/core/plans/all", test_plans);
	g_test_add_func("/core/plans/drain", test_drain);
	g_test_add_func("/core/plans/consolidator", test_consolidator);
	return g_test_run();
}
