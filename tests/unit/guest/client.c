#include "tests/unit/guest/client.h"

#include <errno.h>
#include <glib-unix.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

void client_init(struct client *client, int fd, void (*pump)(gpointer data), gpointer data)
{
	*client = (struct client) { fd, g_byte_array_new(), pump, data };
	g_unix_set_fd_nonblocking(fd, TRUE, NULL);
}

void client_clear(struct client *client)
{
	close(client->fd);
	g_byte_array_unref(client->in);
}

/* One round: let the other side work, then take what has come. */
static void client_turn(struct client *client, gint64 deadline)
{
	guint8 bytes[65536];

	g_assert_cmpint(g_get_monotonic_time(), <, deadline);
	client->pump(client->data);
	gssize count = read(client->fd, bytes, sizeof(bytes));
	if (count > 0)
		g_byte_array_append(client->in, bytes, count);
	else
		g_assert_true(count < 0 && errno == EAGAIN);
}

static gint64 deadline_from_now(void)
{
	return g_get_monotonic_time() + CLIENT_TIMEOUT_S * G_USEC_PER_SEC;
}

void client_send(struct client *client, const void *bytes, gsize count)
{
	const char *at = bytes;
	gint64 deadline = deadline_from_now();

	while (count) {
		gssize written = write(client->fd, at, count);
		g_assert_true(written > 0 || errno == EAGAIN);
		if (written > 0) {
			at += written;
			count -= written;
		} else {
			client_turn(client, deadline);
		}
	}
}

JsonObject *client_line(struct client *client, JsonParser *parser)
{
	gint64 deadline = deadline_from_now();
	const guint8 *end = NULL;
	g_autoptr(GError) error = NULL;

	while (!client->in->len || !(end = memchr(client->in->data, '\n', client->in->len)))
		client_turn(client, deadline);
	gsize bytes = end - client->in->data, skip = client->in->data[0] == 0xff;
	json_parser_load_from_data(parser, (const char *)client->in->data + skip, bytes - skip, &error);
	g_assert_no_error(error);
	g_byte_array_remove_range(client->in, 0, bytes + 1);
	return json_node_get_object(json_parser_get_root(parser));
}

char *client_ask(struct client *client, const char *request)
{
	g_autoptr(JsonParser) parser = json_parser_new();

	client_send(client, request, strlen(request));
	client_send(client, "\n", 1);
	client_line(client, parser);
	return json_to_string(json_parser_get_root(parser), FALSE);
}

void client_frame_send(struct client *client, guint32 session, guint8 kind, const void *payload, gsize bytes)
{
	struct stream_header header = { .magic = STREAM_MAGIC, .session = session, .bytes = bytes, .kind = kind };

	client_send(client, &header, sizeof(header));
	client_send(client, payload, bytes);
}

static gboolean take_frame(struct client *client, struct frame *frame)
{
	struct stream_header *header = &frame->header;

	if (client->in->len < sizeof(*header))
		return FALSE;
	memcpy(header, client->in->data, sizeof(*header));
	g_assert_cmphex(header->magic, ==, STREAM_MAGIC);
	g_assert_cmpuint(header->bytes, <=, STREAM_PAYLOAD_MAX);
	if (client->in->len < sizeof(*header) + header->bytes)
		return FALSE;
	memcpy(frame->payload, client->in->data + sizeof(*header), header->bytes);
	frame->payload[header->bytes] = 0;
	g_byte_array_remove_range(client->in, 0, sizeof(*header) + header->bytes);
	return TRUE;
}

void client_frame(struct client *client, struct frame *frame)
{
	gint64 deadline = deadline_from_now();

	while (!take_frame(client, frame))
		client_turn(client, deadline);
}

gboolean client_frame_pending(struct client *client)
{
	client_turn(client, deadline_from_now());
	return client->in->len > 0;
}

void client_hello(struct client *client, guint64 nonce)
{
	struct frame frame;
	gint64 deadline = deadline_from_now();
	guint8 wanted[12];
	guint32 version = 1;

	memcpy(wanted, &nonce, 8);
	memcpy(wanted + 8, &version, 4);
	client_frame_send(client, 0, STREAM_HELLO, &nonce, sizeof(nonce));
	/* What comes before the answer is of an older connection. */
	do {
		while (!take_frame(client, &frame))
			client_turn(client, deadline);
	} while (frame.header.kind != STREAM_HELLO || frame.header.bytes != 12 || memcmp(frame.payload, wanted, 12));
}

static void give_credit(struct client *client, guint32 session, guint32 bytes)
{
	client_frame_send(client, session, STREAM_CREDIT, &bytes, sizeof(bytes));
}

int client_collect(struct client *client, guint32 session, GString *out, GString *err)
{
	struct frame frame;
	guint32 status;

	for (;;) {
		client_frame(client, &frame);
		if (frame.header.session != session)
			continue;
		GString *to = frame.header.kind == STREAM_STDERR ? err : out;
		switch (frame.header.kind) {
		case STREAM_STDOUT:
		case STREAM_STDERR:
			if (to)
				g_string_append_len(to, (const char *)frame.payload, frame.header.bytes);
			give_credit(client, session, frame.header.bytes);
			break;
		case STREAM_EXIT:
			g_assert_cmpuint(frame.header.bytes, ==, 4);
			memcpy(&status, frame.payload, 4);
			return status;
		case STREAM_REFUSED:
			if (out)
				g_string_append(out, (const char *)frame.payload);
			return -1;
		}
	}
}

void client_echo(struct client *client, guint32 session, gsize bytes, guint32 seed)
{
	g_autoptr(GRand) random = g_rand_new_with_seed(seed);
	g_autofree guint8 *sent = g_malloc(bytes);
	g_autoptr(GByteArray) back = g_byte_array_new();
	gsize at = 0;
	guint32 unacknowledged = 0, credit, status = 999;
	struct frame frame = { 0 };

	g_test_message("seed %u", seed);
	for (gsize i = 0; i < bytes; i++)
		sent[i] = g_rand_int(random);
	while (frame.header.kind != STREAM_EXIT) {
		while (at < bytes && unacknowledged < STREAM_WINDOW) {
			gsize count = MIN(MIN(bytes - at, STREAM_WINDOW - unacknowledged), STREAM_PAYLOAD_MAX);
			client_frame_send(client, session, STREAM_STDIN, sent + at, count);
			at += count;
			unacknowledged += count;
			if (at == bytes)
				client_frame_send(client, session, STREAM_STDIN_EOF, NULL, 0);
		}
		client_frame(client, &frame);
		if (frame.header.kind == STREAM_CREDIT) {
			memcpy(&credit, frame.payload, 4);
			g_assert_cmpuint(credit, <=, unacknowledged);
			unacknowledged -= credit;
		} else if (frame.header.kind == STREAM_STDOUT) {
			g_byte_array_append(back, frame.payload, frame.header.bytes);
			give_credit(client, session, frame.header.bytes);
		} else if (frame.header.kind == STREAM_EXIT) {
			memcpy(&status, frame.payload, 4);
		} else {
			g_assert_cmpint(frame.header.kind, ==, STREAM_OPENED);
		}
	}
	g_assert_cmpuint(status, ==, 0);
	g_assert_cmpuint(unacknowledged, ==, 0);
	g_autofree char *want = g_compute_checksum_for_data(G_CHECKSUM_SHA256, sent, bytes);
	g_autofree char *got = g_compute_checksum_for_data(G_CHECKSUM_SHA256, back->data, back->len);
	g_assert_cmpuint(back->len, ==, bytes);
	g_assert_cmpstr(got, ==, want);
}
