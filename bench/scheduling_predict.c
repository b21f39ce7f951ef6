/* scheduling_predict WORKLOAD STRATEGY SECONDS SEEDS: what the model of the kernel makes of a workload, as JSON: each VM's part
 * of a CPU, and what wake-ups of all waited, at each per mille. STRATEGY "kernel": nothing is projected, all vCPUs are alike. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lab/scheduling/engine.h"
#include "lab/scheduling/kernel.h"

#define PARTS 1000

struct sums {
	double *ran_ns;          /* by VM, over all seeds */
	struct histogram wakeup; /* of all seeds */
	double window_ns;
};

static void run(const struct workload *workload, const struct scheduling_strategy *strategy, guint64 seed,
		struct sums *sums)
{
	g_autoptr(lab_kernel_auto) kernel = lab_kernel_new(strategy, NULL);
	struct strategy_values values;
	struct engine_setup setup = {
		.strategy = &lab_kernel_strategy, .values = &values, .workload = workload, .seed = seed, .host = kernel
	};
	struct engine_result result;

	strategy_values_init(&lab_kernel_strategy.info, &values);
	values.value[LAB_KERNEL_CORRECT] = 1; /* as the live platforms beside it do */

	engine_run(&setup, &result);
	for (guint i = 0; i < result.n_tasks; i++)
		sums->ran_ns[workload_task(workload, i)->vm] += (double)result.task[i].run_ns;
	for (guint i = 0; i < HISTOGRAM_CLASSES; i++)
		sums->wakeup.count[i] += result.totals.wakeup.count[i];
	sums->wakeup.n += result.totals.wakeup.n;
	sums->wakeup.max = MAX(sums->wakeup.max, result.totals.wakeup.max);
	sums->window_ns += (double)result.horizon_ns;
	engine_result_clear(&result);
}

static void print(const struct workload *workload, const struct sums *sums)
{
	printf("{\"shares\": {");
	for (guint i = 0; i < workload->vms->len; i++)
		printf("%s\"%s\": %.6f", i ? ", " : "", workload_vm(workload, i)->name,
		       sums->ran_ns[i] / sums->window_ns);
	printf("}, \"waits_s\": [");
	for (guint i = 1; i <= PARTS; i++)
		printf("%s%.9f", i > 1 ? ", " : "", (double)histogram_percentile(&sums->wakeup, i) / 1e9);
	printf("]}\n");
}

int main(int argc, char **argv)
{
	gboolean plain = argc > 4 && strcmp(argv[2], "kernel") == 0;
	const struct scheduling_strategy *strategy = argc > 4 && !plain ? scheduling_strategy_find(argv[2]) : NULL;
	g_autoptr(workload_auto) workload = NULL;
	g_autoptr(GError) error = NULL;
	struct sums sums = { 0 };
	guint seeds = argc > 4 ? (guint)atoi(argv[4]) : 0;

	if (!seeds || (!plain && !strategy)) {
		fprintf(stderr, "scheduling_predict WORKLOAD STRATEGY SECONDS SEEDS\n");
		return 2;
	}
	workload = workload_open(argv[1], &(struct workload_part) { 0 }, &error);
	if (!workload) {
		fprintf(stderr, "%s\n", error->message);
		return 2;
	}
	workload->horizon_ns = atoi(argv[3]) * G_GINT64_CONSTANT(1000000000);
	sums.ran_ns = g_new0(double, workload->vms->len);
	for (guint seed = 1; seed <= seeds; seed++)
		run(workload, strategy, seed, &sums);
	print(workload, &sums);
	g_free(sums.ran_ns);
	return 0;
}
