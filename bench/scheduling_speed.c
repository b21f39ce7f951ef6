/* scheduling_speed STRATEGY VMS CPUS SECONDS: events a second and core of the simulator, as JSON; best of three. Time is the
 * process's own CPU time, so that a busy machine does not count. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lab/scheduling/engine.h"

static double cpu_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	const struct scheduling_strategy *strategy = argc > 4 ? scheduling_strategy_find(argv[1]) : NULL;
	g_autofree char *text = NULL;
	g_autoptr(workload_auto) workload = NULL;
	g_autoptr(GError) error = NULL;
	double best = 0;
	guint64 events = 0, switches = 0;

	if (!strategy) {
		fprintf(stderr, "scheduling_speed STRATEGY VMS CPUS SECONDS\n");
		return 2;
	}
	text = g_strdup_printf("speed,vms=%s,cpus=%s,seconds=%s", argv[2], argv[3], argv[4]);
	workload = workload_generate(text, &error);
	if (!workload) {
		fprintf(stderr, "%s\n", error->message);
		return 2;
	}
	for (int round = 0; round < 3; round++) {
		struct engine_setup setup = { .strategy = strategy, .workload = workload, .seed = 1 };
		struct engine_result result;
		double start = cpu_seconds(), seconds;

		engine_run(&setup, &result);
		seconds = cpu_seconds() - start;
		events = result.totals.events;
		switches = result.totals.switches;
		if (events / seconds > best)
			best = events / seconds;
		engine_result_clear(&result);
	}
	printf("{\"events\": %" G_GUINT64_FORMAT ", \"switches\": %" G_GUINT64_FORMAT ", \"events_per_s\": %.0f}\n",
	       events, switches, best);
	return 0;
}
