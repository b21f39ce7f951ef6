/* dot-product: The NUMA node whose free amounts have the largest dot product with what is asked.
 *
 * Idea: place a VM where what it needs most is what there is most of, so that all dimensions run out together. Amounts
 * are in vCPUs and in units of memory-per-cpu-mib. What is free is seen in steps of a sixteenth; nodes within a step
 * are alike, and the lowest number takes the VM.
 *
 * Source: R. Grandl et al., "Multi-resource packing for cluster schedulers" (Tetris), SIGCOMM 2014; R. Panigrahy et
 * al., "Heuristics for Vector Bin Packing", Microsoft Research, 2011.
 *
 * Complexity: a branch-and-bound over cells of like nodes, about the logarithm of the number of cells where the
 * request fits somewhere near its best cell; one cell left and one entered a change.
 *
 * Loses: on density with few VM shapes: it prefers empty hosts, as worst-fit does. In Tetris packing efficiency is one
 * of two terms for this reason.
 */
#include "core/allocation/strategies/cells_strategy.h"
#include "core/allocation/strategies/strategies.h"

static double cost(const double *terms, const double *low)
{
	return -(terms[0] * low[0] + terms[1] * low[1] + terms[2] * low[2] + terms[3] * low[3]);
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

const struct allocation_strategy strategy_dot_product = {
	.info = { .name = "dot-product",
		  .summary = "The NUMA node whose free amounts have the largest dot product with what is asked.",
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
