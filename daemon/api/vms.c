/* /v1/vms: show, delete. Creating is in vm_create.c and vm_batch.c, the list in vm_list.c, starting and stopping in
 * vm_actions.c. */
#include "daemon/api/vms.h"

void vms_get(struct request *request)
{
	if (api_get(request->api, "vm", request->name))
		vms_answer(request, 200, request->name);
	else
		vms_not_found(request);
}

void vms_answer_gone(struct request *request, const char *name, gboolean gone)
{
	GString *out = g_string_new("{\"name\":");

	record_append_string(out, name);
	g_string_append_printf(out, ",\"gone\":%s}", gone ? "true" : "false");
	request_json(request, 200, out);
}

static void delete_done(GObject *source, GAsyncResult *async, gpointer user_data)
{
	struct request *request = user_data;
	struct vm_op *op = request->state;
	g_autoptr(GError) error = NULL;
	struct store_txn_result *result = store_txn_finish(request->store, async, &error);

	if (!result) {
		g_prefix_error(&error, "remove VM %s: ", op->name);
		request_fail(request, error);
	} else if (op->wait_ms) {
		op->revision = result->revision;
		vm_op_wait(request);
	} else {
		vms_answer_gone(request, op->name, FALSE);
	}
	if (result)
		store_txn_result_free(result);
	request_unref(request);
}

void vms_delete(struct request *request)
{
	struct vm_op *op = vm_op_new(request, GOAL_GONE);
	struct vm_records records = vm_records_get(request->api, request->name);
	g_autoptr(GError) error = NULL;
	g_autofree char *reason = NULL, *key = g_strconcat("/vm/", request->name, NULL);
	struct store_txn *txn;
	gboolean force;
	int state;

	if (!vm_op_read_wait(request, op))
		return;
	if (!query_bool(request->query, "force", &force, &error)) {
		request_fail(request, error);
		return;
	}
	if (!records.vm) {
		vms_not_found(request);
		return;
	}
	state = view_state(&records, &reason);
	if (!force && state != VM_STATE_STOPPED && state != VM_STATE_FAILED && state != VM_STATE_REFUSED &&
	    state != VM_STATE_PENDING) {
		request_fail_new(request, POLDER_ERROR_CONFLICT,
				 "VM %s is %s: stop it first (polder stop %s), or polder rm --force %s", op->name,
				 view_state_name(state), op->name, op->name);
		return;
	}
	op->uuid = record_value_string(record_get(records.vm->value, "uuid"));
	txn = store_txn_new();
	/* Only this life of the name: another client may have removed and created it anew meanwhile. */
	store_txn_compare(txn, key, STORE_TARGET_CREATE, STORE_EQUAL, records.vm->create_revision);
	store_txn_delete(txn, STORE_THEN, key);
	store_txn_async(request->store, txn, NULL, delete_done, request_ref(request));
}
