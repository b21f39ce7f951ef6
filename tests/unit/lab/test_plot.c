/* Drawings are well-formed, name every candidate, and are the same bytes for the same ranking. */
#include "lab/plot.h"

#include <string.h>

#include "tests/unit/lab/synthetic.h"

static char *plot(const char *list, guint n_seeds)
{
	g_autoptr(lab_ranking_auto) ranking = lab_ranking_new(&synthetic_family, NULL, LAB_WHOLE);
	const struct score_weights weights = SCORE_WEIGHTS_DEFAULT;

	ranking->source = g_strdup("a <trace> & more");
	g_assert_true(lab_ranking_add_named(ranking, list, NULL));
	g_assert_true(lab_ranking_run(ranking, &(struct lab_run) { .seed = 1, .n_seeds = n_seeds }, NULL));
	g_assert_true(lab_ranking_select(ranking, &weights, FALSE, NULL, NULL));
	return lab_plot_svg(ranking);
}

static void opened(GMarkupParseContext *context, const char *name, const char **names, const char **values,
		   gpointer rects, GError **error)
{
	if (strcmp(name, "rect") == 0)
		++*(guint *)rects;
	for (guint i = 0; names[i]; i++)
		g_assert_null(strstr(values[i], "nan"));
}

static guint parse(const char *svg)
{
	static const GMarkupParser parser = { .start_element = opened };
	guint rects = 0;
	GMarkupParseContext *context = g_markup_parse_context_new(&parser, 0, &rects, NULL);
	GError *error = NULL;

	g_markup_parse_context_parse(context, svg, -1, &error);
	g_assert_no_error(error);
	g_assert_true(g_markup_parse_context_end_parse(context, NULL));
	g_markup_parse_context_free(context);
	return rects;
}

static void test_plot(void)
{
	g_autofree char *svg = plot("all", 3), *again = plot("all", 3);

	g_assert_cmpuint(parse(svg), ==, 7);
	g_assert_cmpstr(svg, ==, again);
	g_assert_nonnull(strstr(svg, "a &lt;trace&gt; &amp; more"));
	g_assert_nonnull(strstr(svg, "noisy"));
	if (g_getenv("POLDER_TEST_KEEP"))
		g_assert_true(g_file_set_contents(g_getenv("POLDER_TEST_KEEP"), svg, -1, NULL));
}

static void test_one(void)
{
	g_autofree char *svg = plot("plain", 1);

	g_assert_cmpuint(parse(svg), ==, 1);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/plot/plot", test_plot);
	g_test_add_func("/plot/one", test_one);
	return g_test_run();
}
