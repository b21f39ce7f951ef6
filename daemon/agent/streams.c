#include "daemon/agent/streams.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/agent/packet.h"
#include "daemon/model/error.h"
#include "daemon/model/limits.h"

#define SEND_TIMEOUT_MS 1000

struct streams {
	int fd;
	struct vms *vms;
	void (*closed)(gpointer user_data);
	gpointer user_data;
	GSource *readable;
	char buffer[LIMIT_EXEC_REQUEST_BYTES + 1]; /* + 1: an overlong packet is seen as such */
};

static gboolean close_link(struct streams *streams, const char *why)
{
	g_message("request link: %s", why);
	g_clear_pointer(&streams->readable, g_source_unref);
	close(streams->fd);
	streams->fd = -1;
	if (streams->closed)
		streams->closed(streams->user_data);
	return G_SOURCE_REMOVE;
}

/* polderd reads all the time; one that does not for a whole second is stuck and loses its answer. */
static gboolean send_answer(int fd, GBytes *packet, int passed)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	gsize bytes;
	struct iovec iov = { .iov_base = (gpointer)g_bytes_get_data(packet, &bytes) };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t sent;

	iov.iov_len = bytes;
	if (passed >= 0) {
		struct cmsghdr *header;

		message.msg_control = control.bytes;
		message.msg_controllen = sizeof control.bytes;
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &passed, sizeof passed);
	}
	do
		sent = sendmsg(fd, &message, MSG_NOSIGNAL); /* SO_SNDTIMEO bounds it */
	while (sent < 0 && errno == EINTR);
	return sent >= 0;
}

static int serve(struct streams *streams, gsize bytes, guint64 *id, GError **error)
{
	struct packet_request request;
	int fd = -1;

	if (packet_request_parse(streams->buffer, bytes, &request, error))
		fd = vms_stream_open(streams->vms, request.vm, &request.stream, error);
	*id = request.id;
	packet_request_clear(&request);
	return fd;
}

static gboolean on_readable(gint link_fd, GIOCondition condition, gpointer user_data)
{
	struct streams *streams = user_data;
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) answer = NULL;
	guint64 id = 0;
	gboolean sent;
	int passed, fd;
	ssize_t bytes = packet_receive(link_fd, streams->buffer, sizeof streams->buffer, &passed);

	if (bytes == -EAGAIN)
		return G_SOURCE_CONTINUE;
	if (passed >= 0)
		close(passed); /* nobody sends us one */
	if (bytes <= 0)
		return close_link(streams, bytes ? g_strerror((int)-bytes) : "closed by the daemon");
	fd = serve(streams, (gsize)bytes, &id, &error);
	if (fd < 0 && !id)
		return close_link(streams, error ? error->message : "malformed request");
	if (fd < 0 && !error)
		g_set_error(&error, POLDER_ERROR, POLDER_ERROR_FAILED, "the stream can't be opened");
	answer = packet_answer_build(id, fd < 0 ? error : NULL);
	sent = send_answer(link_fd, answer, fd);
	if (fd >= 0)
		close(fd);
	return sent ? G_SOURCE_CONTINUE : close_link(streams, g_strerror(errno));
}

struct streams *streams_new(int fd, struct vms *vms, void (*closed)(gpointer user_data), gpointer user_data)
{
	struct streams *streams = g_new0(struct streams, 1);
	struct timeval limit = { .tv_sec = SEND_TIMEOUT_MS / 1000 };

	streams->fd = fd;
	streams->vms = vms;
	streams->closed = closed;
	streams->user_data = user_data;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	streams->readable = g_unix_fd_source_new(fd, G_IO_IN);
	g_source_set_callback(streams->readable, G_SOURCE_FUNC(on_readable), streams, NULL);
	g_source_attach(streams->readable, g_main_context_get_thread_default());
	return streams;
}

void streams_free(struct streams *streams)
{
	if (!streams)
		return;
	if (streams->readable) {
		g_source_destroy(streams->readable);
		g_source_unref(streams->readable);
	}
	if (streams->fd >= 0)
		close(streams->fd);
	g_free(streams);
}
