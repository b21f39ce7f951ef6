#include "guest/agent_qga.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/guest/here.h"

struct fixture {
	struct here here;
	struct qga *qga;
	struct qga_host host;
	int powered; /* -1: not asked */
};

static void power(void *data, enum power_action action)
{
	struct fixture *fixture = data;

	fixture->powered = action;
}

static void set_up(struct fixture *fixture, gconstpointer data)
{
	here_init(&fixture->here);
	fixture->powered = -1;
	fixture->host = (struct qga_host) { power, fixture };
	fixture->qga = qga_new(fixture->here.loop, fixture->here.guest_fd, &fixture->host);
}

static void tear_down(struct fixture *fixture, gconstpointer data)
{
	qga_free(fixture->qga);
	here_clear(&fixture->here);
}

static void expect(struct fixture *fixture, const char *request, const char *reply)
{
	g_autofree char *got = client_ask(&fixture->here.client, request);

	g_assert_cmpstr(got, ==, reply);
}

static void expect_error(struct fixture *fixture, const char *request, const char *part)
{
	g_autofree char *got = client_ask(&fixture->here.client, request);

	if (!strstr(got, "\"error\"") || !strstr(got, part))
		g_error("%s: got %s, wanted an error with %s", request, got, part);
}

static void test_basics(struct fixture *fixture, gconstpointer data)
{
	expect(fixture, "{\"execute\":\"guest-sync\",\"arguments\":{\"id\":77}}", "{\"return\":77}");
	expect(fixture, "{\"execute\":\"guest-ping\"}", "{\"return\":{}}");
	expect(fixture, "{\"execute\":\"guest-ping\",\"id\":\"x\"}", "{\"return\":{},\"id\":\"x\"}");
	expect(fixture, "\n \r\n{\n\"execute\":\n\"guest-ping\"}", "{\"return\":{}}");
	g_autofree char *info = client_ask(&fixture->here.client, "{\"execute\":\"guest-info\"}");
	g_assert_nonnull(strstr(info, "\"guest-exec-status\""));
	g_autofree char *time = client_ask(&fixture->here.client, "{\"execute\":\"guest-get-time\"}");
	gint64 ns = g_ascii_strtoll(time + strlen("{\"return\":"), NULL, 10);
	g_assert_cmpint(ABS(ns / 1000 - g_get_real_time()), <, 5 * G_USEC_PER_SEC);
	g_autofree char *network = client_ask(&fixture->here.client, "{\"execute\":\"guest-network-get-interfaces\"}");
	g_assert_nonnull(strstr(network, "\"lo\""));
}

/* 0xFF in the middle of a request drops it without a word; the delimited reply begins with 0xFF. */
static void test_sentinel(struct fixture *fixture, gconstpointer data)
{
	static const char text[] =
		"{\"execute\":\"guest-pi\xff{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":5}}";
	g_autoptr(JsonParser) parser = json_parser_new();
	struct client *client = &fixture->here.client;

	client_send(client, text, strlen(text));
	gint64 deadline = g_get_monotonic_time() + G_USEC_PER_SEC * 5;
	while (!client->in->len && g_get_monotonic_time() < deadline)
		client_frame_pending(client);
	g_assert_cmphex(client->in->data[0], ==, 0xff);
	JsonObject *reply = client_line(client, parser);
	g_assert_cmpint(json_object_get_int_member(reply, "return"), ==, 5);
}

static void test_errors(struct fixture *fixture, gconstpointer data)
{
	expect_error(fixture, "{\"execute\":\"no-such\"}", "CommandNotFound");
	expect_error(fixture, "garbage", "JSON parse error");
	expect_error(fixture, "{\"execute\":7}", "no \\\"execute\\\" string");
	expect_error(fixture, "{\"execute\" \"x\"}", "colon");
	expect_error(fixture, "{\"execute\":\"guest-sync\"}", "'id' is missing");
	expect_error(fixture, "{\"execute\":\"guest-sync\",\"arguments\":{\"id\":\"x\"}}", "wrong type");
	expect_error(fixture, "{\"execute\":\"guest-ping\",\"arguments\":{\"id\":1}}", "unknown");
	expect_error(fixture, "{\"execute\":\"guest-ping\",\"arguments\":3}", "must be an object");
	expect_error(fixture, "{\"execute\":\"guest-exec\",\"arguments\":{\"path\":\"/no/such\"}}", "not found");
	expect_error(fixture, "{\"execute\":\"guest-exec\",\"arguments\":{\"path\":\"true\",\"arg\":[1]}}", "strings");
	expect_error(fixture, "{\"execute\":\"guest-exec\",\"arguments\":{\"path\":\"true\",\"input-data\":\"!\"}}",
		     "base64");
	expect_error(fixture, "{\"execute\":\"guest-exec-status\",\"arguments\":{\"pid\":1}}", "no command");
	expect_error(fixture, "{\"execute\":\"guest-file-open\",\"arguments\":{\"path\":\"/no/such\"}}",
		     "No such file");
	expect_error(fixture, "{\"execute\":\"guest-file-open\",\"arguments\":{\"path\":\"/\",\"mode\":\"x\"}}",
		     "mode");
	expect_error(fixture, "{\"execute\":\"guest-file-close\",\"arguments\":{\"handle\":1}}", "not been found");
	expect_error(fixture, "{\"execute\":\"guest-shutdown\",\"arguments\":{\"mode\":\"up\"}}", "mode");
	expect_error(fixture, "{\"execute\":\"guest-set-time\",\"arguments\":{\"time\":-5}}", "guest-set-time");
	expect(fixture, "{\"execute\":\"guest-ping\"}", "{\"return\":{}}");
}

/* A request without end is refused once it is too long, and the next line is read again. */
static void test_too_long(struct fixture *fixture, gconstpointer data)
{
	g_autofree char *filler = g_strnfill(QGA_REQUEST_BYTES_MAX + 10, 'a');
	g_autofree char *request = g_strconcat("{\"execute\":\"", filler, NULL);

	expect_error(fixture, request, "too long");
	expect(fixture, "{\"execute\":\"guest-ping\"}", "{\"return\":{}}");
}

/* Run to its end; the reply of guest-exec-status. */
static char *run(struct fixture *fixture, const char *arguments)
{
	g_autofree char *request = g_strdup_printf("{\"execute\":\"guest-exec\",\"arguments\":%s}", arguments);
	g_autofree char *started = client_ask(&fixture->here.client, request);
	const char *pid = strstr(started, "\"pid\":");

	g_assert_nonnull(pid);
	g_autofree char *ask =
		g_strdup_printf("{\"execute\":\"guest-exec-status\",\"arguments\":{\"pid\":%d}}", atoi(pid + 6));
	gint64 deadline = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;
	for (;;) {
		char *status = client_ask(&fixture->here.client, ask);
		if (!strstr(status, "\"exited\":false"))
			return status;
		g_free(status);
		g_assert_cmpint(g_get_monotonic_time(), <, deadline);
	}
}

static void test_exec(struct fixture *fixture, gconstpointer data)
{
	g_autofree char *plain = run(fixture, "{\"path\":\"true\"}");
	g_assert_cmpstr(plain, ==, "{\"return\":{\"exited\":true,\"exitcode\":0}}");
	g_autofree char *both =
		run(fixture,
		    "{\"path\":\"sh\",\"arg\":[\"-c\",\"echo out; echo err >&2; exit 7\"],\"capture-output\":true}");
	g_assert_cmpstr(
		both, ==,
		"{\"return\":{\"exited\":true,\"exitcode\":7,\"out-data\":\"b3V0Cg==\",\"err-data\":\"ZXJyCg==\"}}");
	g_autofree char *merged =
		run(fixture, "{\"path\":\"sh\",\"arg\":[\"-c\",\"echo o; echo e >&2\"],\"capture-output\":\"merged\"}");
	g_assert_cmpstr(merged, ==, "{\"return\":{\"exited\":true,\"exitcode\":0,\"out-data\":\"bwplCg==\"}}");
	g_autofree char *input =
		run(fixture, "{\"path\":\"sh\",\"arg\":[\"-c\",\"cat; echo "
			     "$A\"],\"env\":[\"A=b\"],\"input-data\":\"aGkK\",\"capture-output\":true}");
	g_assert_cmpstr(input, ==, "{\"return\":{\"exited\":true,\"exitcode\":0,\"out-data\":\"aGkKYgo=\"}}");
	g_autofree char *killed = run(fixture, "{\"path\":\"sh\",\"arg\":[\"-c\",\"kill -9 $$\"]}");
	g_assert_cmpstr(killed, ==, "{\"return\":{\"exited\":true,\"signal\":9}}");
}

/* More output than is kept: cut, marked, and the reply still is one line that the host accepts. */
static void test_exec_flood(struct fixture *fixture, gconstpointer data)
{
	g_autofree char *flood =
		run(fixture, "{\"path\":\"sh\",\"arg\":[\"-c\",\"head -c 3000000 /dev/zero; head -c 3000000 "
			     "/dev/zero >&2\"],\"capture-output\":true}");

	g_assert_nonnull(strstr(flood, "\"out-truncated\":true"));
	g_assert_nonnull(strstr(flood, "\"err-truncated\":true"));
	g_assert_cmpuint(strlen(flood), <, QGA_REPLY_BYTES_MAX);
}

/* The 65th command that runs is refused; ended ones nobody asked for make room. */
static void test_exec_many(struct fixture *fixture, gconstpointer data)
{
	for (int i = 0; i < 64; i++) {
		g_autofree char *started =
			client_ask(&fixture->here.client, "{\"execute\":\"guest-exec\",\"arguments\":{\"path\":"
							  "\"sleep\",\"arg\":[\"60\"]}}");
		g_assert_nonnull(strstr(started, "pid"));
	}
	expect_error(fixture, "{\"execute\":\"guest-exec\",\"arguments\":{\"path\":\"true\"}}", "run already");
}

static void test_files(struct fixture *fixture, gconstpointer data)
{
	g_autofree char *dir = g_dir_make_tmp("polder-guest-XXXXXX", NULL);
	g_autofree char *path = g_build_filename(dir, "f", NULL);
	g_autofree char *open = g_strdup_printf(
		"{\"execute\":\"guest-file-open\",\"arguments\":{\"path\":\"%s\",\"mode\":\"w+\"}}", path);

	expect(fixture, open, "{\"return\":1000}");
	expect(fixture, "{\"execute\":\"guest-file-write\",\"arguments\":{\"handle\":1000,\"buf-b64\":\"aGVsbG8=\"}}",
	       "{\"return\":{\"count\":5,\"eof\":false}}");
	expect(fixture, "{\"execute\":\"guest-file-flush\",\"arguments\":{\"handle\":1000}}", "{\"return\":{}}");
	expect(fixture,
	       "{\"execute\":\"guest-file-seek\",\"arguments\":{\"handle\":1000,\"offset\":1,\"whence\":\"set\"}}",
	       "{\"return\":{\"position\":1,\"eof\":false}}");
	expect(fixture, "{\"execute\":\"guest-file-read\",\"arguments\":{\"handle\":1000}}",
	       "{\"return\":{\"count\":4,\"buf-b64\":\"ZWxsbw==\",\"eof\":true}}");
	expect_error(fixture, "{\"execute\":\"guest-file-read\",\"arguments\":{\"handle\":1000,\"count\":99999999}}",
		     "invalid");
	expect_error(fixture,
		     "{\"execute\":\"guest-file-seek\",\"arguments\":{\"handle\":1000,\"offset\":1,\"whence\":9}}",
		     "whence");
	expect(fixture, "{\"execute\":\"guest-file-close\",\"arguments\":{\"handle\":1000}}", "{\"return\":{}}");
	g_unlink(path);
	g_rmdir(dir);
}

static void test_shutdown(struct fixture *fixture, gconstpointer data)
{
	static const char request[] = "{\"execute\":\"guest-shutdown\",\"arguments\":{\"mode\":\"reboot\"}}";

	client_send(&fixture->here.client, request, strlen(request));
	expect(fixture, "{\"execute\":\"guest-ping\"}", "{\"return\":{}}");
	g_assert_cmpint(fixture->powered, ==, POWER_REBOOT);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *path;
		void (*run)(struct fixture *fixture, gconstpointer data);
	} tests[] = {
		{ "/guest/qga/basics", test_basics },       { "/guest/qga/sentinel", test_sentinel },
		{ "/guest/qga/errors", test_errors },       { "/guest/qga/too-long", test_too_long },
		{ "/guest/qga/exec", test_exec },           { "/guest/qga/exec-flood", test_exec_flood },
		{ "/guest/qga/exec-many", test_exec_many }, { "/guest/qga/files", test_files },
		{ "/guest/qga/shutdown", test_shutdown },
	};

	g_test_init(&argc, &argv, NULL);
	for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
		g_test_add(tests[i].path, struct fixture, NULL, set_up, tests[i].run, tear_down);
	return g_test_run();
}
