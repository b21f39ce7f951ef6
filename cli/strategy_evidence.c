/* polder strategy select, optimize: choosing and tuning on evidence. */
#include <stdio.h>

#include "cli/strategy.h"
#include "cli/verbs.h"
#include "lab/error.h"
#include "lab/optimize.h"
#include "lab/report.h"

#define SEEDS 5

struct wishes {
	struct score_weights weights;
	gboolean normalized;
	GArray *floors;
};

static gboolean wishes_init(struct wishes *wishes, struct invocation *invocation, GError **error)
{
	g_autofree const char **require = invocation_options(invocation, "require");

	wishes->floors = NULL;
	if (!lab_weights_parse(invocation_option(invocation, "weights"), &wishes->weights, &wishes->normalized, error))
		return FALSE;
	wishes->floors = lab_floors_parse(require, error);
	return wishes->floors != NULL;
}

static void wishes_clear(struct wishes *wishes)
{
	g_clear_pointer(&wishes->floors, g_array_unref);
}

static gboolean apply_winner(struct invocation *invocation, const struct lab_ranking *ranking, GError **error)
{
	const struct lab_candidate *winner = ranking->winner;
	g_autofree char *efficiency = lab_number(winner->score.efficiency.mean, 4);
	g_autofree char *reason = g_strdup_printf("selected of %u on %s: efficiency %s", ranking->ranked->len,
						  ranking->source, efficiency);
	g_autofree const char **given = invocation_options(invocation, "option");
	g_auto(GStrv) modifiers = strategy_modifiers(ranking->family, given);
	struct strategy_wanted wanted = { winner->info, &winner->values, reason, modifiers };

	return strategy_put(invocation, ranking->family, &wanted, error);
}

/* The whole answer: the report, and with --apply whether the winner is at work now. */
static void print_selection(struct invocation *invocation, const struct lab_ranking *ranking, gboolean applied)
{
	gboolean timing = invocation_flag(invocation, "timing");
	g_autofree char *text = NULL;
	struct lab_json json;

	if (!invocation_flag(invocation, "json")) {
		text = lab_report_text(ranking, timing);
		fputs(text, stdout);
		if (applied)
			printf("Applied: %s is at work now; polder strategy rollback %s goes back.\n",
			       ranking->winner->info->name, ranking->family->name);
		return;
	}
	lab_json_init(&json);
	lab_json_open(&json, NULL, '{');
	lab_report_members(&json, ranking, timing);
	lab_json_boolean(&json, "applied", applied);
	lab_json_close(&json, '}');
	text = lab_json_steal(&json);
	fputs(text, stdout);
}

static int finish_selection(struct invocation *invocation, const struct lab_ranking *ranking, GError **error)
{
	gboolean apply = invocation_flag(invocation, "apply");

	if (!workload_plot(invocation, ranking, error))
		return -1;
	if (apply && ranking->winner && !apply_winner(invocation, ranking, error))
		return -1;
	print_selection(invocation, ranking, apply && ranking->winner);
	if (ranking->winner)
		return 0;
	g_set_error(error, LAB_ERROR, LAB_ERROR_CONFLICT, "no %s strategy was chosen%s. %s", ranking->family->name,
		    apply ? " and nothing was applied" : "", ranking->why);
	return -1;
}

static int select_on(struct invocation *invocation, const struct workload_loaded *workload, const struct wishes *wishes,
		     GError **error)
{
	g_autoptr(lab_ranking_auto) ranking = workload_ranking(workload, LAB_WHOLE);
	const char *list = invocation_option(invocation, "strategy");
	struct lab_run run;
	gboolean ok;

	if (!workload_run(invocation, SEEDS, &run, error))
		return -1;
	ok = !list || lab_ranking_add_named(ranking, list, error);
	if (ok && !list)
		lab_ranking_add_all(ranking, invocation_flag(invocation, "apply"));
	ok = ok && lab_ranking_run(ranking, &run, error);
	workload_run_end(&run);
	if (!ok || !lab_ranking_select(ranking, &wishes->weights, wishes->normalized, wishes->floors, error))
		return -1;
	return finish_selection(invocation, ranking, error);
}

int verb_strategy_select(struct invocation *invocation, GError **error)
{
	const struct lab_family *family = family_find(invocation_argument(invocation, 0), error);
	struct workload_loaded workload = { 0 };
	struct wishes wishes = { 0 };
	int status = -1;

	if (family && wishes_init(&wishes, invocation, error) && workload_drawing_check(invocation, "plot", error) &&
	    workload_load(&workload, invocation, family, error))
		status = select_on(invocation, &workload, &wishes, error);
	workload_clear(&workload);
	wishes_clear(&wishes);
	return status;
}

static gboolean apply_best(struct invocation *invocation, const struct workload_loaded *workload,
			   const struct lab_optimization *found, GError **error)
{
	g_autofree char *difference = lab_number(found->difference.mean, 3);
	g_autofree char *reason =
		g_strdup_printf("optimized on %s with %" G_GUINT64_FORMAT " evaluations: %s more efficient",
				workload->source, found->evaluations, difference);
	g_autofree const char **given = invocation_options(invocation, "option");
	g_auto(GStrv) modifiers = strategy_modifiers(workload->family, given);
	struct strategy_wanted wanted = { found->info, &found->values, reason, modifiers };

	return strategy_put(invocation, workload->family, &wanted, error);
}

static int finish_optimization(struct invocation *invocation, const struct workload_loaded *workload,
			       const struct lab_optimization *found, GError **error)
{
	gboolean timing = invocation_flag(invocation, "timing"), apply = invocation_flag(invocation, "apply");
	gboolean json = invocation_flag(invocation, "json");
	g_autofree char *text = json ? lab_optimization_json(found, timing) : lab_optimization_text(found, timing);

	if (apply && found->gain && !apply_best(invocation, workload, found, error))
		return -1;
	fputs(text, stdout);
	if (apply && !json)
		printf(found->gain ? "Applied: %s is at work with these parameters.\n"
				   : "Nothing was applied: %s stays as it is.\n",
		       found->info->name);
	return 0;
}

static int optimize_on(struct invocation *invocation, const struct workload_loaded *workload, struct lab_search *search,
		       GError **error)
{
	g_autoptr(lab_optimization_auto) found = NULL;

	if (!workload_run(invocation, SEEDS, &search->run, error))
		return -1;
	found = lab_optimize(workload->family, workload->data, search, error);
	workload_run_end(&search->run);
	if (!found)
		return -1;
	found->held_out->source = g_strdup(workload->source);
	for (guint i = 0; i < workload->notes->len; i++)
		g_ptr_array_add(found->held_out->notes, g_strdup(workload->notes->pdata[i]));
	return finish_optimization(invocation, workload, found, error);
}

int verb_strategy_optimize(struct invocation *invocation, GError **error)
{
	const struct lab_family *family = family_find(invocation_argument(invocation, 0), error);
	const char *budget = invocation_option(invocation, "budget");
	struct workload_loaded workload = { 0 };
	struct lab_search search = { 0 };
	struct wishes wishes = { 0 };
	int status = -1;

	if (family)
		search.info = lab_strategy_find(family->registry, invocation_argument(invocation, 1), error);
	if (!search.info || !lab_budget_parse(budget ? budget : "200", &search.budget, error) ||
	    !wishes_init(&wishes, invocation, error))
		return -1;
	search.weights = &wishes.weights;
	search.weights_normalized = wishes.normalized;
	search.floors = wishes.floors;
	if (invocation_flag(invocation, "apply") && !family->can_apply(search.info))
		g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID, "%s can't run live, so --apply can't put it to work",
			    search.info->name);
	else if (workload_load(&workload, invocation, family, error))
		status = optimize_on(invocation, &workload, &search, error);
	workload_clear(&workload);
	wishes_clear(&wishes);
	return status;
}
