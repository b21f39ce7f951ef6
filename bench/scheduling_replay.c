/* scheduling_replay UTILIZATIONS VMS CPUS STRATEGY SECONDS: recorded utilization replayed, as JSON: CPU time it took, events.
 * SECONDS 0: all that was recorded. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lab/scheduling/figures.h"

static double cpu_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	const struct scheduling_strategy *strategy = argc > 5 ? scheduling_strategy_find(argv[4]) : NULL;
	g_autoptr(workload_auto) workload = NULL;
	g_autoptr(GError) error = NULL;
	struct lab_result told = { 0 };
	struct engine_result result;
	double start = cpu_seconds(), replay;

	if (!strategy) {
		fprintf(stderr, "scheduling_replay UTILIZATIONS VMS CPUS STRATEGY SECONDS\n");
		return 2;
	}
	workload = workload_read_utilization(argv[1], (guint)atoi(argv[2]), &error);
	if (!workload) {
		fprintf(stderr, "%s\n", error->message);
		return 2;
	}
	workload->topology.n_cpus = (guint)atoi(argv[3]);
	if (atoi(argv[5]) > 0)
		workload->horizon_ns = atoi(argv[5]) * G_GINT64_CONSTANT(1000000000);
	struct engine_setup setup = {
		.strategy = strategy, .workload = workload, .seed = 1, .window_ns = workload->sample_ns
	};
	engine_run(&setup, &result);
	replay = cpu_seconds() - start;
	figures_tell(workload, &result, 0, -1, &told);
	printf("{\"vms\": %u, \"virtual_s\": %.0f, \"cpu_s\": %.2f, \"events\": %" G_GUINT64_FORMAT
	       ", \"events_per_s\": %.0f, \"delivered\": %.4f, \"busy\": %.4f}\n",
	       workload->vms->len, (double)workload->horizon_ns / 1e9, replay, result.totals.events,
	       result.totals.events / replay, told.score[SCORE_PERFORMANCE],
	       (double)result.totals.busy_ns / ((double)workload->horizon_ns * workload->topology.n_cpus));
	engine_result_clear(&result);
	lab_result_clear(&told);
	return 0;
}
