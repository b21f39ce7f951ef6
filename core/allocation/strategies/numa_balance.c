/* numa-balance: The fit that leaves a host's NUMA nodes most alike, then leaves least.
 *
 * Idea: VMs over several nodes need room on each of them: a host with one node full and one empty takes none. The
 * CPU shares left on the nodes are compared with their mean.
 *
 * Source: the NUMA balancing of placement schedulers, as in VMware's ESXi ("The CPU Scheduler in VMware vSphere
 * 5.1", 2013), applied to the choice of the host.
 *
 * Complexity: O(hosts that fit).
 *
 * Loses: where few VMs span nodes: it opens both halves of a host for VMs that one would hold. Host-hours over the
 * bound: 1.136 on what is held out of the public Azure trace (first-fit 1.158), 1.47 on Huawei's (first-fit 1.40).
 */
#include "core/allocation/strategies/scored.h"
#include "core/allocation/strategies/strategies.h"

enum { REST };
static const struct strategy_parameter parameters[] = {
	{ .name = "rest",
	  .type = STRATEGY_NUMBER,
	  .min = 0,
	  .max = 100,
	  .initial = 1,
	  .doc = "Weight of what is left free on the host, against the imbalance of its nodes." },
};

static void *new_state(const struct allocation_world *world, const struct strategy_values *values, uint64_t seed)
{
	(void)seed;
	return scored_new(world, &strategy_numa_balance.info, values, 2304, UINT32_MAX);
}

static double cost(const void *state, const struct allocation_world *world, uint32_t class_id,
		   const struct allocation_fit *fit, int64_t now_ms)
{
	const struct scored *scored = state;
	struct scored_fit view;

	(void)now_ms;
	scored_fit_init(&view, world, class_id, fit);
	return scored_fit_node_imbalance(&view) + scored->value[REST] * scored_fit_rest(&view);
}
SCORED_OPERATIONS(strategy_numa_balance)

const struct allocation_strategy strategy_numa_balance = {
	.info = { .name = "numa-balance",
		  .summary = "The fit that leaves a host's NUMA nodes most alike, then leaves least.",
		  .kind = STRATEGY_ONLINE,
		  .index = STRATEGY_INDEX_SCAN,
		  .parameters = parameters,
		  .n_parameters = 1 },
	.new = new_state,
	.free = scored_free,
	.update = update,
	.decide = decide,
	.cost = cost,
};
