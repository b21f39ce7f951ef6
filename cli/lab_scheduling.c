/* polder lab scheduling: strategies on a workload of vCPUs, themselves and as the kernel would carry them out, in this process;
 * no daemon is asked. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/progress.h"
#include "cli/verbs.h"
#include "cli/workload.h"
#include "lab/error.h"
#include "lab/report.h"
#include "lab/scheduling/family.h"
#include "lab/scheduling/gantt.h"
#include "lab/scheduling/latency.h"
#include "lab/scheduling/simulate.h"

#define GANTT_NS 100000000 /* drawn at most */
#define QUIET_MS 1000

/* The strategies themselves, and what a model of the kernel makes of them. */
static const char *const models[] = { "ideal", "kernel" };
static const char *const model_names[] = { "ideal", "projected" };

/* What --cpus and --option say, as the family's load takes it. Caller frees with g_strfreev(). */
static GStrv load_options(struct invocation *invocation, const char *model)
{
	g_autoptr(GStrvBuilder) options = g_strv_builder_new();
	g_autofree const char **given = invocation_options(invocation, "option");
	const char *cpus = invocation_option(invocation, "cpus");
	g_autofree char *cpus_option = cpus ? g_strconcat("cpus=", cpus, NULL) : NULL;
	g_autofree char *model_option = g_strconcat("model=", model, NULL);

	if (cpus_option)
		g_strv_builder_add(options, cpus_option);
	for (guint i = 0; given[i]; i++)
		g_strv_builder_add(options, given[i]);
	g_strv_builder_add(options, model_option);
	return g_strv_builder_end(options);
}

/* The best of the ranking, as it ran with the first seed. */
static gboolean gantt_write(struct invocation *invocation, const struct scheduling_workload *loaded,
			    const struct lab_ranking *ranking, GError **error)
{
	gboolean wanted = invocation_option(invocation, "gantt") != NULL;
	const struct lab_candidate *best = ranking->ranked->len ? ranking->ranked->pdata[0] : NULL;
	gint64 until = MIN(loaded->workload->horizon_ns, GANTT_NS);
	struct engine_setup setup = { .seed = ranking->seed, .horizon_ns = until, .observer = gantt_observe };
	g_autofree char *title = NULL, *svg = NULL;
	struct engine_result result;
	struct gantt *gantt;

	if (!wanted || !best)
		return TRUE;
	title = g_strdup_printf("Who ran where: %s on %s, the strategy itself", best->info->name, ranking->source);
	gantt = gantt_new(loaded->workload, title, 0, until);
	setup.user_data = gantt;
	scheduling_simulate(loaded, best->info, &best->values, &setup, &result, NULL);
	svg = gantt_svg(gantt);
	gantt_free(gantt);
	engine_result_clear(&result);
	return workload_drawing_write(invocation, "gantt", svg, error);
}

/* Every candidate once more, as it ran with the first seed. */
static gboolean latency_write(struct invocation *invocation, struct lab_ranking *const *rankings,
			      const gpointer *loaded, GError **error)
{
	guint done = 0, total = rankings[0]->ranked->len + rankings[1]->ranked->len;
	g_autofree char *title = g_strdup_printf("Wake-up latency on %s", rankings[0]->source), *svg = NULL;
	struct latency *latency;

	if (!invocation_option(invocation, "latency"))
		return TRUE;
	struct progress *progress = progress_new(STDERR_FILENO, "Drawing", QUIET_MS);
	latency = latency_new(title);
	for (guint model = 0; model < G_N_ELEMENTS(models); model++)
		for (guint i = 0; i < rankings[model]->ranked->len; i++) {
			const struct lab_candidate *candidate = rankings[model]->ranked->pdata[i];
			struct engine_setup setup = { .seed = rankings[model]->seed };
			struct engine_result result;

			scheduling_simulate(loaded[model], candidate->info, &candidate->values, &setup, &result, NULL);
			latency_add(latency, model ? LATENCY_PROJECTED : LATENCY_IDEAL, candidate->info->name,
				    &result.totals);
			engine_result_clear(&result);
			progress_count(++done, total, progress);
		}
	progress_free(progress);
	svg = latency_svg(latency);
	latency_free(latency);
	return workload_drawing_write(invocation, "latency", svg, error);
}

/* Loads, evaluates and draws one model; NULL with the error set. */
static struct lab_ranking *rank(struct invocation *invocation, guint model, gpointer *loaded, GError **error)
{
	const char *path = invocation_option(invocation, "workload"),
		   *names = invocation_option(invocation, "strategy");
	g_auto(GStrv) options = load_options(invocation, models[model]);
	g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
	struct lab_ranking *ranking;

	*loaded = lab_scheduling_family.load(path, (const char *const *)options, notes, error);
	if (!*loaded)
		return NULL;
	ranking = lab_ranking_new(&lab_scheduling_family, *loaded, LAB_WHOLE);
	ranking->source = g_path_get_basename(path);
	for (guint i = 0; i < notes->len; i++)
		g_ptr_array_add(ranking->notes, g_strdup(notes->pdata[i]));
	if (lab_ranking_add_named(ranking, names ? names : "all", error) &&
	    workload_rank(invocation, ranking, "Simulating", error) &&
	    (model != 0 || gantt_write(invocation, *loaded, ranking, error)))
		return ranking;
	lab_ranking_free(ranking);
	return NULL;
}

static void print(struct invocation *invocation, struct lab_ranking *const *rankings)
{
	gboolean timing = invocation_flag(invocation, "timing");
	g_autofree char *text = NULL;
	struct lab_json json;

	if (!invocation_flag(invocation, "json")) {
		for (guint i = 0; i < G_N_ELEMENTS(models); i++) {
			g_autofree char *report = lab_report_text(rankings[i], timing);

			printf("%s%s\n\n%s", i ? "\n" : "",
			       i ? "PROJECTED: as a model of the kernel carries it out"
				 : "IDEAL: the strategies themselves",
			       report);
		}
		return;
	}
	lab_json_init(&json);
	lab_json_open(&json, NULL, '{');
	for (guint i = 0; i < G_N_ELEMENTS(models); i++) {
		lab_json_open(&json, model_names[i], '{');
		lab_report_members(&json, rankings[i], timing);
		lab_json_close(&json, '}');
	}
	lab_json_close(&json, '}');
	text = lab_json_steal(&json);
	fputs(text, stdout);
}

static int scheduling(struct invocation *invocation, GError **error)
{
	const char *strategies = invocation_option(invocation, "strategy");
	struct lab_ranking *rankings[G_N_ELEMENTS(models)] = { NULL };
	gpointer loaded[G_N_ELEMENTS(models)] = { NULL };
	int status = 0;

	if (!invocation_option(invocation, "workload"))
		return usage_error(error, invocation,
				   "no workload: name a file with --workload, or synthetic:mixed,vms=24,cpus=8");
	/* A bad name is told before a long workload is read. */
	if (strategies && strcmp(strategies, "all") != 0 && !strpbrk(strategies, ",(") &&
	    !lab_strategy_find(lab_scheduling_family.registry, strategies, error))
		return -1;
	if (!workload_drawing_check(invocation, "gantt", error) ||
	    !workload_drawing_check(invocation, "latency", error))
		return -1;
	for (guint i = 0; i < G_N_ELEMENTS(models) && status == 0; i++) {
		rankings[i] = rank(invocation, i, &loaded[i], error);
		status = rankings[i] ? 0 : -1;
	}
	if (status == 0 && !latency_write(invocation, rankings, loaded, error))
		status = -1;
	if (status == 0) {
		print(invocation, rankings);
		/* Requirements that nothing meets are a conflict, as in strategy select. */
		status = rankings[0]->floors && rankings[0]->floors->len && !rankings[0]->winner ? 4 : 0;
	}
	for (guint i = 0; i < G_N_ELEMENTS(models); i++) {
		lab_ranking_free(rankings[i]);
		lab_scheduling_family.free(loaded[i]);
	}
	return status;
}

int verb_lab_scheduling(struct invocation *invocation, GError **error)
{
	int status = scheduling(invocation, error);

	if (status < 0 && *error && (*error)->domain == LAB_ERROR)
		return lab_error_exit_status(*error);
	return status;
}
