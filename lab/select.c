#include "lab/select.h"

#include <string.h>

#include "lab/error.h"

#define THREADS 2

static void candidate_free(gpointer data)
{
	struct lab_candidate *candidate = data;

	for (guint i = 0; candidate->runs && i < candidate->n_runs; i++)
		lab_result_clear(&candidate->runs[i]);
	g_free(candidate->runs);
	g_free(candidate->failed);
	g_free(candidate->note);
	g_free(candidate);
}

struct lab_ranking *lab_ranking_new(const struct lab_family *family, gconstpointer workload, enum lab_part part)
{
	struct lab_ranking *ranking = g_new0(struct lab_ranking, 1);

	ranking->family = family;
	ranking->workload = workload;
	ranking->part = part;
	ranking->notes = g_ptr_array_new_with_free_func(g_free);
	ranking->candidates = g_ptr_array_new_with_free_func(candidate_free);
	ranking->weights = (struct score_weights)SCORE_WEIGHTS_DEFAULT;
	return ranking;
}

void lab_ranking_free(struct lab_ranking *ranking)
{
	if (!ranking)
		return;
	g_free(ranking->source);
	g_free(ranking->why);
	g_ptr_array_unref(ranking->notes);
	g_ptr_array_unref(ranking->candidates);
	g_clear_pointer(&ranking->ranked, g_ptr_array_unref);
	g_clear_pointer(&ranking->floors, g_array_unref);
	g_free(ranking);
}

void lab_ranking_add(struct lab_ranking *ranking, const struct strategy_info *info,
		     const struct strategy_values *values)
{
	struct lab_candidate *candidate = g_new0(struct lab_candidate, 1);

	candidate->info = info;
	if (values)
		candidate->values = *values;
	else
		strategy_values_init(info, &candidate->values);
	if (ranking->family->applicable)
		candidate->skipped = ranking->family->applicable(ranking->workload, info);
	g_ptr_array_add(ranking->candidates, candidate);
}

void lab_ranking_add_all(struct lab_ranking *ranking, gboolean live)
{
	const struct strategy_registry *registry = ranking->family->registry;

	for (size_t i = 0; i < registry->n_entries; i++) {
		struct lab_candidate *candidate;

		lab_ranking_add(ranking, registry->entries[i], NULL);
		candidate = ranking->candidates->pdata[ranking->candidates->len - 1];
		if (live && !candidate->skipped && !ranking->family->can_apply(registry->entries[i]))
			candidate->skipped = "it can't run live";
	}
}

/* One of a list: "weighted(cpu=2 memory=1)", commas allowed. */
static gboolean add_one(struct lab_ranking *ranking, const char *text, GError **error)
{
	size_t length = strcspn(text, "(");
	g_autofree char *name = g_strstrip(g_strndup(text, length)), *inside = NULL;
	const struct strategy_info *info;
	struct strategy_values values;
	g_auto(GStrv) pairs = NULL;

	if (strcmp(name, "all") == 0 && !text[length]) {
		lab_ranking_add_all(ranking, FALSE);
		return TRUE;
	}
	info = lab_strategy_find(ranking->family->registry, name, error);
	if (!info)
		return FALSE;
	strategy_values_init(info, &values);
	if (text[length]) {
		inside = g_strstrip(g_strdup(text + length + 1));
		if (strcspn(inside, ")") + 1 != strlen(inside)) {
			g_set_error(
				error, LAB_ERROR, LAB_ERROR_INVALID,
				"'%s' does not end at its closing parenthesis: write it like %s(NAME=VALUE NAME=VALUE)",
				text, name);
			return FALSE;
		}
		g_strdelimit(inside, "),", ' ');
		pairs = g_strsplit(g_strstrip(inside), " ", -1);
		for (guint i = 0; pairs[i]; i++)
			if (*pairs[i] && !lab_values_set(info, &values, pairs[i], error))
				return FALSE;
	}
	lab_ranking_add(ranking, info, &values);
	return TRUE;
}

gboolean lab_ranking_add_named(struct lab_ranking *ranking, const char *list, GError **error)
{
	g_autofree char *rest = g_strdup(list);
	char *one = rest;

	for (;;) {
		/* A comma in parentheses is between values. */
		char *end = one + strcspn(one, ",("), more;

		if (*end == '(') {
			end += strcspn(end, ")");
			end += strcspn(end, ",");
		}
		more = *end;
		*end = '\0';
		if (!add_one(ranking, g_strstrip(one), error))
			return FALSE;
		if (!more)
			return TRUE;
		one = end + 1;
	}
}

/* ---- Running ---- */

struct task {
	const struct lab_ranking *ranking;
	const struct lab_candidate *candidate;
	guint64 seed;
	struct lab_result *result;
	GError *error;
};

static void work(gpointer data, gpointer done)
{
	struct task *task = data;
	const struct lab_ranking *ranking = task->ranking;
	const struct lab_candidate *candidate = task->candidate;

	if (!ranking->family->evaluate(ranking->workload, candidate->info, &candidate->values, task->seed,
				       ranking->part, task->result, &task->error) &&
	    !task->error)
		g_set_error(&task->error, LAB_ERROR, LAB_ERROR_FAILED, "no reason was given");
	g_async_queue_push(done, task);
}

/* The tasks are dealt to threads in any order; each has its own place for what comes out. */
static gboolean run_tasks(GArray *tasks, const struct lab_run *run, GError **error)
{
	g_autoptr(GAsyncQueue) done = g_async_queue_new();
	guint threads = run->n_threads ? run->n_threads : THREADS;
	GThreadPool *pool = g_thread_pool_new(work, done, (gint)threads, FALSE, error);

	if (!pool)
		return FALSE;
	for (guint i = 0; i < tasks->len; i++)
		g_thread_pool_push(pool, &g_array_index(tasks, struct task, i), NULL);
	for (guint i = 0; i < tasks->len; i++) {
		g_async_queue_pop(done);
		if (run->progress)
			run->progress(i + 1, tasks->len, run->user_data);
	}
	g_thread_pool_free(pool, FALSE, TRUE);
	return TRUE;
}

static void summarize_scores(struct lab_candidate *candidate)
{
	g_autofree double *runs = g_new(double, candidate->n_runs);

	for (int kind = 0; kind < SCORES; kind++) {
		guint n = 0;

		for (guint i = 0; i < candidate->n_runs; i++)
			if (candidate->runs[i].has_score[kind])
				runs[n++] = candidate->runs[i].score[kind];
		candidate->score.scores.score[kind] = score_from_runs(runs, n);
	}
}

static void summarize_figures(struct lab_candidate *candidate)
{
	g_autofree double *runs = g_new(double, candidate->n_runs);
	const struct lab_result *first = &candidate->runs[0];

	candidate->n_figures = first->n_figures;
	for (guint f = 0; f < first->n_figures; f++) {
		struct lab_figure_mean *mean = &candidate->figure[f];
		guint n = 0;

		for (guint i = 0; i < candidate->n_runs; i++)
			for (guint g = 0; g < candidate->runs[i].n_figures; g++)
				if (candidate->runs[i].figure[g].present &&
				    strcmp(candidate->runs[i].figure[g].name, first->figure[f].name) == 0)
					runs[n++] = candidate->runs[i].figure[g].value;
		mean->name = first->figure[f].name;
		mean->is_time = first->figure[f].is_time;
		mean->value = score_interval(runs, n);
	}
}

static void summarize_notes(struct lab_candidate *candidate)
{
	g_autoptr(GString) notes = g_string_new(NULL);

	for (guint i = 0; i < candidate->n_runs; i++) {
		const char *note = candidate->runs[i].note;

		if (note && !strstr(notes->str, note))
			g_string_append_printf(notes, "%s%s", notes->len ? "; " : "", note);
	}
	if (notes->len)
		candidate->note = g_string_free(g_steal_pointer(&notes), FALSE);
}

static gboolean summarize(struct lab_ranking *ranking, GArray *tasks, GError **error)
{
	GError *first = NULL;
	guint succeeded = 0;

	for (guint i = 0; i < tasks->len; i++) {
		struct task *task = &g_array_index(tasks, struct task, i);
		struct lab_candidate *candidate = (struct lab_candidate *)task->candidate;

		if (!task->error)
			continue;
		if (!candidate->failed)
			candidate->failed = g_strdup(task->error->message);
		if (!first)
			first = g_error_copy(task->error);
		g_clear_error(&task->error);
	}
	for (guint i = 0; i < ranking->candidates->len; i++) {
		struct lab_candidate *candidate = ranking->candidates->pdata[i];

		if (candidate->skipped || candidate->failed)
			continue;
		succeeded++;
		summarize_scores(candidate);
		summarize_figures(candidate);
		summarize_notes(candidate);
	}
	if (first && !succeeded) {
		g_propagate_error(error, first);
		return FALSE;
	}
	g_clear_error(&first);
	return TRUE;
}

gboolean lab_ranking_run(struct lab_ranking *ranking, const struct lab_run *run, GError **error)
{
	g_autoptr(GArray) tasks = g_array_new(FALSE, TRUE, sizeof(struct task));

	ranking->seed = run->seed;
	ranking->n_seeds = run->n_seeds ? run->n_seeds : 1;
	for (guint i = 0; i < ranking->candidates->len; i++) {
		struct lab_candidate *candidate = ranking->candidates->pdata[i];

		if (candidate->skipped || candidate->runs)
			continue;
		candidate->n_runs = ranking->n_seeds;
		candidate->runs = g_new0(struct lab_result, candidate->n_runs);
		for (guint s = 0; s < candidate->n_runs; s++) {
			struct task task = { .ranking = ranking, .candidate = candidate };

			task.seed = run->seed + s;
			task.result = &candidate->runs[s];
			g_array_append_val(tasks, task);
		}
	}
	return run_tasks(tasks, run, error) && summarize(ranking, tasks, error);
}
