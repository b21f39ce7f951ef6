/* A VM without a host gets one, or is told why not. */
#include <math.h>
#include <string.h>

#include "daemon/control/planner_private.h"
#include "daemon/model/limits.h"

char **planner_node_names(guint8 nodes)
{
	GPtrArray *names = g_ptr_array_new();

	for (guint i = 0; i < ALLOCATION_NODES_MAX; i++) {
		if (nodes & (1u << i))
			g_ptr_array_add(names, g_strdup_printf("%u", i));
	}
	g_ptr_array_add(names, NULL);
	return (char **)g_ptr_array_free(names, FALSE);
}

static char **ruled_out(const struct reason_case *why)
{
	GPtrArray *texts = g_ptr_array_new();

	for (guint c = ALLOCATION_IS_CORDONED; c < ALLOCATION_CONSTRAINTS; c++) {
		if (why->ruled_out[c])
			g_ptr_array_add(texts,
					g_strdup_printf("%s=%u", allocation_constraint_names[c], why->ruled_out[c]));
	}
	if (!texts->len) {
		g_ptr_array_unref(texts);
		return NULL;
	}
	g_ptr_array_add(texts, NULL);
	return (char **)g_ptr_array_free(texts, FALSE);
}

/* Which strategy decided, and when. */
static void plan_stamp(struct planner *planner, const struct records *records, struct plan *plan)
{
	struct accounts *accounts = &planner->accounts;

	accounts->now_ms = MAX(accounts->now_ms, (guint64)MAX(records->vm.created_at, 0) / 1000);
	planner_set_string(&plan->strategy, accounts->choice.strategy->info.name);
	g_strfreev(plan->parameters);
	plan->parameters = choice_parameters(&accounts->choice);
	plan->seed = accounts->choice.seed;
	plan->decided_revision = (guint64)planner->revision;
	plan->decided_at = (gint64)accounts->now_ms * 1000;
}

gboolean planner_refuse(struct planner *planner, struct records *records, struct planner_write *write, char *reason,
			const struct reason_case *why)
{
	struct plan plan;

	noun_init(&plan_noun, &plan);
	planner_plan_fill(&plan, records);
	plan_stamp(planner, records, &plan);
	plan.refused = TRUE;
	g_free(plan.reason);
	plan.reason = reason;
	if (why) {
		plan.ruled_out = ruled_out(why);
		g_free(plan.relief);
		plan.relief = reason_relief(why);
	}
	planner_write_plan(write, records, &plan);
	noun_clear(&plan_noun, &plan);
	return TRUE;
}

static void plan_place(struct planner *planner, struct plan *plan, const struct reason_case *why)
{
	struct accounts *accounts = &planner->accounts;
	const struct account_host *host = accounts_at(accounts, why->decision.fit.host);

	planner_set_string(&plan->host, host->name);
	if (host->record.simulated)
		planner_set_string(&plan->agent, host->record.agent);
	g_strfreev(plan->nodes);
	plan->nodes = planner_node_names(why->decision.fit.nodes);
	plan->score = isfinite(why->decision.cost) ? why->decision.cost : 0;
	planner_set_string(&plan->step, allocation_step_names[why->decision.step]);
	if (!why->explained)
		return;
	if (why->n_feasible == 1)
		planner_set_string(&plan->step, allocation_step_names[ALLOCATION_STEP_ONLY]);
	if (why->runner_up != ALLOCATION_NONE)
		planner_set_string(&plan->runner_up, accounts_at(accounts, why->runner_up)->name);
	plan->ruled_out = ruled_out(why);
}

/* The case's host is free for it: write that down. It is charged by the caller, afterwards or before. */
void planner_grant_write(struct planner *planner, struct entry *entry, struct records *records,
			 const struct reason_case *why, struct planner_write *write)
{
	struct plan plan;

	noun_init(&plan_noun, &plan);
	planner_plan_fill(&plan, records);
	plan_stamp(planner, records, &plan);
	plan_place(planner, &plan, why);
	g_free(plan.reason);
	plan.reason = reason_placed(why);
	planner_write_plan(write, records, &plan);
	entry->stops = plan.desired == VM_DESIRED_STOPPED;
	g_clear_pointer(&entry->written, g_bytes_unref);
	if (!entry->stops)
		entry->written = g_bytes_ref(write->value);
	noun_clear(&plan_noun, &plan);
}

/* Who comes may be the one that others wait for. */
void planner_charge(struct planner *planner, struct entry *entry, const struct demand *demand,
		    struct account_request *request, const struct allocation_fit *fit)
{
	if (planner->following) {
		planner->accounts.freed = TRUE;
		planner->accounts.epoch++;
	}
	accounts_charge(&planner->accounts, &entry->charge, demand, request, fit, entry);
}

/* Refused already, as it is now. */
static gboolean says_so(const struct records *records)
{
	return records->has_plan && records->plan.refused &&
	       records->plan.vm_revision == (guint64)records->vm_kv->mod_revision;
}

static gboolean place(struct planner *planner, struct entry *entry, struct records *records,
		      struct account_request *request, struct planner_write *write)
{
	struct accounts *accounts = &planner->accounts;
	struct demand demand = demand_of_vm(&records->vm);
	struct allocation_decision decision;
	struct reason_case why;

	accounts_decide(accounts, &demand, request, &decision);
	if (decision.fit.host == ALLOCATION_NONE) {
		if (request->charged && planner_preempt(planner, entry, records, request))
			return FALSE;
		if (says_so(records))
			return FALSE; /* still refused, and it says so */
		reason_explain(accounts, &demand, request, &why);
		return planner_refuse(planner, records, write, reason_refused(&why), &why);
	}
	if (accounts->n_present <= LIMIT_EXPLAIN_HOSTS && accounts->n_present > 1)
		reason_explain(accounts, &demand, request, &why);
	else
		why = (struct reason_case) { .accounts = accounts, .demand = &demand, .request = request };
	if (!why.explained)
		why.runner_up = ALLOCATION_NONE;
	why.decision = decision;
	planner_grant_write(planner, entry, records, &why, write);
	planner_charge(planner, entry, &demand, request, &decision.fit);
	planner_waits(planner, entry, FALSE);
	return TRUE;
}

void planner_rank(struct planner *planner, struct entry *entry, const struct vm *vm)
{
	const struct account_pool *pool =
		accounts_pool_find(&planner->accounts, vm->pool && *vm->pool ? vm->pool : "default");

	entry->follows = (vm->affinity && *vm->affinity) || (vm->spread && *vm->spread);
	entry->priority = (guint)vm->priority;
	entry->pool = pool ? pool->index : 0;
}

gboolean planner_place(struct planner *planner, struct entry *entry, struct records *records,
		       struct planner_write *write)
{
	struct accounts *accounts = &planner->accounts;
	struct demand demand = demand_of_vm(&records->vm);
	struct account_request request;
	struct allocation_pool_verdict verdict;
	g_autoptr(GError) error = NULL;
	gboolean wrote;

	planner_rank(planner, entry, &records->vm);
	planner_waits(planner, entry, TRUE);
	/* Real hosts report when their agents start; simulated ones are there at once. */
	if (accounts->n_present <= (demand_is_sim(&demand) ? 0 : accounts->n_simulated))
		return FALSE;
	accounts->now_ms = MAX(accounts->now_ms, (guint64)MAX(records->vm.created_at, 0) / 1000);
	if (records->vm.gang && *records->vm.gang && records->vm.gang_size > 1)
		return planner_gang(planner, entry, records, write);
	if (!accounts_make(accounts, &demand, NULL, &request, &error))
		return !says_so(records) && planner_refuse(planner, records, write, g_strdup(error->message), NULL);
	planner_regroup(planner);
	if (request.charged) {
		verdict = allocation_pools_admit(accounts->pools, request.request.pool, request.request.amount);
		if (verdict.kind != ALLOCATION_POOL_ADMITS) {
			wrote = !says_so(records) && planner_refuse(planner, records, write,
								    reason_pool(accounts, &request, &verdict), NULL);
			accounts_unmake(accounts, &request);
			return wrote;
		}
	}
	wrote = place(planner, entry, records, &request, write);
	accounts_unmake(accounts, &request);
	return wrote;
}
