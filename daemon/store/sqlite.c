/* The embedded store, seen from the main context: requests in, answers and events out. See sqlite.h for the whole. */
#include "daemon/store/sqlite.h"

#include "daemon/model/error.h"
#include "daemon/model/limits.h"

void sqlite_submit(struct sqlite_store *store, struct sqlite_job *job)
{
	g_mutex_lock(&store->lock);
	g_queue_push_tail_link(&store->queue, &job->link);
	g_cond_signal(&store->wake);
	g_mutex_unlock(&store->lock);
}

static gboolean withdraw(struct store *base, struct store_request *request)
{
	struct sqlite_store *store = (struct sqlite_store *)base;
	struct sqlite_job *job = (struct sqlite_job *)request;
	gboolean taken;

	g_mutex_lock(&store->lock);
	taken = job->taken;
	if (!taken)
		g_queue_unlink(&store->queue, &job->link);
	g_mutex_unlock(&store->lock);
	if (!taken)
		sqlite_job_free(job);
	return !taken;
}

static void answer(struct sqlite_job *job)
{
	g_autoptr(GTask) task = store_request_end(&job->request);

	if (task == NULL)
		return;
	if (job->error != NULL)
		g_task_return_error(task, g_steal_pointer(&job->error));
	else if (job->kind == SQLITE_JOB_TXN)
		g_task_return_pointer(task, g_steal_pointer(&job->result), (GDestroyNotify)store_txn_result_free);
	else if (job->kind == SQLITE_JOB_RANGE)
		g_task_return_pointer(task, g_steal_pointer(&job->range), (GDestroyNotify)store_range_free);
	else
		g_task_return_int(task, job->lease);
}

/* Watches first: whoever hears that a write is done has its event behind him. */
static void deliver(struct sqlite_store *store, struct sqlite_batch *batch)
{
	store->revision = batch->revision;
	sqlite_watches_deliver(store, batch);
	for (guint i = 0; i < batch->jobs->len; i++) {
		struct sqlite_job *job = batch->jobs->pdata[i];

		if (job->kind == SQLITE_JOB_HISTORY)
			sqlite_watch_history_done(store, job);
		else if (job->kind == SQLITE_JOB_GRANT || job->kind == SQLITE_JOB_REVOKE)
			sqlite_lease_done(store, job);
		answer(job);
		sqlite_job_free(job);
	}
}

/* A GTask made in this very iteration would answer from an idle source of its own, behind later ones: such a batch
 * waits for the next iteration. */
static gboolean is_early(const struct sqlite_batch *batch, gint64 iteration_us)
{
	for (guint i = batch->jobs->len; i > 0; i--) {
		const struct sqlite_job *job = batch->jobs->pdata[i - 1];

		if (job->request.task != NULL)
			return job->request.created_us >= iteration_us;
	}
	return FALSE;
}

static gboolean on_delivery(gpointer user_data)
{
	struct sqlite_store *store = user_data;

	store_ref(&store->base);
	g_source_set_ready_time(store->delivery, -1);
	for (;;) {
		struct sqlite_batch *batch;

		g_mutex_lock(&store->lock);
		batch = g_queue_peek_head(&store->delivered);
		if (batch != NULL && is_early(batch, g_source_get_time(store->delivery))) {
			g_source_set_ready_time(store->delivery, 0);
			batch = NULL;
		} else if (batch != NULL) {
			g_queue_pop_head(&store->delivered);
		}
		g_mutex_unlock(&store->lock);
		if (batch == NULL)
			break;
		deliver(store, batch);
		sqlite_batch_free(batch);
	}
	store_unref(&store->base);
	return G_SOURCE_CONTINUE;
}

static gboolean delivery_dispatch(GSource *source, GSourceFunc callback, gpointer user_data)
{
	return callback(user_data);
}

static GSourceFuncs delivery_funcs = { .dispatch = delivery_dispatch };

static void sqlite_txn(struct store *base, struct store_txn *txn, GTask *task)
{
	struct sqlite_store *store = (struct sqlite_store *)base;
	struct sqlite_job *job = sqlite_job_new(SQLITE_JOB_TXN);

	job->txn = txn;
	if (store_request_begin(&store->requests, &job->request, task, store_txn_writes(txn)))
		sqlite_submit(store, job);
	else
		sqlite_job_free(job);
}

static void sqlite_range(struct store *base, struct store_span *span, gint64 revision, guint limit, GTask *task)
{
	struct sqlite_store *store = (struct sqlite_store *)base;
	struct sqlite_job *job = sqlite_job_new(SQLITE_JOB_RANGE);

	job->span = *span;
	job->revision = revision;
	job->limit = limit;
	if (store_request_begin(&store->requests, &job->request, task, FALSE))
		sqlite_submit(store, job);
	else
		sqlite_job_free(job);
}

static void free_jobs_left(struct sqlite_store *store)
{
	struct sqlite_batch *batch;
	GList *link;

	while ((link = g_queue_pop_head_link(&store->queue)) != NULL) {
		struct sqlite_job *job = link->data;

		if (job->watch != NULL)
			store_watch_unref(&g_steal_pointer(&job->watch)->base);
		sqlite_job_free(job);
	}
	while ((batch = g_queue_pop_head(&store->delivered)) != NULL) {
		for (guint i = 0; i < batch->jobs->len; i++) {
			struct sqlite_job *job = batch->jobs->pdata[i];

			if (job->watch != NULL)
				store_watch_unref(&g_steal_pointer(&job->watch)->base);
			sqlite_job_free(job);
		}
		sqlite_batch_free(batch);
	}
}

static void sqlite_close(struct store *base)
{
	struct sqlite_store *store = (struct sqlite_store *)base;

	g_mutex_lock(&store->lock);
	store->stop = TRUE;
	g_cond_signal(&store->wake);
	g_mutex_unlock(&store->lock);
	if (store->thread != NULL)
		g_thread_join(store->thread);
	sqlite_table_close(&store->table);

	store_requests_end_all(&store->requests, "the store was closed");
	free_jobs_left(store);
	sqlite_watches_clear(store);
	sqlite_leases_clear(store);
	store_requests_clear(&store->requests);
	g_source_destroy(store->delivery);
	g_source_unref(store->delivery);
	g_mutex_clear(&store->lock);
	g_cond_clear(&store->wake);
	g_free(store);
}

static const struct store_backend sqlite_backend = {
	.name = "sqlite",
	.close = sqlite_close,
	.txn = sqlite_txn,
	.range = sqlite_range,
	.watch = sqlite_watch_new,
	.unwatch = sqlite_watch_stop,
	.lease = sqlite_lease_request,
};

struct store *sqlite_open_synchronous(const char *path, const char *vfs, const char *synchronous, GError **error)
{
	struct sqlite_store *store;
	struct sqlite_table table;

	if (!sqlite_table_open(&table, path, vfs, synchronous, error))
		return NULL;
	store = g_new0(struct sqlite_store, 1);
	store->base = (struct store) { &sqlite_backend, 1 };
	store->table = table;
	store->revision = table.revision;
	g_mutex_init(&store->lock);
	g_cond_init(&store->wake);
	g_queue_init(&store->queue);
	g_queue_init(&store->delivered);
	store_requests_init(&store->requests, &store->base, withdraw);
	store->delivery = g_source_new(&delivery_funcs, sizeof(GSource));
	g_source_set_callback(store->delivery, on_delivery, store, NULL);
	g_source_attach(store->delivery, store->requests.context);
	sqlite_watches_init(store);
	sqlite_leases_init(store);
	store->thread = g_thread_try_new("store", sqlite_writer, store, error);
	if (store->thread == NULL) {
		g_prefix_error(error, "start the writer of store %s: ", path);
		store_unref(&store->base);
		return NULL;
	}
	return &store->base;
}

struct store *store_sqlite_open(const char *path, const char *vfs, GError **error)
{
	return sqlite_open_synchronous(path, vfs, "FULL", error);
}
