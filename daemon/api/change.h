/* Private to the API: one change of one record by compare-and-swap, answered once our own cache has seen it. */
#pragma once

#include "daemon/api/server.h"

struct change {
	const char *doing;    /* for errors: "change image", "create pool" */
	const char *conflict; /* what to say, ending the line "NAME: …", when somebody else was first */
	guint status;         /* HTTP status of success */
	void (*answer)(struct request *request, guint status, const char *name);
};

/* change_commit(request, change, name, txn): carry `txn` (taken) out and answer. `change` is static; `name` is that of the
 * record changed, "allocation/all" for /strategy/allocation/all. */
void change_commit(struct request *request, const struct change *change, const char *name, struct store_txn *txn);

/* change_put(key, mod_revision, noun, object): a transaction that writes the object where the record still is at
 * mod_revision (0: is not there). */
struct store_txn *change_put(const char *key, gint64 mod_revision, const struct noun *noun, gconstpointer object);

/* change_delete(kv): a transaction that deletes a record as it is now. */
struct store_txn *change_delete(const struct store_kv *kv);

/* answer_gone: {"name":…,"gone":true}, as struct change's answer. */
void answer_gone(struct request *request, guint status, const char *name);
