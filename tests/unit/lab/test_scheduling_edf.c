/* edf through the same operations as every strategy, against an independent simulation of global EDF: all task sets of
 * ../shared/data/scheduling, exactly; and against schedules worked out by hand. */
#include <glib.h>
#include <math.h>
#include <string.h>

#include "core/scheduling/feasibility.h"
#include "core/scheduling/scheduling.h"
#include "lab/scheduling/engine.h"
#include "lab/scheduling/workload.h"

struct outcome_told {
	gboolean feasible;
	gint64 first_miss_ns, max_tardiness_ns;
	guint64 tardy, ok, events;
};

/* When jobs were expected to be done each time they got a CPU. */
struct expectation {
	const struct task_set *set;
	gint64 left_ns[64], since_ns[64], first_stale_ns;
	guint task[64]; /* by CPU; 0: none, else 1 + task */
};

static void expect(gpointer user_data, gint64 now_ns, guint cpu, guint task)
{
	struct expectation *expectation = user_data;

	if (expectation->task[cpu]) {
		guint was = expectation->task[cpu] - 1;
		gint64 end = expectation->since_ns[cpu] + expectation->left_ns[was];

		while (end < now_ns) /* late jobs follow each other without a pause */
			end += expectation->set->wcet_ns[was];
		expectation->left_ns[was] = end > now_ns ? end - now_ns : expectation->set->wcet_ns[was];
		if (end > now_ns && now_ns > expectation->since_ns[cpu] && end > expectation->set->horizon_ns)
			expectation->first_stale_ns = MIN(expectation->first_stale_ns, end);
	}
	expectation->since_ns[cpu] = now_ns;
	expectation->task[cpu] = task == SCHEDULING_NO_CPU ? 0 : task + 1;
}

static void run(const struct engine_setup *setup, struct outcome_told *told)
{
	struct engine_result result;

	gint64 first_done_ns = G_MAXINT64;

	memset(told, 0, sizeof(*told));
	engine_run(setup, &result);
	for (guint i = 0; i < result.n_tasks; i++) {
		const struct engine_task *task = &result.task[i];

		told->ok += task->ok_jobs;
		told->tardy += task->tardy_jobs;
		told->max_tardiness_ns = MAX(told->max_tardiness_ns, task->max_tardiness_ns);
		if (task->first_miss_ns >= 0 && task->first_late_ns < first_done_ns) {
			told->first_miss_ns = task->first_miss_ns;
			first_done_ns = task->first_late_ns;
		}
	}
	told->events = result.totals.events;
	told->feasible = told->tardy == 0;
	engine_result_clear(&result);
}

/* The oracle asks for the horizon before it takes an event from its queue, so that the first event past it still counts;
 * and its queue holds, unused, the times at which jobs that were preempted had been expected to be done. When such a time is
 * the first past the horizon, nothing there counts. Its first miss is that of the first job that was done late. */
static void run_as_oracle(const struct task_set *set, struct outcome_told *told)
{
	g_autoptr(workload_auto) workload = workload_from_task_set(set);
	struct expectation expectation = { .set = set, .first_stale_ns = G_MAXINT64 };
	struct engine_setup setup = { .strategy = scheduling_strategy_find("edf"),
				      .workload = workload,
				      .seed = 1,
				      .observer = expect,
				      .user_data = &expectation };
	struct outcome_told until_stale;

	memcpy(expectation.left_ns, set->wcet_ns, sizeof(expectation.left_ns));
	run(&setup, told);
	setup.observer = NULL;
	if (expectation.first_stale_ns != G_MAXINT64) {
		setup.horizon_ns = expectation.first_stale_ns;
		run(&setup, &until_stale);
		if (until_stale.events == told->events)
			return;
	}
	setup.horizon_ns = 0;
	setup.one_past = TRUE;
	run(&setup, told);
}

static char *shared_path(const char *name)
{
	const char *shared = g_getenv("POLDER_SHARED");

	if (shared)
		return g_build_filename(shared, "data", "scheduling", name, NULL);
	return g_build_filename(POLDER_SOURCE_ROOT, "..", "shared", "data", "scheduling", name, NULL);
}

static char *unpack(const char *path)
{
	g_autoptr(GError) error = NULL;
	char *text = NULL;
	int status;

	g_spawn_sync(NULL, (char *[]) { (char *)"xz", (char *)"-dc", (char *)path, NULL }, NULL, G_SPAWN_SEARCH_PATH,
		     NULL, NULL, &text, NULL, &status, &error);
	g_assert_no_error(error);
	g_assert_cmpint(status, ==, 0);
	return text;
}

/* What the tests of feasibility promise, counted. */
struct promises {
	guint accepted, accepted_missed, above_bound;
	double nearest; /* the greatest tardiness, as a part of its bound */
};

static void promises_count(const struct task_set *set, const struct outcome_told *told, struct promises *promises)
{
	struct scheduling_entity entities[64] = { 0 };
	gint64 bound_ns;

	for (guint i = 0; i < set->n_tasks; i++) {
		entities[i].runtime_ns = set->wcet_ns[i];
		entities[i].period_ns = set->period_ns[i];
	}
	if (scheduling_feasible_gfb(entities, set->n_tasks, set->n_cpus) == SCHEDULING_FEASIBLE) {
		promises->accepted++;
		promises->accepted_missed += told->tardy > 0;
	}
	bound_ns = scheduling_tardiness_bound_ns(entities, set->n_tasks, set->n_cpus);
	if (bound_ns <= 0)
		return;
	promises->above_bound += told->max_tardiness_ns > bound_ns;
	promises->nearest = MAX(promises->nearest, (double)told->max_tardiness_ns / (double)bound_ns);
}

static void oracle(gconstpointer data)
{
	g_autofree char *path = shared_path(data), *text = NULL, *xz = g_find_program_in_path("xz");
	g_autoptr(GError) error = NULL;
	g_autoptr(GArray) sets = NULL;
	struct promises promises = { 0 };
	guint wrong = 0;

	if (!g_file_test(path, G_FILE_TEST_EXISTS) || !xz) {
		g_test_skip(xz ? "no task sets: ../shared is not there" : "no xz to unpack the task sets with");
		return;
	}
	text = unpack(path);
	sets = task_sets_read(text, data, &error);
	g_assert_no_error(error);
	for (guint i = 0; i < sets->len; i++) {
		const struct task_set *set = &g_array_index(sets, struct task_set, i);
		struct outcome_told told;

		run_as_oracle(set, &told);
		promises_count(set, &told, &promises);
		if (told.feasible == set->feasible && told.first_miss_ns == set->first_miss_ns &&
		    told.tardy == set->tardy && told.ok == set->ok && told.max_tardiness_ns == set->max_tardiness_ns)
			continue;
		if (wrong++ < 10)
			g_test_message("line %u: feasible %d/%d first miss %" G_GINT64_FORMAT "/%" G_GINT64_FORMAT
				       " tardy %" G_GUINT64_FORMAT "/%" G_GUINT64_FORMAT " ok %" G_GUINT64_FORMAT
				       "/%" G_GUINT64_FORMAT " tardiness %" G_GINT64_FORMAT "/%" G_GINT64_FORMAT,
				       set->line, told.feasible, set->feasible, told.first_miss_ns, set->first_miss_ns,
				       told.tardy, set->tardy, told.ok, set->ok, told.max_tardiness_ns,
				       set->max_tardiness_ns);
	}
	g_test_message("%u task sets, %u not as the oracle has them", sets->len, wrong);
	g_test_message("%u accepted by GFB, %u of them missed", promises.accepted, promises.accepted_missed);
	g_test_message("%u tardier than the bound, the nearest at %.4f of it", promises.above_bound, promises.nearest);
	g_assert_cmpuint(wrong, ==, 0);
	g_assert_cmpuint(promises.accepted_missed, ==, 0);
	g_assert_cmpuint(promises.above_bound, ==, 0);
}

/* Dhall's effect: two light tasks and a heavy one on two CPUs; EDF misses though little is used. */
static void by_hand(void)
{
	struct task_set set = {
		.n_tasks = 3, .n_cpus = 2, .horizon_ns = 30, .wcet_ns = { 2, 2, 10 }, .period_ns = { 10, 10, 11 }
	};
	struct engine_setup setup = { .strategy = scheduling_strategy_find("edf"), .seed = 1 };
	g_autoptr(workload_auto) heavy = workload_from_task_set(&set);
	g_autoptr(workload_auto) light = NULL;
	struct outcome_told told;

	/* 0–2 both light ones; the heavy one 2–12, due at 11; its second job of 11 at 12–22, due at 22; the light ones have
	 * the other CPU: 10–14, 20–24. */
	setup.workload = heavy;
	run(&setup, &told);
	g_assert_cmpint(told.first_miss_ns, ==, 11);
	g_assert_cmpuint(told.tardy, >=, 1);
	g_assert_cmpint(told.max_tardiness_ns, ==, 1);

	set = (struct task_set) {
		.n_tasks = 2, .n_cpus = 1, .horizon_ns = 40, .wcet_ns = { 2, 4 }, .period_ns = { 5, 7 }
	};
	/* Jobs due by 40: 8 and 5, U = 0.971. */
	light = workload_from_task_set(&set);
	setup.workload = light;
	run(&setup, &told);
	g_assert_cmpuint(told.tardy, ==, 0);
	g_assert_cmpuint(told.ok, ==, 13);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/scheduling/edf/by-hand", by_hand);
	g_test_add_data_func("/scheduling/edf/oracle-m2-n5", "gedf_m2_n5.csv.xz", oracle);
	g_test_add_data_func("/scheduling/edf/oracle-m4-n10", "gedf_m4_n10.csv.xz", oracle);
	return g_test_run();
}
