/* ffd: first-fit decreasing: the biggest item first, into the first bin with room.
 *
 * Idea: sort the items by size, biggest first, and put each into the first open bin where it fits; open a new one when
 * there is none. Size in several dimensions is a measure over them, each divided by its capacity. The budget is not used.
 *
 * Source: Johnson, Near-optimal bin packing algorithms, 1973; several dimensions: Kou and Markowsky, Multidimensional bin
 * packing algorithms, IBM Journal of Research and Development, 1977.
 *
 * Complexity: O(n log n + n × bins × dimensions); from 2,000 items on a tree over the bins makes that n log n in practice.
 *
 * Loses: bin-centric selection looks at the room that is left and needs fewer bins: on the published vector instances
 * 61,491 / 32,059 / 10,705 (panigrahy / new / triplet) against 60,970 / 31,264 / 10,678.
 */
#include "core/allocation/pack/decreasing.h"
#include "core/allocation/strategies/strategies.h"

static bool pack(const struct pack_problem *problem, const struct strategy_values *values, uint64_t seed,
		 struct pack_budget *budget, struct pack_solution *solution)
{
	budget->used = 0;
	return pack_decreasing(problem, values, PACK_FIRST_FIT, seed, solution);
}

static const struct pack_ops ops = { .pack = pack };

const struct allocation_strategy strategy_ffd = {
	.info = {
		.name = "ffd",
		.summary = "first-fit decreasing: the biggest item first, into the first bin with room.",
		.kind = STRATEGY_BATCH,
		.index = STRATEGY_INDEX_SCAN,
		.parameters = pack_decreasing_parameters,
		.n_parameters = PACK_DECREASING_PARAMETERS,
	},
	.pack = &ops,
};
