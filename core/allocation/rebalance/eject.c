/* Room for a large VM by moving a smaller one out of its way. */
#include "core/allocation/rebalance/search.h"

#define EJECT_HOSTS 32 /* looked at for one VM */
#define EJECT_VMS   4  /* tried to move, of each */

static uint64_t memory_free(const struct allocation_node *node)
{
	return (uint64_t)node->free[ALLOCATION_MEMORY] + node->free[ALLOCATION_HUGE_2M] +
	       node->free[ALLOCATION_HUGE_1G];
}

/* Whether with `other` gone its node could take the request; a first look at CPU and memory only. */
static bool would_do(const struct allocation_world *world, const struct allocation_request *request, uint32_t other)
{
	const struct allocation_placement *placement = allocation_world_placement(world, other);
	const struct allocation_request *gone = allocation_world_request(world, placement->class_id);
	const struct allocation_node *node;

	if (__builtin_popcount(placement->nodes) != 1 ||
	    gone->amount[ALLOCATION_CPU] >= request->amount[ALLOCATION_CPU])
		return false;
	node = &allocation_world_hosts(world)[placement->host].node[__builtin_ctz(placement->nodes)];
	return node->free[ALLOCATION_CPU] + gone->amount[ALLOCATION_CPU] >= request->amount[ALLOCATION_CPU] &&
	       memory_free(node) + gone->amount[ALLOCATION_MEMORY] >= request->amount[ALLOCATION_MEMORY];
}

/* The smallest VM on the host that would do and is larger than `above`, by CPU; ALLOCATION_NONE: none. */
static uint32_t next_smallest(const struct allocation_world *world, const struct allocation_request *request,
			      uint32_t host, uint32_t above)
{
	uint32_t best = ALLOCATION_NONE, least = UINT32_MAX;

	for (uint32_t vm = allocation_world_hosts(world)[host].first_vm; vm != ALLOCATION_NONE;
	     vm = allocation_world_placement(world, vm)->next) {
		uint32_t cpu = allocation_world_request(world, allocation_world_placement(world, vm)->class_id)
				       ->amount[ALLOCATION_CPU];

		if (cpu > above && (cpu < least || (cpu == least && vm < best)) && would_do(world, request, vm)) {
			best = vm;
			least = cpu;
		}
	}
	return best;
}

/* *fit is on no host when it did not work. false: out of memory. */
static bool try_host(struct rebalance_search *search, uint32_t vm, uint32_t host, const uint8_t *skip,
		     struct allocation_fit *fit)
{
	const struct allocation_request *request =
		allocation_world_request(search->world, allocation_world_placement(search->world, vm)->class_id);
	uint32_t before = search->plan->n_steps, above = 0;

	for (unsigned i = 0; i < EJECT_VMS; i++) {
		uint32_t other = next_smallest(search->world, request, host, above);
		struct allocation_fit away;

		if (other == ALLOCATION_NONE)
			break;
		above = allocation_world_request(search->world,
						 allocation_world_placement(search->world, other)->class_id)
				->amount[ALLOCATION_CPU];
		if (!rebalance_search_may(search, other) ||
		    !rebalance_best_fit(search->world, &search->rooms, other, skip, &away))
			continue;
		if (!rebalance_search_move(search, other, &away))
			return false;
		if (rebalance_best_fit(search->world, &search->rooms, vm, skip, fit))
			return true;
		rebalance_search_undo(search, before);
	}
	fit->host = ALLOCATION_NONE;
	return true;
}

bool rebalance_search_make_room(struct rebalance_search *search, uint32_t vm, const uint8_t *skip,
				struct allocation_fit *fit)
{
	const struct allocation_request *request =
		allocation_world_request(search->world, allocation_world_placement(search->world, vm)->class_id);
	uint32_t level = rebalance_rooms_need(&search->rooms, request), hosts[EJECT_HOSTS], n = 0;

	/* Those that lack least, first. Gathered before anything moves, for moving changes their order. */
	for (uint32_t lowest = level / 4; level-- > lowest && n < EJECT_HOSTS;)
		for (uint32_t host = search->rooms.first[level]; host != ALLOCATION_NONE && n < EJECT_HOSTS;
		     host = search->rooms.next[host])
			if (!skip || !skip[host])
				hosts[n++] = host;
	fit->host = ALLOCATION_NONE;
	for (uint32_t i = 0; i < n && fit->host == ALLOCATION_NONE; i++)
		if (!try_host(search, vm, hosts[i], skip, fit))
			return false;
	return true;
}
