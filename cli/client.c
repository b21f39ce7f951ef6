#include "cli/client.h"

#include <gio/gunixsocketaddress.h>
#include <stdio.h>
#include <string.h>

#include "cli/launch.h"
#include "cli/table.h"
#include "daemon/model/error.h"
#include "daemon/model/field.h"

struct client {
	struct launch launch;
	char *socket;
	char *notice; /* to print with the first answer */
	SoupSession *session;
};

static void session_init(struct client *client)
{
	g_autoptr(GSocketAddress) address = g_unix_socket_address_new(client->socket);

	/* Without a proxy resolver: looking for one loads every GIO module, longer than all of `polder ps` may take. */
	client->session = g_object_new(SOUP_TYPE_SESSION, "remote-connectable", address, "proxy-resolver", NULL,
				       "timeout", 0, "idle-timeout", 0, "user-agent", "polder/" POLDER_VERSION, NULL);
}

struct client *client_open_socket(const char *path)
{
	struct client *client = g_new0(struct client, 1);

	client->socket = g_strdup(path);
	session_init(client);
	return client;
}

struct client *client_open(const struct invocation *invocation, GError **error)
{
	struct client *client = g_new0(struct client, 1);
	const char *root = invocation_option(invocation, "root"), *socket = invocation_option(invocation, "socket");

	if (!launch_daemon(&client->launch, root, socket, error)) {
		client_close(client);
		return NULL;
	}
	client->socket = g_strdup(client->launch.dirs.socket);
	if (client->launch.started)
		client->notice = g_strdup_printf("polder: started the %s daemon (pid %d) on %s\n",
						 client->launch.dirs.system ? "system" : "user",
						 (int)client->launch.started, client->socket);
	session_init(client);
	return client;
}

void client_close(struct client *client)
{
	if (!client)
		return;
	g_clear_object(&client->session);
	g_free(client->socket);
	g_free(client->notice);
	launch_clear(&client->launch);
	g_free(client);
}

SoupSession *client_session(struct client *client)
{
	return client->session;
}

const char *client_socket(const struct client *client)
{
	return client->socket;
}

void client_answered(struct client *client)
{
	if (client->notice)
		fputs(client->notice, stderr);
	g_clear_pointer(&client->notice, g_free);
}

SoupMessage *client_message(struct client *client, const char *method, const char *path)
{
	g_autofree char *uri = g_strconcat("http://localhost", path, NULL);

	return soup_message_new(method, uri);
}

/* ---- errors ---- */

static const char *member_text(JsonObject *object, const char *name)
{
	JsonNode *node = json_object_get_member(object, name);

	return node && json_node_get_value_type(node) == G_TYPE_STRING ? json_node_get_string(node) : NULL;
}

static enum polder_error code_of_status(guint status)
{
	for (int code = 0; code < POLDER_ERROR_COUNT; code++)
		if (polder_error_info(code)->http_status == (int)status)
			return code;
	return status >= 400 && status < 500 ? POLDER_ERROR_INVALID : POLDER_ERROR_FAILED;
}

/* application/problem+json becomes a GError; anything else is told by its status. */
static void problem_to_error(guint status, const char *text, gsize bytes, GError **error)
{
	g_autoptr(JsonNode) node = json_parse_bounded(text, bytes, NULL);
	enum polder_error code = code_of_status(status);

	if (node && JSON_NODE_HOLDS_OBJECT(node)) {
		JsonObject *problem = json_node_get_object(node);
		const char *name = member_text(problem, "code"), *detail = member_text(problem, "detail");

		if (!detail)
			detail = member_text(problem, "title");
		if (detail) {
			g_set_error_literal(error, POLDER_ERROR, name ? (int)polder_error_from_name(name) : (int)code,
					    detail);
			return;
		}
	}
	g_set_error(error, POLDER_ERROR, code, "the daemon answered %u %s", status, soup_status_get_phrase(status));
}

static void connection_error(struct client *client, GError *cause, gboolean timed_out, GError **error)
{
	if (timed_out)
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_TIMEOUT,
			    "the daemon at %s did not answer in time: see 'polder version' and its log",
			    client->socket);
	else
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_UNAVAILABLE,
			    "the daemon at %s went away before it answered (%s): try again", client->socket,
			    cause->message);
	g_error_free(cause);
}

/* ---- calls ---- */

struct call {
	GMainLoop *loop;
	GCancellable *cancellable;
	GBytes *bytes;
	GError *error;
	gboolean timed_out;
};

static void call_done(GObject *source, GAsyncResult *result, gpointer user_data)
{
	struct call *call = user_data;

	call->bytes = soup_session_send_and_read_finish(SOUP_SESSION(source), result, &call->error);
	g_main_loop_quit(call->loop);
}

static gboolean call_too_late(gpointer user_data)
{
	struct call *call = user_data;

	call->timed_out = TRUE;
	g_cancellable_cancel(call->cancellable);
	return G_SOURCE_REMOVE;
}

static void set_body(SoupMessage *message, JsonNode *body)
{
	g_autofree char *text = json_to_string(body, FALSE);
	g_autoptr(GBytes) bytes = g_bytes_new(text, strlen(text));

	soup_message_set_request_body_from_bytes(message, "application/json", bytes);
}

static JsonNode *answer(struct client *client, SoupMessage *message, GBytes *bytes, GError **error)
{
	guint status = soup_message_get_status(message);
	gsize size;
	const char *text = g_bytes_get_data(bytes, &size);
	JsonNode *node;

	if (!SOUP_STATUS_IS_SUCCESSFUL(status)) {
		problem_to_error(status, text ? text : "", size, error);
		return NULL;
	}
	client_answered(client);
	if (!size) {
		g_autoptr(JsonObject) empty = json_object_new();

		return json_node_init_object(json_node_alloc(), empty);
	}
	node = json_parse_bounded(text, size, error);
	if (!node)
		g_prefix_error(error, "the daemon's answer: ");
	return node;
}

/* The daemon took the handshake: what follows is no answer. */
static void on_switching(SoupMessage *message, gpointer cancellable)
{
	if (soup_message_get_status(message) == SOUP_STATUS_SWITCHING_PROTOCOLS)
		g_cancellable_cancel(cancellable);
}

JsonNode *client_call(struct client *client, const struct client_request *request, GError **error)
{
	g_autoptr(SoupMessage) message = client_message(client, request->method, request->path);
	g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
	g_autoptr(GCancellable) cancellable = g_cancellable_new();
	struct call call = { .loop = loop, .cancellable = cancellable };
	guint timer;
	JsonNode *node;

	g_return_val_if_fail(message, NULL);
	if (request->body)
		set_body(message, request->body);
	if (request->handshake) {
		soup_websocket_client_prepare_handshake(message, NULL, NULL, NULL);
		g_signal_connect(message, "got-informational", G_CALLBACK(on_switching), cancellable);
	}
	timer = g_timeout_add((guint)MIN(request->wait_ms + CLIENT_TIMEOUT_MS, (guint64)G_MAXINT), call_too_late,
			      &call);
	soup_session_send_and_read_async(client->session, message, G_PRIORITY_DEFAULT, cancellable, call_done, &call);
	g_main_loop_run(loop);
	if (!call.timed_out)
		g_source_remove(timer);
	if (!call.bytes) {
		connection_error(client, call.error, call.timed_out, error);
		return NULL;
	}
	node = answer(client, message, call.bytes, error);
	g_bytes_unref(call.bytes);
	return node;
}

JsonNode *client_get(struct client *client, GError **error, const char *format, ...)
{
	g_autofree char *path = NULL;
	va_list args;

	va_start(args, format);
	path = g_strdup_vprintf(format, args);
	va_end(args);
	return client_call(client, &(struct client_request) { .method = "GET", .path = path }, error);
}

GInputStream *client_read(struct client *client, const char *path, GError **error)
{
	g_autoptr(SoupMessage) message = client_message(client, "GET", path);
	g_autoptr(GInputStream) stream = NULL;
	g_autoptr(GBytes) bytes = NULL;
	GError *cause = NULL;
	guint status;

	stream = soup_session_send(client->session, message, NULL, &cause);
	if (!stream) {
		connection_error(client, cause, FALSE, error);
		return NULL;
	}
	status = soup_message_get_status(message);
	if (SOUP_STATUS_IS_SUCCESSFUL(status)) {
		client_answered(client);
		return g_steal_pointer(&stream);
	}
	bytes = g_input_stream_read_bytes(stream, 65536, NULL, NULL);
	if (bytes)
		problem_to_error(status, g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), error);
	else
		problem_to_error(status, "", 0, error);
	return NULL;
}

static gboolean passed(gpointer loop)
{
	g_main_loop_quit(loop);
	return G_SOURCE_REMOVE;
}

void client_pass(guint milliseconds)
{
	g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);

	g_timeout_add(milliseconds, passed, loop);
	g_main_loop_run(loop);
}
