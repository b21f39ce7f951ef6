/* round-robin: First come, first served, a slice each.
 *
 * Idea: a queue a CPU, in order of arrival; who is still busy at the end of its slice goes to the back. An idle CPU takes
 * the first of the fullest queue. Weights and latency targets mean nothing here: the baseline that everything else is
 * measured against.
 *
 * Source: L. Kleinrock, "Analysis of a time-shared processor", Naval Research Logistics Quarterly 11(1), 1964.
 *
 * Complexity: constant.
 *
 * Loses: whenever vCPUs differ: a heavy one gets no more than a light one, one that wakes for a moment waits behind
 * everybody's whole slice, and one that blocks before its slice ends gets less than one that does not.
 */
#include "core/scheduling/limit.h"
#include "core/scheduling/order.h"
#include "core/scheduling/strategies/strategies.h"

enum { SLICE_US };

static const struct strategy_parameter parameters[] = {
	{ .name = "slice-us",
	  .type = STRATEGY_INTEGER,
	  .min = 100,
	  .max = 1000000,
	  .initial = 10000,
	  .logarithmic = false,
	  .doc = "how long a vCPU runs before the next one's turn" },
};

static int64_t slice(const struct scheduling_system *system, const struct scheduling_entity *entity)
{
	return limit_slice(system, entity, system->parameter[SLICE_US] * 1000);
}

static void project(const struct scheduling_system *system, const struct scheduling_entity *entity,
		    struct scheduling_knobs *knobs)
{
	scheduling_knobs_by_weight(
		entity, knobs, system->parameter[SLICE_US] * 1000,
		"the order of arrival: equal weights and slices share evenly, but who slept comes first");
	knobs->weight = SCHEDULING_WEIGHT_NORMAL;
}

const struct scheduling_strategy strategy_round_robin = {
	.info = { .name = "round-robin",
		  .summary = "First come, first served, a slice each.",
		  .kind = STRATEGY_ONLINE,
		  .index = STRATEGY_INDEX_EXACT,
		  .parameters = parameters,
		  .n_parameters = sizeof(parameters) / sizeof(*parameters) },
	.scope = SCHEDULING_PER_CPU,
	.work_conserving = true,
	.steals = true,
	.admit = scheduling_admit,
	.retire = scheduling_retire,
	.key = order_key_arrival,
	.keep = order_never,
	.preempt = order_never,
	.charge = limit_charge_only,
	.slice = slice,
	.timer = limit_timer,
	.expire = limit_expire,
	.project = project,
};
