/* Hosts in order of their room: the most a single NUMA node of each could still take, of CPU and memory whichever is scarcer
 * there, as a share of the largest node of all. Buckets, so that a change costs O(nodes). */
#pragma once

#include "core/allocation/world.h"

#define ROOMS_LEVELS 1024

struct rebalance_rooms {
	uint32_t n_hosts, room_for;
	uint32_t shunned; /* a host being emptied, in no bucket; ALLOCATION_NONE: none. Set by the owner, then update */
	uint32_t *next, *prev; /* [hosts] in a bucket; ALLOCATION_NONE ends */
	uint16_t *level;       /* [hosts]; ROOMS_LEVELS: in none (away, empty or cordoned) */
	uint32_t first[ROOMS_LEVELS];
	uint64_t filled[ROOMS_LEVELS / 64]; /* buckets that have a host */
	uint32_t cpu, memory;               /* of the largest node */
};

bool rebalance_rooms_init(struct rebalance_rooms *rooms,
			  const struct allocation_world *world); /* false: out of memory */
void rebalance_rooms_clear(struct rebalance_rooms *rooms);
/* After anything on the host changed. false: out of memory (the host is new). */
bool rebalance_rooms_update(struct rebalance_rooms *rooms, const struct allocation_world *world, uint32_t host);
/* The least level in which a request could fit. */
uint32_t rebalance_rooms_need(const struct rebalance_rooms *rooms, const struct allocation_request *request);
/* The next bucket that has a host, from `level` up; ROOMS_LEVELS: none. */
uint32_t rebalance_rooms_next(const struct rebalance_rooms *rooms, uint32_t level);
