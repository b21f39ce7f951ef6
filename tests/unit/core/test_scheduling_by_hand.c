/* Schedules worked out by hand, of one CPU: a letter a unit of time, '.' where it idles. EEVDF's: test_scheduling_eevdf.c. */
#include <glib.h>

#include <string.h>

#include "tests/unit/core/scheduling_driver.h"

#define MS G_GINT64_CONSTANT(1000000)

/* What vCPUs A, B, … are and do. Times are ms. */
struct part {
	gint weight, priority, latency, limit, limit_period, runtime, period;
	gint first, run, sleep, every; /* run 0: it never blocks; every: a job at each multiple */
};

struct script {
	const gchar *strategy, *parameters; /* "name=value …" */
	struct part parts[4];               /* until weight 0 */
	const gchar *expected;
	gint64 unit_ns; /* 0: a ms */
};

static void set_parameters(struct driver *driver, const gchar *parameters)
{
	g_auto(GStrv) words = g_strsplit(parameters, " ", -1);

	for (guint i = 0; words[i]; i++) {
		gchar *value = strchr(words[i], '=');

		*value = '\0';
		driver_set(driver, words[i], value + 1);
	}
}

static void set_part(struct driver *driver, guint i, const struct part *part)
{
	struct scheduling_entity *entity = &driver->system.entities[i];
	struct guest *guest = &driver->guests[i];

	entity->weight = (guint32)part->weight;
	entity->priority = part->priority;
	entity->latency_ns = part->latency * MS;
	entity->limit_ns = part->limit * MS;
	entity->limit_period_ns = part->limit_period * MS;
	entity->runtime_ns = part->runtime * MS;
	entity->period_ns = part->period * MS;
	guest->first_ns = part->first * MS;
	guest->run_ns = part->run * MS;
	guest->sleep_ns = part->sleep * MS;
	guest->period_ns = part->every * MS;
}

static void play(gconstpointer data)
{
	const struct script *script = data;
	gint64 unit_ns = script->unit_ns ? script->unit_ns : MS;
	struct driver *driver;
	guint n = 0;

	while (n < G_N_ELEMENTS(script->parts) && script->parts[n].weight)
		n++;
	driver = driver_new(scheduling_strategy_find(script->strategy), 1, n);
	set_parameters(driver, script->parameters);
	for (guint i = 0; i < n; i++)
		set_part(driver, i, &script->parts[i]);
	driver->log = g_string_new(NULL);
	driver->log_ns = unit_ns;
	driver_run(driver, unit_ns * (gint64)strlen(script->expected));
	g_assert_cmpstr(driver->log->str, ==, script->expected);
	g_string_free(driver->log, TRUE);
	driver_free(driver);
}

/* Three that are never done; the paper's 3:2:1: strides of 2, 3 and 6, all begin a stride on; equal passes in order of
 * arrival. At 3 all are at 6: C has waited longest. */
static const struct script stride = {
	"stride", "quantum-us=3000", { { .weight = 300 }, { .weight = 200 }, { .weight = 100 } }, "ABACBAABACBA", 3 * MS
};

/* B blocks in the middle of its slice, and finds A and C before it; at 12 too, as the end of A's slice comes before its waking. */
static const struct script round_robin = {
	"round-robin",
	"slice-us=2000",
	{ { .weight = 1 }, { .weight = 9, .run = 1, .sleep = 2 }, { .weight = 100 } },
	"AABCCAACCBAACCAABCC"
};

/* B and C take turns as they arrive, and put A off at once; one of the same priority waits until the other sleeps. */
static const struct script fifo = { "fifo-priority",
				    "",
				    { { .weight = 100, .priority = 1 },
				      { .weight = 100, .priority = 2, .run = 2, .sleep = 3 },
				      { .weight = 100, .priority = 2, .run = 2, .sleep = 5 } },
				    "BBCCABBAACCBBAAABBCC" };

/* B comes at 4, on 10 of its future: its effective virtual time is −6. It may be so for 3; then it is at 7, A at 4. A goes
 * on until it is past B, two at a time: 8. Then B's last two. */
static const struct script bvt = { "bvt",
				   "slice-us=2000 warp-us=10000 warp-limit-us=3000",
				   { { .weight = 100 },
				     { .weight = 100, .latency = 1, .first = 4, .run = 5, .sleep = 90 } },
				   "AAAABBBAAAABBAAA" };

/* Credits at 30, 60, …: 10 to A, 20 to B. Nobody has any before; at 30 A is at −10 and B at +10, at 60 likewise. At 90 A
 * is at −20, B at 20 with 10 still to come when its slice ends: it goes on. */
static const struct script credit = {
	"credit", "slice-us=10000", { { .weight = 100 }, { .weight = 200 } }, "ABABABABABBA", 10 * MS
};

/* Both begin with 10; 2 of A's time cost 1, 2 of B's 2. Equals in order of arrival. At 24 B takes its last 2, at 30 it is
 * chosen with none: 10 more to both, A has its limit. */
static const struct script credit2 = { "credit2",
				       "slice-us=2000 reset-us=10000",
				       { { .weight = 200 }, { .weight = 100 } },
				       "ABABAABAABAABAABAABA",
				       2 * MS };

/* B wakes with more credits while A is within its first ms (rate-limit): waits for the end of the slice; past that: at
 * once. B: 3 at 0.5 ms a letter. */
static const struct script credit2_rate = { "credit2",
					    "slice-us=4000 rate-limit-us=2000",
					    { { .weight = 100 }, { .weight = 100, .first = 1, .run = 1, .sleep = 2 } },
					    "AAAABAABAABAABAABAAB" };

/* H (A) 4 in 7, S (B) 3 in 8, from 2: due at 10. S has used its 3 at 7 and waits for 10: due at 18. 11: its last one. It
 * wakes at 15 with 2 of 3 left until 18: more than 3/8 of that; so 3 until 23. */
static const struct script cbs = { "edf-cbs",
				   "",
				   { { .weight = 100, .runtime = 4, .period = 7, .run = 4, .every = 7 },
				     { .weight = 100, .runtime = 3, .period = 8, .first = 2, .run = 4, .sleep = 3 } },
				   "AAAABBBAAAAB..AAAABBBAAAAB.." };

/* Jobs of A due at 5, 10, …; of B at 7, 14, …: B is put off at 5, as A is due at 10, no sooner than at 7. */
static const struct script edf = { "edf",
				   "",
				   { { .weight = 100, .runtime = 1, .period = 5, .run = 2, .every = 5 },
				     { .weight = 100, .runtime = 1, .period = 7, .run = 4, .every = 7 } },
				   "AABBBBAABBBBAAB" };

/* Without reservations: slices of 3. B, a quarter of A's weight, sleeps at 6 at a virtual time of 12; the mean is 4.8. It wakes
 * at 7 as far ahead of the mean of 4 as it was: at 11.2, and waits until A is past it: at 15, A's slices are whole. Then it
 * sleeps at 23.2, the mean of which with A's 12 is 14.24; wakes at 19 at 13 + 8.96, which A is past at 30. */
static const struct script cbs_rest = { "edf-cbs",
					"slice-us=3000",
					{ { .weight = 100 }, { .weight = 25, .run = 3, .sleep = 1 } },
					"AAABBBAAAAAAAAABBBAAAAAAAAAAAABBB" };

/* Nor does one without a reservation put off another when it wakes with less: at 9, but at 10. */
static const struct script cbs_rest_wakes = {
	"edf-cbs", "slice-us=3000", { { .weight = 100 }, { .weight = 100, .run = 1, .sleep = 5 } }, "AAABAAAAAABAAAAAAB"
};

/* Without periods: due 2 after waking, and 2 after the end of each slice of 2. C, of a period of 6, is due at 6 as B is then, and
 * came first. Its next job, due at 12, had been released at 6: after B, due at 6, A, due at 8, and B again, due at 11. */
static const struct script edf_rest = {
	"edf",
	"default-deadline-us=2000",
	{ { .weight = 100 }, { .weight = 100 }, { .weight = 100, .runtime = 1, .period = 6, .run = 1, .every = 6 } },
	"AABBAACBBAABBCAA"
};

/* Without a plan: slices of 3, the least virtual time first; equals in order of arrival. */
static const struct script table = {
	"table", "slice-us=3000", { { .weight = 100 }, { .weight = 300 } }, "ABBBABBBABBB", 3 * MS
};

/* B sleeps from 18 to 48 and has saved nothing: it begins at what A was last charged from, 36, not at its own 9. */
static const struct script table_sleeps = { "table",
					    "slice-us=3000",
					    { { .weight = 100 }, { .weight = 100, .run = 9, .sleep = 30 } },
					    "ABABABAAAAAAAAAAABBABAAAA",
					    3 * MS };

/* 2 in each 5, from its first run. From 18 on A has 2 until 20 and 2 from there. */
static const struct script limit = { "round-robin",
				     "slice-us=4000",
				     { { .weight = 100, .limit = 2, .limit_period = 5 }, { .weight = 100 } },
				     "AABBBBAABBBBAABBBBAAAABBBB" };

/* The same alone: nothing is saved up, nothing lost. */
static const struct script limit_alone = { "stride",
					   "quantum-us=1000",
					   { { .weight = 100, .limit = 2, .limit_period = 5, .first = 1 } },
					   ".AA...AA...AA...AA" };

static gdouble share_of(struct driver *driver, guint i)
{
	return (gdouble)driver->guests[i].service_ns / (gdouble)driver->system.now_ns;
}

/* Compensation tickets: A uses a quarter of each slice it wins, so it has 4 tickets against the others' 9. It sleeps when the next
 * draw is made, then wins one in 13 ÷ 4: 0.75 of each 0.75 + 3 × (1 + 9 ÷ 4). Without, it would be a third of that. */
static void test_lottery_compensates(void)
{
	struct driver *driver = driver_new(scheduling_strategy_find("lottery"), 1, 10);

	driver->guests[0].run_ns = 750000;
	driver->guests[0].sleep_ns = 1;
	driver_run(driver, 60000 * MS);
	g_test_message("%.4f", share_of(driver, 0));
	g_assert_cmpfloat(ABS(share_of(driver, 0) - 0.0714), <, 0.004);
	driver_free(driver);
}

/* A draw is exponential: its mean is a slice's virtual time, 63.2 % are below that, 13.5 % above twice that. */
static void test_lottery_draws(void)
{
	const struct scheduling_strategy *ops = scheduling_strategy_find("lottery");
	struct driver *driver = driver_new(ops, 1, 1);
	struct scheduling_entity *entity = &driver->system.entities[0];
	const gdouble slice = 3.0 * (gdouble)MS * SCHEDULING_VIRTUAL, n = 100000;
	gdouble sum = 0, below = 0, above = 0;

	driver->system.parameter[0] = 3000;
	for (guint i = 0; i < (guint)n; i++) {
		ops->place(&driver->system, &driver->system.queues[0], entity, SCHEDULING_NEW);
		sum += (gdouble)entity->virtual_time / slice / n;
		below += (gdouble)entity->virtual_time < slice;
		above += (gdouble)entity->virtual_time > 2 * slice;
	}
	g_test_message("mean %.4f, below %.4f, above twice %.4f", sum, below / n, above / n);
	g_assert_cmpfloat(ABS(sum - 1), <, 0.02);
	g_assert_cmpfloat(ABS(below / n - 0.632), <, 0.01);
	g_assert_cmpfloat(ABS(above / n - 0.135), <, 0.01);
	driver_free(driver);
}

/* The shares of draws with unequal chances: 1 in 11 of some 20,000, whose standard deviation is 0.2 %. */
static void test_lottery_chances(void)
{
	struct driver *driver = driver_new(scheduling_strategy_find("lottery"), 1, 2);

	driver->system.entities[1].weight = 1000;
	driver_run(driver, 60000 * MS);
	g_test_message("%.4f", share_of(driver, 0));
	g_assert_cmpfloat(ABS(share_of(driver, 0) - 1.0 / 11), <, 0.008);
	driver_free(driver);
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

/* At most the reserved part of the CPUs: 95 % of two. A whole CPU and 90 % fit; 1 % more does not. */
static void test_cbs_capacity(void)
{
	const struct scheduling_strategy *ops = scheduling_strategy_find("edf-cbs");
	struct driver *driver = driver_new(ops, 2, 3);
	static const gint64 runtimes[] = { 100, 89, 2 };

	driver->system.parameter[0] = 95;
	for (guint i = 0; i < 3; i++) {
		driver->system.entities[i].runtime_ns = runtimes[i] * MS;
		driver->system.entities[i].period_ns = 100 * MS;
		g_assert_cmpint(ops->admit(&driver->system, &driver->system.entities[i]), ==,
				i < 2 ? SCHEDULING_ACCEPTED : SCHEDULING_REFUSED_CAPACITY);
	}
	driver_free(driver);
}

/* An overrun of two budgets and a half (a platform may charge late) waits out three periods. */
static void test_cbs_overrun(void)
{
	const struct scheduling_strategy *ops = scheduling_strategy_find("edf-cbs");
	struct driver *driver = driver_new(ops, 1, 1);
	struct scheduling_system *system = &driver->system;
	struct scheduling_entity *entity = &system->entities[0];

	system->parameter[0] = 95;
	entity->runtime_ns = 2 * MS;
	entity->period_ns = 10 * MS;
	ops->place(system, &system->queues[0], entity, SCHEDULING_NEW);
	system->now_ns = 7 * MS;
	ops->charge(system, &system->queues[0], entity, 7 * MS);
	g_assert_cmpint(entity->budget_ns, ==, -5 * MS);
	for (guint i = 0; entity->flags & SCHEDULING_THROTTLED; i++) {
		g_assert_cmpuint(i, <, 4);
		system->now_ns = ops->timer(system, entity);
		ops->expire(system, entity);
	}
	g_assert_cmpint(system->now_ns, >=, 30 * MS);
	g_assert_cmpint(entity->budget_ns, <=, 2 * MS);
	driver_free(driver);
}

/* On several CPUs a server can be late: its next deadline is a period after the last one all the same. */
static void test_cbs_late(void)
{
	const struct scheduling_strategy *ops = scheduling_strategy_find("edf-cbs");
	struct driver *driver = driver_new(ops, 2, 1);
	struct scheduling_system *system = &driver->system;
	struct scheduling_entity *entity = &system->entities[0];

	system->parameter[0] = 95;
	entity->runtime_ns = 10 * MS;
	entity->period_ns = 11 * MS;
	ops->place(system, &system->queues[0], entity, SCHEDULING_NEW);
	system->now_ns = 12 * MS;
	ops->charge(system, &system->queues[0], entity, 10 * MS);
	g_assert_cmpint(ops->timer(system, entity), ==, 11 * MS);
	ops->expire(system, entity);
	g_assert_cmpint(entity->deadline, ==, 22 * MS);
	g_assert_cmpint(entity->budget_ns, ==, 10 * MS);
	driver_free(driver);
}

/* GRUB: a budget empties no slower than one's own share, however few are active: 80 % alone, paid at 80 ÷ 95. */
static void test_grub_alone(void)
{
	struct driver *driver = driver_new(scheduling_strategy_find("edf-cbs"), 2, 1);

	driver_set(driver, "reclaim", "grub");
	driver->system.entities[0].runtime_ns = 80 * MS;
	driver->system.entities[0].period_ns = 100 * MS;
	driver_run(driver, 100 * MS);
	g_assert_cmpint(ABS(driver->guests[0].service_ns - 95 * MS), <=, MS / 10);
	driver_free(driver);
}

/* Who owes more than 30 ms owes 30; who has more has 30, and asleep gets no more. */
static void test_credit_bounds(void)
{
	struct driver *driver = driver_new(scheduling_strategy_find("credit"), 1, 2);
	struct scheduling_system *system = &driver->system;

	driver->guests[1].run_ns = MS;
	driver->guests[1].sleep_ns = 1000 * MS;
	driver_run(driver, 40 * MS);
	g_assert_cmpint(system->entities[1].budget_ns, ==, 14 * MS); /* half of 30, less the 1 it took */
	system->entities[0].budget_ns = -200 * MS;
	driver_run(driver, 61 * MS);
	g_assert_cmpint(system->entities[0].budget_ns, ==, -31 * MS);
	g_assert_cmpint(system->entities[1].budget_ns, ==, 29 * MS);
	driver_run(driver, 91 * MS);
	g_assert_cmpint(system->entities[1].budget_ns, ==, 30 * MS);
	/* From now on all of the time is A's: what it takes it gets. */
	g_assert_cmpint(system->entities[0].budget_ns, ==, -31 * MS);
	driver_run(driver, 121 * MS);
	g_assert_cmpint(system->entities[0].budget_ns, ==, -31 * MS);
	driver_free(driver);
}

/* credit-tick: a tick of 10 ms costs 10, whoever ran in it: one that runs over two has paid 20. */
static void test_credit_tick(void)
{
	struct driver *driver = driver_new(scheduling_strategy_find("credit-tick"), 1, 1);

	driver->guests[0].run_ns = 11 * MS;
	driver->guests[0].sleep_ns = MS;
	driver_run(driver, 25 * MS);
	g_assert_cmpint(driver->system.entities[0].budget_ns, ==, -20 * MS);
	driver_free(driver);
}

static void add(const gchar *name, const struct script *script)
{
	g_autofree gchar *path = g_strdup_printf("/scheduling/by-hand/%s", name);

	g_test_add_data_func(path, script, play);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	add("stride", &stride);
	add("round-robin", &round_robin);
	add("fifo-priority", &fifo);
	add("bvt", &bvt);
	add("credit", &credit);
	add("credit2", &credit2);
	add("credit2-rate", &credit2_rate);
	add("edf-cbs", &cbs);
	add("edf-cbs-rest", &cbs_rest);
	add("edf-cbs-rest-wakes", &cbs_rest_wakes);
	add("edf", &edf);
	add("edf-rest", &edf_rest);
	add("table", &table);
	add("table-sleeps", &table_sleeps);
	add("limit", &limit);
	add("limit-alone", &limit_alone);
	g_test_add_func("/scheduling/by-hand/grub", test_grub);
	g_test_add_func("/scheduling/by-hand/grub-alone", test_grub_alone);
	g_test_add_func("/scheduling/by-hand/edf-cbs-capacity", test_cbs_capacity);
	g_test_add_func("/scheduling/by-hand/edf-cbs-overrun", test_cbs_overrun);
	g_test_add_func("/scheduling/by-hand/edf-cbs-late", test_cbs_late);
	g_test_add_func("/scheduling/by-hand/credit-bounds", test_credit_bounds);
	g_test_add_func("/scheduling/by-hand/credit-tick", test_credit_tick);
	g_test_add_func("/scheduling/by-hand/lottery-compensates", test_lottery_compensates);
	g_test_add_func("/scheduling/by-hand/lottery-draws", test_lottery_draws);
	g_test_add_func("/scheduling/by-hand/lottery-chances", test_lottery_chances);
	return g_test_run();
}
