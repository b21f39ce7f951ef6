/* stride: The least pass first; each run moves a vCPU's pass on by service ÷ weight.
 *
 * Idea: deterministic proportional share. The queue's own pass moves at the pace of the whole weight; a vCPU's distance
 * from it is remembered while it sleeps, so that it comes back owed (or owing) what it was, at most one quantum.
 *
 * Source: C. A. Waldspurger, W. E. Weihl, "Stride Scheduling: Deterministic Proportional-Share Resource Management",
 * MIT/LCS/TM-528, 1995.
 *
 * Complexity: constant, beside the queue's order.
 *
 * Loses: latency: one that wakes is at best at the head of the queue when the running quantum ends, and the error of a
 * share grows with the number of vCPUs (that is what the paper's hierarchical form, and eevdf's eligibility, mend).
 */
#include "core/scheduling/average.h"
#include "core/scheduling/limit.h"
#include "core/scheduling/order.h"
#include "core/scheduling/strategies/strategies.h"

enum { QUANTUM_US };

static const struct strategy_parameter parameters[] = {
	{ .name = "quantum-us",
	  .type = STRATEGY_INTEGER,
	  .min = 100,
	  .max = 100000,
	  .initial = 3000,
	  .doc = "how long a vCPU runs before the next is chosen" },
};

static void place(struct scheduling_system *system, struct scheduling_queue *queue, struct scheduling_entity *entity,
		  enum scheduling_why why)
{
	switch (why) {
	case SCHEDULING_NEW: /* a stride behind, so that creating vCPUs gains nothing */
		entity->virtual_time =
			queue->virtual_time + scheduling_virtual(system->parameter[QUANTUM_US] * 1000, entity->weight);
		break;
	case SCHEDULING_WAKE:
	case SCHEDULING_MIGRATE:
	case SCHEDULING_RELEASE:
		entity->virtual_time = queue->virtual_time - entity->lag;
		break;
	case SCHEDULING_REQUEUE:
	case SCHEDULING_JOB:
		break;
	}
}

static void join(struct scheduling_system *system, struct scheduling_queue *queue, struct scheduling_entity *entity)
{
	queue->weight += entity->weight;
}

static void leave(struct scheduling_system *system, struct scheduling_queue *queue, struct scheduling_entity *entity)
{
	int64_t most = scheduling_virtual(system->parameter[QUANTUM_US] * 1000, entity->weight);

	entity->lag = average_lag_within(queue, entity, most);
	queue->weight -= entity->weight;
}

/* The global pass: as if everyone ran at once. What a division leaves over waits in offset. */
static void charge(struct scheduling_system *system, struct scheduling_queue *queue, struct scheduling_entity *entity,
		   int64_t delta_ns)
{
	entity->virtual_time += scheduling_virtual(delta_ns, entity->weight);
	queue->offset += delta_ns * (SCHEDULING_VIRTUAL * SCHEDULING_WEIGHT_NORMAL);
	queue->virtual_time += queue->offset / (int64_t)queue->weight;
	queue->offset %= (int64_t)queue->weight;
	limit_charge(system, entity, delta_ns);
}

static int64_t slice(const struct scheduling_system *system, const struct scheduling_entity *entity)
{
	return limit_slice(system, entity, system->parameter[QUANTUM_US] * 1000);
}

static void project(const struct scheduling_system *system, const struct scheduling_entity *entity,
		    struct scheduling_knobs *knobs)
{
	scheduling_knobs_by_weight(
		entity, knobs, system->parameter[QUANTUM_US] * 1000,
		"the order of passes: the kernel's EEVDF gives the same shares, and wakes sleepers sooner");
}

const struct scheduling_strategy strategy_stride = {
	.info = { .name = "stride",
		  .summary = "The least pass first; each run moves a vCPU's pass on by service ÷ weight.",
		  .kind = STRATEGY_ONLINE,
		  .index = STRATEGY_INDEX_EXACT,
		  .parameters = parameters,
		  .n_parameters = sizeof(parameters) / sizeof(*parameters) },
	.scope = SCHEDULING_PER_CPU,
	.proportional = true,
	.work_conserving = true,
	.steals = true,
	.admit = scheduling_admit,
	.retire = scheduling_retire,
	.place = place,
	.join = join,
	.leave = leave,
	.key = order_key_virtual_time,
	.keep = order_keep_virtual_time,
	.preempt = order_never,
	.charge = charge,
	.slice = slice,
	.timer = limit_timer,
	.expire = limit_expire,
	.project = project,
};
