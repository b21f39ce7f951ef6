/* bfd: best-fit decreasing: the biggest item first, into the fullest bin with room.
 *
 * Idea: sort the items by size, biggest first, and put each into that open bin where it leaves the least room, by the same
 * measure as sizes; open a new one when there is none. The budget is not used.
 *
 * Source: Johnson, Near-optimal bin packing algorithms, 1973; several dimensions: Panigrahy, Talwar, Uyeda and Wieder,
 * Heuristics for vector bin packing, Microsoft Research, 2011.
 *
 * Complexity: O(n log n + n × bins × dimensions).
 *
 * Loses: one number for the room hides which dimension is short, so in several dimensions it is no better than ffd: on the
 * published vector instances 61,679 / 32,253 / 10,712 (panigrahy / new / triplet) against 61,491 / 32,059 / 10,705.
 */
#include "core/allocation/pack/decreasing.h"
#include "core/allocation/strategies/strategies.h"

static bool pack(const struct pack_problem *problem, const struct strategy_values *values, uint64_t seed,
		 struct pack_budget *budget, struct pack_solution *solution)
{
	budget->used = 0;
	return pack_decreasing(problem, values, PACK_BEST_FIT, seed, solution);
}

static const struct pack_ops ops = { .pack = pack };

const struct allocation_strategy strategy_bfd = {
	.info = {
		.name = "bfd",
		.summary = "best-fit decreasing: the biggest item first, into the fullest bin with room.",
		.kind = STRATEGY_BATCH,
		.index = STRATEGY_INDEX_SCAN,
		.parameters = pack_decreasing_parameters,
		.n_parameters = PACK_DECREASING_PARAMETERS,
	},
	.pack = &ops,
};
