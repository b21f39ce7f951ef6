/* fifo-priority: The highest priority runs, as long as it wants; equals in order of arrival.
 *
 * Idea: fixed priorities, preemptive, without slices: POSIX SCHED_FIFO.
 *
 * Source: IEEE Std 1003.1b-1993 (POSIX.1b), SCHED_FIFO; for periodic jobs with rate-monotonic priorities: C. L. Liu,
 * J. W. Layland, Journal of the ACM 20(1), 1973.
 *
 * Complexity: constant, beside the queue's order.
 *
 * Loses: one vCPU that never blocks starves everyone at its priority and below; weights mean nothing.
 */
#include "core/scheduling/limit.h"
#include "core/scheduling/strategies/strategies.h"

#define PRIORITY_MAX 99

static int64_t key(const struct scheduling_system *system, const struct scheduling_entity *entity)
{
	return -(int64_t)entity->priority;
}

static bool keep(const struct scheduling_system *system, const struct scheduling_entity *running,
		 const struct scheduling_entity *head)
{
	return running->priority >= head->priority;
}

static bool preempt(const struct scheduling_system *system, const struct scheduling_entity *running,
		    const struct scheduling_entity *woken)
{
	return woken->priority > running->priority;
}

static int64_t slice(const struct scheduling_system *system, const struct scheduling_entity *entity)
{
	return limit_slice(system, entity, SCHEDULING_NEVER);
}

static void project(const struct scheduling_system *system, const struct scheduling_entity *entity,
		    struct scheduling_knobs *knobs)
{
	scheduling_knobs_init(entity, knobs);
	knobs->policy = SCHEDULING_POLICY_FIFO;
	knobs->weight = 0;
	knobs->priority = entity->priority < 1 ? 1 : entity->priority > PRIORITY_MAX ? PRIORITY_MAX : entity->priority;
	knobs->exactness = SCHEDULING_EXACT;
	if (entity->limit_ns || knobs->priority != entity->priority) {
		knobs->exactness = SCHEDULING_APPROXIMATE;
		knobs->lost = entity->limit_ns ? "the limit: bandwidth control does not reach SCHED_FIFO"
					       : "priorities outside 1 to 99";
	}
}

const struct scheduling_strategy strategy_fifo_priority = {
	.info = { .name = "fifo-priority",
		  .summary = "The highest priority runs, as long as it wants; equals in order of arrival.",
		  .kind = STRATEGY_ONLINE,
		  .index = STRATEGY_INDEX_EXACT },
	.scope = SCHEDULING_GLOBAL,
	.work_conserving = true,
	.admit = scheduling_admit,
	.retire = scheduling_retire,
	.key = key,
	.keep = keep,
	.preempt = preempt,
	.charge = limit_charge_only,
	.slice = slice,
	.timer = limit_timer,
	.expire = limit_expire,
	.project = project,
};
