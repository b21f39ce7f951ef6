/* Goal: every visible change is one event, a stream resumes where it broke off, and lost history is said. */
#include "tests/unit/api/fixture.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/model/limits.h"

/* An open event stream, read without blocking. */
struct listener {
	int fd;
	GString *received;
};

static void listen_to(struct fixture *fixture, struct listener *listener, const char *path)
{
	g_autofree char *head = g_strdup_printf("GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);

	listener->fd = fixture_connect(fixture);
	listener->received = g_string_new(NULL);
	g_assert_cmpint(send(listener->fd, head, strlen(head), MSG_NOSIGNAL), ==, (gssize)strlen(head));
}

static void listener_clear(struct listener *listener)
{
	close(listener->fd);
	g_string_free(listener->received, TRUE);
}

static gboolean has(struct listener *listener, const char *text)
{
	char buffer[65536];
	ssize_t got;

	while ((got = recv(listener->fd, buffer, sizeof(buffer), MSG_DONTWAIT)) > 0)
		g_string_append_len(listener->received, buffer, got);
	return strstr(listener->received->str, text) != NULL;
}

static guint count(const char *text, const char *what)
{
	guint n = 0;

	for (text = strstr(text, what); text; text = strstr(text + 1, what))
		n++;
	return n;
}

static void make_and_remove(struct fixture *fixture)
{
	g_autoptr(JsonObject) vm =
		http_expect(fixture, "POST /v1/vms?wait_ms=5000", "{\"name\":\"a\",\"image\":\"tiny\"}", 201, NULL);
	g_autoptr(JsonObject) gone = http_expect(fixture, "DELETE /v1/vms/a?force=true&wait_ms=5000", NULL, 200, NULL);
}

static void test_live_and_resumed(void)
{
	struct fixture fixture;
	struct listener live, resumed;
	g_autoptr(JsonObject) list = NULL;
	g_autofree char *path = NULL;
	static const char *const changes[] = { "\"change\":\"created\"", "\"state\":\"running\"",
					       "\"state\":\"removing\"", "\"change\":\"removed\"" };

	fixture_init(&fixture);
	list = http_expect(&fixture, "GET /v1/vms", NULL, 200, NULL);
	path = g_strdup_printf("/v1/events?since=%" G_GINT64_FORMAT, json_object_get_int_member(list, "revision"));
	listen_to(&fixture, &live, "/v1/events");
	fixture_wait(has(&live, "text/event-stream") && has(&live, ":\n\n"));
	make_and_remove(&fixture);
	fixture_wait(has(&live, "\"change\":\"removed\""));
	listen_to(&fixture, &resumed, path);
	fixture_wait(has(&resumed, "\"change\":\"removed\""));
	for (gsize i = 0; i < G_N_ELEMENTS(changes); i++) {
		g_assert_cmpuint(count(live.received->str, changes[i]), >=, 1);
		g_assert_cmpuint(count(resumed.received->str, changes[i]), ==, count(live.received->str, changes[i]));
	}
	g_assert_cmpuint(count(live.received->str, "id: "), ==, count(resumed.received->str, "id: "));
	g_assert_cmpuint(count(live.received->str, "\"change\":\"created\""), ==, 1);
	/* The resumed one goes on live, once. */
	make_and_remove(&fixture);
	fixture_wait(has(&resumed, "") && count(resumed.received->str, "\"change\":\"removed\"") == 2);
	fixture_wait(has(&live, "") && count(live.received->str, "\"change\":\"removed\"") == 2);
	g_assert_cmpuint(count(live.received->str, "id: "), ==, count(resumed.received->str, "id: "));
	listener_clear(&live);
	listener_clear(&resumed);
	fixture_wait(api_connections(fixture.api) == 0);
	fixture_clear(&fixture);
}

static void test_refusal_is_an_event(void)
{
	struct fixture fixture;
	struct listener live;
	g_autoptr(JsonObject) problem = NULL;

	fixture_init(&fixture);
	listen_to(&fixture, &live, "/v1/events");
	fixture_wait(has(&live, ":\n\n"));
	problem = http_expect(&fixture, "POST /v1/vms", "{\"name\":\"w\",\"image\":\"tiny\",\"cpus\":99}", 409,
			      "no-capacity");
	fixture_wait(has(&live, "\"state\":\"refused\",\"reason\":\"no host has 99 CPUs: h1 has 4\""));
	fixture_wait(has(&live, "\"change\":\"removed\""));
	listener_clear(&live);
	fixture_clear(&fixture);
}

static void test_compacted(void)
{
	struct fixture fixture;
	g_autoptr(JsonObject) problem = NULL;

	fixture_init(&fixture);
	for (guint i = 0; i < LIMIT_STORE_HISTORY_REVISIONS + 2000; i++) {
		g_autofree char *text = g_strdup_printf("{\"name\":\"default\",\"description\":\"%u\"}", i);

		fixture_put(&fixture, "/pool/default", text);
	}
	fixture_wait(store_cache_revision(fixture.cache) > LIMIT_STORE_HISTORY_REVISIONS + 2000);
	problem = http_expect(&fixture, "GET /v1/events?since=1", NULL, 410, "compacted");
	g_assert_nonnull(strstr(json_object_get_string_member(problem, "detail"), "/v1/vms"));
	fixture_clear(&fixture);
}

static void test_limit(void)
{
	struct listener listeners[LIMIT_API_WATCHERS];
	struct fixture fixture;
	g_autoptr(JsonObject) problem = NULL;

	fixture_init(&fixture);
	for (guint i = 0; i < LIMIT_API_WATCHERS; i++)
		listen_to(&fixture, &listeners[i], "/v1/events");
	for (guint i = 0; i < LIMIT_API_WATCHERS; i++)
		fixture_wait(has(&listeners[i], ":\n\n"));
	problem = http_expect(&fixture, "GET /v1/events", NULL, 503, "unavailable");
	for (guint i = 0; i < LIMIT_API_WATCHERS; i++)
		listener_clear(&listeners[i]);
	fixture_wait(api_connections(fixture.api) == 0);
	fixture_clear(&fixture);
}

/* One that does not read is cut off; the others go on. */
static void test_slow_reader(void)
{
	struct fixture fixture;
	struct listener slow;
	g_autofree char *reason = g_strnfill(4000, 'x');
	guint i = 0;

	fixture_init(&fixture);
	listen_to(&fixture, &slow, "/v1/events");
	fixture_wait(has(&slow, ":\n\n"));
	while (api_connections(fixture.api) > 0) {
		g_autofree char *text =
			g_strdup_printf("{\"uuid\":\"u\",\"host\":\"h1\",\"reason\":\"%u%s\",\"run\":1}", i, reason);

		g_assert_cmpuint(i++, <, 20000);
		fixture_put(&fixture, "/status/none", text);
		while (g_main_context_iteration(NULL, FALSE))
			;
	}
	g_test_message("cut off after %u events", i);
	listener_clear(&slow);
	fixture_clear(&fixture);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/api/events/live-and-resumed", test_live_and_resumed);
	g_test_add_func("/api/events/refusal", test_refusal_is_an_event);
	g_test_add_func("/api/events/compacted", test_compacted);
	g_test_add_func("/api/events/limit", test_limit);
	g_test_add_func("/api/events/slow-reader", test_slow_reader);
	return g_test_run();
}
