/* Scheduling strategies through their contract: shares, limits, admission, everything at once. */
#include <glib.h>

#include "core/scheduling/limit.h"
#include "tests/unit/core/scheduling_driver.h"

static void test_family(void)
{
	gsize bad;

	g_assert_cmpstr(strategy_registry_check(&scheduling_registry, &bad), ==, NULL);
	for (gsize i = 0; i < scheduling_n_strategies; i++) {
		const struct scheduling_strategy *ops = scheduling_strategies[i];

		g_assert_cmpstr(scheduling_strategy_check(ops), ==, NULL);
		g_assert_true(scheduling_strategy_find(ops->info.name) == ops);
	}
	g_assert_null(scheduling_strategy_find("nothing"));
}

/* ---- All: shares, limits, admission, thieves ---- */

static gdouble share_of(struct driver *driver, guint i)
{
	return (gdouble)driver->guests[i].service_ns / (gdouble)driver->system.now_ns;
}

static void test_shares(void)
{
	static const guint weights[] = { 100, 200, 400, 100 };

	for (gsize s = 0; s < scheduling_n_strategies; s++) {
		const struct scheduling_strategy *ops = scheduling_strategies[s];
		struct driver *driver = driver_new(ops, 1, 4);

		for (guint i = 0; i < 4; i++)
			driver->system.entities[i].weight = weights[i];
		driver_run(driver, 60 * G_GINT64_CONSTANT(1000000000));
		for (guint i = 0; i < 4; i++) {
			g_test_message("%s: %u of 8 got %.4f", ops->info.name, weights[i] / 100, share_of(driver, i));
			if (ops->proportional)
				g_assert_cmpfloat(ABS(share_of(driver, i) - weights[i] / 800.0), <,
						  g_str_equal(ops->info.name, "lottery") ? 0.015 : 0.002);
		}
		driver_free(driver);
	}
}

/* One that never blocks against one that sleeps over every tick, or comes and goes in all sorts of rhythms. */
static void test_theft(void)
{
	static const struct guest thieves[] = {
		{ .dodges = TRUE },
		{ .run_ns = 9000000, .sleep_ns = 100000 },
		{ .run_ns = 100000, .sleep_ns = 10000 },
		{ .run_ns = 2900000, .sleep_ns = 1000 },
		{ .run_ns = 30000000, .sleep_ns = 30000000 },
	};

	for (gsize s = 0; s < scheduling_n_strategies; s++)
		for (guint t = 0; t < G_N_ELEMENTS(thieves); t++) {
			const struct scheduling_strategy *ops = scheduling_strategies[s];
			struct driver *driver = driver_new(ops, 1, 2);
			gdouble stolen;

			driver->guests[1] = thieves[t];
			driver_run(driver, 20 * G_GINT64_CONSTANT(1000000000));
			stolen = share_of(driver, 1) / 0.5 - 1;
			g_test_message("%s, rhythm %u: stolen %.4f", ops->info.name, t, stolen);
			if (ops->proportional)
				g_assert_cmpfloat(stolen, <=, g_str_equal(ops->info.name, "lottery") ? 0.03 : 0.01);
			if (g_str_equal(ops->info.name, "credit-tick") && thieves[t].dodges)
				g_assert_cmpfloat(stolen, >=, 0.9);
			driver_free(driver);
		}
}

static void test_limits(void)
{
	for (gsize s = 0; s < scheduling_n_strategies; s++) {
		const struct scheduling_strategy *ops = scheduling_strategies[s];
		struct driver *driver = driver_new(ops, 1, 2);

		driver->system.entities[0].limit_ns = 20000000;
		driver->system.entities[0].limit_period_ns = 100000000;
		driver->system.entities[0].priority = 1;
		driver_run(driver, 10 * G_GINT64_CONSTANT(1000000000));
		g_test_message("%s: limited got %.4f, the other %.4f", ops->info.name, share_of(driver, 0),
			       share_of(driver, 1));
		g_assert_cmpfloat(share_of(driver, 0), <=, 0.2001);
		g_assert_cmpfloat(share_of(driver, 0), >=, 0.15);
		if (ops->work_conserving)
			g_assert_cmpfloat(share_of(driver, 1), >=, 0.799);
		driver_free(driver);
	}
}

static void test_admission(void)
{
	for (gsize s = 0; s < scheduling_n_strategies; s++) {
		const struct scheduling_strategy *ops = scheduling_strategies[s];
		struct driver *driver = driver_new(ops, 2, 8);
		struct scheduling_entity *entities = driver->system.entities;

		driver->system.values = &driver->values;
		for (gsize i = 0; i < ops->info.n_parameters; i++)
			driver->system.parameter[i] = (gint64)driver->values.value[i];
		for (guint i = 0; i < 4; i++) {
			entities[i].runtime_ns = 60000000;
			entities[i].period_ns = 100000000;
		}
		g_assert_cmpint(ops->admit(&driver->system, &entities[0]), ==, SCHEDULING_ACCEPTED);
		g_assert_cmpint(ops->admit(&driver->system, &entities[1]), ==, SCHEDULING_ACCEPTED);
		entities[2].runtime_ns = 90000000;
		g_assert_cmpint(ops->admit(&driver->system, &entities[2]), ==, SCHEDULING_REFUSED_CAPACITY);
		g_assert_cmpuint(entities[2].flags & SCHEDULING_ADMITTED, ==, 0);
		ops->retire(&driver->system, &entities[1]);
		g_assert_cmpint(ops->admit(&driver->system, &entities[2]), ==, SCHEDULING_ACCEPTED);
		entities[4].weight = 0;
		entities[5].weight = SCHEDULING_WEIGHT_MAX + 1;
		entities[6].runtime_ns = 2000000;
		entities[6].period_ns = 1999999;
		entities[7].limit_ns = entities[7].limit_period_ns = 999999;
		for (guint i = 4; i < 8; i++)
			g_assert_cmpint(ops->admit(&driver->system, &entities[i]), ==, SCHEDULING_REFUSED_MALFORMED);
		entities[7].limit_ns = 1000000;
		entities[7].limit_period_ns = SCHEDULING_PERIOD_MAX_NS + 1;
		g_assert_cmpint(ops->admit(&driver->system, &entities[7]), ==, SCHEDULING_REFUSED_MALFORMED);
		entities[7].limit_period_ns = SCHEDULING_PERIOD_MAX_NS;
		g_assert_cmpint(ops->admit(&driver->system, &entities[7]), ==, SCHEDULING_ACCEPTED);
		ops->retire(&driver->system, &entities[0]);
		ops->retire(&driver->system, &entities[2]);
		ops->retire(&driver->system, &entities[7]);
		g_assert_cmpuint(driver->system.admitted, ==, 0);
		driver_free(driver);
	}
}

/* ---- Everything at once ---- */

static gint64 between(GRand *rand, gint64 low, gint64 high)
{
	return low + (gint64)(g_rand_double(rand) * (gdouble)(high - low));
}

static void check_work_conserving(struct driver *driver)
{
	struct scheduling_system *system = &driver->system;
	guint idle = 0, waiting = 0;

	for (guint cpu = 0; cpu < system->n_cpus; cpu++)
		idle += system->cpus[cpu].running == SCHEDULING_NO_ENTITY;
	for (guint i = 0; i < system->n_entities; i++)
		waiting += driver->guests[i].queued;
	g_assert_true(!driver->ops->work_conserving || driver->ops->pick || idle == 0 || waiting == 0);
}

static void random_world(const struct scheduling_strategy *ops, GRand *rand)
{
	guint n_cpus = 1 + (guint)g_rand_int_range(rand, 0, 4), n = 1 + (guint)g_rand_int_range(rand, 0, 12);
	struct driver *driver = driver_new(ops, n_cpus, n);
	gint64 used = 0;

	driver_gang(driver, 1 + (guint)g_rand_int_range(rand, 0, (gint)n_cpus));
	driver->system.random = g_rand_int(rand) | 1;
	driver->after_event = check_work_conserving;
	for (guint i = 0; i < n; i++) {
		struct scheduling_entity *entity = &driver->system.entities[i];
		struct guest *guest = &driver->guests[i];

		entity->weight = (guint32)between(rand, 1, g_rand_boolean(rand) ? 200 : 10001);
		entity->latency_ns = g_rand_int_range(rand, 0, 3) ? 0 : between(rand, 100000, 10000000);
		entity->priority = g_rand_int_range(rand, -5, 110);
		if (g_rand_int_range(rand, 0, 3) == 0) {
			entity->limit_period_ns = between(rand, SCHEDULING_LIMIT_MIN_NS, 100000000);
			entity->limit_ns = between(rand, SCHEDULING_LIMIT_MIN_NS, entity->limit_period_ns + 1);
		}
		if (g_rand_boolean(rand)) {
			entity->period_ns = between(rand, 1000000, 50000000);
			entity->runtime_ns = entity->period_ns / (gint64)(n + 1) + 1;
		}
		guest->first_ns = g_rand_boolean(rand) ? 0 : between(rand, 0, 100000000);
		guest->run_ns = g_rand_int_range(rand, 0, 4) ? between(rand, 1, 20000000) : 0;
		guest->sleep_ns = between(rand, 1, 20000000);
		if (entity->period_ns && guest->run_ns)
			guest->period_ns = entity->period_ns;
		guest->dodges = g_rand_int_range(rand, 0, 6) == 0;
		if (guest->dodges)
			guest->period_ns = 0;
	}
	driver_run(driver, 500000000);
	for (guint i = 0; i < n; i++) {
		g_assert_cmpint(driver->guests[i].service_ns, <=, 500000000);
		used += driver->guests[i].service_ns;
	}
	g_assert_cmpint(used, <=, 500000000 * (gint64)n_cpus);
	driver_free(driver);
}

static guint32 test_seed(void)
{
	const gchar *given = g_getenv("POLDER_TEST_SEED");
	guint32 seed = given ? (guint32)g_ascii_strtoull(given, NULL, 10) : g_random_int();

	g_test_message("POLDER_TEST_SEED=%u", seed);
	return seed;
}

static void test_random_worlds(void)
{
	GRand *rand = g_rand_new_with_seed(test_seed());
	guint n = g_getenv("POLDER_TEST_LONG") ? 200 : 12;

	for (guint i = 0; i < n; i++)
		for (gsize s = 0; s < scheduling_n_strategies; s++)
			random_world(scheduling_strategies[s], rand);
	g_rand_free(rand);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/scheduling/family", test_family);
	g_test_add_func("/scheduling/shares", test_shares);
	g_test_add_func("/scheduling/theft", test_theft);
	g_test_add_func("/scheduling/limits", test_limits);
	g_test_add_func("/scheduling/admission", test_admission);
	g_test_add_func("/scheduling/random-worlds", test_random_worlds);
	return g_test_run();
}
