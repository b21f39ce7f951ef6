/* first-fit: The first host, in the order of their numbers, that takes the VM.
 *
 * Idea: always start from the front. Hosts in front fill up and stay full, those at the end stay empty: an elastic fleet can
 * switch them off. On a host, the lowest NUMA node.
 *
 * Source: J. D. Ullman, "The performance of a memory allocation algorithm", Princeton University, 1971; D. S. Johnson et al.,
 * SIAM Journal on Computing 3(4), 1974: at most 1.7 times the optimum in one dimension.
 *
 * Complexity: a descent in a 16-ary tree of bounding boxes, O(log hosts) where boxes tell the truth; O(log hosts) a change.
 *
 * Loses: it does not look at how well a VM fits: VMs of unlike shape strand vCPUs or memory. Host-hours on the public Azure
 * trace are 1.149 times the lower bound, where the best simple rule reaches 1.137.
 */
#include "core/allocation/index/tree.h"
#include "core/allocation/strategies/strategies.h"

static void *new_state(const struct allocation_world *world, const struct strategy_values *values, uint64_t seed)
{
	return allocation_tree_new(world);
}

static void free_state(void *state)
{
	allocation_tree_free(state);
}

static bool update(void *state, const struct allocation_world *world, const struct allocation_event *event)
{
	return allocation_tree_touch(state, world, event->host);
}

static void decide(void *state, const struct allocation_world *world, uint32_t class_id, int64_t now_ms,
		   struct allocation_decision *decision)
{
	const struct allocation_request *request = allocation_world_request(world, class_id);
	struct allocation_fit fits[ALLOCATION_NODES_MAX];
	bool penalized = false;

	for (uint32_t host = 0;; host++) {
		host = allocation_tree_next(state, world, request, host);
		if (host == ALLOCATION_NONE)
			break;
		if (allocation_world_fits(world, request, host, fits) == 0)
			continue;
		if (allocation_world_penalty(world, request, host) == 0) {
			*decision = (struct allocation_decision) { .fit = fits[0], .step = ALLOCATION_STEP_ORDER };
			return;
		}
		penalized = true;
	}
	*decision = (struct allocation_decision) { .fit.host = ALLOCATION_NONE };
	if (penalized)
		allocation_scan(&strategy_first_fit, state, world, class_id, now_ms, decision);
}

const struct allocation_strategy strategy_first_fit = {
	.info = { .name = "first-fit",
		  .summary = "The first host, in the order of their numbers, that takes the VM.",
		  .kind = STRATEGY_ONLINE,
		  .index = STRATEGY_INDEX_EXACT },
	.new = new_state,
	.free = free_state,
	.update = update,
	.decide = decide,
};
