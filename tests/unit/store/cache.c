/* The cache: whole from the first read on, told of every change once and in order, whole again after compaction. */
#include "daemon/store/cache.h"

#include <string.h>

#include "daemon/store/backend.h"
#include "tests/unit/store/fixture.h"

/* ---- a store that passes everything on, until its watch is to end as if history had been compacted ---- */

struct proxy {
	struct store base;
	struct store *real;
	struct store_watch *watch; /* the one the cache has */
	struct store_watch *inner;
	gboolean muted;
};

static void proxy_close(struct store *base)
{
	struct proxy *proxy = (struct proxy *)base;

	store_unref(proxy->real);
	g_free(proxy);
}

static void proxy_txn(struct store *base, struct store_txn *txn, GTask *task)
{
	struct store *real = ((struct proxy *)base)->real;

	real->backend->txn(real, txn, task);
}

static void proxy_range(struct store *base, struct store_span *span, gint64 revision, guint limit, GTask *task)
{
	struct store *real = ((struct proxy *)base)->real;

	real->backend->range(real, span, revision, limit, task);
}

static void on_inner(const struct store_event *events, guint n_events, gint64 revision, const GError *error,
		     gpointer user_data)
{
	struct proxy *proxy = user_data;

	if (!proxy->muted)
		store_watch_call(proxy->watch, events, n_events, revision, error);
}

static struct store_watch *proxy_watch(struct store *base, const struct store_watch *filled, gint64 start)
{
	struct proxy *proxy = (struct proxy *)base;

	g_assert_null(proxy->watch); /* the cache never has two */
	proxy->watch = g_new(struct store_watch, 1);
	*proxy->watch = *filled;
	proxy->inner = store_watch_new(proxy->real, filled->span.start, filled->span.end, start, on_inner, proxy);
	return proxy->watch;
}

static void proxy_unwatch(struct store_watch *watch)
{
	struct proxy *proxy = (struct proxy *)watch->store;

	g_clear_pointer(&proxy->inner, store_watch_free);
	proxy->watch = NULL;
}

static void proxy_lease(struct store *base, enum store_lease_op op, gint64 number, GTask *task)
{
	struct store *real = ((struct proxy *)base)->real;

	real->backend->lease(real, op, number, task);
}

static const struct store_backend proxy_backend = {
	.name = "proxy",
	.close = proxy_close,
	.txn = proxy_txn,
	.range = proxy_range,
	.watch = proxy_watch,
	.unwatch = proxy_unwatch,
	.lease = proxy_lease,
};

static void proxy_compacted(struct proxy *proxy, int code)
{
	g_autoptr(GError) error = g_error_new(POLDER_ERROR, code, "as if");

	store_watch_call(proxy->watch, NULL, 0, 0, error);
	proxy->muted = FALSE;
}

/* ---- */

struct scene {
	struct fixture f;
	struct proxy *proxy;
	struct store_cache *cache;
	GString *said;
	gboolean ready;
	guint n_lost;
	gint64 settled, last_change;
	guint free_after; /* frees the cache in a callback after so many changes */
	guint n_changes;
};

static void on_ready(gpointer user_data)
{
	struct scene *scene = user_data;

	g_assert_false(scene->ready);
	scene->ready = TRUE;
	g_assert_cmpint(store_cache_revision(scene->cache), >, 0);
}

static void on_changed(const struct store_kv *before, const struct store_kv *now, gint64 revision, gpointer user_data)
{
	struct scene *scene = user_data;
	g_autofree char *had = before != NULL ? text_of(before) : g_strdup("-");
	g_autofree char *has = now != NULL ? text_of(now) : g_strdup("-");
	const char *key = now != NULL ? now->key : before->key;

	g_assert_true(scene->ready);
	/* The cache has changed already. */
	g_assert_true(store_cache_get(scene->cache, key) == now);
	g_assert_cmpint(revision, >, scene->settled);
	scene->last_change = revision;
	g_string_append_printf(scene->said, "%s %s %s\n", key, had, has);
	if (++scene->n_changes == scene->free_after)
		g_clear_pointer(&scene->cache, store_cache_free);
}

static void on_settled(gint64 revision, gpointer user_data)
{
	struct scene *scene = user_data;

	g_assert_cmpint(revision, >=, scene->last_change);
	g_assert_cmpint(revision, >, scene->settled);
	g_assert_cmpint(store_cache_revision(scene->cache), ==, revision);
	scene->settled = revision;
}

static void on_lost(const GError *error, gpointer user_data)
{
	struct scene *scene = user_data;

	g_assert_nonnull(error);
	scene->n_lost++;
}

static const struct store_cache_funcs funcs = {
	.ready = on_ready, .changed = on_changed, .settled = on_settled, .lost = on_lost
};

static void set_up(struct scene *scene, gconstpointer data)
{
	fixture_open(&scene->f, GPOINTER_TO_INT(data));
	scene->said = g_string_new(NULL);
	scene->proxy = g_new0(struct proxy, 1);
	scene->proxy->base = (struct store) { &proxy_backend, 1 };
	scene->proxy->real = store_ref(scene->f.store);
}

static void tear_down(struct scene *scene, gconstpointer data)
{
	store_cache_free(scene->cache);
	store_unref(&scene->proxy->base);
	fixture_close(&scene->f);
	g_string_free(scene->said, TRUE);
}

static void start(struct scene *scene)
{
	scene->cache = store_cache_new(&scene->proxy->base, "/v/", &funcs, scene);
	g_assert_cmpint(store_cache_revision(scene->cache), ==, 0);
	wait_for(&scene->ready);
}

struct revision_wait {
	struct scene *scene;
	gint64 revision;
};

static gboolean has_settled(gpointer user_data)
{
	struct revision_wait *wait = user_data;

	return store_cache_revision(wait->scene->cache) >= wait->revision;
}

static void wait_settled(struct scene *scene, gint64 revision)
{
	struct revision_wait wait = { scene, revision };

	wait_until(has_settled, &wait);
}

static gboolean count(const struct store_kv *kv, gpointer user_data)
{
	(*(guint *)user_data)++;
	return TRUE;
}

static gboolean join_two(const struct store_kv *kv, gpointer user_data)
{
	g_string_append(user_data, kv->key);
	return ((GString *)user_data)->len < 8;
}

static void test_follow(struct scene *scene, gconstpointer data)
{
	g_autoptr(GString) order = g_string_new(NULL);
	guint n = 0;

	put_sync(scene->f.store, "/v/b", "1");
	put_sync(scene->f.store, "/v/a", "1");
	put_sync(scene->f.store, "/u", "other");
	start(scene);
	g_assert_cmpstr(scene->said->str, ==, ""); /* the first read is not a change */
	g_assert_nonnull(store_cache_get(scene->cache, "/v/a"));
	g_assert_null(store_cache_get(scene->cache, "/u"));
	put_sync(scene->f.store, "/v/a", "2");
	delete_sync(scene->f.store, "/v/b");
	put_sync(scene->f.store, "/w", "other");
	put_sync(scene->f.store, "/v/c", "3");
	wait_settled(scene, put_sync(scene->f.store, "/w", "progress"));
	g_assert_cmpstr(scene->said->str, ==, "/v/a 1 2\n/v/b 1 -\n/v/c - 3\n");
	store_cache_foreach(scene->cache, "/v/", count, &n);
	g_assert_cmpuint(n, ==, 2);
	put_sync(scene->f.store, "/v/cc", "4");
	wait_settled(scene, put_sync(scene->f.store, "/v/d", "5"));
	store_cache_foreach(scene->cache, "/v/c", join_two, order);
	g_assert_cmpstr(order->str, ==, "/v/c/v/cc");
}

static void test_many_pages(struct scene *scene, gconstpointer data)
{
	guint n = 0;

	for (guint i = 0; i < 25; i++) {
		struct store_txn *txn = store_txn_new();

		for (guint j = 0; j < 100; j++) {
			g_autofree char *key = g_strdup_printf("/v/%02u/%02u", i, j);
			g_autoptr(GBytes) value = bytes("x");

			store_txn_put(txn, STORE_THEN, key, value, 0);
		}
		store_txn_result_free(txn_sync(scene->f.store, txn, -1));
	}
	start(scene);
	store_cache_foreach(scene->cache, "/v/", count, &n);
	g_assert_cmpuint(n, ==, 2500);
}

static void test_compaction(struct scene *scene, gconstpointer data)
{
	gint64 revision;
	guint n = 0;

	put_sync(scene->f.store, "/v/stays", "1");
	put_sync(scene->f.store, "/v/goes", "1");
	put_sync(scene->f.store, "/v/changes", "1");
	put_sync(scene->f.store, "/v/again", "1");
	start(scene);
	scene->proxy->muted = TRUE;
	put_sync(scene->f.store, "/v/comes", "2");
	put_sync(scene->f.store, "/v/changes", "2");
	put_sync(scene->f.store, "/v/changes", "3");
	delete_sync(scene->f.store, "/v/goes");
	delete_sync(scene->f.store, "/v/again");
	put_sync(scene->f.store, "/v/again", "1");
	put_sync(scene->f.store, "/v/brief", "x");
	revision = delete_sync(scene->f.store, "/v/brief");
	proxy_compacted(scene->proxy, POLDER_ERROR_COMPACTED);
	wait_settled(scene, revision);
	/* The difference, once. */
	g_assert_cmpstr(scene->said->str, ==, "/v/goes 1 -\n/v/comes - 2\n/v/changes 1 3\n/v/again 1 1\n");
	store_cache_foreach(scene->cache, "/v/", count, &n);
	g_assert_cmpuint(n, ==, 4);
	/* And it goes on from there. */
	wait_settled(scene, put_sync(scene->f.store, "/v/comes", "4"));
	g_assert_true(g_str_has_suffix(scene->said->str, "/v/comes 2 4\n"));
	g_assert_cmpuint(scene->n_lost, ==, 0);
}

static void test_free_inside(struct scene *scene, gconstpointer data)
{
	scene->free_after = 2;
	start(scene);
	for (int i = 0; i < 4; i++)
		put_sync(scene->f.store, "/v/a", "x");
	g_assert_cmpuint(scene->n_changes, ==, 2);
	g_assert_null(scene->cache);
}

static void test_free_while_loading(struct scene *scene, gconstpointer data)
{
	put_sync(scene->f.store, "/v/a", "x");
	scene->cache = store_cache_new(&scene->proxy->base, "/v/", &funcs, scene);
	g_clear_pointer(&scene->cache, store_cache_free);
	put_sync(scene->f.store, "/v/a", "y");
	g_assert_false(scene->ready);
}

static gboolean is_lost(gpointer user_data)
{
	return ((struct scene *)user_data)->n_lost > 0;
}

static void test_lost(struct scene *scene, gconstpointer data)
{
	start(scene);
	proxy_compacted(scene->proxy, POLDER_ERROR_UNAVAILABLE);
	wait_until(is_lost, scene);
	g_assert_cmpuint(scene->n_lost, ==, 1);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(struct scene *scene, gconstpointer data);
	} tests[] = {
		{ "follow", test_follow },
		{ "many-pages", test_many_pages },
		{ "compaction", test_compaction },
		{ "free-inside", test_free_inside },
		{ "free-while-loading", test_free_while_loading },
		{ "lost", test_lost },
	};

	g_test_init(&argc, &argv, NULL);
	for (int remote = 0; remote < 2; remote++) {
		for (guint i = 0; i < G_N_ELEMENTS(tests); i++) {
			g_autofree char *path =
				g_strdup_printf("/store/cache/%s/%s", remote ? "remote" : "sqlite", tests[i].name);

			g_test_add(path, struct scene, GINT_TO_POINTER(remote), set_up, tests[i].run, tear_down);
		}
	}
	return g_test_run();
}
