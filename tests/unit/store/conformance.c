/* What store.h promises, asked of every backend unchanged: in-process SQLite, and a remote to it over a socket pair. */
#include <string.h>

#include "tests/unit/store/conformance_life.h"
#include "tests/unit/store/fixture.h"

/* The test's data: which backend. */
static gboolean is_remote(gconstpointer data)
{
	return GPOINTER_TO_INT(data);
}

static void test_put_get(struct fixture *f, gconstpointer data)
{
	gint64 first = put_sync(f->store, "/a", "one");
	g_autofree char *one = get_sync(f->store, "/a");
	g_autofree char *none = get_sync(f->store, "/b");
	struct store_range *range;
	struct store_kv *kv;

	g_assert_cmpint(first, >, 1);
	g_assert_cmpstr(one, ==, "one");
	g_assert_null(none);
	g_assert_cmpint(put_sync(f->store, "/a", "two"), ==, first + 1);
	range = range_sync(f->store, "/a", NULL, 0, 0, -1);
	g_assert_cmpint(range->revision, ==, first + 1);
	kv = range->kvs->pdata[0];
	g_assert_cmpint(kv->create_revision, ==, first);
	g_assert_cmpint(kv->mod_revision, ==, first + 1);
	g_assert_cmpint(kv->version, ==, 2);
	g_assert_cmpint(kv->lease, ==, 0);
	store_range_free(range);

	/* A new life begins with a new create revision; an empty value is a value. */
	delete_sync(f->store, "/a");
	put_sync(f->store, "/a", "");
	range = range_sync(f->store, "/a", NULL, 0, 0, -1);
	kv = range->kvs->pdata[0];
	g_assert_cmpint(kv->create_revision, ==, first + 3);
	g_assert_cmpint(kv->version, ==, 1);
	g_assert_cmpuint(g_bytes_get_size(kv->value), ==, 0);
	store_range_free(range);
}

static void test_empty_store(struct fixture *f, gconstpointer data)
{
	struct store_range *range = range_sync(f->store, "/", "0", 0, 0, -1);

	g_assert_cmpint(range->revision, ==, 1);
	g_assert_cmpuint(range->kvs->len, ==, 0);
	g_assert_false(range->more);
	store_range_free(range);
	/* What changes nothing adds no revision. */
	g_assert_cmpint(delete_sync(f->store, "/nothing"), ==, 1);
}

static void test_restart(struct fixture *f, gconstpointer data)
{
	gint64 revision = put_sync(f->store, "/a", "kept");
	g_autofree char *kept = NULL;

	fixture_reopen(f);
	kept = get_sync(f->store, "/a");
	g_assert_cmpstr(kept, ==, "kept");
	g_assert_cmpint(put_sync(f->store, "/a", "again"), ==, revision + 1);
}

struct compare_case {
	const char *key;
	enum store_target target;
	enum store_relation relation;
	gint64 number;
	gboolean holds;
};

static void test_compares(struct fixture *f, gconstpointer data)
{
	gint64 created = put_sync(f->store, "/a", "1"), modified = put_sync(f->store, "/a", "2");
	const struct compare_case cases[] = {
		{ "/a", STORE_TARGET_VERSION, STORE_EQUAL, 2, TRUE },
		{ "/a", STORE_TARGET_VERSION, STORE_EQUAL, 1, FALSE },
		{ "/a", STORE_TARGET_VERSION, STORE_GREATER, 1, TRUE },
		{ "/a", STORE_TARGET_VERSION, STORE_GREATER, 2, FALSE },
		{ "/a", STORE_TARGET_VERSION, STORE_LESS, 3, TRUE },
		{ "/a", STORE_TARGET_VERSION, STORE_LESS, 2, FALSE },
		{ "/a", STORE_TARGET_VERSION, STORE_NOT_EQUAL, 1, TRUE },
		{ "/a", STORE_TARGET_CREATE, STORE_EQUAL, created, TRUE },
		{ "/a", STORE_TARGET_MOD, STORE_EQUAL, modified, TRUE },
		{ "/a", STORE_TARGET_MOD, STORE_EQUAL, created, FALSE },
		{ "/a", STORE_TARGET_LEASE, STORE_EQUAL, 0, TRUE },
		{ "/none", STORE_TARGET_VERSION, STORE_EQUAL, 0, TRUE },
		{ "/none", STORE_TARGET_CREATE, STORE_EQUAL, 0, TRUE },
		{ "/none", STORE_TARGET_MOD, STORE_EQUAL, 0, TRUE },
		{ "/none", STORE_TARGET_LEASE, STORE_NOT_EQUAL, 0, FALSE },
	};

	for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct store_txn *txn = store_txn_new();
		struct store_txn_result *result;

		store_txn_compare(txn, "/a", STORE_TARGET_VERSION, STORE_GREATER, 0); /* all of them must hold */
		store_txn_compare(txn, cases[i].key, cases[i].target, cases[i].relation, cases[i].number);
		result = txn_sync(f->store, txn, -1);
		if (result->succeeded != cases[i].holds)
			g_test_message("compare case %u", i);
		g_assert_cmpint(result->succeeded, ==, cases[i].holds);
		store_txn_result_free(result);
	}
}

static gboolean value_holds(struct store *store, const char *key, enum store_relation relation, const char *value)
{
	struct store_txn *txn = store_txn_new();
	struct store_txn_result *result;
	g_autoptr(GBytes) wanted = bytes(value);
	gboolean holds;

	store_txn_compare_value(txn, key, relation, wanted);
	result = txn_sync(store, txn, -1);
	holds = result->succeeded;
	store_txn_result_free(result);
	return holds;
}

static void test_compare_values(struct fixture *f, gconstpointer data)
{
	put_sync(f->store, "/a", "m");
	g_assert_true(value_holds(f->store, "/a", STORE_EQUAL, "m"));
	g_assert_false(value_holds(f->store, "/a", STORE_EQUAL, "mm"));
	g_assert_true(value_holds(f->store, "/a", STORE_NOT_EQUAL, "mm"));
	g_assert_true(value_holds(f->store, "/a", STORE_LESS, "mm"));
	g_assert_true(value_holds(f->store, "/a", STORE_GREATER, "l"));
	g_assert_false(value_holds(f->store, "/a", STORE_GREATER, "m"));
	for (enum store_relation relation = STORE_EQUAL; relation <= STORE_LESS; relation++)
		g_assert_false(value_holds(f->store, "/none", relation, ""));
}

static void test_branches(struct fixture *f, gconstpointer data)
{
	g_autoptr(GBytes) value = bytes("x");

	for (int round = 0; round < 2; round++) {
		struct store_txn *txn = store_txn_new();
		struct store_txn_result *result;

		/* The lock idiom: create it, or read who has it. */
		store_txn_compare(txn, "/lock", STORE_TARGET_CREATE, STORE_EQUAL, 0);
		store_txn_put(txn, STORE_THEN, "/lock", value, 0);
		store_txn_range(txn, STORE_THEN, "/lock", NULL);
		store_txn_range(txn, STORE_ELSE, "/lock", NULL);
		store_txn_range(txn, STORE_ELSE, "/lock/", "/lock0");
		result = txn_sync(f->store, txn, -1);
		g_assert_cmpint(result->succeeded, ==, round == 0);
		g_assert_cmpint(result->revision, ==, 2);
		g_assert_cmpuint(result->ranges->len, ==, round == 0 ? 1 : 2);
		g_assert_cmpuint(((GPtrArray *)result->ranges->pdata[0])->len, ==, 1);
		if (round == 1)
			g_assert_cmpuint(((GPtrArray *)result->ranges->pdata[1])->len, ==, 0);
		store_txn_result_free(result);
	}
}

static void test_delete_range(struct fixture *f, gconstpointer data)
{
	static const char *const keys[] = { "/v/a", "/v/b", "/v/c", "/w", "/v" };
	struct store_txn *txn = store_txn_new();
	struct store_txn_result *result;
	struct store_range *range;
	gint64 before = 0;

	for (guint i = 0; i < G_N_ELEMENTS(keys); i++)
		before = put_sync(f->store, keys[i], "x");
	store_txn_range(txn, STORE_THEN, "/v/", "/v0");
	store_txn_delete_range(txn, STORE_THEN, "/v/", "/v0");
	store_txn_range(txn, STORE_THEN, "/v/", "/v0");
	result = txn_sync(f->store, txn, -1);
	g_assert_cmpuint(result->deleted, ==, 3);
	g_assert_cmpint(result->revision, ==, before + 1);
	g_assert_cmpuint(((GPtrArray *)result->ranges->pdata[0])->len, ==, 3);
	g_assert_cmpuint(((GPtrArray *)result->ranges->pdata[1])->len, ==, 0); /* as it is after what was before it */
	store_txn_result_free(result);
	range = range_sync(f->store, "/", "0", 0, 0, -1);
	g_assert_cmpuint(range->kvs->len, ==, 2);
	store_range_free(range);
	/* And it is still there in the past. */
	range = range_sync(f->store, "/v/", "/v0", before, 0, -1);
	g_assert_cmpuint(range->kvs->len, ==, 3);
	store_range_free(range);
}

static void test_twice(struct fixture *f, gconstpointer data)
{
	g_autoptr(GBytes) value = bytes("x");
	struct store_txn *txn = store_txn_new();

	store_txn_put(txn, STORE_THEN, "/a", value, 0);
	store_txn_put(txn, STORE_THEN, "/a", value, 0);
	txn_sync(f->store, txn, POLDER_ERROR_INVALID);
	txn = store_txn_new();
	store_txn_put(txn, STORE_THEN, "/a/b", value, 0);
	store_txn_delete_range(txn, STORE_THEN, "/a/", "/a0");
	txn_sync(f->store, txn, POLDER_ERROR_INVALID);
	txn = store_txn_new();
	store_txn_delete_range(txn, STORE_ELSE, "/a/", "/a0");
	store_txn_delete(txn, STORE_ELSE, "/a/b");
	txn_sync(f->store, txn, POLDER_ERROR_INVALID);
	/* Beside each other, and once in each branch, is fine. */
	txn = store_txn_new();
	store_txn_put(txn, STORE_THEN, "/a", value, 0);
	store_txn_put(txn, STORE_ELSE, "/a", value, 0);
	store_txn_delete_range(txn, STORE_THEN, "/a/", "/a0");
	store_txn_put(txn, STORE_THEN, "/a0", value, 0);
	store_txn_result_free(txn_sync(f->store, txn, -1));
}

static void test_limits(struct fixture *f, gconstpointer data)
{
	g_autofree char *longest = g_strnfill(LIMIT_STORE_KEY_BYTES, 'k');
	g_autofree char *too_long = g_strnfill(LIMIT_STORE_KEY_BYTES + 1, 'k');
	g_autoptr(GBytes) value = bytes("x");
	g_autofree char *much = g_malloc0(LIMIT_STORE_REQUEST_BYTES);
	g_autoptr(GBytes) most = g_bytes_new(much, LIMIT_STORE_REQUEST_BYTES - 2);
	g_autoptr(GBytes) too_much = g_bytes_new(much, LIMIT_STORE_REQUEST_BYTES - 1);
	static const char *const bad_keys[] = { "", "\xff", "/\xc3" };
	struct store_txn *txn;
	struct store_range *range;

	store_txn_result_free(txn_sync(f->store, txn_of_puts(LIMIT_STORE_TXN_OPS), -1));
	txn_sync(f->store, txn_of_puts(LIMIT_STORE_TXN_OPS + 1), POLDER_ERROR_TOO_LARGE);
	for (guint i = 0; i < G_N_ELEMENTS(bad_keys); i++) {
		txn = store_txn_new();
		store_txn_put(txn, STORE_THEN, bad_keys[i], value, 0);
		txn_sync(f->store, txn, POLDER_ERROR_INVALID);
	}
	put_sync(f->store, longest, "x");
	txn = store_txn_new();
	store_txn_put(txn, STORE_THEN, too_long, value, 0);
	txn_sync(f->store, txn, POLDER_ERROR_TOO_LARGE);
	txn = store_txn_new();
	store_txn_put(txn, STORE_THEN, "/m", most, 0);
	store_txn_result_free(txn_sync(f->store, txn, -1));
	txn = store_txn_new();
	store_txn_put(txn, STORE_THEN, "/m", too_much, 0);
	txn_sync(f->store, txn, POLDER_ERROR_TOO_LARGE);
	range = range_sync(f->store, "/m", NULL, 0, 0, -1);
	g_assert_true(g_bytes_equal(((struct store_kv *)range->kvs->pdata[0])->value, most));
	store_range_free(range);
	range_sync(f->store, "", "x", 0, 0, POLDER_ERROR_INVALID);
	range_sync(f->store, "/b", "/a", 0, 0, POLDER_ERROR_INVALID);
	range_sync(f->store, "/a", NULL, -1, 0, POLDER_ERROR_INVALID);
	range_sync(f->store, "/a", NULL, 1000000, 0, POLDER_ERROR_INVALID);
}

/* What a transaction reads back is bounded too; refused, it has done nothing. */
static void test_read_back_too_large(struct fixture *f, gconstpointer data)
{
	g_autofree char *much = g_malloc0(700 << 10);
	g_autoptr(GBytes) value = g_bytes_new(much, 700 << 10);
	struct store_txn *txn;
	g_autofree char *gone = NULL;
	gint64 revision = 0;

	for (int i = 0; i < 2; i++) {
		g_autofree char *key = g_strdup_printf("/big/%d", i);

		txn = store_txn_new();
		store_txn_put(txn, STORE_THEN, key, value, 0);
		store_txn_result_free(txn_sync(f->store, txn, -1));
	}
	revision = put_sync(f->store, "/a", "before");
	txn = store_txn_new();
	store_txn_put(txn, STORE_THEN, "/b", value, 0);
	store_txn_delete(txn, STORE_THEN, "/a");
	store_txn_range(txn, STORE_THEN, "/big/", "/big0");
	txn_sync(f->store, txn, POLDER_ERROR_TOO_LARGE);
	gone = get_sync(f->store, "/a");
	g_assert_cmpstr(gone, ==, "before");
	g_assert_cmpint(put_sync(f->store, "/a", "x"), ==, revision + 1);
}

static void test_paging(struct fixture *f, gconstpointer data)
{
	g_autofree char *from = g_strdup("/k/");
	struct store_range *range;
	gint64 revision = 0;
	guint seen = 0;
	gboolean more = TRUE;

	for (guint i = 0; i < 10; i++)
		store_txn_result_free(txn_sync(f->store, txn_of_puts(105), -1));
	while (more) {
		range = range_sync(f->store, from, "/k0", revision, 20, -1);
		g_assert_true(revision == 0 || range->revision == revision);
		revision = range->revision;
		more = range->more;
		for (guint i = 0; i < range->kvs->len; i++) {
			g_autofree char *key = g_strdup_printf("/k/%03u", seen++);
			struct store_kv *kv = range->kvs->pdata[i];

			g_assert_cmpstr(kv->key, ==, key);
			g_assert_cmpint(kv->version, ==, 10);
		}
		g_free(from);
		from = store_key_after(((struct store_kv *)range->kvs->pdata[range->kvs->len - 1])->key);
		store_range_free(range);
		/* What changes between two pages does not show. */
		delete_sync(f->store, "/k/104");
		put_sync(f->store, "/k/103x", "new");
		put_sync(f->store, "/k/102", "newer");
	}
	g_assert_cmpuint(seen, ==, 105);
	/* A page ends at its bytes, too, and exactly full is not "more". */
	range = range_sync(f->store, "/k/000", "/k/003", 0, 3, -1);
	g_assert_false(range->more);
	g_assert_cmpuint(range->kvs->len, ==, 3);
	store_range_free(range);
}

static void set_up(struct fixture *f, gconstpointer data)
{
	fixture_open(f, is_remote(data));
}

static void tear_down(struct fixture *f, gconstpointer data)
{
	fixture_close(f);
}

static const struct {
	const char *name;
	void (*run)(struct fixture *f, gconstpointer data);
} tests[] = {
	{ "put-get", test_put_get },
	{ "empty-store", test_empty_store },
	{ "restart", test_restart },
	{ "compares", test_compares },
	{ "compare-values", test_compare_values },
	{ "branches", test_branches },
	{ "delete-range", test_delete_range },
	{ "key-written-twice", test_twice },
	{ "limits", test_limits },
	{ "read-back-too-large", test_read_back_too_large },
	{ "paging", test_paging },
	{ "watch-live", test_watch_live },
	{ "watch-before-answer", test_watch_before_answer },
	{ "watch-catch-up", test_watch_catch_up },
	{ "watch-free-inside", test_watch_free_inside },
	{ "watch-large-revision", test_watch_large_revision },
	{ "compaction", test_compaction },
	{ "lease-expiry", test_lease_expiry },
	{ "lease-keep-alive", test_lease_keep_alive },
	{ "lease-revoke-and-restart", test_lease_revoke_and_restart },
	{ "cancelled-before", test_cancelled_before },
	{ "cancelled-under-way", test_cancelled_under_way },
	{ "closed-under-way", test_closed_under_way },
	{ "pipeline", test_pipeline },
	{ "flood", test_flood },
	{ "large-answers", test_large_answers },
};

int main(int argc, char **argv)
{
	static const char *const backends[] = { "sqlite", "remote" };

	g_test_init(&argc, &argv, NULL);
	for (int remote = 0; remote < 2; remote++) {
		for (guint i = 0; i < G_N_ELEMENTS(tests); i++) {
			g_autofree char *path = g_strdup_printf("/store/%s/%s", backends[remote], tests[i].name);

			g_test_add(path, struct fixture, GINT_TO_POINTER(remote), set_up, tests[i].run, tear_down);
		}
	}
	return g_test_run();
}
