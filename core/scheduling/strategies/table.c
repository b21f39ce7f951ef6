/* table: A verified plan says who runs when; what is left over is shared by weight on each CPU.
 *
 * Idea: reservations are planned ahead (core/scheduling/table.h): worst-fit decreasing onto CPUs, splitting the few that do
 * not fit, and for each CPU its EDF schedule over 102.7 ms, checked for everyone's share and longest gap before use. At
 * run time a lookup says whose slot it is. Slots that are nobody's or whose vCPU sleeps go to the vCPUs of that CPU, the
 * least virtual time first. Split vCPUs run in their slots only.
 *
 * Source: M. Vanga, A. Gujarati, B. B. Brandenburg, "Tableau: A High-Throughput and Predictable VM Scheduler for
 * High-Density Workloads", EuroSys 2018; C=D splitting: A. Burns, R. I. Davis, P. Wang, F. Zhang, Real-Time Systems 48,
 * 2012.
 *
 * Complexity: a binary search among a CPU's slots at each decision; planning 1,000 vCPUs on 64 CPUs takes milliseconds.
 *
 * Loses: on jobs with deadlines: a plan keeps shares and longest gaps and knows no releases, so that a job that needs its
 * whole reservation is late by up to a gap (edf-cbs is not); where reservations change often (each change is a new plan);
 * and without reservations: then it is a queue a CPU that nobody balances.
 */
#include "core/scheduling/table.h"
#include "core/scheduling/limit.h"
#include "core/scheduling/order.h"
#include "core/scheduling/strategies/strategies.h"

enum { SLICE_US };

static const struct strategy_parameter parameters[] = {
	{ .name = "slice-us",
	  .type = STRATEGY_INTEGER,
	  .min = 100,
	  .max = 100000,
	  .initial = 3000,
	  .doc = "how long a vCPU runs in time left over before the next one's turn" },
};

#define HANDOVER_NS 1000 /* a vCPU that still runs elsewhere is waited for so long */

/* The slot of a CPU at that time, and when it ends. */
static uint32_t slot_owner_at(const struct scheduling_system *system, uint32_t cpu, int64_t now_ns, int64_t *until_ns)
{
	const struct scheduling_table *table = system->table;
	int64_t in_length = now_ns % SCHEDULING_TABLE_NS;
	uint32_t low = table->first[cpu], high = table->first[cpu + 1] - 1;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (table->slots[middle].end_ns > in_length)
			high = middle;
		else
			low = middle + 1;
	}
	*until_ns = now_ns - in_length + table->slots[low].end_ns;
	return table->slots[low].entity;
}

static uint32_t slot_owner(const struct scheduling_system *system, uint32_t cpu, int64_t *until_ns)
{
	return slot_owner_at(system, cpu, system->now_ns, until_ns);
}

static bool planned(const struct scheduling_system *system, uint32_t cpu)
{
	return system->table && cpu < system->table->n_cpus;
}

/* Was what it ran until now its own slot? A run never reaches over a slot's end: pick says when that is. */
static bool ran_in_slot(const struct scheduling_system *system, const struct scheduling_entity *entity)
{
	int64_t until_ns;

	return planned(system, entity->cpu) &&
	       slot_owner_at(system, entity->cpu, system->now_ns - 1, &until_ns) == entity->id;
}

static bool is_split(const struct scheduling_system *system, const struct scheduling_entity *entity)
{
	return entity->runtime_ns && system->table && entity->id < system->table->n_entities &&
	       system->table->home[entity->id] == SCHEDULING_NO_CPU;
}

static uint32_t pick(struct scheduling_system *system, uint32_t cpu, int64_t *until_ns)
{
	const struct scheduling_entity *owner;
	uint32_t id;

	*until_ns = SCHEDULING_NEVER;
	if (!planned(system, cpu))
		return SCHEDULING_NO_ENTITY;
	id = slot_owner(system, cpu, until_ns);
	if (id == SCHEDULING_NO_ENTITY || id >= system->n_entities)
		return SCHEDULING_NO_ENTITY;
	owner = &system->entities[id];
	if (!(owner->flags & SCHEDULING_ON_QUEUE))
		return SCHEDULING_NO_ENTITY;
	if (!(owner->flags & SCHEDULING_RUNNING))
		return id;
	if (owner->cpu != cpu && *until_ns > system->now_ns + HANDOVER_NS)
		*until_ns = system->now_ns + HANDOVER_NS;
	return SCHEDULING_NO_ENTITY;
}

/* Home; a split one goes where its slot is now; others spread by number. */
static uint32_t select_cpu(struct scheduling_system *system, const struct scheduling_entity *entity, uint32_t idle)
{
	int64_t until_ns;

	if (!system->table || entity->id >= system->table->n_entities || !entity->runtime_ns)
		return entity->id % system->n_cpus;
	if (!is_split(system, entity))
		return system->table->home[entity->id];
	for (uint32_t cpu = 0; cpu < system->table->n_cpus && cpu < SCHEDULING_CPUS_MAX; cpu++)
		if (slot_owner(system, cpu, &until_ns) == entity->id)
			return cpu;
	return entity->cpu;
}

/* A split one stays out of time left over, where it would not be free when its slot begins on another CPU: it is never
 * eligible. The others always are. */
static void place(struct scheduling_system *system, struct scheduling_queue *queue, struct scheduling_entity *entity,
		  enum scheduling_why why)
{
	entity->eligible = is_split(system, entity) ? SCHEDULING_NEVER / 2 : queue->virtual_time;
	if (why == SCHEDULING_REQUEUE || why == SCHEDULING_JOB || is_split(system, entity))
		return;
	if (why == SCHEDULING_NEW || scheduling_before(entity->virtual_time, queue->virtual_time))
		entity->virtual_time = queue->virtual_time;
}

static bool preempt(const struct scheduling_system *system, const struct scheduling_entity *running,
		    const struct scheduling_entity *woken)
{
	int64_t until_ns;

	return planned(system, running->cpu) && slot_owner(system, running->cpu, &until_ns) == woken->id;
}

/* Time in the own slot is not charged against the share of what is left over. The queue's clock is at what the running one was
 * chosen with, however often its run is charged. */
static void charge(struct scheduling_system *system, struct scheduling_queue *queue, struct scheduling_entity *entity,
		   int64_t delta_ns)
{
	bool chosen = system->cpus[entity->cpu].since_ns + delta_ns >= system->now_ns;

	if (!is_split(system, entity) && !ran_in_slot(system, entity)) {
		if (chosen && scheduling_before(queue->virtual_time, entity->virtual_time))
			queue->virtual_time = entity->virtual_time;
		entity->virtual_time += scheduling_virtual(delta_ns, entity->weight);
		entity->eligible = queue->virtual_time;
	}
	limit_charge(system, entity, delta_ns);
}

static int64_t slice(const struct scheduling_system *system, const struct scheduling_entity *entity)
{
	int64_t most = system->parameter[SLICE_US] * 1000, until_ns;

	if (planned(system, entity->cpu) && slot_owner(system, entity->cpu, &until_ns) == entity->id)
		most = until_ns - system->now_ns;
	return limit_slice(system, entity, most);
}

static void project(const struct scheduling_system *system, const struct scheduling_entity *entity,
		    struct scheduling_knobs *knobs)
{
	scheduling_knobs_by_weight(entity, knobs, system->parameter[SLICE_US] * 1000,
				   "without a reservation: the balance is the kernel's, over all CPUs");
	if (!entity->runtime_ns)
		return;
	scheduling_knobs_reserve(entity, knobs);
	knobs->lost = "the plan: SCHED_DEADLINE keeps the share, and the gap only up to twice the period";
}

const struct scheduling_strategy strategy_table = {
	.info = { .name = "table",
		  .summary = "A verified plan says who runs when; what is left over is shared by weight on each CPU.",
		  .kind = STRATEGY_ONLINE,
		  .index = STRATEGY_INDEX_EXACT,
		  .parameters = parameters,
		  .n_parameters = sizeof(parameters) / sizeof(*parameters) },
	.scope = SCHEDULING_PER_CPU,
	.eligibility = true,
	.work_conserving = true,
	.plans = true,
	.admit = scheduling_admit,
	.retire = scheduling_retire,
	.place = place,
	.key = order_key_virtual_time,
	.pick = pick,
	.select = select_cpu,
	.keep = order_never, /* pick decides */
	.preempt = preempt,
	.charge = charge,
	.slice = slice,
	.timer = limit_timer,
	.expire = limit_expire,
	.project = project,
};
