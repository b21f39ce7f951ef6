/* Every figure that a run of scheduling tells is explained in docs/scheduling-figures.md, and none there is made up. */
#include <glib.h>
#include <string.h>

#include "core/scheduling/scheduling.h"
#include "lab/scheduling/engine.h"
#include "lab/scheduling/family.h"

/* All kinds of vCPU at once, so that nothing is absent. */
#define WORKLOAD "examples/scheduling/mixed.json"

static void tell(struct lab_result *result)
{
	static const char *const options[] = { "seconds=1", NULL };
	const struct strategy_info *info = strategy_registry_find(&scheduling_registry, "eevdf");
	g_autofree char *path = g_build_filename(POLDER_SOURCE_ROOT, WORKLOAD, NULL);
	g_autoptr(GError) error = NULL;
	struct strategy_values values;
	gpointer loaded = lab_scheduling_family.load(path, options, NULL, &error);

	g_assert_no_error(error);
	strategy_values_init(info, &values);
	lab_scheduling_family.evaluate(loaded, info, &values, 1, LAB_WHOLE, result, &error);
	g_assert_no_error(error);
	lab_scheduling_family.free(loaded);
}

/* The names in the first column of the page's table. Caller frees. */
static GHashTable *read_page(void)
{
	GHashTable *names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autofree char *path = g_build_filename(POLDER_SOURCE_ROOT, "docs", "scheduling-figures.md", NULL);
	g_autofree char *text = NULL;
	g_auto(GStrv) lines = NULL;

	g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
	lines = g_strsplit(text, "\n", -1);
	for (guint i = 0; lines[i]; i++) {
		g_auto(GStrv) cells = g_strsplit(lines[i], "|", 3);
		g_auto(GStrv) words = NULL;

		if (!g_str_has_prefix(lines[i], "| `"))
			continue;
		words = g_strsplit(cells[1], "`", -1);
		for (guint w = 1; words[w] && words[w + 1]; w += 2)
			g_hash_table_add(names, g_strdup(words[w]));
	}
	return names;
}

static void test_explained(void)
{
	g_autoptr(GHashTable) names = read_page();
	struct lab_result result = { 0 };
	guint told = 0;

	tell(&result);
	for (guint i = 0; i < result.n_figures; i++) {
		if (result.figure[i].is_time)
			continue;
		g_test_message("%s", result.figure[i].name);
		g_assert_true(g_hash_table_contains(names, result.figure[i].name));
		told++;
	}
	g_assert_cmpuint(told, ==, g_hash_table_size(names));
	lab_result_clear(&result);
}

/* One sibling is due half of its CPU, the other a fifth: the one ahead is stopped time and again, and both wait as long. */
static void test_co_stop(void)
{
	static const char text[] = "{\"global\":{\"duration\":5,\"cpus\":2},\"vms\":["
				   "{\"name\":\"pair\",\"vcpus\":2,\"run\":1000000},"
				   "{\"name\":\"strong\",\"weight\":400,\"cpus\":[0],\"run\":1000000},"
				   "{\"name\":\"weak\",\"weight\":100,\"cpus\":[1],\"run\":1000000}]}";
	g_autoptr(GError) error = NULL;
	g_autoptr(workload_auto) workload = workload_read_json(text, strlen(text), "pair", &error);
	struct engine_setup setup = { .strategy = scheduling_strategy_find("relaxed-cosched"),
				      .workload = workload,
				      .seed = 1 };
	struct engine_result result;

	g_assert_no_error(error);
	for (guint i = 0; i < 2; i++) /* one beside strong, one beside weak */
		workload_task(workload, i)->mask = workload_task(workload, 2 + i)->mask;
	engine_run(&setup, &result);
	g_test_message("ran %.3f and %.3f s", (double)result.task[0].run_ns / 1e9, (double)result.task[1].run_ns / 1e9);
	g_assert_cmpint(ABS(result.task[0].run_ns - result.task[1].run_ns), <, 100000000);
	g_assert_cmpint(result.task[1].parked_ns + result.task[1].throttled_ns, >, 1000000000);
	engine_result_clear(&result);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/scheduling/figures/explained", test_explained);
	g_test_add_func("/scheduling/figures/co-stop", test_co_stop);
	return g_test_run();
}
