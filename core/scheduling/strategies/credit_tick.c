/* credit-tick: Credits debited at the tick from whoever runs just then: a guest that sleeps over ticks pays nothing.
 *
 * Idea: the credit scheduler as it was first shipped: accounting by sampling. Every 10 ms the running vCPU pays for the
 * whole tick, whoever ran in between. Kept to be cheated: a guest that runs between ticks and sleeps over each always has
 * credits, is boosted whenever it wakes, and takes nearly the whole CPU. What measures theft must find it here.
 *
 * Source: Xen's credit scheduler before 4.0; F. Zhou, M. Goel, P. Desnoyers, R. Sundaram, "Scheduler Vulnerabilities and
 * Attacks in Cloud Computing", IEEE NCA 2011.
 *
 * Complexity: as credit.
 *
 * Loses: against any guest that knows the time.
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

static void tick(struct scheduling_system *system, uint32_t cpu)
{
	uint32_t running = system->cpus[cpu].running;

	if (running != SCHEDULING_NO_ENTITY)
		system->entities[running].budget_ns -= CREDITS_TICK_NS;
	credits_tick(system, cpu);
}

static int64_t slice(const struct scheduling_system *system, const struct scheduling_entity *entity)
{
	return limit_slice(system, entity, system->parameter[SLICE_US] * 1000);
}

static void project(const struct scheduling_system *system, const struct scheduling_entity *entity,
		    struct scheduling_knobs *knobs)
{
	scheduling_knobs_by_weight(entity, knobs, system->parameter[SLICE_US] * 1000,
				   "the flaw: the kernel accounts to the nanosecond, and nobody should want otherwise");
	knobs->exactness = SCHEDULING_NOT_ENFORCEABLE;
}

const struct scheduling_strategy strategy_credit_tick = {
	.info = { .name = "credit-tick",
		  .summary = "Credits debited at the tick from whoever runs just then: a guest that sleeps over ticks "
			     "pays "
			     "nothing.",
		  .kind = STRATEGY_ONLINE,
		  .index = STRATEGY_INDEX_EXACT,
		  .parameters = parameters,
		  .n_parameters = sizeof(parameters) / sizeof(*parameters) },
	.scope = SCHEDULING_PER_CPU,
	.work_conserving = true,
	.steals = true,
	.tick_ns = CREDITS_TICK_NS,
	.admit = scheduling_admit,
	.retire = credits_retire,
	.place = credits_place,
	.key = credits_key,
	.keep = credits_keep,
	.preempt = credits_preempt,
	.charge = limit_charge_only,
	.slice = slice,
	.timer = limit_timer,
	.expire = limit_expire,
	.tick = tick,
	.project = project,
};
