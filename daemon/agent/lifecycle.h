/* The life of one VM on this host: a level-triggered state machine. The machine itself is documented in lifecycle.c.
 *
 * Inputs only record facts (the plan, an engine's event, an image's progress, a passed time) and queue the VM;
 * lifecycle_reconcile() then compares facts with the plan and takes the next steps. So no order of inputs matters, and
 * doing it again changes nothing. */
#pragma once

#include <stdbool.h>

#include "daemon/agent/policy.h"
#include "daemon/engine/engine.h"

struct vm_life;

enum life {
	LIFE_NEW, /* nothing done and nothing written yet */
	LIFE_PREPARING,
	LIFE_ADOPTING, /* another agent left it behind: what it is doing is being found out */
	LIFE_STARTING,
	LIFE_RUNNING,
	LIFE_PAUSED,
	LIFE_STOPPING,
	LIFE_STOPPED,
	LIFE_FAILED,
	LIFE_RESTARTING,
	LIFE_GONE, /* removed: its owner forgets it */
	LIFE_COUNT
};

/* What the engine last said about it. */
enum engine_state { ENGINE_STATE_NONE, ENGINE_STATE_BUSY, ENGINE_STATE_PAUSED, ENGINE_STATE_RUNNING };

/* One engine of this host. */
struct life_engine {
	struct engine *engine;
	gboolean probed; /* its self-test is over: VMs may start */
	char *unusable;  /* why it can't be used here; NULL: it can */
	gboolean needs_image;
	/* Starts at a time, so that each has a fair share of its LIMIT_START_TIMEOUT_MS when a whole host comes up. */
	guint starting, starting_max; /* max 0: any number */
	gboolean start_waited;        /* a VM waits for another's start to be over */
};

/* What the machine asks of its surroundings. One for all VMs. */
struct life_env {
	const struct dirs *dirs;
	const char *host;       /* our name: plans for others start nothing here */
	gint64 (*now_us)(void); /* monotonic */
	struct life_engine *(*engine)(const char *name, gpointer user_data); /* NULL: unknown */
	/* The VM's whole plan, from the cache; FALSE: there is none, or it is malformed. Caller clears it. */
	gboolean (*plan)(const struct vm_life *vm, struct plan *plan, gpointer user_data);
	/* The status of the image, borrowed, ABSENT when unknown; `want` asks for it to be made when it is not there.
	 * NULL: images have not been read yet. */
	const struct image_status *(*image)(const char *name, gboolean want, gpointer user_data);
	void (*touch)(struct vm_life *vm, gpointer user_data);              /* its status changed: have it written */
	void (*queue)(struct vm_life *vm, gpointer user_data);              /* call lifecycle_reconcile() soon */
	void (*start_over)(struct life_engine *engine, gpointer user_data); /* queue those in LIFE_PREPARING */
	gpointer user_data;
};

/* An end that was reported and not yet acted on. */
struct life_exit {
	enum engine_exit_cause cause;
	guint status;
	gint64 ended_at;
	char *reason;
};

/* Small on purpose: there may be 10,000. What a start needs beyond this is read from the plan again. */
struct vm_life {
	const struct life_env *env;
	struct life_engine *engine;  /* of what runs or ran last; NULL: none yet */
	struct engine_vm *engine_vm; /* NULL: nothing runs here */
	struct life_exit *exit;
	struct stop_ladder *stopping; /* in LIFE_STOPPING */
	char *reason;
	char *plan_error;   /* the plan can't be read: why */
	char *pause_reason; /* the engine paused it by itself: why */
	char **addresses, **notes;
	char **cpu_notes; /* what of its CPU wishes this host does not keep; after the notes */
	char *tenant;     /* whose it is, as planned (a GRefString); NULL: no plan yet */
	char *host;       /* the simulated host it is on, served by us (a GRefString); NULL: our own */

	/* wanted: the parts of the plan that are compared again and again */
	guint64 plan_run;
	gint64 plan_revision;
	guint32 plan_stop_timeout_ms;
	guint8 plan_desired, plan_restart;
	guint16 plan_cpu_weight;
	guint32 plan_cpu_limit_percent, plan_cpu_reserve_percent, plan_cpu_latency_us;
	bool has_plan : 1;
	bool plan_remove : 1;
	bool plan_here : 1;       /* it names this host: it may start here */
	bool plan_other_uuid : 1; /* it is for another VM of the same name: this one must go first */

	/* observed */
	guint8 state;        /* enum life */
	guint8 restored;     /* enum life: what the store said before this agent; LIFE_NEW: nothing */
	guint8 engine_state; /* enum engine_state */
	bool ready : 1;
	bool asked : 1;         /* a pause or resume was asked for and not answered */
	bool start_overdue : 1; /* killed because it did not start in time */
	bool pause_unasked : 1; /* the engine paused it by itself */
	bool unclean : 1;       /* ended; its run directory stays until the end is durably written */
	bool image_wanted : 1;  /* in LIFE_PREPARING: its image was asked for */
	bool queued : 1;        /* its owner's */
	guint32 restarts, failures, exit_status, boot_ms;
	guint64 run;
	gint64 changed_at, started_at, ended_at;       /* wall clock, µs */
	gint64 entered_us, running_since_us, asked_us; /* monotonic */
	gint64 restart_at_us;                          /* monotonic, in LIFE_RESTARTING */
	gint64 due_us;                                 /* reconcile again then; 0: nothing is timed */
	gint64 timer_us;                               /* its owner's: due_us it is filed under */
	char uuid[37];
	char name[];
};

/* lifecycle_new(env, name): nothing is known of it yet. `env` must outlive it. */
struct vm_life *lifecycle_new(const struct life_env *env, const char *name);
void lifecycle_free(struct vm_life *vm); /* lets what runs run on; NULL is fine */

/* ---- Inputs ---- */

/* The plan changed; NULL: it is gone. Or: it could not be read, and why. */
void lifecycle_plan(struct vm_life *vm, const struct plan *plan, gint64 revision);
void lifecycle_plan_malformed(struct vm_life *vm, const char *why, gint64 revision);

/* Recovery: what the store says an earlier agent saw. Before anything else. */
void lifecycle_restore(struct vm_life *vm, const struct status *status);
/* Recovery: a run directory was found. `uuid` and `run` from its intent record; uuid NULL: unreadable. */
void lifecycle_adopt(struct vm_life *vm, struct life_engine *engine, const char *uuid, guint64 run);
/* Recovery: no run directory was found; when it should be running it was lost, for this reason. */
void lifecycle_missing(struct vm_life *vm, const char *reason);

/* The store holds the VM's latest status. */
void lifecycle_written(struct vm_life *vm);

/* ---- Acting ---- */

/* lifecycle_reconcile(vm): take every step that is due. Afterwards vm->due_us says when to come again; the state is
 * LIFE_GONE when the VM is to be forgotten. */
void lifecycle_reconcile(struct vm_life *vm);

/* lifecycle_status(vm, status): what to write, into uninitialized memory. FALSE: there is nothing to say about it. */
gboolean lifecycle_status(const struct vm_life *vm, struct status *status);

/* lifecycle_cpu_notes(vm, notes): takes over what its user should know of its CPU wishes; NULL: nothing. Each begins with
 * LIFE_CPU_NOTE. */
#define LIFE_CPU_NOTE "CPU: "
void lifecycle_cpu_notes(struct vm_life *vm, char **notes);

/* lifecycle_vcpus(vm, threads): the threads that run its vCPUs, borrowed, and how many; 0: nothing runs, or not known. */
guint lifecycle_vcpus(const struct vm_life *vm, const pid_t **threads);
/* lifecycle_pid(vm): of the engine's process; 0: none. */
pid_t lifecycle_pid(const struct vm_life *vm);

/* lifecycle_stream_open(vm, stream, error): as engine_ops.stream_open; also the log of a VM that does not run. */
int lifecycle_stream_open(struct vm_life *vm, const struct engine_stream *stream, GError **error);

/* life_name(state): for messages. */
const char *life_name(enum life state);
