/* Counts the whole world again from its placements. */
#include "core/allocation/world_private.h"

#include <stdlib.h>

static const char *verify_list(const struct allocation_world *world, uint32_t host)
{
	const struct allocation_host_state *state = &world->hosts[host];
	uint32_t before = ALLOCATION_NONE;
	uint32_t n = 0;
	uint32_t n_exclusive = 0;
	uint32_t tenant = 0;

	for (uint32_t vm = state->first_vm; vm != ALLOCATION_NONE; vm = world->vms[vm].next, n++) {
		const struct allocation_placement *placement = &world->vms[vm];
		const struct allocation_request *request;

		if (vm >= world->n_vms || n > state->n_vms || placement->class_id == ALLOCATION_NONE)
			return "a host's list holds what is no VM";
		if (placement->host != host || placement->prev != before)
			return "a host's list is not linked both ways";
		request = &world_class_at(world, placement->class_id)->request;
		n_exclusive += request->exclusive_host != 0;
		tenant = n == 0 || tenant == request->tenant ? request->tenant : ALLOCATION_NONE;
		before = vm;
	}
	if (n != state->n_vms)
		return "a host's number of VMs is not that of its list";
	if (n_exclusive != state->n_exclusive)
		return "a host's number of exclusive VMs is not that of its list";
	return tenant == state->tenant ? NULL : "a host's tenant is not that of its list";
}

static bool is_free(uint32_t free, uint32_t capacity, uint64_t used, bool *overdrawn)
{
	if (used > capacity)
		*overdrawn = true;
	return free == (used > capacity ? 0 : capacity - used);
}

static const char *verify_account(const struct allocation_world *world, uint32_t host)
{
	const struct allocation_host_state *state = &world->hosts[host];
	const struct allocation_host *type = &world->types[state->type].host;
	struct world_used used;
	bool overdrawn = false;

	world_host_used(world, host, &used);
	for (unsigned d = 0; d < ALLOCATION_HOST_DIMENSIONS; d++)
		if (!is_free(state->free[d], type->capacity[d], used.of[d], &overdrawn))
			return "a host's capacity is not what is free and what its VMs take";
	for (unsigned node = 0; node < ALLOCATION_NODES_MAX; node++)
		for (unsigned d = 0; d < ALLOCATION_NODE_DIMENSIONS; d++)
			if (!is_free(state->node[node].free[d], type->node_capacity[node][d], used.node[node][d],
				     &overdrawn))
				return "a node's capacity is not what is free and what its VMs take";
	return overdrawn == state->overdrawn ? NULL : "a host is overdrawn and does not say so, or the reverse";
}

static const char *verify_vms(const struct allocation_world *world)
{
	uint64_t n_listed = 0;
	uint64_t n_placed = 0;
	uint32_t *refs = calloc((size_t)world->n_classes + 1, sizeof(*refs));
	const char *wrong = NULL;

	if (refs == NULL)
		return "out of memory";
	for (uint32_t host = 0; host < world->n_hosts; host++)
		n_listed += world->hosts[host].n_vms;
	for (uint32_t vm = 0; vm < world->n_vms; vm++) {
		if (world->vms[vm].class_id == ALLOCATION_NONE)
			continue;
		n_placed++;
		if (++refs[world->vms[vm].class_id] > world_class_at(world, world->vms[vm].class_id)->refs)
			wrong = "a class has fewer references than VMs";
	}
	free(refs);
	return wrong != NULL ? wrong : n_listed == n_placed ? NULL : "a VM is on no host's list";
}

/* ---- groups ---- */

static bool recount_groups(const struct allocation_world *world, struct world_map *groups)
{
	struct allocation_world again = { .hosts = world->hosts, .n_hosts = world->n_hosts };

	/* Without watches, the same code counts into a table of its own. */
	for (uint32_t vm = 0; vm < world->n_vms; vm++) {
		if (world->vms[vm].class_id == ALLOCATION_NONE)
			continue;
		if (!world_map_reserve(&again.groups, WORLD_GROUP_ENTRIES)) {
			free(again.groups.entries);
			return false;
		}
		world_groups_add(&again, &world_class_at(world, world->vms[vm].class_id)->request, world->vms[vm].host);
	}
	*groups = again.groups;
	return true;
}

static const char *verify_groups(const struct allocation_world *world)
{
	struct world_map groups = { 0 };
	const char *wrong = NULL;
	uint32_t n_counters = 0;

	if (!recount_groups(world, &groups))
		return "out of memory";
	for (uint32_t i = 0; i < world->groups.capacity; i++) {
		const struct world_entry *kept = &world->groups.entries[i];
		const struct world_entry *counted = kept->key != 0 ? world_map_get(&groups, kept->key) : NULL;
		bool is_total = (uint32_t)kept->key == ((uint32_t)ALLOCATION_LEVELS << 30 | WORLD_TOTAL);

		if (kept->key == 0)
			continue;
		n_counters += counted != NULL;
		if (kept->a != (counted != NULL ? counted->a : 0) ||
		    (!is_total && kept->b != (counted != NULL ? counted->b : 0)))
			wrong = "a group's counter is not what its members are";
	}
	if (n_counters != groups.n)
		wrong = "a group's counter is missing";
	free(groups.entries);
	return wrong;
}

/* ---- spread ---- */

static const char *verify_eligibility(const struct allocation_world *world, const struct world_eligibility *eligibility,
				      uint32_t level)
{
	uint64_t n_hosts = 0;
	uint64_t n_counted = 0;
	uint32_t n_domains = 0;

	for (uint32_t host = 0; host < world->n_hosts; host++)
		n_hosts += world->hosts[host].present && world_host_is_eligible(world, host, eligibility);
	if (level == ALLOCATION_HOST)
		return eligibility->n_domains[level] == n_hosts ? NULL : "eligible hosts are not as counted";
	for (uint32_t domain = 0; domain < world->domains[level].n; domain++) {
		n_counted += eligibility->n_hosts[level][domain];
		n_domains += eligibility->n_hosts[level][domain] > 0;
	}
	return n_hosts == n_counted && n_domains == eligibility->n_domains[level]
		       ? NULL
		       : "eligible domains are not as counted";
}

static const char *verify_watch(const struct allocation_world *world, const struct world_watch *watch)
{
	const struct world_eligibility *eligibility = &world->eligibilities[watch->eligibility];
	uint32_t n_domains = watch->level == ALLOCATION_HOST ? world->n_hosts : world->domains[watch->level].n;
	uint32_t least = 0;
	uint32_t n = 0;

	for (uint32_t domain = 0; domain < n_domains; domain++) {
		uint32_t members = world_group_count(world, world_group_key(watch->group, watch->level, domain));
		bool eligible =
			watch->level == ALLOCATION_HOST
				? world->hosts[domain].present && world_host_is_eligible(world, domain, eligibility)
				: eligibility->n_hosts[watch->level][domain] > 0;

		if (!eligible || members == 0)
			continue;
		n++;
		if (least == 0 || members < least)
			least = members;
	}
	return n == watch->n && least == watch->least ? NULL : "a spread is not as counted";
}

static const char *verify_spreads(const struct allocation_world *world)
{
	const char *wrong = NULL;

	for (uint32_t i = 0; i < world->n_eligibilities && wrong == NULL; i++)
		for (uint32_t level = 0; level < ALLOCATION_LEVELS && wrong == NULL; level++)
			wrong = verify_eligibility(world, &world->eligibilities[i], level);
	for (uint32_t i = 0; i < world->n_watches && wrong == NULL; i++)
		if (world->watches[i].group != 0)
			wrong = verify_watch(world, &world->watches[i]);
	return wrong;
}

/* ---- head-room ---- */

static const char *verify_headroom(const struct allocation_world *world)
{
	const struct world_headroom *headroom = world->headroom;

	if (headroom == NULL || !headroom->known)
		return NULL;
	for (unsigned d = 0; d < ALLOCATION_DIMENSIONS; d++) {
		uint64_t free = 0;
		uint32_t n_fuller = 0;
		uint64_t least = 0;

		for (uint32_t i = 0; i < headroom->n_fullest[d]; i++) {
			least = headroom->fullest[d][i].used;
			if (least != world_headroom_used(world, headroom->fullest[d][i].host, d))
				return "a full host is not as full as kept";
		}
		for (uint32_t host = 0; host < world->n_hosts; host++) {
			if (!world->hosts[host].present)
				continue;
			if (world_headroom_takes_vms(&world->hosts[host]))
				free += world_headroom_free(&world->hosts[host], d);
			n_fuller += world_headroom_used(world, host, d) > least;
		}
		if (free != headroom->free[d] || n_fuller > headroom->n_fullest[d])
			return "head-room is not as counted";
	}
	return NULL;
}

const char *allocation_world_verify(const struct allocation_world *world)
{
	const char *wrong = verify_vms(world);

	for (uint32_t host = 0; host < world->n_hosts && wrong == NULL; host++) {
		if (!world->hosts[host].present) {
			wrong = world->hosts[host].n_vms == 0 ? NULL : "a host that is not there has VMs";
			continue;
		}
		wrong = verify_list(world, host);
		if (wrong == NULL)
			wrong = verify_account(world, host);
	}
	if (wrong == NULL)
		wrong = verify_groups(world);
	if (wrong == NULL)
		wrong = verify_spreads(world);
	if (wrong == NULL)
		wrong = world_lists_verify(world);
	return wrong != NULL ? wrong : verify_headroom(world);
}
