/* Ranking what was evaluated, choosing, and saying why. */
#include <string.h>

#include "lab/error.h"
#include "lab/report.h"
#include "lab/select.h"

static gboolean compare(const struct lab_floor *floor, double value)
{
	switch (floor->comparison) {
	case LAB_AT_LEAST:
		return value >= floor->value;
	case LAB_ABOVE:
		return value > floor->value;
	case LAB_AT_MOST:
		return value <= floor->value;
	default:
		return value < floor->value;
	}
}

static int score_named(const char *name)
{
	for (int i = 0; i < SCORES; i++)
		if (strcmp(score_names[i], name) == 0)
			return i;
	return -1;
}

/* FALSE: no candidate has such a figure. */
static gboolean check_figure(struct lab_ranking *ranking, const struct lab_floor *floor)
{
	gboolean known = FALSE;

	for (guint i = 0; i < ranking->ranked->len; i++) {
		struct lab_candidate *candidate = ranking->ranked->pdata[i];
		double lacks = 1;
		gboolean meets = FALSE;

		for (guint f = 0; f < candidate->n_figures; f++) {
			const struct lab_figure_mean *figure = &candidate->figure[f];

			if (strcmp(figure->name, floor->name) != 0)
				continue;
			known = TRUE;
			if (!figure->value.present)
				continue;
			meets = compare(floor, figure->value.mean);
			lacks = ABS(floor->value - figure->value.mean) / (floor->value != 0 ? ABS(floor->value) : 1);
		}
		if (!meets) {
			candidate->score.misses_figure = TRUE;
			candidate->score.figure_distance += lacks;
		}
	}
	return known;
}

/* A score with an upper limit is treated as a figure: the core knows floors only. */
static void check_ceiling(struct lab_ranking *ranking, const struct lab_floor *floor, enum score_kind kind)
{
	for (guint i = 0; i < ranking->ranked->len; i++) {
		struct lab_candidate *candidate = ranking->ranked->pdata[i];
		const struct score *score = &candidate->score.scores.score[kind];

		if (score->present && compare(floor, score->mean))
			continue;
		candidate->score.misses_figure = TRUE;
		candidate->score.figure_distance += score->present ? score->mean - floor->value : 1;
	}
}

static gboolean check_floors(struct lab_ranking *ranking, GArray *on_scores, GError **error)
{
	for (guint i = 0; ranking->floors && i < ranking->floors->len; i++) {
		const struct lab_floor *floor = &g_array_index(ranking->floors, struct lab_floor, i);
		int kind = score_named(floor->name);
		struct score_floor on_score = { .kind = kind, floor->value, floor->comparison == LAB_ABOVE };

		if (kind >= 0 && (floor->comparison == LAB_AT_LEAST || floor->comparison == LAB_ABOVE)) {
			g_array_append_val(on_scores, on_score);
		} else if (kind >= 0) {
			check_ceiling(ranking, floor, kind);
		} else if (!check_figure(ranking, floor) && ranking->ranked->len) {
			g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID,
				    "'%s' is required, but is neither performance, availability or security nor one of "
				    "the figures in the table",
				    floor->name);
			return FALSE;
		}
	}
	return TRUE;
}

/* By how much the winner's part of the efficiency that comes from one score exceeds the other's. */
static double advantage(const struct lab_ranking *ranking, const struct lab_candidate *other, int kind)
{
	struct score_weights only = { { 0 } };
	const struct lab_candidate *winner = ranking->winner;
	double there = 0;

	if (!winner->score.scores.score[kind].present || !other->score.scores.score[kind].present)
		return 0;
	for (int i = 0; i < SCORES; i++)
		if (winner->score.scores.score[i].present)
			there += ranking->weights.weight[i];
	only.weight[kind] = 1;
	return ranking->weights.weight[kind] / there *
	       (score_efficiency(&winner->score.scores, &only).mean -
		score_efficiency(&other->score.scores, &only).mean);
}

static void append_decided(const struct lab_ranking *ranking, GString *why)
{
	const struct lab_candidate *other = ranking->runner_up;
	double lead = ranking->winner->score.efficiency.mean - other->score.efficiency.mean;
	g_autofree char *lead_text = lab_number(lead, 3), *part = NULL, *against = NULL;
	int most = 0, least = 0;

	for (int i = 1; i < SCORES; i++) {
		if (advantage(ranking, other, i) > advantage(ranking, other, most))
			most = i;
		if (advantage(ranking, other, i) < advantage(ranking, other, least))
			least = i;
	}
	if (!(lead > 0)) {
		g_string_append_printf(why, " %s is just as efficient and listed later.", other->info->name);
		return;
	}
	part = lab_number(advantage(ranking, other, most), 3);
	g_string_append_printf(why, " It is %s ahead of %s; most of it is its %s (%s weighted)", lead_text,
			       other->info->name, score_names[most], part);
	if (advantage(ranking, other, least) < 0) {
		against = lab_number(-advantage(ranking, other, least), 3);
		g_string_append_printf(why, ", against it its %s (%s)", score_names[least], against);
	}
	g_string_append_c(why, '.');
}

/* The efficiency of one run. FALSE: it has none. */
static gboolean run_efficiency(const struct lab_result *run, const struct score_weights *weights, double *efficiency)
{
	struct scores scores = { 0 };
	struct score_efficiency of;

	for (int i = 0; i < SCORES; i++)
		if (run->has_score[i])
			scores.score[i] = (struct score) { true, run->score[i], run->score[i], run->score[i] };
	of = score_efficiency(&scores, weights);
	*efficiency = of.mean;
	return of.present;
}

struct score lab_paired_difference(const struct lab_candidate *a, const struct lab_candidate *b,
				   const struct score_weights *weights)
{
	guint n = a->failed || b->failed ? 0 : MIN(a->n_runs, b->n_runs), paired = 0;
	g_autofree double *differences = g_new(double, n + 1);

	for (guint i = 0; i < n; i++) {
		double of_a, of_b;

		if (run_efficiency(&a->runs[i], weights, &of_a) && run_efficiency(&b->runs[i], weights, &of_b))
			differences[paired++] = of_a - of_b;
	}
	return score_interval(differences, paired);
}

static void append_interval(GString *why, const struct lab_candidate *candidate)
{
	g_autofree char *low = lab_number(candidate->score.efficiency.low, 4);
	g_autofree char *high = lab_number(candidate->score.efficiency.high, 4);

	g_string_append_printf(why, "%s %s to %s", candidate->info->name, low, high);
}

/* The intervals of both, and what is left of the lead when the seeds are compared one by one. */
static void append_overlap(const struct lab_ranking *ranking, gboolean clear, GString *why)
{
	struct score lead = lab_paired_difference(ranking->winner, ranking->runner_up, &ranking->weights);
	g_autofree char *low = lab_number(lead.low, 3), *high = lab_number(lead.high, 3);

	if (ranking->n_seeds < 2) {
		g_string_append(why, " One run each: --seeds 5 would show how sure that is.");
		return;
	}
	if (lead.present && lead.low == lead.high) {
		g_string_append(why, " It is the same for every seed.");
		return;
	}
	g_string_append(why, clear ? " Their 95 % intervals do not overlap (" : " Their 95 % intervals overlap (");
	append_interval(why, ranking->winner);
	g_string_append(why, ", ");
	append_interval(why, ranking->runner_up);
	g_string_append(why, ").");
	if (lead.present)
		g_string_append_printf(why, " Seed by seed the lead is %s to %s%s.", low, high,
				       lead.low > 0 ? "" : ": it may be chance");
}

/* What the nearest lacks: "availability>=0.99 (it has 0.97)". */
static void append_missed(const struct lab_ranking *ranking, GString *why)
{
	const struct lab_candidate *nearest = ranking->nearest;
	const char *separator = "";

	for (guint i = 0; ranking->floors && i < ranking->floors->len; i++) {
		const struct lab_floor *floor = &g_array_index(ranking->floors, struct lab_floor, i);
		int kind = score_named(floor->name);
		const struct score *value = kind >= 0 ? &nearest->score.scores.score[kind] : NULL;
		g_autofree char *wanted = lab_floor_print(floor), *has = NULL;

		for (guint f = 0; f < nearest->n_figures && !value; f++)
			if (strcmp(nearest->figure[f].name, floor->name) == 0)
				value = &nearest->figure[f].value;
		if (value && value->present && compare(floor, value->mean))
			continue;
		has = value && value->present ? lab_number(value->mean, 4) : g_strdup("none");
		g_string_append_printf(why, "%s%s (it has %s)", separator, wanted, has);
		separator = ", ";
	}
}

static char *explain(const struct lab_ranking *ranking, gboolean clear)
{
	g_autoptr(GString) why = g_string_new(NULL);
	g_autofree char *efficiency = NULL;

	if (ranking->winner) {
		efficiency = lab_number(ranking->winner->score.efficiency.mean, 4);
		g_string_append_printf(why, "%s is the most efficient of %u with %s.", ranking->winner->info->name,
				       ranking->ranked->len, efficiency);
		if (ranking->runner_up) {
			append_decided(ranking, why);
			append_overlap(ranking, clear, why);
		} else if (ranking->ranked->len > 1) {
			g_string_append(why, " No other meets what is required.");
		}
	} else if (ranking->nearest && ranking->nearest->score.meets) {
		g_string_append(why, "No score that has a weight could be computed, so none is chosen.");
	} else if (ranking->nearest) {
		g_string_append_printf(why, "No candidate meets what is required. The nearest is %s; it lacks ",
				       ranking->nearest->info->name);
		append_missed(ranking, why);
		g_string_append_c(why, '.');
	} else {
		g_string_append(why, "No candidate could be evaluated.");
	}
	return g_string_free(g_steal_pointer(&why), FALSE);
}

static void order(struct lab_ranking *ranking, const struct score_candidate *scored)
{
	g_autoptr(GPtrArray) sorted = g_ptr_array_new();

	g_ptr_array_set_size(sorted, (gint)ranking->ranked->len);
	for (guint i = 0; i < ranking->ranked->len; i++) {
		struct lab_candidate *candidate = ranking->ranked->pdata[i];

		candidate->score = scored[i];
		sorted->pdata[scored[i].rank] = candidate;
	}
	g_clear_pointer(&ranking->ranked, g_ptr_array_unref);
	ranking->ranked = g_steal_pointer(&sorted);
}

gboolean lab_ranking_select(struct lab_ranking *ranking, const struct score_weights *weights, gboolean normalized,
			    GArray *floors, GError **error)
{
	g_autoptr(GArray) on_scores = g_array_new(FALSE, FALSE, sizeof(struct score_floor));
	g_autofree struct score_candidate *scored = g_new0(struct score_candidate, ranking->candidates->len + 1);
	g_autoptr(GPtrArray) listed = g_ptr_array_new();
	struct score_selection selection;

	ranking->weights = *weights;
	ranking->weights_normalized = normalized;
	g_clear_pointer(&ranking->floors, g_array_unref);
	ranking->floors = floors ? g_array_ref(floors) : NULL;
	for (guint i = 0; i < ranking->candidates->len; i++) {
		struct lab_candidate *candidate = ranking->candidates->pdata[i];

		candidate->score.misses_figure = FALSE;
		candidate->score.figure_distance = 0;
		if (!candidate->skipped && !candidate->failed && candidate->runs)
			g_ptr_array_add(listed, candidate);
	}
	g_clear_pointer(&ranking->ranked, g_ptr_array_unref);
	ranking->ranked = g_ptr_array_ref(listed);
	if (!check_floors(ranking, on_scores, error))
		return FALSE;
	for (guint i = 0; i < listed->len; i++)
		scored[i] = ((struct lab_candidate *)listed->pdata[i])->score;
	selection =
		score_select(scored, listed->len, weights, (const struct score_floor *)on_scores->data, on_scores->len);
	order(ranking, scored);
	ranking->winner = selection.winner < listed->len ? listed->pdata[selection.winner] : NULL;
	ranking->nearest = selection.nearest < listed->len ? listed->pdata[selection.nearest] : NULL;
	ranking->runner_up = selection.runner_up < listed->len ? listed->pdata[selection.runner_up] : NULL;
	g_free(ranking->why);
	ranking->why = explain(ranking, selection.clear);
	return TRUE;
}
