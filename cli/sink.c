#include "cli/sink.h"

#include <errno.h>
#include <glib-unix.h>
#include <limits.h>
#include <unistd.h>

void sink_init(struct sink *sink)
{
	sink->queue = g_byte_array_new();
}

void sink_clear(struct sink *sink)
{
	g_clear_handle_id(&sink->source, g_source_remove);
	g_clear_pointer(&sink->queue, g_byte_array_unref);
}

static gboolean ready(gint fd, GIOCondition condition, gpointer user_data)
{
	struct sink *sink = user_data;
	ssize_t put = write(fd, sink->queue->data, MIN(sink->queue->len, PIPE_BUF));

	if (put < 0 && (errno == EINTR || errno == EAGAIN))
		return G_SOURCE_CONTINUE;
	if (put < 0) {
		sink->source = 0;
		sink->broken = TRUE;
		g_byte_array_set_size(sink->queue, 0);
		sink->broke(sink->user_data);
		return G_SOURCE_REMOVE;
	}
	g_byte_array_remove_range(sink->queue, 0, (guint)put);
	if (!sink->queue->len)
		sink->source = 0;
	sink->written((guint64)put, sink->user_data);
	return sink->source ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

void sink_put(struct sink *sink, const guint8 *data, gsize bytes)
{
	if (sink->broken || !bytes)
		return;
	g_byte_array_append(sink->queue, data, (guint)bytes);
	if (!sink->source)
		sink->source = g_unix_fd_add(sink->fd, G_IO_OUT | G_IO_HUP | G_IO_ERR, ready, sink);
}
