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
#include "core/allocation/pack/greedy.h"
#include "core/allocation/strategies/strategies.h"

static const struct strategy_parameter parameters[] = {
	{ .name = "measure",
	  .type = STRATEGY_CHOICE,
	  .initial = PACK_MEASURE_SQUARES,
	  .choices = pack_measure_names,
	  .doc = "What makes an item big: the sum, the largest or the sum of squares of its dimensions over "
		 "capacity." },
	{ .name = "weight",
	  .type = STRATEGY_CHOICE,
	  .initial = PACK_WEIGHT_EQUAL,
	  .choices = pack_weight_names,
	  .doc = "What a dimension weighs: the same, or what all items ask for in it (demand; remaining means the "
		 "same)." },
};

static bool pack(const struct pack_problem *problem, const struct strategy_values *values, uint64_t seed,
		 struct pack_budget *budget, struct pack_solution *solution)
{
	struct pack_greedy how = {
		.measure = (enum pack_measure)values->value[0],
		.weight = (enum pack_weight)values->value[1],
		.rule = PACK_FIRST_FIT,
		.seed = seed,
	};

	budget->used = 0;
	return pack_by_item(problem, &how, solution);
}

static const struct pack_ops ops = { .pack = pack };

const struct allocation_strategy strategy_ffd = {
	.info = {
		.name = "ffd",
		.summary = "first-fit decreasing: the biggest item first, into the first bin with room.",
		.kind = STRATEGY_BATCH,
		.index = STRATEGY_INDEX_SCAN,
		.parameters = parameters,
		.n_parameters = sizeof(parameters) / sizeof(*parameters),
	},
	.pack = &ops,
};
