/* The two processes of a running VM, polder-vm and QEMU, held by pidfd: a pid alone may by now be someone else. */
#pragma once

#include <glib.h>
#include <sys/types.h>

struct process {
	pid_t supervisor, child;
	int supervisor_fd, child_fd; /* pidfds; child_fd -1 when QEMU could not be found any more */
};

#define PROCESS_NONE ((struct process) { 0, 0, -1, -1 })

/* process_find(run_dir, process, error): who holds the run directory's lock, and its child. FALSE with
 * POLDER_ERROR_NOT_FOUND when nobody does: the VM has ended. */
gboolean process_find(const char *run_dir, struct process *process, GError **error);

/* process_find_child(run_dir, process): look for QEMU again: polder-vm may have been found before it had forked it. */
void process_find_child(const char *run_dir, struct process *process);
/* process_clear(process): close its pidfds; it becomes PROCESS_NONE. */
void process_clear(struct process *process);

/* process_kill(process): SIGKILL to QEMU, so that polder-vm records its end; to polder-vm (with which QEMU dies) when
 * QEMU is not known. */
void process_kill(const struct process *process);

/* process_spawn(argv, launch_fd, timeout_ms, error): run polder-vm's first process and wait for it: QEMU was executed.
 * It inherits `launch_fd` as PROCESS_LAUNCH_FD (-1: nothing). Blocks: for worker threads. On failure the error is its
 * line on stderr. */
gboolean process_spawn(char *const *argv, int launch_fd, guint timeout_ms, GError **error);
#define PROCESS_LAUNCH_FD 3

/* process_ended(pidfd): the process behind it is gone (a zombie is). */
gboolean process_ended(int pidfd);
