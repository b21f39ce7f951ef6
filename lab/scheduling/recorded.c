/* What the live platform recorded of its vCPUs (`--trace live`): a round of rows every second or so, and in a row what one vCPU
 * ran and waited since the round before. Each round becomes a sample; a pause of the recording is left out. A vCPU wants what
 * it ran and what it was ready for; a VM's wishes are those of its last row. README.md has the columns. */
#include <string.h>

#include "core/scheduling/scheduling.h"
#include "lab/error.h"
#include "lab/scheduling/workload.h"
#include "lab/trace_lines.h"

#define SECONDS_DEFAULT 600
#define ROWS_MAX        2000000
#define SAMPLES_MAX     (32u << 20)
#define NAME_BYTES_MAX  255
#define TIME_US_MAX     G_GUINT64_CONSTANT(3155760000000000) /* a hundred years after 1970 */
#define INTERVAL_US_MAX G_GUINT64_CONSTANT(3600000000)
#define LATENCY_US_MAX  10000000
#define WAKEUPS_MAX     1000000000
#define WAKEUP_NS_LEAST 10000     /* apart: more would be a program's own doing, and only cost time here */
#define PERIOD_NS       100000000 /* of limits, and of reservations without a latency target: as they are enforced */
#define NONE            G_MAXUINT32

enum column {
	TIME,
	EVENT,
	VM,
	VCPU,
	TENANT,
	WEIGHT,
	LIMIT,
	RESERVE,
	LATENCY,
	INTERVAL,
	RUN,
	READY,
	THROTTLED,
	WAKEUPS,
	SWITCHES,
	CPUS,
	THREADS,
	CORES,
	LLCS,
	COLUMNS
};
/* In this order. */
static const char *const columns[] = {
	"time_s",        "event",           "vm",         "vcpu",        "tenant",           "weight",
	"limit_percent", "reserve_percent", "latency_us", "interval_us", "run_us",           "ready_us",
	"throttled_us",  "wakeups",         "switches",   "cpus",        "threads_per_core", "cores_per_llc",
	"llcs_per_node"
};
_Static_assert(G_N_ELEMENTS(columns) == COLUMNS, "a name each");

struct row {
	guint32 round, vm, tenant, interval_us, use_us, wakeups;
	guint16 vcpu, weight;
	guint32 limit_percent, reserve_percent, latency_us;
	gboolean has_wakeups;
};

/* Of VMs and tenants: numbers by name, from 0. */
struct names {
	GHashTable *numbers;
	GPtrArray *list; /* owned strings */
};

struct recording {
	struct trace_lines *lines;
	int at[COLUMNS];  /* of each column in a row */
	guint64 time_us;  /* of the row before */
	guint64 round_us; /* of the last round */
	GArray *rows;     /* struct row */
	GArray *rounds;   /* guint32: µs it lasted */
	struct names vms, tenants;
	GHashTable *seen; /* vm << 8 | vcpu → number of the round it was last in, from 1 */
	guint64 cpus, threads, cores, llcs;
};

static guint names_add(struct names *names, const char *name)
{
	gpointer number;
	char *own;

	if (g_hash_table_lookup_extended(names->numbers, name, NULL, &number))
		return GPOINTER_TO_UINT(number);
	own = g_strdup(name);
	g_ptr_array_add(names->list, own);
	g_hash_table_insert(names->numbers, own, GUINT_TO_POINTER(names->list->len - 1));
	return names->list->len - 1;
}

static void names_init(struct names *names)
{
	names->list = g_ptr_array_new_with_free_func(g_free);
	names->numbers = g_hash_table_new(g_str_hash, g_str_equal);
}

static void names_clear(struct names *names)
{
	g_hash_table_unref(names->numbers);
	g_ptr_array_unref(names->list);
}

/* ---- Rows ---- */

static gboolean header_read(struct recording *recording, GError **error)
{
	if (!trace_lines_header(recording->lines, error))
		return FALSE;
	for (guint i = 0; i < COLUMNS; i++) {
		recording->at[i] = trace_lines_column(recording->lines, columns[i]);
		if (recording->at[i] < 0)
			return trace_lines_fail(recording->lines, -1, error, "the column %s is missing", columns[i]);
	}
	for (guint i = 0; i < trace_lines_n_columns(recording->lines); i++) {
		gboolean known = FALSE;

		for (guint k = 0; k < COLUMNS; k++)
			known |= recording->at[k] == (int)i;
		if (!known)
			return trace_lines_fail(recording->lines, (int)i, error, "unknown column");
	}
	return TRUE;
}

struct limits {
	enum column column;
	guint64 least, most;
	guint64 *value;
};

static gboolean numbers_read(struct recording *recording, const struct limits *limits, gsize n, GError **error)
{
	for (gsize i = 0; i < n; i++) {
		int at = recording->at[limits[i].column];

		if (!trace_lines_decimal(recording->lines, at, 1, limits[i].most, limits[i].value, error))
			return FALSE;
		if (*limits[i].value < limits[i].least)
			return trace_lines_fail(recording->lines, at, error, "it is at least %" G_GUINT64_FORMAT,
						limits[i].least);
	}
	return TRUE;
}

static const char *field(const struct recording *recording, enum column column)
{
	return trace_lines_field(recording->lines, (guint)recording->at[column]);
}

static gboolean name_check(struct recording *recording, enum column column, gboolean may_lack, GError **error)
{
	const char *name = field(recording, column);

	if ((*name || may_lack) && strlen(name) <= NAME_BYTES_MAX && g_utf8_validate(name, -1, NULL))
		return TRUE;
	return trace_lines_fail(recording->lines, recording->at[column], error, "a name of 1 to %u bytes is needed",
				NAME_BYTES_MAX);
}

static gboolean time_read(struct recording *recording, GError **error)
{
	guint64 time_us;

	if (!trace_lines_decimal(recording->lines, recording->at[TIME], SAMPLE_PPM, TIME_US_MAX, &time_us, error))
		return FALSE;
	if (time_us < recording->time_us)
		return trace_lines_fail(recording->lines, recording->at[TIME], error,
					"before the row above it: rows are in order of time");
	recording->time_us = time_us;
	return TRUE;
}

/* vCPUs of one time are one round. */
static guint32 round_of(struct recording *recording)
{
	guint32 not_known = 0;

	if (recording->time_us > recording->round_us || !recording->rounds->len)
		g_array_append_val(recording->rounds, not_known);
	recording->round_us = recording->time_us;
	return recording->rounds->len - 1;
}

static gboolean host_read(struct recording *recording, GError **error)
{
	const struct limits limits[] = {
		{ CPUS, 1, WORKLOAD_CPUS_MAX, &recording->cpus },
		{ THREADS, 1, WORKLOAD_CPUS_MAX, &recording->threads },
		{ CORES, 1, WORKLOAD_CPUS_MAX, &recording->cores },
		{ LLCS, 1, WORKLOAD_CPUS_MAX, &recording->llcs },
	};

	return numbers_read(recording, limits, G_N_ELEMENTS(limits), error);
}

static gboolean wakeups_read(struct recording *recording, struct row *row, GError **error)
{
	guint64 wakeups = 0, switches = 0;
	const struct limits limits[] = { { WAKEUPS, 0, WAKEUPS_MAX, &wakeups },
					 { SWITCHES, 0, WAKEUPS_MAX, &switches } };

	if (*field(recording, SWITCHES) && !numbers_read(recording, &limits[1], 1, error))
		return FALSE;
	row->has_wakeups = *field(recording, WAKEUPS) != '\0';
	if (row->has_wakeups && !numbers_read(recording, &limits[0], 1, error))
		return FALSE;
	row->wakeups = (guint32)wakeups;
	return TRUE;
}

static gboolean once_a_round(struct recording *recording, const struct row *row, GError **error)
{
	gpointer key = GUINT_TO_POINTER(row->vm << 8 | row->vcpu), round = GUINT_TO_POINTER(row->round + 1);

	if (g_hash_table_lookup(recording->seen, key) == round)
		return trace_lines_fail(recording->lines, recording->at[VCPU], error,
					"vCPU %u of %.80s is there twice at that time", row->vcpu,
					field(recording, VM));
	g_hash_table_insert(recording->seen, key, round);
	return TRUE;
}

static gboolean vcpu_read(struct recording *recording, GError **error)
{
	guint64 vcpu, weight, limit, reserve, latency, interval, run, ready, throttled;
	const struct limits limits[] = {
		{ VCPU, 0, SCHEDULING_VM_VCPUS_MAX - 1, &vcpu },
		{ WEIGHT, 1, SCHEDULING_WEIGHT_MAX, &weight },
		{ LIMIT, 0, SCHEDULING_VM_VCPUS_MAX * 100, &limit },
		{ RESERVE, 0, SCHEDULING_VM_VCPUS_MAX * 100, &reserve },
		{ LATENCY, 0, LATENCY_US_MAX, &latency },
		{ INTERVAL, 1000, INTERVAL_US_MAX, &interval },
		{ RUN, 0, INTERVAL_US_MAX * 2, &run },
		{ READY, 0, INTERVAL_US_MAX * 2, &ready },
		{ THROTTLED, 0, INTERVAL_US_MAX * 2, &throttled },
	};
	struct row row = { .round = round_of(recording) };
	guint32 *lasted = &g_array_index(recording->rounds, guint32, row.round);

	if (recording->rows->len == ROWS_MAX)
		return trace_lines_fail(recording->lines, -1, error, "more than %u rows: give a part of them",
					ROWS_MAX);
	if (!name_check(recording, VM, FALSE, error) || !name_check(recording, TENANT, TRUE, error) ||
	    !numbers_read(recording, limits, G_N_ELEMENTS(limits), error) || !wakeups_read(recording, &row, error))
		return FALSE;
	row.vm = names_add(&recording->vms, field(recording, VM));
	row.tenant = *field(recording, TENANT) ? names_add(&recording->tenants, field(recording, TENANT)) : NONE;
	row.vcpu = (guint16)vcpu;
	row.weight = (guint16)weight;
	row.limit_percent = (guint32)limit;
	row.reserve_percent = (guint32)reserve;
	row.latency_us = (guint32)latency;
	row.interval_us = (guint32)interval;
	/* The counters of a host in distress are read late: more than there was time for is no demand. */
	row.use_us = (guint32)MIN(run + ready, interval);
	*lasted = MAX(*lasted, row.interval_us);
	if (!once_a_round(recording, &row, error))
		return FALSE;
	g_array_append_val(recording->rows, row);
	return TRUE;
}

static gboolean rows_read(struct recording *recording, GError **error)
{
	int got;

	while ((got = trace_lines_next(recording->lines, error)) > 0) {
		const char *event;

		if (!trace_lines_whole(recording->lines, error) || !time_read(recording, error))
			return FALSE;
		event = field(recording, EVENT);
		if (strcmp(event, "host") == 0) {
			if (!host_read(recording, error))
				return FALSE;
		} else if (strcmp(event, "vcpu") != 0) {
			return trace_lines_fail(recording->lines, recording->at[EVENT], error,
						"'%.40s' is no event: host and vcpu are", event);
		} else if (!vcpu_read(recording, error)) {
			return FALSE;
		}
	}
	return got == 0;
}

/* ---- The workload ---- */

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

/* The last seconds of it, and the first VMs by name of those that are in them. */
static void part_choose(const struct recording *recording, guint seconds, guint n_vms, struct part *part)
{
	g_autoptr(GArray) lengths = g_array_copy(recording->rounds);
	g_autofree gboolean *there = g_new0(gboolean, recording->vms.list->len);
	guint64 rounds;

	g_array_sort(lengths, by_length);
	part->sample_ns = (gint64)g_array_index(lengths, guint32, lengths->len / 2) * 1000;
	rounds = (guint64)(seconds ? seconds : SECONDS_DEFAULT) * 1000000000 / (guint64)part->sample_ns;
	part->n_rounds = (guint32)CLAMP(rounds, 1, lengths->len);
	part->first_round = recording->rounds->len - part->n_rounds;
	part->first_row = recording->rows->len;
	while (part->first_row &&
	       g_array_index(recording->rows, struct row, part->first_row - 1).round >= part->first_round)
		part->first_row--;
	for (guint i = part->first_row; i < recording->rows->len; i++)
		there[g_array_index(recording->rows, struct row, i).vm] = TRUE;
	for (guint32 i = 0; i < recording->vms.list->len; i++)
		if (there[i])
			g_array_append_val(part->vms, i);
	g_array_sort_with_data(part->vms, by_name, recording->vms.list);
	if (n_vms && n_vms < part->vms->len)
		g_array_set_size(part->vms, n_vms);
}

/* Its vCPUs share a VM's percents evenly, as live. */
static void wishes_set(struct workload *workload, guint vm, const struct row *row)
{
	struct workload_vm *told = workload_vm(workload, vm);
	gint64 most = (gint64)told->n_tasks * 100;

	told->weight = row->weight;
	told->latency_ns = (gint64)row->latency_us * 1000;
	told->limit_ns = told->limit_period_ns = 0;
	if (row->limit_percent && row->limit_percent < most) {
		told->limit_period_ns = PERIOD_NS;
		told->limit_ns = PERIOD_NS * (gint64)row->limit_percent / most;
	}
	for (guint i = told->first_task; i < told->first_task + told->n_tasks; i++) {
		struct task *task = workload_task(workload, i);

		task->period_ns = task->runtime_ns = 0;
		if (!row->reserve_percent)
			continue;
		task->period_ns = told->latency_ns ? MIN(told->latency_ns, PERIOD_NS) : PERIOD_NS;
		task->runtime_ns = task->period_ns * MIN((gint64)row->reserve_percent, most) / most;
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
		const struct row *row = &g_array_index(recording->rows, struct row, i);

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

static void sample_set(struct workload *workload, const struct part *part, const struct row *row, struct sample *sample)
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
		const struct row *row = &g_array_index(recording->rows, struct row, i);
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
		if (row->tenant != NONE)
			tenant = recording->tenants.list->pdata[row->tenant];
		wishes_set(workload, task->vm, row);
		workload_vm(workload, task->vm)->tenant = workload_add_tenant(workload, tenant);
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
	if (ok)
		rows_add(workload, recording, &part);
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
	struct recording recording = { .lines = lines,
				       .rows = g_array_new(FALSE, FALSE, sizeof(struct row)),
				       .rounds = g_array_new(FALSE, FALSE, sizeof(guint32)),
				       .seen = g_hash_table_new(NULL, NULL) };
	struct workload *workload = NULL;

	names_init(&recording.vms);
	names_init(&recording.tenants);
	if (header_read(&recording, error) && rows_read(&recording, error)) {
		if (!recording.rows->len)
			g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID,
				    "%s: no vCPU is in it: let VMs run for some seconds first", name);
		else if (!recording.cpus)
			g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID,
				    "%s: no host row is in it, which tells how many CPUs there are", name);
		else
			workload = workload_make(&recording, part, name, error);
	}
	g_array_unref(recording.rows);
	g_array_unref(recording.rounds);
	g_hash_table_unref(recording.seen);
	names_clear(&recording.vms);
	names_clear(&recording.tenants);
	return workload;
}
