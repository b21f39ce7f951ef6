/* The engine: known EEVDF schedules, locks, barriers, the thief, core scheduling, the same bytes for the same seed; and what of
 * a workload is refused. */
#include <glib.h>
#include <string.h>

#include "core/scheduling/scheduling.h"
#include "lab/error.h"
#include "lab/scheduling/engine.h"
#include "lab/scheduling/figures.h"
#include "lab/scheduling/workload.h"

#define MS     1000000
#define SECOND G_GINT64_CONSTANT(1000000000)

static struct workload *parse(const char *json)
{
	g_autoptr(GError) error = NULL;
	struct workload *workload = workload_read_json(json, strlen(json), "test.json", &error);

	g_assert_no_error(error);
	return workload;
}

static void run(const char *strategy, const struct workload *workload, enum scheduling_sharing sharing,
		struct engine_result *result)
{
	struct engine_setup setup = {
		.strategy = scheduling_strategy_find(strategy), .workload = workload, .seed = 1, .sharing = sharing
	};

	g_assert_nonnull(setup.strategy);
	engine_run(&setup, result);
}

static void share_by_weight(void)
{
	static const char *const names[] = { "eevdf", "stride" };
	g_autoptr(workload_auto) workload = parse(
		"{\"global\":{\"duration\":10},\"topology\":{\"cpus\":1},\"vms\":[{\"name\":\"a\",\"run\":1000000},"
		"{\"name\":\"b\",\"weight\":400,\"run\":1000000}]}");

	for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
		struct engine_result result;

		run(names[i], workload, SCHEDULING_SHARE_ANY, &result);
		g_assert_cmpint(ABS(result.task[0].run_ns - 2 * SECOND), <, SECOND / 50);
		g_assert_cmpint(result.task[0].run_ns + result.task[1].run_ns, ==, 10 * SECOND);
		engine_result_clear(&result);
	}
}

/* Three on two CPUs take turns, though queues are evened out only every 10 ms: to 1 % of what is due. With eevdf and bvt the lag
 * that goes along from queue to queue is not the distance from all: 5 % as measured, for which no bound is known. */
static void evens_out(void)
{
	static const struct {
		const char *name;
		gint64 within_ns;
	} cases[] = { { "stride", SECOND / 15 },      { "credit", SECOND / 15 },  { "credit2", SECOND / 15 },
		      { "round-robin", SECOND / 15 }, { "edf-cbs", SECOND / 15 }, { "eevdf", SECOND * 35 / 100 },
		      { "bvt", SECOND * 35 / 100 } };
	g_autoptr(workload_auto) workload = parse(
		"{\"global\":{\"duration\":10},\"topology\":{\"cpus\":2},\"vms\":[{\"count\":3,\"run\":1000000}]}");

	for (guint c = 0; c < G_N_ELEMENTS(cases); c++) {
		struct engine_result result;

		run(cases[c].name, workload, SCHEDULING_SHARE_ANY, &result);
		for (guint i = 0; i < 3; i++) {
			g_test_message("%s: %" G_GINT64_FORMAT, cases[c].name, result.task[i].run_ns);
			g_assert_cmpint(ABS(result.task[i].run_ns - 20 * SECOND / 3), <, cases[c].within_ns);
		}
		engine_result_clear(&result);
	}
}

static void thief(void)
{
	for (size_t i = 0; i < scheduling_n_strategies; i++) {
		const struct scheduling_strategy *strategy = scheduling_strategies[i];
		g_autoptr(workload_auto) workload = workload_generate("attack", NULL);
		struct engine_result result;
		double theft;

		run(strategy->info.name, workload, SCHEDULING_SHARE_ANY, &result);
		theft = figures_theft(workload, &result);
		g_test_message("%s: %.4f", strategy->info.name, theft);
		if (strategy->proportional)
			g_assert_cmpfloat(theft, <=, 0.01);
		if (strcmp(strategy->info.name, "credit-tick") == 0)
			g_assert_cmpfloat(theft, >=, 0.9);
		engine_result_clear(&result);
	}
}

/* Siblings of different tenants never at once. */
static void core_scheduling(void)
{
	g_autoptr(workload_auto) workload =
		parse("{\"global\":{\"duration\":2},\"topology\":{\"cpus\":4,\"threads\":2},\"vms\":["
		      "{\"name\":\"a\",\"tenant\":\"x\",\"vcpus\":3,\"run\":1000000},"
		      "{\"name\":\"b\",\"tenant\":\"y\",\"vcpus\":3,\"run\":1000000}]}");
	struct engine_result any, vm;

	run("eevdf", workload, SCHEDULING_SHARE_ANY, &any);
	run("eevdf", workload, SCHEDULING_SHARE_VM, &vm);
	g_assert_cmpint(any.totals.cross_tenant_ns, >, 0);
	g_assert_cmpint(vm.totals.cross_tenant_ns, ==, 0);
	for (guint i = 0; i < 6; i++)
		g_assert_cmpint(vm.task[i].run_ns, >, SECOND / 10);
	engine_result_clear(&any);
	engine_result_clear(&vm);
}

static void locks_and_barriers(void)
{
	g_autoptr(workload_auto) workload =
		parse("{\"global\":{\"duration\":1},\"topology\":{\"cpus\":2},\"vms\":["
		      "{\"name\":\"l\",\"vcpus\":4,\"run\":100,\"lock\":\"m\",\"run1\":100,\"unlock\":\"m\"},"
		      "{\"name\":\"b\",\"vcpus\":3,\"run\":1000,\"barrier\":\"z\"}]}");
	struct engine_result result;
	gint64 spin = 0;

	run("eevdf", workload, SCHEDULING_SHARE_ANY, &result);
	for (guint i = 0; i < 4; i++)
		spin += result.task[i].spin_ns;
	g_assert_cmpint(spin, >, 0);
	/* They go in step. */
	g_assert_cmpint(ABS(result.task[4].run_ns - result.task[6].run_ns), <=, 4 * MS);
	g_assert_cmpint(result.task[4].run_ns, >, 10 * MS);
	engine_result_clear(&result);
}

static void same_results(const struct engine_result *a, const struct engine_result *b)
{
	g_assert_cmpuint(a->totals.events, >, 0);
	g_assert_cmpmem(a->task, a->n_tasks * sizeof(*a->task), b->task, b->n_tasks * sizeof(*b->task));
	g_assert_cmpmem(&a->totals, sizeof(a->totals), &b->totals, sizeof(b->totals));
}

static void same_seed(void)
{
	for (size_t i = 0; i < scheduling_n_strategies; i++) {
		g_autoptr(workload_auto) workload = workload_generate("mixed,seconds=1", NULL);
		struct engine_result a, b;

		run(scheduling_strategies[i]->info.name, workload, SCHEDULING_SHARE_ANY, &a);
		run(scheduling_strategies[i]->info.name, workload, SCHEDULING_SHARE_ANY, &b);
		same_results(&a, &b);
		g_assert_cmpint(a.totals.busy_ns, <=, 8 * SECOND);
		engine_result_clear(&a);
		engine_result_clear(&b);
	}
}

/* The loop that is compiled for a strategy, and the one for any table of operations, which a copy of the table gets: the same
 * results on random workloads, also where queues are long and where core scheduling filters. */
static void loops_agree(void)
{
	static const char *const kinds[] = { "mixed", "speed", "realtime", "barrier", "locks" };
	guint32 first = g_test_rand_int();

	g_test_message("seed %u", first);
	for (guint round = 0; round < 6; round++) {
		g_autoptr(GRand) random = g_rand_new_with_seed(first + round);
		g_autofree char *text = g_strdup_printf(
			"%s,vms=%d,cpus=%d,seconds=1,seed=%u", kinds[round % G_N_ELEMENTS(kinds)],
			g_rand_int_range(random, 1, 120), g_rand_int_range(random, 1, 9), first % 1000 + round + 1);
		g_autoptr(workload_auto) workload = workload_generate(text, NULL);
		enum scheduling_sharing sharing = round % 2 ? SCHEDULING_SHARE_VM : SCHEDULING_SHARE_ANY;

		g_assert_nonnull(workload);
		workload->horizon_ns = SECOND / 5;
		workload->topology.threads_per_core = 1 + round % 2;
		for (size_t i = 0; i < scheduling_n_strategies; i++) {
			struct scheduling_strategy copy = *scheduling_strategies[i];
			struct engine_setup setup = {
				.strategy = &copy, .workload = workload, .seed = 1, .sharing = sharing
			};
			struct engine_result own, any;

			g_test_message("%s %s", text, copy.info.name);
			engine_run(&setup, &any);
			setup.strategy = scheduling_strategies[i];
			engine_run(&setup, &own);
			same_results(&own, &any);
			engine_result_clear(&own);
			engine_result_clear(&any);
		}
	}
}

static void refused(void)
{
	static const struct {
		const char *json, *message;
	} cases[] = {
		{ "{\"vms\":[{\"run\":1,\"weight\":0}]}", "weight" },
		{ "{\"tasks\":{\"a\":{\"run\":1,\"dl-runtime\":20,\"dl-period\":10}}}", "dl-runtime is longer" },
		{ "{\"vms\":[{\"run\":1,\"wieght\":5}]}", "'wieght' is not known" },
		{ "{\"vms\":[{\"run\":0}]}", "takes no time" },
		{ "{\"vms\":[{\"run\":1,\"cpus\":[7]}]}", "no CPU" },
		{ "{\"vms\":[\n{\"run\":\n", "test.json:3" },
		{ "{}", "nothing to run" },
		{ "[]", "object" },
	};

	for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GError) error = NULL;

		g_assert_null(workload_read_json(cases[i].json, strlen(cases[i].json), "test.json", &error));
		g_assert_error(error, LAB_ERROR, LAB_ERROR_INVALID);
		g_test_message("%s", error->message);
		g_assert_nonnull(strstr(error->message, cases[i].message));
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/scheduling/engine/share-by-weight", share_by_weight);
	g_test_add_func("/scheduling/engine/evens-out", evens_out);
	g_test_add_func("/scheduling/engine/thief", thief);
	g_test_add_func("/scheduling/engine/core-scheduling", core_scheduling);
	g_test_add_func("/scheduling/engine/locks-and-barriers", locks_and_barriers);
	g_test_add_func("/scheduling/engine/same-seed", same_seed);
	g_test_add_func("/scheduling/engine/loops-agree", loops_agree);
	g_test_add_func("/scheduling/workload/refused", refused);
	return g_test_run();
}
