/* Private to the API: a request on one VM, for vms.c and vm_actions.c. */
#pragma once

#include "daemon/api/server.h"

#define WAIT_MAX_MS     3600000u
#define VM_PLAN_WAIT_MS LIMIT_STORE_REQUEST_TIMEOUT_MS /* for control to decide */

/* What a request on a VM waits for. RUNNING and PAUSED also end when the VM has ended: its view tells. */
enum vm_goal { GOAL_RUNNING, GOAL_STOPPED, GOAL_PAUSED, GOAL_GONE };

/* A request on one VM under way; request->state. */
struct vm_op {
	enum vm_goal goal;
	char *name, *uuid;
	gint64 revision; /* of our write: the cache must have seen it */
	guint64 wait_ms; /* 0: answer once written and seen */
	guint status;    /* HTTP status of success */
	/* create */
	struct vm vm;
	gint64 lease;
	gboolean generated; /* the name is ours to choose */
	char *reason;       /* of vm_create_outcome() */
	guint tries;
	/* update */
	gboolean (*change)(struct request *request, struct vm *vm, int state, gboolean *changed, GError **error);
	guint64 stop_timeout_ms;
	gboolean has_stop_timeout;
	gboolean starts, raises; /* control may refuse what we wrote … */
	GBytes *before;          /* … and this is what it was */
};

struct vm_op *vm_op_new(struct request *request, enum vm_goal goal);
void vm_op_free(gpointer op);
gboolean vm_op_read_wait(struct request *request, struct vm_op *op); /* FALSE after answering */
void vm_op_wait(struct request *request);

void vms_not_found(struct request *request);
void vms_answer(struct request *request, guint status, const char *name);
void vms_answer_gone(struct request *request, const char *name, gboolean gone);

/* vm_life_is(kv, uuid): the record is there and of this life of the name. vm_number: a whole number in it; 0 without. */
gboolean vm_life_is(const struct store_kv *kv, const char *uuid);
guint64 vm_number(const struct store_kv *kv, const char *field);

/* vms_dry_run: where the VM in the body would go; in decisions.c. */
void vms_dry_run(struct request *request);

/* ---- Creating (vm_create.c), for one and for many ---- */

/* vm_create_check(request, vm, error): whether what it refers to is there. vm_create_stamp: identity, owner, first run. */
gboolean vm_create_check(struct request *request, const struct vm *vm, GError **error);
void vm_create_stamp(const struct request *request, struct vm *vm);
/* vm_create_txn(vm, lease): writes it where no trace of the name is left. */
struct store_txn *vm_create_txn(const struct vm *vm, gint64 lease);

/* What became of a VM written at `revision`. A refused one is removed again, and REFUSED is told once it is gone. *reason is NULL
 * at first and kept by the caller (who frees it) from call to call: why it is REMOVED, REFUSED, or being removed. */
enum vm_outcome { VM_OUTCOME_OPEN, VM_OUTCOME_PLACED, VM_OUTCOME_REFUSED, VM_OUTCOME_REMOVED };
enum vm_outcome vm_create_outcome(const struct api *api, const struct vm *vm, gint64 revision, char **reason);
