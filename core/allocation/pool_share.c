/* Who is admitted, and whose turn it is. */
#include "core/allocation/pool_private.h"

#include <assert.h>

#define ROOT 0u

/* ---- admission ---- */

/* What q can give in d: its limit; the root, the capacity as well. */
static uint64_t bound_of(const struct allocation_pools *pools, uint32_t q, unsigned d)
{
	uint64_t limit = pools->nodes[q].pool.limit[d];

	return q == ROOT && pools->total[d] < limit ? pools->total[d] : limit;
}

/* How much more of d could be charged to `index` before what is spoken for in q, on the way to the root, passes its bound.
 * What is reserved on the way and not used yet is spoken for already. */
static uint64_t left_of(const struct allocation_pools *pools, uint32_t index, uint32_t q, unsigned d)
{
	uint64_t bound = bound_of(pools, q, d);
	uint64_t claim = pool_claim(&pools->nodes[q], d);
	uint64_t absorbed = 0;

	for (uint32_t at = index;; at = pools->nodes[at].pool.parent) {
		const struct pool_node *node = &pools->nodes[at];

		absorbed = pool_add(absorbed, pool_claim(node, d) - node->demand[d]);
		if (at == q)
			break;
	}
	return pool_add(absorbed, claim < bound ? bound - claim : 0);
}

/* Whether i hangs off the way from `index` to q: a child of one of them, but not itself on the way. */
static bool is_beside(const struct allocation_pools *pools, uint32_t index, uint32_t q, uint32_t i)
{
	uint32_t before = ALLOCATION_NONE;

	for (uint32_t at = index;; at = pools->nodes[at].pool.parent) {
		if (pools->nodes[i].pool.parent == at)
			return i != before;
		if (at == q)
			return false;
		before = at;
	}
}

/* Of the pools beside the way, the one that has most of d reserved and not used. */
static uint32_t holder_of(const struct allocation_pools *pools, uint32_t index, uint32_t q, unsigned d)
{
	uint32_t holder = q;
	uint64_t most = 0;

	for (uint32_t i = 1; i < pools->n; i++) {
		const struct pool_node *node = &pools->nodes[i];

		if (!node->is_there || pool_claim(node, d) - node->usage[d] <= most || !is_beside(pools, index, q, i))
			continue;
		most = pool_claim(node, d) - node->usage[d];
		holder = i;
	}
	return holder;
}

static struct allocation_pool_verdict admit_to(const struct allocation_pools *pools, uint32_t index, uint32_t q,
					       const uint32_t amount[ALLOCATION_DIMENSIONS])
{
	const struct pool_node *node = &pools->nodes[q];
	struct allocation_pool_verdict verdict = { .kind = ALLOCATION_POOL_ADMITS, .pool = q };

	if (node->n_vms >= node->pool.max_vms) {
		verdict.kind = ALLOCATION_POOL_AT_QUOTA;
		return verdict;
	}
	for (unsigned d = 0; d < ALLOCATION_DIMENSIONS; d++) {
		uint64_t after = pool_add(node->usage[d], amount[d]);
		uint64_t left = left_of(pools, index, q, d);

		verdict.dimension = d;
		if (amount[d] > 0 && after > node->pool.limit[d]) {
			verdict.kind = ALLOCATION_POOL_AT_LIMIT;
			verdict.left = node->pool.limit[d] > node->usage[d] ? node->pool.limit[d] - node->usage[d] : 0;
			return verdict;
		}
		/* Where there would not be enough without reservations either, the hosts say it better. */
		if (amount[d] > left && after <= bound_of(pools, q, d)) {
			verdict.kind = ALLOCATION_POOL_RESERVED;
			verdict.pool = holder_of(pools, index, q, d);
			verdict.left = left;
			return verdict;
		}
	}
	verdict.dimension = 0;
	return verdict;
}

struct allocation_pool_verdict allocation_pools_admit(const struct allocation_pools *pools, uint32_t index,
						      const uint32_t amount[ALLOCATION_DIMENSIONS])
{
	struct allocation_pool_verdict verdict;

	assert(index < pools->n && pools->nodes[index].is_there);
	for (uint32_t q = index;; q = pools->nodes[q].pool.parent) {
		verdict = admit_to(pools, index, q, amount);
		if (verdict.kind != ALLOCATION_POOL_ADMITS || q == ROOT)
			return verdict;
	}
}

/* ---- fairness ---- */

static double dominant(const struct allocation_pools *pools, const uint64_t usage[ALLOCATION_DIMENSIONS],
		       enum allocation_dimension *dimension)
{
	double most = 0;

	*dimension = ALLOCATION_CPU;
	for (unsigned d = 0; d < ALLOCATION_DIMENSIONS; d++) {
		double share = pools->total[d] > 0 ? (double)usage[d] / (double)pools->total[d] : 0;

		if (share <= most)
			continue;
		most = share;
		*dimension = d;
	}
	return most;
}

double allocation_pools_dominant_share(const struct allocation_pools *pools, uint32_t index,
				       enum allocation_dimension *dimension)
{
	enum allocation_dimension unused;

	return dominant(pools, pools->nodes[index].usage, dimension != NULL ? dimension : &unused);
}

/* The pool below `above` on the way to `index`; `above` where that is `index` itself; ALLOCATION_NONE: not below it. */
static uint32_t step_down(const struct allocation_pools *pools, uint32_t above, uint32_t index)
{
	uint32_t below = above;

	for (uint32_t at = index; at != above; at = pools->nodes[at].pool.parent) {
		if (at == ROOT)
			return ALLOCATION_NONE;
		below = at;
	}
	return below;
}

/* What `above` has charged directly stands beside its children as if it were one with normal shares. */
static double turn_of(const struct allocation_pools *pools, uint32_t above, uint32_t index)
{
	const struct pool_node *node = &pools->nodes[index];
	enum allocation_dimension unused;

	if (index == above)
		return dominant(pools, node->direct, &unused) / 1000;
	return dominant(pools, node->usage, &unused) / (node->pool.shares > 0 ? node->pool.shares : 1);
}

size_t allocation_pools_next(const struct allocation_pools *pools, const uint32_t *candidates, size_t n)
{
	uint32_t above = ROOT;

	assert(n >= 1);
	for (;;) {
		uint32_t best = ALLOCATION_NONE;
		double best_turn = 0;
		size_t position = 0;

		for (size_t i = 0; i < n; i++) {
			uint32_t below = step_down(pools, above, candidates[i]);
			double turn = below != ALLOCATION_NONE ? turn_of(pools, above, below) : 0;

			if (below == ALLOCATION_NONE || below == best ||
			    (best != ALLOCATION_NONE && (turn > best_turn || (turn == best_turn && below > best))))
				continue;
			best = below;
			best_turn = turn;
			position = i;
		}
		if (best == above)
			return position;
		above = best;
	}
}
