/* The allocation family: its options, its notes, the same bytes for the same seed, whatever the number of threads. */
#include "lab/allocation.h"

#include <string.h>

#include "lab/error.h"
#include "lab/report.h"

static const char trace_name[] = "synthetic:vms=2000,seed=3,hours=24";

static void test_options(void)
{
	static const char *const wrong[][2] = {
		{ "hosts=0x0", "neither a shape" }, { "racks=0", "1 to 100000" },
		{ "split-over=-1", "GiB" },         { "lifetime=long", "midpoint, shortest or longest" },
		{ "tune-until=soon", "like 1.5d" }, { "apart=maybe", "no, soft or hard" },
		{ "samples=0", "from 1" },          { "migrate=nosuch", "there is no such policy; known: " },
		{ "max-per-vm=-1", "like 0.05" },   { "colour=red", "unknown; known: hosts" },
		{ "nothing", "write name=value" },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
		const char *const options[] = { wrong[i][0], NULL };
		g_autoptr(GError) error = NULL;

		g_assert_null(lab_allocation_family.load(trace_name, options, NULL, &error));
		g_assert_error(error, LAB_ERROR, LAB_ERROR_INVALID);
		if (!strstr(error->message, wrong[i][1]))
			g_error("%s: expected “%s” in “%s”", wrong[i][0], wrong[i][1], error->message);
	}
}

static void test_notes(void)
{
	const char *const options[] = { "tune-until=6h", NULL };
	g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
	struct allocation_workload *workload = lab_allocation_family.load(trace_name, options, notes, NULL);
	g_autoptr(GString) text = g_string_new(NULL);

	for (guint i = 0; i < notes->len; i++)
		g_string_append_printf(text, "%s\n", (char *)notes->pdata[i]);
	g_assert_nonnull(strstr(text->str, "none were given"));
	g_assert_nonnull(strstr(text->str, "racks: of 40 hosts"));
	g_assert_null(strstr(text->str, "Zipf")); /* it names tenants */
	g_assert_cmpint(workload->tune_until_us - workload->trace->first_us, ==, G_GINT64_CONSTANT(21600000000));
	lab_allocation_family.free(workload);
}

static char *report(gpointer workload, guint n_threads)
{
	struct lab_ranking *ranking = lab_ranking_new(&lab_allocation_family, workload, LAB_WHOLE);
	struct score_weights weights;
	struct lab_run run = { .seed = 5, .n_seeds = 2, .n_threads = n_threads };
	gboolean normalized;
	char *text;

	g_assert_true(lab_weights_parse(NULL, &weights, &normalized, NULL));
	g_assert_true(lab_ranking_add_named(ranking, "first-fit,random,worst-fit", NULL));
	g_assert_true(lab_ranking_run(ranking, &run, NULL));
	g_assert_true(lab_ranking_select(ranking, &weights, normalized, NULL, NULL));
	text = lab_report_json(ranking, FALSE);
	lab_ranking_free(ranking);
	return text;
}

static void test_same_bytes(void)
{
	const char *const options[] = { "hosts=2x40c90G", NULL };
	gpointer workload = lab_allocation_family.load(trace_name, options, NULL, NULL);
	g_autofree char *one = report(workload, 1), *two = report(workload, 2);

	g_assert_cmpstr(one, ==, two);
	g_assert_nonnull(strstr(one, "host_hours"));
	g_assert_null(strstr(one, "decide_p99_ns"));
	lab_allocation_family.free(workload);
}

/* Scores are in [0, 1]; what can't follow a trace says so. */
static void test_all(void)
{
	const char *const options[] = { "hosts=20*2x16c64G", NULL };
	gpointer workload = lab_allocation_family.load(trace_name, options, NULL, NULL);

	for (size_t i = 0; i < allocation_n_strategies; i++) {
		const struct strategy_info *info = &allocation_strategies[i]->info;
		const char *reason = lab_allocation_family.applicable(workload, info);
		struct lab_result result = { 0 };
		struct strategy_values values;

		if (reason) {
			g_assert_cmpint(info->kind, !=, STRATEGY_ONLINE);
			continue;
		}
		strategy_values_init(info, &values);
		g_assert_true(lab_allocation_family.evaluate(workload, info, &values, 1, LAB_WHOLE, &result, NULL));
		for (int kind = 0; kind < SCORES; kind++)
			g_assert_true(result.has_score[kind] && result.score[kind] >= 0 && result.score[kind] <= 1);
		lab_result_clear(&result);
	}
	lab_allocation_family.free(workload);
}

static char *example(const char *name)
{
	return g_build_filename(POLDER_SOURCE_ROOT, "examples", "allocation", name, NULL);
}

static const char *example_winner(gpointer workload, const char *wish)
{
	struct lab_ranking *ranking = lab_ranking_new(&lab_allocation_family, workload, LAB_WHOLE);
	struct score_weights weights;
	struct lab_run run = { .seed = 1, .n_seeds = 1 };
	gboolean normalized;
	const char *name;

	g_assert_true(lab_weights_parse(wish, &weights, &normalized, NULL));
	g_assert_true(lab_ranking_add_named(ranking, "first-fit,next-fit,worst-fit", NULL));
	g_assert_true(lab_ranking_run(ranking, &run, NULL));
	g_assert_true(lab_ranking_select(ranking, &weights, normalized, NULL, NULL));
	name = ranking->winner->info->name;
	lab_ranking_free(ranking);
	return name;
}

/* What examples/allocation/README.md says. */
static void test_example(void)
{
	g_autofree char *trace = example("mixed.csv"), *hosts = example("hosts.csv");
	g_autofree char *option = g_strconcat("hosts=", hosts, NULL);
	const char *const options[] = { option, NULL };
	g_autoptr(GError) error = NULL;
	gpointer workload = lab_allocation_family.load(trace, options, NULL, &error);

	g_assert_no_error(error);
	g_assert_cmpstr(example_winner(workload, "performance=1"), ==, "first-fit");
	g_assert_cmpstr(example_winner(workload, "availability=1"), ==, "worst-fit");
	g_assert_cmpstr(example_winner(workload, "security=1"), ==, "next-fit");
	lab_allocation_family.free(workload);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/allocation/options", test_options);
	g_test_add_func("/allocation/notes", test_notes);
	g_test_add_func("/allocation/same-bytes", test_same_bytes);
	g_test_add_func("/allocation/all", test_all);
	g_test_add_func("/allocation/example", test_example);
	return g_test_run();
}
