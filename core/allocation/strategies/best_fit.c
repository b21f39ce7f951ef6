/* best-fit: The NUMA node with the least left free, of those that take the VM.
 *
 * Idea: keep large gaps whole by filling the smallest one that does. What is left counts as vCPUs plus memory, huge
 * pages included, in units of memory-per-cpu-mib; a VM over several nodes goes by their sum, and fewer nodes come
 * first. What is free is seen in steps of a sixteenth; nodes within a step are alike, and the lowest number takes the
 * VM.
 *
 * Source: D. S. Johnson et al., "Worst-case performance bounds for simple one-dimensional packing algorithms", SIAM
 * Journal on Computing 3(4), 1974; with several dimensions the sum of what is left, as in R. Panigrahy et al.,
 * "Heuristics for Vector Bin Packing", Microsoft Research, 2011.
 *
 * Complexity: a branch-and-bound over cells of like nodes, about the logarithm of the number of cells where the
 * request fits somewhere near its best cell; one cell left and one entered a change.
 *
 * Loses: where the mix of vCPUs and memory matters more than their sum (l2-norm, dot-product and cosine look at it),
 * and against rules that know how long a VM lives: tight packing mixes VMs that end at different times.
 */
#include "core/allocation/strategies/cells_strategy.h"
#include "core/allocation/strategies/strategies.h"

static const struct allocation_cells_rule rule = { .sums = true };

static const struct strategy_parameter parameters[] = { CELLS_STRATEGY_PARAMETER };

static void *new_state(const struct allocation_world *world, const struct strategy_values *values, uint64_t seed)
{
	return allocation_cells_new(world, &rule, values->value[0]);
}

const struct allocation_strategy strategy_best_fit = {
	.info = { .name = "best-fit",
		  .summary = "The NUMA node with the least left free, of those that take the VM.",
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
