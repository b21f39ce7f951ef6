/* Drawings of runs are well-formed, name who is in them, say what they leave out, and are the same bytes for the same run. */
#include <glib.h>
#include <string.h>

#include "lab/scheduling/gantt.h"
#include "lab/scheduling/latency.h"

struct seen {
	guint rects, curves;
	GString *text;
};

static void opened(GMarkupParseContext *context, const char *name, const char **names, const char **values,
		   gpointer data, GError **error)
{
	struct seen *seen = data;

	seen->rects += strcmp(name, "rect") == 0;
	seen->curves += strcmp(name, "polyline") == 0;
	for (guint i = 0; names[i]; i++) {
		g_assert_null(strstr(values[i], "nan"));
		g_assert_null(strstr(values[i], "inf"));
	}
}

static void said(GMarkupParseContext *context, const char *text, gsize bytes, gpointer data, GError **error)
{
	g_string_append_len(((struct seen *)data)->text, text, (gssize)bytes);
}

static struct seen parse(const char *svg)
{
	static const GMarkupParser parser = { .start_element = opened, .text = said };
	struct seen seen = { .text = g_string_new(NULL) };
	GMarkupParseContext *context = g_markup_parse_context_new(&parser, 0, &seen, NULL);
	GError *error = NULL;

	g_markup_parse_context_parse(context, svg, -1, &error);
	g_assert_no_error(error);
	g_assert_true(g_markup_parse_context_end_parse(context, &error));
	g_assert_no_error(error);
	g_markup_parse_context_free(context);
	return seen;
}

static void keep(const char *variable, const char *svg)
{
	if (g_getenv(variable))
		g_assert_true(g_file_set_contents(g_getenv(variable), svg, -1, NULL));
}

static struct workload *read_workload(const char *json)
{
	g_autoptr(GError) error = NULL;
	struct workload *workload = workload_read_json(json, strlen(json), "drawing", &error);

	g_assert_no_error(error);
	return workload;
}

/* ---- Gantt ---- */

static char *draw_gantt(const struct workload *workload, gint64 until_ns)
{
	struct gantt *gantt = gantt_new(workload, "a <workload> & more", 0, until_ns);
	struct engine_setup setup = { .strategy = scheduling_strategy_find("eevdf"),
				      .workload = workload,
				      .seed = 1,
				      .horizon_ns = until_ns,
				      .observer = gantt_observe,
				      .user_data = gantt };
	struct engine_result result;
	char *svg;

	engine_run(&setup, &result);
	svg = gantt_svg(gantt);
	gantt_free(gantt);
	engine_result_clear(&result);
	return svg;
}

/* One after the other, 3 ms each: four bars, and a legend of two. */
static void test_gantt(void)
{
	g_autoptr(workload_auto) workload =
		read_workload("{\"global\":{\"duration\":1,\"cpus\":1},\"vms\":["
			      "{\"name\":\"ant & bee\",\"run\":1000000},{\"name\":\"cat\",\"run\":1000000},"
			      "{\"name\":\"late\",\"run\":1000,\"delay\":900000}]}");
	g_autofree char *svg = draw_gantt(workload, 12000000), *again = draw_gantt(workload, 12000000);
	struct seen seen = parse(svg);

	keep("POLDER_TEST_KEEP_GANTT", svg);
	g_assert_cmpstr(svg, ==, again);
	g_assert_cmpuint(seen.rects, ==, 4 + 2);
	g_assert_nonnull(strstr(seen.text->str, "a <workload> & more"));
	g_assert_nonnull(strstr(seen.text->str, "ant & bee, vCPU 0: 0–3000 µs"));
	g_assert_nonnull(strstr(seen.text->str, "CPU 0"));
	g_assert_nonnull(strstr(seen.text->str, "12 ms"));
	g_assert_null(strstr(seen.text->str, "late")); /* it has not run yet */
	g_string_free(seen.text, TRUE);
}

static void test_gantt_large(void)
{
	g_autoptr(workload_auto) workload =
		read_workload("{\"global\":{\"duration\":1,\"cpus\":300},\"vms\":["
			      "{\"name\":\"a-name-that-is-longer-than-its-column\",\"count\":300,\"run\":1000000}]}");
	g_autofree char *svg = draw_gantt(workload, 10000000);
	struct seen seen = parse(svg);

	g_assert_nonnull(strstr(seen.text->str, "The first 256 of 300 CPUs."));
	g_assert_nonnull(strstr(seen.text->str, "208 more VMs ran."));
	g_assert_nonnull(strstr(seen.text->str, "a-name-that-is-longer…"));
	g_string_free(seen.text, TRUE);
}

/* ---- Latency ---- */

static void add(struct latency *latency, enum latency_panel panel, const char *name, const gint64 *waits_ns)
{
	struct engine_totals *totals = g_new0(struct engine_totals, 1);

	for (guint i = 0; waits_ns[i] >= 0; i++)
		histogram_add(&totals->wakeup, waits_ns[i]);
	latency_add(latency, panel, name, totals);
	g_free(totals);
}

static char *draw_latency(void)
{
	struct latency *latency = latency_new("a <workload> & more");
	char *svg;

	add(latency, LATENCY_IDEAL, "eevdf", (const gint64[]) { 0, 0, 10000, 1000000, -1 });
	add(latency, LATENCY_IDEAL, "stride", (const gint64[]) { 20000, 40000, -1 });
	add(latency, LATENCY_PROJECTED, "eevdf", (const gint64[]) { 0, 3000000, -1 });
	add(latency, LATENCY_PROJECTED, "stride", (const gint64[]) { -1 }); /* nobody woke: no curve */
	svg = latency_svg(latency);
	latency_free(latency);
	return svg;
}

static void test_latency(void)
{
	g_autofree char *svg = draw_latency(), *again = draw_latency();
	struct seen seen = parse(svg);

	keep("POLDER_TEST_KEEP_LATENCY", svg);
	g_assert_cmpstr(svg, ==, again);
	g_assert_cmpuint(seen.curves, ==, 3);
	g_assert_nonnull(strstr(seen.text->str, "a <workload> & more"));
	g_assert_nonnull(strstr(seen.text->str, "of all vCPUs"));
	g_assert_nonnull(strstr(seen.text->str, "eevdf: p50 0, p99 1000, p99.9 1000, at most 1000 µs"));
	/* Half waited no time: 0.301 of a nine down. A quarter 10 µs, in the class that ends at 10.239: 1.0103 of four
	 * decades across. */
	g_assert_nonnull(strstr(svg, "points=\"70.00,86.00 70.00,86.00 70.00,110.08 171.03,110.08"));
	g_string_free(seen.text, TRUE);
}

/* With a latency target somewhere, it is about those who have one. */
static void test_latency_class(void)
{
	struct engine_totals *totals = g_new0(struct engine_totals, 1);
	struct latency *latency = latency_new("class");
	g_autofree char *svg = NULL;
	struct seen seen;

	histogram_add(&totals->wakeup, 5000000);
	histogram_add(&totals->wakeup, 7000);
	histogram_add(&totals->wakeup_class, 7000);
	latency_add(latency, LATENCY_IDEAL, "eevdf", totals);
	svg = latency_svg(latency);
	seen = parse(svg);
	g_assert_nonnull(strstr(seen.text->str, "of the vCPUs with a latency target"));
	g_assert_nonnull(strstr(seen.text->str, "at most 7 µs"));
	g_string_free(seen.text, TRUE);
	latency_free(latency);
	g_free(totals);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/scheduling/drawings/gantt", test_gantt);
	g_test_add_func("/scheduling/drawings/gantt-large", test_gantt_large);
	g_test_add_func("/scheduling/drawings/latency", test_latency);
	g_test_add_func("/scheduling/drawings/latency-class", test_latency_class);
	return g_test_run();
}
