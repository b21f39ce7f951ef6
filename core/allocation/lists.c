/* Where the members of a group are: lists of hosts and racks, kept from the first class on that wants to be near a group.
 *
 * One hash table holds the lists of all groups; numbers are stored + 1, 0 is none:
 *	(group, level, domain)              a: next, b: previous domain of that level with members
 *	(group, ALLOCATION_LEVELS, level)   a: first, b: how many
 * The hosts of a rack are linked by their numbers. */
#include <assert.h>
#include <stdlib.h>

#include "core/allocation/world_private.h"

struct world_lists {
	struct world_map domains;
	uint32_t *first; /* host of a rack */
	uint32_t first_capacity;
	struct list_link {
		uint32_t next, prev;
	} * hosts; /* by host */
	uint32_t hosts_capacity;
};

static uint64_t head_key(uint32_t group, uint32_t level)
{
	return world_group_key(group, ALLOCATION_LEVELS, level);
}

void world_list_join(struct allocation_world *world, uint32_t group, uint32_t level, uint32_t domain)
{
	struct world_map *map = &world->lists->domains;
	struct world_entry *head = world_map_put(map, head_key(group, level));
	uint32_t first = head->a;

	head->a = domain + 1;
	head->b++;
	if (first != 0)
		world_map_put(map, world_group_key(group, level, first - 1))->b = domain + 1;
	*world_map_put(map, world_group_key(group, level, domain)) =
		(struct world_entry) { .key = world_group_key(group, level, domain), .a = first };
}

void world_list_leave(struct allocation_world *world, uint32_t group, uint32_t level, uint32_t domain)
{
	struct world_map *map = &world->lists->domains;
	struct world_entry gone = *world_map_put(map, world_group_key(group, level, domain));
	struct world_entry *head = world_map_put(map, head_key(group, level));

	assert(head->b > 0);
	head->b--;
	if (gone.b == 0)
		head->a = gone.a;
	else
		world_map_put(map, world_group_key(group, level, gone.b - 1))->a = gone.a;
	if (gone.a != 0)
		world_map_put(map, world_group_key(group, level, gone.a - 1))->b = gone.b;
	world_map_drop(map, gone.key);
	if (world_map_get(map, head_key(group, level))->b == 0)
		world_map_drop(map, head_key(group, level));
}

bool world_lists_reserve_members(struct allocation_world *world, uint64_t n_vms)
{
	/* At each level a domain and a head. */
	return world->lists == NULL || world_map_reserve(&world->lists->domains, n_vms * ALLOCATION_MEMBER_MAX * 4);
}

bool world_lists_reserve_host(struct allocation_world *world, uint32_t host)
{
	struct world_lists *lists = world->lists;

	return lists == NULL ||
	       (world_array_reserve(&lists->first, &lists->first_capacity,
				    (uint64_t)world->domains[ALLOCATION_RACK].n + 2, sizeof(*lists->first)) &&
		world_array_reserve(&lists->hosts, &lists->hosts_capacity, (uint64_t)host + 1, sizeof(*lists->hosts)));
}

void world_list_join_rack(struct allocation_world *world, uint32_t host)
{
	struct world_lists *lists = world->lists;
	uint32_t *first;

	if (lists == NULL)
		return;
	first = &lists->first[world->hosts[host].rack];
	lists->hosts[host] = (struct list_link) { .next = *first };
	if (*first != 0)
		lists->hosts[*first - 1].prev = host + 1;
	*first = host + 1;
}

void world_list_leave_rack(struct allocation_world *world, uint32_t host)
{
	struct world_lists *lists = world->lists;
	struct list_link *link;

	if (lists == NULL)
		return;
	link = &lists->hosts[host];
	if (link->prev != 0)
		lists->hosts[link->prev - 1].next = link->next;
	else
		lists->first[world->hosts[host].rack] = link->next;
	if (link->next != 0)
		lists->hosts[link->next - 1].prev = link->prev;
}

/* ---- as a whole ---- */

void world_lists_free(struct world_lists *lists)
{
	if (lists == NULL)
		return;
	free(lists->domains.entries);
	free(lists->first);
	free(lists->hosts);
	free(lists);
}

/* The group, level and domain of a counter that is listed: of members at a host or in a rack. */
static bool is_listed(const struct world_entry *entry)
{
	return entry->key != 0 && entry->a > 0 && (entry->key >> 30 & 3) < ALLOCATION_ZONE;
}

bool world_lists_make(struct allocation_world *world)
{
	uint64_t n = 0;

	world->lists = calloc(1, sizeof(*world->lists));
	if (world->lists == NULL)
		return false;
	for (uint32_t i = 0; i < world->groups.capacity; i++)
		n += is_listed(&world->groups.entries[i]);
	if (!world_map_reserve(&world->lists->domains, 2 * n) || !world_lists_reserve_host(world, world->n_hosts)) {
		world_lists_free(world->lists);
		world->lists = NULL;
		return false;
	}
	for (uint32_t i = 0; i < world->groups.capacity; i++) {
		uint64_t key = world->groups.entries[i].key;

		if (is_listed(&world->groups.entries[i]))
			world_list_join(world, (uint32_t)(key >> 32), key >> 30 & 3, key & (WORLD_NUMBERS_MAX - 1));
	}
	for (uint32_t host = 0; host < world->n_hosts; host++)
		if (world->hosts[host].present)
			world_list_join_rack(world, host);
	return true;
}

bool world_lists_copy(struct allocation_world *to, const struct allocation_world *from)
{
	const struct world_lists *lists = from->lists;

	if (lists == NULL)
		return true;
	to->lists = calloc(1, sizeof(*to->lists));
	if (to->lists == NULL)
		return false;
	to->lists->first_capacity = lists->first_capacity;
	to->lists->hosts_capacity = lists->hosts_capacity;
	return world_map_copy(&to->lists->domains, &lists->domains) &&
	       world_array_copy(&to->lists->first, lists->first, lists->first_capacity * sizeof(*lists->first)) &&
	       world_array_copy(&to->lists->hosts, lists->hosts, lists->hosts_capacity * sizeof(*lists->hosts));
}

static bool is_list_whole(const struct allocation_world *world, uint32_t group, uint32_t level)
{
	uint32_t n = allocation_world_member_domains(world, group, level), seen = 0;

	for (uint32_t domain = ALLOCATION_NONE; seen <= n; seen++) {
		domain = allocation_world_member_domain_next(world, group, level, domain);
		if (domain == ALLOCATION_NONE)
			break;
		if (world_group_count(world, world_group_key(group, level, domain)) == 0)
			return false;
	}
	return seen == n;
}

const char *world_lists_verify(const struct allocation_world *world)
{
	uint64_t n_domains = 0, n_listed = 0;
	uint32_t n_hosts = 0, n_linked = 0;

	if (world->lists == NULL)
		return NULL;
	for (uint32_t i = 0; i < world->groups.capacity; i++)
		n_domains += is_listed(&world->groups.entries[i]);
	for (uint32_t i = 0; i < world->lists->domains.capacity; i++) {
		const struct world_entry *entry = &world->lists->domains.entries[i];

		if (entry->key == 0 || (entry->key >> 30 & 3) != ALLOCATION_LEVELS)
			continue;
		n_listed += entry->b;
		if (!is_list_whole(world, (uint32_t)(entry->key >> 32), entry->key & 3))
			return "a group's list of domains is not whole";
	}
	if (n_listed != n_domains)
		return "a group's list lacks a domain";
	for (uint32_t host = 0; host < world->n_hosts; host++)
		n_hosts += world->hosts[host].present;
	for (uint32_t rack = 1; rack < world->domains[ALLOCATION_RACK].n; rack++)
		for (uint32_t host = allocation_world_rack_next(world, rack, ALLOCATION_NONE);
		     host != ALLOCATION_NONE && n_linked <= n_hosts;
		     host = allocation_world_rack_next(world, rack, host), n_linked++)
			if (!world->hosts[host].present || world->hosts[host].rack != rack)
				return "a rack's list has another's host";
	return n_linked == n_hosts ? NULL : "a rack's list lacks a host";
}

/* ---- reading ---- */

uint32_t allocation_world_member_domains(const struct allocation_world *world, uint32_t group, uint32_t level)
{
	const struct world_entry *head;

	if (world->lists == NULL || level >= ALLOCATION_ZONE)
		return ALLOCATION_NONE;
	head = world_map_get(&world->lists->domains, head_key(group, level));
	return head != NULL ? head->b : 0;
}

uint32_t allocation_world_member_domain_next(const struct allocation_world *world, uint32_t group, uint32_t level,
					     uint32_t after)
{
	uint64_t key = after == ALLOCATION_NONE ? head_key(group, level) : world_group_key(group, level, after);
	const struct world_entry *entry = world_map_get(&world->lists->domains, key);

	return entry != NULL && entry->a != 0 ? entry->a - 1 : ALLOCATION_NONE;
}

uint32_t allocation_world_rack_hosts(const struct allocation_world *world, uint32_t rack)
{
	return world->domains[ALLOCATION_RACK].n_hosts[rack];
}

uint32_t allocation_world_rack_next(const struct allocation_world *world, uint32_t rack, uint32_t after)
{
	uint32_t next = after == ALLOCATION_NONE ? world->lists->first[rack] : world->lists->hosts[after].next;

	return next != 0 ? next - 1 : ALLOCATION_NONE;
}
