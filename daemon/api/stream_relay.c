/* What a stream carries, message by packet, within the windows of guest/protocol.h. */
#include "daemon/api/stream.h"

#include <errno.h>
#include <glib-unix.h>
#include <sys/socket.h>
#include <string.h>

#define EARLY_MAX       1024u  /* messages sent before the stream is open */
#define QUEUE_BYTES_MAX 65536u /* towards the client, before we stop reading from the agent */

/* ---- From the agent to the client ---- */

static guint32 credit_of(const guint8 *packet, gsize bytes)
{
	guint32 credit = 0;

	if (bytes == 1 + sizeof(credit))
		memcpy(&credit, packet + 1, sizeof(credit));
	return GUINT32_FROM_LE(credit);
}

/* FALSE: the agent broke the protocol. */
static gboolean account_from_agent(struct stream *stream, const guint8 *packet, gsize bytes)
{
	switch (packet[0]) {
	case STREAM_STDOUT:
	case STREAM_STDERR:
		stream->to_client += (guint32)(bytes - 1);
		return stream->to_client <= STREAM_WINDOW;
	case STREAM_CREDIT:
		stream->to_agent -= MIN(credit_of(packet, bytes), stream->to_agent);
		return bytes == 5;
	case STREAM_OPENED:
	case STREAM_REFUSED:
	case STREAM_EXIT:
	case STREAM_STATUS:
		return TRUE;
	default:
		return FALSE;
	}
}

static gboolean on_fd_readable(int fd, GIOCondition condition, gpointer user_data)
{
	struct stream *stream = user_data;
	guint8 packet[STREAM_PACKET_BYTES_MAX + 1];
	ssize_t got = recv(fd, packet, sizeof(packet), MSG_DONTWAIT);

	/* Reset: the agent closed while a packet of ours was unread. Linux says so once, before what it had sent. */
	if (got < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNRESET))
		return G_SOURCE_CONTINUE;
	if (got > 0 && ((gsize)got > STREAM_PACKET_BYTES_MAX || !account_from_agent(stream, packet, (gsize)got))) {
		g_warning("the stream of VM %s broke the protocol with a packet of kind %u (malformed, or beyond its "
			  "window): ended",
			  stream->name, packet[0]);
		got = 0;
	}
	if (got <= 0) {
		stream->read_source = 0;
		stream_over(stream, 1000);
		return G_SOURCE_REMOVE;
	}
	websocket_send(stream->websocket, packet, (gsize)got);
	if (packet[0] == STREAM_EXIT || packet[0] == STREAM_REFUSED) {
		stream->read_source = 0;
		stream_over(stream, 1000);
		return G_SOURCE_REMOVE;
	}
	if (websocket_queued(stream->websocket) > QUEUE_BYTES_MAX) {
		stream->read_source = 0;
		return G_SOURCE_REMOVE;
	}
	return G_SOURCE_CONTINUE;
}

void stream_relay_drained(struct stream *stream)
{
	if (stream->fd >= 0 && !stream->read_source)
		stream->read_source = g_unix_fd_add(stream->fd, G_IO_IN, on_fd_readable, stream);
}

/* ---- From the client to the agent ---- */

static gboolean on_fd_writable(int fd, GIOCondition condition, gpointer user_data);

/* Send what waits. An agent that has closed its end takes no more, but its last words (EXIT) may still be unread: only
 * reading tells the end. */
static void fd_flush(struct stream *stream)
{
	while (!g_queue_is_empty(&stream->unsent)) {
		gsize bytes;
		const guint8 *packet = g_bytes_get_data(g_queue_peek_head(&stream->unsent), &bytes);

		if (send(stream->fd, packet, bytes, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
			if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS) {
				g_queue_clear_full(&stream->unsent, (GDestroyNotify)g_bytes_unref);
				break;
			}
			if (!stream->write_source)
				stream->write_source = g_unix_fd_add(stream->fd, G_IO_OUT, on_fd_writable, stream);
			websocket_set_reading(stream->websocket, FALSE);
			return;
		}
		g_bytes_unref(g_queue_pop_head(&stream->unsent));
	}
	websocket_set_reading(stream->websocket, TRUE);
}

static gboolean on_fd_writable(int fd, GIOCondition condition, gpointer user_data)
{
	struct stream *stream = user_data;

	stream->write_source = 0;
	fd_flush(stream);
	return G_SOURCE_REMOVE;
}

/* FALSE: the client broke the protocol. */
static gboolean account_from_client(struct stream *stream, const guint8 *message, gsize bytes)
{
	switch (message[0]) {
	case STREAM_STDIN:
		stream->to_agent += (guint32)(bytes - 1);
		return stream->to_agent <= STREAM_WINDOW;
	case STREAM_CREDIT:
		stream->to_client -= MIN(credit_of(message, bytes), stream->to_client);
		return bytes == 5;
	case STREAM_RESIZE:
	case STREAM_SIGNAL:
		return bytes == 5;
	case STREAM_STDIN_EOF:
	case STREAM_CLOSE:
		return bytes == 1;
	default:
		return FALSE;
	}
}

void stream_relay_message(struct stream *stream, const guint8 *message, gsize bytes)
{
	if (bytes == 0 || bytes > STREAM_PACKET_BYTES_MAX || !account_from_client(stream, message, bytes)) {
		stream_over(stream, 1002);
		return;
	}
	if (message[0] == STREAM_CLOSE) {
		stream_over(stream, 1000);
		return;
	}
	g_queue_push_tail(&stream->unsent, g_bytes_new(message, bytes));
	if (stream->fd < 0 && g_queue_get_length(&stream->unsent) > EARLY_MAX)
		stream_over(stream, 1008);
	else if (stream->fd >= 0)
		fd_flush(stream);
}

void stream_relay_begin(struct stream *stream, int fd)
{
	stream->fd = fd;
	stream->read_source = g_unix_fd_add(fd, G_IO_IN, on_fd_readable, stream);
	fd_flush(stream);
}
