#include "daemon/api/server.h"

#include <gio/gunixsocketaddress.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/model/units.h"

/* A client that goes on sending a body that was refused is listened to this far, so that it reads the refusal instead of
 * a broken pipe; then it is cut off. Nothing of it is kept. */
#define DRAIN_BYTES_MAX (256ull * LIMIT_API_BODY_BYTES)

#define GROUPS_MAX      1024
#define ACCEPTS_AT_ONCE 16 /* then others have their turn */
#define ACCEPT_PAUSE_MS 200

/* ---- Who is at the other end ---- */

/* One connection; hangs on its remote address, which libsoup hands out with every message. */
struct peer {
	GSocket *socket;
	guint64 uid;
	gboolean allowed;
};

static void peer_free(gpointer data)
{
	struct peer *peer = data;

	g_object_unref(peer->socket);
	g_free(peer);
}

static gboolean peer_in_group(int fd, gid_t primary, guint64 wanted)
{
	gid_t groups[GROUPS_MAX];
	socklen_t bytes = sizeof(groups);

	if (wanted == (guint64)-1)
		return FALSE;
	if (primary == wanted)
		return TRUE;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &bytes) < 0)
		return FALSE;
	for (gsize i = 0; i < bytes / sizeof(*groups); i++) {
		if (groups[i] == wanted)
			return TRUE;
	}
	return FALSE;
}

static struct peer *peer_new(struct api *api, GSocket *socket)
{
	struct peer *peer = g_new0(struct peer, 1);
	struct ucred cred = { .uid = (uid_t)-1 };
	socklen_t bytes = sizeof(cred);
	int fd = g_socket_get_fd(socket);

	peer->socket = g_object_ref(socket);
	peer->uid = (guint64)-1;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &bytes) == 0) {
		peer->uid = cred.uid;
		peer->allowed = cred.uid == 0 || cred.uid == api->config.owner_uid ||
				peer_in_group(fd, cred.gid, api->config.group_gid);
	}
	return peer;
}

static struct peer *peer_of(SoupServerMessage *msg)
{
	return g_object_get_data(G_OBJECT(soup_server_message_get_remote_address(msg)), "polder-peer");
}

/* ---- Accepting. Ours and not libsoup's listener, which in 3.2.3 (Debian 12) leaks every socket that it accepts. ---- */

static void connection_gone(gpointer data)
{
	guint *connections = data;

	(*connections)--;
	g_rc_box_release(connections);
}

static void turn_away(GSocket *socket)
{
	static const char full[] = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n"
				   "Content-Type: application/problem+json\r\n\r\n"
				   "{\"type\":\"about:blank\",\"title\":\"Unavailable\",\"status\":503,"
				   "\"code\":\"unavailable\",\"detail\":\"too many connections: close some\"}\n";

	/* Whether it hears us does not matter: the connection ends either way. */
	if (send(g_socket_get_fd(socket), full, strlen(full), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		g_debug("a client over the limit did not hear why");
}

static void take_connection(struct api *api, GSocket *socket)
{
	g_autoptr(GSocketConnection) stream = NULL;
	/* libsoup keeps them for messages and takes the local one for an internet address (HTTP/1.0 without a Host). */
	g_autoptr(GSocketAddress) local = g_inet_socket_address_new_from_string("127.0.0.1", 0);
	g_autoptr(GSocketAddress) remote = g_unix_socket_address_new("client");
	g_autoptr(GError) error = NULL;

	if (*api->connections >= LIMIT_API_CONNECTIONS) {
		turn_away(socket);
		return;
	}
	(*api->connections)++;
	g_object_set_data_full(G_OBJECT(socket), "polder-connection", g_rc_box_acquire(api->connections),
			       connection_gone);
	g_object_set_data_full(G_OBJECT(remote), "polder-peer", peer_new(api, socket), peer_free);
	stream = g_socket_connection_factory_create_connection(socket);
	if (!soup_server_accept_iostream(api->server, G_IO_STREAM(stream), local, remote, &error))
		g_warning("a client's connection: %s", error->message);
}

static gboolean on_acceptable(GSocket *listening, GIOCondition condition, gpointer user_data);

static void accept_again(struct api *api)
{
	api->accept_source = g_socket_create_source(api->listening, G_IO_IN, NULL);
	g_source_set_callback(api->accept_source, G_SOURCE_FUNC(on_acceptable), api, NULL);
	g_source_attach(api->accept_source, NULL);
}

static gboolean accept_later(gpointer user_data)
{
	struct api *api = user_data;

	api->accept_pause = 0;
	accept_again(api);
	return G_SOURCE_REMOVE;
}

static gboolean on_acceptable(GSocket *listening, GIOCondition condition, gpointer user_data)
{
	struct api *api = user_data;

	for (guint i = 0; i < ACCEPTS_AT_ONCE; i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(GSocket) socket = g_socket_accept(listening, NULL, &error);

		if (socket) {
			take_connection(api, socket);
			continue;
		}
		if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
			break;
		/* Out of file descriptors, most likely: the client stays in the queue. */
		g_warning("accept a client: %s; trying again", error->message);
		g_clear_pointer(&api->accept_source, g_source_unref);
		api->accept_pause = g_timeout_add(ACCEPT_PAUSE_MS, accept_later, api);
		return G_SOURCE_REMOVE;
	}
	return G_SOURCE_CONTINUE;
}

guint api_connections(const struct api *api)
{
	return *api->connections;
}

/* ---- Requests ---- */

struct request *request_ref(struct request *request)
{
	request->refs++;
	return request;
}

void request_unref(struct request *request)
{
	if (--request->refs)
		return;
	if (request->state_free)
		request->state_free(request->state);
	g_clear_pointer(&request->query, g_hash_table_unref);
	g_clear_pointer(&request->body, g_byte_array_unref);
	g_free(request->name);
	store_unref(request->store);
	g_free(request);
}

/* The client is gone, or has all of its answer. */
static void request_over(struct request *request)
{
	struct api *api = request->api;

	if (!api)
		return;
	if (request->hangup) {
		g_source_destroy(request->hangup);
		g_clear_pointer(&request->hangup, g_source_unref);
	}
	waits_forget(request);
	if (request->gone) {
		void (*gone)(struct request *) = request->gone;

		request->gone = NULL;
		gone(request);
	}
	g_signal_handlers_disconnect_by_data(request->msg, request);
	g_clear_object(&request->msg);
	request->api = NULL;
	g_hash_table_remove(api->requests, request);
	request_unref(request);
}

void request_detach(struct request *request)
{
	request->gone = NULL;
	request_over(request);
}

void request_cut(struct request *request)
{
	if (request->msg)
		g_socket_shutdown(peer_of(request->msg)->socket, TRUE, TRUE, NULL);
}

static void on_finished(SoupServerMessage *msg, gpointer user_data)
{
	request_over(user_data);
}

/* libsoup does not read while a message is paused, or while it has no next chunk to write, and so would not notice: have
 * it write, which fails, and so ends the connection. */
static gboolean on_hangup(GSocket *socket, GIOCondition condition, gpointer user_data)
{
	struct request *request = user_data;
	g_autoptr(SoupServerMessage) msg = g_object_ref(request->msg);

	request_over(request);
	if (soup_server_message_get_status(msg) == 0)
		soup_server_message_set_status(msg, SOUP_STATUS_INTERNAL_SERVER_ERROR, NULL);
	soup_message_body_complete(soup_server_message_get_response_body(msg));
	soup_server_message_unpause(msg);
	return G_SOURCE_REMOVE;
}

static void request_watch_hangup(struct request *request)
{
	if (request->hangup || !request->msg)
		return;
	request->hangup = g_socket_create_source(peer_of(request->msg)->socket, G_IO_HUP, NULL);
	g_source_set_callback(request->hangup, G_SOURCE_FUNC(on_hangup), request, NULL);
	g_source_attach(request->hangup, NULL);
}

static void request_pause(struct request *request)
{
	if (request->paused || !request->msg)
		return;
	request->paused = TRUE;
	soup_server_message_pause(request->msg);
	request_watch_hangup(request);
}

static void request_unpause(struct request *request)
{
	if (!request->paused)
		return;
	request->paused = FALSE;
	soup_server_message_unpause(request->msg);
}

/* One request a connection: libsoup 3.2.3 never lets go of a kept-alive connection that its client has left (fixed by its
 * commit d20c6601). On a unix socket a new connection costs microseconds. */
static void close_afterwards(struct request *request)
{
	soup_message_headers_replace(soup_server_message_get_response_headers(request->msg), "Connection", "close");
}

void request_text(struct request *request, guint status, const char *content_type, GString *text)
{
	gsize bytes = text->len;
	char *data = g_string_free(text, FALSE);

	if (!request->api || request->answered) {
		g_free(data);
		return;
	}
	request->answered = TRUE;
	request->gone = NULL;
	request->api->answered[MIN(status / 100, 5)]++;
	if (request->hangup) {
		g_source_destroy(request->hangup);
		g_clear_pointer(&request->hangup, g_source_unref);
	}
	close_afterwards(request);
	soup_server_message_set_status(request->msg, status, NULL);
	soup_server_message_set_response(request->msg, content_type, SOUP_MEMORY_TAKE, data, bytes);
	request_unpause(request);
}

void request_json(struct request *request, guint status, GString *text)
{
	g_string_append_c(text, '\n');
	request_text(request, status, "application/json", text);
}

void request_begin_chunks(struct request *request, const char *content_type)
{
	SoupMessageHeaders *headers = soup_server_message_get_response_headers(request->msg);

	request->answered = TRUE;
	request->api->answered[2]++;
	close_afterwards(request);
	soup_server_message_set_status(request->msg, SOUP_STATUS_OK, NULL);
	soup_message_headers_set_encoding(headers, SOUP_ENCODING_CHUNKED);
	soup_message_headers_set_content_type(headers, content_type, NULL);
	soup_message_body_set_accumulate(soup_server_message_get_response_body(request->msg), FALSE);
	request_unpause(request);
	request_watch_hangup(request);
}

void request_chunk(struct request *request, GBytes *chunk)
{
	if (!request->msg || g_bytes_get_size(chunk) == 0)
		return;
	soup_message_body_append_bytes(soup_server_message_get_response_body(request->msg), chunk);
	/* libsoup pauses by itself when it has written all there is. */
	soup_server_message_unpause(request->msg);
}

void request_end_chunks(struct request *request)
{
	if (!request->msg)
		return;
	soup_message_body_complete(soup_server_message_get_response_body(request->msg));
	soup_server_message_unpause(request->msg);
}

/* ---- Receiving: the limits hold while the body comes in ---- */

static void refuse_body(struct request *request)
{
	g_byte_array_set_size(request->body, 0);
	request_fail_new(request, POLDER_ERROR_TOO_LARGE, "the request's body is over %u bytes", LIMIT_API_BODY_BYTES);
}

static void on_got_chunk(SoupServerMessage *msg, GBytes *chunk, gpointer user_data)
{
	struct request *request = user_data;
	gsize bytes = g_bytes_get_size(chunk);

	request->received += bytes;
	if (request->received > DRAIN_BYTES_MAX) {
		request_cut(request);
	} else if (!request->answered) {
		if (request->received > LIMIT_API_BODY_BYTES)
			refuse_body(request);
		else
			g_byte_array_append(request->body, g_bytes_get_data(chunk, NULL), (guint)bytes);
	}
}

static void on_got_headers(SoupServerMessage *msg, gpointer user_data)
{
	struct api *api = user_data;
	SoupMessageHeaders *headers = soup_server_message_get_request_headers(msg);
	const struct peer *peer = peer_of(msg);
	struct request *request;

	if (soup_server_message_get_status(msg) != 0)
		return;
	soup_message_body_truncate(soup_server_message_get_response_body(msg));
	soup_message_headers_remove(soup_server_message_get_response_headers(msg), "Content-Type");
	request = g_new0(struct request, 1);
	request->refs = 1;
	request->api = api;
	request->store = store_ref(api->config.store);
	request->msg = g_object_ref(msg);
	request->body = g_byte_array_new();
	request->peer_uid = peer->uid;
	g_hash_table_add(api->requests, request);
	g_object_set_data(G_OBJECT(msg), "polder-request", request);
	soup_message_body_set_accumulate(soup_server_message_get_request_body(msg), FALSE);
	g_signal_connect(msg, "got-chunk", G_CALLBACK(on_got_chunk), request);
	g_signal_connect(msg, "finished", G_CALLBACK(on_finished), request);

	if (!peer->allowed)
		request_fail_new(request, POLDER_ERROR_DENIED,
				 "user %" G_GUINT64_FORMAT " may not use this daemon: become a member of group %s",
				 peer->uid, "polder");
	else if (soup_message_headers_get_encoding(headers) == SOUP_ENCODING_CONTENT_LENGTH &&
		 soup_message_headers_get_content_length(headers) > (goffset)LIMIT_API_BODY_BYTES)
		refuse_body(request);
}

static void on_request_started(SoupServer *server, SoupServerMessage *msg, gpointer user_data)
{
	static const char malformed[] =
		"{\"type\":\"about:blank\",\"title\":\"Invalid request\",\"status\":400,\"code\":\"invalid\","
		"\"detail\":\"this is no HTTP request that can be understood: it needs a valid path and a Host "
		"header\"}\n";

	/* What libsoup refuses by itself, before any handler: on_got_headers() takes it back for the others. */
	soup_server_message_set_response(msg, "application/problem+json", SOUP_MEMORY_STATIC, malformed,
					 strlen(malformed));
	g_signal_connect(msg, "got-headers", G_CALLBACK(on_got_headers), user_data);
}

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
	g_signal_connect(api->server, "request-started", G_CALLBACK(on_request_started), api);
	api->listening = g_object_ref(listening);
	accept_again(api);
	return api;
}

void api_free(struct api *api)
{
	GHashTableIter iter;
	gpointer request;

	if (!api)
		return;
	if (api->accept_source) {
		g_source_destroy(api->accept_source);
		g_source_unref(api->accept_source);
	}
	g_clear_handle_id(&api->accept_pause, g_source_remove);
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
