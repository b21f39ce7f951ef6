/* A store at the other end of a stream socket. */
#include "daemon/store/frame.h"

#include "daemon/model/error.h"
#include "daemon/model/limits.h"

/* Events of a revision that has not ended yet. Nothing we hold on an honest peer's word is without a bound. */
#define EVENTS_HELD_MAX (1u << 20)

struct remote_request {
	struct store_request request;
	guint64 id;
	enum store_frame_kind answer;
};

struct remote_watch {
	struct store_watch base;
	guint64 id;
	GArray *held; /* of struct store_event: frames of a revision before its last */
};

struct remote_store {
	struct store base;
	struct store_requests requests;
	struct store_link *link; /* NULL once lost */
	guint64 next_id;
	GHashTable *waiting; /* id → struct remote_request, owned: also of requests that ended early */
	GHashTable *watches; /* id → struct remote_watch, one reference */
	void (*lost)(gpointer user_data);
	gpointer user_data;
};

static gboolean withdraw(struct store *base, struct store_request *request)
{
	struct remote_store *store = (struct remote_store *)base;

	if (store->link == NULL || !store_link_unsend(store->link, request))
		return FALSE;
	g_hash_table_remove(store->waiting, &((struct remote_request *)request)->id);
	return TRUE;
}

static void send_request(struct remote_store *store, enum store_frame_kind kind, enum store_frame_kind answer,
			 GVariant *payload, GTask *task, gboolean writes)
{
	struct remote_request *request;

	if (store->link == NULL) {
		g_variant_unref(g_variant_ref_sink(payload));
		g_task_return_new_error(task, POLDER_ERROR, POLDER_ERROR_UNAVAILABLE, "the link to the store is lost");
		g_object_unref(task);
		return;
	}
	request = g_new0(struct remote_request, 1);
	if (!store_request_begin(&store->requests, &request->request, task, writes)) {
		g_variant_unref(g_variant_ref_sink(payload));
		g_free(request);
		return;
	}
	request->id = ++store->next_id;
	request->answer = answer;
	g_hash_table_insert(store->waiting, &request->id, request);
	store_link_send(store->link, store_frame_make(kind, request->id, payload), request);
}

static void remote_txn(struct store *base, struct store_txn *txn, GTask *task)
{
	send_request((struct remote_store *)base, STORE_FRAME_TXN, STORE_FRAME_TXN_DONE, store_wire_txn(txn), task,
		     store_txn_writes(txn));
	store_txn_free(txn);
}

static void remote_range(struct store *base, struct store_span *span, gint64 revision, guint limit, GTask *task)
{
	send_request((struct remote_store *)base, STORE_FRAME_RANGE, STORE_FRAME_RANGE_DONE,
		     store_wire_range(span, revision, limit), task, FALSE);
	store_span_clear(span);
}

static void remote_lease(struct store *base, enum store_lease_op op, gint64 number, GTask *task)
{
	static const enum store_frame_kind kinds[] = {
		[STORE_LEASE_GRANT] = STORE_FRAME_GRANT,
		[STORE_LEASE_KEEP_ALIVE] = STORE_FRAME_KEEP_ALIVE,
		[STORE_LEASE_REVOKE] = STORE_FRAME_REVOKE,
	};

	send_request((struct remote_store *)base, kinds[op], STORE_FRAME_LEASE_DONE, g_variant_new("(x)", number), task,
		     op != STORE_LEASE_KEEP_ALIVE);
}

static void watch_drop(gpointer data)
{
	struct remote_watch *watch = data;

	g_clear_pointer(&watch->held, g_array_unref);
	store_watch_unref(&watch->base);
}

static struct store_watch *remote_watch(struct store *base_store, const struct store_watch *base, gint64 start_revision)
{
	struct remote_store *store = (struct remote_store *)base_store;
	struct remote_watch *watch = g_new0(struct remote_watch, 1);

	watch->base = *base;
	if (store->link == NULL) {
		store_watch_close_later(store_watch_ref(&watch->base), store->requests.context,
					"the link to the store is lost");
		return &watch->base;
	}
	watch->id = ++store->next_id;
	watch->held = store_events_new();
	store_watch_ref(&watch->base);
	g_hash_table_insert(store->watches, &watch->id, watch);
	store_link_send(
		store->link,
		store_frame_make(STORE_FRAME_WATCH, watch->id, store_wire_watch(&watch->base.span, start_revision)),
		NULL);
	return &watch->base;
}

static void remote_unwatch(struct store_watch *base)
{
	struct remote_store *store = (struct remote_store *)base->store;
	struct remote_watch *watch = (struct remote_watch *)base;

	base->store = NULL;
	if (store->link != NULL)
		store_link_send(store->link, store_frame_make(STORE_FRAME_UNWATCH, watch->id, g_variant_new("()")),
				NULL);
	g_hash_table_remove(store->watches, &watch->id);
}

static gboolean unexpected(const struct store_frame *frame, GError **error)
{
	g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID, "the store sent a frame of kind %u nobody asked for",
		    frame->kind);
	return FALSE;
}

static gboolean on_events(struct remote_watch *watch, const struct store_frame *frame, GError **error)
{
	g_autoptr(GArray) events = NULL;
	gboolean final;
	gint64 revision;

	if (!store_wire_parse_events(frame->payload, watch->held, &revision, &final, error))
		return FALSE;
	if (watch->held->len > EVENTS_HELD_MAX) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_TOO_LARGE, "the store sent a revision of over %u changes",
			    EVENTS_HELD_MAX);
		return FALSE;
	}
	if (!final)
		return TRUE;
	events = watch->held;
	watch->held = store_events_new();
	store_watch_call(&watch->base, (const struct store_event *)events->data, events->len, revision, NULL);
	return TRUE;
}

static gboolean answer(struct remote_store *store, struct remote_request *request, const struct store_frame *frame,
		       GError **error)
{
	g_autoptr(GTask) task = NULL;
	gpointer pointer = NULL;
	gint64 number = 0;

	if (frame->kind != STORE_FRAME_ERROR && frame->kind != request->answer)
		return unexpected(frame, error);
	if (frame->kind == STORE_FRAME_TXN_DONE)
		pointer = store_wire_parse_txn_done(frame->payload, error);
	else if (frame->kind == STORE_FRAME_RANGE_DONE)
		pointer = store_wire_parse_range_done(frame->payload, error);
	else if (frame->kind == STORE_FRAME_LEASE_DONE)
		g_variant_get(frame->payload, "(x)", &number);
	if (pointer == NULL && (frame->kind == STORE_FRAME_TXN_DONE || frame->kind == STORE_FRAME_RANGE_DONE))
		return FALSE;

	task = store_request_end(&request->request);
	g_hash_table_remove(store->waiting, &request->id);
	if (frame->kind == STORE_FRAME_TXN_DONE && task != NULL)
		g_task_return_pointer(task, pointer, (GDestroyNotify)store_txn_result_free);
	else if (frame->kind == STORE_FRAME_TXN_DONE)
		store_txn_result_free(pointer);
	else if (frame->kind == STORE_FRAME_RANGE_DONE && task != NULL)
		g_task_return_pointer(task, pointer, (GDestroyNotify)store_range_free);
	else if (frame->kind == STORE_FRAME_RANGE_DONE)
		store_range_free(pointer);
	else if (frame->kind == STORE_FRAME_LEASE_DONE && task != NULL)
		g_task_return_int(task, number);
	else if (task != NULL)
		g_task_return_error(task, store_wire_parse_error(frame->payload));
	return TRUE;
}

static gboolean on_watch_frame(struct remote_watch *watch, const struct store_frame *frame, GError **error)
{
	gboolean ok = TRUE;

	store_watch_ref(&watch->base);
	if (frame->kind == STORE_FRAME_EVENTS) {
		ok = on_events(watch, frame, error);
	} else if (frame->kind == STORE_FRAME_ERROR) {
		g_autoptr(GError) end = store_wire_parse_error(frame->payload);

		store_watch_call(&watch->base, NULL, 0, 0, end);
	} else {
		ok = unexpected(frame, error);
	}
	store_watch_unref(&watch->base);
	return ok;
}

static gboolean on_frame(const struct store_frame *frame, gpointer user_data, GError **error)
{
	struct remote_store *store = user_data;
	struct remote_request *request = g_hash_table_lookup(store->waiting, &frame->id);
	struct remote_watch *watch = g_hash_table_lookup(store->watches, &frame->id);
	gboolean ok = TRUE;

	store_ref(&store->base);
	if (request != NULL)
		ok = answer(store, request, frame, error);
	else if (watch != NULL)
		ok = on_watch_frame(watch, frame, error);
	/* A watch we have freed may still send until the server knows; anything else is out of turn. */
	else if (frame->id == 0 || frame->id > store->next_id ||
		 (frame->kind != STORE_FRAME_EVENTS && frame->kind != STORE_FRAME_ERROR))
		ok = unexpected(frame, error);
	store_unref(&store->base);
	return ok;
}

static void end_everything(struct remote_store *store, const char *why)
{
	GHashTableIter iter;
	struct remote_watch *watch;

	store_requests_end_all(&store->requests, why);
	g_clear_pointer(&store->link, store_link_free);
	g_hash_table_remove_all(store->waiting);
	g_hash_table_iter_init(&iter, store->watches);
	while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&watch))
		store_watch_close_later(store_watch_ref(&watch->base), store->requests.context, why);
	g_hash_table_remove_all(store->watches);
}

static void on_closed(const GError *error, gpointer user_data)
{
	struct remote_store *store = user_data;

	store_ref(&store->base);
	if (!g_error_matches(error, POLDER_ERROR, POLDER_ERROR_UNAVAILABLE))
		g_warning("store link: %s", error->message);
	end_everything(store, error->message);
	if (store->lost != NULL)
		store->lost(store->user_data);
	store_unref(&store->base);
}

static void remote_close(struct store *base)
{
	struct remote_store *store = (struct remote_store *)base;

	end_everything(store, "the store was closed");
	g_hash_table_unref(store->waiting);
	g_hash_table_unref(store->watches);
	store_requests_clear(&store->requests);
	g_free(store);
}

static const struct store_backend remote_backend = {
	.name = "remote",
	.close = remote_close,
	.txn = remote_txn,
	.range = remote_range,
	.watch = remote_watch,
	.unwatch = remote_unwatch,
	.lease = remote_lease,
};

static const struct store_link_funcs link_funcs = { .frame = on_frame, .closed = on_closed };

struct store *store_remote_new(int fd, void (*lost)(gpointer user_data), gpointer user_data)
{
	struct remote_store *store = g_new0(struct remote_store, 1);

	store->base = (struct store) { &remote_backend, 1 };
	store_requests_init(&store->requests, &store->base, withdraw);
	store->waiting = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);
	store->watches = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, watch_drop);
	store->lost = lost;
	store->user_data = user_data;
	store->link = store_link_new(fd, &link_funcs, store);
	return &store->base;
}
