/* A VM that has its host: it starts there again, or is to have more of it. */
#include "daemon/control/planner_private.h"

/* NULL: it may start there; else why not. */
static char *start_refused(struct accounts *accounts, guint host, const struct demand *demand,
			   const struct account_request *request, struct allocation_fit *fit)
{
	struct allocation_fit fits[ALLOCATION_NODES_MAX];

	if (accounts_violates(accounts, demand, request, host) != ALLOCATION_CONSTRAINTS ||
	    !allocation_world_fits(accounts->world, &request->request, host, fits))
		return reason_held(accounts, host, demand, request);
	if (request->charged) {
		struct allocation_pool_verdict verdict =
			allocation_pools_admit(accounts->pools, request->request.pool, request->request.amount);

		if (verdict.kind != ALLOCATION_POOL_ADMITS)
			return reason_pool(accounts, request, &verdict);
	}
	*fit = fits[0];
	return NULL;
}

static gboolean start_hold(struct records *records, struct planner_write *write, char *reason)
{
	struct plan *plan = &records->plan;

	if (plan->vm_revision == (guint64)records->vm_kv->mod_revision) {
		g_free(reason);
		return FALSE;
	}
	plan->vm_revision = (guint64)records->vm_kv->mod_revision;
	g_free(plan->reason);
	plan->reason = reason;
	planner_write_plan(write, records, plan);
	return TRUE;
}

gboolean planner_start(struct planner *planner, struct entry *entry, struct records *records,
		       struct planner_write *write)
{
	struct accounts *accounts = &planner->accounts;
	struct demand demand = demand_of_vm(&records->vm);
	guint host = accounts_find(accounts, records->plan.host);
	const struct account_host *at = accounts_at(accounts, host);
	struct plan *plan = &records->plan;
	struct account_request request;
	struct allocation_fit fit;
	char *reason;
	gboolean wrote = TRUE;

	planner_rank(planner, entry, &records->vm);
	planner_waits(planner, entry, TRUE);
	if (!at->present) {
		accounts_forget_if_gone(accounts, host);
		return FALSE;
	}
	accounts_make(accounts, &demand, at, &request, NULL);
	reason = start_refused(accounts, host, &demand, &request, &fit);
	if (reason) {
		wrote = start_hold(records, write, reason);
	} else {
		planner_plan_fill(plan, records);
		plan->preempted = FALSE;
		g_strfreev(plan->nodes);
		plan->nodes = planner_node_names(fit.nodes);
		g_free(plan->reason);
		plan->reason = reason_start(accounts, host, &demand);
		planner_charge(planner, entry, &demand, &request, &fit);
		planner_waits(planner, entry, FALSE);
		planner_write_plan(write, records, plan);
	}
	accounts_unmake(accounts, &request);
	return wrote;
}

/* ---- More CPU reserved ---- */

/* NULL: the host and the pool can keep that for it. Its own part of them counts as free. */
static char *raise_refused(struct accounts *accounts, const struct charge *charge, guint64 percent)
{
	const struct allocation_request *now = allocation_world_request(
		accounts->world, allocation_world_placement(accounts->world, charge->vm)->class_id);
	guint host = charge->host - 1;
	guint64 left = charge->real ? accounts_reserve_left(accounts, host) + now->amount[ALLOCATION_CPU_RESERVE]
				    : accounts_reserve_most(accounts, host);
	struct allocation_pool_verdict verdict;
	struct account_request wanted = { .request = *now };

	if (percent * 10 > left)
		return reason_reserve(accounts, host, percent, left);
	if (!charge->real)
		return NULL;
	wanted.request.amount[ALLOCATION_CPU_RESERVE] = (guint32)percent * 10;
	allocation_pools_release(accounts->pools, now->pool, now->amount);
	verdict = allocation_pools_admit(accounts->pools, now->pool, wanted.request.amount);
	allocation_pools_charge(accounts->pools, now->pool, now->amount);
	return verdict.kind == ALLOCATION_POOL_ADMITS ? NULL : reason_pool(accounts, &wanted, &verdict);
}

char *planner_raise(struct planner *planner, struct entry *entry, const struct records *records)
{
	struct accounts *accounts = &planner->accounts;
	char *refused = raise_refused(accounts, &entry->charge, records->vm.cpu_reserve_percent);
	gboolean freed = accounts->freed;
	guint64 epoch = accounts->epoch;
	struct plan raised;

	planner_rank(planner, entry, &records->vm);
	planner_waits(planner, entry, refused != NULL);
	if (refused)
		return refused;
	/* At once, and not when the plan has landed: the next decision must not give it away again. */
	noun_copy(&plan_noun, &records->plan, &raised);
	raised.cpu_reserve_percent = records->vm.cpu_reserve_percent;
	accounts_charge_plan(accounts, &entry->charge, entry->name, &raised, entry);
	noun_clear(&plan_noun, &raised);
	/* Nothing is freer than before. */
	accounts->freed = freed;
	accounts->epoch = epoch;
	return NULL;
}
