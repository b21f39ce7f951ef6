/* Where a request may go. Constraints are tested in the order of enum allocation_constraint: those of the host itself
 * first, then those between VMs. */
#include "core/allocation/world_private.h"

#include <string.h>

/* What the host is, whatever is free there. */
static enum allocation_constraint gate(const struct allocation_request *request,
				       const struct allocation_host_state *state, const struct allocation_host *type)
{
	if (!state->present || !state->powered)
		return ALLOCATION_IS_AWAY;
	if (state->cordoned)
		return ALLOCATION_IS_CORDONED;
	if (request->engine != 0 && (type->engines & request->engine) == 0)
		return ALLOCATION_LACKS_ENGINE;
	if (type->cpu_level < request->cpu_level)
		return ALLOCATION_LACKS_CPU_MODEL;
	if ((type->labels & request->labels_required) != request->labels_required ||
	    (type->labels & request->labels_forbidden) != 0)
		return ALLOCATION_LACKS_LABEL;
	if ((type->taints & ~request->tolerates) != 0)
		return ALLOCATION_IS_TAINTED;
	if ((state->n_exclusive > 0 || (request->exclusive_host && state->n_vms > 0)) &&
	    state->tenant != request->tenant)
		return ALLOCATION_IS_EXCLUSIVE;
	return ALLOCATION_CONSTRAINTS;
}

static bool has_host_amounts(const struct allocation_request *request, const struct allocation_host_state *state)
{
	for (unsigned d = 0; d < ALLOCATION_HOST_DIMENSIONS; d++)
		if (request->amount[ALLOCATION_NODE_DIMENSIONS + d] > state->free[d])
			return false;
	return true;
}

static bool node_has(const struct allocation_node *node, const uint32_t share[ALLOCATION_NODE_DIMENSIONS])
{
	/* A zero share fits a node that is overdrawn, too: it takes nothing. */
	return node->free[ALLOCATION_CPU] >= share[ALLOCATION_CPU] &&
	       node->free[ALLOCATION_MEMORY] >= share[ALLOCATION_MEMORY] &&
	       node->free[ALLOCATION_HUGE_2M] >= share[ALLOCATION_HUGE_2M] &&
	       node->free[ALLOCATION_HUGE_1G] >= share[ALLOCATION_HUGE_1G];
}

/* Whether a set of nodes takes equal shares; the sum of its free memory. */
static bool set_has(const struct allocation_host_state *state, unsigned nodes,
		    const uint32_t share[ALLOCATION_NODES_MAX][ALLOCATION_NODE_DIMENSIONS], uint64_t *free_memory)
{
	uint32_t i = 0;

	*free_memory = 0;
	for (unsigned left = nodes; left != 0; left &= left - 1) {
		const struct allocation_node *node = &state->node[__builtin_ctz(left)];

		if (!node_has(node, share[i++]))
			return false;
		*free_memory += (uint64_t)node->free[ALLOCATION_MEMORY] + node->free[ALLOCATION_HUGE_2M] +
				node->free[ALLOCATION_HUGE_1G];
	}
	return true;
}

/* The set of k nodes with most free memory that takes the request evenly; 0: none. */
static unsigned best_set(const struct allocation_request *request, const struct allocation_host *type,
			 const struct allocation_host_state *state, uint32_t k)
{
	uint32_t share[ALLOCATION_NODES_MAX][ALLOCATION_NODE_DIMENSIONS];
	uint64_t best_memory = 0;
	unsigned best = 0;

	for (uint32_t i = 0; i < k; i++)
		world_share(request, type, k, i, share[i]);
	for (unsigned nodes = (1u << k) - 1; nodes >> state->n_nodes == 0; nodes++) {
		uint64_t memory;

		if ((uint32_t)__builtin_popcount(nodes) == k && set_has(state, nodes, share, &memory) &&
		    (best == 0 || memory > best_memory)) {
			best = nodes;
			best_memory = memory;
		}
	}
	return best;
}

static unsigned single_nodes(const struct allocation_request *request, const struct allocation_host *type,
			     const struct allocation_host_state *state, uint8_t fits[ALLOCATION_NODES_MAX])
{
	uint32_t total[ALLOCATION_NODE_DIMENSIONS];
	unsigned n = 0;

	world_total(request, type, total);
	for (uint32_t node = 0; node < state->n_nodes; node++)
		if (node_has(&state->node[node], total))
			fits[n++] = (uint8_t)(1u << node);
	return n;
}

static unsigned node_sets(const struct allocation_request *request, const struct allocation_host *type,
			  const struct allocation_host_state *state, uint8_t fits[ALLOCATION_NODES_MAX])
{
	unsigned n = 0;

	if (request->numa == ALLOCATION_NUMA_SPLIT) {
		uint32_t k = request->numa_nodes > 0 ? request->numa_nodes : 1;

		fits[0] = k <= state->n_nodes ? (uint8_t)best_set(request, type, state, k) : 0;
		return fits[0] != 0;
	}
	n = single_nodes(request, type, state, fits);
	if (request->numa != ALLOCATION_NUMA_ANY)
		return n;
	for (uint32_t k = 2; k <= state->n_nodes && n == 0; k++) {
		fits[0] = (uint8_t)best_set(request, type, state, k);
		n = fits[0] != 0;
	}
	return n;
}

static bool relations_hold(const struct allocation_world *world, const struct allocation_request *request,
			   uint32_t host)
{
	if (request->member_of[0] == 0 && request->term[0].group == 0 && request->spread[0].group == 0)
		return true;
	return world_relations(world, request, host) == ALLOCATION_CONSTRAINTS;
}

unsigned allocation_world_fits(const struct allocation_world *world, const struct allocation_request *request,
			       uint32_t host, struct allocation_fit fits[ALLOCATION_NODES_MAX])
{
	const struct allocation_host_state *state = &world->hosts[host];
	const struct allocation_host *type = &world->types[state->type].host;
	uint8_t sets[ALLOCATION_NODES_MAX];
	unsigned n;

	if (gate(request, state, type) != ALLOCATION_CONSTRAINTS || !has_host_amounts(request, state))
		return 0;
	n = node_sets(request, type, state, sets);
	if (n == 0 || !relations_hold(world, request, host))
		return 0;
	if (world->headroom != NULL && !world_headroom_allows(world, request, host))
		return 0;
	for (unsigned i = 0; i < n; i++)
		fits[i] = (struct allocation_fit) { .host = host, .nodes = sets[i] };
	return n;
}

/* The host as a whole, per dimension. */
static enum allocation_constraint lacks(const struct allocation_request *request,
					const struct allocation_host_state *state, const struct allocation_host *type)
{
	uint32_t total[ALLOCATION_NODE_DIMENSIONS];

	world_total(request, type, total);
	for (unsigned d = 0; d < ALLOCATION_NODE_DIMENSIONS; d++) {
		uint64_t free = 0;

		for (uint32_t node = 0; node < state->n_nodes; node++)
			free += state->node[node].free[d];
		if (total[d] > free)
			return ALLOCATION_LACKS_CPU + d;
	}
	for (unsigned d = ALLOCATION_DISK; d < ALLOCATION_DIMENSIONS; d++)
		if (request->amount[d] > state->free[d - ALLOCATION_NODE_DIMENSIONS])
			return d < ALLOCATION_EXTENDED ? ALLOCATION_LACKS_CPU + d : ALLOCATION_LACKS_EXTENDED;
	return ALLOCATION_CONSTRAINTS;
}

enum allocation_constraint allocation_world_violates(const struct allocation_world *world,
						     const struct allocation_request *request, uint32_t host)
{
	const struct allocation_host_state *state = &world->hosts[host];
	const struct allocation_host *type = &world->types[state->type].host;
	enum allocation_constraint violated = gate(request, state, type);
	uint8_t sets[ALLOCATION_NODES_MAX];

	if (violated == ALLOCATION_CONSTRAINTS)
		violated = lacks(request, state, type);
	if (violated == ALLOCATION_CONSTRAINTS && node_sets(request, type, state, sets) == 0)
		violated = ALLOCATION_LACKS_NUMA;
	if (violated == ALLOCATION_CONSTRAINTS)
		violated = world_relations(world, request, host);
	if (violated == ALLOCATION_CONSTRAINTS && world->headroom != NULL &&
	    !world_headroom_allows(world, request, host))
		violated = ALLOCATION_BREAKS_HEADROOM;
	return violated;
}
