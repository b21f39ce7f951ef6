#include "lab/scheduling/latency.h"

#include <math.h>
#include <string.h>

#include "lab/svg.h"

/* In pixels. */
#define LEFT    70
#define TOP     86
#define PANEL   400
#define GAP     70
#define HEIGHT  320
#define LEGEND  46 /* below the panels */
#define WIDTH   (LEFT + LATENCY_PANELS * PANEL + GAP + 30)
#define BOTTOM  30
#define COLUMNS ((WIDTH - LEFT) / SVG_LEGEND_COLUMN)

/* From 1 µs (what is less lies on the edge) by decades; shares down to a ten-thousandth. */
#define FROM_NS     1000.0
#define DECADES_MIN 3
#define DECADES_MAX 9
#define NINES       4

/* One colour serves four strategies, told apart by their dashes. */
#define COLOURS 8
static const char *const dashes[] = { "", " stroke-dasharray=\"7 4\"", " stroke-dasharray=\"2 3\"",
				      " stroke-dasharray=\"10 3 2 3\"" };

struct curve {
	guint style;
	struct histogram wakeup;
};

struct latency {
	char *title;
	GPtrArray *names;                  /* char *, owned; their place is the style */
	GPtrArray *curves[LATENCY_PANELS]; /* struct curve *, owned */
	gboolean of_class;
};

struct latency *latency_new(const char *title)
{
	struct latency *latency = g_new0(struct latency, 1);

	latency->title = g_strdup(title);
	latency->names = g_ptr_array_new_with_free_func(g_free);
	for (guint panel = 0; panel < LATENCY_PANELS; panel++)
		latency->curves[panel] = g_ptr_array_new_with_free_func(g_free);
	return latency;
}

void latency_free(struct latency *latency)
{
	if (!latency)
		return;
	for (guint panel = 0; panel < LATENCY_PANELS; panel++)
		g_ptr_array_unref(latency->curves[panel]);
	g_ptr_array_unref(latency->names);
	g_free(latency->title);
	g_free(latency);
}

void latency_add(struct latency *latency, enum latency_panel panel, const char *name,
		 const struct engine_totals *totals)
{
	struct curve *curve = g_new0(struct curve, 1);

	if (totals->wakeup_class.n)
		latency->of_class = TRUE;
	curve->wakeup = totals->wakeup_class.n ? totals->wakeup_class : totals->wakeup;
	if (!g_ptr_array_find_with_equal_func(latency->names, name, g_str_equal, &curve->style)) {
		curve->style = latency->names->len;
		g_ptr_array_add(latency->names, g_strdup(name));
	}
	g_ptr_array_add(latency->curves[panel], curve);
}

/* ---- Axes ---- */

struct axes {
	double left;
	guint decades;
};

static double across(const struct axes *axes, double ns)
{
	double decade = log10(MAX(ns, FROM_NS) / FROM_NS);

	return axes->left + MIN(decade, axes->decades) / axes->decades * PANEL;
}

static double down(double share)
{
	return TOP + MIN(-log10(share), NINES) / NINES * HEIGHT;
}

static guint decades_of(const struct latency *latency)
{
	gint64 most = 0;
	guint decades = DECADES_MIN;

	for (guint panel = 0; panel < LATENCY_PANELS; panel++)
		for (guint i = 0; i < latency->curves[panel]->len; i++)
			most = MAX(most, ((struct curve *)latency->curves[panel]->pdata[i])->wakeup.max);
	for (double end = FROM_NS * 1e3; end < (double)most && decades < DECADES_MAX; end *= 10)
		decades++;
	return decades;
}

static void append_axes(GString *svg, const struct axes *axes, const char *heading)
{
	static const char *const times[] = { "1 µs",   "10 µs", "100 µs", "1 ms",  "10 ms",
					     "100 ms", "1 s",   "10 s",   "100 s", "1000 s" };
	static const char *const percentiles[] = { "p0", "p90", "p99", "p99.9", "p99.99" };
	double bottom = TOP + HEIGHT, x = axes->left;

	svg_text(svg, " class=\"h\"", axes->left, TOP - 14, heading);
	for (guint i = 0; i <= axes->decades; i++) {
		x = axes->left + (double)i / axes->decades * PANEL;
		svg_line(svg, "g", (double[]) { x, TOP, x, bottom });
		svg_text(svg, " class=\"s\" text-anchor=\"middle\"", x, bottom + 16, times[i]);
	}
	for (guint i = 0; i <= NINES; i++) {
		double y = TOP + (double)i / NINES * HEIGHT;

		svg_line(svg, "g", (double[]) { axes->left, y, x, y });
		svg_text(svg, " class=\"s\" text-anchor=\"end\"", axes->left - 6, y + 4, percentiles[i]);
	}
	svg_line(svg, "g", (double[]) { axes->left, down(0.5), x, down(0.5) });
	svg_text(svg, " class=\"s\" text-anchor=\"end\"", axes->left - 6, down(0.5) + 4, "p50");
}

/* ---- Curves ---- */

static void append_stroke(GString *svg, guint style)
{
	char colour[SVG_COLOUR_MAX];

	g_string_append_printf(svg, " class=\"l\" stroke=\"%s\"%s", svg_colour(style % COLOURS, colour),
			       dashes[style / COLOURS % G_N_ELEMENTS(dashes)]);
}

/* A corner at each class of durations that holds some: those up to it waited no longer. */
static void append_points(GString *svg, const struct axes *axes, const struct histogram *wakeup)
{
	char x[G_ASCII_DTOSTR_BUF_SIZE], y[G_ASCII_DTOSTR_BUF_SIZE];
	guint64 seen = 0;

	svg_number(across(axes, 0), x);
	g_string_append_printf(svg, "%s,%s", x, svg_number(down(1), y));
	for (guint i = 0; i < HISTOGRAM_CLASSES && seen < wakeup->n; i++) {
		if (!wakeup->count[i])
			continue;
		svg_number(across(axes, (double)histogram_end(wakeup, i)), x);
		g_string_append_printf(svg, " %s,%s", x, y);
		seen += wakeup->count[i];
		svg_number(seen < wakeup->n ? down((double)(wakeup->n - seen) / (double)wakeup->n) : TOP + HEIGHT, y);
		g_string_append_printf(svg, " %s,%s", x, y);
	}
}

static void append_curve(GString *svg, const struct latency *latency, const struct axes *axes,
			 const struct curve *curve)
{
	const struct histogram *wakeup = &curve->wakeup;

	if (!wakeup->n)
		return;
	g_string_append(svg, "<polyline");
	append_stroke(svg, curve->style);
	g_string_append(svg, " points=\"");
	append_points(svg, axes, wakeup);
	g_string_append_printf(svg,
			       "\"><title>%s: p50 %" G_GINT64_FORMAT ", p99 %" G_GINT64_FORMAT
			       ", p99.9 %" G_GINT64_FORMAT ", at most %" G_GINT64_FORMAT " µs</title></polyline>\n",
			       (const char *)latency->names->pdata[curve->style],
			       histogram_percentile(wakeup, 500) / 1000, histogram_percentile(wakeup, 990) / 1000,
			       histogram_percentile(wakeup, 999) / 1000, wakeup->max / 1000);
}

static void append_legend(GString *svg, const struct latency *latency, double top)
{
	for (guint i = 0; i < latency->names->len; i++) {
		double at[] = { LEFT, top };

		svg_legend_place(i, COLUMNS, at);
		g_string_append(svg, "<path");
		append_stroke(svg, i);
		g_string_append_printf(svg, " d=\"M%d %dh28\"/>\n", (int)at[0], (int)at[1] - 4);
		svg_text(svg, "", at[0] + 34, at[1], latency->names->pdata[i]);
	}
}

char *latency_svg(const struct latency *latency)
{
	static const char *const headings[] = { "the strategies themselves", "as the kernel would carry them out" };
	const guint rows = (latency->names->len + COLUMNS - 1) / COLUMNS;
	const guint below = TOP + HEIGHT + LEGEND, height = below + rows * SVG_LEGEND_ROW + BOTTOM;
	struct axes axes = { .decades = decades_of(latency) };
	GString *svg = svg_new(WIDTH, height);

	svg_text(svg, " class=\"h\"", LEFT, 22, latency->title);
	svg_text(svg, " class=\"s\"", LEFT, 40,
		 latency->of_class
			 ? "time from wake-up to CPU, of the vCPUs with a latency target; lower and left is better"
			 : "time from wake-up to CPU, of all vCPUs; lower and left is better");
	for (guint panel = 0; panel < LATENCY_PANELS; panel++) {
		axes.left = LEFT + (double)panel * (PANEL + GAP);
		append_axes(svg, &axes, headings[panel]);
		for (guint i = latency->curves[panel]->len; i > 0; i--)
			append_curve(svg, latency, &axes, latency->curves[panel]->pdata[i - 1]);
	}
	append_legend(svg, latency, below);
	return svg_steal(svg);
}
