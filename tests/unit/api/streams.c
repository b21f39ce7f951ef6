/* Goal: a stream relays both ways, says why it waits or ends, holds windows on both sides, and cleans up after itself. */
#include "tests/unit/api/fixture.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/model/limits.h"
#include "guest/protocol.h"

#define LAST_WORDS_ROUNDS 500u

/* A WebSocket client, as small as can be. */
struct client {
	int fd;
	GByteArray *in;
	gboolean eof;
};

static void client_read(struct client *client)
{
	guint8 buffer[65536];
	ssize_t got;

	while ((got = recv(client->fd, buffer, sizeof(buffer), MSG_DONTWAIT)) > 0)
		g_byte_array_append(client->in, buffer, (guint)got);
	client->eof |= got == 0;
}

static gboolean upgraded(struct client *client)
{
	char *end;
	gsize head;

	client_read(client);
	end = client->in->len ? g_strstr_len((char *)client->in->data, client->in->len, "\r\n\r\n") : NULL;
	if (!end)
		return FALSE;
	g_assert_true(g_str_has_prefix((char *)client->in->data, "HTTP/1.1 101"));
	head = (gsize)(end + 4 - (char *)client->in->data);
	g_byte_array_remove_range(client->in, 0, (guint)head);
	return TRUE;
}

static void client_open(struct fixture *fixture, struct client *client, const char *path)
{
	g_autofree char *head =
		g_strdup_printf("GET %s HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
				"Sec-WebSocket-Version: 13\r\n"
				"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
				path);

	*client = (struct client) { .fd = fixture_connect(fixture), .in = g_byte_array_new() };
	g_assert_cmpint(send(client->fd, head, strlen(head), MSG_NOSIGNAL), ==, (gssize)strlen(head));
	fixture_wait(upgraded(client));
}

static void client_clear(struct client *client)
{
	close(client->fd);
	g_byte_array_unref(client->in);
}

static void frame_send(struct client *client, guint8 first, const void *payload, guint16 bytes)
{
	guint8 head[8] = { first, 0xfe, (guint8)(bytes >> 8), (guint8)bytes, 1, 2, 3, 4 };
	g_autofree guint8 *masked = g_memdup2(payload, bytes);

	for (guint i = 0; i < bytes; i++)
		masked[i] ^= (guint8)(1 + i % 4);
	g_assert_cmpint(send(client->fd, head, sizeof(head), MSG_NOSIGNAL), ==, sizeof(head));
	if (bytes)
		g_assert_cmpint(send(client->fd, masked, bytes, MSG_NOSIGNAL), ==, bytes);
}

static void message_send(struct client *client, enum stream_kind kind, const void *data, guint16 bytes)
{
	g_autofree guint8 *message = g_malloc(bytes + 1u);

	message[0] = (guint8)kind;
	if (bytes)
		memcpy(message + 1, data, bytes);
	frame_send(client, 0x82, message, (guint16)(bytes + 1));
}

/* The next message's kind, its text in *text; 0: none yet. -1: the server closed. */
static int message_next(struct client *client, char **text)
{
	gsize header = 2, bytes;
	guint8 *at;
	int kind;

	client_read(client);
	at = client->in->data;
	if (client->in->len < 2)
		return client->eof ? -1 : 0;
	bytes = at[1];
	if (bytes == 126) {
		if (client->in->len < 4)
			return 0;
		header = 4;
		bytes = (gsize)at[2] << 8 | at[3];
	}
	if (client->in->len < header + bytes)
		return 0;
	if ((at[0] & 0x0f) == 8)
		return -1;
	g_assert_cmpuint(at[0], ==, 0x82);
	kind = at[header];
	if (text) {
		g_free(*text);
		*text = g_strndup((char *)at + header + 1, bytes - 1);
	}
	g_byte_array_remove_range(client->in, 0, (guint)(header + bytes));
	return kind;
}

static int message_wait(struct client *client, char **text)
{
	int kind;

	fixture_wait((kind = message_next(client, text)) != 0);
	return kind;
}

/* The server ends the stream, after at most some lines about what it had waited for. */
static void end_wait(struct client *client)
{
	int kind;

	do
		kind = message_wait(client, NULL);
	while (kind == STREAM_STATUS);
	g_assert_cmpint(kind, ==, -1);
}

static void agent_send(struct fixture *fixture, enum stream_kind kind, const void *data, gsize bytes)
{
	g_autofree guint8 *packet = g_malloc(bytes + 1);

	packet[0] = (guint8)kind;
	memcpy(packet + 1, data, bytes);
	fixture_wait(send(fixture->stream_fd, packet, bytes + 1, MSG_DONTWAIT | MSG_NOSIGNAL) > 0);
}

static gssize agent_recv(struct fixture *fixture, guint8 *packet)
{
	gssize got;

	fixture_wait((got = recv(fixture->stream_fd, packet, STREAM_PAYLOAD_MAX + 1, MSG_DONTWAIT)) >= 0);
	return got;
}

static void create(struct fixture *fixture, const char *more)
{
	g_autofree char *body = g_strdup_printf("{\"name\":\"a\",\"image\":\"tiny\"%s}", more);
	g_autoptr(JsonObject) vm = http_expect(fixture, "POST /v1/vms", body, 201, NULL);
}

static void test_exec(void)
{
	static const char open[] = "{\"argv\":[\"cat\"]}";
	guint8 packet[STREAM_PAYLOAD_MAX + 1];
	g_autofree char *text = NULL;
	struct fixture fixture;
	struct client client;
	guint32 status = GUINT32_TO_LE(7);

	fixture_init(&fixture);
	fixture.hold_statuses = TRUE;
	create(&fixture, ",\"ephemeral\":true");
	client_open(&fixture, &client, "/v1/vms/a/exec?remove=true");
	message_send(&client, STREAM_OPEN, open, strlen(open));
	message_send(&client, STREAM_STDIN, "early", 5);
	g_assert_cmpint(message_wait(&client, &text), ==, STREAM_STATUS);
	g_assert_cmpstr(text, ==, "VM a is pending");
	fixture.hold_statuses = FALSE;
	{
		const struct store_kv *vm = store_cache_get(fixture.cache, "/vm/a");
		g_autoptr(JsonObject) view = http_expect(&fixture, "GET /v1/vms/a", NULL, 200, NULL);
		g_autofree char *ready = g_strdup_printf(
			"{\"uuid\":\"%s\",\"host\":\"h1\",\"state\":\"running\",\"ready\":true,\"run\":1}",
			json_object_get_string_member(view, "uuid"));

		g_assert_cmpint(vm->lease, >, 0); /* a throwaway VM hangs on a lease */
		fixture_put(&fixture, "/status/a", ready);
	}
	fixture_wait(fixture.stream_fd >= 0);
	g_assert_nonnull(strstr(fixture.stream_request, "\"argv\":[\"cat\"]"));
	g_assert_cmpint(agent_recv(&fixture, packet), ==, 6);
	g_assert_cmpmem(packet + 1, 5, "early", 5);
	agent_send(&fixture, STREAM_STDOUT, "out", 3);
	g_assert_cmpint(message_wait(&client, &text), ==, STREAM_STDOUT);
	g_assert_cmpstr(text, ==, "out");
	message_send(&client, STREAM_STDIN_EOF, NULL, 0);
	g_assert_cmpint(agent_recv(&fixture, packet), ==, 1);
	g_assert_cmpint(packet[0], ==, STREAM_STDIN_EOF);
	agent_send(&fixture, STREAM_EXIT, &status, sizeof(status));
	g_assert_cmpint(message_wait(&client, &text), ==, STREAM_EXIT);
	end_wait(&client);
	/* remove=true: it goes with its stream. */
	fixture_wait(!store_cache_get(fixture.cache, "/plan/a") && !store_cache_get(fixture.cache, "/vm/a"));
	client_clear(&client);
	fixture_wait(api_connections(fixture.api) == 0);
	fixture_clear(&fixture);
}

static void test_client_leaves(void)
{
	guint8 packet[STREAM_PAYLOAD_MAX + 1];
	struct fixture fixture;
	struct client client;

	fixture_init(&fixture);
	create(&fixture, "");
	client_open(&fixture, &client, "/v1/vms/a/console?remove=true");
	fixture_wait(fixture.stream_fd >= 0);
	client_clear(&client);
	g_assert_cmpint(agent_recv(&fixture, packet), ==, 1);
	g_assert_cmpint(packet[0], ==, STREAM_CLOSE);
	g_assert_cmpint(agent_recv(&fixture, packet), ==, 0);
	fixture_wait(!store_cache_get(fixture.cache, "/plan/a"));
	fixture_clear(&fixture);
}

/* A client that reads nothing holds up the agent after one window, and one that is sent more ends the stream. */
static void test_slow_client(void)
{
	static const guint8 data[STREAM_PAYLOAD_MAX];
	struct fixture fixture;
	struct client client;
	gsize sent = 0;

	fixture_init(&fixture);
	create(&fixture, "");
	client_open(&fixture, &client, "/v1/vms/a/console");
	fixture_wait(fixture.stream_fd >= 0);
	for (; sent < STREAM_WINDOW; sent += sizeof(data))
		agent_send(&fixture, STREAM_STDOUT, data, sizeof(data));
	g_test_expect_message(NULL, G_LOG_LEVEL_WARNING, "the stream of VM a broke the protocol*");
	agent_send(&fixture, STREAM_STDOUT, data, 1);
	/* Everything within the window arrives, then the end. */
	sent = 0;
	for (;;) {
		g_autofree char *text = NULL;
		int kind = message_wait(&client, &text);

		if (kind < 0)
			break;
		if (kind == STREAM_STATUS)
			continue;
		g_assert_cmpint(kind, ==, STREAM_STDOUT);
		sent += sizeof(data);
	}
	g_assert_cmpuint(sent, ==, STREAM_WINDOW);
	g_test_assert_expected_messages();
	client_clear(&client);
	fixture_wait(api_connections(fixture.api) == 0);
	fixture_clear(&fixture);
}

static void test_flooding_client(void)
{
	static const guint8 data[STREAM_PAYLOAD_MAX];
	struct fixture fixture;
	struct client client;

	fixture_init(&fixture);
	create(&fixture, "");
	client_open(&fixture, &client, "/v1/vms/a/console");
	fixture_wait(fixture.stream_fd >= 0);
	for (gsize sent = 0; sent <= STREAM_WINDOW; sent += sizeof(data)) {
		guint8 packet[STREAM_PAYLOAD_MAX + 1];

		message_send(&client, STREAM_STDIN, data, sizeof(data));
		/* Read, but give no credit. */
		fixture_wait(recv(fixture.stream_fd, packet, sizeof(packet), MSG_DONTWAIT) >= 0);
	}
	end_wait(&client);
	client_clear(&client);
	fixture_clear(&fixture);
}

/* Each ends the stream, and nothing else. */
static void test_broken_frames(void)
{
	struct fixture fixture;
	static const guint8 frames[][14] = {
		{ 0x82, 0x01, 'x' },                                                        /* not masked */
		{ 0xc2, 0x80, 0, 0, 0, 0 },                                                 /* a reserved bit */
		{ 0x81, 0x81, 0, 0, 0, 0, 'x' },                                            /* text */
		{ 0x80, 0x81, 0, 0, 0, 0, 'x' },                                            /* goes on with nothing */
		{ 0x89, 0xfe, 1, 0, 0, 0, 0, 0 },                                           /* a ping too long */
		{ 0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0 }, /* 2^63 bytes */
		{ 0x82, 0x81, 0, 0, 0, 0, 0xee },                                           /* unknown kind */
		{ 0x82, 0x80, 0, 0, 0, 0 },                                                 /* empty */
		{ 0x88, 0x80, 0, 0, 0, 0 },                                                 /* close */
	};

	fixture_init(&fixture);
	create(&fixture, "");
	for (gsize i = 0; i < G_N_ELEMENTS(frames); i++) {
		struct client client;

		client_open(&fixture, &client, "/v1/vms/a/console");
		g_assert_cmpint(send(client.fd, frames[i], sizeof(frames[i]), MSG_NOSIGNAL), >, 0);
		end_wait(&client);
		client_clear(&client);
		fixture_wait(api_connections(fixture.api) == 0);
	}
	fixture_clear(&fixture);
}

static void test_wrong_state(void)
{
	static const char upgrade[] =
		" HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
	g_autoptr(JsonObject) stopped = NULL;
	struct fixture fixture;
	struct client client;
	struct call call = { .fixture = &fixture, .head = g_strconcat("GET /v1/vms/a/exec", upgrade, NULL) };
	g_autofree char *text = NULL;

	fixture_init(&fixture);
	create(&fixture, "");
	client_open(&fixture, &client, "/v1/vms/a/exec");
	message_send(&client, STREAM_STDIN, "x", 1); /* not STREAM_OPEN */
	g_assert_cmpint(message_wait(&client, &text), ==, STREAM_REFUSED);
	client_clear(&client);
	stopped = http_expect(&fixture, "POST /v1/vms/a/stop?wait_ms=5000", NULL, 200, NULL);
	call_begin(&call);
	call_end(&call);
	g_assert_cmpuint(call.status, ==, 409);
	g_assert_nonnull(strstr(call.answer, "polder start a"));
	call_clear(&call);
	fixture_clear(&fixture);
}

static void test_logs(void)
{
	struct fixture fixture;
	struct call call = { .fixture = &fixture,
			     .method = "GET",
			     .path = "/v1/vms/a/logs?follow=true&tail_bytes=100" };
	guint8 packet[STREAM_PAYLOAD_MAX + 1];

	fixture_init(&fixture);
	create(&fixture, "");
	call_begin(&call);
	fixture_wait(fixture.stream_fd >= 0);
	g_assert_nonnull(strstr(fixture.stream_request, "\"stream\":\"log\""));
	agent_send(&fixture, STREAM_STDOUT, "one\n", 4);
	g_assert_cmpint(agent_recv(&fixture, packet), ==, 5);
	g_assert_cmpint(packet[0], ==, STREAM_CREDIT);
	agent_send(&fixture, STREAM_STDOUT, "two\n", 4);
	agent_send(&fixture, STREAM_EXIT, "\0\0\0\0", 4);
	call_end(&call);
	g_assert_cmpuint(call.status, ==, 200);
	g_assert_cmpstr(call.answer, ==, "one\ntwo\n");
	g_assert_nonnull(strstr(call.headers, "text/plain"));
	call_clear(&call);
	fixture_clear(&fixture);
}

/* The next message that is not about waiting. */
static int word_wait(struct client *client)
{
	int kind;

	do
		kind = message_wait(client, NULL);
	while (kind == STREAM_STATUS);
	return kind;
}

/* The agent closes at once after its last words, while the client gives credit for output: EXIT arrives every time. */
static void test_last_words(void)
{
	const guint32 credit = GUINT32_TO_LE(3), status = GUINT32_TO_LE(7);
	struct fixture fixture;
	guint exits = 0;

	fixture_init(&fixture);
	create(&fixture, "");
	for (guint i = 0; i < LAST_WORDS_ROUNDS; i++) {
		struct client client;

		client_open(&fixture, &client, "/v1/vms/a/console");
		fixture_wait(fixture.stream_fd >= 0);
		if (i % 2)
			while (g_main_context_iteration(NULL, FALSE))
				;
		/* Each is there before the server has had its turn: it meets credit and a closed agent together. */
		agent_send(&fixture, STREAM_STDOUT, "out", 3);
		message_send(&client, STREAM_CREDIT, &credit, sizeof(credit));
		agent_send(&fixture, STREAM_EXIT, &status, sizeof(status));
		close(fixture.stream_fd);
		fixture.stream_fd = -1;
		if (word_wait(&client) == STREAM_STDOUT)
			exits += word_wait(&client) == STREAM_EXIT;
		client_clear(&client);
		fixture_wait(api_connections(fixture.api) == 0);
	}
	g_test_message("EXIT arrived in %u of %u rounds", exits, LAST_WORDS_ROUNDS);
	g_assert_cmpuint(exits, ==, LAST_WORDS_ROUNDS);
	fixture_clear(&fixture);
}

/* A client that still sends credit when the server has said its last: it can, and reads everything. */
static void test_late_credit(void)
{
	static const guint8 data[STREAM_PAYLOAD_MAX];
	static const guint8 close_frame[] = { 0x88, 0x80, 0, 0, 0, 0 };
	const guint32 credit = GUINT32_TO_LE(sizeof(data)), status = 0;
	struct fixture fixture;
	struct client client;

	fixture_init(&fixture);
	create(&fixture, "");
	client_open(&fixture, &client, "/v1/vms/a/console");
	fixture_wait(fixture.stream_fd >= 0);
	for (guint i = 0; i < 4; i++)
		agent_send(&fixture, STREAM_STDOUT, data, sizeof(data));
	agent_send(&fixture, STREAM_EXIT, &status, sizeof(status));
	/* The server has sent everything up to its close. */
	fixture_wait((client_read(&client), client.in->len > 2 && client.in->data[client.in->len - 4] == 0x88));
	while (g_main_context_iteration(NULL, FALSE))
		;
	for (guint i = 0; i < 4; i++) {
		g_assert_cmpint(word_wait(&client), ==, STREAM_STDOUT);
		message_send(&client, STREAM_CREDIT, &credit, sizeof(credit)); /* fails when the server has let go */
		while (g_main_context_iteration(NULL, FALSE))
			;
	}
	g_assert_cmpint(word_wait(&client), ==, STREAM_EXIT);
	g_assert_cmpint(word_wait(&client), ==, -1);
	g_assert_cmpuint(api_connections(fixture.api), ==, 1);
	g_assert_cmpint(send(client.fd, close_frame, sizeof(close_frame), MSG_NOSIGNAL), ==, sizeof(close_frame));
	fixture_wait(api_connections(fixture.api) == 0); /* at once, and not after the linger */
	client_clear(&client);
	fixture_clear(&fixture);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/api/streams/exec", test_exec);
	g_test_add_func("/api/streams/client-leaves", test_client_leaves);
	g_test_add_func("/api/streams/last-words", test_last_words);
	g_test_add_func("/api/streams/late-credit", test_late_credit);
	g_test_add_func("/api/streams/slow-client", test_slow_client);
	g_test_add_func("/api/streams/flooding-client", test_flooding_client);
	g_test_add_func("/api/streams/broken-frames", test_broken_frames);
	g_test_add_func("/api/streams/wrong-state", test_wrong_state);
	g_test_add_func("/api/streams/logs", test_logs);
	return g_test_run();
}
