/* /v1/vms/NAME/logs: the console's log as plain text, with `follow` until the VM ends. */
#include "daemon/api/server.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest/protocol.h"

#define PENDING_BYTES_MAX 65536u /* given to the client's socket and not yet taken by it, before we stop reading */
#define TAIL_BYTES_MAX    (1ull << 40)

struct log {
	int fd;
	guint read_source;
	gsize pending;
};

static void log_close(struct log *log)
{
	g_clear_handle_id(&log->read_source, g_source_remove);
	if (log->fd >= 0)
		close(log->fd);
	log->fd = -1;
}

static void log_free(gpointer data)
{
	log_close(data);
	g_free(data);
}

static void log_gone(struct request *request)
{
	log_close(request->state);
}

static gboolean on_readable(int fd, GIOCondition condition, gpointer user_data)
{
	struct request *request = user_data;
	struct log *log = request->state;
	guint8 packet[STREAM_PAYLOAD_MAX + 2];
	ssize_t got = recv(fd, packet, sizeof(packet), MSG_DONTWAIT);

	/* Reset: the agent closed while a packet of ours was unread. Linux says so once, before what it had sent. */
	if (got < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNRESET))
		return G_SOURCE_CONTINUE;
	if (got > 1 && (packet[0] == STREAM_STDOUT || packet[0] == STREAM_STDERR) &&
	    (gsize)got <= STREAM_PAYLOAD_MAX + 1) {
		g_autoptr(GBytes) chunk = g_bytes_new(packet + 1, (gsize)got - 1);

		log->pending += (gsize)got - 1;
		request_chunk(request, chunk);
		if (log->pending <= PENDING_BYTES_MAX)
			return G_SOURCE_CONTINUE;
		log->read_source = 0;
		return G_SOURCE_REMOVE;
	}
	if (got > 0 && (packet[0] == STREAM_STATUS || packet[0] == STREAM_OPENED))
		return G_SOURCE_CONTINUE;
	/* STREAM_EXIT, the end of the stream, or something it must not send. */
	log->read_source = 0;
	log_close(log);
	request_end_chunks(request);
	return G_SOURCE_REMOVE;
}

static void on_wrote_body_data(SoupServerMessage *msg, guint bytes, gpointer user_data)
{
	struct request *request = user_data;
	struct log *log = request->state;
	guint32 credit = GUINT32_TO_LE(bytes);
	guint8 packet[1 + sizeof(credit)] = { STREAM_CREDIT };

	log->pending -= MIN(bytes, log->pending);
	if (log->fd < 0)
		return;
	memcpy(packet + 1, &credit, sizeof(credit));
	if (send(log->fd, packet, sizeof(packet), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		g_debug("the log stream ended while it was read");
	if (!log->read_source && log->pending <= PENDING_BYTES_MAX)
		log->read_source = g_unix_fd_add(log->fd, G_IO_IN, on_readable, request);
}

static void on_opened(GObject *source, GAsyncResult *async, gpointer user_data)
{
	struct request *request = user_data;
	struct log *log = request->state;
	g_autoptr(GError) error = NULL;

	if (request->api) {
		log->fd = agent_link_stream_finish(request->api->config.link, async, &error);
		if (log->fd < 0) {
			g_prefix_error(&error, "logs of VM %s: ", request->name);
			request_fail(request, error);
		} else {
			request_begin_chunks(request, "text/plain; charset=utf-8");
			g_signal_connect(request->msg, "wrote-body-data", G_CALLBACK(on_wrote_body_data), request);
			log->read_source = g_unix_fd_add(log->fd, G_IO_IN, on_readable, request);
		}
	}
	request_unref(request);
}

void logs_get(struct request *request)
{
	struct agent_stream_request stream = { .vm = request->name, .stream = "log" };
	struct log *log = g_new0(struct log, 1);
	g_autoptr(GError) error = NULL;

	log->fd = -1;
	request->state = log;
	request->state_free = log_free;
	request->gone = log_gone;
	if (!query_bool(request->query, "follow", &stream.follow, &error) ||
	    !query_uint(request->query, "tail_bytes", (struct query_range) { 0, TAIL_BYTES_MAX }, &stream.tail_bytes,
			&error)) {
		request_fail(request, error);
		return;
	}
	if (!api_get(request->api, "vm", request->name)) {
		request_fail_new(request, POLDER_ERROR_NOT_FOUND,
				 "there is no VM called \"%s\": polder ps lists those there are", request->name);
		return;
	}
	if (!request->api->config.link) {
		request_fail_new(request, POLDER_ERROR_UNAVAILABLE, "the daemon has no agent: see its log");
		return;
	}
	agent_link_stream_async(request->api->config.link, &stream, NULL, on_opened, request_ref(request));
}
