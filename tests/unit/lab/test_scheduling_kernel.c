/* The model of the kernel's fair class and bandwidth control against cases worked by hand from its rules. One CPU and no costs,
 * where nothing else is said. */
#include "tests/unit/lab/kernel_stage.h"

/* 1:4 is 20 to 80, to within what one is ever ahead: a slice and a tick. */
static void test_weights(void)
{
	for (guint cfs = 0; cfs < 2; cfs++)
		for (guint hrtick = 0; hrtick < 2; hrtick++) {
			struct stage stage;

			stage_open(&stage, NULL, 1);
			stage.values.value[LAB_KERNEL_FAIR] = cfs;
			stage.values.value[LAB_KERNEL_HRTICK] = hrtick;
			stage_hog(&stage, 100);
			stage_hog(&stage, 400);
			stage_run(&stage, 10 * SECOND, 0);
			assert_near(stage_ran(&stage, 0), 2 * SECOND, 8 * MS);
			g_assert_cmpint(stage_ran(&stage, 0) + stage_ran(&stage, 1), ==, 10 * SECOND);
			stage_close(&stage);
		}
}

/* Extreme weights: 1 to 10000 in cpu.weight is 10 to 102400 in the kernel. */
static void test_weights_extreme(void)
{
	struct stage stage;

	stage_open(&stage, NULL, 1);
	stage_hog(&stage, 1);
	stage_hog(&stage, 10000);
	stage_run(&stage, 100 * SECOND, 0);
	assert_near(stage_ran(&stage, 0), 100 * SECOND * 10 / 102410, 4 * MS);
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
		stage_hog(&stage, 100);
		stage_hog(&stage, 100);
		stage_run(&stage, SECOND, 0);
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
		stage_hog(&stage, 100);
	stage_run(&stage, SECOND, 0);
	assert_turns(&stage, 3 * MS, "ABCABCABCABC");
	stage_close(&stage);
}

/* 20 ms in 100 ms: exactly, alone and beside another. */
static void test_quota(void)
{
	for (guint others = 0; others < 2; others++) {
		struct stage stage;

		stage_open(&stage, NULL, 1);
		stage_quota(&stage, stage_hog(&stage, 100), 20 * MS, 100 * MS);
		if (others)
			stage_hog(&stage, 100);
		stage_run(&stage, 10 * SECOND, 100 * MS);
		for (guint i = 0; i < 100; i++)
			g_assert_cmpint(stage_in_window(&stage, i, 0), ==, 20 * MS);
		g_assert_cmpint(stage_ran(&stage, 0), ==, 2 * SECOND);
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
		stage_quota(&stage, stage_hog(&stage, 100), 10 * MS, 100 * MS);
		stage_run(&stage, 10 * SECOND, 100 * MS);
		for (guint i = 0; i < 100; i++)
			g_assert_cmpint(stage_in_window(&stage, i, 0), ==, hrtick ? 10 * MS : i % 2 ? 8 * MS : 12 * MS);
		stage_close(&stage);
	}
}

/* 4:1 on one CPU: three hogs, and one that wakes every 10 ms for 200 µs. */
static void wakes(struct stage *stage, gint64 slice_ns)
{
	const struct scheduling_knobs knobs = { .weight = 100, .slice_ns = slice_ns };
	guint task;

	for (guint i = 0; i < 3; i++)
		stage_hog(stage, 100);
	task = stage_vcpu(stage, 100, MS / 5, 9713 * MS / 1000);
	workload_vm(stage->workload, 3)->latency_ns = 2 * MS;
	lab_kernel_set_knobs(stage->kernel, task, &knobs);
	stage_run(stage, 20 * SECOND, 0);
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
	task = stage_hog(&stage, 100);
	lab_kernel_set_knobs(stage.kernel, task, &(struct scheduling_knobs) { .policy = SCHEDULING_POLICY_BATCH });
	stage_hog(&stage, 100);
	stage_run(&stage, 10 * SECOND, 0);
	assert_near(stage_ran(&stage, task), 5 * SECOND, 8 * MS);
	stage_close(&stage);

	stage_open(&stage, NULL, 1);
	stage_hog(&stage, 100);
	task = stage_vcpu(&stage, 100, MS / 5, 9713 * MS / 1000);
	lab_kernel_set_knobs(stage.kernel, task, &knobs);
	stage_run(&stage, 10 * SECOND, 0);
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
			stage_hog(&stage, 100);
		stage_vcpu(&stage, 100, 3900 * MS / 1000, MS / 1000);
		stage_run(&stage, 20 * SECOND, 0);
		g_assert_cmpint(stage_ran(&stage, 3), <=, 5 * SECOND + SECOND / 100);
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
			stage_hog(&stage, 100);
		stage_run(&stage, 10 * SECOND, 0);
		for (guint i = 0; i < 8; i++)
			assert_near(stage_ran(&stage, i), 10 * SECOND / 4, 20 * MS);
		stage_close(&stage);
	}
}

/* Weights under bandwidth control. Whom the quota bounds has it in each period, and its part of the one that is going on. The
 * others share the rest by weight: each lags behind the mean by less than a slice and a tick, so two of them differ by no
 * more than that, by weight. */
static void limited_worlds(GRand *rand)
{
	guint weights[5], n = (guint)g_rand_int_range(rand, 2, 6);
	gint64 limit_ms[5] = { 0 };
	struct stage stage;

	stage_open(&stage, NULL, 1);
	for (guint i = 0; i < n; i++) {
		weights[i] = (guint)g_rand_int_range(rand, 50, 500);
		stage_hog(&stage, weights[i]);
		/* 4 % each: far less than the share by weight of any (1 in 41), times ten. */
		if (i > 1 && weights[i] > 200 && g_rand_boolean(rand)) {
			limit_ms[i] = 4;
			lab_kernel_set_knobs(stage.kernel, i,
					     &(struct scheduling_knobs) {
						     .weight = weights[i], .quota_ns = 4 * MS, .period_ns = 100 * MS });
		}
	}
	stage_run(&stage, 10 * SECOND, 0);
	for (guint i = 0; i < n; i++) {
		gint64 bound = 2800 * MS / 1000 + 4 * MS;

		if (limit_ms[i]) {
			assert_near(stage_ran(&stage, i), 100 * limit_ms[i] * MS, 2 * limit_ms[i] * MS);
			continue;
		}
		for (guint other = 0; other < i; other++)
			if (!limit_ms[other])
				g_assert_cmpint(ABS(stage_ran(&stage, i) * weights[other] -
						    stage_ran(&stage, other) * weights[i]),
						<=, bound * (weights[i] + weights[other]));
	}
	stage_close(&stage);
}

static void test_weights_limited(void)
{
	const char *given = g_getenv("POLDER_TEST_SEED");
	guint32 seed = given ? (guint32)g_ascii_strtoull(given, NULL, 10) : g_random_int();
	GRand *rand = g_rand_new_with_seed(seed);

	g_test_message("POLDER_TEST_SEED=%u", seed);
	for (guint i = 0; i < 20; i++)
		limited_worlds(rand);
	g_rand_free(rand);
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
	g_test_add_func("/scheduling-kernel/latency", test_latency);
	g_test_add_func("/scheduling-kernel/batch", test_batch);
	g_test_add_func("/scheduling-kernel/sleepers", test_sleepers);
	g_test_add_func("/scheduling-kernel/cpus", test_cpus);
	g_test_add_func("/scheduling-kernel/weights-limited", test_weights_limited);
	return g_test_run();
}
