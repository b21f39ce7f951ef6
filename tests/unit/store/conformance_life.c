/* Watches, compaction, leases, the end of requests, load. */
#include "tests/unit/store/conformance_life.h"

#include <string.h>

void test_watch_live(struct fixture *f, gconstpointer data)
{
	struct watched all, one, none;
	struct store_txn *txn = store_txn_new();
	g_autoptr(GBytes) value = bytes("v");
	gint64 revision;

	watched_begin(&all, f->store, "/v/", "/v0", 0);
	watched_begin(&one, f->store, "/v/b", NULL, 0);
	watched_begin(&none, f->store, "/w", NULL, 0);
	put_sync(f->store, "/v/a", "1");
	put_sync(f->store, "/x", "unseen");
	store_txn_put(txn, STORE_THEN, "/v/b", value, 0);
	store_txn_put(txn, STORE_THEN, "/v/bb", value, 0);
	store_txn_delete(txn, STORE_THEN, "/v/a");
	store_txn_result_free(txn_sync(f->store, txn, -1));
	revision = put_sync(f->store, "/x", "unseen");
	/* Progress: all three learn how far it is, with or without events. */
	watched_wait_revision(&all, revision);
	watched_wait_revision(&one, revision);
	watched_wait_revision(&none, revision);
	g_assert_cmpstr(all.text->str, ==, "put /v/a 1\nput /v/b v\nput /v/bb v\ndel /v/a\n");
	g_assert_cmpstr(one.text->str, ==, "put /v/b v\n");
	g_assert_cmpuint(none.n_events, ==, 0);
	watched_clear(&all);
	watched_clear(&one);
	watched_clear(&none);
}

void test_watch_before_answer(struct fixture *f, gconstpointer data)
{
	struct watched watched;

	watched_begin(&watched, f->store, "/a", NULL, 0);
	for (guint i = 1; i <= 20; i++) {
		put_sync(f->store, "/a", "x");
		g_assert_cmpuint(watched.n_events, ==, i); /* whoever hears the answer has seen the event */
	}
	watched_clear(&watched);
}

void test_watch_catch_up(struct fixture *f, gconstpointer data)
{
	g_autoptr(GString) expected = g_string_new(NULL);
	struct watched watched, future;
	gint64 first = 0, last;

	/* Over two pages of history, while more keeps coming. */
	for (guint i = 0; i < 25; i++) {
		gint64 revision = 0;
		struct store_txn_result *result = txn_sync(f->store, txn_of_puts(100), -1);

		revision = result->revision;
		store_txn_result_free(result);
		first = i == 1 ? revision : first;
		for (guint j = 0; j < 100 && i >= 1; j++)
			g_string_append_printf(expected, "put /k/%03u x\n", j);
	}
	watched_begin(&watched, f->store, "/k/", "/k0", first);
	last = put_sync(f->store, "/k/000", "late");
	g_string_append(expected, "put /k/000 late\n");
	watched_begin(&future, f->store, "/k/", "/k0", last + 2);
	put_sync(f->store, "/k/000", "skipped");
	last = put_sync(f->store, "/k/000", "last");
	g_string_append(expected, "put /k/000 skipped\nput /k/000 last\n");
	watched_wait_revision(&watched, last);
	watched_wait_revision(&future, last);
	g_assert_true(g_string_equal(watched.text, expected)); /* too long to print */
	g_assert_cmpstr(future.text->str, ==, "put /k/000 last\n");
	watched_clear(&watched);
	watched_clear(&future);
}

void test_watch_free_inside(struct fixture *f, gconstpointer data)
{
	struct watched stops, stays;

	watched_begin(&stops, f->store, "/a", NULL, 0);
	watched_begin(&stays, f->store, "/a", NULL, 0);
	stops.stop_after = 1;
	for (int i = 0; i < 5; i++)
		put_sync(f->store, "/a", "x");
	g_assert_cmpuint(stops.n_events, ==, 1);
	g_assert_cmpuint(stays.n_events, ==, 5);
	watched_clear(&stops);
	watched_clear(&stays);
	store_watch_free(NULL);
}

/* A revision larger than any one frame of the remote arrives whole. */
void test_watch_large_revision(struct fixture *f, gconstpointer data)
{
	struct store_txn *txn;
	struct watched watched;
	gint64 revision = 0;

	for (guint i = 0; i < 50; i++) {
		txn = store_txn_new();
		for (guint j = 0; j < 128; j++) {
			g_autofree char *key = g_strdup_printf("/many/%02u/%03u", i, j);
			g_autoptr(GBytes) value = bytes("x");

			store_txn_put(txn, STORE_THEN, key, value, 0);
		}
		store_txn_result_free(txn_sync(f->store, txn, -1));
	}
	watched_begin(&watched, f->store, "/many/", "/many0", 0);
	txn = store_txn_new();
	store_txn_delete_range(txn, STORE_THEN, "/many/", "/many0");
	{
		struct store_txn_result *result = txn_sync(f->store, txn, -1);

		g_assert_cmpuint(result->deleted, ==, 6400);
		revision = result->revision;
		store_txn_result_free(result);
	}
	watched_wait_revision(&watched, revision);
	g_assert_cmpuint(watched.n_events, ==, 6400);
	watched_clear(&watched);
}

void test_compaction(struct fixture *f, gconstpointer data)
{
	gint64 deleted_at, early, last;
	struct watched watched;
	struct store_range *range;
	g_autofree char *still = NULL;

	put_sync(f->store, "/still", "here");
	put_sync(f->store, "/gone", "x");
	early = put_sync(f->store, "/hot", "x");
	deleted_at = delete_sync(f->store, "/gone");
	put_many(f->store, "/hot", LIMIT_STORE_HISTORY_REVISIONS + 1500);
	last = put_sync(f->store, "/hot", "last");

	range_sync(f->store, "/still", NULL, early, 0, POLDER_ERROR_COMPACTED);
	watched_begin(&watched, f->store, "/still", NULL, deleted_at);
	watched_wait_error(&watched);
	g_assert_cmpint(watched.error_code, ==, POLDER_ERROR_COMPACTED);
	watched_clear(&watched);
	still = get_sync(f->store, "/still");
	g_assert_cmpstr(still, ==, "here");

	/* As far back as the limit promises, everything is there. */
	range = range_sync(f->store, "/", "0", last - LIMIT_STORE_HISTORY_REVISIONS, 0, -1);
	g_assert_cmpuint(range->kvs->len, ==, 2);
	store_range_free(range);
	watched_begin(&watched, f->store, "/hot", NULL, last - LIMIT_STORE_HISTORY_REVISIONS + 1);
	watched_wait_revision(&watched, last);
	g_assert_cmpuint(watched.n_events, ==, LIMIT_STORE_HISTORY_REVISIONS);
	watched_clear(&watched);

	fixture_reopen(f);
	range_sync(f->store, "/still", NULL, early, 0, POLDER_ERROR_COMPACTED);
	range = range_sync(f->store, "/", "0", 0, 0, -1);
	g_assert_cmpint(range->revision, ==, last);
	g_assert_cmpuint(range->kvs->len, ==, 2);
	store_range_free(range);
}

static void put_leased(struct store *store, const char *key, gint64 lease, int code)
{
	struct store_txn *txn = store_txn_new();
	g_autoptr(GBytes) value = bytes("x");

	store_txn_put(txn, STORE_THEN, key, value, lease);
	store_txn_result_free(txn_sync(store, txn, code));
}

void test_lease_expiry(struct fixture *f, gconstpointer data)
{
	gint64 lease = grant_sync(f->store, 1000, -1), other = grant_sync(f->store, 600000, -1);
	struct watched watched;
	gint64 before;

	g_assert_cmpint(lease, >, 0);
	g_assert_cmpint(lease, !=, other);
	watched_begin(&watched, f->store, "/l/", "/l0", 0);
	put_leased(f->store, "/l/a", lease, -1);
	put_leased(f->store, "/l/b", lease, -1);
	put_leased(f->store, "/l/moved", lease, -1);
	put_leased(f->store, "/l/moved", other, -1); /* hangs on its last put's lease */
	before = put_sync(f->store, "/l/free", "x");
	watched_wait_revision(&watched, before + 1);
	g_assert_true(g_str_has_suffix(watched.text->str, "del /l/a\ndel /l/b\n"));
	g_assert_cmpint(watched.last_event_revision, ==, before + 1); /* one revision */
	keep_alive_sync(f->store, lease, POLDER_ERROR_NOT_FOUND);
	put_leased(f->store, "/l/c", lease, POLDER_ERROR_NOT_FOUND);
	put_leased(f->store, "/l/c", -5, POLDER_ERROR_NOT_FOUND);
	watched_clear(&watched);
}

static gboolean is_past(gpointer user_data)
{
	return g_get_monotonic_time() > *(gint64 *)user_data;
}

void test_lease_keep_alive(struct fixture *f, gconstpointer data)
{
	gint64 lease = grant_sync(f->store, 1000, -1), begun_us = g_get_monotonic_time();

	put_leased(f->store, "/l/a", lease, -1);
	while (g_get_monotonic_time() < begun_us + 1500 * 1000) {
		gint64 next_us = g_get_monotonic_time() + 50 * 1000;
		g_autofree char *there = get_sync(f->store, "/l/a");

		g_assert_nonnull(there);
		keep_alive_sync(f->store, lease, -1);
		wait_until(is_past, &next_us);
	}
}

void test_lease_revoke_and_restart(struct fixture *f, gconstpointer data)
{
	gint64 lease = grant_sync(f->store, 600000, -1), kept = grant_sync(f->store, 600000, -1);
	g_autofree char *gone = NULL;
	g_autofree char *there = NULL;
	gint64 brief, fresh;

	grant_sync(f->store, 0, POLDER_ERROR_INVALID);
	grant_sync(f->store, G_MAXUINT64, POLDER_ERROR_INVALID);
	put_leased(f->store, "/l/a", lease, -1);
	put_leased(f->store, "/l/b", kept, -1);
	revoke_sync(f->store, lease, -1);
	revoke_sync(f->store, lease, POLDER_ERROR_NOT_FOUND);
	gone = get_sync(f->store, "/l/a");
	g_assert_null(gone);
	brief = grant_sync(f->store, 50, -1);
	fixture_reopen(f);
	/* Ids are never given twice; what was granted before the restart holds and runs out after it. */
	fresh = grant_sync(f->store, 1000, -1);
	g_assert_cmpint(fresh, >, brief);
	keep_alive_sync(f->store, kept, -1);
	there = get_sync(f->store, "/l/b");
	g_assert_nonnull(there);
	revoke_sync(f->store, kept, -1);
}

void test_cancelled_before(struct fixture *f, gconstpointer data)
{
	g_autoptr(GCancellable) cancellable = g_cancellable_new();
	g_autofree char *value = NULL;
	struct txn_wait wait;

	g_cancellable_cancel(cancellable);
	txn_wait_begin(&wait, f->store, txn_of_puts(1), cancellable);
	wait_for(&wait.done);
	g_assert_error(wait.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
	txn_wait_clear(&wait);
	value = get_sync(f->store, "/k/000");
	g_assert_null(value);
}

/* Whatever moment it is cancelled at, the answer is true: done, not done, or honestly unknown. */
void test_cancelled_under_way(struct fixture *f, gconstpointer data)
{
	guint n_done = 0, n_not_done = 0, n_unknown = 0;

	for (guint i = 0; i < 60; i++) {
		g_autoptr(GCancellable) cancellable = g_cancellable_new();
		g_autofree char *key = g_strdup_printf("/c/%u", i);
		g_autofree char *found = NULL;
		g_autoptr(GBytes) value = bytes("x");
		struct store_txn *txn = store_txn_new();
		struct txn_wait wait;
		gint64 until_us = g_get_monotonic_time() + i * 20;

		store_txn_put(txn, STORE_THEN, key, value, 0);
		txn_wait_begin(&wait, f->store, txn, cancellable);
		while (!wait.done && g_get_monotonic_time() < until_us)
			g_main_context_iteration(NULL, FALSE);
		g_cancellable_cancel(cancellable);
		wait_for(&wait.done);
		found = get_sync(f->store, key);
		if (wait.error == NULL) {
			g_assert_nonnull(found);
			n_done++;
		} else if (g_error_matches(wait.error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
			g_assert_null(found);
			n_not_done++;
		} else {
			g_assert_error(wait.error, POLDER_ERROR, POLDER_ERROR_UNKNOWN_OUTCOME);
			n_unknown++;
		}
		txn_wait_clear(&wait);
	}
	g_test_message("done %u, not done %u, unknown %u", n_done, n_not_done, n_unknown);
	g_assert_cmpuint(n_not_done + n_unknown, >, 0);
}

void test_closed_under_way(struct fixture *f, gconstpointer data)
{
	struct txn_wait waits[20];
	struct watched watched;

	watched_begin(&watched, f->store, "/k/", "/k0", 0);
	for (guint i = 0; i < G_N_ELEMENTS(waits); i++)
		txn_wait_begin(&waits[i], f->store, txn_of_puts(2), NULL);
	g_clear_pointer(&f->server, store_server_free);
	g_clear_pointer(&f->sqlite, store_unref);
	g_clear_pointer(&f->store, store_unref);
	g_assert_false(waits[0].done);
	watched_wait_error(&watched);
	g_assert_cmpint(watched.error_code, ==, POLDER_ERROR_UNAVAILABLE);
	for (guint i = 0; i < G_N_ELEMENTS(waits); i++) {
		wait_for(&waits[i].done);
		g_assert_true(g_error_matches(waits[i].error, POLDER_ERROR, POLDER_ERROR_UNAVAILABLE) ||
			      g_error_matches(waits[i].error, POLDER_ERROR, POLDER_ERROR_UNKNOWN_OUTCOME));
		txn_wait_clear(&waits[i]);
	}
	watched_clear(&watched);
	fixture_reopen(f);
}

void test_pipeline(struct fixture *f, gconstpointer data)
{
	gint64 begun_us = g_get_monotonic_time();
	g_autofree char *last = NULL;

	put_many(f->store, "/a", 5000);
	g_test_message("%.0f transactions/s", 5000e6 / (double)(g_get_monotonic_time() - begun_us));
	last = get_sync(f->store, "/a");
	g_assert_cmpstr(last, ==, "4999");
}

static void on_counted_down(GObject *source, GAsyncResult *result, gpointer user_data)
{
	g_autoptr(GError) error = NULL;

	store_txn_result_free(store_txn_finish(NULL, result, &error));
	g_assert_no_error(error);
	(*(guint *)user_data)--;
}

static void on_range_counted_down(GObject *source, GAsyncResult *result, gpointer user_data)
{
	g_autoptr(GError) error = NULL;
	struct store_range *range = store_range_finish(NULL, result, &error);

	g_assert_no_error(error);
	g_assert_cmpuint(range->kvs->len, ==, 1);
	store_range_free(range);
	(*(guint *)user_data)--;
}

static gboolean is_zero(gpointer user_data)
{
	return *(guint *)user_data == 0;
}

/* The sanitizer, which unwinds at every allocation, is too slow for more within a request's time. */
#ifdef __SANITIZE_ADDRESS__
#define FLOOD 1500
#else
#define FLOOD 6000
#endif

/* More at once than anyone holds: some wait in line, none is lost. */
void test_flood(struct fixture *f, gconstpointer data)
{
	g_autoptr(GBytes) value = bytes("x");
	guint waiting = FLOOD;
	struct store_range *range;

	for (guint i = 0; i < FLOOD; i++)
		store_put_async(f->store, "/a", value, 0, NULL, on_counted_down, &waiting);
	wait_until(is_zero, &waiting);
	range = range_sync(f->store, "/a", NULL, 0, 0, -1);
	g_assert_cmpint(((struct store_kv *)range->kvs->pdata[0])->version, ==, FLOOD);
	store_range_free(range);
}

void test_large_answers(struct fixture *f, gconstpointer data)
{
	g_autofree char *much = g_malloc0(1 << 20);
	g_autoptr(GBytes) value = g_bytes_new(much, (1 << 20) - 100);
	guint waiting = 40;
	struct store_txn *txn = store_txn_new();

	store_txn_put(txn, STORE_THEN, "/a", value, 0);
	store_txn_result_free(txn_sync(f->store, txn, -1));
	for (guint i = 0; i < 40; i++)
		store_range_async(f->store, "/a", NULL, 0, 0, NULL, on_range_counted_down, &waiting);
	wait_until(is_zero, &waiting);
	put_sync(f->store, "/a", "and it goes on");
}
