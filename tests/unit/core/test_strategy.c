/* Declarations are checked, and values are read and printed the same in every locale. */
#include "core/strategy/strategy.h"

#include <glib.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/strategy/number.h"
#include "core/strategy/random.h"

static const char *const shapes[] = { "flat", "steep", NULL };
static const struct strategy_parameter parameters[] = {
	{ "weight", STRATEGY_NUMBER, .min = -1, .max = 10, .initial = 0.5, .doc = "A weight." },
	{ "count", STRATEGY_INTEGER, .min = 1, .max = 64, .initial = 2, .doc = "A count." },
	{ "shape", STRATEGY_CHOICE, .initial = 1, .choices = shapes, .doc = "A shape." },
};
static const struct strategy_info info = {
	.name = "best-fit",
	.summary = "A strategy.",
	.parameters = parameters,
	.n_parameters = 3,
};

static guint64 seed(void)
{
	const char *given = g_getenv("POLDER_TEST_SEED");
	guint64 value = given ? g_ascii_strtoull(given, NULL, 10) : (guint64)g_get_real_time();

	g_test_message("POLDER_TEST_SEED=%" G_GUINT64_FORMAT, value);
	return value;
}

static void test_check(void)
{
	struct strategy_parameter one = parameters[0], two[2] = { parameters[0], parameters[0] };
	struct strategy_info changed = info;

	g_assert_null(strategy_check(&info));
	for (const char *const *name = (const char *const[]) { "", "Best", "1st", "a_b", "a-", "a b", NULL }; *name;
	     name++) {
		changed.name = *name;
		g_assert_nonnull(strategy_check(&changed));
	}
	changed = info;
	changed.summary = NULL;
	g_assert_nonnull(strategy_check(&changed));
	changed = info;
	changed.n_parameters = STRATEGY_PARAMETERS_MAX + 1;
	g_assert_nonnull(strategy_check(&changed));
	changed.parameters = two;
	changed.n_parameters = 2;
	g_assert_cmpstr(strategy_check(&changed), ==, "a parameter is declared twice");
	changed.parameters = &one;
	changed.n_parameters = 1;
	one.initial = 11;
	g_assert_cmpstr(strategy_check(&changed), ==, "a parameter's default is out of its range");
	one = parameters[0];
	one.logarithmic = true; /* from -1 */
	g_assert_nonnull(strategy_check(&changed));
	one = parameters[0];
	one.max = INFINITY;
	g_assert_nonnull(strategy_check(&changed));
	one = parameters[1];
	one.initial = 1.5;
	g_assert_nonnull(strategy_check(&changed));
	one = parameters[2];
	one.initial = 2;
	g_assert_nonnull(strategy_check(&changed));
}

static void test_registry(void)
{
	static const struct strategy_info other = { .name = "first-fit", .summary = "Another." };
	const struct strategy_info *entries[] = { &info, &other, &info };
	struct strategy_registry registry = { "allocation", entries, 2 };
	size_t bad = 0;

	g_assert_null(strategy_registry_check(&registry, &bad));
	g_assert_true(strategy_registry_find(&registry, "first-fit") == &other);
	g_assert_null(strategy_registry_find(&registry, "first"));
	registry.n_entries = 3;
	g_assert_cmpstr(strategy_registry_check(&registry, &bad), ==, "the name is given twice");
	g_assert_cmpuint(bad, ==, 2);
}

static enum strategy_set_result set(struct strategy_values *values, const char *name, const char *text)
{
	return strategy_values_set(&info, values, name, strlen(name), text);
}

static void test_set(void)
{
	struct strategy_values values;

	strategy_values_init(&info, &values);
	g_assert_cmpfloat(values.value[0], ==, 0.5);
	g_assert_cmpint(set(&values, "weight", "2.25"), ==, STRATEGY_SET_OK);
	g_assert_cmpint(set(&values, "count", "3"), ==, STRATEGY_SET_OK);
	g_assert_cmpint(set(&values, "shape", "flat"), ==, STRATEGY_SET_OK);
	g_assert_cmpint(set(&values, "weigh", "1"), ==, STRATEGY_SET_UNKNOWN);
	g_assert_cmpint(set(&values, "weights", "1"), ==, STRATEGY_SET_UNKNOWN);
	g_assert_cmpint(set(&values, "weight", "10.01"), ==, STRATEGY_SET_RANGE);
	g_assert_cmpint(set(&values, "weight", "1e999"), ==, STRATEGY_SET_RANGE);
	g_assert_cmpint(set(&values, "count", "2.5"), ==, STRATEGY_SET_MALFORMED);
	g_assert_cmpint(set(&values, "count", "0"), ==, STRATEGY_SET_RANGE);
	g_assert_cmpint(set(&values, "shape", "round"), ==, STRATEGY_SET_MALFORMED);
	for (const char *const *text = (const char *const[]) { "", "nan", "inf", "0x1", "1,5", " 1", "1 ", "1e", ".",
							       "--1", "1.2.3", NULL };
	     *text; text++)
		g_assert_cmpint(set(&values, "weight", *text), ==, STRATEGY_SET_MALFORMED);
	g_assert_cmpfloat(values.value[0], ==, 2.25);
	g_assert_cmpfloat(values.value[1], ==, 3);
	g_assert_cmpfloat(values.value[2], ==, 0);
}

static void test_print(void)
{
	struct strategy_values values;
	char text[64], cut[8];

	strategy_values_init(&info, &values);
	g_assert_cmpuint(strategy_values_print(&info, &values, text, sizeof(text)), ==, 0);
	g_assert_cmpstr(text, ==, "");
	values.value[0] = 0.1;
	values.value[1] = 64;
	values.value[2] = 0;
	g_assert_cmpuint(strategy_values_print(&info, &values, text, sizeof(text)), ==, 30);
	g_assert_cmpstr(text, ==, "weight=0.1 count=64 shape=flat");
	g_assert_cmpuint(strategy_values_print(&info, &values, cut, sizeof(cut)), ==, 30);
	g_assert_cmpstr(cut, ==, "weight=");
	g_assert_cmpuint(strategy_values_print(&info, &values, NULL, 0), ==, 30);
}

static void test_numbers(void)
{
	static const struct {
		double value;
		const char *text;
	} known[] = {
		{ 0, "0" },
		{ -0.0, "0" },
		{ 1, "1" },
		{ 0.1, "0.1" },
		{ -12.5, "-12.5" },
		{ 100, "100" },
		{ 1e16, "10000000000000000" },
		{ 1e17, "1e+17" },
		{ 1e-5, "0.00001" },
		{ 1e-6, "1e-06" },
		{ 5e-324, "5e-324" },
		{ 0.30000000000000004, "0.30000000000000004" },
		{ 1.7976931348623157e308, "1.7976931348623157e+308" },
		{ INFINITY, "inf" },
		{ 9007199254740993.0, "9007199254740992" },
	};
	char text[STRATEGY_NUMBER_TEXT_MAX];
	double value;

	for (guint i = 0; i < G_N_ELEMENTS(known); i++) {
		g_assert_cmpuint(strategy_number_print(known[i].value, text), ==, strlen(known[i].text));
		g_assert_cmpstr(text, ==, known[i].text);
	}
	/* Halfway between two doubles, and a little above: ties to even. */
	g_assert_true(strategy_number_parse("9007199254740993", &value));
	g_assert_cmpfloat(value, ==, 9007199254740992.0);
	g_assert_true(strategy_number_parse("9007199254740993.00000000000000000000001", &value));
	g_assert_cmpfloat(value, ==, 9007199254740994.0);
	g_assert_true(strategy_number_parse("2.4703282292062328e-324", &value));
	g_assert_cmpfloat(value, ==, 5e-324);
	g_assert_true(strategy_number_parse("2.4703282292062327e-324", &value));
	g_assert_cmpfloat(value, ==, 0);
	g_assert_cmpfloat(strategy_number_round(123456.5, 3), ==, 123000);
	g_assert_cmpfloat(strategy_number_round(-0.0099951, 3), ==, -0.01);
}

/* Against the C library, whose own conversions are exact. */
static void test_numbers_property(void)
{
	struct strategy_random random;
	char text[STRATEGY_NUMBER_TEXT_MAX];

	strategy_random_init(&random, seed());
	for (int i = 0; i < 1000; i++) {
		guint64 bits = strategy_random_next(&random);
		double value, back;

		memcpy(&value, &bits, sizeof(value));
		if (i % 2)
			value = strategy_random_unit(&random) * 1000;
		if (!isfinite(value))
			continue;
		strategy_number_print(value, text);
		g_assert_cmpfloat(g_ascii_strtod(text, NULL), ==, value);
		g_assert_true(strategy_number_parse(text, &back));
		g_assert_cmpfloat(back, ==, value);
		value = exp((strategy_random_unit(&random) - 0.5) * 100);
		g_assert_cmpfloat_with_epsilon(strategy_log(value), log(value), 1e-14);
		g_assert_cmpfloat_with_epsilon(strategy_exp(log(value)) / value, 1, 1e-13);
	}
	g_assert_cmpfloat(strategy_log(1), ==, 0);
}

int main(int argc, char **argv)
{
	setlocale(LC_ALL, "");
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/strategy/check", test_check);
	g_test_add_func("/strategy/registry", test_registry);
	g_test_add_func("/strategy/set", test_set);
	g_test_add_func("/strategy/print", test_print);
	g_test_add_func("/strategy/numbers", test_numbers);
	g_test_add_func("/strategy/numbers-property", test_numbers_property);
	return g_test_run();
}
