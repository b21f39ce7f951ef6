#include "daemon/control/questions.h"

#include <math.h>
#include <string.h>

#include "daemon/control/planner_private.h"
#include "daemon/control/reason.h"
#include "daemon/model/error.h"

static JsonArray *strings_array(char *const *strings)
{
	JsonArray *array = json_array_new();

	for (; strings && *strings; strings++)
		json_array_add_string_element(array, *strings);
	return array;
}

static void set_taken(JsonObject *object, const char *name, char *text)
{
	json_object_set_string_member(object, name, text ? text : "");
	g_free(text);
}

/* ---- Explanations ---- */

static JsonArray *ruled_out(const struct reason_case *why)
{
	JsonArray *array = json_array_new();

	for (guint c = ALLOCATION_IS_CORDONED; c < ALLOCATION_CONSTRAINTS; c++) {
		JsonObject *one;

		if (!why->ruled_out[c])
			continue;
		one = json_object_new();
		json_object_set_string_member(one, "constraint", allocation_constraint_names[c]);
		json_object_set_int_member(one, "hosts", why->ruled_out[c]);
		set_taken(one, "text",
			  reason_constraint(why->demand, (enum allocation_constraint)c, why->ruled_out[c]));
		json_array_add_object_element(array, one);
	}
	return array;
}

static void set_winner(JsonObject *object, const struct reason_case *why)
{
	struct accounts *accounts = why->accounts;
	gboolean refused = why->decision.fit.host == ALLOCATION_NONE;
	JsonArray *nodes = json_array_new();
	enum allocation_step step = !refused && why->n_feasible == 1 ? ALLOCATION_STEP_ONLY : why->decision.step;

	for (guint n = 0; !refused && n < ALLOCATION_NODES_MAX; n++) {
		char number[4];

		g_snprintf(number, sizeof(number), "%u", n);
		if (why->decision.fit.nodes & (1u << n))
			json_array_add_string_element(nodes, number);
	}
	json_object_set_boolean_member(object, "refused", refused);
	json_object_set_string_member(object, "host",
				      refused ? "" : accounts_at(accounts, why->decision.fit.host)->name);
	json_object_set_array_member(object, "nodes", nodes);
	set_taken(object, "reason", refused ? reason_refused(why) : reason_placed(why));
	json_object_set_string_member(object, "step", refused ? "" : allocation_step_names[step]);
	json_object_set_double_member(object, "score", isfinite(why->decision.cost) ? why->decision.cost : 0);
	json_object_set_string_member(object, "runner_up",
				      why->runner_up == ALLOCATION_NONE ? ""
									: accounts_at(accounts, why->runner_up)->name);
	json_object_set_double_member(object, "runner_up_score",
				      isfinite(why->runner_up_cost) ? why->runner_up_cost : 0);
	json_object_set_string_member(
		object, "tightest", refused || !why->request->charged ? "" : allocation_dimension_names[why->tightest]);
	set_taken(object, "tightest_left",
		  refused || !why->request->charged ? g_strdup("") : reason_amount(why->tightest, why->tightest_left));
}

static void set_strategy(JsonObject *object, const struct choice *choice)
{
	g_auto(GStrv) parameters = choice_parameters(choice);

	json_object_set_string_member(object, "strategy", choice->strategy->info.name);
	json_object_set_array_member(object, "parameters", strings_array(parameters));
	json_object_set_int_member(object, "seed", (gint64)choice->seed);
}

static JsonObject *explain(struct planner *planner, const struct demand *demand, struct account_request *request)
{
	struct accounts *accounts = planner_accounts(planner);
	struct allocation_pool_verdict verdict = { 0 };
	JsonObject *object = json_object_new();
	struct reason_case why;

	reason_explain(accounts, demand, request, &why);
	json_object_set_string_member(object, "vm", demand->name ? demand->name : "");
	set_winner(object, &why);
	set_strategy(object, &accounts->choice);
	json_object_set_int_member(object, "hosts", accounts->n_present);
	json_object_set_int_member(object, "feasible", why.n_feasible);
	json_object_set_array_member(object, "ruled_out", ruled_out(&why));
	set_taken(object, "relief", reason_relief(&why));
	json_object_set_int_member(object, "revision", planner_revision(planner));
	if (request->charged)
		verdict = allocation_pools_admit(accounts->pools, request->request.pool, request->request.amount);
	if (request->charged && verdict.kind != ALLOCATION_POOL_ADMITS) {
		json_object_set_boolean_member(object, "refused", TRUE);
		json_object_set_string_member(object, "host", "");
		set_taken(object, "reason", reason_pool(accounts, request, &verdict));
	}
	return object;
}

JsonObject *questions_explain(struct planner *planner, const struct vm *vm, GError **error)
{
	struct accounts *accounts = planner_accounts(planner);
	struct demand demand = demand_of_vm(vm);
	struct account_request request;
	JsonObject *object;

	if (!accounts_make(accounts, &demand, NULL, &request, error))
		return NULL;
	planner_regroup(planner);
	object = explain(planner, &demand, &request);
	accounts_unmake(accounts, &request);
	return object;
}

static void set_recorded(JsonObject *object, const struct plan *plan)
{
	JsonObject *recorded = json_object_new();

	json_object_set_string_member(recorded, "host", plan->host ? plan->host : "");
	json_object_set_boolean_member(recorded, "refused", plan->refused);
	json_object_set_array_member(recorded, "nodes", strings_array(plan->nodes));
	json_object_set_string_member(recorded, "reason", plan->reason ? plan->reason : "");
	json_object_set_string_member(recorded, "strategy", plan->strategy ? plan->strategy : "");
	json_object_set_array_member(recorded, "parameters", strings_array(plan->parameters));
	json_object_set_int_member(recorded, "seed", (gint64)plan->seed);
	json_object_set_string_member(recorded, "step", plan->step ? plan->step : "");
	json_object_set_double_member(recorded, "score", plan->score);
	json_object_set_string_member(recorded, "runner_up", plan->runner_up ? plan->runner_up : "");
	json_object_set_array_member(recorded, "ruled_out", strings_array(plan->ruled_out));
	json_object_set_string_member(recorded, "relief", plan->relief ? plan->relief : "");
	json_object_set_int_member(recorded, "decided_revision", (gint64)plan->decided_revision);
	json_object_set_object_member(object, "recorded", recorded);
}

/* Asked on a copy of the world, from which the VM is taken. Its names are numbered in the accounts, where they are already. */
static JsonObject *explain_without(struct planner *planner, const struct vm *vm, guint32 number, GError **error)
{
	struct accounts *accounts = planner_accounts(planner);
	struct demand demand = demand_of_vm(vm);
	struct allocation_world *world = accounts->world;
	struct allocation_placer *placer = accounts->placer;
	struct account_request request;
	JsonObject *object;

	if (!accounts_make(accounts, &demand, NULL, &request, error))
		return NULL;
	planner_regroup(planner);
	planner_number(planner, vm->name, &number); /* it may have been counted anew */
	accounts->world = allocation_world_copy(world);
	if (!accounts->world)
		g_error("out of memory");
	allocation_world_remove(accounts->world, number);
	accounts->placer = allocation_placer_new(accounts->world, accounts->choice.strategy, &accounts->choice.values,
						 accounts->choice.seed);
	if (!accounts->placer)
		g_error("out of memory");
	object = explain(planner, &demand, &request);
	allocation_placer_free(accounts->placer);
	allocation_world_free(accounts->world);
	accounts->world = world;
	accounts->placer = placer;
	accounts_unmake(accounts, &request);
	return object;
}

JsonObject *questions_explain_placed(struct planner *planner, const struct vm *vm, const struct plan *plan,
				     GError **error)
{
	JsonObject *object;
	guint32 number;

	if (planner_number(planner, vm->name, &number))
		object = explain_without(planner, vm, number, error);
	else
		object = questions_explain(planner, vm, error);
	if (object && plan)
		set_recorded(object, plan);
	return object;
}

/* ---- Capacity ---- */

/* What stops most hosts first. What the world takes for a label is too few processors on these. */
static void add_first_out(JsonArray *first_out, const struct accounts *accounts, const struct demand *demand,
			  const struct account_request *request, struct allocation_capacity *capacity)
{
	for (guint i = 0; i < accounts->hosts->len && capacity->stopped[ALLOCATION_LACKS_LABEL]; i++) {
		const struct account_host *host = accounts_at(accounts, i);

		if (!host || !host->present || host->record.cpus >= request->threads ||
		    accounts_violates(accounts, demand, request, i) != ALLOCATION_LACKS_CPU)
			continue;
		if (allocation_world_violates(accounts->world, &request->request, i) == ALLOCATION_LACKS_LABEL) {
			capacity->stopped[ALLOCATION_LACKS_LABEL]--;
			capacity->stopped[ALLOCATION_LACKS_CPU]++;
		}
	}
	for (;;) {
		guint most = 0;
		JsonObject *one;

		for (guint c = 1; c < ALLOCATION_CONSTRAINTS; c++) {
			if (capacity->stopped[c] > capacity->stopped[most])
				most = c;
		}
		if (!capacity->stopped[most])
			break;
		one = json_object_new();
		json_object_set_string_member(one, "constraint", allocation_constraint_names[most]);
		json_object_set_int_member(one, "hosts", capacity->stopped[most]);
		json_array_add_object_element(first_out, one);
		capacity->stopped[most] = 0;
	}
}

JsonObject *questions_capacity(struct planner *planner, const struct vm *vm, guint64 limit, GError **error)
{
	struct accounts *accounts = planner_accounts(planner);
	struct demand demand = demand_of_vm(vm);
	struct allocation_capacity capacity = { .more = limit, .capped = TRUE };
	struct account_request request;
	JsonArray *first_out = json_array_new();
	JsonObject *object = json_object_new();

	json_object_set_array_member(object, "first_out", first_out);
	if (!accounts_make(accounts, &demand, NULL, &request, error)) {
		json_object_unref(object);
		return NULL;
	}
	planner_regroup(planner);
	if (request.charged) {
		guint32 class_id = allocation_world_class(accounts->world, &request.request);

		if (class_id == ALLOCATION_NONE || !allocation_capacity(accounts->world, class_id, limit, &capacity))
			g_error("out of memory");
		allocation_world_class_unref(accounts->world, class_id);
		if (!capacity.capped)
			add_first_out(first_out, accounts, &demand, &request, &capacity);
	} else {
		struct allocation_decision decision;

		accounts_decide(accounts, &demand, &request, &decision);
		if (decision.fit.host == ALLOCATION_NONE) {
			capacity.more = 0;
			capacity.capped = FALSE;
		}
	}
	accounts_unmake(accounts, &request);
	json_object_set_int_member(object, "more", (gint64)capacity.more);
	json_object_set_boolean_member(object, "capped", capacity.capped);
	return object;
}

JsonObject *questions_strategy(struct planner *planner)
{
	const struct choice *choice = &planner_accounts(planner)->choice;
	g_auto(GStrv) parameters = choice_parameters(choice);
	JsonObject *object = json_object_new();

	json_object_set_string_member(object, "name", choice->strategy->info.name);
	json_object_set_array_member(object, "parameters", strings_array(parameters));
	json_object_set_int_member(object, "seed", (gint64)choice->seed);
	return object;
}
