/* The server's end of a WebSocket (RFC 6455) on a connection that was already upgraded. Ours and not libsoup's, because
 * libsoup 3.2 joins fragments without bound and does not tell how much it still has to send: here both are bounded.
 *
 * Binary messages only. Everything happens in the main loop; callbacks never run inside a call from outside. */
#pragma once

#include <gio/gio.h>

struct websocket;

struct websocket_funcs {
	void (*message)(const guint8 *data, gsize bytes, gpointer user_data);
	void (*drained)(gpointer user_data); /* what was queued has been sent */
	void (*closed)(gpointer user_data);  /* the client is gone, or broke the protocol: the last call */
};

/* websocket_new(stream, message_max, funcs, user_data): takes over `stream` (referenced). A message over `message_max`
 * bytes, fragments joined, closes the connection. */
struct websocket *websocket_new(GIOStream *stream, gsize message_max, const struct websocket_funcs *funcs,
				gpointer user_data);
/* websocket_close(websocket, code): send what is queued and a close frame, then end, in its own time. No callback after
 * this. NULL is fine. */
void websocket_close(struct websocket *websocket, guint16 code);

void websocket_send(struct websocket *websocket, const guint8 *data, gsize bytes);
gsize websocket_queued(const struct websocket *websocket); /* bytes not yet taken by the kernel */
void websocket_set_reading(struct websocket *websocket, gboolean reading);
