#include "lab/scheduling/workload.h"

#include <string.h>

#include "core/scheduling/scheduling.h"
#include "lab/error.h"

static void vm_clear(gpointer data)
{
	g_free(((struct workload_vm *)data)->name);
}

struct workload *workload_new(void)
{
	struct workload *workload = g_new0(struct workload, 1);

	workload->tasks = g_array_new(FALSE, TRUE, sizeof(struct task));
	workload->vms = g_array_new(FALSE, TRUE, sizeof(struct workload_vm));
	g_array_set_clear_func(workload->vms, vm_clear);
	workload->steps = g_array_new(FALSE, TRUE, sizeof(struct step));
	workload->barriers = g_array_new(FALSE, TRUE, sizeof(guint32));
	workload->masks = g_ptr_array_new_with_free_func(g_free);
	workload->tenants = g_ptr_array_new_with_free_func(g_free);
	workload->samples = g_array_new(FALSE, FALSE, sizeof(struct sample));
	workload->topology =
		(struct topology) { .n_cpus = 1, .threads_per_core = 1, .cores_per_llc = 8, .llcs_per_node = 1 };
	workload->horizon_ns = 10 * G_GINT64_CONSTANT(1000000000);
	return workload;
}

void workload_free(struct workload *workload)
{
	if (!workload)
		return;
	g_array_unref(workload->tasks);
	g_array_unref(workload->vms);
	g_array_unref(workload->steps);
	g_array_unref(workload->barriers);
	g_ptr_array_unref(workload->masks);
	g_ptr_array_unref(workload->tenants);
	g_array_unref(workload->samples);
	g_free(workload);
}

struct workload_vm *workload_vm(const struct workload *workload, guint vm)
{
	return &g_array_index(workload->vms, struct workload_vm, vm);
}

struct task *workload_task(const struct workload *workload, guint task)
{
	return &g_array_index(workload->tasks, struct task, task);
}

guint workload_add_tenant(struct workload *workload, const char *name)
{
	guint index;

	if (g_ptr_array_find_with_equal_func(workload->tenants, name, g_str_equal, &index))
		return index;
	g_ptr_array_add(workload->tenants, g_strdup(name));
	return workload->tenants->len - 1;
}

guint workload_add_vm(struct workload *workload, const char *name, guint tenant)
{
	struct workload_vm vm = { .name = g_strdup(name),
				  .tenant = tenant,
				  .weight = SCHEDULING_WEIGHT_NORMAL,
				  .first_task = workload->tasks->len };

	g_array_append_val(workload->vms, vm);
	return workload->vms->len - 1;
}

struct task *workload_add_task(struct workload *workload)
{
	struct task task = { .vm = workload->vms->len - 1, .first_step = workload->steps->len };

	g_array_append_val(workload->tasks, task);
	workload_vm(workload, task.vm)->n_tasks++;
	return workload_task(workload, workload->tasks->len - 1);
}

void workload_add_step(struct workload *workload, enum step_kind kind, gint64 ns, guint object)
{
	struct step step = { .kind = (guint8)kind, .object = object, .ns = ns };

	g_array_append_val(workload->steps, step);
	workload_task(workload, workload->tasks->len - 1)->n_steps++;
}

static gboolean fail(GError **error, const struct workload *workload, guint vm, const char *what)
{
	g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID, "VM %.80s: %s", workload_vm(workload, vm)->name, what);
	return FALSE;
}

/* A loop has to take time somewhere. */
static gboolean program_check(const struct workload *workload, const struct task *task)
{
	for (guint i = 0; i < task->n_steps; i++) {
		const struct step *step = &g_array_index(workload->steps, struct step, task->first_step + i);
		gboolean takes_time = FALSE;

		if (step->kind != STEP_LOOP)
			continue;
		if (step->object >= i)
			return FALSE;
		for (guint j = step->object; j < i; j++) {
			const struct step *inner = &g_array_index(workload->steps, struct step, task->first_step + j);

			takes_time = takes_time || inner->ns > 0 || inner->kind == STEP_DODGE;
		}
		if (!takes_time)
			return FALSE;
	}
	return TRUE;
}

static gboolean vm_check(const struct workload *workload, guint index, GError **error)
{
	const struct workload_vm *vm = workload_vm(workload, index);

	if (vm->weight < 1 || vm->weight > SCHEDULING_WEIGHT_MAX)
		return fail(error, workload, index, "its weight has to be 1 to 10000; 100 is normal");
	if (!vm->n_tasks)
		return fail(error, workload, index, "it has no vCPU");
	if (vm->n_tasks > SCHEDULING_VM_VCPUS_MAX)
		return fail(error, workload, index, "it has more than 256 vCPUs");
	for (guint i = 0; i < vm->n_tasks; i++) {
		const struct task *task = workload_task(workload, vm->first_task + i);

		if (task->runtime_ns > task->period_ns)
			return fail(
				error, workload, index,
				"it reserves more run time than there is in its period; reserve at most the period");
		if (!program_check(workload, task))
			return fail(error, workload, index,
				    "its loop takes no time: let it run, sleep or wait for a timer");
		if (task->mask) {
			const guint64 *bits = workload->masks->pdata[task->mask - 1];
			gboolean any = FALSE;

			for (guint cpu = 0; cpu < workload->topology.n_cpus; cpu++)
				any = any || (bits[cpu / 64] >> cpu % 64 & 1);
			if (!any)
				return fail(error, workload, index, "it may run on no CPU that there is");
		}
	}
	return TRUE;
}

gboolean workload_check(const struct workload *workload, GError **error)
{
	const struct topology *topology = &workload->topology;

	if (topology->n_cpus < 1 || topology->n_cpus > WORKLOAD_CPUS_MAX) {
		g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID, "%u CPUs: there have to be 1 to %u", topology->n_cpus,
			    WORKLOAD_CPUS_MAX);
		return FALSE;
	}
	if (!workload->tasks->len) {
		g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID, "there is nothing to run: no VM and no task");
		return FALSE;
	}
	for (guint i = 0; i < workload->vms->len; i++)
		if (!vm_check(workload, i, error))
			return FALSE;
	return TRUE;
}
