#include "daemon/api/change.h"

#include <string.h>

/* request->state. */
struct changing {
	const struct change *change;
	char *name;
	gint64 revision;
};

static void changing_free(gpointer data)
{
	struct changing *changing = data;

	g_free(changing->name);
	g_free(changing);
}

static gboolean seen(struct request *request)
{
	const struct changing *changing = request->state;

	if (store_cache_revision(request->api->config.cache) < changing->revision)
		return FALSE;
	changing->change->answer(request, changing->change->status, changing->name);
	return TRUE;
}

static void unseen(struct request *request)
{
	request_fail_new(request, POLDER_ERROR_TIMEOUT, "the store has not confirmed the change in time");
}

static void done(GObject *source, GAsyncResult *async, gpointer user_data)
{
	static const struct wait_funcs funcs = { .check = seen, .expired = unseen };
	struct request *request = user_data;
	struct changing *changing = request->state;
	g_autoptr(GError) error = NULL;
	struct store_txn_result *result = store_txn_finish(request->store, async, &error);

	if (!result) {
		g_prefix_error(&error, "%s %s: ", changing->change->doing, changing->name);
		request_fail(request, error);
	} else if (!result->succeeded) {
		request_fail_new(request, POLDER_ERROR_CONFLICT, "%s %s: %s", changing->change->doing, changing->name,
				 changing->change->conflict);
	} else {
		changing->revision = result->revision;
		wait_begin(request, changing->name, LIMIT_STORE_REQUEST_TIMEOUT_MS, &funcs);
	}
	if (result)
		store_txn_result_free(result);
	request_unref(request);
}

void change_commit(struct request *request, const struct change *change, const char *name, struct store_txn *txn)
{
	struct changing *changing = g_new0(struct changing, 1);

	changing->change = change;
	changing->name = g_strdup(name);
	request->state = changing;
	request->state_free = changing_free;
	store_txn_async(request->store, txn, NULL, done, request_ref(request));
}

struct store_txn *change_put(const char *key, gint64 mod_revision, const struct noun *noun, gconstpointer object)
{
	struct store_txn *txn = store_txn_new();
	char *text = noun_to_json(noun, object);
	g_autoptr(GBytes) value = g_bytes_new_take(text, strlen(text));

	store_txn_compare(txn, key, STORE_TARGET_MOD, STORE_EQUAL, mod_revision);
	store_txn_put(txn, STORE_THEN, key, value, 0);
	return txn;
}

struct store_txn *change_delete(const struct store_kv *kv)
{
	struct store_txn *txn = store_txn_new();

	store_txn_compare(txn, kv->key, STORE_TARGET_MOD, STORE_EQUAL, kv->mod_revision);
	store_txn_delete(txn, STORE_THEN, kv->key);
	return txn;
}

void answer_gone(struct request *request, guint status, const char *name)
{
	GString *out = g_string_new("{\"name\":");

	record_append_string(out, name);
	g_string_append(out, ",\"gone\":true}");
	request_json(request, status, out);
}
