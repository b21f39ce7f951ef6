/* Spread: for each watched group and level, how its members lie over the domains that a request could use. */
#include "core/allocation/world_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- eligibility ---- */

bool world_type_is_eligible(const struct allocation_host *type, const struct world_eligibility *eligibility)
{
	return (type->labels & eligibility->required) == eligibility->required &&
	       (type->labels & eligibility->forbidden) == 0 &&
	       (eligibility->engine == 0 || (type->engines & eligibility->engine) != 0);
}

bool world_host_is_eligible(const struct allocation_world *world, uint32_t host,
			    const struct world_eligibility *eligibility)
{
	return world_type_is_eligible(&world->types[world->hosts[host].type].host, eligibility);
}

static bool domain_is_eligible(const struct allocation_world *world, uint32_t level, uint32_t domain,
			       const struct world_eligibility *eligibility)
{
	return level == ALLOCATION_HOST ? world_host_is_eligible(world, domain, eligibility)
					: eligibility->n_hosts[level][domain] > 0;
}

bool world_domains_reserve(struct allocation_world *world, uint32_t level, uint64_t n)
{
	struct world_domains *domains = &world->domains[level];

	for (uint32_t i = 0; i < world->n_eligibilities; i++) {
		struct world_eligibility *eligibility = &world->eligibilities[i];

		if (!world_array_reserve(&eligibility->n_hosts[level], &eligibility->capacity[level], n,
					 sizeof(uint32_t)))
			return false;
	}
	return world_array_reserve(&domains->n_hosts, &domains->n_hosts_capacity, n, sizeof(*domains->n_hosts)) &&
	       world_array_reserve(&domains->keys, &domains->keys_capacity, n, sizeof(*domains->keys));
}

static bool eligibility_is(const struct world_eligibility *eligibility, const struct allocation_request *request)
{
	return eligibility->required == request->labels_required &&
	       eligibility->forbidden == request->labels_forbidden && eligibility->engine == request->engine;
}

static void eligibility_fill(struct allocation_world *world, struct world_eligibility *eligibility,
			     const struct allocation_request *request)
{
	eligibility->required = request->labels_required;
	eligibility->forbidden = request->labels_forbidden;
	eligibility->engine = request->engine;
	eligibility->refs = 0;
	memset(eligibility->n_domains, 0, sizeof(eligibility->n_domains));
	for (uint32_t level = ALLOCATION_RACK; level < ALLOCATION_LEVELS; level++)
		memset(eligibility->n_hosts[level], 0, eligibility->capacity[level] * sizeof(uint32_t));
	for (uint32_t host = 0; host < world->n_hosts; host++) {
		const struct allocation_host_state *state = &world->hosts[host];

		if (!state->present || !world_host_is_eligible(world, host, eligibility))
			continue;
		eligibility->n_domains[ALLOCATION_HOST]++;
		for (uint32_t level = ALLOCATION_RACK; level < ALLOCATION_LEVELS; level++)
			eligibility->n_domains[level] +=
				eligibility->n_hosts[level][world_domain(state, host, level)]++ == 0;
	}
}

/* Without a reference more; those without one are brought up to date all the same until another needs the place. */
static uint32_t eligibility_get(struct allocation_world *world, const struct allocation_request *request)
{
	uint32_t place = world->n_eligibilities;
	struct world_eligibility *eligibility;

	for (uint32_t i = 0; i < world->n_eligibilities; i++)
		if (eligibility_is(&world->eligibilities[i], request))
			return i;
	for (uint32_t i = 0; i < world->n_eligibilities && place == world->n_eligibilities; i++)
		if (world->eligibilities[i].refs == 0)
			place = i;
	if (!world_array_reserve(&world->eligibilities, &world->eligibilities_capacity, (uint64_t)place + 1,
				 sizeof(*world->eligibilities)))
		return ALLOCATION_NONE;
	eligibility = &world->eligibilities[place];
	for (uint32_t level = ALLOCATION_RACK; level < ALLOCATION_LEVELS; level++) {
		uint64_t n = world->domains[level].n_hosts_capacity > 0 ? world->domains[level].n_hosts_capacity : 1;

		if (!world_array_reserve(&eligibility->n_hosts[level], &eligibility->capacity[level], n,
					 sizeof(uint32_t)))
			return ALLOCATION_NONE;
	}
	eligibility_fill(world, eligibility, request);
	if (place == world->n_eligibilities)
		world->n_eligibilities++;
	return place;
}

/* ---- watches ---- */

static uint32_t first_watch(const struct allocation_world *world, uint32_t group)
{
	const struct world_entry *entry =
		world_map_get(&world->groups, world_group_key(group, ALLOCATION_LEVELS, WORLD_TOTAL));

	return entry != NULL ? entry->b : 0;
}

static void settle(struct world_watch *watch)
{
	if (watch->n == 0) {
		watch->least = 0;
		return;
	}
	if (watch->least == 0)
		watch->least = 1;
	while (watch->domains[watch->least] == 0)
		watch->least++;
}

static void watch_add(struct world_watch *watch, uint32_t members)
{
	if (members == 0)
		return;
	assert(members < watch->capacity);
	watch->domains[members]++;
	watch->n++;
	if (members < watch->least)
		watch->least = members;
}

static void watch_take(struct world_watch *watch, uint32_t members)
{
	if (members == 0)
		return;
	assert(watch->domains[members] > 0);
	watch->domains[members]--;
	watch->n--;
}

static void watch_fill(struct allocation_world *world, struct world_watch *watch)
{
	if (allocation_world_members(world, watch->group) == 0)
		return;
	for (uint32_t i = 0; i < world->groups.capacity; i++) {
		const struct world_entry *entry = &world->groups.entries[i];
		uint32_t domain = (uint32_t)entry->key & (WORLD_NUMBERS_MAX - 1);

		if (entry->key >> 30 == ((uint64_t)watch->group << 2 | watch->level) &&
		    domain_is_eligible(world, watch->level, domain, &world->eligibilities[watch->eligibility]))
			watch_add(watch, entry->a);
	}
	settle(watch);
}

static uint32_t watch_find(const struct allocation_world *world, const struct allocation_request *request,
			   const struct allocation_spread *spread)
{
	uint32_t at = first_watch(world, spread->group);

	while (at != 0) {
		const struct world_watch *watch = &world->watches[at - 1];

		if (watch->level == spread->level && eligibility_is(&world->eligibilities[watch->eligibility], request))
			break;
		at = watch->next;
	}
	return at;
}

bool world_watch_ref(struct allocation_world *world, const struct allocation_request *request,
		     const struct allocation_spread *spread, uint32_t *watch)
{
	uint64_t key = world_group_key(spread->group, ALLOCATION_LEVELS, WORLD_TOTAL);
	uint32_t eligibility;
	struct world_watch *made;

	*watch = watch_find(world, request, spread);
	if (*watch != 0) {
		world->watches[*watch - 1].refs++;
		return true;
	}
	eligibility = eligibility_get(world, request);
	if (eligibility == ALLOCATION_NONE || !world_map_reserve(&world->groups, 1) ||
	    !world_array_reserve(&world->watches, &world->watches_capacity, (uint64_t)world->n_watches + 1,
				 sizeof(*world->watches)))
		return false;
	made = &world->watches[world->free_watch != 0 ? world->free_watch - 1 : world->n_watches];
	if (!world_array_reserve(&made->domains, &made->capacity,
				 (uint64_t)allocation_world_members(world, spread->group) + 2, sizeof(uint32_t)))
		return false;
	*watch = (uint32_t)(made - world->watches) + 1;
	if (world->free_watch != 0)
		world->free_watch = made->next;
	else
		world->n_watches++;
	made->group = spread->group;
	made->level = spread->level;
	made->eligibility = eligibility;
	made->refs = 1;
	made->n = 0;
	made->least = UINT32_MAX;
	watch_fill(world, made);
	if (made->n == 0)
		made->least = 0;
	world->eligibilities[eligibility].refs++;
	made->next = first_watch(world, spread->group);
	world_map_put(&world->groups, key)->b = *watch;
	return true;
}

static void watch_drop(struct allocation_world *world, uint32_t watch)
{
	struct world_watch *gone = &world->watches[watch - 1];
	uint64_t key = world_group_key(gone->group, ALLOCATION_LEVELS, WORLD_TOTAL);
	struct world_entry *entry = world_map_put(&world->groups, key);
	uint32_t *at;

	for (at = &entry->b; *at != watch; at = &world->watches[*at - 1].next)
		assert(*at != 0);
	*at = gone->next;
	if (entry->a == 0 && entry->b == 0)
		world_map_drop(&world->groups, key);
	world->eligibilities[gone->eligibility].refs--;
	free(gone->domains);
	*gone = (struct world_watch) { .next = world->free_watch };
	world->free_watch = watch;
}

void world_watch_unref(struct allocation_world *world, uint32_t watch)
{
	struct world_watch *held = &world->watches[watch - 1];

	assert(held->refs > 0);
	if (--held->refs == 0 && allocation_world_members(world, held->group) == 0)
		watch_drop(world, watch);
}

void world_watches_sweep(struct allocation_world *world, uint32_t group)
{
	uint32_t at = allocation_world_members(world, group) == 0 ? first_watch(world, group) : 0;

	while (at != 0) {
		uint32_t next = world->watches[at - 1].next;

		if (world->watches[at - 1].refs == 0)
			watch_drop(world, at);
		at = next;
	}
}

bool world_watches_reserve(struct allocation_world *world, uint32_t group, uint64_t members)
{
	for (uint32_t at = first_watch(world, group); at != 0; at = world->watches[at - 1].next) {
		struct world_watch *watch = &world->watches[at - 1];

		if (!world_array_reserve(&watch->domains, &watch->capacity, members + 2, sizeof(uint32_t)))
			return false;
	}
	return true;
}

void world_watches_shift(struct allocation_world *world, uint32_t group, uint32_t level, uint32_t domain,
			 const uint32_t before_now[2])
{
	for (uint32_t at = first_watch(world, group); at != 0; at = world->watches[at - 1].next) {
		struct world_watch *watch = &world->watches[at - 1];

		if (watch->level != level ||
		    !domain_is_eligible(world, level, domain, &world->eligibilities[watch->eligibility]))
			continue;
		watch_take(watch, before_now[0]);
		watch_add(watch, before_now[1]);
		settle(watch);
	}
}

/* A domain has become eligible, or no longer is: its members count in the watches, or no longer do. */
static void domain_turned(struct allocation_world *world, uint32_t eligibility, uint32_t level, uint32_t domain,
			  bool eligible)
{
	world->eligibilities[eligibility].n_domains[level] += eligible ? 1 : UINT32_MAX;
	for (uint32_t i = 0; i < world->n_watches; i++) {
		struct world_watch *watch = &world->watches[i];
		uint32_t members;

		if (watch->group == 0 || watch->eligibility != eligibility || watch->level != level)
			continue;
		members = world_group_count(world, world_group_key(watch->group, level, domain));
		if (eligible)
			watch_add(watch, members);
		else
			watch_take(watch, members);
		if (members > 0)
			settle(watch);
	}
}

/* Of a host without members: its own are not counted meanwhile. */
void world_eligibilities_join(struct allocation_world *world, uint32_t host)
{
	const struct allocation_host_state *state = &world->hosts[host];

	for (uint32_t i = 0; i < world->n_eligibilities; i++) {
		struct world_eligibility *eligibility = &world->eligibilities[i];

		if (!world_host_is_eligible(world, host, eligibility))
			continue;
		eligibility->n_domains[ALLOCATION_HOST]++;
		for (uint32_t level = ALLOCATION_RACK; level < ALLOCATION_LEVELS; level++)
			if (eligibility->n_hosts[level][world_domain(state, host, level)]++ == 0)
				domain_turned(world, i, level, world_domain(state, host, level), true);
	}
}

void world_eligibilities_leave(struct allocation_world *world, uint32_t host)
{
	const struct allocation_host_state *state = &world->hosts[host];

	for (uint32_t i = 0; i < world->n_eligibilities; i++) {
		struct world_eligibility *eligibility = &world->eligibilities[i];

		if (!world_host_is_eligible(world, host, eligibility))
			continue;
		eligibility->n_domains[ALLOCATION_HOST]--;
		for (uint32_t level = ALLOCATION_RACK; level < ALLOCATION_LEVELS; level++)
			if (--eligibility->n_hosts[level][world_domain(state, host, level)] == 0)
				domain_turned(world, i, level, world_domain(state, host, level), false);
	}
}

/* A request that is no class has no watch: look at every host. */
static uint32_t least_by_scan(const struct allocation_world *world, const struct allocation_request *request,
			      const struct allocation_spread *spread)
{
	struct world_eligibility eligibility = { .required = request->labels_required,
						 .forbidden = request->labels_forbidden,
						 .engine = request->engine };
	uint32_t least = UINT32_MAX;

	for (uint32_t host = 0; host < world->n_hosts && least > 0; host++) {
		const struct allocation_host_state *state = &world->hosts[host];
		uint32_t domain = world_domain(state, host, spread->level);
		uint32_t members;

		if (!state->present || !world_host_is_eligible(world, host, &eligibility))
			continue;
		members = world_group_count(world, world_group_key(spread->group, spread->level, domain));
		if (members < least)
			least = members;
	}
	return least;
}

uint32_t world_watch_least(const struct allocation_world *world, const struct allocation_request *request,
			   const struct allocation_spread *spread)
{
	uint32_t at = watch_find(world, request, spread);
	const struct world_watch *watch;
	uint32_t n_domains;

	if (at == 0)
		return least_by_scan(world, request, spread);
	watch = &world->watches[at - 1];
	n_domains = world->eligibilities[watch->eligibility].n_domains[watch->level];
	return n_domains == 0 ? UINT32_MAX : n_domains > watch->n ? 0 : watch->least;
}

void world_watches_free(struct allocation_world *world)
{
	for (uint32_t i = 0; i < world->n_watches; i++)
		free(world->watches[i].domains);
	for (uint32_t i = 0; i < world->n_eligibilities; i++)
		for (uint32_t level = 0; level < ALLOCATION_LEVELS; level++)
			free(world->eligibilities[i].n_hosts[level]);
	free(world->watches);
	free(world->eligibilities);
}

/* `to` is a bytewise copy of `from` whose pointers here are NULL and counts 0. */
bool world_watches_copy(struct allocation_world *to, const struct allocation_world *from)
{
	if (!world_array_copy(&to->watches, from->watches, from->watches_capacity * sizeof(*to->watches)) ||
	    !world_array_copy(&to->eligibilities, from->eligibilities,
			      from->eligibilities_capacity * sizeof(*to->eligibilities)))
		return false;
	for (; to->n_watches < from->n_watches; to->n_watches++) {
		struct world_watch *watch = &to->watches[to->n_watches];
		const uint32_t *domains = watch->domains;

		if (!world_array_copy(&watch->domains, domains, watch->capacity * sizeof(uint32_t)))
			return false;
	}
	for (; to->n_eligibilities < from->n_eligibilities; to->n_eligibilities++) {
		struct world_eligibility *eligibility = &to->eligibilities[to->n_eligibilities];

		for (uint32_t level = 0; level < ALLOCATION_LEVELS; level++)
			eligibility->n_hosts[level] = NULL;
		for (uint32_t level = ALLOCATION_RACK; level < ALLOCATION_LEVELS; level++)
			if (!world_array_copy(&eligibility->n_hosts[level],
					      from->eligibilities[to->n_eligibilities].n_hosts[level],
					      eligibility->capacity[level] * sizeof(uint32_t))) {
				to->n_eligibilities++; /* what is copied of it is to be freed */
				return false;
			}
	}
	return true;
}
