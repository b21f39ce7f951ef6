/* credit2: The most credits left runs, over a last-level cache; all get new ones when the next has none.
 *
 * Idea: a queue per last-level cache, ordered by credits; running burns them, the lighter the faster. When even the one
 * that is picked has none left, everybody gets reset-us more, and nobody keeps more than that: so sleeping saves up no
 * more than one reset. No boost and no classes: who sleeps much has many credits and comes first.
 *
 * Source: Xen's credit2 scheduler (G. Dunlap, 2010; default since Xen 4.12).
 *
 * Complexity: constant, beside the queue's order: credits are kept as distance from a base that a reset moves.
 *
 * Loses: where a vCPU that computes a lot also needs to wake soon: it has no credits when it matters. Between queues it
 * balances only when a CPU idles.
 */
#include "core/scheduling/limit.h"
#include "core/scheduling/order.h"
#include "core/scheduling/strategies/strategies.h"

enum { RESET_US, SLICE_US, RATE_LIMIT_US };

static const struct strategy_parameter parameters[] = {
	{ .name = "reset-us",
	  .type = STRATEGY_INTEGER,
	  .min = 1000,
	  .max = 1000000,
	  .initial = 10000,
	  .doc = "credits a reset gives, in time of a vCPU of normal weight" },
	{ .name = "slice-us",
	  .type = STRATEGY_INTEGER,
	  .min = 100,
	  .max = 100000,
	  .initial = 2000,
	  .doc = "how long a vCPU runs before the next one's turn" },
	{ .name = "rate-limit-us",
	  .type = STRATEGY_INTEGER,
	  .min = 0,
	  .max = 100000,
	  .initial = 1000,
	  .doc = "how long a vCPU runs before one that wakes may preempt it" },
};

static int64_t reset_of(const struct scheduling_system *system)
{
	return system->parameter[RESET_US] * (1000 * SCHEDULING_VIRTUAL);
}

/* Credits = reset − (virtual_time − the queue's virtual_time): a reset moves the queue's on. Not more than one reset. */
static void clip(const struct scheduling_queue *queue, struct scheduling_entity *entity)
{
	if (scheduling_before(entity->virtual_time, queue->virtual_time))
		entity->virtual_time = queue->virtual_time;
}

static void place(struct scheduling_system *system, struct scheduling_queue *queue, struct scheduling_entity *entity,
		  enum scheduling_why why)
{
	switch (why) {
	case SCHEDULING_NEW:
		entity->virtual_time = queue->virtual_time;
		break;
	case SCHEDULING_MIGRATE: /* with the credits it had */
		entity->virtual_time = queue->virtual_time + entity->lag;
		break;
	case SCHEDULING_WAKE:
	case SCHEDULING_RELEASE: /* it may come back to another queue */
		if (entity->scratch[0] != queue - system->queues)
			entity->virtual_time = queue->virtual_time + entity->lag;
		clip(queue, entity);
		break;
	case SCHEDULING_REQUEUE:
	case SCHEDULING_JOB:
		break;
	}
	entity->scratch[0] = queue - system->queues;
}

static void join(struct scheduling_system *system, struct scheduling_queue *queue, struct scheduling_entity *entity)
{
}

static void leave(struct scheduling_system *system, struct scheduling_queue *queue, struct scheduling_entity *entity)
{
	clip(queue, entity);
	entity->lag = entity->virtual_time - queue->virtual_time;
}

static bool preempt(const struct scheduling_system *system, const struct scheduling_entity *running,
		    const struct scheduling_entity *woken)
{
	const struct scheduling_cpu *cpu = &system->cpus[running->cpu];

	if (system->now_ns - cpu->since_ns < system->parameter[RATE_LIMIT_US] * 1000)
		return false;
	return scheduling_before(woken->virtual_time, running->virtual_time);
}

static void charge(struct scheduling_system *system, struct scheduling_queue *queue, struct scheduling_entity *entity,
		   int64_t delta_ns)
{
	/* The first charge of a run: it was picked with what it has now, and nobody waiting had more. */
	bool picked = system->cpus[entity->cpu].since_ns + delta_ns >= system->now_ns;

	if (picked && !scheduling_before(entity->virtual_time, queue->virtual_time + reset_of(system)))
		queue->virtual_time += reset_of(system);
	entity->virtual_time += scheduling_virtual(delta_ns, entity->weight);
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
				   "the order by credits and the rate limit: the kernel's EEVDF gives the same shares");
}

const struct scheduling_strategy strategy_credit2 = {
	.info = { .name = "credit2",
		  .summary = "The most credits left runs, over a last-level cache; all get new ones when the next has "
			     "none.",
		  .kind = STRATEGY_ONLINE,
		  .index = STRATEGY_INDEX_EXACT,
		  .parameters = parameters,
		  .n_parameters = sizeof(parameters) / sizeof(*parameters) },
	.scope = SCHEDULING_PER_LLC,
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
	.preempt = preempt,
	.charge = charge,
	.slice = slice,
	.timer = limit_timer,
	.expire = limit_expire,
	.project = project,
};
