/* Traces of VMs that come and go, as events in order of time. Three CSV formats (plain or gzip), told by the header:
 *
 *   azure    vm_id,batch_id,vcpus,mem_gib,arrival_s,life_lo_s,life_hi_s,censored      a VM a line, lifetimes binned
 *   huawei   vmid,cpu,mem,at,lt                                                       a VM a line, memory in GiB
 *   events   time_s,event,vm,cpus,memory_mib,tenant,group,numa_nodes,priority,host,strategy,note
 *            event is create, delete, refuse (asked for and not placed) or host (vm is its name, group its rack);
 *            only time_s, event and vm are required columns
 *
 * and one that is made up as it is read: "synthetic:vms=10000,seed=1,…" (generate.h).
 *
 * Reading needs memory for the VMs alive, the names of tenants and groups, and one bit for each id seen, never for the
 * file. Small traces (TRACE_KEPT_MAX events) are kept once read, larger ones are read again for each replay. */
#pragma once

#include "lab/fleet.h"

#define TRACE_KEPT_MAX (2u << 20) /* events: 128 MiB */
#define TRACE_LIVE_MAX 50000000u  /* VMs alive at once */

enum trace_format { TRACE_AZURE, TRACE_HUAWEI, TRACE_EVENTS, TRACE_SYNTHETIC };
enum trace_lifetime { TRACE_MIDPOINT, TRACE_SHORTEST, TRACE_LONGEST }; /* of a binned lifetime */

enum trace_kind { TRACE_CREATE, TRACE_DELETE, TRACE_REFUSED };
struct trace_event {
	gint64 time_us;
	guint32 slot; /* numbers the VMs alive, densely, and is used again after the delete; unused for REFUSED */
	guint8 kind;
	/* Of a create: */
	guint8 numa_nodes; /* over so many nodes; 0: not said */
	gint32 priority;
	guint32 cpus_milli;
	guint32 memory_mib;
	guint32 batch;  /* what was asked for together; from 1, 0: not known */
	guint32 group;  /* replicas of one thing; from 1, 0: none */
	guint32 tenant; /* from 1, 0: not known */
};

struct trace_options {
	enum trace_lifetime lifetime;
};

struct trace {
	enum trace_format format;
	char *path;
	struct trace_options options;
	guint64 n_creates, n_refused;
	gint64 first_us, last_create_us;
	gint64 end_us; /* measured until here: azure: the end of the window it was recorded in; else the last event */
	guint64 peak_vms; /* alive at once */
	gboolean has_batches, has_groups, has_tenants;
	struct fleet *fleet; /* of host rows; NULL: none */
	GArray *kept;        /* struct trace_event; NULL: too many */
};

/* trace_load(path, options, error): reads the whole of it once, so that every fault is told now. */
struct trace *trace_load(const char *path, const struct trace_options *options, GError **error);
/* trace_load_stream(stream, …): the same from a stream that is read once: all of it is kept. */
struct trace *trace_load_stream(GInputStream *stream, const char *name, const struct trace_options *options,
				GError **error);
void trace_free(struct trace *trace);
typedef struct trace trace_auto; /* for g_autoptr */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(trace_auto, trace_free)

/* Goes through it from the beginning; several may at once, each in its thread. */
struct trace_cursor;
struct trace_cursor *trace_cursor_new(const struct trace *trace, GError **error);
void trace_cursor_free(struct trace_cursor *cursor);
/* trace_cursor_next(cursor, event, error): 1, at the end 0, -1 with the error set (the file changed meanwhile). */
int trace_cursor_next(struct trace_cursor *cursor, struct trace_event *event, GError **error);
