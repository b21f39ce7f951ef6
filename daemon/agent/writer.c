#include "daemon/agent/writer.h"

#include "daemon/model/error.h"
#include "daemon/model/limits.h"

#define RETRY_MS    200u
#define BATCH_BYTES (LIMIT_STORE_REQUEST_BYTES / 2) /* leaves room for the transaction's own encoding */

struct writer {
	struct store *store;
	GHashTable *waiting;   /* key (owned) → source */
	GHashTable *under_way; /* the same, in the transaction that was sent; NULL: none */
	struct flight *flight;
	GSource *flush;
};

/* The answer may come after writer_free(): `writer` is NULL then. */
struct flight {
	struct writer *writer;
};

static void schedule(struct writer *writer, guint delay_ms);

struct writer *writer_new(struct store *store)
{
	struct writer *writer = g_new0(struct writer, 1);

	writer->store = store_ref(store);
	writer->waiting = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	return writer;
}

void writer_free(struct writer *writer)
{
	if (!writer)
		return;
	if (writer->flight)
		writer->flight->writer = NULL;
	if (writer->flush) {
		g_source_destroy(writer->flush);
		g_clear_pointer(&writer->flush, g_source_unref);
	}
	g_clear_pointer(&writer->under_way, g_hash_table_unref);
	g_clear_pointer(&writer->waiting, g_hash_table_unref);
	store_unref(writer->store);
	g_free(writer);
}

void writer_touch(struct writer *writer, const struct writer_source *source, const char *key)
{
	g_hash_table_replace(writer->waiting, g_strdup(key), (gpointer)source);
	if (!writer->under_way)
		schedule(writer, 0);
}

gboolean writer_idle(const struct writer *writer)
{
	return !writer->under_way && !g_hash_table_size(writer->waiting);
}

static void report_written(struct writer *writer, GHashTable *batch)
{
	GHashTableIter iter;
	gpointer key, value;

	g_hash_table_iter_init(&iter, batch);
	while (g_hash_table_iter_next(&iter, &key, &value)) {
		const struct writer_source *source = value;

		if (source->written && !g_hash_table_contains(writer->waiting, key))
			source->written(key, source->user_data);
	}
}

/* Keys touched again meanwhile are in `waiting` already: theirs stays. */
static void take_back(struct writer *writer, GHashTable *batch)
{
	GHashTableIter iter;
	gpointer key, value;

	g_hash_table_iter_init(&iter, batch);
	while (g_hash_table_iter_next(&iter, &key, &value)) {
		if (!g_hash_table_contains(writer->waiting, key))
			g_hash_table_insert(writer->waiting, g_strdup(key), value);
	}
}

static gboolean worth_repeating(const GError *error)
{
	return !g_error_matches(error, POLDER_ERROR, POLDER_ERROR_INVALID) &&
	       !g_error_matches(error, POLDER_ERROR, POLDER_ERROR_TOO_LARGE);
}

static void answered(GObject *object, GAsyncResult *result, gpointer user_data)
{
	g_autofree struct flight *flight = user_data;
	g_autoptr(GHashTable) batch = NULL;
	g_autoptr(GError) error = NULL;
	struct writer *writer = flight->writer;
	struct store_txn_result *done;
	guint delay_ms = 0;

	if (!writer)
		return;
	writer->flight = NULL;
	done = store_txn_finish(writer->store, result, &error);
	batch = g_steal_pointer(&writer->under_way);
	if (done) {
		report_written(writer, batch);
	} else if (worth_repeating(error)) {
		g_debug("write status of %u objects: %s; trying again", g_hash_table_size(batch), error->message);
		take_back(writer, batch);
		delay_ms = RETRY_MS;
	} else {
		g_warning("write status of %u objects: %s", g_hash_table_size(batch), error->message);
	}
	if (done)
		store_txn_result_free(done);
	if (!writer->under_way && g_hash_table_size(writer->waiting))
		schedule(writer, delay_ms);
}

/* Moves keys from `waiting` into one transaction until it is full. */
static struct store_txn *next_batch(struct writer *writer)
{
	struct store_txn *txn = store_txn_new();
	GHashTableIter iter;
	gpointer key, value;
	gsize bytes = 0;

	writer->under_way = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_hash_table_iter_init(&iter, writer->waiting);
	while (g_hash_table_size(writer->under_way) < LIMIT_STORE_TXN_OPS && bytes < BATCH_BYTES &&
	       g_hash_table_iter_next(&iter, &key, &value)) {
		const struct writer_source *source = value;
		GBytes *bytes_now = source->value(key, source->user_data);

		if (bytes_now) {
			bytes += g_bytes_get_size(bytes_now);
			store_txn_put(txn, STORE_THEN, key, bytes_now, 0);
			g_bytes_unref(bytes_now);
		} else {
			store_txn_delete(txn, STORE_THEN, key);
		}
		g_hash_table_iter_steal(&iter);
		g_hash_table_insert(writer->under_way, key, value);
	}
	return txn;
}

static gboolean flush(gpointer user_data)
{
	struct writer *writer = user_data;

	g_clear_pointer(&writer->flush, g_source_unref);
	if (!writer->under_way && g_hash_table_size(writer->waiting)) {
		struct store_txn *txn = next_batch(writer);

		writer->flight = g_new0(struct flight, 1);
		writer->flight->writer = writer;
		store_txn_async(writer->store, txn, NULL, answered, writer->flight);
	}
	return G_SOURCE_REMOVE;
}

/* Below the priority of events: what happens in one turn of the loop ends up in one transaction. */
static void schedule(struct writer *writer, guint delay_ms)
{
	if (writer->flush)
		return;
	writer->flush = delay_ms ? g_timeout_source_new(delay_ms) : g_idle_source_new();
	g_source_set_priority(writer->flush, G_PRIORITY_HIGH_IDLE);
	g_source_set_callback(writer->flush, flush, writer, NULL);
	g_source_attach(writer->flush, g_main_context_get_thread_default());
}
