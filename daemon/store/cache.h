/* A watch-fed copy of a key prefix in memory: reads are answered here, at a stated revision, without asking the store.
 * Keeps itself whole over compaction (ranges anew and reports the difference) until its store is gone. */
#pragma once

#include "daemon/store/store.h"

struct store_cache;

struct store_cache_funcs {
	/* The first full read is done: reads are valid from here on. */
	void (*ready)(gpointer user_data);
	/* One key changed. `before` NULL: it is new; `now` NULL: it was deleted. Borrowed for the call. Called in revision
	 * order after the cache itself has changed. Not called for the first full read. */
	void (*changed)(const struct store_kv *before, const struct store_kv *now, gint64 revision, gpointer user_data);
	/* All changes of this revision were reported: a consistent state. May be NULL. */
	void (*settled)(gint64 revision, gpointer user_data);
	/* The store is gone. */
	void (*lost)(const GError *error, gpointer user_data);
};

struct store_cache *store_cache_new(struct store *store, const char *prefix, const struct store_cache_funcs *funcs,
				    gpointer user_data);
void store_cache_free(struct store_cache *cache);

const struct store_kv *store_cache_get(const struct store_cache *cache, const char *key); /* borrowed, or NULL */
gint64 store_cache_revision(const struct store_cache *cache);                             /* 0 until ready */
/* Keys that start with `prefix`, in order; stop by returning FALSE. The cache must not be freed inside. */
void store_cache_foreach(const struct store_cache *cache, const char *prefix,
			 gboolean (*func)(const struct store_kv *kv, gpointer user_data), gpointer user_data);
