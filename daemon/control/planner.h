/* The planner: (snapshot, event) -> writes. No I/O, no clock, no randomness: the same records in the same order give the
 * same writes. It reads the snapshot through `lookup` and keeps only accounts beside it (what each host has left, which
 * VMs still wait), so that a decision does not depend on how many VMs there are. The accounts can always be made again
 * from the snapshot: feed every record to planner_changed() once.
 *
 * Per VM name, from the three records /vm/NAME (wanted), /plan/NAME (decided), /status/NAME (observed):
 *
 *   wanted  plan              status     write
 *   ------  ----------------  ---------  ----------------------------------------------------------------
 *   yes     none              none       a plan: the host that allocation chose, or refused with the reason
 *   yes     refused           none       a placement, once capacity is free; nothing before
 *   yes     older than wanted any        the plan brought up to date; the host stays. More CPU reserved than its host has
 *                                        left: the old amount stays, with the reason (`held`), until there is room
 *   yes     wanted to start   ended      the same if it fits on its host again; else the plan stays stopped, in its old
 *                                        run and with the reason: held, and tried again when memory is freed
 *   yes     of another life   any        as if not wanted: the old life goes first
 *   yes     any               ended      an ephemeral VM: delete /vm/NAME
 *   no      placed            any        the plan with `remove`
 *   no      with `remove`     none       delete /plan/NAME: the agent is done with it
 *   no      refused           none       delete /plan/NAME: no agent ever saw it
 *   no      none              yes        a plan with `remove`: an agent still has what nobody wants
 *
 * A VM that is wanted stopped and has ended takes nothing (accounts.h). While no host is known (or only simulated ones and
 * the VM is real), nothing is refused: VMs wait. Those who wait come first by priority, then by whose pool's turn it is
 * (dominant-resource fairness), then by age.
 *
 * A VM for which there is room only if VMs of lower priority stop (it is looked for when it comes and when something is
 * freed) waits for them without a plan: theirs say stopped and
 * `preempted`, and they start again, on the same host and as a new run, when there is room. VMs of a gang wait without a
 * plan until there are gang_size of them; then all are placed or all are refused. The hosts are chosen by the strategy in
 * /strategy/allocation/all; a change of it takes effect with the next decision and moves nothing.
 *
 * Time is the records' own: the newest time of creation seen. */
#pragma once

#include "daemon/store/store.h"

struct planner;

/* The record at `key` in the snapshot, borrowed, or NULL. */
typedef const struct store_kv *(*planner_lookup_func)(const char *key, gpointer user_data);

struct planner *planner_new(planner_lookup_func lookup, gpointer user_data);
void planner_free(struct planner *planner);

/* planner_changed(planner, before, now): a record of the snapshot changed; as store_cache_funcs.changed. Records of
 * other kinds are ignored. The snapshot already holds `now`. */
void planner_changed(struct planner *planner, const struct store_kv *before, const struct store_kv *now);

enum planner_action { PLANNER_PUT_PLAN, PLANNER_DELETE_PLAN, PLANNER_DELETE_VM };

/* One write with what must still hold for it: a transaction compares these. */
struct planner_write {
	enum planner_action action;
	char *name;      /* of the VM */
	gint64 revision; /* mod revision of the key written, as decided upon; 0: it must not exist */
	GBytes *value;   /* PUT_PLAN */
			 /* DELETE_PLAN also needs: /status/NAME does not exist */
};
void planner_write_clear(struct planner_write *write);

/* planner_next(planner, write): the next write, into uninitialized memory; FALSE when there is nothing to do. The name is
 * not decided upon again until the write was seen in the snapshot, or planner_failed() says that it was not done. */
gboolean planner_next(struct planner *planner, struct planner_write *write);
void planner_failed(struct planner *planner, const char *name);

/* planner_awaits(planner, name): what a VM without a plan waits for, for people: the rest of its gang, or the end of VMs
 * that make room for it; NULL: for nothing but its turn. Caller frees. */
char *planner_awaits(const struct planner *planner, const char *name);

/* planner_waiting(planner): VMs that have no host yet, or nothing on theirs. planner_memory_placed: charged on `host`; 0 when unknown. */
guint planner_waiting(const struct planner *planner);
guint64 planner_memory_placed(const struct planner *planner, const char *host);

/* For questions: borrowed. What is asked of them must leave them as they are. */
struct accounts;
struct accounts *planner_accounts(struct planner *planner);
gint64 planner_revision(const struct planner *planner);
/* planner_name(planner, vm): the VM placed under this number in the world, borrowed; NULL: none. planner_number: the
 * other way round; FALSE: it has no host. */
const char *planner_name(struct planner *planner, guint32 vm);
gboolean planner_number(struct planner *planner, const char *name, guint32 *vm);
