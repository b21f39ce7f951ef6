#include "daemon/agent/host.h"

#include <string.h>

#include "daemon/model/error.h"

#define LEASE_MS      15000u
#define KEEP_ALIVE_MS 5000u
#define RETRY_MS      1000u

struct host_record {
	struct store *store;
	GBytes *value;
	char *key;
	guint lease_ms, keep_alive_ms;
	gint64 lease; /* 0: none */
	gboolean dirty;
	GSource *timer; /* keep alive, or try again */
	struct call *calls[3];
};

/* Answers may come after host_record_free(): `record` is NULL then. */
struct call {
	struct host_record *record;
	struct store *store;
	guint slot;
};

enum { CALL_GRANT, CALL_PUT, CALL_KEEP };

static void advance(struct host_record *record);

static struct call *call_new(struct host_record *record, guint slot)
{
	struct call *call = g_new0(struct call, 1);

	call->record = record;
	call->store = store_ref(record->store);
	call->slot = slot;
	record->calls[slot] = call;
	return call;
}

static struct host_record *call_end(struct call *call)
{
	struct host_record *record = call->record;

	if (record)
		record->calls[call->slot] = NULL;
	store_unref(call->store);
	g_free(call);
	return record;
}

static gboolean on_timer(gpointer user_data);

static void set_timer(struct host_record *record, guint delay_ms)
{
	if (record->timer) {
		g_source_destroy(record->timer);
		g_source_unref(record->timer);
	}
	record->timer = g_timeout_source_new(delay_ms);
	g_source_set_callback(record->timer, on_timer, record, NULL);
	g_source_attach(record->timer, g_main_context_get_thread_default());
}

static void granted(GObject *object, GAsyncResult *result, gpointer user_data)
{
	struct call *call = user_data;
	g_autoptr(GError) error = NULL;
	gint64 lease = store_lease_grant_finish(call->store, result, &error);
	struct host_record *record = call_end(call);

	if (!record)
		return;
	if (lease <= 0) {
		g_debug("lease of the host's record: %s", error->message);
		set_timer(record, RETRY_MS);
		return;
	}
	record->lease = lease;
	record->dirty = TRUE;
	set_timer(record, record->keep_alive_ms);
	advance(record);
}

static void put(GObject *object, GAsyncResult *result, gpointer user_data)
{
	struct call *call = user_data;
	g_autoptr(GError) error = NULL;
	struct store_txn_result *done = store_txn_finish(call->store, result, &error);
	struct host_record *record = call_end(call);

	if (done)
		store_txn_result_free(done);
	if (!record)
		return;
	if (error) {
		g_debug("write the host's record: %s", error->message);
		if (g_error_matches(error, POLDER_ERROR, POLDER_ERROR_NOT_FOUND))
			record->lease = 0;
		record->dirty = TRUE;
		set_timer(record, RETRY_MS);
		return;
	}
	advance(record);
}

static void kept(GObject *object, GAsyncResult *result, gpointer user_data)
{
	struct call *call = user_data;
	g_autoptr(GError) error = NULL;
	gboolean alive = store_lease_finish(call->store, result, &error);
	struct host_record *record = call_end(call);

	if (!record)
		return;
	if (!alive && g_error_matches(error, POLDER_ERROR, POLDER_ERROR_NOT_FOUND)) {
		g_message("the host's lease ran out (the machine slept?): writing its record anew");
		record->lease = 0;
	}
	set_timer(record, alive ? record->keep_alive_ms : RETRY_MS);
	advance(record);
}

/* Whatever is to do next and is not under way. */
static void advance(struct host_record *record)
{
	if (!record->value)
		return;
	if (!record->lease) {
		if (!record->calls[CALL_GRANT])
			store_lease_grant_async(record->store, record->lease_ms, NULL, granted,
						call_new(record, CALL_GRANT));
		return;
	}
	if (record->dirty && !record->calls[CALL_PUT]) {
		record->dirty = FALSE;
		store_put_async(record->store, record->key, record->value, record->lease, NULL, put,
				call_new(record, CALL_PUT));
	}
}

static gboolean on_timer(gpointer user_data)
{
	struct host_record *record = user_data;

	g_clear_pointer(&record->timer, g_source_unref);
	if (record->lease && !record->calls[CALL_KEEP])
		store_lease_keep_alive_async(record->store, record->lease, NULL, kept, call_new(record, CALL_KEEP));
	advance(record);
	return G_SOURCE_REMOVE;
}

struct host_record *host_record_new(struct store *store)
{
	struct host_record *record = g_new0(struct host_record, 1);

	record->store = store_ref(store);
	record->lease_ms = LEASE_MS;
	record->keep_alive_ms = KEEP_ALIVE_MS;
	return record;
}

void host_record_set_intervals(struct host_record *record, guint lease_ms, guint keep_alive_ms)
{
	record->lease_ms = lease_ms;
	record->keep_alive_ms = keep_alive_ms;
}

void host_record_publish(struct host_record *record, const struct host *host)
{
	char *json = noun_to_json(&host_noun, host);

	g_clear_pointer(&record->value, g_bytes_unref);
	record->value = g_bytes_new_take(json, strlen(json));
	g_free(record->key);
	record->key = g_strdup_printf("/host/%s", host->name);
	record->dirty = TRUE;
	advance(record);
}

void host_record_free(struct host_record *record)
{
	if (!record)
		return;
	for (guint i = 0; i < G_N_ELEMENTS(record->calls); i++) {
		if (record->calls[i])
			record->calls[i]->record = NULL;
	}
	if (record->timer) {
		g_source_destroy(record->timer);
		g_source_unref(record->timer);
	}
	g_clear_pointer(&record->value, g_bytes_unref);
	g_free(record->key);
	store_unref(record->store);
	g_free(record);
}
