/* What is found on one part is judged on the other. */
#include "lab/optimize.h"

#include <json-glib/json-glib.h>
#include <string.h>

#include "lab/error.h"
#include "tests/unit/lab/synthetic.h"

static const struct score_weights weights = SCORE_WEIGHTS_DEFAULT;

static struct lab_optimization *optimize(const char *name, const char *budget, GError **error)
{
	struct lab_search search = { .weights = &weights, .run = { .seed = 3 } };

	g_assert_true(lab_budget_parse(budget, &search.budget, NULL));
	search.info = strategy_registry_find(synthetic_family.registry, name);
	return lab_optimize(&synthetic_family, NULL, &search, error);
}

static void test_gain(void)
{
	g_autoptr(lab_optimization_auto) found = optimize("hill", "100", NULL);
	g_autoptr(lab_optimization_auto) again = optimize("hill", "100", NULL);
	g_autofree char *text = lab_optimization_text(found, FALSE), *text_again = lab_optimization_text(again, FALSE);
	g_autofree char *json = lab_optimization_json(found, FALSE);
	g_autoptr(JsonNode) node = json_from_string(json, NULL);

	g_assert_cmpuint(found->evaluations, ==, 100);
	g_assert_cmpfloat_with_epsilon(found->values.value[0], 0.7, 0.01);
	g_assert_true(found->gain);
	g_assert_cmpfloat_with_epsilon(found->difference.mean, 0.125, 1e-3); /* half of 0.5² */
	g_assert_cmpstr(text, ==, text_again);
	g_assert_nonnull(strstr(text, "Gain: "));
	g_assert_true(json_object_get_boolean_member(json_node_get_object(node), "gain"));
}

static void test_trap(void)
{
	g_autoptr(lab_optimization_auto) found = optimize("trap", "100", NULL);

	g_assert_cmpfloat(found->tuned_best, >, found->tuned_default);
	g_assert_cmpfloat(found->difference.mean, <, 0);
	g_assert_false(found->gain);
	g_assert_nonnull(strstr(found->verdict, "No gain"));
}

static void test_timed(void)
{
	g_autoptr(lab_optimization_auto) found = optimize("hill", "1ms", NULL);
	g_autofree char *text = lab_optimization_text(found, FALSE), *count = NULL;
	g_autoptr(lab_optimization_auto) again = NULL;

	count = g_strdup_printf("%" G_GUINT64_FORMAT, found->evaluations);
	again = optimize("hill", count, NULL);
	g_assert_nonnull(strstr(text, "repeats it"));
	g_assert_cmpfloat(found->values.value[0], ==, again->values.value[0]);
}

static void test_refused(void)
{
	g_autoptr(GError) error = NULL, failed = NULL;
	struct lab_budget budget;

	g_assert_null(optimize("plain", "5", &error));
	g_assert_error(error, LAB_ERROR, LAB_ERROR_INVALID);
	g_assert_null(optimize("broken", "5", &failed));
	for (const char *const *bad =
		     (const char *const[]) { "", "0", "-1", "1.5", "30x", "s", "1e3", "99999999999", NULL };
	     *bad; bad++) {
		g_autoptr(GError) malformed = NULL;

		g_assert_false(lab_budget_parse(*bad, &budget, &malformed));
		g_assert_error(malformed, LAB_ERROR, LAB_ERROR_INVALID);
	}
	g_assert_true(lab_budget_parse("1.5s", &budget, NULL));
	g_assert_cmpint(budget.duration_us, ==, 1500000);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/optimize-run/gain", test_gain);
	g_test_add_func("/optimize-run/trap", test_trap);
	g_test_add_func("/optimize-run/timed", test_timed);
	g_test_add_func("/optimize-run/refused", test_refused);
	return g_test_run();
}
