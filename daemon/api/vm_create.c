/* Creating one VM: POST /v1/vms and PUT /v1/vms/NAME. */
#include "daemon/api/vms.h"

#include <string.h>

#include "daemon/model/units.h"

#define NAME_TRIES_MAX 8u /* generated names that turn out to be taken */

static void create_try(struct request *request);

void vm_delete_now(struct store *store, const char *name, gint64 create_revision)
{
	struct store_txn *txn = store_txn_new();
	g_autofree char *key = g_strconcat("/vm/", name, NULL);

	store_txn_compare(txn, key, STORE_TARGET_CREATE, STORE_EQUAL, create_revision);
	store_txn_delete(txn, STORE_THEN, key);
	store_txn_async(store, txn, NULL, NULL, NULL);
}

enum vm_outcome vm_create_outcome(const struct api *api, const struct vm *vm, gint64 revision, char **reason)
{
	struct vm_records records = vm_records_get(api, vm->name);

	if (store_cache_revision(api->config.cache) < revision)
		return VM_OUTCOME_OPEN;
	if (!vm_life_is(records.vm, vm->uuid)) {
		if (*reason)
			return VM_OUTCOME_REFUSED;
		*reason = g_strdup("it was removed while it was created");
		return VM_OUTCOME_REMOVED;
	}
	if (*reason || !vm_life_is(records.plan, vm->uuid))
		return VM_OUTCOME_OPEN;
	if (!record_value_is(record_get(records.plan->value, "refused"), "true"))
		return VM_OUTCOME_PLACED;
	*reason = record_value_string(record_get(records.plan->value, "reason"));
	if (!*reason)
		*reason = g_strdup("");
	vm_delete_now(api->config.store, vm->name, records.vm->create_revision);
	return VM_OUTCOME_OPEN;
}

static gboolean create_planned(struct request *request)
{
	struct vm_op *op = request->state;

	switch (vm_create_outcome(request->api, &op->vm, op->revision, &op->reason)) {
	case VM_OUTCOME_OPEN:
		return FALSE;
	case VM_OUTCOME_REMOVED:
		request_fail_new(request, POLDER_ERROR_CONFLICT, "create VM %s: %s", op->name, op->reason);
		break;
	case VM_OUTCOME_REFUSED:
		request_fail_new(request, POLDER_ERROR_NO_CAPACITY, "create VM %s: %s", op->name, op->reason);
		break;
	case VM_OUTCOME_PLACED:
		if (op->wait_ms)
			vm_op_wait(request);
		else
			vms_answer(request, op->status, op->name);
		break;
	}
	return TRUE;
}

static void create_unplanned(struct request *request)
{
	const struct vm_op *op = request->state;
	const struct store_kv *vm = api_get(request->api, "vm", op->name);
	g_autofree char *awaits = control_awaits(request->api->config.control, op->name);

	if (op->reason) { /* its removal takes its time, or failed: what the store says of that is in the log */
		request_fail_new(request, POLDER_ERROR_NO_CAPACITY, "create VM %s: %s", op->name, op->reason);
		return;
	}
	/* It is wanted and will have its turn: when those that make room have ended, or its gang is complete. */
	if (awaits && op->wait_ms) {
		vm_op_wait(request);
		return;
	}
	if (awaits) {
		vms_answer(request, op->status, op->name);
		return;
	}
	if (vm_life_is(vm, op->uuid))
		vm_delete_now(request->store, op->name, vm->create_revision);
	request_fail_new(
		request, POLDER_ERROR_UNAVAILABLE,
		"create VM %s: no host has reported within %u s, nothing was kept: see the daemon's log for why "
		"its agent is silent",
		op->name, VM_PLAN_WAIT_MS / 1000);
}

/* The client went while its VM was being made: a throwaway VM's lease takes care of that one; others stay wanted. */
static void create_done(GObject *source, GAsyncResult *async, gpointer user_data)
{
	static const struct wait_funcs funcs = { .check = create_planned, .expired = create_unplanned };
	struct request *request = user_data;
	struct vm_op *op = request->state;
	g_autoptr(GError) error = NULL;
	struct store_txn_result *result = store_txn_finish(request->store, async, &error);

	if (!result) {
		g_prefix_error(&error, "create VM %s: ", op->name);
		request_fail(request, error);
	} else if (result->succeeded) {
		op->revision = result->revision;
		wait_begin(request, op->name, VM_PLAN_WAIT_MS, &funcs);
	} else if (op->generated && op->tries++ < NAME_TRIES_MAX && request->api) {
		create_try(request);
	} else if (request->api) {
		const struct store_kv *vm = api_get(request->api, "vm", op->name);

		request_fail_new(
			request, POLDER_ERROR_CONFLICT,
			vm ? "a VM called \"%s\" exists already: choose another name, or polder rm %s"
			   : "the VM called \"%s\" is still being removed: try again in a moment (polder ps%.0s)",
			op->name, op->name);
	}
	if (result)
		store_txn_result_free(result);
	request_unref(request);
}

struct store_txn *vm_create_txn(const struct vm *vm, gint64 lease)
{
	static const char *const kinds[] = { "vm", "plan", "status" };
	char *text = noun_to_json(&vm_noun, vm);
	g_autoptr(GBytes) value = g_bytes_new_take(text, strlen(text));
	struct store_txn *txn = store_txn_new();

	for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
		g_autofree char *key = g_strdup_printf("/%s/%s", kinds[i], vm->name);

		store_txn_compare(txn, key, STORE_TARGET_CREATE, STORE_EQUAL, 0);
		if (i == 0)
			store_txn_put(txn, STORE_THEN, key, value, lease);
	}
	return txn;
}

static void create_put(struct request *request)
{
	struct vm_op *op = request->state;

	store_txn_async(request->store, vm_create_txn(&op->vm, op->lease), NULL, create_done, request_ref(request));
}

static void create_leased(GObject *source, GAsyncResult *async, gpointer user_data)
{
	struct request *request = user_data;
	struct vm_op *op = request->state;
	g_autoptr(GError) error = NULL;

	op->lease = store_lease_grant_finish(request->store, async, &error);
	if (op->lease < 0)
		request_fail(request, error);
	else if (request->api)
		create_put(request);
	request_unref(request);
}

static void create_try(struct request *request)
{
	struct vm_op *op = request->state;

	if (op->generated) {
		g_free(op->name);
		op->name = g_strdup_printf("%.*s-%04x", LIMIT_NAME_BYTES - 5, op->vm.image, g_random_int() & 0xffff);
		g_free(op->vm.name);
		op->vm.name = g_strdup(op->name);
	}
	if (op->vm.ephemeral && !op->lease)
		store_lease_grant_async(request->store, request->api->config.lease_ms, NULL, create_leased,
					request_ref(request));
	else
		create_put(request);
}

/* Too little memory would end in a kernel that crashes before it can say so. Nothing is known of an image not built yet. */
static gboolean create_check_memory(struct request *request, const struct vm *vm, GError **error)
{
	const struct store_kv *kv =
		strcmp(vm->engine, "sim") != 0 ? api_get(request->api, "image-status", vm->image) : NULL;
	struct record_value least = { NULL, 0 };
	guint64 least_bytes;

	if (kv)
		least = record_get(kv->value, "memory_min_bytes");
	least_bytes = least.bytes ? g_ascii_strtoull(least.json, NULL, 10) : 0;
	if (vm->memory_bytes >= least_bytes)
		return TRUE;
	g_autofree char *asked = size_format(vm->memory_bytes), *needed = size_format(least_bytes);
	g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID, "image %s needs at least %s of memory: %s is too little",
		    vm->image, needed, asked);
	return FALSE;
}

/* What the tables can't check: whether what it refers to is there. */
gboolean vm_create_check(struct request *request, const struct vm *vm, GError **error)
{
	if (!api_get(request->api, "image", vm->image)) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_NOT_FOUND,
			    "there is no image called \"%s\": polder image ls lists those there are", vm->image);
		return FALSE;
	}
	if (!api_get(request->api, "pool", vm->pool)) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_NOT_FOUND,
			    "there is no pool called \"%s\": leave it out to use \"default\"", vm->pool);
		return FALSE;
	}
	if (vm->network == VM_NETWORK_NONE && vm->publish && *vm->publish) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID,
			    "publish needs network \"user\": a VM without a network has no ports");
		return FALSE;
	}
	return create_check_memory(request, vm, error);
}

/* Parse the body into op->vm. FALSE after answering. */
static gboolean create_parse(struct request *request, struct vm_op *op)
{
	g_autoptr(GError) error = NULL;
	struct vm vm;

	if (!noun_from_json(&vm_noun, &vm, (const char *)request->body->data, request->body->len, NOUN_FROM_CREATE,
			    &error)) {
		request_fail(request, error);
		return FALSE;
	}
	op->vm = vm;
	g_byte_array_set_size(request->body, 0);
	if (request->name && vm.name && *vm.name && strcmp(vm.name, request->name) != 0) {
		request_fail_new(request, POLDER_ERROR_INVALID, "the path says \"%s\" and the body's name is \"%s\"",
				 request->name, vm.name);
		return FALSE;
	}
	if (!vm_create_check(request, &op->vm, &error)) {
		request_fail(request, error);
		return FALSE;
	}
	return TRUE;
}

void vm_create_stamp(const struct request *request, struct vm *vm)
{
	g_free(vm->uuid);
	vm->uuid = g_uuid_string_random();
	vm->owner_uid = request->peer_uid;
	vm->created_at = g_get_real_time();
	vm->desired = VM_DESIRED_RUNNING;
	vm->run = 1;
}

static void create_fill(struct request *request, struct vm_op *op)
{
	if (!op->name)
		op->name = op->vm.name && *op->vm.name ? g_strdup(op->vm.name) : NULL;
	op->generated = op->name == NULL;
	g_free(op->vm.name);
	op->vm.name = g_strdup(op->name);
	vm_create_stamp(request, &op->vm);
	op->uuid = g_strdup(op->vm.uuid);
	op->status = 201;
}

static void create(struct request *request, struct vm_op *op)
{
	create_fill(request, op);
	create_try(request);
}

void vms_create(struct request *request)
{
	g_autoptr(GError) error = NULL;
	struct vm_op *op;
	gboolean dry_run;

	if (!query_bool(request->query, "dry_run", &dry_run, &error)) {
		request_fail(request, error);
		return;
	}
	if (dry_run) {
		vms_dry_run(request);
		return;
	}
	op = vm_op_new(request, GOAL_RUNNING);
	if (vm_op_read_wait(request, op) && create_parse(request, op))
		create(request, op);
}

/* Whether `have` was created by a request equal to `want`, apart from what may be changed later. */
static gboolean created_alike(struct vm *have, struct vm *want)
{
	int restart = want->restart;
	guint64 timeout = want->stop_timeout_ms;
	gboolean alike;

	want->restart = have->restart;
	want->stop_timeout_ms = have->stop_timeout_ms;
	alike = noun_equal(&vm_noun, have, want, FIELD_CREATE);
	want->restart = restart;
	want->stop_timeout_ms = timeout;
	return alike;
}

void vms_put(struct request *request)
{
	struct vm_op *op = vm_op_new(request, GOAL_RUNNING);
	const struct store_kv *kv = api_get(request->api, "vm", request->name);
	g_autoptr(GError) error = NULL;
	struct vm have;

	if (!vm_op_read_wait(request, op) || !create_parse(request, op))
		return;
	if (!kv) {
		create(request, op);
		return;
	}
	if (!api_parse(&vm_noun, kv, &have, &error)) {
		request_fail(request, error);
		return;
	}
	if (!op->vm.name || !*op->vm.name) {
		g_free(op->vm.name);
		op->vm.name = g_strdup(request->name);
	}
	if (created_alike(&have, &op->vm)) {
		op->uuid = g_strdup(have.uuid);
		vm_op_wait(request);
	} else {
		request_fail_new(request, POLDER_ERROR_CONFLICT,
				 "a VM called \"%s\" exists already and is another: compare polder show %s", op->name,
				 op->name);
	}
	noun_clear(&vm_noun, &have);
}
