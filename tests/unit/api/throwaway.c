/* Goal: a throwaway VM lives as long as its client, and no longer: its lease expires when nobody is there. */
#include "tests/unit/api/fixture.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LEASE_MS 600u
#define CREATE   "{\"name\":\"a\",\"image\":\"tiny\",\"ephemeral\":true}"

static gboolean gone(struct fixture *fixture)
{
	return !store_cache_get(fixture->cache, "/vm/a") && !store_cache_get(fixture->cache, "/plan/a") &&
	       !store_cache_get(fixture->cache, "/status/a");
}

/* Its client created it and was never heard of again. */
static void test_vanished(void)
{
	const struct fixture_options options = { .lease_ms = LEASE_MS };
	gint64 begun = g_get_monotonic_time();
	struct fixture fixture;
	g_autoptr(JsonObject) vm = NULL;

	fixture_init_with(&fixture, &options);
	vm = http_expect(&fixture, "POST /v1/vms?wait_ms=5000", CREATE, 201, NULL);
	g_assert_false(gone(&fixture));
	fixture_wait(gone(&fixture));
	g_assert_cmpint((g_get_monotonic_time() - begun) / 1000, >=, LEASE_MS);
	fixture_clear(&fixture);
}

/* A stream holds it for several leases; when the stream's client is gone without a word it goes too. */
static void test_held(void)
{
	static const char upgrade[] = "GET /v1/vms/a/console HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
				      "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
				      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
	const struct fixture_options options = { .lease_ms = LEASE_MS };
	struct fixture fixture;
	g_autoptr(JsonObject) vm = NULL;
	gint64 begun;
	int fd;

	fixture_init_with(&fixture, &options);
	vm = http_expect(&fixture, "POST /v1/vms?wait_ms=5000", CREATE, 201, NULL);
	fd = fixture_connect(&fixture);
	g_assert_cmpint(send(fd, upgrade, strlen(upgrade), MSG_NOSIGNAL), ==, (gssize)strlen(upgrade));
	fixture_wait(fixture.stream_fd >= 0);
	begun = g_get_monotonic_time();
	fixture_wait(gone(&fixture) || g_get_monotonic_time() - begun > 3 * LEASE_MS * 1000);
	g_assert_false(gone(&fixture));
	close(fd);
	begun = g_get_monotonic_time();
	fixture_wait(gone(&fixture));
	g_assert_cmpint((g_get_monotonic_time() - begun) / 1000, >=, LEASE_MS / 2);
	fixture_clear(&fixture);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/api/throwaway/vanished", test_vanished);
	g_test_add_func("/api/throwaway/held", test_held);
	return g_test_run();
}
