/* Goal: creating, waiting, changing and removing VMs does what it says under concurrency, refusal and lost clients. */
#include "tests/unit/api/fixture.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENTS 16
#define MANY    2000u

static const char *state_of(JsonObject *vm)
{
	return json_object_get_string_member(json_object_get_object_member(vm, "status"), "state");
}

static gboolean gone(struct fixture *fixture, const char *name)
{
	static const char *const kinds[] = { "vm", "plan", "status" };

	for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
		g_autofree char *key = g_strdup_printf("/%s/%s", kinds[i], name);

		if (store_cache_get(fixture->cache, key))
			return FALSE;
	}
	return TRUE;
}

static void test_concurrent_creates(void)
{
	struct call calls[CLIENTS];
	struct fixture fixture;
	guint created = 0, conflicts = 0;

	fixture_init(&fixture);
	for (guint i = 0; i < CLIENTS; i++) {
		calls[i] = (struct call) { .fixture = &fixture,
					   .method = "POST",
					   .path = "/v1/vms",
					   .body = "{\"name\":\"one\",\"image\":\"tiny\"}" };
		call_begin(&calls[i]);
	}
	for (guint i = 0; i < CLIENTS; i++) {
		call_end(&calls[i]);
		created += calls[i].status == 201;
		conflicts += calls[i].status == 409;
		call_clear(&calls[i]);
	}
	g_assert_cmpuint(created, ==, 1);
	g_assert_cmpuint(conflicts, ==, CLIENTS - 1);
	fixture_clear(&fixture);
}

static void test_refused(void)
{
	struct fixture fixture;
	g_autoptr(JsonObject) problem = NULL, vm = NULL;

	fixture_init(&fixture);
	problem = http_expect(&fixture, "POST /v1/vms?wait_ms=5000",
			      "{\"name\":\"huge\",\"image\":\"tiny\",\"memory_bytes\":10993660348661760}", 409,
			      "no-capacity");
	g_assert_nonnull(strstr(json_object_get_string_member(problem, "detail"), "h1 has 8G"));
	fixture_wait(gone(&fixture, "huge"));
	vm = http_expect(&fixture, "POST /v1/vms", "{\"name\":\"huge\",\"image\":\"tiny\"}", 201, NULL);
	fixture_clear(&fixture);
}

static void test_generated_name(void)
{
	struct fixture fixture;
	g_autoptr(JsonObject) vm = NULL;

	fixture_init(&fixture);
	vm = http_expect(&fixture, "POST /v1/vms", "{\"image\":\"tiny\",\"engine\":\"sim\"}", 201, NULL);
	g_assert_true(g_str_has_prefix(json_object_get_string_member(vm, "name"), "tiny-"));
	fixture_clear(&fixture);
}

static void test_wait_expires(void)
{
	struct fixture fixture;
	g_autoptr(JsonObject) problem = NULL, vm = NULL, removed = NULL;

	fixture_init(&fixture);
	fixture.hold_statuses = TRUE;
	problem = http_expect(&fixture, "POST /v1/vms?wait_ms=50", "{\"name\":\"slow\",\"image\":\"tiny\"}", 504,
			      "timeout");
	vm = http_expect(&fixture, "GET /v1/vms/slow", NULL, 200, NULL);
	g_assert_cmpstr(state_of(vm), ==, "pending");
	removed = http_expect(&fixture, "DELETE /v1/vms/slow?wait_ms=5000", NULL, 200, NULL);
	g_assert_true(json_object_get_boolean_member(removed, "gone"));
	fixture_clear(&fixture);
}

/* A client that leaves while it waits leaves nothing behind. */
static void test_lost_client(void)
{
	static const char request[] = "POST /v1/vms?wait_ms=600000 HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\n"
				      "{\"name\":\"slow\",\"image\":\"tiny\"}";
	struct fixture fixture;
	int fd;

	fixture_init(&fixture);
	fixture.hold_statuses = TRUE;
	fd = fixture_connect(&fixture);
	g_assert_cmpint(send(fd, request, strlen(request), MSG_NOSIGNAL), ==, (gssize)strlen(request));
	fixture_wait(store_cache_get(fixture.cache, "/plan/slow"));
	g_assert_cmpuint(api_connections(fixture.api), ==, 1);
	close(fd);
	fixture_wait(api_connections(fixture.api) == 0);
	fixture_clear(&fixture);
}

static void test_no_host(void)
{
	struct fixture fixture;
	g_autoptr(JsonObject) vm = NULL;
	struct call call = {
		.fixture = &fixture, .method = "POST", .path = "/v1/vms", .body = "{\"name\":\"a\",\"image\":\"tiny\"}"
	};

	fixture_init(&fixture);
	store_delete_async(fixture.store, "/host/h1", NULL, NULL, NULL);
	fixture_wait(!store_cache_get(fixture.cache, "/host/h1"));
	call_begin(&call);
	fixture_wait(store_cache_get(fixture.cache, "/vm/a"));
	g_assert_null(store_cache_get(fixture.cache, "/plan/a"));
	fixture_put(&fixture, "/host/h1",
		    "{\"name\":\"h1\",\"engines\":[\"qemu\"],\"cpus\":1,\"memory_bytes\":1073741824}");
	call_end(&call);
	g_assert_cmpuint(call.status, ==, 201);
	call_clear(&call);
	fixture_clear(&fixture);
}

static void test_states(void)
{
	struct fixture fixture;
	static const struct {
		const char *request, *body;
		guint status;
		const char *code, *state;
	} steps[] = {
		{ "POST /v1/vms?wait_ms=5000", "{\"name\":\"a\",\"image\":\"tiny\"}", 201, NULL, "running" },
		{ "POST /v1/vms/a/start?wait_ms=5000", NULL, 200, NULL, "running" },
		{ "POST /v1/vms/a/pause?wait_ms=5000", NULL, 200, NULL, "paused" },
		{ "POST /v1/vms/a/pause?wait_ms=5000", NULL, 200, NULL, "paused" },
		{ "POST /v1/vms/a/start", NULL, 409, "conflict", NULL },
		{ "POST /v1/vms/a/resume?wait_ms=5000", NULL, 200, NULL, "running" },
		{ "POST /v1/vms/a/stop?wait_ms=5000", "{\"timeout_ms\":1000}", 200, NULL, "stopped" },
		{ "POST /v1/vms/a/stop?wait_ms=5000", NULL, 200, NULL, "stopped" },
		{ "POST /v1/vms/a/pause", NULL, 409, "conflict", NULL },
		{ "POST /v1/vms/a/resume", NULL, 409, "conflict", NULL },
		{ "POST /v1/vms/a/start?wait_ms=5000", NULL, 200, NULL, "running" },
		{ "POST /v1/vms/none/start", NULL, 404, "not-found", NULL },
	};

	fixture_init(&fixture);
	for (gsize i = 0; i < G_N_ELEMENTS(steps); i++) {
		g_autoptr(JsonObject) answer =
			http_expect(&fixture, steps[i].request, steps[i].body, steps[i].status, steps[i].code);

		if (steps[i].state)
			g_assert_cmpstr(state_of(answer), ==, steps[i].state);
	}
	fixture_clear(&fixture);
}

/* A long list is sent in pieces and is whole. */
static void test_long_list(void)
{
	struct fixture fixture;
	g_autoptr(JsonObject) list = NULL;
	JsonArray *vms;
	gint64 begun;

	fixture_init(&fixture);
	for (guint i = 0; i < MANY; i++) {
		g_autofree char *key = g_strdup_printf("/vm/v%05u", i);
		g_autofree char *text = g_strdup_printf(
			"{\"name\":\"v%05u\",\"uuid\":\"u%u\",\"image\":\"tiny\",\"engine\":\"sim\",\"run\":1}", i, i);

		fixture_put(&fixture, key, text);
	}
	fixture_wait(store_cache_get(fixture.cache, "/status/v01999"));
	begun = g_get_monotonic_time();
	list = http_expect(&fixture, "GET /v1/vms", NULL, 200, NULL);
	g_test_message("%u VMs listed and parsed in %" G_GINT64_FORMAT " ms", MANY,
		       (g_get_monotonic_time() - begun) / 1000);
	vms = json_object_get_array_member(list, "vms");
	g_assert_cmpuint(json_array_get_length(vms), ==, MANY);
	for (guint i = 0; i < MANY; i++) {
		g_autofree char *name = g_strdup_printf("v%05u", i);

		g_assert_cmpstr(json_object_get_string_member(json_array_get_object_element(vms, i), "name"), ==, name);
	}
	fixture_clear(&fixture);
}

/* A VM that fits nowhere is gone when its refusal is told. */
static void test_refused_leaves_nothing(void)
{
	struct fixture fixture;

	fixture_init(&fixture);
	for (guint i = 0; i < 30; i++) {
		g_autoptr(JsonObject) refused =
			http_expect(&fixture, "POST /v1/vms", "{\"name\":\"w\",\"image\":\"tiny\",\"cpus\":99}", 409,
				    "no-capacity");
		g_autoptr(JsonObject) unknown = http_expect(&fixture, "GET /v1/vms/w", NULL, 404, "not-found");
	}
	fixture_clear(&fixture);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/api/vms/refused-leaves-nothing", test_refused_leaves_nothing);
	g_test_add_func("/api/vms/concurrent-creates", test_concurrent_creates);
	g_test_add_func("/api/vms/refused", test_refused);
	g_test_add_func("/api/vms/generated-name", test_generated_name);
	g_test_add_func("/api/vms/wait-expires", test_wait_expires);
	g_test_add_func("/api/vms/lost-client", test_lost_client);
	g_test_add_func("/api/vms/no-host", test_no_host);
	g_test_add_func("/api/vms/states", test_states);
	g_test_add_func("/api/vms/long-list", test_long_list);
	return g_test_run();
}
