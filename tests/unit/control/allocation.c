/* Goal: first-fit keeps every hard constraint and says what ruled hosts out. */
#include "core/allocation/allocation.h"

#include <glib.h>

#define GIB (1ull << 30)

static void test_constraints(void)
{
	struct allocation_host host = { .cpus = 4,
					.memory_bytes = 8 * GIB,
					.memory_reserved_bytes = GIB,
					.memory_placed_bytes = 3 * GIB,
					.engines = 1 };
	struct allocation_request request = { .cpus = 4, .memory_bytes = 4 * GIB, .engine = 1, .charged = true };

	g_assert_cmpuint(allocation_free_bytes(&host), ==, 4 * GIB);
	g_assert_cmpint(allocation_violates(&host, &request), ==, ALLOCATION_CONSTRAINTS);
	request.memory_bytes++;
	g_assert_cmpint(allocation_violates(&host, &request), ==, ALLOCATION_MEMORY);
	request.charged = false;
	g_assert_cmpint(allocation_violates(&host, &request), ==, ALLOCATION_CONSTRAINTS);
	request.memory_bytes = 8 * GIB + 1;
	g_assert_cmpint(allocation_violates(&host, &request), ==, ALLOCATION_MEMORY);
	request.cpus = 5;
	g_assert_cmpint(allocation_violates(&host, &request), ==, ALLOCATION_CPUS);
	request.engine = 2;
	g_assert_cmpint(allocation_violates(&host, &request), ==, ALLOCATION_ENGINE);
	host.memory_placed_bytes = 100 * GIB;
	g_assert_cmpuint(allocation_free_bytes(&host), ==, 0);
}

static void test_first_fit(void)
{
	struct allocation_host hosts[] = {
		{ .cpus = 1, .memory_bytes = 8 * GIB, .engines = 1 },
		{ .cpus = 8, .memory_bytes = 1 * GIB, .engines = 1 },
		{ .cpus = 8, .memory_bytes = 8 * GIB, .engines = 2 },
		{ .cpus = 8, .memory_bytes = 8 * GIB, .engines = 3 },
		{ .cpus = 8, .memory_bytes = 8 * GIB, .engines = 3 },
	};
	struct allocation_request request = { .cpus = 2, .memory_bytes = 2 * GIB, .engine = 1, .charged = true };
	struct allocation_decision decision;

	allocation_first_fit(hosts, G_N_ELEMENTS(hosts), &request, &decision);
	g_assert_cmpuint(decision.winner, ==, 3);
	for (int i = 0; i < ALLOCATION_CONSTRAINTS; i++)
		g_assert_cmpuint(decision.ruled_out[i], ==, 1);
	allocation_first_fit(hosts, 3, &request, &decision);
	g_assert_cmpuint(decision.winner, ==, ALLOCATION_NO_HOST);
	allocation_first_fit(NULL, 0, &request, &decision);
	g_assert_cmpuint(decision.winner, ==, ALLOCATION_NO_HOST);
}

/* Random worlds: never over memory, engine or CPUs; refused only when truly nothing fits; accounts return to zero. */
static void test_property(void)
{
	for (guint round = 0; round < 200; round++) {
		struct allocation_host hosts[5] = { 0 };
		struct allocation_request placed[64];
		gsize where[64], n = 0;

		for (gsize i = 0; i < G_N_ELEMENTS(hosts); i++)
			hosts[i] =
				(struct allocation_host) { .cpus = (uint64_t)g_test_rand_int_range(1, 9),
							   .memory_bytes = (uint64_t)g_test_rand_int_range(1, 33) * GIB,
							   .memory_reserved_bytes = GIB / 2,
							   .engines = (uint32_t)g_test_rand_int_range(1, 4) };
		while (n < G_N_ELEMENTS(placed)) {
			struct allocation_request request = { .cpus = (uint64_t)g_test_rand_int_range(1, 9),
							      .memory_bytes =
								      (uint64_t)g_test_rand_int_range(1, 9) * GIB,
							      .engine = 1u << g_test_rand_int_range(0, 2),
							      .charged = g_test_rand_int_range(0, 4) != 0 };
			struct allocation_decision decision;

			allocation_first_fit(hosts, G_N_ELEMENTS(hosts), &request, &decision);
			for (gsize i = 0; i < G_N_ELEMENTS(hosts) && i < decision.winner; i++)
				g_assert_cmpint(allocation_violates(&hosts[i], &request), !=, ALLOCATION_CONSTRAINTS);
			where[n] = decision.winner;
			placed[n++] = request;
			if (decision.winner == ALLOCATION_NO_HOST)
				continue;
			g_assert_cmpuint(hosts[decision.winner].engines & request.engine, !=, 0);
			g_assert_cmpuint(request.cpus, <=, hosts[decision.winner].cpus);
			allocation_charge(&hosts[decision.winner], &request);
			g_assert_cmpuint(hosts[decision.winner].memory_placed_bytes + GIB / 2, <=,
					 MAX(hosts[decision.winner].memory_bytes, GIB / 2));
		}
		while (n--) {
			if (where[n] != ALLOCATION_NO_HOST)
				allocation_release(&hosts[where[n]], &placed[n]);
		}
		for (gsize i = 0; i < G_N_ELEMENTS(hosts); i++)
			g_assert_cmpuint(hosts[i].memory_placed_bytes, ==, 0);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/allocation/constraints", test_constraints);
	g_test_add_func("/allocation/first-fit", test_first_fit);
	g_test_add_func("/allocation/property", test_property);
	return g_test_run();
}
