/* A VM's run directory as the agent sees it: the intent it writes, the exit record and the lock of polder-vm it reads.
 * All of it blocks on the file system: for worker threads, but for exit records (small, in RUN). */
#pragma once

#include <glib.h>

#define RUNDIR_ENGINE "qemu"

/* Durable before anything is forked: what a later agent needs to know about a VM it did not start. */
struct intent {
	char *name, *uuid, *engine, *accelerator, *boot_id, *console_log;
	guint64 run;
	guint64 uid; /* QEMU's; 0: our own */
};

/* intent_write(run_dir, intent, error): atomic and durable, the directory too. */
gboolean intent_write(const char *run_dir, const struct intent *intent, GError **error);
/* intent_read(run_dir, intent, error): NOT_FOUND, or CORRUPT when it does not name a VM. intent_clear frees it. */
gboolean intent_read(const char *run_dir, struct intent *intent, GError **error);
void intent_clear(struct intent *intent);

/* The host's boot id, "" when unknown. Caller frees. */
char *boot_id_get(void);

struct exit_record {
	guint status; /* code, or 128 + signal */
	gboolean signalled;
	gint64 ended_at; /* µs */
	char *last;      /* QEMU's last line on stderr, may be "" */
};

/* exit_record_read: FALSE when there is none (POLDER_ERROR_NOT_FOUND) or it can't be read. */
gboolean exit_record_read(const char *run_dir, struct exit_record *record, GError **error);
/* exit_record_clear(record): free it; fine after a failed read. */
void exit_record_clear(struct exit_record *record);

/* rundir_prepare(run_dir, error): make it (0700) if need be and remove what an earlier run left in it. */
gboolean rundir_prepare(const char *run_dir, GError **error);

/* rundir_launch_lock(run_dir, timeout_ms, error): begin a start: make the directory if need be and take the exclusive
 * flock of its file `launch`. The lock lives with the open file, which polder-vm inherits and closes once it holds its
 * own: a later agent that finds neither lock nor exit record knows from it whether a start is still under way. Waits for
 * another start to be over. The fd (close-on-exec) is the caller's; -1 with CONFLICT after timeout_ms. */
int rundir_launch_lock(const char *run_dir, guint timeout_ms, GError **error);

/* rundir_launching(run_dir): somebody holds `launch`: a start is under way. */
gboolean rundir_launching(const char *run_dir);

/* rundir_remove(run_dir): remove the directory and what Polder puts in it. */
void rundir_remove(const char *run_dir);
/* rundir_remove_sockets(run_dir): what a polder-vm that was killed left. */
void rundir_remove_sockets(const char *run_dir);
