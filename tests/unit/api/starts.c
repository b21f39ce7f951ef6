/* Goal: what is stopped takes no memory, and a start that does not fit is refused with the reason and changes nothing. */
#include "tests/unit/api/fixture.h"

#include "daemon/api/record.h"

#define SIX_GIB   "6442450944" /* of the host's 8 */
#define VM_A      "{\"name\":\"a\",\"image\":\"tiny\",\"memory_bytes\":" SIX_GIB "}"
#define VM_B      "{\"name\":\"b\",\"image\":\"tiny\",\"memory_bytes\":" SIX_GIB "}"
#define CREATE    "POST /v1/vms?wait_ms=5000"
#define NO_MEMORY "start VM a: host h1 has 2G of memory free and the VM takes 6G: stop or remove others first"

static void expect(struct fixture *fixture, const char *request, const char *body, guint status, const char *code)
{
	g_autoptr(JsonObject) answer = http_expect(fixture, request, body, status, code);
}

static void assert_vm(struct fixture *fixture, const char *desired, gint64 run)
{
	g_autoptr(JsonObject) vm = http_expect(fixture, "GET /v1/vms/a", NULL, 200, NULL);

	g_assert_cmpstr(json_object_get_string_member(vm, "desired"), ==, desired);
	g_assert_cmpint(json_object_get_int_member(vm, "run"), ==, run);
}

static void test_refused(void)
{
	struct fixture fixture;

	fixture_init(&fixture);
	expect(&fixture, CREATE, VM_A, 201, NULL);
	expect(&fixture, CREATE, VM_B, 409, "no-capacity");
	expect(&fixture, "POST /v1/vms/a/stop?wait_ms=5000", NULL, 200, NULL);
	expect(&fixture, CREATE, VM_B, 201, NULL);
	/* Twice: the first leaves nothing behind that makes the second another. */
	for (guint i = 0; i < 2; i++) {
		g_autoptr(JsonObject) problem =
			http_expect(&fixture, i ? "POST /v1/vms/a/start" : "POST /v1/vms/a/start?wait_ms=5000", NULL,
				    409, "no-capacity");

		g_assert_cmpstr(json_object_get_string_member(problem, "detail"), ==, NO_MEMORY);
		assert_vm(&fixture, "stopped", 1);
	}
	expect(&fixture, "DELETE /v1/vms/b?force=true&wait_ms=5000", NULL, 200, NULL);
	expect(&fixture, "POST /v1/vms/a/start?wait_ms=5000", NULL, 200, NULL);
	assert_vm(&fixture, "running", 2);
	expect(&fixture, CREATE, VM_B, 409, "no-capacity");
	fixture_clear(&fixture);
}

/* One that ended by itself is still wanted; a stop says that it is not. */
static void test_ended_by_itself(void)
{
	struct fixture fixture;
	g_autofree char *status = NULL;

	fixture_init(&fixture);
	expect(&fixture, CREATE, VM_A, 201, NULL);
	{
		g_autoptr(JsonObject) vm = http_expect(&fixture, "GET /v1/vms/a", NULL, 200, NULL);

		status = g_strdup_printf("{\"uuid\":\"%s\",\"host\":\"h1\",\"state\":\"stopped\",\"run\":1}",
					 json_object_get_string_member(vm, "uuid"));
	}
	fixture_put(&fixture, "/status/a", status);
	fixture_wait(record_value_is(record_get(store_cache_get(fixture.cache, "/status/a")->value, "state"),
				     "\"stopped\""));
	expect(&fixture, CREATE, VM_B, 409, "no-capacity");
	expect(&fixture, "POST /v1/vms/a/stop?wait_ms=5000", NULL, 200, NULL);
	assert_vm(&fixture, "stopped", 1);
	expect(&fixture, CREATE, VM_B, 201, NULL);
	fixture_clear(&fixture);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/api/starts/refused", test_refused);
	g_test_add_func("/api/starts/ended-by-itself", test_ended_by_itself);
	return g_test_run();
}
