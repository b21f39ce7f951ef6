/* pin: Each vCPU has its CPU and never leaves it.
 *
 * Idea: at admission a vCPU gets the CPU with the fewest, and stays; the vCPUs of a CPU take turns in order of arrival. No
 * migration, warm caches, and with no more vCPUs than CPUs no waiting at all.
 *
 * Source: static partitioning, the practice of telecommunication and trading hosts; Xen's null scheduler is this with one
 * vCPU a CPU.
 *
 * Complexity: constant; at admission one look at each CPU.
 *
 * Loses: as soon as there are more vCPUs than CPUs and their loads differ: one CPU idles beside another that is crowded.
 */
#include "core/scheduling/limit.h"
#include "core/scheduling/order.h"
#include "core/scheduling/strategies/strategies.h"

enum { SLICE_US };

static const struct strategy_parameter parameters[] = {
	{ .name = "slice-us",
	  .type = STRATEGY_INTEGER,
	  .min = 100,
	  .max = 1000000,
	  .initial = 10000,
	  .doc = "how long a vCPU runs when another is pinned to the same CPU" },
};

/* cpu->scratch[0]: vCPUs pinned to it; entity->scratch[0]: its CPU. */
static enum scheduling_admission admit(struct scheduling_system *system, struct scheduling_entity *entity)
{
	enum scheduling_admission admission = scheduling_admit(system, entity);
	uint32_t best = 0;

	if (admission != SCHEDULING_ACCEPTED)
		return admission;
	for (uint32_t cpu = 1; cpu < system->n_cpus && cpu < SCHEDULING_CPUS_MAX; cpu++)
		if (system->cpus[cpu].scratch[0] < system->cpus[best].scratch[0])
			best = cpu;
	system->cpus[best].scratch[0]++;
	entity->scratch[0] = best;
	return admission;
}

static void retire(struct scheduling_system *system, struct scheduling_entity *entity)
{
	if (entity->flags & SCHEDULING_ADMITTED)
		system->cpus[entity->scratch[0]].scratch[0]--;
	scheduling_retire(system, entity);
}

static uint32_t select_cpu(struct scheduling_system *system, const struct scheduling_entity *entity, uint32_t idle)
{
	return (uint32_t)entity->scratch[0];
}

static int64_t slice(const struct scheduling_system *system, const struct scheduling_entity *entity)
{
	return limit_slice(system, entity, system->parameter[SLICE_US] * 1000);
}

static void project(const struct scheduling_system *system, const struct scheduling_entity *entity,
		    struct scheduling_knobs *knobs)
{
	scheduling_knobs_by_weight(entity, knobs, system->parameter[SLICE_US] * 1000,
				   "the order of arrival among the vCPUs of a CPU: the kernel shares it evenly");
	knobs->weight = SCHEDULING_WEIGHT_NORMAL;
	knobs->first_cpu = (uint32_t)entity->scratch[0];
	knobs->n_cpus = 1;
}

const struct scheduling_strategy strategy_pin = {
	.info = { .name = "pin",
		  .summary = "Each vCPU has its CPU and never leaves it.",
		  .kind = STRATEGY_ONLINE,
		  .index = STRATEGY_INDEX_EXACT,
		  .parameters = parameters,
		  .n_parameters = sizeof(parameters) / sizeof(*parameters) },
	.scope = SCHEDULING_PER_CPU,
	.admit = admit,
	.retire = retire,
	.select = select_cpu,
	.key = order_key_arrival,
	.keep = order_never,
	.preempt = order_never,
	.charge = limit_charge_only,
	.slice = slice,
	.timer = limit_timer,
	.expire = limit_expire,
	.project = project,
};
