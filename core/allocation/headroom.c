/* N+1: after a placement, what is free on the other hosts must still cover what the fullest ones hold, per dimension that
 * the request takes. The fullest are kept as a short list per dimension, longer than needed: a host that falls off its end
 * shortens it, and only when it gets too short are all hosts looked at again. */
#include "core/allocation/world_private.h"

#include <stdlib.h>
#include <string.h>

static uint64_t capacity_of(const struct allocation_world *world, const struct allocation_host_state *state, unsigned d)
{
	const struct allocation_host *type = &world->types[state->type].host;
	uint64_t sum = 0;

	if (d >= ALLOCATION_NODE_DIMENSIONS)
		return type->capacity[d - ALLOCATION_NODE_DIMENSIONS];
	for (uint32_t node = 0; node < type->n_nodes; node++)
		sum += type->node_capacity[node][d];
	return sum;
}

uint64_t world_headroom_free(const struct allocation_host_state *state, unsigned d)
{
	uint64_t sum = 0;

	if (d >= ALLOCATION_NODE_DIMENSIONS)
		return state->free[d - ALLOCATION_NODE_DIMENSIONS];
	for (uint32_t node = 0; node < state->n_nodes; node++)
		sum += state->node[node].free[d];
	return sum;
}

uint64_t world_headroom_used(const struct allocation_world *world, uint32_t host, unsigned d)
{
	const struct allocation_host_state *state = &world->hosts[host];

	return capacity_of(world, state, d) - world_headroom_free(state, d);
}

bool world_headroom_takes_vms(const struct allocation_host_state *state)
{
	return state->present && state->powered && !state->cordoned;
}

static bool is_fuller(struct world_full a, struct world_full b)
{
	return a.used != b.used ? a.used > b.used : a.host < b.host;
}

/* Insert in order; what does not fit falls off the end. */
static void insert(struct world_headroom *headroom, unsigned d, struct world_full full)
{
	struct world_full *list = headroom->fullest[d];
	uint32_t at = headroom->n_fullest[d];

	if (at == WORLD_FULLEST) {
		headroom->all[d] = false;
		if (!is_fuller(full, list[at - 1]))
			return;
		at--;
	} else {
		headroom->n_fullest[d]++;
	}
	for (; at > 0 && is_fuller(full, list[at - 1]); at--)
		list[at] = list[at - 1];
	list[at] = full;
}

static void look(const struct allocation_world *world)
{
	struct world_headroom *headroom = world->headroom;

	for (unsigned d = 0; d < ALLOCATION_DIMENSIONS; d++) {
		headroom->free[d] = 0;
		headroom->n_fullest[d] = 0;
		headroom->all[d] = true;
		for (uint32_t host = 0; host < world->n_hosts; host++) {
			const struct allocation_host_state *state = &world->hosts[host];

			if (!state->present)
				continue;
			if (world_headroom_takes_vms(state))
				headroom->free[d] += world_headroom_free(state, d);
			insert(headroom, d, (struct world_full) { host, world_headroom_used(world, host, d) });
		}
	}
	headroom->known = true;
}

void world_headroom_before(struct allocation_world *world, uint32_t host)
{
	const struct allocation_host_state *state = &world->hosts[host];

	if (world->headroom->known && world_headroom_takes_vms(state))
		for (unsigned d = 0; d < ALLOCATION_DIMENSIONS; d++)
			world->headroom->free[d] -= world_headroom_free(state, d);
}

static void refile(struct world_headroom *headroom, unsigned d, struct world_full full)
{
	struct world_full *list = headroom->fullest[d];
	struct world_full last = { ALLOCATION_NONE, 0 };
	uint32_t n = headroom->n_fullest[d];
	uint32_t at = 0;

	if (n > 0)
		last = list[n - 1];
	while (at < n && list[at].host != full.host)
		at++;
	if (at < n) {
		memmove(&list[at], &list[at + 1], (n - at - 1) * sizeof(*list));
		headroom->n_fullest[d]--;
	}
	/* Those not listed are at most as full as the last that was: a host below it need not be next. */
	if (headroom->all[d] || (n > 0 && !is_fuller(last, full)))
		insert(headroom, d, full);
}

void world_headroom_after(struct allocation_world *world, uint32_t host)
{
	const struct allocation_host_state *state = &world->hosts[host];
	struct world_headroom *headroom = world->headroom;

	if (!headroom->known)
		return;
	for (unsigned d = 0; d < ALLOCATION_DIMENSIONS; d++) {
		if (world_headroom_takes_vms(state))
			headroom->free[d] += world_headroom_free(state, d);
		refile(headroom, d, (struct world_full) { host, world_headroom_used(world, host, d) });
		if (!headroom->all[d] && headroom->n_fullest[d] < headroom->hosts + 1)
			headroom->known = false;
	}
}

/* With `host` holding `more` of d. */
static bool covers(const struct allocation_world *world, uint32_t host, unsigned d, uint64_t more)
{
	const struct world_headroom *headroom = world->headroom;
	struct world_full full = { host, world_headroom_used(world, host, d) + more };
	uint64_t rest = headroom->free[d] - more;
	uint64_t held = 0;
	uint32_t n = 0;
	bool counted = false;

	for (uint32_t i = 0; n < headroom->hosts; i++) {
		struct world_full next = full;

		if (i < headroom->n_fullest[d] && headroom->fullest[d][i].host == host)
			continue;
		if (i < headroom->n_fullest[d] && (counted || is_fuller(headroom->fullest[d][i], full)))
			next = headroom->fullest[d][i];
		else if (counted)
			break; /* that is all hosts */
		else
			i--; /* `host` comes before this one */
		counted |= next.host == host;
		held += next.used;
		if (world_headroom_takes_vms(&world->hosts[next.host]))
			rest -= world_headroom_free(&world->hosts[next.host], d) - (next.host == host ? more : 0);
		n++;
	}
	return rest >= held;
}

bool world_headroom_allows(const struct allocation_world *world, const struct allocation_request *request,
			   uint32_t host)
{
	const struct allocation_host *type = &world->types[world->hosts[host].type].host;
	uint32_t total[ALLOCATION_NODE_DIMENSIONS];

	if (!world->headroom->known)
		look(world);
	world_total(request, type, total);
	for (unsigned d = 0; d < ALLOCATION_DIMENSIONS; d++) {
		uint32_t more = d < ALLOCATION_NODE_DIMENSIONS ? total[d] : request->amount[d];

		if (more > 0 && !covers(world, host, d, more))
			return false;
	}
	return true;
}

void allocation_world_headroom(struct allocation_world *world, uint32_t hosts)
{
	if (hosts == 0) {
		free(world->headroom);
		world->headroom = NULL;
		return;
	}
	if (world->headroom == NULL)
		world->headroom = calloc(1, sizeof(*world->headroom));
	if (world->headroom == NULL)
		return;
	world->headroom->hosts = hosts < WORLD_HEADROOM_HOSTS_MAX ? hosts : WORLD_HEADROOM_HOSTS_MAX;
	world->headroom->known = false;
}
