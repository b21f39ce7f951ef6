/* Ganeti clusters: what is malformed is named by file, line and column; hbal's score of the published cluster. */
#include <math.h>
#include <string.h>

#include "lab/error.h"
#include "lab/rebalance.h"

#define GROUP     "g|u|preferred||\n\n"
#define NODE_A    "a|1000|0|400|100|100|4|N|u|1\n"
#define NODE_B    "b|1000|0|1000|100|100|4|M|u|1\n"
#define INSTANCES "\nv|300|10|2|running|Y|a||ext||1\nw|300|10|2|running|Y|a||ext||1\n"

static struct lab_ganeti *parse(const char *text, GError **error)
{
	struct lab_text file = { "cluster", text, strlen(text) };

	return lab_ganeti_parse(&file, error);
}

static void test_reads(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(lab_ganeti_auto) cluster = parse(GROUP NODE_A NODE_B INSTANCES "\n\n|p|m|t|4.0|32.0\n", &error);
	struct rebalance_even_move moves[4];
	size_t n;

	g_assert_no_error(error);
	g_assert_cmpuint(cluster->even.n_items, ==, 2);
	g_assert_cmpuint(cluster->even.n_kinds, ==, 1);
	/* Memory: 0.6 and 0; virtual CPUs: 1 and 0: half of their difference. */
	g_assert_cmpfloat(fabs(rebalance_even_score(&cluster->even, cluster->node) - 0.8), <, 1e-12);
	g_assert_true(rebalance_even_descend(&cluster->even, cluster->node, 4, 1e-9, moves, &n));
	g_assert_cmpuint(n, ==, 1);
	g_assert_cmpfloat(moves[0].score, <, 1e-6);
}

static void refuses(const char *text, const char *with)
{
	g_autoptr(GError) error = NULL;
	struct lab_ganeti *cluster = parse(text, &error);

	g_assert_null(cluster);
	g_assert_error(error, LAB_ERROR, LAB_ERROR_INVALID);
	if (!strstr(error->message, with))
		g_error("'%s' does not say '%s'", error->message, with);
}

static void test_refuses(void)
{
	refuses("", "cluster, line 1, column 1: the file ends before the instances");
	refuses("g\n", "line 1, column 1: a group needs");
	refuses(GROUP "a|1000|0\n", "line 3, column 1: a node has at least 9 fields");
	refuses(GROUP "a|x|0|400|100|100|4|N|u\n", "line 3, column 3: total memory 'x' is not a whole number");
	refuses(GROUP "a|1000|0|-4|100|100|4|N|u\n", "line 3, column 10: free memory '-4' is not");
	refuses(GROUP "a|99999999999|0|4|100|100|4|N|u\n", "line 3, column 3: total memory 99999999999 is more than");
	refuses(GROUP "a|1000|0|400|100|100|4|Q|u\n", "whether it is offline is Y, N or M");
	refuses(GROUP "a|1000|0|400|100|100|4|N|other\n", "there is no group with UUID 'other'");
	refuses(GROUP NODE_A NODE_A "\n", "line 4, column 1: a node's name is missing or there already");
	refuses(GROUP NODE_A NODE_B "\nv|1|1|1|running|Y|c||ext||1\n", "there is no node 'c'");
	refuses(GROUP NODE_A NODE_B "\nv|1|1|1|running|Y|a|b|drbd||1\n", "line 6, column 23: instances on drbd");
	refuses(GROUP NODE_A NODE_B INSTANCES "v|1|1|1|running|Y|a||ext||1\n", "is missing or there already: 'v'");
	refuses(GROUP NODE_A NODE_B INSTANCES "\nhtools:iextags:x\n\n", "exclusion and location tags");
	refuses(GROUP NODE_A NODE_B INSTANCES "\n\n|p|m|t|x|32.0\n", "virtual CPUs per CPU 'x' is not a number");
	refuses(GROUP NODE_A NODE_B INSTANCES "\n\n|p|m|t|4|32\n\n\nmore\n", "there is more after the five sections");
	refuses("g|u|p||\nh|w|p||\n\n" NODE_A "b|1000|0|1000|100|100|4|M|w|1\n" INSTANCES, "one group at a time");
	refuses(GROUP "a|1000|0|0|0|0|0|Y|u\n" NODE_B "\nv|1|1|1|running|Y|a||ext||1\n", "node a is offline: evacuate");
}

static void test_published(void)
{
	const char *root = g_getenv("POLDER_SHARED");
	g_autofree char *beside = g_build_filename(POLDER_SOURCE_ROOT, "..", "shared", NULL);
	g_autofree char *path = g_build_filename(root ? root : beside, "data", "allocation", "ganeti-hb40.txt", NULL);
	struct lab_rebalance_options options = { .json = FALSE };
	g_autoptr(GError) error = NULL;
	g_autofree char *told = NULL, *again = NULL;

	if (!g_file_test(path, G_FILE_TEST_EXISTS)) {
		g_test_skip("no published cluster; set POLDER_SHARED");
		return;
	}
	told = lab_rebalance_ganeti(path, &options, &error);
	g_assert_no_error(error);
	/* As hbal 3.0.2 prints its first move, the start and the end. */
	g_assert_nonnull(strstr(told, "    1. vm-00158: node-0002 -> node-0035  0.70701310\n"));
	g_assert_nonnull(strstr(told, "score  0.72387014 -> 0.0968"));
	g_assert_nonnull(strstr(told, "moves  72,"));
	again = lab_rebalance_ganeti(path, &options, &error);
	g_assert_cmpstr(told, ==, again);
}

static void test_examples(void)
{
	g_autofree char *model =
		g_build_filename(POLDER_SOURCE_ROOT, "examples", "allocation", "reassignment-model.txt", NULL);
	g_autofree char *assignment =
		g_build_filename(POLDER_SOURCE_ROOT, "examples", "allocation", "reassignment-assignment.txt", NULL);
	struct lab_rebalance_options options = { .budget = "50000", .seed = 1 };
	g_autoptr(GError) error = NULL;
	g_autofree char *told = lab_rebalance_reassignment(model, assignment, &options, &error), *json = NULL;

	g_assert_no_error(error);
	g_assert_nonnull(strstr(told, "checked       valid"));
	options.json = TRUE;
	json = lab_rebalance_reassignment(model, assignment, &options, &error);
	g_assert_no_error(error);
	g_assert_true(g_str_has_prefix(json, "{"));
	options.strategy = "nosuch";
	g_assert_null(lab_rebalance_reassignment(model, assignment, &options, &error));
	g_assert_error(error, LAB_ERROR, LAB_ERROR_INVALID);
	g_clear_error(&error);
	options.strategy = "best-fit";
	g_assert_null(lab_rebalance_reassignment(model, assignment, &options, &error));
	g_assert_nonnull(strstr(error->message, "does not improve machine reassignments"));
	g_clear_error(&error);
	options = (struct lab_rebalance_options) { .budget = "5x" };
	g_assert_null(lab_rebalance_reassignment(model, assignment, &options, &error));
	g_assert_error(error, LAB_ERROR, LAB_ERROR_INVALID);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/lab/ganeti/reads", test_reads);
	g_test_add_func("/lab/ganeti/refuses", test_refuses);
	g_test_add_func("/lab/ganeti/published", test_published);
	g_test_add_func("/lab/rebalance/examples", test_examples);
	return g_test_run();
}
