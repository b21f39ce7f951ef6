/* A small world around the agent's VMs: a real store, a clock of its own, and engine "fake", whose machines live on when
 * the agent's objects are destroyed, as real ones do. */
#pragma once

#include "daemon/agent/vms.h"

struct machine {
	char *name, *uuid;
	guint64 run;
	gboolean has_dir;                       /* its run directory */
	gboolean alive, started, paused, ended; /* ended: an exit record is in the run directory */
	enum engine_exit_cause cause;
	gint64 ended_at;
	gboolean cut_short; /* ended without a record, before anything was run */
	gboolean deaf;      /* its guest does not answer a shutdown */
	gboolean no_agent;
	guint shutdowns_agent, shutdowns_acpi, kills, starts, cleans, resumes;
	/* What it will report next, when asked to (world_answer). */
	gboolean says_started, says_adopted, says_resumed, says_paused, says_exited;
	struct engine_vm *vm; /* of the agent that looks at it; NULL: none */
};

struct world {
	char *root;
	struct dirs dirs;
	struct store *store;
	struct writer *writer;
	struct vms *vms;
	struct life_engine engines[3];
	struct image_status image;
	guint image_wants;
	const char *boot_id;
	gboolean recovered;
	GHashTable *machines; /* name → struct machine */
};

extern gint64 world_now_us;

void world_init(struct world *world);
void world_clear(struct world *world);

/* The agent's objects: made (and waited for until recovery is over) and destroyed. */
void world_agent_start(struct world *world);
void world_agent_stop(struct world *world);

/* Iterate the main loop until nothing is under way between plans, VMs and statuses. */
void world_settle(struct world *world);
/* Let time pass in steps, settling after each. */
void world_pass(struct world *world, guint64 ms);
/* Write a plan and wait until the agent has seen it. NULL: delete it. */
void world_plan(struct world *world, const char *name, const struct plan *plan);
void world_plan_text(struct world *world, const char *name, const char *json);
/* The status in the store, into uninitialized memory; FALSE: none. */
gboolean world_status(struct world *world, const char *name, struct status *status);
void world_put(struct world *world, const char *key, const char *value);
char *world_get(struct world *world, const char *key); /* NULL: nothing there; caller frees */

struct machine *world_machine(struct world *world, const char *name); /* NULL: never seen */
/* One pending event of the machine is told. FALSE: there was none. */
gboolean world_answer(struct machine *machine);
void world_answer_all(struct world *world);
/* The machine ends by itself. */
void world_machine_ends(struct machine *machine, enum engine_exit_cause cause);
/* The machine pauses by itself, and says so at once. */
void world_machine_pauses(struct machine *machine, const char *reason);
/* All machines vanish with their run directories, and the kernel is another. */
void world_reboot(struct world *world);

/* A plan for host "here" that wants to run; strings are literals: do not clear it. */
struct plan world_new_plan(const char *uuid);

void world_assert_state(struct world *world, const char *name, enum vm_state state);
void world_assert_reason(struct world *world, const char *name, const char *part);

extern const struct engine_ops fake_ops;
