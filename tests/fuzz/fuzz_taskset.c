/* Task sets: whatever is accepted is well formed. */
#include <assert.h>
#include <stdint.h>

#include "lab/scheduling/workload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = g_strndup((const char *)data, size);
	g_autoptr(GError) error = NULL;
	g_autoptr(GArray) sets = task_sets_read(text, "fuzz", &error);

	assert(!sets == !!error);
	for (guint i = 0; sets && i < sets->len; i++) {
		const struct task_set *set = &g_array_index(sets, struct task_set, i);
		g_autoptr(workload_auto) workload = workload_from_task_set(set);

		assert(set->n_tasks >= 1 && set->n_tasks <= 64 && set->n_cpus >= 1);
		for (guint j = 0; j < set->n_tasks; j++)
			assert(set->wcet_ns[j] > 0 && set->wcet_ns[j] <= set->period_ns[j]);
		assert(workload_check(workload, NULL));
	}
	return 0;
}
