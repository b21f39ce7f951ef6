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
	guint tries;
	/* update */
	gboolean (*change)(struct request *request, struct vm *vm, int state, gboolean *changed, GError **error);
	guint64 stop_timeout_ms;
	gboolean has_stop_timeout;
	gboolean starts; /* control may refuse what we wrote */
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
