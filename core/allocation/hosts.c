/* Hosts come, change and go; hosts alike share a type; racks and zones get dense numbers. */
#include "core/allocation/world_private.h"

#include <assert.h>
#include <string.h>

/* ---- types ---- */

static struct allocation_host shared_part(const struct allocation_host *host)
{
	struct allocation_host part;

	memset(&part, 0, sizeof(part)); /* it is compared bytewise */
	part.n_nodes = host->n_nodes;
	for (unsigned node = 0; node < host->n_nodes; node++)
		memcpy(part.node_capacity[node], host->node_capacity[node], sizeof(part.node_capacity[node]));
	memcpy(part.capacity, host->capacity, sizeof(part.capacity));
	part.threads_per_core = host->threads_per_core;
	part.cpu_overcommit_percent = host->cpu_overcommit_percent;
	part.cpu_level = host->cpu_level;
	part.engines = host->engines;
	part.labels = host->labels;
	part.taints = host->taints;
	return part;
}

/* With one reference more; ALLOCATION_NONE: out of memory. */
static uint32_t type_ref(struct allocation_world *world, const struct allocation_host *host)
{
	struct allocation_host part = shared_part(host);
	uint64_t hash = world_hash(&part, sizeof(part));
	const struct world_entry *found = world_map_get(&world->type_of, hash);
	struct world_entry *entry;
	uint32_t type;

	for (uint32_t at = found != NULL ? found->a : 0; at != 0; at = world->types[at - 1].next) {
		/* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): both come from shared_part */
		if (memcmp(&world->types[at - 1].host, &part, sizeof(part)) == 0) {
			world->types[at - 1].refs++;
			return at - 1;
		}
	}
	if (!world_array_reserve(&world->types, &world->types_capacity, (uint64_t)world->n_types + 1,
				 sizeof(*world->types)) ||
	    !world_map_reserve(&world->type_of, 1))
		return ALLOCATION_NONE;
	type = world->free_type != 0 ? world->free_type - 1 : world->n_types++;
	if (world->free_type != 0)
		world->free_type = world->types[type].next;
	memcpy(&world->types[type].host, &part, sizeof(part));
	world->types[type].hash = hash;
	world->types[type].refs = 1;
	entry = world_map_put(&world->type_of, hash);
	world->types[type].next = entry->a;
	entry->a = type + 1;
	return type;
}

static void type_unref(struct allocation_world *world, uint32_t type)
{
	struct world_type *gone = &world->types[type];
	struct world_entry *entry;
	uint32_t *at;

	if (--gone->refs > 0)
		return;
	entry = world_map_put(&world->type_of, gone->hash);
	for (at = &entry->a; *at != type + 1; at = &world->types[*at - 1].next)
		assert(*at != 0);
	*at = gone->next;
	if (entry->a == 0)
		world_map_drop(&world->type_of, gone->hash);
	gone->next = world->free_type;
	world->free_type = type + 1;
}

/* ---- racks and zones ---- */

static uint64_t domain_key(uint32_t level, uint32_t number, uint32_t host)
{
	/* Without one: its own, named by the host's number. */
	return (uint64_t)level << 40 | (uint64_t)(number == 0) << 32 | (number == 0 ? host : number);
}

/* There is room for it. */
static uint32_t domain_join(struct allocation_world *world, uint32_t level, uint64_t key)
{
	struct world_domains *domains = &world->domains[level];
	struct world_entry *entry = world_map_put(&world->domain_of, key);

	if (entry->a == 0) {
		uint32_t number = domains->lowest > 0 ? domains->lowest : 1;

		while (number < domains->n && domains->n_hosts[number] > 0)
			number++;
		domains->lowest = number + 1;
		if (number >= domains->n)
			domains->n = number + 1;
		domains->keys[number] = key;
		entry->a = number;
	}
	domains->n_hosts[entry->a]++;
	return entry->a;
}

static void domain_leave(struct allocation_world *world, uint32_t level, uint32_t number)
{
	struct world_domains *domains = &world->domains[level];

	if (--domains->n_hosts[number] > 0)
		return;
	world_map_drop(&world->domain_of, domains->keys[number]);
	if (number < domains->lowest)
		domains->lowest = number;
}

static bool domains_reserve(struct allocation_world *world)
{
	for (uint32_t level = ALLOCATION_RACK; level < ALLOCATION_LEVELS; level++) {
		uint64_t n = (uint64_t)world->domains[level].n + 2;

		if (n >= WORLD_NUMBERS_MAX || !world_domains_reserve(world, level, n))
			return false;
	}
	return world_map_reserve(&world->domain_of, 2);
}

/* ---- hosts ---- */

/* Give an empty state its description; all it needs is reserved. Takes over a reference to `type`. */
static void describe(struct allocation_world *world, uint32_t host, const struct allocation_host *now, uint32_t type)
{
	struct allocation_host_state *state = &world->hosts[host];

	state->type = type;
	state->n_nodes = now->n_nodes;
	state->rack = domain_join(world, ALLOCATION_RACK, domain_key(ALLOCATION_RACK, now->rack, host));
	state->zone = domain_join(world, ALLOCATION_ZONE, domain_key(ALLOCATION_ZONE, now->zone, host));
	state->powered = now->powered;
	state->cordoned = now->cordoned;
	world_eligibilities_join(world, host);
	world_list_join_rack(world, host);
}

static void undescribe(struct allocation_world *world, uint32_t host)
{
	struct allocation_host_state *state = &world->hosts[host];

	world_eligibilities_leave(world, host);
	world_list_leave_rack(world, host);
	domain_leave(world, ALLOCATION_RACK, state->rack);
	domain_leave(world, ALLOCATION_ZONE, state->zone);
	type_unref(world, state->type);
}

uint32_t allocation_world_host_add(struct allocation_world *world, const struct allocation_host *host)
{
	struct allocation_host_state *state;
	uint32_t number = world->lowest_host;
	uint32_t type;

	while (number < world->n_hosts && world->hosts[number].present)
		number++;
	if (host->n_nodes == 0 || host->n_nodes > ALLOCATION_NODES_MAX || number >= WORLD_NUMBERS_MAX)
		return ALLOCATION_NONE;
	if (!world_array_reserve(&world->hosts, &world->hosts_capacity, (uint64_t)number + 1, sizeof(*world->hosts)) ||
	    !world_array_reserve(&world->tenants, &world->tenants_capacity, (uint64_t)number + 1,
				 sizeof(*world->tenants)) ||
	    !domains_reserve(world) || !world_lists_reserve_host(world, number))
		return ALLOCATION_NONE;
	type = type_ref(world, host);
	if (type == ALLOCATION_NONE)
		return ALLOCATION_NONE;
	world->lowest_host = number + 1;
	if (number == world->n_hosts)
		world->n_hosts++;
	state = &world->hosts[number];
	*state = (struct allocation_host_state) { .first_vm = ALLOCATION_NONE, .present = true };
	describe(world, number, host, type);
	world_host_recount(world, number);
	if (world->headroom != NULL)
		world->headroom->known = false;
	return number;
}

static void groups_of_host(struct allocation_world *world, uint32_t host, bool add)
{
	for (uint32_t vm = world->hosts[host].first_vm; vm != ALLOCATION_NONE; vm = world->vms[vm].next) {
		const struct allocation_request *request = &world_class_at(world, world->vms[vm].class_id)->request;

		if (world_has_groups(request) && add)
			world_groups_add(world, request, host);
		else if (world_has_groups(request))
			world_groups_remove(world, request, host);
	}
}

bool allocation_world_host_change(struct allocation_world *world, uint32_t host, const struct allocation_host *now)
{
	uint64_t entries = (uint64_t)world->hosts[host].n_vms * WORLD_GROUP_ENTRIES;
	uint32_t type;

	assert(host < world->n_hosts && world->hosts[host].present);
	if (now->n_nodes == 0 || now->n_nodes > ALLOCATION_NODES_MAX || !domains_reserve(world) ||
	    !world_map_reserve(&world->groups, entries) || !world_lists_reserve_host(world, host) ||
	    !world_lists_reserve_members(world, world->hosts[host].n_vms))
		return false;
	type = type_ref(world, now);
	if (type == ALLOCATION_NONE)
		return false;
	groups_of_host(world, host, false);
	undescribe(world, host);
	describe(world, host, now, type);
	groups_of_host(world, host, true);
	world_host_recount(world, host);
	if (world->headroom != NULL)
		world->headroom->known = false;
	return true;
}

void allocation_world_host_remove(struct allocation_world *world, uint32_t host)
{
	struct allocation_host_state *state = &world->hosts[host];

	assert(host < world->n_hosts && state->present && state->n_vms == 0);
	undescribe(world, host);
	*state = (struct allocation_host_state) { .first_vm = ALLOCATION_NONE };
	if (host < world->lowest_host)
		world->lowest_host = host;
	if (world->headroom != NULL)
		world->headroom->known = false;
}

void allocation_world_host_power(struct allocation_world *world, uint32_t host, bool powered)
{
	assert(host < world->n_hosts && world->hosts[host].present);
	world->hosts[host].powered = powered;
	if (world->headroom != NULL)
		world->headroom->known = false;
}

uint32_t allocation_world_n_hosts(const struct allocation_world *world)
{
	return world->n_hosts;
}

const struct allocation_host_state *allocation_world_hosts(const struct allocation_world *world)
{
	return world->hosts;
}

const struct allocation_host *allocation_world_type(const struct allocation_world *world, uint32_t type)
{
	return &world->types[type].host;
}

uint32_t allocation_world_n_types(const struct allocation_world *world)
{
	return world->n_types;
}
