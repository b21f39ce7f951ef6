/* The model of the kernel against cases worked by hand from its rules. One CPU and no costs, where nothing else is said. */
#include "lab/scheduling/kernel.h"

#include "core/scheduling/strategies/strategies.h"
#include "lab/scheduling/engine.h"

#define MS     G_GINT64_CONSTANT(1000000)
#define SECOND (1000 * MS)

struct stage {
	struct workload *workload;
	struct lab_kernel *kernel;
	struct strategy_values values;
	struct engine_result result;
	GArray *turns; /* gint64: (time, task) pairs */
};

static void stage_open(struct stage *stage, const struct scheduling_strategy *strategy, guint n_cpus)
{
	*stage = (struct stage) { .workload = workload_new(), .kernel = lab_kernel_new(strategy, NULL) };
	stage->workload->topology.n_cpus = n_cpus;
	strategy_values_init(&lab_kernel_strategy.info, &stage->values);
	/* The slice of eight CPUs and more, whatever there are here. */
	stage->values.value[LAB_KERNEL_BASE_SLICE_US] = 2800;
	stage->turns = g_array_new(FALSE, FALSE, sizeof(gint64));
	workload_add_tenant(stage->workload, "t");
}

static void stage_close(struct stage *stage)
{
	engine_result_clear(&stage->result);
	lab_kernel_free(stage->kernel);
	workload_free(stage->workload);
	g_array_unref(stage->turns);
}

/* A VM of one vCPU: runs run_ns, sleeps sleep_ns (0: never), again and again. */
static guint vcpu(struct stage *stage, guint weight, gint64 run_ns, gint64 sleep_ns)
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

static guint hog(struct stage *stage, guint weight)
{
	return vcpu(stage, weight, 1000 * SECOND, 0);
}

static void turned(gpointer user_data, gint64 now_ns, guint cpu, guint task)
{
	struct stage *stage = user_data;
	gint64 pair[] = { now_ns, (gint64)task };

	g_array_append_vals(stage->turns, pair, 2);
}

static void run(struct stage *stage, gint64 horizon_ns, gint64 window_ns)
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

static gint64 ran(const struct stage *stage, guint task)
{
	return stage->result.task[task].run_ns;
}

static gint64 in_window(const struct stage *stage, guint window, guint task)
{
	return stage->result.window[window * stage->result.n_tasks + task];
}

static void assert_near(gint64 value, gint64 expected, gint64 within)
{
	if (ABS(value - expected) > within)
		g_error("%" G_GINT64_FORMAT " is not %" G_GINT64_FORMAT " ± %" G_GINT64_FORMAT, value, expected,
			within);
}

/* 1:4 is 20 to 80, to within what one is ever ahead: a slice and a tick. */
static void test_weights(void)
{
	for (guint cfs = 0; cfs < 2; cfs++)
		for (guint hrtick = 0; hrtick < 2; hrtick++) {
			struct stage stage;

			stage_open(&stage, NULL, 1);
			stage.values.value[LAB_KERNEL_FAIR] = cfs;
			stage.values.value[LAB_KERNEL_HRTICK] = hrtick;
			hog(&stage, 100);
			hog(&stage, 400);
			run(&stage, 10 * SECOND, 0);
			assert_near(ran(&stage, 0), 2 * SECOND, 8 * MS);
			g_assert_cmpint(ran(&stage, 0) + ran(&stage, 1), ==, 10 * SECOND);
			stage_close(&stage);
		}
}

/* Extreme weights: 1 to 10000 in cpu.weight is 10 to 102400 in the kernel. */
static void test_weights_extreme(void)
{
	struct stage stage;

	stage_open(&stage, NULL, 1);
	hog(&stage, 1);
	hog(&stage, 10000);
	run(&stage, 100 * SECOND, 0);
	assert_near(ran(&stage, 0), 100 * SECOND * 10 / 102410, 4 * MS);
	g_assert_cmpuint(lab_kernel_weight(1), ==, 10);
	g_assert_cmpuint(lab_kernel_weight(100), ==, 1024);
	g_assert_cmpuint(lab_kernel_weight(10000), ==, 102400);
	stage_close(&stage);
}

static void assert_turns(const struct stage *stage, gint64 each_ns, const char *tasks)
{
	for (guint i = 0; tasks[i]; i++) {
		g_assert_cmpuint(stage->turns->len, >=, 2 * i + 2);
		g_assert_cmpint(g_array_index(stage->turns, gint64, 2 * i), ==, i * each_ns);
		g_assert_cmpint(g_array_index(stage->turns, gint64, 2 * i + 1), ==, tasks[i] - 'A');
	}
}

/* Two alike take turns: a slice of 3 ms at a tick of 1 ms is 3 ms; at a tick of 4 ms it is 4 ms, also for CFS, whose part
 * of the 6 ms in which both are to run is 3 ms; with HRTICK it is the slice. */
static void test_turns(void)
{
	static const struct {
		guint cfs, tick_us, hrtick, each_us;
	} cases[] = { { 0, 1000, 0, 3000 }, { 0, 4000, 0, 4000 }, { 1, 4000, 0, 4000 }, { 0, 4000, 1, 3000 } };

	for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct stage stage;

		stage_open(&stage, NULL, 1);
		stage.values.value[LAB_KERNEL_FAIR] = cases[i].cfs;
		stage.values.value[LAB_KERNEL_TICK_US] = cases[i].tick_us;
		stage.values.value[LAB_KERNEL_HRTICK] = cases[i].hrtick;
		stage.values.value[LAB_KERNEL_BASE_SLICE_US] = 3000;
		hog(&stage, 100);
		hog(&stage, 100);
		run(&stage, SECOND, 0);
		/* The first slice is half one (PLACE_DEADLINE_INITIAL), or one of START_DEBIT: later ones tell. */
		for (guint turn = 8; turn < 40; turn++) {
			const gint64 *pair = &g_array_index(stage.turns, gint64, 2 * turn);

			g_assert_cmpint(pair[0] - pair[-2], ==, cases[i].each_us * G_GINT64_CONSTANT(1000));
			g_assert_cmpint(pair[1], !=, pair[-1]);
		}
		stage_close(&stage);
	}
}

/* The slices of three with 3 ms each and a tick of 3 ms, from the first: new ones have half a slice, and all the same
 * virtual time; ties go to who came first. */
static void test_turns_three(void)
{
	struct stage stage;

	stage_open(&stage, NULL, 1);
	stage.values.value[LAB_KERNEL_TICK_US] = 3000;
	stage.values.value[LAB_KERNEL_BASE_SLICE_US] = 3000;
	for (guint i = 0; i < 3; i++)
		hog(&stage, 100);
	run(&stage, SECOND, 0);
	assert_turns(&stage, 3 * MS, "ABCABCABCABC");
	stage_close(&stage);
}

static void quota(struct stage *stage, guint task, gint64 quota_ns, gint64 period_ns)
{
	const struct scheduling_knobs knobs = { .weight = 100, .quota_ns = quota_ns, .period_ns = period_ns };

	lab_kernel_set_knobs(stage->kernel, task, &knobs);
}

/* 20 ms in 100 ms: exactly, alone and beside another. */
static void test_quota(void)
{
	for (guint others = 0; others < 2; others++) {
		struct stage stage;

		stage_open(&stage, NULL, 1);
		quota(&stage, hog(&stage, 100), 20 * MS, 100 * MS);
		if (others)
			hog(&stage, 100);
		run(&stage, 10 * SECOND, 100 * MS);
		for (guint i = 0; i < 100; i++)
			g_assert_cmpint(in_window(&stage, i, 0), ==, 20 * MS);
		g_assert_cmpint(ran(&stage, 0), ==, 2 * SECOND);
		g_assert_cmpint(stage.result.task[0].throttled_ns, >, 0);
		stage_close(&stage);
	}
}

/* 10 ms is no multiple of the tick: 12 ms, and the 2 ms too many are paid back in the next period. */
static void test_quota_overrun(void)
{
	for (guint hrtick = 0; hrtick < 2; hrtick++) {
		struct stage stage;

		stage_open(&stage, NULL, 1);
		stage.values.value[LAB_KERNEL_HRTICK] = hrtick;
		quota(&stage, hog(&stage, 100), 10 * MS, 100 * MS);
		run(&stage, 10 * SECOND, 100 * MS);
		for (guint i = 0; i < 100; i++)
			g_assert_cmpint(in_window(&stage, i, 0), ==, hrtick ? 10 * MS : i % 2 ? 8 * MS : 12 * MS);
		stage_close(&stage);
	}
}

static void deadline(struct stage *stage, guint task, gint64 runtime_ns, gint64 period_ns)
{
	const struct scheduling_knobs knobs = { .policy = SCHEDULING_POLICY_DEADLINE,
						.runtime_ns = runtime_ns,
						.deadline_ns = period_ns,
						.deadline_period_ns = period_ns };

	lab_kernel_set_knobs(stage->kernel, task, &knobs);
}

/* 10 ms of each 100 ms, no less and no more, beside hogs. Without HRTICK to the tick, and paid back. */
static void test_deadline(void)
{
	for (guint hrtick = 0; hrtick < 2; hrtick++) {
		struct stage stage;

		stage_open(&stage, NULL, 1);
		stage.values.value[LAB_KERNEL_HRTICK] = hrtick;
		/* Its steps end when its budget does: no way round it. */
		deadline(&stage, vcpu(&stage, 100, 500 * MS, 0), 10 * MS, 100 * MS);
		for (guint i = 0; i < 3; i++)
			hog(&stage, 10000);
		run(&stage, 10 * SECOND, 100 * MS);
		for (guint i = 0; i < 100; i++)
			g_assert_cmpint(in_window(&stage, i, 0), ==, hrtick ? 10 * MS : i % 2 ? 8 * MS : 12 * MS);
		stage_close(&stage);
	}
}

/* A server that slept comes back with a whole budget, at once, and not with more than its rate. */
static void test_deadline_wakes(void)
{
	struct stage stage;
	guint task;

	stage_open(&stage, NULL, 1);
	stage.values.value[LAB_KERNEL_HRTICK] = 1;
	task = vcpu(&stage, 100, 2 * MS, 18 * MS);
	deadline(&stage, task, 5 * MS, 20 * MS);
	hog(&stage, 100);
	hog(&stage, 100);
	run(&stage, 10 * SECOND, 0);
	g_assert_cmpint(ran(&stage, task), ==, SECOND);
	g_assert_cmpint(stage.result.task[task].max_gap_ns, ==, 0);
	stage_close(&stage);
}

/* 95 % in all: of three that want 40 % of one CPU the third runs by weight, and the summary says so. */
static void test_deadline_admission(void)
{
	struct lab_projection projection;
	struct stage stage;

	stage_open(&stage, NULL, 1);
	stage.values.value[LAB_KERNEL_HRTICK] = 1;
	for (guint i = 0; i < 3; i++)
		deadline(&stage, hog(&stage, 100), 40 * MS, 100 * MS);
	run(&stage, 10 * SECOND, 0);
	for (guint i = 0; i < 2; i++)
		assert_near(ran(&stage, i), 4 * SECOND, 40 * MS);
	assert_near(ran(&stage, 2), 2 * SECOND, 40 * MS);
	lab_kernel_projection(stage.kernel, &projection);
	g_assert_cmpuint(projection.n, ==, 3);
	g_assert_cmpuint(projection.refused_kernel, ==, 1);
	g_assert_cmpuint(projection.not_enforceable, ==, 1);
	g_assert_cmpint(projection.exactness, ==, SCHEDULING_NOT_ENFORCEABLE);
	g_assert_nonnull(projection.lost[0]);
	stage_close(&stage);
}

static void fifo(struct stage *stage, guint task, gint priority)
{
	const struct scheduling_knobs knobs = { .policy = SCHEDULING_POLICY_FIFO, .priority = priority };

	lab_kernel_set_knobs(stage->kernel, task, &knobs);
}

/* FIFO takes all, but for 5 % of each second; without that limit, all. The higher priority before the lower. */
static void test_fifo(void)
{
	for (guint limited = 0; limited < 2; limited++) {
		struct stage stage;

		stage_open(&stage, NULL, 1);
		stage.values.value[LAB_KERNEL_RT_PERCENT] = limited ? 95 : 100;
		fifo(&stage, hog(&stage, 100), 10);
		hog(&stage, 100);
		fifo(&stage, hog(&stage, 100), 20);
		run(&stage, 10 * SECOND, SECOND);
		g_assert_cmpint(ran(&stage, 0), <=, 10 * 4 * MS);
		for (guint i = 0; i < 10; i++)
			assert_near(in_window(&stage, i, 1), limited ? 50 * MS : 0, limited ? 8 * MS : 4 * MS);
		assert_near(ran(&stage, 2), 10 * (limited ? 950 : 1000) * MS, 80 * MS);
		stage_close(&stage);
	}
}

/* 4:1 on one CPU: three hogs, and one that wakes every 10 ms for 200 µs. */
static void wakes(struct stage *stage, gint64 slice_ns)
{
	const struct scheduling_knobs knobs = { .weight = 100, .slice_ns = slice_ns };
	guint task;

	for (guint i = 0; i < 3; i++)
		hog(stage, 100);
	task = vcpu(stage, 100, MS / 5, 9713 * MS / 1000);
	workload_vm(stage->workload, 3)->latency_ns = 2 * MS;
	lab_kernel_set_knobs(stage->kernel, task, &knobs);
	run(stage, 20 * SECOND, 0);
}

static void test_latency(void)
{
	struct stage stage;
	gint64 most;

	/* A slice shorter than the others': it has slept, so it is eligible, and mostly its deadline comes first: at once.
	 * Else one in its rights with an earlier deadline runs out its slice: slice ÷ share, and a tick. */
	stage_open(&stage, NULL, 1);
	wakes(&stage, MS / 2);
	g_assert_cmpint(histogram_percentile(&stage.result.totals.wakeup_class, 500), ==, 0);
	g_assert_cmpint(stage.result.totals.wakeup_class.max, <=, MS / 2 * 4 + 4 * MS);
	g_assert_cmpuint(stage.result.totals.wakeup_class.n, >, 1500);
	stage_close(&stage);

	/* With HRTICK the others' slices end when used up. */
	stage_open(&stage, NULL, 1);
	stage.values.value[LAB_KERNEL_HRTICK] = 1;
	wakes(&stage, MS / 2);
	g_assert_cmpint(stage.result.totals.wakeup_class.max, <=, MS / 2 * 4 + 2800 * MS / 1000);
	stage_close(&stage);

	/* The slice of the others: it waits out the running one's, and is served by its own deadline, slice ÷ share after it
	 * woke, and the tick at which that is found. */
	stage_open(&stage, NULL, 1);
	wakes(&stage, 0);
	most = stage.result.totals.wakeup_class.max;
	g_assert_cmpint(most, >, MS);
	g_assert_cmpint(most, <=, 2800 * 4 * MS / 1000 + 4 * MS);
	stage_close(&stage);

	/* Before 6.12 there are no slices of single threads. */
	stage_open(&stage, NULL, 1);
	stage.values.value[LAB_KERNEL_CUSTOM_SLICE] = 0;
	wakes(&stage, MS / 2);
	g_assert_cmpint(stage.result.totals.wakeup_class.max, ==, most);
	stage_close(&stage);

	/* CFS gives a sleeper half its latency of credit: more than the granularity, so it preempts. */
	stage_open(&stage, NULL, 1);
	stage.values.value[LAB_KERNEL_FAIR] = 1;
	wakes(&stage, 0);
	g_assert_cmpint(histogram_percentile(&stage.result.totals.wakeup_class, 990), ==, 0);
	stage_close(&stage);
}

/* A hog in the batch class gets its share; woken, it preempts nobody. */
static void test_batch(void)
{
	const struct scheduling_knobs knobs = { .policy = SCHEDULING_POLICY_BATCH, .weight = 100, .slice_ns = MS / 2 };
	struct stage stage;
	guint task;

	stage_open(&stage, NULL, 1);
	task = hog(&stage, 100);
	lab_kernel_set_knobs(stage.kernel, task, &(struct scheduling_knobs) { .policy = SCHEDULING_POLICY_BATCH });
	hog(&stage, 100);
	run(&stage, 10 * SECOND, 0);
	assert_near(ran(&stage, task), 5 * SECOND, 8 * MS);
	stage_close(&stage);

	stage_open(&stage, NULL, 1);
	hog(&stage, 100);
	task = vcpu(&stage, 100, MS / 5, 9713 * MS / 1000);
	lab_kernel_set_knobs(stage.kernel, task, &knobs);
	run(&stage, 10 * SECOND, 0);
	g_assert_cmpint(stage.result.totals.wakeup.max, >, MS);
	stage_close(&stage);
}

/* Sleeping for an instant whenever it has had its slice gains nothing: debts are kept. */
static void test_sleepers(void)
{
	for (guint delay = 0; delay < 2; delay++) {
		struct stage stage;

		stage_open(&stage, NULL, 1);
		stage.values.value[LAB_KERNEL_DELAY_DEQUEUE] = delay;
		for (guint i = 0; i < 3; i++)
			hog(&stage, 100);
		vcpu(&stage, 100, 3900 * MS / 1000, MS / 1000);
		run(&stage, 20 * SECOND, 0);
		g_assert_cmpint(ran(&stage, 3), <=, 5 * SECOND + SECOND / 100);
		stage_close(&stage);
	}
}

/* Eight alike on two CPUs: a quarter each. */
static void test_cpus(void)
{
	for (guint cfs = 0; cfs < 2; cfs++) {
		struct stage stage;

		stage_open(&stage, NULL, 2);
		stage.values.value[LAB_KERNEL_FAIR] = cfs;
		for (guint i = 0; i < 8; i++)
			hog(&stage, 100);
		run(&stage, 10 * SECOND, 0);
		for (guint i = 0; i < 8; i++)
			assert_near(ran(&stage, i), 10 * SECOND / 4, 20 * MS);
		stage_close(&stage);
	}
}

/* Affinity: three on the one CPU, one alone on the other, whatever idles. */
static void test_affinity(void)
{
	struct stage stage;

	stage_open(&stage, NULL, 2);
	for (guint i = 0; i < 4; i++) {
		const struct scheduling_knobs knobs = { .weight = 100, .first_cpu = i == 3, .n_cpus = 1 };

		lab_kernel_set_knobs(stage.kernel, vcpu(&stage, 100, 7 * MS, i == 3 ? 7 * MS : 0), &knobs);
	}
	run(&stage, 12 * SECOND, 0);
	for (guint i = 0; i < 3; i++)
		assert_near(ran(&stage, i), 4 * SECOND, 8 * MS);
	assert_near(ran(&stage, 3), 6 * SECOND, 7 * MS);
	stage_close(&stage);
}

/* Everything at once, twice, is the same; and the CPUs' time is all there. */
static void test_mixed(void)
{
	struct engine_result first = { 0 };

	for (guint cfs = 0; cfs < 2; cfs++) {
		gint64 sum = 0;

		for (guint again = 0; again < 2; again++) {
			struct stage stage;

			stage_open(&stage, NULL, 4);
			stage.values.value[LAB_KERNEL_FAIR] = cfs;
			for (guint i = 0; i < 40; i++) {
				guint task = i % 3 ? hog(&stage, 10 + 37 * i)
						   : vcpu(&stage, 100, (i + 1) * MS / 3, (i + 7) * MS / 5);

				if (i % 10 == 4)
					fifo(&stage, task, (gint)i);
				else if (i % 10 == 5)
					deadline(&stage, task, (i + 1) * MS, 200 * MS);
				else if (i % 10 == 6)
					quota(&stage, task, 7 * MS, 50 * MS);
			}
			run(&stage, 5 * SECOND, 0);
			sum = 0;
			for (guint i = 0; i < 40; i++) {
				sum += ran(&stage, i);
				if (again)
					g_assert_cmpint(ran(&stage, i), ==, first.task[i].run_ns);
				if (i % 10 == 5)
					assert_near(ran(&stage, i), 25 * (gint64)(i + 1) * MS, 200 * MS);
			}
			g_assert_cmpint(sum, ==, 4 * 5 * SECOND);
			if (again)
				engine_result_clear(&first);
			else
				first = stage.result;
			if (!again)
				stage.result = (struct engine_result) { 0 };
			stage_close(&stage);
		}
	}
}

/* What a strategy's project() says is what runs, and is told. */
static void test_projection(void)
{
	struct lab_projection projection;
	const struct scheduling_knobs *knobs;
	struct stage stage;
	guint reserved;

	stage_open(&stage, &strategy_edf, 1);
	stage.values.value[LAB_KERNEL_HRTICK] = 1;
	reserved = hog(&stage, 100);
	workload_task(stage.workload, reserved)->runtime_ns = 30 * MS;
	workload_task(stage.workload, reserved)->period_ns = 100 * MS;
	hog(&stage, 100);
	run(&stage, 10 * SECOND, 0);
	knobs = lab_kernel_knobs(stage.kernel, reserved);
	g_assert_cmpint(knobs->policy, ==, SCHEDULING_POLICY_DEADLINE);
	g_assert_cmpint(knobs->runtime_ns, ==, 30 * MS);
	assert_near(ran(&stage, reserved), 3 * SECOND, 30 * MS);
	lab_kernel_projection(stage.kernel, &projection);
	g_assert_cmpuint(projection.n, ==, 2);
	g_assert_cmpuint(projection.exact + projection.approximate + projection.not_enforceable, ==, 2);
	g_assert_cmpint(projection.exactness, !=, SCHEDULING_EXACT);
	g_assert_nonnull(projection.lost[0]);
	stage_close(&stage);
}

/* Without a run it is the same, and the system is as before. */
static void test_project(void)
{
	struct scheduling_entity entities[2] = {
		{ .id = 0, .weight = 100, .runtime_ns = 30 * MS, .period_ns = 100 * MS }, { .id = 1, .weight = 300 }
	};
	struct scheduling_vm vms[] = { { .first = 0, .n_vcpus = 2 } };
	struct scheduling_cpu cpus[] = { { .running = SCHEDULING_NO_ENTITY } };
	struct scheduling_queue queues[] = { { 0 } };
	struct strategy_values values;
	struct scheduling_system system = { .n_entities = 2,
					    .n_vms = 1,
					    .n_cpus = 1,
					    .n_queues = 1,
					    .n_cores = 1,
					    .entities = entities,
					    .vms = vms,
					    .cpus = cpus,
					    .queues = queues,
					    .values = &values };
	struct scheduling_knobs knobs[2];
	struct lab_projection projection;

	strategy_values_init(&strategy_edf.info, &values);
	lab_scheduling_project(&strategy_edf, &system, knobs, &projection);
	g_assert_cmpuint(projection.n, ==, 2);
	g_assert_cmpint(knobs[0].policy, ==, SCHEDULING_POLICY_DEADLINE);
	g_assert_cmpint(knobs[1].policy, ==, SCHEDULING_POLICY_OTHER);
	g_assert_cmpuint(knobs[1].weight, ==, 300);
	g_assert_cmpuint(entities[0].flags, ==, 0);
	g_assert_cmpuint(system.admitted, ==, 0);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/scheduling-kernel/weights", test_weights);
	g_test_add_func("/scheduling-kernel/weights-extreme", test_weights_extreme);
	g_test_add_func("/scheduling-kernel/turns", test_turns);
	g_test_add_func("/scheduling-kernel/turns-three", test_turns_three);
	g_test_add_func("/scheduling-kernel/quota", test_quota);
	g_test_add_func("/scheduling-kernel/quota-overrun", test_quota_overrun);
	g_test_add_func("/scheduling-kernel/deadline", test_deadline);
	g_test_add_func("/scheduling-kernel/deadline-wakes", test_deadline_wakes);
	g_test_add_func("/scheduling-kernel/deadline-admission", test_deadline_admission);
	g_test_add_func("/scheduling-kernel/fifo", test_fifo);
	g_test_add_func("/scheduling-kernel/latency", test_latency);
	g_test_add_func("/scheduling-kernel/batch", test_batch);
	g_test_add_func("/scheduling-kernel/sleepers", test_sleepers);
	g_test_add_func("/scheduling-kernel/cpus", test_cpus);
	g_test_add_func("/scheduling-kernel/affinity", test_affinity);
	g_test_add_func("/scheduling-kernel/mixed", test_mixed);
	g_test_add_func("/scheduling-kernel/projection", test_projection);
	g_test_add_func("/scheduling-kernel/project", test_project);
	return g_test_run();
}
