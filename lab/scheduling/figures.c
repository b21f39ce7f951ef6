#include "lab/scheduling/figures.h"

#include <string.h>

#include "core/scheduling/share.h"

#define KEPT      0.99 /* of a reservation: the rest is the window's edge */
#define STEPS_MAX 20000000
#define POINTS    100.0

/* ---- Demand ---- */

static void demand_add(const struct engine_result *shape, double *demand, guint task, gint64 from, gint64 to)
{
	gint64 window_ns = shape->n_windows > 1 ? shape->window_ns : shape->horizon_ns;

	to = MIN(to, shape->horizon_ns);
	while (from < to) {
		guint window = MIN((guint)(from / window_ns), shape->n_windows - 1);
		gint64 end = window + 1 == shape->n_windows ? to : MIN(to, ((gint64)window + 1) * window_ns);

		demand[(gsize)window * shape->n_tasks + task] += (double)(end - from);
		from = end;
	}
}

static void demand_recorded(const struct workload *workload, const struct engine_result *shape, gint64 offset_ns,
			    guint index, double *demand)
{
	const struct task *task = &g_array_index(workload->tasks, struct task, index);

	for (gint64 at = 0; at < shape->horizon_ns;) {
		gint64 end = MIN(shape->horizon_ns,
				 ((at + offset_ns) / workload->sample_ns + 1) * workload->sample_ns - offset_ns);
		guint64 sample = (guint64)((at + offset_ns) / workload->sample_ns) % task->n_samples;
		guint64 use = g_array_index(workload->samples, struct sample, task->first_sample + sample).use_ppm;

		demand_add(shape, demand, index, at, at + (gint64)((guint64)(end - at) * use / SAMPLE_PPM));
		at = end;
	}
}

/* Its program on a CPU of its own; locks and barriers cost nothing. */
static void demand_program(const struct workload *workload, const struct engine_result *shape, guint index,
			   double *demand)
{
	const struct task *task = &g_array_index(workload->tasks, struct task, index);
	gint64 now = task->start_ns, release = task->start_ns;
	guint at = 0;

	for (guint count = 0; count < STEPS_MAX && now < shape->horizon_ns && at < task->n_steps; count++) {
		const struct step *step = &g_array_index(workload->steps, struct step, task->first_step + at++);

		switch ((enum step_kind)step->kind) {
		case STEP_RUN:
			demand_add(shape, demand, index, now, now + step->ns);
			now += step->ns;
			break;
		case STEP_SLEEP:
			now += step->ns;
			break;
		case STEP_TIMER:
			release += step->ns;
			now = MAX(now, release);
			break;
		case STEP_DODGE: /* nearly always */
			demand_add(shape, demand, index, now, shape->horizon_ns);
			return;
		case STEP_LOOP:
			at = step->object;
			break;
		case STEP_USE:
		case STEP_LOCK:
		case STEP_UNLOCK:
		case STEP_BARRIER:
			break;
		}
	}
}

void figures_demand(const struct workload *workload, const struct engine_result *shape, gint64 offset_ns,
		    double *demand)
{
	for (guint i = 0; i < workload->tasks->len; i++)
		if (g_array_index(workload->tasks, struct task, i).n_samples)
			demand_recorded(workload, shape, offset_ns, i, demand);
		else
			demand_program(workload, shape, i, demand);
}

void figures_entitle(const struct workload *workload, gint64 window_ns, const double *demand, double *entitled)
{
	guint n = workload->tasks->len;
	g_autofree struct scheduling_claim *claims = g_new0(struct scheduling_claim, n);
	double window = (double)window_ns;
	gint64 capacity_ns;

	if (__builtin_mul_overflow(window_ns, (gint64)workload->topology.n_cpus, &capacity_ns))
		capacity_ns = G_MAXINT64;
	for (guint i = 0; i < n; i++) {
		const struct task *task = &g_array_index(workload->tasks, struct task, i);
		const struct workload_vm *vm = workload_vm(workload, task->vm);
		double most = MIN(demand[i], window);

		if (vm->limit_ns)
			most = MIN(most, window * (double)vm->limit_ns / (double)vm->limit_period_ns);
		if (task->period_ns)
			claims[i].least_ns = (gint64)(window * (double)task->runtime_ns / (double)task->period_ns);
		claims[i].weight = vm->weight;
		claims[i].most_ns = (gint64)most;
	}
	scheduling_entitle(claims, n, capacity_ns);
	for (guint i = 0; i < n; i++)
		entitled[i] = (double)claims[i].due_ns;
}

/* ---- Delivered against entitled ---- */

struct shares {
	double entitled, met, error_points, lag_ns;
};

static void vm_errors(const struct workload *workload, const double *entitled, const double *got, double elapsed,
		      struct shares *shares)
{
	for (guint v = 0; v < workload->vms->len; v++) {
		const struct workload_vm *vm = workload_vm(workload, v);
		double wanted = 0, had = 0, points;

		for (guint i = vm->first_task; i < vm->first_task + vm->n_tasks; i++) {
			wanted += entitled[i];
			had += got[i];
		}
		points = POINTS * (wanted > had ? wanted - had : had - wanted) / elapsed / vm->n_tasks;
		shares->error_points = MAX(shares->error_points, points);
	}
}

static void shares_compute(const struct workload *workload, const struct engine_result *run, gint64 offset_ns,
			   struct shares *shares)
{
	guint n = run->n_tasks;
	g_autofree double *demand = g_new0(double, (gsize)run->n_windows *n);
	g_autofree double *entitled = g_new0(double, n), *all = g_new0(double, n), *got = g_new0(double, n);
	gint64 window_ns = run->n_windows > 1 ? run->window_ns : run->horizon_ns;

	memset(shares, 0, sizeof(*shares));
	figures_demand(workload, run, offset_ns, demand);
	for (guint w = 0; w < run->n_windows; w++) {
		gint64 length = MIN(window_ns, run->horizon_ns - (gint64)w * window_ns);

		figures_entitle(workload, length, demand + (gsize)w * n, entitled);
		for (guint i = 0; i < n; i++) {
			double had = run->window ? (double)run->window[(gsize)w * n + i]
						 : (double)(run->task[i].run_ns - run->task[i].overhead_ns);

			shares->entitled += entitled[i];
			shares->met += MIN(had, entitled[i]);
			all[i] += entitled[i];
			got[i] += had;
			shares->lag_ns = MAX(shares->lag_ns, all[i] - got[i]);
		}
	}
	vm_errors(workload, all, got, (double)run->horizon_ns, shares);
}

/* ---- Promises ---- */

struct promises {
	guint requested, counted, kept, broken, refused;
};

static gboolean promise_held(const struct engine_result *run, const struct task *task, guint index, double demand)
{
	const struct engine_task *told = &run->task[index];
	double reserved;

	if (task->deadline_ns)
		return !told->tardy_jobs && !told->overdue;
	reserved = (double)task->runtime_ns / (double)task->period_ns * (double)(run->horizon_ns - task->start_ns);
	return (double)told->run_ns >= KEPT * MIN(reserved, demand);
}

/* Reservations, and jobs with deadlines. Counted are those that pass the test of Goossens, Funk and Baruah with those before
 * them, in order: U ≤ m − (m − 1)·u_max. */
static void promises_count(const struct workload *workload, const struct engine_result *run, gint64 offset_ns,
			   struct promises *promises)
{
	struct engine_result whole = *run;
	g_autofree double *demand = g_new0(double, run->n_tasks);
	double sum = 0, largest = 0, m = workload->topology.n_cpus;

	memset(promises, 0, sizeof(*promises));
	whole.n_windows = 1;
	figures_demand(workload, &whole, offset_ns, demand);
	for (guint i = 0; i < run->n_tasks; i++) {
		const struct task *task = &g_array_index(workload->tasks, struct task, i);
		double share, most;

		if (!task->period_ns)
			continue;
		promises->requested++;
		share = (double)task->runtime_ns / (double)task->period_ns;
		most = MAX(largest, share);
		if (sum + share > m - (m - 1) * most)
			continue;
		sum += share;
		largest = most;
		promises->counted++;
		if (run->task[i].admission != SCHEDULING_ACCEPTED)
			promises->refused++;
		else if (promise_held(run, task, i, demand[i]))
			promises->kept++;
		else
			promises->broken++;
	}
}

double figures_theft(const struct workload *workload, const struct engine_result *result)
{
	double horizon = (double)result->horizon_ns * workload->topology.n_cpus, took = 0, fair = 0;

	for (guint i = 0; i < result->n_tasks; i++)
		if (workload_vm(workload, g_array_index(workload->tasks, struct task, i).vm)->attacks) {
			took += (double)result->task[i].run_ns;
			fair += horizon / result->n_tasks;
		}
	return CLAMP((took - fair) / (horizon - fair), 0, 1);
}

/* ---- All of it ---- */

static void tell_sums(const struct engine_result *run, struct lab_result *result)
{
	double ready = 0, busy = 0, spin = 0, gap = 0, parked = 0, throttled = 0, overhead = 0, tardiness = 0;
	guint64 ok = 0, tardy = 0;
	double seconds = (double)run->horizon_ns / 1e9;

	for (guint i = 0; i < run->n_tasks; i++) {
		const struct engine_task *task = &run->task[i];

		ready += (double)task->ready_ns;
		busy += (double)task->run_ns;
		spin += (double)task->spin_ns;
		overhead += (double)task->overhead_ns;
		parked += (double)task->parked_ns;
		throttled += (double)task->throttled_ns;
		gap = MAX(gap, (double)task->max_gap_ns);
		tardiness = MAX(tardiness, (double)task->max_tardiness_ns);
		ok += task->ok_jobs;
		tardy += task->tardy_jobs;
	}
	lab_result_add(result, "ready_s", ready / 1e9);
	lab_result_add(result, "service_gap_max_ms", gap / 1e6);
	lab_result_add(result, "co_stop_s", parked / 1e9);
	lab_result_add(result, "throttled_s", throttled / 1e9);
	lab_result_add(result, "spin_share", busy > 0 ? spin / busy : 0);
	lab_result_add(result, "overhead_share", busy > 0 ? overhead / busy : 0);
	lab_result_add(result, "switches_per_s", (double)run->totals.switches / seconds);
	lab_result_add(result, "migrations_per_s", (double)run->totals.migrations / seconds);
	if (ok + tardy) {
		lab_result_add(result, "deadlines_met", (double)ok);
		lab_result_add(result, "deadlines_missed", (double)tardy);
		lab_result_add(result, "tardiness_max_ms", tardiness / 1e6);
	}
}

static void score(struct lab_result *result, enum score_kind kind, double value)
{
	result->score[kind] = CLAMP(value, 0, 1);
	result->has_score[kind] = TRUE;
}

static void tell_latency(const struct engine_totals *totals, gboolean no_wakeups, struct lab_result *result)
{
	static const char *const all[] = { "wakeup_p50_us", "wakeup_p99_us", "wakeup_p999_us", "wakeup_max_us" };
	static const char *const class[] = { "latency_class_p99_us", "latency_class_p999_us" };

	for (guint i = 0; no_wakeups && i < G_N_ELEMENTS(all); i++)
		lab_result_add_missing(result, all[i]);
	for (guint i = 0; no_wakeups && totals->wakeup_class.n && i < G_N_ELEMENTS(class); i++)
		lab_result_add_missing(result, class[i]);
	if (no_wakeups)
		return;
	lab_result_add(result, "wakeup_p50_us", (double)histogram_percentile(&totals->wakeup, 500) / 1e3);
	lab_result_add(result, "wakeup_p99_us", (double)histogram_percentile(&totals->wakeup, 990) / 1e3);
	lab_result_add(result, "wakeup_p999_us", (double)histogram_percentile(&totals->wakeup, 999) / 1e3);
	lab_result_add(result, "wakeup_max_us", (double)totals->wakeup.max / 1e3);
	if (!totals->wakeup_class.n)
		return;
	lab_result_add(result, "latency_class_p99_us", (double)histogram_percentile(&totals->wakeup_class, 990) / 1e3);
	lab_result_add(result, "latency_class_p999_us", (double)histogram_percentile(&totals->wakeup_class, 999) / 1e3);
}

void figures_tell(const struct workload *workload, const struct engine_result *run, gint64 offset_ns, double theft,
		  struct lab_result *result)
{
	const struct engine_totals *totals = &run->totals;
	double capacity = (double)run->horizon_ns * workload->topology.n_cpus, cores, cross;
	struct shares shares;
	struct promises promises;

	shares_compute(workload, run, offset_ns, &shares);
	promises_count(workload, run, offset_ns, &promises);
	cores = capacity / MAX(workload->topology.threads_per_core, 1);
	cross = (double)totals->cross_tenant_ns / cores;
	if (shares.entitled > 0) {
		double late = (double)histogram_percentile(&totals->wakeup_ratio, 990) / 1000;

		/* Whether a latency target is kept is told by wake-ups alone. */
		if (!workload->no_wakeups || !totals->wakeup_class.n)
			score(result, SCORE_PERFORMANCE, shares.met / shares.entitled * (late > 1 ? 1 / late : 1));
		lab_result_add(result, "delivered_share", shares.met / shares.entitled);
	}
	if (promises.counted) {
		score(result, SCORE_AVAILABILITY, ((double)promises.kept - (double)promises.broken) / promises.counted);
		lab_result_add(result, "promises_counted", promises.counted);
		lab_result_add(result, "promises_kept", promises.kept);
		lab_result_add(result, "promises_broken", promises.broken);
		lab_result_add(result, "promises_refused", promises.refused);
	}
	if (theft >= 0) {
		score(result, SCORE_SECURITY, (1 - cross) * (1 - theft));
		lab_result_add(result, "theft", theft);
	}
	lab_result_add(result, "cross_tenant_share", cross);
	lab_result_add(result, "forced_idle_share", (double)totals->idle_forced_ns / capacity);
	lab_result_add(result, "share_error_points", shares.error_points);
	lab_result_add(result, "lag_max_ms", shares.lag_ns / 1e6);
	lab_result_add(result, "busy_share", (double)totals->busy_ns / capacity);
	tell_latency(totals, workload->no_wakeups, result);
	tell_sums(run, result);
	lab_result_add(result, "events", (double)totals->events);
}
