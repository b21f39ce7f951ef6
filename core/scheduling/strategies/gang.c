/* gang: All vCPUs of a VM run at the same time, or none.
 *
 * Idea: time is cut into slots, the same on all CPUs. For each slot VMs are chosen, in turn, those first that are not ahead
 * of the weighted mean of what VMs received; each gets a CPU for every vCPU it has, for the whole slot, whether it uses
 * them or not. So a vCPU never waits for a sibling that is off its CPU: no spinning on the lock of a stopped one, no
 * barrier that waits for a slot. A VM that wakes starts at once where enough CPUs are unassigned.
 *
 * Source: J. K. Ousterhout, "Scheduling Techniques for Concurrent Systems", ICDCS 1982; D. G. Feitelson, L. Rudolph, "Gang
 * scheduling performance benefits for fine-grain synchronization", Journal of Parallel and Distributed Computing 16, 1992.
 *
 * Complexity: two walks over the VMs a slot; a walk over the CPUs for a VM that is given some.
 *
 * Loses: CPUs idle where VMs do not fill a slot, and where a vCPU sleeps in its VM's; who wakes may wait for a slot; a VM
 * with more vCPUs than the host has CPUs cannot run at all.
 */
#include "core/scheduling/average.h"
#include "core/scheduling/limit.h"
#include "core/scheduling/order.h"
#include "core/scheduling/strategies/strategies.h"

enum { SLOT_US };

static const struct strategy_parameter parameters[] = {
	{ .name = "slot-us",
	  .type = STRATEGY_INTEGER,
	  .min = 500,
	  .max = 100000,
	  .initial = 10000,
	  .doc = "length of a slot" },
};

#define HANDOVER_NS 1000 /* a vCPU that still runs elsewhere is waited for so long */

/* system->scratch: end of the slot, its number, CPUs unassigned in it, the VM to begin with, mean progress.
 * cpu->scratch[0]: its entity in the slot + 1. vm->scratch[0]: the last slot it was in; vm->progress: virtual time. */
enum { END_NS, SLOT, FREE, CURSOR, MEAN };

static enum scheduling_admission admit(struct scheduling_system *system, struct scheduling_entity *entity)
{
	if (system->vms[entity->vm].n_vcpus > system->n_cpus)
		return SCHEDULING_REFUSED_CAPACITY;
	return scheduling_admit(system, entity);
}

static bool in_slot(const struct scheduling_system *system, const struct scheduling_vm *vm)
{
	return vm->scratch[0] == system->scratch[SLOT] && system->scratch[SLOT] > 0;
}

/* CPUs for all its vCPUs: where each ran last if that is free, else any. */
static void assign(struct scheduling_system *system, struct scheduling_vm *vm)
{
	uint32_t next = 0;

	vm->scratch[0] = system->scratch[SLOT];
	system->scratch[FREE] -= vm->n_vcpus;
	for (uint32_t i = 0; i < vm->n_vcpus && i < SCHEDULING_VM_VCPUS_MAX; i++) {
		struct scheduling_entity *entity = &system->entities[vm->first + i];
		uint32_t cpu = entity->cpu;

		if (system->cpus[cpu].scratch[0]) {
			while (next < system->n_cpus && system->cpus[next].scratch[0])
				next++;
			cpu = next;
		}
		system->cpus[cpu].scratch[0] = (int64_t)vm->first + i + 1;
		entity->scratch[0] = cpu;
	}
}

/* One walk from the cursor on: those with something to run, that fit, and are not ahead of `most`. */
static void fill(struct scheduling_system *system, int64_t most, bool all)
{
	uint32_t first = (uint32_t)system->scratch[CURSOR];

	for (uint32_t i = 0; i < system->n_vms && system->scratch[FREE] > 0; i++) {
		struct scheduling_vm *vm = &system->vms[(first + i) % system->n_vms];

		if (!vm->n_runnable || in_slot(system, vm) || vm->n_vcpus > system->scratch[FREE])
			continue;
		if (!all && scheduling_before(most, vm->progress))
			continue;
		assign(system, vm);
	}
}

static void begin_slot(struct scheduling_system *system)
{
	struct scheduling_queue mean = { .virtual_time = system->scratch[MEAN] };

	system->scratch[SLOT]++;
	system->scratch[END_NS] = system->now_ns + system->parameter[SLOT_US] * 1000;
	system->scratch[FREE] = system->n_cpus;
	for (uint32_t cpu = 0; cpu < system->n_cpus && cpu < SCHEDULING_CPUS_MAX; cpu++)
		system->cpus[cpu].scratch[0] = 0;
	for (uint32_t i = 0; i < system->n_vms; i++) {
		struct scheduling_vm *vm = &system->vms[i];
		uint32_t weight = system->entities[vm->first].weight;

		if (!vm->n_runnable)
			continue;
		mean.weight += weight;
		mean.offset += average_difference(vm->progress, mean.virtual_time) / 1024 * weight;
	}
	mean.offset = mean.weight ? mean.offset / (int64_t)mean.weight * 1024 : 0;
	system->scratch[MEAN] = mean.virtual_time + mean.offset;
	fill(system, system->scratch[MEAN], false);
	fill(system, 0, true);
	system->scratch[CURSOR] = (system->scratch[CURSOR] + 1) % system->n_vms;
}

static uint32_t pick(struct scheduling_system *system, uint32_t cpu, int64_t *until_ns)
{
	const struct scheduling_entity *entity;

	if (!scheduling_before(system->now_ns, system->scratch[END_NS]) || !system->scratch[SLOT])
		begin_slot(system);
	*until_ns = system->scratch[END_NS];
	if (!system->cpus[cpu].scratch[0])
		return SCHEDULING_NO_ENTITY;
	entity = &system->entities[system->cpus[cpu].scratch[0] - 1];
	if (!(entity->flags & SCHEDULING_ON_QUEUE))
		return SCHEDULING_NO_ENTITY;
	if (!(entity->flags & SCHEDULING_RUNNING))
		return entity->id;
	*until_ns = system->now_ns + HANDOVER_NS;
	return SCHEDULING_NO_ENTITY;
}

static uint32_t select_cpu(struct scheduling_system *system, const struct scheduling_entity *entity, uint32_t idle)
{
	struct scheduling_vm *vm = &system->vms[entity->vm];
	bool now = scheduling_before(system->now_ns, system->scratch[END_NS]);

	if (now && !in_slot(system, vm) && vm->n_vcpus <= system->scratch[FREE])
		assign(system, vm);
	return in_slot(system, vm) ? (uint32_t)entity->scratch[0] : entity->cpu;
}

/* A VM that slept starts from the mean: it was not waiting. */
static void place(struct scheduling_system *system, struct scheduling_queue *queue, struct scheduling_entity *entity,
		  enum scheduling_why why)
{
	struct scheduling_vm *vm = &system->vms[entity->vm];

	if (why == SCHEDULING_REQUEUE || why == SCHEDULING_JOB || vm->n_runnable)
		return;
	if (scheduling_before(vm->progress, system->scratch[MEAN]))
		vm->progress = system->scratch[MEAN];
}

static int64_t key(const struct scheduling_system *system, const struct scheduling_entity *entity)
{
	return system->vms[entity->vm].progress;
}

static bool preempt(const struct scheduling_system *system, const struct scheduling_entity *running,
		    const struct scheduling_entity *woken)
{
	return system->cpus[running->cpu].scratch[0] == (int64_t)woken->id + 1;
}

/* A vCPU's run counts for its VM as its part: equal weights among siblings. */
static void charge(struct scheduling_system *system, struct scheduling_queue *queue, struct scheduling_entity *entity,
		   int64_t delta_ns)
{
	struct scheduling_vm *vm = &system->vms[entity->vm];

	vm->progress += scheduling_virtual(delta_ns, entity->weight) / vm->n_vcpus;
	limit_charge(system, entity, delta_ns);
}

static int64_t slice(const struct scheduling_system *system, const struct scheduling_entity *entity)
{
	return limit_slice(system, entity, system->parameter[SLOT_US] * 1000);
}

static void project(const struct scheduling_system *system, const struct scheduling_entity *entity,
		    struct scheduling_knobs *knobs)
{
	scheduling_knobs_init(entity, knobs);
	knobs->cookie = entity->cookie;
	knobs->exactness = SCHEDULING_NOT_ENFORCEABLE;
	knobs->lost = "running together: the kernel has no slots across CPUs; only the weights hold";
}

const struct scheduling_strategy strategy_gang = {
	.info = { .name = "gang",
		  .summary = "All vCPUs of a VM run at the same time, or none.",
		  .kind = STRATEGY_ONLINE,
		  .index = STRATEGY_INDEX_SCAN,
		  .parameters = parameters,
		  .n_parameters = sizeof(parameters) / sizeof(*parameters) },
	.scope = SCHEDULING_GLOBAL,
	.admit = admit,
	.retire = scheduling_retire,
	.place = place,
	.key = key,
	.pick = pick,
	.select = select_cpu,
	.keep = order_never, /* the plan decides */
	.preempt = preempt,
	.charge = charge,
	.slice = slice,
	.timer = limit_timer,
	.expire = limit_expire,
	.project = project,
};
