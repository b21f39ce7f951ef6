/* The contract of core/allocation/family.h, for every strategy that is listed. */
#include <glib.h>
#include <string.h>

#include "strategy_walk.h"

static void test_declared(void)
{
	size_t bad = 0;
	const char *wrong = strategy_registry_check(&allocation_registry, &bad);

	if (wrong)
		g_error("%s: %s", allocation_strategies[bad]->info.name, wrong);
	for (size_t i = 0; i < allocation_n_strategies; i++) {
		const struct allocation_strategy *strategy = allocation_strategies[i];

		g_assert_cmpstr(allocation_strategy_check(strategy), ==, NULL);
		g_assert_true(allocation_strategy_find(strategy->info.name) == strategy);
		g_assert_true(&strategy->info == allocation_registry.entries[i]);
		if (i > 0)
			g_assert_cmpint(strategy->info.kind, >=, allocation_strategies[i - 1]->info.kind);
	}
	g_assert_null(allocation_strategy_find("nosuch"));
	g_assert_nonnull(
		allocation_strategy_check(&(struct allocation_strategy) { .info = allocation_strategies[0]->info }));
}

/* No constraint is ever violated, the least penalty is found, asking twice changes nothing, what claims to be exact agrees with
 * the scan, and state made anew decides what the updated one decides. */
static void test_walks(void)
{
	guint64 seed = walk_seed(20261);
	guint walks = walk_is_long() ? 400 : 12;
	struct walk_result total = { 0 };

	for (guint i = 0; i < walks; i++)
		walk_run(
			&(struct walk_options) {
				.seed = seed + i, .hosts = 2 + 3 * (i % 12), .steps = 300, .rebuild = 20 },
			&total);
	g_test_message("%" G_GUINT64_FORMAT " decisions, %" G_GUINT64_FORMAT " placed, %" G_GUINT64_FORMAT
		       " with a penalty; %" G_GUINT64_FORMAT " the same by state made anew",
		       total.compared, total.placed, total.penalized, total.rebuilt);
	g_assert_cmpuint(total.placed, >, total.compared / 20);
	g_assert_cmpuint(total.penalized, >, 0);
}

static void test_deterministic(void)
{
	struct walk_options options = { .seed = walk_seed(20262), .hosts = 20, .steps = 400 };
	struct walk_result one = { 0 }, other = { 0 };

	walk_run(&options, &one);
	walk_run(&options, &other);
	g_assert_cmpuint(one.digest, ==, other.digest);
	g_assert_cmpuint(one.compared, ==, other.compared);
}

/* Draws depend on the seed, and reach every host. */
static void test_chance(void)
{
	const struct allocation_strategy *strategy = allocation_strategy_find("random");
	struct allocation_world *world = allocation_world_new();
	struct allocation_host host = { .n_nodes = 1, .node_capacity = { { 64000, 65536 } }, .powered = true };
	struct allocation_request request;
	guint hits[32] = { 0 };

	for (guint i = 0; i < 32; i++)
		allocation_world_host_add(world, &host);
	memset(&request, 0, sizeof(request));
	request.amount[ALLOCATION_CPU] = 1000;
	guint32 class_id = allocation_world_class(world, &request);
	for (guint seed = 0; seed < 3200; seed++) {
		void *state = strategy->new (world, NULL, seed);
		struct allocation_decision decision;

		strategy->decide(state, world, class_id, 0, &decision);
		hits[decision.fit.host]++;
		strategy->free(state);
	}
	for (guint i = 0; i < 32; i++) { /* 100 expected, standard deviation 10 */
		g_assert_cmpuint(hits[i], >, 50);
		g_assert_cmpuint(hits[i], <, 150);
	}
	allocation_world_free(world);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/core/strategies/declared", test_declared);
	g_test_add_func("/core/strategies/walks", test_walks);
	g_test_add_func("/core/strategies/deterministic", test_deterministic);
	g_test_add_func("/core/strategies/chance", test_chance);
	return g_test_run();
}
