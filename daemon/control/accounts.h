/* The accounts: what hosts there are and which memory the VMs placed on them take. Beside the snapshot, so that a decision
 * does not depend on how many VMs there are; they can always be made again from it.
 *
 * Charged is the memory of every VM that may run: one that is wanted running or paused, or has not ended yet. A VM that is
 * wanted stopped and has ended takes none, and its next start must fit again; nor does one that is to go and whose host
 * has no status of it any more. So memory is charged only by a decision that checked it. Simulated VMs (engine sim) never
 * take any. */
#pragma once

#include <glib.h>

#include "core/allocation/allocation.h"
#include "daemon/control/reason.h"
#include "daemon/model/nouns.h"

#define ACCOUNTS_ENGINES_MAX 32u

struct accounts {
	/* Hosts are never forgotten, only marked away: placed VMs refer to them. Parallel arrays. */
	GArray *hosts;                        /* struct allocation_host */
	GPtrArray *host_names, *host_engines; /* host_engines: NULL when away */
	GHashTable *host_index;               /* name → index + 1 */
	gsize hosts_present;
	char *engines[ACCOUNTS_ENGINES_MAX]; /* bit number → name */
	gboolean freed; /* a host came or memory was freed since this was last cleared: those who wait may fit */
};

/* What one VM has on its host. Zero: nothing. */
struct charge {
	guint host; /* index + 1; 0: none */
	guint64 memory_bytes;
	gboolean real; /* not simulated */
};

void accounts_init(struct accounts *accounts);
void accounts_clear(struct accounts *accounts);

/* accounts_host(accounts, name, host): there is this host now; NULL: it went away. */
void accounts_host(struct accounts *accounts, const char *name, const struct host *host);
/* accounts_find(accounts, name): index of a host, made (away) when it is new: a plan may name one that never reported. */
guint accounts_find(struct accounts *accounts, const char *name);
gboolean accounts_present(const struct accounts *accounts, guint host);

struct allocation_request accounts_request(struct accounts *accounts, const char *engine, guint64 cpus, guint64 memory);
/* accounts_violates(accounts, host, request): what keeps it off this host, or ALLOCATION_CONSTRAINTS. */
enum allocation_constraint accounts_violates(const struct accounts *accounts, guint host,
					     const struct allocation_request *request);

/* accounts_takes_memory(plan, status): by the rule above; `status` NULL: none. */
gboolean accounts_takes_memory(const struct plan *plan, const struct status *status);

/* accounts_charge(accounts, charge, plan): book what the plan says in place of what was booked; nothing for a plan
 * without a host. accounts_discharge: take it back. */
void accounts_charge(struct accounts *accounts, struct charge *charge, const struct plan *plan);
void accounts_discharge(struct accounts *accounts, struct charge *charge);

/* The hosts as allocation and the reasons see them; borrowed until the next accounts_host() or accounts_find(). */
struct reason_hosts accounts_hosts(const struct accounts *accounts);

/* accounts_placed_bytes(accounts, name): charged on this host; 0 when unknown. */
guint64 accounts_placed_bytes(const struct accounts *accounts, const char *name);
