/* Serves a store to a store_remote at the other end of a stream socket. */
#include "daemon/store/frame.h"

#include <string.h>

#include "daemon/model/error.h"
#include "daemon/model/limits.h"

/* A peer that asks and does not read waits; one whose watches pile up goes. */
#define REQUESTS_MAX       4096u
#define UNSENT_PAUSE_BYTES (8u << 20)
#define UNSENT_MAX_BYTES   (64u << 20)
#define WATCHES_MAX        1024u
/* Events go out in frames of about this size. */
#define EVENTS_FRAME_BYTES (1u << 20)
#define EVENTS_FRAME_COUNT 4096u

struct store_server {
	struct store *store; /* NULL once closed */
	struct store_link *link;
	int refs; /* the user's, and one per request under way */
	guint n_requests;
	GHashTable *watches; /* id → struct served_watch, owned */
	void (*closed)(gpointer user_data);
	gpointer user_data;
};

struct served_watch {
	guint64 id;
	struct store_server *server;
	struct store_watch *watch;
};

struct served_request {
	struct store_server *server;
	guint64 id;
};

static void server_unref(struct store_server *server)
{
	if (--server->refs > 0)
		return;
	g_hash_table_unref(server->watches);
	g_free(server);
}

static void shut(struct store_server *server)
{
	g_hash_table_remove_all(server->watches);
	g_clear_pointer(&server->link, store_link_free);
	g_clear_pointer(&server->store, store_unref);
}

static void on_closed(const GError *error, gpointer user_data)
{
	struct store_server *server = user_data;

	server->refs++;
	if (!g_error_matches(error, POLDER_ERROR, POLDER_ERROR_UNAVAILABLE))
		g_warning("store link closed: %s", error->message);
	shut(server);
	if (server->closed != NULL)
		server->closed(server->user_data);
	server_unref(server);
}

static void backpressure(struct store_server *server)
{
	if (server->link != NULL)
		store_link_pause(server->link, server->n_requests >= REQUESTS_MAX ||
						       store_link_unsent_bytes(server->link) > UNSENT_PAUSE_BYTES);
}

static void on_drained(gpointer user_data)
{
	backpressure(user_data);
}

static void reply(struct store_server *server, enum store_frame_kind kind, guint64 id, GVariant *payload)
{
	g_autoptr(GError) error = NULL;

	if (server->link == NULL) {
		g_variant_unref(g_variant_ref_sink(payload));
		return;
	}
	store_link_send(server->link, store_frame_make(kind, id, payload), NULL);
	if (store_link_unsent_bytes(server->link) <= UNSENT_MAX_BYTES)
		return;
	error = g_error_new(POLDER_ERROR, POLDER_ERROR_TOO_LARGE, "the peer leaves over %u bytes unread",
			    UNSENT_MAX_BYTES);
	on_closed(error, server);
}

static struct served_request *request_begin(struct store_server *server, guint64 id)
{
	struct served_request *request = g_new(struct served_request, 1);

	request->server = server;
	request->id = id;
	server->refs++;
	server->n_requests++;
	return request;
}

/* Replies `error`, or else `payload`. Owns both. */
static void request_end(struct served_request *request, enum store_frame_kind kind, GVariant *payload, GError *error)
{
	struct store_server *server = request->server;

	server->n_requests--;
	if (error != NULL)
		reply(server, STORE_FRAME_ERROR, request->id, store_wire_error(error));
	else
		reply(server, kind, request->id, payload);
	backpressure(server);
	g_clear_error(&error);
	g_free(request);
	server_unref(server);
}

static void on_txn(GObject *source, GAsyncResult *result, gpointer user_data)
{
	struct served_request *request = user_data;
	GError *error = NULL;
	struct store_txn_result *done = store_txn_finish(request->server->store, result, &error);

	request_end(request, STORE_FRAME_TXN_DONE, done != NULL ? store_wire_txn_done(done) : NULL, error);
	store_txn_result_free(done);
}

static void on_range(GObject *source, GAsyncResult *result, gpointer user_data)
{
	struct served_request *request = user_data;
	GError *error = NULL;
	struct store_range *range = store_range_finish(request->server->store, result, &error);

	request_end(request, STORE_FRAME_RANGE_DONE, range != NULL ? store_wire_range_done(range) : NULL, error);
	store_range_free(range);
}

static void on_grant(GObject *source, GAsyncResult *result, gpointer user_data)
{
	struct served_request *request = user_data;
	GError *error = NULL;
	gint64 id = store_lease_grant_finish(request->server->store, result, &error);

	request_end(request, STORE_FRAME_LEASE_DONE, error == NULL ? g_variant_new("(x)", id) : NULL, error);
}

static void on_lease(GObject *source, GAsyncResult *result, gpointer user_data)
{
	struct served_request *request = user_data;
	GError *error = NULL;
	gboolean ok = store_lease_finish(request->server->store, result, &error);

	request_end(request, STORE_FRAME_LEASE_DONE, ok ? g_variant_new("(x)", (gint64)0) : NULL, error);
}

static void served_watch_free(gpointer data)
{
	struct served_watch *served = data;

	store_watch_free(served->watch);
	g_free(served);
}

static gsize event_bytes(const struct store_event *event)
{
	return strlen(event->kv.key) + (event->kv.value != NULL ? g_bytes_get_size(event->kv.value) : 0);
}

/* One delivery in as many frames as it needs; the last one is marked, so the other end gives it on as a whole. */
static void on_watch(const struct store_event *events, guint n_events, gint64 revision, const GError *error,
		     gpointer user_data)
{
	struct served_watch *served = user_data;
	struct store_server *server = served->server;
	guint64 id = served->id;
	guint start = 0;
	gsize bytes = 0;

	if (error != NULL) {
		reply(server, STORE_FRAME_ERROR, id, store_wire_error(error));
		return;
	}
	server->refs++;
	for (guint i = 0; i < n_events; i++) {
		bytes += event_bytes(&events[i]);
		if (i == start || (bytes <= EVENTS_FRAME_BYTES && i - start < EVENTS_FRAME_COUNT))
			continue;
		reply(server, STORE_FRAME_EVENTS, id, store_wire_events(events + start, i - start, revision, FALSE));
		start = i;
		bytes = event_bytes(&events[i]);
	}
	reply(server, STORE_FRAME_EVENTS, id,
	      store_wire_events(n_events > 0 ? events + start : NULL, n_events - start, revision, TRUE));
	server_unref(server);
}

static gboolean serve_txn(struct store_server *server, const struct store_frame *frame, GError **error)
{
	struct store_txn *txn = store_wire_parse_txn(frame->payload, error);

	if (txn == NULL)
		return FALSE;
	store_txn_async(server->store, txn, NULL, on_txn, request_begin(server, frame->id));
	return TRUE;
}

static gboolean serve_range(struct store_server *server, const struct store_frame *frame, GError **error)
{
	struct store_span span = { 0 };
	gint64 revision;
	guint limit;

	if (!store_wire_parse_range(frame->payload, &span, &revision, &limit, error))
		return FALSE;
	store_range_async(server->store, span.start, span.end, revision, limit, NULL, on_range,
			  request_begin(server, frame->id));
	store_span_clear(&span);
	return TRUE;
}

static gboolean serve_watch(struct store_server *server, const struct store_frame *frame, GError **error)
{
	struct served_watch *served;
	struct store_span span = { 0 };
	gint64 start;

	if (!store_wire_parse_watch(frame->payload, &span, &start, error))
		return FALSE;
	if (g_hash_table_contains(server->watches, &frame->id) || g_hash_table_size(server->watches) >= WATCHES_MAX) {
		store_span_clear(&span);
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID,
			    "watch %" G_GUINT64_FORMAT " is there already or one of "
			    "more than %u",
			    frame->id, WATCHES_MAX);
		return FALSE;
	}
	served = g_new0(struct served_watch, 1);
	served->id = frame->id;
	served->server = server;
	g_hash_table_insert(server->watches, &served->id, served);
	served->watch = store_watch_new(server->store, span.start, span.end, MAX(start, 0), on_watch, served);
	store_span_clear(&span);
	return TRUE;
}

static gboolean serve_lease(struct store_server *server, const struct store_frame *frame)
{
	struct served_request *request = request_begin(server, frame->id);
	gint64 number;

	g_variant_get(frame->payload, "(x)", &number);
	if (frame->kind == STORE_FRAME_GRANT)
		store_lease_grant_async(server->store, (guint64)MAX(number, 0), NULL, on_grant, request);
	else if (frame->kind == STORE_FRAME_KEEP_ALIVE)
		store_lease_keep_alive_async(server->store, number, NULL, on_lease, request);
	else
		store_lease_revoke_async(server->store, number, NULL, on_lease, request);
	return TRUE;
}

static gboolean on_frame(const struct store_frame *frame, gpointer user_data, GError **error)
{
	struct store_server *server = user_data;
	gboolean ok;

	switch (frame->kind) {
	case STORE_FRAME_TXN:
		ok = serve_txn(server, frame, error);
		break;
	case STORE_FRAME_RANGE:
		ok = serve_range(server, frame, error);
		break;
	case STORE_FRAME_WATCH:
		ok = serve_watch(server, frame, error);
		break;
	case STORE_FRAME_UNWATCH:
		g_hash_table_remove(server->watches, &frame->id);
		ok = TRUE;
		break;
	case STORE_FRAME_GRANT:
	case STORE_FRAME_KEEP_ALIVE:
	case STORE_FRAME_REVOKE:
		ok = serve_lease(server, frame);
		break;
	default:
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID, "a client sent a frame of kind %u", frame->kind);
		return FALSE;
	}
	if (ok)
		backpressure(server);
	return ok;
}

static const struct store_link_funcs link_funcs = { .frame = on_frame, .drained = on_drained, .closed = on_closed };

struct store_server *store_serve(struct store *store, int fd, void (*closed)(gpointer user_data), gpointer user_data)
{
	struct store_server *server = g_new0(struct store_server, 1);

	server->store = store_ref(store);
	server->refs = 1;
	server->watches = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, served_watch_free);
	server->closed = closed;
	server->user_data = user_data;
	server->link = store_link_new(fd, &link_funcs, server);
	return server;
}

void store_server_free(struct store_server *server)
{
	if (server == NULL)
		return;
	server->closed = NULL;
	shut(server);
	server_unref(server);
}
