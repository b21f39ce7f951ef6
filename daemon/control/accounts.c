#include "daemon/control/accounts.h"

#include <string.h>

#include "daemon/model/limits.h"

/* accounts_host.c */
void accounts_hosts_clear(struct accounts *accounts);
void accounts_specs_init(struct accounts *accounts);

static void pool_free(gpointer data)
{
	struct account_pool *pool = data;

	noun_clear(&pool_noun, &pool->record);
	g_free(pool);
}

void accounts_init(struct accounts *accounts)
{
	memset(accounts, 0, sizeof(*accounts));
	accounts->world = allocation_world_new();
	accounts->pools = allocation_pools_new();
	if (!choice_parse(NULL, &accounts->choice, NULL))
		g_error("the default strategy is missing");
	accounts->placer = accounts->world ? allocation_placer_new(accounts->world, accounts->choice.strategy,
								   &accounts->choice.values, accounts->choice.seed)
					   : NULL;
	if (!accounts->placer || !accounts->pools)
		g_error("out of memory");
	accounts->hosts = g_ptr_array_new();
	accounts->host_index = g_hash_table_new(g_str_hash, g_str_equal);
	accounts_specs_init(accounts);
	accounts->least_cpus = G_MAXUINT64;
	accounts->pool_index = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, pool_free);
	numbers_init(&accounts->labels, 64);
	numbers_init(&accounts->taints, 63);
	numbers_init(&accounts->groups, 0);
	numbers_init(&accounts->tenants, 0);
	numbers_init(&accounts->engines, 32);
	numbers_init(&accounts->extended, LIMIT_EXTENDED);
	numbers_init(&accounts->racks, 0);
	numbers_init(&accounts->zones, 0);
	accounts->owners = g_ptr_array_new();
	accounts->regroup = g_ptr_array_new_with_free_func(g_free);
}

void accounts_clear(struct accounts *accounts)
{
	struct numbers *all[] = { &accounts->labels,  &accounts->taints,   &accounts->groups, &accounts->tenants,
				  &accounts->engines, &accounts->extended, &accounts->racks,  &accounts->zones };

	accounts_hosts_clear(accounts);
	allocation_placer_free(accounts->placer);
	allocation_world_free(accounts->world);
	allocation_pools_free(accounts->pools);
	g_hash_table_unref(accounts->host_index);
	g_hash_table_unref(accounts->specs);
	g_hash_table_unref(accounts->pool_index);
	g_ptr_array_unref(accounts->hosts);
	g_ptr_array_unref(accounts->owners);
	g_ptr_array_unref(accounts->regroup);
	for (gsize i = 0; i < G_N_ELEMENTS(all); i++)
		numbers_clear(all[i]);
}

/* ---- Decisions ---- */

enum allocation_constraint accounts_violates(const struct accounts *accounts, const struct demand *demand,
					     const struct account_request *request, guint host)
{
	const struct account_host *at = accounts_at(accounts, host);
	enum allocation_constraint first;

	if (!request->charged && at && at->present) {
		if (at->record.simulated || !accounts_offers(accounts, host, demand->engine))
			return ALLOCATION_LACKS_ENGINE;
		if (demand->cpus > at->record.cpus)
			return ALLOCATION_LACKS_CPU;
		if (demand->memory_bytes > at->record.memory_bytes)
			return ALLOCATION_LACKS_MEMORY;
		if (demand->cpu_reserve_percent * 10 > accounts_reserve_most(accounts, host))
			return ALLOCATION_LACKS_CPU_RESERVE;
	}
	first = allocation_world_violates(accounts->world, &request->request, host);
	if (first == ALLOCATION_LACKS_LABEL && at && at->record.cpus < request->threads &&
	    accounts->least_cpus < request->threads) {
		gboolean others = TRUE;

		for (char **label = demand->require; label && *label; label++)
			others = others && at->spec.labels &&
				 g_strv_contains((const char *const *)at->spec.labels, *label);
		for (char **label = demand->avoid_labels; label && *label; label++)
			others = others &&
				 (!at->spec.labels || !g_strv_contains((const char *const *)at->spec.labels, *label));
		return others ? ALLOCATION_LACKS_CPU : first;
	}
	return first;
}

/* Simulated VMs on real hosts take nothing: the first host that offers them and is no smaller than they are. */
static void decide_uncharged(struct accounts *accounts, const struct demand *demand,
			     const struct account_request *request, struct allocation_decision *decision)
{
	*decision = (struct allocation_decision) { .fit.host = ALLOCATION_NONE, .step = ALLOCATION_STEP_NONE };
	for (guint i = 0; i < accounts->hosts->len; i++) {
		struct allocation_fit fits[ALLOCATION_NODES_MAX];

		if (accounts_at(accounts, i) &&
		    accounts_violates(accounts, demand, request, i) == ALLOCATION_CONSTRAINTS &&
		    allocation_world_fits(accounts->world, &request->request, i, fits)) {
			decision->fit = fits[0];
			decision->step = ALLOCATION_STEP_ORDER;
			return;
		}
	}
}

void accounts_decide(struct accounts *accounts, const struct demand *demand, const struct account_request *request,
		     struct allocation_decision *decision)
{
	guint32 class_id;

	if (!request->charged) {
		decide_uncharged(accounts, demand, request, decision);
		return;
	}
	class_id = allocation_world_class(accounts->world, &request->request);
	if (class_id == ALLOCATION_NONE)
		g_error("out of memory");
	allocation_placer_decide(accounts->placer, class_id, (gint64)accounts->now_ms, decision);
	allocation_world_class_unref(accounts->world, class_id);
}

/* ---- Charges ---- */

gboolean accounts_takes(const struct plan *plan, const struct status *status)
{
	if (plan->remove && !status)
		return FALSE; /* its host has let go of it, or never had it */
	if (plan->desired != VM_DESIRED_STOPPED || !status || g_strcmp0(status->uuid, plan->uuid) != 0)
		return TRUE;
	/* Run 0: it was stopped before it was ever started. A status of an earlier run lags behind: the VM may be starting. */
	return (status->state != VM_STATE_STOPPED && status->state != VM_STATE_FAILED) ||
	       (status->run < plan->run && status->run > 0);
}

void accounts_discharge(struct accounts *accounts, struct charge *charge)
{
	struct account_host *host;
	const struct allocation_placement *placement;
	guint number = charge->host - 1;

	if (!charge->host)
		return;
	host = g_ptr_array_index(accounts->hosts, number);
	if (charge->real) {
		placement = allocation_world_placement(accounts->world, charge->vm);
		const struct allocation_request *request =
			allocation_world_request(accounts->world, placement->class_id);

		allocation_pools_release(accounts->pools, request->pool, request->amount);
		accounts->priorities[charge->priority]--;
		host->placed_bytes -= charge->memory_bytes;
	}
	allocation_placer_remove(accounts->placer, charge->vm, (gint64)accounts->now_ms);
	g_ptr_array_index(accounts->owners, charge->vm) = NULL;
	accounts_release(accounts, charge->held);
	accounts->freed = TRUE;
	accounts->epoch++;
	host->n_charges--;
	*charge = (struct charge) { 0 };
	accounts_forget_if_gone(accounts, number);
}

void accounts_charge(struct accounts *accounts, struct charge *charge, const struct demand *demand,
		     struct account_request *request, const struct allocation_fit *fit, gpointer owner)
{
	guint32 class_id = allocation_world_class(accounts->world, &request->request);
	struct account_host *host = g_ptr_array_index(accounts->hosts, fit->host);
	guint32 vm = class_id == ALLOCATION_NONE
			     ? ALLOCATION_NONE
			     : allocation_placer_place(accounts->placer, class_id, fit, (gint64)accounts->now_ms);

	g_assert(!charge->host);
	if (vm == ALLOCATION_NONE)
		g_error("out of memory");
	allocation_world_class_unref(accounts->world, class_id);
	*charge = (struct charge) { .host = fit->host + 1,
				    .vm = vm,
				    .memory_bytes = demand->memory_bytes,
				    .priority = (guint)MIN(demand->priority, LIMIT_PRIORITY_MAX),
				    .real = request->charged,
				    .held = g_steal_pointer(&request->held) };
	if (vm >= accounts->owners->len)
		g_ptr_array_set_size(accounts->owners, (gint)vm + 1);
	g_ptr_array_index(accounts->owners, vm) = owner;
	host->n_charges++;
	if (!charge->real)
		return;
	host->placed_bytes += charge->memory_bytes;
	accounts->priorities[charge->priority]++;
	allocation_pools_charge(accounts->pools, request->request.pool, request->request.amount);
}

/* The NUMA nodes named in the plan; else those it would take, or the first. */
static uint8_t plan_nodes(const struct accounts *accounts, const struct plan *plan,
			  const struct allocation_request *request, guint host)
{
	guint n_nodes = allocation_world_hosts(accounts->world)[host].n_nodes;
	struct allocation_fit fits[ALLOCATION_NODES_MAX];
	uint8_t nodes = 0;

	for (char **node = plan->nodes; node && *node; node++) {
		guint64 number = g_ascii_strtoull(*node, NULL, 10);

		if (number < n_nodes)
			nodes |= (uint8_t)(1u << number);
	}
	if (!nodes && allocation_world_fits(accounts->world, request, host, fits))
		nodes = fits[0].nodes;
	return nodes ? nodes : 1;
}

void accounts_charge_plan(struct accounts *accounts, struct charge *charge, const char *name, const struct plan *plan,
			  gpointer owner)
{
	struct demand demand = demand_of_plan(name, plan);
	struct account_request request;
	struct allocation_fit fit;
	const struct account_host *host;

	accounts_discharge(accounts, charge);
	if (plan->refused || !plan->host || !*plan->host)
		return;
	if (plan->decided_at > 0)
		accounts->now_ms = MAX(accounts->now_ms, (guint64)plan->decided_at / 1000);
	fit.host = accounts_find(accounts, plan->host);
	host = accounts_at(accounts, fit.host);
	/* Plans may be read before hosts; only simulated ones are served by another's agent. */
	if (!host->present && plan->agent && *plan->agent)
		((struct account_host *)g_ptr_array_index(accounts->hosts, fit.host))->record.simulated = TRUE;
	accounts_make(accounts, &demand, host, &request, NULL);
	fit.nodes = plan_nodes(accounts, plan, &request.request, fit.host);
	accounts_charge(accounts, charge, &demand, &request, &fit, owner);
}
