/* Many exec sessions over the one stream port of a guest (guest/protocol.h).
 *
 *   detached ──attach──▶ greeting (HELLO sent) ──the same nonce──▶ answered ──end of file, torn frame──▶ lost
 *
 * Whatever arrives before the answer is from another time and dropped. Windows are kept in both directions: a guest that
 * sends more than a window, or credit for what it was not sent, has that session ended. While the link is full nothing
 * more is read from clients. So memory is bounded by one window a session plus one queue a link. */
#pragma once

#include <glib.h>

#include "daemon/engine/qemu/client.h"

struct mux;

/* Called from the main loop, never inside a call of this file. */
struct mux_events {
	void (*answered)(gpointer user_data);
	/* The link is gone (fd closed, sessions ended with `reason`): attach again for another. */
	void (*lost)(const char *reason, gpointer user_data);
};

/* mux_new(events, user_data): detached. `events` must outlive it. */
struct mux *mux_new(const struct mux_events *events, gpointer user_data);

/* mux_free(mux): ends its sessions with `reason`. NULL mux is fine. */
void mux_free(struct mux *mux, const char *reason);

/* mux_attach(mux, fd): greet the guest on a connected stream socket, which is taken over. Detaches first. */
void mux_attach(struct mux *mux, int fd);

/* mux_detach(mux, reason): close the link and end its sessions; no lost event. */
void mux_detach(struct mux *mux, const char *reason);

/* mux_is_attached(mux): it has a link. mux_is_answered: and the guest answered its HELLO: sessions may be opened. */
gboolean mux_is_attached(const struct mux *mux);
gboolean mux_is_answered(const struct mux *mux);
/* mux_sessions(mux): how many are open. */
guint mux_sessions(const struct mux *mux);
gsize mux_queued(const struct mux *mux); /* bytes that wait for the guest to take them */

/* mux_open(mux, client, open_json): start a session (only when answered); takes the client over. `open_json` is at most
 * STREAM_PAYLOAD_MAX bytes. */
void mux_open(struct mux *mux, struct client *client, const char *open_json);
