/* move-to-front: Of the hosts that take the VM, the one that got a VM most recently.
 *
 * Idea: keep the hosts in a list and move the one just used to its front. VMs that arrive together lie together, and as they
 * often end together, hosts become free at once; hosts out of use sink to the end and empty. The latest VM still on a host is
 * what places it in the list; hosts without VMs come last, by number.
 *
 * Source: S. Kamali and A. López-Ortiz, "Efficient online strategies for renting servers in the cloud", SOFSEM 2015; R. Murhekar
 * et al., "Brief announcement: dynamic vector bin packing for online resource allocation in the cloud", SPAA 2023.
 *
 * Complexity: a branch-and-bound over a 16-ary tree of bounding boxes that hold the latest stamp under them; O(log hosts) a
 * change, and a look at the host's VMs when its latest one ends.
 *
 * Loses: where lifetimes have nothing to do with arrivals it is first-fit in an arbitrary order.
 */
#include <float.h>
#include <stdlib.h>

#include "core/allocation/index/tree.h"
#include "core/allocation/strategies/strategies.h"

struct move_to_front {
	struct allocation_tree *tree;
};

static void free_state(void *state)
{
	struct move_to_front *list = state;

	if (!list)
		return;
	allocation_tree_free(list->tree);
	free(list);
}

static void *new_state(const struct allocation_world *world, const struct strategy_values *values, uint64_t seed)
{
	struct move_to_front *list = calloc(1, sizeof(*list));

	if (list)
		list->tree = allocation_tree_new(world);
	if (list && !list->tree) {
		free(list);
		return NULL;
	}
	return list;
}

static bool update(void *state, const struct allocation_world *world, const struct allocation_event *event)
{
	struct move_to_front *list = state;

	return allocation_tree_update(list->tree, world, event);
}

/* Milliseconds are exact in a double for longer than there will be computers. */
static double cost(const void *state, const struct allocation_world *world, uint32_t class_id,
		   const struct allocation_fit *fit, int64_t now_ms)
{
	const struct move_to_front *list = state;
	int64_t stamp = allocation_tree_stamp(list->tree, fit->host);

	return stamp == ALLOCATION_STAMP_NEVER ? DBL_MAX : -(double)stamp;
}

struct candidate {
	const struct allocation_world *world;
	const struct allocation_request *request;
	struct allocation_fit fit;
	bool penalized;
};

static bool accept(void *data, uint32_t host)
{
	struct candidate *candidate = data;
	struct allocation_fit fits[ALLOCATION_NODES_MAX];

	if (allocation_world_fits(candidate->world, candidate->request, host, fits) == 0)
		return false;
	if (allocation_world_penalty(candidate->world, candidate->request, host) > 0) {
		candidate->penalized = true;
		return false;
	}
	candidate->fit = fits[0];
	return true;
}

static void decide(void *state, const struct allocation_world *world, uint32_t class_id, int64_t now_ms,
		   struct allocation_decision *decision)
{
	struct candidate candidate = { .world = world, .request = allocation_world_request(world, class_id) };
	struct move_to_front *list = state;
	uint32_t host = allocation_tree_by_stamp(list->tree, world, candidate.request, accept, &candidate);

	*decision = (struct allocation_decision) { .fit.host = ALLOCATION_NONE };
	if (host == ALLOCATION_NONE && candidate.penalized) {
		allocation_scan(&strategy_move_to_front, state, world, class_id, now_ms, decision);
		return;
	}
	if (host == ALLOCATION_NONE)
		return;
	*decision = (struct allocation_decision) { .fit = candidate.fit, .step = ALLOCATION_STEP_ORDER };
	decision->cost = cost(state, world, class_id, &candidate.fit, now_ms);
}

const struct allocation_strategy strategy_move_to_front = {
	.info = { .name = "move-to-front",
		  .summary = "Of the hosts that take the VM, the one that got a VM most recently.",
		  .kind = STRATEGY_ONLINE,
		  .index = STRATEGY_INDEX_EXACT },
	.new = new_state,
	.free = free_state,
	.update = update,
	.decide = decide,
	.cost = cost,
};
