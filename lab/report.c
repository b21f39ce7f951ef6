#include "lab/report.h"

#include <math.h>
#include <string.h>

#include "core/strategy/number.h"

#define WIDTH            112 /* of a block of figures */
#define LABEL_VALUES_MAX 36

char *lab_number(double value, int digits)
{
	char text[STRATEGY_NUMBER_TEXT_MAX];
	double limit = pow(10, digits);

	/* The whole part is never rounded away: 123456, not 123500. */
	while (digits < 17 && fabs(value) >= limit) {
		digits++;
		limit *= 10;
	}
	strategy_number_print(strategy_number_round(value, digits), text);
	return g_strdup(text);
}

static char *fixed(double value)
{
	char text[G_ASCII_DTOSTR_BUF_SIZE];

	return g_strdup(g_ascii_formatd(text, sizeof(text), "%.4f", value));
}

/* ---- Columns ---- */

static gboolean numeric(const char *cell)
{
	return strcmp(cell, "-") == 0 ||
	       (!strchr(cell, ' ') && (g_ascii_isdigit(cell[0]) || (cell[0] == '-' && g_ascii_isdigit(cell[1]))));
}

static void append_cell(GString *text, const char *cell, glong width, gboolean right, gboolean last)
{
	glong pad = width - g_utf8_strlen(cell, -1);

	if (right)
		g_string_append_printf(text, "%*s", (int)pad, "");
	g_string_append(text, cell);
	if (!right && !last)
		g_string_append_printf(text, "%*s", (int)pad, "");
	g_string_append(text, last ? "\n" : "  ");
}

char *lab_columns(GPtrArray *rows)
{
	guint n = rows->len ? g_strv_length(rows->pdata[0]) : 0;
	g_autofree glong *widths = g_new0(glong, n + 1);
	g_autofree gboolean *right = g_new0(gboolean, n + 1);
	g_autoptr(GString) text = g_string_new(NULL);

	for (guint c = 0; c < n; c++) {
		right[c] = rows->len > 1;
		for (guint r = 0; r < rows->len; r++) {
			const char *cell = ((char **)rows->pdata[r])[c];

			widths[c] = MAX(widths[c], g_utf8_strlen(cell, -1));
			right[c] &= r == 0 || numeric(cell);
		}
	}
	for (guint r = 0; r < rows->len; r++)
		for (guint c = 0; c < n; c++)
			append_cell(text, ((char **)rows->pdata[r])[c], widths[c], right[c], c + 1 == n);
	return g_string_free(g_steal_pointer(&text), FALSE);
}

static GPtrArray *rows_new(void)
{
	return g_ptr_array_new_with_free_func((GDestroyNotify)g_strfreev);
}

static void take(GPtrArray *row, char *cell)
{
	g_ptr_array_add(row, cell);
}

static void end_row(GPtrArray *rows, GPtrArray *row)
{
	g_ptr_array_add(row, NULL);
	g_ptr_array_add(rows, g_ptr_array_free(row, FALSE));
}

/* ---- Text ---- */

static const char *const part_names[] = { "whole", "tune", "held-out" };

/* The name, with its values where they fit; else "weighted#2" by its place in the list, told under the tables. */
static char *label(const struct lab_ranking *ranking, const struct lab_candidate *candidate)
{
	g_autofree char *values = lab_values_print(candidate->info, &candidate->values);
	guint at = 0;

	if (!*values)
		return g_strdup(candidate->info->name);
	if (strlen(values) <= LABEL_VALUES_MAX)
		return g_strdup_printf("%s(%s)", candidate->info->name, values);
	g_ptr_array_find(ranking->candidates, candidate, &at);
	return g_strdup_printf("%s#%u", candidate->info->name, at + 1);
}

static void append_labels(const struct lab_ranking *ranking, GString *text)
{
	for (guint r = 0; r < ranking->ranked->len; r++) {
		const struct lab_candidate *candidate = ranking->ranked->pdata[r];
		g_autofree char *values = lab_values_print(candidate->info, &candidate->values);
		g_autofree char *name = label(ranking, candidate);

		if (strlen(values) > LABEL_VALUES_MAX)
			g_string_append_printf(text, "%s: %s\n", name, values);
	}
}

static char *interval_cell(gboolean present, double mean, const double ends[2], gboolean intervals)
{
	g_autofree char *middle = fixed(mean), *low = fixed(ends[0]), *high = fixed(ends[1]);

	if (!present)
		return g_strdup("-");
	return intervals ? g_strdup_printf("%s [%s, %s]", middle, low, high) : g_steal_pointer(&middle);
}

static void append_head(const struct lab_ranking *ranking, GString *text)
{
	if (ranking->source)
		g_string_append_printf(text, "%s: %s%s; ", ranking->family->name, ranking->source,
				       ranking->part == LAB_TUNE       ? " (the part to tune on)"
				       : ranking->part == LAB_HELD_OUT ? " (the held-out part)"
								       : "");
	if (ranking->n_seeds > 1)
		g_string_append_printf(text, "%u seeds from %" G_GUINT64_FORMAT "; ", ranking->n_seeds, ranking->seed);
	else
		g_string_append_printf(text, "seed %" G_GUINT64_FORMAT "; ", ranking->seed);
	g_string_append(text, "weights");
	for (int i = 0; i < SCORES; i++) {
		g_autofree char *weight = lab_number(ranking->weights.weight[i], 4);

		g_string_append_printf(text, "%s %s %s", i ? "," : "", score_names[i], weight);
	}
	g_string_append(text, ranking->weights_normalized ? " (as given they did not sum to 1)\n\n" : "\n\n");
}

static void append_scores(const struct lab_ranking *ranking, GString *text)
{
	g_autoptr(GPtrArray) rows = rows_new();
	g_autofree char *table = NULL;
	gboolean intervals = ranking->n_seeds > 1, floors = ranking->floors && ranking->floors->len;

	g_ptr_array_add(rows,
			g_strsplit(floors ? "RANK STRATEGY EFFICIENCY PERFORMANCE AVAILABILITY SECURITY PARETO MEETS"
					  : "RANK STRATEGY EFFICIENCY PERFORMANCE AVAILABILITY SECURITY PARETO",
				   " ", -1));
	for (guint r = 0; r < ranking->ranked->len; r++) {
		const struct lab_candidate *candidate = ranking->ranked->pdata[r];
		const struct score_efficiency *efficiency = &candidate->score.efficiency;
		GPtrArray *row = g_ptr_array_new();

		take(row, g_strdup_printf("%u", r + 1));
		take(row, label(ranking, candidate));
		take(row, interval_cell(efficiency->present, efficiency->mean,
					(double[]) { efficiency->low, efficiency->high },
					intervals && efficiency->low != efficiency->high));
		for (int i = 0; i < SCORES; i++) {
			const struct score *score = &candidate->score.scores.score[i];

			take(row, interval_cell(score->present, score->mean, (double[]) { score->low, score->high },
						intervals && score->low != score->high));
		}
		take(row, g_strdup(candidate->score.pareto ? "yes" : "no"));
		if (floors)
			take(row, g_strdup(candidate->score.meets ? "yes" : "no"));
		end_row(rows, row);
	}
	table = lab_columns(rows);
	g_string_append(text, table);
}

/* Names of the figures of all candidates, in the order first seen. Borrowed strings. */
static GPtrArray *figure_names(const struct lab_ranking *ranking, gboolean timing)
{
	GPtrArray *names = g_ptr_array_new();

	for (guint r = 0; r < ranking->ranked->len; r++) {
		const struct lab_candidate *candidate = ranking->ranked->pdata[r];

		for (guint f = 0; f < candidate->n_figures; f++) {
			const struct lab_figure_mean *figure = &candidate->figure[f];

			if ((timing || !figure->is_time) &&
			    !g_ptr_array_find_with_equal_func(names, figure->name, g_str_equal, NULL))
				g_ptr_array_add(names, (char *)figure->name);
		}
	}
	return names;
}

static char *figure_cell(const struct lab_candidate *candidate, const char *name)
{
	for (guint f = 0; f < candidate->n_figures; f++)
		if (strcmp(candidate->figure[f].name, name) == 0 && candidate->figure[f].value.present)
			return lab_number(candidate->figure[f].value.mean, 5);
	return g_strdup("-");
}

/* The block of figures from `from` on that fits the width; returns where the next one begins. */
static guint append_block(const struct lab_ranking *ranking, GPtrArray *names, guint from, GString *text)
{
	g_autoptr(GPtrArray) rows = rows_new();
	GPtrArray *row = g_ptr_array_new();
	g_autofree char *table = NULL;
	gsize width = STRATEGY_NAME_MAX;
	guint to = from;

	take(row, g_strdup("STRATEGY"));
	for (; to < names->len && (to == from || width + strlen(names->pdata[to]) + 2 <= WIDTH); to++) {
		width += MAX(strlen(names->pdata[to]), 8) + 2;
		take(row, g_strdup(names->pdata[to]));
	}
	end_row(rows, row);
	for (guint r = 0; r < ranking->ranked->len; r++) {
		row = g_ptr_array_new();
		take(row, label(ranking, ranking->ranked->pdata[r]));
		for (guint i = from; i < to; i++)
			take(row, figure_cell(ranking->ranked->pdata[r], names->pdata[i]));
		end_row(rows, row);
	}
	table = lab_columns(rows);
	g_string_append_printf(text, "\n%s", table);
	return to;
}

/* Which scores are missing, and of whom. */
static void append_missing(const struct lab_ranking *ranking, GString *text)
{
	for (int i = 0; i < SCORES; i++) {
		g_autoptr(GString) of = g_string_new(NULL);
		guint n = 0;

		for (guint r = 0; r < ranking->ranked->len; r++) {
			const struct lab_candidate *candidate = ranking->ranked->pdata[r];

			if (!(candidate->score.efficiency.missing & 1u << i))
				continue;
			g_string_append_printf(of, "%s%s", n++ ? ", " : "", candidate->info->name);
		}
		if (n)
			g_string_append_printf(text, "%s is missing%s%s: its weight goes to the other scores.\n",
					       score_names[i], n == ranking->ranked->len ? "" : " for ",
					       n == ranking->ranked->len ? "" : of->str);
	}
}

/* Those left out for the same reason on one line. */
static void append_skipped(const struct lab_ranking *ranking, GString *text)
{
	g_autoptr(GHashTable) lines = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, NULL);
	g_autoptr(GPtrArray) reasons = g_ptr_array_new();

	for (guint i = 0; i < ranking->candidates->len; i++) {
		const struct lab_candidate *candidate = ranking->candidates->pdata[i];
		GString *names = candidate->skipped ? g_hash_table_lookup(lines, candidate->skipped) : NULL;

		if (!candidate->skipped)
			continue;
		if (names) {
			g_string_append_printf(names, ", %s", candidate->info->name);
			continue;
		}
		g_ptr_array_add(reasons, (char *)candidate->skipped);
		g_hash_table_insert(lines, (char *)candidate->skipped, g_string_new(candidate->info->name));
	}
	for (guint i = 0; i < reasons->len; i++) {
		GString *names = g_hash_table_lookup(lines, reasons->pdata[i]);

		g_string_append_printf(text, "Not evaluated: %s: %s\n", names->str, (const char *)reasons->pdata[i]);
		g_string_free(names, TRUE);
	}
}

static void append_notes(const struct lab_ranking *ranking, GString *text)
{
	for (guint i = 0; i < ranking->candidates->len; i++) {
		const struct lab_candidate *candidate = ranking->candidates->pdata[i];

		if (candidate->failed)
			g_string_append_printf(text, "Failed: %s: %s\n", candidate->info->name, candidate->failed);
		else if (candidate->note)
			g_string_append_printf(text, "%s: %s\n", candidate->info->name, candidate->note);
	}
	for (guint i = 0; i < ranking->notes->len; i++)
		g_string_append_printf(text, "Note: %s\n", (const char *)ranking->notes->pdata[i]);
}

char *lab_report_text(const struct lab_ranking *ranking, gboolean timing)
{
	g_autoptr(GString) text = g_string_new(NULL);
	g_autoptr(GPtrArray) names = figure_names(ranking, timing);

	append_head(ranking, text);
	append_scores(ranking, text);
	for (guint from = 0; from < names->len;)
		from = append_block(ranking, names, from, text);
	g_string_append_c(text, '\n');
	append_labels(ranking, text);
	append_missing(ranking, text);
	append_skipped(ranking, text);
	append_notes(ranking, text);
	if (ranking->why)
		g_string_append_printf(text, "%s\n", ranking->why);
	return g_string_free(g_steal_pointer(&text), FALSE);
}

/* ---- JSON ---- */

static void write_interval(struct lab_json *json, const char *name, const struct score *score)
{
	if (!score->present) {
		lab_json_null(json, name);
		return;
	}
	lab_json_open(json, name, '{');
	lab_json_number(json, "mean", score->mean);
	lab_json_number(json, "low", score->low);
	lab_json_number(json, "high", score->high);
	lab_json_close(json, '}');
}

static void write_values(struct lab_json *json, const struct lab_candidate *candidate)
{
	lab_json_open(json, "parameters", '{');
	for (size_t i = 0; i < candidate->info->n_parameters; i++) {
		const struct strategy_parameter *parameter = &candidate->info->parameters[i];
		double value = candidate->values.value[i];

		if (parameter->type == STRATEGY_CHOICE)
			lab_json_string(json, parameter->name, parameter->choices[(size_t)value]);
		else
			lab_json_number(json, parameter->name, value);
	}
	lab_json_close(json, '}');
}

static void write_figures(struct lab_json *json, const struct lab_candidate *candidate, gboolean times)
{
	lab_json_open(json, times ? "times" : "figures", '{');
	for (guint f = 0; f < candidate->n_figures; f++) {
		const struct lab_figure_mean *figure = &candidate->figure[f];

		if (!figure->is_time == !times)
			lab_json_number(json, figure->name, figure->value.present ? figure->value.mean : NAN);
	}
	lab_json_close(json, '}');
}

static void write_missing(struct lab_json *json, const struct lab_candidate *candidate)
{
	lab_json_open(json, "weight_moved_from", '[');
	for (int i = 0; i < SCORES; i++)
		if (candidate->score.efficiency.missing & 1u << i)
			lab_json_string(json, NULL, score_names[i]);
	lab_json_close(json, ']');
}

static void write_candidate(struct lab_json *json, const struct lab_candidate *candidate, gboolean timing)
{
	const struct score_efficiency *efficiency = &candidate->score.efficiency;
	struct score as_score = { efficiency->present, efficiency->mean, efficiency->low, efficiency->high };

	lab_json_open(json, NULL, '{');
	lab_json_integer(json, "rank", candidate->score.rank + 1);
	lab_json_string(json, "name", candidate->info->name);
	lab_json_string(json, "kind", strategy_kind_names[candidate->info->kind]);
	write_values(json, candidate);
	write_interval(json, "efficiency", &as_score);
	lab_json_open(json, "scores", '{');
	for (int i = 0; i < SCORES; i++)
		write_interval(json, score_names[i], &candidate->score.scores.score[i]);
	lab_json_close(json, '}');
	write_missing(json, candidate);
	lab_json_boolean(json, "pareto", candidate->score.pareto);
	lab_json_boolean(json, "meets", candidate->score.meets);
	write_figures(json, candidate, FALSE);
	if (timing)
		write_figures(json, candidate, TRUE);
	lab_json_string(json, "note", candidate->note);
	lab_json_close(json, '}');
}

static void write_left_out(struct lab_json *json, const struct lab_ranking *ranking)
{
	lab_json_open(json, "skipped", '[');
	for (guint i = 0; i < ranking->candidates->len; i++) {
		const struct lab_candidate *candidate = ranking->candidates->pdata[i];

		if (!candidate->skipped && !candidate->failed)
			continue;
		lab_json_open(json, NULL, '{');
		lab_json_string(json, "name", candidate->info->name);
		lab_json_string(json, "reason", candidate->skipped ? candidate->skipped : candidate->failed);
		lab_json_boolean(json, "failed", candidate->failed != NULL);
		lab_json_close(json, '}');
	}
	lab_json_close(json, ']');
}

static void write_floors(struct lab_json *json, const struct lab_ranking *ranking)
{
	lab_json_open(json, "require", '[');
	for (guint i = 0; ranking->floors && i < ranking->floors->len; i++) {
		g_autofree char *text = lab_floor_print(&g_array_index(ranking->floors, struct lab_floor, i));

		lab_json_string(json, NULL, text);
	}
	lab_json_close(json, ']');
}

void lab_report_members(struct lab_json *json, const struct lab_ranking *ranking, gboolean timing)
{
	lab_json_string(json, "family", ranking->family->name);
	lab_json_string(json, "trace", ranking->source);
	lab_json_string(json, "part", part_names[ranking->part]);
	lab_json_integer(json, "seed", ranking->seed);
	lab_json_integer(json, "seeds", ranking->n_seeds);
	lab_json_open(json, "weights", '{');
	for (int i = 0; i < SCORES; i++)
		lab_json_number(json, score_names[i], ranking->weights.weight[i]);
	lab_json_close(json, '}');
	lab_json_boolean(json, "weights_normalized", ranking->weights_normalized);
	write_floors(json, ranking);
	lab_json_open(json, "strategies", '[');
	for (guint r = 0; r < ranking->ranked->len; r++)
		write_candidate(json, ranking->ranked->pdata[r], timing);
	lab_json_close(json, ']');
	write_left_out(json, ranking);
	lab_json_string(json, "winner", ranking->winner ? ranking->winner->info->name : NULL);
	lab_json_string(json, "nearest", ranking->nearest ? ranking->nearest->info->name : NULL);
	lab_json_string(json, "why", ranking->why);
	lab_json_open(json, "notes", '[');
	for (guint i = 0; i < ranking->notes->len; i++)
		lab_json_string(json, NULL, ranking->notes->pdata[i]);
	lab_json_close(json, ']');
}

char *lab_report_json(const struct lab_ranking *ranking, gboolean timing)
{
	struct lab_json json;

	lab_json_init(&json);
	lab_json_open(&json, NULL, '{');
	lab_report_members(&json, ranking, timing);
	lab_json_close(&json, '}');
	return lab_json_steal(&json);
}
