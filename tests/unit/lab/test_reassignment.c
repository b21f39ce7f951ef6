/* Machine reassignment files: what is malformed is named by file, line and column; the published instances when there. */
#include <string.h>

#include "lab/error.h"
#include "lab/reassignment.h"

/* One resource, two machines, one service, one process, no balance cost. */
#define MODEL      "1\n0 10\n2\n0 0 100 80 0 1\n0 1 100 80 1 0\n1\n0 0\n1\n0 90 1\n0\n1 1 1\n"
#define ASSIGNMENT "0\n"

static struct lab_reassignment *parse(const char *model, const char *assignment, GError **error)
{
	struct lab_text texts[2] = { { "model", model, strlen(model) },
				     { "assignment", assignment, strlen(assignment) } };

	return lab_reassignment_parse(&texts[0], &texts[1], error);
}

static void test_reads(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(lab_reassignment_auto) instance = parse(MODEL, ASSIGNMENT, &error);
	enum rebalance_violation violation;
	struct rebalance_cost cost;
	guint32 machine[1] = { 0 };

	g_assert_no_error(error);
	g_assert_cmpuint(instance->problem.n_machines, ==, 2);
	g_assert_cmpuint(instance->problem.n_locations, ==, 2);
	g_assert_cmpuint(instance->problem.n_neighbourhoods, ==, 1);
	g_assert_true(rebalance_verify(&instance->problem, machine, &cost, &violation));
	g_assert_cmpint(cost.total, ==, 100);
	machine[0] = 1;
	g_assert_true(rebalance_verify(&instance->problem, machine, &cost, &violation));
	g_assert_cmpint(cost.total, ==, 100 + 1 + 1 + 1);
}

static void refuses(const char *model, const char *assignment, const char *with)
{
	g_autoptr(GError) error = NULL;
	struct lab_reassignment *instance = parse(model, assignment, &error);

	g_assert_null(instance);
	g_assert_error(error, LAB_ERROR, LAB_ERROR_INVALID);
	if (!strstr(error->message, with))
		g_error("'%s' does not say '%s'", error->message, with);
}

static void test_refuses(void)
{
	refuses("", ASSIGNMENT, "model, line 1, column 1: the file ends where the number of resources");
	refuses("x", ASSIGNMENT, "model, line 1, column 1: the number of resources is not a whole number");
	refuses("1\n0 -10\n", ASSIGNMENT, "model, line 2, column 3: a resource's load weight is negative");
	refuses("1\n0 10\n4000\n0 0\n", ASSIGNMENT,
		"line 3, column 1: the number of machines is 4000, more than the rest");
	refuses("1\n0 10\n99999\n", ASSIGNMENT, "the number of machines is more than 5000");
	refuses("33", ASSIGNMENT, "more than 32");
	refuses("1\n0 99999999999999999999\n", ASSIGNMENT, "line 2, column 3: a resource's load weight is more than");
	refuses(MODEL "7\n", ASSIGNMENT, "line 12, column 1: there is more after the last number");
	refuses(MODEL, "0 0\n", "assignment, line 1, column 3: there is more");
	refuses(MODEL, "2\n", "assignment, line 1, column 1: a process's machine is more than 1");
	refuses(MODEL, "", "assignment, line 1, column 1: the file ends");
	refuses("1\n0 10\n2\n0 0 80 80 0 1\n0 1 100 80 1 0\n1\n0 0\n1\n0 90 1\n0\n1 1 1\n", ASSIGNMENT,
		"not valid in model to begin with (capacity)");
	refuses("1\n0 10\n2\n0 0 100 80 0 1\n0 1 100 80 1 0\n1\n2 0\n1\n0 90 1\n0\n1 1 1\n", ASSIGNMENT, "(spread)");
	refuses("1\n0 10\n2\n0 0 100 80 0 1\n0 1 100 80 1 0\n1\n0 1 5\n", ASSIGNMENT,
		"the service depended on is more than 0");
	refuses("1\n0 2147483647\n2\n0 0 2147483647 0 0 1\n0 1 2147483647 0 1 0\n1\n0 0\n1\n0 2147483647 1\n0\n1 1 1\n",
		ASSIGNMENT, "could exceed 64 bits");
}

static char *shared(const char *file)
{
	const char *root = g_getenv("POLDER_SHARED");
	g_autofree char *beside = g_build_filename(POLDER_SOURCE_ROOT, "..", "shared", NULL);

	return g_build_filename(root ? root : beside, "data", "allocation", "machine-reassignment", file, NULL);
}

/* What the challenge says each assignment costs to begin with. */
static void test_published(void)
{
	static const char *const names[] = { "a1_1", "a1_2", "a1_3", "a1_4", "a1_5",
					     "a2_1", "a2_2", "a2_3", "a2_4", "a2_5" };

	for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autofree char *model_name = g_strdup_printf("model_%s.txt", names[i]);
		g_autofree char *assignment_name = g_strdup_printf("assignment_%s.txt", names[i]);
		g_autofree char *original_name = g_strdup_printf("original_cost_%s.txt", names[i]);
		g_autofree char *model = shared(model_name), *assignment = shared(assignment_name);
		g_autofree char *original = shared(original_name), *text = NULL;
		g_autoptr(lab_reassignment_auto) instance = NULL;
		g_autoptr(GError) error = NULL;
		enum rebalance_violation violation;
		struct rebalance_cost cost;

		if (!g_file_test(model, G_FILE_TEST_EXISTS)) {
			g_test_skip("no published instances; set POLDER_SHARED");
			return;
		}
		instance = lab_reassignment_load(model, assignment, &error);
		g_assert_no_error(error);
		g_assert_true(g_file_get_contents(original, &text, NULL, NULL));
		g_assert_true(rebalance_verify(&instance->problem, instance->problem.initial, &cost, &violation));
		g_assert_cmpint(cost.total, ==, g_ascii_strtoll(text, NULL, 10));
	}
}

static void test_absent(void)
{
	g_autoptr(GError) error = NULL;

	g_assert_null(lab_reassignment_load("/nonexistent/model", "/nonexistent/assignment", &error));
	g_assert_error(error, LAB_ERROR, LAB_ERROR_NOT_FOUND);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/lab/reassignment/reads", test_reads);
	g_test_add_func("/lab/reassignment/refuses", test_refuses);
	g_test_add_func("/lab/reassignment/published", test_published);
	g_test_add_func("/lab/reassignment/absent", test_absent);
	return g_test_run();
}
