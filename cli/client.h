/* The daemon's API over its unix socket. */
#pragma once

#include <gio/gio.h>
#include <json-glib/json-glib.h>
#include <libsoup/soup.h>

#include "cli/command.h"

struct client;

/* client_open(invocation, error): to the daemon that --root and --socket choose, started if need be. */
struct client *client_open(const struct invocation *invocation, GError **error);

/* client_open_socket(path): to whoever listens on `path`. Never fails; the first call does. */
struct client *client_open_socket(const char *path);
void client_close(struct client *client); /* NULL is fine */

/* Calls that wait for the VM may take this much longer than the wait they ask for. */
#define CLIENT_TIMEOUT_MS 30000u

struct client_request {
	const char *method; /* "GET" */
	const char *path;   /* "/v1/vms", query included; names in it already checked */
	JsonNode *body;     /* borrowed; NULL: none */
	guint64 wait_ms;    /* what the request asks the daemon to wait */
	gboolean handshake; /* a WebSocket's, to be told why it was refused; an error too when it no longer is */
};

/* client_call(client, request, error): the answer's JSON, an empty object when it has none. Caller unrefs. A problem the
 * daemon answers becomes POLDER_ERROR with its code and detail; no answer at all POLDER_ERROR_UNAVAILABLE, and none in
 * time POLDER_ERROR_TIMEOUT. */
JsonNode *client_call(struct client *client, const struct client_request *request, GError **error);

/* client_get(client, error, format, …): client_call() with GET. */
JsonNode *client_get(struct client *client, GError **error, const char *format, ...) G_GNUC_PRINTF(3, 4);

/* client_read(client, path, error): the body of a GET as it comes, for logs and events. Caller unrefs. */
GInputStream *client_read(struct client *client, const char *path, GError **error);

/* client_session, client_message: for the WebSocket in stream.c. The message is the caller's. */
SoupSession *client_session(struct client *client);
SoupMessage *client_message(struct client *client, const char *method, const char *path);
const char *client_socket(const struct client *client);

/* client_answered(client): the daemon did what was asked. Now the line that tells about a daemon just started may be
 * printed: held back until here, so that an error stays one line. */
void client_answered(struct client *client);

/* client_pass(milliseconds): let time pass between two calls without missing what the session has to do. */
void client_pass(guint milliseconds);
