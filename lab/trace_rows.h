/* Private to the trace reader: the rows of one format, and turning VMs with lifetimes into events. */
#pragma once

#include "lab/trace.h"
#include "lab/trace_lines.h"

#define TRACE_TIME_US_MAX G_GINT64_CONSTANT(3155760000000000) /* a hundred years */
#define TRACE_NEVER       G_MAXINT64
#define TRACE_CPUS_MAX    65536
#define TRACE_MEMORY_MAX  (64u << 20) /* MiB: 64 TiB */
#define TRACE_NAMES_MAX   16000000u   /* different tenants, or groups */

/* What a row says before VMs have slots. */
struct trace_row {
	enum { TRACE_ROW_VM, TRACE_ROW_CREATE, TRACE_ROW_DELETE, TRACE_ROW_REFUSED, TRACE_ROW_HOST } kind;
	struct trace_event event;
	gint64 end_us;                   /* of a VM row; TRACE_NEVER: it outlives the window */
	gint64 seen_us;                  /* of a VM row: so long it was certainly observed */
	const char *name;                /* of the VM or host, borrowed until the next row */
	guint64 id;                      /* numeric id of a VM row */
	guint64 nodes, cpus, memory_mib; /* of a host row */
	const char *rack;
};

struct trace_rows;
/* trace_rows_new(lines, options, error): reads the header; takes over `lines`, also when it fails. */
struct trace_rows *trace_rows_new(struct trace_lines *lines, const struct trace_options *options, GError **error);
void trace_rows_free(struct trace_rows *rows);
enum trace_format trace_rows_format(const struct trace_rows *rows);
struct trace_lines *trace_rows_lines(struct trace_rows *rows);
gboolean trace_rows_has(const struct trace_rows *rows, const char *column);
int trace_rows_next(struct trace_rows *rows, struct trace_row *row, GError **error);

/* A min-heap of departures, earliest first, ties by slot. */
struct trace_departure {
	gint64 time_us;
	guint32 slot;
};
void trace_departures_push(GArray *heap, struct trace_departure departure);
struct trace_departure trace_departures_pop(GArray *heap);

/* Which ids were seen: one bit each where they are dense. */
struct trace_ids;
struct trace_ids *trace_ids_new(void);
void trace_ids_free(struct trace_ids *ids);
gboolean trace_ids_add(struct trace_ids *ids, guint64 id); /* FALSE: it was there */
