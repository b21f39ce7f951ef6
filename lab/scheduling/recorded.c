/* What the live platform recorded of its vCPUs (`--trace live`): a round of rows every second or so, and in a row what one vCPU
 * ran and waited since the round before. Each round becomes a sample; a pause of the recording is left out. A vCPU wants what
 * it ran and what it was ready for; a VM's wishes are those of its last row. README.md has the columns. */
#include "lab/scheduling/recorded.h"

#include <string.h>

#include "core/scheduling/limit.h"
#include "lab/error.h"
#include "lab/scheduling/workload.h"

/* Taken unless said: so much, less where it would be long to simulate, but no less than that. */
#define SECONDS_DEFAULT 600
#define WAKEUPS_DEFAULT 5000000
#define ROUNDS_LEAST    30
#define SAMPLES_MAX     (32u << 20)
#define WAKEUP_NS_LEAST 10000 /* apart: more would be a program's own doing, and only cost time here */

/* What is taken of the recording. */
struct part {
	guint32 first_round, n_rounds;
	guint32 first_row;
	gint64 sample_ns;
	GArray *vms;       /* guint32, by name */
	GHashTable *tasks; /* vm << 8 | vcpu → task, from 1 */
};

static gint by_length(gconstpointer a, gconstpointer b)
{
	guint32 first = *(const guint32 *)a, second = *(const guint32 *)b;

	return (first > second) - (first < second);
}

static gint by_name(gconstpointer a, gconstpointer b, gpointer user_data)
{
	const GPtrArray *names = user_data;

	return strcmp(names->pdata[*(const guint32 *)a], names->pdata[*(const guint32 *)b]);
}

/* How many of the last rounds to take. */
static guint64 rounds_choose(const struct recording *recording, guint seconds, gint64 sample_ns)
{
	guint64 rounds = (guint64)(seconds ? seconds : SECONDS_DEFAULT) * 1000000000 / (guint64)sample_ns, wakeups = 0;

	for (guint i = recording->rows->len; !seconds && i > 0; i--) {
		const struct recorded_row *row = &g_array_index(recording->rows, struct recorded_row, i - 1);
		guint64 after = recording->rounds->len - 1 - row->round;

		wakeups += row->wakeups;
		if (wakeups > WAKEUPS_DEFAULT)
			return MIN(rounds, MAX(after, ROUNDS_LEAST));
	}
	return rounds;
}

/* The last seconds of it, and the first VMs by name of those that are in them. */
static void part_choose(const struct recording *recording, guint seconds, guint n_vms, struct part *part)
{
	g_autoptr(GArray) lengths = g_array_copy(recording->rounds);
	g_autofree gboolean *there = g_new0(gboolean, recording->vms.list->len);

	g_array_sort(lengths, by_length);
	part->sample_ns = (gint64)g_array_index(lengths, guint32, lengths->len / 2) * 1000;
	part->n_rounds = (guint32)CLAMP(rounds_choose(recording, seconds, part->sample_ns), 1, lengths->len);
	part->first_round = recording->rounds->len - part->n_rounds;
	part->first_row = recording->rows->len;
	while (part->first_row &&
	       g_array_index(recording->rows, struct recorded_row, part->first_row - 1).round >= part->first_round)
		part->first_row--;
	for (guint i = part->first_row; i < recording->rows->len; i++)
		there[g_array_index(recording->rows, struct recorded_row, i).vm] = TRUE;
	for (guint32 i = 0; i < recording->vms.list->len; i++)
		if (there[i])
			g_array_append_val(part->vms, i);
	g_array_sort_with_data(part->vms, by_name, recording->vms.list);
	if (n_vms && n_vms < part->vms->len)
		g_array_set_size(part->vms, n_vms);
}

/* Its vCPUs share a VM's percents evenly, as live. */
static void wishes_set(struct workload *workload, guint vm, const struct recorded_row *row)
{
	struct workload_vm *told = workload_vm(workload, vm);
	struct scheduling_entity entity = { .latency_ns = (gint64)row->latency_us * 1000 };
	guint64 most = (guint64)told->n_tasks * 100;

	/* As they are enforced. */
	if (row->limit_percent < most)
		scheduling_limit(&entity, (guint64)row->limit_percent * SCHEDULING_UNIT / most);
	scheduling_reserve(&entity, MIN((guint64)row->reserve_percent, most) * SCHEDULING_UNIT / most);
	told->weight = row->weight;
	told->latency_ns = entity.latency_ns;
	told->limit_ns = entity.limit_ns;
	told->limit_period_ns = entity.limit_period_ns;
	for (guint i = told->first_task; i < told->first_task + told->n_tasks; i++) {
		struct task *task = workload_task(workload, i);

		task->period_ns = entity.period_ns;
		task->runtime_ns = entity.runtime_ns;
	}
}

static void vm_add(struct workload *workload, const struct recording *recording, struct part *part, guint32 vm,
		   const guint64 vcpus[4])
{
	workload_add_vm(workload, recording->vms.list->pdata[vm], 0);
	for (guint vcpu = 0; vcpu < SCHEDULING_VM_VCPUS_MAX; vcpu++) {
		struct task *task;

		if (!(vcpus[vcpu / 64] >> vcpu % 64 & 1))
			continue;
		task = workload_add_task(workload);
		task->first_sample = (workload->tasks->len - 1) * part->n_rounds;
		task->n_samples = part->n_rounds;
		workload_add_step(workload, STEP_USE, part->sample_ns, 0);
		g_hash_table_insert(part->tasks, GUINT_TO_POINTER(vm << 8 | vcpu),
				    GUINT_TO_POINTER(workload->tasks->len));
	}
}

/* VMs and vCPUs, with samples that want nothing yet. */
static gboolean vms_add(struct workload *workload, const struct recording *recording, struct part *part,
			const char *name, GError **error)
{
	g_autofree guint64(*vcpus)[4] = g_malloc0_n(recording->vms.list->len, sizeof(*vcpus));

	for (guint i = part->first_row; i < recording->rows->len; i++) {
		const struct recorded_row *row = &g_array_index(recording->rows, struct recorded_row, i);

		vcpus[row->vm][row->vcpu / 64] |= G_GUINT64_CONSTANT(1) << row->vcpu % 64;
	}
	for (guint i = 0; i < part->vms->len; i++) {
		guint32 vm = g_array_index(part->vms, guint32, i);

		vm_add(workload, recording, part, vm, vcpus[vm]);
		if ((guint64)workload->tasks->len * part->n_rounds > SAMPLES_MAX) {
			g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID,
				    "%s: more than %u samples: take less of it, with --option seconds=60 or vms=100",
				    name, SAMPLES_MAX);
			return FALSE;
		}
	}
	g_array_set_size(workload->samples, workload->tasks->len * part->n_rounds);
	memset(workload->samples->data, 0, (gsize)workload->samples->len * sizeof(struct sample));
	return TRUE;
}

static void sample_set(struct workload *workload, const struct part *part, const struct recorded_row *row,
		       struct sample *sample)
{
	guint64 wakeups = (guint64)row->wakeups * (guint64)part->sample_ns / 1000 / row->interval_us;

	sample->use_ppm = (guint32)((guint64)row->use_us * SAMPLE_PPM / row->interval_us);
	if (!sample->use_ppm)
		return;
	sample->wakeups = (guint32)CLAMP(wakeups, 1, (guint64)MAX(part->sample_ns / WAKEUP_NS_LEAST, 1));
	workload->no_wakeups |= !row->has_wakeups;
}

/* The rows, in order: what is last said of a VM stays. */
static void rows_add(struct workload *workload, const struct recording *recording, const struct part *part)
{
	for (guint i = part->first_row; i < recording->rows->len; i++) {
		const struct recorded_row *row = &g_array_index(recording->rows, struct recorded_row, i);
		gpointer key = GUINT_TO_POINTER(row->vm << 8 | row->vcpu);
		guint index = GPOINTER_TO_UINT(g_hash_table_lookup(part->tasks, key));
		const struct task *task;
		const char *tenant;

		if (!index)
			continue;
		task = workload_task(workload, index - 1);
		sample_set(workload, part, row,
			   &g_array_index(workload->samples, struct sample,
					  task->first_sample + row->round - part->first_round));
		tenant = recording->vms.list->pdata[row->vm];
		if (row->tenant != RECORDED_NONE)
			tenant = recording->tenants.list->pdata[row->tenant];
		wishes_set(workload, task->vm, row);
		workload_vm(workload, task->vm)->tenant = workload_add_tenant(workload, tenant);
	}
}

/* vCPUs do not begin in step; each so that its first job is done in its time. */
static void starts_set(struct workload *workload, gint64 sample_ns)
{
	for (guint i = 0; i < workload->tasks->len; i++) {
		struct task *task = workload_task(workload, i);
		const struct sample *first = &g_array_index(workload->samples, struct sample, task->first_sample);
		guint64 gap = (guint64)sample_ns / MAX(first->wakeups, 1);
		guint64 slack = gap * (SAMPLE_PPM - first->use_ppm) / SAMPLE_PPM;

		task->start_ns = (gint64)(slack * ((guint64)i * 618034 % SAMPLE_PPM) / SAMPLE_PPM);
	}
}

static struct workload *workload_make(const struct recording *recording, const struct workload_part *wanted,
				      const char *name, GError **error)
{
	g_autoptr(workload_auto) workload = workload_new();
	struct part part = { .vms = g_array_new(FALSE, FALSE, sizeof(guint32)), .tasks = g_hash_table_new(NULL, NULL) };
	gboolean ok;

	part_choose(recording, wanted->seconds, wanted->n_vms, &part);
	ok = vms_add(workload, recording, &part, name, error);
	if (ok) {
		rows_add(workload, recording, &part);
		starts_set(workload, part.sample_ns);
	}
	workload->sample_ns = part.sample_ns;
	workload->horizon_ns = part.sample_ns * part.n_rounds;
	workload->recorded_ns = part.sample_ns * recording->rounds->len;
	workload->topology = (struct topology) { .n_cpus = (guint)recording->cpus,
						 .threads_per_core = (guint)recording->threads,
						 .cores_per_llc = (guint)recording->cores,
						 .llcs_per_node = (guint)recording->llcs,
						 .switch_ns = 1500,
						 .migrate_ns = 5000,
						 .migrate_llc_ns = 20000 };
	g_array_unref(part.vms);
	g_hash_table_unref(part.tasks);
	return ok ? g_steal_pointer(&workload) : NULL;
}

struct workload *workload_read_recorded(const char *text, gsize bytes, const char *name,
					const struct workload_part *part, GError **error)
{
	g_autoptr(GInputStream) stream = g_memory_input_stream_new_from_data(text, (gssize)bytes, NULL);
	g_autoptr(trace_lines_auto) lines = trace_lines_new(stream, name);
	struct workload *workload = NULL;
	struct recording recording;

	if (recorded_rows_read(&recording, lines, error)) {
		if (!recording.rows->len)
			g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID,
				    "%s: no vCPU is in it: let VMs run for some seconds first", name);
		else if (!recording.cpus)
			g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID,
				    "%s: no host row is in it, which tells how many CPUs there are", name);
		else
			workload = workload_make(&recording, part, name, error);
	}
	recorded_rows_clear(&recording);
	return workload;
}
