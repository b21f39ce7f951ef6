#include "tests/unit/store/fixture.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DEADLINE_US (20 * G_USEC_PER_SEC)

void remove_tree(const char *dir)
{
	GDir *entries = g_dir_open(dir, 0, NULL);
	const char *name;

	while (entries != NULL && (name = g_dir_read_name(entries)) != NULL) {
		g_autofree char *path = g_build_filename(dir, name, NULL);

		g_unlink(path);
	}
	if (entries != NULL)
		g_dir_close(entries);
	g_rmdir(dir);
}

static void on_lost(gpointer user_data)
{
	((struct fixture *)user_data)->n_lost++;
}

static void on_closed(gpointer user_data)
{
	((struct fixture *)user_data)->n_closed++;
}

static void stores_open(struct fixture *f, gboolean remote)
{
	g_autoptr(GError) error = NULL;
	int fds[2];

	f->sqlite = store_sqlite_open(f->path, NULL, &error);
	g_assert_no_error(error);
	if (!remote) {
		f->store = store_ref(f->sqlite);
		return;
	}
	g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
	f->server = store_serve(f->sqlite, fds[0], on_closed, f);
	f->store = store_remote_new(fds[1], on_lost, f);
}

static void stores_close(struct fixture *f)
{
	g_clear_pointer(&f->store, store_unref);
	g_clear_pointer(&f->server, store_server_free);
	g_clear_pointer(&f->sqlite, store_unref);
	while (g_main_context_iteration(NULL, FALSE))
		;
}

void fixture_open(struct fixture *f, gboolean remote)
{
	*f = (struct fixture) { .dir = g_dir_make_tmp("polder-store-XXXXXX", NULL) };
	f->path = g_build_filename(f->dir, "store.db", NULL);
	stores_open(f, remote);
}

void fixture_reopen(struct fixture *f)
{
	gboolean remote = f->server != NULL;

	stores_close(f);
	stores_open(f, remote);
}

void fixture_close(struct fixture *f)
{
	stores_close(f);
	remove_tree(f->dir);
	g_free(f->dir);
	g_free(f->path);
}

static gboolean on_wake(gpointer user_data)
{
	return G_SOURCE_CONTINUE;
}

void wait_until(gboolean (*done)(gpointer user_data), gpointer user_data)
{
	gint64 deadline_us = g_get_monotonic_time() + DEADLINE_US;
	guint wake = g_timeout_add(100, on_wake, NULL);

	while (!done(user_data)) {
		g_assert_cmpint(g_get_monotonic_time(), <, deadline_us);
		g_main_context_iteration(NULL, TRUE);
	}
	g_source_remove(wake);
}

static gboolean flag_is_set(gpointer user_data)
{
	return *(const gboolean *)user_data;
}

void wait_for(const gboolean *flag)
{
	wait_until(flag_is_set, (gpointer)flag);
}

GBytes *bytes(const char *text)
{
	return g_bytes_new(text, strlen(text));
}

char *text_of(const struct store_kv *kv)
{
	gsize size;
	const char *data = g_bytes_get_data(kv->value, &size);

	return g_strndup(data != NULL ? data : "", size);
}

static void check_error(const GError *error, int code)
{
	if (code < 0)
		g_assert_no_error(error);
	else
		g_assert_error(error, POLDER_ERROR, code);
}

static void on_txn(GObject *source, GAsyncResult *result, gpointer user_data)
{
	struct txn_wait *wait = user_data;

	wait->result = store_txn_finish(NULL, result, &wait->error);
	wait->done = TRUE;
}

void txn_wait_begin(struct txn_wait *wait, struct store *store, struct store_txn *txn, GCancellable *cancellable)
{
	*wait = (struct txn_wait) { 0 };
	store_txn_async(store, txn, cancellable, on_txn, wait);
	g_assert_false(wait->done); /* callbacks never run inside the call */
}

void txn_wait_clear(struct txn_wait *wait)
{
	g_clear_pointer(&wait->result, store_txn_result_free);
	g_clear_error(&wait->error);
}

struct store_txn_result *txn_sync(struct store *store, struct store_txn *txn, int code)
{
	struct store_txn_result *result;
	struct txn_wait wait;

	txn_wait_begin(&wait, store, txn, NULL);
	wait_for(&wait.done);
	check_error(wait.error, code);
	result = g_steal_pointer(&wait.result);
	txn_wait_clear(&wait);
	return result;
}

static gint64 revision_of(struct store_txn_result *result)
{
	gint64 revision = result->revision;

	store_txn_result_free(result);
	return revision;
}

gint64 put_sync(struct store *store, const char *key, const char *value)
{
	struct store_txn *txn = store_txn_new();
	g_autoptr(GBytes) data = bytes(value);

	store_txn_put(txn, STORE_THEN, key, data, 0);
	return revision_of(txn_sync(store, txn, -1));
}

gint64 delete_sync(struct store *store, const char *key)
{
	struct store_txn *txn = store_txn_new();

	store_txn_delete(txn, STORE_THEN, key);
	return revision_of(txn_sync(store, txn, -1));
}

struct store_txn *txn_of_puts(guint n)
{
	struct store_txn *txn = store_txn_new();
	g_autoptr(GBytes) value = bytes("x");

	for (guint i = 0; i < n; i++) {
		g_autofree char *key = g_strdup_printf("/k/%03u", i);

		store_txn_put(txn, STORE_THEN, key, value, 0);
	}
	return txn;
}

struct range_wait {
	gboolean done;
	struct store_range *range;
	GError *error;
};

static void on_range(GObject *source, GAsyncResult *result, gpointer user_data)
{
	struct range_wait *wait = user_data;

	wait->range = store_range_finish(NULL, result, &wait->error);
	wait->done = TRUE;
}

struct store_range *range_sync(struct store *store, const char *key, const char *end, gint64 revision, guint limit,
			       int code)
{
	struct range_wait wait = { 0 };

	store_range_async(store, key, end, revision, limit, NULL, on_range, &wait);
	wait_for(&wait.done);
	check_error(wait.error, code);
	g_clear_error(&wait.error);
	return wait.range;
}

char *get_sync(struct store *store, const char *key)
{
	struct store_range *range = range_sync(store, key, NULL, 0, 0, -1);
	char *text = range->kvs->len > 0 ? text_of(range->kvs->pdata[0]) : NULL;

	g_assert_cmpuint(range->kvs->len, <=, 1);
	store_range_free(range);
	return text;
}

struct lease_wait {
	gboolean done;
	gboolean grant;
	gint64 id;
	GError *error;
};

static void on_lease(GObject *source, GAsyncResult *result, gpointer user_data)
{
	struct lease_wait *wait = user_data;

	if (wait->grant)
		wait->id = store_lease_grant_finish(NULL, result, &wait->error);
	else
		g_assert_true(store_lease_finish(NULL, result, &wait->error) == (wait->error == NULL));
	wait->done = TRUE;
}

static gint64 lease_wait_end(struct lease_wait *wait, int code)
{
	wait_for(&wait->done);
	check_error(wait->error, code);
	g_clear_error(&wait->error);
	return wait->id;
}

gint64 grant_sync(struct store *store, guint64 ttl_ms, int code)
{
	struct lease_wait wait = { .grant = TRUE };

	store_lease_grant_async(store, ttl_ms, NULL, on_lease, &wait);
	return lease_wait_end(&wait, code);
}

void keep_alive_sync(struct store *store, gint64 lease, int code)
{
	struct lease_wait wait = { 0 };

	store_lease_keep_alive_async(store, lease, NULL, on_lease, &wait);
	lease_wait_end(&wait, code);
}

void revoke_sync(struct store *store, gint64 lease, int code)
{
	struct lease_wait wait = { 0 };

	store_lease_revoke_async(store, lease, NULL, on_lease, &wait);
	lease_wait_end(&wait, code);
}

static void on_counted(GObject *source, GAsyncResult *result, gpointer user_data)
{
	g_autoptr(GError) error = NULL;

	store_txn_result_free(store_txn_finish(NULL, result, &error));
	g_assert_no_error(error);
	(*(guint *)user_data)--;
}

static gboolean is_zero(gpointer user_data)
{
	return *(guint *)user_data == 0;
}

void put_many(struct store *store, const char *key, guint n)
{
	guint waiting = 0;

	for (guint i = 0; i < n; i++) {
		g_autofree char *value = g_strdup_printf("%u", i);
		g_autoptr(GBytes) data = bytes(value);

		waiting++;
		store_put_async(store, key, data, 0, NULL, on_counted, &waiting);
		if (waiting >= 500)
			wait_until(is_zero, &waiting);
	}
	wait_until(is_zero, &waiting);
}

static void on_watch(const struct store_event *events, guint n_events, gint64 revision, const GError *error,
		     gpointer user_data)
{
	struct watched *watched = user_data;

	g_assert_cmpint(watched->error_code, ==, -1);
	if (error != NULL) {
		watched->error_code = error->code;
		return;
	}
	for (guint i = 0; i < n_events; i++) {
		g_autofree char *value = events[i].deleted ? NULL : text_of(&events[i].kv);

		/* A revision may have many events but is never split over two calls. */
		if (events[i].kv.mod_revision < watched->last_event_revision ||
		    (i == 0 && events[i].kv.mod_revision == watched->last_event_revision) ||
		    events[i].kv.mod_revision > revision)
			watched->disordered = TRUE;
		watched->last_event_revision = events[i].kv.mod_revision;
		if (events[i].deleted)
			g_string_append_printf(watched->text, "del %s\n", events[i].kv.key);
		else
			g_string_append_printf(watched->text, "put %s %s\n", events[i].kv.key, value);
	}
	if (revision < watched->revision)
		watched->disordered = TRUE;
	watched->n_events += n_events;
	watched->revision = revision;
	if (watched->stop_after > 0 && watched->n_events >= watched->stop_after)
		g_clear_pointer(&watched->watch, store_watch_free);
}

void watched_begin(struct watched *watched, struct store *store, const char *key, const char *end, gint64 start)
{
	*watched = (struct watched) { .text = g_string_new(NULL), .error_code = -1 };
	watched->watch = store_watch_new(store, key, end, start, on_watch, watched);
	g_assert_cmpint(watched->revision, ==, 0);
}

void watched_clear(struct watched *watched)
{
	g_assert_false(watched->disordered);
	g_clear_pointer(&watched->watch, store_watch_free);
	g_string_free(watched->text, TRUE);
}

struct revision_wait {
	struct watched *watched;
	gint64 revision;
};

static gboolean revision_reached(gpointer user_data)
{
	struct revision_wait *wait = user_data;

	return wait->watched->revision >= wait->revision;
}

void watched_wait_revision(struct watched *watched, gint64 revision)
{
	struct revision_wait wait = { watched, revision };

	wait_until(revision_reached, &wait);
}

static gboolean has_error(gpointer user_data)
{
	return ((struct watched *)user_data)->error_code >= 0;
}

void watched_wait_error(struct watched *watched)
{
	wait_until(has_error, watched);
}
