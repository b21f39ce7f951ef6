#include "lab/rebalance.h"

#include <string.h>

#include "core/allocation/family.h"
#include "lab/error.h"
#include "lab/json.h"
#include "lab/select.h"

struct job {
	const struct rebalance_problem *problem;
	const struct rebalance_ops *ops;
	const struct strategy_values *values;
	guint64 seed;
	gint64 deadline_us; /* 0: none */
	gboolean cut;
	struct rebalance_budget budget;
	guint32 *machine;
	bool ok;
};

static bool is_late(void *data)
{
	struct job *job = data;

	job->cut = job->deadline_us && g_get_monotonic_time() > job->deadline_us;
	return job->cut;
}

static gpointer work(gpointer data)
{
	struct job *job = data;

	job->budget.stop = is_late;
	job->budget.data = job;
	memcpy(job->machine, job->problem->initial, job->problem->n_processes * sizeof *job->machine);
	job->ok = job->ops->improve(job->problem, job->values, job->seed, &job->budget, job->machine);
	return NULL;
}

/* All jobs side by side. */
static gboolean run(struct job *jobs, guint64 steps, gint64 deadline_us, GError **error)
{
	GThread *threads[LAB_REBALANCE_WORKERS];
	gboolean ok = TRUE;

	for (guint i = 0; i < LAB_REBALANCE_WORKERS; i++) {
		jobs[i].budget = (struct rebalance_budget) { .steps = steps };
		jobs[i].deadline_us = deadline_us;
		threads[i] = g_thread_new("rebalance", work, &jobs[i]);
	}
	for (guint i = 0; i < LAB_REBALANCE_WORKERS; i++) {
		g_thread_join(threads[i]);
		ok &= jobs[i].ok;
	}
	if (!ok)
		g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "improve the assignment: out of memory");
	return ok;
}

/* How many steps fit in the time, measured at the beginning of the very search. */
static gboolean measure(struct job *jobs, gint64 time_us, guint64 *steps, GError **error)
{
	gint64 begin = g_get_monotonic_time(), taken;
	guint64 least = G_MAXUINT64;

	if (!run(jobs, 1ull << 40, begin + CLAMP(time_us / 50, 10000, 2000000), error))
		return FALSE;
	taken = MAX(g_get_monotonic_time() - begin, 1);
	for (guint i = 0; i < LAB_REBALANCE_WORKERS; i++)
		least = MIN(least, jobs[i].budget.used);
	*steps = MAX((guint64)((double)least / (double)taken * (double)(time_us - taken) * 0.92), 1000);
	return TRUE;
}

/* "N" steps, or a time. */
static gboolean parse_budget(const char *text, guint64 *steps, gint64 *time_us, GError **error)
{
	char *end = NULL;
	guint64 value = text ? g_ascii_strtoull(text, &end, 10) : LAB_REBALANCE_STEPS_DEFAULT;
	guint64 unit = !text || !*end          ? 1
		       : g_str_equal(end, "s") ? 1
		       : g_str_equal(end, "m") ? 60
		       : g_str_equal(end, "h") ? 3600
					       : 0;

	if ((text && !g_ascii_isdigit(*text)) || !unit || !value || (end && *end && value > 86400 / unit) ||
	    value > 1ull << 42) {
		g_set_error(
			error, LAB_ERROR, LAB_ERROR_INVALID,
			"a budget is a number of steps like 20000000, or a time up to a day like 300s or 5m, not '%s'",
			text);
		return FALSE;
	}
	*steps = value;
	*time_us = end && *end ? (gint64)(value * unit) * G_USEC_PER_SEC : 0;
	return TRUE;
}

static const struct allocation_strategy *find(const struct lab_rebalance_options *options,
					      struct strategy_values *values, GError **error)
{
	const char *name = options->strategy ? options->strategy : "annealing";
	const struct strategy_info *info = lab_strategy_find(&allocation_registry, name, error);
	const struct allocation_strategy *strategy = (const struct allocation_strategy *)info;

	if (!info)
		return NULL;
	if (!strategy->rebalance || !strategy->rebalance->improve) {
		g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID,
			    "strategy %s does not improve machine reassignments; annealing, lns and greedy-descent do",
			    name);
		return NULL;
	}
	strategy_values_init(info, values);
	for (guint i = 0; options->parameters && options->parameters[i]; i++)
		if (!lab_values_set(info, values, options->parameters[i], error))
			return NULL;
	return strategy;
}

static gboolean take_best(struct job *jobs, struct lab_improvement *improvement, GError **error)
{
	const struct rebalance_problem *problem = jobs[0].problem;
	enum rebalance_violation violation;
	struct rebalance_cost cost;

	rebalance_verify(problem, problem->initial, &improvement->before, &violation);
	for (guint i = 0; i < LAB_REBALANCE_WORKERS; i++) {
		if (!rebalance_verify(problem, jobs[i].machine, &cost, &violation) || violation != REBALANCE_VALID) {
			g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "the plan did not pass its check (%s)",
				    rebalance_violation_names[violation]);
			return FALSE;
		}
		improvement->cut |= jobs[i].cut;
		if (improvement->machine && cost.total >= improvement->after.total)
			continue;
		g_free(improvement->machine);
		improvement->machine = g_steal_pointer(&jobs[i].machine);
		improvement->after = cost;
		improvement->seed = jobs[i].seed;
		improvement->used = jobs[i].budget.used;
	}
	return TRUE;
}

gboolean lab_rebalance_improve(const struct rebalance_problem *problem, const struct lab_rebalance_options *options,
			       struct lab_improvement *improvement, GError **error)
{
	struct strategy_values values;
	const struct allocation_strategy *strategy = find(options, &values, error);
	struct job jobs[LAB_REBALANCE_WORKERS];
	gint64 time_us = 0, begin = g_get_monotonic_time();
	gboolean ok;

	*improvement = (struct lab_improvement) { 0 };
	if (!strategy || !parse_budget(options->budget, &improvement->steps, &time_us, error))
		return FALSE;
	for (guint i = 0; i < LAB_REBALANCE_WORKERS; i++)
		jobs[i] = (struct job) { .problem = problem,
					 .ops = strategy->rebalance,
					 .values = &values,
					 .seed = options->seed + i,
					 .machine = g_new(guint32, (gsize)problem->n_processes + 1) };
	ok = (!time_us || measure(jobs, time_us, &improvement->steps, error)) &&
	     run(jobs, improvement->steps, time_us ? begin + time_us : 0, error) && take_best(jobs, improvement, error);
	for (guint i = 0; i < LAB_REBALANCE_WORKERS; i++)
		g_free(jobs[i].machine);
	return ok;
}

void lab_improvement_clear(struct lab_improvement *improvement)
{
	g_clear_pointer(&improvement->machine, g_free);
}

/* ---- Telling: machine reassignment ---- */

struct told {
	const struct rebalance_problem *problem;
	const struct lab_rebalance_options *options;
	struct lab_improvement improvement;
	struct rebalance_move *moves;
	size_t n_moves, parked, together;
	double seconds;
};

static void tell_cost(struct lab_json *json, const char *name, const struct rebalance_cost *cost)
{
	lab_json_open(json, name, '{');
	lab_json_integer(json, "total", (guint64)cost->total);
	lab_json_integer(json, "load", (guint64)cost->load);
	lab_json_integer(json, "balance", (guint64)cost->balance);
	lab_json_integer(json, "process_move", (guint64)cost->process_move);
	lab_json_integer(json, "service_move", (guint64)cost->service_move);
	lab_json_integer(json, "machine_move", (guint64)cost->machine_move);
	lab_json_close(json, '}');
}

static char *told_as_json(const struct told *told)
{
	const struct lab_improvement *improvement = &told->improvement;
	struct lab_json json;

	lab_json_init(&json);
	lab_json_open(&json, NULL, '{');
	lab_json_string(&json, "problem", "reassignment");
	lab_json_string(&json, "strategy", told->options->strategy ? told->options->strategy : "annealing");
	lab_json_integer(&json, "seed", told->options->seed);
	lab_json_integer(&json, "budget", improvement->steps);
	lab_json_boolean(&json, "reproducible", !improvement->cut);
	lab_json_boolean(&json, "valid", TRUE);
	tell_cost(&json, "before", &improvement->before);
	tell_cost(&json, "after", &improvement->after);
	lab_json_boolean(&json, "order_needed", FALSE);
	lab_json_integer(&json, "parked", told->parked);
	lab_json_integer(&json, "together", told->together);
	if (told->options->timing)
		lab_json_number(&json, "seconds", told->seconds);
	lab_json_open(&json, "moves", '[');
	for (size_t i = 0; i < told->n_moves; i++) {
		lab_json_open(&json, NULL, '{');
		lab_json_integer(&json, "process", told->moves[i].process);
		lab_json_integer(&json, "from", told->moves[i].from);
		lab_json_integer(&json, "to", told->moves[i].to);
		if (told->moves[i].together)
			lab_json_boolean(&json, "together", TRUE);
		lab_json_close(&json, '}');
	}
	lab_json_close(&json, ']');
	lab_json_open(&json, "assignment", '[');
	for (guint32 p = 0; p < told->problem->n_processes; p++)
		lab_json_integer(&json, NULL, improvement->machine[p]);
	lab_json_close(&json, ']');
	lab_json_close(&json, '}');
	return lab_json_steal(&json);
}

static char *told_as_text(const struct told *told)
{
	const struct lab_improvement *improvement = &told->improvement;
	const struct rebalance_cost *before = &improvement->before, *after = &improvement->after;
	GString *text = g_string_new(NULL);

	for (size_t i = 0; i < told->n_moves; i++)
		g_string_append_printf(text, "%5" G_GSIZE_FORMAT ". process %u: machine %u -> %u%s\n", i + 1,
				       told->moves[i].process, told->moves[i].from, told->moves[i].to,
				       told->moves[i].together ? "  (together with the one before)" : "");
	g_string_append_printf(text, "cost          %" G_GINT64_FORMAT " -> %" G_GINT64_FORMAT " (%.2f %% less)\n",
			       before->total, after->total,
			       before->total ? 100 * (1 - (double)after->total / (double)before->total) : 0);
	g_string_append_printf(text, "of it load    %" G_GINT64_FORMAT " -> %" G_GINT64_FORMAT "\n", before->load,
			       after->load);
	g_string_append_printf(text, "balance       %" G_GINT64_FORMAT " -> %" G_GINT64_FORMAT "\n", before->balance,
			       after->balance);
	g_string_append_printf(text, "moves         %" G_GINT64_FORMAT "\n",
			       after->process_move + after->service_move + after->machine_move);
	g_string_append_printf(
		text,
		"checked       valid, recounted from scratch\n"
		"order         not needed by this model, where all moves happen at once; one after another, as "
		"above,\n              every move has room: %" G_GSIZE_FORMAT " parked on the way, %" G_GSIZE_FORMAT
		" only together with others\n",
		told->parked, told->together);
	g_string_append_printf(text, "reproduced by --budget %" G_GUINT64_FORMAT " --seed %" G_GUINT64_FORMAT "%s\n",
			       improvement->steps, told->options->seed,
			       improvement->cut ? " (not this one: the time was over before the steps)" : "");
	if (told->options->timing)
		g_string_append_printf(text, "took          %.2f s\n", told->seconds);
	return g_string_free(text, FALSE);
}

static gboolean put_in_order(struct told *told, GError **error)
{
	const struct rebalance_problem *problem = told->problem;
	const char *wrong;

	told->moves = g_new0(struct rebalance_move, 2 * (gsize)problem->n_processes + 1);
	if (!rebalance_order(problem, told->improvement.machine, told->moves, &told->n_moves)) {
		g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "put the moves in order: out of memory");
		return FALSE;
	}
	wrong = rebalance_order_check(problem, told->improvement.machine, told->moves, told->n_moves);
	if (wrong) {
		g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "the order did not pass its check: %s", wrong);
		return FALSE;
	}
	for (size_t i = 0; i < told->n_moves; i++) {
		told->together += told->moves[i].together;
		told->parked += told->moves[i].to != told->improvement.machine[told->moves[i].process];
	}
	return TRUE;
}

char *lab_rebalance_reassignment(const char *model, const char *assignment, const struct lab_rebalance_options *options,
				 GError **error)
{
	g_autoptr(lab_reassignment_auto) instance = lab_reassignment_load(model, assignment, error);
	struct told told = { .options = options };
	gint64 begin = g_get_monotonic_time();
	char *text = NULL;

	if (!instance)
		return NULL;
	told.problem = &instance->problem;
	if (lab_rebalance_improve(told.problem, options, &told.improvement, error) && put_in_order(&told, error)) {
		told.seconds = (double)(g_get_monotonic_time() - begin) / G_USEC_PER_SEC;
		text = options->json ? told_as_json(&told) : told_as_text(&told);
	}
	g_free(told.moves);
	lab_improvement_clear(&told.improvement);
	return text;
}
