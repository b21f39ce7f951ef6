#include "daemon/store/store.h"

#include <string.h>

#include "daemon/model/error.h"
#include "daemon/model/limits.h"
#include "daemon/store/backend.h"

struct store *store_ref(struct store *store)
{
	store->refs++;
	return store;
}

void store_unref(struct store *store)
{
	if (store == NULL)
		return;
	g_assert(store->refs > 0);
	if (--store->refs == 0)
		store->backend->close(store);
}

struct store_kv *store_kv_copy(const struct store_kv *kv)
{
	struct store_kv *copy = g_new(struct store_kv, 1);

	*copy = *kv;
	copy->key = g_strdup(kv->key);
	copy->value = kv->value != NULL ? g_bytes_ref(kv->value) : NULL;
	return copy;
}

void store_kv_free(struct store_kv *kv)
{
	if (kv == NULL)
		return;
	g_free(kv->key);
	g_clear_pointer(&kv->value, g_bytes_unref);
	g_free(kv);
}

static void event_clear(gpointer data)
{
	struct store_event *event = data;

	g_clear_pointer(&event->kv.key, g_free);
	g_clear_pointer(&event->kv.value, g_bytes_unref);
}

GArray *store_events_new(void)
{
	GArray *events = g_array_new(FALSE, FALSE, sizeof(struct store_event));

	g_array_set_clear_func(events, event_clear);
	return events;
}

char *store_prefix_end(const char *prefix)
{
	g_autofree char *end = g_strdup(prefix);
	gsize len = strlen(end);

	while (len > 0 && (guchar)end[len - 1] == 0xff)
		len--;
	if (len == 0)
		return g_strdup("\xff"); /* no UTF-8 starts with it: above every key */
	end[len] = '\0';
	end[len - 1]++;
	return g_steal_pointer(&end);
}

char *store_key_after(const char *key)
{
	return g_strconcat(key, "\1", NULL);
}

gboolean store_span_init(struct store_span *span, const char *key, const char *range_end, GError **error)
{
	/* One byte more than a key, so that the key after the longest one is a bound. */
	gsize most = LIMIT_STORE_KEY_BYTES + 1;

	if (key == NULL || key[0] == '\0') {
		g_set_error_literal(error, POLDER_ERROR, POLDER_ERROR_INVALID, "a range needs a key to start at");
		return FALSE;
	}
	if (strlen(key) > most || (range_end != NULL && strlen(range_end) > most)) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_TOO_LARGE, "key is longer than %u bytes",
			    LIMIT_STORE_KEY_BYTES);
		return FALSE;
	}
	if (range_end != NULL && strcmp(range_end, key) <= 0) {
		g_set_error_literal(error, POLDER_ERROR, POLDER_ERROR_INVALID,
				    "the end of a range must be above its start");
		return FALSE;
	}
	span->start = g_strdup(key);
	span->end = range_end != NULL ? g_strdup(range_end) : store_key_after(key);
	return TRUE;
}

void store_span_clear(struct store_span *span)
{
	g_clear_pointer(&span->start, g_free);
	g_clear_pointer(&span->end, g_free);
}

gboolean store_span_holds(const struct store_span *span, const char *key)
{
	return strcmp(key, span->start) >= 0 && strcmp(key, span->end) < 0;
}

/* The cancellable is seen to by the backends, which know what it means for a write; GTask must not overrule them. */
static GTask *task_new(GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data, gpointer tag)
{
	GTask *task = g_task_new(NULL, cancellable, callback, user_data);

	g_task_set_check_cancellable(task, FALSE);
	g_task_set_source_tag(task, tag);
	return task;
}

void store_txn_async(struct store *store, struct store_txn *txn, GCancellable *cancellable,
		     GAsyncReadyCallback callback, gpointer user_data)
{
	g_autoptr(GTask) task = task_new(cancellable, callback, user_data, store_txn_async);
	GError *error = NULL;

	if (!store_txn_validate(txn, &error)) {
		store_txn_free(txn);
		g_task_return_error(task, error);
		return;
	}
	store->backend->txn(store, txn, g_steal_pointer(&task));
}

struct store_txn_result *store_txn_finish(struct store *store, GAsyncResult *result, GError **error)
{
	g_assert(g_async_result_is_tagged(result, store_txn_async));
	return g_task_propagate_pointer(G_TASK(result), error);
}

void store_put_async(struct store *store, const char *key, GBytes *value, gint64 lease, GCancellable *cancellable,
		     GAsyncReadyCallback callback, gpointer user_data)
{
	struct store_txn *txn = store_txn_new();

	store_txn_put(txn, STORE_THEN, key, value, lease);
	store_txn_async(store, txn, cancellable, callback, user_data);
}

void store_delete_async(struct store *store, const char *key, GCancellable *cancellable, GAsyncReadyCallback callback,
			gpointer user_data)
{
	struct store_txn *txn = store_txn_new();

	store_txn_delete(txn, STORE_THEN, key);
	store_txn_async(store, txn, cancellable, callback, user_data);
}

void store_range_free(struct store_range *range)
{
	if (range == NULL)
		return;
	g_ptr_array_unref(range->kvs);
	g_free(range);
}

void store_range_async(struct store *store, const char *key, const char *range_end, gint64 revision, guint limit,
		       GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
	g_autoptr(GTask) task = task_new(cancellable, callback, user_data, store_range_async);
	struct store_span span = { 0 };
	GError *error = NULL;

	if (!store_span_init(&span, key, range_end, &error)) {
		g_task_return_error(task, error);
		return;
	}
	if (revision < 0) {
		store_span_clear(&span);
		g_task_return_new_error(task, POLDER_ERROR, POLDER_ERROR_INVALID,
					"revision %" G_GINT64_FORMAT " is below 0", revision);
		return;
	}
	if (limit == 0 || limit > LIMIT_STORE_PAGE_ENTRIES)
		limit = LIMIT_STORE_PAGE_ENTRIES;
	store->backend->range(store, &span, revision, limit, g_steal_pointer(&task));
}

struct store_range *store_range_finish(struct store *store, GAsyncResult *result, GError **error)
{
	g_assert(g_async_result_is_tagged(result, store_range_async));
	return g_task_propagate_pointer(G_TASK(result), error);
}

static void lease_async(struct store *store, enum store_lease_op op, gint64 number, GTask *task)
{
	if (op == STORE_LEASE_GRANT && (number < 1 || number > STORE_LEASE_TTL_MAX_MS)) {
		g_task_return_new_error(task, POLDER_ERROR, POLDER_ERROR_INVALID, "a lease lives from 1 ms to %lld ms",
					STORE_LEASE_TTL_MAX_MS);
		g_object_unref(task);
		return;
	}
	store->backend->lease(store, op, number, task);
}

void store_lease_grant_async(struct store *store, guint64 ttl_ms, GCancellable *cancellable,
			     GAsyncReadyCallback callback, gpointer user_data)
{
	lease_async(store, STORE_LEASE_GRANT, (gint64)MIN(ttl_ms, (guint64)G_MAXINT64),
		    task_new(cancellable, callback, user_data, store_lease_grant_async));
}

gint64 store_lease_grant_finish(struct store *store, GAsyncResult *result, GError **error)
{
	g_assert(g_async_result_is_tagged(result, store_lease_grant_async));
	return g_task_propagate_int(G_TASK(result), error);
}

void store_lease_keep_alive_async(struct store *store, gint64 lease, GCancellable *cancellable,
				  GAsyncReadyCallback callback, gpointer user_data)
{
	lease_async(store, STORE_LEASE_KEEP_ALIVE, lease,
		    task_new(cancellable, callback, user_data, store_lease_finish));
}

void store_lease_revoke_async(struct store *store, gint64 lease, GCancellable *cancellable,
			      GAsyncReadyCallback callback, gpointer user_data)
{
	lease_async(store, STORE_LEASE_REVOKE, lease, task_new(cancellable, callback, user_data, store_lease_finish));
}

gboolean store_lease_finish(struct store *store, GAsyncResult *result, GError **error)
{
	g_assert(g_async_result_is_tagged(result, store_lease_finish));
	return g_task_propagate_int(G_TASK(result), error) >= 0;
}

struct store_watch *store_watch_new(struct store *store, const char *key, const char *range_end, gint64 start_revision,
				    store_watch_func func, gpointer user_data)
{
	struct store_watch base = { .store = store, .func = func, .user_data = user_data, .refs = 1 };
	g_autoptr(GError) error = NULL;

	/* A watch's span comes from our own code, never from a peer unchecked (serve.c checks it first). */
	if (!store_span_init(&base.span, key, range_end, &error))
		g_error("watch of a bad range: %s", error->message);
	/* The backend copies it. */
	// cppcheck-suppress returnDanglingLifetime
	return store->backend->watch(store, &base, start_revision);
}

void store_watch_free(struct store_watch *watch)
{
	if (watch == NULL)
		return;
	watch->dead = TRUE;
	if (watch->store != NULL)
		watch->store->backend->unwatch(watch);
	store_watch_unref(watch);
}

struct store_watch *store_watch_ref(struct store_watch *watch)
{
	watch->refs++;
	return watch;
}

void store_watch_unref(struct store_watch *watch)
{
	if (--watch->refs > 0)
		return;
	store_span_clear(&watch->span);
	g_free(watch);
}

void store_watch_call(struct store_watch *watch, const struct store_event *events, guint n_events, gint64 revision,
		      const GError *error)
{
	if (watch->dead)
		return;
	if (error != NULL)
		watch->dead = TRUE;
	store_watch_ref(watch);
	watch->func(events, n_events, revision, error, watch->user_data);
	store_watch_unref(watch);
}

struct watch_close {
	struct store_watch *watch;
	GError *error;
};

static gboolean on_watch_close(gpointer user_data)
{
	struct watch_close *closing = user_data;

	store_watch_call(closing->watch, NULL, 0, 0, closing->error);
	return G_SOURCE_REMOVE;
}

static void watch_close_free(gpointer user_data)
{
	struct watch_close *closing = user_data;

	store_watch_unref(closing->watch);
	g_error_free(closing->error);
	g_free(closing);
}

void store_watch_close_later(struct store_watch *watch, GMainContext *context, const char *why)
{
	struct watch_close *closing = g_new(struct watch_close, 1);
	g_autoptr(GSource) source = g_idle_source_new();

	closing->watch = watch;
	closing->error = g_error_new_literal(POLDER_ERROR, POLDER_ERROR_UNAVAILABLE, why);
	watch->store = NULL;
	g_source_set_priority(source, G_PRIORITY_DEFAULT);
	g_source_set_callback(source, on_watch_close, closing, watch_close_free);
	g_source_attach(source, context);
}
