/* Workloads in rt-app's JSON, and recorded utilization: whatever is accepted can be run. */
#include <assert.h>
#include <stdint.h>

#include "lab/scheduling/engine.h"

#define TASKS_MAX     64
#define CPUS_MAX      16
#define HORIZON_NS    2000000
#define STEP_LEAST_NS 100

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Short enough to run here: few vCPUs, and no step of an instant. */
static gboolean is_small(const struct workload *workload)
{
	if (workload->tasks->len > TASKS_MAX || workload->topology.n_cpus > CPUS_MAX)
		return FALSE;
	for (guint i = 0; i < workload->steps->len; i++) {
		const struct step *step = &g_array_index(workload->steps, struct step, i);

		if (step->kind <= STEP_TIMER && step->ns < STEP_LEAST_NS)
			return FALSE;
	}
	return TRUE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GError) error = NULL, utilization_error = NULL;
	g_autoptr(workload_auto) workload = workload_read_json((const char *)data, size, "fuzz", &error);
	g_autoptr(workload_auto) recorded = workload_new();
	gboolean ok;

	assert(!workload == !!error);
	if (workload && is_small(workload)) {
		struct engine_setup setup = {
			.strategy = scheduling_strategies[0], .workload = workload, .seed = 1, .horizon_ns = HORIZON_NS
		};
		struct engine_result result;

		engine_run(&setup, &result);
		for (guint i = 0; i < result.n_tasks; i++)
			assert(result.task[i].run_ns >= 0 && result.task[i].run_ns <= HORIZON_NS);
		engine_result_clear(&result);
	}
	ok = workload_add_utilization(recorded, "fuzz", (const char *)data, size, &utilization_error);
	assert(!ok == !!utilization_error);
	for (guint i = 0; i < recorded->samples->len; i++)
		assert(g_array_index(recorded->samples, struct sample, i).use_ppm <= SAMPLE_PPM);
	return 0;
}
