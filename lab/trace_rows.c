#include "lab/trace_rows.h"

#include <string.h>

#include "lab/error.h"

#define AZURE_SAMPLE_US G_GINT64_CONSTANT(300000000)
#define FORMATS                                                                                                      \
	"vm_id,batch_id,vcpus,mem_gib,arrival_s,life_lo_s,life_hi_s,censored (azure), vmid,cpu,mem,at,lt (huawei), " \
	"or "                                                                                                        \
	"time_s,event,vm,cpus,memory_mib,… (events)"

enum { AZURE_VM, AZURE_BATCH, AZURE_CPUS, AZURE_MEMORY, AZURE_ARRIVAL, AZURE_LOW, AZURE_HIGH, AZURE_CENSORED };
static const char *const azure_columns[] = { "vm_id",     "batch_id",  "vcpus",    "mem_gib", "arrival_s",
					     "life_lo_s", "life_hi_s", "censored", NULL };
enum { HUAWEI_VM, HUAWEI_CPUS, HUAWEI_MEMORY, HUAWEI_AT, HUAWEI_LIFETIME };
static const char *const huawei_columns[] = { "vmid", "cpu", "mem", "at", "lt", NULL };
enum {
	EVENT_TIME,
	EVENT_KIND,
	EVENT_VM,
	EVENT_CPUS,
	EVENT_MEMORY,
	EVENT_TENANT,
	EVENT_GROUP,
	EVENT_NODES,
	EVENT_PRIORITY
};
static const char *const event_columns[] = { "time_s",   "event", "vm",         "cpus",     "memory_mib",
					     "tenant",   "group", "numa_nodes", "priority", "host",
					     "strategy", "note",  NULL };
static const char *const *const format_columns[] = {
	[TRACE_AZURE] = azure_columns,
	[TRACE_HUAWEI] = huawei_columns,
	[TRACE_EVENTS] = event_columns,
};

struct trace_rows {
	struct trace_lines *lines;
	struct trace_options options;
	enum trace_format format;
	int column[16]; /* where the format's n-th column is; -1: not there */
	GHashTable *tenants, *groups;
	gint64 time_us; /* of the row before */
	/* Of the row before, for formats that don't name what was asked for together. */
	guint32 batch, batch_cpus, batch_memory;
	gint64 batch_us;
};

void trace_rows_free(struct trace_rows *rows)
{
	if (!rows)
		return;
	trace_lines_free(rows->lines);
	g_hash_table_unref(rows->tenants);
	g_hash_table_unref(rows->groups);
	g_free(rows);
}

enum trace_format trace_rows_format(const struct trace_rows *rows)
{
	return rows->format;
}

struct trace_lines *trace_rows_lines(struct trace_rows *rows)
{
	return rows->lines;
}

gboolean trace_rows_has(const struct trace_rows *rows, const char *column)
{
	return trace_lines_column(rows->lines, column) >= 0;
}

static gboolean header_match(struct trace_rows *rows, GError **error)
{
	static const char *const sign[] = { "vm_id", "vmid", "time_s" };
	const char *const *columns;

	for (rows->format = TRACE_AZURE; rows->format <= TRACE_EVENTS; rows->format++)
		if (trace_lines_column(rows->lines, sign[rows->format]) >= 0)
			break;
	if (rows->format > TRACE_EVENTS)
		return trace_lines_fail(rows->lines, -1, error, "the header is of no known trace; known are " FORMATS);
	columns = format_columns[rows->format];
	for (guint i = 0; columns[i]; i++) {
		rows->column[i] = trace_lines_column(rows->lines, columns[i]);
		if (rows->column[i] < 0 && (rows->format != TRACE_EVENTS || i <= EVENT_VM))
			return trace_lines_fail(rows->lines, -1, error, "the column %s is missing; known are " FORMATS,
						columns[i]);
	}
	for (guint i = 0; i < trace_lines_n_columns(rows->lines); i++)
		if (!g_strv_contains(columns, trace_lines_column_name(rows->lines, i)))
			return trace_lines_fail(rows->lines, (int)i, error, "unknown column; known are " FORMATS);
	return TRUE;
}

struct trace_rows *trace_rows_new(struct trace_lines *lines, const struct trace_options *options, GError **error)
{
	struct trace_rows *rows = g_new0(struct trace_rows, 1);

	rows->lines = lines;
	rows->options = *options;
	rows->tenants = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	rows->groups = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	if (trace_lines_header(lines, error) && header_match(rows, error))
		return rows;
	trace_rows_free(rows);
	return NULL;
}

/* ---- Fields ---- */

static gboolean field_number(struct trace_rows *rows, int field, guint64 scale, guint64 max, guint64 *value,
			     GError **error)
{
	return trace_lines_decimal(rows->lines, rows->column[field], scale, max, value, error);
}

static gboolean field_time(struct trace_rows *rows, int field, gint64 *time_us, GError **error)
{
	guint64 value;

	if (!field_number(rows, field, 1000000, TRACE_TIME_US_MAX, &value, error))
		return FALSE;
	*time_us = (gint64)value;
	return TRUE;
}

/* When the row happened: never before the row above. */
static gboolean field_now(struct trace_rows *rows, int field, gint64 *time_us, GError **error)
{
	if (!field_time(rows, field, time_us, error))
		return FALSE;
	if (*time_us < rows->time_us)
		return trace_lines_fail(rows->lines, rows->column[field], error,
					"time runs backwards: %s is before the row above; sort the rows by time",
					trace_lines_field(rows->lines, (guint)rows->column[field]));
	rows->time_us = *time_us;
	return TRUE;
}

/* What the VM takes; memory in GiB (`gib`) or MiB. */
static gboolean field_sizes(struct trace_rows *rows, int cpus, int memory, gboolean gib, struct trace_event *event,
			    GError **error)
{
	guint64 cpus_milli, size;

	if (!field_number(rows, cpus, 1000, TRACE_CPUS_MAX * UINT64_C(1000), &cpus_milli, error))
		return FALSE;
	if (cpus_milli == 0)
		return trace_lines_fail(rows->lines, rows->column[cpus], error,
					"0 vCPUs: a VM has at least a part of one");
	if (!field_number(rows, memory, gib ? 1000000 : 1,
			  gib ? (TRACE_MEMORY_MAX >> 10) * UINT64_C(1000000) : TRACE_MEMORY_MAX, &size, error))
		return FALSE;
	if (size == 0)
		return trace_lines_fail(rows->lines, rows->column[memory], error, "no memory: a VM has at least 1 MiB");
	event->cpus_milli = (guint32)cpus_milli;
	event->memory_mib = (guint32)(gib ? (size * 1024 + 999999) / 1000000 : size);
	return TRUE;
}

/* Where nothing names batches: consecutive requests of one size at one time are one. */
static guint32 batch_of(struct trace_rows *rows, const struct trace_event *event)
{
	if (rows->batch == 0 || rows->batch_us != event->time_us || rows->batch_cpus != event->cpus_milli ||
	    rows->batch_memory != event->memory_mib) {
		rows->batch++;
		rows->batch_us = event->time_us;
		rows->batch_cpus = event->cpus_milli;
		rows->batch_memory = event->memory_mib;
	}
	return rows->batch;
}

/* ---- A row of each format ---- */

static gboolean azure_row(struct trace_rows *rows, struct trace_row *row, GError **error)
{
	guint64 batch, censored;
	gint64 low, high, life;

	row->kind = TRACE_ROW_VM;
	if (!field_number(rows, AZURE_VM, 1, G_MAXINT64, &row->id, error) ||
	    !field_number(rows, AZURE_BATCH, 1, G_MAXUINT32 - 1, &batch, error) ||
	    !field_sizes(rows, AZURE_CPUS, AZURE_MEMORY, TRUE, &row->event, error) ||
	    !field_now(rows, AZURE_ARRIVAL, &row->event.time_us, error) || !field_time(rows, AZURE_LOW, &low, error) ||
	    !field_time(rows, AZURE_HIGH, &high, error) || !field_number(rows, AZURE_CENSORED, 1, 1, &censored, error))
		return FALSE;
	if (high < low)
		return trace_lines_fail(rows->lines, rows->column[AZURE_HIGH], error,
					"the longest lifetime is shorter than the shortest");
	row->event.batch = row->event.group = (guint32)batch + 1;
	row->seen_us = row->event.time_us + low;
	/* Lifetimes were sampled every five minutes: so is the middle of a bin, rounded down. */
	life = rows->options.lifetime == TRACE_SHORTEST  ? low
	       : rows->options.lifetime == TRACE_LONGEST ? high
							 : (low + (high - low) / 2) / AZURE_SAMPLE_US * AZURE_SAMPLE_US;
	row->end_us = censored ? TRACE_NEVER : row->event.time_us + life;
	return TRUE;
}

static gboolean huawei_row(struct trace_rows *rows, struct trace_row *row, GError **error)
{
	gint64 life;

	row->kind = TRACE_ROW_VM;
	if (!field_number(rows, HUAWEI_VM, 1, G_MAXINT64, &row->id, error) ||
	    !field_sizes(rows, HUAWEI_CPUS, HUAWEI_MEMORY, TRUE, &row->event, error) ||
	    !field_now(rows, HUAWEI_AT, &row->event.time_us, error) || !field_time(rows, HUAWEI_LIFETIME, &life, error))
		return FALSE;
	row->event.batch = row->event.group = batch_of(rows, &row->event);
	row->end_us = row->seen_us = row->event.time_us + life;
	return TRUE;
}

static const char *event_field(struct trace_rows *rows, int field)
{
	return rows->column[field] < 0 ? "" : trace_lines_field(rows->lines, (guint)rows->column[field]);
}

static gboolean event_name(struct trace_rows *rows, GHashTable *table, int field, guint32 *number, GError **error)
{
	const char *name = event_field(rows, field);
	gpointer found;

	*number = 0;
	if (!*name)
		return TRUE;
	found = g_hash_table_lookup(table, name);
	if (!found) {
		if (g_hash_table_size(table) == TRACE_NAMES_MAX)
			return trace_lines_fail(rows->lines, rows->column[field], error,
						"more than %u different names in this column", TRACE_NAMES_MAX);
		found = GUINT_TO_POINTER(g_hash_table_size(table) + 1);
		g_hash_table_insert(table, g_strdup(name), found);
	}
	*number = GPOINTER_TO_UINT(found);
	return TRUE;
}

static gboolean event_nodes(struct trace_rows *rows, guint64 *nodes, GError **error)
{
	*nodes = 0;
	return !*event_field(rows, EVENT_NODES) ||
	       field_number(rows, EVENT_NODES, 1, ALLOCATION_NODES_MAX, nodes, error);
}

static gboolean event_priority(struct trace_rows *rows, gint32 *priority, GError **error)
{
	const char *text = event_field(rows, EVENT_PRIORITY);
	gint64 value = 0;
	char *end = NULL;

	*priority = 0;
	if (!*text)
		return TRUE;
	value = g_ascii_strtoll(text, &end, 10);
	if (end == text || *end || value < -1000000 || value > 1000000)
		return trace_lines_fail(rows->lines, rows->column[EVENT_PRIORITY], error,
					"'%.40s' is no priority: a whole number from -1000000 to 1000000", text);
	*priority = (gint32)value;
	return TRUE;
}

static gboolean event_host(struct trace_rows *rows, struct trace_row *row, GError **error)
{
	if (!event_nodes(rows, &row->nodes, error) ||
	    !field_number(rows, EVENT_CPUS, 1, TRACE_CPUS_MAX, &row->cpus, error) ||
	    !field_number(rows, EVENT_MEMORY, 1, (guint64)TRACE_MEMORY_MAX * 2, &row->memory_mib, error))
		return FALSE;
	row->nodes = MAX(row->nodes, 1);
	row->rack = event_field(rows, EVENT_GROUP);
	return TRUE;
}

static gboolean event_create(struct trace_rows *rows, struct trace_row *row, GError **error)
{
	guint64 nodes;

	if (rows->column[EVENT_CPUS] < 0 || rows->column[EVENT_MEMORY] < 0)
		return trace_lines_fail(rows->lines, -1, error,
					"a create needs its size: the columns cpus and memory_mib are missing");
	if (!field_sizes(rows, EVENT_CPUS, EVENT_MEMORY, FALSE, &row->event, error) ||
	    !event_nodes(rows, &nodes, error) || !event_priority(rows, &row->event.priority, error) ||
	    !event_name(rows, rows->tenants, EVENT_TENANT, &row->event.tenant, error) ||
	    !event_name(rows, rows->groups, EVENT_GROUP, &row->event.group, error))
		return FALSE;
	row->event.numa_nodes = (guint8)nodes;
	row->event.batch = row->event.group ? row->event.group : batch_of(rows, &row->event) | 0x80000000u;
	return TRUE;
}

static gboolean event_row(struct trace_rows *rows, struct trace_row *row, GError **error)
{
	const char *kind = event_field(rows, EVENT_KIND);

	if (!field_now(rows, EVENT_TIME, &row->event.time_us, error))
		return FALSE;
	row->name = event_field(rows, EVENT_VM);
	if (!*row->name)
		return trace_lines_fail(rows->lines, rows->column[EVENT_VM], error, "a row needs the name it is about");
	if (strcmp(kind, "create") == 0) {
		row->kind = TRACE_ROW_CREATE;
		return event_create(rows, row, error);
	}
	if (strcmp(kind, "refuse") == 0) {
		row->kind = TRACE_ROW_REFUSED;
		return TRUE;
	}
	if (strcmp(kind, "delete") == 0) {
		row->kind = TRACE_ROW_DELETE;
		return TRUE;
	}
	if (strcmp(kind, "host") == 0) {
		row->kind = TRACE_ROW_HOST;
		if (rows->column[EVENT_CPUS] < 0 || rows->column[EVENT_MEMORY] < 0)
			return trace_lines_fail(rows->lines, -1, error,
						"a host needs its size: the columns cpus and memory_mib are missing");
		return event_host(rows, row, error);
	}
	return trace_lines_fail(rows->lines, rows->column[EVENT_KIND], error,
				"'%.40s' is no event: it is create, delete, refuse or host", kind);
}

int trace_rows_next(struct trace_rows *rows, struct trace_row *row, GError **error)
{
	int got = trace_lines_next(rows->lines, error);
	gboolean ok = FALSE;

	if (got <= 0)
		return got;
	if (!trace_lines_whole(rows->lines, error))
		return -1;
	memset(row, 0, sizeof *row);
	switch (rows->format) {
	case TRACE_AZURE:
		ok = azure_row(rows, row, error);
		break;
	case TRACE_HUAWEI:
		ok = huawei_row(rows, row, error);
		break;
	case TRACE_EVENTS:
		ok = event_row(rows, row, error);
		break;
	case TRACE_SYNTHETIC:
		g_assert_not_reached();
	}
	return ok ? 1 : -1;
}
