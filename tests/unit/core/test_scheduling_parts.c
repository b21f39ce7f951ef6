/* What strategies share: limits, the mean of virtual times, the queue's pass, tests of feasibility. */
#include <glib.h>

#include "core/scheduling/average.h"
#include "core/scheduling/feasibility.h"
#include "core/scheduling/limit.h"
#include "tests/unit/core/scheduling_driver.h"

#define MS G_GINT64_CONSTANT(1000000)

static guint32 test_seed(void)
{
	const gchar *given = g_getenv("POLDER_TEST_SEED");
	guint32 seed = given ? (guint32)g_ascii_strtoull(given, NULL, 10) : g_random_int();

	g_test_message("POLDER_TEST_SEED=%u", seed);
	return seed;
}

/* ---- Limits: charged at any time, the same as kept ms by ms ---- */

struct budget {
	gint limit, period, left, until;
};

static void budget_ms(struct budget *budget, gint now, gboolean runs)
{
	if (budget->until && now == budget->until) {
		budget->left = MIN(budget->left + budget->limit, budget->limit);
		budget->until += budget->period;
	}
	if (!runs)
		return;
	if (!budget->until) {
		budget->left = budget->limit;
		budget->until = now + budget->period;
	}
	budget->left--;
}

static void check_budget(struct scheduling_entity *entity, gint64 now_ns, const struct budget *budget)
{
	struct scheduling_entity copy = *entity;

	limit_refill(&copy, now_ns);
	g_assert_cmpint(copy.cap_left_ns, ==, budget->left * MS);
	g_assert_cmpint(copy.cap_until_ns, ==, budget->until * MS);
}

static void limited_run(GRand *rand)
{
	gint period = g_rand_int_range(rand, 2, 30), limit = g_rand_int_range(rand, 1, period + 1), now = 0;
	struct scheduling_entity entity = { .limit_ns = limit * MS, .limit_period_ns = period * MS };
	struct scheduling_system system = { 0 };
	struct budget budget = { .limit = limit, .period = period };

	for (guint i = 0; i < 40; i++) {
		gint length = g_rand_int_range(rand, 1, g_rand_boolean(rand) ? 5 : 100);
		gboolean runs = g_rand_boolean(rand);

		for (gint end = now + length; now < end; now++)
			budget_ms(&budget, now, runs);
		budget_ms(&budget, now, FALSE); /* a period that ends just now has ended */
		system.now_ns = now * MS;
		entity.flags = 0;
		if (runs) {
			limit_charge(&system, &entity, length * MS);
			g_assert_cmpint(!(entity.flags & SCHEDULING_CAPPED), ==, budget.left > 0);
		}
		if (budget.until)
			check_budget(&entity, system.now_ns, &budget);
	}
}

static void test_limit_charges(void)
{
	GRand *rand = g_rand_new_with_seed(test_seed());

	for (guint i = 0; i < 2000; i++)
		limited_run(rand);
	g_rand_free(rand);
}

/* A slice ends when the limit is used up, over the ends of periods, and not before. */
static void test_limit_slices(void)
{
	struct scheduling_entity entity = { .limit_ns = 2 * MS, .limit_period_ns = 5 * MS };
	struct scheduling_system system = { .now_ns = 100 * MS };

	g_assert_cmpint(limit_slice(&system, &entity, 9 * MS), ==, 2 * MS); /* has not run */
	entity.cap_left_ns = MS;
	entity.cap_until_ns = 102 * MS;
	g_assert_cmpint(limit_slice(&system, &entity, 9 * MS), ==, MS);
	entity.cap_left_ns = 2 * MS; /* until 102, then 2 more */
	g_assert_cmpint(limit_slice(&system, &entity, 9 * MS), ==, 4 * MS);
	g_assert_cmpint(limit_slice(&system, &entity, 3 * MS), ==, 3 * MS);
	entity.cap_left_ns = -MS; /* a period that is long over: whole again */
	entity.cap_until_ns = 50 * MS;
	g_assert_cmpint(limit_slice(&system, &entity, 9 * MS), ==, 2 * MS);
	entity.limit_ns = 5 * MS; /* all of it: no limit */
	g_assert_cmpint(limit_slice(&system, &entity, 9 * MS), ==, 9 * MS);
}

/* Shares are rounded up: three thirds and a bit are more than a CPU. */
static void test_share_rounds_up(void)
{
	g_assert_cmpuint(scheduling_share(1, 3), ==, 349526); /* 2^20 ÷ 3 = 349525.3 */
	g_assert_cmpuint(scheduling_share(1, 2), ==, SCHEDULING_UNIT / 2);
	g_assert_cmpuint(scheduling_share(5, 5), ==, SCHEDULING_UNIT);
}

/* ---- The mean: V × Σw + offset = Σ w·v, exactly, whatever comes, goes and runs ---- */

static void check_mean(const struct scheduling_queue *queue, const struct scheduling_entity *entities, guint in)
{
	__int128 product = 0;
	guint64 weight = 0;

	for (guint i = 0; i < 6; i++)
		if (in >> i & 1) {
			weight += entities[i].weight;
			product += (__int128)entities[i].virtual_time * entities[i].weight;
		}
	g_assert_cmpuint(queue->weight, ==, weight);
	if (!weight)
		return;
	g_assert_cmpint(queue->offset, >=, 0);
	g_assert_cmpint(queue->offset, <, (gint64)weight);
	g_assert_true((__int128)queue->virtual_time * (gint64)weight + queue->offset == product);
}

static void test_mean(void)
{
	GRand *rand = g_rand_new_with_seed(test_seed());
	struct scheduling_entity entities[6] = { 0 };
	struct scheduling_queue queue = { .virtual_time = 12345 };
	guint in = 0;

	for (guint i = 0; i < 6; i++)
		entities[i].weight = (guint32)g_rand_int_range(rand, 1, SCHEDULING_WEIGHT_MAX + 1);
	for (guint n = 0; n < 20000; n++) {
		guint i = (guint)g_rand_int_range(rand, 0, 6);
		struct scheduling_entity *entity = &entities[i];
		gint64 before = queue.virtual_time;

		if (!(in >> i & 1)) {
			entity->virtual_time = queue.virtual_time + g_rand_int_range(rand, -100000, 100000);
			average_add(&queue, entity);
			in |= 1U << i;
		} else if (g_rand_int_range(rand, 0, 3) == 0) {
			before = in == 1U << i ? entity->virtual_time : before;
			average_remove(&queue, entity);
			in &= ~(1U << i);
			if (!in)
				g_assert_cmpint(queue.virtual_time, ==, before); /* whoever comes next starts there */
		} else {
			average_advance(&queue, entity, g_rand_int_range(rand, 0, 5000000));
			g_assert_cmpint(queue.virtual_time, >=, before);
		}
		check_mean(&queue, entities, in);
	}
	g_rand_free(rand);
}

/* stride: the queue's pass moves at the pace of the whole weight, without losing what a division leaves over. */
static void test_global_pass(void)
{
	const struct scheduling_strategy *ops = scheduling_strategy_find("stride");
	struct driver *driver = driver_new(ops, 1, 3);
	struct scheduling_queue *queue = &driver->system.queues[0];
	gint64 ran = 0;

	for (guint i = 0; i < 3; i++) {
		driver->system.entities[i].weight = 77 + i;
		ops->join(&driver->system, queue, &driver->system.entities[i]);
	}
	for (gint64 i = 1; i <= 1000; i++) {
		ops->charge(&driver->system, queue, &driver->system.entities[i % 3], i);
		ran += i;
		g_assert_cmpint(queue->virtual_time, ==,
				ran * SCHEDULING_VIRTUAL * SCHEDULING_WEIGHT_NORMAL / (77 + 78 + 79));
	}
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

/* m = 3: C_max 10, C_min 2, u_max 10 ÷ 20: (2 × 10 − 2) ÷ (3 − 0.5) + 10 = 17.2, rounded up. m = 2: 8 ÷ 2 + 10. */
static void test_tardiness_bound(void)
{
	struct scheduling_entity three[3] = { { .runtime_ns = 10, .period_ns = 20 },
					      { .runtime_ns = 2, .period_ns = 50 },
					      { .runtime_ns = 4, .period_ns = 10 } };

	g_assert_cmpint(scheduling_tardiness_bound_ns(three, 3, 3), ==, 18);
	g_assert_cmpint(scheduling_tardiness_bound_ns(three, 3, 2), ==, 14);
	three[1].runtime_ns = 50;
	g_assert_cmpint(scheduling_tardiness_bound_ns(three, 3, 1), ==, -1); /* 1.9 on one CPU */
}

/* A bit less than a sixth, five times, and a sixth; a bit more; and exactly. */
static void test_feasibility_close(void)
{
	static const gint64 primes[] = { 9999999967, 9999999943, 9999999929, 9999999881, 9999999851 };
	struct scheduling_entity many[6] = { 0 };

	for (guint i = 0; i < 5; i++)
		many[i] = (struct scheduling_entity) { .runtime_ns = primes[i] / 6, .period_ns = primes[i] };
	many[5] = (struct scheduling_entity) { .runtime_ns = 1, .period_ns = 6 };
	/* five a bit less than a sixth each */
	g_assert_cmpint(scheduling_feasible_gfb(many, 6, 1), ==, SCHEDULING_FEASIBLE);
	for (guint i = 0; i < 5; i++)
		many[i].runtime_ns++; /* a bit more */
	g_assert_cmpint(scheduling_feasible_gfb(many, 6, 1), ==, SCHEDULING_INFEASIBLE);
	for (guint i = 0; i < 6; i++)
		many[i] = (struct scheduling_entity) { .runtime_ns = 1, .period_ns = 6 };
	g_assert_cmpint(scheduling_feasible_gfb(many, 6, 1), ==, SCHEDULING_FEASIBLE);
	many[5].period_ns = 5;
	g_assert_cmpint(scheduling_feasible_gfb(many, 6, 1), ==, SCHEDULING_INFEASIBLE);
}

/* Of four primes next to 10^10 the sum is 2 + 10^−40, nearer to 2 than is calculated: no bound is claimed for two CPUs. */
static void test_feasibility_closest(void)
{
	const struct scheduling_entity entities[] = { { .runtime_ns = 3529044256, .period_ns = 9999999967 },
						      { .runtime_ns = 7531201954, .period_ns = 9999999943 },
						      { .runtime_ns = 8324326382, .period_ns = 9999999929 },
						      { .runtime_ns = 615427287, .period_ns = 9999999881 } };

	g_assert_cmpint(scheduling_tardiness_bound_ns(entities, 4, 2), ==, -1);
	g_assert_cmpint(scheduling_tardiness_bound_ns(entities, 4, 3), >, 0);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/scheduling/limit/charges", test_limit_charges);
	g_test_add_func("/scheduling/limit/slices", test_limit_slices);
	g_test_add_func("/scheduling/share-rounds-up", test_share_rounds_up);
	g_test_add_func("/scheduling/mean", test_mean);
	g_test_add_func("/scheduling/global-pass", test_global_pass);
	g_test_add_func("/scheduling/feasibility", test_feasibility);
	g_test_add_func("/scheduling/feasibility/close", test_feasibility_close);
	g_test_add_func("/scheduling/feasibility/closest", test_feasibility_closest);
	g_test_add_func("/scheduling/tardiness-bound", test_tardiness_bound);
	return g_test_run();
}
