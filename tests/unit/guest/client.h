/* The host's end of the guest's ports, for tests: over a socket pair to agents in this process, or into a VM. */
#pragma once

#include <glib.h>
#include <gio/gio.h>
#include <json-glib/json-glib.h>

#include "guest/protocol.h"

#define CLIENT_TIMEOUT_S 20

struct client {
	int fd; /* non-blocking */
	GByteArray *in;
	void (*pump)(gpointer data); /* called while it waits: lets the other side work */
	gpointer data;
};

void client_init(struct client *client, int fd, void (*pump)(gpointer data), gpointer data);
void client_clear(struct client *client); /* closes fd */
void client_send(struct client *client, const void *bytes, gsize count);

/* ---- Guest agent ---- */
/* client_line: the next reply, parsed; its object is freed with g_object_unref of the parser. */
JsonObject *client_line(struct client *client, JsonParser *parser);
/* client_ask: send a request's text, return the reply. client_return: its "return" member as text for comparing. */
char *client_ask(struct client *client, const char *request);

/* ---- Streams ---- */
struct frame {
	struct stream_header header;
	guint8 payload[STREAM_PAYLOAD_MAX + 1]; /* NUL after it */
};
void client_frame_send(struct client *client, guint32 session, guint8 kind, const void *payload, gsize bytes);
void client_frame(struct client *client, struct frame *frame);
gboolean client_frame_pending(struct client *client); /* without waiting */
void client_hello(struct client *client, guint64 nonce);

/* Collects a session's output (giving credit) until it ends; returns its status, or -1 when it was refused (the reason is
 * then in `out`). `out` gets stdout, `err` stderr; either may be NULL. */
int client_collect(struct client *client, guint32 session, GString *out, GString *err);

/* Sends `bytes` through a `cat` of session `session`, keeping to the windows, and compares what comes back. */
void client_echo(struct client *client, guint32 session, gsize bytes, guint32 seed);
