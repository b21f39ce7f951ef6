/* The writer thread: takes everything queued, runs it in one SQLite transaction, pays one fsync for all of it.
 *
 * When SQLite fails inside a batch of several jobs, nothing of the batch has happened; each job is then run in a
 * transaction of its own, so that one that does not fit the disk does not take its neighbours along. When the commit
 * itself fails (other than for want of space, which leaves no commit record), nobody can say what a later start would
 * find: its writes end with UNKNOWN_OUTCOME, and the store refuses everything until it is opened again. */
#include "daemon/store/sqlite.h"

#include "daemon/model/error.h"
#include "daemon/model/limits.h"

#define BATCH_JOBS  1024u
#define BATCH_BYTES (8u << 20)

struct sqlite_job *sqlite_job_new(enum sqlite_job_kind kind)
{
	struct sqlite_job *job = g_new0(struct sqlite_job, 1);

	job->kind = kind;
	job->link.data = job;
	return job;
}

void sqlite_job_reset_answer(struct sqlite_job *job)
{
	g_clear_error(&job->error);
	g_clear_pointer(&job->result, store_txn_result_free);
	g_clear_pointer(&job->range, store_range_free);
	g_clear_pointer(&job->events, g_array_unref);
}

void sqlite_job_free(struct sqlite_job *job)
{
	g_assert(job->request.task == NULL && job->watch == NULL);
	sqlite_job_reset_answer(job);
	store_txn_free(job->txn);
	store_span_clear(&job->span);
	g_free(job);
}

gboolean sqlite_job_writes(const struct sqlite_job *job)
{
	switch (job->kind) {
	case SQLITE_JOB_TXN:
		return store_txn_writes(job->txn);
	case SQLITE_JOB_RANGE:
	case SQLITE_JOB_HISTORY:
		return FALSE;
	case SQLITE_JOB_GRANT:
	case SQLITE_JOB_REVOKE:
		return TRUE;
	}
	g_assert_not_reached();
}

void sqlite_batch_free(struct sqlite_batch *batch)
{
	g_ptr_array_unref(batch->jobs);
	g_array_unref(batch->events);
	g_free(batch);
}

static void fail_jobs(struct sqlite_job **jobs, guint n_jobs, const GError *write_error, const GError *read_error)
{
	for (guint i = 0; i < n_jobs; i++) {
		sqlite_job_reset_answer(jobs[i]);
		jobs[i]->error = g_error_copy(sqlite_job_writes(jobs[i]) ? write_error : read_error);
	}
}

static void mark_broken(struct sqlite_table *table, const GError *error)
{
	g_clear_error(&table->broken);
	table->broken = g_error_new(
		POLDER_ERROR, error->code == POLDER_ERROR_CORRUPT ? POLDER_ERROR_CORRUPT : POLDER_ERROR_UNAVAILABLE,
		"%s; the store is closed until the daemon is started again", error->message);
	g_critical("%s", table->broken->message);
}

static void roll_back(struct sqlite_table *table, gint64 revision)
{
	g_autoptr(GError) error = NULL;

	/* SQLite rolls back by itself on some errors. */
	if (!sqlite3_get_autocommit(table->db) && !sqlite_table_run(table, SQLITE_STMT_ROLLBACK, &error))
		mark_broken(table, error);
	table->revision = revision;
}

static gboolean commit(struct sqlite_table *table, struct sqlite_job **jobs, guint n_jobs, GError **error)
{
	g_autoptr(GError) failure = NULL;
	g_autoptr(GError) unknown = NULL;

	if (sqlite_table_run(table, SQLITE_STMT_COMMIT, &failure))
		return TRUE;
	if (g_error_matches(failure, POLDER_ERROR, POLDER_ERROR_STORAGE_FULL)) {
		g_propagate_error(error, g_steal_pointer(&failure));
		return FALSE;
	}
	unknown = g_error_new(POLDER_ERROR, POLDER_ERROR_UNKNOWN_OUTCOME,
			      "%s; the write may have been done: read before writing again", failure->message);
	mark_broken(table, failure);
	fail_jobs(jobs, n_jobs, unknown, table->broken);
	return TRUE;
}

/* FALSE: nothing was done and the jobs hold no answers. TRUE: every job has its answer. */
static gboolean attempt(struct sqlite_table *table, struct sqlite_job **jobs, guint n_jobs, GArray *events,
			GError **error)
{
	gint64 revision = table->revision;
	guint events_before = events->len;
	gboolean writes = FALSE, ok;

	for (guint i = 0; i < n_jobs; i++)
		writes = writes || sqlite_job_writes(jobs[i]);
	ok = sqlite_table_run(table, writes ? SQLITE_STMT_BEGIN : SQLITE_STMT_BEGIN_READ, error);
	for (guint i = 0; i < n_jobs && ok; i++)
		ok = sqlite_apply(table, jobs[i], events, error);
	ok = ok && commit(table, jobs, n_jobs, error);
	if (ok && table->broken == NULL)
		return TRUE;
	g_array_set_size(events, events_before);
	roll_back(table, revision);
	if (!ok) {
		for (guint i = 0; i < n_jobs; i++)
			sqlite_job_reset_answer(jobs[i]);
	}
	return ok;
}

static void run_jobs(struct sqlite_table *table, struct sqlite_job **jobs, guint n_jobs, GArray *events)
{
	g_autoptr(GError) error = NULL;

	if (table->broken != NULL) {
		fail_jobs(jobs, n_jobs, table->broken, table->broken);
		return;
	}
	if (attempt(table, jobs, n_jobs, events, &error))
		return;
	if (n_jobs > 1) {
		for (guint i = 0; i < n_jobs; i++)
			run_jobs(table, &jobs[i], 1, events);
		return;
	}
	if (error->code == POLDER_ERROR_CORRUPT && table->broken == NULL)
		mark_broken(table, error);
	fail_jobs(jobs, n_jobs, error, error);
}

static void take_jobs(struct sqlite_store *store, GPtrArray *jobs)
{
	gsize bytes = 0;

	while (!g_queue_is_empty(&store->queue) && jobs->len < BATCH_JOBS && bytes < BATCH_BYTES) {
		struct sqlite_job *job = g_queue_pop_head_link(&store->queue)->data;

		job->taken = TRUE;
		bytes += job->txn != NULL ? store_txn_bytes(job->txn) : 0;
		g_ptr_array_add(jobs, job);
	}
}

gpointer sqlite_writer(gpointer user_data)
{
	struct sqlite_store *store = user_data;

	g_mutex_lock(&store->lock);
	for (;;) {
		struct sqlite_batch *batch;

		while (g_queue_is_empty(&store->queue) && !store->stop)
			g_cond_wait(&store->wake, &store->lock);
		if (store->stop)
			break;
		batch = g_new(struct sqlite_batch, 1);
		batch->jobs = g_ptr_array_new();
		batch->events = store_events_new();
		take_jobs(store, batch->jobs);
		g_mutex_unlock(&store->lock);

		run_jobs(&store->table, (struct sqlite_job **)batch->jobs->pdata, batch->jobs->len, batch->events);
		batch->revision = store->table.revision;

		g_mutex_lock(&store->lock);
		g_queue_push_tail(&store->delivered, batch);
		g_source_set_ready_time(store->delivery, 0);
		if (store->table.broken != NULL)
			continue;
		g_mutex_unlock(&store->lock);
		sqlite_compact(&store->table); /* after the answers are on their way */
		g_mutex_lock(&store->lock);
	}
	g_mutex_unlock(&store->lock);
	return NULL;
}
