/* Private to the streams: streams.c brings one about, stream_relay.c moves what it carries. */
#pragma once

#include "daemon/api/server.h"
#include "daemon/api/websocket.h"
#include "guest/protocol.h"

#define STREAM_PACKET_BYTES_MAX (STREAM_PAYLOAD_MAX + 1)

struct stream {
	guint refs;      /* one while open, one for each answer awaited */
	struct api *api; /* NULL: over */
	struct websocket *websocket;
	char *name, *uuid;
	gboolean exec, remove;
	char *open; /* exec: STREAM_OPEN's JSON; freed once the agent was asked */
	gboolean opened, opening;
	char *told; /* the last STREAM_STATUS */
	guint deadline;
	guint64 wait_ms;
	int fd; /* -1: not yet, or no more */
	guint read_source, write_source;
	GQueue unsent; /* of GBytes: packets that wait for the agent's socket. Before it is open the client's window
	                           * and EARLY_MAX bound them; afterwards reading from the client rests meanwhile */
	guint32 to_client, to_agent; /* data sent and not yet credited */
};

/* stream_over(stream, code): the end, from whichever side: `code` goes to the client unless it is the one who left (0). */
void stream_over(struct stream *stream, guint16 code);

/* stream_relay_begin(stream, fd): the agent's end is there (ownership moves). stream_relay_drained: the client took what
 * was queued for it. stream_relay_message: the client sent this. */
void stream_relay_begin(struct stream *stream, int fd);
void stream_relay_drained(struct stream *stream);
void stream_relay_message(struct stream *stream, const guint8 *message, gsize bytes);
