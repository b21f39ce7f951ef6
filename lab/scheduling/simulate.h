/* One run as the family makes it: for drawings and benchmarks. */
#pragma once

#include "lab/evaluate.h"
#include "lab/scheduling/engine.h"

/* What load returned. */
struct scheduling_workload {
	struct workload *workload, *attack;
	enum scheduling_sharing sharing;
	gboolean projected;
};

/* scheduling_simulate(loaded, info, values, setup, result): one run as evaluate makes it; `setup` gives seed, horizon, offset
 * and observer. Clear the result after. `note`: owned, what a projection loses, or NULL. */
void scheduling_simulate(const struct scheduling_workload *loaded, const struct strategy_info *info,
			 const struct strategy_values *values, struct engine_setup *setup, struct engine_result *result,
			 char **note);
