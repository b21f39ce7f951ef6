/* Strategies that look at more than one vCPU or CPU, worked out by hand: gang, relaxed-cosched, pin; credit2's
 * caches. */
#include <glib.h>

#include "tests/unit/core/scheduling_driver.h"

#define MS G_GINT64_CONSTANT(1000000)

static gdouble share_of(struct driver *driver, guint i)
{
	return (gdouble)driver->guests[i].service_ns / (gdouble)driver->system.now_ns;
}

static void check_service(struct driver *driver, gint64 until_ms, const gint64 *expected_ms)
{
	driver_run(driver, until_ms * MS);
	for (guint i = 0; i < driver->system.n_entities; i++) {
		g_test_message("%c at %d ms: %d us", 'A' + (gint)i, (gint)until_ms,
			       (gint)(driver->guests[i].service_ns / 1000));
		g_assert_cmpint(ABS(driver->guests[i].service_ns - expected_ms[i] * MS), <=, 10000); /* handovers */
	}
}

/* Gangs of two on three CPUs: at any time both run or none, but for the moment of the handover. */
static void check_together(struct driver *driver)
{
	gint64 *apart_ns = driver->data;

	for (guint vm = 0; vm < driver->system.n_vms; vm++) {
		const struct scheduling_entity *pair = &driver->system.entities[driver->system.vms[vm].first];
		gboolean together = !(pair[0].flags & SCHEDULING_RUNNING) == !(pair[1].flags & SCHEDULING_RUNNING);

		if (together)
			apart_ns[vm] = driver->system.now_ns;
		g_assert_cmpint(driver->system.now_ns - apart_ns[vm], <=, 1000);
	}
}

static void test_gang(void)
{
	struct driver *driver = driver_new(scheduling_strategy_find("gang"), 3, 6);
	gint64 apart_ns[3] = { 0 };

	driver_gang(driver, 2);
	driver->data = apart_ns;
	driver->after_event = check_together;
	driver_run(driver, 3 * G_GINT64_CONSTANT(1000000000));
	for (guint i = 0; i < 6; i++)
		g_assert_cmpfloat(ABS(share_of(driver, i) - 1.0 / 3), <, 0.01);
	driver_free(driver);
}

/* VMs of 2 (AB), 1 (C) and 2 (DE) vCPUs on three CPUs, slots of 10. First AB and C. Then DE is behind the mean of the three,
 * 6.7, and C fits beside it. Then the mean is 13.3; from C on, the third VM's turn first: DE, 10, fits; C, 20, is ahead of
 * it, but fits. Then AB, at 10 behind the mean of 20. */
static void test_gang_slots(void)
{
	struct driver *driver = driver_new(scheduling_strategy_find("gang"), 3, 5);
	struct scheduling_system *system = &driver->system;

	system->n_vms = 3;
	system->vms[0] = (struct scheduling_vm) { .first = 0, .n_vcpus = 2 };
	system->vms[1] = (struct scheduling_vm) { .first = 2, .n_vcpus = 1 };
	system->vms[2] = (struct scheduling_vm) { .first = 3, .n_vcpus = 2 };
	for (guint i = 0; i < 5; i++)
		system->entities[i].vm = i < 2 ? 0 : i < 3 ? 1 : 2;
	check_service(driver, 10, (const gint64[]) { 10, 10, 10, 0, 0 });
	check_service(driver, 20, (const gint64[]) { 10, 10, 20, 10, 10 });
	check_service(driver, 30, (const gint64[]) { 10, 10, 30, 20, 20 });
	check_service(driver, 40, (const gint64[]) { 20, 20, 40, 20, 20 });
	driver_free(driver);
}

/* A VM with twice the weight has two slots of three; one that wakes begins at once where CPUs are unassigned, and from the
 * mean: it is owed nothing for its sleep. */
static void test_gang_weights(void)
{
	struct driver *driver = driver_new(scheduling_strategy_find("gang"), 2, 4);

	driver_gang(driver, 2);
	for (guint i = 0; i < 2; i++)
		driver->system.entities[i].weight = 200;
	driver_run(driver, 3000 * MS);
	for (guint i = 0; i < 4; i++)
		g_assert_cmpfloat(ABS(share_of(driver, i) - (i < 2 ? 2.0 : 1.0) / 3), <, 0.01);
	driver_free(driver);

	/* A VM of two and one of one, alike: a slot each in turn. */
	driver = driver_new(scheduling_strategy_find("gang"), 2, 3);
	driver_gang(driver, 2);
	driver_run(driver, 3000 * MS);
	for (guint i = 0; i < 3; i++)
		g_assert_cmpfloat(ABS(share_of(driver, i) - 0.5), <, 0.01);
	driver_free(driver);
}

static void test_gang_wakes(void)
{
	struct driver *driver = driver_new(scheduling_strategy_find("gang"), 3, 4);

	/* AB for ever; CD from 905 on: in turn from there, though AB has had 905. */
	driver_gang(driver, 2);
	for (guint i = 2; i < 4; i++)
		driver->guests[i].first_ns = 905 * MS;
	check_service(driver, 905, (const gint64[]) { 905, 905, 0, 0 });
	driver_run(driver, 1900 * MS);
	for (guint i = 2; i < 4; i++)
		g_assert_cmpint(ABS(driver->guests[i].service_ns - 500 * MS), <=, 20 * MS);
	driver_free(driver);

	/* A and B in VMs of their own on three CPUs: B wakes at 3 in a slot of 10, and one CPU is free. */
	driver = driver_new(scheduling_strategy_find("gang"), 3, 2);
	driver->guests[1].first_ns = 3 * MS;
	check_service(driver, 9, (const gint64[]) { 9, 6 });
	driver_free(driver);
}

static struct driver *relaxed_three(void)
{
	struct driver *driver = driver_new(scheduling_strategy_find("relaxed-cosched"), 2, 3);
	struct scheduling_system *system = &driver->system;

	system->n_vms = 2;
	system->vms[0] = (struct scheduling_vm) { .first = 0, .n_vcpus = 2 };
	system->vms[1] = (struct scheduling_vm) { .first = 2, .n_vcpus = 1 };
	for (guint i = 0; i < 3; i++)
		system->entities[i].vm = i / 2;
	driver_set(driver, "slice-us", "3000");
	return driver;
}

/* A and B are one VM; A shares its CPU with C, B has one for itself. A waits from 3 to 6, 9 to 12 and 15 to 18: more than
 * the skew of 6 longer than B, which is stopped at 18. Its CPU takes C, so A waits no more; at 24 B has waited 6, and the
 * distance of 3 is half the skew. */
static void test_relaxed(void)
{
	struct driver *driver = relaxed_three();
	struct scheduling_system *system = &driver->system;

	check_service(driver, 18, (const gint64[]) { 9, 18, 9 });
	check_service(driver, 23, (const gint64[]) { 14, 18, 14 });
	g_assert_cmpuint(system->entities[1].flags & SCHEDULING_PARKED, !=, 0);
	check_service(driver, 24, (const gint64[]) { 15, 18, 15 });
	g_assert_cmpuint(system->entities[1].flags & SCHEDULING_PARKED, ==, 0);
	driver_free(driver);
}

/* The same, but A sleeps at 19, and nobody is behind B any more: it starts again at once. */
static void test_relaxed_sleeps(void)
{
	struct driver *driver = relaxed_three();

	driver->guests[0].run_ns = 10 * MS;
	driver->guests[0].sleep_ns = 100 * MS;
	check_service(driver, 24, (const gint64[]) { 10, 23, 15 });
	driver_free(driver);
}

static void check_not_parked(struct driver *driver)
{
	g_assert_cmpuint(driver->system.entities[1].flags & SCHEDULING_PARKED, ==, 0);
}

/* Sleep is progress: B wakes at 60, when A has waited 30, and is level with it. */
static void test_relaxed_wakes(void)
{
	struct driver *driver = relaxed_three();

	driver->system.n_cpus = driver->system.n_queues = 1;
	for (guint i = 0; i < 3; i++)
		driver->system.entities[i].cpu = 0;
	driver->guests[1].first_ns = 60 * MS;
	driver->after_event = check_not_parked;
	driver_run(driver, 75 * MS);
	g_assert_cmpint(driver->guests[1].service_ns, >, 0);
	driver_free(driver);
}

/* The skew is looked at twice as often as it may grow: slices of at most half of it, where there are siblings. */
static void test_relaxed_slices(void)
{
	struct driver *driver = relaxed_three();

	driver->system.parameter[0] = 10000;
	driver->system.parameter[1] = 6000;
	g_assert_cmpint(driver->ops->slice(&driver->system, &driver->system.entities[0]), ==, 3 * MS);
	g_assert_cmpint(driver->ops->slice(&driver->system, &driver->system.entities[2]), ==, 10 * MS);
	driver_free(driver);
}

/* Who comes from another cache's queue has there what it had here, stolen or awake again; in its own queue what it had, but not
 * more than a reset. */
static void test_credit2_moves(void)
{
	const struct scheduling_strategy *ops = scheduling_strategy_find("credit2");
	struct driver *driver = driver_new(ops, 1, 1);
	struct scheduling_system *system = &driver->system;
	struct scheduling_queue queues[2] = { { .virtual_time = 100 }, { .virtual_time = 5000 } };
	struct scheduling_queue *kept = system->queues;
	struct scheduling_entity *entity = &system->entities[0];

	system->queues = queues;
	ops->place(system, &queues[0], entity, SCHEDULING_NEW);
	g_assert_cmpint(entity->virtual_time, ==, 100);
	entity->virtual_time += 30;
	ops->leave(system, &queues[0], entity);
	ops->place(system, &queues[1], entity, SCHEDULING_MIGRATE);
	g_assert_cmpint(entity->virtual_time, ==, 5030);
	ops->leave(system, &queues[1], entity);
	ops->place(system, &queues[0], entity, SCHEDULING_WAKE);
	g_assert_cmpint(entity->virtual_time, ==, 130);
	ops->leave(system, &queues[0], entity);
	queues[0].virtual_time = 120; /* a reset */
	ops->place(system, &queues[0], entity, SCHEDULING_WAKE);
	g_assert_cmpint(entity->virtual_time, ==, 130);
	ops->leave(system, &queues[0], entity);
	queues[0].virtual_time = 200;
	ops->place(system, &queues[0], entity, SCHEDULING_WAKE);
	g_assert_cmpint(entity->virtual_time, ==, 200);
	system->queues = kept;
	driver_free(driver);
}

/* A on CPU 0, B on CPU 1, C on CPU 0 again: A and C take turns of 10, whether B sleeps or not. */
static void test_pin(void)
{
	struct driver *driver = driver_new(scheduling_strategy_find("pin"), 2, 3);

	driver->guests[1].run_ns = 5 * MS;
	driver->guests[1].sleep_ns = 15 * MS;
	check_service(driver, 10, (const gint64[]) { 10, 5, 0 });
	check_service(driver, 20, (const gint64[]) { 10, 5, 10 });
	check_service(driver, 25, (const gint64[]) { 15, 10, 10 });
	driver_free(driver);
}

/* Whose CPU is free again gets the next one. */
static void test_pin_retires(void)
{
	const struct scheduling_strategy *ops = scheduling_strategy_find("pin");
	struct driver *driver = driver_new(ops, 2, 4);
	struct scheduling_entity *entities = driver->system.entities;

	for (guint i = 0; i < 3; i++)
		g_assert_cmpint(ops->admit(&driver->system, &entities[i]), ==, SCHEDULING_ACCEPTED);
	ops->retire(&driver->system, &entities[0]);
	ops->retire(&driver->system, &entities[2]);
	g_assert_cmpint(ops->admit(&driver->system, &entities[3]), ==, SCHEDULING_ACCEPTED);
	g_assert_cmpuint(ops->select(&driver->system, &entities[3], 1), ==, 0);
	g_assert_cmpuint(ops->select(&driver->system, &entities[1], 0), ==, 1);
	driver_free(driver);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/scheduling/gang", test_gang);
	g_test_add_func("/scheduling/gang/slots", test_gang_slots);
	g_test_add_func("/scheduling/gang/weights", test_gang_weights);
	g_test_add_func("/scheduling/gang/wakes", test_gang_wakes);
	g_test_add_func("/scheduling/relaxed-cosched", test_relaxed);
	g_test_add_func("/scheduling/relaxed-cosched/sleeps", test_relaxed_sleeps);
	g_test_add_func("/scheduling/relaxed-cosched/wakes", test_relaxed_wakes);
	g_test_add_func("/scheduling/relaxed-cosched/slices", test_relaxed_slices);
	g_test_add_func("/scheduling/credit2/moves", test_credit2_moves);
	g_test_add_func("/scheduling/pin", test_pin);
	g_test_add_func("/scheduling/pin/retires", test_pin_retires);
	return g_test_run();
}
