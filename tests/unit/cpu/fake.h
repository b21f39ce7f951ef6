/* A kernel of our own: cgroups in a directory, threads in tables. */
#pragma once

#include <sys/types.h>

#include <glib.h>

#include "daemon/cpu/cpu.h"
#include "daemon/cpu/kernel.h"

/* A tree under a temporary directory that behaves as cgroup v1 or v2 does, and a /proc beside it. */
struct fake {
	struct cpu_kernel kernel;
	char *top, *proc, *mount;
	gboolean v2;
	GHashTable *attrs;                             /* tid → struct cpu_attr */
	GHashTable *masks;                             /* tid → struct cpu_mask */
	GHashTable *cookies;                           /* tid → cookie */
	GString *log;                                  /* of writes: "group/file=value\n" */
	const char *fail_file;                         /* writes to files that end so fail … */
	int fail_status;                               /* … with this */
	int attr_status, affinity_status, core_status; /* so do these calls */
	int deadline_status, make_status;
	gboolean no_slice; /* a kernel before 6.12 */
	guint cookie;
};
void fake_init(struct fake *fake, gboolean v2, const char *controllers);
void fake_clear(struct fake *fake);
/* A process PID with threads PID, PID+1 … in the group `path` ("/" …). */
void fake_process(struct fake *fake, pid_t pid, guint n_threads, const char *path);
void fake_thread_ends(struct fake *fake, pid_t pid, pid_t tid);
char *fake_file(struct fake *fake, const char *format, ...) G_GNUC_PRINTF(2, 3); /* content, relative to the mount */
char *fake_group_of(struct fake *fake, pid_t pid, pid_t tid);
struct cpu *fake_open(struct fake *fake, const char *run);
