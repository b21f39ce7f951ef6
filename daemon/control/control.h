/* Control decides and never acts: it watches what is wanted, what hosts there are and what was observed, and writes plans
 * with their reasons. planner.h holds the decisions; this is the loop around them.
 *
 * The owner of the cache feeds it: control_ready() once after the first full read, then control_changed() for each change
 * and control_settled() after each revision. */
#pragma once

#include <json-glib/json-glib.h>

#include "daemon/model/nouns.h"
#include "daemon/store/cache.h"
#include "daemon/store/store.h"

struct control;

/* Both are borrowed and outlive the control. `cache` holds every key ("/"). */
struct control *control_new(struct store *store, const struct store_cache *cache);
void control_free(struct control *control); /* NULL is fine. What was sent to the store is not taken back */

void control_ready(struct control *control);
void control_changed(struct control *control, const struct store_kv *before, const struct store_kv *now);
void control_settled(struct control *control);

/* control_awaits(control, name): why a VM has no plan yet though it was looked at; NULL: it was not, or it has one. Caller
 * frees. */
char *control_awaits(const struct control *control, const char *name);

/* control_waiting(control): VMs that have no host yet. For metrics. */
guint control_waiting(const struct control *control);

/* ---- Questions. They change nothing; each may look at every host. The caller unrefs the answer. ----
 *
 * EXPLANATION: {"vm":NAME or "", "refused":bool, "host","nodes":["0"], "reason", "strategy","parameters":[..],"seed",
 *   "step","score", "runner_up","runner_up_score", "hosts":present, "feasible":hosts, "ruled_out":[{"constraint":"memory",
 *   "hosts":12,"text":"12 lack memory"}..] in the order tested, "relief" (text, "" when none), "tightest","tightest_left"
 *   (text: what its host has least of afterwards, "" when refused), "revision"}. */

/* control_explain(control, vm, error): where a VM like this would go now. `vm` as a client gives it; nothing is placed.
 * INVALID: it can't be understood (an unknown pool …). */
JsonObject *control_explain(struct control *control, const struct vm *vm, GError **error);
/* control_explain_vm(control, name, error): the decision on an existing VM, with what was recorded at the time ("recorded":
 * {"host","reason","strategy","step","score","runner_up","ruled_out","relief","decided_revision"}) and, as above, what
 * would be decided now if it were to be placed anew. NOT_FOUND. */
JsonObject *control_explain_vm(struct control *control, const char *name, GError **error);

/* control_capacity(control, vm, limit, error): {"more":n,"capped":bool,"first_out":[{"constraint","hosts"}..]}. */
JsonObject *control_capacity(struct control *control, const struct vm *vm, guint64 limit, GError **error);

/* control_drain(control, host, error): {"host","moves":[{"vm","to","reason"}],"stuck":[{"vm","reason"}]}: where each VM of
 * `host` would go if that host took none. NOT_FOUND. */
JsonObject *control_drain(struct control *control, const char *host, GError **error);

/* control_rebalance(control, strategy, parameters, max_moves, error): {"strategy","moves":[{"vm","from","to"}],"gain":{...}}; `strategy` NULL
 * or "": greedy-descent. */
JsonObject *control_rebalance(struct control *control, const char *strategy, char *const *parameters, guint64 max_moves,
			      GError **error);

/* control_pool_usage(control, pool, error): {"vms":n,"dominant_share":0.25,"dominant":"memory","used":["cpu=8",
 * "memory=16G"],"total":[..] of all hosts}. NOT_FOUND. */
JsonObject *control_pool_usage(struct control *control, const char *pool, GError **error);
/* control_pool_check(control, pool, error): whether the tree can hold this pool, new or changed; CONFLICT or INVALID. */
gboolean control_pool_check(struct control *control, const struct pool *pool, GError **error);

/* control_host_usage(control, host, error): {"vms":n,"free":["cpu=8","memory=16G"],"total":[..],"nodes":[{"free":[..],
 * "total":[..]}..]}. NOT_FOUND. */
JsonObject *control_host_usage(struct control *control, const char *host, GError **error);

/* control_strategy_check(choice, error): INVALID or NOT_FOUND (which lists the names) unless it can run live. */
gboolean control_strategy_check(const struct strategy_choice *choice, GError **error);
/* control_strategy_current(control): what is at work: {"name","parameters","seed"}. */
JsonObject *control_strategy_current(struct control *control);
