/* What a run says: scores and raw figures. */
#pragma once

#include "lab/evaluate.h"
#include "lab/scheduling/engine.h"

/* figures_demand(workload, horizon, window, offset, demand): how much CPU time each vCPU would use if it always ran when it
 * wants to, by window: demand[window][task], zeroed by the caller. */
void figures_demand(const struct workload *workload, const struct engine_result *shape, gint64 offset_ns,
		    double *demand);

/* figures_entitle(workload, window_ns, demand, entitled): scheduling_entitle() of what each wants of the window: nobody more
 * than that or its limit, nobody less than its reservation unless it wants less. */
void figures_entitle(const struct workload *workload, gint64 window_ns, const double *demand, double *entitled);

/* figures_theft(result): in a run of synthetic:attack, what the attacker took of what was the others': 0 to 1. */
double figures_theft(const struct workload *workload, const struct engine_result *result);

/* figures_tell(workload, run, offset, theft, result): all but times; theft < 0: not known. */
void figures_tell(const struct workload *workload, const struct engine_result *run, gint64 offset_ns, double theft,
		  struct lab_result *result);
