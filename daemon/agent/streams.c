#include "daemon/agent/streams.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/agent/packet.h"
#include "daemon/model/error.h"
#include "daemon/model/limits.h"
#include "daemon/model/source.h"

#define SEND_TIMEOUT_MS 1000
#define WAIT_MS         (LIMIT_GUEST_TIMEOUT_MS - 1000) /* the other end gives up a second later */
#define RETRY_MS        20
#define WAITING_MAX     256

struct streams {
	int fd;
	struct vms *vms;
	struct cpu_control *cpus;
	void (*closed)(gpointer user_data);
	gpointer user_data;
	GSource *readable, *retry;
	GQueue waiting;                            /* of struct waiting */
	char buffer[LIMIT_EXEC_REQUEST_BYTES + 1]; /* + 1: an overlong packet is seen as such */
};

static void waiting_free(gpointer data);

static gboolean close_link(struct streams *streams, const char *why)
{
	g_message("request link: %s", why);
	source_clear(&streams->readable);
	source_clear(&streams->retry);
	g_queue_clear_full(&streams->waiting, waiting_free);
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

/* FALSE: the link was closed. */
static gboolean answer(struct streams *streams, guint64 id, int fd, const GError *error)
{
	g_autoptr(GBytes) packet = packet_answer_build(id, fd < 0 ? error : NULL);
	gboolean sent = send_answer(streams->fd, packet, fd);

	if (fd >= 0)
		close(fd);
	if (!sent)
		close_link(streams, g_strerror(errno));
	return sent;
}

/* ---- Requests whose VM is about to be able to answer: an agent that has just begun finds its VMs again ---- */

struct waiting {
	struct packet_request request;
	gint64 until_us;
};

static void waiting_free(gpointer data)
{
	struct waiting *waiting = data;

	packet_request_clear(&waiting->request);
	g_free(waiting);
}

/* TRUE: it was answered, or the link is closed. */
static gboolean try_request(struct streams *streams, const struct packet_request *request, gint64 until_us)
{
	g_autoptr(GError) error = NULL;
	gboolean may_come;
	int fd;

	if (request->is_cpu || request->is_cpu_record) {
		fd = !streams->cpus           ? -1
		     : request->is_cpu_record ? cpu_control_recording(streams->cpus, &error)
					      : cpu_control_figures(streams->cpus, &error);
		may_come = streams->cpus && !error;
	} else {
		fd = vms_stream_open(streams->vms, request->vm, &request->stream, &error);
		may_come = fd < 0 && vms_stream_may_come(streams->vms, request->vm, request->stream.kind);
	}
	if (fd < 0 && g_get_monotonic_time() < until_us && may_come)
		return FALSE;
	if (fd < 0 && !error)
		g_set_error(&error, POLDER_ERROR, POLDER_ERROR_FAILED, "the stream can't be opened");
	answer(streams, request->id, fd, error);
	return TRUE;
}

static gboolean try_waiting(gpointer user_data)
{
	struct streams *streams = user_data;

	for (guint left = g_queue_get_length(&streams->waiting); left; left--) {
		struct waiting *waiting = g_queue_pop_head(&streams->waiting);

		if (!try_request(streams, &waiting->request, waiting->until_us)) {
			g_queue_push_tail(&streams->waiting, waiting);
			continue;
		}
		waiting_free(waiting);
		if (streams->fd < 0) /* closing it has freed the rest */
			return G_SOURCE_REMOVE;
	}
	if (!g_queue_is_empty(&streams->waiting))
		return G_SOURCE_CONTINUE;
	g_clear_pointer(&streams->retry, g_source_unref);
	return G_SOURCE_REMOVE;
}

/* Takes the request over. */
static void wait_with(struct streams *streams, struct packet_request *request, gint64 until_us)
{
	struct waiting *waiting = g_new0(struct waiting, 1);

	waiting->request = *request; /* stream.request points to what it owns */
	waiting->until_us = until_us;
	memset(request, 0, sizeof *request);
	g_queue_push_tail(&streams->waiting, waiting);
	if (streams->retry)
		return;
	streams->retry = g_timeout_source_new(RETRY_MS);
	g_source_set_callback(streams->retry, try_waiting, streams, NULL);
	g_source_attach(streams->retry, g_main_context_get_thread_default());
}

static gboolean on_readable(gint link_fd, GIOCondition condition, gpointer user_data)
{
	struct streams *streams = user_data;
	struct packet_request request;
	g_autoptr(GError) error = NULL;
	int passed;
	ssize_t bytes = packet_receive(link_fd, streams->buffer, sizeof streams->buffer, &passed);

	if (bytes == -EAGAIN)
		return G_SOURCE_CONTINUE;
	if (passed >= 0)
		close(passed); /* nobody sends us one */
	if (bytes <= 0)
		return close_link(streams, bytes ? g_strerror((int)-bytes) : "closed by the daemon");
	if (!packet_request_parse(streams->buffer, (gsize)bytes, &request, &error)) {
		guint64 id = request.id;

		packet_request_clear(&request);
		if (!id)
			return close_link(streams, error->message);
		answer(streams, id, -1, error);
	} else {
		gboolean room = g_queue_get_length(&streams->waiting) < WAITING_MAX;
		gint64 until_us = room ? g_get_monotonic_time() + WAIT_MS * 1000 : 0;

		if (!try_request(streams, &request, until_us))
			wait_with(streams, &request, until_us);
		packet_request_clear(&request);
	}
	return streams->fd >= 0 ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

struct streams *streams_new(int fd, struct vms *vms, struct cpu_control *cpus, void (*closed)(gpointer user_data),
			    gpointer user_data)
{
	struct streams *streams = g_new0(struct streams, 1);
	struct timeval limit = { .tv_sec = SEND_TIMEOUT_MS / 1000 };

	streams->fd = fd;
	streams->vms = vms;
	streams->cpus = cpus;
	streams->closed = closed;
	streams->user_data = user_data;
	g_queue_init(&streams->waiting);
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
	source_clear(&streams->readable);
	source_clear(&streams->retry);
	g_queue_clear_full(&streams->waiting, waiting_free);
	if (streams->fd >= 0)
		close(streams->fd);
	g_free(streams);
}
