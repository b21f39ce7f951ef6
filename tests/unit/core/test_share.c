/* What each is due, and weights corrected by what they got. */
#include <glib.h>

#include "core/scheduling/scheduling.h"
#include "core/scheduling/share.h"

#define MS       G_GINT64_CONSTANT(1000000)
#define WORLDS   2000
#define CLAIMS   12
#define ROUNDS   400
#define ROUND_NS (100 * MS)

static void check_due(struct scheduling_claim *claims, gsize n, gint64 capacity_ns, const gint64 *due_ns)
{
	scheduling_entitle(claims, n, capacity_ns);
	for (gsize i = 0; i < n; i++) {
		g_assert_cmpint(claims[i].due_ns, <=, due_ns[i]);
		g_assert_cmpint(claims[i].due_ns, >, due_ns[i] - 20);
	}
}

/* Worked by hand. */
static void test_known(void)
{
	struct scheduling_claim weights[] = { { .weight = 100, .most_ns = 100 * MS },
					      { .weight = 400, .most_ns = 100 * MS } };
	struct scheduling_claim full[] = { { .weight = 100, .most_ns = 100 * MS },
					   { .weight = 900, .most_ns = 100 * MS },
					   { .weight = 100, .most_ns = 100 * MS } };
	struct scheduling_claim mixed[] = { { .weight = 100, .least_ns = 30 * MS, .most_ns = 100 * MS },
					    { .weight = 800, .most_ns = 20 * MS },
					    { .weight = 100, .most_ns = 100 * MS },
					    { .weight = 100, .most_ns = 5 * MS } };
	struct scheduling_claim sleeper[] = { { .weight = 100, .least_ns = 70 * MS, .most_ns = 10 * MS },
					      { .weight = 1, .most_ns = 100 * MS } };
	struct scheduling_claim over[] = { { .weight = 100, .least_ns = 80 * MS, .most_ns = 100 * MS },
					   { .weight = 100, .least_ns = 60 * MS, .most_ns = 100 * MS } };

	check_due(weights, 2, 100 * MS, (gint64[]) { 20 * MS, 80 * MS });
	/* Two CPUs: one vCPU cannot use more than one of them. */
	check_due(full, 3, 200 * MS, (gint64[]) { 50 * MS, 100 * MS, 50 * MS });
	/* Of 100 ms: 30 reserved, 20 is the limit, 5 is all that is wanted, the rest is left. */
	check_due(mixed, 4, 100 * MS, (gint64[]) { 37500000, 20 * MS, 37500000, 5 * MS });
	check_due(mixed, 4, 75 * MS, (gint64[]) { 30 * MS, 20 * MS, 20 * MS, 5 * MS });
	check_due(sleeper, 2, 100 * MS, (gint64[]) { 10 * MS, 90 * MS });
	/* Promised too much: due all the same. */
	check_due(over, 2, 100 * MS, (gint64[]) { 80 * MS, 60 * MS });
}

/* Nobody who got less than wanted could get more without one that has less for its weight losing. */
static void check_fair(const struct scheduling_claim *claims, gsize n, gint64 capacity_ns)
{
	gint64 sum = 0, slack = 0;
	gboolean want = FALSE;

	for (gsize i = 0; i < n; i++) {
		const struct scheduling_claim *a = &claims[i];

		g_assert_cmpint(a->due_ns, >=, MIN(a->least_ns, a->most_ns));
		g_assert_cmpint(a->due_ns, <=, a->most_ns);
		sum += a->due_ns;
		slack += a->weight / 256 + 2;
		want |= a->due_ns < a->most_ns;
		for (gsize k = 0; k < n; k++) {
			const struct scheduling_claim *b = &claims[k];

			/* What b has above its floor it has by weight: no more than a has by weight, who wants more. */
			if (a->due_ns < a->most_ns && b->due_ns > MIN(b->least_ns, b->most_ns))
				g_assert_cmpint(b->due_ns / b->weight, <=, a->due_ns / a->weight + 2);
		}
	}
	for (gsize i = 0; i < n; i++)
		if (claims[i].due_ns > MIN(claims[i].least_ns, claims[i].most_ns))
			g_assert_cmpint(sum, <=, capacity_ns);
	if (want)
		g_assert_cmpint(sum, >=, capacity_ns - slack);
}

static void test_random(void)
{
	guint32 seed = (guint32)g_test_rand_int();
	g_autoptr(GRand) rand = g_rand_new_with_seed(seed);

	g_test_message("seed %u", seed);
	for (guint world = 0; world < WORLDS; world++) {
		struct scheduling_claim claims[CLAIMS];
		gsize n = (gsize)g_rand_int_range(rand, 1, CLAIMS + 1);

		for (gsize i = 0; i < n; i++)
			claims[i] = (struct scheduling_claim) {
				(guint32)g_rand_int_range(rand, 1, SCHEDULING_WEIGHT_MAX + 1),
				g_rand_int_range(rand, 0, 2) * g_rand_int_range(rand, 0, 100) * MS,
				g_rand_int_range(rand, 0, 101) * MS, -1
			};
		gint64 capacity_ns = g_rand_int_range(rand, 0, 800) * MS;

		scheduling_entitle(claims, n, capacity_ns);
		check_fair(claims, n, capacity_ns);
	}
}

/* Four hundred days, weights at both ends: nothing overflows. */
static void test_long(void)
{
	const gint64 days = 400 * G_GINT64_CONSTANT(86400000) * MS;
	struct scheduling_claim claims[] = { { .weight = 1, .most_ns = days },
					     { .weight = SCHEDULING_WEIGHT_MAX, .most_ns = days } };

	scheduling_entitle(claims, 2, days);
	g_assert_cmpint(claims[0].due_ns + claims[1].due_ns, >, days - 60);
	g_assert_cmpint(claims[1].due_ns / claims[0].due_ns, ==, 9999 + 1);
	scheduling_entitle(claims, 2, 2 * days);
	g_assert_cmpint(claims[0].due_ns, ==, days);
}

/* The weight after a stretch of ROUND_NS in which one of weight 100 was due so much and got so much, with that lag before. */
static gint64 after(gint64 lag_ns, gint64 due_ns, gint64 got_ns)
{
	struct scheduling_share share = { .lag_ns = lag_ns };
	struct scheduling_claim claim = { .weight = 100, .most_ns = ROUND_NS, .due_ns = due_ns, .fair_ns = due_ns };

	return scheduling_correct(&share, &claim, got_ns, ROUND_NS, FALSE);
}

static void test_corrected(void)
{
	struct scheduling_share share = { 0 };
	struct scheduling_claim claim = { .weight = 100, .most_ns = ROUND_NS, .due_ns = 50 * MS, .fair_ns = 50 * MS };
	struct scheduling_claim asleep = { .weight = 100 };

	/* As wished while nothing is owed, or nothing is due. */
	g_assert_cmpint(after(0, 50 * MS, 50 * MS), ==, 100);
	g_assert_cmpint(after(0, 50 * MS, 46 * MS), ==, 100);
	g_assert_cmpint(after(400 * MS, 0, 0), ==, 100);
	/* Due half a CPU; 50 ms is what that is worth in the time of the gain: twice. Ahead, it is no less than three quarters. */
	g_assert_cmpint(after(0, 50 * MS, 0), ==, 200);
	g_assert_cmpint(after(0, 50 * MS, 60 * MS), ==, 83);
	g_assert_cmpint(after(0, 50 * MS, 100 * MS), ==, 75);
	g_assert_cmpint(after(30 * MS, 50 * MS, 30 * MS), ==, 200);
	/* Bounded. */
	g_assert_cmpint(after(500 * MS, MS, 0), ==, 400);
	g_assert_cmpint(after(-500 * MS, 1, ROUND_NS), ==, 75);
	for (guint i = 0; i < 100; i++)
		scheduling_correct(&share, &claim, 0, ROUND_NS, FALSE);
	g_assert_cmpint(share.lag_ns, ==, SCHEDULING_LAG_MAX_NS);
	for (guint i = 0; i < 100; i++)
		scheduling_correct(&share, &claim, ROUND_NS, ROUND_NS, FALSE);
	g_assert_cmpint(share.lag_ns, ==, -SCHEDULING_LAG_MAX_NS);
	/* Who sleeps is forgiven, and forgets. */
	for (guint i = 0; i < 100; i++)
		scheduling_correct(&share, &asleep, 0, ROUND_NS, FALSE);
	g_assert_cmpint(share.lag_ns, >, -MS);
}

static void test_fit_and_take(void)
{
	struct scheduling_share share = { .wished = 1000, .weight = 1000 };
	struct scheduling_claim claims[] = { { .weight = 100 }, { .weight = 300 }, { .weight = 400 } };
	gint64 weights[] = { 400, 600, 600 };

	/* Together they weigh what is wished, and to each other what they are to. */
	scheduling_fit(weights, claims, 3);
	g_assert_cmpint(weights[0], ==, 200);
	g_assert_cmpint(weights[1], ==, 300);
	g_assert_cmpint(weights[2], ==, 300);
	scheduling_fit(weights, claims, 0);
	/* Two that want 200 ms between them. */
	claims[0].most_ns = claims[1].most_ns = 100 * MS;
	g_assert_true(scheduling_contended(claims, 3, 100 * MS));
	g_assert_true(scheduling_contended(claims, 3, 159 * MS));
	g_assert_false(scheduling_contended(claims, 3, 161 * MS));
	g_assert_false(scheduling_contended(claims, 3, 200 * MS));
	/* Small changes are not made, a new wish is; never beyond what the kernel takes. */
	g_assert_cmpuint(scheduling_take(&share, 1000, 1090), ==, 1000);
	g_assert_cmpuint(scheduling_take(&share, 1000, 1110), ==, 1110);
	g_assert_cmpuint(scheduling_take(&share, 1001, 1020), ==, 1020);
	g_assert_cmpuint(scheduling_take(&share, 1001, 0), ==, 1);
	g_assert_cmpuint(scheduling_take(&share, 1001, 1 << 20), ==, SCHEDULING_WEIGHT_MAX);
}

/* Reserved is seven times what the weight gives: it weighs so much more, so that the weights are as what is due. */
static void test_reserved(void)
{
	struct scheduling_share share = { 0 };
	struct scheduling_claim claims[] = { { .weight = 100, .least_ns = 70 * MS, .most_ns = ROUND_NS },
					     { .weight = 300, .most_ns = ROUND_NS } };

	scheduling_entitle(claims, 2, ROUND_NS);
	g_assert_cmpint(claims[0].due_ns, ==, 70 * MS);
	g_assert_cmpint(ABS(claims[0].fair_ns - 10 * MS), <, 10);
	g_assert_cmpint(ABS(scheduling_correct(&share, &claims[0], 70 * MS, ROUND_NS, FALSE) - 700), <=, 1);
	/* Beside the greatest weight. */
	claims[0].weight = 1;
	claims[1].weight = SCHEDULING_WEIGHT_MAX;
	share = (struct scheduling_share) { 0 };
	scheduling_entitle(claims, 2, ROUND_NS);
	g_assert_cmpint(scheduling_correct(&share, &claims[0], 70 * MS, ROUND_NS, FALSE), ==, SCHEDULING_WEIGHT_MAX);
}

/* With a latency target: weighs as much more as it uses less than its share, until it uses more. */
static void test_lift(void)
{
	struct scheduling_share share = { 0 };
	struct scheduling_claim claims[] = { { .weight = 100, .most_ns = 3 * MS },
					     { .weight = 900, .most_ns = ROUND_NS } };

	scheduling_entitle(claims, 2, ROUND_NS);
	g_assert_cmpint(claims[0].due_ns, ==, 3 * MS);
	g_assert_cmpint(claims[0].fair_ns, >, 10 * MS);
	g_assert_cmpint(claims[0].fair_ns, <, 11 * MS);
	g_assert_cmpint(scheduling_correct(&share, &claims[0], 3 * MS, ROUND_NS, FALSE), ==, 100);
	g_assert_cmpint(scheduling_correct(&share, &claims[0], 3 * MS, ROUND_NS, TRUE), ==, 200);
	claims[0].most_ns = claims[0].due_ns = MS / 100;
	g_assert_cmpint(scheduling_correct(&share, &claims[0], MS / 100, ROUND_NS, TRUE), ==, 1600);
	/* It turns out to be a hog: no lift, and it is ahead. */
	claims[0].most_ns = ROUND_NS;
	scheduling_entitle(claims, 2, ROUND_NS);
	g_assert_cmpint(scheduling_correct(&share, &claims[0], 60 * MS, ROUND_NS, TRUE), ==, 75);
	g_assert_cmpint(share.lag_ns, <, -49 * MS);
	/* Nobody is in its way: the bound holds, and nothing overflows. */
	claims[0].most_ns = MS;
	claims[1].most_ns = 0;
	share = (struct scheduling_share) { 0 };
	scheduling_entitle(claims, 2, ROUND_NS);
	g_assert_cmpint(scheduling_correct(&share, &claims[0], MS, ROUND_NS, TRUE), ==, 1600);
}

/* Two CPUs whose vCPUs stay where they are, unless the weights of one exceed the other's by a quarter: then the lightest of the
 * heavier one goes over. So kernels even out. Shares of the whole are kept all the same. */
static void test_converges(void)
{
	const guint32 wished[] = { 100, 100, 100, 400, 400, 400 };
	enum { N = G_N_ELEMENTS(wished) };
	guint cpu[N] = { 0, 0, 0, 0, 1, 1 };
	struct scheduling_share share[N] = { 0 };
	guint32 weight[N];
	gint64 got[N] = { 0 };

	for (guint i = 0; i < N; i++)
		weight[i] = wished[i];
	for (guint round = 0; round < ROUNDS; round++) {
		struct scheduling_claim claims[N];
		gint64 sum[2] = { 0 };
		guint heavy, lightest = N;

		for (guint i = 0; i < N; i++) {
			sum[cpu[i]] += weight[i];
			claims[i] = (struct scheduling_claim) { .weight = wished[i], .most_ns = ROUND_NS };
		}
		heavy = sum[1] > sum[0];
		scheduling_entitle(claims, N, 2 * ROUND_NS);
		for (guint i = 0; i < N; i++) {
			gint64 ran = ROUND_NS * weight[i] / sum[cpu[i]];

			got[i] += ran;
			weight[i] = (guint32)scheduling_correct(&share[i], &claims[i], ran, ROUND_NS, FALSE);
			if (cpu[i] == heavy && (lightest == N || weight[i] < weight[lightest]))
				lightest = i;
		}
		if (sum[heavy] * 4 > sum[!heavy] * 5)
			cpu[lightest] = !heavy;
	}
	for (guint i = 0; i < N; i++) {
		gint64 due = 2 * ROUND_NS * ROUNDS * wished[i] / 1500;

		/* Within a quarter of a percentage point of a CPU. */
		g_assert_cmpint(ABS(got[i] - due), <, ROUNDS * ROUND_NS / 400);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/share/known", test_known);
	g_test_add_func("/share/random", test_random);
	g_test_add_func("/share/long", test_long);
	g_test_add_func("/share/corrected", test_corrected);
	g_test_add_func("/share/fit-and-take", test_fit_and_take);
	g_test_add_func("/share/reserved", test_reserved);
	g_test_add_func("/share/lift", test_lift);
	g_test_add_func("/share/converges", test_converges);
	return g_test_run();
}
