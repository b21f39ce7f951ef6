/* Our end of one stream towards polderd: a SOCK_SEQPACKET socket of kind byte + payload, with both windows kept.
 *
 * The client's packets are checked here (kind, size, windows); the owner sees only good ones. Output is queued when the
 * socket is full; because data is only sent within the client's credit, a queue is at most about one window long. */
#pragma once

#include <glib.h>

#include "guest/protocol.h"

struct client;

/* Called from the main loop, never inside a call of this file. */
struct client_events {
	/* One of STDIN, STDIN_EOF, CREDIT, RESIZE, SIGNAL with the payload its kind demands. */
	void (*packet)(guint8 kind, const guint8 *payload, gsize bytes, gpointer user_data);
	/* The client went away, or broke the protocol (it was told). Nothing more is called; free the client. */
	void (*closed)(gpointer user_data);
};

/* client_new(peer_fd, error): a new stream; *peer_fd is the other end, the caller's. Reads nothing until bound. */
struct client *client_new(int *peer_fd, GError **error);

/* client_bind(client, events, user_data): from now on its packets go there. May be called again: a new owner. */
void client_bind(struct client *client, const struct client_events *events, gpointer user_data);

/* client_free(client): close at once; what is still queued is lost. NULL is fine. */
void client_free(struct client *client);

/* client_set_reading(client, reading): back-pressure: leave what the client sends in the socket. */
void client_set_reading(struct client *client, gboolean reading);

/* client_credit(client): bytes of STDOUT and STDERR it may be sent now. */
gsize client_credit(const struct client *client);

/* client_send(client, kind, payload, bytes): at most STREAM_PAYLOAD_MAX bytes; STDOUT and STDERR within client_credit. */
void client_send(struct client *client, guint8 kind, const void *payload, gsize bytes);
/* client_send_u32(client, kind, value): client_send() of 4 bytes, little-endian. */
void client_send_u32(struct client *client, guint8 kind, guint32 value);

/* client_consumed(client, bytes): `bytes` of its STDIN were consumed: gives CREDIT. FALSE (and nothing is sent): it has
 * not sent so many. */
gboolean client_consumed(struct client *client, gsize bytes);

/* client_exit, client_refuse: the last packet. The client is gone for its owner; it frees itself once its queue has been
 * taken, or when the peer goes. */
void client_exit(struct client *client, guint32 status);
void client_refuse(struct client *client, const char *reason);
