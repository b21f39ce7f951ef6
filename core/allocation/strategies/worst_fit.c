/* worst-fit: The NUMA node with the most left free.
 *
 * Idea: spread the load: what is left everywhere stays large, and each VM meets the fewest neighbours. Measured as
 * best-fit measures. What is free is seen in steps of a sixteenth; nodes within a step are alike, and the lowest
 * number takes the VM.
 *
 * Source: D. S. Johnson, "Near-optimal bin packing algorithms", PhD thesis, MIT, 1973.
 *
 * Complexity: a branch-and-bound over cells of like nodes, about the logarithm of the number of cells where the
 * request fits somewhere near its best cell; one cell left and one entered a change.
 *
 * Loses: on density: it opens every host before it fills one, so an elastic fleet never shrinks and a large VM finds
 * no gap.
 */
#include "core/allocation/strategies/cells_strategy.h"
#include "core/allocation/strategies/strategies.h"

static double cost(const double *terms, const double *low)
{
	return -(low[0] + low[1] + low[2] + low[3]);
}

static double bound(const double *terms, const double *low, const double *high)
{
	return cost(terms, high);
}

static const struct allocation_cells_rule rule = { .cost = cost, .bound = bound };

static const struct strategy_parameter parameters[] = { CELLS_STRATEGY_PARAMETER };

static void *new_state(const struct allocation_world *world, const struct strategy_values *values, uint64_t seed)
{
	return allocation_cells_new(world, &rule, values->value[0]);
}

const struct allocation_strategy strategy_worst_fit = {
	.info = { .name = "worst-fit",
		  .summary = "The NUMA node with the most left free.",
		  .kind = STRATEGY_ONLINE,
		  .index = STRATEGY_INDEX_EXACT,
		  .parameters = parameters,
		  .n_parameters = 1 },
	.new = new_state,
	.free = cells_strategy_free,
	.update = cells_strategy_update,
	.decide = cells_strategy_decide,
	.cost = cells_strategy_cost,
};
