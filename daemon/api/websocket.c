#include "daemon/api/websocket.h"

#include <string.h>

#include "daemon/model/source.h"

#define READ_BYTES        16384u
#define LINGER_MS         5000u /* for a client that does not read our last words */
#define CONTROL_BYTES_MAX 125u  /* RFC 6455, 5.5 */
#define TRIM_BYTES        65536u
#define PONG_QUEUE_MAX    65536u /* pings beyond this backlog are not answered */

enum opcode { OP_CONTINUATION = 0, OP_TEXT = 1, OP_BINARY = 2, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };
enum { CLOSE_PROTOCOL = 1002, CLOSE_UNSUPPORTED = 1003, CLOSE_TOO_BIG = 1009 };

struct websocket {
	GIOStream *stream;
	GPollableInputStream *in;
	GPollableOutputStream *out;
	gsize message_max;
	struct websocket_funcs funcs;
	gpointer user_data;
	GByteArray *received; /* not yet a whole frame */
	GByteArray *message;  /* fragments so far */
	gboolean fragmented;
	GByteArray *queue; /* to be sent, from `sent` on */
	gsize sent;
	GSource *read_source, *write_source;
	guint linger;
	/* No callback any more. Ends when the queue is sent and the client has closed too: closing a socket while the client
	 * still sends would reset it, and cost the client our last words. */
	gboolean closing, peer_closed;
	gboolean reading;
};

static void arm_read(struct websocket *websocket);
static void arm_write(struct websocket *websocket);

static void websocket_free(struct websocket *websocket)
{
	source_clear(&websocket->read_source);
	source_clear(&websocket->write_source);
	g_clear_handle_id(&websocket->linger, g_source_remove);
	g_io_stream_close(websocket->stream, NULL, NULL);
	g_object_unref(websocket->stream);
	g_byte_array_unref(websocket->received);
	g_byte_array_unref(websocket->message);
	g_byte_array_unref(websocket->queue);
	g_free(websocket);
}

static void free_if_closed(struct websocket *websocket)
{
	if (websocket->closing && websocket->peer_closed && websocket_queued(websocket) == 0)
		websocket_free(websocket);
}

/* The connection failed or the client left. */
static void lost(struct websocket *websocket)
{
	if (!websocket->closing) {
		websocket->closing = TRUE;
		websocket->funcs.closed(websocket->user_data);
	}
	websocket_free(websocket);
}

static void queue_frame(struct websocket *websocket, enum opcode opcode, const guint8 *data, gsize bytes)
{
	guint8 header[10] = { (guint8)(0x80 | opcode) };
	guint header_bytes = 2;

	if (bytes < 126) {
		header[1] = (guint8)bytes;
	} else if (bytes < 65536) {
		header[1] = 126;
		header[2] = (guint8)(bytes >> 8);
		header[3] = (guint8)bytes;
		header_bytes = 4;
	} else {
		guint64 big = GUINT64_TO_BE((guint64)bytes);

		header[1] = 127;
		memcpy(header + 2, &big, sizeof(big));
		header_bytes = 10;
	}
	g_byte_array_append(websocket->queue, header, header_bytes);
	g_byte_array_append(websocket->queue, data, (guint)bytes);
	arm_write(websocket);
}

static gboolean on_linger(gpointer user_data)
{
	struct websocket *websocket = user_data;

	websocket->linger = 0;
	websocket_free(websocket);
	return G_SOURCE_REMOVE;
}

void websocket_close(struct websocket *websocket, guint16 code)
{
	guint8 payload[2] = { (guint8)(code >> 8), (guint8)code };

	if (!websocket || websocket->closing)
		return;
	queue_frame(websocket, OP_CLOSE, payload, sizeof(payload));
	websocket->closing = TRUE;
	arm_read(websocket);
	websocket->linger = g_timeout_add(LINGER_MS, on_linger, websocket);
}

/* Tell the client why, tell our owner that it is over. */
static void broken(struct websocket *websocket, guint16 code)
{
	guint8 payload[2] = { (guint8)(code >> 8), (guint8)code };

	websocket->peer_closed = TRUE;
	if (websocket->closing)
		return;
	queue_frame(websocket, OP_CLOSE, payload, sizeof(payload));
	websocket->closing = TRUE;
	websocket->linger = g_timeout_add(LINGER_MS, on_linger, websocket);
	websocket->funcs.closed(websocket->user_data);
}

static void deliver(struct websocket *websocket, enum opcode opcode, const guint8 *data, gsize bytes, gboolean last)
{
	if (websocket->closing) {
		websocket->peer_closed |= opcode == OP_CLOSE;
		return;
	}
	switch (opcode) {
	case OP_PING:
		if (websocket_queued(websocket) < PONG_QUEUE_MAX)
			queue_frame(websocket, OP_PONG, data, bytes);
		return;
	case OP_PONG:
		return;
	case OP_CLOSE:
		broken(websocket, 1000);
		return;
	case OP_BINARY:
	case OP_CONTINUATION:
		break;
	default:
		broken(websocket, CLOSE_UNSUPPORTED);
		return;
	}
	if ((opcode == OP_CONTINUATION) != websocket->fragmented) {
		broken(websocket, CLOSE_PROTOCOL);
		return;
	}
	if (websocket->message->len + bytes > websocket->message_max) {
		broken(websocket, CLOSE_TOO_BIG);
		return;
	}
	websocket->fragmented = !last;
	if (last && websocket->message->len == 0) {
		websocket->funcs.message(data, bytes, websocket->user_data);
		return;
	}
	g_byte_array_append(websocket->message, data, (guint)bytes);
	if (last) {
		websocket->funcs.message(websocket->message->data, websocket->message->len, websocket->user_data);
		g_byte_array_set_size(websocket->message, 0);
	}
}

/* One frame out of what was received; FALSE when there is no whole one. */
static gboolean take_frame(struct websocket *websocket)
{
	guint8 *at = websocket->received->data;
	gsize have = websocket->received->len, header = 2;
	guint64 bytes;
	enum opcode opcode;
	gboolean last;

	if (have < 2)
		return FALSE;
	bytes = at[1] & 0x7f;
	header += bytes == 126 ? 2 : bytes == 127 ? 8 : 0;
	opcode = at[0] & 0x0f;
	last = (at[0] & 0x80) != 0;
	/* No extension was agreed on; clients mask. */
	if ((at[0] & 0x70) || !(at[1] & 0x80) || (opcode >= OP_CLOSE && (!last || bytes > CONTROL_BYTES_MAX))) {
		broken(websocket, CLOSE_PROTOCOL);
		return FALSE;
	}
	if (have < header + 4)
		return FALSE;
	if (header == 4)
		bytes = (guint64)at[2] << 8 | at[3];
	if (header == 10) {
		memcpy(&bytes, at + 2, sizeof(bytes));
		bytes = GUINT64_FROM_BE(bytes);
	}
	if (bytes > websocket->message_max) {
		broken(websocket, CLOSE_TOO_BIG);
		return FALSE;
	}
	if (have < header + 4 + bytes)
		return FALSE;
	for (gsize i = 0; i < bytes; i++)
		at[header + 4 + i] ^= at[header + i % 4];
	deliver(websocket, opcode, at + header + 4, bytes, last);
	g_byte_array_remove_range(websocket->received, 0, (guint)(header + 4 + bytes));
	return TRUE;
}

/* Everything whole that was received; then FALSE when nothing more is to be read for now. */
static gboolean take_frames(struct websocket *websocket)
{
	while (!websocket->peer_closed && (websocket->closing || websocket->reading) && take_frame(websocket))
		;
	if (!websocket->peer_closed && (websocket->closing || websocket->reading))
		return TRUE;
	source_clear(&websocket->read_source);
	return FALSE;
}

static gboolean on_readable(GObject *pollable, gpointer user_data)
{
	struct websocket *websocket = user_data;
	guint8 buffer[READ_BYTES];
	g_autoptr(GError) error = NULL;
	gssize got = g_pollable_input_stream_read_nonblocking(websocket->in, buffer, sizeof(buffer), NULL, &error);

	if (got < 0 && g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
		return G_SOURCE_CONTINUE;
	if (got <= 0) {
		lost(websocket);
		return G_SOURCE_REMOVE;
	}
	g_byte_array_append(websocket->received, buffer, (guint)got);
	if (take_frames(websocket))
		return G_SOURCE_CONTINUE;
	free_if_closed(websocket);
	return G_SOURCE_REMOVE;
}

/* Reading goes on: first with what had been received before it stopped. */
static gboolean on_resumed(gpointer user_data)
{
	struct websocket *websocket = user_data;

	if (take_frames(websocket)) {
		source_clear(&websocket->read_source);
		arm_read(websocket);
	} else {
		free_if_closed(websocket);
	}
	return G_SOURCE_REMOVE;
}

static gboolean on_writable(GObject *pollable, gpointer user_data)
{
	struct websocket *websocket = user_data;
	g_autoptr(GError) error = NULL;
	gssize put = g_pollable_output_stream_write_nonblocking(
		websocket->out, websocket->queue->data + websocket->sent, websocket_queued(websocket), NULL, &error);

	if (put < 0 && g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
		return G_SOURCE_CONTINUE;
	if (put < 0) {
		lost(websocket);
		return G_SOURCE_REMOVE;
	}
	websocket->sent += (gsize)put;
	if (websocket_queued(websocket)) {
		if (websocket->sent >= TRIM_BYTES) {
			g_byte_array_remove_range(websocket->queue, 0, (guint)websocket->sent);
			websocket->sent = 0;
		}
		return G_SOURCE_CONTINUE;
	}
	g_byte_array_set_size(websocket->queue, 0);
	websocket->sent = 0;
	source_clear(&websocket->write_source);
	if (websocket->closing) {
		free_if_closed(websocket);
		return G_SOURCE_REMOVE;
	}
	websocket->funcs.drained(websocket->user_data);
	return G_SOURCE_REMOVE;
}

static void arm_write(struct websocket *websocket)
{
	if (websocket->write_source)
		return;
	websocket->write_source = g_pollable_output_stream_create_source(websocket->out, NULL);
	g_source_set_callback(websocket->write_source, G_SOURCE_FUNC(on_writable), websocket, NULL);
	g_source_attach(websocket->write_source, NULL);
}

static void arm_read(struct websocket *websocket)
{
	if (websocket->read_source)
		return;
	websocket->read_source = g_pollable_input_stream_create_source(websocket->in, NULL);
	g_source_set_callback(websocket->read_source, G_SOURCE_FUNC(on_readable), websocket, NULL);
	g_source_attach(websocket->read_source, NULL);
}

void websocket_send(struct websocket *websocket, const guint8 *data, gsize bytes)
{
	if (!websocket->closing)
		queue_frame(websocket, OP_BINARY, data, bytes);
}

gsize websocket_queued(const struct websocket *websocket)
{
	return websocket->queue->len - websocket->sent;
}

void websocket_set_reading(struct websocket *websocket, gboolean reading)
{
	if (websocket->reading == reading || websocket->closing)
		return;
	websocket->reading = reading;
	source_clear(&websocket->read_source);
	if (reading) {
		websocket->read_source = g_idle_source_new();
		g_source_set_priority(websocket->read_source, G_PRIORITY_DEFAULT);
		g_source_set_callback(websocket->read_source, on_resumed, websocket, NULL);
		g_source_attach(websocket->read_source, NULL);
	}
}

struct websocket *websocket_new(GIOStream *stream, gsize message_max, const struct websocket_funcs *funcs,
				gpointer user_data)
{
	struct websocket *websocket = g_new0(struct websocket, 1);

	websocket->stream = g_object_ref(stream);
	websocket->in = G_POLLABLE_INPUT_STREAM(g_io_stream_get_input_stream(stream));
	websocket->out = G_POLLABLE_OUTPUT_STREAM(g_io_stream_get_output_stream(stream));
	websocket->message_max = message_max;
	websocket->funcs = *funcs;
	websocket->user_data = user_data;
	websocket->received = g_byte_array_new();
	websocket->message = g_byte_array_new();
	websocket->queue = g_byte_array_new();
	websocket->reading = TRUE;
	arm_read(websocket);
	return websocket;
}
