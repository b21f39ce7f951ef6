/* The database file: opening, checking, schema, and the statements that read it. */
#include "daemon/store/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/model/error.h"
#include "daemon/model/limits.h"

#define APPLICATION_ID 0x506f6c64 /* "Pold" */
#define SCHEMA_VERSION 1

/* Keys are BLOBs: compared by memcmp, whatever bytes a range's end has. */
static const char schema[] =
	"CREATE TABLE log(id INTEGER PRIMARY KEY, key BLOB NOT NULL, create_revision INTEGER NOT NULL,"
	" version INTEGER NOT NULL, lease INTEGER NOT NULL, value BLOB);"
	"CREATE UNIQUE INDEX log_key ON log(key, id);"
	"CREATE INDEX log_lease ON log(lease) WHERE lease != 0;"
	"CREATE TABLE lease(id INTEGER PRIMARY KEY AUTOINCREMENT, ttl_ms INTEGER NOT NULL);"
	"CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
	"INSERT INTO meta VALUES('compacted', 0);";

static const char *const stmt_texts[SQLITE_STMT_COUNT] = {
	[SQLITE_STMT_BEGIN_READ] = "BEGIN",
	[SQLITE_STMT_BEGIN] = "BEGIN IMMEDIATE",
	[SQLITE_STMT_COMMIT] = "COMMIT",
	[SQLITE_STMT_ROLLBACK] = "ROLLBACK",
	[SQLITE_STMT_SAVEPOINT] = "SAVEPOINT txn",
	[SQLITE_STMT_UNDO] = "ROLLBACK TO txn",
	[SQLITE_STMT_RELEASE] = "RELEASE txn",
	[SQLITE_STMT_LATEST] = "SELECT id, create_revision, version, lease, value FROM log"
			       " WHERE key = ?1 AND id < ?2 ORDER BY id DESC LIMIT 1",
	[SQLITE_STMT_NEXT_KEY] = "SELECT key FROM log WHERE key >= ?1 AND key < ?2 ORDER BY key LIMIT 1",
	[SQLITE_STMT_INSERT] = "INSERT INTO log VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
	/* The + keeps the planner off the key index: history is short, keys may be many. */
	[SQLITE_STMT_HISTORY] = "SELECT id, create_revision, version, lease, value, key FROM log"
				" WHERE id >= ?1 AND +key >= ?2 AND +key < ?3 ORDER BY id",
	[SQLITE_STMT_LEASE_ADD] = "INSERT INTO lease(ttl_ms) VALUES(?1)",
	[SQLITE_STMT_LEASE_GET] = "SELECT ttl_ms FROM lease WHERE id = ?1",
	[SQLITE_STMT_LEASE_DROP] = "DELETE FROM lease WHERE id = ?1",
	[SQLITE_STMT_LEASE_KEYS] = "SELECT DISTINCT key FROM log WHERE lease = ?1 AND lease != 0",
	[SQLITE_STMT_LEASES] = "SELECT id, ttl_ms FROM lease",
	[SQLITE_STMT_COMPACT_SCAN] = "SELECT id, version, key FROM log WHERE id >= ?1 AND id < ?2",
	[SQLITE_STMT_COMPACT_OLDER] = "DELETE FROM log WHERE key = ?1 AND id < ?2",
	[SQLITE_STMT_COMPACT_ROW] = "DELETE FROM log WHERE id = ?1",
	[SQLITE_STMT_COMPACTED_SET] = "UPDATE meta SET value = ?1 WHERE name = 'compacted'",
};

GError *sqlite_table_error(struct sqlite_table *table, int rc)
{
	const char *text = table->db != NULL ? sqlite3_errmsg(table->db) : sqlite3_errstr(rc);

	switch (rc & 0xff) {
	case SQLITE_FULL:
		return g_error_new(POLDER_ERROR, POLDER_ERROR_STORAGE_FULL,
				   "store %s: no space left on its disk; free some and try again", table->path);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return g_error_new(
			POLDER_ERROR, POLDER_ERROR_CORRUPT,
			"store %s is damaged (%s); nothing was changed: restore it (with its -wal file) from a "
			"backup, or move both away to start empty",
			table->path, text);
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL:
		return g_error_new(POLDER_ERROR, POLDER_ERROR_CONFLICT,
				   "store %s: another process has it open; stop that one first", table->path);
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return g_error_new(POLDER_ERROR, POLDER_ERROR_DENIED,
				   "store %s can't be written (%s); check its permissions and its file system",
				   table->path, text);
	default:
		return g_error_new(POLDER_ERROR, POLDER_ERROR_FAILED, "store %s: %s (%d)", table->path, text, rc);
	}
}

gboolean sqlite_table_done(struct sqlite_table *table, enum sqlite_stmt which, int rc, GError **error)
{
	gboolean ok = rc == SQLITE_DONE || rc == SQLITE_ROW || rc == SQLITE_OK;

	if (!ok)
		g_propagate_error(error, sqlite_table_error(table, rc));
	sqlite3_reset(table->stmts[which]);
	return ok;
}

gboolean sqlite_table_run(struct sqlite_table *table, enum sqlite_stmt which, GError **error)
{
	return sqlite_table_done(table, which, sqlite3_step(table->stmts[which]), error);
}

void sqlite_bind_key(sqlite3_stmt *stmt, int index, const char *key)
{
	/* Every statement is reset before its key goes away. */
	sqlite3_bind_blob64(stmt, index, key, strlen(key), SQLITE_STATIC);
}

static GBytes *column_bytes(sqlite3_stmt *stmt, int column)
{
	const void *blob = sqlite3_column_blob(stmt, column);

	return g_bytes_new(blob, (gsize)sqlite3_column_bytes(stmt, column));
}

gboolean sqlite_table_latest(struct sqlite_table *table, const char *key, gint64 revision, gboolean want_value,
			     struct sqlite_row *row, GError **error)
{
	sqlite3_stmt *stmt = table->stmts[SQLITE_STMT_LATEST];
	int rc;

	*row = (struct sqlite_row) { 0 };
	sqlite_bind_key(stmt, 1, key);
	sqlite3_bind_int64(stmt, 2, SQLITE_ROW_ID(revision + 1, 0));
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW && sqlite3_column_int64(stmt, 2) > 0) {
		row->id = sqlite3_column_int64(stmt, 0);
		row->create_revision = sqlite3_column_int64(stmt, 1);
		row->version = sqlite3_column_int64(stmt, 2);
		row->lease = sqlite3_column_int64(stmt, 3);
		if (want_value)
			row->value = column_bytes(stmt, 4);
	}
	return sqlite_table_done(table, SQLITE_STMT_LATEST, rc, error);
}

/* key: the first at or above `from`, or NULL. */
static gboolean next_key(struct sqlite_table *table, const char *from, const char *end, char **key, GError **error)
{
	sqlite3_stmt *stmt = table->stmts[SQLITE_STMT_NEXT_KEY];
	int rc;

	*key = NULL;
	sqlite_bind_key(stmt, 1, from);
	sqlite_bind_key(stmt, 2, end);
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW) {
		const void *blob = sqlite3_column_blob(stmt, 0);

		*key = g_strndup(blob, (gsize)sqlite3_column_bytes(stmt, 0));
	}
	return sqlite_table_done(table, SQLITE_STMT_NEXT_KEY, rc, error);
}

gboolean sqlite_table_range(struct sqlite_table *table, const struct store_span *span, gint64 revision, guint limit,
			    GPtrArray *kvs, gboolean *more, GError **error)
{
	g_autofree char *from = g_strdup(span->start);
	gsize bytes = 0;

	*more = FALSE;
	for (;;) {
		g_autofree char *key = NULL;
		struct sqlite_row row;
		struct store_kv *kv;

		if (!next_key(table, from, span->end, &key, error))
			return FALSE;
		if (key == NULL)
			return TRUE;
		if (!sqlite_table_latest(table, key, revision, TRUE, &row, error)) {
			g_clear_pointer(&row.value, g_bytes_unref);
			return FALSE;
		}
		g_free(from);
		from = store_key_after(key);
		if (row.version == 0)
			continue;
		bytes += strlen(key) + g_bytes_get_size(row.value);
		if (kvs->len >= limit || (kvs->len > 0 && bytes > LIMIT_STORE_REQUEST_BYTES)) {
			g_bytes_unref(row.value);
			*more = TRUE;
			return TRUE;
		}
		kv = g_new(struct store_kv, 1);
		*kv = (struct store_kv) { .key = g_steal_pointer(&key),
					  .value = row.value,
					  .create_revision = row.create_revision,
					  .mod_revision = SQLITE_ROW_REVISION(row.id),
					  .version = row.version,
					  .lease = row.lease };
		g_ptr_array_add(kvs, kv);
	}
}

static int on_int64(void *data, int n_columns, char **values, char **names)
{
	if (values[0] != NULL)
		*(gint64 *)data = g_ascii_strtoll(values[0], NULL, 10);
	return 0;
}

static int on_text(void *data, int n_columns, char **values, char **names)
{
	if (*(char **)data == NULL)
		*(char **)data = g_strdup(values[0]);
	return 0;
}

static gboolean run_sql(struct sqlite_table *table, const char *sql, int (*func)(void *, int, char **, char **),
			void *data, GError **error)
{
	int rc = sqlite3_exec(table->db, sql, func, data, NULL);

	if (rc != SQLITE_OK)
		g_propagate_error(error, sqlite_table_error(table, rc));
	return rc == SQLITE_OK;
}

gboolean sqlite_table_reload(struct sqlite_table *table, GError **error)
{
	gint64 id = 0;

	if (!run_sql(table, "SELECT max(id) FROM log", on_int64, &id, error) ||
	    !run_sql(table, "SELECT value FROM meta WHERE name = 'compacted'", on_int64, &table->compacted, error))
		return FALSE;
	/* An empty store is at revision 1, as etcd's is: 0 means "now" or "not yet" wherever a revision is asked for. */
	table->revision = MAX(SQLITE_ROW_REVISION(id), 1);
	return TRUE;
}

static gboolean corrupt(struct sqlite_table *table, const char *what, GError **error)
{
	g_set_error(
		error, POLDER_ERROR, POLDER_ERROR_CORRUPT,
		"store %s is damaged or not a store of ours (%s); nothing was changed: restore it (with its -wal file) "
		"from a backup, or move both away to start empty",
		table->path, what);
	return FALSE;
}

/* SQLite takes a file of no bytes for a new database and deletes the log beside it: here that log is the user's data. */
static gboolean check_files(struct sqlite_table *table, GError **error)
{
	g_autofree char *wal = g_strconcat(table->path, "-wal", NULL);
	struct stat st;
	int fd;

	if (stat(wal, &st) == 0 && st.st_size > 0 && (stat(table->path, &st) < 0 || st.st_size == 0))
		return corrupt(table, "its file is empty but its log is not", error);
	fd = open(table->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
	if (fd < 0) {
		g_set_error(error, POLDER_ERROR,
			    errno == ENOSPC                     ? POLDER_ERROR_STORAGE_FULL
			    : errno == EACCES || errno == EROFS ? POLDER_ERROR_DENIED
								: POLDER_ERROR_FAILED,
			    "open store %s: %s", table->path, g_strerror(errno));
		return FALSE;
	}
	close(fd);
	return TRUE;
}

static gboolean check_identity(struct sqlite_table *table, gboolean *is_new, GError **error)
{
	gint64 application = 0, version = 0, tables = 0;

	if (!run_sql(table, "PRAGMA locking_mode = EXCLUSIVE", NULL, NULL, error) ||
	    !run_sql(table, "PRAGMA application_id", on_int64, &application, error) ||
	    !run_sql(table, "PRAGMA user_version", on_int64, &version, error) ||
	    !run_sql(table, "SELECT count(*) FROM sqlite_schema", on_int64, &tables, error))
		return FALSE;
	*is_new = application == 0 && version == 0 && tables == 0;
	if (*is_new)
		return TRUE;
	if (application != APPLICATION_ID)
		return corrupt(table, "some other program's database", error);
	if (version != SCHEMA_VERSION) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_FAILED,
			    "store %s was written by another version of Polder (its schema is %" G_GINT64_FORMAT
			    ", this one reads %d); use that version",
			    table->path, version, SCHEMA_VERSION);
		return FALSE;
	}
	return TRUE;
}

static gboolean check_content(struct sqlite_table *table, GError **error)
{
	g_autofree char *verdict = NULL;

	if (!run_sql(table, "PRAGMA quick_check(1)", on_text, &verdict, error))
		return FALSE;
	if (verdict != NULL)
		g_strdelimit(verdict, "\n", ' '); /* errors are one line */
	if (g_strcmp0(verdict, "ok") != 0)
		return corrupt(table, verdict != NULL ? verdict : "its check gave nothing", error);
	return TRUE;
}

static gboolean prepare(struct sqlite_table *table, const char *synchronous, GError **error)
{
	g_autofree char *mode = NULL;
	g_autofree char *pragmas = g_strdup_printf("PRAGMA synchronous = %s; PRAGMA cache_size = -4096;"
						   "PRAGMA temp_store = MEMORY",
						   synchronous);
	g_autofree char *create =
		g_strdup_printf("BEGIN IMMEDIATE; %s PRAGMA application_id = %d; PRAGMA user_version = %d;"
				"COMMIT",
				schema, APPLICATION_ID, SCHEMA_VERSION);
	gboolean is_new = FALSE;

	if (!check_identity(table, &is_new, error) || (!is_new && !check_content(table, error)) ||
	    !run_sql(table, pragmas, NULL, NULL, error) ||
	    !run_sql(table, "PRAGMA journal_mode = WAL", on_text, &mode, error))
		return FALSE;
	if (g_strcmp0(mode, "wal") != 0) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_FAILED,
			    "store %s: its file system can't hold a write-ahead log", table->path);
		return FALSE;
	}
	if (is_new && !run_sql(table, create, NULL, NULL, error))
		return FALSE;
	/* Takes the write lock, and so finds a file we may only read. */
	if (!run_sql(table, "BEGIN IMMEDIATE; COMMIT", NULL, NULL, error))
		return FALSE;
	for (int i = 0; i < SQLITE_STMT_COUNT; i++) {
		int rc = sqlite3_prepare_v3(table->db, stmt_texts[i], -1, SQLITE_PREPARE_PERSISTENT, &table->stmts[i],
					    NULL);

		if (rc != SQLITE_OK) {
			g_propagate_error(error, sqlite_table_error(table, rc));
			return FALSE;
		}
	}
	return sqlite_table_reload(table, error);
}

gboolean sqlite_table_open(struct sqlite_table *table, const char *path, const char *vfs, const char *synchronous,
			   GError **error)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
	int rc;

	*table = (struct sqlite_table) { .path = g_strdup(path) };
	if (vfs == NULL && !check_files(table, error))
		goto fail;
	rc = sqlite3_open_v2(path, &table->db, flags, vfs);
	if (rc != SQLITE_OK) {
		g_propagate_error(error, sqlite_table_error(table, rc));
		goto fail;
	}
	sqlite3_extended_result_codes(table->db, 1);
	/* Until it is known to be whole, closing must not move the log into the file: nothing is changed. */
	sqlite3_db_config(table->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	if (!prepare(table, synchronous, error))
		goto fail;
	sqlite3_db_config(table->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
	return TRUE;
fail:
	sqlite_table_close(table);
	return FALSE;
}

void sqlite_table_close(struct sqlite_table *table)
{
	for (int i = 0; i < SQLITE_STMT_COUNT; i++)
		sqlite3_finalize(table->stmts[i]);
	sqlite3_close(table->db);
	g_clear_error(&table->broken);
	g_free(table->path);
	*table = (struct sqlite_table) { 0 };
}
