/* Task sets: comma-separated, `U_target,set,feasible,first_miss_us,tardy,ok,max_tardiness_us,gfb,bcl,pedf,wcet:period,…` in µs;
 * a comment line "# m=2 … horizon_us=2000000" says on how many CPUs and for how long. */
#include "lab/scheduling/workload.h"

#include <string.h>

#include "lab/error.h"

#define COLUMNS        10 /* before the tasks */
#define LINE_BYTES_MAX 16384
#define US             1000
#define PERIOD_MAX     10000000000 /* µs */

static gboolean fail(GError **error, const char *name, guint line, const char *what)
{
	g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID, "%s:%u: %s", name, line, what);
	return FALSE;
}

static gboolean number_parse(const char *text, guint64 max, guint64 *value)
{
	return g_ascii_string_to_unsigned(text, 10, 0, max, value, NULL);
}

static gboolean tasks_parse(struct task_set *set, char **cells, const char *name, GError **error)
{
	for (guint i = 0; cells[i]; i++) {
		char *colon = strchr(cells[i], ':');
		guint64 wcet, period;

		if (set->n_tasks == G_N_ELEMENTS(set->wcet_ns))
			return fail(error, name, set->line, "more than 64 tasks");
		if (!colon)
			return fail(error, name, set->line, "a task is wcet:period in µs, like 4306:52408");
		*colon = '\0';
		if (!number_parse(cells[i], PERIOD_MAX, &wcet) || !number_parse(colon + 1, PERIOD_MAX, &period) ||
		    !wcet)
			return fail(error, name, set->line, "a task is wcet:period in µs, whole numbers above 0");
		if (wcet > period)
			return fail(error, name, set->line, "a task's wcet is longer than its period");
		set->wcet_ns[set->n_tasks] = (gint64)wcet * US;
		set->period_ns[set->n_tasks++] = (gint64)period * US;
	}
	return set->n_tasks > 0 || fail(error, name, set->line, "no tasks");
}

static gboolean line_parse(struct task_set *set, const char *text, const char *name, GError **error)
{
	g_auto(GStrv) cells = g_strsplit(text, ",", -1);
	guint64 value[COLUMNS] = { 0 };

	if (g_strv_length(cells) <= COLUMNS)
		return fail(
			error, name, set->line,
			"too few columns: U_target,set,feasible,first_miss_us,tardy,ok,max_tardiness_us,gfb,bcl,pedf,"
			"wcet:period,…");
	for (guint i = 1; i < COLUMNS; i++)
		if (!number_parse(cells[i], G_MAXINT64 / US, &value[i]))
			return fail(error, name, set->line, "a column before the tasks is not a whole number");
	set->feasible = value[2] != 0;
	set->first_miss_ns = (gint64)value[3] * US;
	set->tardy = value[4];
	set->ok = value[5];
	set->max_tardiness_ns = (gint64)value[6] * US;
	set->gfb = value[7] != 0;
	return tasks_parse(set, cells + COLUMNS, name, error);
}

/* "m=2" in "# m=2 n=5 horizon_us=2000000; …". */
static guint64 header_value(const char *line, const char *key, guint64 missing)
{
	const char *at = strstr(line, key);
	guint64 value = 0;

	for (at = at ? at + strlen(key) : ""; g_ascii_isdigit(*at) && value < 1000000000; at++)
		value = value * 10 + (guint64)(*at - '0');
	return value ? value : missing;
}

GArray *task_sets_read(const char *text, const char *name, GError **error)
{
	g_autoptr(GArray) sets = g_array_new(FALSE, TRUE, sizeof(struct task_set));
	guint64 n_cpus = 1, horizon_us = 2000000;
	guint line = 0;

	while (*text) {
		gsize bytes = strcspn(text, "\n");
		g_autofree char *row = NULL;
		struct task_set set = { .line = ++line };

		if (bytes > LINE_BYTES_MAX) {
			fail(error, name, line, "the line is longer than 16384 characters");
			return NULL;
		}
		row = g_strndup(text, bytes);
		text += bytes + (text[bytes] == '\n');
		g_strchomp(row);
		if (*row == '#') {
			n_cpus = MIN(header_value(row, "m=", n_cpus), WORKLOAD_CPUS_MAX);
			horizon_us = header_value(row, "horizon_us=", horizon_us);
		}
		if (!*row || *row == '#')
			continue;
		set.n_cpus = (guint)n_cpus;
		set.horizon_ns = (gint64)horizon_us * US;
		if (!line_parse(&set, row, name, error))
			return NULL;
		g_array_append_val(sets, set);
	}
	if (!sets->len) {
		fail(error, name, line, "no task sets");
		return NULL;
	}
	return g_steal_pointer(&sets);
}

struct workload *workload_from_task_set(const struct task_set *set)
{
	struct workload *workload = workload_new();

	workload->topology.n_cpus = set->n_cpus;
	workload->horizon_ns = set->horizon_ns;
	workload->is_task_set = TRUE;
	for (guint i = 0; i < set->n_tasks; i++) {
		g_autofree char *name = g_strdup_printf("task%u", i);
		struct task *task;

		workload_add_vm(workload, name, workload_add_tenant(workload, name));
		task = workload_add_task(workload);
		task->runtime_ns = set->wcet_ns[i];
		task->period_ns = task->deadline_ns = set->period_ns[i];
		workload_add_step(workload, STEP_RUN, set->wcet_ns[i], 0);
		workload_add_step(workload, STEP_TIMER, set->period_ns[i], 0);
		workload_add_step(workload, STEP_LOOP, 0, 0);
	}
	return workload;
}
