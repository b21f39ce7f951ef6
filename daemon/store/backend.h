/* Private to the store: what store.c asks of a backend, and what the backends share. */
#pragma once

#include "daemon/store/store.h"

/* Keys hold no NUL, so every request of one key is the span [key, key + '\1'): backends know spans only. */
struct store_span {
	char *start;
	char *end;
};
/* store_span_init(span, key, range_end, error): range_end NULL: just `key`. INVALID or TOO_LARGE, span then untouched. */
gboolean store_span_init(struct store_span *span, const char *key, const char *range_end, GError **error);
void store_span_clear(struct store_span *span);
gboolean store_span_holds(const struct store_span *span, const char *key);

enum store_lease_op { STORE_LEASE_GRANT, STORE_LEASE_KEEP_ALIVE, STORE_LEASE_REVOKE };
#define STORE_LEASE_TTL_MAX_MS (366ll * 24 * 3600 * 1000)

/* All mandatory. Arguments were validated; `task` is owned by the backend, which returns to it: a struct
 * store_txn_result, a struct store_range, or for a lease an int. */
struct store_backend {
	const char *name;
	/* The last reference went: end everything pending, free the store. */
	void (*close)(struct store *store);
	void (*txn)(struct store *store, struct store_txn *txn, GTask *task); /* owns txn */
	void (*range)(struct store *store, struct store_span *span, gint64 revision, guint limit,
		      GTask *task); /* steals span */
	/* Makes a watch of its own kind around struct store_watch; store.c has filled `base`, which it moves into it. */
	struct store_watch *(*watch)(struct store *store, const struct store_watch *base, gint64 start_revision);
	void (*unwatch)(struct store_watch *watch);
	void (*lease)(struct store *store, enum store_lease_op op, gint64 number, GTask *task); /* id, or ttl_ms */
};

struct store {
	const struct store_backend *backend;
	int refs;
};

/* Freed when the last of user, backend and running callback lets go; `dead` once no callback may follow. */
struct store_watch {
	struct store *store; /* NULL once the store has closed */
	struct store_span span;
	store_watch_func func;
	gpointer user_data;
	int refs;
	gboolean dead;
};
struct store_watch *store_watch_ref(struct store_watch *watch);
void store_watch_unref(struct store_watch *watch);
/* Calls the user unless dead; an error makes it dead. */
void store_watch_call(struct store_watch *watch, const struct store_event *events, guint n_events, gint64 revision,
		      const GError *error);
/* Ends the watch with UNAVAILABLE from an idle source, so never inside the caller's call. Takes over one reference. */
void store_watch_close_later(struct store_watch *watch, GMainContext *context, const char *why);

GArray *store_events_new(void); /* of struct store_event that own their keys and values */

/* ---- txn.c ---- */

struct store_compare {
	char *key;
	enum store_target target;
	enum store_relation relation;
	gint64 number;
	GBytes *value; /* STORE_TARGET_VALUE only */
};

enum store_op_kind { STORE_OP_PUT, STORE_OP_DELETE, STORE_OP_RANGE };
struct store_op {
	enum store_op_kind kind;
	char *key;
	char *range_end; /* what the caller gave; NULL: the one key */
	GBytes *value;
	gint64 lease;
};

struct store_txn {
	GArray *compares;    /* of struct store_compare */
	GArray *branches[2]; /* of struct store_op */
};
gboolean store_txn_validate(const struct store_txn *txn, GError **error);
gboolean store_txn_writes(const struct store_txn *txn);
gsize store_txn_bytes(const struct store_txn *txn);
struct store_txn_result *store_txn_result_new(void);
/* Whether `order` (of memcmp's kind: found against wanted) satisfies the relation. */
gboolean store_relation_holds(enum store_relation relation, int order);

/* ---- request.c: deadlines, cancellation and the end of every request ---- */

struct store_requests;
struct store_request {
	struct store_requests *set; /* NULL once ended */
	GTask *task;                /* NULL once ended */
	gboolean writes;
	gint64 created_us;
	GSource *cancel;
	GList link;
};

struct store_requests {
	struct store *store;
	GMainContext *context;
	GQueue list; /* of struct store_request, oldest first: all have the same time to live */
	GSource *timer;
	/* The request ends before its answer. TRUE: nothing of it was or will be done, the backend has forgotten it and
	 * freed it. FALSE: it may be done; the backend drops its answer and frees it then. */
	gboolean (*withdraw)(struct store *store, struct store_request *request);
};
void store_requests_init(struct store_requests *set, struct store *store,
			 gboolean (*withdraw)(struct store *store, struct store_request *request));
void store_requests_clear(struct store_requests *set); /* the list must be empty */
/* Takes over task. FALSE: it was cancelled already, has been answered, and `request` was not touched. */
gboolean store_request_begin(struct store_requests *set, struct store_request *request, GTask *task, gboolean writes);
/* The answer is there: forget the request and hand its task over. NULL when it has ended early. */
GTask *store_request_end(struct store_request *request);
/* Ends every request from idle sources, in order: UNKNOWN_OUTCOME for writes withdraw() can't call back, else
 * UNAVAILABLE with `why`. */
void store_requests_end_all(struct store_requests *set, const char *why);
