/* Numbers, parameters, weights, requirements and budgets as people type them. */
#include <glib.h>
#include <math.h>
#include <string.h>

#include "core/strategy/number.h"
#include "lab/optimize.h"

static const char *const shapes[] = { "flat", "steep", NULL };
static const struct strategy_parameter parameters[] = {
	{ "weight", STRATEGY_NUMBER, .min = -1e300, .max = 1e300, .initial = 0.5, .doc = "A weight." },
	{ "count", STRATEGY_INTEGER, .min = 1, .max = 64, .initial = 2, .doc = "A count." },
	{ "shape", STRATEGY_CHOICE, .initial = 1, .choices = shapes, .doc = "A shape." },
};
static const struct strategy_info info = {
	.name = "fuzzed",
	.summary = "A strategy.",
	.parameters = parameters,
	.n_parameters = 3,
};

static void numbers(const char *text)
{
	char printed[STRATEGY_NUMBER_TEXT_MAX];
	double value, back;

	if (!strategy_number_parse(text, &value) || !isfinite(value))
		return;
	g_assert_cmpuint(strategy_number_print(value, printed), <, sizeof(printed));
	g_assert_true(strategy_number_parse(printed, &back));
	g_assert_cmpfloat(value, ==, back);
	g_assert_cmpfloat(value, ==, g_ascii_strtod(text, NULL));
}

static void values(const char *text)
{
	struct strategy_values set, again;
	g_auto(GStrv) pairs = NULL;
	g_autofree char *printed = NULL;

	strategy_values_init(&info, &set);
	strategy_values_init(&info, &again);
	if (!lab_values_set(&info, &set, text, NULL))
		return;
	printed = lab_values_print(&info, &set);
	pairs = g_strsplit(printed, " ", -1);
	for (guint i = 0; pairs[i] && *pairs[i]; i++)
		g_assert_true(lab_values_set(&info, &again, pairs[i], NULL));
	g_assert_cmpmem(&set, sizeof(set), &again, sizeof(again));
}

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);
int LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
	g_autofree char *text = g_strndup((const char *)data, size);
	const char *texts[] = { text, NULL };
	struct score_weights weights;
	struct lab_budget budget;
	g_autoptr(GArray) floors = lab_floors_parse(texts, NULL);
	gboolean changed;

	numbers(text);
	values(text);
	lab_budget_parse(text, &budget, NULL);
	if (lab_weights_parse(text, &weights, &changed, NULL))
		g_assert_cmpfloat_with_epsilon(weights.weight[0] + weights.weight[1] + weights.weight[2], 1, 1e-9);
	for (guint i = 0; floors && i < floors->len; i++) {
		g_autofree char *printed = lab_floor_print(&g_array_index(floors, struct lab_floor, i));
		const char *again[] = { printed, NULL };
		g_autoptr(GArray) parsed = lab_floors_parse(again, NULL);

		g_assert_nonnull(parsed);
	}
	return 0;
}
