/* bvt: Borrowed virtual time: by weight, and those in a hurry run on credit of their own future.
 *
 * Idea: the least effective virtual time runs. A vCPU with a latency target is warped: its effective virtual time is its
 * actual one less warp-us, so it comes first when it wakes; it still pays for all it uses, so its share stays its
 * weight's. It may run warped for warp-limit-us at a time. One that slept starts from the others' virtual time again.
 *
 * Source: K. J. Duda, D. R. Cheriton, "Borrowed-Virtual-Time (BVT) scheduling: supporting latency-sensitive threads in a
 * general-purpose scheduler", SOSP 1999; Xen's first scheduler.
 *
 * Complexity: constant, beside the queue's order.
 *
 * Loses: the warp is a number to guess, the same for all; too small it is no help, too large one vCPU's burst delays
 * everyone. The scheduler virtual time is the mean here, not the least: a sleeper comes back at most a slice later.
 */
#include "core/scheduling/average.h"
#include "core/scheduling/limit.h"
#include "core/scheduling/strategies/strategies.h"

enum { SLICE_US, WARP_US, WARP_LIMIT_US };

static const struct strategy_parameter parameters[] = {
	{ .name = "slice-us",
	  .type = STRATEGY_INTEGER,
	  .min = 100,
	  .max = 100000,
	  .initial = 3000,
	  .doc = "context switch allowance: how long a vCPU may run on when others are due" },
	{ .name = "warp-us",
	  .type = STRATEGY_INTEGER,
	  .min = 0,
	  .max = 1000000,
	  .initial = 50000,
	  .doc = "how much of its future a vCPU with a latency target may borrow" },
	{ .name = "warp-limit-us",
	  .type = STRATEGY_INTEGER,
	  .min = 0,
	  .max = 1000000,
	  .initial = 5000,
	  .doc = "how long it may run warped after it woke" },
};

static bool warped(const struct scheduling_system *system, const struct scheduling_entity *entity)
{
	return entity->latency_ns && entity->scratch[0] < system->parameter[WARP_LIMIT_US] * 1000;
}

static int64_t key(const struct scheduling_system *system, const struct scheduling_entity *entity)
{
	int64_t warp = system->parameter[WARP_US] * (1000 * SCHEDULING_VIRTUAL);

	return warped(system, entity) ? entity->virtual_time - warp : entity->virtual_time;
}

static void place(struct scheduling_system *system, struct scheduling_queue *queue, struct scheduling_entity *entity,
		  enum scheduling_why why)
{
	switch (why) {
	case SCHEDULING_WAKE: /* who was ahead stays so, who was behind has given it up */
	case SCHEDULING_NEW:
		entity->scratch[0] = 0;
		entity->virtual_time = queue->virtual_time - (entity->lag < 0 ? entity->lag : 0);
		break;
	case SCHEDULING_MIGRATE:
	case SCHEDULING_RELEASE:
		entity->virtual_time = queue->virtual_time - entity->lag;
		break;
	case SCHEDULING_REQUEUE:
	case SCHEDULING_JOB:
		break;
	}
}

static void leave(struct scheduling_system *system, struct scheduling_queue *queue, struct scheduling_entity *entity)
{
	entity->lag = average_lag(queue, entity);
	average_remove(queue, entity);
}

static bool keep(const struct scheduling_system *system, const struct scheduling_entity *running,
		 const struct scheduling_entity *head)
{
	return scheduling_before(key(system, running), key(system, head));
}

static bool preempt(const struct scheduling_system *system, const struct scheduling_entity *running,
		    const struct scheduling_entity *woken)
{
	int64_t allowance = scheduling_virtual(system->parameter[SLICE_US] * 1000, running->weight);

	if (warped(system, woken) && !warped(system, running))
		return scheduling_before(key(system, woken), key(system, running));
	return scheduling_before(key(system, woken), key(system, running) - allowance);
}

static void charge(struct scheduling_system *system, struct scheduling_queue *queue, struct scheduling_entity *entity,
		   int64_t delta_ns)
{
	average_advance(queue, entity, delta_ns);
	entity->scratch[0] += delta_ns;
	limit_charge(system, entity, delta_ns);
}

static int64_t slice(const struct scheduling_system *system, const struct scheduling_entity *entity)
{
	int64_t most = system->parameter[SLICE_US] * 1000, left;

	left = system->parameter[WARP_LIMIT_US] * 1000 - entity->scratch[0];
	if (warped(system, entity) && left < most)
		most = left;
	return limit_slice(system, entity, most);
}

static void project(const struct scheduling_system *system, const struct scheduling_entity *entity,
		    struct scheduling_knobs *knobs)
{
	scheduling_knobs_by_weight(entity, knobs, system->parameter[SLICE_US] * 1000,
				   "the order: the kernel's EEVDF gives the same shares");
	if (!entity->latency_ns)
		return;
	knobs->lost = "the warp: a short slice stands for it, which brings an eligible vCPU forward and no other";
	if (system->parameter[WARP_LIMIT_US] < system->parameter[SLICE_US])
		knobs->slice_ns = system->parameter[WARP_LIMIT_US] * 1000;
}

const struct scheduling_strategy strategy_bvt = {
	.info = { .name = "bvt",
		  .summary =
			  "Borrowed virtual time: by weight, and those in a hurry run on credit of their own future.",
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
	.join = average_join,
	.leave = leave,
	.key = key,
	.keep = keep,
	.preempt = preempt,
	.charge = charge,
	.slice = slice,
	.timer = limit_timer,
	.expire = limit_expire,
	.project = project,
};
