#include "guest/agent_stream.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/guest/here.h"

struct fixture {
	struct here here;
	struct stream_agent *agent;
	struct client *client;
};

static void set_up(struct fixture *fixture, gconstpointer data)
{
	here_init(&fixture->here);
	fixture->client = &fixture->here.client;
	fixture->agent = stream_agent_new(fixture->here.loop, fixture->here.guest_fd);
	client_hello(fixture->client, 1);
}

static void tear_down(struct fixture *fixture, gconstpointer data)
{
	stream_agent_free(fixture->agent);
	here_clear(&fixture->here);
}

static void open_text(struct fixture *fixture, guint32 session, const char *request)
{
	client_frame_send(fixture->client, session, STREAM_OPEN, request, strlen(request));
}

static guint32 open_ok(struct fixture *fixture, guint32 session, const char *request)
{
	struct frame frame;
	guint32 pid;

	open_text(fixture, session, request);
	client_frame(fixture->client, &frame);
	g_assert_cmpint(frame.header.kind, ==, STREAM_OPENED);
	g_assert_cmpuint(frame.header.session, ==, session);
	memcpy(&pid, frame.payload, 4);
	return pid;
}

static void test_status(struct fixture *fixture, gconstpointer data)
{
	g_autoptr(GString) out = g_string_new(NULL), err = g_string_new(NULL);

	open_ok(fixture, 1,
		"{\"argv\":[\"sh\",\"-c\",\"pwd; echo $A; echo e >&2; exit 7\"],\"env\":[\"A=b c\"],\"cwd\":\"/usr\"}");
	g_assert_cmpint(client_collect(fixture->client, 1, out, err), ==, 7);
	g_assert_cmpstr(out->str, ==, "/usr\nb c\n");
	g_assert_cmpstr(err->str, ==, "e\n");
	open_ok(fixture, 2, "{\"argv\":[\"sh\",\"-c\",\"kill -15 $$\"]}");
	g_assert_cmpint(client_collect(fixture->client, 2, NULL, NULL), ==, 128 + SIGTERM);
}

static void test_refused(struct fixture *fixture, gconstpointer data)
{
	static const char *const requests[][2] = {
		{ "{\"argv\":[\"nosuch-program\"]}", "nosuch-program: not found" },
		{ "{\"argv\":[\"true\"],\"cwd\":\"/nosuch\"}", "/nosuch: No such file" },
		{ "{\"argv\":[]}", "argv" },
		{ "{\"argv\":[1]}", "argv" },
		{ "{\"argv\":[\"true\"],\"env\":[\"nothing\"]}", "env" },
		{ "{\"argv\":[\"true\"],\"env\":\"A=b\"}", "env" },
		{ "[", "malformed" },
		{ "", "malformed" },
		{ "7", "argv" },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(requests); i++) {
		g_autoptr(GString) reason = g_string_new(NULL);
		open_text(fixture, i + 1, requests[i][0]);
		g_assert_cmpint(client_collect(fixture->client, i + 1, reason, NULL), ==, -1);
		g_test_message("%s", reason->str);
		g_assert_nonnull(strstr(reason->str, requests[i][1]));
	}
}

static void test_echo(struct fixture *fixture, gconstpointer data)
{
	open_ok(fixture, 1, "{\"argv\":[\"cat\"]}");
	client_echo(fixture->client, 1, 3 << 20, g_test_rand_int());
}

/* Nobody takes the output: exactly one window is sent, then the program waits. */
static void test_output_window(struct fixture *fixture, gconstpointer data)
{
	struct frame frame;
	gsize got = 0;

	open_ok(fixture, 1, "{\"argv\":[\"cat\",\"/dev/zero\"]}");
	while (got < STREAM_WINDOW) {
		client_frame(fixture->client, &frame);
		g_assert_cmpint(frame.header.kind, ==, STREAM_STDOUT);
		got += frame.header.bytes;
	}
	g_assert_cmpuint(got, ==, STREAM_WINDOW);
	/* Another session works meanwhile; had there been more of the first, it would come before. */
	open_text(fixture, 2, "{\"argv\":[\"true\"]}");
	for (int i = 0; i < 2; i++) {
		client_frame(fixture->client, &frame);
		g_assert_cmpuint(frame.header.session, ==, 2);
	}
	guint32 credit = 1000;
	client_frame_send(fixture->client, 1, STREAM_CREDIT, &credit, 4);
	client_frame(fixture->client, &frame);
	g_assert_cmpuint(frame.header.session, ==, 1);
	g_assert_cmpuint(frame.header.bytes, ==, 1000);
}

/* A sender that ignores the window of stdin loses its session. */
static void test_input_window(struct fixture *fixture, gconstpointer data)
{
	static const guint8 zeros[STREAM_PAYLOAD_MAX];
	g_autoptr(GString) reason = g_string_new(NULL);

	open_ok(fixture, 1, "{\"argv\":[\"sleep\",\"60\"]}");
	for (int i = 0; i < 30; i++)
		client_frame_send(fixture->client, 1, STREAM_STDIN, zeros, sizeof(zeros));
	g_assert_cmpint(client_collect(fixture->client, 1, reason, NULL), ==, -1);
	g_assert_nonnull(strstr(reason->str, "window"));
}

/* stdin that nobody reads any more is dropped, and counts as consumed. */
static void test_input_closed(struct fixture *fixture, gconstpointer data)
{
	static const guint8 zeros[STREAM_PAYLOAD_MAX];
	struct frame frame;
	guint32 credit, consumed = 0;

	open_ok(fixture, 1, "{\"argv\":[\"sh\",\"-c\",\"exec <&-; echo closed; sleep 60\"]}");
	client_frame(fixture->client, &frame);
	g_assert_cmpint(frame.header.kind, ==, STREAM_STDOUT);
	for (int i = 0; i < 8; i++)
		client_frame_send(fixture->client, 1, STREAM_STDIN, zeros, sizeof(zeros));
	while (consumed < 8 * sizeof(zeros)) {
		client_frame(fixture->client, &frame);
		g_assert_cmpint(frame.header.kind, ==, STREAM_CREDIT);
		memcpy(&credit, frame.payload, 4);
		consumed += credit;
	}
	g_assert_cmpuint(consumed, ==, 8 * sizeof(zeros));
}

static void test_tty(struct fixture *fixture, gconstpointer data)
{
	g_autoptr(GString) out = g_string_new(NULL);
	guint16 size[2] = { 50, 132 };

	open_ok(fixture, 1,
		"{\"argv\":[\"sh\",\"-c\",\"stty size; tty; read a; stty size; echo got $a; cat; exit 3\"],"
		"\"tty\":true,\"rows\":33,\"cols\":77}");
	client_frame_send(fixture->client, 1, STREAM_RESIZE, size, sizeof(size));
	client_frame_send(fixture->client, 1, STREAM_STDIN, "hello\n", 6);
	client_frame_send(fixture->client, 1, STREAM_STDIN_EOF, NULL, 0);
	g_assert_cmpint(client_collect(fixture->client, 1, out, NULL), ==, 3);
	g_assert_nonnull(strstr(out->str, "/dev/pts/"));
	g_assert_nonnull(strstr(out->str, "50 132\r\n"));
	g_assert_nonnull(strstr(out->str, "got hello\r\n"));
}

/* Ctrl-C on the terminal, and a signal to the foreground process group of either kind. */
static void test_signals(struct fixture *fixture, gconstpointer data)
{
	guint32 number = SIGUSR1;
	struct frame frame;

	open_ok(fixture, 1, "{\"argv\":[\"sh\",\"-c\",\"trap 'exit 9' USR1; echo ready; while :; do sleep 1; done\"]}");
	client_frame(fixture->client, &frame);
	client_frame_send(fixture->client, 1, STREAM_SIGNAL, &number, 4);
	g_assert_cmpint(client_collect(fixture->client, 1, NULL, NULL), ==, 9);
	open_ok(fixture, 2, "{\"argv\":[\"sh\",\"-c\",\"echo ready; exec sleep 60\"],\"tty\":true}");
	client_frame(fixture->client, &frame);
	client_frame_send(fixture->client, 2, STREAM_STDIN, "\003", 1);
	g_assert_cmpint(client_collect(fixture->client, 2, NULL, NULL), ==, 128 + SIGINT);
}

static void wait_gone(struct fixture *fixture, pid_t pid)
{
	gint64 deadline = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;

	while (kill(pid, 0) == 0) {
		g_assert_cmpint(g_get_monotonic_time(), <, deadline);
		loop_run_once(fixture->here.loop, 20);
	}
}

/* The client is gone: SIGHUP, and SIGKILL to one that ignores it. */
static void test_close(struct fixture *fixture, gconstpointer data)
{
	struct frame frame;
	guint32 pid = open_ok(fixture, 1, "{\"argv\":[\"sleep\",\"60\"]}");

	client_frame_send(fixture->client, 1, STREAM_CLOSE, NULL, 0);
	wait_gone(fixture, pid);
	pid = open_ok(fixture, 2, "{\"argv\":[\"sh\",\"-c\",\"trap '' HUP; echo ready; while :; do sleep 1; done\"]}");
	client_frame(fixture->client, &frame);
	client_frame_send(fixture->client, 2, STREAM_CLOSE, NULL, 0);
	wait_gone(fixture, pid);
}

/* A new HELLO ends every session, and so does a host that goes away. */
static void test_hello_ends(struct fixture *fixture, gconstpointer data)
{
	guint32 pid = open_ok(fixture, 1, "{\"argv\":[\"sleep\",\"60\"]}");

	client_hello(fixture->client, 2);
	wait_gone(fixture, pid);
	pid = open_ok(fixture, 1, "{\"argv\":[\"sleep\",\"60\"]}");
	shutdown(fixture->client->fd, SHUT_RDWR);
	wait_gone(fixture, pid);
}

/* A background process that keeps stdout open does not keep the session; what its parent wrote all comes. */
static void test_background(struct fixture *fixture, gconstpointer data)
{
	g_autoptr(GString) out = g_string_new(NULL);
	guint32 pid =
		open_ok(fixture, 1, "{\"argv\":[\"sh\",\"-c\",\"sleep 60 & head -c 50000 /dev/zero | tr '\\\\0' x\"]}");

	g_assert_cmpint(client_collect(fixture->client, 1, out, NULL), ==, 0);
	g_assert_cmpuint(out->len, ==, 50000);
	kill(-(pid_t)pid, SIGKILL);
}

/* Garbage between frames, frames of unknown sessions, a frame that claims too much: skipped. */
static void test_resynchronize(struct fixture *fixture, gconstpointer data)
{
	struct stream_header huge = { .magic = STREAM_MAGIC, .session = 3, .bytes = 1u << 30, .kind = STREAM_STDIN };

	client_send(fixture->client, "garbage STR STRM", 16);
	client_send(fixture->client, &huge, sizeof(huge));
	client_frame_send(fixture->client, 9, STREAM_STDIN, "x", 1);
	client_frame_send(fixture->client, 9, 200, "x", 1);
	client_frame_send(fixture->client, 0, STREAM_OPEN, "x", 1);
	open_ok(fixture, 4, "{\"argv\":[\"true\"]}");
	g_assert_cmpint(client_collect(fixture->client, 4, NULL, NULL), ==, 0);
}

static void test_many(struct fixture *fixture, gconstpointer data)
{
	g_autoptr(GString) reason = g_string_new(NULL);

	for (guint32 i = 1; i <= 64; i++)
		open_ok(fixture, i, "{\"argv\":[\"sleep\",\"60\"]}");
	open_text(fixture, 65, "{\"argv\":[\"true\"]}");
	g_assert_cmpint(client_collect(fixture->client, 65, reason, NULL), ==, -1);
	g_assert_nonnull(strstr(reason->str, "too many"));
}

int main(int argc, char **argv)
{
	static const struct {
		const char *path;
		void (*run)(struct fixture *fixture, gconstpointer data);
	} tests[] = {
		{ "/guest/stream/status", test_status },
		{ "/guest/stream/refused", test_refused },
		{ "/guest/stream/echo", test_echo },
		{ "/guest/stream/output-window", test_output_window },
		{ "/guest/stream/input-window", test_input_window },
		{ "/guest/stream/input-closed", test_input_closed },
		{ "/guest/stream/tty", test_tty },
		{ "/guest/stream/signals", test_signals },
		{ "/guest/stream/close", test_close },
		{ "/guest/stream/hello-ends", test_hello_ends },
		{ "/guest/stream/background", test_background },
		{ "/guest/stream/resynchronize", test_resynchronize },
		{ "/guest/stream/many", test_many },
	};

	g_test_init(&argc, &argv, NULL);
	for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
		g_test_add(tests[i].path, struct fixture, NULL, set_up, tests[i].run, tear_down);
	return g_test_run();
}
