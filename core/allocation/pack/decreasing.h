/* What first-, best- and worst-fit decreasing share: they differ in the rule alone. */
#pragma once

#include "core/allocation/pack/greedy.h"

#define PACK_DECREASING_PARAMETERS 2
extern const struct strategy_parameter pack_decreasing_parameters[PACK_DECREASING_PARAMETERS];

/* pack_decreasing(problem, values, rule, seed, solution): pack_by_item() with the parameters above. */
bool pack_decreasing(const struct pack_problem *problem, const struct strategy_values *values, enum pack_rule rule,
		     uint64_t seed, struct pack_solution *solution);
