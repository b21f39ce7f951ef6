/* Inside the reader of live recordings: the rows, before they are a workload. */
#pragma once

#include "lab/trace_lines.h"

#define RECORDED_COLUMNS 19
#define RECORDED_NONE    G_MAXUINT32 /* no tenant is told */

struct recorded_row {
	guint32 round, vm, tenant, interval_us, use_us, wakeups;
	guint16 vcpu, weight;
	guint32 limit_percent, reserve_percent, latency_us;
	gboolean has_wakeups;
};

/* Of VMs and tenants: numbers by name, from 0. */
struct recorded_names {
	GHashTable *numbers;
	GPtrArray *list; /* owned strings */
};

struct recording {
	struct trace_lines *lines;
	int at[RECORDED_COLUMNS]; /* of each column in a row */
	guint64 time_us;          /* of the row before */
	guint64 round_us;         /* of the last round */
	GArray *rows;             /* struct recorded_row */
	GArray *rounds;           /* guint32: µs it lasted */
	struct recorded_names vms, tenants;
	GHashTable *seen; /* vm << 8 | vcpu → number of the round it was last in, from 1 */
	guint64 cpus, threads, cores, llcs;
};

/* recorded_rows_read(recording, lines, error): all rows of `lines`. Clear it after, also when it fails. */
gboolean recorded_rows_read(struct recording *recording, struct trace_lines *lines, GError **error);
void recorded_rows_clear(struct recording *recording);
