/* Watches of the embedded store. One that starts in the past reads history page by page through the same queue as
 * everything else; when a page reaches the end of history it is live, with nothing between. */
#include "daemon/store/sqlite.h"

#include "daemon/model/error.h"

/* A watch that sees nothing of what happens still hears, this often, how far it has come. */
#define PROGRESS_US (100 * 1000)

static void history_submit(struct sqlite_store *store, struct sqlite_watch *watch)
{
	struct sqlite_job *job = sqlite_job_new(SQLITE_JOB_HISTORY);

	store_watch_ref(&watch->base);
	job->watch = watch;
	job->span = (struct store_span) { g_strdup(watch->base.span.start), g_strdup(watch->base.span.end) };
	job->revision = watch->next_revision;
	sqlite_submit(store, job);
}

static void progress_soon(struct sqlite_store *store, gint64 delay_us)
{
	gint64 when = g_get_monotonic_time() + delay_us;
	gint64 armed = g_source_get_ready_time(store->progress);

	if (armed < 0 || when < armed)
		g_source_set_ready_time(store->progress, when);
}

struct store_watch *sqlite_watch_new(struct store *base_store, const struct store_watch *base, gint64 start_revision)
{
	struct sqlite_store *store = (struct sqlite_store *)base_store;
	struct sqlite_watch *watch = g_new0(struct sqlite_watch, 1);

	watch->base = *base;
	watch->live = start_revision <= 0 || start_revision > store->revision;
	watch->next_revision = start_revision > 0 ? start_revision : store->revision + 1;
	g_ptr_array_add(store->watches, store_watch_ref(&watch->base));
	if (watch->live)
		progress_soon(store, 0);
	else
		history_submit(store, watch);
	return &watch->base;
}

void sqlite_watch_stop(struct store_watch *watch)
{
	struct sqlite_store *store = (struct sqlite_store *)watch->store;

	watch->store = NULL;
	g_ptr_array_remove(store->watches, watch);
}

void sqlite_watch_history_done(struct sqlite_store *store, struct sqlite_job *job)
{
	struct sqlite_watch *watch = g_steal_pointer(&job->watch);
	const struct store_event *events = job->events != NULL ? (const struct store_event *)job->events->data : NULL;

	if (job->error != NULL) {
		store_watch_call(&watch->base, NULL, 0, 0, job->error);
	} else if (!watch->base.dead) {
		watch->next_revision = job->read_revision + 1;
		watch->live = job->read_revision >= store->revision;
		watch->told_revision = job->read_revision;
		store_watch_call(&watch->base, events, job->events->len, job->read_revision, NULL);
		if (!watch->base.dead && !watch->live)
			history_submit(store, watch);
	}
	store_watch_unref(&watch->base);
}

static void deliver_to(struct sqlite_watch *watch, const struct sqlite_batch *batch)
{
	g_autoptr(GArray) seen = g_array_new(FALSE, FALSE, sizeof(struct store_event));

	for (guint i = 0; i < batch->events->len; i++) {
		const struct store_event *event = &g_array_index(batch->events, struct store_event, i);

		if (event->kv.mod_revision >= watch->next_revision &&
		    store_span_holds(&watch->base.span, event->kv.key))
			g_array_append_vals(seen, event, 1);
	}
	if (seen->len == 0)
		return;
	watch->next_revision = batch->revision + 1;
	watch->told_revision = batch->revision;
	store_watch_call(&watch->base, (const struct store_event *)seen->data, seen->len, batch->revision, NULL);
}

void sqlite_watches_deliver(struct sqlite_store *store, const struct sqlite_batch *batch)
{
	g_autoptr(GPtrArray) watches = NULL;

	if (batch->events->len == 0 || store->watches->len == 0)
		return;
	/* Callbacks may add and free watches. */
	watches = g_ptr_array_new_with_free_func((GDestroyNotify)store_watch_unref);
	for (guint i = 0; i < store->watches->len; i++)
		g_ptr_array_add(watches, store_watch_ref(store->watches->pdata[i]));
	for (guint i = 0; i < watches->len; i++) {
		struct sqlite_watch *watch = watches->pdata[i];

		if (watch->live && !watch->base.dead)
			deliver_to(watch, batch);
	}
	progress_soon(store, PROGRESS_US);
}

static gboolean on_progress(gpointer user_data)
{
	struct sqlite_store *store = user_data;
	g_autoptr(GPtrArray) watches = g_ptr_array_new_with_free_func((GDestroyNotify)store_watch_unref);

	store_ref(&store->base);
	g_source_set_ready_time(store->progress, -1);
	for (guint i = 0; i < store->watches->len; i++)
		g_ptr_array_add(watches, store_watch_ref(store->watches->pdata[i]));
	for (guint i = 0; i < watches->len; i++) {
		struct sqlite_watch *watch = watches->pdata[i];

		if (!watch->live || watch->base.dead || watch->told_revision >= store->revision)
			continue;
		watch->told_revision = store->revision;
		watch->next_revision = MAX(watch->next_revision, store->revision + 1);
		store_watch_call(&watch->base, NULL, 0, store->revision, NULL);
	}
	store_unref(&store->base);
	return G_SOURCE_CONTINUE;
}

static gboolean progress_dispatch(GSource *source, GSourceFunc callback, gpointer user_data)
{
	return callback(user_data);
}

static GSourceFuncs progress_funcs = { .dispatch = progress_dispatch };

void sqlite_watches_init(struct sqlite_store *store)
{
	store->watches = g_ptr_array_new_with_free_func((GDestroyNotify)store_watch_unref);
	store->progress = g_source_new(&progress_funcs, sizeof(GSource));
	g_source_set_callback(store->progress, on_progress, store, NULL);
	g_source_attach(store->progress, store->requests.context);
}

void sqlite_watches_clear(struct sqlite_store *store)
{
	for (guint i = 0; i < store->watches->len; i++)
		store_watch_close_later(store_watch_ref(store->watches->pdata[i]), store->requests.context,
					"the store was closed");
	g_ptr_array_unref(store->watches);
	g_source_destroy(store->progress);
	g_source_unref(store->progress);
}
