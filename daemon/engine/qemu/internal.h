/* What qemu.c (operations), launch.c (start, find: in a worker thread) and monitor.c (QMP) share.
 *
 *   IDLE ──start──▶ LAUNCHING ──polder-vm runs──▶ CONNECTING ──QMP answers──▶ UP [started]
 *    │                  │ could not                   │ gave up: kill            │
 *    ├──adopt──▶ LAUNCHING (looks) ─────────────▶ CONNECTING ──or it doesn't──▶ UP [adopted]; QMP is tried again
 *    │                  ▼                             ▼                          ▼
 *    └──kill──────▶ ENDED [exited] ◀── polder-vm's pidfd says it ended; the exit record tells why
 *
 * Guarantees: `process` is set in CONNECTING and UP, so kill always has someone to kill. A monitor that misbehaves never
 * ends a VM that was up: `monitor_problem` says so (describe puts it into the status) and it is tried again. */
#pragma once

#include "daemon/engine/engine.h"
#include "daemon/engine/qemu/guest.h"
#include "daemon/engine/qemu/process.h"
#include "daemon/engine/qemu/qmp.h"
#include "daemon/engine/qemu/rundir.h"

struct qemu_engine {
	struct engine base;
	gint refs;         /* launches under way may outlive the engine's owner */
	GMutex lock;       /* guards what follows: worker threads use it too */
	char *binary;      /* absolute path of QEMU; NULL: not found */
	char *accelerator; /* "kvm" or "tcg" */
	gint64 kvm_gid;    /* group a VM's user needs for /dev/kvm; -1: none */
	GHashTable *uids;  /* name → uid of QEMU, also of ended VMs until cleaned; NULL: not yet read */
	guint qmp_timeout_ms, start_timeout_ms, reconnect_ms;
};

/* qemu_engine_ref, qemu_engine_unref: from any thread; the last one frees it. */
struct qemu_engine *qemu_engine_ref(struct qemu_engine *engine);
void qemu_engine_unref(struct qemu_engine *engine);

enum phase { PHASE_IDLE, PHASE_LAUNCHING, PHASE_CONNECTING, PHASE_UP, PHASE_ENDED };

struct launch;

struct qemu_vm {
	struct engine_vm base;
	const struct engine_events *events;
	gpointer user_data;
	GMainContext *context;

	char *name, *uuid, *run_dir, *console_log, *accelerator;
	guint64 run;
	char **args; /* QEMU's argv, or NULL with args_error */
	GError *args_error;

	enum phase phase;
	gboolean adopting;                  /* not started by this engine object */
	gboolean told;                      /* started or adopted was reported */
	gboolean paused, pausing, resuming; /* …ing: asked for, not yet reported */
	gboolean killed, asked, panicked, ending, rebooted;
	gboolean agent_open, agent_open_now; /* the agent's port in the guest: as `guest` was told, as QMP said last */
	guint resets;                        /* by the guest since it was last ready … */
	gint64 first_reset_us;               /* … and when the first of them was */
	gboolean boot_loop;                  /* too many of them: it is being killed */
	char *problem;                       /* why a start is given up */
	char *io_error;                      /* what the next STOP is about */
	char *monitor_problem;               /* QMP doesn't work now */

	pid_t *vcpus; /* threads, in order of their CPUs; NULL: QMP has not said */
	guint n_vcpus;

	struct launch *launch; /* in LAUNCHING */
	GSource *look_timer;   /* in LAUNCHING: another's start is under way, look again */
	struct process process;
	struct qmp *qmp; /* NULL while not connected */
	struct guest *guest;
	guint reconnect_ms; /* the next delay */
	GSource *watch, *start_timer, *reconnect_timer, *end_timer;
};

/* ---- launch.c ---- */

/* launch_begin(vm): IDLE → LAUNCHING; then calls qemu_vm_launched() once, from the main loop. */
void launch_begin(struct qemu_vm *vm);

/* launch_forget(vm): no call any more; what is under way goes on by itself. */
void launch_forget(struct qemu_vm *vm);

/* ---- monitor.c ---- */

/* monitor_connect(vm): connect to QMP and ask for the state; on failure tries again later. */
void monitor_connect(struct qemu_vm *vm);

/* monitor_pause, monitor_resume: ask; when QMP is not connected now, as soon as it is. */
void monitor_pause(struct qemu_vm *vm);
void monitor_resume(struct qemu_vm *vm);
/* monitor_powerdown(vm): press the guest's power button. FALSE when QMP is not connected now. */
gboolean monitor_powerdown(struct qemu_vm *vm);
/* monitor_disconnect(vm): no event and no new attempt any more. */
void monitor_disconnect(struct qemu_vm *vm);

/* ---- probe.c ---- */

#define QEMU_BINARY "qemu-system-x86_64"

/* qemu_probe: engine_ops.probe; for a worker thread. Decides the accelerator. */
gboolean qemu_probe(struct engine *base, struct host *host, GError **error);

/* ---- qemu.c ---- */

/* The launch is over: process found; or nothing runs (error NULL: it has ended already); or it failed with error. */
void qemu_vm_launched(struct qemu_vm *vm, const struct process *process, const GError *error);

/* Give a start up: `problem` becomes the reason. */
void qemu_vm_give_up(struct qemu_vm *vm, const char *problem);

/* Timers on the VM's context. *source is replaced; source_clear() ends it. */
void source_set_timeout(struct qemu_vm *vm, GSource **source, guint ms, GSourceFunc func);
