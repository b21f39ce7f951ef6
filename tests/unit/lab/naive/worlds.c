#include "tests/unit/lab/naive/worlds.h"

#include <string.h>

#include "lab/scheduling/engine.h"
#include "lab/scheduling/kernel.h"

/* Weights that divide NAIVE_UNIT: virtual times are whole numbers in both. */
static const gint weights[] = { 1, 25, 50, 100, 100, 100, 160, 200, 250, 400, 800, 2500, 10000 };

static gint between(GRand *rand, gint low, gint high)
{
	return g_rand_int_range(rand, low, high + 1);
}

static void add_step(struct naive_task *task, enum naive_kind kind, gint ticks)
{
	task->step[task->n_steps++] = (struct naive_step) { kind, ticks };
}

static void random_program(const struct world_kind *kind, GRand *rand, struct naive_task *task)
{
	gint which = between(rand, 0, 9);

	if (kind->jobs && which < 7) {
		task->deadline = task->period ? task->period : between(rand, 20, 200);
		add_step(task, NAIVE_RUN, between(rand, 1, 1 + task->deadline * 6 / 10));
		add_step(task, NAIVE_TIMER, task->deadline);
	} else if (kind->sleeps_never || (which < 4 && !kind->jobs)) {
		add_step(task, NAIVE_RUN, 10 * WORLD_HORIZON);
	} else {
		for (gint i = between(rand, 1, NAIVE_STEPS / 2); i > 0; i--) {
			add_step(task, NAIVE_RUN, between(rand, 1, between(rand, 1, 60)));
			add_step(task, NAIVE_SLEEP, between(rand, 1, between(rand, 1, 120)));
		}
	}
}

static void random_task(const struct world_kind *kind, GRand *rand, struct naive_task *task)
{
	*task = (struct naive_task) { .weight = weights[g_rand_int_range(rand, 0, G_N_ELEMENTS(weights))],
				      .priority = between(rand, 1, 5),
				      .start = g_rand_boolean(rand) ? 0 : between(rand, 0, 300) };

	if (kind->requests && g_rand_boolean(rand))
		task->request = between(rand, 1, 60);
	if (kind->latencies && between(rand, 0, 2) == 0)
		task->latency = 10 * between(rand, 1, 20);
	if (kind->limits && between(rand, 0, 2) == 0) {
		task->limit_period = between(rand, 10, 200);
		task->limit = between(rand, 10, task->limit_period);
	}
	if (kind->algorithm == NAIVE_EDF || (kind->reservations && between(rand, 0, 3))) {
		task->period = between(rand, 10, 200);
		task->runtime = 1;
	}
	random_program(kind, rand, task);
}

/* Whoever has no reservation only fills up. */
static void fill_up(struct naive_task *task)
{
	task->runtime = task->period = task->deadline = task->n_steps = task->start = 0;
	add_step(task, NAIVE_RUN, 10 * WORLD_HORIZON);
}

/* Reservations of at most 94 % of the CPUs in all: who does not fit has none. */
static void random_reservations(GRand *rand, struct naive *sim)
{
	gint left = 940 * sim->n_cpus;

	for (gint i = 0; i < sim->n_tasks; i++) {
		struct naive_task *task = &sim->task[i];
		gint runtime = 1 + task->period * between(rand, 5, 95) / 101;

		if (task->runtime && runtime * 1000 / task->period + 1 <= left)
			task->runtime = runtime;
		else if (!task->runtime || 1000 / task->period + 1 > left)
			fill_up(task);
		if (task->runtime)
			left -= task->runtime * 1000 / task->period + 1;
	}
}

void world_random(const struct world_kind *kind, GRand *rand, struct naive *sim)
{
	*sim = (struct naive) { .algorithm = kind->algorithm,
				.n_cpus = between(rand, 1, kind->cpus_max),
				.warp = 500,
				.warp_limit = 50,
				.reset = 100,
				.rate_limit = 10,
				.tick_ns = WORLD_TICK_NS };
	sim->n_tasks = between(rand, 2, MIN(2 + 2 * sim->n_cpus, NAIVE_TASKS));
	sim->slice = kind->slice ? between(rand, kind->slice_least, kind->slice_most) : 0;
	for (gint i = 0; i < sim->n_tasks; i++)
		random_task(kind, rand, &sim->task[i]);
	if (kind->reservations)
		random_reservations(rand, sim);
}

/* ---- The same for the real one ---- */

static void workload_step(struct workload *workload, const struct naive_step *step)
{
	static const enum step_kind kinds[] = {
		[NAIVE_RUN] = STEP_RUN, [NAIVE_SLEEP] = STEP_SLEEP, [NAIVE_TIMER] = STEP_TIMER
	};

	workload_add_step(workload, kinds[step->kind], step->ticks * WORLD_TICK_NS, 0);
}

static struct workload *workload_of(const struct naive *sim)
{
	struct workload *workload = workload_new();

	workload->topology =
		(struct topology) { .n_cpus = sim->n_cpus, .threads_per_core = 1, .cores_per_llc = sim->n_cpus };
	workload->horizon_ns = WORLD_HORIZON * WORLD_TICK_NS;
	workload_add_tenant(workload, "t");
	for (gint i = 0; i < sim->n_tasks; i++) {
		const struct naive_task *from = &sim->task[i];
		struct workload_vm *vm = workload_vm(workload, workload_add_vm(workload, "vm", 0));
		struct task *task;

		vm->weight = from->weight;
		vm->priority = from->priority;
		vm->limit_ns = from->limit * WORLD_TICK_NS;
		vm->limit_period_ns = from->limit_period * WORLD_TICK_NS;
		vm->latency_ns = from->latency * WORLD_TICK_NS;
		task = workload_add_task(workload);
		task->start_ns = from->start * WORLD_TICK_NS;
		task->deadline_ns = from->deadline * WORLD_TICK_NS;
		task->runtime_ns = from->runtime * WORLD_TICK_NS;
		task->period_ns = from->period * WORLD_TICK_NS;
		task->request_ns = from->request * WORLD_TICK_NS;
		for (gint step = 0; step < from->n_steps; step++)
			workload_step(workload, &from->step[step]);
		workload_add_step(workload, STEP_LOOP, 0, 0);
	}
	return workload;
}

struct recording {
	gint n_cpus, at[NAIVE_CPUS];
	gint running[NAIVE_CPUS], *who;
};

static void record_until(struct recording *recording, guint cpu, gint tick)
{
	for (; recording->at[cpu] < MIN(tick, WORLD_HORIZON); recording->at[cpu]++)
		recording->who[recording->at[cpu] * recording->n_cpus + (gint)cpu] = recording->running[cpu];
}

static void turned(gpointer user_data, gint64 now_ns, guint cpu, guint task)
{
	struct recording *recording = user_data;

	record_until(recording, cpu, (gint)(now_ns / WORLD_TICK_NS));
	recording->running[cpu] = task == SCHEDULING_NO_CPU ? NAIVE_NOBODY : (gint)task;
}

static void set_value(const struct scheduling_strategy *strategy, struct strategy_values *values, const char *name,
		      gint us)
{
	g_autofree char *text = g_strdup_printf("%d", us);

	g_assert_cmpint(strategy_values_set(&strategy->info, values, name, strlen(name), text), ==, STRATEGY_SET_OK);
}

static void run_real(const struct world_kind *kind, const struct naive *sim, gint window, gint *who,
		     struct engine_result *result)
{
	g_autoptr(workload_auto) workload = workload_of(sim);
	const struct scheduling_strategy *strategy = scheduling_strategy_find(kind->strategy);
	g_autoptr(lab_kernel_auto) kernel = kind->kernel ? lab_kernel_new(strategy, NULL) : NULL;
	struct recording recording = { .n_cpus = sim->n_cpus, .who = who };
	struct strategy_values values;
	struct engine_setup setup = { .strategy = kind->kernel ? &lab_kernel_strategy : strategy,
				      .values = &values,
				      .workload = workload,
				      .seed = 1,
				      .window_ns = window * WORLD_TICK_NS,
				      .no_balance = TRUE,
				      .host = kernel,
				      .observer = turned,
				      .user_data = &recording };

	strategy_values_init(&setup.strategy->info, &values);
	if (kind->kernel) {
		values.value[LAB_KERNEL_HRTICK] = 1;
		values.value[LAB_KERNEL_RT_PERCENT] = 100;
	}
	if (kind->slice)
		set_value(strategy, &values, kind->slice, sim->slice * (gint)(WORLD_TICK_NS / 1000));
	for (gint cpu = 0; cpu < NAIVE_CPUS; cpu++)
		recording.running[cpu] = NAIVE_NOBODY;
	engine_run(&setup, result);
	for (gint cpu = 0; cpu < sim->n_cpus; cpu++)
		record_until(&recording, (guint)cpu, WORLD_HORIZON);
}

/* ---- Comparing ---- */

/* Those that are all one where the definition says nothing of them. */
static gint name_of(const struct naive *sim, gint task)
{
	return task >= 0 && sim->algorithm == NAIVE_CBS && !sim->task[task].runtime ? NAIVE_OTHER : task;
}

static void sort_cpus(gint *row, gint n)
{
	for (gint i = 0; i < n; i++)
		for (gint j = i + 1; j < n; j++)
			if (row[j] < row[i]) {
				gint swap = row[i];

				row[i] = row[j];
				row[j] = swap;
			}
}

/* Of one queue for all CPUs it only matters who runs, and not where. */
static gboolean same_row(const struct naive *sim, const gint *a, const gint *b)
{
	gint rows[2][NAIVE_CPUS];

	for (gint cpu = 0; cpu < sim->n_cpus; cpu++) {
		rows[0][cpu] = name_of(sim, a[cpu]);
		rows[1][cpu] = name_of(sim, b[cpu]);
	}
	if (sim->algorithm < NAIVE_GLOBALS) {
		sort_cpus(rows[0], sim->n_cpus);
		sort_cpus(rows[1], sim->n_cpus);
	}
	return memcmp(rows[0], rows[1], sizeof(gint) * (gsize)sim->n_cpus) == 0;
}

static void draw(const struct naive *sim, const char *title, const gint *who, gint from, gint until)
{
	for (gint cpu = 0; cpu < sim->n_cpus; cpu++) {
		g_autoptr(GString) line = g_string_new(NULL);

		for (gint tick = from; tick < until; tick++) {
			gint task = name_of(sim, who[tick * sim->n_cpus + cpu]);

			g_string_append_c(line, task == NAIVE_OTHER    ? '*'
						: task == NAIVE_NOBODY ? '.'
								       : (gchar)('A' + task));
		}
		g_test_message("%s, CPU %d, from %d: %s", title, cpu, from, line->str);
	}
}

static void tell_world(const struct world_kind *kind, const struct naive *sim)
{
	g_test_message("%s: %d CPUs, slice %d", kind->name, sim->n_cpus, sim->slice);
	for (gint i = 0; i < sim->n_tasks; i++) {
		const struct naive_task *task = &sim->task[i];
		g_autoptr(GString) steps = g_string_new(NULL);

		for (gint step = 0; step < task->n_steps; step++)
			g_string_append_printf(steps, " %c%d", "RST"[task->step[step].kind], task -> step[step].ticks);
		g_test_message("%c: weight %d priority %d start %d request %d latency %d reserved %d/%d limit %d/%d:%s",
			       'A' + i, task->weight, task->priority, task->start, task->request, task->latency,
			       task->runtime, task->period, task->limit, task->limit_period, steps->str);
	}
}

static gboolean same_figures(const struct naive *sim, const struct engine_result *result)
{
	for (gint i = 0; i < sim->n_tasks; i++) {
		const struct naive_task *task = &sim->task[i];
		const struct engine_task *told = &result->task[i];
		gint64 first_miss_ns = task->first_miss < 0 ? -1 : task->first_miss * WORLD_TICK_NS;

		if (name_of(sim, i) == NAIVE_OTHER)
			continue;
		if (told->run_ns == task->service * WORLD_TICK_NS && told->ok_jobs == (guint64)task->ok_jobs &&
		    told->tardy_jobs == (guint64)task->tardy_jobs &&
		    told->max_tardiness_ns == task->max_tardiness * WORLD_TICK_NS &&
		    told->first_miss_ns == first_miss_ns)
			continue;
		g_test_message(
			"%c ran %d, ok %d, tardy %d, at most %d, first %d; but %" G_GINT64_FORMAT ", %" G_GUINT64_FORMAT
			", %" G_GUINT64_FORMAT ", %" G_GINT64_FORMAT ", %" G_GINT64_FORMAT " ns",
			'A' + i, task->service, task->ok_jobs, task->tardy_jobs, task->max_tardiness, task->first_miss,
			told->run_ns, told->ok_jobs, told->tardy_jobs, told->max_tardiness_ns, told->first_miss_ns);
		return FALSE;
	}
	return TRUE;
}

/* The engine's service windows are what its own schedule says. */
static gboolean same_windows(const struct naive *sim, const struct engine_result *result, gint window, const gint *who)
{
	for (guint w = 0; result->window && w < result->n_windows; w++)
		for (gint i = 0; i < sim->n_tasks; i++) {
			gint ticks = 0, end = MIN(((gint)w + 1) * window, WORLD_HORIZON) * sim->n_cpus;

			for (gint at = (gint)w * window * sim->n_cpus; at < end; at++)
				ticks += who[at] == i;
			if (name_of(sim, i) == NAIVE_OTHER ||
			    result->window[w * result->n_tasks + (guint)i] == ticks * WORLD_TICK_NS)
				continue;
			g_test_message("window %u of %c", w, 'A' + i);
			return FALSE;
		}
	return TRUE;
}

void world_compare(const struct world_kind *kind, struct naive *sim, gint window, struct world_outcome *outcome)
{
	const struct naive given = *sim;
	gint n = WORLD_HORIZON * sim->n_cpus;
	g_autofree gint *naive = g_new(gint, n), *real = g_new(gint, n);
	struct engine_result result;

	naive_run(sim, WORLD_HORIZON, naive);
	run_real(kind, &given, window, real, &result);
	*outcome = (struct world_outcome) { .ticks = sim->open_at < 0 ? WORLD_HORIZON : sim->open_at };
	for (gint tick = 0; tick < outcome->ticks; tick++) {
		if (same_row(sim, naive + tick * sim->n_cpus, real + tick * sim->n_cpus))
			continue;
		tell_world(kind, &given);
		g_test_message("they differ at tick %d", tick);
		draw(sim, "naive", naive, MAX(tick - 30, 0), MIN(tick + 30, WORLD_HORIZON));
		draw(sim, "real ", real, MAX(tick - 30, 0), MIN(tick + 30, WORLD_HORIZON));
		engine_result_clear(&result);
		return;
	}
	for (gint i = 0; i < sim->n_tasks; i++)
		outcome->misses += sim->open_at < 0 ? sim->task[i].tardy_jobs : 0;
	outcome->same = (sim->open_at >= 0 || same_figures(sim, &result)) && same_windows(sim, &result, window, real);
	if (!outcome->same)
		tell_world(kind, &given);
	engine_result_clear(&result);
}
