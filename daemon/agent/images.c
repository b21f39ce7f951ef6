#include "daemon/agent/images.h"

#include <string.h>

#include "daemon/agent/plans.h"
#include "daemon/storage/image.h"
#include "daemon/store/cache.h"

#define IMAGE_PREFIX  "/image/"
#define STATUS_PREFIX "/image-status/"

struct entry {
	char *name;
	struct image image;
	struct image_status status;
	guint64 building; /* image.build when the running build began, + 1; 0: none runs */
};

struct images {
	struct store *store;
	struct writer *writer;
	struct image_builder *builder;
	struct store_cache *wanted, *earlier;
	gboolean wanted_ready, earlier_ready;
	GHashTable *entries; /* name (owned by the entry) → struct entry */
	GHashTable *orphans; /* set of names removed while they were built: what the build makes is to go */
	GHashTable *news;    /* set of names to report as changed */
	GSource *telling;
	struct writer_source source;
	struct image_status unknown;
	void (*changed)(const char *name, gpointer user_data);
	gpointer user_data;
};

static void entry_free(gpointer data)
{
	struct entry *entry = data;

	noun_clear(&image_noun, &entry->image);
	noun_clear(&image_status_noun, &entry->status);
	g_free(entry->name);
	g_free(entry);
}

/* ---- Telling: the store and the VMs that wait ---- */

static gboolean tell(gpointer user_data)
{
	struct images *images = user_data;
	g_autoptr(GHashTable) news = g_steal_pointer(&images->news);
	GHashTableIter iter;
	gpointer name;

	g_clear_pointer(&images->telling, g_source_unref);
	g_hash_table_iter_init(&iter, news);
	while (g_hash_table_iter_next(&iter, &name, NULL))
		images->changed(name, images->user_data);
	return G_SOURCE_REMOVE;
}

static void touch(struct images *images, const char *name)
{
	g_autofree char *key = g_strconcat(STATUS_PREFIX, name, NULL);

	writer_touch(images->writer, &images->source, key);
	if (!images->news)
		images->news = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_hash_table_add(images->news, g_strdup(name));
	if (images->telling)
		return;
	images->telling = g_idle_source_new();
	g_source_set_priority(images->telling, G_PRIORITY_DEFAULT);
	g_source_set_callback(images->telling, tell, images, NULL);
	g_source_attach(images->telling, g_main_context_get_thread_default());
}

static GBytes *status_value(const char *key, gpointer user_data)
{
	struct images *images = user_data;
	struct entry *entry = g_hash_table_lookup(images->entries, key + strlen(STATUS_PREFIX));
	char *json = entry ? noun_to_json(&image_status_noun, &entry->status) : NULL;

	return json ? g_bytes_new_take(json, strlen(json)) : NULL;
}

/* ---- Building ---- */

static void begin_build(struct images *images, struct entry *entry)
{
	if (entry->building)
		return;
	entry->building = entry->image.build + 1;
	/* A build of a removed image of the same name goes first: on_progress() then comes here again. */
	entry->status.state = IMAGE_STATE_BUILDING;
	entry->status.progress_percent = 0;
	g_clear_pointer(&entry->status.reason, g_free);
	touch(images, entry->name);
	if (!g_hash_table_contains(images->orphans, entry->name))
		image_builder_build(images->builder, &entry->image);
}

static void remove_files(struct images *images, const char *name)
{
	g_autoptr(GError) error = NULL;

	if (!image_builder_remove(images->builder, name, &error))
		g_warning("remove image %s: %s", name, error->message);
}

/* The build of an image that was removed meanwhile is over. */
static void orphan_ended(struct images *images, const char *name)
{
	struct entry *entry = g_hash_table_lookup(images->entries, name);

	g_hash_table_remove(images->orphans, name);
	remove_files(images, name);
	if (entry && entry->building)
		image_builder_build(images->builder, &entry->image);
}

static void on_progress(const char *name, const struct image_status *status, gpointer user_data)
{
	struct images *images = user_data;
	struct entry *entry = g_hash_table_lookup(images->entries, name);
	gboolean over = status->state == IMAGE_STATE_READY || status->state == IMAGE_STATE_FAILED;
	guint64 build;

	if (g_hash_table_contains(images->orphans, name)) {
		if (over)
			orphan_ended(images, name);
		return;
	}
	if (!entry)
		return;
	build = over && entry->building ? entry->building - 1 : entry->status.build;
	noun_clear(&image_status_noun, &entry->status);
	noun_copy(&image_status_noun, status, &entry->status);
	entry->status.build = build;
	if (over) {
		entry->building = 0;
		g_message("image %s: %s", name,
			  status->state == IMAGE_STATE_READY ? "ready"
			  : status->reason                   ? status->reason
							     : "failed");
	}
	touch(images, name);
	if (over && entry->image.build > build) /* asked for again while this one ran */
		begin_build(images, entry);
}

/* ---- What is wanted ---- */

static gboolean read_earlier(struct images *images, const char *name, struct image_status *status)
{
	g_autofree char *key = g_strconcat(STATUS_PREFIX, name, NULL);
	const struct store_kv *kv = store_cache_get(images->earlier, key);
	gsize bytes = 0;
	const char *json = kv ? g_bytes_get_data(kv->value, &bytes) : NULL;

	return json && noun_from_json(&image_status_noun, status, json, bytes, NOUN_FROM_STORE, NULL);
}

/* The cache on disk says what is there; the earlier status adds which build that was, or why the last one failed. */
static void look_anew(struct images *images, struct entry *entry)
{
	struct image_status earlier;

	noun_clear(&image_status_noun, &entry->status);
	if (g_hash_table_contains(images->orphans, entry->name)) { /* what is being built is another's */
		noun_init(&image_status_noun, &entry->status);
		entry->status.state = IMAGE_STATE_ABSENT;
		return;
	}
	image_builder_find(images->builder, &entry->image, &entry->status);
	if (!read_earlier(images, entry->name, &earlier))
		return;
	entry->status.build = earlier.build;
	if (entry->status.state == IMAGE_STATE_ABSENT && earlier.state == IMAGE_STATE_FAILED) {
		entry->status.state = IMAGE_STATE_FAILED;
		g_free(entry->status.reason);
		entry->status.reason = g_strdup(earlier.reason);
	}
	noun_clear(&image_status_noun, &earlier);
}

static void image_wanted(struct images *images, const char *name, const struct store_kv *kv)
{
	struct entry *entry = g_hash_table_lookup(images->entries, name);
	g_autoptr(GError) error = NULL;
	struct image image;
	gsize bytes;
	const char *json = g_bytes_get_data(kv->value, &bytes);
	gboolean is_new = !entry;

	if (!noun_from_json(&image_noun, &image, json ? json : "", bytes, NOUN_FROM_STORE, &error) ||
	    g_strcmp0(image.name, name) != 0) {
		g_warning("image %s is ignored: %s", name, error ? error->message : "it has another name inside");
		if (!error)
			noun_clear(&image_noun, &image);
		return;
	}
	if (is_new) {
		entry = g_new0(struct entry, 1);
		entry->name = g_strdup(name);
		g_hash_table_insert(images->entries, entry->name, entry);
	}
	noun_clear(&image_noun, &entry->image);
	entry->image = image;
	if (is_new) {
		look_anew(images, entry);
		touch(images, name);
	}
	if (image.build > entry->status.build)
		begin_build(images, entry);
}

static void image_gone(struct images *images, const char *name)
{
	struct entry *entry = g_hash_table_lookup(images->entries, name);

	if (entry && entry->building)
		g_hash_table_add(images->orphans, g_strdup(name));
	g_hash_table_remove(images->entries, name);
	if (!g_hash_table_contains(images->orphans, name))
		remove_files(images, name);
	touch(images, name);
}

static void wanted_changed(const struct store_kv *before, const struct store_kv *now, gint64 revision,
			   gpointer user_data)
{
	struct images *images = user_data;
	g_autofree char *name = name_of_key(now ? now->key : before->key, IMAGE_PREFIX);

	if (!images->earlier_ready || !name)
		return;
	if (now)
		image_wanted(images, name, now);
	else
		image_gone(images, name);
}

static gboolean take_wanted(const struct store_kv *kv, gpointer user_data)
{
	g_autofree char *name = name_of_key(kv->key, IMAGE_PREFIX);

	if (name)
		image_wanted(user_data, name, kv);
	return TRUE;
}

/* Observed once and wanted no more: deleted while no agent ran. */
static gboolean drop_unwanted(const struct store_kv *kv, gpointer user_data)
{
	struct images *images = user_data;
	g_autofree char *name = name_of_key(kv->key, STATUS_PREFIX);

	if (name && !g_hash_table_contains(images->entries, name))
		image_gone(images, name);
	return TRUE;
}

static gboolean is_ready(const struct images *images)
{
	return images->wanted_ready && images->earlier_ready;
}

static void begin(struct images *images)
{
	if (!is_ready(images))
		return;
	store_cache_foreach(images->wanted, IMAGE_PREFIX, take_wanted, images);
	store_cache_foreach(images->earlier, STATUS_PREFIX, drop_unwanted, images);
}

static void wanted_ready(gpointer user_data)
{
	struct images *images = user_data;

	images->wanted_ready = TRUE;
	begin(images);
}

static void earlier_ready(gpointer user_data)
{
	struct images *images = user_data;

	images->earlier_ready = TRUE;
	begin(images);
}

static void earlier_changed(const struct store_kv *before, const struct store_kv *now, gint64 revision,
			    gpointer user_data)
{
}

static void cache_lost(const GError *error, gpointer user_data)
{
	g_debug("images: %s", error->message); /* the agent ends for the same reason */
}

const struct image_status *images_look(struct images *images, const char *name, gboolean want)
{
	struct entry *entry;

	if (!is_ready(images))
		return NULL;
	entry = g_hash_table_lookup(images->entries, name);
	if (!entry)
		return &images->unknown;
	if (want && entry->status.state == IMAGE_STATE_READY) {
		struct image_status now;

		image_builder_find(images->builder, &entry->image, &now);
		if (now.state != IMAGE_STATE_READY)
			entry->status.state = IMAGE_STATE_ABSENT; /* somebody emptied the cache */
		noun_clear(&image_status_noun, &now);
	}
	if (want && (entry->status.state == IMAGE_STATE_ABSENT || entry->status.state == IMAGE_STATE_FAILED))
		begin_build(images, entry);
	return &entry->status;
}

static const struct store_cache_funcs wanted_funcs = {
	.ready = wanted_ready,
	.changed = wanted_changed,
	.lost = cache_lost,
};

static const struct store_cache_funcs earlier_funcs = {
	.ready = earlier_ready,
	.changed = earlier_changed,
	.lost = cache_lost,
};

struct images *images_new(struct store *store, struct writer *writer, const struct dirs *dirs,
			  void (*changed)(const char *name, gpointer user_data), gpointer user_data)
{
	struct images *images = g_new0(struct images, 1);

	images->store = store_ref(store);
	images->writer = writer;
	images->changed = changed;
	images->user_data = user_data;
	images->source = (struct writer_source) { .value = status_value, .user_data = images };
	images->orphans = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	images->entries = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, entry_free);
	noun_init(&image_status_noun, &images->unknown);
	images->unknown.state = IMAGE_STATE_FAILED;
	g_free(images->unknown.reason);
	images->unknown.reason = g_strdup("there is no such image: see polder image ls");
	images->builder = image_builder_new(dirs, on_progress, images);
	images->wanted = store_cache_new(store, IMAGE_PREFIX, &wanted_funcs, images);
	images->earlier = store_cache_new(store, STATUS_PREFIX, &earlier_funcs, images);
	return images;
}

void images_free(struct images *images)
{
	if (!images)
		return;
	store_cache_free(images->wanted);
	store_cache_free(images->earlier);
	if (images->telling) {
		g_source_destroy(images->telling);
		g_source_unref(images->telling);
	}
	g_clear_pointer(&images->news, g_hash_table_unref);
	image_builder_free(images->builder);
	g_hash_table_unref(images->entries);
	g_hash_table_unref(images->orphans);
	noun_clear(&image_status_noun, &images->unknown);
	store_unref(images->store);
	g_free(images);
}
