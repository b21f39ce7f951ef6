/* Questions about hosts and pools: how full they are, and what could move. */
#include <string.h>

#include "core/allocation/rebalance.h"
#include "daemon/control/questions.h"
#include "daemon/control/reason.h"
#include "daemon/model/error.h"
#include "daemon/model/placement.h"

static const char *host_name_of(const struct accounts *accounts, guint32 host)
{
	const struct account_host *at = accounts_at(accounts, host);

	return at ? at->name : "";
}

/* "cpu=8", "memory=16G": what amount_parse reads; nothing of it is left out but zeros, unless `zeros`. */
static char *amount_text(enum allocation_dimension dimension, guint64 amount)
{
	g_autofree char *size = NULL;

	if (dimension == ALLOCATION_CPU || dimension == ALLOCATION_CPU_RESERVE)
		return g_strdup_printf("%s=%g", allocation_dimension_names[dimension], (double)amount / 1000);
	if (dimension == ALLOCATION_NETWORK)
		return g_strdup_printf("network=%" G_GUINT64_FORMAT "M", amount);
	if (dimension < ALLOCATION_EXTENDED) {
		size = reason_size(amount * ACCOUNTS_MIB);
		return g_strdup_printf("%s=%s", allocation_dimension_names[dimension], size);
	}
	return g_strdup_printf("%s=%" G_GUINT64_FORMAT, allocation_dimension_names[dimension], amount);
}

/* Of what has a capacity that was told. */
static JsonArray *amounts(const guint64 amount[ALLOCATION_DIMENSIONS], const guint64 of[ALLOCATION_DIMENSIONS])
{
	JsonArray *array = json_array_new();

	for (guint d = 0; d < ALLOCATION_DIMENSIONS; d++) {
		g_autofree char *text = NULL;

		if (!of[d] || of[d] >= UINT32_MAX / 2)
			continue;
		text = amount_text((enum allocation_dimension)d, amount[d]);
		json_array_add_string_element(array, text);
	}
	return array;
}

/* ---- Hosts ---- */

JsonObject *questions_host(struct planner *planner, const char *name, GError **error)
{
	struct accounts *accounts = planner_accounts(planner);
	guint found = accounts_lookup(accounts, name);
	const struct allocation_host_state *state;
	const struct account_host *host;
	guint64 free[ALLOCATION_DIMENSIONS] = { 0 }, total[ALLOCATION_DIMENSIONS] = { 0 };
	JsonArray *nodes;
	JsonObject *object;

	if (!found) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_NOT_FOUND, "there is no host %s", name);
		return NULL;
	}
	host = accounts_at(accounts, found - 1);
	state = &allocation_world_hosts(accounts->world)[found - 1];
	nodes = json_array_new();
	for (guint n = 0; n < state->n_nodes; n++) {
		guint64 node_free[ALLOCATION_DIMENSIONS] = { 0 }, node_total[ALLOCATION_DIMENSIONS] = { 0 };
		JsonObject *node = json_object_new();

		for (guint d = 0; d < ALLOCATION_NODE_DIMENSIONS; d++) {
			free[d] += node_free[d] = state->node[n].free[d];
			total[d] += node_total[d] = host->described.node_capacity[n][d];
		}
		json_object_set_array_member(node, "free", amounts(node_free, node_total));
		json_object_set_array_member(node, "total", amounts(node_total, node_total));
		json_array_add_object_element(nodes, node);
	}
	for (guint d = ALLOCATION_NODE_DIMENSIONS; d < ALLOCATION_DIMENSIONS; d++) {
		free[d] = state->free[d - ALLOCATION_NODE_DIMENSIONS];
		total[d] = host->described.capacity[d - ALLOCATION_NODE_DIMENSIONS];
	}
	object = json_object_new();
	json_object_set_int_member(object, "vms", host->n_charges);
	json_object_set_array_member(object, "free", amounts(free, total));
	json_object_set_array_member(object, "total", amounts(total, total));
	json_object_set_array_member(object, "nodes", nodes);
	return object;
}

/* ---- Pools ---- */

JsonObject *questions_pool(struct planner *planner, const char *name, GError **error)
{
	struct accounts *accounts = planner_accounts(planner);
	const struct account_pool *pool = accounts_pool_find(accounts, name);
	guint64 used[ALLOCATION_DIMENSIONS];
	enum allocation_dimension dominant = ALLOCATION_CPU;
	JsonObject *object;

	if (!pool) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_NOT_FOUND, "there is no pool '%.63s'", name);
		return NULL;
	}
	for (guint d = 0; d < ALLOCATION_DIMENSIONS; d++)
		used[d] = allocation_pools_usage(accounts->pools, pool->index, (enum allocation_dimension)d);
	object = json_object_new();
	json_object_set_int_member(object, "vms", (gint64)allocation_pools_vms(accounts->pools, pool->index));
	json_object_set_double_member(object, "dominant_share",
				      allocation_pools_dominant_share(accounts->pools, pool->index, &dominant));
	json_object_set_string_member(object, "dominant", allocation_dimension_names[dominant]);
	json_object_set_array_member(object, "used", amounts(used, accounts->total));
	json_object_set_array_member(object, "total", amounts(accounts->total, accounts->total));
	return object;
}

/* What the pools right below `parent` have reserved, without the one that is asked for. */
static guint64 reserved_below(const struct accounts *accounts, guint32 parent, guint32 except, guint dimension)
{
	GHashTableIter iter;
	gpointer value;
	guint64 sum = 0;

	g_hash_table_iter_init(&iter, accounts->pool_index);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		const struct account_pool *one = value;
		const struct allocation_pool *pool = one->index == ALLOCATION_NONE || one->index == except
							     ? NULL
							     : allocation_pools_get(accounts->pools, one->index);

		if (pool && pool->parent == parent)
			sum += pool->reserve[dimension];
	}
	return sum;
}

/* In which resource the reservation is too much, and how much would do. */
static void reserve_refused(const struct accounts *accounts, const struct pool *pool, guint32 index,
			    const struct allocation_pool *wanted, GError **error)
{
	const struct allocation_pool *parent = allocation_pools_get(accounts->pools, wanted->parent);
	gboolean top = wanted->parent == 0;

	for (guint d = 0; d < ALLOCATION_DIMENSIONS; d++) {
		guint64 whole = top ? accounts->total[d] : parent->reserve[d];
		guint64 taken = reserved_below(accounts, wanted->parent, index, d);
		guint64 below = index == ALLOCATION_NONE ? 0 : reserved_below(accounts, index, ALLOCATION_NONE, d);
		guint64 left = whole > taken ? whole - taken : 0;
		g_autofree char *asked = reason_amount(d, wanted->reserve[d]), *free = reason_amount(d, left),
				*limit = reason_amount(d, wanted->limit[d]), *kept = reason_amount(d, below);

		if (wanted->reserve[d] > wanted->limit[d])
			g_set_error(error, POLDER_ERROR, POLDER_ERROR_CONFLICT,
				    "pool %s can't reserve %s: its own limit is %s", pool->name, asked, limit);
		else if (below > wanted->reserve[d])
			g_set_error(error, POLDER_ERROR, POLDER_ERROR_CONFLICT,
				    "pool %s can't reserve only %s: the pools below it have reserved %s", pool->name,
				    asked, kept);
		else if (wanted->reserve[d] > left && top)
			g_set_error(error, POLDER_ERROR, POLDER_ERROR_CONFLICT,
				    "pool %s can't reserve %s: all hosts together have %s left to reserve", pool->name,
				    asked, free);
		else if (wanted->reserve[d] > left)
			g_set_error(error, POLDER_ERROR, POLDER_ERROR_CONFLICT,
				    "pool %s can't reserve %s: of what pool %s reserves, %s is left", pool->name, asked,
				    pool->parent, free);
		else
			continue;
		return;
	}
	g_set_error(error, POLDER_ERROR, POLDER_ERROR_CONFLICT, "pool %s can't reserve that much", pool->name);
}

static gboolean pool_refused(enum allocation_pool_result result, const struct pool *pool, GError **error)
{
	const char *parent = pool->parent && *pool->parent ? pool->parent : "all hosts";

	switch (result) {
	case ALLOCATION_POOL_OK:
		return TRUE;
	case ALLOCATION_POOL_NO_MEMORY:
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_CONFLICT, "there are %u pools, the most there can be",
			    ALLOCATION_POOLS_MAX - 1);
		break;
	case ALLOCATION_POOL_NO_PARENT:
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_NOT_FOUND, "there is no pool '%s' to be its parent",
			    parent);
		break;
	case ALLOCATION_POOL_CYCLE:
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_CONFLICT, "pool %s can't be below %s, which is below it",
			    pool->name, parent);
		break;
	case ALLOCATION_POOL_OVER_PARENT:
	case ALLOCATION_POOL_IN_USE:
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_CONFLICT, "pool %s has VMs or pools below it",
			    pool->name);
		break;
	}
	return FALSE;
}

/* Each resource at most once. */
static gboolean amounts_once(const char *field, char **texts, GError **error)
{
	gboolean seen[ALLOCATION_DIMENSIONS] = { FALSE };

	for (; texts && *texts; texts++) {
		struct amount amount;

		if (!amount_parse(*texts, &amount, error))
			return FALSE;
		if (seen[amount.kind]) {
			g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID,
				    "%s: '%s' is the second amount of that resource: name each once", field, *texts);
			return FALSE;
		}
		seen[amount.kind] = TRUE;
	}
	return TRUE;
}

gboolean questions_pool_check(struct planner *planner, const struct pool *pool, GError **error)
{
	struct accounts *accounts = planner_accounts(planner);
	struct account_pool *own = g_hash_table_lookup(accounts->pool_index, pool->name);
	const struct account_pool *parent = NULL;
	struct allocation_pool wanted, before;
	enum allocation_pool_result result;
	guint32 index = own ? own->index : ALLOCATION_NONE;

	if (!amounts_once("reserve", pool->reserve, error) || !amounts_once("limit", pool->limit, error))
		return FALSE;
	if (pool->parent && *pool->parent) {
		parent = accounts_pool_find(accounts, pool->parent);
		if (!parent)
			return pool_refused(ALLOCATION_POOL_NO_PARENT, pool, error);
	}
	accounts_pool_convert(pool, parent ? parent->index : 0, &wanted);
	/* Tried and taken back. */
	if (index != ALLOCATION_NONE) {
		before = *allocation_pools_get(accounts->pools, index);
		result = allocation_pools_set(accounts->pools, &index, &wanted);
		if (result == ALLOCATION_POOL_OK)
			allocation_pools_set(accounts->pools, &index, &before);
	} else {
		result = allocation_pools_set(accounts->pools, &index, &wanted);
		if (result == ALLOCATION_POOL_OK)
			allocation_pools_remove(accounts->pools, index);
	}
	if (result == ALLOCATION_POOL_OVER_PARENT) {
		reserve_refused(accounts, pool, own ? own->index : ALLOCATION_NONE, &wanted, error);
		return FALSE;
	}
	return pool_refused(result, pool, error);
}

/* ---- Moves ---- */

static void add_move(JsonArray *moves, struct planner *planner, const struct rebalance_step *step)
{
	struct accounts *accounts = planner_accounts(planner);
	const char *name = planner_name(planner, step->vm);
	JsonObject *move = json_object_new();

	json_object_set_string_member(move, "vm", name ? name : "");
	json_object_set_string_member(move, "from", host_name_of(accounts, step->from));
	json_object_set_string_member(move, "to", host_name_of(accounts, step->to.host));
	json_array_add_object_element(moves, move);
}

JsonObject *questions_drain(struct planner *planner, const char *name, GError **error)
{
	struct accounts *accounts = planner_accounts(planner);
	guint found = accounts_lookup(accounts, name);
	struct rebalance_drain drain = { 0 };
	JsonObject *object;
	JsonArray *moves, *stuck;

	if (!found || !accounts_at(accounts, found - 1)->present) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_NOT_FOUND, "there is no host %s", name);
		return NULL;
	}
	if (!allocation_drain_plan(accounts->world, found - 1, &drain))
		g_error("out of memory");
	object = json_object_new();
	moves = json_array_new();
	stuck = json_array_new();
	for (guint i = 0; i < drain.plan.n_steps; i++) {
		const struct rebalance_step *step = &drain.plan.steps[i];
		g_autofree char *reason = NULL;

		add_move(moves, planner, step);
		reason = g_strdup_printf("the fullest host that takes it");
		json_object_set_string_member(json_array_get_object_element(moves, i), "reason", reason);
	}
	for (guint i = 0; i < drain.n_stuck; i++) {
		const struct rebalance_stuck *one = &drain.stuck[i];
		const char *vm = planner_name(planner, one->vm);
		JsonObject *entry = json_object_new();
		g_autofree char *reason = one->most >= ALLOCATION_CONSTRAINTS
						  ? g_strdup("there is no other host")
						  : g_strdup_printf("no other host takes it: %u of them because of %s",
								    one->hosts, allocation_constraint_names[one->most]);

		json_object_set_string_member(entry, "vm", vm ? vm : "");
		json_object_set_string_member(entry, "reason", reason);
		json_array_add_object_element(stuck, entry);
	}
	rebalance_drain_clear(&drain);
	json_object_set_string_member(object, "host", name);
	json_object_set_array_member(object, "moves", moves);
	json_object_set_array_member(object, "stuck", stuck);
	return object;
}

static const struct allocation_strategy *mover_find(const char *name, GError **error)
{
	const struct allocation_strategy *strategy = allocation_strategy_find(name);
	g_autoptr(GString) names = g_string_new(NULL);

	if (strategy && strategy->rebalance && strategy->rebalance->plan)
		return strategy;
	for (size_t i = 0; i < allocation_n_strategies; i++) {
		if (allocation_strategies[i]->rebalance && allocation_strategies[i]->rebalance->plan)
			g_string_append_printf(names, " %s", allocation_strategies[i]->info.name);
	}
	g_set_error(error, POLDER_ERROR, POLDER_ERROR_NOT_FOUND,
		    "there is no strategy '%.63s' that plans moves: use one of%s", name, names->str);
	return NULL;
}

static JsonObject *gain_object(const struct rebalance_plan *plan)
{
	JsonObject *gain = json_object_new();

	json_object_set_double_member(gain, "imbalance_before", plan->imbalance_before);
	json_object_set_double_member(gain, "imbalance_after", plan->imbalance_after);
	json_object_set_int_member(gain, "hosts_used_before", plan->hosts_used_before);
	json_object_set_int_member(gain, "hosts_used_after", plan->hosts_used_after);
	json_object_set_int_member(gain, "overloaded_before", plan->overloaded_before);
	json_object_set_int_member(gain, "overloaded_after", plan->overloaded_after);
	json_object_set_int_member(gain, "hosts_emptied", plan->hosts_emptied);
	return gain;
}

JsonObject *questions_rebalance(struct planner *planner, const char *name, char *const *parameters, guint64 max_moves,
				GError **error)
{
	struct accounts *accounts = planner_accounts(planner);
	const struct allocation_strategy *strategy = mover_find(name && *name ? name : "greedy-descent", error);
	struct rebalance_limits limits = { .max_moves = (uint32_t)MIN(max_moves, (guint64)UINT32_MAX) };
	struct rebalance_plan plan = { 0 };
	struct strategy_values values;
	JsonObject *object;
	JsonArray *moves;

	if (!strategy)
		return NULL;
	strategy_values_init(&strategy->info, &values);
	if (!choice_set(&strategy->info, &values, parameters, error))
		return NULL;
	if (!allocation_rebalance_plan(accounts->world, strategy, &values, accounts->choice.seed, &limits, &plan)) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_FAILED, "no memory to plan moves");
		return NULL;
	}
	object = json_object_new();
	moves = json_array_new();
	for (guint i = 0; i < plan.n_steps; i++)
		add_move(moves, planner, &plan.steps[i]);
	json_object_set_string_member(object, "strategy", strategy->info.name);
	json_object_set_array_member(object, "moves", moves);
	json_object_set_object_member(object, "gain", gain_object(&plan));
	json_object_set_int_member(object, "memory_moved_bytes", (gint64)(plan.memory_mib * ACCOUNTS_MIB));
	rebalance_plan_clear(&plan);
	return object;
}
