/* Scheduling strategies through their contract: known schedules, shares, limits, admission, independent results. */
#include <glib.h>

#include <stdlib.h>
#include <string.h>

#include "core/scheduling/limit.h"
#include "core/scheduling/average.h"
#include "core/scheduling/feasibility.h"
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

/* ---- EEVDF: schedules worked by hand ---- */

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

/* ---- EDF: independent results for random task sets ----
 *
 * What the independent simulation counts: a job when it ends; the first miss is the deadline of the first late job to end.
 * It stops after the first event past the horizon. Events are releases, but not those of a task still busy with an
 * earlier job; and ends of jobs as expected when they began or went on, even if preempted since. */

struct oracle_set {
	gint feasible, gfb;
	gint64 first_miss_us, tardy, ok, tardiness_us;
	guint n;
	gint64 wcet_us[16], period_us[16];
};

static gboolean oracle_parse(const gchar *line, struct oracle_set *set)
{
	g_auto(GStrv) fields = g_strsplit(line, ",", -1);
	guint n = g_strv_length(fields);

	if (n < 11 || line[0] == '#')
		return FALSE;
	set->feasible = atoi(fields[2]);
	set->first_miss_us = g_ascii_strtoll(fields[3], NULL, 10);
	set->tardy = g_ascii_strtoll(fields[4], NULL, 10);
	set->ok = g_ascii_strtoll(fields[5], NULL, 10);
	set->tardiness_us = g_ascii_strtoll(fields[6], NULL, 10);
	set->gfb = atoi(fields[7]);
	set->n = n - 10;
	g_assert_cmpuint(set->n, <=, G_N_ELEMENTS(set->wcet_us));
	for (guint i = 0; i < set->n; i++) {
		gchar *end;

		set->wcet_us[i] = g_ascii_strtoll(fields[10 + i], &end, 10);
		set->period_us[i] = g_ascii_strtoll(end + 1, NULL, 10);
	}
	return TRUE;
}

/* What the tests promise holds: GFB as published, no miss where it accepts, no tardiness above the bound. */
static gboolean check_tests(const struct oracle_set *set, struct driver *driver, guint m)
{
	enum scheduling_feasible gfb = scheduling_feasible_gfb(driver->system.entities, set->n, m);
	gint64 bound = scheduling_tardiness_bound_ns(driver->system.entities, set->n, m);

	g_assert_cmpint(gfb == SCHEDULING_FEASIBLE, ==, set->gfb);
	if (gfb == SCHEDULING_FEASIBLE)
		g_assert_true(set->feasible);
	return bound < 0 || set->tardiness_us <= bound;
}

static gboolean oracle_check(const struct oracle_set *set, guint m)
{
	struct driver *driver = driver_new(scheduling_strategy_find("edf"), m, set->n);
	gint64 tardiness = 0;
	guint64 tardy = 0, ok = 0;
	gboolean same;

	for (guint i = 0; i < set->n; i++) {
		driver->system.entities[i].runtime_ns = set->wcet_us[i];
		driver->system.entities[i].period_ns = set->period_us[i];
		driver->system.entities[i].flags = SCHEDULING_ADMITTED;
		driver->guests[i].run_ns = set->wcet_us[i];
		driver->guests[i].period_ns = set->period_us[i];
	}
	driver->whole_events = TRUE; /* as the independent simulation ended */
	driver_run(driver, 2000000);
	for (guint i = 0; i < set->n; i++) {
		tardy += driver->guests[i].jobs_tardy;
		ok += driver->guests[i].jobs_ok;
		tardiness = MAX(tardiness, driver->guests[i].tardiness_greatest_ns);
	}
	same = set->feasible == (driver->first_miss_ns < 0) && set->tardy == (gint64)tardy && set->ok == (gint64)ok &&
	       set->tardiness_us == tardiness && (set->feasible || set->first_miss_us == driver->first_miss_ns);
	if (!same)
		g_test_message("feasible %d first %" G_GINT64_FORMAT " tardy %" G_GINT64_FORMAT " ok %" G_GINT64_FORMAT
			       " tardiness %" G_GINT64_FORMAT " but %" G_GINT64_FORMAT " %" G_GUINT64_FORMAT
			       " %" G_GUINT64_FORMAT " %" G_GINT64_FORMAT,
			       set->feasible, set->first_miss_us, set->tardy, set->ok, set->tardiness_us,
			       driver->first_miss_ns, tardy, ok, tardiness);
	same = same && check_tests(set, driver, m);
	driver_free(driver);
	return same;
}

static gchar *shared_path(const gchar *folder, const gchar *name)
{
	const gchar *given = g_getenv("POLDER_SHARED");

	g_autofree gchar *top = given ? g_strdup(given) : g_build_filename(POLDER_SOURCE_ROOT, "..", "shared", NULL);

	return g_build_filename(top, "data", folder, name, NULL);
}

static void check_oracle(const gchar *name, guint m, guint step)
{
	g_autofree gchar *path = shared_path("scheduling", name);
	const gchar *argv[] = { "xz", "-dc", path, NULL };
	g_autofree gchar *text = NULL;
	g_auto(GStrv) lines = NULL;
	guint n = 0, wrong = 0;

	if (!g_file_test(path, G_FILE_TEST_EXISTS)) {
		g_test_skip("no published task sets; set POLDER_SHARED");
		return;
	}
	if (!g_spawn_sync(NULL, (gchar **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &text, NULL, NULL, NULL)) {
		g_test_skip("no xz to read the published task sets with");
		return;
	}
	lines = g_strsplit(text, "\n", -1);
	for (guint i = 1, n_lines = g_strv_length(lines); i < n_lines; i += step) {
		struct oracle_set set;

		if (!oracle_parse(lines[i], &set))
			continue;
		n++;
		if (!oracle_check(&set, m) && ++wrong <= 5)
			g_test_message("line %u", i + 1);
	}
	g_test_message("%u sets, %u wrong", n, wrong);
	g_assert_cmpuint(n, >, 0);
	g_assert_cmpuint(wrong, ==, 0);
}

static void test_edf_oracle(void)
{
	guint step = g_getenv("POLDER_TEST_LONG") ? 1 : 20;

	check_oracle("gedf_m2_n5.csv.xz", 2, step);
	check_oracle("gedf_m4_n10.csv.xz", 4, step);
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
		ops->retire(&driver->system, &entities[0]);
		ops->retire(&driver->system, &entities[2]);
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

/* ---- EEVDF: −r_max < lag < max(r, q), coming and going with a lag of 0 ---- */

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

/* ---- Tests of feasibility, in cases to follow by hand ---- */

static void test_feasibility(void)
{
	struct scheduling_entity thirds[3] = { 0 }, two[2] = { 0 };

	for (guint i = 0; i < 3; i++)
		thirds[i] = (struct scheduling_entity) { .runtime_ns = 1, .period_ns = 3 };
	g_assert_cmpint(scheduling_feasible_gfb(thirds, 3, 1), ==, SCHEDULING_FEASIBLE); /* exactly 1 */
	thirds[2] = (struct scheduling_entity) { .runtime_ns = 3333333334, .period_ns = 9999999999 };
	g_assert_cmpint(scheduling_feasible_gfb(thirds, 3, 1), ==, SCHEDULING_INFEASIBLE); /* 1 and a bit */
	thirds[2] = (struct scheduling_entity) { .runtime_ns = 3333333332, .period_ns = 9999999999 };
	g_assert_cmpint(scheduling_feasible_gfb(thirds, 3, 1), ==, SCHEDULING_FEASIBLE); /* a bit less */
	two[0] = (struct scheduling_entity) { .runtime_ns = 9, .period_ns = 10 };
	two[1] = (struct scheduling_entity) { .runtime_ns = 3, .period_ns = 10 };
	g_assert_cmpint(scheduling_feasible_gfb(two, 2, 2), ==, SCHEDULING_UNKNOWN); /* 1.2 > 2 − 0.9 */
	two[1].runtime_ns = 1;
	g_assert_cmpint(scheduling_feasible_gfb(two, 2, 2), ==, SCHEDULING_FEASIBLE); /* 1 ≤ 1.1 */
	two[1].runtime_ns = 11;
	g_assert_cmpint(scheduling_feasible_gfb(two, 2, 2), ==, SCHEDULING_FEASIBLE_MALFORMED);
	g_assert_cmpint(scheduling_tardiness_bound_ns(two, 1, 1), ==, 0);
}

/* The kernel documentation's example of reclaiming: two servers of 4 in 8. The first sleeps at 2, with 2 left: its bandwidth
 * counts until 4. From then on the second pays half, and its 2 left last until 8. */
static void test_grub(void)
{
	struct driver *driver = driver_new(scheduling_strategy_find("edf-cbs"), 1, 2);
	const gint64 unit = 1000000;

	driver_set(driver, "reclaim", "grub");
	driver_set(driver, "capacity-percent", "100");
	for (guint i = 0; i < 2; i++) {
		driver->system.entities[i].runtime_ns = 4 * unit;
		driver->system.entities[i].period_ns = 8 * unit;
	}
	driver->guests[0].run_ns = 2 * unit;
	driver->guests[0].sleep_ns = 100 * unit;
	driver_run(driver, 4 * unit);
	g_assert_cmpint(driver->guests[0].service_ns, ==, 2 * unit);
	g_assert_cmpint(driver->system.entities[1].budget_ns, ==, 2 * unit);
	driver_run(driver, 6 * unit);
	g_assert_cmpint(driver->guests[1].service_ns, ==, 4 * unit);
	g_assert_cmpint(ABS(driver->system.entities[1].budget_ns - unit), <=, 100);
	driver_run(driver, 8 * unit);
	g_assert_cmpint(ABS(driver->guests[1].service_ns - 6 * unit), <=, 100); /* rounded at each charge */
	g_assert_cmpint(ABS(driver->system.entities[1].budget_ns), <=, 100);
	driver_free(driver);
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

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/scheduling/family", test_family);
	g_test_add_func("/scheduling/eevdf/known", test_eevdf_known);
	g_test_add_func("/scheduling/edf/oracle", test_edf_oracle);
	g_test_add_func("/scheduling/shares", test_shares);
	g_test_add_func("/scheduling/theft", test_theft);
	g_test_add_func("/scheduling/limits", test_limits);
	g_test_add_func("/scheduling/admission", test_admission);
	g_test_add_func("/scheduling/random-worlds", test_random_worlds);
	g_test_add_func("/scheduling/eevdf/lag", test_eevdf_lag);
	g_test_add_func("/scheduling/feasibility", test_feasibility);
	g_test_add_func("/scheduling/grub", test_grub);
	g_test_add_func("/scheduling/gang", test_gang);
	return g_test_run();
}
