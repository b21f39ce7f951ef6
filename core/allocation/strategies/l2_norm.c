/* l2-norm: The NUMA node whose free amounts are nearest to what is asked, by Euclidean distance.
 *
 * Idea: the best gap is the one shaped like the VM: the square of what would be left punishes a large rest in any one
 * dimension. Amounts are in vCPUs and in units of memory-per-cpu-mib. What is free is seen in steps of a sixteenth;
 * nodes within a step are alike, and the lowest number takes the VM.
 *
 * Source: R. Panigrahy, K. Talwar, L. Uyeda and U. Wieder, "Heuristics for Vector Bin Packing", Microsoft Research,
 * 2011 (norm-based greedy).
 *
 * Complexity: a branch-and-bound over cells of like nodes, about the logarithm of the number of cells where the
 * request fits somewhere near its best cell; one cell left and one entered a change.
 *
 * Loses: where one dimension is plentiful everywhere: its rest then outweighs the scarce one, unless memory-per-cpu-
 * mib says otherwise.
 */
#include "core/allocation/strategies/cells_strategy.h"
#include "core/allocation/strategies/strategies.h"

static double cost(const double *terms, const double *low)
{
	double sum = 0;

	for (unsigned d = 0; d < ALLOCATION_NODE_DIMENSIONS; d++)
		sum += (low[d] - terms[d]) * (low[d] - terms[d]);
	return sum;
}

static double bound(const double *terms, const double *low, const double *high)
{
	double sum = 0;

	for (unsigned d = 0; d < ALLOCATION_NODE_DIMENSIONS; d++) {
		double least = low[d] > terms[d] ? low[d] - terms[d] : high[d] < terms[d] ? terms[d] - high[d] : 0;

		sum += least * least;
	}
	return sum;
}

static const struct allocation_cells_rule rule = { .cost = cost, .bound = bound };

static const struct strategy_parameter parameters[] = { CELLS_STRATEGY_PARAMETER };

static void *new_state(const struct allocation_world *world, const struct strategy_values *values, uint64_t seed)
{
	return allocation_cells_new(world, &rule, values->value[0]);
}

const struct allocation_strategy strategy_l2_norm = {
	.info = { .name = "l2-norm",
		  .summary = "The NUMA node whose free amounts are nearest to what is asked, by Euclidean distance.",
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
