#include "daemon/api/server.h"

#include <string.h>

#include "daemon/model/units.h"

/* ---- Dispatch ---- */

/* The route of the request; NULL after answering 404 or 405. */
static const struct route *find_route(struct request *request, const char *path)
{
	const char *method = soup_server_message_get_method(request->msg);
	g_autoptr(GString) methods = g_string_new(NULL);

	for (gsize i = 0; i < n_routes; i++) {
		g_autofree char *name = NULL;

		if (!path_match(routes[i].path, path, &name))
			continue;
		if (strcmp(routes[i].method, method) == 0) {
			request->name = g_steal_pointer(&name);
			return &routes[i];
		}
		g_string_append_printf(methods, "%s%s", methods->len ? ", " : "", routes[i].method);
	}
	if (methods->len) {
		g_autofree char *detail = g_strdup_printf("this path takes %s", methods->str);

		soup_message_headers_append(soup_server_message_get_response_headers(request->msg), "Allow",
					    methods->str);
		request_problem(request, 405, "Method not allowed", POLDER_ERROR_INVALID, detail);
	} else {
		request_fail_new(request, POLDER_ERROR_NOT_FOUND,
				 "there is no such path: see /v1/openapi.yaml for those there are");
	}
	return NULL;
}

static gboolean check_request(struct request *request, GError **error)
{
	const struct route *route = request->route;
	const char *query = g_uri_get_query(soup_server_message_get_uri(request->msg));

	if (request->name && !name_check(request->name, error))
		return FALSE;
	request->query = query_parse(query, route->query, error);
	if (!request->query)
		return FALSE;
	if (route->body == BODY_NONE && request->body->len)
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID, "%s %s takes no body", route->method,
			    route->path);
	else if (route->body == BODY_REQUIRED && !request->body->len)
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID, "%s %s needs a JSON body", route->method,
			    route->path);
	else
		return TRUE;
	return FALSE;
}

static void on_request(SoupServer *server, SoupServerMessage *msg, const char *path, GHashTable *form,
		       gpointer user_data)
{
	struct request *request = g_object_get_data(G_OBJECT(msg), "polder-request");
	g_autoptr(GError) error = NULL;

	if (!request || !request->api)
		return;
	request_ref(request);
	request->route = find_route(request, path);
	if (request->route && !check_request(request, &error))
		request_fail(request, error);
	else if (request->route)
		request->route->handle(request);
	/* What a handler has not answered it will answer later. */
	if (request->api && !request->answered && soup_server_message_get_status(msg) == 0)
		request_pause(request);
	request_unref(request);
}

/* ---- The server ---- */

struct api *api_new(const struct api_config *config, GSocket *listening)
{
	struct api *api = g_new0(struct api, 1);

	api->config = *config;
	if (!api->config.lease_ms)
		api->config.lease_ms = LIMIT_EPHEMERAL_LEASE_MS;
	api->connections = g_rc_box_new0(guint);
	api->requests = g_hash_table_new(NULL, NULL);
	api->waits = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, wait_list_free);
	api->touched = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	api->held = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	api->watchers = g_ptr_array_new();
	api->streams = g_hash_table_new(NULL, NULL);
	api->revision = store_cache_revision(config->cache);
	api->started_at = g_get_real_time();
	/* Paths stay as sent: decoding comes after they are taken apart, so that no "%2f" makes a new component. */
	api->server = soup_server_new("raw-paths", TRUE, NULL);
	soup_server_add_handler(api->server, NULL, on_request, api, NULL);
	g_signal_connect(api->server, "request-started", G_CALLBACK(request_started), api);
	api->listening = g_object_ref(listening);
	accept_begin(api);
	return api;
}

void api_free(struct api *api)
{
	GHashTableIter iter;
	gpointer request;

	if (!api)
		return;
	accept_end(api);
	g_object_unref(api->listening);
	g_signal_handlers_disconnect_by_data(api->server, api);
	streams_close_all(api);
	g_hash_table_iter_init(&iter, api->requests);
	while (g_hash_table_iter_next(&iter, &request, NULL)) {
		request_cut(request);
		request_over(request);
		g_hash_table_iter_init(&iter, api->requests);
	}
	soup_server_disconnect(api->server);
	g_object_unref(api->server);
	g_clear_handle_id(&api->hold_source, g_source_remove);
	g_hash_table_unref(api->requests);
	g_hash_table_unref(api->waits);
	g_hash_table_unref(api->touched);
	g_hash_table_unref(api->held);
	g_ptr_array_unref(api->watchers);
	g_hash_table_unref(api->streams);
	g_rc_box_release(api->connections);
	g_free(api);
}

static const char *name_in_key(const char *key)
{
	const char *slash = *key == '/' ? strchr(key + 1, '/') : NULL;

	return slash ? slash + 1 : key;
}

void api_changed(struct api *api, const struct store_kv *before, const struct store_kv *now, gint64 revision)
{
	waits_touch(api, name_in_key(now ? now->key : before->key));
	events_changed(api, before, now, revision);
}

void api_settled(struct api *api, gint64 revision)
{
	api->revision = revision;
	waits_settle(api);
	streams_settled(api);
}

const struct store_kv *api_get(const struct api *api, const char *kind, const char *name)
{
	g_autofree char *key = g_strconcat("/", kind, "/", name, NULL);

	return store_cache_get(api->config.cache, key);
}

gboolean api_parse(const struct noun *noun, const struct store_kv *kv, gpointer object, GError **error)
{
	gsize bytes;
	const char *text = g_bytes_get_data(kv->value, &bytes);
	g_autoptr(GError) why = NULL;

	if (noun_from_json(noun, object, text, bytes, NOUN_FROM_STORE, &why))
		return TRUE;
	g_set_error(error, POLDER_ERROR, POLDER_ERROR_CORRUPT, "the stored record %s is malformed: %s", kv->key,
		    why->message);
	return FALSE;
}
