/* Candidates are ranked by what they score, whatever the number of threads, and the reasons are told. */
#include "lab/select.h"

#include <string.h>

#include "lab/error.h"
#include "tests/unit/lab/synthetic.h"

static const struct score_weights weights = SCORE_WEIGHTS_DEFAULT;

static struct lab_ranking *ranked(const char *list, guint n_seeds, const char *floor)
{
	struct lab_ranking *ranking = lab_ranking_new(&synthetic_family, NULL, LAB_WHOLE);
	const char *texts[] = { floor, NULL };
	g_autoptr(GArray) floors = lab_floors_parse(texts, NULL);

	g_assert_true(lab_ranking_add_named(ranking, list, NULL));
	g_assert_true(lab_ranking_run(ranking, &(struct lab_run) { .seed = 1, .n_seeds = n_seeds }, NULL));
	g_assert_true(lab_ranking_select(ranking, &weights, FALSE, floors, NULL));
	return ranking;
}

static void test_all(void)
{
	g_autoptr(lab_ranking_auto) ranking = ranked("all", 3, NULL);

	g_assert_cmpuint(ranking->candidates->len, ==, 9);
	g_assert_cmpuint(ranking->ranked->len, ==, 7);
	g_assert_cmpstr(ranking->winner->info->name, ==, "good");
	g_assert_cmpstr(((struct lab_candidate *)ranking->candidates->pdata[8])->skipped, ==, "it is odd");
	g_assert_cmpstr(((struct lab_candidate *)ranking->candidates->pdata[6])->failed, ==, "it is broken");
	g_assert_cmpstr(ranking->runner_up->info->name, ==, "batch");
	g_assert_nonnull(strstr(ranking->why, "just as efficient"));
}

static void test_why(void)
{
	g_autoptr(lab_ranking_auto) ranking = ranked("good,noisy", 5, NULL);
	g_autoptr(lab_ranking_auto) one = ranked("good,trap", 1, NULL);
	g_autoptr(lab_ranking_auto) close = ranked("noisy,hill", 5, NULL);

	g_assert_nonnull(strstr(ranking->why, "good is the most efficient of 2"));
	g_assert_nonnull(strstr(ranking->why, "most of it is its performance"));
	g_assert_nonnull(strstr(one->why, "--seeds"));
	g_assert_nonnull(strstr(close->why, "overlap"));
}

static void test_threads(void)
{
	g_autoptr(lab_ranking_auto) a = ranked("all", 4, NULL);
	g_autoptr(lab_ranking_auto) b = lab_ranking_new(&synthetic_family, NULL, LAB_WHOLE);

	lab_ranking_add_all(b, FALSE);
	g_assert_true(lab_ranking_run(b, &(struct lab_run) { .seed = 1, .n_seeds = 4, .n_threads = 7 }, NULL));
	g_assert_true(lab_ranking_select(b, &weights, FALSE, NULL, NULL));
	for (guint i = 0; i < a->ranked->len; i++) {
		const struct lab_candidate *x = a->ranked->pdata[i], *y = b->ranked->pdata[i];

		g_assert_true(x->info == y->info);
		g_assert_cmpfloat(x->score.efficiency.mean, ==, y->score.efficiency.mean);
	}
	g_assert_cmpstr(a->why, ==, b->why);
}

static void test_floors(void)
{
	g_autoptr(lab_ranking_auto) plain = ranked("all", 1, "availability>=0.99");
	g_autoptr(lab_ranking_auto) none = ranked("all", 1, "availability>0.99");
	g_autoptr(lab_ranking_auto) cheap = ranked("plain,trap,good", 1, "cost<=2000");
	g_autoptr(lab_ranking_auto) ceiling = ranked("good,trap", 1, "performance<0.9");

	g_assert_cmpstr(plain->winner->info->name, ==, "plain");
	g_assert_null(none->winner);
	g_assert_cmpstr(none->nearest->info->name, ==, "plain");
	g_assert_nonnull(strstr(none->why, "availability>0.99 (it has 0.99)"));
	g_assert_cmpstr(cheap->winner->info->name, ==, "good");
	g_assert_null(cheap->runner_up);
	g_assert_cmpstr(ceiling->winner->info->name, ==, "trap");
}

static void test_unknown_floor(void)
{
	g_autoptr(lab_ranking_auto) ranking = lab_ranking_new(&synthetic_family, NULL, LAB_WHOLE);
	g_autoptr(GArray) floors = lab_floors_parse((const char *const[]) { "nosuch>=1", NULL }, NULL);
	g_autoptr(GError) error = NULL;

	lab_ranking_add_all(ranking, FALSE);
	g_assert_true(lab_ranking_run(ranking, &(struct lab_run) { .seed = 1 }, NULL));
	g_assert_false(lab_ranking_select(ranking, &weights, FALSE, floors, &error));
	g_assert_error(error, LAB_ERROR, LAB_ERROR_INVALID);
}

static void test_live(void)
{
	g_autoptr(lab_ranking_auto) ranking = lab_ranking_new(&synthetic_family, NULL, LAB_WHOLE);

	lab_ranking_add_all(ranking, TRUE);
	g_assert_true(lab_ranking_run(ranking, &(struct lab_run) { .seed = 1 }, NULL));
	g_assert_true(lab_ranking_select(ranking, &weights, FALSE, NULL, NULL));
	for (guint i = 0; i < ranking->ranked->len; i++)
		g_assert_cmpstr(((struct lab_candidate *)ranking->ranked->pdata[i])->info->name, !=, "batch");
}

static void test_all_fail(void)
{
	g_autoptr(lab_ranking_auto) ranking = lab_ranking_new(&synthetic_family, NULL, LAB_WHOLE);
	g_autoptr(GError) error = NULL;

	g_assert_true(lab_ranking_add_named(ranking, "broken", NULL));
	g_assert_false(lab_ranking_run(ranking, &(struct lab_run) { .seed = 1, .n_seeds = 2 }, &error));
	g_assert_error(error, LAB_ERROR, LAB_ERROR_FAILED);
	g_assert_cmpstr(error->message, ==, "it is broken");
}

static void assert_invalid(gboolean ok, GError *error, const char *says)
{
	g_assert_false(ok);
	g_assert_error(error, LAB_ERROR, LAB_ERROR_INVALID);
	g_assert_nonnull(strstr(error->message, says));
	g_assert_cmpint(lab_error_exit_status(error), ==, 2);
	g_error_free(error);
}

static void test_names(void)
{
	g_autoptr(lab_ranking_auto) ranking = lab_ranking_new(&synthetic_family, NULL, LAB_WHOLE);
	const struct lab_candidate *candidate;
	GError *error = NULL;
	gboolean ok;

	g_assert_true(lab_ranking_add_named(ranking, "plain, hill(x=0.5)", NULL));
	candidate = ranking->candidates->pdata[1];
	g_assert_cmpfloat(candidate->values.value[0], ==, 0.5);
	ok = lab_ranking_add_named(ranking, "nosuch", &error);
	assert_invalid(ok, error, "plain, good, noisy");
	error = NULL;
	ok = lab_ranking_add_named(ranking, "hill(x=2)", &error);
	assert_invalid(ok, error, "0 to 1");
	error = NULL;
	ok = lab_ranking_add_named(ranking, "hill(y=2)", &error);
	assert_invalid(ok, error, "it has x");
	error = NULL;
	ok = lab_ranking_add_named(ranking, "plain(y=2)", &error);
	assert_invalid(ok, error, "it has none");
	error = NULL;
	ok = lab_ranking_add_named(ranking, "hill(x=0.5", &error);
	assert_invalid(ok, error, "closing parenthesis");
	error = NULL;
	ok = lab_ranking_add_named(ranking, "hill(x=0.5)y,plain", &error);
	assert_invalid(ok, error, "closing parenthesis");
	error = NULL;
	ok = lab_ranking_add_named(ranking, "hill(x=0.5, y=1),plain", &error);
	assert_invalid(ok, error, "it has x");
}

static void test_weights(void)
{
	struct score_weights parsed;
	gboolean changed;
	GError *error = NULL;
	gboolean ok;

	g_assert_true(lab_weights_parse("performance=1, security=1", &parsed, &changed, NULL));
	g_assert_true(changed);
	g_assert_cmpfloat(parsed.weight[SCORE_PERFORMANCE], ==, 0.5);
	g_assert_cmpfloat(parsed.weight[SCORE_AVAILABILITY], ==, 0);
	for (const char *const *bad = (const char *const[]) { "", "speed=1", "performance", "performance=a",
							      "performance=1,performance=1", "performance=-1",
							      "performance=0", "performance=1e999", NULL };
	     *bad; bad++) {
		ok = lab_weights_parse(*bad, &parsed, &changed, &error);
		assert_invalid(ok, error, "weight");
		error = NULL;
	}
	for (const char *const *bad = (const char *const[]) { "", "availability", "availability>=", ">=1", "a>=b",
							      "a>=1,", "a=1", "a>=1e999", NULL };
	     *bad; bad++) {
		const char *texts[] = { *bad, NULL };
		g_autoptr(GArray) floors = lab_floors_parse(texts, &error);

		assert_invalid(floors != NULL, error, "requirement");
		error = NULL;
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/select/all", test_all);
	g_test_add_func("/select/why", test_why);
	g_test_add_func("/select/threads", test_threads);
	g_test_add_func("/select/floors", test_floors);
	g_test_add_func("/select/unknown-floor", test_unknown_floor);
	g_test_add_func("/select/live", test_live);
	g_test_add_func("/select/all-fail", test_all_fail);
	g_test_add_func("/select/names", test_names);
	g_test_add_func("/select/weights", test_weights);
	return g_test_run();
}
