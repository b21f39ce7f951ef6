/* Affinity, anti-affinity and spread: counters per group and domain, and what follows from them. */
#include "core/allocation/world_private.h"

#include <assert.h>
#include <string.h>

#define EVERYWHERE_MAX 4096 /* domains */

uint32_t world_group_count(const struct allocation_world *world, uint64_t key)
{
	const struct world_entry *entry = world_map_get(&world->groups, key);

	return entry != NULL ? entry->a : 0;
}

bool world_has_groups(const struct allocation_request *request)
{
	return request->member_of[0] != 0 || request->term[0].group != 0;
}

bool world_is_member(const struct allocation_request *request, uint32_t group)
{
	for (unsigned i = 0; i < ALLOCATION_MEMBER_MAX; i++)
		if (request->member_of[i] == group)
			return true;
	return false;
}

/* A group named twice counts once. */
static bool is_repeated(const struct allocation_request *request, unsigned member)
{
	for (unsigned i = 0; i < member; i++)
		if (request->member_of[i] == request->member_of[member])
			return true;
	return false;
}

static bool keeps_off(const struct allocation_term *term)
{
	return term->group != 0 && term->anti && term->soft_weight == 0;
}

bool world_groups_reserve(struct allocation_world *world, const struct allocation_request *request, uint64_t n_vms)
{
	if (!world_map_reserve(&world->groups, n_vms * WORLD_GROUP_ENTRIES) ||
	    !world_lists_reserve_members(world, n_vms))
		return false;
	for (unsigned i = 0; i < ALLOCATION_MEMBER_MAX; i++) {
		uint32_t group = request->member_of[i];
		uint64_t total;

		if (group == 0)
			continue;
		total = world_group_count(world, world_group_key(group, ALLOCATION_LEVELS, WORLD_TOTAL));
		if (!world_watches_reserve(world, group, total + n_vms))
			return false;
	}
	return true;
}

/* Returns the counter's value after. */
static uint32_t shift_members(struct allocation_world *world, uint64_t key, bool add)
{
	struct world_entry *entry = world_map_put(&world->groups, key);
	uint32_t now = entry->a += add ? 1 : UINT32_MAX;

	if (now == 0 && entry->b == 0)
		world_map_drop(&world->groups, key);
	return now;
}

static void shift_avoiders(struct allocation_world *world, const struct allocation_term *term, uint32_t domain,
			   bool add)
{
	uint64_t key = world_group_key(term->group, term->level, domain);
	struct world_entry *entry = world_map_put(&world->groups, key);

	entry->b += add ? 1 : UINT32_MAX;
	if (entry->a == 0 && entry->b == 0)
		world_map_drop(&world->groups, key);
	shift_members(world, world_group_key(term->group, ALLOCATION_LEVELS, WORLD_AVOIDERS), add);
}

static void shift(struct allocation_world *world, const struct allocation_request *request, uint32_t host, bool add)
{
	const struct allocation_host_state *state = &world->hosts[host];

	for (unsigned i = 0; i < ALLOCATION_MEMBER_MAX; i++) {
		uint32_t group = request->member_of[i];
		uint64_t total_key = world_group_key(group, ALLOCATION_LEVELS, WORLD_TOTAL);
		bool watched;

		if (group == 0 || is_repeated(request, i))
			continue;
		watched = world_map_get(&world->groups, total_key) != NULL &&
			  world_map_get(&world->groups, total_key)->b != 0;
		for (uint32_t level = 0; level < ALLOCATION_LEVELS; level++) {
			uint32_t domain = world_domain(state, host, level);
			uint32_t now = shift_members(world, world_group_key(group, level, domain), add);

			if (world->lists != NULL && level < ALLOCATION_ZONE && now == add)
				(add ? world_list_join : world_list_leave)(world, group, level, domain);
			if (watched)
				world_watches_shift(world, group, level, domain,
						    (uint32_t[2]) { add ? now - 1 : now + 1, now });
		}
		shift_members(world, total_key, add);
		if (!add && watched)
			world_watches_sweep(world, group);
	}
	for (unsigned i = 0; i < ALLOCATION_TERMS_MAX; i++)
		if (keeps_off(&request->term[i]))
			shift_avoiders(world, &request->term[i], world_domain(state, host, request->term[i].level),
				       add);
}

void world_groups_add(struct allocation_world *world, const struct allocation_request *request, uint32_t host)
{
	shift(world, request, host, true);
}

void world_groups_remove(struct allocation_world *world, const struct allocation_request *request, uint32_t host)
{
	shift(world, request, host, false);
}

/* ---- what is broken ---- */

static uint32_t domain_of(const struct allocation_world *world, uint32_t level, uint32_t host)
{
	return world_domain(&world->hosts[host], host, level);
}

static bool breaks_term(const struct allocation_world *world, const struct allocation_request *request,
			const struct allocation_term *term, uint32_t domain)
{
	uint32_t there = world_group_count(world, world_group_key(term->group, term->level, domain));

	if (term->anti)
		return there > 0;
	if (there > 0)
		return false;
	/* The first of a group that wants to be together goes anywhere. */
	return !(world_is_member(request, term->group) && allocation_world_members(world, term->group) == 0);
}

static bool breaks_spread(const struct allocation_world *world, const struct allocation_request *request,
			  const struct allocation_spread *spread, uint32_t domain)
{
	uint64_t after = (uint64_t)world_group_count(world, world_group_key(spread->group, spread->level, domain)) +
			 world_is_member(request, spread->group);
	uint64_t skew = spread->max_skew > 0 ? spread->max_skew : 1;

	return after > skew && after > world_watch_least(world, request, spread) + skew;
}

/* Whether something there avoids a group that the request is a member of. */
static bool is_avoided(const struct allocation_world *world, const struct allocation_request *request, uint32_t host)
{
	const struct allocation_host_state *state = &world->hosts[host];

	for (unsigned i = 0; i < ALLOCATION_MEMBER_MAX && request->member_of[i] != 0; i++) {
		uint32_t group = request->member_of[i];

		if (world_group_count(world, world_group_key(group, ALLOCATION_LEVELS, WORLD_AVOIDERS)) == 0)
			continue;
		for (uint32_t level = 0; level < ALLOCATION_LEVELS; level++) {
			uint64_t key = world_group_key(group, level, world_domain(state, host, level));
			const struct world_entry *entry = world_map_get(&world->groups, key);

			if (entry != NULL && entry->b > 0)
				return true;
		}
	}
	return false;
}

static bool breaks_terms(const struct allocation_world *world, const struct allocation_request *request, uint32_t host,
			 bool anti)
{
	for (unsigned i = 0; i < ALLOCATION_TERMS_MAX && request->term[i].group != 0; i++) {
		const struct allocation_term *term = &request->term[i];

		if (term->soft_weight == 0 && term->anti == anti &&
		    breaks_term(world, request, term, domain_of(world, term->level, host)))
			return true;
	}
	return false;
}

enum allocation_constraint world_relations(const struct allocation_world *world,
					   const struct allocation_request *request, uint32_t host)
{
	if (breaks_terms(world, request, host, false))
		return ALLOCATION_BREAKS_AFFINITY;
	if (breaks_terms(world, request, host, true) || is_avoided(world, request, host))
		return ALLOCATION_BREAKS_ANTI_AFFINITY;
	for (unsigned i = 0; i < ALLOCATION_SPREADS_MAX && request->spread[i].group != 0; i++)
		if (request->spread[i].soft_weight == 0 &&
		    breaks_spread(world, request, &request->spread[i],
				  domain_of(world, request->spread[i].level, host)))
			return ALLOCATION_BREAKS_SPREAD;
	return ALLOCATION_CONSTRAINTS;
}

uint32_t allocation_world_penalty(const struct allocation_world *world, const struct allocation_request *request,
				  uint32_t host)
{
	uint32_t penalty = 0;

	for (unsigned i = 0; i < ALLOCATION_TERMS_MAX && request->term[i].group != 0; i++) {
		const struct allocation_term *term = &request->term[i];

		if (term->soft_weight > 0 && breaks_term(world, request, term, domain_of(world, term->level, host)))
			penalty += term->soft_weight;
	}
	for (unsigned i = 0; i < ALLOCATION_SPREADS_MAX && request->spread[i].group != 0; i++) {
		const struct allocation_spread *spread = &request->spread[i];

		if (spread->soft_weight > 0 &&
		    breaks_spread(world, request, spread, domain_of(world, spread->level, host)))
			penalty += spread->soft_weight;
	}
	return penalty;
}

/* Whether every domain of a level has members; false also where that would take long to tell. */
static bool is_everywhere(const struct allocation_world *world, uint32_t group, uint32_t level)
{
	uint32_t n = level == ALLOCATION_HOST ? world->n_hosts : world->domains[level].n;

	if (n > EVERYWHERE_MAX || n == 0 || allocation_world_members(world, group) < n - 1) /* no rack is numbered 0 */
		return false;
	while (n-- > 0) { /* the highest first: strategies tend to fill the lowest */
		bool there = level == ALLOCATION_HOST ? world->hosts[n].present : world->domains[level].n_hosts[n] > 0;

		if (there && world_group_count(world, world_group_key(group, level, n)) == 0)
			return false;
	}
	return true;
}

static bool breaks_everywhere(const struct allocation_world *world, const struct allocation_request *request,
			      const struct allocation_term *term)
{
	if (term->anti)
		return is_everywhere(world, term->group, term->level);
	return allocation_world_members(world, term->group) == 0 && !world_is_member(request, term->group);
}

bool allocation_world_floor(const struct allocation_world *world, const struct allocation_request *request,
			    uint32_t floor[ALLOCATION_LEVELS])
{
	memset(floor, 0, sizeof(uint32_t[ALLOCATION_LEVELS]));
	for (unsigned i = 0; i < ALLOCATION_TERMS_MAX && request->term[i].group != 0; i++) {
		const struct allocation_term *term = &request->term[i];

		if (!breaks_everywhere(world, request, term))
			continue;
		if (term->soft_weight == 0)
			return false;
		floor[term->level] += term->soft_weight;
	}
	return true;
}

bool allocation_world_zone_allows(const struct allocation_world *world, const struct allocation_request *request,
				  uint32_t zone, uint32_t *penalty)
{
	*penalty = 0;
	for (unsigned i = 0; i < ALLOCATION_TERMS_MAX && request->term[i].group != 0; i++) {
		const struct allocation_term *term = &request->term[i];

		if (term->level != ALLOCATION_ZONE || !breaks_term(world, request, term, zone))
			continue;
		if (term->soft_weight == 0)
			return false;
		*penalty += term->soft_weight;
	}
	for (unsigned i = 0; i < ALLOCATION_SPREADS_MAX && request->spread[i].group != 0; i++) {
		const struct allocation_spread *spread = &request->spread[i];

		if (spread->level != ALLOCATION_ZONE || !breaks_spread(world, request, spread, zone))
			continue;
		if (spread->soft_weight == 0)
			return false;
		*penalty += spread->soft_weight;
	}
	return true;
}

bool allocation_world_is_relational(const struct allocation_world *world, const struct allocation_request *request)
{
	if (request->term[0].group != 0 || request->spread[0].group != 0)
		return true;
	for (unsigned i = 0; i < ALLOCATION_MEMBER_MAX && request->member_of[i] != 0; i++)
		if (world_group_count(world,
				      world_group_key(request->member_of[i], ALLOCATION_LEVELS, WORLD_AVOIDERS)) > 0)
			return true;
	return false;
}

uint32_t allocation_world_members(const struct allocation_world *world, uint32_t group)
{
	return world_group_count(world, world_group_key(group, ALLOCATION_LEVELS, WORLD_TOTAL));
}
