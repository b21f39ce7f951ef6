/* Frames over a non-blocking stream socket, in one main context. */
#include "daemon/store/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/model/error.h"

#define READ_BYTES (64u << 10)

struct outgoing {
	GBytes *frame;
	gsize written;
	gpointer owner;
};

struct store_link {
	int fd;
	int refs;
	gboolean dead; /* freed or closed: no callback any more */
	gboolean paused;
	GMainContext *context;
	GSource *in, *out;
	GByteArray *received;
	GQueue sending; /* of struct outgoing, owned */
	gsize unsent_bytes;
	const struct store_link_funcs *funcs;
	gpointer user_data;
};

static void outgoing_free(gpointer data)
{
	struct outgoing *outgoing = data;

	g_bytes_unref(outgoing->frame);
	g_free(outgoing);
}

static void source_drop(GSource **source)
{
	if (*source == NULL)
		return;
	g_source_destroy(*source);
	g_clear_pointer(source, g_source_unref);
}

static void link_unref(struct store_link *link)
{
	if (--link->refs > 0)
		return;
	g_byte_array_unref(link->received);
	g_queue_clear_full(&link->sending, outgoing_free);
	g_main_context_unref(link->context);
	close(link->fd);
	g_free(link);
}

static void stop(struct store_link *link)
{
	link->dead = TRUE;
	source_drop(&link->in);
	source_drop(&link->out);
}

static void fail(struct store_link *link, const GError *error)
{
	if (link->dead)
		return;
	stop(link);
	shutdown(link->fd, SHUT_RDWR);
	link->funcs->closed(error, link->user_data);
}

static void fail_errno(struct store_link *link, const char *what, int code)
{
	g_autoptr(GError) error = NULL;

	error = code == 0
			? g_error_new(POLDER_ERROR, POLDER_ERROR_UNAVAILABLE, "the other end of the store link is gone")
			: g_error_new(POLDER_ERROR, POLDER_ERROR_UNAVAILABLE, "%s the store link: %s", what,
				      g_strerror(code));
	fail(link, error);
}

/* How far the frames received were dealt with. */
static gsize take_frames(struct store_link *link, GError **error)
{
	gsize used = 0;

	while (!link->dead && !link->paused) {
		struct store_frame frame = { 0 };
		gssize n = store_frame_parse(link->received->data + used, link->received->len - used, &frame, error);

		if (n <= 0)
			break;
		used += (gsize)n;
		if (!link->funcs->frame(&frame, link->user_data, error)) {
			store_frame_clear(&frame);
			break;
		}
		store_frame_clear(&frame);
	}
	return used;
}

static void handle_received(struct store_link *link)
{
	g_autoptr(GError) error = NULL;
	gsize used;

	if (link->received->len == 0)
		return;
	link->refs++;
	used = take_frames(link, &error);
	if (used > 0)
		g_byte_array_remove_range(link->received, 0, (guint)used);
	if (error != NULL)
		fail(link, error);
	link_unref(link);
}

static gboolean on_readable(int fd, GIOCondition condition, gpointer user_data)
{
	struct store_link *link = user_data;
	guint had = link->received->len;
	ssize_t n;

	g_byte_array_set_size(link->received, had + READ_BYTES);
	n = read(fd, link->received->data + had, READ_BYTES);
	g_byte_array_set_size(link->received, had + (n > 0 ? (guint)n : 0));
	if (n > 0)
		handle_received(link);
	else if (n == 0)
		fail_errno(link, "read from", 0);
	else if (errno != EAGAIN && errno != EINTR)
		fail_errno(link, "read from", errno);
	return G_SOURCE_CONTINUE;
}

static void reading(struct store_link *link)
{
	if (link->dead || link->paused || link->in != NULL)
		return;
	link->in = g_unix_fd_source_new(link->fd, G_IO_IN | G_IO_HUP | G_IO_ERR);
	g_source_set_callback(link->in, G_SOURCE_FUNC(on_readable), link, NULL);
	g_source_attach(link->in, link->context);
}

/* What was received before the pause is handled from here, not from inside the call that ended the pause. */
static gboolean on_resumed(gpointer user_data)
{
	struct store_link *link = user_data;

	if (!link->dead && !link->paused)
		handle_received(link);
	return G_SOURCE_REMOVE;
}

void store_link_pause(struct store_link *link, gboolean pause)
{
	g_autoptr(GSource) resumed = NULL;

	if (link->dead || link->paused == pause)
		return;
	link->paused = pause;
	if (pause) {
		source_drop(&link->in);
		return;
	}
	reading(link);
	resumed = g_idle_source_new();
	link->refs++;
	g_source_set_priority(resumed, G_PRIORITY_DEFAULT);
	g_source_set_callback(resumed, on_resumed, link, (GDestroyNotify)link_unref);
	g_source_attach(resumed, link->context);
}

static gboolean on_writable(int fd, GIOCondition condition, gpointer user_data)
{
	struct store_link *link = user_data;
	struct outgoing *outgoing;

	while ((outgoing = g_queue_peek_head(&link->sending)) != NULL) {
		gsize size;
		const guint8 *data = g_bytes_get_data(outgoing->frame, &size);
		ssize_t n = send(fd, data + outgoing->written, size - outgoing->written, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return G_SOURCE_CONTINUE;
		if (n < 0) {
			fail_errno(link, "write to", errno);
			return G_SOURCE_REMOVE;
		}
		outgoing->written += (gsize)n;
		link->unsent_bytes -= (gsize)n;
		if (outgoing->written == size)
			outgoing_free(g_queue_pop_head(&link->sending));
	}
	source_drop(&link->out);
	if (link->funcs->drained != NULL)
		link->funcs->drained(link->user_data);
	return G_SOURCE_REMOVE;
}

void store_link_send(struct store_link *link, GBytes *frame, gpointer owner)
{
	struct outgoing *outgoing;

	if (link->dead) {
		g_bytes_unref(frame);
		return;
	}
	outgoing = g_new0(struct outgoing, 1);
	outgoing->frame = frame;
	outgoing->owner = owner;
	link->unsent_bytes += g_bytes_get_size(frame);
	g_queue_push_tail(&link->sending, outgoing);
	if (link->out != NULL)
		return;
	link->out = g_unix_fd_source_new(link->fd, G_IO_OUT | G_IO_ERR);
	g_source_set_callback(link->out, G_SOURCE_FUNC(on_writable), link, NULL);
	g_source_attach(link->out, link->context);
}

gboolean store_link_unsend(struct store_link *link, gpointer owner)
{
	for (GList *node = link->sending.tail; node != NULL; node = node->prev) {
		struct outgoing *outgoing = node->data;

		if (outgoing->owner != owner)
			continue;
		if (outgoing->written > 0)
			return FALSE;
		link->unsent_bytes -= g_bytes_get_size(outgoing->frame);
		outgoing_free(outgoing);
		g_queue_delete_link(&link->sending, node);
		return TRUE;
	}
	return FALSE;
}

gsize store_link_unsent_bytes(const struct store_link *link)
{
	return link->unsent_bytes;
}

struct store_link *store_link_new(int fd, const struct store_link_funcs *funcs, gpointer user_data)
{
	struct store_link *link = g_new0(struct store_link, 1);

	link->fd = fd;
	link->refs = 1;
	link->context = g_main_context_ref_thread_default();
	link->received = g_byte_array_new();
	link->funcs = funcs;
	link->user_data = user_data;
	g_queue_init(&link->sending);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	reading(link);
	return link;
}

void store_link_free(struct store_link *link)
{
	if (link == NULL)
		return;
	stop(link);
	shutdown(link->fd, SHUT_RDWR);
	link_unref(link);
}
