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

static int64_t key(const struct scheduling_system *system, const struct scheduling_entity *entity)
{
	return 0; /* the sequence decides */
}

static bool keep(const struct scheduling_system *system, const struct scheduling_entity *running,
		 const struct scheduling_entity *head)
{
	return false;
}

static bool preempt(const struct scheduling_system *system, const struct scheduling_entity *running,
		    const struct scheduling_entity *woken)
{
	return false;
}

static void charge(struct scheduling_system *system, struct scheduling_queue *queue, struct scheduling_entity *entity,
		   int64_t delta_ns)
{
	limit_charge(system, entity, delta_ns);
}

static int64_t slice(const struct scheduling_system *system, const struct scheduling_entity *entity)
{
	return limit_slice(system, entity, system->parameter[SLICE_US] * 1000);
}

static void project(const struct scheduling_system *system, const struct scheduling_entity *entity,
		    struct scheduling_knobs *knobs)
{
	scheduling_knobs_init(entity, knobs);
	knobs->policy = SCHEDULING_POLICY_OTHER;
	knobs->weight = SCHEDULING_WEIGHT_NORMAL;
	knobs->slice_ns = system->parameter[SLICE_US] * 1000;
	knobs->exactness = SCHEDULING_APPROXIMATE;
	knobs->lost = "the order of arrival: equal weights and slices share evenly, but who slept comes first";
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
	.key = key,
	.keep = keep,
	.preempt = preempt,
	.charge = charge,
	.slice = slice,
	.timer = limit_timer,
	.expire = limit_expire,
	.project = project,
};
