/* An engine qemu in directories of its own, one VM in it, and what it reported. */
#pragma once

#include "daemon/engine/engine.h"
#include "daemon/engine/qemu/internal.h"
#include "tests/unit/engine/rom.h"

struct fixture {
	const char *name; /* of the VM; "web" unless changed before fixture_vm_new() */
	char *root;
	struct dirs dirs;
	struct engine *engine;
	struct engine_vm *vm;
	char *rom, *log;
	const struct image_status *image; /* boot this instead of the ROM; borrowed */
	/* reported so far */
	guint started, adopted, resumed, paused, exited;
	gboolean adopted_paused, ready;
	guint ready_changes;
	char *pause_reason, *reason;
	enum engine_exit_cause cause;
	guint status;
	gint64 ended_at;
	guint64 pid, supervisor_pid; /* as of the last started or adopted */
};

void fixture_init(struct fixture *f, const char *line, enum rom_then then);
void fixture_clear(struct fixture *f); /* fails when a process or a file of the VM is left */

void fixture_vm_new(struct fixture *f);
void fixture_start(struct fixture *f);  /* vm_new, start, wait for started */
void fixture_resume(struct fixture *f); /* and wait */
void fixture_forget(struct fixture *f); /* as if the agent died: VM and engine freed, a new engine made */
void fixture_adopt(struct fixture *f);  /* vm_new, adopt */
void fixture_wait_log(struct fixture *f, const char *text);

/* fixture_wait(f, &f->counter, n): iterate the main loop until counter >= n; fails after a deadline. */
void fixture_wait(struct fixture *f, const guint *counter, guint n);
gboolean fixture_wait_until(struct fixture *f, gboolean (*condition)(struct fixture *f), guint timeout_ms);

/* A process is gone, or a zombie that only waits for init. */
gboolean process_gone(guint64 pid);
/* A line of /proc/PID/status, "" when absent. Caller frees. */
char *process_status(guint64 pid, const char *key);
