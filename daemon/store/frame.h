/* Private to the store: frames on the socket between remote.c and serve.c.
 *
 *   u32 payload bytes | u32 kind | u64 id | payload: GVariant of the kind's type, in normal form      (little endian)
 *
 * `id` names the request or the watch; the client chooses it, each once. Everything here takes what it reads as
 * hostile: a length is checked before anything is kept for it, a payload before anything is taken out of it. */
#pragma once

#include "daemon/store/backend.h"

#define STORE_FRAME_HEADER_BYTES 16u
/* A page or a transaction's answer may hold LIMIT_STORE_REQUEST_BYTES of keys and values, one entry of that size more,
 * and a few dozen bytes around each of its entries. */
#define STORE_FRAME_PAYLOAD_MAX_BYTES (4u << 20)

enum store_frame_kind {
	/* client to server */
	STORE_FRAME_TXN,
	STORE_FRAME_RANGE,
	STORE_FRAME_WATCH,
	STORE_FRAME_UNWATCH,
	STORE_FRAME_GRANT,
	STORE_FRAME_KEEP_ALIVE,
	STORE_FRAME_REVOKE,
	/* server to client */
	STORE_FRAME_ERROR,
	STORE_FRAME_TXN_DONE,
	STORE_FRAME_RANGE_DONE,
	STORE_FRAME_LEASE_DONE,
	STORE_FRAME_EVENTS,
	STORE_FRAME_COUNT
};

struct store_frame {
	enum store_frame_kind kind;
	guint64 id;
	GVariant *payload; /* of the kind's type, in normal form */
};
/* Takes a frame off the front of `data`: bytes used, 0 when it is not all there yet, -1 when it is none. */
gssize store_frame_parse(const guint8 *data, gsize len, struct store_frame *frame, GError **error);
void store_frame_clear(struct store_frame *frame);
/* Sinks payload. */
GBytes *store_frame_make(enum store_frame_kind kind, guint64 id, GVariant *payload);

/* ---- wire.c: payloads. A decoder that fails says INVALID, and has taken nothing. ---- */

GVariant *store_wire_txn(const struct store_txn *txn);
struct store_txn *store_wire_parse_txn(GVariant *payload, GError **error); /* shape only: store_txn_validate() it */

GVariant *store_wire_range(const struct store_span *span, gint64 revision, guint limit);
gboolean store_wire_parse_range(GVariant *payload, struct store_span *span, gint64 *revision, guint *limit,
				GError **error);
GVariant *store_wire_watch(const struct store_span *span, gint64 start_revision);
gboolean store_wire_parse_watch(GVariant *payload, struct store_span *span, gint64 *start_revision, GError **error);

GVariant *store_wire_error(const GError *error);
GError *store_wire_parse_error(GVariant *payload);

GVariant *store_wire_txn_done(const struct store_txn_result *result);
struct store_txn_result *store_wire_parse_txn_done(GVariant *payload, GError **error);
GVariant *store_wire_range_done(const struct store_range *range);
struct store_range *store_wire_parse_range_done(GVariant *payload, GError **error);

/* final: the revision is whole with these. Appends to events (store_events_new()'s kind). */
GVariant *store_wire_events(const struct store_event *events, guint n_events, gint64 revision, gboolean final);
gboolean store_wire_parse_events(GVariant *payload, GArray *events, gint64 *revision, gboolean *final, GError **error);

/* ---- link.c: frames over a non-blocking socket ---- */

struct store_link;
struct store_link_funcs {
	/* One frame came; borrowed. FALSE with error: the peer broke the protocol, the link closes. */
	gboolean (*frame)(const struct store_frame *frame, gpointer user_data, GError **error);
	/* All that was to be sent has been. May be NULL. */
	void (*drained)(gpointer user_data);
	/* The link is gone; called once, never from inside a call into the link. */
	void (*closed)(const GError *error, gpointer user_data);
};
/* Takes ownership of fd. */
struct store_link *store_link_new(int fd, const struct store_link_funcs *funcs, gpointer user_data);
void store_link_free(struct store_link *link); /* no callback follows; fine inside one */
/* Owns frame. `owner`: to name it to store_link_unsend(); may be NULL. */
void store_link_send(struct store_link *link, GBytes *frame, gpointer owner);
/* TRUE: no byte of the owner's frame was written, and none will be. */
gboolean store_link_unsend(struct store_link *link, gpointer owner);
gsize store_link_unsent_bytes(const struct store_link *link);
/* Stops reading, so that the peer has to wait. */
void store_link_pause(struct store_link *link, gboolean pause);
