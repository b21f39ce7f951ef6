/* /v1/vms: list, create, show, change, delete. Starting and stopping is in vm_actions.c. */
#include "daemon/api/vms.h"

#include <string.h>

#define CHUNK_BYTES    (64u << 10) /* of a long list, rendered at a time */
#define PLAN_WAIT_MS   LIMIT_STORE_REQUEST_TIMEOUT_MS
#define NAME_TRIES_MAX 8u /* generated names that turn out to be taken */

/* ---- The list ---- */

/* A consistent view of one revision, held as references to the stored values and rendered piece by piece as the client
 * reads: 10,000 VMs make 20 MB of JSON, which is never in memory at once. */
struct listing {
	GPtrArray *vms, *plans, *statuses; /* of struct store_kv copies; parallel, NULL where there is none */
	guint next;
	gint64 revision;
};

static void listing_free(gpointer data)
{
	struct listing *listing = data;

	g_ptr_array_unref(listing->vms);
	g_ptr_array_unref(listing->plans);
	g_ptr_array_unref(listing->statuses);
	g_free(listing);
}

static void kv_free(gpointer kv)
{
	if (kv)
		store_kv_free(kv);
}

static gboolean listing_add(const struct store_kv *kv, gpointer user_data)
{
	struct request *request = user_data;
	struct listing *listing = request->state;
	struct vm_records records = vm_records_get(request->api, kv->key + strlen("/vm/"));

	g_ptr_array_add(listing->vms, store_kv_copy(kv));
	g_ptr_array_add(listing->plans, records.plan ? store_kv_copy(records.plan) : NULL);
	g_ptr_array_add(listing->statuses, records.status ? store_kv_copy(records.status) : NULL);
	return TRUE;
}

/* Render from where it stopped; TRUE when that was all. */
static gboolean listing_render(struct listing *listing, GString *out)
{
	if (listing->next == 0)
		g_string_append(out, "{\"vms\":[");
	while (listing->next < listing->vms->len) {
		struct vm_records records = { .vm = g_ptr_array_index(listing->vms, listing->next),
					      .plan = g_ptr_array_index(listing->plans, listing->next),
					      .status = g_ptr_array_index(listing->statuses, listing->next) };

		if (out->len >= CHUNK_BYTES)
			return FALSE;
		if (listing->next++)
			g_string_append_c(out, ',');
		view_vm(out, &records);
	}
	g_string_append_printf(out, "],\"revision\":%" G_GINT64_FORMAT "}", listing->revision);
	return TRUE;
}

static void on_wrote_chunk(SoupServerMessage *msg, gpointer user_data)
{
	struct request *request = user_data;
	struct listing *listing = request->state;
	GString *out;
	gboolean all;
	g_autoptr(GBytes) chunk = NULL;

	if (!listing)
		return;
	out = g_string_sized_new(CHUNK_BYTES + 8192);
	all = listing_render(listing, out);
	chunk = g_string_free_to_bytes(out);
	request_chunk(request, chunk);
	if (all) {
		request->state = NULL;
		listing_free(listing);
		request_end_chunks(request);
	}
}

static void state_listing_free(gpointer data)
{
	if (data)
		listing_free(data);
}

void vms_list(struct request *request)
{
	struct listing *listing = g_new0(struct listing, 1);
	GString *out = g_string_new(NULL);
	g_autoptr(GBytes) chunk = NULL;

	listing->vms = g_ptr_array_new_with_free_func(kv_free);
	listing->plans = g_ptr_array_new_with_free_func(kv_free);
	listing->statuses = g_ptr_array_new_with_free_func(kv_free);
	listing->revision = store_cache_revision(request->api->config.cache);
	request->state = listing;
	request->state_free = state_listing_free;
	store_cache_foreach(request->api->config.cache, "/vm/", listing_add, request);
	if (listing_render(listing, out)) {
		request_json(request, 200, out);
		return;
	}
	request_begin_chunks(request, "application/json");
	g_signal_connect(request->msg, "wrote-chunk", G_CALLBACK(on_wrote_chunk), request);
	chunk = g_string_free_to_bytes(out);
	request_chunk(request, chunk);
}

/* ---- One VM ---- */

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

void vms_get(struct request *request)
{
	if (api_get(request->api, "vm", request->name))
		vms_answer(request, 200, request->name);
	else
		vms_not_found(request);
}

/* ---- Waiting for a VM ---- */

void vm_op_free(gpointer data)
{
	struct vm_op *op = data;

	if (!op)
		return;
	noun_clear(&vm_noun, &op->vm);
	g_free(op->name);
	g_free(op->uuid);
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

static gboolean life_is(const struct store_kv *kv, const char *uuid)
{
	g_autofree char *have = kv ? record_value_string(record_get(kv->value, "uuid")) : NULL;

	return kv && g_strcmp0(have, uuid) == 0;
}

static guint64 run_of(const struct store_kv *kv)
{
	struct record_value value = kv ? record_get(kv->value, "run") : (struct record_value) { NULL, 0 };

	return value.bytes ? g_ascii_strtoull(value.json, NULL, 10) : 0;
}

static gboolean goal_reached(const struct vm_op *op, const struct vm_records *records)
{
	g_autofree char *reason = NULL;
	int state = view_state(records, &reason);
	gboolean ended = (state == VM_STATE_STOPPED || state == VM_STATE_FAILED) &&
			 run_of(records->status) >= run_of(records->vm);

	switch (op->goal) {
	case GOAL_RUNNING:
		return ended || state == VM_STATE_REFUSED ||
		       (state == VM_STATE_RUNNING && run_of(records->status) >= run_of(records->vm));
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
		if (life_is(records.vm, op->uuid) || life_is(records.plan, op->uuid) ||
		    life_is(records.status, op->uuid))
			return FALSE;
		vms_answer_gone(request, op->name, TRUE);
		return TRUE;
	}
	if (!life_is(records.vm, op->uuid)) {
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
	wait_begin(request, op->name, op->wait_ms ? op->wait_ms : PLAN_WAIT_MS, &funcs);
}

/* ---- Create ---- */

static void create_try(struct request *request);

void vm_delete_now(struct store *store, const char *name, gint64 create_revision)
{
	struct store_txn *txn = store_txn_new();
	g_autofree char *key = g_strconcat("/vm/", name, NULL);

	store_txn_compare(txn, key, STORE_TARGET_CREATE, STORE_EQUAL, create_revision);
	store_txn_delete(txn, STORE_THEN, key);
	store_txn_async(store, txn, NULL, NULL, NULL);
}

static gboolean create_planned(struct request *request)
{
	struct vm_op *op = request->state;
	struct vm_records records = vm_records_get(request->api, op->name);

	if (store_cache_revision(request->api->config.cache) < op->revision)
		return FALSE;
	if (!life_is(records.vm, op->uuid)) {
		request_fail_new(request, POLDER_ERROR_CONFLICT, "VM %s was removed while it was created", op->name);
		return TRUE;
	}
	if (!life_is(records.plan, op->uuid))
		return FALSE;
	if (record_value_is(record_get(records.plan->value, "refused"), "true")) {
		g_autofree char *reason = record_value_string(record_get(records.plan->value, "reason"));

		vm_delete_now(request->store, op->name, records.vm->create_revision);
		request_fail_new(request, POLDER_ERROR_NO_CAPACITY, "create VM %s: %s", op->name, reason ? reason : "");
		return TRUE;
	}
	if (op->wait_ms)
		vm_op_wait(request);
	else
		vms_answer(request, op->status, op->name);
	return TRUE;
}

static void create_unplanned(struct request *request)
{
	const struct vm_op *op = request->state;
	const struct store_kv *vm = api_get(request->api, "vm", op->name);

	if (life_is(vm, op->uuid))
		vm_delete_now(request->store, op->name, vm->create_revision);
	request_fail_new(
		request, POLDER_ERROR_UNAVAILABLE,
		"create VM %s: no host has reported within %u s, nothing was kept: see the daemon's log for why "
		"its agent is silent",
		op->name, PLAN_WAIT_MS / 1000);
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
		wait_begin(request, op->name, PLAN_WAIT_MS, &funcs);
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

static void create_put(struct request *request)
{
	struct vm_op *op = request->state;
	char *text = noun_to_json(&vm_noun, &op->vm);
	g_autoptr(GBytes) value = g_bytes_new_take(text, strlen(text));
	struct store_txn *txn = store_txn_new();
	static const char *const kinds[] = { "vm", "plan", "status" };

	for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
		g_autofree char *key = g_strdup_printf("/%s/%s", kinds[i], op->name);

		store_txn_compare(txn, key, STORE_TARGET_CREATE, STORE_EQUAL, 0);
		if (i == 0)
			store_txn_put(txn, STORE_THEN, key, value, op->lease);
	}
	store_txn_async(request->store, txn, NULL, create_done, request_ref(request));
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
		store_lease_grant_async(request->store, LIMIT_EPHEMERAL_LEASE_MS, NULL, create_leased,
					request_ref(request));
	else
		create_put(request);
}

/* What the tables can't check: whether what it refers to is there. */
static gboolean create_check(struct request *request, const struct vm *vm, GError **error)
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
	return TRUE;
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
	if (!create_check(request, &op->vm, &error)) {
		request_fail(request, error);
		return FALSE;
	}
	return TRUE;
}

static void create_fill(struct request *request, struct vm_op *op)
{
	if (!op->name)
		op->name = op->vm.name && *op->vm.name ? g_strdup(op->vm.name) : NULL;
	op->generated = op->name == NULL;
	g_free(op->vm.name);
	op->vm.name = g_strdup(op->name);
	op->uuid = g_uuid_string_random();
	op->vm.uuid = g_strdup(op->uuid);
	op->vm.owner_uid = request->peer_uid;
	op->vm.created_at = g_get_real_time();
	op->vm.desired = VM_DESIRED_RUNNING;
	op->vm.run = 1;
	op->status = 201;
}

static void create(struct request *request, struct vm_op *op)
{
	create_fill(request, op);
	create_try(request);
}

void vms_create(struct request *request)
{
	struct vm_op *op = vm_op_new(request, GOAL_RUNNING);

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

/* ---- Delete ---- */

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
