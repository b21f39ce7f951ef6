/* Requests that wait for a change, and the leases that requests and streams keep alive. */
#include "daemon/api/server.h"

struct wait {
	struct request *request; /* holds a reference */
	const struct wait_funcs *funcs;
	char *name;
	guint timeout;
	gboolean over; /* done, still in its list */
};

static void wait_free(gpointer data)
{
	struct wait *wait = data;

	g_clear_handle_id(&wait->timeout, g_source_remove);
	request_unref(wait->request);
	g_free(wait->name);
	g_free(wait);
}

void wait_list_free(gpointer list)
{
	g_ptr_array_unref(list);
}

/* Drop what is over from the list of `name`. Never while that list is walked. */
static void waits_sweep(struct api *api, const char *name)
{
	GPtrArray *list = g_hash_table_lookup(api->waits, name);

	if (!list)
		return;
	for (guint i = list->len; i > 0; i--) {
		const struct wait *wait = g_ptr_array_index(list, i - 1);

		if (wait->over)
			g_ptr_array_remove_index_fast(list, i - 1);
	}
	if (list->len == 0)
		g_hash_table_remove(api->waits, name);
}

static gboolean on_timeout(gpointer user_data)
{
	struct wait *wait = user_data;
	struct request *request = request_ref(wait->request);
	const struct wait_funcs *funcs = wait->funcs;
	g_autofree char *name = g_strdup(wait->name);

	wait->timeout = 0;
	wait->over = TRUE;
	if (request->api) {
		waits_sweep(request->api, name); /* frees `wait` */
		funcs->expired(request);
	}
	request_unref(request);
	return G_SOURCE_REMOVE;
}

void wait_begin(struct request *request, const char *name, guint64 timeout_ms, const struct wait_funcs *funcs)
{
	struct api *api = request->api;
	struct wait *wait;
	GPtrArray *list;

	if (!api || funcs->check(request))
		return;
	wait = g_new0(struct wait, 1);
	wait->request = request_ref(request);
	wait->funcs = funcs;
	wait->name = g_strdup(name);
	wait->timeout = g_timeout_add((guint)MIN(timeout_ms, G_MAXINT), on_timeout, wait);
	list = g_hash_table_lookup(api->waits, name);
	if (!list) {
		list = g_ptr_array_new_with_free_func(wait_free);
		g_hash_table_insert(api->waits, g_strdup(name), list);
	}
	g_ptr_array_add(list, wait);
}

void waits_touch(struct api *api, const char *name)
{
	if (g_hash_table_contains(api->waits, name))
		g_hash_table_add(api->touched, g_strdup(name));
}

void waits_settle(struct api *api)
{
	g_autoptr(GHashTable) touched = NULL;
	GHashTableIter iter;
	gpointer name;

	if (g_hash_table_size(api->touched) == 0)
		return;
	touched = g_steal_pointer(&api->touched);
	api->touched = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_hash_table_iter_init(&iter, touched);
	while (g_hash_table_iter_next(&iter, &name, NULL)) {
		GPtrArray *list = g_hash_table_lookup(api->waits, name);

		/* A check may begin another wait on the same name: the list grows at its end. */
		for (guint i = 0; list && i < list->len; i++) {
			struct wait *wait = g_ptr_array_index(list, i);

			if (!wait->over && (!wait->request->api || wait->funcs->check(wait->request)))
				wait->over = TRUE;
		}
		waits_sweep(api, name);
	}
}

void waits_forget(struct request *request)
{
	struct api *api = request->api;
	GHashTableIter iter;
	gpointer name, list;
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);

	/* Few requests wait at a time (at most LIMIT_API_CONNECTIONS): no index by request is kept. */
	g_hash_table_iter_init(&iter, api->waits);
	while (g_hash_table_iter_next(&iter, &name, &list)) {
		for (guint i = 0; i < ((GPtrArray *)list)->len; i++) {
			struct wait *wait = g_ptr_array_index((GPtrArray *)list, i);

			if (wait->request != request)
				continue;
			wait->over = TRUE;
			g_ptr_array_add(names, g_strdup(name));
		}
	}
	for (guint i = 0; i < names->len; i++)
		waits_sweep(api, g_ptr_array_index(names, i));
}

/* ---- Ephemeral leases ---- */

static gboolean hold_tick(gpointer user_data)
{
	struct api *api = user_data;
	GHashTableIter iter;
	gpointer name;

	if (g_hash_table_size(api->held) == 0) {
		api->hold_source = 0;
		return G_SOURCE_REMOVE;
	}
	g_hash_table_iter_init(&iter, api->held);
	while (g_hash_table_iter_next(&iter, &name, NULL)) {
		const struct store_kv *vm = api_get(api, "vm", name);

		if (vm && vm->lease)
			store_lease_keep_alive_async(api->config.store, vm->lease, NULL, NULL, NULL);
	}
	return G_SOURCE_CONTINUE;
}

void hold_begin(struct api *api, const char *name)
{
	guint count = GPOINTER_TO_UINT(g_hash_table_lookup(api->held, name));
	const struct store_kv *vm = api_get(api, "vm", name);

	g_hash_table_insert(api->held, g_strdup(name), GUINT_TO_POINTER(count + 1));
	if (!api->hold_source)
		api->hold_source = g_timeout_add(api->config.lease_ms / 3, hold_tick, api);
	if (vm && vm->lease)
		store_lease_keep_alive_async(api->config.store, vm->lease, NULL, NULL, NULL);
}

void hold_end(struct api *api, const char *name)
{
	guint count = GPOINTER_TO_UINT(g_hash_table_lookup(api->held, name));
	const struct store_kv *vm = api_get(api, "vm", name);

	if (count > 1)
		g_hash_table_insert(api->held, g_strdup(name), GUINT_TO_POINTER(count - 1));
	else
		g_hash_table_remove(api->held, name);
	/* Its full time from now on. */
	if (vm && vm->lease)
		store_lease_keep_alive_async(api->config.store, vm->lease, NULL, NULL, NULL);
}
