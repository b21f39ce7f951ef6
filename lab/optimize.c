#include "lab/optimize.h"

#include <math.h>
#include <string.h>

#include "core/strategy/number.h"
#include "core/strategy/optimize.h"
#include "lab/error.h"
#include "lab/report.h"

#define TUNE_SEEDS      2
#define HELD_OUT_SEEDS  5
#define EVALUATIONS_MAX 10000000u

gboolean lab_budget_parse(const char *text, struct lab_budget *budget, GError **error)
{
	static const struct {
		const char *suffix;
		double us;
	} units[] = { { "ms", 1e3 }, { "s", 1e6 }, { "m", 60e6 }, { "h", 3600e6 } };
	size_t digits = strspn(text, "0123456789.");
	g_autofree char *number = g_strndup(text, digits);
	double value = 0;

	memset(budget, 0, sizeof(*budget));
	if (!strategy_number_parse(number, &value))
		goto malformed;
	if (!text[digits] && value == floor(value) && value >= 1 && value <= EVALUATIONS_MAX) {
		budget->evaluations = (guint64)value;
		return TRUE;
	}
	for (guint i = 0; i < G_N_ELEMENTS(units); i++)
		if (strcmp(text + digits, units[i].suffix) == 0 && value > 0 && value * units[i].us <= 1e12) {
			budget->duration_us = (gint64)MAX(value * units[i].us, 1);
			return TRUE;
		}
malformed:
	g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID,
		    "'%s' is not a budget: write a number of evaluations up to %u, like 5000, or a time, like 30s",
		    text, EVALUATIONS_MAX);
	return FALSE;
}

/* ---- The search ---- */

struct searching {
	const struct lab_family *family;
	gconstpointer workload;
	const struct lab_search *search;
	GHashTable *told; /* struct strategy_values -> double: a point is evaluated once */
};

static guint values_hash(gconstpointer key)
{
	const guchar *bytes = key;
	guint hash = 2166136261u;

	for (size_t i = 0; i < sizeof(struct strategy_values); i++)
		hash = (hash ^ bytes[i]) * 16777619u;
	return hash;
}

static gboolean values_equal(gconstpointer a, gconstpointer b)
{
	return memcmp(a, b, sizeof(struct strategy_values)) == 0;
}

/* The efficiency of one point on the part to tune on; below 0 by what lacks when a floor is missed. */
static gboolean measure(struct searching *searching, const struct strategy_values *values, double *result,
			GError **error)
{
	const struct lab_search *search = searching->search;
	struct lab_run run = { .seed = search->run.seed, .n_threads = search->run.n_threads };
	g_autoptr(lab_ranking_auto) ranking = NULL;
	const struct lab_candidate *candidate;
	const double *told = g_hash_table_lookup(searching->told, values);

	if (told) {
		*result = *told;
		return TRUE;
	}
	ranking = lab_ranking_new(searching->family, searching->workload, LAB_TUNE);
	run.n_seeds = search->n_tune_seeds ? search->n_tune_seeds : TUNE_SEEDS;
	lab_ranking_add(ranking, search->info, values);
	if (!lab_ranking_run(ranking, &run, error) ||
	    !lab_ranking_select(ranking, search->weights, search->weights_normalized, search->floors, error))
		return FALSE;
	candidate = ranking->ranked->pdata[0];
	*result = !candidate->score.efficiency.present ? -INFINITY
		  : candidate->score.meets             ? candidate->score.efficiency.mean
						       : -1 - candidate->score.distance;
	g_hash_table_insert(searching->told, g_memdup2(values, sizeof(*values)), g_memdup2(result, sizeof(*result)));
	return TRUE;
}

/* How many evaluations a time lets expect, by the time of the first. */
static guint64 count_for(gint64 duration_us, gint64 one_us)
{
	gint64 n = duration_us / MAX(one_us, 1);

	return (guint64)CLAMP(n, 1, (gint64)EVALUATIONS_MAX);
}

static gboolean search_best(struct searching *searching, struct lab_optimization *found, GError **error)
{
	const struct lab_search *search = searching->search;
	struct strategy_optimizer *optimizer;
	struct strategy_values values;
	gint64 start_us = g_get_monotonic_time();
	double result;
	gboolean ok = TRUE;

	strategy_values_init(search->info, &values);
	if (!measure(searching, &values, &found->tuned_default, error))
		return FALSE;
	found->timed = search->budget.evaluations == 0;
	found->evaluations = found->timed ? count_for(search->budget.duration_us, g_get_monotonic_time() - start_us)
					  : search->budget.evaluations;
	optimizer = strategy_optimizer_new(search->info, found->evaluations, search->run.seed);
	if (!optimizer) {
		g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "out of memory");
		return FALSE;
	}
	while (ok && strategy_optimizer_ask(optimizer, &values)) {
		ok = measure(searching, &values, &result, error);
		strategy_optimizer_tell(optimizer, ok ? result : -INFINITY);
		if (ok && search->run.progress)
			search->run.progress((guint)strategy_optimizer_evaluations(optimizer),
					     (guint)found->evaluations, search->run.user_data);
	}
	found->tuned_best = strategy_optimizer_best(optimizer, &found->values);
	strategy_optimizer_free(optimizer);
	return ok;
}

/* ---- The judgement ---- */

static void compare(struct lab_optimization *found, const struct score_weights *weights)
{
	const struct lab_candidate *before = found->held_out->candidates->pdata[0];
	const struct lab_candidate *after = found->held_out->candidates->pdata[1];

	found->difference = lab_paired_difference(after, before, weights);
	found->gain = found->difference.present && found->difference.low > 0 && after->score.meets;
}

static char *verdict(const struct lab_optimization *found)
{
	const struct score *difference = &found->difference;
	const struct lab_candidate *after = found->held_out->candidates->pdata[1];
	g_autofree char *mean = lab_number(difference->mean, 3), *low = lab_number(difference->low, 3);
	g_autofree char *high = lab_number(difference->high, 3),
			*values = lab_values_print(found->info, &found->values);

	if (!*values)
		return g_strdup("No gain: nothing tried was better than the defaults on the part to tune on.");
	if (!difference->present)
		return g_strdup("No gain: the held-out part gives no efficiency to compare.");
	if (found->gain)
		return g_strdup_printf("Gain: %s more efficient than the defaults on the held-out part (95 %% interval "
				       "%s to %s over %u seeds).",
				       mean, low, high, after->n_runs);
	if (!after->score.meets)
		return g_strdup("No gain: on the held-out part it misses what is required.");
	if (difference->high <= 0)
		return g_strdup_printf("No gain: no better than the defaults on the held-out part (%s; 95 %% interval "
				       "%s to %s).",
				       mean, low, high);
	return g_strdup_printf("No gain: the difference on the held-out part, %s, may be chance (95 %% interval %s to "
			       "%s).",
			       mean, low, high);
}

static gboolean judge(struct searching *searching, struct lab_optimization *found, GError **error)
{
	const struct lab_search *search = searching->search;
	struct lab_run run = search->run;

	run.n_seeds = run.n_seeds ? run.n_seeds : HELD_OUT_SEEDS;
	run.progress = NULL;
	found->held_out = lab_ranking_new(searching->family, searching->workload, LAB_HELD_OUT);
	lab_ranking_add(found->held_out, search->info, NULL);
	lab_ranking_add(found->held_out, search->info, &found->values);
	if (!lab_ranking_run(found->held_out, &run, error) ||
	    !lab_ranking_select(found->held_out, search->weights, search->weights_normalized, search->floors, error))
		return FALSE;
	compare(found, search->weights);
	found->verdict = verdict(found);
	g_clear_pointer(&found->held_out->why, g_free); /* of choosing between the two: the verdict says it better */
	return TRUE;
}

struct lab_optimization *lab_optimize(const struct lab_family *family, gconstpointer workload,
				      const struct lab_search *search, GError **error)
{
	g_autoptr(GHashTable) told = g_hash_table_new_full(values_hash, values_equal, g_free, g_free);
	struct searching searching = { family, workload, search, told };
	g_autoptr(lab_optimization_auto) found = g_new0(struct lab_optimization, 1);
	const char *why_not = family->applicable ? family->applicable(workload, search->info) : NULL;

	if (why_not || !search->info->n_parameters) {
		g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID, "strategy %s can't be optimized here: %s",
			    search->info->name, why_not ? why_not : "it has no parameters");
		return NULL;
	}
	found->info = search->info;
	found->seed = search->run.seed;
	if (!search_best(&searching, found, error) || !judge(&searching, found, error))
		return NULL;
	return g_steal_pointer(&found);
}

void lab_optimization_free(struct lab_optimization *optimization)
{
	if (!optimization)
		return;
	lab_ranking_free(optimization->held_out);
	g_free(optimization->verdict);
	g_free(optimization);
}

/* ---- Rendering ---- */

char *lab_optimization_text(const struct lab_optimization *optimization, gboolean timing)
{
	g_autofree char *values = lab_values_print(optimization->info, &optimization->values);
	g_autofree char *from = lab_number(optimization->tuned_default, 5);
	g_autofree char *to = lab_number(optimization->tuned_best, 5);
	g_autofree char *report = lab_report_text(optimization->held_out, timing);
	g_autoptr(GString) text = g_string_new(NULL);

	g_string_append_printf(text,
			       "%s: %" G_GUINT64_FORMAT " evaluations from seed %" G_GUINT64_FORMAT
			       "; on the part to tune on the efficiency went from %s to %s\n",
			       optimization->info->name, optimization->evaluations, optimization->seed, from, to);
	if (optimization->timed)
		g_string_append_printf(text, "--budget %" G_GUINT64_FORMAT " repeats it.\n", optimization->evaluations);
	g_string_append_printf(text, "Best: %s\n\nOn the held-out part:\n%s%s\n", *values ? values : "the defaults",
			       report, optimization->verdict);
	return g_string_free(g_steal_pointer(&text), FALSE);
}

char *lab_optimization_json(const struct lab_optimization *optimization, gboolean timing)
{
	g_autofree char *values = lab_values_print(optimization->info, &optimization->values);
	g_auto(GStrv) pairs = g_strsplit(values, " ", -1);
	struct lab_json json;

	lab_json_init(&json);
	lab_json_open(&json, NULL, '{');
	lab_json_string(&json, "strategy", optimization->info->name);
	lab_json_integer(&json, "evaluations", optimization->evaluations);
	lab_json_integer(&json, "seed", optimization->seed);
	lab_json_open(&json, "parameters", '[');
	for (guint i = 0; pairs[i]; i++)
		if (*pairs[i])
			lab_json_string(&json, NULL, pairs[i]);
	lab_json_close(&json, ']');
	lab_json_open(&json, "tuned_efficiency", '{');
	lab_json_number(&json, "default", optimization->tuned_default);
	lab_json_number(&json, "best", optimization->tuned_best);
	lab_json_close(&json, '}');
	if (optimization->difference.present) {
		lab_json_open(&json, "difference", '{');
		lab_json_number(&json, "mean", optimization->difference.mean);
		lab_json_number(&json, "low", optimization->difference.low);
		lab_json_number(&json, "high", optimization->difference.high);
		lab_json_close(&json, '}');
	} else {
		lab_json_null(&json, "difference");
	}
	lab_json_boolean(&json, "gain", optimization->gain);
	lab_json_string(&json, "verdict", optimization->verdict);
	lab_json_open(&json, "held_out", '{');
	lab_report_members(&json, optimization->held_out, timing);
	lab_json_close(&json, '}');
	lab_json_close(&json, '}');
	return lab_json_steal(&json);
}
