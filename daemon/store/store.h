/* The store: etcd's data model. Revisioned keys, compare-and-swap transactions, watches, leases.
 *
 * Backends: sqlite.c (in-process, the default), remote.c (for the agent: the daemon's store over a socketpair), and
 * later etcd.c. One conformance suite (tests/unit/store) holds them all to what is said here.
 *
 * Every call is asynchronous and belongs to the thread-default main context it was made in; callbacks never run inside
 * the call. Every request ends: by its answer, its deadline (LIMIT_STORE_REQUEST_TIMEOUT_MS), or its cancellable.
 * A write whose answer can't come any more (cancelled, deadline, link lost after it was sent) ends with
 * POLDER_ERROR_UNKNOWN_OUTCOME: read before you write again.
 *
 * Revisions: one counter per store, 1 when empty; every transaction that changes something adds one, and all its
 * changes carry it. In one process, a watch hears of a change before the request that made it is answered.
 * Keys are UTF-8 paths, "/vm/web"; values are bytes. */
#pragma once

#include <gio/gio.h>

struct store; /* reference counted */
struct store *store_ref(struct store *store);
/* NULL is fine. The last unref ends pending requests, in order, with UNAVAILABLE, or UNKNOWN_OUTCOME for a write that was
 * already under way, and watches with UNAVAILABLE; callbacks run later, from the main context. */
void store_unref(struct store *store);

/* One key at one revision. */
struct store_kv {
	char *key;
	GBytes *value;
	gint64 create_revision; /* when this life of the key began */
	gint64 mod_revision;
	gint64 version; /* 1 at creation, +1 each put */
	gint64 lease;   /* 0 = none */
};
struct store_kv *store_kv_copy(const struct store_kv *kv);
void store_kv_free(struct store_kv *kv);

/* ---- Transactions: if all compares hold do `then`, otherwise `else`; atomic, durable when answered. ---- */

enum store_target {
	STORE_TARGET_VERSION,
	STORE_TARGET_CREATE,
	STORE_TARGET_MOD,
	STORE_TARGET_LEASE,
	STORE_TARGET_VALUE
};
enum store_relation { STORE_EQUAL, STORE_NOT_EQUAL, STORE_GREATER, STORE_LESS };
enum store_branch { STORE_THEN, STORE_ELSE };

struct store_txn;
struct store_txn *store_txn_new(void);
void store_txn_free(struct store_txn *txn);

/* A missing key compares as version, create, mod and lease 0; a VALUE compare on it fails. */
void store_txn_compare(struct store_txn *txn, const char *key, enum store_target target, enum store_relation relation,
		       gint64 number);
void store_txn_compare_value(struct store_txn *txn, const char *key, enum store_relation relation, GBytes *value);

/* lease 0 = none. The value is referenced, not copied. */
void store_txn_put(struct store_txn *txn, enum store_branch branch, const char *key, GBytes *value, gint64 lease);
void store_txn_delete(struct store_txn *txn, enum store_branch branch, const char *key);
/* Deletes [key, range_end). */
void store_txn_delete_range(struct store_txn *txn, enum store_branch branch, const char *key, const char *range_end);
/* Reads [key, range_end) (range_end NULL: the one key) as it is after the operations before it. */
void store_txn_range(struct store_txn *txn, enum store_branch branch, const char *key, const char *range_end);

struct store_txn_result {
	gboolean succeeded; /* the compares held */
	gint64 revision;    /* of the store after this transaction */
	GPtrArray *ranges;  /* of GPtrArray of struct store_kv: one per range operation of the branch taken, in order */
	guint64 deleted;    /* keys the deletes removed */
};
void store_txn_result_free(struct store_txn_result *result);

/* store_txn_async(store, txn, …): takes ownership of txn. Refused before anything is done with POLDER_ERROR_INVALID or
 * TOO_LARGE: more than LIMIT_STORE_TXN_OPS operations (compares, then and else counted apart), a key written twice in
 * one branch (a delete range that covers a put or meets another delete counts), an empty or overlong key, over
 * LIMIT_STORE_REQUEST_BYTES of keys and values sent, or read back by its ranges, or over LIMIT_STORE_PAGE_ENTRIES read
 * back; a lease that does not exist (NOT_FOUND). */
void store_txn_async(struct store *store, struct store_txn *txn, GCancellable *cancellable,
		     GAsyncReadyCallback callback, gpointer user_data);
struct store_txn_result *store_txn_finish(struct store *store, GAsyncResult *result, GError **error);

/* Shorthands: one put or delete without compares. Result is dropped by passing callback NULL. finish: store_txn_finish */
void store_put_async(struct store *store, const char *key, GBytes *value, gint64 lease, GCancellable *cancellable,
		     GAsyncReadyCallback callback, gpointer user_data);
void store_delete_async(struct store *store, const char *key, GCancellable *cancellable, GAsyncReadyCallback callback,
			gpointer user_data);

/* ---- Ranges ---- */

struct store_range {
	GPtrArray *kvs;  /* of struct store_kv, by key */
	gint64 revision; /* the range was read at this revision: pass it on to page consistently, +1 to watch */
	gboolean more;   /* ask again with key = last key + '\0' … use store_key_after() */
};
void store_range_free(struct store_range *range);

/* [key, range_end) at `revision` (0: now), at most `limit` entries (0: LIMIT_STORE_PAGE_ENTRIES, the most there is).
 * A page also ends at LIMIT_STORE_REQUEST_BYTES. range_end NULL: just `key`. COMPACTED when the revision is gone, INVALID
 * when it is in the future. */
void store_range_async(struct store *store, const char *key, const char *range_end, gint64 revision, guint limit,
		       GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data);
struct store_range *store_range_finish(struct store *store, GAsyncResult *result, GError **error);

char *store_prefix_end(const char *prefix); /* range_end of "all keys that start with prefix". Caller frees */
char *store_key_after(const char *key);     /* the least key above `key`. Caller frees */

/* ---- Watches ---- */

struct store_event {
	gboolean deleted;   /* kv then holds key and mod_revision only */
	struct store_kv kv; /* borrowed for the callback */
};

/* Called with all events of one or more whole revisions, in order, never split within a revision; n_events 0 with
 * `revision` is a progress mark: nothing up to it was missed. `error` non-NULL ends the watch (COMPACTED: range anew;
 * UNAVAILABLE: link lost); it is not called again after that. */
typedef void (*store_watch_func)(const struct store_event *events, guint n_events, gint64 revision, const GError *error,
				 gpointer user_data);

struct store_watch;
/* store_watch_new(store, key, range_end, start_revision, func, user_data): events of [key, range_end) with
 * mod_revision >= start_revision (0: from now on), old ones first. */
struct store_watch *store_watch_new(struct store *store, const char *key, const char *range_end, gint64 start_revision,
				    store_watch_func func, gpointer user_data);
void store_watch_free(struct store_watch *watch); /* no callback after this; fine inside the callback; NULL is fine */

/* ---- Leases: keys put with a lease are deleted (one revision) when it is not kept alive for ttl_ms. After a restart
 * of the store every lease has its full ttl again. ---- */

void store_lease_grant_async(struct store *store, guint64 ttl_ms, GCancellable *cancellable,
			     GAsyncReadyCallback callback, gpointer user_data);
gint64 store_lease_grant_finish(struct store *store, GAsyncResult *result, GError **error); /* id > 0, or -1 */
/* NOT_FOUND when it has expired. finish for both: store_lease_finish */
void store_lease_keep_alive_async(struct store *store, gint64 lease, GCancellable *cancellable,
				  GAsyncReadyCallback callback, gpointer user_data);
void store_lease_revoke_async(struct store *store, gint64 lease, GCancellable *cancellable,
			      GAsyncReadyCallback callback, gpointer user_data);
gboolean store_lease_finish(struct store *store, GAsyncResult *result, GError **error);

/* ---- Backends ---- */

/* store_sqlite_open(path, vfs, error): open or create the database file. Blocks (start-up only): checks the file, and
 * rolls forward. vfs NULL: the default. CORRUPT: says the file, that nothing was changed, and how to restore;
 * CONFLICT: another process has it open; DENIED, STORAGE_FULL. Starts the writer thread. */
struct store *store_sqlite_open(const char *path, const char *vfs, GError **error);

/* store_remote_new(connection): a store at the other end of a stream socket. Takes ownership of the fd.
 * When the link is lost every request and watch ends with UNAVAILABLE and `lost` is called once. */
struct store *store_remote_new(int fd, void (*lost)(gpointer user_data), gpointer user_data);

/* store_serve(store, fd, closed, user_data): serve `store` to a store_remote at the other end. Everything the peer sends is
 * checked; a malformed frame closes the link with a logged reason. `closed` is called once. */
struct store_server;
struct store_server *store_serve(struct store *store, int fd, void (*closed)(gpointer user_data), gpointer user_data);
void store_server_free(struct store_server *server);
