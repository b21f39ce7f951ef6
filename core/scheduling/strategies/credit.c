/* credit: Credits by weight every 30 ms; who has some runs before who has none, who just woke before both.
 *
 * Idea: time is handed out as credits, in proportion to weight; running burns them. Three classes, each first come, first
 * served: boosted (woke with credits, until the next tick or the end of its slice), under (credits left) and over. Every
 * run is debited by the time it took, to the nanosecond; credit-tick is the original's way.
 *
 * Source: Xen's credit scheduler (E. Ackaouy, 2006); L. Cherkasova, D. Gupta, A. Vahdat, "Comparison of the three CPU
 * schedulers in Xen", SIGMETRICS Performance Evaluation Review 35(2), 2007.
 *
 * Complexity: constant; every third tick each CPU looks at its part of all vCPUs.
 *
 * Loses: latency: boost comes to everyone who sleeps a little, so it protects nobody when many do, and who has used up its
 * credits waits out slices of 30 ms; shares hold over periods of 30 ms and no less.
 */
#include "core/scheduling/strategies/credits.h"
#include "core/scheduling/strategies/strategies.h"

enum { SLICE_US };

static const struct strategy_parameter parameters[] = {
	{ .name = "slice-us",
	  .type = STRATEGY_INTEGER,
	  .min = 1000,
	  .max = 1000000,
	  .initial = 30000,
	  .doc = "how long a vCPU runs before the next one's turn" },
};

static void charge(struct scheduling_system *system, struct scheduling_queue *queue, struct scheduling_entity *entity,
		   int64_t delta_ns)
{
	entity->budget_ns -= delta_ns;
	limit_charge(system, entity, delta_ns);
}

static int64_t slice(const struct scheduling_system *system, const struct scheduling_entity *entity)
{
	return limit_slice(system, entity, system->parameter[SLICE_US] * 1000);
}

static void project(const struct scheduling_system *system, const struct scheduling_entity *entity,
		    struct scheduling_knobs *knobs)
{
	scheduling_knobs_by_weight(entity, knobs, system->parameter[SLICE_US] * 1000,
				   "boost: the kernel wakes sleepers by their lag; the shares are the same");
}

const struct scheduling_strategy strategy_credit = {
	.info = { .name = "credit",
		  .summary =
			  "Credits by weight every 30 ms; who has some runs before who has none, who just woke before "
			  "both.",
		  .kind = STRATEGY_ONLINE,
		  .index = STRATEGY_INDEX_EXACT,
		  .parameters = parameters,
		  .n_parameters = sizeof(parameters) / sizeof(*parameters) },
	.scope = SCHEDULING_PER_CPU,
	.proportional = true,
	.work_conserving = true,
	.steals = true,
	.tick_ns = CREDITS_TICK_NS,
	.admit = scheduling_admit,
	.retire = credits_retire,
	.place = credits_place,
	.key = credits_key,
	.keep = credits_keep,
	.preempt = credits_preempt,
	.charge = charge,
	.slice = slice,
	.timer = limit_timer,
	.expire = limit_expire,
	.tick = credits_tick,
	.project = project,
};
