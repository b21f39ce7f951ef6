/* The search finds what there is to find, within its budget, and twice the same. */
#include "core/strategy/optimize.h"

#include <glib.h>
#include <math.h>
#include <string.h>

static const char *const modes[] = { "a", "b", "c", NULL };
static const struct strategy_parameter parameters[] = {
	{ "x", STRATEGY_NUMBER, .min = -5, .max = 5, .initial = 4, .doc = "x" },
	{ "y", STRATEGY_NUMBER, .min = -5, .max = 5, .initial = -4, .doc = "y" },
	{ "scale", STRATEGY_NUMBER, .min = 1e-3, .max = 1e3, .initial = 100, .logarithmic = true, .doc = "scale" },
	{ "count", STRATEGY_INTEGER, .min = 1, .max = 20, .initial = 20, .doc = "count" },
	{ "mode", STRATEGY_CHOICE, .initial = 0, .choices = modes, .doc = "mode" },
};
static const struct strategy_info mixed = {
	.name = "mixed", .summary = "mixed", .parameters = parameters, .n_parameters = 5
};
static const struct strategy_info plane = {
	.name = "plane", .summary = "plane", .parameters = parameters, .n_parameters = 2
};

/* Best 0 at x = 1, y = -2, scale = 0.1, count = 7, mode c. */
static double bowl(const struct strategy_values *values)
{
	const double *v = values->value;
	double log_scale = log10(v[2]) + 1;

	return -((v[0] - 1) * (v[0] - 1) + (v[1] + 2) * (v[1] + 2) + log_scale * log_scale +
		 (v[3] - 7) * (v[3] - 7) / 10 + (v[4] == 2 ? 0 : 1));
}

/* Many local optima; best 0 at the origin. */
static double rastrigin(const struct strategy_values *values)
{
	double sum = 20;

	for (int i = 0; i < 2; i++)
		sum += values->value[i] * values->value[i] - 10 * cos(2 * G_PI * values->value[i]);
	return -sum;
}

static double run(const struct strategy_info *info, double (*of)(const struct strategy_values *), guint64 budget,
		  guint64 seed)
{
	struct strategy_optimizer *optimizer = strategy_optimizer_new(info, budget, seed);
	struct strategy_values values, best;
	guint64 asked = 0;
	double result;

	while (strategy_optimizer_ask(optimizer, &values)) {
		for (size_t i = 0; i < info->n_parameters; i++) {
			const struct strategy_parameter *parameter = &info->parameters[i];
			double low = parameter->type == STRATEGY_CHOICE ? 0 : parameter->min;
			double high = parameter->type == STRATEGY_CHOICE ? 2 : parameter->max;

			g_assert_true(values.value[i] >= low && values.value[i] <= high);
			if (parameter->type != STRATEGY_NUMBER)
				g_assert_cmpfloat(values.value[i], ==, floor(values.value[i]));
			if (asked == 0)
				g_assert_cmpfloat(values.value[i], ==, parameter->initial);
		}
		strategy_optimizer_tell(optimizer, of(&values));
		asked++;
	}
	g_assert_cmpuint(asked, ==, budget);
	g_assert_cmpuint(strategy_optimizer_evaluations(optimizer), ==, budget);
	result = strategy_optimizer_best(optimizer, &best);
	g_assert_cmpfloat(result, ==, of(&best));
	strategy_optimizer_free(optimizer);
	return result;
}

static double run_random(const struct strategy_info *info, double (*of)(const struct strategy_values *), guint64 budget,
			 guint64 seed)
{
	struct strategy_random random;
	double best = -INFINITY;

	strategy_random_init(&random, seed);
	for (guint64 i = 0; i < budget; i++) {
		struct strategy_values values = { 0 };

		for (size_t k = 0; k < info->n_parameters; k++) {
			const struct strategy_parameter *parameter = &info->parameters[k];
			double u = strategy_random_unit(&random);

			if (parameter->logarithmic)
				values.value[k] = parameter->min * pow(parameter->max / parameter->min, u);
			else if (parameter->type == STRATEGY_CHOICE)
				values.value[k] = floor(u * 3);
			else
				values.value[k] = parameter->min + u * (parameter->max - parameter->min);
			if (parameter->type == STRATEGY_INTEGER)
				values.value[k] = floor(values.value[k]);
		}
		best = MAX(best, of(&values));
	}
	return best;
}

static void test_beats_random(void)
{
	guint wins_bowl = 0, wins_rastrigin = 0;

	for (guint64 seed = 1; seed <= 20; seed++) {
		wins_bowl += run(&mixed, bowl, 400, seed) > run_random(&mixed, bowl, 400, seed);
		wins_rastrigin += run(&plane, rastrigin, 400, seed) > run_random(&plane, rastrigin, 400, seed);
	}
	g_test_message("of 20: bowl %u, rastrigin %u", wins_bowl, wins_rastrigin);
	g_assert_cmpuint(wins_bowl, >=, 19);
	g_assert_cmpuint(wins_rastrigin, >=, 17);
}

static void test_finds(void)
{
	for (guint64 seed = 1; seed <= 5; seed++) {
		g_assert_cmpfloat(run(&mixed, bowl, 3000, seed), >, -1e-3);
		g_assert_cmpfloat(run(&plane, rastrigin, 3000, seed), >, -1e-3);
	}
}

static void test_budgets(void)
{
	for (guint64 budget = 0; budget < 60; budget++) {
		struct strategy_optimizer *optimizer = strategy_optimizer_new(&mixed, budget, 1);
		struct strategy_values values;
		guint64 asked = 0;

		for (; strategy_optimizer_ask(optimizer, &values); asked++)
			strategy_optimizer_tell(optimizer, bowl(&values));
		g_assert_cmpuint(asked, ==, budget);
		strategy_optimizer_free(optimizer);
	}
}

static void test_same_seed(void)
{
	struct strategy_optimizer *a = strategy_optimizer_new(&mixed, 300, 42), *other;
	struct strategy_optimizer *b = strategy_optimizer_new(&mixed, 300, 42);
	struct strategy_values values_a, values_b;
	gboolean differs = FALSE;

	other = strategy_optimizer_new(&mixed, 300, 43);
	while (strategy_optimizer_ask(a, &values_a)) {
		g_assert_true(strategy_optimizer_ask(b, &values_b));
		g_assert_cmpmem(&values_a, sizeof(values_a), &values_b, sizeof(values_b));
		strategy_optimizer_tell(a, bowl(&values_a));
		strategy_optimizer_tell(b, bowl(&values_b));
		g_assert_true(strategy_optimizer_ask(other, &values_b));
		differs |= memcmp(&values_a, &values_b, sizeof(values_a)) != 0;
		strategy_optimizer_tell(other, bowl(&values_b));
	}
	g_assert_false(strategy_optimizer_ask(b, &values_b));
	g_assert_true(differs);
	strategy_optimizer_free(a);
	strategy_optimizer_free(b);
	strategy_optimizer_free(other);
}

/* Results that are no numbers are worse than everything and stop nothing. */
static void test_not_finite(void)
{
	struct strategy_optimizer *optimizer = strategy_optimizer_new(&plane, 100, 1);
	struct strategy_values values, best;
	guint n = 0;

	while (strategy_optimizer_ask(optimizer, &values))
		strategy_optimizer_tell(optimizer, ++n == 50 ? -7 : n % 2 ? NAN : -INFINITY);
	g_assert_cmpfloat(strategy_optimizer_best(optimizer, &best), ==, -7);
	strategy_optimizer_free(optimizer);
	g_assert_null(strategy_optimizer_new(&(struct strategy_info) { .name = "none" }, 5, 1));
	strategy_optimizer_free(NULL);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/optimize/beats-random", test_beats_random);
	g_test_add_func("/optimize/finds", test_finds);
	g_test_add_func("/optimize/budgets", test_budgets);
	g_test_add_func("/optimize/same-seed", test_same_seed);
	g_test_add_func("/optimize/not-finite", test_not_finite);
	return g_test_run();
}
