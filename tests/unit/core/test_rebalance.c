/* Machine reassignment and even load: whatever is kept up to date equals a recount, on random instances. */
#include <math.h>
#include <string.h>

#include "core/allocation/family.h"
#include "core/allocation/rebalance/state.h"
#include "tests/unit/core/reassignment_random.h"

static guint32 seed;

static struct rebalance_cost recount(const struct rebalance_problem *problem, const guint32 *machine,
				     enum rebalance_violation *violation)
{
	struct rebalance_cost cost;

	g_assert_true(rebalance_verify(problem, machine, &cost, violation));
	return cost;
}

/* What try says of a move is what the recount says: the same validity, and the same change when it is valid. */
static void check_move(struct rebalance_state *state, GRand *random, gboolean swap)
{
	const struct rebalance_problem *problem = state->problem;
	g_autofree guint32 *then = g_memdup2(state->machine, problem->n_processes * sizeof *then);
	guint32 p = g_rand_int_range(random, 0, (gint32)problem->n_processes);
	guint32 other = g_rand_int_range(random, 0, (gint32)(swap ? problem->n_processes : problem->n_machines));
	enum rebalance_violation violation;
	struct rebalance_change change;
	struct rebalance_cost cost;
	bool valid;

	if (then[p] == (swap ? then[other] : other))
		return;
	valid = swap ? rebalance_swap_try(state, p, other, &change) : rebalance_shift_try(state, p, other, &change);
	if (swap) {
		then[p] = state->machine[other];
		then[other] = state->machine[p];
	} else {
		then[p] = other;
	}
	cost = recount(problem, then, &violation);
	g_assert_cmpint(valid, ==, violation == REBALANCE_VALID);
	if (!valid)
		return;
	g_assert_cmpint(state->cost + change.cost, ==, cost.total);
	if (swap)
		rebalance_swap(state, p, other, &change);
	else
		rebalance_shift(state, p, other, &change);
	g_assert_cmpint(state->cost, ==, cost.total);
	g_assert_cmpmem(state->machine, problem->n_processes * 4, then, problem->n_processes * 4);
}

static void test_moves(void)
{
	GRand *random = g_rand_new_with_seed(seed);
	guint made = 0;

	for (guint i = 0; i < (g_getenv("POLDER_TEST_LONG") ? 3000 : 150); i++) {
		struct random_instance instance;
		enum rebalance_violation violation;
		struct rebalance_state state;

		random_instance_init(&instance, random);
		g_assert_null(rebalance_problem_check(&instance.problem));
		recount(&instance.problem, instance.problem.initial, &violation);
		g_assert_cmpint(violation, ==, REBALANCE_VALID);
		g_assert_true(rebalance_state_init(&state, &instance.problem, instance.problem.initial));
		for (guint k = 0; k < 400; k++)
			check_move(&state, random, k % 2);
		for (guint32 p = 0; p < instance.problem.n_processes; p++)
			made += state.machine[p] != instance.problem.initial[p];
		rebalance_state_set(&state, instance.problem.initial);
		g_assert_cmpint(state.cost, ==, recount(&instance.problem, instance.problem.initial, &violation).total);
		rebalance_state_clear(&state);
		random_instance_clear(&instance);
	}
	g_assert_cmpuint(made, >, 0);
	g_rand_free(random);
}

static gint64 improve_once(const struct rebalance_problem *problem, const struct allocation_strategy *strategy,
			   guint32 *machine)
{
	struct rebalance_budget budget = { .steps = 40000 };
	enum rebalance_violation violation;
	struct strategy_values values;
	gint64 before = recount(problem, problem->initial, &violation).total, after;

	strategy_values_init(&strategy->info, &values);
	memcpy(machine, problem->initial, problem->n_processes * sizeof *machine);
	g_assert_true(strategy->rebalance->improve(problem, &values, 7, &budget, machine));
	after = recount(problem, machine, &violation).total;
	g_assert_cmpint(violation, ==, REBALANCE_VALID);
	g_assert_cmpint(after, <=, before);
	return after;
}

static void test_improve(void)
{
	GRand *random = g_rand_new_with_seed(seed);

	for (guint i = 0; i < 20; i++) {
		struct random_instance instance;

		random_instance_init(&instance, random);
		for (gsize s = 0; s < allocation_n_strategies; s++) {
			const struct allocation_strategy *strategy = allocation_strategies[s];
			gsize bytes = instance.problem.n_processes * sizeof(guint32);
			g_autofree guint32 *first = g_malloc(bytes), *second = g_malloc(bytes);
			struct rebalance_move moves[64];
			size_t n_moves;

			if (!strategy->rebalance || !strategy->rebalance->improve)
				continue;
			improve_once(&instance.problem, strategy, first);
			improve_once(&instance.problem, strategy, second);
			g_assert_cmpmem(first, bytes, second, bytes);
			g_assert_true(rebalance_order(&instance.problem, first, moves, &n_moves));
			g_assert_cmpstr(rebalance_order_check(&instance.problem, first, moves, n_moves), ==, NULL);
		}
		random_instance_clear(&instance);
	}
	g_rand_free(random);
}

/* Two machines that are each full, and change what they hold: there is an order only by way of a third. */
static void test_ring(void)
{
	static const bool transient[] = { false };
	static const gint64 weight[] = { 1 }, capacity[] = { 10, 10, 10 }, distance[9] = { 0 }, amount[] = { 10, 10 };
	static const gint64 move_cost[] = { 0, 0 };
	static const guint32 zero[3] = { 0 }, service[] = { 0, 1 }, initial[] = { 0, 1 }, goal[] = { 1, 0 };
	struct rebalance_problem problem = {
		.n_resources = 1,
		.n_machines = 3,
		.n_services = 2,
		.n_processes = 2,
		.n_neighbourhoods = 1,
		.n_locations = 1,
		.is_transient = transient,
		.load_weight = weight,
		.neighbourhood = zero,
		.location = zero,
		.capacity = capacity,
		.safety = capacity,
		.distance = distance,
		.spread_min = zero,
		.needs_start = zero,
		.needs = zero,
		.service = service,
		.amount = amount,
		.move_cost = move_cost,
		.initial = initial,
	};
	struct rebalance_move moves[4];
	size_t n;

	g_assert_null(rebalance_problem_check(&problem));
	g_assert_true(rebalance_order(&problem, goal, moves, &n));
	g_assert_cmpuint(n, ==, 3);
	g_assert_cmpuint(moves[0].to, ==, 2);
	g_assert_null(rebalance_order_check(&problem, goal, moves, n));
	moves[0].to = 1;
	g_assert_nonnull(rebalance_order_check(&problem, goal, moves, n));
	problem.n_machines = 2;
	g_assert_true(rebalance_order(&problem, goal, moves, &n));
	g_assert_cmpuint(n, ==, 2);
	g_assert_true(moves[1].together);
	g_assert_null(rebalance_order_check(&problem, goal, moves, n));
}

static void test_even(void)
{
	GRand *random = g_rand_new_with_seed(seed);

	for (guint i = 0; i < 50; i++) {
		enum { NODES = 7, KINDS = 4, ITEMS = 40, LOADS = 3 };
		double base[NODES * LOADS], scale[NODES * LOADS], limit[NODES * LOADS], amount[KINDS * LOADS];
		guint32 kind[ITEMS], node[ITEMS], replay[ITEMS];
		bool fixed[ITEMS], closed[NODES] = { false };
		struct rebalance_even even = { LOADS, NODES, KINDS,  ITEMS, { 1, 2, 0.5 }, base,
					       scale, limit, amount, kind,  fixed,         closed };
		struct rebalance_even_move moves[200];
		size_t n;
		double score;

		for (guint k = 0; k < NODES * LOADS; k++) {
			base[k] = g_rand_double(random);
			scale[k] = g_rand_int_range(random, 1, 4) * 50;
			limit[k] = 2;
		}
		for (guint k = 0; k < KINDS * LOADS; k++)
			amount[k] = g_rand_int_range(random, 0, 8);
		for (guint k = 0; k < ITEMS; k++) {
			kind[k] = g_rand_int_range(random, 0, KINDS);
			replay[k] = node[k] = g_rand_int_range(random, 0, NODES);
			fixed[k] = g_rand_int_range(random, 0, 5) == 0;
		}
		closed[0] = g_rand_boolean(random);
		score = rebalance_even_score(&even, node);
		g_assert_true(rebalance_even_descend(&even, node, G_N_ELEMENTS(moves), 1e-9, moves, &n));
		for (size_t k = 0; k < n; k++) {
			g_assert_false(fixed[moves[k].item] || closed[moves[k].to]);
			g_assert_cmpuint(replay[moves[k].item], ==, moves[k].from);
			replay[moves[k].item] = moves[k].to;
			g_assert_cmpfloat(fabs(rebalance_even_score(&even, replay) - moves[k].score), <, 1e-9);
			g_assert_cmpfloat(moves[k].score, <, score);
			score = moves[k].score;
		}
		g_assert_cmpmem(node, sizeof node, replay, sizeof replay);
	}
	g_rand_free(random);
}

int main(int argc, char **argv)
{
	const char *given = g_getenv("POLDER_TEST_SEED");

	g_test_init(&argc, &argv, NULL);
	seed = given ? (guint32)g_ascii_strtoull(given, NULL, 10) : g_random_int();
	g_test_message("POLDER_TEST_SEED=%u", seed);
	g_test_add_func("/core/rebalance/moves", test_moves);
	g_test_add_func("/core/rebalance/improve", test_improve);
	g_test_add_func("/core/rebalance/ring", test_ring);
	g_test_add_func("/core/rebalance/even", test_even);
	return g_test_run();
}
