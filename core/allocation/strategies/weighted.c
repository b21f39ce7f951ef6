/* weighted: The fit with the least weighted sum of what it leaves, breaks up and mixes: the optimizer's clay.
 *
 * Idea: all that other rules look at, each with a weight: what is left free (rest), what gaps can no longer sell
 * (fragmentation, as fgd), VMs of unlike size on one host (size-mix: large VMs come in batches that end together, so
 * hosts of their own empty), imbalance of nodes and of CPU against memory, the host's number, the node's own rest,
 * and how many VMs the host has. The defaults were chosen on the first 1.5 days of the public Azure trace; `polder
 * strategy optimize` finds those of another workload.
 *
 * Source: weighted scoring as in the Kubernetes scheduler's NodeResourcesFit and OpenStack Nova's weighers;
 * fragmentation as fgd's.
 *
 * Complexity: O(hosts that fit × shapes), at most 12 shapes.
 *
 * Loses: untuned, on workloads unlike the one its defaults were chosen on. It knows nothing of lifetimes. Host-hours
 * over the bound: 1.132 on what is held out of the public Azure trace (first-fit 1.158), but 1.48 on Huawei's
 * (first-fit 1.40).
 */
#include "core/allocation/strategies/fragmentation.h"
#include "core/allocation/strategies/strategies.h"

enum {
	REST,
	FRAGMENTATION,
	SIZE_MIX,
	NODE_IMBALANCE,
	SHAPE_IMBALANCE,
	ORDER,
	NODE_REST,
	VMS,
	LARGE,
	MEMORY_PER_CPU_MIB,
	PARAMETERS
};
#define WEIGHT(name_, least_, initial_, doc_)                                                                      \
	{                                                                                                          \
		.name = name_, .type = STRATEGY_NUMBER, .min = least_, .max = 10, .initial = initial_, .doc = doc_ \
	}
static const struct strategy_parameter parameters[] = {
	WEIGHT("rest", -10, 1, "Of the larger share left, CPU or memory, summed over nodes."),
	WEIGHT("fragmentation", -10, 1, "Of eight vCPUs' worth of gaps that can no longer be sold."),
	WEIGHT("size-mix", -10, 0.1, "Of small VMs beside large ones on a host, and large beside small."),
	WEIGHT("node-imbalance", -10, 0.5, "Of the imbalance between NUMA nodes."),
	WEIGHT("shape-imbalance", -10, 0, "Of the imbalance of CPU against memory left."),
	WEIGHT("order", -10, 0, "Of a hundred hosts further down the list."),
	WEIGHT("node-rest", -10, 0, "Of the CPU share left on the nodes the VM goes to."),
	WEIGHT("vms", -10, 0, "Of a hundred VMs on the host."),
	{ .name = "large-vcpus",
	  .type = STRATEGY_INTEGER,
	  .min = 1,
	  .max = 1024,
	  .initial = 8,
	  .doc = "VMs with so many vCPUs are large." },
	{ .name = "memory-per-cpu-mib",
	  .type = STRATEGY_NUMBER,
	  .min = 64,
	  .max = 1 << 18,
	  .initial = 2304,
	  .logarithmic = true,
	  .doc = "Memory that counts as much as one vCPU, MiB." },
};

static double node_rest(const struct scored_fit *view)
{
	double sum = 0;
	uint32_t n = 0;

	for (uint32_t i = 0; i < view->n_nodes; i++)
		if (view->nodes >> i & 1) {
			sum += view->cpu_share[i];
			n++;
		}
	return n ? sum / n : 0;
}

static void *new_state(const struct allocation_world *world, const struct strategy_values *values, uint64_t seed)
{
	struct strategy_values defaults;
	const double *value = values ? values->value : defaults.value;

	strategy_values_init(&strategy_weighted.info, &defaults);
	(void)seed;
	return scored_new(world, &strategy_weighted.info, values, value[MEMORY_PER_CPU_MIB],
			  (uint32_t)value[LARGE] * 1000);
}

static double cost(const void *state, const struct allocation_world *world, uint32_t class_id,
		   const struct allocation_fit *fit, int64_t now_ms)
{
	const struct scored *scored = state;
	struct scored_fit view;

	(void)now_ms;
	scored_fit_init(&view, world, class_id, fit);
	const double *weight = scored->value;
	double sum = weight[REST] * scored_fit_rest(&view);

	if (weight[FRAGMENTATION] != 0)
		sum += weight[FRAGMENTATION] * fragmentation_loss(&scored->shapes, &view) / 8;
	if (weight[SIZE_MIX] != 0)
		sum += weight[SIZE_MIX] * scored_size_mix(scored, world, class_id, fit->host);
	if (weight[NODE_IMBALANCE] != 0)
		sum += weight[NODE_IMBALANCE] * scored_fit_node_imbalance(&view);
	if (weight[SHAPE_IMBALANCE] != 0)
		sum += weight[SHAPE_IMBALANCE] * scored_fit_shape_imbalance(&view);
	if (weight[NODE_REST] != 0)
		sum += weight[NODE_REST] * node_rest(&view);
	sum += weight[ORDER] * fit->host / 100;
	return sum + weight[VMS] * allocation_world_hosts(world)[fit->host].n_vms / 100;
}
SCORED_OPERATIONS(strategy_weighted)

const struct allocation_strategy strategy_weighted = {
	.info = { .name = "weighted",
		  .summary = "The fit with the least weighted sum of what it leaves, breaks up and mixes: the "
			     "optimizer's clay.",
		  .kind = STRATEGY_ONLINE,
		  .index = STRATEGY_INDEX_SCAN,
		  .parameters = parameters,
		  .n_parameters = PARAMETERS },
	.new = new_state,
	.free = scored_free,
	.update = update,
	.decide = decide,
	.cost = cost,
};
