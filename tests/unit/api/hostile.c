/* Goal: whatever a client sends, it gets one clear problem, and the server neither grows nor falls. */
#include "tests/unit/api/fixture.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/api/parse.h"
#include "daemon/model/limits.h"

#define BIG_BYTES    (100u << 20)
#define GROWTH_BYTES (24u << 20)

static guint64 resident_bytes(void)
{
	g_autofree char *text = NULL;

	g_assert_true(g_file_get_contents("/proc/self/statm", &text, NULL, NULL));
	return g_ascii_strtoull(strchr(text, ' ') + 1, NULL, 10) * (guint64)sysconf(_SC_PAGESIZE);
}

static void test_table(void)
{
	static const struct {
		const char *request, *body;
		guint status;
		const char *code;
	} cases[] = {
		{ "GET /", NULL, 404, "not-found" },
		{ "GET /v1", NULL, 404, "not-found" },
		{ "GET /v1/vms/", NULL, 404, "not-found" },
		{ "GET /v1//vms", NULL, 404, "not-found" },
		{ "GET /v1/vms/a/b/c", NULL, 404, "not-found" },
		{ "GET /v1/vms/..", NULL, 404, "not-found" },
		{ "GET /v1/vms/%2e%2e", NULL, 404, "not-found" },
		{ "GET /v1/vms/..%2f..%2fetc%2fpasswd", NULL, 400, "invalid" },
		{ "GET /v1/vms/a%00b", NULL, 400, "invalid" },
		{ "GET /v1/vms/%ff", NULL, 400, "invalid" },
		{ "GET /v1/vms/%zz", NULL, 400, "invalid" },
		{ "GET /v1/vms/UPPER", NULL, 400, "invalid" },
		{ "GET /v1/vms/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL, 400,
		  "invalid" },
		{ "PUT /v1/vms", NULL, 405, "invalid" },
		{ "DELETE /v1/version", NULL, 405, "invalid" },
		{ "BREW /v1/vms", NULL, 405, "invalid" },
		{ "GET /v1/vms?x=1", NULL, 400, "invalid" },
		{ "GET /v1/events?since=-1", NULL, 400, "invalid" },
		{ "GET /v1/events?since=1&since=2", NULL, 400, "invalid" },
		{ "POST /v1/vms?wait_ms=99999999999999999999", "{\"image\":\"tiny\"}", 400, "invalid" },
		{ "POST /v1/vms", NULL, 400, "invalid" },
		{ "POST /v1/vms", "", 400, "invalid" },
		{ "POST /v1/vms", "{", 400, "invalid" },
		{ "POST /v1/vms", "[]", 400, "invalid" },
		{ "POST /v1/vms", "{\"image\":\"tiny\"} x", 400, "invalid" },
		{ "POST /v1/vms", "{\"image\":\"tiny\",\"image\":\"tiny\"}", 400, "invalid" },
		{ "POST /v1/vms", "{\"image\":\"tiny\",\"zap\":1}", 400, "invalid" },
		{ "POST /v1/vms", "{\"image\":\"tiny\",\"uuid\":\"mine\"}", 400, "invalid" },
		{ "POST /v1/vms", "{\"image\":\"tiny\",\"name\":\"../x\"}", 400, "invalid" },
		{ "POST /v1/vms", "{\"image\":\"tiny\",\"cpus\":0}", 400, "invalid" },
		{ "POST /v1/vms", "{\"image\":\"tiny\",\"cpus\":\"2\"}", 400, "invalid" },
		{ "POST /v1/vms", "{\"image\":\"tiny\",\"memory_bytes\":1}", 400, "invalid" },
		{ "POST /v1/vms", "{\"image\":\"tiny\",\"network\":\"none\",\"publish\":[\"80:80\"]}", 400, "invalid" },
		{ "POST /v1/vms", "{\"image\":\"nosuch\"}", 404, "not-found" },
		{ "POST /v1/vms", "{\"image\":\"tiny\",\"pool\":\"nosuch\"}", 404, "not-found" },
		{ "POST /v1/vms", "{\"image\":\"tiny\",\"engine\":\"nosuch\"}", 400, "invalid" },
		{ "POST /v1/vms", "{\"name\":\"\xff\",\"image\":\"tiny\"}", 400, "invalid" },
		{ "POST /v1/vms", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", 400, "invalid" },
		{ "PUT /v1/vms/a", "{\"name\":\"b\",\"image\":\"tiny\"}", 400, "invalid" },
		{ "PATCH /v1/vms/none", "{\"restart\":\"always\"}", 404, "not-found" },
		{ "POST /v1/vms/none/stop", "{\"timeout_ms\":-1}", 400, "invalid" },
		{ "POST /v1/vms/none/stop", "{\"timeout\":1}", 400, "invalid" },
		{ "POST /v1/vms/none/stop", "7", 400, "invalid" },
		{ "POST /v1/vms/none/start", "{}", 400, "invalid" },
		{ "DELETE /v1/vms/none?force=maybe", NULL, 400, "invalid" },
		{ "DELETE /v1/vms/none", NULL, 404, "not-found" },
		{ "POST /v1/images", "{\"name\":\"x\",\"kernel\":\"relative\"}", 400, "invalid" },
		{ "POST /v1/images", "{\"name\":\"x\",\"source\":\"builtin\"}", 400, "invalid" },
	};
	struct fixture fixture;

	fixture_init(&fixture);
	for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(JsonObject) problem = NULL;

		g_test_message("%s %s", cases[i].request, cases[i].body ? "with a body" : "");
		problem = http_expect(&fixture, cases[i].request, cases[i].body, cases[i].status, cases[i].code);
		g_assert_cmpuint(strlen(json_object_get_string_member(problem, "detail")), >, 10);
		g_assert_cmpint(json_object_get_int_member(problem, "status"), ==, (gint64)cases[i].status);
	}
	fixture_wait(api_connections(fixture.api) == 0);
	fixture_clear(&fixture);
}

static void test_big_body(void)
{
	struct fixture fixture;
	guint64 before G_GNUC_UNUSED;

	fixture_init(&fixture);
	before = resident_bytes();
	for (guint chunked = 0; chunked < 2; chunked++) {
		struct call call = { .fixture = &fixture,
				     .method = "POST",
				     .path = "/v1/vms",
				     .filler = BIG_BYTES,
				     .chunked = chunked == 1 };

		call_begin(&call);
		call_end(&call);
		g_assert_cmpuint(call.status, ==, 413);
		g_assert_nonnull(strstr(call.answer, "\"too-large\""));
		call_clear(&call);
	}
#ifndef __SANITIZE_ADDRESS__ /* keeps what was freed for a while */
	g_assert_cmpuint(resident_bytes(), <, before + GROWTH_BYTES);
#endif
	fixture_clear(&fixture);
}

/* Told at once when it announces the size and waits to be told. */
static void test_expect(void)
{
	struct fixture fixture;
	struct call call = { .fixture = &fixture,
			     .head = g_strdup("POST /v1/vms HTTP/1.1\r\nHost: x\r\nContent-Length: 104857600\r\n"
					      "Expect: 100-continue\r\n\r\n") };

	fixture_init(&fixture);
	call_begin(&call);
	call_end(&call);
	g_assert_cmpuint(call.status, ==, 413);
	call_clear(&call);
	fixture_clear(&fixture);
}

static void test_garbage(void)
{
	static const char *const heads[] = {
		"\r\n\r\n",
		"GET\r\n\r\n",
		"GET /v1/vms HTTP/1.1\r\n\r\n",
		"GET /v1/vms HTTP/1.1\r\nHost: a/b\r\n\r\n",
		"GET /v1/vms HTTP/1.0\r\n\r\n",

#ifndef __SANITIZE_ADDRESS__ /* libsoup 3.2.3 loses the path of such a request */
		"POST /v1/vms HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: zip\r\n\r\n",
#endif

		"\x16\x03\x01\x02",
		"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
		"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n",
	};
	struct fixture fixture;
	g_autoptr(JsonObject) version = NULL;

	fixture_init(&fixture);
	for (gsize i = 0; i < G_N_ELEMENTS(heads); i++) {
		int fd = fixture_connect(&fixture);

		g_assert_cmpint(send(fd, heads[i], strlen(heads[i]), MSG_NOSIGNAL), >, 0);
		shutdown(fd, SHUT_WR);
		fixture_wait(recv(fd, (char[65536]) { 0 }, 65536, MSG_DONTWAIT | MSG_PEEK) >= 0);
		close(fd);
		fixture_wait(api_connections(fixture.api) == 0);
	}
	version = http_expect(&fixture, "GET /v1/version", NULL, 200, NULL);
	fixture_clear(&fixture);
}

static void test_connection_limit(void)
{
	struct fixture fixture;
	int fds[LIMIT_API_CONNECTIONS], extra;
	char answer[256] = { 0 };

	fixture_init(&fixture);
	for (guint i = 0; i < G_N_ELEMENTS(fds); i++)
		fds[i] = fixture_connect(&fixture);
	fixture_wait(api_connections(fixture.api) == LIMIT_API_CONNECTIONS);
	extra = fixture_connect(&fixture);
	fixture_wait(recv(extra, answer, sizeof(answer) - 1, MSG_DONTWAIT) > 0);
	g_assert_true(g_str_has_prefix(answer, "HTTP/1.1 503"));
	close(extra);
	for (guint i = 0; i < G_N_ELEMENTS(fds); i++)
		close(fds[i]);
	fixture_wait(api_connections(fixture.api) == 0);
	fixture_clear(&fixture);
}

static void test_paths(void)
{
	g_autofree char *name = NULL;

	g_assert_true(path_match("/v1/vms/{name}/exec", "/v1/vms/a%2Db/exec", &name));
	g_assert_cmpstr(name, ==, "a-b");
	g_clear_pointer(&name, g_free);
	g_assert_false(path_match("/v1/vms/{name}", "/v1/vms", &name));
	g_assert_false(path_match("/v1/vms/{name}", "/v1/vms/", &name));
	g_assert_false(path_match("/v1/vms", "/v1/vms/a", &name));
	g_assert_false(path_match("/v1/vms", "", &name));
	g_assert_true(path_match("/v1/vms/{name}", "/v1/vms/a%2fb", &name));
	g_assert_cmpstr(name, ==, "%");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/api/hostile/paths", test_paths);
	g_test_add_func("/api/hostile/table", test_table);
	g_test_add_func("/api/hostile/big-body", test_big_body);
	g_test_add_func("/api/hostile/expect", test_expect);
	g_test_add_func("/api/hostile/garbage", test_garbage);
	g_test_add_func("/api/hostile/connection-limit", test_connection_limit);
	return g_test_run();
}
