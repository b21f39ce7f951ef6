/* A request on one VM: what it waits for, and its answer. */
#include "daemon/api/vms.h"

void vms_not_found(struct request *request)
{
	request_fail_new(request, POLDER_ERROR_NOT_FOUND,
			 "there is no VM called \"%s\": polder ps lists those there are", request->name);
}

void vms_answer(struct request *request, guint status, const char *name)
{
	struct vm_records records = vm_records_get(request->api, name);
	GString *out;

	if (!records.vm) {
		request_fail_new(request, POLDER_ERROR_NOT_FOUND, "VM %s was removed meanwhile", name);
		return;
	}
	out = g_string_new(NULL);
	view_vm(out, &records);
	request_json(request, status, out);
}

void vm_op_free(gpointer data)
{
	struct vm_op *op = data;

	if (!op)
		return;
	noun_clear(&vm_noun, &op->vm);
	g_free(op->name);
	g_free(op->uuid);
	g_free(op->reason);
	g_clear_pointer(&op->before, g_bytes_unref);
	g_free(op);
}

struct vm_op *vm_op_new(struct request *request, enum vm_goal goal)
{
	struct vm_op *op = g_new0(struct vm_op, 1);

	op->goal = goal;
	op->status = 200;
	op->name = g_strdup(request->name);
	request->state = op;
	request->state_free = vm_op_free;
	return op;
}

gboolean vm_op_read_wait(struct request *request, struct vm_op *op)
{
	g_autoptr(GError) error = NULL;

	if (query_uint(request->query, "wait_ms", (struct query_range) { 0, WAIT_MAX_MS }, &op->wait_ms, &error))
		return TRUE;
	request_fail(request, error);
	return FALSE;
}

gboolean vm_life_is(const struct store_kv *kv, const char *uuid)
{
	g_autofree char *have = kv ? record_value_string(record_get(kv->value, "uuid")) : NULL;

	return kv && g_strcmp0(have, uuid) == 0;
}

guint64 vm_number(const struct store_kv *kv, const char *field)
{
	struct record_value value = kv ? record_get(kv->value, field) : (struct record_value) { NULL, 0 };

	return value.bytes ? g_ascii_strtoull(value.json, NULL, 10) : 0;
}

static gboolean goal_reached(const struct vm_op *op, const struct vm_records *records)
{
	g_autofree char *reason = NULL;
	int state = view_state(records, &reason);
	gboolean ended = (state == VM_STATE_STOPPED || state == VM_STATE_FAILED) &&
			 vm_number(records->status, "run") >= vm_number(records->vm, "run");

	switch (op->goal) {
	case GOAL_RUNNING:
		return ended || state == VM_STATE_REFUSED ||
		       (state == VM_STATE_RUNNING &&
			vm_number(records->status, "run") >= vm_number(records->vm, "run"));
	case GOAL_STOPPED:
		return state == VM_STATE_STOPPED || state == VM_STATE_FAILED || state == VM_STATE_REFUSED;
	case GOAL_PAUSED:
		return ended || state == VM_STATE_PAUSED;
	case GOAL_GONE:
		break;
	}
	return FALSE;
}

static gboolean goal_check(struct request *request)
{
	const struct vm_op *op = request->state;
	struct vm_records records = vm_records_get(request->api, op->name);

	if (store_cache_revision(request->api->config.cache) < op->revision)
		return FALSE;
	if (op->goal == GOAL_GONE) {
		if (vm_life_is(records.vm, op->uuid) || vm_life_is(records.plan, op->uuid) ||
		    vm_life_is(records.status, op->uuid))
			return FALSE;
		vms_answer_gone(request, op->name, TRUE);
		return TRUE;
	}
	if (!vm_life_is(records.vm, op->uuid)) {
		request_fail_new(request, POLDER_ERROR_NOT_FOUND, "VM %s was removed meanwhile", op->name);
		return TRUE;
	}
	if (op->wait_ms && !goal_reached(op, &records))
		return FALSE;
	vms_answer(request, op->status, op->name);
	return TRUE;
}

static void goal_expired(struct request *request)
{
	const struct vm_op *op = request->state;
	struct vm_records records = vm_records_get(request->api, op->name);
	g_autofree char *reason = NULL;
	int state = view_state(&records, &reason);

	request_fail_new(request, POLDER_ERROR_TIMEOUT,
			 "VM %s is still %s after %" G_GUINT64_FORMAT " ms%s%s; it goes on: polder show %s", op->name,
			 view_state_name(state), op->wait_ms, *reason ? ": " : "", reason, op->name);
}

void vm_op_wait(struct request *request)
{
	static const struct wait_funcs funcs = { .check = goal_check, .expired = goal_expired };
	const struct vm_op *op = request->state;

	/* Without wait_ms there is still the moment until our own cache has heard of the write. */
	wait_begin(request, op->name, op->wait_ms ? op->wait_ms : VM_PLAN_WAIT_MS, &funcs);
}
