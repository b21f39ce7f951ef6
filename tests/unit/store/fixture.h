/* Shared by the store's tests: a store in a directory of its own, and every asynchronous call made to wait. */
#pragma once

#include "daemon/model/error.h"
#include "daemon/model/limits.h"
#include "daemon/store/store.h"

struct fixture {
	char *dir;
	char *path;
	struct store *sqlite; /* what is in the file */
	struct store *store;  /* what is tested: the same, or a remote to it */
	struct store_server *server;
	guint n_lost, n_closed;
};
void fixture_open(struct fixture *f, gboolean remote);
/* Closes and opens again: what a restart leaves. */
void fixture_reopen(struct fixture *f);
void fixture_close(struct fixture *f);

/* Iterates the main context until *flag; ends the test after 20 s. */
void wait_for(const gboolean *flag);
void wait_until(gboolean (*done)(gpointer user_data), gpointer user_data);
void remove_tree(const char *dir);

GBytes *bytes(const char *text);
char *text_of(const struct store_kv *kv); /* caller frees */

struct txn_wait {
	gboolean done;
	struct store_txn_result *result;
	GError *error;
};
void txn_wait_begin(struct txn_wait *wait, struct store *store, struct store_txn *txn, GCancellable *cancellable);
void txn_wait_clear(struct txn_wait *wait);
/* Each ends the test on an error it was not told to expect (code < 0: must succeed). */
struct store_txn_result *txn_sync(struct store *store, struct store_txn *txn, int code);
gint64 put_sync(struct store *store, const char *key, const char *value); /* revision */
gint64 delete_sync(struct store *store, const char *key);
struct store_range *range_sync(struct store *store, const char *key, const char *end, gint64 revision, guint limit,
			       int code);
char *get_sync(struct store *store, const char *key); /* value, NULL when there is none; caller frees */
gint64 grant_sync(struct store *store, guint64 ttl_ms, int code);
void keep_alive_sync(struct store *store, gint64 lease, int code);
void revoke_sync(struct store *store, gint64 lease, int code);
struct store_txn *txn_of_puts(guint n); /* of /k/000 … */
/* n puts of key, many in flight at a time. */
void put_many(struct store *store, const char *key, guint n);

/* What a watch said, a line each: "put KEY VALUE", "del KEY"; a whole history to compare with. */
struct watched {
	GString *text;
	guint n_events;
	gint64 revision; /* the last told */
	int error_code;  /* -1: none */
	gint64 last_event_revision;
	gboolean disordered;
	guint stop_after; /* frees its watch inside the callback after so many events; 0: never */
	struct store_watch *watch;
};
void watched_begin(struct watched *watched, struct store *store, const char *key, const char *end, gint64 start);
void watched_clear(struct watched *watched);
void watched_wait_revision(struct watched *watched, gint64 revision);
void watched_wait_error(struct watched *watched);
