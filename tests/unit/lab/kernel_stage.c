#include "tests/unit/lab/kernel_stage.h"

void stage_open(struct stage *stage, const struct scheduling_strategy *strategy, guint n_cpus)
{
	*stage = (struct stage) { .workload = workload_new(), .kernel = lab_kernel_new(strategy, NULL) };
	stage->workload->topology.n_cpus = n_cpus;
	strategy_values_init(&lab_kernel_strategy.info, &stage->values);
	/* The slice of eight CPUs and more, whatever there are here. */
	stage->values.value[LAB_KERNEL_BASE_SLICE_US] = 2800;
	stage->turns = g_array_new(FALSE, FALSE, sizeof(gint64));
	workload_add_tenant(stage->workload, "t");
}

void stage_close(struct stage *stage)
{
	engine_result_clear(&stage->result);
	lab_kernel_free(stage->kernel);
	workload_free(stage->workload);
	g_array_unref(stage->turns);
}

guint stage_vcpu(struct stage *stage, guint weight, gint64 run_ns, gint64 sleep_ns)
{
	guint vm = workload_add_vm(stage->workload, "vm", 0);

	workload_vm(stage->workload, vm)->weight = weight;
	workload_add_task(stage->workload);
	workload_add_step(stage->workload, STEP_RUN, run_ns, 0);
	if (sleep_ns)
		workload_add_step(stage->workload, STEP_SLEEP, sleep_ns, 0);
	workload_add_step(stage->workload, STEP_LOOP, 0, 0);
	return stage->workload->tasks->len - 1;
}

guint stage_hog(struct stage *stage, guint weight)
{
	return stage_vcpu(stage, weight, 1000 * SECOND, 0);
}

static void turned(gpointer user_data, gint64 now_ns, guint cpu, guint task)
{
	struct stage *stage = user_data;
	gint64 pair[] = { now_ns, (gint64)task };

	g_array_append_vals(stage->turns, pair, 2);
}

void stage_run(struct stage *stage, gint64 horizon_ns, gint64 window_ns)
{
	struct engine_setup setup = { .strategy = &lab_kernel_strategy,
				      .values = &stage->values,
				      .workload = stage->workload,
				      .seed = 1,
				      .horizon_ns = horizon_ns,
				      .window_ns = window_ns,
				      .no_balance = FALSE,
				      .host = stage->kernel,
				      .observer = turned,
				      .user_data = stage };

	engine_run(&setup, &stage->result);
}

gint64 stage_ran(const struct stage *stage, guint task)
{
	return stage->result.task[task].run_ns;
}

gint64 stage_in_window(const struct stage *stage, guint window, guint task)
{
	return stage->result.window[window * stage->result.n_tasks + task];
}

void assert_near(gint64 value, gint64 expected, gint64 within)
{
	if (ABS(value - expected) > within)
		g_error("%" G_GINT64_FORMAT " is not %" G_GINT64_FORMAT " ± %" G_GINT64_FORMAT, value, expected,
			within);
}

void stage_quota(struct stage *stage, guint task, gint64 quota_ns, gint64 period_ns)
{
	const struct scheduling_knobs knobs = { .weight = 100, .quota_ns = quota_ns, .period_ns = period_ns };

	lab_kernel_set_knobs(stage->kernel, task, &knobs);
}

void stage_deadline(struct stage *stage, guint task, gint64 runtime_ns, gint64 period_ns)
{
	const struct scheduling_knobs knobs = { .policy = SCHEDULING_POLICY_DEADLINE,
						.runtime_ns = runtime_ns,
						.deadline_ns = period_ns,
						.deadline_period_ns = period_ns };

	lab_kernel_set_knobs(stage->kernel, task, &knobs);
}

void stage_fifo(struct stage *stage, guint task, gint priority)
{
	const struct scheduling_knobs knobs = { .policy = SCHEDULING_POLICY_FIFO, .priority = priority };

	lab_kernel_set_knobs(stage->kernel, task, &knobs);
}
