/* Learned lifetimes, the account of shapes, and emptying hosts. */
#include <glib.h>
#include <string.h>

#include "core/allocation/migrate.h"
#include "core/allocation/strategies/lifetime_model.h"
#include "core/allocation/strategies/shapes.h"
#include "core/allocation/strategies/strategies.h"
#include "strategy_walk.h"
#include "world_model.h"

#define MINUTE_MS 60000

static struct allocation_request a_request(guint32 cpus, guint32 memory_mib, guint32 batch)
{
	struct allocation_request request;

	memset(&request, 0, sizeof request);
	request.amount[ALLOCATION_CPU] = cpus * 1000;
	request.amount[ALLOCATION_MEMORY] = memory_mib;
	request.batch = batch;
	return request;
}

/* Kind A lives ten minutes, kind B a day. */
static void test_model_learns_kinds(void)
{
	struct lifetime_model *model = g_new(struct lifetime_model, 1);
	struct allocation_request quick = a_request(1, 1024, 0), slow = a_request(4, 8192, 0);

	g_assert_true(lifetime_model_init(model));
	const double *at_first = lifetime_model_survival_new(model, &quick);
	for (unsigned i = 1; i < LIFETIME_STEPS; i++)
		g_assert_cmpfloat(at_first[i], <=, at_first[i - 1]);
	for (guint32 i = 0; i < 400; i++) {
		g_assert_true(lifetime_model_place(model, i % 2 ? &slow : &quick, i, 0));
		if (i % 2 == 0)
			lifetime_model_end(model, i, 10 * MINUTE_MS);
	}
	for (gint64 minute = 5; minute <= 24 * 60; minute += 5)
		lifetime_model_learn(model, minute * MINUTE_MS);
	/* Half an hour from now: */
	g_assert_cmpfloat(lifetime_model_survival_new(model, &quick)[4], <, 0.2);
	g_assert_cmpfloat(lifetime_model_survival_new(model, &slow)[4], >, 0.8);
	lifetime_model_clear(model);
	g_free(model);
}

/* Of two VMs alike and of one age, the one whose mates all ended is expected to end sooner. */
static void test_model_heeds_mates(void)
{
	struct lifetime_model *model = g_new(struct lifetime_model, 1);
	struct allocation_request ending = a_request(2, 4096, 7), staying = a_request(2, 4096, 8);
	double one[LIFETIME_STEPS], other[LIFETIME_STEPS];

	g_assert_true(lifetime_model_init(model));
	for (guint32 i = 0; i < 10; i++) {
		g_assert_true(lifetime_model_place(model, &ending, i, 0));
		g_assert_true(lifetime_model_place(model, &staying, 10 + i, 0));
	}
	for (gint64 minute = 5; minute <= 60; minute += 5)
		lifetime_model_learn(model, minute * MINUTE_MS);
	for (guint32 i = 0; i < 9; i++)
		lifetime_model_end(model, i, 61 * MINUTE_MS);
	lifetime_model_survival(model, 9, 61 * MINUTE_MS, one);
	lifetime_model_survival(model, 19, 61 * MINUTE_MS, other);
	for (unsigned i = 0; i < LIFETIME_STEPS; i++) {
		g_assert_cmpfloat(one[i], <, other[i]);
		g_assert_cmpfloat(one[i], >=, 0);
		g_assert_cmpfloat(other[i], <=, 1);
	}
	/* A batch is forgotten with its last VM, and its room is used again. */
	lifetime_model_end(model, 9, 62 * MINUTE_MS);
	guint32 n = model->n_batches;
	ending.batch = 9;
	g_assert_true(lifetime_model_place(model, &ending, 0, 62 * MINUTE_MS));
	g_assert_cmpuint(model->n_batches, ==, n);
	lifetime_model_clear(model);
	g_free(model);
}

static struct allocation_host a_host(void)
{
	return (struct allocation_host) { .n_nodes = 2,
					  .node_capacity = { { 40000, 92160 }, { 40000, 92160 } },
					  .powered = true };
}

static guint32 place(struct allocation_placer *placer, const struct allocation_request *request, guint32 host,
		     gint64 now_ms)
{
	struct allocation_world *world = allocation_placer_world(placer);
	guint32 class_id = allocation_world_class(world, request);
	guint32 vm = allocation_placer_place(placer, class_id, &(struct allocation_fit) { host, 1 }, now_ms);

	g_assert_cmpuint(vm, !=, ALLOCATION_NONE);
	allocation_world_class_unref(world, class_id);
	return vm;
}

/* Taught that small VMs end soon and large ones last: a large VM goes to the host that will stay on anyhow, though the
 * other is fuller. */
static void test_places_by_lifetime(void)
{
	struct allocation_world *world = allocation_world_new();
	struct allocation_host host = a_host();
	struct allocation_request quick = a_request(1, 2048, 0), slow = a_request(4, 8192, 0);
	struct strategy_values values;
	struct allocation_decision decision;

	strategy_values_init(&strategy_lifetime.info, &values);
	g_assert_cmpint(strategy_values_set(&strategy_lifetime.info, &values, "fragmentation", 13, "0"), ==,
			STRATEGY_SET_OK);
	struct allocation_placer *placer = allocation_placer_new(world, &strategy_lifetime, &values, 1);
	for (guint i = 0; i < 2; i++)
		allocation_placer_host_add(placer, &host);
	for (guint round = 0; round < 100; round++) {
		gint64 start = (gint64)round * 3600000;
		guint32 vm = place(placer, &quick, 0, start);

		if (round < 7)
			place(placer, &slow, 1, start);
		allocation_placer_remove(placer, vm, start + 10 * MINUTE_MS);
	}
	for (guint i = 0; i < 36; i++)
		place(placer, &quick, 0, 360000000);
	guint32 class_id = allocation_world_class(world, &slow);
	allocation_placer_decide(placer, class_id, 360000000, &decision);
	g_assert_cmpuint(decision.fit.host, ==, 1);

	/* Without its lifetimes it takes the fullest. */
	strategy_values_set(&strategy_lifetime.info, &values, "extension", 9, "0");
	g_assert_true(allocation_placer_switch(placer, &strategy_lifetime, &values, 1));
	allocation_placer_decide(placer, class_id, 360000000, &decision);
	g_assert_cmpuint(decision.fit.host, ==, 0);
	allocation_placer_free(placer);
	allocation_world_free(world);
}

/* A snapshot has no memory of the past: made anew the strategy decides the same in all but that. */
static void test_made_anew(void)
{
	struct strategy_random random;
	struct allocation_world *world = allocation_world_new();
	struct strategy_values values;

	strategy_random_init(&random, walk_seed(31));
	strategy_values_init(&strategy_lifetime.info, &values);
	strategy_values_set(&strategy_lifetime.info, &values, "extension", 9, "0");
	struct allocation_placer *placer = allocation_placer_new(world, &strategy_lifetime, &values, 1);
	for (guint i = 0; i < 20; i++) {
		struct allocation_host host = model_random_host(&random);
		allocation_placer_host_add(placer, &host);
	}
	guint placed = 0;
	for (guint step = 0; step < 400; step++) {
		struct allocation_request request = model_random_request(&random);
		guint32 class_id = allocation_world_class(world, &request);
		struct allocation_decision updated, made, again;

		allocation_placer_decide(placer, class_id, step * 1000, &updated);
		void *anew = strategy_lifetime.new(world, &values, 1), *other = strategy_lifetime.new(world, NULL, 1);
		void *same = strategy_lifetime.new(world, NULL, 1);
		strategy_lifetime.decide(anew, world, class_id, step * 1000, &made);
		g_assert_cmpuint(made.fit.host, ==, updated.fit.host);
		g_assert_cmpuint(made.fit.nodes, ==, updated.fit.nodes);
		strategy_lifetime.decide(other, world, class_id, step * 1000, &made);
		strategy_lifetime.decide(same, world, class_id, step * 1000, &again);
		g_assert_cmpuint(made.fit.host, ==, again.fit.host);
		strategy_lifetime.free(anew);
		strategy_lifetime.free(other);
		strategy_lifetime.free(same);
		if (updated.fit.host != ALLOCATION_NONE) {
			guint32 vm = allocation_placer_place(placer, class_id, &updated.fit, step * 1000);

			placed++;
			if (strategy_random_below(&random, 3) == 0)
				allocation_placer_remove(placer, vm, step * 1000 + 500);
		}
		allocation_world_class_unref(world, class_id);
	}
	g_assert_cmpuint(placed, >, 40);
	allocation_placer_free(placer);
	allocation_world_free(world);
}

static void test_shapes(void)
{
	struct shapes shapes;
	struct allocation_request small = a_request(1, 1024, 0), large = a_request(8, 57344, 0);
	const double cpu[] = { 10000, 3000 }, memory[] = { 40000, 40000 };

	large.numa = ALLOCATION_NUMA_SPLIT;
	large.numa_nodes = 2;
	shapes_init(&shapes, 2304);
	for (guint i = 0; i < 10; i++)
		g_assert_true(shapes_add(&shapes, &small));
	g_assert_true(shapes_add(&shapes, &large));
	shapes_rank(&shapes);
	g_assert_cmpuint(shapes.n_ranked, ==, 2);
	g_assert_cmpfloat(shapes.ranked[0].share, >, shapes.ranked[1].share);
	g_assert_cmpuint(shapes.ranked[0].nodes, ==, 2);
	g_assert_cmpfloat(shapes.ranked[0].share + shapes.ranked[1].share, <, 1.000001);
	g_assert_cmpfloat(shapes_slots(&shapes.ranked[1], cpu, memory, 2), ==, 13);
	g_assert_cmpfloat(shapes_slots(&shapes.ranked[0], cpu, memory, 2), ==, 0);
	for (guint i = 0; i < 10; i++)
		shapes_remove(&shapes, &small);
	shapes_rank(&shapes);
	g_assert_cmpuint(shapes.n_ranked, ==, 1);
	shapes_clear(&shapes);
}

static guint32 hosts_on(const struct allocation_world *world)
{
	guint32 on = 0;

	for (guint32 i = 0; i < allocation_world_n_hosts(world); i++)
		on += allocation_world_hosts(world)[i].n_vms > 0;
	return on;
}

/* Neither a move nor what is taken back teaches: the same is thought of a new VM after both. */
static void test_moves_teach_nothing(void)
{
	struct lifetime_model *model = g_new0(struct lifetime_model, 1);
	struct allocation_request request = a_request(2, 4096, 7);

	g_assert_true(lifetime_model_init(model));
	g_assert_true(lifetime_model_place(model, &request, 0, 0));
	lifetime_model_learn(model, 0);
	double ended = model->ended[0];
	g_assert_true(lifetime_model_renumber(model, 0, 5));
	lifetime_model_forget(model, 0);
	g_assert_true(model->vm[5].alive);
	g_assert_cmpuint(lifetime_model_batch(model, 5)->alive, ==, 1);
	lifetime_model_forget(model, 5);
	g_assert_cmpfloat(model->ended[0], ==, ended);
	g_assert_true(lifetime_model_place(model, &request, 1, 0));
	lifetime_model_end(model, 1, 1000);
	g_assert_cmpfloat(model->ended[0], ==, ended + 1);
	lifetime_model_clear(model);
	g_free(model);
}

/* On random fleets a plan names each VM once, every move fits in its turn, and one host is empty after it. */
static void test_empty_fewest(void)
{
	const struct allocation_migration *policy = allocation_migration_find("empty-fewest");
	struct strategy_random random;
	guint emptied = 0;

	g_assert_nonnull(policy);
	strategy_random_init(&random, walk_seed(32));
	for (guint round = 0; round < 60; round++) {
		struct allocation_world *world = allocation_world_new();
		struct allocation_host host = a_host();
		struct allocation_placer *placer;
		struct allocation_move moves[ALLOCATION_MOVES_MAX];

		placer = allocation_placer_new(world, &strategy_worst_fit, NULL, 1);
		for (guint i = 0; i < 8; i++)
			allocation_placer_host_add(placer, &host);
		for (guint i = 0; i < 60; i++) {
			guint32 cpus = 1u << strategy_random_below(&random, 4);
			struct allocation_request request = a_request(cpus, cpus * 1792, 0);
			struct allocation_decision decision;
			guint32 class_id = allocation_world_class(world, &request);

			allocation_placer_decide(placer, class_id, 0, &decision);
			if (decision.fit.host != ALLOCATION_NONE)
				allocation_placer_place(placer, class_id, &decision.fit, 0);
			allocation_world_class_unref(world, class_id);
		}
		void *state = policy->new (world, 1);
		for (guint turn = 0; turn < 10; turn++) {
			size_t n = policy->plan(state, world, 0, 3600000, moves, ALLOCATION_MOVES_MAX);
			guint32 was_on = hosts_on(world);

			for (size_t i = 0; i < n; i++) {
				struct allocation_placement was = *allocation_world_placement(world, moves[i].vm);
				struct allocation_fit fits[ALLOCATION_NODES_MAX];
				unsigned k = 0, count = allocation_world_fits(
							world, allocation_world_request(world, was.class_id),
							moves[i].to.host, fits);

				while (k < count && fits[k].nodes != moves[i].to.nodes)
					k++;
				g_assert_cmpuint(k, <, count);
				g_assert_cmpuint(moves[i].to.host, !=, was.host);
				guint32 vm = allocation_placer_move(placer, moves[i].vm, &moves[i].to, 3600000);
				g_assert_cmpint(allocation_world_placement(world, vm)->placed_ms, ==, 0);
			}
			g_assert_cmpuint(hosts_on(world), ==, n > 0 ? was_on - 1 : was_on);
			emptied += n > 0;
		}
		g_assert_cmpstr(allocation_world_verify(world), ==, NULL);
		policy->free(state);
		allocation_placer_free(placer);
		allocation_world_free(world);
	}
	g_test_message("%u hosts emptied", emptied);
	g_assert_cmpuint(emptied, >, 60);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/core/lifetime/kinds", test_model_learns_kinds);
	g_test_add_func("/core/lifetime/mates", test_model_heeds_mates);
	g_test_add_func("/core/lifetime/places", test_places_by_lifetime);
	g_test_add_func("/core/lifetime/anew", test_made_anew);
	g_test_add_func("/core/lifetime/shapes", test_shapes);
	g_test_add_func("/core/lifetime/moves", test_moves_teach_nothing);
	g_test_add_func("/core/lifetime/empty-fewest", test_empty_fewest);
	return g_test_run();
}
