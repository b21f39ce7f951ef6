/* relaxed-cosched: By weight, and a vCPU that runs ahead of its siblings is stopped until they have caught up.
 *
 * Idea: vCPUs are queued one by one, by virtual time. A vCPU makes progress while it runs and while it sleeps, and falls
 * behind while it waits. One whose slowest runnable sibling has waited skew-us longer than it is co-stopped; it starts
 * again when the distance is down to half. The slowest is never stopped, so a VM always goes on.
 *
 * Source: VMware, "The CPU Scheduler in VMware vSphere 5.1", technical white paper, 2013 (relaxed co-scheduling per vCPU,
 * since ESX 3 and 4).
 *
 * Complexity: a look at the siblings at each charge and block.
 *
 * Loses: on VMs whose vCPUs have nothing to do with each other: stopping one helps nobody. On tightly coupled ones it
 * bounds the skew and does not remove it, as gang does.
 */
#include "core/scheduling/average.h"
#include "core/scheduling/limit.h"
#include "core/scheduling/order.h"
#include "core/scheduling/strategies/strategies.h"

enum { SLICE_US, SKEW_US };

static const struct strategy_parameter parameters[] = {
	{ .name = "slice-us",
	  .type = STRATEGY_INTEGER,
	  .min = 100,
	  .max = 100000,
	  .initial = 3000,
	  .doc = "how long a vCPU runs before the next is chosen" },
	{ .name = "skew-us",
	  .type = STRATEGY_INTEGER,
	  .min = 100,
	  .max = 1000000,
	  .initial = 6000,
	  .doc = "how much longer a sibling may have waited before the one ahead is stopped" },
};

#define NOBODY (INT64_MIN / 2) /* no sibling wants to run */

/* entity->scratch[0]: how long it has waited; scratch[1]: since when it may be waiting again. */
static int64_t waited(const struct scheduling_system *system, const struct scheduling_entity *entity)
{
	int64_t until = system->now_ns;

	if (entity->flags & SCHEDULING_RUNNING)
		until = system->cpus[entity->cpu].since_ns;
	return entity->scratch[0] + (until > entity->scratch[1] ? until - entity->scratch[1] : 0);
}

static bool counts(const struct scheduling_entity *entity)
{
	return entity->flags & (SCHEDULING_ON_QUEUE | SCHEDULING_PARKED);
}

static int64_t longest_wait(const struct scheduling_system *system, const struct scheduling_vm *vm)
{
	int64_t longest = NOBODY;

	for (uint32_t i = 0; i < vm->n_vcpus && i < SCHEDULING_VM_VCPUS_MAX; i++) {
		const struct scheduling_entity *sibling = &system->entities[vm->first + i];
		int64_t wait;

		if (!counts(sibling) || (sibling->flags & SCHEDULING_THROTTLED))
			continue;
		wait = waited(system, sibling);
		if (wait > longest)
			longest = wait;
	}
	return longest;
}

/* Stops who is too far ahead (only the one that runs: the others are not getting further), and starts who is not any
 * more. */
static void review(struct scheduling_system *system, struct scheduling_entity *entity, bool stop)
{
	const struct scheduling_vm *vm = &system->vms[entity->vm];
	int64_t most = system->parameter[SKEW_US] * 1000, longest;

	if (vm->n_vcpus < 2)
		return;
	longest = longest_wait(system, vm);
	if (stop && longest - waited(system, entity) > most) {
		entity->flags |= SCHEDULING_PARKED | SCHEDULING_TIMED;
		entity->replenish_ns = system->now_ns + most / 2;
	}
	for (uint32_t i = 0; i < vm->n_vcpus && i < SCHEDULING_VM_VCPUS_MAX; i++) {
		struct scheduling_entity *sibling = &system->entities[vm->first + i];

		if (sibling == entity || !(sibling->flags & SCHEDULING_PARKED))
			continue;
		if (longest != NOBODY && longest - waited(system, sibling) > most / 2)
			continue;
		sibling->flags &= ~(uint32_t)(SCHEDULING_PARKED | SCHEDULING_TIMED);
		scheduling_changed(system, sibling);
	}
}

static void place(struct scheduling_system *system, struct scheduling_queue *queue, struct scheduling_entity *entity,
		  enum scheduling_why why)
{
	int64_t longest;

	if (why == SCHEDULING_REQUEUE || why == SCHEDULING_JOB)
		return;
	entity->virtual_time = queue->virtual_time - (why == SCHEDULING_NEW ? 0 : entity->lag);
	if (why == SCHEDULING_NEW || why == SCHEDULING_WAKE) { /* sleep was progress: it is level with the slowest */
		longest = longest_wait(system, &system->vms[entity->vm]);
		entity->scratch[0] = longest == NOBODY ? 0 : longest;
		entity->scratch[1] = system->now_ns;
	}
}

static void leave(struct scheduling_system *system, struct scheduling_queue *queue, struct scheduling_entity *entity)
{
	int64_t most = scheduling_virtual(system->parameter[SLICE_US] * 1000, entity->weight);
	int64_t lag = average_lag(queue, entity);

	entity->lag = lag > most ? most : lag;
	average_remove(queue, entity);
}

static bool preempt(const struct scheduling_system *system, const struct scheduling_entity *running,
		    const struct scheduling_entity *woken)
{
	int64_t allowance = scheduling_virtual(system->parameter[SLICE_US] * 1000, running->weight);

	return scheduling_before(woken->virtual_time, running->virtual_time - allowance);
}

static void charge(struct scheduling_system *system, struct scheduling_queue *queue, struct scheduling_entity *entity,
		   int64_t delta_ns)
{
	int64_t wait = system->now_ns - delta_ns - entity->scratch[1];

	entity->scratch[0] += wait > 0 ? wait : 0;
	entity->scratch[1] = system->now_ns;
	average_advance(queue, entity, delta_ns);
	limit_charge(system, entity, delta_ns);
	review(system, entity, true);
}

/* Who was the slowest may be asleep now: nobody has to wait for it. */
static void block(struct scheduling_system *system, struct scheduling_queue *queue, struct scheduling_entity *entity)
{
	review(system, entity, false);
}

/* The skew is looked at twice as often as it may grow. */
static int64_t slice(const struct scheduling_system *system, const struct scheduling_entity *entity)
{
	int64_t most = system->parameter[SLICE_US] * 1000, skew = system->parameter[SKEW_US] * 1000 / 2;

	if (system->vms[entity->vm].n_vcpus > 1 && skew < most)
		most = skew;
	return limit_slice(system, entity, most);
}

/* A stopped one is also looked at by time: its siblings may all be asleep. */
static int64_t timer(const struct scheduling_system *system, const struct scheduling_entity *entity)
{
	int64_t limit = limit_timer(system, entity);

	if (!(entity->flags & SCHEDULING_PARKED))
		return limit;
	return limit < entity->replenish_ns ? limit : entity->replenish_ns;
}

static void expire(struct scheduling_system *system, struct scheduling_entity *entity)
{
	int64_t most = system->parameter[SKEW_US] * 1000;

	limit_expire(system, entity);
	if (!(entity->flags & SCHEDULING_PARKED) || scheduling_before(system->now_ns, entity->replenish_ns))
		return;
	entity->replenish_ns = system->now_ns + most / 2;
	if (longest_wait(system, &system->vms[entity->vm]) - waited(system, entity) <= most / 2)
		entity->flags &= ~(uint32_t)(SCHEDULING_PARKED | SCHEDULING_TIMED);
}

static void project(const struct scheduling_system *system, const struct scheduling_entity *entity,
		    struct scheduling_knobs *knobs)
{
	scheduling_knobs_by_weight(entity, knobs, system->parameter[SLICE_US] * 1000,
				   "the order: the kernel's EEVDF gives the same shares");
	if (system->vms[entity->vm].n_vcpus < 2)
		return;
	knobs->exactness = SCHEDULING_NOT_ENFORCEABLE;
	knobs->lost = "co-stops: the kernel does not look at siblings";
}

const struct scheduling_strategy strategy_relaxed_cosched = {
	.info = { .name = "relaxed-cosched",
		  .summary =
			  "By weight, and a vCPU that runs ahead of its siblings is stopped until they have caught up.",
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
	.key = order_key_virtual_time,
	.keep = order_keep_virtual_time,
	.preempt = preempt,
	.charge = charge,
	.block = block,
	.slice = slice,
	.timer = timer,
	.expire = expire,
	.project = project,
};
