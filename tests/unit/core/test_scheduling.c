/* Scheduling strategies through their contract: known schedules, shares, limits, admission, independent results. */
#include <glib.h>

#include <stdlib.h>
#include <string.h>

#include "core/scheduling/scheduling.h"
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

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/scheduling/family", test_family);
	g_test_add_func("/scheduling/eevdf/known", test_eevdf_known);
	g_test_add_func("/scheduling/edf/oracle", test_edf_oracle);
	return g_test_run();
}
