/* The loop around the model of the kernel: weights corrected by what came of them, on workloads whose outcome is known. */
#include "core/scheduling/strategies/strategies.h"
#include "lab/scheduling/engine.h"
#include "lab/scheduling/kernel.h"

#define MS        G_GINT64_CONSTANT(1000000)
#define SECOND    (1000 * MS)
#define HORIZON_S 40
#define WORLDS    60

struct stage {
	struct workload *workload;
	struct strategy_values values;
	struct engine_result result;
};

static void stage_open(struct stage *stage, guint n_cpus, gboolean corrects)
{
	*stage = (struct stage) { .workload = workload_new() };
	stage->workload->topology.n_cpus = n_cpus;
	strategy_values_init(&lab_kernel_strategy.info, &stage->values);
	stage->values.value[LAB_KERNEL_CORRECT] = corrects;
	workload_add_tenant(stage->workload, "t");
}

static void stage_close(struct stage *stage)
{
	engine_result_clear(&stage->result);
	workload_free(stage->workload);
}

/* One vCPU that runs run_ns, sleeps sleep_ns (0: never), again and again. */
static struct workload_vm *vcpu(struct stage *stage, guint weight, gint64 run_ns, gint64 sleep_ns)
{
	guint vm = workload_add_vm(stage->workload, "vm", 0);

	workload_vm(stage->workload, vm)->weight = weight;
	workload_add_task(stage->workload);
	workload_add_step(stage->workload, STEP_RUN, run_ns, 0);
	if (sleep_ns)
		workload_add_step(stage->workload, STEP_SLEEP, sleep_ns, 0);
	workload_add_step(stage->workload, STEP_LOOP, 0, 0);
	return workload_vm(stage->workload, vm);
}

static void reserve(struct stage *stage, guint task, gint64 runtime_ns, gint64 period_ns)
{
	workload_task(stage->workload, task)->runtime_ns = runtime_ns;
	workload_task(stage->workload, task)->period_ns = period_ns;
}

static void run(struct stage *stage, guint64 seed, gint64 horizon_ns)
{
	g_autoptr(lab_kernel_auto) kernel = lab_kernel_new(&strategy_eevdf, NULL);
	struct engine_setup setup = { .strategy = &lab_kernel_strategy,
				      .values = &stage->values,
				      .workload = stage->workload,
				      .seed = seed,
				      .horizon_ns = horizon_ns,
				      .host = kernel };

	engine_run(&setup, &stage->result);
}

/* Its part of a CPU, per mille. */
static gint64 part(const struct stage *stage, guint task)
{
	return stage->result.task[task].run_ns * 1000 / stage->result.horizon_ns;
}

/* Two CPUs; 700 and 800 are as even as whole vCPUs get, and by themselves would stay so. */
static void test_weights(void)
{
	static const guint weights[] = { 100, 100, 100, 400, 400, 400 };
	struct stage stage;

	stage_open(&stage, 2, TRUE);
	for (guint i = 0; i < G_N_ELEMENTS(weights); i++)
		vcpu(&stage, weights[i], SECOND, 0);
	run(&stage, 1, HORIZON_S * SECOND);
	for (guint i = 0; i < G_N_ELEMENTS(weights); i++)
		g_assert_cmpint(ABS(part(&stage, i) - weights[i] * 2000 / 1500), <=, 8);
	stage_close(&stage);
}

/* A reservation among ten hogs on two CPUs: by weight it would be a fifth. Without the loop it is not kept. */
static void test_reservation(gconstpointer corrects)
{
	struct stage stage;

	stage_open(&stage, 2, GPOINTER_TO_INT(corrects));
	for (guint i = 0; i < 10; i++)
		vcpu(&stage, 100, SECOND, 0);
	reserve(&stage, 3, 35 * MS, 50 * MS);
	run(&stage, 1, HORIZON_S * SECOND);
	if (GPOINTER_TO_INT(corrects)) {
		g_assert_cmpint(part(&stage, 3), >=, 690);
		g_assert_cmpint(part(&stage, 3), <=, 720);
		g_assert_cmpint(part(&stage, 4), >=, 135);
	} else {
		g_assert_cmpint(part(&stage, 3), <=, 250);
	}
	stage_close(&stage);
}

/* p99 of who has a target and uses less than its share, beside hogs that weigh more; a hog with a target gains nothing by it. */
static gint64 latency(gboolean corrects)
{
	struct stage stage;
	gint64 p99_ns;

	stage_open(&stage, 1, corrects);
	vcpu(&stage, 100, MS / 20, 5 * MS)->latency_ns = 2 * MS;
	vcpu(&stage, 100, SECOND, 0)->latency_ns = 2 * MS;
	for (guint i = 0; i < 4; i++)
		vcpu(&stage, 400, SECOND, 0);
	run(&stage, 1, HORIZON_S * SECOND);
	p99_ns = histogram_percentile(&stage.result.totals.wakeup_class, 990);
	g_test_message("%s: p99 %" G_GINT64_FORMAT " ns", corrects ? "lifted" : "not lifted", p99_ns);
	g_assert_cmpint(part(&stage, 1), >=, 49);
	g_assert_cmpint(part(&stage, 1), <=, 61);
	stage_close(&stage);
	return p99_ns;
}

static void test_latency(void)
{
	gint64 lifted_ns = latency(TRUE);

	g_assert_cmpint(lifted_ns, <, latency(FALSE) / 2);
}

static void check_work_conserving(const struct stage *stage, guint n, guint n_hogs)
{
	gint64 sum = 0;

	for (guint i = 0; i < n; i++)
		sum += stage->result.task[i].run_ns;
	if (n_hogs >= stage->workload->topology.n_cpus)
		g_assert_cmpint(sum, >=, stage->result.horizon_ns / 100 * 99 * stage->workload->topology.n_cpus);
}

/* Weights that change while queues run lose nobody: where there are hogs enough no CPU idles, and all run. */
static void test_random(void)
{
	guint32 seed = (guint32)g_test_rand_int();
	g_autoptr(GRand) rand = g_rand_new_with_seed(seed);

	g_test_message("seed %u", seed);
	for (guint world = 0; world < WORLDS; world++) {
		guint n = (guint)g_rand_int_range(rand, 2, 14), n_hogs = 0;
		struct stage stage;

		stage_open(&stage, (guint)g_rand_int_range(rand, 1, 5), TRUE);
		stage.values.value[LAB_KERNEL_FAIR] = g_rand_int_range(rand, 0, 2);
		stage.values.value[LAB_KERNEL_HRTICK] = g_rand_int_range(rand, 0, 2);
		for (guint i = 0; i < n; i++) {
			gboolean is_hog = g_rand_int_range(rand, 0, 2);
			guint weight = (guint)g_rand_int_range(rand, 1, 30) * 33;
			struct workload_vm *vm =
				vcpu(&stage, weight, is_hog ? SECOND : g_rand_int_range(rand, 1, 80) * MS / 10,
				     is_hog ? 0 : g_rand_int_range(rand, 1, 50) * MS);

			vm->latency_ns = g_rand_int_range(rand, 0, 2) * 2 * MS;
			if (g_rand_int_range(rand, 0, 4) == 0)
				reserve(&stage, i, g_rand_int_range(rand, 1, 10) * MS, 50 * MS);
			n_hogs += is_hog;
		}
		run(&stage, seed + world, 3 * SECOND);
		check_work_conserving(&stage, n, n_hogs);
		for (guint i = 0; i < n; i++)
			g_assert_cmpint(stage.result.task[i].run_ns, >, 0);
		stage_close(&stage);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/scheduling/correct/weights", test_weights);
	g_test_add_data_func("/scheduling/correct/reservation", GINT_TO_POINTER(TRUE), test_reservation);
	g_test_add_data_func("/scheduling/correct/reservation-without", GINT_TO_POINTER(FALSE), test_reservation);
	g_test_add_func("/scheduling/correct/latency", test_latency);
	g_test_add_func("/scheduling/correct/random", test_random);
	return g_test_run();
}
