/* The model of the kernel: DEADLINE, FIFO, affinity, and what is projected, in cases worked by hand from its rules. */
#include "tests/unit/lab/kernel_stage.h"

#include "core/scheduling/strategies/strategies.h"

/* 10 ms of each 100 ms, no less and no more, beside hogs. Without HRTICK to the tick, and paid back. */
static void test_deadline(void)
{
	for (guint hrtick = 0; hrtick < 2; hrtick++) {
		struct stage stage;

		stage_open(&stage, NULL, 1);
		stage.values.value[LAB_KERNEL_HRTICK] = hrtick;
		/* Its steps end when its budget does: no way round it. */
		stage_deadline(&stage, stage_vcpu(&stage, 100, 500 * MS, 0), 10 * MS, 100 * MS);
		for (guint i = 0; i < 3; i++)
			stage_hog(&stage, 10000);
		stage_run(&stage, 10 * SECOND, 100 * MS);
		for (guint i = 0; i < 100; i++)
			g_assert_cmpint(stage_in_window(&stage, i, 0), ==, hrtick ? 10 * MS : i % 2 ? 8 * MS : 12 * MS);
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
	task = stage_vcpu(&stage, 100, 2 * MS, 18 * MS);
	stage_deadline(&stage, task, 5 * MS, 20 * MS);
	stage_hog(&stage, 100);
	stage_hog(&stage, 100);
	stage_run(&stage, 10 * SECOND, 0);
	g_assert_cmpint(stage_ran(&stage, task), ==, SECOND);
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
		stage_deadline(&stage, stage_hog(&stage, 100), 40 * MS, 100 * MS);
	stage_run(&stage, 10 * SECOND, 0);
	for (guint i = 0; i < 2; i++)
		assert_near(stage_ran(&stage, i), 4 * SECOND, 40 * MS);
	assert_near(stage_ran(&stage, 2), 2 * SECOND, 40 * MS);
	lab_kernel_projection(stage.kernel, &projection);
	g_assert_cmpuint(projection.n, ==, 3);
	g_assert_cmpuint(projection.refused_kernel, ==, 1);
	g_assert_cmpuint(projection.not_enforceable, ==, 1);
	g_assert_cmpint(projection.exactness, ==, SCHEDULING_NOT_ENFORCEABLE);
	g_assert_nonnull(projection.lost[0]);
	stage_close(&stage);
}

/* FIFO takes all, but for 5 % of each second; without that limit, all. The higher priority before the lower. */
static void test_fifo(void)
{
	for (guint limited = 0; limited < 2; limited++) {
		struct stage stage;

		stage_open(&stage, NULL, 1);
		stage.values.value[LAB_KERNEL_RT_PERCENT] = limited ? 95 : 100;
		stage_fifo(&stage, stage_hog(&stage, 100), 10);
		stage_hog(&stage, 100);
		stage_fifo(&stage, stage_hog(&stage, 100), 20);
		stage_run(&stage, 10 * SECOND, SECOND);
		g_assert_cmpint(stage_ran(&stage, 0), <=, 10 * 4 * MS);
		for (guint i = 0; i < 10; i++)
			assert_near(stage_in_window(&stage, i, 1), limited ? 50 * MS : 0, limited ? 8 * MS : 4 * MS);
		assert_near(stage_ran(&stage, 2), 10 * (limited ? 950 : 1000) * MS, 80 * MS);
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

		lab_kernel_set_knobs(stage.kernel, stage_vcpu(&stage, 100, 7 * MS, i == 3 ? 7 * MS : 0), &knobs);
	}
	stage_run(&stage, 12 * SECOND, 0);
	for (guint i = 0; i < 3; i++)
		assert_near(stage_ran(&stage, i), 4 * SECOND, 8 * MS);
	assert_near(stage_ran(&stage, 3), 6 * SECOND, 7 * MS);
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
				guint task = i % 3 ? stage_hog(&stage, 10 + 37 * i)
						   : stage_vcpu(&stage, 100, (i + 1) * MS / 3, (i + 7) * MS / 5);

				if (i % 10 == 4)
					stage_fifo(&stage, task, (gint)i);
				else if (i % 10 == 5)
					stage_deadline(&stage, task, (i + 1) * MS, 200 * MS);
				else if (i % 10 == 6)
					stage_quota(&stage, task, 7 * MS, 50 * MS);
			}
			stage_run(&stage, 5 * SECOND, 0);
			sum = 0;
			for (guint i = 0; i < 40; i++) {
				sum += stage_ran(&stage, i);
				if (again)
					g_assert_cmpint(stage_ran(&stage, i), ==, first.task[i].run_ns);
				if (i % 10 == 5)
					assert_near(stage_ran(&stage, i), 25 * (gint64)(i + 1) * MS, 200 * MS);
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
	reserved = stage_hog(&stage, 100);
	workload_task(stage.workload, reserved)->runtime_ns = 30 * MS;
	workload_task(stage.workload, reserved)->period_ns = 100 * MS;
	stage_hog(&stage, 100);
	stage_run(&stage, 10 * SECOND, 0);
	knobs = lab_kernel_knobs(stage.kernel, reserved);
	g_assert_cmpint(knobs->policy, ==, SCHEDULING_POLICY_DEADLINE);
	g_assert_cmpint(knobs->runtime_ns, ==, 30 * MS);
	assert_near(stage_ran(&stage, reserved), 3 * SECOND, 30 * MS);
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
	g_test_add_func("/scheduling-kernel/deadline", test_deadline);
	g_test_add_func("/scheduling-kernel/deadline-wakes", test_deadline_wakes);
	g_test_add_func("/scheduling-kernel/deadline-admission", test_deadline_admission);
	g_test_add_func("/scheduling-kernel/fifo", test_fifo);
	g_test_add_func("/scheduling-kernel/affinity", test_affinity);
	g_test_add_func("/scheduling-kernel/mixed", test_mixed);
	g_test_add_func("/scheduling-kernel/projection", test_projection);
	g_test_add_func("/scheduling-kernel/project", test_project);
	return g_test_run();
}
