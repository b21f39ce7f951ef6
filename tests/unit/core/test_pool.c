/* Pools: limits, quotas, reservations and turns, by hand and against a count of the whole tree at each question. */
#include <glib.h>

#include <string.h>

#include "core/allocation/pool.h"
#include "core/strategy/random.h"

static struct allocation_pool pool_of(guint32 parent, guint64 reserve_cpu, guint64 limit_cpu)
{
	struct allocation_pool pool = { .parent = parent, .shares = 1000, .max_vms = ALLOCATION_POOL_NO_LIMIT };

	for (guint d = 0; d < ALLOCATION_DIMENSIONS; d++)
		pool.limit[d] = ALLOCATION_POOL_NO_LIMIT;
	pool.reserve[ALLOCATION_CPU] = reserve_cpu;
	pool.limit[ALLOCATION_CPU] = limit_cpu;
	return pool;
}

static guint32 add(struct allocation_pools *pools, struct allocation_pool pool)
{
	guint32 index = ALLOCATION_NONE;

	g_assert_cmpint(allocation_pools_set(pools, &index, &pool), ==, ALLOCATION_POOL_OK);
	return index;
}

static struct allocation_pools *pools_with(guint64 cpu, guint64 memory)
{
	struct allocation_pools *pools = allocation_pools_new();
	guint64 capacity[ALLOCATION_DIMENSIONS] = { cpu, memory };

	allocation_pools_capacity(pools, capacity);
	return pools;
}

static struct allocation_pool_verdict admit(struct allocation_pools *pools, guint32 index, guint32 cpu)
{
	guint32 amount[ALLOCATION_DIMENSIONS] = { cpu };

	return allocation_pools_admit(pools, index, amount);
}

static void charge(struct allocation_pools *pools, guint32 index, guint32 cpu)
{
	guint32 amount[ALLOCATION_DIMENSIONS] = { cpu };

	allocation_pools_charge(pools, index, amount);
}

/* The example of Ghodsi et al. 2011, section 4.1: 9 CPUs and 18 GB; A's tasks take 1 CPU and 4 GB, B's 3 CPUs and 1 GB. */
static void test_drf_paper(void)
{
	struct allocation_pools *pools = pools_with(9, 18);
	guint32 both[2] = { add(pools, pool_of(0, 0, ALLOCATION_POOL_NO_LIMIT)),
			    add(pools, pool_of(0, 0, ALLOCATION_POOL_NO_LIMIT)) };
	guint32 task[2][ALLOCATION_DIMENSIONS] = { { 1, 4 }, { 3, 1 } };
	enum allocation_dimension dimension;

	for (;;) {
		size_t next = allocation_pools_next(pools, both, 2);
		guint64 cpu = allocation_pools_usage(pools, 0, ALLOCATION_CPU) + task[next][ALLOCATION_CPU];
		guint64 memory = allocation_pools_usage(pools, 0, ALLOCATION_MEMORY) + task[next][ALLOCATION_MEMORY];

		if (cpu > 9 || memory > 18)
			break;
		allocation_pools_charge(pools, both[next], task[next]);
	}
	g_assert_cmpuint(allocation_pools_vms(pools, both[0]), ==, 3);
	g_assert_cmpuint(allocation_pools_vms(pools, both[1]), ==, 2);
	g_assert_cmpfloat(allocation_pools_dominant_share(pools, both[0], &dimension), ==, 12.0 / 18);
	g_assert_cmpint(dimension, ==, ALLOCATION_MEMORY);
	g_assert_cmpfloat(allocation_pools_dominant_share(pools, both[1], &dimension), ==, 6.0 / 9);
	g_assert_cmpint(dimension, ==, ALLOCATION_CPU);
	allocation_pools_free(pools);
}

/* Turns follow the shares, at each fork for itself: a parent with twice the shares gets twice, however many it has below. */
static void test_turns(void)
{
	struct allocation_pools *pools = pools_with(90, 0);
	struct allocation_pool big = pool_of(0, 0, ALLOCATION_POOL_NO_LIMIT);
	guint32 leaves[3];
	guint32 parent;

	big.shares = 2000;
	parent = add(pools, big);
	leaves[0] = add(pools, pool_of(parent, 0, ALLOCATION_POOL_NO_LIMIT));
	leaves[1] = add(pools, pool_of(parent, 0, ALLOCATION_POOL_NO_LIMIT));
	leaves[2] = add(pools, pool_of(0, 0, ALLOCATION_POOL_NO_LIMIT));
	for (guint i = 0; i < 90; i++)
		charge(pools, leaves[allocation_pools_next(pools, leaves, 3)], 1);
	g_assert_cmpuint(allocation_pools_usage(pools, leaves[0], ALLOCATION_CPU), ==, 30);
	g_assert_cmpuint(allocation_pools_usage(pools, leaves[1], ALLOCATION_CPU), ==, 30);
	g_assert_cmpuint(allocation_pools_usage(pools, leaves[2], ALLOCATION_CPU), ==, 30);
	g_assert_cmpuint(allocation_pools_usage(pools, parent, ALLOCATION_CPU), ==, 60);
	/* A pool with children that is a candidate itself takes its turn beside them. */
	g_assert_cmpuint(allocation_pools_next(pools, (guint32[]) { leaves[0], parent }, 2), ==, 1);
	g_assert_cmpuint(allocation_pools_next(pools, (guint32[]) { 0 }, 1), ==, 0);
	allocation_pools_free(pools);
}

static void test_limits(void)
{
	struct allocation_pools *pools = pools_with(100, 0);
	guint32 parent = add(pools, pool_of(0, 0, 10));
	struct allocation_pool few = pool_of(parent, 0, ALLOCATION_POOL_NO_LIMIT);
	struct allocation_pool_verdict verdict;
	guint32 child;

	few.max_vms = 2;
	child = add(pools, few);
	charge(pools, child, 7);
	verdict = admit(pools, child, 4);
	g_assert_cmpint(verdict.kind, ==, ALLOCATION_POOL_AT_LIMIT);
	g_assert_cmpuint(verdict.pool, ==, parent);
	g_assert_cmpuint(verdict.left, ==, 3);
	g_assert_cmpint(admit(pools, child, 3).kind, ==, ALLOCATION_POOL_ADMITS);
	charge(pools, child, 1);
	verdict = admit(pools, child, 1);
	g_assert_cmpint(verdict.kind, ==, ALLOCATION_POOL_AT_QUOTA);
	g_assert_cmpuint(verdict.pool, ==, child);
	g_assert_cmpint(admit(pools, parent, 2).kind, ==, ALLOCATION_POOL_ADMITS);
	g_assert_cmpint(allocation_pools_remove(pools, child), ==, ALLOCATION_POOL_IN_USE);
	g_assert_cmpint(allocation_pools_remove(pools, parent), ==, ALLOCATION_POOL_IN_USE);
	allocation_pools_release(pools, child, (guint32[ALLOCATION_DIMENSIONS]) { 7 });
	allocation_pools_release(pools, child, (guint32[ALLOCATION_DIMENSIONS]) { 1 });
	g_assert_cmpuint(allocation_pools_usage(pools, 0, ALLOCATION_CPU), ==, 0);
	g_assert_cmpint(allocation_pools_remove(pools, child), ==, ALLOCATION_POOL_OK);
	g_assert_cmpint(allocation_pools_remove(pools, parent), ==, ALLOCATION_POOL_OK);
	g_assert_null(allocation_pools_get(pools, child));
	allocation_pools_free(pools);
}

static void test_reservations(void)
{
	struct allocation_pools *pools = pools_with(100, 0);
	guint32 gold = add(pools, pool_of(0, 60, ALLOCATION_POOL_NO_LIMIT));
	guint32 other = add(pools, pool_of(0, 0, ALLOCATION_POOL_NO_LIMIT));
	struct allocation_pool_verdict verdict;

	verdict = admit(pools, other, 41);
	g_assert_cmpint(verdict.kind, ==, ALLOCATION_POOL_RESERVED);
	g_assert_cmpuint(verdict.pool, ==, gold);
	g_assert_cmpuint(verdict.left, ==, 40);
	g_assert_cmpint(admit(pools, other, 40).kind, ==, ALLOCATION_POOL_ADMITS);
	charge(pools, gold, 50); /* used of what it has: nothing changes for the others */
	g_assert_cmpint(admit(pools, other, 41).kind, ==, ALLOCATION_POOL_RESERVED);
	g_assert_cmpint(admit(pools, other, 40).kind, ==, ALLOCATION_POOL_ADMITS);
	charge(pools, other, 40);
	g_assert_cmpint(admit(pools, gold, 10).kind, ==, ALLOCATION_POOL_ADMITS);
	g_assert_cmpint(admit(pools, other, 1).kind, ==, ALLOCATION_POOL_RESERVED);
	/* More than is free at all: not the pools' to say. */
	g_assert_cmpint(admit(pools, other, 11).kind, ==, ALLOCATION_POOL_ADMITS);
	allocation_pools_free(pools);
}

static void test_tree(void)
{
	struct allocation_pools *pools = pools_with(100, 0);
	guint32 gold = add(pools, pool_of(0, 60, 80));
	guint32 below = add(pools, pool_of(gold, 40, ALLOCATION_POOL_NO_LIMIT));
	guint32 index = ALLOCATION_NONE;
	struct allocation_pool pool = pool_of(gold, 21, ALLOCATION_POOL_NO_LIMIT);

	g_assert_cmpint(allocation_pools_set(pools, &index, &pool), ==, ALLOCATION_POOL_OVER_PARENT);
	pool = pool_of(0, 41, ALLOCATION_POOL_NO_LIMIT);
	g_assert_cmpint(allocation_pools_set(pools, &index, &pool), ==, ALLOCATION_POOL_OVER_PARENT);
	pool = pool_of(0, 11, 10);
	g_assert_cmpint(allocation_pools_set(pools, &index, &pool), ==, ALLOCATION_POOL_OVER_PARENT);
	pool = pool_of(77, 0, 10);
	g_assert_cmpint(allocation_pools_set(pools, &index, &pool), ==, ALLOCATION_POOL_NO_PARENT);
	g_assert_cmpuint(index, ==, ALLOCATION_NONE);
	pool = pool_of(below, 60, 80);
	g_assert_cmpint(allocation_pools_set(pools, &gold, &pool), ==, ALLOCATION_POOL_CYCLE);
	pool = pool_of(0, 39, 80);
	g_assert_cmpint(allocation_pools_set(pools, &gold, &pool), ==, ALLOCATION_POOL_OVER_PARENT);
	pool = pool_of(0, 100, 100);
	g_assert_cmpint(allocation_pools_set(pools, &gold, &pool), ==, ALLOCATION_POOL_OK);
	pool.limit[ALLOCATION_CPU] = 100;
	/* A limit that would not leave a sibling what it reserved. */
	index = add(pools, pool_of(gold, 0, ALLOCATION_POOL_NO_LIMIT));
	g_assert_cmpint(admit(pools, index, 61).kind, ==, ALLOCATION_POOL_RESERVED);
	g_assert_cmpuint(admit(pools, index, 61).pool, ==, below);
	g_assert_cmpint(admit(pools, index, 60).kind, ==, ALLOCATION_POOL_ADMITS);
	g_assert_cmpint(admit(pools, gold, 61).kind, ==, ALLOCATION_POOL_RESERVED);
	allocation_pools_free(pools);
}

/* ---- random trees ---- */

#define N 12
struct tree {
	struct allocation_pools *pools;
	struct allocation_pool pool[N];
	gboolean is_there[N];
	guint64 direct[N][2];
	guint64 n_vms[N];
	guint64 capacity[2];
};

static guint64 claim_of(const struct tree *tree, guint q, guint d, gboolean with_reservations)
{
	guint64 sum = tree->direct[q][d];

	for (guint i = 1; i < N; i++)
		if (tree->is_there[i] && tree->pool[i].parent == q)
			sum += claim_of(tree, i, d, with_reservations);
	return with_reservations ? MAX(sum, tree->pool[q].reserve[d]) : sum;
}

static guint64 vms_of(const struct tree *tree, guint q)
{
	guint64 sum = tree->n_vms[q];

	for (guint i = 1; i < N; i++)
		if (tree->is_there[i] && tree->pool[i].parent == q)
			sum += vms_of(tree, i);
	return sum;
}

/* What would be so with the amount charged, looked at afterwards. */
static gboolean naive_admits(struct tree *tree, guint index, const guint32 amount[2])
{
	gboolean ok = TRUE;

	tree->direct[index][0] += amount[0];
	tree->direct[index][1] += amount[1];
	for (guint q = index; ok; q = tree->pool[q].parent) {
		ok = vms_of(tree, q) < tree->pool[q].max_vms;
		for (guint d = 0; d < 2 && ok; d++) {
			guint64 bound =
				q == 0 ? MIN(tree->capacity[d], tree->pool[q].limit[d]) : tree->pool[q].limit[d];
			guint64 usage = claim_of(tree, q, d, FALSE);
			guint64 claim = claim_of(tree, q, d, TRUE);
			guint64 before;

			tree->direct[index][d] -= amount[d];
			before = claim_of(tree, q, d, TRUE);
			tree->direct[index][d] += amount[d];
			if (amount[d] > 0 && usage > tree->pool[q].limit[d])
				ok = FALSE;
			else if (claim > bound && claim > before && usage <= bound)
				ok = FALSE;
		}
		if (q == 0)
			break;
	}
	tree->direct[index][0] -= amount[0];
	tree->direct[index][1] -= amount[1];
	return ok;
}

static void tree_set(struct tree *tree, struct strategy_random *random)
{
	guint32 at = 1 + (guint32)strategy_random_below(random, N - 1);
	guint32 index = tree->is_there[at] ? at : ALLOCATION_NONE;
	struct allocation_pool pool = pool_of((guint32)strategy_random_below(random, N), 0, ALLOCATION_POOL_NO_LIMIT);

	for (guint d = 0; d < 2; d++) {
		pool.reserve[d] = strategy_random_below(random, 3) == 0 ? strategy_random_below(random, 60) : 0;
		if (strategy_random_below(random, 2) == 0)
			pool.limit[d] = strategy_random_below(random, 90);
	}
	if (strategy_random_below(random, 4) == 0)
		pool.max_vms = strategy_random_below(random, 9);
	if (index == ALLOCATION_NONE) {
		guint n = 0;

		for (guint i = 1; i < N; i++)
			n += tree->is_there[i];
		if (n == N - 1)
			return;
	}
	if (allocation_pools_set(tree->pools, &index, &pool) != ALLOCATION_POOL_OK)
		return;
	g_assert_cmpuint(index, <, N);
	tree->is_there[index] = TRUE;
	tree->pool[index] = pool;
}

static void tree_check(const struct tree *tree)
{
	for (guint q = 0; q < N; q++)
		for (guint d = 0; d < 2 && tree->is_there[q]; d++) {
			g_assert_cmpuint(allocation_pools_usage(tree->pools, q, d), ==, claim_of(tree, q, d, FALSE));
			g_assert_cmpuint(allocation_pools_vms(tree->pools, q), ==, vms_of(tree, q));
		}
}

static void tree_step(struct tree *tree, struct strategy_random *random)
{
	guint32 at = (guint32)strategy_random_below(random, N);
	guint32 amount[ALLOCATION_DIMENSIONS] = { (guint32)strategy_random_below(random, 30),
						  (guint32)strategy_random_below(random, 30) };
	struct allocation_pool_verdict verdict;

	if (strategy_random_below(random, 5) == 0)
		tree_set(tree, random);
	if (!tree->is_there[at])
		return;
	verdict = allocation_pools_admit(tree->pools, at, amount);
	g_assert_cmpint(verdict.kind == ALLOCATION_POOL_ADMITS, ==, naive_admits(tree, at, amount));
	if (verdict.kind == ALLOCATION_POOL_RESERVED) { /* what is said to be left is admitted, one more is not */
		guint32 only[ALLOCATION_DIMENSIONS] = { 0 };

		only[verdict.dimension] = (guint32)verdict.left + 1;
		g_assert_cmpint(allocation_pools_admit(tree->pools, at, only).kind, !=, ALLOCATION_POOL_ADMITS);
	}
	if (verdict.kind == ALLOCATION_POOL_ADMITS && strategy_random_below(random, 2) == 0) {
		allocation_pools_charge(tree->pools, at, amount);
		tree->direct[at][0] += amount[0];
		tree->direct[at][1] += amount[1];
		tree->n_vms[at]++;
	} else if (tree->n_vms[at] == 1) {
		memset(amount, 0, sizeof(amount));
		amount[0] = (guint32)tree->direct[at][0];
		amount[1] = (guint32)tree->direct[at][1];
		allocation_pools_release(tree->pools, at, amount);
		tree->n_vms[at] = tree->direct[at][0] = tree->direct[at][1] = 0;
		if (at != 0 && allocation_pools_remove(tree->pools, at) == ALLOCATION_POOL_OK)
			tree->is_there[at] = FALSE;
	}
}

static void test_random(void)
{
	const char *given = g_getenv("POLDER_TEST_SEED");
	guint64 seed = given != NULL ? g_ascii_strtoull(given, NULL, 10) : 7;
	guint n_runs = g_getenv("POLDER_TEST_LONG") != NULL ? 50000 : 500;

	g_test_message("POLDER_TEST_SEED=%" G_GUINT64_FORMAT, seed);
	for (guint run = 0; run < n_runs; run++) {
		struct tree tree = { .capacity = { 100, 120 } };
		struct strategy_random random;

		strategy_random_init(&random, seed + run);
		tree.pools = pools_with(100, 120);
		tree.is_there[0] = TRUE;
		tree.pool[0] = *allocation_pools_get(tree.pools, 0);
		for (guint i = 0; i < 300; i++) {
			tree_step(&tree, &random);
			tree_check(&tree);
		}
		allocation_pools_free(tree.pools);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/core/pool/drf-paper", test_drf_paper);
	g_test_add_func("/core/pool/turns", test_turns);
	g_test_add_func("/core/pool/limits", test_limits);
	g_test_add_func("/core/pool/reservations", test_reservations);
	g_test_add_func("/core/pool/tree", test_tree);
	g_test_add_func("/core/pool/random", test_random);
	return g_test_run();
}
