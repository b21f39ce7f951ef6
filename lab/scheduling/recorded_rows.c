/* The rows of a live recording (README.md has the columns). They are from outside: all is checked, and refused with its place. */
#include "lab/scheduling/recorded.h"

#include <string.h>

#include "core/scheduling/scheduling.h"
#include "lab/scheduling/workload.h"

#define ROWS_MAX        2000000
#define NAME_BYTES_MAX  255
#define TIME_US_MAX     G_GUINT64_CONSTANT(3155760000000000) /* a hundred years after 1970 */
#define INTERVAL_US_MAX G_GUINT64_CONSTANT(3600000000)
#define LATENCY_US_MAX  10000000
#define WAKEUPS_MAX     1000000000

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
_Static_assert(G_N_ELEMENTS(columns) == COLUMNS && RECORDED_COLUMNS == COLUMNS, "a name each");

static guint names_add(struct recorded_names *names, const char *name)
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

static void names_init(struct recorded_names *names)
{
	names->list = g_ptr_array_new_with_free_func(g_free);
	names->numbers = g_hash_table_new(g_str_hash, g_str_equal);
}

static void names_clear(struct recorded_names *names)
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

static gboolean wakeups_read(struct recording *recording, struct recorded_row *row, GError **error)
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

static gboolean once_a_round(struct recording *recording, const struct recorded_row *row, GError **error)
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
	struct recorded_row row = { .round = round_of(recording) };
	guint32 *lasted = &g_array_index(recording->rounds, guint32, row.round);

	if (recording->rows->len == ROWS_MAX)
		return trace_lines_fail(recording->lines, -1, error, "more than %u rows: give a part of them",
					ROWS_MAX);
	if (!name_check(recording, VM, FALSE, error) || !name_check(recording, TENANT, TRUE, error) ||
	    !numbers_read(recording, limits, G_N_ELEMENTS(limits), error) || !wakeups_read(recording, &row, error))
		return FALSE;
	row.vm = names_add(&recording->vms, field(recording, VM));
	row.tenant =
		*field(recording, TENANT) ? names_add(&recording->tenants, field(recording, TENANT)) : RECORDED_NONE;
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

gboolean recorded_rows_read(struct recording *recording, struct trace_lines *lines, GError **error)
{
	*recording = (struct recording) { .lines = lines,
					  .rows = g_array_new(FALSE, FALSE, sizeof(struct recorded_row)),
					  .rounds = g_array_new(FALSE, FALSE, sizeof(guint32)),
					  .seen = g_hash_table_new(NULL, NULL) };
	names_init(&recording->vms);
	names_init(&recording->tenants);
	return header_read(recording, error) && rows_read(recording, error);
}

void recorded_rows_clear(struct recording *recording)
{
	g_array_unref(recording->rows);
	g_array_unref(recording->rounds);
	g_hash_table_unref(recording->seen);
	names_clear(&recording->vms);
	names_clear(&recording->tenants);
}
