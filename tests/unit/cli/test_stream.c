/* One session against a scripted daemon: statuses, flow control both ways, and every way a daemon can misbehave. */
#include "cli/stream.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "daemon/model/error.h"
#include "guest/protocol.h"
#include "tests/unit/cli/server.h"

#define TOTAL (1024u * 1024u)

/* Written by the server's thread only, read by the test once the session is over. */
struct script {
	const char *path;
	SoupWebsocketConnection *socket;
	char *open;
	GString *input;
	guint64 sent, credited, given;
	gboolean input_ended, overrun, closed_by_us;
	guint signal;
};

static void send(struct script *script, enum stream_kind kind, gconstpointer data, gsize bytes)
{
	g_autofree guint8 *frame = g_malloc(bytes + 1);

	frame[0] = (guint8)kind;
	if (bytes)
		memcpy(frame + 1, data, bytes);
	soup_websocket_connection_send_binary(script->socket, frame, bytes + 1);
}

static void send_u32(struct script *script, enum stream_kind kind, guint32 number)
{
	number = GUINT32_TO_LE(number);
	send(script, kind, &number, sizeof(number));
}

/* As much output as the window allows. */
static void flood(struct script *script)
{
	guint8 chunk[8192];

	memset(chunk, 'x', sizeof(chunk));
	while (script->sent < TOTAL && script->sent - script->credited + sizeof(chunk) <= STREAM_WINDOW) {
		send(script, script->sent % 3 ? STREAM_STDOUT : STREAM_STDERR, chunk, sizeof(chunk));
		script->sent += sizeof(chunk);
	}
	if (script->sent == TOTAL && script->credited > TOTAL - STREAM_WINDOW)
		send_u32(script, STREAM_EXIT, 0);
}

static void begin(struct script *script)
{
	guint8 chunk[16384] = { 0 };

	if (strcmp(script->path, "/refused") == 0) {
		send(script, STREAM_STATUS, "waiting", 7);
		send(script, STREAM_REFUSED, "nosuch: not found", 17);
		return;
	}
	if (strcmp(script->path, "/vanish") == 0) {
		soup_websocket_connection_close(script->socket, SOUP_WEBSOCKET_CLOSE_GOING_AWAY, "it is shutting down");
		return;
	}
	if (strcmp(script->path, "/garbage") == 0) {
		send(script, 99, "x", 1);
		return;
	}
	if (strcmp(script->path, "/text") == 0) {
		soup_websocket_connection_send_text(script->socket, "hello");
		return;
	}
	send_u32(script, STREAM_OPENED, 42);
	if (strcmp(script->path, "/exit") == 0) {
		send(script, STREAM_STDOUT, "out", 3);
		send(script, STREAM_STDERR, "err", 3);
		send_u32(script, STREAM_EXIT, 7);
	} else if (strcmp(script->path, "/flood") == 0)
		flood(script);
	else if (strcmp(script->path, "/blocked") == 0) {
		/* More than a pipe holds, and the end, before the signal. */
		for (guint sent = 0; sent < STREAM_WINDOW; sent += sizeof(chunk))
			send(script, STREAM_STDOUT, chunk, sizeof(chunk));
		send_u32(script, STREAM_EXIT, 0);
	} else if (strcmp(script->path, "/overrun") == 0)
		for (guint i = 0; i < 2 * STREAM_WINDOW / sizeof(chunk); i++)
			send(script, STREAM_STDOUT, chunk, sizeof(chunk));
}

/* Credit is held back until the window is full: the client must then stop, and go on after it. */
static void take_input(struct script *script, const guint8 *data, gsize bytes)
{
	g_string_append_len(script->input, (const char *)data, (gssize)bytes);
	if (script->input->len - script->given > STREAM_WINDOW)
		script->overrun = TRUE;
	if (script->input->len - script->given == STREAM_WINDOW) {
		send_u32(script, STREAM_CREDIT, STREAM_WINDOW / 2);
		script->given += STREAM_WINDOW / 2;
	}
}

static void on_message(SoupWebsocketConnection *socket, gint type, GBytes *message, gpointer user_data)
{
	struct script *script = user_data;
	gsize bytes;
	const guint8 *data = g_bytes_get_data(message, &bytes);
	guint32 number = 0;

	if (bytes == 5)
		memcpy(&number, data + 1, 4);
	switch (data[0]) {
	case STREAM_OPEN:
		script->open = g_strndup((const char *)data + 1, bytes - 1);
		begin(script);
		break;
	case STREAM_STDIN:
		take_input(script, data + 1, bytes - 1);
		break;
	case STREAM_STDIN_EOF:
		script->input_ended = TRUE;
		if (strcmp(script->path, "/input") == 0)
			send_u32(script, STREAM_EXIT, 0);
		/* Now the client knows that the command runs: a signal is for it. */
		if (strcmp(script->path, "/signal") == 0)
			kill(getpid(), SIGINT);
		break;
	case STREAM_CREDIT:
		script->credited += GUINT32_FROM_LE(number);
		if (strcmp(script->path, "/flood") == 0)
			flood(script);
		break;
	case STREAM_SIGNAL:
		script->signal = GUINT32_FROM_LE(number);
		if (strcmp(script->path, "/signal") == 0)
			send_u32(script, STREAM_EXIT, 128 + script->signal);
		break;
	case STREAM_CLOSE:
		script->closed_by_us = TRUE;
		break;
	default:
		g_error("the client sent kind %d", data[0]);
	}
}

static void on_socket(SoupServer *server, SoupServerMessage *message, const char *path,
		      SoupWebsocketConnection *connection, gpointer user_data)
{
	struct script *script = user_data;

	script->socket = g_object_ref(connection);
	g_signal_connect(connection, "message", G_CALLBACK(on_message), script);
}

static void on_plain(SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
		     gpointer user_data)
{
	if (strcmp(path, "/stopped") == 0)
		test_server_answer(message, 409, "application/problem+json",
				   "{\"status\":409,\"code\":\"conflict\",\"detail\":\"VM web is stopped: start it\"}");
	else
		test_server_answer(message, 404, "application/problem+json",
				   "{\"status\":404,\"code\":\"not-found\",\"detail\":\"there is no VM nosuch\"}");
}

static void setup(SoupServer *server, gpointer user_data)
{
	soup_server_add_handler(server, NULL, on_plain, NULL, NULL);
	soup_server_add_websocket_handler(server, "/ws", NULL, NULL, on_socket, user_data, NULL);
}

/* A session whose input is `input` (taken), whose outputs go to pipes that a thread reads. */
struct session {
	struct script script;
	struct stream_config config;
	struct stream_result result;
	GError *error;
	GString *out, *err;
};

struct reader {
	int fd;
	GString *text;
};

static gpointer read_all(gpointer user_data)
{
	struct reader *reader = user_data;
	char buffer[8192];
	ssize_t got;

	while ((got = read(reader->fd, buffer, sizeof(buffer))) > 0)
		g_string_append_len(reader->text, buffer, got);
	return NULL;
}

static int input_file(const char *text, gsize bytes)
{
	g_autofree char *path = g_build_filename(g_get_tmp_dir(), "polder-stream-XXXXXX", NULL);
	int fd = g_mkstemp(path);

	g_assert_cmpint(write(fd, text, bytes), ==, (gssize)bytes);
	g_assert_cmpint(lseek(fd, 0, SEEK_SET), ==, 0);
	g_unlink(path);
	return fd;
}

static void run(struct session *session, const char *path, gboolean drain)
{
	struct test_server *server;
	struct client *client;
	int out[2], err[2];
	struct reader readers[2];
	GThread *threads[2] = { NULL, NULL };

	session->script.path = path;
	session->script.input = g_string_new(NULL);
	session->out = g_string_new(NULL);
	session->err = g_string_new(NULL);
	server = test_server_new(setup, &session->script);
	client = client_open_socket(test_server_socket(server));
	g_assert_cmpint(pipe(out), ==, 0);
	g_assert_cmpint(pipe(err), ==, 0);
	readers[0] = (struct reader) { out[0], session->out };
	readers[1] = (struct reader) { err[0], session->err };
	for (int i = 0; drain && i < 2; i++)
		threads[i] = g_thread_new("reader", read_all, &readers[i]);
	if (!session->config.path)
		session->config.path = "/ws";
	session->config.what = "VM web";
	session->config.fd_out = out[1];
	session->config.fd_err = err[1];
	if (!session->config.detach_key)
		session->config.open = "{\"argv\":[\"true\"]}";
	stream_run(client, &session->config, &session->result, &session->error);
	close(out[1]);
	close(err[1]);
	for (int i = 0; i < 2; i++)
		if (threads[i])
			g_thread_join(threads[i]);
	close(out[0]);
	close(err[0]);
	client_close(client);
	test_server_free(server);
}

static void session_clear(struct session *session)
{
	g_clear_object(&session->script.socket);
	g_free(session->script.open);
	g_string_free(session->script.input, TRUE);
	g_string_free(session->out, TRUE);
	g_string_free(session->err, TRUE);
	g_free(session->result.reason);
	g_clear_error(&session->error);
}

static void test_exit(void)
{
	struct session session = { 0 };

	run(&session, "/exit", TRUE);
	g_assert_no_error(session.error);
	g_assert_cmpint(session.result.end, ==, STREAM_END_EXIT);
	g_assert_cmpuint(session.result.status, ==, 7);
	g_assert_cmpstr(session.out->str, ==, "out");
	g_assert_cmpstr(session.err->str, ==, "err");
	g_assert_cmpstr(session.script.open, ==, "{\"argv\":[\"true\"]}");
	g_assert_true(session.script.input_ended);
	session_clear(&session);
}

static void test_refused(void)
{
	struct session session = { 0 };

	run(&session, "/refused", TRUE);
	g_assert_cmpint(session.result.end, ==, STREAM_END_REFUSED);
	g_assert_cmpstr(session.result.reason, ==, "nosuch: not found");
	session_clear(&session);
}

static void test_input(void)
{
	struct session session = { 0 };
	g_autoptr(GString) text = g_string_new(NULL);

	while (text->len < TOTAL)
		g_string_append_printf(text, "%zu ", text->len);
	session.config.fd_in = input_file(text->str, text->len);
	session.config.forward_input = TRUE;
	run(&session, "/input", TRUE);
	g_assert_no_error(session.error);
	g_assert_cmpint(session.result.end, ==, STREAM_END_EXIT);
	g_assert_false(session.script.overrun);
	g_assert_true(session.script.input_ended);
	g_assert_true(g_string_equal(session.script.input, text));
	close(session.config.fd_in);
	session_clear(&session);
}

static void test_flood(void)
{
	struct session session = { 0 };

	run(&session, "/flood", TRUE);
	g_assert_no_error(session.error);
	g_assert_cmpint(session.result.end, ==, STREAM_END_EXIT);
	g_assert_cmpuint(session.out->len + session.err->len, ==, TOTAL);
	g_assert_cmpuint(session.script.credited, >, TOTAL - STREAM_WINDOW);
	g_assert_cmpuint(session.script.credited, <=, TOTAL);
	session_clear(&session);
}

static void test_misbehaviour(void)
{
	static const struct {
		const char *path, *says;
	} cases[] = {
		{ "/overrun", "more than was asked" },
		{ "/vanish", "shutting down" },
		{ "/garbage", "no sense" },
		{ "/text", "no sense" },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct session session = { 0 };

		/* Nobody reads the output: what comes piles up here. */
		run(&session, cases[i].path, FALSE);
		g_assert_cmpint(session.result.end, ==, STREAM_END_BROKEN);
		g_assert_error(session.error, POLDER_ERROR, POLDER_ERROR_UNAVAILABLE);
		g_assert_nonnull(strstr(session.error->message, "VM web"));
		g_assert_nonnull(strstr(session.error->message, cases[i].says));
		session_clear(&session);
	}
}

/* The daemon's own words, although libsoup keeps a refused handshake's body to itself. */
static void test_refused_handshake(void)
{
	static const struct {
		const char *path;
		enum polder_error code;
		const char *says;
	} cases[] = {
		{ "/nosuch", POLDER_ERROR_NOT_FOUND, "there is no VM nosuch" },
		{ "/stopped", POLDER_ERROR_CONFLICT, "VM web is stopped: start it" },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct session session = { .config.path = cases[i].path };

		run(&session, "", TRUE);
		g_assert_cmpint(session.result.end, ==, STREAM_END_BROKEN);
		g_assert_error(session.error, POLDER_ERROR, (int)cases[i].code);
		g_assert_cmpstr(session.error->message, ==, cases[i].says);
		session_clear(&session);
	}
}

static void test_signal(void)
{
	struct session session = { 0 };

	run(&session, "/signal", TRUE);
	g_assert_cmpint(session.result.end, ==, STREAM_END_EXIT);
	g_assert_cmpuint(session.script.signal, ==, SIGINT);
	g_assert_cmpuint(session.result.status, ==, 128 + SIGINT);
	session_clear(&session);
}

/* Sent again until it is felt: one that comes before the command's exit is passed on to the command. */
static gboolean terminate_again(gpointer user_data)
{
	kill(getpid(), SIGTERM);
	return G_SOURCE_CONTINUE;
}

static gboolean too_late(gpointer user_data)
{
	g_error("a signal does not end a session whose output nobody reads");
	return G_SOURCE_REMOVE;
}

static void test_signal_while_blocked(void)
{
	struct session session = { 0 };
	guint again = g_timeout_add(20, terminate_again, NULL), late = g_timeout_add(10000, too_late, NULL);

	run(&session, "/blocked", FALSE);
	g_source_remove(again);
	g_source_remove(late);
	g_assert_no_error(session.error);
	g_assert_cmpint(session.result.end, ==, STREAM_END_SIGNAL);
	g_assert_cmpuint(session.result.status, ==, 128 + SIGTERM);
	session_clear(&session);
}

static void test_detach(void)
{
	struct session session = { 0 };

	session.config.fd_in = input_file("abc\x1dxyz", 7);
	session.config.forward_input = TRUE;
	session.config.detach_key = TRUE;
	run(&session, "/console", TRUE);
	g_assert_no_error(session.error);
	g_assert_cmpint(session.result.end, ==, STREAM_END_DETACHED);
	g_assert_cmpstr(session.script.input->str, ==, "abc");
	g_assert_true(session.script.closed_by_us);
	g_assert_false(session.script.input_ended);
	close(session.config.fd_in);
	session_clear(&session);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/stream/exit", test_exit);
	g_test_add_func("/stream/refused", test_refused);
	g_test_add_func("/stream/input", test_input);
	g_test_add_func("/stream/flood", test_flood);
	g_test_add_func("/stream/misbehaviour", test_misbehaviour);
	g_test_add_func("/stream/refused-handshake", test_refused_handshake);
	g_test_add_func("/stream/signal", test_signal);
	g_test_add_func("/stream/signal-while-blocked", test_signal_while_blocked);
	g_test_add_func("/stream/detach", test_detach);
	return g_test_run();
}
