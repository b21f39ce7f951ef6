/* Packing against brute force on tiny instances, and what must hold on any: every packing is valid, bounds are bounds, a
 * budget never hurts, the same seed and count give the same packing. */
#include <glib.h>
#include <string.h>

#include "core/allocation/family.h"
#include "core/allocation/pack.h"
#include "core/allocation/pack/tree.h"
#include "core/allocation/strategies/strategies.h"
#include "core/strategy/random.h"

#define ITEMS_MAX 4000

static const struct allocation_strategy *const strategies[] = { &strategy_ffd, &strategy_bfd, &strategy_wfd,
								&strategy_bcs, &strategy_guided_ejection };

struct instance {
	struct pack_problem problem;
	gint32 size[ITEMS_MAX * 4], capacity[64 * 4];
	guint32 bin[ITEMS_MAX];
};

static guint64 test_seed(void)
{
	const char *text = g_getenv("POLDER_TEST_SEED");
	guint64 seed = text ? g_ascii_strtoull(text, NULL, 10) : 20260703;

	g_test_message("POLDER_TEST_SEED=%" G_GUINT64_FORMAT, seed);
	return seed;
}

static guint32 draw(struct strategy_random *random, guint32 from, guint32 to)
{
	return from + (guint32)strategy_random_below(random, to - from + 1);
}

/* n_bins 0: identical ones. */
static void instance_draw(struct instance *instance, struct strategy_random *random, guint32 n, guint32 n_bins,
			  gboolean negative)
{
	guint32 dimensions = draw(random, 1, 4), most = draw(random, 3, 60);

	instance->problem = (struct pack_problem) { .dimensions = dimensions, .n_items = n, .n_bins = n_bins };
	instance->problem.size = instance->size;
	instance->problem.capacity = instance->capacity;
	for (guint32 i = 0; i < (n_bins ? n_bins : 1) * dimensions; i++)
		instance->capacity[i] = (gint32)draw(random, most / 2, most);
	for (guint32 i = 0; i < n * dimensions; i++)
		instance->size[i] =
			(gint32)draw(random, 0, most * 2 / 3) - (negative && draw(random, 0, 9) == 0 ? 5 : 0);
}

static struct pack_solution solve(const struct allocation_strategy *strategy, struct instance *instance, guint64 seed,
				  struct pack_budget *budget)
{
	struct pack_solution solution = { .bin = instance->bin };
	struct strategy_values values;

	strategy_values_init(&strategy->info, &values);
	g_assert_true(strategy->pack->pack(&instance->problem, &values, seed, budget, &solution));
	g_assert_cmpstr(pack_check(&instance->problem, &solution), ==, NULL);
	return solution;
}

static gboolean fits_alone(const struct pack_problem *problem, guint32 item)
{
	for (guint32 d = 0; d < problem->dimensions; d++)
		if (problem->size[item * problem->dimensions + d] > problem->capacity[d])
			return FALSE;
	return TRUE;
}

static gboolean loads_fit(const struct pack_problem *problem, const guint32 *bin, guint32 bins)
{
	for (guint32 b = 0; b < bins; b++) {
		for (guint32 d = 0; d < problem->dimensions; d++) {
			gint64 load = 0;

			for (guint32 i = 0; i < problem->n_items; i++)
				load += bin[i] == b ? problem->size[i * problem->dimensions + d] : 0;
			if (load > problem->capacity[d])
				return FALSE;
		}
	}
	return TRUE;
}

/* The least number of bins over all partitions of the items that fit one. */
static guint32 brute_force(const struct pack_problem *problem, guint32 item, guint32 *bin, guint32 opened, guint32 best)
{
	if (opened >= best)
		return best;
	if (item == problem->n_items)
		return loads_fit(problem, bin, opened) ? opened : best;
	if (!fits_alone(problem, item)) {
		bin[item] = PACK_UNPLACED;
		return brute_force(problem, item + 1, bin, opened, best);
	}
	for (guint32 b = 0; b <= opened; b++) {
		bin[item] = b;
		best = brute_force(problem, item + 1, bin, MAX(opened, b + 1), best);
	}
	return best;
}

static void test_brute_force(void)
{
	struct instance *instance = g_new(struct instance, 1);
	struct strategy_random random;
	guint optimal = 0, rounds = 600;

	strategy_random_init(&random, test_seed());
	for (guint round = 0; round < rounds; round++) {
		gboolean negative = round % 4 == 3;
		guint32 bin[8], n = draw(&random, 0, 7), least;
		guint64 bound;

		instance_draw(instance, &random, n, 0, negative);
		least = brute_force(&instance->problem, 0, bin, 0, G_MAXUINT32);
		g_assert_true(pack_bound_dual_feasible(&instance->problem, &bound));
		g_assert_cmpuint(pack_bound_continuous(&instance->problem), <=, bound);
		g_assert_cmpuint(bound, <=, least);
		for (guint s = 0; s < G_N_ELEMENTS(strategies); s++) {
			struct pack_budget budget = { .steps = 2000 };
			struct pack_solution solution = solve(strategies[s], instance, round, &budget);

			g_assert_cmpuint(solution.n_bins, >=, least);
			g_assert_cmpuint(budget.used, <=, budget.steps);
			if (strategies[s] == &strategy_guided_ejection)
				optimal += solution.n_bins == least;
		}
	}
	g_test_message("guided-ejection: optimal on %u of %u", optimal, rounds);
	g_assert_cmpuint(optimal, >=, rounds * 99 / 100);
	g_free(instance);
}

static void test_given_bins(void)
{
	struct instance *instance = g_new(struct instance, 1);
	struct strategy_random random;

	strategy_random_init(&random, test_seed());
	for (guint round = 0; round < 300; round++) {
		struct pack_solution start, solution;

		instance_draw(instance, &random, draw(&random, 0, 60), draw(&random, 1, 20), round % 4 == 3);
		for (guint s = 0; s < G_N_ELEMENTS(strategies); s++) {
			struct pack_budget none = { 0 }, some = { .steps = 500 };

			start = solve(strategies[s], instance, round, &none);
			solution = solve(strategies[s], instance, round, &some);
			g_assert_cmpuint(none.used, ==, 0);
			g_assert_cmpuint(solution.n_unplaced, <=, start.n_unplaced);
			if (solution.n_unplaced == start.n_unplaced)
				g_assert_cmpuint(solution.n_bins, <=, start.n_bins);
		}
	}
	g_free(instance);
}

/* Two bins that are filled to the last unit by exactly one partition, and items that fit only the larger one. */
static void test_given_bins_full(void)
{
	gint32 size[] = { 9, 5, 4, 6, 3 }, capacity[] = { 12, 15 };
	guint32 bin[5];
	struct pack_problem problem = {
		.dimensions = 1, .n_items = 5, .size = size, .n_bins = 2, .capacity = capacity
	};
	struct pack_solution solution = { .bin = bin };
	struct pack_budget budget = { .steps = 10000 };
	struct strategy_values values;

	strategy_values_init(&strategy_guided_ejection.info, &values);
	g_assert_true(strategy_guided_ejection.pack->pack(&problem, &values, 1, &budget, &solution));
	g_assert_cmpstr(pack_check(&problem, &solution), ==, NULL);
	g_assert_cmpuint(solution.n_unplaced, ==, 0);
}

static bool stop_after(void *data)
{
	guint *left = data;

	return (*left)-- <= 1;
}

/* A stop at any moment gives a result that its count of steps gives again. */
static void test_reproducible(void)
{
	struct instance *instance = g_new(struct instance, 1);
	guint32 *first = g_new(guint32, ITEMS_MAX);
	struct strategy_random random;

	strategy_random_init(&random, test_seed());
	for (guint round = 0; round < 60; round++) {
		guint looks = draw(&random, 1, 40), left = looks;
		struct pack_budget stopped = { .steps = G_MAXUINT64, .stop = stop_after, .data = &left },
				   counted = { 0 };
		struct pack_solution a, b;

		instance_draw(instance, &random, draw(&random, 30, 150), 0, FALSE);
		/* Every other one without slack: pairs that fill a bin. */
		for (guint32 i = 0; round % 2 && i < instance->problem.n_items; i += 2)
			for (guint32 d = 0; d < instance->problem.dimensions; d++) {
				gint32 *size = instance->size + i * instance->problem.dimensions + d;

				*size = MIN(*size, instance->capacity[d]);
				size[instance->problem.dimensions] = instance->capacity[d] - *size;
			}
		instance->problem.n_items &= ~1u;
		a = solve(&strategy_guided_ejection, instance, round, &stopped);
		memcpy(first, instance->bin, sizeof(guint32) * instance->problem.n_items);
		counted.steps = stopped.used;
		b = solve(&strategy_guided_ejection, instance, round, &counted);
		g_assert_cmpuint(a.n_bins, ==, b.n_bins);
		g_assert_cmpmem(first, sizeof(guint32) * instance->problem.n_items, instance->bin,
				sizeof(guint32) * instance->problem.n_items);
		g_assert_cmpuint(counted.used, ==, stopped.used);
	}
	g_free(first);
	g_free(instance);
}

/* Triples cut from full bins: found again, each bin full. */
static void test_no_slack(void)
{
	struct instance *instance = g_new(struct instance, 1);
	struct strategy_random random;

	strategy_random_init(&random, test_seed());
	instance->problem = (struct pack_problem) {
		.dimensions = 3, .n_items = 120, .size = instance->size, .capacity = instance->capacity
	};
	for (guint32 d = 0; d < 3; d++)
		instance->capacity[d] = 100;
	for (guint32 d = 0; d < 3; d++) {
		for (guint32 bin = 0; bin < 40; bin++) {
			gint32 a = (gint32)draw(&random, 20, 45), b = (gint32)draw(&random, 20, 45);

			instance->size[(bin + 0) * 3 + d] = a;
			instance->size[(bin + 40) * 3 + d] = b;
			instance->size[(bin + 80) * 3 + d] = 100 - a - b;
		}
	}
	for (guint64 seed = 0; seed < 5; seed++) {
		struct pack_budget budget = { .steps = 200000 };

		g_assert_cmpuint(solve(&strategy_guided_ejection, instance, seed, &budget).n_bins, ==, 40);
	}
	g_free(instance);
}

static void test_check(void)
{
	gint32 size[] = { 3, 3, 3, 11 }, capacity[] = { 6 };
	guint32 bin[] = { 0, 0, 1, PACK_UNPLACED };
	struct pack_problem problem = { .dimensions = 1, .n_items = 4, .size = size, .capacity = capacity };
	struct pack_solution solution = { .bin = bin, .n_bins = 2, .n_unplaced = 1 };

	g_assert_cmpstr(pack_check(&problem, &solution), ==, NULL);
	solution.n_bins = 3;
	g_assert_cmpstr(pack_check(&problem, &solution), ==, "the number of bins used is wrong");
	solution.n_bins = 2;
	solution.n_unplaced = 0;
	g_assert_cmpstr(pack_check(&problem, &solution), ==, "the number of items left out is wrong");
	solution.n_unplaced = 1;
	bin[2] = 0;
	g_assert_cmpstr(pack_check(&problem, &solution), ==, "a bin holds more than its capacity");
	bin[2] = 2;
	g_assert_cmpstr(pack_check(&problem, &solution), ==, "an item is in a bin that is not there");
	bin[2] = PACK_UNPLACED;
	g_assert_cmpstr(pack_check(&problem, &solution), ==, "an item is left out that fits an empty bin");
}

static void test_bounds(void)
{
	/* Continuous 3; no two of the six fit together. */
	gint32 halves[] = { 51, 51, 51, 51, 51, 51 }, capacity[] = { 100, 100 };
	/* Each dimension asks for 3 bins; any two conflict in one of them. */
	gint32 crossed[] = { 60, 50, 50, 60, 60, 55, 45, 51 };
	struct pack_problem problem = { .dimensions = 1, .n_items = 6, .size = halves, .capacity = capacity };
	guint64 bound;

	g_assert_cmpuint(pack_bound_continuous(&problem), ==, 4);
	g_assert_true(pack_bound_dual_feasible(&problem, &bound));
	g_assert_cmpuint(bound, ==, 6);
	problem = (struct pack_problem) { .dimensions = 2, .n_items = 4, .size = crossed, .capacity = capacity };
	g_assert_cmpuint(pack_bound_continuous(&problem), ==, 3);
	g_assert_true(pack_bound_dual_feasible(&problem, &bound));
	g_assert_cmpuint(bound, ==, 4);
}

static void test_tree(void)
{
	struct instance *instance = g_new(struct instance, 1);
	struct strategy_random random;

	strategy_random_init(&random, test_seed());
	for (guint round = 0; round < 50; round++) {
		guint32 bins = draw(&random, 1, 64), opened = 0;
		gint64 room[64][4];
		struct pack_tree tree;

		instance_draw(instance, &random, 300, bins, FALSE);
		g_assert_true(pack_tree_init(&tree, bins, instance->problem.dimensions));
		for (guint32 i = 0; i < 300; i++) {
			const gint32 *size = instance->size + i * tree.dimensions;
			guint32 b = 0, found = pack_tree_first(&tree, size);

			for (; b < opened; b++) {
				guint32 d = 0;

				while (d < tree.dimensions && size[d] <= room[b][d])
					d++;
				if (d == tree.dimensions)
					break;
			}
			g_assert_cmpuint(found, ==, b < opened ? b : G_MAXUINT32);
			for (guint32 d = 0; b < opened && d < tree.dimensions; d++)
				room[b][d] -= size[d];
			if (b < opened) {
				pack_tree_take(&tree, b, size);
			} else if (opened < bins) {
				for (guint32 d = 0; d < tree.dimensions; d++)
					room[opened][d] = instance->capacity[opened * tree.dimensions + d];
				pack_tree_open(&tree, opened, instance->capacity + opened * tree.dimensions);
				opened++;
			}
		}
		pack_tree_clear(&tree);
	}
	g_free(instance);
}

/* Many items take the tree; amounts at their limits must not overflow. */
static void test_large(void)
{
	struct instance *instance = g_new(struct instance, 1);
	struct strategy_random random;
	guint64 bound;

	strategy_random_init(&random, test_seed());
	instance->problem = (struct pack_problem) {
		.dimensions = 4, .n_items = ITEMS_MAX, .size = instance->size, .capacity = instance->capacity
	};
	for (guint32 d = 0; d < 4; d++)
		instance->capacity[d] = PACK_AMOUNT_MAX;
	for (guint32 i = 0; i < ITEMS_MAX * 4; i++)
		instance->size[i] = (gint32)draw(&random, 0, (guint32)PACK_AMOUNT_MAX);
	for (guint32 i = 0; i < 40; i++)
		instance->size[i * 40] = -PACK_AMOUNT_MAX;
	g_assert_true(pack_bound_dual_feasible(&instance->problem, &bound));
	for (guint s = 0; s < G_N_ELEMENTS(strategies); s++) {
		struct pack_budget budget = { .steps = 50 };

		g_assert_cmpuint(solve(strategies[s], instance, 1, &budget).n_bins, >=, bound);
	}
	g_free(instance);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/pack/brute-force", test_brute_force);
	g_test_add_func("/pack/given-bins", test_given_bins);
	g_test_add_func("/pack/given-bins-full", test_given_bins_full);
	g_test_add_func("/pack/reproducible", test_reproducible);
	g_test_add_func("/pack/no-slack", test_no_slack);
	g_test_add_func("/pack/check", test_check);
	g_test_add_func("/pack/bounds", test_bounds);
	g_test_add_func("/pack/tree", test_tree);
	g_test_add_func("/pack/large", test_large);
	return g_test_run();
}
