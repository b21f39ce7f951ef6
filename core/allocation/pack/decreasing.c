#include "core/allocation/pack/decreasing.h"

const struct strategy_parameter pack_decreasing_parameters[PACK_DECREASING_PARAMETERS] = {
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

bool pack_decreasing(const struct pack_problem *problem, const struct strategy_values *values, enum pack_rule rule,
		     uint64_t seed, struct pack_solution *solution)
{
	struct pack_greedy how = {
		.measure = (enum pack_measure)values->value[0],
		.weight = (enum pack_weight)values->value[1],
		.rule = rule,
		.seed = seed,
	};

	return pack_by_item(problem, &how, solution);
}
