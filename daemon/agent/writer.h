/* Writes what the agent observed: many keys, latest value wins, few transactions.
 *
 * A key is *touched* when its value changed; the value is asked for only when a transaction is put together, so a key
 * that changes a hundred times while one transaction is under way is written once. One transaction is under way at a
 * time, of at most LIMIT_STORE_TXN_OPS keys. The agent is the only writer of its keys: after an unknown outcome the
 * same keys are simply written again. */
#pragma once

#include "daemon/store/store.h"

struct writer;

struct writer_source {
	/* The key's value as it is now; NULL: the key is to be deleted. Caller unrefs. */
	GBytes *(*value)(const char *key, gpointer user_data);
	/* The store holds the key's latest value (or has deleted it): it was not touched since. May be NULL. */
	void (*written)(const char *key, gpointer user_data);
	gpointer user_data;
};

/* writer_new(store): keeps a reference of the store. */
struct writer *writer_new(struct store *store);
void writer_free(struct writer *writer); /* what was not written is dropped; NULL is fine */

/* writer_touch(writer, source, key): write `key` soon. `source` must live until the writer is freed. */
void writer_touch(struct writer *writer, const struct writer_source *source, const char *key);

/* Nothing is waiting and nothing is under way. */
gboolean writer_idle(const struct writer *writer);
