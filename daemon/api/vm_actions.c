/* Changes of a VM that exists: PATCH, start, stop, pause, resume. Each reads the record, changes it, and writes it back
 * under a compare; when somebody else was faster it looks again at what there is now. */
#include "daemon/api/vms.h"

#include <string.h>

#define UPDATE_TRIES_MAX 8u

static void update_try(struct request *request, const struct store_kv *kv);

/* The record as the failed transaction read it. NULL: it is gone. */
static const struct store_kv *result_kv(const struct store_txn_result *result)
{
	const GPtrArray *range = result->ranges && result->ranges->len ? g_ptr_array_index(result->ranges, 0) : NULL;

	return range && range->len ? g_ptr_array_index(range, 0) : NULL;
}

/* ---- A start or a reservation that does not fit ---- */

struct refusal {
	struct request *request;
	char *reason;
};

static void taken_back(GObject *source, GAsyncResult *async, gpointer user_data)
{
	struct refusal *refusal = user_data;
	struct request *request = refusal->request;
	const struct vm_op *op = request->state;
	const char *what = op->starts ? "start" : "change";
	g_autoptr(GError) error = NULL;
	struct store_txn_result *result = store_txn_finish(request->store, async, &error);

	if (!result) {
		g_prefix_error(&error, "%s VM %s: %s; take the %s back: ", what, op->name, refusal->reason, what);
		request_fail(request, error);
	} else if (result->succeeded) {
		request_fail_new(request, POLDER_ERROR_NO_CAPACITY, "%s VM %s: %s: %sstop or remove others first", what,
				 op->name, refusal->reason, op->starts ? "" : "ask for less, or ");
	} else {
		request_fail_new(request, POLDER_ERROR_CONFLICT, "VM %s was changed by somebody else meanwhile",
				 op->name);
	}
	if (result)
		store_txn_result_free(result);
	request_unref(request);
	g_free(refusal->reason);
	g_free(refusal);
}

/* The record as it was before the start that we wrote: it had ended. NULL: *error. */
static GBytes *not_started(const struct store_kv *kv, GError **error)
{
	struct vm vm;
	char *text;

	if (!api_parse(&vm_noun, kv, &vm, error))
		return NULL;
	vm.desired = VM_DESIRED_STOPPED;
	vm.run--;
	text = noun_to_json(&vm_noun, &vm);
	noun_clear(&vm_noun, &vm);
	return g_bytes_new_take(text, strlen(text));
}

/* Make the VM what it was before we wrote, and answer then. */
static void take_back(struct request *request, const struct vm_records *records)
{
	const struct vm_op *op = request->state;
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) value = op->starts ? not_started(records->vm, &error) : g_bytes_ref(op->before);
	struct refusal *refusal;
	struct store_txn *txn;

	if (!value) {
		request_fail(request, error);
		return;
	}
	refusal = g_new0(struct refusal, 1);
	refusal->request = request_ref(request);
	refusal->reason = record_value_string(record_get(records->plan->value, op->starts ? "reason" : "held"));
	txn = store_txn_new();
	store_txn_compare(txn, records->vm->key, STORE_TARGET_MOD, STORE_EQUAL, records->vm->mod_revision);
	store_txn_put(txn, STORE_THEN, records->vm->key, value, records->vm->lease);
	store_txn_async(request->store, txn, NULL, taken_back, refusal);
}

/* A plan that leaves stopped what we started, or at its old reservation what we raised. */
static gboolean plan_refuses(const struct vm_op *op, const struct store_kv *plan)
{
	g_autofree char *desired = record_value_string(record_get(plan->value, "desired"));
	g_autofree char *held = record_value_string(record_get(plan->value, "held"));

	return op->starts ? g_strcmp0(desired, "stopped") == 0 : held && *held;
}

/* Control has answered our write. */
static gboolean planned(struct request *request)
{
	const struct vm_op *op = request->state;
	struct vm_records records = vm_records_get(request->api, op->name);

	if (store_cache_revision(request->api->config.cache) < op->revision)
		return FALSE;
	if (!vm_life_is(records.vm, op->uuid)) {
		vm_op_wait(request); /* says so */
		return TRUE;
	}
	if (!vm_life_is(records.plan, op->uuid) || vm_number(records.plan, "vm_revision") < (guint64)op->revision)
		return FALSE;
	if (records.vm->mod_revision == op->revision && plan_refuses(op, records.plan))
		take_back(request, &records);
	else
		vm_op_wait(request);
	return TRUE;
}

static void wait_for_plan(struct request *request)
{
	static const struct wait_funcs funcs = { .check = planned, .expired = vm_op_wait };
	const struct vm_op *op = request->state;

	wait_begin(request, op->name, VM_PLAN_WAIT_MS, &funcs);
}

/* ---- The loop ---- */

static void update_done(GObject *source, GAsyncResult *async, gpointer user_data)
{
	struct request *request = user_data;
	struct vm_op *op = request->state;
	g_autoptr(GError) error = NULL;
	struct store_txn_result *result = store_txn_finish(request->store, async, &error);

	if (!result) {
		g_prefix_error(&error, "change VM %s: ", op->name);
		request_fail(request, error);
	} else if (result->succeeded) {
		op->revision = result->revision;
		if (op->starts || op->raises)
			wait_for_plan(request);
		else
			vm_op_wait(request);
	} else if (op->tries++ < UPDATE_TRIES_MAX) {
		update_try(request, result_kv(result));
	} else {
		request_fail_new(request, POLDER_ERROR_CONFLICT, "VM %s is changed by others all the time: try again",
				 op->name);
	}
	if (result)
		store_txn_result_free(result);
	request_unref(request);
}

static void update_put(struct request *request, const struct store_kv *kv, const struct vm *vm)
{
	struct vm_op *op = request->state;
	struct store_txn *txn = store_txn_new();
	char *text = noun_to_json(&vm_noun, vm);
	g_autoptr(GBytes) value = g_bytes_new_take(text, strlen(text));

	g_clear_pointer(&op->before, g_bytes_unref);
	op->before = g_bytes_ref(kv->value);
	store_txn_compare(txn, kv->key, STORE_TARGET_MOD, STORE_EQUAL, kv->mod_revision);
	store_txn_put(txn, STORE_THEN, kv->key, value, kv->lease);
	store_txn_range(txn, STORE_ELSE, kv->key, NULL);
	store_txn_async(request->store, txn, NULL, update_done, request_ref(request));
}

static void update_try(struct request *request, const struct store_kv *kv)
{
	struct vm_op *op = request->state;
	g_autoptr(GError) error = NULL;
	g_autofree char *reason = NULL;
	struct vm_records records;
	gboolean changed = FALSE;
	struct vm vm;

	if (!request->api)
		return;
	if (!kv) {
		vms_not_found(request);
		return;
	}
	if (!api_parse(&vm_noun, kv, &vm, &error)) {
		request_fail(request, error);
		return;
	}
	records = vm_records_get(request->api, op->name);
	if (!op->uuid)
		op->uuid = g_strdup(vm.uuid);
	if (!op->change(request, &vm, view_state(&records, &reason), &changed, &error))
		request_fail(request, error);
	else if (changed)
		update_put(request, kv, &vm);
	else
		vm_op_wait(request);
	noun_clear(&vm_noun, &vm);
}

static void update(struct request *request, struct vm_op *op)
{
	if (vm_op_read_wait(request, op))
		update_try(request, api_get(request->api, "vm", request->name));
}

/* ---- What each does ---- */

static gboolean wrong_state(GError **error, const char *name, int state, const char *next)
{
	g_set_error(error, POLDER_ERROR, POLDER_ERROR_CONFLICT, "VM %s is %s: %s", name, view_state_name(state), next);
	return FALSE;
}

static gboolean status_behind(struct request *request, const struct vm *vm)
{
	const struct store_kv *kv = api_get(request->api, "status", vm->name);
	struct record_value run = kv ? record_get(kv->value, "run") : (struct record_value) { NULL, 0 };

	return !run.bytes || g_ascii_strtoull(run.json, NULL, 10) < vm->run;
}

static gboolean change_start(struct request *request, struct vm *vm, int state, gboolean *changed, GError **error)
{
	gboolean ended = state == VM_STATE_STOPPED || state == VM_STATE_FAILED;

	if (state == VM_STATE_PAUSED)
		return wrong_state(error, vm->name, state, "polder resume lets it go on");
	if (state == VM_STATE_STOPPING)
		return wrong_state(error, vm->name, state, "wait until it has stopped, then start it");
	if (vm->desired == VM_DESIRED_RUNNING && (!ended || status_behind(request, vm)))
		return TRUE; /* runs, or was asked to already */
	vm->desired = VM_DESIRED_RUNNING;
	vm->run++;
	*changed = TRUE;
	return TRUE;
}

static gboolean change_stop(struct request *request, struct vm *vm, int state, gboolean *changed, GError **error)
{
	const struct vm_op *op = request->state;
	gboolean ended = state == VM_STATE_STOPPED || state == VM_STATE_FAILED;

	/* One that ended by itself is still wanted running, and keeps its memory: no more. */
	if (ended && vm->desired == VM_DESIRED_STOPPED)
		return TRUE;
	*changed = vm->desired != VM_DESIRED_STOPPED ||
		   (op->has_stop_timeout && vm->stopping_timeout_ms != op->stop_timeout_ms);
	if (op->has_stop_timeout)
		vm->stopping_timeout_ms = op->stop_timeout_ms;
	else if (vm->desired != VM_DESIRED_STOPPED)
		vm->stopping_timeout_ms = vm->stop_timeout_ms;
	vm->desired = VM_DESIRED_STOPPED;
	return TRUE;
}

static gboolean change_pause(struct request *request, struct vm *vm, int state, gboolean *changed, GError **error)
{
	if (state != VM_STATE_RUNNING && state != VM_STATE_PAUSED)
		return wrong_state(error, vm->name, state, "only a running VM can be paused");
	*changed = vm->desired != VM_DESIRED_PAUSED;
	vm->desired = VM_DESIRED_PAUSED;
	return TRUE;
}

static gboolean change_resume(struct request *request, struct vm *vm, int state, gboolean *changed, GError **error)
{
	if (state != VM_STATE_RUNNING && state != VM_STATE_PAUSED)
		return wrong_state(error, vm->name, state, "only a paused VM can be resumed; polder start starts one");
	/* A VM that its engine paused (an I/O error) is wanted running already: a new write has the agent try again. */
	*changed = vm->desired != VM_DESIRED_RUNNING || state == VM_STATE_PAUSED;
	vm->desired = VM_DESIRED_RUNNING;
	return TRUE;
}

static gboolean change_fields(struct request *request, struct vm *vm, int state, gboolean *changed, GError **error)
{
	struct vm_op *op = request->state;
	struct vm_records records = vm_records_get(request->api, op->name);
	guint64 reserve_percent = vm->cpu_reserve_percent;

	*changed = TRUE;
	if (!noun_from_json(&vm_noun, vm, (const char *)request->body->data, request->body->len, NOUN_FROM_UPDATE,
			    error))
		return FALSE;
	/* Without a host there is nothing that could refuse it yet: placing it will. */
	op->raises = vm->cpu_reserve_percent > reserve_percent && vm_life_is(records.plan, op->uuid) &&
		     !record_value_is(record_get(records.plan->value, "refused"), "true");
	return TRUE;
}

/* {"timeout_ms":30000}, or nothing. FALSE after answering. */
static gboolean stop_parse(struct request *request, struct vm_op *op)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(JsonNode) node = NULL;
	JsonObject *object;
	JsonNode *timeout;

	if (!request->body->len)
		return TRUE;
	node = json_parse_bounded((const char *)request->body->data, request->body->len, &error);
	if (!node) {
		request_fail(request, error);
		return FALSE;
	}
	object = JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
	timeout = object ? json_object_get_member(object, "timeout_ms") : NULL;
	if (!object || json_object_get_size(object) != (timeout ? 1u : 0u)) {
		request_fail_new(request, POLDER_ERROR_INVALID,
				 "a stop takes {\"timeout_ms\":NUMBER} and nothing else");
		return FALSE;
	}
	if (!timeout)
		return TRUE;
	if (json_node_get_value_type(timeout) != G_TYPE_INT64 || json_node_get_int(timeout) < 0 ||
	    json_node_get_int(timeout) > (gint64)LIMIT_VM_STOP_TIMEOUT_MAX_MS) {
		request_fail_new(request, POLDER_ERROR_INVALID,
				 "timeout_ms must be a whole number from 0 (kill now) to %u",
				 LIMIT_VM_STOP_TIMEOUT_MAX_MS);
		return FALSE;
	}
	op->has_stop_timeout = TRUE;
	op->stop_timeout_ms = (guint64)json_node_get_int(timeout);
	return TRUE;
}

void vms_patch(struct request *request)
{
	struct vm_op *op = vm_op_new(request, GOAL_RUNNING);

	op->change = change_fields;
	update_try(request, api_get(request->api, "vm", request->name));
}

void vms_start(struct request *request)
{
	struct vm_op *op = vm_op_new(request, GOAL_RUNNING);

	op->change = change_start;
	op->starts = TRUE;
	update(request, op);
}

void vms_stop(struct request *request)
{
	struct vm_op *op = vm_op_new(request, GOAL_STOPPED);

	op->change = change_stop;
	if (stop_parse(request, op))
		update(request, op);
}

void vms_pause(struct request *request)
{
	struct vm_op *op = vm_op_new(request, GOAL_PAUSED);

	op->change = change_pause;
	update(request, op);
}

void vms_resume(struct request *request)
{
	struct vm_op *op = vm_op_new(request, GOAL_RUNNING);

	op->change = change_resume;
	update(request, op);
}
