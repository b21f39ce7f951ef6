/* Plans of the table strategy: made, checked by other means, refused where they should be, and run. */
#include <glib.h>

#include <stdlib.h>

#include "core/scheduling/table.h"
#include "tests/unit/core/scheduling_driver.h"

struct plan {
	struct scheduling_table table;
	enum scheduling_table_result result;
	gpointer memory;
	gint64 took_us;
};

static struct plan make_plan(const struct scheduling_entity *entities, guint n, guint n_cpus)
{
	struct plan plan = { 0 };
	gsize bytes = scheduling_table_bytes(entities, n, n_cpus);
	gint64 start;

	plan.memory = g_malloc(bytes);
	start = g_get_monotonic_time();
	plan.result = scheduling_table_plan(entities, n, n_cpus,
					    (struct scheduling_table_memory) { .start = plan.memory, .bytes = bytes },
					    &plan.table);
	plan.took_us = g_get_monotonic_time() - start;
	return plan;
}

static gint by_number(gconstpointer a, gconstpointer b)
{
	gint64 first = *(const gint64 *)a, second = *(const gint64 *)b;

	return first < second ? -1 : first > second;
}

/* Begin and end of all of a vCPU's slots, sorted by the first: no overlap, enough in sum, no gap too long. */
static void check_entity(const struct plan *plan, const struct scheduling_entity *entity, guint i)
{
	g_autoptr(GArray) slots = g_array_new(FALSE, FALSE, 2 * sizeof(gint64));
	gint64 bound = entity->latency_ns ? entity->latency_ns : 2 * (entity->period_ns - entity->runtime_ns);
	gint64 sum = 0, last;

	for (guint cpu = 0; cpu < plan->table.n_cpus; cpu++) {
		gint64 begin = 0;

		for (guint s = plan->table.first[cpu]; s < plan->table.first[cpu + 1]; s++) {
			gint64 slot[2] = { begin, plan->table.slots[s].end_ns };

			if (plan->table.slots[s].entity == i)
				g_array_append_val(slots, slot);
			begin = slot[1];
		}
		g_assert_cmpint(begin, ==, SCHEDULING_TABLE_NS);
	}
	g_assert_cmpuint(slots->len, >, 0);
	g_array_sort(slots, by_number);
	last = ((gint64 *)slots->data)[2 * slots->len - 1] - SCHEDULING_TABLE_NS;
	for (guint s = 0; s < slots->len; s++) {
		const gint64 *slot = (gint64 *)slots->data + (gsize)2 * s;

		g_assert_cmpint(slot[0], >=, last);
		g_assert_cmpint(slot[0] - last, <=, bound);
		last = slot[1];
		sum += slot[1] - slot[0];
	}
	g_assert_cmpfloat((gdouble)sum / SCHEDULING_TABLE_NS, >=,
			  (gdouble)entity->runtime_ns / (gdouble)entity->period_ns - 1e-12);
}

static void check_plan(const struct plan *plan, const struct scheduling_entity *entities, guint n)
{
	for (guint i = 0; i < n; i++)
		if (entities[i].runtime_ns)
			check_entity(plan, &entities[i], i);
}

#define LARGE_ROUNDS 9

static void test_large(void)
{
	struct scheduling_entity *entities = g_new0(struct scheduling_entity, 1000);
	GRand *rand = g_rand_new_with_seed(7);
	gint64 took_us[LARGE_ROUNDS];

	for (guint round = 0; round < LARGE_ROUNDS; round++) {
		gdouble sum = 0;
		struct plan plan;

		for (guint i = 0; i < 1000; i++) {
			entities[i].period_ns = g_rand_int_range(rand, 10000000, 100000000);
			sum += entities[i].lag = g_rand_int_range(rand, 1, 100);
		}
		for (guint i = 0; i < 1000; i++) /* 97 % of 64 CPUs */
			entities[i].runtime_ns = (gint64)((gdouble)entities[i].period_ns *
							  MIN(0.99, (gdouble)entities[i].lag / sum * 64 * 0.97));
		plan = make_plan(entities, 1000, 64);
		g_assert_cmpint(plan.result, ==, SCHEDULING_TABLE_PLANNED);
		took_us[round] = plan.took_us;
		check_plan(&plan, entities, 1000);
		g_free(plan.memory);
	}
	qsort(took_us, LARGE_ROUNDS, sizeof(*took_us), by_number);
	g_test_message("1,000 vCPUs on 64 CPUs: planned in %" G_GINT64_FORMAT " us, at worst %" G_GINT64_FORMAT
		       ", %d plans verified",
		       took_us[LARGE_ROUNDS / 2], took_us[LARGE_ROUNDS - 1], LARGE_ROUNDS);
	g_rand_free(rand);
	g_free(entities);
}

/* Three times 2/3 of a CPU on two CPUs: no partition, but a split. */
static void test_split(void)
{
	struct scheduling_entity entities[3] = { 0 };
	struct scheduling_table_given given[3];
	struct scheduling_table_slot *slots;
	struct plan plan;
	guint split = 0;

	for (guint i = 0; i < 3; i++) {
		entities[i].runtime_ns = 19900000;
		entities[i].period_ns = 30000000;
	}
	plan = make_plan(entities, 3, 2);
	g_assert_cmpint(plan.result, ==, SCHEDULING_TABLE_PLANNED);
	check_plan(&plan, entities, 3);
	for (guint i = 0; i < 3; i++)
		split += plan.table.home[i] == SCHEDULING_NO_CPU;
	g_assert_cmpuint(split, ==, 1);
	/* The check finds what is wrong. */
	g_assert_true(scheduling_table_verify(entities, &plan.table, given));
	slots = (struct scheduling_table_slot *)plan.table.slots;
	slots[0].end_ns -= 1000;
	g_assert_false(scheduling_table_verify(entities, &plan.table, given));
	slots[0].end_ns += 1000;
	for (guint s = plan.table.first[1]; s < plan.table.first[2]; s++)
		if (slots[s].entity != SCHEDULING_NO_ENTITY)
			slots[s].entity = slots[0].entity;
	g_assert_false(scheduling_table_verify(entities, &plan.table, given));
	g_free(plan.memory);
}

/* Three that want 3/5 of two CPUs, slot by slot. The piece is found by halving, to 1 µs. */
static void test_split_by_hand(void)
{
	const gint64 fifth = SCHEDULING_TABLE_NS / 5;
	const struct {
		guint32 entity;
		gint64 end_ns;
	} slots[2][4] = { { { 2, 2 * fifth }, { 0, 5 * fifth } },
			  { { 1, 3 * fifth }, { 2, 4 * fifth }, { SCHEDULING_NO_ENTITY, 5 * fifth } } };
	struct scheduling_entity entities[3];
	struct plan plan;

	for (guint i = 0; i < 3; i++)
		entities[i] = (struct scheduling_entity) { .runtime_ns = 3 * fifth, .period_ns = 5 * fifth };
	plan = make_plan(entities, 3, 2);
	g_assert_cmpint(plan.result, ==, SCHEDULING_TABLE_PLANNED);
	for (guint cpu = 0; cpu < 2; cpu++)
		for (guint i = 0; i < 3 && slots[cpu][i].end_ns; i++) {
			const struct scheduling_table_slot *slot = &plan.table.slots[plan.table.first[cpu] + i];

			g_assert_cmpuint(slot->entity, ==, slots[cpu][i].entity);
			g_assert_cmpint(ABS(slot->end_ns - slots[cpu][i].end_ns), <=, 1000);
		}
	g_assert_cmpuint(plan.table.home[0], ==, 0);
	g_assert_cmpuint(plan.table.home[1], ==, 1);
	g_assert_cmpuint(plan.table.home[2], ==, SCHEDULING_NO_CPU);
	g_free(plan.memory);
}

/* Who wakes goes home, wherever it is; a split one to where its slot is now; others spread by number. */
static void test_select(void)
{
	const struct scheduling_strategy *ops = scheduling_strategy_find("table");
	struct driver *driver = driver_new(ops, 2, 5);
	struct scheduling_entity *entities = driver->system.entities;
	const gint64 fifth = SCHEDULING_TABLE_NS / 5;
	struct plan plan;

	for (guint i = 0; i < 3; i++) {
		entities[i].runtime_ns = 3 * fifth;
		entities[i].period_ns = 5 * fifth;
		entities[i].cpu = 1 - i % 2;
	}
	plan = make_plan(entities, 5, 2);
	driver->system.table = &plan.table;
	g_assert_cmpuint(ops->select(&driver->system, &entities[0], SCHEDULING_NO_CPU), ==, 0);
	g_assert_cmpuint(ops->select(&driver->system, &entities[1], SCHEDULING_NO_CPU), ==, 1);
	g_assert_cmpuint(ops->select(&driver->system, &entities[2], SCHEDULING_NO_CPU), ==, 0);
	driver->system.now_ns = 7 * SCHEDULING_TABLE_NS + 7 * fifth / 2;
	g_assert_cmpuint(ops->select(&driver->system, &entities[2], SCHEDULING_NO_CPU), ==, 1);
	g_assert_cmpuint(ops->select(&driver->system, &entities[3], SCHEDULING_NO_CPU), ==, 1);
	g_assert_cmpuint(ops->select(&driver->system, &entities[4], SCHEDULING_NO_CPU), ==, 0);
	driver_free(driver);
	g_free(plan.memory);
}

/* A and B take 3/5 of a CPU each, in ten periods: a piece of C at the begin of the first may be 2/5 of a period and no longer, or
 * they are late. The rest fits the other CPU. */
static void test_split_short_periods(void)
{
	const gint64 tenth = SCHEDULING_TABLE_NS / 10;
	struct scheduling_entity entities[3] = {
		{ .runtime_ns = tenth * 6 / 10, .period_ns = tenth },
		{ .runtime_ns = tenth * 6 / 10, .period_ns = tenth },
		{ .runtime_ns = SCHEDULING_TABLE_NS * 42 / 100, .period_ns = SCHEDULING_TABLE_NS },
	};
	struct plan plan = make_plan(entities, 3, 2);

	g_assert_cmpint(plan.result, ==, SCHEDULING_TABLE_PLANNED);
	check_plan(&plan, entities, 3);
	g_assert_cmpuint(plan.table.home[2], ==, SCHEDULING_NO_CPU);
	g_free(plan.memory);
}

/* 1.5 µs are free on each CPU, and 2.2 wanted: the pieces would be too short to be worth a switch. */
static void test_split_too_small(void)
{
	struct scheduling_entity entities[3] = {
		{ .runtime_ns = SCHEDULING_TABLE_NS - 1500, .period_ns = SCHEDULING_TABLE_NS, .latency_ns = 10000 },
		{ .runtime_ns = SCHEDULING_TABLE_NS - 1500, .period_ns = SCHEDULING_TABLE_NS, .latency_ns = 10000 },
		{ .runtime_ns = 2200, .period_ns = SCHEDULING_TABLE_NS },
	};
	struct plan plan = make_plan(entities, 3, 2);

	g_assert_cmpint(plan.result, ==, SCHEDULING_TABLE_CAPACITY);
	g_free(plan.memory);
}

/* A lax latency target makes no period longer: 5 in each 10 ms are in each 10 ms. */
static void test_period_kept(void)
{
	struct scheduling_entity entities[2] = {
		{ .runtime_ns = 5000000, .period_ns = 10000000, .latency_ns = 100000000 },
		{ .runtime_ns = 4000000, .period_ns = 10000000, .latency_ns = 100000000 },
	};
	struct plan plan = make_plan(entities, 2, 1);

	g_assert_cmpint(plan.result, ==, SCHEDULING_TABLE_PLANNED);
	entities[0].latency_ns = entities[1].latency_ns = 0; /* what the period implies */
	check_plan(&plan, entities, 2);
	g_free(plan.memory);
}

/* What a plan may not be. Two CPUs; the first vCPU has half of the first, in two parts, the second all of the other. */
#define EIGHTH (SCHEDULING_TABLE_NS / 8)

static void test_verify(void)
{
	static const guint32 first[] = { 0, 4, 6 }, none = SCHEDULING_NO_ENTITY;
	static const struct {
		const gchar *what;
		guint slot;
		guint32 entity;
		gint64 end_ns;
	} wrong[] = {
		{ "nothing", 0, 0, 2 * EIGHTH },
		{ "a slot of no length", 1, none, 2 * EIGHTH },
		{ "a round that is not complete", 5, 1, SCHEDULING_TABLE_NS - 1 },
		{ "a vCPU that is not there", 1, 3, 4 * EIGHTH },
		{ "on two CPUs at once", 4, 0, 4 * EIGHTH },
		{ "too little", 0, 0, 2 * EIGHTH - 1 },
		{ "without a reservation", 1, 2, 4 * EIGHTH },
		{ "nothing at all", 5, none, SCHEDULING_TABLE_NS },
	};

	for (guint i = 0; i < G_N_ELEMENTS(wrong); i++) {
		struct scheduling_entity entities[3] = {
			{ .runtime_ns = 4 * EIGHTH, .period_ns = 8 * EIGHTH, .latency_ns = 2 * EIGHTH },
			{ .runtime_ns = EIGHTH, .period_ns = 8 * EIGHTH, .latency_ns = 8 * EIGHTH },
		};
		struct scheduling_table_slot slots[] = { { 2 * EIGHTH, 0 },
							 { 4 * EIGHTH, none },
							 { 6 * EIGHTH, 0 },
							 { SCHEDULING_TABLE_NS, none },
							 { SCHEDULING_TABLE_NS / 2, none },
							 { SCHEDULING_TABLE_NS, 1 } };
		guint32 cursors[2];
		struct scheduling_table table = {
			.n_cpus = 2, .n_entities = 3, .cursors = cursors, .first = first, .slots = slots
		};
		struct scheduling_table_given given[4] = { [3] = { .last_ns = -1 } };

		slots[wrong[i].slot] = (struct scheduling_table_slot) { wrong[i].end_ns, wrong[i].entity };
		g_test_message("%s", wrong[i].what);
		g_assert_cmpint(scheduling_table_verify(entities, &table, given), ==, i == 0);
	}
}

/* Gaps: the one within the round, and the one over its end. */
static void test_verify_gaps(void)
{
	static const guint32 first[] = { 0, 4 }, none = SCHEDULING_NO_ENTITY;
	struct scheduling_entity entity = { .runtime_ns = EIGHTH, .period_ns = 8 * EIGHTH };
	struct scheduling_table_slot slots[] = {
		{ EIGHTH, 0 }, { 3 * EIGHTH, none }, { 4 * EIGHTH, 0 }, { SCHEDULING_TABLE_NS, none }
	};
	guint32 cursor;
	struct scheduling_table table = {
		.n_cpus = 1, .n_entities = 1, .cursors = &cursor, .first = first, .slots = slots
	};
	struct scheduling_table_given given;

	entity.latency_ns = 4 * EIGHTH;
	g_assert_true(scheduling_table_verify(&entity, &table, &given));
	g_assert_cmpint(given.gap_ns, ==, 4 * EIGHTH);
	g_assert_cmpint(given.service_ns, ==, 2 * EIGHTH);
	entity.latency_ns = 4 * EIGHTH - 1; /* over the end */
	g_assert_false(scheduling_table_verify(&entity, &table, &given));
	slots[2].end_ns = SCHEDULING_TABLE_NS - EIGHTH; /* 3/8 to 7/8; 1/8 over the end, 2/8 within */
	entity.latency_ns = 2 * EIGHTH;
	g_assert_true(scheduling_table_verify(&entity, &table, &given));
	entity.latency_ns = 2 * EIGHTH - 1;
	g_assert_false(scheduling_table_verify(&entity, &table, &given));
}

static void test_refused(void)
{
	struct scheduling_entity entity = { .runtime_ns = 20000000, .period_ns = 10000000 };
	struct scheduling_entity three[3] = { 0 };
	struct plan plan = make_plan(&entity, 1, 1);

	g_assert_cmpint(plan.result, ==, SCHEDULING_TABLE_MALFORMED);
	g_free(plan.memory);
	entity = (struct scheduling_entity) { .runtime_ns = 1000000, .period_ns = 10000000, .latency_ns = 1000 };
	plan = make_plan(&entity, 1, 1);
	g_assert_cmpint(plan.result, ==, SCHEDULING_TABLE_LATENCY);
	g_free(plan.memory);
	for (guint i = 0; i < 3; i++)
		three[i] = (struct scheduling_entity) { .runtime_ns = 7000000, .period_ns = 10000000 };
	plan = make_plan(three, 3, 2);
	g_assert_cmpint(plan.result, ==, SCHEDULING_TABLE_CAPACITY);
	g_free(plan.memory);
	plan.memory = g_malloc(64);
	g_assert_cmpint(scheduling_table_plan(three, 3, 2,
					      (struct scheduling_table_memory) { .start = plan.memory, .bytes = 64 },
					      &plan.table),
			==, SCHEDULING_TABLE_MEMORY);
	g_free(plan.memory);
}

/* Every published set that is feasible under partitioned EDF; the longest gap is what its period implies. */
static void count_planned(const gchar *name, guint m, guint *n_sets, guint *n_planned)
{
	const gchar *given = g_getenv("POLDER_SHARED");
	g_autofree gchar *top = given ? g_strdup(given) : g_build_filename(POLDER_SOURCE_ROOT, "..", "shared", NULL);
	g_autofree gchar *path = g_build_filename(top, "data", "scheduling", name, NULL);
	const gchar *argv[] = { "xz", "-dc", path, NULL };
	g_autofree gchar *text = NULL;
	g_auto(GStrv) lines = NULL;

	if (!g_file_test(path, G_FILE_TEST_EXISTS) ||
	    !g_spawn_sync(NULL, (gchar **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &text, NULL, NULL, NULL))
		return;
	lines = g_strsplit(text, "\n", -1);
	for (guint line = 1; lines[line]; line++) {
		g_auto(GStrv) fields = g_strsplit(lines[line], ",", -1);
		struct scheduling_entity entities[16] = { 0 };
		guint n = g_strv_length(fields) - 10;
		struct plan plan;

		if (g_strv_length(fields) < 11 || atoi(fields[9]) != 1)
			continue;
		for (guint i = 0; i < n; i++) {
			gchar *end;

			entities[i].runtime_ns = 1000 * g_ascii_strtoll(fields[10 + i], &end, 10);
			entities[i].period_ns = 1000 * g_ascii_strtoll(end + 1, NULL, 10);
		}
		plan = make_plan(entities, n, m);
		++*n_sets;
		*n_planned += plan.result == SCHEDULING_TABLE_PLANNED;
		if (plan.result == SCHEDULING_TABLE_PLANNED && line % 50 == 0)
			check_plan(&plan, entities, n);
		g_free(plan.memory);
	}
}

static void test_published(void)
{
	guint n_sets = 0, n_planned = 0;

	count_planned("gedf_m2_n5.csv.xz", 2, &n_sets, &n_planned);
	count_planned("gedf_m4_n10.csv.xz", 4, &n_sets, &n_planned);
	if (!n_sets) {
		g_test_skip("no published task sets; set POLDER_SHARED");
		return;
	}
	g_test_message("%u of %u planned", n_planned, n_sets);
	g_assert_cmpuint(100 * n_planned, >=, 99 * n_sets);
}

/* Run by its plan, with hogs beside: each reservation is kept, and what is left goes to the hogs. */
static void test_run(void)
{
	struct driver *driver = driver_new(scheduling_strategy_find("table"), 2, 6);
	struct plan plan;

	for (guint i = 0; i < 3; i++) {
		driver->system.entities[i].runtime_ns = 18000000;
		driver->system.entities[i].period_ns = 30000000;
	}
	plan = make_plan(driver->system.entities, 6, 2);
	g_assert_cmpint(plan.result, ==, SCHEDULING_TABLE_PLANNED);
	driver->system.table = &plan.table;
	driver->guests[4].run_ns = driver->guests[4].sleep_ns = 700000;
	driver_run(driver, 50 * SCHEDULING_TABLE_NS);
	for (guint i = 0; i < 6; i++)
		g_test_message("%u: %.4f, waited at most %.3f ms", i,
			       (gdouble)driver->guests[i].service_ns / (gdouble)driver->system.now_ns,
			       (gdouble)driver->guests[i].wait_greatest_ns / 1e6);
	for (guint i = 0; i < 3; i++) {
		g_assert_cmpfloat((gdouble)driver->guests[i].service_ns / (gdouble)driver->system.now_ns, >=, 0.5995);
		g_assert_cmpint(driver->guests[i].wait_greatest_ns, <=, 24010000);
	}
	g_assert_cmpint(driver->guests[3].service_ns + driver->guests[4].service_ns + driver->guests[5].service_ns, >,
			driver->system.now_ns / 10);
	driver_free(driver);
	g_free(plan.memory);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/scheduling/table/split", test_split);
	g_test_add_func("/scheduling/table/split-by-hand", test_split_by_hand);
	g_test_add_func("/scheduling/table/select", test_select);
	g_test_add_func("/scheduling/table/split-short-periods", test_split_short_periods);
	g_test_add_func("/scheduling/table/split-too-small", test_split_too_small);
	g_test_add_func("/scheduling/table/period-kept", test_period_kept);
	g_test_add_func("/scheduling/table/verify", test_verify);
	g_test_add_func("/scheduling/table/verify-gaps", test_verify_gaps);
	g_test_add_func("/scheduling/table/refused", test_refused);
	g_test_add_func("/scheduling/table/large", test_large);
	g_test_add_func("/scheduling/table/published", test_published);
	g_test_add_func("/scheduling/table/run", test_run);
	return g_test_run();
}
