/* The .vbp reader: what it accepts, and how it names what is wrong. Published instances, where they are at hand: bounds
 * hold against known optima, and every packing is checked. */
#include <glib.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>

#include "core/allocation/family.h"
#include "lab/error.h"
#include "lab/packing.h"
#include "lab/select.h"

static void test_reads(void)
{
	const char text[] = "2\n10 20\n3\n1 2 2\n-3 4 1\n11 1 1\n";
	g_autoptr(GError) error = NULL;
	g_autoptr(lab_vbp_auto) vbp = lab_vbp_parse(text, strlen(text), "x", &error);
	const gint32 sizes[] = { 1, 2, 1, 2, -3, 4, 11, 1 };
	g_autofree gint32 *shuffled = NULL;
	gint64 sum = 0;

	g_assert_no_error(error);
	g_assert_cmpuint(vbp->dimensions, ==, 2);
	g_assert_cmpuint(vbp->n_items, ==, 4);
	g_assert_cmpint(vbp->capacity[1], ==, 20);
	g_assert_cmpmem(vbp->size, sizeof(sizes), sizes, sizeof(sizes));
	g_assert_cmpuint(vbp->n_negative, ==, 1);
	g_assert_cmpuint(vbp->n_oversize, ==, 1);
	shuffled = lab_vbp_shuffled(vbp, 7);
	for (guint i = 0; i < 8; i++)
		sum += shuffled[i];
	g_assert_cmpint(sum, ==, 19);
}

/* One line, no line end, no items: all fine. */
static void test_reads_loosely(void)
{
	g_autoptr(lab_vbp_auto) one = lab_vbp_parse("1 7 1 3 2", 9, "x", NULL);
	g_autoptr(lab_vbp_auto) none = lab_vbp_parse("1\r\n7\r\n0\r\n", 9, "x", NULL);

	g_assert_cmpuint(one->n_items, ==, 2);
	g_assert_cmpuint(none->n_items, ==, 0);
}

static void test_refuses(void)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{ "", "f, line 1, column 1: the file ends where the number of dimensions should be" },
		{ "0\n", "f, line 1, column 1: the number of dimensions must be from 1 to 16, not 0" },
		{ "17\n", "f, line 1, column 1: the number of dimensions must be from 1 to 16, not 17" },
		{ "2\n10 x\n", "f, line 2, column 4: the capacity in dimension 2 must be a whole number, not \"x\"" },
		{ "1\n-1\n", "f, line 2, column 1: the capacity in dimension 1 must be from 0 to 536870912, not -1" },
		{ "1\n5\n2\n1 1\n2", "f, line 5, column 2: the file ends where a demand should be" },
		{ "1\n5\n2\n1 1\n2.5 1\n", "f, line 5, column 1: a size must be a whole number, not \"2.5\"" },
		{ "1\n5\n1\n  99999999999999999999 1\n",
		  "f, line 4, column 3: a size must be from -536870912 to 536870912, not 99999999999999999999" },
		{ "1\n5\n1\n1 -1\n", "f, line 4, column 3: a demand must be from 0 to 1048576, not -1" },
		{ "1\n5\n2\n1 1048576\n1 1\n", "f, line 5, column 4: more than 1048576 items in all" },
		{ "1\n5\n1\n1 1\n7\n", "f, line 5, column 1: text after the last of 1 lines of items: is their number "
				       "in the header right?" },
		{ "1\n-\n", "f, line 2, column 1: the capacity in dimension 1 must be a whole number, not \"-\"" },
		{ "\x01\xff\n", "f, line 1, column 1: the number of dimensions must be a whole number, not \"??\"" },
	};

	for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GError) error = NULL;

		g_assert_null(lab_vbp_parse(cases[i].text, strlen(cases[i].text), "f", &error));
		g_assert_error(error, LAB_ERROR, LAB_ERROR_INVALID);
		g_assert_cmpstr(error->message, ==, cases[i].message);
	}
}

static void test_absent(void)
{
	g_autoptr(GError) error = NULL;

	g_assert_null(lab_vbp_load("/nonexistent/x.vbp", &error));
	g_assert_error(error, LAB_ERROR, LAB_ERROR_NOT_FOUND);
}

static void test_gzip(void)
{
	const guint8 zipped[] = { 0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0xff,
				  0x33, 0x54, 0x30, 0x57, 0x30, 0x54, 0x30, 0x56, 0x30, 0x02,
				  0x00, 0x60, 0x2c, 0x50, 0x0b, 0x09, 0x00, 0x00, 0x00 };
	g_autofree char *path = NULL;
	g_autoptr(GError) error = NULL;
	g_autoptr(lab_vbp_auto) vbp = NULL;
	int descriptor = g_file_open_tmp("polder-vbp-XXXXXX.gz", &path, &error);

	g_assert_no_error(error);
	g_close(descriptor, NULL);
	g_assert_true(g_file_set_contents(path, (const char *)zipped, sizeof(zipped), NULL));
	vbp = lab_vbp_load(path, &error);
	g_assert_no_error(error);
	g_assert_cmpuint(vbp->n_items, ==, 2);
	g_assert_true(g_file_set_contents(path, (const char *)zipped, 14, NULL));
	g_assert_null(lab_vbp_load(path, &error));
	g_assert_error(error, LAB_ERROR, LAB_ERROR_FAILED);
	g_unlink(path);
}

static void test_options(void)
{
	const char *const time[] = { "budget=2ms", NULL }, *const unknown[] = { "hosts=3", NULL };
	const char *path = POLDER_SOURCE_ROOT "/examples/allocation/servers.vbp";
	g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GError) error = NULL;
	struct lab_packing_limit limit;
	gpointer workload = lab_packing_family.load(path, time, notes, &error);

	g_assert_no_error(error);
	lab_packing_family.free(workload);
	g_assert_null(lab_packing_family.load(path, unknown, notes, &error));
	g_assert_error(error, LAB_ERROR, LAB_ERROR_INVALID);
	g_assert_true(lab_packing_limit_parse("2ms", &limit, NULL));
	g_assert_cmpint(limit.duration_us, ==, 2000);
	g_assert_true(lab_packing_limit_parse("500", &limit, NULL));
	g_assert_cmpuint(limit.steps, ==, 500);
	g_assert_cmpint(limit.duration_us, ==, 0);
}

/* The example through the ranking: batch strategies ranked by bins, all others skipped, twice the same. */
static void test_ranks(void)
{
	g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GError) error = NULL;
	gpointer workload =
		lab_packing_family.load(POLDER_SOURCE_ROOT "/examples/allocation/servers.vbp", NULL, notes, &error);
	struct lab_run run = { .seed = 1 };
	struct score_weights weights = SCORE_WEIGHTS_DEFAULT;

	g_assert_no_error(error);
	for (guint round = 0; round < 2; round++) {
		g_autoptr(lab_ranking_auto) ranking = lab_ranking_new(&lab_packing_family, workload, LAB_WHOLE);

		lab_ranking_add_all(ranking, FALSE);
		g_assert_true(lab_ranking_run(ranking, &run, &error));
		g_assert_true(lab_ranking_select(ranking, &weights, FALSE, NULL, &error));
		g_assert_nonnull(ranking->winner);
		g_assert_cmpstr(ranking->winner->info->name, ==, "guided-ejection");
	}
	lab_packing_family.free(workload);
}

/* ---- Published instances ---- */

/* The archive unpacked into a directory of its own, or NULL with a reason. */
static char *unpack(const char **why)
{
	const char *shared = g_getenv("POLDER_SHARED");
	g_autofree char *archive = g_build_filename(shared ? shared : POLDER_SOURCE_ROOT "/../shared", "data",
						    "allocation", "vector-bin-packing.tar.xz", NULL);
	g_autofree char *directory = NULL;
	const char *argv[] = { "tar", "-xJf", archive, "-C", NULL, NULL };
	int status = 0;

	*why = "no published instances: set POLDER_SHARED";
	if (!g_file_test(archive, G_FILE_TEST_EXISTS))
		return NULL;
	directory = g_dir_make_tmp("polder-vbp-XXXXXX", NULL);
	g_assert_nonnull(directory);
	argv[4] = directory;
	*why = "tar cannot unpack the published instances";
	if (!g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, &status, NULL) ||
	    status != 0) {
		g_rmdir(directory);
		return NULL;
	}
	return g_steal_pointer(&directory);
}

static void remove_tree(const char *directory)
{
	const char *argv[] = { "rm", "-rf", directory, NULL };

	g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL);
}

/* `best`: the known optimum, or the best packing published. */
static void check_instance(const char *path, guint64 best)
{
	static const char *const names[] = { "ffd", "bfd", "wfd", "bcs", "guided-ejection" };
	g_autoptr(GError) error = NULL;
	g_autoptr(lab_vbp_auto) vbp = lab_vbp_load(path, &error);
	struct pack_problem problem;
	guint64 bound;

	g_assert_no_error(error);
	problem = (struct pack_problem) {
		.dimensions = vbp->dimensions, .n_items = vbp->n_items, .size = vbp->size, .capacity = vbp->capacity
	};
	g_assert_true(pack_bound_dual_feasible(&problem, &bound));
	g_assert_cmpuint(bound, >=, pack_bound_continuous(&problem));
	g_assert_cmpuint(bound, <=, best);
	for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
		const struct allocation_strategy *strategy = allocation_strategy_find(names[i]);
		struct strategy_values values;
		struct lab_packing_job job = {
			.vbp = vbp, .strategy = strategy, .values = &values, .seed = 1, .limit = { .steps = 1000 }
		};
		struct lab_packing_run run;

		strategy_values_init(&strategy->info, &values);
		g_assert_true(lab_packing_pack(&job, &run, &error));
		g_assert_no_error(error);
		g_assert_cmpuint(run.unplaced, ==, 0);
		g_assert_cmpuint(run.bins, >=, bound);
	}
}

static void check_set(const char *directory, const char *set, guint stride)
{
	g_autofree char *file = g_strdup_printf("%s/vector-bin-packing/%s.csv", directory, set), *text = NULL;
	g_auto(GStrv) lines = NULL;

	g_assert_true(g_file_get_contents(file, &text, NULL, NULL));
	lines = g_strsplit(text, "\n", -1);
	for (guint i = 1; i < g_strv_length(lines); i += stride) {
		g_auto(GStrv) cells = g_strsplit(g_strstrip(lines[i]), ",", -1);
		g_autofree char *path = NULL;
		guint64 best;

		if (!cells[0])
			continue; /* after the last line's end */
		g_assert_cmpuint(g_strv_length(cells), >=, 4);
		path = g_strdup_printf("%s/vector-bin-packing/%s/%s.vbp", directory, set, cells[0]);
		best = g_ascii_strtoull(cells[2], NULL, 10);
		check_instance(path, best ? best : g_ascii_strtoull(cells[3], NULL, 10));
	}
}

static void test_published(void)
{
	const char *why;
	g_autofree char *directory = unpack(&why);
	guint stride = g_getenv("POLDER_TEST_LONG") ? 1 : 24;

	if (!directory) {
		g_test_skip(why);
		return;
	}
	check_set(directory, "panigrahy", stride);
	check_set(directory, "new", stride);
	check_set(directory, "triplet", stride);
	remove_tree(directory);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/vbp/reads", test_reads);
	g_test_add_func("/vbp/reads-loosely", test_reads_loosely);
	g_test_add_func("/vbp/refuses", test_refuses);
	g_test_add_func("/vbp/absent", test_absent);
	g_test_add_func("/vbp/gzip", test_gzip);
	g_test_add_func("/vbp/options", test_options);
	g_test_add_func("/vbp/ranks", test_ranks);
	g_test_add_func("/vbp/published", test_published);
	return g_test_run();
}
