#include "daemon/storage/image.h"

#include <errno.h>
#include <unistd.h>

#include "daemon/model/error.h"
#include "daemon/model/field.h"
#include "daemon/storage/image_private.h"

#define PROGRESS_INTERVAL_MS 100

struct image_builder {
	struct image_cache cache;
	char *root;
	GHashTable *builds; /* name → struct build */
	image_progress_func progress;
	gpointer user_data;
};

struct image_builder *image_builder_new(const struct dirs *dirs, image_progress_func progress, gpointer user_data)
{
	struct image_builder *builder = g_new0(struct image_builder, 1);

	image_cache_init(&builder->cache, dirs->cache);
	builder->root = g_strdup(dirs->cache);
	builder->builds = g_hash_table_new(g_str_hash, g_str_equal);
	builder->progress = progress;
	builder->user_data = user_data;
	image_cache_sweep(&builder->cache);
	return builder;
}

static void build_free(struct build *build)
{
	if (build->directory && !image_tree_remove(build->directory))
		g_warning("remove %s: %s", build->directory, g_strerror(errno));
	noun_clear(&image_noun, &build->image);
	noun_clear(&image_status_noun, &build->status);
	image_cache_clear(&build->cache);
	g_clear_object(&build->lines);
	g_clear_object(&build->process);
	g_clear_pointer(&build->complaint, g_byte_array_unref);
	g_object_unref(build->cancellable);
	g_mutex_clear(&build->lock);
	g_cond_clear(&build->idle);
	g_free(build->directory);
	g_free(build);
}

/* Nobody may be told any more, its processes end, and its files go. */
static void build_abandon(struct build *build)
{
	build->builder = NULL;
	g_cancellable_cancel(build->cancellable);
	g_clear_handle_id(&build->ticker, g_source_remove);
	image_tiny_kill(build);
	g_mutex_lock(&build->lock);
	while (build->working)
		g_cond_wait(&build->idle, &build->lock);
	g_mutex_unlock(&build->lock);
	if (build->directory)
		image_tree_remove(build->directory);
}

void image_builder_free(struct image_builder *builder)
{
	GHashTableIter iter;
	struct build *build;

	if (!builder)
		return;
	g_hash_table_iter_init(&iter, builder->builds);
	while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&build))
		build_abandon(build); /* its pending operations end in the main loop and free it */
	g_hash_table_unref(builder->builds);
	image_cache_clear(&builder->cache);
	g_free(builder->root);
	g_free(builder);
}

void image_builder_find(struct image_builder *builder, const struct image *image, struct image_status *status)
{
	struct build *build = g_hash_table_lookup(builder->builds, image->name);

	if (build) {
		noun_copy(&image_status_noun, &build->status, status);
		return;
	}
	noun_init(&image_status_noun, status);
	if (!image_cache_find(&builder->cache, image->name, status)) {
		noun_clear(&image_status_noun, status);
		noun_init(&image_status_noun, status);
		status->state = IMAGE_STATE_ABSENT;
	}
}

/* ---- One build ---- */

static void build_report(struct build *build)
{
	if (build->builder)
		build->builder->progress(build->image.name, &build->status, build->builder->user_data);
}

void build_step(struct build *build, guint percent, const char *step)
{
	char *before = build->status.step; /* may be `step` itself */

	build->status.progress_percent = MIN(percent, 99);
	build->status.step = g_strdup(step);
	g_free(before);
	build_report(build);
}

void build_ended(struct build *build, const GError *error)
{
	struct image_builder *builder = build->builder;
	struct image_status status;

	g_clear_handle_id(&build->ticker, g_source_remove);
	if (builder)
		g_hash_table_remove(builder->builds, build->image.name);
	noun_init(&image_status_noun, &status);
	if (!error && !image_cache_find(&build->cache, build->image.name, &status))
		status.reason = g_strdup("the image was removed while it was built; next: build it again");
	if (error)
		status.reason = g_strdup(error->message);
	if (status.state != IMAGE_STATE_READY)
		status.state = IMAGE_STATE_FAILED;
	status.build = build->image.build;
	if (builder)
		builder->progress(build->image.name, &status, builder->user_data);
	noun_clear(&image_status_noun, &status);
	build_free(build);
}

static void work_thread(GTask *task, gpointer source, gpointer task_data, GCancellable *cancellable)
{
	struct build *build = task_data;
	build_work_func work = (build_work_func)g_object_get_data(G_OBJECT(task), "work");
	GError *error = NULL;
	gboolean done = work(build, &error);

	g_mutex_lock(&build->lock);
	build->working = FALSE;
	g_cond_signal(&build->idle);
	g_mutex_unlock(&build->lock);
	if (done)
		g_task_return_boolean(task, TRUE);
	else
		g_task_return_error(task, error);
}

static void work_done(GObject *source, GAsyncResult *result, gpointer user_data)
{
	g_autoptr(GError) error = NULL;

	g_task_propagate_boolean(G_TASK(result), &error);
	build_ended(user_data, error);
}

static gboolean tell_copied(gpointer user_data)
{
	struct build *build = user_data;
	guint percent = g_atomic_int_get(&build->copied_percent);

	if (percent > build->status.progress_percent)
		build_step(build, percent, build->status.step);
	return G_SOURCE_CONTINUE;
}

void build_work(struct build *build, build_work_func work)
{
	g_autoptr(GTask) task = g_task_new(NULL, NULL, work_done, build);

	build->working = TRUE;
	build->ticker = g_timeout_add(PROGRESS_INTERVAL_MS, tell_copied, build);
	g_task_set_task_data(task, build, NULL);
	g_object_set_data(G_OBJECT(task), "work", (gpointer)work);
	g_task_run_in_thread(task, work_thread);
}

static gboolean build_make_directory(struct build *build, GError **error)
{
	g_autofree char *name = g_strdup_printf("%s-XXXXXX", build->image.name);
	g_autofree char *directory = g_build_filename(build->cache.builds, name, NULL);

	if (!image_cache_prepare(&build->cache, error))
		return FALSE;
	if (!g_mkdtemp(directory)) {
		image_error(error, build->cache.builds, "make a directory in");
		return FALSE;
	}
	build->directory = g_steal_pointer(&directory);
	return TRUE;
}

/* In the main loop, not inside image_builder_build(): whoever asks is never called back before it returns. */
static gboolean build_start(gpointer user_data)
{
	struct build *build = user_data;
	g_autoptr(GError) error = NULL;

	if (!build->builder) {
		build_free(build);
		return G_SOURCE_REMOVE;
	}
	build_report(build);
	if (!build_make_directory(build, &error))
		build_ended(build, error);
	else if (build->image.source == IMAGE_SOURCE_FILES)
		image_files_start(build);
	else
		image_tiny_start(build);
	return G_SOURCE_REMOVE;
}

void image_builder_build(struct image_builder *builder, const struct image *image)
{
	struct build *build;

	if (g_hash_table_contains(builder->builds, image->name))
		return;
	build = g_new0(struct build, 1);
	build->builder = builder;
	noun_copy(&image_noun, image, &build->image);
	noun_init(&image_status_noun, &build->status);
	build->status.state = IMAGE_STATE_BUILDING;
	build->status.build = image->build;
	build->status.step = g_strdup("starting");
	image_cache_init(&build->cache, builder->root);
	build->cancellable = g_cancellable_new();
	build->complaint = g_byte_array_new();
	g_mutex_init(&build->lock);
	g_cond_init(&build->idle);
	g_hash_table_insert(builder->builds, build->image.name, build);
	g_idle_add(build_start, build);
}

gboolean image_builder_remove(struct image_builder *builder, const char *name, GError **error)
{
	g_autofree char *path = g_build_filename(builder->cache.images, name, NULL);

	if (g_hash_table_contains(builder->builds, name)) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_CONFLICT,
			    "image %s is being built; next: wait for the build", name);
		return FALSE;
	}
	if (image_tree_remove(path))
		return TRUE;
	image_error(error, path, "remove");
	return FALSE;
}
