/* POST /v1/batch/vms: many VMs in one request. All are checked before any is written; each then is a transaction of its own,
 * which the store makes durable together. The answer tells of each what became of it, in the order asked. */
#include "daemon/api/vms.h"

#include <string.h>

struct item {
	struct vm vm;
	gint64 revision; /* of its write; 0: not written yet */
	gboolean settled;
	char *reason;  /* of vm_create_outcome() */
	GError *error; /* why it was not created */
};

struct batch {
	struct item *items;
	guint n;
	guint n_unwritten;
	guint next; /* all before it are settled */
};

static void batch_free(gpointer data)
{
	struct batch *batch = data;

	for (guint i = 0; i < batch->n; i++) {
		noun_clear(&vm_noun, &batch->items[i].vm);
		g_clear_error(&batch->items[i].error);
		g_free(batch->items[i].reason);
	}
	g_free(batch->items);
	g_free(batch);
}

/* ---- The answer ---- */

static void append_item(GString *out, const struct api *api, const struct item *item)
{
	const struct store_kv *plan = api_get(api, "plan", item->vm.name);
	struct record_value host = { NULL, 0 };

	g_string_append(out, "{\"name\":");
	record_append_string(out, item->vm.name);
	if (item->error) {
		g_string_append_printf(out, ",\"created\":false,\"host\":\"\",\"code\":\"%s\",\"detail\":",
				       polder_error_info(item->error->code)->name);
		record_append_string(out, item->error->message);
		g_string_append_c(out, '}');
		return;
	}
	if (plan)
		host = record_get(plan->value, "host");
	g_string_append(out, ",\"created\":true,\"host\":");
	if (host.bytes)
		g_string_append_len(out, host.json, (gssize)host.bytes);
	else
		g_string_append(out, "\"\"");
	g_string_append(out, ",\"code\":\"\",\"detail\":\"\"}");
}

static void answer(struct request *request)
{
	const struct batch *batch = request->state;
	GString *out = g_string_new("{\"vms\":[");

	for (guint i = 0; i < batch->n; i++) {
		if (i)
			g_string_append_c(out, ',');
		append_item(out, request->api, &batch->items[i]);
	}
	g_string_append(out, "]}");
	request_json(request, 200, out);
}

/* ---- Waiting for control ---- */

static void item_settle(const struct api *api, struct item *item)
{
	if (item->settled || !item->revision)
		return;
	switch (vm_create_outcome(api, &item->vm, item->revision, &item->reason)) {
	case VM_OUTCOME_OPEN:
		return;
	case VM_OUTCOME_PLACED:
		break;
	case VM_OUTCOME_REFUSED:
		g_set_error_literal(&item->error, POLDER_ERROR, POLDER_ERROR_NO_CAPACITY, item->reason);
		break;
	case VM_OUTCOME_REMOVED:
		g_set_error_literal(&item->error, POLDER_ERROR, POLDER_ERROR_CONFLICT, item->reason);
		break;
	}
	item->settled = TRUE;
}

static gboolean batch_check(struct request *request)
{
	struct batch *batch = request->state;

	if (request->answered)
		return TRUE;
	for (; batch->next < batch->n; batch->next++) {
		item_settle(request->api, &batch->items[batch->next]);
		if (!batch->items[batch->next].settled)
			return FALSE;
	}
	answer(request);
	return TRUE;
}

static void batch_expired(struct request *request)
{
	struct batch *batch = request->state;

	if (request->answered)
		return;
	for (guint i = batch->next; i < batch->n; i++) {
		struct item *item = &batch->items[i];
		const struct store_kv *kv;

		g_autofree char *awaits = NULL;

		item_settle(request->api, item);
		awaits = control_awaits(request->api->config.control, item->vm.name);
		if (item->settled || awaits)
			continue; /* it will have its turn: no host yet */
		kv = api_get(request->api, "vm", item->vm.name);
		if (vm_life_is(kv, item->vm.uuid))
			vm_delete_now(request->store, item->vm.name, kv->create_revision);
		g_set_error(&item->error, POLDER_ERROR, POLDER_ERROR_UNAVAILABLE,
			    "no host has reported within %u s, nothing was kept: see the daemon's log",
			    VM_PLAN_WAIT_MS / 1000);
		item->settled = TRUE;
	}
	answer(request);
}

static void all_written(struct request *request)
{
	static const struct wait_funcs funcs = { .check = batch_check, .expired = batch_expired };
	struct batch *batch = request->state;

	/* Whichever is decided last completes the answer. */
	for (guint i = 0; i < batch->n && request->api && !request->answered; i++)
		if (!batch->items[i].settled)
			wait_begin(request, batch->items[i].vm.name, VM_PLAN_WAIT_MS, &funcs);
	if (request->api && !request->answered)
		batch_check(request);
}

/* ---- Writing ---- */

struct writing {
	struct request *request;
	guint index;
};

static void write_done(GObject *source, GAsyncResult *async, gpointer user_data)
{
	struct writing *writing = user_data;
	struct request *request = writing->request;
	struct batch *batch = request->state;
	struct item *item = &batch->items[writing->index];
	struct store_txn_result *result = store_txn_finish(request->store, async, &item->error);

	if (result && result->succeeded)
		item->revision = result->revision;
	else if (result)
		g_set_error(&item->error, POLDER_ERROR, POLDER_ERROR_CONFLICT,
			    "a VM called \"%s\" exists already, or is still being removed: choose another name",
			    item->vm.name);
	item->settled = item->error != NULL;
	if (--batch->n_unwritten == 0 && request->api)
		all_written(request);
	if (result)
		store_txn_result_free(result);
	request_unref(request);
	g_free(writing);
}

static void batch_write(struct request *request, struct batch *batch)
{
	batch->n_unwritten = batch->n;
	for (guint i = 0; i < batch->n; i++) {
		struct writing *writing = g_new(struct writing, 1);

		writing->request = request_ref(request);
		writing->index = i;
		store_txn_async(request->store, vm_create_txn(&batch->items[i].vm, 0), NULL, write_done, writing);
	}
}

/* ---- Reading ---- */

static gboolean item_read(struct request *request, JsonNode *node, struct item *item, GError **error)
{
	struct vm *vm = &item->vm;

	if (!JSON_NODE_HOLDS_OBJECT(node)) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID, "it is no object");
		return FALSE;
	}
	if (!noun_from_node(&vm_noun, vm, json_node_get_object(node), NOUN_FROM_CREATE, error))
		return FALSE;
	if (vm->ephemeral) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID,
			    "a throwaway VM belongs to one client's stream: create it alone");
		return FALSE;
	}
	if (!vm_create_check(request, vm, error))
		return FALSE;
	if (!vm->name || !*vm->name) {
		g_free(vm->name);
		vm->name = g_strdup_printf("%.*s-%08x", LIMIT_NAME_BYTES - 9, vm->image, g_random_int());
	}
	vm_create_stamp(request, vm);
	return TRUE;
}

/* NULL with the error set; nothing was done. */
static JsonArray *batch_array(JsonNode *node, GError **error)
{
	JsonObject *object = node && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
	JsonNode *vms = object ? json_object_get_member(object, "vms") : NULL;

	if (!node)
		return NULL;
	if (!vms || !JSON_NODE_HOLDS_ARRAY(vms) || json_object_get_size(object) != 1) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID,
			    "the body is {\"vms\": [VM, …]} and nothing else");
		return NULL;
	}
	if (json_array_get_length(json_node_get_array(vms)) > LIMIT_API_BATCH_VMS) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_TOO_LARGE, "at most %u VMs a request: ask in several",
			    LIMIT_API_BATCH_VMS);
		return NULL;
	}
	return json_node_get_array(vms);
}

static gboolean batch_read(struct request *request, struct batch *batch, GError **error)
{
	g_autoptr(JsonNode) node = json_parse_bounded((const char *)request->body->data, request->body->len, error);
	JsonArray *array = batch_array(node, error);

	if (!array)
		return FALSE;
	batch->items = g_new0(struct item, json_array_get_length(array));
	for (; batch->n < json_array_get_length(array); batch->n++) {
		if (!item_read(request, json_array_get_element(array, batch->n), &batch->items[batch->n], error)) {
			noun_clear(&vm_noun, &batch->items[batch->n].vm);
			g_prefix_error(error, "VM %u of the batch: ", batch->n + 1);
			return FALSE;
		}
	}
	return TRUE;
}

void vms_create_batch(struct request *request)
{
	struct batch *batch = g_new0(struct batch, 1);
	g_autoptr(GError) error = NULL;

	request->state = batch;
	request->state_free = batch_free;
	if (!batch_read(request, batch, &error)) {
		request_fail(request, error);
		return;
	}
	g_byte_array_set_size(request->body, 0);
	if (batch->n == 0)
		answer(request);
	else
		batch_write(request, batch);
}
