/* wfd: worst-fit decreasing: the biggest item first, into the emptiest open bin.
 *
 * Idea: sort the items by size, biggest first, and put each into that open bin where it leaves the most room, by the same
 * measure as sizes; open a new one when there is none. It balances load over the bins in use. The budget is not used.
 *
 * Source: Johnson, Near-optimal bin packing algorithms, 1973.
 *
 * Complexity: O(n log n + n × bins × dimensions).
 *
 * Loses: where few bins are wanted: on the published vector instances 62,142 / 32,924 / 10,776 (panigrahy / new / triplet)
 * against 61,491 / 32,059 / 10,705 of ffd. It is for given bins that should share load.
 */
#include "core/allocation/pack/decreasing.h"
#include "core/allocation/strategies/strategies.h"

static bool pack(const struct pack_problem *problem, const struct strategy_values *values, uint64_t seed,
		 struct pack_budget *budget, struct pack_solution *solution)
{
	budget->used = 0;
	return pack_decreasing(problem, values, PACK_WORST_FIT, seed, solution);
}

static const struct pack_ops ops = { .pack = pack };

const struct allocation_strategy strategy_wfd = {
	.info = {
		.name = "wfd",
		.summary = "worst-fit decreasing: the biggest item first, into the emptiest open bin.",
		.kind = STRATEGY_BATCH,
		.index = STRATEGY_INDEX_SCAN,
		.parameters = pack_decreasing_parameters,
		.n_parameters = PACK_DECREASING_PARAMETERS,
	},
	.pack = &ops,
};
