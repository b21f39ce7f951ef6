/* Records what the vCPUs of this host wanted of its CPUs, as the lab reads it (lab/scheduling/README.md): a round of rows a
 * second while VMs run. The file is of limited size, with one older beside it. Used by one thread at a time. */
#pragma once

#include "daemon/agent/cpu_round.h"

#define CPU_RECORD_FILE       "scheduling.csv"
#define CPU_RECORD_FILE_BYTES (8u << 20)

/* The machine, as the lab draws it: all cores alike. At least 1 each. */
struct cpu_record_host {
	guint cpus, threads_per_core, cores_per_llc, llcs_per_node;
};

struct cpu_record;

/* cpu_record_open(path, file_bytes, host, error): go on with the file, or begin it. */
struct cpu_record *cpu_record_open(const char *path, guint64 file_bytes, const struct cpu_record_host *host,
				   GError **error);
void cpu_record_close(struct cpu_record *record); /* NULL is fine */

struct cpu_record_time {
	gint64 wall_us;      /* since 1970 */
	gint64 monotonic_us; /* intervals are by this one */
};
/* cpu_record_add(record, round, time): a row for each vCPU that was there the last time, too: what it did since. Of `round`
 * are read: VMs, their wishes, tenants and usage. */
void cpu_record_add(struct cpu_record *record, const struct cpu_round *round, const struct cpu_record_time *time);

/* cpu_record_copy(record, error): all of it, one header, in a memory file at its beginning; owned by the caller. */
int cpu_record_copy(const struct cpu_record *record, GError **error);
