/* What the tests of daemon/cpu share: a process with threads to schedule, and places of their own. */
#pragma once

#include <sys/types.h>

#include <glib.h>

#include "daemon/cpu/cpu.h"

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
