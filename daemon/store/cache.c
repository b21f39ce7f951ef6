#include "daemon/store/cache.h"

#include <string.h>

#include "daemon/model/error.h"

#define RETRY_MS 1000

struct store_cache {
	struct store *store;
	int refs; /* the user's, and one per callback or request under way */
	gboolean freed;
	char *prefix;
	char *end;
	GTree *kvs;     /* key → struct store_kv, owned; the key is the kv's own */
	GTree *loading; /* the tree a full read fills, or NULL */
	gint64 loading_revision;
	gint64 revision; /* 0 until the first full read is done */
	struct store_watch *watch;
	GSource *retry;
	const struct store_cache_funcs *funcs;
	gpointer user_data;
};

static void load(struct store_cache *cache);
static void load_page(struct store_cache *cache, const char *from);

static int key_compare(gconstpointer a, gconstpointer b, gpointer user_data)
{
	return strcmp(a, b);
}

static GTree *tree_new(void)
{
	return g_tree_new_full(key_compare, NULL, NULL, (GDestroyNotify)store_kv_free);
}

static void retry_drop(struct store_cache *cache)
{
	if (cache->retry == NULL)
		return;
	g_source_destroy(cache->retry);
	g_clear_pointer(&cache->retry, g_source_unref);
}

static void cache_unref(struct store_cache *cache)
{
	if (--cache->refs > 0)
		return;
	g_tree_unref(cache->kvs);
	g_clear_pointer(&cache->loading, g_tree_unref);
	g_free(cache->prefix);
	g_free(cache->end);
	store_unref(cache->store);
	g_free(cache);
}

/* Takes `kv` (NULL: deleted) in, and reports it. */
static void change(struct store_cache *cache, const char *key, struct store_kv *kv, gint64 revision)
{
	GTreeNode *node = g_tree_lookup_node(cache->kvs, key);
	struct store_kv *before = NULL;

	if (node != NULL) {
		before = g_tree_node_value(node);
		g_tree_steal(cache->kvs, key);
	}
	if (kv != NULL)
		g_tree_insert(cache->kvs, kv->key, kv);
	if ((before != NULL || kv != NULL) && cache->funcs->changed != NULL && !cache->freed)
		cache->funcs->changed(before, kv, revision, cache->user_data);
	store_kv_free(before);
}

static void settle(struct store_cache *cache, gint64 revision)
{
	cache->revision = revision;
	if (cache->funcs->settled != NULL && !cache->freed)
		cache->funcs->settled(revision, cache->user_data);
}

static void lose(struct store_cache *cache, const GError *error)
{
	if (cache->funcs->lost != NULL && !cache->freed)
		cache->funcs->lost(error, cache->user_data);
}

/* Every change is reported under its own revision; a whole revision has settled when the next begins. */
static void take_events(struct store_cache *cache, const struct store_event *events, guint n_events, gint64 revision)
{
	for (guint i = 0; i < n_events && !cache->freed; i++) {
		const struct store_kv *kv = &events[i].kv;

		if (i > 0 && kv->mod_revision != events[i - 1].kv.mod_revision)
			settle(cache, events[i - 1].kv.mod_revision);
		if (!cache->freed)
			change(cache, kv->key, events[i].deleted ? NULL : store_kv_copy(kv), kv->mod_revision);
	}
	if (!cache->freed && revision > cache->revision)
		settle(cache, revision);
}

static void on_watch(const struct store_event *events, guint n_events, gint64 revision, const GError *error,
		     gpointer user_data)
{
	struct store_cache *cache = user_data;

	cache->refs++;
	if (error == NULL) {
		take_events(cache, events, n_events, revision);
	} else {
		g_clear_pointer(&cache->watch, store_watch_free);
		if (g_error_matches(error, POLDER_ERROR, POLDER_ERROR_COMPACTED))
			load(cache);
		else
			lose(cache, error);
	}
	cache_unref(cache);
}

static gboolean collect_gone(gpointer key, gpointer value, gpointer user_data)
{
	gpointer *context = user_data;

	if (g_tree_lookup(context[0], key) == NULL)
		g_ptr_array_add(context[1], g_strdup(key));
	return FALSE;
}

static gboolean collect_changed(gpointer key, gpointer value, gpointer user_data)
{
	gpointer *context = user_data;
	const struct store_kv *now = value, *had = g_tree_lookup(context[0], key);

	if (had == NULL || had->mod_revision != now->mod_revision)
		g_ptr_array_add(context[1], store_kv_copy(now));
	return FALSE;
}

static int by_mod_revision(gconstpointer a, gconstpointer b)
{
	const struct store_kv *x = *(struct store_kv *const *)a, *y = *(struct store_kv *const *)b;

	if (x->mod_revision != y->mod_revision)
		return x->mod_revision < y->mod_revision ? -1 : 1;
	return strcmp(x->key, y->key);
}

/* The history between is gone: only the difference can be told. What is gone is told first, at the revision read. */
static void report_difference(struct store_cache *cache, GTree *now, gint64 revision)
{
	g_autoptr(GPtrArray) gone = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GPtrArray) changed = g_ptr_array_new_with_free_func((GDestroyNotify)store_kv_free);
	gpointer gone_context[] = { now, gone }, changed_context[] = { cache->kvs, changed };

	g_tree_foreach(cache->kvs, collect_gone, gone_context);
	g_tree_foreach(now, collect_changed, changed_context);
	g_ptr_array_sort(changed, by_mod_revision);
	for (guint i = 0; i < gone->len && !cache->freed; i++)
		change(cache, gone->pdata[i], NULL, revision);
	for (guint i = 0; i < changed->len && !cache->freed; i++) {
		struct store_kv *kv = g_steal_pointer(&changed->pdata[i]);

		change(cache, kv->key, kv, revision);
	}
}

static void loaded(struct store_cache *cache)
{
	g_autoptr(GTree) now = g_steal_pointer(&cache->loading);
	gint64 revision = cache->loading_revision;

	if (cache->revision == 0) {
		g_tree_unref(cache->kvs);
		cache->kvs = g_steal_pointer(&now);
		cache->revision = revision;
		if (cache->funcs->ready != NULL)
			cache->funcs->ready(cache->user_data);
	} else {
		report_difference(cache, now, revision);
		if (!cache->freed)
			settle(cache, revision);
	}
	if (!cache->freed)
		cache->watch = store_watch_new(cache->store, cache->prefix, cache->end, revision + 1, on_watch, cache);
}

static gboolean on_retry(gpointer user_data)
{
	struct store_cache *cache = user_data;

	retry_drop(cache);
	load(cache);
	return G_SOURCE_REMOVE;
}

static void load_failed(struct store_cache *cache, const GError *error)
{
	if (g_error_matches(error, POLDER_ERROR, POLDER_ERROR_COMPACTED)) {
		load(cache);
	} else if (g_error_matches(error, POLDER_ERROR, POLDER_ERROR_TIMEOUT)) {
		cache->retry = g_timeout_source_new(RETRY_MS);
		g_source_set_callback(cache->retry, on_retry, cache, NULL);
		g_source_attach(cache->retry, g_main_context_get_thread_default());
	} else {
		lose(cache, error);
	}
}

static void on_page(GObject *source, GAsyncResult *result, gpointer user_data)
{
	struct store_cache *cache = user_data;
	g_autoptr(GError) error = NULL;
	struct store_range *range = store_range_finish(cache->store, result, &error);

	if (cache->freed) {
		g_clear_error(&error);
	} else if (range == NULL) {
		load_failed(cache, error);
	} else {
		g_autofree char *from = NULL;

		cache->loading_revision = range->revision;
		if (range->more)
			from = store_key_after(((struct store_kv *)range->kvs->pdata[range->kvs->len - 1])->key);
		g_ptr_array_set_free_func(range->kvs, NULL);
		for (guint i = 0; i < range->kvs->len; i++) {
			struct store_kv *kv = range->kvs->pdata[i];

			g_tree_insert(cache->loading, kv->key, kv);
		}
		if (range->more)
			load_page(cache, from);
		else
			loaded(cache);
	}
	store_range_free(range);
	cache_unref(cache);
}

static void load_page(struct store_cache *cache, const char *from)
{
	cache->refs++;
	store_range_async(cache->store, from, cache->end, cache->loading_revision, 0, NULL, on_page, cache);
}

static void load(struct store_cache *cache)
{
	g_clear_pointer(&cache->loading, g_tree_unref);
	cache->loading = tree_new();
	cache->loading_revision = 0;
	load_page(cache, cache->prefix);
}

struct store_cache *store_cache_new(struct store *store, const char *prefix, const struct store_cache_funcs *funcs,
				    gpointer user_data)
{
	struct store_cache *cache = g_new0(struct store_cache, 1);

	cache->store = store_ref(store);
	cache->refs = 1;
	cache->prefix = g_strdup(prefix);
	cache->end = store_prefix_end(prefix);
	cache->kvs = tree_new();
	cache->funcs = funcs;
	cache->user_data = user_data;
	load(cache);
	return cache;
}

void store_cache_free(struct store_cache *cache)
{
	if (cache == NULL)
		return;
	cache->freed = TRUE;
	g_clear_pointer(&cache->watch, store_watch_free);
	retry_drop(cache);
	cache_unref(cache);
}

const struct store_kv *store_cache_get(const struct store_cache *cache, const char *key)
{
	return g_tree_lookup(cache->kvs, key);
}

gint64 store_cache_revision(const struct store_cache *cache)
{
	return cache->revision;
}

void store_cache_foreach(const struct store_cache *cache, const char *prefix,
			 gboolean (*func)(const struct store_kv *kv, gpointer user_data), gpointer user_data)
{
	GTreeNode *node = g_tree_lower_bound(cache->kvs, prefix);

	for (; node != NULL; node = g_tree_node_next(node)) {
		const struct store_kv *kv = g_tree_node_value(node);

		if (!g_str_has_prefix(kv->key, prefix) || !func(kv, user_data))
			return;
	}
}
