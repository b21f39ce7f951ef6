/* Resource pools: a tree in which each pool has a reservation (kept for it even when idle), a limit, and shares that
 * divide what is contended between siblings. What a VM takes counts in its pool and all above it.
 *
 * Admission of `amount` to pool p, tested from p to the root: usage(q) + amount ≤ limit(q) for each q; and the free
 * capacity of the whole, less what other pools have reserved and not used, covers it; the same within each limit. Where it
 * would not be covered without reservations either, admission says nothing: the hosts do. Under contention pools take turns by
 * weighted dominant-resource fairness (Ghodsi et al. 2011): next is the pool whose dominant share ÷ shares is least. */
#pragma once

#include "core/allocation/resources.h"

#define ALLOCATION_POOLS_MAX     4096
#define ALLOCATION_POOL_NO_LIMIT UINT64_MAX

struct allocation_pool {
	uint32_t parent; /* index; the root (0) is its own */
	uint32_t shares; /* 1–10000; 1000 normal */
	uint64_t reserve[ALLOCATION_DIMENSIONS];
	uint64_t limit[ALLOCATION_DIMENSIONS]; /* ALLOCATION_POOL_NO_LIMIT */
	uint64_t max_vms;                      /* quota of VMs; ALLOCATION_POOL_NO_LIMIT */
};

struct allocation_pools;

struct allocation_pools *allocation_pools_new(void); /* with a root without limits; NULL: out of memory */
void allocation_pools_free(struct allocation_pools *pools);

enum allocation_pool_result {
	ALLOCATION_POOL_OK,
	ALLOCATION_POOL_NO_MEMORY,
	ALLOCATION_POOL_NO_PARENT,
	ALLOCATION_POOL_CYCLE,       /* its new parent is below it */
	ALLOCATION_POOL_OVER_PARENT, /* children's reservations exceed the parent's reservation (root: the capacity), or
	                              * the reservation exceeds the own limit */
	ALLOCATION_POOL_IN_USE,      /* has children or VMs */
};
/* allocation_pools_set(pools, index, pool): add (index == ALLOCATION_NONE) or change. On OK *index is the pool's. */
enum allocation_pool_result allocation_pools_set(struct allocation_pools *pools, uint32_t *index,
						 const struct allocation_pool *pool);
enum allocation_pool_result allocation_pools_remove(struct allocation_pools *pools, uint32_t index);
const struct allocation_pool *allocation_pools_get(const struct allocation_pools *pools, uint32_t index);

/* The capacity of all hosts together, per dimension: reservations are guaranteed out of it. */
void allocation_pools_capacity(struct allocation_pools *pools, const uint64_t capacity[ALLOCATION_DIMENSIONS]);

void allocation_pools_charge(struct allocation_pools *pools, uint32_t index,
			     const uint32_t amount[ALLOCATION_DIMENSIONS]);
void allocation_pools_release(struct allocation_pools *pools, uint32_t index,
			      const uint32_t amount[ALLOCATION_DIMENSIONS]);

struct allocation_pool_verdict {
	enum {
		ALLOCATION_POOL_ADMITS,
		ALLOCATION_POOL_AT_LIMIT,
		ALLOCATION_POOL_AT_QUOTA,
		ALLOCATION_POOL_RESERVED
	} kind;
	uint32_t pool; /* whose limit, or whose reservation it would take */
	enum allocation_dimension dimension;
	uint64_t left; /* how much would still be admitted in that dimension */
};
struct allocation_pool_verdict allocation_pools_admit(const struct allocation_pools *pools, uint32_t index,
						      const uint32_t amount[ALLOCATION_DIMENSIONS]);

uint64_t allocation_pools_usage(const struct allocation_pools *pools, uint32_t index, enum allocation_dimension d);
uint64_t allocation_pools_vms(const struct allocation_pools *pools, uint32_t index);
/* Dominant share of the pool's usage in the whole capacity, 0–1, and in which dimension. */
double allocation_pools_dominant_share(const struct allocation_pools *pools, uint32_t index,
				       enum allocation_dimension *dimension);
/* Of `n` candidate pools (indexes, n ≥ 1), the position of the one whose turn it is: compares siblings on the way down from
 * the root by dominant share ÷ shares; ties to the lower index. */
size_t allocation_pools_next(const struct allocation_pools *pools, const uint32_t *candidates, size_t n);
