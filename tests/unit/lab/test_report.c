/* The renderings say what is there, null what is missing, and the same bytes for the same seed. */
#include "lab/report.h"

#include <json-glib/json-glib.h>
#include <string.h>

#include "tests/unit/lab/synthetic.h"

static struct lab_ranking *ranked(guint n_seeds)
{
	struct lab_ranking *ranking = lab_ranking_new(&synthetic_family, NULL, LAB_WHOLE);
	struct score_weights weights;
	gboolean changed;

	g_assert_true(lab_weights_parse("performance=5,availability=3,security=2", &weights, &changed, NULL));
	ranking->source = g_strdup("a \"trace\"");
	g_ptr_array_add(ranking->notes, g_strdup("tenants were derived"));
	lab_ranking_add_all(ranking, FALSE);
	g_assert_true(lab_ranking_run(ranking, &(struct lab_run) { .seed = 1, .n_seeds = n_seeds }, NULL));
	g_assert_true(lab_ranking_select(ranking, &weights, changed, NULL, NULL));
	return ranking;
}

static JsonObject *strategy_named(JsonObject *root, const char *name)
{
	JsonArray *array = json_object_get_array_member(root, "strategies");

	for (guint i = 0; i < json_array_get_length(array); i++) {
		JsonObject *object = json_array_get_object_element(array, i);

		if (strcmp(json_object_get_string_member(object, "name"), name) == 0)
			return object;
	}
	g_assert_not_reached();
}

static void test_json(void)
{
	g_autoptr(lab_ranking_auto) ranking = ranked(3);
	g_autofree char *text = lab_report_json(ranking, FALSE), *timed = lab_report_json(ranking, TRUE);
	g_autoptr(JsonNode) node = json_from_string(text, NULL);
	JsonObject *root = json_node_get_object(node), *blind, *hill;

	g_assert_cmpstr(json_object_get_string_member(root, "trace"), ==, "a \"trace\"");
	g_assert_cmpstr(json_object_get_string_member(root, "winner"), ==, "good");
	g_assert_true(json_object_get_boolean_member(root, "weights_normalized"));
	g_assert_cmpuint(json_array_get_length(json_object_get_array_member(root, "strategies")), ==, 7);
	g_assert_cmpuint(json_array_get_length(json_object_get_array_member(root, "skipped")), ==, 2);
	blind = strategy_named(root, "blind");
	g_assert_true(json_object_get_null_member(json_object_get_object_member(blind, "scores"), "security"));
	g_assert_cmpstr(json_array_get_string_element(json_object_get_array_member(blind, "weight_moved_from"), 0), ==,
			"security");
	g_assert_cmpstr(json_object_get_string_member(blind, "note"), ==, "the trace names no tenants");
	hill = strategy_named(root, "hill");
	g_assert_cmpfloat(json_object_get_double_member(json_object_get_object_member(hill, "parameters"), "x"), ==,
			  0.2);
	g_assert_cmpfloat(json_object_get_double_member(json_object_get_object_member(hill, "figures"), "cost"), ==,
			  123456.789);
	g_assert_null(strstr(text, "decide_ns"));
	g_assert_nonnull(strstr(timed, "\"times\":{\"decide_ns\":34}"));
}

static void test_text(void)
{
	g_autoptr(lab_ranking_auto) ranking = ranked(3), one = ranked(1);
	g_autofree char *text = lab_report_text(ranking, FALSE), *single = lab_report_text(one, FALSE);

	g_assert_nonnull(strstr(text, "did not sum to 1"));
	g_assert_nonnull(strstr(text, "RANK  STRATEGY"));
	g_assert_nonnull(strstr(text, "security is missing for blind: its weight goes to the other scores."));
	g_assert_nonnull(strstr(text, "Not evaluated: odd: it is odd"));
	g_assert_nonnull(strstr(text, "Failed: broken: it is broken"));
	g_assert_nonnull(strstr(text, "Note: tenants were derived"));
	g_assert_nonnull(strstr(text, "123457")); /* the whole part is never rounded away */
	g_assert_null(strstr(text, "decide_ns"));
	g_assert_nonnull(strchr(text, '['));
	g_assert_null(strchr(single, '['));
}

static void test_same_bytes(void)
{
	g_autoptr(lab_ranking_auto) a = ranked(4), b = ranked(4);
	g_autofree char *json_a = lab_report_json(a, FALSE), *json_b = lab_report_json(b, FALSE);
	g_autofree char *text_a = lab_report_text(a, FALSE), *text_b = lab_report_text(b, FALSE);

	g_assert_cmpstr(json_a, ==, json_b);
	g_assert_cmpstr(text_a, ==, text_b);
}

static void test_columns(void)
{
	g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func((GDestroyNotify)g_strfreev);
	g_autofree char *text = NULL;

	g_ptr_array_add(rows, g_strsplit("NAME,N,WHAT", ",", -1));
	g_ptr_array_add(rows, g_strsplit("é,5,x", ",", -1));
	g_ptr_array_add(rows, g_strsplit("long,-10,y", ",", -1));
	text = lab_columns(rows);
	g_assert_cmpstr(text, ==,
			"NAME    N  WHAT\n"
			"é       5  x\n"
			"long  -10  y\n");
}

static void test_writer(void)
{
	struct lab_json json;
	g_autofree char *text = NULL;

	lab_json_init(&json);
	lab_json_open(&json, NULL, '{');
	lab_json_string(&json, "a\"\\\n\x01", "\xff");
	lab_json_open(&json, "empty", '[');
	lab_json_close(&json, ']');
	lab_json_number(&json, "n", 0.1);
	lab_json_number(&json, "none", 1.0 / 0.0);
	lab_json_boolean(&json, "b", TRUE);
	lab_json_close(&json, '}');
	text = lab_json_steal(&json);
	g_assert_cmpstr(text, ==,
			"{\"a\\\"\\\\\\n\\u0001\":\"\357\277\275\",\"empty\":[],\"n\":0.1,\"none\":null,\"b\":true}\n");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/report/json", test_json);
	g_test_add_func("/report/text", test_text);
	g_test_add_func("/report/same-bytes", test_same_bytes);
	g_test_add_func("/report/columns", test_columns);
	g_test_add_func("/report/writer", test_writer);
	return g_test_run();
}
