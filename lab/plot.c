#include "lab/plot.h"

#include "lab/svg.h"

/* In pixels. */
#define BAR_TOP      56
#define BAR_STEP     22
#define BAR_LEFT     190
#define BAR_WIDTH    300
#define FIELD_LEFT   580
#define FIELD_SIZE   300
#define WIDTH        920
#define LABEL_WIDTH  90
#define LABEL_HEIGHT 12
#define HEIGHT_MIN   (BAR_TOP + FIELD_SIZE + 60)

static char *title(const struct lab_candidate *candidate)
{
	char text[G_ASCII_DTOSTR_BUF_SIZE];

	return g_strdup_printf("%s %s", candidate->info->name,
			       g_ascii_formatd(text, sizeof(text), "%.4f", candidate->score.efficiency.mean));
}

static void append_bar(const struct lab_ranking *ranking, GString *svg, guint at)
{
	const struct lab_candidate *candidate = ranking->ranked->pdata[at];
	const struct score_efficiency *efficiency = &candidate->score.efficiency;
	double y = BAR_TOP + 14 + (double)at * BAR_STEP;
	char width[G_ASCII_DTOSTR_BUF_SIZE], number[G_ASCII_DTOSTR_BUF_SIZE];
	g_autofree char *tip = title(candidate);

	svg_text(svg, " text-anchor=\"end\"", BAR_LEFT - 8, y + 12, candidate->info->name);
	if (!efficiency->present) {
		svg_text(svg, " class=\"s\"", BAR_LEFT + 4, y + 12, "no score");
		return;
	}
	g_string_append_printf(svg,
			       "<rect class=\"%s\" x=\"%d\" y=\"%.0f\" width=\"%s\" height=\"16\"><title>%s</title>"
			       "</rect>\n",
			       candidate == ranking->winner ? "w" : "b", BAR_LEFT, y,
			       svg_number(efficiency->mean * BAR_WIDTH, width), tip);
	svg_line(svg, "i",
		 (double[]) { BAR_LEFT + efficiency->low * BAR_WIDTH, y + 8, BAR_LEFT + efficiency->high * BAR_WIDTH,
			      y + 8 });
	svg_text(svg, " class=\"s\"", BAR_LEFT + MAX(efficiency->mean, efficiency->high) * BAR_WIDTH + 6, y + 12,
		 g_ascii_formatd(number, sizeof(number), "%.4f", efficiency->mean));
}

/* The axis of scores: the hundredths that hold them all, at least a tenth wide. */
static void span(const struct lab_ranking *ranking, int kind, double range[2])
{
	range[0] = 1;
	range[1] = 0;
	for (guint r = 0; r < ranking->ranked->len; r++) {
		const struct score *score =
			&((const struct lab_candidate *)ranking->ranked->pdata[r])->score.scores.score[kind];

		if (!score->present)
			continue;
		range[0] = MIN(range[0], score->low);
		range[1] = MAX(range[1], score->high);
	}
	range[0] = (double)(int)(range[0] * 20) / 20;
	range[1] = (double)(int)(range[1] * 20 + 0.999) / 20;
	if (range[1] - range[0] < 0.1) {
		range[1] = MIN(1, range[0] + 0.1);
		range[0] = range[1] - 0.1;
	}
}

static double across(const double range[2], double value)
{
	return FIELD_LEFT + (value - range[0]) / (range[1] - range[0]) * FIELD_SIZE;
}

static double down(const double range[2], double value)
{
	return BAR_TOP + 14 + (1 - (value - range[0]) / (range[1] - range[0])) * FIELD_SIZE;
}

static void append_axes(GString *svg, const double x[2], const double y[2])
{
	char text[G_ASCII_DTOSTR_BUF_SIZE];

	for (int i = 0; i <= 4; i++) {
		double vx = x[0] + (x[1] - x[0]) * i / 4, vy = y[0] + (y[1] - y[0]) * i / 4;

		svg_line(svg, "g", (double[]) { across(x, vx), down(y, y[0]), across(x, vx), down(y, y[1]) });
		svg_line(svg, "g", (double[]) { across(x, x[0]), down(y, vy), across(x, x[1]), down(y, vy) });
		svg_text(svg, " class=\"s\" text-anchor=\"middle\"", across(x, vx), down(y, y[0]) + 16,
			 g_ascii_formatd(text, sizeof(text), "%.3g", vx));
		svg_text(svg, " class=\"s\" text-anchor=\"end\"", FIELD_LEFT - 6, down(y, vy) + 4,
			 g_ascii_formatd(text, sizeof(text), "%.3g", vy));
	}
	svg_text(svg, " class=\"s\" text-anchor=\"middle\"", FIELD_LEFT + FIELD_SIZE / 2.0, down(y, y[0]) + 34,
		 "performance");
}

/* Names beside points, moved towards the middle until they are clear of those already there. */
struct labels {
	double at[64][2];
	guint n;
};

static double label_clear(struct labels *labels, double x, double y)
{
	int step = y > BAR_TOP + FIELD_SIZE / 2.0 ? -LABEL_HEIGHT : LABEL_HEIGHT;
	gboolean moved = TRUE;

	while (moved) {
		moved = FALSE;
		for (guint i = 0; i < labels->n && !moved; i++)
			if (ABS(labels->at[i][0] - x) < LABEL_WIDTH && ABS(labels->at[i][1] - y) < LABEL_HEIGHT) {
				y = labels->at[i][1] + step;
				moved = TRUE;
			}
	}
	if (labels->n < G_N_ELEMENTS(labels->at)) {
		labels->at[labels->n][0] = x;
		labels->at[labels->n++][1] = y;
	}
	return y;
}

static void append_point(const struct lab_ranking *ranking, GString *svg, const struct lab_candidate *candidate,
			 const double axes[4], struct labels *labels)
{
	const struct score *score = candidate->score.scores.score;
	const double *x = axes, *y = axes + 2;
	double at_x = across(x, score[SCORE_PERFORMANCE].mean), at_y = down(y, score[SCORE_AVAILABILITY].mean);
	gboolean left = at_x > FIELD_LEFT + FIELD_SIZE * 0.7;
	char cx[G_ASCII_DTOSTR_BUF_SIZE], cy[G_ASCII_DTOSTR_BUF_SIZE];
	g_autofree char *tip = title(candidate);

	svg_line(svg, "i",
		 (double[]) { across(x, score[SCORE_PERFORMANCE].low), at_y, across(x, score[SCORE_PERFORMANCE].high),
			      at_y });
	svg_line(svg, "i",
		 (double[]) { at_x, down(y, score[SCORE_AVAILABILITY].low), at_x,
			      down(y, score[SCORE_AVAILABILITY].high) });
	g_string_append_printf(svg, "<circle class=\"%s\" cx=\"%s\" cy=\"%s\" r=\"%d\"><title>%s</title></circle>\n",
			       candidate == ranking->winner ? "w" : "b", svg_number(at_x, cx), svg_number(at_y, cy),
			       candidate->score.pareto ? 6 : 4, tip);
	/* Where many points meet, only those that matter are named; the others tell when pointed at. */
	if (candidate->score.pareto || candidate == ranking->winner)
		svg_text(svg, left ? " class=\"s\" text-anchor=\"end\"" : " class=\"s\"", at_x + (left ? -9 : 9),
			 label_clear(labels, at_x + (left ? -LABEL_WIDTH : 0), at_y + 4), candidate->info->name);
}

static void append_field(const struct lab_ranking *ranking, GString *svg)
{
	struct labels labels = { .n = 0 };
	double axes[4];

	span(ranking, SCORE_PERFORMANCE, axes);
	span(ranking, SCORE_AVAILABILITY, axes + 2);
	svg_text(svg, " class=\"h\"", FIELD_LEFT, BAR_TOP - 8, "availability by performance (large: Pareto-optimal)");
	append_axes(svg, axes, axes + 2);
	for (guint r = ranking->ranked->len; r > 0; r--) {
		const struct lab_candidate *candidate = ranking->ranked->pdata[r - 1];

		if (candidate->score.scores.score[SCORE_PERFORMANCE].present &&
		    candidate->score.scores.score[SCORE_AVAILABILITY].present)
			append_point(ranking, svg, candidate, axes, &labels);
	}
}

char *lab_plot_svg(const struct lab_ranking *ranking)
{
	g_autofree char *heading =
		g_strdup_printf("%s strategies%s%s", ranking->family->name, ranking->source ? " on " : "",
				ranking->source ? ranking->source : "");
	guint height = MAX(HEIGHT_MIN, BAR_TOP + 40 + ranking->ranked->len * BAR_STEP);
	GString *svg = svg_new(WIDTH, height);

	svg_text(svg, " class=\"h\"", 12, 22, heading);
	svg_text(svg, " class=\"h\"", BAR_LEFT, BAR_TOP - 8, "efficiency");
	for (int i = 0; i <= 4; i++) {
		double x = BAR_LEFT + BAR_WIDTH * i / 4.0;

		svg_line(svg, "g", (double[]) { x, BAR_TOP + 6, x, height - 24.0 });
	}
	for (guint r = 0; r < ranking->ranked->len; r++)
		append_bar(ranking, svg, r);
	append_field(ranking, svg);
	return svg_steal(svg);
}
