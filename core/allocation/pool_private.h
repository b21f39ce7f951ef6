/* Inside the pools. For each pool q and dimension:
 *	usage(q)  what the VMs of q and of all pools below take
 *	demand(q) = direct(q) + sum of claim(child)
 *	claim(q)  = max(reserve(q), demand(q)): what is spoken for, used or not */
#pragma once

#include "core/allocation/pool.h"

struct pool_node {
	struct allocation_pool pool;
	bool is_there;
	uint32_t n_children;
	uint64_t n_vms, n_direct; /* with those below; its own */
	uint64_t usage[ALLOCATION_DIMENSIONS];
	uint64_t direct[ALLOCATION_DIMENSIONS];
	uint64_t demand[ALLOCATION_DIMENSIONS];
	uint64_t promised[ALLOCATION_DIMENSIONS]; /* sum of the children's reservations */
};

struct allocation_pools {
	struct pool_node *nodes;
	uint32_t n, capacity; /* highest index + 1; room */
	uint64_t total[ALLOCATION_DIMENSIONS];
};

static inline uint64_t pool_add(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static inline uint64_t pool_claim(const struct pool_node *node, unsigned d)
{
	return node->demand[d] > node->pool.reserve[d] ? node->demand[d] : node->pool.reserve[d];
}
