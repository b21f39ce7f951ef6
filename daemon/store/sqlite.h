/* Private to the SQLite backend: the table (SQL, writer thread), the jobs handed to it, and the main-context side.
 *
 *   main context (sqlite.c, sqlite_watch.c, sqlite_lease.c)        writer thread (sqlite_writer.c, _apply.c, _table.c)
 *      job ──► queue ──────────────────────────────────────────────► takes all, one SQLite transaction, one fsync
 *      events to watches, then answers, in order ◄────── batches ──┘
 *
 * The two share the queues and nothing else. Requests and reads take one line, so a read sees every write issued
 * before it, and what a watch catches up on joins what comes live without a gap. */
#pragma once

#include <sqlite3.h>

#include "daemon/store/backend.h"

/* One key's change is one row; its id orders all changes and holds the revision. */
#define SQLITE_ROWS_PER_REVISION_BITS  24
#define SQLITE_ROW_ID(revision, index) (((gint64)(revision) << SQLITE_ROWS_PER_REVISION_BITS) | (index))
#define SQLITE_ROW_REVISION(id)        ((gint64)(id) >> SQLITE_ROWS_PER_REVISION_BITS)
#define SQLITE_ROWS_MAX                (1u << SQLITE_ROWS_PER_REVISION_BITS)

enum sqlite_stmt {
	SQLITE_STMT_BEGIN_READ,
	SQLITE_STMT_BEGIN,
	SQLITE_STMT_COMMIT,
	SQLITE_STMT_ROLLBACK,
	SQLITE_STMT_SAVEPOINT,
	SQLITE_STMT_UNDO,
	SQLITE_STMT_RELEASE,
	SQLITE_STMT_LATEST,
	SQLITE_STMT_NEXT_KEY,
	SQLITE_STMT_INSERT,
	SQLITE_STMT_HISTORY,
	SQLITE_STMT_LEASE_ADD,
	SQLITE_STMT_LEASE_GET,
	SQLITE_STMT_LEASE_DROP,
	SQLITE_STMT_LEASE_KEYS,
	SQLITE_STMT_LEASES,
	SQLITE_STMT_COMPACT_SCAN,
	SQLITE_STMT_COMPACT_OLDER,
	SQLITE_STMT_COMPACT_ROW,
	SQLITE_STMT_COMPACTED_SET,
	SQLITE_STMT_COUNT
};

struct sqlite_table {
	char *path;
	sqlite3 *db;
	sqlite3_stmt *stmts[SQLITE_STMT_COUNT];
	gint64 revision;  /* of the state inside the open SQLite transaction */
	gint64 compacted; /* revisions below it can't be read any more, watches start above it */
	GError *broken;   /* set: the disk failed us in a way that leaves no certainty; every job ends with this */
};

/* ---- sqlite_table.c. FALSE means SQLite failed: the SQLite transaction must be rolled back. ---- */

struct sqlite_row {
	gint64 id;
	gint64 create_revision;
	gint64 version; /* 0: there is no such key */
	gint64 lease;
	GBytes *value; /* only when asked for */
};

gboolean sqlite_table_open(struct sqlite_table *table, const char *path, const char *vfs, const char *synchronous,
			   GError **error);
void sqlite_table_close(struct sqlite_table *table);
/* Runs a statement without rows, and resets it. */
gboolean sqlite_table_run(struct sqlite_table *table, enum sqlite_stmt which, GError **error);
/* Resets after a failed or finished step. */
gboolean sqlite_table_done(struct sqlite_table *table, enum sqlite_stmt which, int rc, GError **error);
GError *sqlite_table_error(struct sqlite_table *table, int rc);
void sqlite_bind_key(sqlite3_stmt *stmt, int index, const char *key);
/* The state of `key` at `revision`. */
gboolean sqlite_table_latest(struct sqlite_table *table, const char *key, gint64 revision, gboolean want_value,
			     struct sqlite_row *row, GError **error);
/* Appends to kvs until limit entries or max_bytes (one entry always fits); more: there would have been another. */
gboolean sqlite_table_range(struct sqlite_table *table, const struct store_span *span, gint64 revision, guint limit,
			    GPtrArray *kvs, gboolean *more, GError **error);
/* Rereads the revision after a rollback. */
gboolean sqlite_table_reload(struct sqlite_table *table, GError **error);

/* ---- jobs ---- */

enum sqlite_job_kind { SQLITE_JOB_TXN, SQLITE_JOB_RANGE, SQLITE_JOB_HISTORY, SQLITE_JOB_GRANT, SQLITE_JOB_REVOKE };

struct sqlite_job {
	struct store_request request; /* main context only; no task: nobody waits (any more) */
	enum sqlite_job_kind kind;
	GList link;     /* in the queue, until taken */
	gboolean taken; /* under the store's lock */

	struct store_txn *txn;
	struct store_span span; /* RANGE, HISTORY */
	gint64 revision;        /* RANGE: to read at; HISTORY: to start from, and then where to go on */
	guint limit;
	gint64 lease; /* REVOKE; GRANT's answer */
	gint64 ttl_ms;
	struct sqlite_watch *watch; /* HISTORY; main context only, one reference */

	/* Answer */
	GError *error;
	struct store_txn_result *result;
	struct store_range *range;
	GArray *events;       /* HISTORY */
	gint64 read_revision; /* HISTORY: everything up to here was looked at */
};
struct sqlite_job *sqlite_job_new(enum sqlite_job_kind kind);
void sqlite_job_free(struct sqlite_job *job);
void sqlite_job_reset_answer(struct sqlite_job *job);
gboolean sqlite_job_writes(const struct sqlite_job *job);

struct sqlite_batch {
	GPtrArray *jobs;
	GArray *events; /* of struct store_event, owned: all changes of the batch */
	gint64 revision;
};
void sqlite_batch_free(struct sqlite_batch *batch);

/* ---- sqlite_apply.c: one job inside the open SQLite transaction. What is refused is job->error and returns TRUE. ---- */

gboolean sqlite_apply(struct sqlite_table *table, struct sqlite_job *job, GArray *events, GError **error);
/* Drops history beyond the limit, in transactions of its own; a failure leaves it for the next time. */
void sqlite_compact(struct sqlite_table *table);

/* ---- main-context side ---- */

struct sqlite_watch {
	struct store_watch base;
	gint64 next_revision; /* the first it is to see */
	gint64 told_revision; /* the last it was told of */
	gboolean live;        /* FALSE: a HISTORY job is on its way for it */
};

struct sqlite_lease {
	gint64 id;
	gint64 ttl_ms;
	gint64 deadline_us;
	gboolean ending; /* a REVOKE job is on its way */
};

struct sqlite_store {
	struct store base;
	struct store_requests requests;
	gint64 revision; /* of the last batch delivered */
	GPtrArray *watches;
	GSource *progress;
	GHashTable *leases; /* id → struct sqlite_lease, owned */
	GSource *lease_timer;
	GSource *delivery;

	/* Shared with the writer, under lock. */
	GThread *thread;
	GMutex lock;
	GCond wake;
	GQueue queue;     /* of struct sqlite_job by link */
	GQueue delivered; /* of struct sqlite_batch */
	gboolean stop;

	struct sqlite_table table; /* the writer's */
};

void sqlite_submit(struct sqlite_store *store, struct sqlite_job *job);
gpointer sqlite_writer(gpointer store);

struct store_watch *sqlite_watch_new(struct store *store, const struct store_watch *base, gint64 start_revision);
void sqlite_watch_stop(struct store_watch *watch);
void sqlite_watch_history_done(struct sqlite_store *store, struct sqlite_job *job);
void sqlite_watches_deliver(struct sqlite_store *store, const struct sqlite_batch *batch);
void sqlite_watches_init(struct sqlite_store *store);
void sqlite_watches_clear(struct sqlite_store *store);

void sqlite_leases_init(struct sqlite_store *store); /* reads the persisted ones: before the writer starts */
void sqlite_leases_clear(struct sqlite_store *store);
void sqlite_lease_request(struct store *store, enum store_lease_op op, gint64 number, GTask *task);
void sqlite_lease_done(struct sqlite_store *store, struct sqlite_job *job);

/* store_sqlite_open() with a chosen PRAGMA synchronous: only so that a test can show what FULL is there for. */
struct store *sqlite_open_synchronous(const char *path, const char *vfs, const char *synchronous, GError **error);
