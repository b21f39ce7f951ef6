/* What the tests of daemon/cpu share: a process with threads to schedule, and a kernel with cgroups in a directory. */
#pragma once

#include <sys/types.h>

#include <glib.h>

#include "daemon/cpu/cpu.h"
#include "daemon/cpu/kernel.h"

#define VICTIM_THREADS 4

/* A process with a main thread and three more: vCPUs are tids[1 … 3]. It ends with the test, whatever happens. */
struct victim {
	pid_t pid;
	pid_t tids[VICTIM_THREADS];
};
void victim_start(struct victim *victim, gboolean busy); /* busy: threads 1 … 3 spin on CPU 0 */
void victim_end(struct victim *victim);

/* A run directory RUN with RUN/NAME in it. */
char *world_run(const char *name);
void world_remove(const char *dir);
/* A group name no other test uses, and where it would be on the real host; NULL: no cpu controller of v1 or v2 here. */
char *world_group(void);
char *world_group_dir(struct cpu *cpu);

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
