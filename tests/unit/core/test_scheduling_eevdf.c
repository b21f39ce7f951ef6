/* EEVDF: known schedules, and the bound of its lag. */
#include <glib.h>

#include <string.h>

#include "core/scheduling/average.h"
#include "tests/unit/core/scheduling_driver.h"

/* ---- Schedules worked by hand ---- */

/* The four start a unit of virtual time apart, in order. */
static void stagger(struct driver *driver, struct scheduling_entity *entity)
{
	gint64 apart;

	if (driver->system.now_ns > 0)
		return;
	apart = entity->id * SCHEDULING_VIRTUAL;
	entity->deadline += apart - entity->virtual_time;
	entity->virtual_time = entity->eligible = apart;
}

static void check_schedule(const guint *weights, const guint *requests, const gchar *expected)
{
	struct driver *driver = driver_new(scheduling_strategy_find("eevdf"), 1, 4);
	guint n = 0;

	driver->placed = stagger;
	driver->log = g_string_new(NULL);
	driver->log_ns = 8;
	for (guint i = 0; i < 4; i++) {
		driver->system.entities[i].weight = SCHEDULING_WEIGHT_NORMAL * weights[i];
		driver->system.entities[i].request_ns = requests[i];
		n += weights[i] > 0;
	}
	driver->system.n_entities = n;
	driver_run(driver, 8 * (gint64)strlen(expected));
	g_assert_cmpstr(driver->log->str, ==, expected);
	g_string_free(driver->log, TRUE);
	driver_free(driver);
}

static void test_eevdf_known(void)
{
	check_schedule((const guint[]) { 1, 1, 1, 1 }, (const guint[]) { 8, 8, 8, 8 }, "ABCDABCDABCDABCD");
	check_schedule((const guint[]) { 1, 1, 2, 0 }, (const guint[]) { 16, 16, 16, 0 }, "AACCBBCCAACCBBCC");
	check_schedule((const guint[]) { 1, 1, 1, 1 }, (const guint[]) { 16, 8, 16, 16 }, "BAACCBDDBAACCBDD");
}

/* ---- −r_max < lag < max(r, q), coming and going with a lag of 0 ---- */

static gint64 between(GRand *rand, gint64 low, gint64 high)
{
	return low + (gint64)(g_rand_double(rand) * (gdouble)(high - low));
}

static guint32 test_seed(void)
{
	const gchar *given = g_getenv("POLDER_TEST_SEED");
	guint32 seed = given ? (guint32)g_ascii_strtoull(given, NULL, 10) : g_random_int();

	g_test_message("POLDER_TEST_SEED=%u", seed);
	return seed;
}

static void check_lag(const struct scheduling_system *system, guint n, gint64 quantum_ns)
{
	for (guint i = 0; i < n; i++) {
		const struct scheduling_entity *entity = &system->entities[i];
		gint64 lag, request = entity->request_ns;

		if (!(entity->flags & SCHEDULING_ON_QUEUE))
			continue;
		/* In service: virtual lag × weight; a unit of V's rounding is less than a nanosecond. */
		lag = average_lag(&system->queues[0], entity) / SCHEDULING_VIRTUAL * (gint64)entity->weight /
		      SCHEDULING_WEIGHT_NORMAL;
		g_assert_cmpint(lag, >, -request - 100);
		g_assert_cmpint(lag, <, MAX(request, quantum_ns) + 100);
	}
}

static struct scheduling_entity *lag_head(const struct scheduling_strategy *ops, struct scheduling_system *system,
					  guint n)
{
	struct scheduling_entity *best = NULL;

	for (guint i = 0; i < n; i++) {
		struct scheduling_entity *entity = &system->entities[i];

		if (!(entity->flags & SCHEDULING_ON_QUEUE) ||
		    scheduling_before(system->queues[0].virtual_time, entity->eligible))
			continue;
		if (!best || scheduling_before(ops->key(system, entity), ops->key(system, best)))
			best = entity;
	}
	return best;
}

static void test_eevdf_lag(void)
{
	const struct scheduling_strategy *ops = scheduling_strategy_find("eevdf");
	GRand *rand = g_rand_new_with_seed(test_seed());
	guint64 n_events = g_getenv("POLDER_TEST_LONG") ? 20000000 : 500000;
	const gchar *given = g_getenv("POLDER_TEST_EVENTS");
	struct driver *driver = driver_new(ops, 1, 8);
	struct scheduling_system *system = &driver->system;
	struct scheduling_queue *queue = &system->queues[0];
	gint64 quantum = 4000000, slice;

	if (given)
		n_events = g_ascii_strtoull(given, NULL, 10);
	system->parameter[0] = 3000;
	system->parameter[1] = 10;
	for (guint i = 0; i < 8; i++) {
		system->entities[i].weight = (guint32)between(rand, 1, 1000);
		system->entities[i].request_ns = between(rand, 1000, quantum);
	}
	for (guint64 event = 0; event < n_events; event++) {
		struct scheduling_entity *entity = &system->entities[g_rand_int_range(rand, 0, 8)];
		gint64 lag;

		/* Comes with a lag of 0. */
		if (!(entity->flags & SCHEDULING_ON_QUEUE) && g_rand_int_range(rand, 0, 4) == 0) {
			entity->lag = 0;
			ops->place(system, queue, entity, SCHEDULING_WAKE);
			queue->n++;
			entity->flags |= SCHEDULING_ON_QUEUE;
			ops->join(system, queue, entity);
		}
		entity = lag_head(ops, system, 8);
		if (!entity) {
			g_assert_cmpuint(queue->weight, ==, 0);
			continue;
		}
		/* Runs for its request or a part of it. */
		slice = ops->slice(system, entity);
		if (g_rand_boolean(rand))
			slice = between(rand, 1, slice + 1);
		system->now_ns += slice;
		ops->charge(system, queue, entity, slice);
		check_lag(system, 8, quantum);
		/* Goes, when its lag is none. */
		lag = average_lag(queue, entity) * (gint64)entity->weight / SCHEDULING_WEIGHT_NORMAL /
		      SCHEDULING_VIRTUAL;
		if (ABS(lag) <= 1 && g_rand_boolean(rand)) {
			entity->flags &= ~(guint32)SCHEDULING_ON_QUEUE;
			queue->n--;
			ops->leave(system, queue, entity);
		}
	}
	g_rand_free(rand);
	driver_free(driver);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/scheduling/eevdf/known", test_eevdf_known);
	g_test_add_func("/scheduling/eevdf/lag", test_eevdf_lag);
	return g_test_run();
}
