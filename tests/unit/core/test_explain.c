/* Explanations, reliefs, capacity, preemption and gangs: known cases, and against trying everything on small worlds. */
#include <glib.h>

#include <string.h>

#include "core/allocation/explain.h"
#include "tests/unit/core/world_model.h"

struct scene {
	struct allocation_world *world;
	struct allocation_placer *placer;
};

static void scene_init(struct scene *scene, const char *strategy)
{
	scene->world = allocation_world_new();
	scene->placer = allocation_placer_new(scene->world, allocation_strategy_find(strategy), NULL, 1);
	g_assert_nonnull(scene->placer);
}

static void scene_clear(struct scene *scene)
{
	allocation_placer_free(scene->placer);
	allocation_world_free(scene->world);
}

static struct allocation_host host_of(guint32 n_nodes, guint32 cpus, guint32 memory_mib)
{
	struct allocation_host host = { .n_nodes = n_nodes, .powered = true, .capacity = { 1000, 1000 } };

	for (guint node = 0; node < n_nodes; node++) {
		host.node_capacity[node][ALLOCATION_CPU] = cpus * 1000;
		host.node_capacity[node][ALLOCATION_MEMORY] = memory_mib;
	}
	return host;
}

static struct allocation_request request_of(guint32 cpus, guint32 memory_mib)
{
	struct allocation_request request;

	memset(&request, 0, sizeof(request));
	request.amount[ALLOCATION_CPU] = cpus * 1000;
	request.amount[ALLOCATION_MEMORY] = memory_mib;
	return request;
}

static guint32 host_add(struct scene *scene, struct allocation_host host)
{
	return allocation_placer_host_add(scene->placer, &host);
}

static guint32 vm_add(struct scene *scene, const struct allocation_request *request, guint32 host, guint nodes)
{
	guint32 class_id = allocation_world_class(scene->world, request);
	struct allocation_fit fit = { host, (uint8_t)nodes };
	guint32 vm = allocation_placer_place(scene->placer, class_id, &fit, 0);

	allocation_world_class_unref(scene->world, class_id);
	return vm;
}

static struct allocation_explanation explain(struct scene *scene, const struct allocation_request *request)
{
	struct allocation_explanation explanation;
	guint32 class_id = allocation_world_class(scene->world, request);

	allocation_explain(scene->placer, class_id, 0, &explanation);
	allocation_world_class_unref(scene->world, class_id);
	return explanation;
}

/* ---- known cases ---- */

static void test_winner(void)
{
	struct scene scene;
	struct allocation_request request = request_of(2, 1024);
	struct allocation_host host = host_of(1, 4, 8192);
	struct allocation_explanation explanation;

	scene_init(&scene, "best-fit");
	host.cordoned = true;
	host_add(&scene, host);
	host_add(&scene, host_of(1, 1, 8192));
	host_add(&scene, host_of(1, 8, 8192));
	host_add(&scene, host_of(1, 3, 2048));
	host_add(&scene, host_of(1, 4, 4096));
	explanation = explain(&scene, &request);
	g_assert_cmpuint(explanation.n_hosts, ==, 5);
	g_assert_cmpuint(explanation.n_feasible, ==, 3);
	g_assert_cmpuint(explanation.ruled_out[ALLOCATION_IS_CORDONED], ==, 1);
	g_assert_cmpuint(explanation.ruled_out[ALLOCATION_LACKS_CPU], ==, 1);
	g_assert_cmpuint(explanation.winner.fit.host, ==, 3);
	g_assert_cmpint(explanation.winner.step, ==, ALLOCATION_STEP_COST);
	g_assert_cmpuint(explanation.runner_up.fit.host, ==, 4);
	g_assert_cmpint(explanation.relief.kind, ==, ALLOCATION_RELIEF_NONE);
	g_assert_cmpint(explanation.tightest, ==, ALLOCATION_CPU); /* 1 of 3 left; of memory, 1 of 2 */
	g_assert_cmpuint(explanation.tightest_left, ==, 1000);
	scene_clear(&scene);
}

static struct allocation_relief relief(struct scene *scene, const struct allocation_request *request)
{
	struct allocation_explanation explanation = explain(scene, request);

	g_assert_cmpuint(explanation.winner.fit.host, ==, ALLOCATION_NONE);
	g_assert_cmpuint(explanation.n_feasible, ==, 0);
	return explanation.relief;
}

static void test_relief(void)
{
	struct scene scene;
	struct allocation_host host = host_of(2, 8, 8192);
	struct allocation_request request = request_of(4, 10000);
	struct allocation_relief found;

	scene_init(&scene, "first-fit");
	g_assert_cmpint(relief(&scene, &request).kind, ==, ALLOCATION_RELIEF_NONE);
	host_add(&scene, host_of(1, 4, 6000));
	host_add(&scene, host);
	found = relief(&scene, &request);
	g_assert_cmpint(found.kind, ==, ALLOCATION_RELIEF_SHRINK);
	g_assert_cmpint(found.dimension, ==, ALLOCATION_MEMORY);
	g_assert_cmpuint(found.host, ==, 1);
	g_assert_cmpuint(found.amount, ==, 8192);
	request = request_of(9, 1024); /* vCPUs stay whole */
	found = relief(&scene, &request);
	g_assert_cmpint(found.dimension, ==, ALLOCATION_CPU);
	g_assert_cmpuint(found.amount, ==, 8000);
	request = request_of(9, 16384); /* too much of two: no single smaller amount helps, but both nodes do */
	found = relief(&scene, &request);
	g_assert_cmpint(found.kind, ==, ALLOCATION_RELIEF_SPLIT);
	g_assert_cmpuint(found.amount, ==, 2);
	request = request_of(1, 1024);
	request.labels_required = 4;
	found = relief(&scene, &request);
	g_assert_cmpint(found.kind, ==, ALLOCATION_RELIEF_DROP);
	g_assert_cmpint(found.constraint, ==, ALLOCATION_LACKS_LABEL);
	g_assert_cmpuint(found.host, ==, 0);
	request = request_of(1, 1024);
	request.engine = 2; /* nothing to be done about that */
	g_assert_cmpint(relief(&scene, &request).kind, ==, ALLOCATION_RELIEF_NONE);
	host.engines = 2;
	host.cordoned = true;
	host_add(&scene, host);
	found = relief(&scene, &request);
	g_assert_cmpint(found.kind, ==, ALLOCATION_RELIEF_UNCORDON);
	g_assert_cmpuint(found.host, ==, 2);
	scene_clear(&scene);
}

static void test_relief_groups(void)
{
	struct scene scene;
	struct allocation_request request = request_of(1, 1024);
	struct allocation_relief found;

	scene_init(&scene, "first-fit");
	host_add(&scene, host_of(1, 8, 8192));
	request.member_of[0] = 7;
	request.term[0] = (struct allocation_term) { .group = 7, .level = ALLOCATION_HOST, .anti = true };
	vm_add(&scene, &request, 0, 1);
	found = relief(&scene, &request);
	/* The one that is there avoids the group as well: to give up its own wish does not help. */
	g_assert_cmpint(found.kind, ==, ALLOCATION_RELIEF_NONE);
	request.member_of[0] = 0;
	found = relief(&scene, &request);
	g_assert_cmpint(found.kind, ==, ALLOCATION_RELIEF_DROP);
	g_assert_cmpint(found.constraint, ==, ALLOCATION_BREAKS_ANTI_AFFINITY);
	scene_clear(&scene);
}

static struct allocation_capacity capacity(struct scene *scene, const struct allocation_request *request, guint64 limit)
{
	struct allocation_capacity capacity;
	guint32 class_id = allocation_world_class(scene->world, request);

	g_assert_true(allocation_capacity(scene->world, class_id, limit, &capacity));
	allocation_world_class_unref(scene->world, class_id);
	return capacity;
}

static void test_capacity(void)
{
	struct scene scene;
	struct allocation_request request = request_of(2, 3000);
	struct allocation_capacity found;

	scene_init(&scene, "first-fit");
	host_add(&scene, host_of(2, 8, 8192));
	host_add(&scene, host_of(1, 4, 90000));
	host_add(&scene, host_of(1, 1, 90000));
	found = capacity(&scene, &request, 1000);
	g_assert_cmpuint(found.more, ==, 4 + 2);
	g_assert_false(found.capped);
	g_assert_cmpint(found.first_out[0], ==, ALLOCATION_LACKS_CPU);
	g_assert_cmpuint(found.stopped[ALLOCATION_LACKS_CPU], ==, 2);
	g_assert_cmpint(found.first_out[1], ==, ALLOCATION_LACKS_NUMA); /* 4384 MiB left, but on two nodes */
	g_assert_cmpint(found.first_out[2], ==, ALLOCATION_CONSTRAINTS);
	found = capacity(&scene, &request, 5);
	g_assert_cmpuint(found.more, ==, 5);
	g_assert_true(found.capped);
	request.member_of[0] = 3;
	request.term[0] = (struct allocation_term) { .group = 3, .level = ALLOCATION_HOST, .anti = true };
	found = capacity(&scene, &request, 1000);
	g_assert_cmpuint(found.more, ==, 2);
	g_assert_cmpuint(allocation_world_members(scene.world, 3), ==, 0);
	memset(request.term, 0, sizeof(request.term));
	request.spread[0] = (struct allocation_spread) { .group = 3, .level = ALLOCATION_HOST, .max_skew = 1 };
	found = capacity(&scene, &request, 1000);
	g_assert_cmpuint(found.more, ==, 2); /* the smallest host takes none: one each on the others */
	scene_clear(&scene);
}

static void test_gang(void)
{
	struct scene scene;
	struct allocation_request request = request_of(2, 1024);
	guint32 class_ids[5];
	guint32 vms[5];
	guint32 next;

	scene_init(&scene, "best-fit");
	for (guint i = 0; i < 4; i++)
		host_add(&scene, host_of(1, 3, 8192));
	for (guint i = 0; i < 5; i++)
		class_ids[i] = allocation_world_class(scene.world, &request);
	g_assert_cmpuint(allocation_placer_gang(scene.placer, class_ids, 5, 0, vms), ==, 4);
	for (guint host = 0; host < 4; host++)
		g_assert_cmpuint(allocation_world_hosts(scene.world)[host].n_vms, ==, 0);
	g_assert_null(allocation_world_verify(scene.world));
	g_assert_cmpuint(allocation_placer_gang(scene.placer, class_ids, 4, 0, vms), ==, 4);
	for (guint i = 0; i < 4; i++)
		g_assert_cmpuint(allocation_world_placement(scene.world, vms[i])->host, ==, i);
	allocation_placer_remove(scene.placer, vms[2], 5);
	g_assert_cmpuint(allocation_placer_gang(scene.placer, class_ids, 1, 0, &next), ==, 1);
	g_assert_cmpuint(next, ==, vms[2]);
	for (guint i = 0; i < 5; i++)
		allocation_world_class_unref(scene.world, class_ids[i]);
	scene_clear(&scene);
}

/* Any reservation that fits is less of a change than none at all. */
static void test_reserve(void)
{
	const guint reserve = ALLOCATION_CPU_RESERVE - ALLOCATION_NODE_DIMENSIONS;
	struct allocation_request request = request_of(1, 512);
	struct allocation_host host = host_of(1, 4, 8192);
	struct allocation_explanation found;
	struct scene scene;

	scene_init(&scene, "first-fit");
	host.capacity[reserve] = 3600;
	host_add(&scene, host);
	request.amount[ALLOCATION_CPU_RESERVE] = 3500;
	vm_add(&scene, &request, 0, 1);
	found = explain(&scene, &request);
	g_assert_cmpuint(found.ruled_out[ALLOCATION_LACKS_CPU_RESERVE], ==, 1);
	g_assert_cmpint(found.relief.kind, ==, ALLOCATION_RELIEF_SHRINK);
	g_assert_cmpint(found.relief.dimension, ==, ALLOCATION_CPU_RESERVE);
	g_assert_cmpuint(found.relief.amount, ==, 100);
	request.amount[ALLOCATION_CPU_RESERVE] = 100;
	vm_add(&scene, &request, 0, 1);
	found = explain(&scene, &request);
	g_assert_cmpint(found.relief.kind, ==, ALLOCATION_RELIEF_DROP);
	g_assert_cmpint(found.relief.constraint, ==, ALLOCATION_LACKS_CPU_RESERVE);
	scene_clear(&scene);
}

static void test_preempt(void)
{
	struct scene scene;
	struct allocation_request request = request_of(4, 1024);
	struct allocation_request low = request_of(2, 512);
	struct allocation_fit fit;
	guint32 vms[8];
	guint32 class_id;

	scene_init(&scene, "first-fit");
	host_add(&scene, host_of(1, 4, 8192));
	host_add(&scene, host_of(1, 4, 8192));
	low.priority = 1;
	vm_add(&scene, &low, 0, 1);
	vm_add(&scene, &low, 0, 1);
	low.priority = 2;
	low.amount[ALLOCATION_CPU] = 4000;
	vm_add(&scene, &low, 1, 1);
	request.priority = 1;
	class_id = allocation_world_class(scene.world, &request);
	g_assert_cmpuint(allocation_preempt(scene.world, class_id, vms, 8, &fit), ==, 0); /* nothing is lower */
	g_assert_cmpuint(fit.host, ==, ALLOCATION_NONE);
	allocation_world_class_unref(scene.world, class_id);
	request.priority = 3;
	class_id = allocation_world_class(scene.world, &request);
	g_assert_cmpuint(allocation_preempt(scene.world, class_id, vms, 8, &fit), ==, 2); /* two of 1 before one of 2 */
	g_assert_cmpuint(fit.host, ==, 0);
	g_assert_cmpuint(allocation_preempt(scene.world, class_id, vms, 1, &fit), ==, 1);
	g_assert_cmpuint(fit.host, ==, 1);
	g_assert_cmpuint(vms[0], ==, 2);
	host_add(&scene, host_of(1, 4, 8192));
	g_assert_cmpuint(allocation_preempt(scene.world, class_id, vms, 8, &fit), ==, 0); /* no need */
	g_assert_cmpuint(fit.host, ==, 2);
	allocation_world_class_unref(scene.world, class_id);
	scene_clear(&scene);
}

/* ---- random worlds ---- */

static void random_world(struct scene *scene, struct strategy_random *random, guint n_hosts, guint n_vms)
{
	for (guint i = 0; i < n_hosts; i++)
		host_add(scene, model_random_host(random));
	for (guint i = 0; i < n_vms; i++) {
		struct allocation_request request = model_random_request(random);
		struct allocation_fit fits[ALLOCATION_NODES_MAX];
		guint32 host = (guint32)strategy_random_below(random, n_hosts);

		if (allocation_world_fits(scene->world, &request, host, fits) > 0)
			vm_add(scene, &request, host, fits[0].nodes);
	}
}

static guint feasible(const struct allocation_world *world, const struct allocation_request *request)
{
	struct allocation_fit fits[ALLOCATION_NODES_MAX];
	guint n = 0;

	for (guint32 host = 0; host < allocation_world_n_hosts(world); host++)
		n += allocation_world_fits(world, request, host, fits) > 0;
	return n;
}

/* Done as told, it fits on the host named. */
static void check_relief(struct scene *scene, const struct allocation_request *request,
			 const struct allocation_relief *found)
{
	struct allocation_request eased = *request;
	struct allocation_fit fits[ALLOCATION_NODES_MAX];
	guint32 step;

	switch (found->kind) {
	case ALLOCATION_RELIEF_SHRINK:
		eased.amount[found->dimension] = found->amount;
		g_assert_cmpuint(found->amount, <, request->amount[found->dimension]);
		g_assert_cmpuint(allocation_world_fits(scene->world, &eased, found->host, fits), >, 0);
		/* Nowhere more than that. */
		step = found->dimension == ALLOCATION_HUGE_1G ? 1024 : 1;
		if (found->dimension == ALLOCATION_CPU && request->amount[ALLOCATION_CPU] % 1000 == 0)
			step = 1000;
		if (found->dimension == ALLOCATION_CPU_RESERVE && request->amount[ALLOCATION_CPU_RESERVE] % 10 == 0)
			step = 10;
		eased.amount[found->dimension] += step;
		if (eased.amount[found->dimension] < request->amount[found->dimension] &&
		    found->dimension != ALLOCATION_HUGE_2M)
			g_assert_cmpuint(feasible(scene->world, &eased), ==, 0);
		break;
	case ALLOCATION_RELIEF_SPLIT:
		eased.numa = ALLOCATION_NUMA_ANY;
		g_assert_cmpuint(allocation_world_fits(scene->world, &eased, found->host, fits), >, 0);
		g_assert_cmpint(__builtin_popcount(fits[0].nodes), ==, (gint)found->amount);
		break;
	case ALLOCATION_RELIEF_DROP:
		g_assert_cmpint(allocation_world_violates(scene->world, request, found->host), ==, found->constraint);
		break;
	case ALLOCATION_RELIEF_UNCORDON:
		g_assert_true(allocation_world_hosts(scene->world)[found->host].cordoned);
		break;
	case ALLOCATION_RELIEF_NONE:
		break;
	}
}

static void check_explanation(struct scene *scene, const struct allocation_request *request, gboolean has_headroom)
{
	struct allocation_explanation found = explain(scene, request);
	guint32 class_id = allocation_world_class(scene->world, request);
	struct allocation_decision decision;
	guint sum = found.n_feasible;

	for (guint c = 0; c < ALLOCATION_CONSTRAINTS; c++)
		sum += found.ruled_out[c];
	g_assert_cmpuint(sum, ==, found.n_hosts);
	g_assert_cmpuint(found.n_feasible, ==, feasible(scene->world, request));
	allocation_placer_decide(scene->placer, class_id, 0, &decision);
	g_assert_cmpuint(decision.fit.host, ==, found.winner.fit.host);
	/* Where a strategy knows no costs, the runner-up is found without the winner's host: which head-room may not allow. */
	if (!has_headroom)
		g_assert_cmpint(found.runner_up.fit.host != ALLOCATION_NONE, ==, found.n_feasible > 1);
	if (found.runner_up.fit.host != ALLOCATION_NONE) {
		g_assert_cmpuint(found.runner_up.fit.host, !=, found.winner.fit.host);
		g_assert_cmpuint(found.winner.penalty, <=, found.runner_up.penalty);
	}
	if (found.n_feasible == 0)
		check_relief(scene, request, &found.relief);
	else
		g_assert_cmpint(found.relief.kind, ==, ALLOCATION_RELIEF_NONE);
	allocation_world_class_unref(scene->world, class_id);
	g_assert_null(allocation_world_verify(scene->world));
}

static void check_capacity(struct scene *scene, const struct allocation_request *request)
{
	struct allocation_capacity found = capacity(scene, request, 50);

	g_assert_cmpint(found.more > 0, ==, feasible(scene->world, request) > 0);
	g_assert_true(found.capped || found.more <= 50);
	g_assert_null(allocation_world_verify(scene->world));
}

static guint64 seed(void)
{
	const char *given = g_getenv("POLDER_TEST_SEED");
	guint64 seed = given != NULL ? g_ascii_strtoull(given, NULL, 10) : 99;

	g_test_message("POLDER_TEST_SEED=%" G_GUINT64_FORMAT, seed);
	return seed;
}

static void test_random(void)
{
	static const char *const strategies[] = { "first-fit", "best-fit", "random", "power-of-d", "next-fit" };
	guint64 base = seed();
	guint n_runs = g_getenv("POLDER_TEST_LONG") != NULL ? 20000 : 300;

	for (guint run = 0; run < n_runs; run++) {
		struct strategy_random random;
		struct scene scene;

		strategy_random_init(&random, base + run);
		scene_init(&scene, strategies[run % G_N_ELEMENTS(strategies)]);
		random_world(&scene, &random, 1 + run % 7, 40);
		if (run % 4 == 0)
			allocation_world_headroom(scene.world, 1);
		for (guint i = 0; i < 30; i++) {
			struct allocation_request request = model_random_request(&random);

			request.amount[ALLOCATION_CPU] *= 1 + i % 3;
			check_explanation(&scene, &request, run % 4 == 0);
			if (i % 5 == 0)
				check_capacity(&scene, &request);
		}
		scene_clear(&scene);
	}
}

/* ---- preemption by trying everything ---- */

struct outcome {
	gint32 priority;
	guint n;
	gdouble share;
	guint32 host;
};

static gdouble share_of(const struct allocation_world *world, guint32 host, const guint32 *vms, guint set)
{
	const struct allocation_host *type = allocation_world_type(world, allocation_world_hosts(world)[host].type);
	gdouble most = 0;

	for (guint d = 0; d < ALLOCATION_DIMENSIONS; d++) {
		guint64 sum = 0;
		guint64 all = d >= ALLOCATION_NODE_DIMENSIONS ? type->capacity[d - ALLOCATION_NODE_DIMENSIONS] : 0;

		for (guint node = 0; node < type->n_nodes && d < ALLOCATION_NODE_DIMENSIONS; node++)
			all += type->node_capacity[node][d];
		for (guint i = 0; set >> i != 0; i++) {
			const struct allocation_placement *vm = allocation_world_placement(world, vms[i]);
			const struct allocation_request *request = allocation_world_request(world, vm->class_id);

			if (set >> i & 1)
				sum += d < ALLOCATION_NODE_DIMENSIONS ? model_share(request, type, d, 1, 0)
								      : request->amount[d];
		}
		if (all > 0)
			most = MAX(most, (gdouble)sum / (gdouble)all);
	}
	return most;
}

static gboolean fits_without(const struct allocation_world *world, const struct allocation_request *request,
			     guint32 host, const guint32 *vms, guint set)
{
	struct allocation_world *copy = allocation_world_copy(world);
	struct allocation_fit fits[ALLOCATION_NODES_MAX];
	gboolean ok;

	for (guint i = 0; set >> i != 0; i++)
		if (set >> i & 1)
			allocation_world_remove(copy, vms[i]);
	ok = allocation_world_fits(copy, request, host, fits) > 0;
	allocation_world_free(copy);
	return ok;
}

static gboolean is_better(const struct outcome *a, const struct outcome *b)
{
	if (b->n == 0 || a->priority != b->priority)
		return b->n == 0 || a->priority < b->priority;
	if (a->n != b->n)
		return a->n < b->n;
	return a->share < b->share;
}

static struct outcome preempt_naively(const struct allocation_world *world, const struct allocation_request *request,
				      guint n_max)
{
	struct outcome best = { 0 };

	for (guint32 host = 0; host < allocation_world_n_hosts(world); host++) {
		guint32 vms[16];
		guint n = 0;

		for (guint32 vm = 0; vm < allocation_world_n_placements(world) && n < G_N_ELEMENTS(vms); vm++) {
			const struct allocation_placement *placement = allocation_world_placement(world, vm);

			if (placement->class_id != ALLOCATION_NONE && placement->host == host &&
			    allocation_world_request(world, placement->class_id)->priority < request->priority)
				vms[n++] = vm;
		}
		for (guint set = 1; set < 1u << n; set++) {
			struct outcome next = { G_MININT32, (guint)__builtin_popcount(set), 0, host };

			if (next.n > n_max)
				continue;
			for (guint i = 0; i < n; i++) {
				const struct allocation_placement *vm = allocation_world_placement(world, vms[i]);

				if (set >> i & 1)
					next.priority = MAX(next.priority,
							    allocation_world_request(world, vm->class_id)->priority);
			}
			next.share = share_of(world, host, vms, set);
			if (is_better(&next, &best) && fits_without(world, request, host, vms, set))
				best = next;
		}
	}
	return best;
}

static void check_preemption(struct scene *scene, const struct allocation_request *request, guint n_max)
{
	struct outcome naive = preempt_naively(scene->world, request, n_max);
	guint32 class_id = allocation_world_class(scene->world, request);
	struct allocation_fit fit;
	guint32 vms[16];
	gsize n = allocation_preempt(scene->world, class_id, vms, n_max, &fit);
	gint32 priority = G_MININT32;

	g_assert_cmpuint(n, ==, naive.n);
	for (gsize i = 0; i < n; i++) {
		const struct allocation_placement *vm = allocation_world_placement(scene->world, vms[i]);

		g_assert_cmpuint(vm->host, ==, fit.host);
		priority = MAX(priority, allocation_world_request(scene->world, vm->class_id)->priority);
	}
	if (n > 0) {
		g_assert_cmpuint(fit.host, ==, naive.host);
		g_assert_cmpint(priority, ==, naive.priority);
		g_assert_cmpfloat(share_of(scene->world, fit.host, vms, (1u << n) - 1), ==, naive.share);
		g_assert_true(fits_without(scene->world, request, fit.host, vms, (1u << n) - 1));
	}
	allocation_world_class_unref(scene->world, class_id);
}

static void test_preempt_random(void)
{
	guint64 base = seed();
	guint n_runs = g_getenv("POLDER_TEST_LONG") != NULL ? 5000 : 150;
	guint n_preempted = 0;

	for (guint run = 0; run < n_runs; run++) {
		struct strategy_random random;
		struct scene scene;

		strategy_random_init(&random, base + run);
		scene_init(&scene, "first-fit");
		random_world(&scene, &random, 1 + run % 3, 16); /* no more than the naive way can take on one host */
		for (guint i = 0; i < 10; i++) {
			struct allocation_request request = model_random_request(&random);

			request.priority = 1 + (gint32)(i % 3);
			request.labels_required = request.cpu_level = request.engine = 0;
			request.amount[ALLOCATION_CPU] *= 1 + i % 2;
			if (feasible(scene.world, &request) > 0)
				continue;
			check_preemption(&scene, &request, 1 + i % 4);
			n_preempted += preempt_naively(scene.world, &request, 4).n > 0;
		}
		g_assert_null(allocation_world_verify(scene.world));
		scene_clear(&scene);
	}
	g_assert_cmpuint(n_preempted, >, n_runs / 2);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/core/explain/winner", test_winner);
	g_test_add_func("/core/explain/relief", test_relief);
	g_test_add_func("/core/explain/relief-groups", test_relief_groups);
	g_test_add_func("/core/explain/capacity", test_capacity);
	g_test_add_func("/core/explain/gang", test_gang);
	g_test_add_func("/core/explain/preempt", test_preempt);
	g_test_add_func("/core/explain/reserve", test_reserve);
	g_test_add_func("/core/explain/random", test_random);
	g_test_add_func("/core/explain/preempt-random", test_preempt_random);
	return g_test_run();
}
