/* The accounts: what hosts there are and what the VMs placed on them take. Beside the snapshot, so that a decision does not
 * depend on how many VMs there are; they can always be made again from it. The account itself is core/allocation's world,
 * with the strategy at work beside it (the placer); this is the way from records to it and back to names.
 *
 * Charged is every VM that may run: one that is wanted running or paused, or has not ended yet. A VM that is wanted stopped
 * and has ended takes nothing, and its next start must fit again; nor does one that is to go and whose host has no status of
 * it any more. So a charge is made only by a decision that checked it. A simulated VM takes nothing of a real host, and a
 * real host takes one only while there is no simulated host. */
#pragma once

#include "core/allocation/family.h"
#include "core/allocation/pool.h"
#include "daemon/control/choice.h"
#include "daemon/control/demand.h"
#include "daemon/control/numbers.h"
#include "daemon/model/limits.h"

#define ACCOUNTS_MIB (1ull << 20)

/* A host by its number in the world. */
struct account_host {
	char *name;
	gboolean present; /* it has a record; else it is only named by plans */
	struct host record;
	struct host_spec spec;
	gboolean has_spec;
	struct allocation_host described; /* what the world was told */
	guint32 rack, zone;               /* in numbers; 0: none */
	GArray *extended;                 /* guint32: kinds of extended resources held */
	guint n_charges;
	guint64 placed_bytes; /* memory of the charged VMs that are real */
};

struct account_pool {
	struct pool record;
	gboolean present;  /* it has a record */
	gboolean reserves; /* its reservation is in force (the hosts could hold it when it was last tried) */
	guint32 index;     /* in the pools; ALLOCATION_NONE: not there yet */
};

struct accounts {
	struct allocation_world *world;
	struct allocation_placer *placer;
	struct choice choice; /* the strategy at work */
	GPtrArray *hosts;     /* struct account_host by number, NULL when free */
	GHashTable *host_index;
	GHashTable *specs; /* name → struct host_spec: of hosts that may not be there yet */
	guint n_present, n_simulated;
	guint64 least_cpus; /* threads of the smallest host ever seen that gives out more vCPUs than it has */
	struct allocation_pools *pools;
	GHashTable *pool_index;               /* name → struct account_pool */
	guint64 total[ALLOCATION_DIMENSIONS]; /* of all hosts */
	struct numbers labels, taints;        /* those that VMs ask for */
	struct numbers groups;                /* "g:db", "v:web" */
	struct numbers tenants, engines, extended, racks, zones;
	guint priorities[LIMIT_PRIORITY_MAX + 1]; /* charged VMs of each */
	GPtrArray *owners;                        /* placement's number → the planner's own */
	GPtrArray *regroup; /* names of VMs that others began to refer to: their charge is to be made anew */
	gboolean freed;     /* a host came or capacity was freed since this was last cleared: those who wait may fit */
	guint64 now_ms;     /* latest time seen in records */
	guint64 epoch;      /* counts changes that may let in what was refused */
};

/* What a VM's numbers are for as long as they are held. */
struct account_request {
	struct allocation_request request;
	gboolean charged; /* FALSE: simulated, on a real host */
	GArray *held;     /* struct account_held, or NULL */
	guint64 threads;  /* processors its host must have; 0: any */
};

/* What one VM has on its host. Zero: nothing. */
struct charge {
	guint host; /* number + 1; 0: none */
	guint32 vm; /* placement in the world */
	guint64 memory_bytes;
	guint priority;
	gboolean real; /* it takes what it takes: not simulated on a real host */
	GArray *held;
};

void accounts_init(struct accounts *accounts);
void accounts_clear(struct accounts *accounts);

/* ---- Hosts: accounts_host.c ---- */

/* accounts_host(accounts, name, host): there is this host now; NULL: it went away. `host` is copied. */
void accounts_host(struct accounts *accounts, const char *name, const struct host *host);
void accounts_spec(struct accounts *accounts, const char *name, const struct host_spec *spec);
/* accounts_find(accounts, name): number of a host, made (away) when it is new: a plan may name one that never reported. */
guint accounts_find(struct accounts *accounts, const char *name);
/* accounts_lookup(accounts, name): number + 1, or 0. */
guint accounts_lookup(const struct accounts *accounts, const char *name);
const struct account_host *accounts_at(const struct accounts *accounts, guint host); /* NULL: free number */
gboolean accounts_offers(const struct accounts *accounts, guint host, const char *engine);
guint64 accounts_threads(const struct accounts *accounts, guint host);
guint64 accounts_free_bytes(const struct accounts *accounts, guint host);
guint64 accounts_placed_bytes(const struct accounts *accounts, const char *name);
/* CPU that a host may keep for VMs, in all and yet; in thousandths of a CPU. */
guint64 accounts_reserve_most(const struct accounts *accounts, guint host);
guint64 accounts_reserve_left(const struct accounts *accounts, guint host);
/* A label or taint got a number: tell the hosts that have it. */
void accounts_relabel(struct accounts *accounts, const char *label);
/* The record of an empty host that went away is dropped. */
void accounts_forget_if_gone(struct accounts *accounts, guint host);

/* ---- Pools: accounts_pool.c ---- */

void accounts_pool(struct accounts *accounts, const char *name, const struct pool *pool); /* NULL: it went away */
/* Hosts changed: tell the pools, and try again to hold what they are to keep. */
void accounts_pools_capacity(struct accounts *accounts);
/* accounts_pool_find(accounts, name): NULL when there is no such pool. */
const struct account_pool *accounts_pool_find(const struct accounts *accounts, const char *name);
const char *accounts_pool_name(const struct accounts *accounts, guint32 index);
/* accounts_pool_convert(pool, parent, out): its amounts as the tree has them. */
void accounts_pool_convert(const struct pool *pool, guint32 parent, struct allocation_pool *out);

/* ---- Requests: accounts_request.c ---- */

/* accounts_make(accounts, demand, host, out, error): `host` NULL: to be placed; else as charged on that host, and what can't
 * be numbered is left out instead of refused. FALSE: why it can't be placed, for people. Clear it with accounts_unmake. */
gboolean accounts_make(struct accounts *accounts, const struct demand *demand, const struct account_host *host,
		       struct account_request *out, GError **error);
void accounts_unmake(struct accounts *accounts, struct account_request *request);
void accounts_release(struct accounts *accounts, GArray *held); /* NULL is fine; frees it */

/* accounts_violates(accounts, demand, request, host): what keeps it off this host, or ALLOCATION_CONSTRAINTS; more exact than
 * the world: too few processors are ALLOCATION_LACKS_CPU. */
enum allocation_constraint accounts_violates(const struct accounts *accounts, const struct demand *demand,
					     const struct account_request *request, guint host);

/* accounts_decide(accounts, demand, request, decision): where it goes; fit.host ALLOCATION_NONE: nowhere. */
void accounts_decide(struct accounts *accounts, const struct demand *demand, const struct account_request *request,
		     struct allocation_decision *decision);

/* ---- Charges ---- */

/* accounts_takes(plan, status): by the rule above; `status` NULL: none. */
gboolean accounts_takes(const struct plan *plan, const struct status *status);

/* accounts_charge(accounts, charge, request, fit, owner): book it; takes over what `request` holds. Nothing may be booked. */
void accounts_charge(struct accounts *accounts, struct charge *charge, const struct demand *demand,
		     struct account_request *request, const struct allocation_fit *fit, gpointer owner);
/* accounts_charge_plan(accounts, charge, name, plan, owner): book what the plan says in place of what was booked; nothing
 * for a plan without a host. */
void accounts_charge_plan(struct accounts *accounts, struct charge *charge, const char *name, const struct plan *plan,
			  gpointer owner);
void accounts_discharge(struct accounts *accounts, struct charge *charge);
