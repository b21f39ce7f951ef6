/* Scores, efficiency and selection, worked by hand. */
#include "core/strategy/score.h"

#include <glib.h>
#include <math.h>
#include <stdint.h>

#define NEAR(a, b) g_assert_cmpfloat_with_epsilon(a, b, 1e-9)

static const struct score_weights weights = SCORE_WEIGHTS_DEFAULT;

static struct score sure(double mean)
{
	return (struct score) { true, mean, mean, mean };
}

static struct score_candidate candidate(double performance, double availability, double security)
{
	return (struct score_candidate) { .scores = { { sure(performance), sure(availability), sure(security) } } };
}

static void test_weights(void)
{
	struct score_weights given = { { 5, 3, 2 } };
	bool changed;

	g_assert_true(score_weights_normalize(&given, &changed));
	g_assert_true(changed);
	NEAR(given.weight[0], 0.5);
	g_assert_true(score_weights_normalize(&given, &changed));
	g_assert_false(changed);
	given = (struct score_weights) { { 0.7, 0.2, 0.1 } };
	g_assert_true(score_weights_normalize(&given, &changed));
	g_assert_false(changed);
	for (int i = 0; i < 4; i++) {
		const struct score_weights bad[] = {
			{ { 0, 0, 0 } }, { { -1, 2, 0 } }, { { NAN, 1, 1 } }, { { INFINITY, 1, 1 } }
		};

		given = bad[i];
		g_assert_false(score_weights_normalize(&given, &changed));
		g_assert_false(changed);
	}
}

static void test_interval(void)
{
	struct score score = score_interval((const double[]) { 0.1, 0.2, 0.3 }, 3);

	/* s = 0.1, t(2) = 4.303: half = 4.303 · 0.1 ÷ √3 */
	NEAR(score.mean, 0.2);
	NEAR(score.low, 0.2 - 4.303 * 0.1 / sqrt(3));
	NEAR(score.high, 0.2 + 4.303 * 0.1 / sqrt(3));
	score = score_from_runs((const double[]) { 0.1, 0.2, 0.3 }, 3);
	NEAR(score.low, 0);
	score = score_from_runs((const double[]) { 0.1 }, 1);
	g_assert_true(score.present && score.low == 0.1 && score.high == 0.1);
	score = score_interval((const double[]) { 0.1, 0.1, 0.1 }, 3);
	g_assert_true(score.mean == 0.1 && score.low == 0.1 && score.high == 0.1);
	g_assert_false(score_from_runs(NULL, 0).present);
}

static void test_nines(void)
{
	NEAR(score_nines(0.9), 0.25);
	NEAR(score_nines(0.99), 0.5);
	NEAR(score_nines(0.999), 0.75);
	NEAR(score_nines(0.9999), 1);
	NEAR(score_nines(1), 1);
	NEAR(score_nines(0), 0);
	NEAR(score_nines(0.5), log10(2) / 4);
	for (double a = 0, before = -1; a <= 1; a += 1.0 / 1024) {
		g_assert_cmpfloat(score_nines(a), >=, before);
		before = score_nines(a);
	}
}

static void test_efficiency(void)
{
	struct score_candidate of = candidate(0.8, 0.99, 0.4);
	struct score_efficiency efficiency = score_efficiency(&of.scores, &weights);

	NEAR(efficiency.mean, 0.5 * 0.8 + 0.3 * 0.5 + 0.2 * 0.4);
	g_assert_cmpuint(efficiency.missing, ==, 0);
	/* Without availability its 0.3 goes to the others: 5/7 and 2/7. */
	of.scores.score[SCORE_AVAILABILITY].present = false;
	efficiency = score_efficiency(&of.scores, &weights);
	NEAR(efficiency.mean, 5.0 / 7 * 0.8 + 2.0 / 7 * 0.4);
	g_assert_cmpuint(efficiency.missing, ==, 1u << SCORE_AVAILABILITY);
	/* What has no weight is not missed. */
	efficiency = score_efficiency(&of.scores, &(struct score_weights) { { 1, 0, 0 } });
	g_assert_cmpuint(efficiency.missing, ==, 0);
	NEAR(efficiency.mean, 0.8);
	efficiency = score_efficiency(&of.scores, &(struct score_weights) { { 0, 1, 0 } });
	g_assert_false(efficiency.present);
	of.scores.score[SCORE_PERFORMANCE] = (struct score) { true, 0.8, 0.7, 0.9 };
	efficiency = score_efficiency(&of.scores, &(struct score_weights) { { 1, 0, 0 } });
	NEAR(efficiency.low, 0.7);
	NEAR(efficiency.high, 0.9);
}

static void test_select(void)
{
	struct score_candidate of[] = { candidate(0.6, 0.9, 0.5), candidate(0.9, 0.9, 0.5), candidate(0.9, 0.9, 0.5),
					candidate(0.5, 0.9999, 0.1) };
	struct score_selection selection = score_select(of, 4, &weights, NULL, 0);
	double alone;

	/* 0.475, 0.625, 0.625, 0.57 */
	g_assert_cmpuint(selection.winner, ==, 1);
	g_assert_cmpuint(selection.runner_up, ==, 2);
	g_assert_false(selection.clear);
	g_assert_cmpuint(of[0].rank, ==, 3);
	g_assert_cmpuint(of[3].rank, ==, 2);
	g_assert_false(of[0].pareto);
	g_assert_true(of[1].pareto && of[2].pareto && of[3].pareto);
	alone = of[3].efficiency.mean;
	selection = score_select(&of[3], 1, &weights, NULL, 0);
	g_assert_cmpfloat(of[3].efficiency.mean, ==, alone); /* others do not count */
	g_assert_true(selection.winner == 0 && selection.runner_up == SIZE_MAX && selection.clear);
	selection = score_select(of, 0, &weights, NULL, 0);
	g_assert_true(selection.winner == SIZE_MAX && selection.nearest == SIZE_MAX);
}

static void test_floors(void)
{
	struct score_candidate of[] = { candidate(0.9, 0.95, 0.5), candidate(0.5, 0.99, 0.5),
					candidate(0.8, 0.9, 0.5) };
	struct score_floor floor = { SCORE_AVAILABILITY, 0.99, false };
	struct score_selection selection = score_select(of, 3, &weights, &floor, 1);
	size_t missed = 7;
	double distance;

	g_assert_cmpuint(selection.winner, ==, 1);
	g_assert_true(selection.runner_up == SIZE_MAX && selection.clear);
	g_assert_cmpuint(of[0].rank, ==, 1); /* lacks 0.04 */
	NEAR(of[2].distance, 0.09);
	floor.strict = true; /* 0.99 is not above 0.99 */
	selection = score_select(of, 3, &weights, &floor, 1);
	g_assert_cmpuint(selection.winner, ==, SIZE_MAX);
	g_assert_cmpuint(selection.nearest, ==, 1);
	of[1].scores.score[SCORE_AVAILABILITY].present = false;
	g_assert_false(score_meets(&of[1].scores, &floor, 1, &missed, &distance));
	g_assert_cmpuint(missed, ==, 0);
	NEAR(distance, 0.99);
	g_assert_false(score_meets(&of[1].scores, &(struct score_floor) { SCORE_AVAILABILITY, 0, false }, 1, NULL,
				   &distance)); /* missing is not 0 */
	of[0].misses_figure = true;
	selection = score_select(of, 3, &weights, NULL, 0);
	g_assert_cmpuint(selection.winner, ==, 2);
	g_assert_cmpuint(of[0].rank, ==, 2);
}

static void test_missing_everything(void)
{
	struct score_candidate of[2] = { 0 };
	struct score_selection selection = score_select(of, 2, &weights, NULL, 0);

	g_assert_cmpuint(selection.winner, ==, SIZE_MAX);
	g_assert_cmpuint(selection.nearest, ==, 0);
	g_assert_false(of[0].efficiency.present);
}

static void test_clear(void)
{
	struct score_candidate of[] = { candidate(0.5, 0.9, 0.5), candidate(0.6, 0.9, 0.5) };

	of[0].scores.score[0] = (struct score) { true, 0.5, 0.45, 0.55 };
	of[1].scores.score[0] = (struct score) { true, 0.6, 0.54, 0.66 };
	g_assert_false(score_select(of, 2, &weights, NULL, 0).clear);
	of[1].scores.score[0].low = 0.56;
	g_assert_true(score_select(of, 2, &weights, NULL, 0).clear);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/score/weights", test_weights);
	g_test_add_func("/score/interval", test_interval);
	g_test_add_func("/score/nines", test_nines);
	g_test_add_func("/score/efficiency", test_efficiency);
	g_test_add_func("/score/select", test_select);
	g_test_add_func("/score/floors", test_floors);
	g_test_add_func("/score/missing-everything", test_missing_everything);
	g_test_add_func("/score/clear", test_clear);
	return g_test_run();
}
