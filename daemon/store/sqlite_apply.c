/* One job inside the open SQLite transaction. A transaction is judged before it changes anything; the one refusal that
 * comes later (what it reads back is too large) rolls back to a savepoint. Deleted keys leave a row of version 0. */
#include "daemon/store/sqlite.h"

#include <string.h>

#include "daemon/model/error.h"
#include "daemon/model/limits.h"

#define HISTORY_PAGE_EVENTS    1000u
#define COMPACT_STEP_REVISIONS 500

struct change {
	struct sqlite_table *table;
	GArray *events;
	gint64 revision; /* the one this transaction makes, if it changes anything */
	gint64 rows;
};

static gboolean insert_row(struct change *change, const struct store_kv *kv, GError **error)
{
	sqlite3_stmt *stmt = change->table->stmts[SQLITE_STMT_INSERT];
	gsize size = 0;
	const void *data = kv->value != NULL ? g_bytes_get_data(kv->value, &size) : NULL;
	int rc;

	sqlite3_bind_int64(stmt, 1, SQLITE_ROW_ID(change->revision, change->rows));
	sqlite_bind_key(stmt, 2, kv->key);
	sqlite3_bind_int64(stmt, 3, kv->create_revision);
	sqlite3_bind_int64(stmt, 4, kv->version);
	sqlite3_bind_int64(stmt, 5, kv->lease);
	sqlite3_bind_blob64(stmt, 6, data != NULL ? data : "", size, SQLITE_STATIC);
	rc = sqlite3_step(stmt);
	if (!sqlite_table_done(change->table, SQLITE_STMT_INSERT, rc, error))
		return FALSE;
	change->rows++;
	return TRUE;
}

static gboolean put(struct change *change, const struct store_op *op, GError **error)
{
	struct store_event event = { 0 };
	struct sqlite_row row;

	if (!sqlite_table_latest(change->table, op->key, change->revision, FALSE, &row, error))
		return FALSE;
	event.kv = (struct store_kv) { .key = op->key,
				       .value = op->value,
				       .create_revision = row.version > 0 ? row.create_revision : change->revision,
				       .mod_revision = change->revision,
				       .version = row.version + 1,
				       .lease = op->lease };
	if (!insert_row(change, &event.kv, error))
		return FALSE;
	event.kv.key = g_strdup(op->key);
	event.kv.value = g_bytes_ref(op->value);
	g_array_append_val(change->events, event);
	return TRUE;
}

/* Takes over key. */
static gboolean delete_key(struct change *change, char *key, GError **error)
{
	struct store_event event = { .deleted = TRUE, .kv = { .key = key, .mod_revision = change->revision } };
	gboolean ok = insert_row(change, &event.kv, error);

	if (ok)
		g_array_append_val(change->events, event);
	else
		g_free(key);
	return ok;
}

/* Pages, so that what it deletes is never all in memory. Bounded by SQLITE_ROWS_MAX in apply_ops(). */
static gboolean delete_span(struct change *change, struct store_span *span, guint64 *deleted, GError **error)
{
	gboolean more = TRUE;

	while (more && change->rows < SQLITE_ROWS_MAX - LIMIT_STORE_PAGE_ENTRIES - LIMIT_STORE_TXN_OPS) {
		g_autoptr(GPtrArray) kvs = g_ptr_array_new_with_free_func((GDestroyNotify)store_kv_free);

		if (!sqlite_table_range(change->table, span, change->revision, LIMIT_STORE_PAGE_ENTRIES, kvs, &more,
					error))
			return FALSE;
		for (guint i = 0; i < kvs->len; i++) {
			struct store_kv *kv = kvs->pdata[i];

			if (!delete_key(change, g_strdup(kv->key), error))
				return FALSE;
		}
		*deleted += kvs->len;
		if (kvs->len > 0) {
			g_free(span->start);
			span->start = store_key_after(((struct store_kv *)kvs->pdata[kvs->len - 1])->key);
		}
	}
	return TRUE;
}

static gboolean compare_holds(struct sqlite_table *table, const struct store_compare *compare, gboolean *holds,
			      GError **error)
{
	gboolean by_value = compare->target == STORE_TARGET_VALUE;
	struct sqlite_row row;
	gint64 found = 0;

	if (!sqlite_table_latest(table, compare->key, table->revision, by_value, &row, error)) {
		g_clear_pointer(&row.value, g_bytes_unref);
		return FALSE;
	}
	switch (compare->target) {
	case STORE_TARGET_VERSION:
		found = row.version;
		break;
	case STORE_TARGET_CREATE:
		found = row.create_revision;
		break;
	case STORE_TARGET_MOD:
		found = SQLITE_ROW_REVISION(row.id);
		break;
	case STORE_TARGET_LEASE:
		found = row.lease;
		break;
	case STORE_TARGET_VALUE:
		*holds = row.value != NULL &&
			 store_relation_holds(compare->relation, g_bytes_compare(row.value, compare->value));
		g_clear_pointer(&row.value, g_bytes_unref);
		return TRUE;
	}
	*holds = store_relation_holds(compare->relation, (found > compare->number) - (found < compare->number));
	return TRUE;
}

static gboolean lease_exists(struct sqlite_table *table, gint64 lease, gboolean *exists, GError **error)
{
	sqlite3_stmt *stmt = table->stmts[SQLITE_STMT_LEASE_GET];
	int rc;

	sqlite3_bind_int64(stmt, 1, lease);
	rc = sqlite3_step(stmt);
	*exists = rc == SQLITE_ROW;
	return sqlite_table_done(table, SQLITE_STMT_LEASE_GET, rc, error);
}

static GError *lease_missing(gint64 lease)
{
	return g_error_new(POLDER_ERROR, POLDER_ERROR_NOT_FOUND,
			   "lease %" G_GINT64_FORMAT " does not exist: it has expired or was never granted", lease);
}

static gboolean leases_check(struct sqlite_table *table, const GArray *ops, GError **refusal, GError **error)
{
	for (guint i = 0; i < ops->len && *refusal == NULL; i++) {
		const struct store_op *op = &g_array_index(ops, struct store_op, i);
		gboolean exists = TRUE;

		if (op->kind == STORE_OP_PUT && op->lease != 0 && !lease_exists(table, op->lease, &exists, error))
			return FALSE;
		if (!exists)
			*refusal = lease_missing(op->lease);
	}
	return TRUE;
}

/* What one transaction's ranges have read so far, all together: its answer has to fit a frame. */
struct read_so_far {
	guint keys;
	gsize bytes;
};

static gboolean read_back(struct change *change, const struct store_span *span, struct store_txn_result *result,
			  struct read_so_far *so_far, GError **refusal, GError **error)
{
	GPtrArray *kvs = g_ptr_array_new_with_free_func((GDestroyNotify)store_kv_free);
	gboolean more;

	g_ptr_array_add(result->ranges, kvs);
	if (!sqlite_table_range(change->table, span, change->revision, LIMIT_STORE_PAGE_ENTRIES, kvs, &more, error))
		return FALSE;
	for (guint i = 0; i < kvs->len; i++) {
		struct store_kv *kv = kvs->pdata[i];

		so_far->bytes += strlen(kv->key) + g_bytes_get_size(kv->value);
	}
	so_far->keys += kvs->len;
	if (more || so_far->keys > LIMIT_STORE_PAGE_ENTRIES || so_far->bytes > LIMIT_STORE_REQUEST_BYTES)
		*refusal = g_error_new(
			POLDER_ERROR, POLDER_ERROR_TOO_LARGE,
			"transaction reads more than %u keys or %u bytes; nothing was done: read with ranges",
			LIMIT_STORE_PAGE_ENTRIES, LIMIT_STORE_REQUEST_BYTES);
	return TRUE;
}

static gboolean apply_ops(struct change *change, const GArray *ops, struct store_txn_result *result, GError **refusal,
			  GError **error)
{
	struct read_so_far so_far = { 0 };

	for (guint i = 0; i < ops->len && *refusal == NULL; i++) {
		const struct store_op *op = &g_array_index(ops, struct store_op, i);
		struct store_span span = { g_strdup(op->key),
					   op->range_end != NULL ? g_strdup(op->range_end) : store_key_after(op->key) };
		gboolean ok = FALSE;

		switch (op->kind) {
		case STORE_OP_PUT:
			ok = put(change, op, error);
			break;
		case STORE_OP_DELETE:
			ok = delete_span(change, &span, &result->deleted, error);
			break;
		case STORE_OP_RANGE:
			ok = read_back(change, &span, result, &so_far, refusal, error);
			break;
		}
		store_span_clear(&span);
		if (!ok)
			return FALSE;
	}
	return TRUE;
}

static gboolean has_range(const GArray *ops)
{
	for (guint i = 0; i < ops->len; i++) {
		if (g_array_index(ops, struct store_op, i).kind == STORE_OP_RANGE)
			return TRUE;
	}
	return FALSE;
}

static gboolean apply_txn(struct sqlite_table *table, struct sqlite_job *job, GArray *events, GError **error)
{
	struct change change = { table, events, table->revision + 1, 0 };
	struct store_txn_result *result = job->result = store_txn_result_new();
	guint events_before = events->len;
	gboolean savepoint;
	GArray *ops;

	result->succeeded = TRUE;
	for (guint i = 0; i < job->txn->compares->len && result->succeeded; i++) {
		if (!compare_holds(table, &g_array_index(job->txn->compares, struct store_compare, i),
				   &result->succeeded, error))
			return FALSE;
	}
	ops = job->txn->branches[result->succeeded ? STORE_THEN : STORE_ELSE];
	if (!leases_check(table, ops, &job->error, error))
		return FALSE;
	if (job->error != NULL)
		return TRUE;
	savepoint = has_range(ops) && store_txn_writes(job->txn);
	if (savepoint && !sqlite_table_run(table, SQLITE_STMT_SAVEPOINT, error))
		return FALSE;
	if (!apply_ops(&change, ops, result, &job->error, error))
		return FALSE;
	if (job->error != NULL && savepoint) {
		g_array_set_size(events, events_before);
		change.rows = 0;
		if (!sqlite_table_run(table, SQLITE_STMT_UNDO, error))
			return FALSE;
	}
	if (savepoint && !sqlite_table_run(table, SQLITE_STMT_RELEASE, error))
		return FALSE;
	if (change.rows > 0)
		table->revision = change.revision;
	result->revision = table->revision;
	return TRUE;
}

static gboolean apply_range(struct sqlite_table *table, struct sqlite_job *job, GError **error)
{
	gint64 revision = job->revision != 0 ? job->revision : table->revision;

	if (revision > table->revision) {
		job->error = g_error_new(POLDER_ERROR, POLDER_ERROR_INVALID,
					 "revision %" G_GINT64_FORMAT
					 " has not been reached, the store is at %" G_GINT64_FORMAT,
					 revision, table->revision);
		return TRUE;
	}
	if (revision < table->compacted) {
		job->error = g_error_new(POLDER_ERROR, POLDER_ERROR_COMPACTED,
					 "revision %" G_GINT64_FORMAT " is gone, the oldest kept is %" G_GINT64_FORMAT
					 ": read anew",
					 revision, table->compacted);
		return TRUE;
	}
	job->range = g_new0(struct store_range, 1);
	job->range->kvs = g_ptr_array_new_with_free_func((GDestroyNotify)store_kv_free);
	job->range->revision = revision;
	return sqlite_table_range(table, &job->span, revision, job->limit, job->range->kvs, &job->range->more, error);
}

static void append_history_event(sqlite3_stmt *stmt, GArray *events)
{
	const char *key = sqlite3_column_blob(stmt, 5);
	struct store_event event = { .deleted = sqlite3_column_int64(stmt, 2) == 0 };

	event.kv.key = g_strndup(key, (gsize)sqlite3_column_bytes(stmt, 5));
	event.kv.mod_revision = SQLITE_ROW_REVISION(sqlite3_column_int64(stmt, 0));
	if (!event.deleted) {
		const void *value = sqlite3_column_blob(stmt, 4);

		event.kv.value = g_bytes_new(value, (gsize)sqlite3_column_bytes(stmt, 4));
		event.kv.create_revision = sqlite3_column_int64(stmt, 1);
		event.kv.version = sqlite3_column_int64(stmt, 2);
		event.kv.lease = sqlite3_column_int64(stmt, 3);
	}
	g_array_append_val(events, event);
}

static gboolean apply_history(struct sqlite_table *table, struct sqlite_job *job, GError **error)
{
	sqlite3_stmt *stmt = table->stmts[SQLITE_STMT_HISTORY];
	gint64 last = 0;
	gsize bytes = 0;
	int rc;

	if (job->revision <= table->compacted) {
		job->error = g_error_new(POLDER_ERROR, POLDER_ERROR_COMPACTED,
					 "revision %" G_GINT64_FORMAT
					 " is gone, changes are kept from %" G_GINT64_FORMAT " on: read anew",
					 job->revision, table->compacted + 1);
		return TRUE;
	}
	job->events = store_events_new();
	job->read_revision = table->revision;
	sqlite3_bind_int64(stmt, 1, SQLITE_ROW_ID(job->revision, 0));
	sqlite_bind_key(stmt, 2, job->span.start);
	sqlite_bind_key(stmt, 3, job->span.end);
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		gint64 revision = SQLITE_ROW_REVISION(sqlite3_column_int64(stmt, 0));

		if (revision != last &&
		    (job->events->len >= HISTORY_PAGE_EVENTS || bytes > LIMIT_STORE_REQUEST_BYTES)) {
			job->read_revision = revision - 1;
			break;
		}
		last = revision;
		bytes += (gsize)sqlite3_column_bytes(stmt, 4) + (gsize)sqlite3_column_bytes(stmt, 5);
		append_history_event(stmt, job->events);
	}
	return sqlite_table_done(table, SQLITE_STMT_HISTORY, rc, error);
}

static gboolean apply_grant(struct sqlite_table *table, struct sqlite_job *job, GError **error)
{
	sqlite3_bind_int64(table->stmts[SQLITE_STMT_LEASE_ADD], 1, job->ttl_ms);
	if (!sqlite_table_run(table, SQLITE_STMT_LEASE_ADD, error))
		return FALSE;
	job->lease = sqlite3_last_insert_rowid(table->db);
	return TRUE;
}

static gboolean lease_keys(struct sqlite_table *table, gint64 lease, GPtrArray *keys, GError **error)
{
	sqlite3_stmt *stmt = table->stmts[SQLITE_STMT_LEASE_KEYS];
	int rc;

	sqlite3_bind_int64(stmt, 1, lease);
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		const void *key = sqlite3_column_blob(stmt, 0);

		g_ptr_array_add(keys, g_strndup(key, (gsize)sqlite3_column_bytes(stmt, 0)));
	}
	return sqlite_table_done(table, SQLITE_STMT_LEASE_KEYS, rc, error);
}

static gboolean apply_revoke(struct sqlite_table *table, struct sqlite_job *job, GArray *events, GError **error)
{
	struct change change = { table, events, table->revision + 1, 0 };
	g_autoptr(GPtrArray) keys = g_ptr_array_new_with_free_func(g_free);
	gboolean exists;

	if (!lease_exists(table, job->lease, &exists, error))
		return FALSE;
	if (!exists) {
		job->error = lease_missing(job->lease);
		return TRUE;
	}
	if (!lease_keys(table, job->lease, keys, error))
		return FALSE;
	for (guint i = 0; i < keys->len; i++) {
		struct sqlite_row row;

		/* The index finds every key that ever hung on this lease; only those that still do are deleted. */
		if (!sqlite_table_latest(table, keys->pdata[i], change.revision, FALSE, &row, error) ||
		    (row.lease == job->lease && !delete_key(&change, g_strdup(keys->pdata[i]), error)))
			return FALSE;
	}
	sqlite3_bind_int64(table->stmts[SQLITE_STMT_LEASE_DROP], 1, job->lease);
	if (!sqlite_table_run(table, SQLITE_STMT_LEASE_DROP, error))
		return FALSE;
	if (change.rows > 0)
		table->revision = change.revision;
	return TRUE;
}

gboolean sqlite_apply(struct sqlite_table *table, struct sqlite_job *job, GArray *events, GError **error)
{
	switch (job->kind) {
	case SQLITE_JOB_TXN:
		return apply_txn(table, job, events, error);
	case SQLITE_JOB_RANGE:
		return apply_range(table, job, error);
	case SQLITE_JOB_HISTORY:
		return apply_history(table, job, error);
	case SQLITE_JOB_GRANT:
		return apply_grant(table, job, error);
	case SQLITE_JOB_REVOKE:
		return apply_revoke(table, job, events, error);
	}
	g_assert_not_reached();
}

struct old_row {
	gint64 id;
	gboolean deleted;
	char *key;
};

static void old_row_clear(gpointer data)
{
	g_free(((struct old_row *)data)->key);
}

/* Every row up to `target` makes the rows before it of the same key unreadable; a deletion goes itself, too. */
static gboolean compact_to(struct sqlite_table *table, gint64 target, GError **error)
{
	sqlite3_stmt *scan = table->stmts[SQLITE_STMT_COMPACT_SCAN];
	sqlite3_stmt *older = table->stmts[SQLITE_STMT_COMPACT_OLDER];
	g_autoptr(GArray) rows = g_array_new(FALSE, FALSE, sizeof(struct old_row));
	int rc;

	g_array_set_clear_func(rows, old_row_clear);
	sqlite3_bind_int64(scan, 1, SQLITE_ROW_ID(table->compacted + 1, 0));
	sqlite3_bind_int64(scan, 2, SQLITE_ROW_ID(target + 1, 0));
	while ((rc = sqlite3_step(scan)) == SQLITE_ROW) {
		struct old_row row = { sqlite3_column_int64(scan, 0), sqlite3_column_int64(scan, 1) == 0, NULL };
		const void *key = sqlite3_column_blob(scan, 2);

		row.key = g_strndup(key, (gsize)sqlite3_column_bytes(scan, 2));
		g_array_append_val(rows, row);
	}
	if (!sqlite_table_done(table, SQLITE_STMT_COMPACT_SCAN, rc, error))
		return FALSE;
	for (guint i = 0; i < rows->len; i++) {
		const struct old_row *row = &g_array_index(rows, struct old_row, i);

		sqlite_bind_key(older, 1, row->key);
		sqlite3_bind_int64(older, 2, row->id);
		if (!sqlite_table_run(table, SQLITE_STMT_COMPACT_OLDER, error))
			return FALSE;
		sqlite3_bind_int64(table->stmts[SQLITE_STMT_COMPACT_ROW], 1, row->id);
		if (row->deleted && !sqlite_table_run(table, SQLITE_STMT_COMPACT_ROW, error))
			return FALSE;
	}
	sqlite3_bind_int64(table->stmts[SQLITE_STMT_COMPACTED_SET], 1, target);
	return sqlite_table_run(table, SQLITE_STMT_COMPACTED_SET, error);
}

void sqlite_compact(struct sqlite_table *table)
{
	g_autoptr(GError) error = NULL;

	while (table->revision - table->compacted >= LIMIT_STORE_HISTORY_REVISIONS + COMPACT_STEP_REVISIONS) {
		gint64 target = table->compacted + COMPACT_STEP_REVISIONS;

		if (!sqlite_table_run(table, SQLITE_STMT_BEGIN, &error) || !compact_to(table, target, &error) ||
		    !sqlite_table_run(table, SQLITE_STMT_COMMIT, &error)) {
			g_warning("%s; old revisions are kept until the next try", error->message);
			if (!sqlite3_get_autocommit(table->db))
				sqlite_table_run(table, SQLITE_STMT_ROLLBACK, NULL);
			return;
		}
		table->compacted = target;
	}
}
