/* An exact index decides what the scan decides, always. POLDER_TEST_LONG=1 compares millions of times. */
#include <glib.h>
#include <string.h>

#include "core/allocation/index/cells.h"
#include "core/allocation/index/tree.h"
#include "strategy_walk.h"
#include "world_model.h"

/* Steps grow with amounts, and a step's value is the least amount in it. */
static void test_steps(void)
{
	for (enum allocation_dimension d = 0; d < ALLOCATION_NODE_DIMENSIONS; d++) {
		for (guint step = 0; step < 256; step++) {
			guint32 value = allocation_cells_value(d, (guint8)step);

			g_assert_cmpuint(allocation_cells_step(d, value), ==, step);
			if (step == 0)
				g_assert_cmpuint(value, ==, 0);
			else
				g_assert_cmpuint(allocation_cells_step(d, value - 1), ==, step - 1);
		}
		g_assert_cmpuint(allocation_cells_step(d, G_MAXUINT32), <=, 255);
	}
}

static void compare(const struct walk_options *base, guint64 wanted)
{
	struct walk_options options = *base;
	struct walk_result total = { 0 };

	if (walk_is_long())
		wanted *= 25;
	while (total.compared < wanted) {
		walk_run(&options, &total);
		options.seed++;
	}
	g_test_message("%" G_GUINT64_FORMAT " decisions the same, %" G_GUINT64_FORMAT
		       " of them placed, %" G_GUINT64_FORMAT " with a penalty",
		       total.compared, total.placed, total.penalized);
	g_assert_cmpuint(total.placed, >, total.compared / 20);
}

static void test_small(void)
{
	compare(&(struct walk_options) { .seed = walk_seed(31001), .hosts = 6, .steps = 500, .exact_only = TRUE },
		100000);
}

static void test_middle(void)
{
	compare(&(struct walk_options) { .seed = walk_seed(32001), .hosts = 40, .steps = 1000, .exact_only = TRUE },
		80000);
}

/* Large enough for zones to have tries of their own. */
static void test_zones(void)
{
	compare(
		&(struct walk_options) {
			.seed = walk_seed(33001), .hosts = 300, .steps = 1500, .zones = 3, .exact_only = TRUE },
		20000);
}

/* The tree leaves out no host that takes the request, whatever has changed. */
static void test_tree(void)
{
	struct allocation_world *world = allocation_world_new();
	struct allocation_tree *tree = allocation_tree_new(world);
	struct strategy_random random;

	strategy_random_init(&random, walk_seed(34001));
	for (guint step = 0; step < 3000; step++) {
		struct allocation_host host = model_random_host(&random);
		struct allocation_request request = model_random_request(&random);
		guint32 class_id = allocation_world_class(world, &request);
		guint32 changed = (guint32)strategy_random_below(&random, 600);
		struct allocation_fit fits[ALLOCATION_NODES_MAX];

		if (changed >= allocation_world_n_hosts(world) || !allocation_world_hosts(world)[changed].present)
			changed = allocation_world_host_add(world, &host);
		else
			allocation_world_host_change(world, changed, &host);
		g_assert_true(allocation_tree_touch(tree, world, changed));
		for (guint32 number = 0; number < allocation_world_n_hosts(world); number++) {
			if (!allocation_world_fits(world, &request, number, fits))
				continue;
			g_assert_cmpuint(allocation_tree_next(tree, world, &request, number), ==, number);
		}
		allocation_world_class_unref(world, class_id);
	}
	allocation_tree_free(tree);
	allocation_world_free(world);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/core/index/steps", test_steps);
	g_test_add_func("/core/index/tree", test_tree);
	g_test_add_func("/core/index/small", test_small);
	g_test_add_func("/core/index/middle", test_middle);
	g_test_add_func("/core/index/zones", test_zones);
	return g_test_run();
}
