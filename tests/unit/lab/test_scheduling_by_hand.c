/* The engine in cases worked out by hand: what belongs to the platform and not to one strategy. */
#include <glib.h>
#include <string.h>

#include "core/scheduling/table.h"
#include "lab/scheduling/engine.h"
#include "lab/scheduling/kernel.h"
#include "lab/scheduling/workload.h"

#define MS     G_GINT64_CONSTANT(1000000)
#define SECOND (1000 * MS)
#define EVER   (1000 * SECOND)

static struct workload *machine(guint n_cpus, guint threads, guint cores_per_llc)
{
	struct workload *workload = workload_new();

	workload->topology =
		(struct topology) { .n_cpus = n_cpus, .threads_per_core = threads, .cores_per_llc = cores_per_llc };
	return workload;
}

/* A VM of n vCPUs that run and sleep (0: never). */
static struct workload_vm *vm(struct workload *workload, const char *tenant, guint n, gint64 run_ns, gint64 sleep_ns)
{
	guint index = workload_add_vm(workload, "vm", workload_add_tenant(workload, tenant));

	for (guint i = 0; i < n; i++) {
		workload_add_task(workload);
		workload_add_step(workload, STEP_RUN, run_ns, 0);
		if (sleep_ns)
			workload_add_step(workload, STEP_SLEEP, sleep_ns, 0);
		workload_add_step(workload, STEP_LOOP, 0, 0);
	}
	return workload_vm(workload, index);
}

static void set(const struct scheduling_strategy *strategy, struct strategy_values *values, const char *name,
		const char *value)
{
	g_assert_cmpint(strategy_values_set(&strategy->info, values, name, strlen(name), value), ==, STRATEGY_SET_OK);
}

static void run(const struct scheduling_strategy *strategy, const struct workload *workload, gint64 horizon_ns,
		struct engine_result *result)
{
	struct engine_setup setup = {
		.strategy = strategy, .workload = workload, .seed = 1, .horizon_ns = horizon_ns, .no_balance = TRUE
	};

	engine_run(&setup, result);
}

/* A and B are one VM; A shares its CPU with C, B has one for itself. A waits from 3 to 6, 9 to 12 and 15 to 18: more than
 * the skew of 6 longer than B, which is stopped at 18. Its CPU takes C, so A waits no more; at 24 B has waited 6, and the
 * distance of 3 is half the skew. */
static void co_stop(void)
{
	g_autoptr(workload_auto) workload = machine(2, 1, 2);
	struct engine_result result;

	vm(workload, "t", 2, EVER, 0);
	vm(workload, "t", 1, EVER, 0);
	run(scheduling_strategy_find("relaxed-cosched"), workload, 24 * MS, &result);
	g_assert_cmpint(result.task[0].run_ns, ==, 15 * MS);
	g_assert_cmpint(result.task[1].run_ns, ==, 18 * MS);
	g_assert_cmpint(result.task[2].run_ns, ==, 15 * MS);
	g_assert_cmpint(result.task[1].parked_ns, ==, 6 * MS);
	engine_result_clear(&result);
}

/* The kernel documentation's example of reclaiming, to its end: the bandwidth of one that sleeps counts until 4, though it
 * does not wake; from there the other pays half. */
static void reclaim(void)
{
	const struct scheduling_strategy *strategy = scheduling_strategy_find("edf-cbs");
	g_autoptr(workload_auto) workload = machine(1, 1, 1);
	struct strategy_values values;
	struct engine_setup setup = {
		.strategy = strategy, .values = &values, .workload = workload, .seed = 1, .horizon_ns = 8 * MS
	};
	struct engine_result result;

	vm(workload, "t", 1, 2 * MS, 100 * MS);
	vm(workload, "t", 1, EVER, 0);
	for (guint i = 0; i < 2; i++) {
		workload_task(workload, i)->runtime_ns = 4 * MS;
		workload_task(workload, i)->period_ns = 8 * MS;
	}
	strategy_values_init(&strategy->info, &values);
	set(strategy, &values, "reclaim", "grub");
	set(strategy, &values, "capacity-percent", "100");
	engine_run(&setup, &result);
	g_assert_cmpint(result.task[0].run_ns, ==, 2 * MS);
	g_assert_cmpint(ABS(result.task[1].run_ns - 6 * MS), <=, 100); /* rounded at each charge */
	engine_result_clear(&result);
}

/* Five on four CPUs of two caches, of which one sleeps: no CPU idles, though the one that waits does so at the other cache. */
static void nobody_idles(void)
{
	for (gsize i = 0; i < scheduling_n_strategies; i++) {
		const struct scheduling_strategy *strategy = scheduling_strategies[i];
		g_autoptr(workload_auto) workload = machine(4, 1, 2);
		struct engine_result result;

		if (!strategy->work_conserving || strategy->pick)
			continue;
		for (guint n = 0; n < 5; n++)
			vm(workload, "t", 1, n == 3 ? 10 * MS : EVER, n == 3 ? 25 * MS : 0);
		run(strategy, workload, 300 * MS, &result);
		g_test_message("%s: busy %" G_GINT64_FORMAT " ns", strategy->info.name, result.totals.busy_ns);
		g_assert_cmpint(result.totals.busy_ns, ==, 4 * 300 * MS);
		engine_result_clear(&result);
	}
}

/* One core of two threads. */
static void share_core(enum scheduling_sharing sharing, const char *second, struct engine_result *result)
{
	g_autoptr(workload_auto) workload = machine(2, 2, 1);
	struct engine_setup setup = { .strategy = scheduling_strategy_find("eevdf"),
				      .workload = workload,
				      .seed = 1,
				      .horizon_ns = 60 * MS,
				      .sharing = sharing };

	vm(workload, "x", 1, EVER, 0);
	vm(workload, second, 1, EVER, 0);
	engine_run(&setup, result);
}

/* `off`: both threads, and two tenants on the core all the time. `vm`: two tenants take turns of a slice of 3, one thread
 * always idle; of one tenant: both. `vcpu`: turns, whoever they are. */
static void core_scheduling(void)
{
	static const struct {
		enum scheduling_sharing sharing;
		const char *second;
		gint64 each_ms, mixed_ms, idle_ms;
	} cases[] = { { SCHEDULING_SHARE_ANY, "y", 60, 60, 0 },
		      { SCHEDULING_SHARE_VM, "y", 30, 0, 60 },
		      { SCHEDULING_SHARE_VM, "x", 60, 0, 0 },
		      { SCHEDULING_SHARE_NONE, "x", 30, 0, 60 },
		      { SCHEDULING_SHARE_NONE, "y", 30, 0, 60 } };

	for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct engine_result result;

		share_core(cases[i].sharing, cases[i].second, &result);
		g_test_message("case %u: %" G_GINT64_FORMAT " and %" G_GINT64_FORMAT ", mixed %" G_GINT64_FORMAT
			       ", idle %" G_GINT64_FORMAT,
			       i, result.task[0].run_ns, result.task[1].run_ns, result.totals.cross_tenant_ns,
			       result.totals.idle_forced_ns);
		g_assert_cmpint(result.task[0].run_ns, ==, cases[i].each_ms * MS);
		g_assert_cmpint(result.task[1].run_ns, ==, cases[i].each_ms * MS);
		g_assert_cmpint(result.totals.cross_tenant_ns, ==, cases[i].mixed_ms * MS);
		g_assert_cmpint(result.totals.idle_forced_ns, ==, cases[i].idle_ms * MS);
		engine_result_clear(&result);
	}
}

/* Three that want 3/5 of two CPUs: C gets 2/5 of the first, at the begin of each round, then A the rest; on the second B has its
 * 3/5, then C its last fifth. The fifth that is left over is B's: A is on the other CPU, and C split. (L is 102.7026 ms; a piece may
 * be 1 µs short, which A gets.) */
static void planned(void)
{
	g_autoptr(workload_auto) workload = machine(2, 1, 2);
	const gint64 fifth = SCHEDULING_TABLE_NS / 5;
	struct engine_result result;

	for (guint i = 0; i < 3; i++) {
		vm(workload, "t", 1, EVER, 0);
		workload_task(workload, i)->runtime_ns = 3 * fifth;
		workload_task(workload, i)->period_ns = 5 * fifth;
	}
	run(scheduling_strategy_find("table"), workload, 10 * SCHEDULING_TABLE_NS, &result);
	g_assert_cmpint(ABS(result.task[0].run_ns - 30 * fifth), <=, 10000);
	g_assert_cmpint(ABS(result.task[1].run_ns - 40 * fifth), <=, 10000);
	g_assert_cmpint(ABS(result.task[2].run_ns - 30 * fifth), <=, 10000);
	g_assert_cmpint(ABS(result.task[2].max_gap_ns - fifth), <=, 1000);
	engine_result_clear(&result);
}

/* A has the first half of each round of one CPU. It runs 10 and sleeps 5; B has what A leaves, and gives way at once when A
 * wakes in its half: 10 + 10 + 10 + 6.3513, and B three times 5. */
static void slot_owner_wakes(void)
{
	g_autoptr(workload_auto) workload = machine(1, 1, 1);
	struct engine_result result;

	vm(workload, "t", 1, 10 * MS, 5 * MS);
	vm(workload, "t", 1, EVER, 0);
	workload_task(workload, 0)->runtime_ns = SCHEDULING_TABLE_NS / 2;
	workload_task(workload, 0)->period_ns = SCHEDULING_TABLE_NS;
	run(scheduling_strategy_find("table"), workload, SCHEDULING_TABLE_NS / 2, &result);
	g_assert_cmpint(result.task[0].run_ns, ==, SCHEDULING_TABLE_NS / 2 - 15 * MS);
	g_assert_cmpint(result.task[1].run_ns, ==, 15 * MS);
	engine_result_clear(&result);
}

/* A and C share a CPU in turns of 10, B sleeps at 15: its CPU takes A, which waits. A is switched to twice and comes to another
 * core, of the same cache or not; C and B are switched to once. */
static void costs(void)
{
	for (guint cores_per_llc = 1; cores_per_llc <= 2; cores_per_llc++) {
		g_autoptr(workload_auto) workload = machine(2, 1, cores_per_llc);
		struct engine_result result;

		workload->topology.switch_ns = 10000;
		workload->topology.migrate_ns = 50000;
		workload->topology.migrate_llc_ns = 70000;
		vm(workload, "t", 1, EVER, 0);
		vm(workload, "t", 1, 15 * MS, EVER);
		vm(workload, "t", 1, EVER, 0);
		run(scheduling_strategy_find("round-robin"), workload, 40 * MS, &result);
		g_assert_cmpuint(result.totals.migrations, ==, 1);
		g_assert_cmpuint(result.totals.switches, ==, 4);
		g_assert_cmpint(result.task[0].overhead_ns, ==, 20000 + (cores_per_llc == 1 ? 70000 : 50000));
		g_assert_cmpint(result.task[1].overhead_ns, ==, 10000);
		g_assert_cmpint(result.task[2].overhead_ns, ==, 10000);
		g_assert_cmpint(result.task[1].run_ns, ==, 15 * MS + 10000); /* its work, and the cost */
		engine_result_clear(&result);
	}
}

/* B waits 10 for its first turn, with a target of 4: 2500 per mille. A's first job of 50 is due at 10, and not done at 30. */
static void latency_and_lateness(void)
{
	g_autoptr(workload_auto) workload = machine(1, 1, 1);
	struct engine_result result;
	struct task *task;

	workload_add_vm(workload, "vm", workload_add_tenant(workload, "t"));
	task = workload_add_task(workload);
	task->deadline_ns = 10 * MS;
	workload_add_step(workload, STEP_RUN, 50 * MS, 0);
	workload_add_step(workload, STEP_TIMER, 10 * MS, 0);
	workload_add_step(workload, STEP_LOOP, 0, 0);
	vm(workload, "t", 1, MS, EVER)->latency_ns = 4 * MS;
	run(scheduling_strategy_find("round-robin"), workload, 30 * MS, &result);
	g_assert_cmpuint(result.totals.wakeup_ratio.n, ==, 1);
	g_assert_cmpint(result.totals.wakeup_ratio.max, ==, 2500);
	g_assert_cmpint(result.totals.wakeup_class.max, ==, 10 * MS);
	g_assert_true(result.task[0].overdue);
	g_assert_false(result.task[1].overdue);
	engine_result_clear(&result);
}

/* Recorded utilization: 80 % of a CPU is 8 s of 10 alone. Two such on one CPU have all of it, and no backlog: what is late by
 * a period is lost. */
static void utilization(void)
{
	for (guint n = 1; n <= 2; n++) {
		g_autoptr(workload_auto) workload = machine(1, 1, 1);
		g_autoptr(GError) error = NULL;
		struct engine_result result;
		gint64 sum = 0;

		workload->sample_ns = 300 * SECOND;
		workload_add_tenant(workload, "t");
		for (guint i = 0; i < n; i++) {
			g_assert_true(workload_add_utilization(workload, "u", "80\n80\n", 6, &error));
			g_assert_no_error(error);
		}
		run(scheduling_strategy_find("stride"), workload, 10 * SECOND, &result);
		for (guint i = 0; i < n; i++)
			sum += result.task[i].run_ns;
		g_test_message("%u: %" G_GINT64_FORMAT, n, sum);
		g_assert_cmpint(ABS(sum - (n == 1 ? 8 : 10) * SECOND), <=, 100 * MS);
		engine_result_clear(&result);
	}
}

/* Noting service by the window changes nothing of what happens, and adds up to it, to the last window. Not so with the others:
 * where CPUs share a queue whose clock moves with what they run (edf-cbs, credit2) a CPU's part comes in when it is charged;
 * gang rounds at each charge, and relaxed-cosched looks for whom to stop. */
static void watched(void)
{
	static const char *const names[] = { "eevdf",       "edf", "stride", "lottery",       "bvt",        "credit",
					     "credit-tick", "pin", "table",  "fifo-priority", "round-robin" };

	for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autoptr(workload_auto) workload = workload_generate("mixed,seconds=1", NULL);
		struct engine_setup setup = { .strategy = scheduling_strategy_find(names[i]),
					      .workload = workload,
					      .seed = 1 };
		struct engine_result plain, noted;

		/* Weights that divide: virtual times are exact, however often they are added to. */
		for (guint n = 0; n < workload->vms->len; n++) {
			workload_vm(workload, n)->weight = 100 << n % 3;
			if (n % 2) {
				workload_vm(workload, n)->limit_ns = 7 * MS;
				workload_vm(workload, n)->limit_period_ns = 20 * MS;
			}
		}
		engine_run(&setup, &plain);
		setup.window_ns = 777777;
		engine_run(&setup, &noted);
		for (guint n = 0; n < plain.n_tasks; n++) {
			gint64 sum = 0;

			if (memcmp(&plain.task[n], &noted.task[n], sizeof(*plain.task)) != 0)
				g_error("%s: task %u ran %" G_GINT64_FORMAT " or %" G_GINT64_FORMAT
					", waited %" G_GINT64_FORMAT " or %" G_GINT64_FORMAT,
					setup.strategy->info.name, n, plain.task[n].run_ns, noted.task[n].run_ns,
					plain.task[n].ready_ns, noted.task[n].ready_ns);
			for (guint w = 0; w < noted.n_windows; w++) {
				gint64 in = noted.window[w * noted.n_tasks + n];

				g_assert_cmpint(in, >=, 0);
				g_assert_cmpint(in, <=, setup.window_ns);
				sum += in;
			}
			g_assert_cmpint(sum, ==, plain.task[n].run_ns);
		}
		engine_result_clear(&plain);
		engine_result_clear(&noted);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/scheduling/by-hand/co-stop", co_stop);
	g_test_add_func("/scheduling/by-hand/reclaim", reclaim);
	g_test_add_func("/scheduling/by-hand/nobody-idles", nobody_idles);
	g_test_add_func("/scheduling/by-hand/core-scheduling", core_scheduling);
	g_test_add_func("/scheduling/by-hand/planned", planned);
	g_test_add_func("/scheduling/by-hand/slot-owner-wakes", slot_owner_wakes);
	g_test_add_func("/scheduling/by-hand/costs", costs);
	g_test_add_func("/scheduling/by-hand/latency-and-lateness", latency_and_lateness);
	g_test_add_func("/scheduling/by-hand/utilization", utilization);
	g_test_add_func("/scheduling/by-hand/watched", watched);
	return g_test_run();
}
