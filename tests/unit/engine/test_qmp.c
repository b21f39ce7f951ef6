/* The QMP client against a fake QEMU at the other end of a socketpair. */
#include "daemon/engine/qemu/qmp.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/engine/qemu/message.h"
#include "daemon/model/error.h"
#include "daemon/model/limits.h"

#define GREETING "{\"QMP\":{\"version\":{},\"capabilities\":[]}}\r\n"

struct fixture {
	int server;
	struct qmp *qmp;
	guint events, replies, failures, closed;
	GString *order; /* one letter per thing reported */
	char *last_event;
	int code; /* of the error `closed` told */
	gboolean free_in_event, free_in_reply;
	struct qmp_events table;
};

static void on_event(const char *name, JsonObject *data, gpointer user_data)
{
	struct fixture *f = user_data;

	f->events++;
	g_string_append_c(f->order, 'e');
	g_free(f->last_event);
	f->last_event = g_strdup(name);
	if (f->free_in_event)
		g_clear_pointer(&f->qmp, qmp_free);
}

static void on_closed(const GError *error, gpointer user_data)
{
	struct fixture *f = user_data;

	g_assert_true(error->domain == POLDER_ERROR);
	g_test_message("closed: %s", error->message);
	f->closed++;
	f->code = error->code;
	g_string_append_c(f->order, 'c');
}

static void on_reply(JsonNode *value, const GError *error, gpointer user_data)
{
	struct fixture *f = user_data;

	g_assert_true((value == NULL) != (error == NULL));
	f->replies++;
	f->failures += error != NULL;
	g_string_append_c(f->order, error ? 'f' : 'r');
	if (f->free_in_reply)
		g_clear_pointer(&f->qmp, qmp_free);
}

static void fixture_init(struct fixture *f, guint timeout_ms)
{
	int fds[2];

	memset(f, 0, sizeof(*f));
	g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), ==, 0);
	f->server = fds[0];
	f->order = g_string_new(NULL);
	f->table = (struct qmp_events) { .event = on_event, .closed = on_closed };
	f->qmp = qmp_new(fds[1], timeout_ms, &f->table, f);
}

static void fixture_clear(struct fixture *f)
{
	qmp_free(f->qmp);
	if (f->server >= 0)
		close(f->server);
	g_string_free(f->order, TRUE);
	g_free(f->last_event);
	/* Nothing is left that would call back into freed memory. */
	while (g_main_context_iteration(NULL, FALSE))
		continue;
}

static void say(struct fixture *f, const char *text)
{
	g_assert_cmpint(write(f->server, text, strlen(text)), ==, (gssize)strlen(text));
}

static void wait_for(const guint *counter, guint n)
{
	gint64 deadline_us = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;

	while (*counter < n && g_get_monotonic_time() < deadline_us)
		g_main_context_iteration(NULL, FALSE);
	g_assert_cmpuint(*counter, ==, n);
}

static void test_talk(void)
{
	struct fixture f;
	char sent[256];

	fixture_init(&f, 5000);
	qmp_send(f.qmp, "query-status", on_reply, &f);
	qmp_send(f.qmp, "stop", on_reply, &f);
	gssize n = read(f.server, sent, sizeof(sent));
	g_assert_cmpint(n, >, 0);
	sent[n] = '\0';
	g_assert_cmpstr(sent, ==,
			"{\"execute\":\"qmp_capabilities\",\"id\":0}\r\n{\"execute\":\"query-status\",\"id\":1}\r\n"
			"{\"execute\":\"stop\",\"id\":2}\r\n");
	/* Torn at every place a line can be torn. */
	const char *answers = GREETING "{\"return\":{},\"id\":0}\r\n{\"return\":{\"running\":true},\"id\":1}\r\n"
				       "{\"event\":\"STOP\",\"timestamp\":{}}\r\n\r\n"
				       "{\"error\":{\"class\":\"GenericError\",\"desc\":\"no\"},\"id\":2}\n";
	for (const char *c = answers; *c; c++) {
		g_assert_cmpint(write(f.server, c, 1), ==, 1);
		while (g_main_context_iteration(NULL, FALSE))
			continue;
	}
	wait_for(&f.replies, 2);
	g_assert_cmpstr(f.order->str, ==, "ref");
	g_assert_cmpstr(f.last_event, ==, "STOP");
	g_assert_cmpuint(f.closed, ==, 0);
	fixture_clear(&f);
}

/* What a broken QEMU may say: each closes the client with an error, every command is answered, nothing more happens. */
static void test_garbage(void)
{
	const struct {
		const char *text;
		int code;
	} rows[] = {
		{ "hello\n", POLDER_ERROR_INVALID },
		{ "[]\n", POLDER_ERROR_INVALID },
		{ "{}\n", POLDER_ERROR_INVALID },
		{ "{\"return\":{}}\n", POLDER_ERROR_INVALID },
		{ "{\"return\":{},\"id\":7}\n", POLDER_ERROR_INVALID },
		{ "{\"return\":{},\"id\":\"0\"}\n", POLDER_ERROR_INVALID },
		{ "{\"event\":7}\n", POLDER_ERROR_INVALID },
		{ "{\"error\":{\"class\":\"x\"},\"id\":0}\n", POLDER_ERROR_INVALID },
		{ "{\"QMP\":[]}\n", POLDER_ERROR_INVALID },
		{ "\xff\xfe\n", POLDER_ERROR_INVALID },
		{ "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]\n", POLDER_ERROR_INVALID },
		{ "{\"event\":\"STOP\"\n", POLDER_ERROR_INVALID },
	};

	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct fixture f;
		fixture_init(&f, 5000);
		qmp_send(f.qmp, "query-status", on_reply, &f);
		say(&f, rows[i].text);
		wait_for(&f.closed, 1);
		g_assert_cmpint(f.code, ==, rows[i].code);
		g_assert_cmpstr(f.order->str, ==, "fc");
		qmp_send(f.qmp, "stop", on_reply, &f); /* still answered, and closed only once */
		wait_for(&f.failures, 2);
		g_assert_cmpuint(f.closed, ==, 1);
		fixture_clear(&f);
	}
}

static void test_stall(void)
{
	struct fixture f;

	fixture_init(&f, 100);
	qmp_send(f.qmp, "query-status", on_reply, &f);
	say(&f, GREETING "{\"return\":{},\"id\":0}\n");
	gint64 start_us = g_get_monotonic_time();
	wait_for(&f.closed, 1);
	g_assert_cmpint(g_get_monotonic_time() - start_us, >, 90000);
	g_assert_cmpint(f.code, ==, POLDER_ERROR_TIMEOUT);
	g_assert_cmpuint(f.failures, ==, 1);
	fixture_clear(&f);
	/* Events without end are no answer. */
	fixture_init(&f, 100);
	start_us = g_get_monotonic_time();
	while (!f.closed && g_get_monotonic_time() - start_us < 5 * G_USEC_PER_SEC) {
		if (write(f.server, "{\"event\":\"STOP\"}\n", 17) < 0)
			g_assert_true(errno == EAGAIN || errno == EPIPE || errno == ECONNRESET);
		g_main_context_iteration(NULL, FALSE);
	}
	g_assert_cmpuint(f.closed, ==, 1);
	g_assert_cmpint(f.code, ==, POLDER_ERROR_TIMEOUT);
	fixture_clear(&f);
}

static void test_long_line(void)
{
	struct fixture f;
	g_autofree char *block = g_malloc(65536);

	memset(block, 'a', 65536);
	fixture_init(&f, 10000);
	gsize sent = 0;
	gint64 deadline_us = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;
	while (!f.closed && g_get_monotonic_time() < deadline_us) {
		gssize n = write(f.server, block, 65536);
		sent += n > 0 ? (gsize)n : 0;
		g_main_context_iteration(NULL, FALSE);
	}
	g_assert_cmpuint(f.closed, ==, 1);
	g_assert_cmpint(f.code, ==, POLDER_ERROR_TOO_LARGE);
	g_assert_cmpuint(sent, >, LIMIT_QMP_LINE_BYTES);
	g_assert_cmpuint(sent, <, 3 * LIMIT_QMP_LINE_BYTES);
	fixture_clear(&f);
}

static void test_end(void)
{
	struct fixture f;

	fixture_init(&f, 5000);
	qmp_send(f.qmp, "query-status", on_reply, &f);
	say(&f, GREETING "{\"return\":{},\"id\":0}\n{\"event\":\"SHUTDOWN\"}\n");
	close(f.server);
	f.server = -1;
	wait_for(&f.closed, 1);
	g_assert_cmpint(f.code, ==, POLDER_ERROR_UNAVAILABLE);
	g_assert_cmpstr(f.order->str, ==, "efc"); /* what it said last was heard */
	fixture_clear(&f);
}

static void test_free_inside(void)
{
	struct fixture f;

	fixture_init(&f, 5000);
	f.free_in_event = TRUE;
	say(&f, "{\"event\":\"A\"}\n{\"event\":\"B\"}\n");
	wait_for(&f.events, 1);
	g_assert_cmpstr(f.last_event, ==, "A");
	fixture_clear(&f);

	fixture_init(&f, 5000);
	f.free_in_reply = TRUE;
	qmp_send(f.qmp, "stop", on_reply, &f);
	qmp_send(f.qmp, "cont", on_reply, &f);
	say(&f, "garbage\n");
	wait_for(&f.replies, 1);
	g_assert_cmpuint(f.closed, ==, 0);
	fixture_clear(&f);
}

static void test_many(void)
{
	struct fixture f;

	fixture_init(&f, 5000);
	for (guint i = 0; i < 100; i++)
		qmp_send(f.qmp, "stop", on_reply, &f);
	g_assert_cmpuint(f.replies, ==, 0); /* never inside the call */
	wait_for(&f.closed, 1);
	g_assert_cmpuint(f.failures, ==, 100);
	fixture_clear(&f);
}

static void test_message(void)
{
	struct qmp_message message;
	const char event[] = "{\"event\":\"VSERPORT_CHANGE\",\"data\":{\"id\":\"agent\",\"open\":true}}";

	g_assert_true(qmp_message_parse(event, strlen(event), &message, NULL));
	g_assert_cmpint(message.kind, ==, QMP_EVENT);
	g_assert_cmpstr(qmp_string(message.data, "id"), ==, "agent");
	g_assert_true(qmp_boolean(message.data, "open", FALSE));
	g_assert_null(qmp_string(message.data, "open"));
	g_assert_true(qmp_boolean(message.data, "id", TRUE));
	g_assert_null(qmp_object(message.data, "id"));
	g_assert_null(qmp_string(NULL, "id"));
	qmp_message_clear(&message);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	signal(SIGPIPE, SIG_IGN);
	g_test_add_func("/qmp/talk", test_talk);
	g_test_add_func("/qmp/garbage", test_garbage);
	g_test_add_func("/qmp/stall", test_stall);
	g_test_add_func("/qmp/long-line", test_long_line);
	g_test_add_func("/qmp/end", test_end);
	g_test_add_func("/qmp/free-inside", test_free_inside);
	g_test_add_func("/qmp/many", test_many);
	g_test_add_func("/qmp/message", test_message);
	return g_test_run();
}
