/* The tree of pools and what is charged to it. Who is admitted and whose turn it is: pool_share.c. */
#include "core/allocation/pool_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define ROOT 0u

static bool nodes_reserve(struct allocation_pools *pools, uint32_t n)
{
	uint32_t capacity = pools->capacity > 0 ? pools->capacity : 8;
	struct pool_node *nodes;

	if (n <= pools->capacity)
		return true;
	while (capacity < n)
		capacity *= 2;
	nodes = realloc(pools->nodes, capacity * sizeof(*nodes));
	if (nodes == NULL)
		return false;
	memset(&nodes[pools->capacity], 0, (capacity - pools->capacity) * sizeof(*nodes));
	pools->nodes = nodes;
	pools->capacity = capacity;
	return true;
}

struct allocation_pools *allocation_pools_new(void)
{
	struct allocation_pools *pools = calloc(1, sizeof(*pools));
	struct allocation_pool *root;

	if (pools == NULL || !nodes_reserve(pools, 1)) {
		free(pools);
		return NULL;
	}
	root = &pools->nodes[ROOT].pool;
	root->shares = 1000;
	for (unsigned d = 0; d < ALLOCATION_DIMENSIONS; d++)
		root->limit[d] = ALLOCATION_POOL_NO_LIMIT;
	root->max_vms = ALLOCATION_POOL_NO_LIMIT;
	pools->nodes[ROOT].is_there = true;
	pools->n = 1;
	return pools;
}

void allocation_pools_free(struct allocation_pools *pools)
{
	if (pools == NULL)
		return;
	free(pools->nodes);
	free(pools);
}

static bool is_there(const struct allocation_pools *pools, uint32_t index)
{
	return index < pools->n && pools->nodes[index].is_there;
}

static bool is_below(const struct allocation_pools *pools, uint32_t index, uint32_t above)
{
	while (index != above && index != ROOT)
		index = pools->nodes[index].pool.parent;
	return index == above;
}

/* ---- counting ---- */

static uint32_t depth_of(const struct allocation_pools *pools, uint32_t index)
{
	uint32_t depth = 0;

	for (; index != ROOT; index = pools->nodes[index].pool.parent)
		depth++;
	return depth;
}

static void pass_up(struct allocation_pools *pools, uint32_t index)
{
	struct pool_node *node = &pools->nodes[index];
	struct pool_node *parent = &pools->nodes[node->pool.parent];

	parent->n_children++;
	parent->n_vms += node->n_vms;
	for (unsigned d = 0; d < ALLOCATION_DIMENSIONS; d++) {
		parent->usage[d] += node->usage[d];
		parent->demand[d] += pool_claim(node, d);
		parent->promised[d] = pool_add(parent->promised[d], node->pool.reserve[d]);
	}
}

/* Everything but what is charged directly follows from the tree: the deepest pools first. */
static void recount(struct allocation_pools *pools)
{
	uint32_t deepest = 0;

	for (uint32_t i = 0; i < pools->n; i++) {
		struct pool_node *node = &pools->nodes[i];

		node->n_children = 0;
		node->n_vms = node->n_direct;
		memcpy(node->usage, node->direct, sizeof(node->usage));
		memcpy(node->demand, node->direct, sizeof(node->demand));
		memset(node->promised, 0, sizeof(node->promised));
		if (node->is_there && depth_of(pools, i) > deepest)
			deepest = depth_of(pools, i);
	}
	for (; deepest > 0; deepest--)
		for (uint32_t i = 1; i < pools->n; i++)
			if (pools->nodes[i].is_there && depth_of(pools, i) == deepest)
				pass_up(pools, i);
}

static void charge(struct allocation_pools *pools, uint32_t index, const uint32_t amount[ALLOCATION_DIMENSIONS],
		   bool take)
{
	uint64_t change[ALLOCATION_DIMENSIONS]; /* of the demand; modulo 2^64 when it falls */

	for (unsigned d = 0; d < ALLOCATION_DIMENSIONS; d++) {
		change[d] = take ? amount[d] : -(uint64_t)amount[d];
		pools->nodes[index].direct[d] += change[d];
	}
	pools->nodes[index].n_direct += take ? 1 : UINT64_MAX;
	for (;; index = pools->nodes[index].pool.parent) {
		struct pool_node *node = &pools->nodes[index];

		node->n_vms += take ? 1 : UINT64_MAX;
		for (unsigned d = 0; d < ALLOCATION_DIMENSIONS; d++) {
			uint64_t claim = pool_claim(node, d);

			node->usage[d] += take ? amount[d] : -(uint64_t)amount[d];
			node->demand[d] += change[d];
			change[d] = pool_claim(node, d) - claim;
		}
		if (index == ROOT)
			break;
	}
}

void allocation_pools_charge(struct allocation_pools *pools, uint32_t index,
			     const uint32_t amount[ALLOCATION_DIMENSIONS])
{
	assert(is_there(pools, index));
	charge(pools, index, amount, true);
}

void allocation_pools_release(struct allocation_pools *pools, uint32_t index,
			      const uint32_t amount[ALLOCATION_DIMENSIONS])
{
	assert(is_there(pools, index) && pools->nodes[index].n_direct > 0);
	charge(pools, index, amount, false);
}

/* ---- the tree ---- */

/* Whether the reservations hold what they promise, were `pool` at `index` (ALLOCATION_NONE: a new one). */
static bool is_covered(const struct allocation_pools *pools, uint32_t index, const struct allocation_pool *pool)
{
	const struct pool_node *parent = &pools->nodes[pool->parent];
	bool was_there = index != ALLOCATION_NONE && pools->nodes[index].pool.parent == pool->parent;

	for (unsigned d = 0; d < ALLOCATION_DIMENSIONS; d++) {
		uint64_t others = parent->promised[d];

		if (was_there)
			others -= pools->nodes[index].pool.reserve[d];
		if (pool->reserve[d] > pool->limit[d])
			return false;
		if (index != ALLOCATION_NONE && pools->nodes[index].promised[d] > pool->reserve[d])
			return false;
		/* A pool that reserves nothing takes nothing from anybody, whatever has become of the capacity. */
		if (pool->reserve[d] > 0 && pool_add(others, pool->reserve[d]) >
						    (pool->parent == ROOT ? pools->total[d] : parent->pool.reserve[d]))
			return false;
	}
	return true;
}

static enum allocation_pool_result root_set(struct allocation_pools *pools, const struct allocation_pool *pool)
{
	if (pool->parent != ROOT)
		return ALLOCATION_POOL_CYCLE;
	for (unsigned d = 0; d < ALLOCATION_DIMENSIONS; d++)
		if (pool->reserve[d] > 0) /* the root has the capacity */
			return ALLOCATION_POOL_OVER_PARENT;
	pools->nodes[ROOT].pool = *pool;
	return ALLOCATION_POOL_OK;
}

enum allocation_pool_result allocation_pools_set(struct allocation_pools *pools, uint32_t *index,
						 const struct allocation_pool *pool)
{
	uint32_t at = *index;

	if (at == ROOT)
		return root_set(pools, pool);
	if (!is_there(pools, pool->parent) || (at != ALLOCATION_NONE && !is_there(pools, at)))
		return ALLOCATION_POOL_NO_PARENT;
	if (at != ALLOCATION_NONE && is_below(pools, pool->parent, at))
		return ALLOCATION_POOL_CYCLE;
	if (!is_covered(pools, at, pool))
		return ALLOCATION_POOL_OVER_PARENT;
	if (at == ALLOCATION_NONE) {
		for (at = 1; at < pools->n && pools->nodes[at].is_there; at++)
			;
		if (at >= ALLOCATION_POOLS_MAX || !nodes_reserve(pools, at + 1))
			return ALLOCATION_POOL_NO_MEMORY;
		if (at == pools->n)
			pools->n++;
		pools->nodes[at] = (struct pool_node) { .is_there = true };
	}
	pools->nodes[at].pool = *pool;
	recount(pools);
	*index = at;
	return ALLOCATION_POOL_OK;
}

enum allocation_pool_result allocation_pools_remove(struct allocation_pools *pools, uint32_t index)
{
	if (!is_there(pools, index))
		return ALLOCATION_POOL_NO_PARENT;
	if (index == ROOT || pools->nodes[index].n_children > 0 || pools->nodes[index].n_direct > 0)
		return ALLOCATION_POOL_IN_USE;
	pools->nodes[index] = (struct pool_node) { 0 };
	recount(pools);
	return ALLOCATION_POOL_OK;
}

const struct allocation_pool *allocation_pools_get(const struct allocation_pools *pools, uint32_t index)
{
	return is_there(pools, index) ? &pools->nodes[index].pool : NULL;
}

void allocation_pools_capacity(struct allocation_pools *pools, const uint64_t capacity[ALLOCATION_DIMENSIONS])
{
	memcpy(pools->total, capacity, sizeof(pools->total));
}

uint64_t allocation_pools_usage(const struct allocation_pools *pools, uint32_t index, enum allocation_dimension d)
{
	return pools->nodes[index].usage[d];
}

uint64_t allocation_pools_vms(const struct allocation_pools *pools, uint32_t index)
{
	return pools->nodes[index].n_vms;
}
