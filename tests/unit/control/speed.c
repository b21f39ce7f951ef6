/* Goal: what a decision costs does not depend on how many VMs there are: thousands on simulated hosts, planned one by one.
 * The figures are told; what fails is a VM without a host. POLDER_TEST_LONG: 100,000 VMs on 10,000 hosts. */
#include <string.h>
#include <time.h>

#include "tests/unit/control/world.h"

static void put_hosts(struct world *world, guint n)
{
	for (guint i = 0; i < n; i++) {
		g_autofree char *key = g_strdup_printf("/host/sim-%05u", i);

		world_put_text(world, key,
			       g_strdup_printf(
				       "{\"name\":\"sim-%05u\",\"engines\":[\"sim\"],\"cpus\":80,\"memory_bytes\":%llu,"
				       "\"simulated\":true,\"agent\":\"h1\",\"nodes\":[\"40c90G\",\"40c90G\"]}",
				       i, 180 * GIB));
	}
}

/* Processor time: others may be at work on this machine. */
static gint64 now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (gint64)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* How long the planner takes for each, in µs. */
static double plan_all(struct world *world, guint n, guint prefix)
{
	gint64 spent_us = 0;

	for (guint i = 0; i < n; i++) {
		struct planner_write write;
		g_autofree char *name = g_strdup_printf("v%u-%u", prefix, i), *key = g_strconcat("/vm/", name, NULL);
		const char *text;
		gint64 begun_us;
		gsize bytes;

		world_put_text(world, key,
			       g_strdup_printf(
				       "{\"name\":\"%s\",\"uuid\":\"3f1b7f0e-7c7b-4b0e-9f2e-%012x\",\"image\":\"tiny\","
				       "\"engine\":\"sim\",\"run\":1,\"cpus\":%u,\"created_at\":"
				       "\"2026-01-31T12:00:00.000000Z\"}",
				       name, i, 1 + i % 4));
		begun_us = now_us();
		g_assert_true(planner_next(world->planner, &write));
		spent_us += now_us() - begun_us;
		text = g_bytes_get_data(write.value, &bytes);
		if (!g_strstr_len(text, (gssize)bytes, "\"host\":\"sim-"))
			g_error("vm %u: %.*s", i, (int)bytes, text);
		world_apply(world, &write);
		planner_write_clear(&write);
		begun_us = now_us();
		g_assert_false(planner_next(world->planner, &write));
		spent_us += now_us() - begun_us;
	}
	return (double)spent_us / n;
}

static void test_speed(void)
{
	gboolean is_long = g_getenv("POLDER_TEST_LONG") != NULL;
	guint hosts = is_long ? 10000 : 1200, vms = is_long ? 100000 : 5000;
	struct world world;

	world_init(&world);
	put_hosts(&world, 100);
	g_test_message("%u VMs on 100 hosts, explained: %.1f us each", 1000u, plan_all(&world, 1000, 0));
	world_clear(&world);
	world_init(&world);
	put_hosts(&world, hosts);
	g_test_message("%u VMs on %u hosts: %.1f us each", vms, hosts, plan_all(&world, vms, 1));
	g_assert_cmpuint(planner_waiting(world.planner), ==, 0);
	world_clear(&world);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/control/speed", test_speed);
	return g_test_run();
}
