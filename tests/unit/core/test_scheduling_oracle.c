/* Plain global EDF against independent results for random task sets.
 *
 * What the independent simulation counts: a job when it ends; the first miss is the deadline of the first late job to end.
 * It stops after the first event past the horizon. Events are releases, but not those of a task still busy with an
 * earlier job; and ends of jobs as expected when they began or went on, even if preempted since. */
#include <glib.h>

#include <stdlib.h>

#include "core/scheduling/feasibility.h"
#include "tests/unit/core/scheduling_driver.h"

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

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/scheduling/edf/oracle", test_edf_oracle);
	return g_test_run();
}
