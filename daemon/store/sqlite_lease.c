/* Leases of the embedded store: ids and time to live are in the file, deadlines in memory only. A restart gives every
 * lease its full time again, so that keys of clients that are still there survive it. */
#include "daemon/store/sqlite.h"

#include "daemon/model/error.h"

#define RETRY_US (1000 * 1000)

static void timer_arm(struct sqlite_store *store, gint64 when_us)
{
	gint64 armed = g_source_get_ready_time(store->lease_timer);

	/* A lease kept alive leaves the timer where it is: it fires early once and is set anew. */
	if (armed < 0 || when_us < armed)
		g_source_set_ready_time(store->lease_timer, when_us);
}

static void lease_add(struct sqlite_store *store, gint64 id, gint64 ttl_ms)
{
	struct sqlite_lease *lease = g_new0(struct sqlite_lease, 1);

	lease->id = id;
	lease->ttl_ms = ttl_ms;
	lease->deadline_us = g_get_monotonic_time() + ttl_ms * 1000;
	g_hash_table_insert(store->leases, &lease->id, lease);
	timer_arm(store, lease->deadline_us);
}

static struct sqlite_job *revoke_job(gint64 id)
{
	struct sqlite_job *job = sqlite_job_new(SQLITE_JOB_REVOKE);

	job->lease = id;
	return job;
}

static gboolean on_lease_timer(gpointer user_data)
{
	struct sqlite_store *store = user_data;
	gint64 now_us = g_get_monotonic_time(), next_us = G_MAXINT64;
	struct sqlite_lease *lease;
	GHashTableIter iter;

	g_source_set_ready_time(store->lease_timer, -1);
	g_hash_table_iter_init(&iter, store->leases);
	while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&lease)) {
		if (lease->ending)
			continue;
		if (lease->deadline_us <= now_us) {
			lease->ending = TRUE;
			sqlite_submit(store, revoke_job(lease->id));
		} else {
			next_us = MIN(next_us, lease->deadline_us);
		}
	}
	if (next_us != G_MAXINT64)
		timer_arm(store, next_us);
	return G_SOURCE_CONTINUE;
}

static gboolean timer_dispatch(GSource *source, GSourceFunc callback, gpointer user_data)
{
	return callback(user_data);
}

static GSourceFuncs timer_funcs = { .dispatch = timer_dispatch };

void sqlite_leases_init(struct sqlite_store *store)
{
	sqlite3_stmt *stmt = store->table.stmts[SQLITE_STMT_LEASES];

	store->leases = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);
	store->lease_timer = g_source_new(&timer_funcs, sizeof(GSource));
	g_source_set_callback(store->lease_timer, on_lease_timer, store, NULL);
	g_source_attach(store->lease_timer, store->requests.context);
	while (sqlite3_step(stmt) == SQLITE_ROW)
		lease_add(store, sqlite3_column_int64(stmt, 0), sqlite3_column_int64(stmt, 1));
	sqlite3_reset(stmt);
}

void sqlite_leases_clear(struct sqlite_store *store)
{
	g_source_destroy(store->lease_timer);
	g_source_unref(store->lease_timer);
	g_hash_table_unref(store->leases);
}

static GError *no_lease(gint64 id)
{
	return g_error_new(POLDER_ERROR, POLDER_ERROR_NOT_FOUND,
			   "lease %" G_GINT64_FORMAT " does not exist: it has expired or was never granted", id);
}

static void keep_alive(struct sqlite_store *store, struct sqlite_lease *lease, gint64 id, GTask *task)
{
	if (lease == NULL || lease->ending) {
		g_task_return_error(task, no_lease(id));
	} else {
		lease->deadline_us = g_get_monotonic_time() + lease->ttl_ms * 1000;
		g_task_return_int(task, id);
	}
	g_object_unref(task);
}

void sqlite_lease_request(struct store *base, enum store_lease_op op, gint64 number, GTask *task)
{
	struct sqlite_store *store = (struct sqlite_store *)base;
	struct sqlite_lease *lease = g_hash_table_lookup(store->leases, &number);
	struct sqlite_job *job;

	if (op == STORE_LEASE_KEEP_ALIVE) {
		keep_alive(store, lease, number, task);
		return;
	}
	if (op == STORE_LEASE_REVOKE) {
		job = revoke_job(number);
	} else {
		job = sqlite_job_new(SQLITE_JOB_GRANT);
		job->ttl_ms = number;
	}
	if (store_request_begin(&store->requests, &job->request, task, TRUE))
		sqlite_submit(store, job);
	else
		sqlite_job_free(job);
}

void sqlite_lease_done(struct sqlite_store *store, struct sqlite_job *job)
{
	struct sqlite_lease *lease;

	if (job->kind == SQLITE_JOB_GRANT) {
		/* Also when nobody waits any more: it is in the file and must run out. */
		if (job->error == NULL)
			lease_add(store, job->lease, job->ttl_ms);
		return;
	}
	lease = g_hash_table_lookup(store->leases, &job->lease);
	if (lease == NULL)
		return;
	if (job->error == NULL || g_error_matches(job->error, POLDER_ERROR, POLDER_ERROR_NOT_FOUND)) {
		g_hash_table_remove(store->leases, &job->lease);
	} else if (lease->ending && job->request.task == NULL) {
		/* It ran out and could not be removed, say for a full disk. */
		lease->ending = FALSE;
		lease->deadline_us = g_get_monotonic_time() + RETRY_US;
		timer_arm(store, lease->deadline_us);
	}
}
