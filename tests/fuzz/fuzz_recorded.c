/* What the live platform recorded of vCPUs: whatever is accepted can be run. */
#include <assert.h>
#include <stdint.h>

#include "lab/scheduling/engine.h"

#define TASKS_MAX 64
#define CPUS_MAX  16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run(const struct workload *workload)
{
	struct engine_setup setup = { .strategy = scheduling_strategies[0],
				      .workload = workload,
				      .seed = 1,
				      .horizon_ns = MIN(workload->horizon_ns, 2000000) };
	struct engine_result result;

	engine_run(&setup, &result);
	for (guint i = 0; i < result.n_tasks; i++)
		assert(result.task[i].run_ns >= 0 && result.task[i].run_ns <= setup.horizon_ns);
	engine_result_clear(&result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct workload_part all = { .seconds = 10000000 }, some = { .n_vms = 2, .seconds = 1 };
	const struct workload_part *parts[] = { &all, &some };

	for (guint i = 0; i < G_N_ELEMENTS(parts); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(workload_auto) workload =
			workload_read_recorded((const char *)data, size, "fuzz", parts[i], &error);

		assert(!workload == !!error);
		if (!workload)
			continue;
		assert(workload_check(workload, NULL) && workload->sample_ns > 0 && workload->horizon_ns > 0);
		for (guint k = 0; k < workload->samples->len; k++)
			assert(g_array_index(workload->samples, struct sample, k).use_ppm <= SAMPLE_PPM);
		if (workload->tasks->len <= TASKS_MAX && workload->topology.n_cpus <= CPUS_MAX)
			run(workload);
	}
	return 0;
}
