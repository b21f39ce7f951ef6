#include "daemon/engine/qemu/client.h"

#include <endian.h>
#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "daemon/model/error.h"
#include "daemon/model/source.h"

#define PACKETS_PER_TURN 16 /* then the main loop gets its turn */
#define REASON_BYTES_MAX 1024u

/* How a packet waits in the queue. */
struct record {
	guint8 kind;
	guint16 bytes;
} __attribute__((packed));

struct client {
	int fd;
	const struct client_events *events; /* NULL: unbound, or ended */
	gpointer user_data;
	GSource *in, *out;
	gboolean reading, ended, stdin_ended, in_turn, freed;
	gsize sent_unacknowledged;     /* STDOUT and STDERR the client has not given back */
	gsize received_unacknowledged; /* STDIN we have not given back */
	GByteArray *queue;             /* of struct record + payload */
	gsize queue_head;              /* bytes of it that were sent */
	gsize queue_tail;              /* where its last record starts */
};

static gboolean on_readable(int fd, GIOCondition condition, gpointer user_data);
static gboolean on_writable(int fd, GIOCondition condition, gpointer user_data);

static GSource *watch(struct client *client, GIOCondition condition, GUnixFDSourceFunc function)
{
	GSource *source = g_unix_fd_source_new(client->fd, condition);
	g_source_set_callback(source, G_SOURCE_FUNC(function), client, NULL);
	g_source_attach(source, NULL);
	return source;
}

/* Even when nothing may be read, a peer that goes away is noticed. */
static void watch_input(struct client *client)
{
	source_clear(&client->in);
	gboolean wanted = client->reading && client->events;
	if (client->events || client->ended)
		client->in = watch(client, (wanted ? G_IO_IN : 0) | G_IO_HUP | G_IO_ERR, on_readable);
}

struct client *client_new(int *peer_fd, GError **error)
{
	int fds[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_UNAVAILABLE, "open a stream: %s", g_strerror(errno));
		return NULL;
	}
	struct client *client = g_new0(struct client, 1);
	client->fd = fds[0];
	client->reading = TRUE;
	client->queue = g_byte_array_new();
	*peer_fd = fds[1];
	return client;
}

void client_bind(struct client *client, const struct client_events *events, gpointer user_data)
{
	client->events = events;
	client->user_data = user_data;
	watch_input(client);
}

/* Closing a unix socket with unread data resets it, and the peer would read that error in place of our last packets. */
static void close_gently(int fd)
{
	guint8 byte;
	shutdown(fd, SHUT_RDWR);
	while (recv(fd, &byte, sizeof(byte), MSG_DONTWAIT) > 0)
		;
	close(fd);
}

void client_free(struct client *client)
{
	if (!client)
		return;
	client->events = NULL;
	source_clear(&client->in);
	source_clear(&client->out);
	if (client->fd >= 0)
		close_gently(client->fd);
	client->fd = -1;
	client->freed = TRUE;
	if (client->in_turn) /* the turn that called us frees it */
		return;
	g_byte_array_unref(client->queue);
	g_free(client);
}

void client_set_reading(struct client *client, gboolean reading)
{
	if (client->reading == reading)
		return;
	client->reading = reading;
	watch_input(client);
}

gsize client_credit(const struct client *client)
{
	return STREAM_WINDOW - client->sent_unacknowledged;
}

static gboolean is_output(guint8 kind)
{
	return kind == STREAM_STDOUT || kind == STREAM_STDERR;
}

static ssize_t write_packet(int fd, guint8 kind, const void *payload, gsize bytes)
{
	struct iovec parts[] = { { &kind, 1 }, { (void *)payload, bytes } };
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = bytes ? 2 : 1 };
	ssize_t n;
	do
		n = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n;
}

/* Many small packets to a client that does not read become few large ones, so that the queue stays about as long as the
 * data in it. */
static gboolean queue_merge(struct client *client, guint8 kind, const void *payload, gsize bytes)
{
	struct record record;
	if (client->queue->len == 0 || client->queue_tail < client->queue_head)
		return FALSE;
	memcpy(&record, client->queue->data + client->queue_tail, sizeof(record));
	if (record.kind != kind)
		return FALSE;
	if (is_output(kind) && record.bytes + bytes <= STREAM_PAYLOAD_MAX) {
		record.bytes += bytes;
		memcpy(client->queue->data + client->queue_tail, &record, sizeof(record));
		g_byte_array_append(client->queue, payload, bytes);
		return TRUE;
	}
	if (kind == STREAM_CREDIT) {
		guint32 have, more;
		memcpy(&have, client->queue->data + client->queue_tail + sizeof(record), sizeof(have));
		memcpy(&more, payload, sizeof(more));
		have = htole32(le32toh(have) + le32toh(more));
		memcpy(client->queue->data + client->queue_tail + sizeof(record), &have, sizeof(have));
		return TRUE;
	}
	return FALSE;
}

static void queue_append(struct client *client, guint8 kind, const void *payload, gsize bytes)
{
	if (queue_merge(client, kind, payload, bytes))
		return;
	if (client->queue_head > STREAM_WINDOW) {
		g_byte_array_remove_range(client->queue, 0, client->queue_head);
		client->queue_tail -= MIN(client->queue_tail, client->queue_head);
		client->queue_head = 0;
	}
	struct record record = { .kind = kind, .bytes = bytes };
	client->queue_tail = client->queue->len;
	g_byte_array_append(client->queue, (const guint8 *)&record, sizeof(record));
	if (bytes)
		g_byte_array_append(client->queue, payload, bytes);
}

void client_send(struct client *client, guint8 kind, const void *payload, gsize bytes)
{
	g_assert(bytes <= STREAM_PAYLOAD_MAX);
	if (is_output(kind)) {
		g_assert(bytes <= client_credit(client));
		client->sent_unacknowledged += bytes;
	}
	if (!client->out) {
		if (write_packet(client->fd, kind, payload, bytes) >= 0)
			return;
		/* A peer that went away is found by the input watch. */
		if (errno != EAGAIN && errno != ENOBUFS)
			return;
		client->out = watch(client, G_IO_OUT | G_IO_ERR, on_writable);
	}
	queue_append(client, kind, payload, bytes);
}

void client_send_u32(struct client *client, guint8 kind, guint32 value)
{
	guint32 little = htole32(value);
	client_send(client, kind, &little, sizeof(little));
}

gboolean client_consumed(struct client *client, gsize bytes)
{
	if (bytes > client->received_unacknowledged)
		return FALSE;
	client->received_unacknowledged -= bytes;
	if (bytes)
		client_send_u32(client, STREAM_CREDIT, bytes);
	return TRUE;
}

/* The owner has let go: linger until the queue is taken. */
static void end(struct client *client)
{
	client->events = NULL;
	client->ended = TRUE;
	if (!client->out)
		client_free(client);
	else
		watch_input(client);
}

void client_exit(struct client *client, guint32 status)
{
	client_send_u32(client, STREAM_EXIT, status);
	end(client);
}

void client_refuse(struct client *client, const char *reason)
{
	g_autofree char *text = g_utf8_make_valid(reason, strnlen(reason, REASON_BYTES_MAX));
	client_send(client, STREAM_REFUSED, text, MIN(strlen(text), (gsize)STREAM_PAYLOAD_MAX));
	end(client);
}

static gboolean on_writable(int fd, GIOCondition condition, gpointer user_data)
{
	struct client *client = user_data;
	while (client->queue_head < client->queue->len) {
		struct record record;
		memcpy(&record, client->queue->data + client->queue_head, sizeof(record));
		const guint8 *payload = client->queue->data + client->queue_head + sizeof(record);
		if (write_packet(fd, record.kind, payload, record.bytes) < 0) {
			if (errno == EAGAIN || errno == ENOBUFS)
				return G_SOURCE_CONTINUE;
			break; /* gone: the input watch says so */
		}
		client->queue_head += sizeof(record) + record.bytes;
	}
	g_byte_array_set_size(client->queue, 0);
	client->queue_head = client->queue_tail = 0;
	source_clear(&client->out);
	if (client->ended)
		client_free(client);
	return G_SOURCE_REMOVE;
}

/* What is wrong with a packet, or NULL. Keeps both windows. */
static const char *packet_check(struct client *client, guint8 kind, const guint8 *payload, gsize bytes)
{
	guint32 value;
	switch (kind) {
	case STREAM_STDIN:
		if (client->stdin_ended)
			return "standard input goes on after its end";
		if (bytes > STREAM_WINDOW - client->received_unacknowledged)
			return "more standard input than the window allows";
		client->received_unacknowledged += bytes;
		return NULL;
	case STREAM_STDIN_EOF:
		client->stdin_ended = TRUE;
		return bytes == 0 ? NULL : "an end of standard input with a payload";
	case STREAM_CREDIT:
		if (bytes != sizeof(value))
			return "a credit that is not 4 bytes";
		memcpy(&value, payload, sizeof(value));
		value = le32toh(value);
		if (value == 0 || value > client->sent_unacknowledged)
			return "credit for bytes it was not sent";
		client->sent_unacknowledged -= value;
		return NULL;
	case STREAM_RESIZE:
	case STREAM_SIGNAL:
		return bytes == 4 ? NULL : "a resize or signal that is not 4 bytes";
	default:
		return "a kind of packet a client can't send";
	}
}

static void close_client(struct client *client, const char *violation)
{
	if (client->ended) {
		client_free(client);
		return;
	}
	if (violation) {
		g_autofree char *text = g_strdup_printf("stream protocol broken by the client: %s", violation);
		client_send(client, STREAM_REFUSED, text, strlen(text));
	}
	const struct client_events *events = client->events;
	client->events = NULL;
	source_clear(&client->in);
	if (events)
		events->closed(client->user_data);
}

/* One packet. FALSE: nothing more to read in this turn. */
static gboolean read_packet(struct client *client)
{
	guint8 buffer[1 + STREAM_PAYLOAD_MAX];
	ssize_t n = recv(client->fd, buffer, sizeof(buffer), MSG_DONTWAIT | MSG_TRUNC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return FALSE;
	if (n <= 0) {
		close_client(client, NULL);
		return FALSE;
	}
	if ((gsize)n > sizeof(buffer)) {
		close_client(client, "a packet over its limit");
		return FALSE;
	}
	if (buffer[0] == STREAM_CLOSE) {
		close_client(client, NULL);
		return FALSE;
	}
	const char *violation = packet_check(client, buffer[0], buffer + 1, n - 1);
	if (violation) {
		close_client(client, violation);
		return FALSE;
	}
	if (buffer[0] != STREAM_STDIN || n > 1)
		client->events->packet(buffer[0], buffer + 1, n - 1, client->user_data);
	return TRUE;
}

static gboolean on_readable(int fd, GIOCondition condition, gpointer user_data)
{
	struct client *client = user_data;
	client->in_turn = TRUE;
	if (client->events && client->reading && (condition & G_IO_IN)) {
		for (guint i = 0; i < PACKETS_PER_TURN && !client->freed && client->events && client->reading; i++) {
			if (!read_packet(client))
				break;
		}
	} else {
		close_client(client, NULL);
	}
	client->in_turn = FALSE;
	if (client->freed) {
		client_free(client);
		return G_SOURCE_REMOVE;
	}
	return G_SOURCE_CONTINUE;
}
