/* next-fit: The first host that takes the VM, from the one that got the latest VM on, and round.
 *
 * Idea: do not look back at hosts that were passed over; what arrives together lands together. The host with the latest VM
 * still there is where the search starts (of several, the lowest number), so the cursor follows from what is placed.
 *
 * Source: D. S. Johnson, "Fast algorithms for bin packing", Journal of Computer and System Sciences 8(3), 1974: at most twice
 * the optimum in one dimension.
 *
 * Complexity: as first-fit, O(log hosts) where boxes tell the truth; O(log hosts) a change, and a look at the host's VMs when
 * its latest one ends.
 *
 * Loses: on density against every rule that looks back: gaps behind the cursor wait a whole round.
 */
#include <stdlib.h>

#include "core/allocation/index/tree.h"
#include "core/allocation/strategies/strategies.h"

struct next_fit {
	struct allocation_tree *tree;
};

static void free_state(void *state)
{
	struct next_fit *next_fit = state;

	if (!next_fit)
		return;
	allocation_tree_free(next_fit->tree);
	free(next_fit);
}

static void *new_state(const struct allocation_world *world, const struct strategy_values *values, uint64_t seed)
{
	struct next_fit *next_fit = calloc(1, sizeof(*next_fit));

	if (next_fit)
		next_fit->tree = allocation_tree_new(world);
	if (next_fit && !next_fit->tree) {
		free(next_fit);
		return NULL;
	}
	return next_fit;
}

static bool update(void *state, const struct allocation_world *world, const struct allocation_event *event)
{
	struct next_fit *next_fit = state;

	return allocation_tree_update(next_fit->tree, world, event);
}

static uint32_t cursor_of(const struct next_fit *next_fit, const struct allocation_world *world)
{
	uint32_t latest = allocation_tree_latest(next_fit->tree, world);

	return latest == ALLOCATION_NONE ? 0 : latest;
}

/* Hosts to pass from the cursor on. */
static double cost(const void *state, const struct allocation_world *world, uint32_t class_id,
		   const struct allocation_fit *fit, int64_t now_ms)
{
	uint32_t cursor = cursor_of(state, world);

	return fit->host >= cursor ? fit->host - cursor : (double)fit->host + allocation_world_n_hosts(world) - cursor;
}

static void decide(void *state, const struct allocation_world *world, uint32_t class_id, int64_t now_ms,
		   struct allocation_decision *decision)
{
	const struct allocation_request *request = allocation_world_request(world, class_id);
	struct next_fit *next_fit = state;
	struct allocation_fit fits[ALLOCATION_NODES_MAX];
	uint32_t cursor = cursor_of(next_fit, world), host = cursor;
	bool penalized = false, wrapped = false;

	for (;; host++) {
		host = allocation_tree_next(next_fit->tree, world, request, host);
		if (host == ALLOCATION_NONE && !wrapped) {
			wrapped = true;
			host = allocation_tree_next(next_fit->tree, world, request, 0);
		}
		if (host == ALLOCATION_NONE || (wrapped && host >= cursor))
			break;
		if (allocation_world_fits(world, request, host, fits) == 0)
			continue;
		if (allocation_world_penalty(world, request, host) == 0) {
			*decision = (struct allocation_decision) { .fit = fits[0], .step = ALLOCATION_STEP_ORDER };
			decision->cost = cost(state, world, class_id, &fits[0], now_ms);
			return;
		}
		penalized = true;
	}
	*decision = (struct allocation_decision) { .fit.host = ALLOCATION_NONE };
	if (penalized)
		allocation_scan(&strategy_next_fit, state, world, class_id, now_ms, decision);
}

const struct allocation_strategy strategy_next_fit = {
	.info = { .name = "next-fit",
		  .summary = "The first host that takes the VM, from the one that got the latest VM on, and round.",
		  .kind = STRATEGY_ONLINE,
		  .index = STRATEGY_INDEX_EXACT },
	.new = new_state,
	.free = free_state,
	.update = update,
	.decide = decide,
	.cost = cost,
};
