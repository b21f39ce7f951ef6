/* Cutting the bytes of a stream port into frames. */
#pragma once

#include <glib.h>

#include "guest/protocol.h"

struct mux_frame {
	guint32 session;
	guint8 kind;
	const guint8 *payload; /* borrowed from the buffer */
	gsize bytes;
};

enum mux_frame_result {
	MUX_FRAME_COMPLETE,
	MUX_FRAME_PARTIAL, /* more bytes are needed */
	MUX_FRAME_TORN,    /* not a frame: the link lost its place */
};

/* mux_frame_next(data, bytes, frame, used): the frame at the start of `data`; *used are the bytes it takes. */
enum mux_frame_result mux_frame_next(const guint8 *data, gsize bytes, struct mux_frame *frame, gsize *used);

#define MUX_NONCE_BYTES        8u
#define MUX_HELLO_ANSWER_BYTES (sizeof(struct stream_header) + MUX_NONCE_BYTES + 4)

/* mux_frame_find_hello(data, bytes, nonce, end): look for the answer to a HELLO among anything. TRUE: *end is where the
 * bytes after it start. FALSE: *end bytes can be dropped; what follows may be the start of an answer. */
gboolean mux_frame_find_hello(const guint8 *data, gsize bytes, const guint8 nonce[MUX_NONCE_BYTES], gsize *end);

/* mux_frame_append(out, session, kind, payload, bytes): the frame's bytes. */
void mux_frame_append(GByteArray *out, guint32 session, guint8 kind, const void *payload, gsize bytes);
