/* Goal: what is stopped takes no memory; a start or a greater reservation that does not fit is refused with the reason and
 * changes nothing. */
#include "tests/unit/api/fixture.h"

#include "daemon/api/record.h"
#include "daemon/api/vms.h"

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

#define RAISE                                                                                                         \
	"change VM a: host h1 can keep 100% of a CPU for the VM, which asks for 140% (180% may be reserved there in " \
	"all): "

/* The plan follows a moment after a change was taken back. */
static gboolean reserves(struct fixture *fixture, guint64 percent)
{
	const struct store_kv *plan = store_cache_get(fixture->cache, "/plan/a");
	struct record_value held = record_get(plan->value, "held");

	return !held.bytes && vm_number(plan, "cpu_reserve_percent") == percent;
}

static void test_raise(void)
{
	struct fixture fixture;

	fixture_init(&fixture);
	fixture_put(&fixture, "/host/h1",
		    "{\"name\":\"h1\",\"engines\":[\"qemu\",\"sim\"],\"cpus\":2,\"memory_bytes\":8589934592}");
	expect(&fixture, CREATE, "{\"name\":\"a\",\"image\":\"tiny\",\"cpus\":2,\"cpu_reserve_percent\":40}", 201,
	       NULL);
	expect(&fixture, CREATE, "{\"name\":\"b\",\"image\":\"tiny\",\"cpu_reserve_percent\":80}", 201, NULL);
	expect(&fixture, CREATE, "{\"name\":\"c\",\"image\":\"tiny\",\"cpu_reserve_percent\":80}", 409, "no-capacity");
	/* Refused with all that was asked for at the same time, and twice alike. */
	for (guint i = 0; i < 2; i++) {
		g_autoptr(JsonObject) problem =
			http_expect(&fixture, "PATCH /v1/vms/a", "{\"cpu_reserve_percent\":140,\"cpu_weight\":300}",
				    409, "no-capacity");
		g_autoptr(JsonObject) vm = NULL;

		g_assert_cmpstr(json_object_get_string_member(problem, "detail"), ==,
				RAISE "ask for less, or stop or remove others first");
		fixture_wait(reserves(&fixture, 40));
		vm = http_expect(&fixture, "GET /v1/vms/a", NULL, 200, NULL);
		g_assert_cmpint(json_object_get_int_member(vm, "cpu_weight"), ==, 100);
		g_assert_cmpint(json_object_get_int_member(vm, "cpu_reserve_percent"), ==, 40);
	}
	expect(&fixture, "PATCH /v1/vms/a", "{\"cpu_reserve_percent\":210}", 400, "invalid");
	expect(&fixture, "PATCH /v1/vms/a", "{\"cpu_reserve_percent\":100}", 200, NULL);
	fixture_wait(reserves(&fixture, 100));
	expect(&fixture, "DELETE /v1/vms/b?force=true&wait_ms=5000", NULL, 200, NULL);
	expect(&fixture, "PATCH /v1/vms/a", "{\"cpu_reserve_percent\":140}", 200, NULL);
	fixture_wait(reserves(&fixture, 140));
	fixture_clear(&fixture);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/api/starts/refused", test_refused);
	g_test_add_func("/api/starts/ended-by-itself", test_ended_by_itself);
	g_test_add_func("/api/starts/raise", test_raise);
	return g_test_run();
}
