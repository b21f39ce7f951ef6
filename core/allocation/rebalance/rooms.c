#include "core/allocation/rebalance/rooms.h"

#include <stdlib.h>
#include <string.h>

static uint32_t share_level(uint64_t amount, uint32_t of)
{
	uint64_t level = of ? amount * (ROOMS_LEVELS - 1) / of : ROOMS_LEVELS - 1;

	return level < ROOMS_LEVELS ? (uint32_t)level : ROOMS_LEVELS - 1;
}

static uint32_t level_of(const struct rebalance_rooms *rooms, const struct allocation_world *world, uint32_t host)
{
	const struct allocation_host_state *state = &allocation_world_hosts(world)[host];
	uint32_t best = 0;

	if (host == rooms->shunned || !state->present || !state->powered || state->cordoned || !state->n_vms)
		return ROOMS_LEVELS;
	for (uint32_t n = 0; n < state->n_nodes; n++) {
		const uint32_t *free = state->node[n].free;
		uint64_t memory =
			(uint64_t)free[ALLOCATION_MEMORY] + free[ALLOCATION_HUGE_2M] + free[ALLOCATION_HUGE_1G];
		uint32_t of_cpu = share_level(free[ALLOCATION_CPU], rooms->cpu);
		uint32_t of_memory = share_level(memory, rooms->memory),
			 level = of_cpu < of_memory ? of_cpu : of_memory;

		best = level > best ? level : best;
	}
	return best;
}

static void take_out(struct rebalance_rooms *rooms, uint32_t host)
{
	uint32_t level = rooms->level[host];

	if (level == ROOMS_LEVELS)
		return;
	if (rooms->prev[host] != ALLOCATION_NONE)
		rooms->next[rooms->prev[host]] = rooms->next[host];
	else
		rooms->first[level] = rooms->next[host];
	if (rooms->next[host] != ALLOCATION_NONE)
		rooms->prev[rooms->next[host]] = rooms->prev[host];
	if (rooms->first[level] == ALLOCATION_NONE)
		rooms->filled[level / 64] &= ~(1ull << level % 64);
	rooms->level[host] = ROOMS_LEVELS;
}

static void put_in(struct rebalance_rooms *rooms, uint32_t host, uint32_t level)
{
	rooms->level[host] = (uint16_t)level;
	if (level == ROOMS_LEVELS)
		return;
	rooms->prev[host] = ALLOCATION_NONE;
	rooms->next[host] = rooms->first[level];
	if (rooms->first[level] != ALLOCATION_NONE)
		rooms->prev[rooms->first[level]] = host;
	rooms->first[level] = host;
	rooms->filled[level / 64] |= 1ull << level % 64;
}

static bool grow(struct rebalance_rooms *rooms, uint32_t n_hosts)
{
	size_t room = n_hosts + n_hosts / 2 + 16;
	uint32_t *next, *prev;
	uint16_t *level;

	if (n_hosts > rooms->room_for) {
		next = realloc(rooms->next, room * sizeof *next);
		rooms->next = next ? next : rooms->next;
		prev = realloc(rooms->prev, room * sizeof *prev);
		rooms->prev = prev ? prev : rooms->prev;
		level = realloc(rooms->level, room * sizeof *level);
		rooms->level = level ? level : rooms->level;
		if (!next || !prev || !level)
			return false;
		rooms->room_for = (uint32_t)room;
	}
	while (rooms->n_hosts < n_hosts)
		rooms->level[rooms->n_hosts++] = ROOMS_LEVELS;
	return true;
}

static void measure(struct rebalance_rooms *rooms, const struct allocation_world *world)
{
	for (uint32_t t = 0; t < allocation_world_n_types(world); t++) {
		const struct allocation_host *type = allocation_world_type(world, t);

		for (uint32_t n = 0; n < type->n_nodes && n < ALLOCATION_NODES_MAX; n++) {
			const uint32_t *has = type->node_capacity[n];
			uint32_t memory = has[ALLOCATION_MEMORY] + has[ALLOCATION_HUGE_2M] + has[ALLOCATION_HUGE_1G];

			rooms->cpu = has[ALLOCATION_CPU] > rooms->cpu ? has[ALLOCATION_CPU] : rooms->cpu;
			rooms->memory = memory > rooms->memory ? memory : rooms->memory;
		}
	}
}

bool rebalance_rooms_init(struct rebalance_rooms *rooms, const struct allocation_world *world)
{
	*rooms = (struct rebalance_rooms) { .shunned = ALLOCATION_NONE };
	memset(rooms->first, 0xff, sizeof rooms->first);
	measure(rooms, world);
	for (uint32_t host = 0; host < allocation_world_n_hosts(world); host++)
		if (!rebalance_rooms_update(rooms, world, host))
			return false;
	return true;
}

void rebalance_rooms_clear(struct rebalance_rooms *rooms)
{
	free(rooms->level);
	free(rooms->prev);
	free(rooms->next);
	*rooms = (struct rebalance_rooms) { 0 };
}

bool rebalance_rooms_update(struct rebalance_rooms *rooms, const struct allocation_world *world, uint32_t host)
{
	uint32_t level;

	if (host >= rooms->n_hosts) {
		if (!grow(rooms, host + 1))
			return false;
		if (!rooms->cpu || !rooms->memory)
			measure(rooms, world);
	}
	level = level_of(rooms, world, host);
	if (level != rooms->level[host]) {
		take_out(rooms, host);
		put_in(rooms, host, level);
	}
	return true;
}

uint32_t rebalance_rooms_need(const struct rebalance_rooms *rooms, const struct allocation_request *request)
{
	uint32_t nodes = request->numa == ALLOCATION_NUMA_SPLIT && request->numa_nodes ? request->numa_nodes : 1;
	uint64_t memory = (uint64_t)request->amount[ALLOCATION_MEMORY] + request->amount[ALLOCATION_HUGE_2M] +
			  request->amount[ALLOCATION_HUGE_1G];
	uint32_t cpu_level = share_level(request->amount[ALLOCATION_CPU] / nodes, rooms->cpu);
	uint32_t memory_level = share_level(memory / nodes, rooms->memory);

	/* It may be spread over several: any host could do. */
	if (request->numa == ALLOCATION_NUMA_ANY &&
	    (request->amount[ALLOCATION_CPU] > rooms->cpu || memory > rooms->memory))
		return 0;
	return cpu_level > memory_level ? cpu_level : memory_level;
}

uint32_t rebalance_rooms_next(const struct rebalance_rooms *rooms, uint32_t level)
{
	for (uint32_t word = level / 64; word < ROOMS_LEVELS / 64; word++) {
		uint64_t bits = rooms->filled[word];

		if (word == level / 64)
			bits &= ~0ull << level % 64;
		if (bits)
			return word * 64 + (uint32_t)__builtin_ctzll(bits);
	}
	return ROOMS_LEVELS;
}
