/* One request from its first header to its last byte of answer. */
#include <string.h>

#include "daemon/api/server.h"

/* A client that goes on sending a body that was refused is listened to this far, so that it reads the refusal instead of
 * a broken pipe; then it is cut off. Nothing of it is kept. */
#define DRAIN_BYTES_MAX (256ull * LIMIT_API_BODY_BYTES)

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
void request_over(struct request *request)
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

void request_pause(struct request *request)
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

void request_object(struct request *request, guint status, JsonObject *object)
{
	g_autoptr(JsonNode) node = json_node_init_object(json_node_alloc(), object);
	g_autofree char *text = json_to_string(node, FALSE);

	json_object_unref(object);
	request_json(request, status, g_string_new(text));
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

void request_started(SoupServer *server, SoupServerMessage *msg, gpointer user_data)
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
