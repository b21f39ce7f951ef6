/* fgd: The fit after which the fleet's gaps hold least less of what it usually runs (fragmentation gradient
 * descent).
 *
 * Idea: a gap is worth what it can still sell. For every shape of VM, weighted with its share of all that is placed,
 * count how many more of it the host's gaps hold before and after, and take the fit that loses least. Ties, and
 * small differences, go to the fit that leaves least, by `rest`.
 *
 * Source: Q. Weng, L. Yang, Y. Yu, W. Wang, X. Tang, G. Yang, L. Zhang, "Beware of Fragmentation: Scheduling
 * GPU-Sharing Workloads with Fragmentation Gradient Descent", USENIX ATC 2023; here for vCPUs and memory of NUMA
 * nodes.
 *
 * Complexity: O(hosts that fit × shapes), at most 12 shapes; the shapes' account is brought up to date with every
 * change.
 *
 * Loses: where VMs are small against hosts almost any gap sells, and what counts is which hosts empty. Host-hours
 * over the bound: 1.136 on what is held out of the public Azure trace (first-fit 1.158), but 1.61 on Huawei's
 * (first-fit 1.40).
 */
#include "core/allocation/strategies/fragmentation.h"
#include "core/allocation/strategies/strategies.h"

enum { REST, MEMORY_PER_CPU_MIB };
static const struct strategy_parameter parameters[] = {
	{ .name = "rest",
	  .type = STRATEGY_NUMBER,
	  .min = 0,
	  .max = 100,
	  .initial = 0.01,
	  .doc = "Weight of what is left free on the host, against vCPUs that can no longer be sold." },
	{ .name = "memory-per-cpu-mib",
	  .type = STRATEGY_NUMBER,
	  .min = 64,
	  .max = 1 << 18,
	  .initial = 2304,
	  .logarithmic = true,
	  .doc = "Memory that counts as much as one vCPU, MiB." },
};
static void *new_state(const struct allocation_world *world, const struct strategy_values *values, uint64_t seed)
{
	double memory_per_cpu = values ? values->value[MEMORY_PER_CPU_MIB] : parameters[MEMORY_PER_CPU_MIB].initial;

	(void)seed;
	return scored_new(world, &strategy_fgd.info, values, memory_per_cpu, UINT32_MAX);
}

static double cost(const void *state, const struct allocation_world *world, uint32_t class_id,
		   const struct allocation_fit *fit, int64_t now_ms)
{
	const struct scored *scored = state;
	struct scored_fit view;

	(void)now_ms;
	scored_fit_init(&view, world, class_id, fit);
	return fragmentation_loss(&scored->shapes, &view) + scored->value[REST] * scored_fit_rest(&view);
}
SCORED_OPERATIONS(strategy_fgd)

const struct allocation_strategy strategy_fgd = {
	.info = { .name = "fgd",
		  .summary = "The fit after which gaps hold least less of what the fleet usually runs.",
		  .kind = STRATEGY_ONLINE,
		  .index = STRATEGY_INDEX_SCAN,
		  .parameters = parameters,
		  .n_parameters = 2 },
	.new = new_state,
	.free = scored_free,
	.update = update,
	.decide = decide,
	.cost = cost,
};
