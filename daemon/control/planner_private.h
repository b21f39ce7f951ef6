/* Private to the planner's files. */
#pragma once

#include "daemon/control/accounts.h"
#include "daemon/control/planner.h"
#include "daemon/control/reason.h"

/* What the planner knows of one VM name. Small: there may be 100,000. */
struct entry {
	char *name;
	struct charge charge;
	struct gang *gang;     /* it waits for the others of it; or NULL */
	GBytes *written;       /* the placement under way: its landing tells nothing new */
	char *evicted_for;     /* it is to be stopped for this VM; or NULL */
	GPtrArray *victims;    /* names of those stopped for this VM; or NULL */
	struct grant *grant;   /* its gang was placed: what remains is to write it down */
	char *pool_missing;    /* it is charged to a pool that is not known yet */
	guint64 waiting_since; /* in the order of the planner's counter */
	guint priority;        /* while it waits */
	guint32 pool;
	gboolean stops : 1;      /* the plan says stopped or gone: its end frees what it takes */
	gboolean queued : 1;     /* in `dirty` or in `round` */
	gboolean in_flight : 1;  /* a write was handed out and not yet seen … */
	gboolean removes_vm : 1; /* … and it deletes /vm/NAME; else it is about /plan/NAME */
	gboolean redo : 1;       /* something changed meanwhile: look again afterwards */
	gboolean waiting : 1;    /* wanted and without a host: in `waiting` */
	gboolean settled : 1;    /* the plan answers the VM, and no status can change that */
	gboolean ephemeral : 1;
	gboolean follows : 1; /* others' coming may let it in: it has affinity or a spread … */
	gboolean counted : 1; /* … and is counted in `following`, as it waits */
};

/* VMs that are placed together. */
struct gang {
	char *name;
	GHashTable *waiting; /* set of struct entry without a host */
	char *reason;        /* why it did not fit when `tried` of it were tried, at `epoch` of the accounts */
	guint tried;
	guint64 epoch;
};

/* A placement that is charged and not written yet. */
struct grant {
	struct allocation_fit fit;
	struct allocation_decision decision;
};

struct planner {
	planner_lookup_func lookup;
	gpointer user_data;
	GHashTable *entries;  /* name → struct entry */
	GQueue dirty;         /* struct entry to decide upon, oldest first */
	GPtrArray *round;     /* struct round_queue: those who waited and may fit now, by priority and pool */
	GHashTable *waiting;  /* set of struct entry */
	GHashTable *gangs;    /* name → struct gang */
	GHashTable *adrift;   /* set of struct entry with pool_missing */
	GHashTable *evicting; /* set of struct entry with victims */
	struct accounts accounts;
	guint following; /* of those that wait */
	guint64 counter;
	gint64 revision; /* highest seen */
};

struct records {
	const struct store_kv *vm_kv, *plan_kv, *status_kv;
	struct vm vm;
	struct plan plan;
	struct status status;
	gboolean has_vm, has_plan, has_status;
};

/* planner.c: who is decided upon next. */
struct entry *planner_entry(struct planner *planner, const char *name); /* made when it is new */
void planner_queue(struct planner *planner, struct entry *entry, gboolean first);
/* What was handed out for it was seen, or is known not to have been done. */
void planner_landed(struct planner *planner, struct entry *entry);
void planner_waits(struct planner *planner, struct entry *entry, gboolean waits);
/* After accounts_make(): VMs that it is the first to refer to are charged anew, as groups of their own. */
void planner_regroup(struct planner *planner);
GPtrArray *planner_sorted(GHashTable *set, GCompareFunc compare); /* its keys; caller unrefs */

/* planner_records.c: what it reads. */
/* Make the entry's account say what the snapshot's plan and status say. */
void planner_account(struct planner *planner, struct entry *entry);
gboolean planner_vm(struct planner *planner, const char *name, struct vm *vm); /* FALSE: none; else clear it */
void planner_records_load(struct planner *planner, const char *name, struct records *records);
void planner_records_clear(struct records *records);

/* planner_decide.c: what becomes of one VM. */
gboolean planner_decide(struct planner *planner, struct entry *entry, struct records *records,
			struct planner_write *write);
void planner_write_plan(struct planner_write *write, const struct records *records, const struct plan *plan);
void planner_plan_fill(struct plan *plan, const struct records *records);
void planner_set_string(char **field, const char *value);

/* planner_place.c: decide_… for a VM without a host; planner_start.c: for one that has its host and is to start there again,
 * or to have more of it. */
gboolean planner_place(struct planner *planner, struct entry *entry, struct records *records,
		       struct planner_write *write);
gboolean planner_start(struct planner *planner, struct entry *entry, struct records *records,
		       struct planner_write *write);
/* planner_raise(planner, entry, records): more CPU is to be kept for a VM that takes its part of a host already. NULL: it is
 * charged with that; else why the host can't, and it waits for the rest. Caller frees. */
char *planner_raise(struct planner *planner, struct entry *entry, const struct records *records);
/* planner_crowd.c: those who are placed together, and those who give way. */
gboolean planner_gang(struct planner *planner, struct entry *entry, struct records *records,
		      struct planner_write *write);
void planner_gang_leave(struct planner *planner, struct entry *entry);
/* Lower ones were asked to give way for this VM, or were before and have not ended: it waits. FALSE: nobody can. */
gboolean planner_preempt(struct planner *planner, struct entry *entry, const struct records *records,
			 const struct account_request *request);
void planner_preempt_end(struct planner *planner, struct entry *entry);
/* Shared. */
/* Where its turn comes among those that wait. */
void planner_rank(struct planner *planner, struct entry *entry, const struct vm *vm);
char **planner_node_names(uint8_t nodes);
void planner_charge(struct planner *planner, struct entry *entry, const struct demand *demand,
		    struct account_request *request, const struct allocation_fit *fit);
gboolean planner_refuse(struct planner *planner, struct records *records, struct planner_write *write, char *reason,
			const struct reason_case *why);
void planner_grant_write(struct planner *planner, struct entry *entry, struct records *records,
			 const struct reason_case *why, struct planner_write *write);
