#include "daemon/api/server.h"

#include <string.h>

struct look {
	const struct store_cache *cache;
	gint64 since;
	gboolean missing; /* an image without a report */
	gboolean host;
};

static gboolean host_reported(const struct store_kv *kv, gpointer user_data)
{
	struct look *look = user_data;

	look->host = kv->mod_revision > look->since;
	return !look->host;
}

static gboolean image_reported(const struct store_kv *kv, gpointer user_data)
{
	struct look *look = user_data;
	g_autofree char *key = g_strconcat("/image-status/", kv->key + strlen("/image/"), NULL);
	const struct store_kv *status = store_cache_get(look->cache, key);
	struct image image;

	if (status && status->mod_revision > look->since)
		return TRUE;
	if (!api_parse(&image_noun, kv, &image, NULL))
		return TRUE; /* nor does the agent know what to look for */
	noun_clear(&image_noun, &image);
	look->missing = TRUE;
	return FALSE;
}

gboolean api_agent_reported(const struct store_cache *cache, gint64 since)
{
	struct look look = { .cache = cache, .since = since };

	if (store_cache_revision(cache) < since)
		return FALSE;
	store_cache_foreach(cache, "/host/", host_reported, &look);
	if (look.host)
		store_cache_foreach(cache, "/image/", image_reported, &look);
	return look.host && !look.missing;
}
