/* The lab runs the table strategy by a plan: what it admits it keeps, also where a vCPU has to be split over CPUs, and what has
 * no plan is refused, not promised. */
#include <glib.h>
#include <string.h>

#include "core/scheduling/scheduling.h"
#include "lab/scheduling/simulate.h"

#define HOGS "{\"name\":\"hog\",\"count\":6,\"weight\":10000,\"run\":1000000}"

static void run(const char *vms, struct workload **workload, struct engine_result *result)
{
	g_autofree char *text = g_strdup_printf("{\"global\":{\"duration\":5,\"cpus\":2},\"vms\":[%s]}", vms);
	const struct strategy_info *info = strategy_registry_find(&scheduling_registry, "table");
	struct scheduling_workload loaded = { 0 };
	struct engine_setup setup = { .seed = 1 };
	g_autoptr(GError) error = NULL;
	struct strategy_values values;

	loaded.workload = *workload = workload_read_json(text, strlen(text), "plan", &error);
	g_assert_no_error(error);
	strategy_values_init(info, &values);
	scheduling_simulate(&loaded, info, &values, &setup, result, NULL);
}

/* 60 % three times on two CPUs: one is split. Six hogs of the greatest weight would like the rest. */
static void test_kept(void)
{
	g_autoptr(workload_auto) workload = NULL;
	struct engine_result result;

	run("{\"name\":\"a\",\"count\":3,\"reserve\":\"60%\",\"weight\":1,\"run\":1000000}," HOGS, &workload, &result);
	for (guint i = 0; i < 3; i++) {
		g_test_message("%u: %.4f", i, (double)result.task[i].run_ns / 5e9);
		g_assert_cmpint(result.task[i].admission, ==, SCHEDULING_ACCEPTED);
		g_assert_cmpfloat((double)result.task[i].run_ns / 5e9, >=, 0.595);
	}
	engine_result_clear(&result);
}

/* 10 µs off the CPU is what no plan can keep: that one is told no, the others have theirs. */
static void test_refused(void)
{
	g_autoptr(workload_auto) workload = NULL;
	struct engine_result result;

	run("{\"name\":\"a\",\"count\":3,\"reserve\":\"60%\",\"run\":1000000},"
	    "{\"name\":\"b\",\"reserve\":\"2%\",\"latency\":\"10us\",\"run\":1000000}," HOGS,
	    &workload, &result);
	for (guint i = 0; i < 3; i++)
		g_assert_cmpfloat((double)result.task[i].run_ns / 5e9, >=, 0.595);
	g_assert_cmpint(result.task[3].admission, ==, SCHEDULING_REFUSED_CAPACITY);
	engine_result_clear(&result);
}

/* Slots are not paid for with the share of what is left over: who wakes beside a reservation soon has its turn. */
static void test_left_over(void)
{
	g_autoptr(workload_auto) workload = NULL;
	struct engine_result result;

	run("{\"name\":\"a\",\"count\":2,\"reserve\":\"60%\",\"run\":1000000},"
	    "{\"name\":\"hog\",\"count\":4,\"run\":1000000},"
	    "{\"name\":\"web\",\"count\":4,\"run\":100,\"sleep\":20000}",
	    &workload, &result);
	for (guint i = 6; i < 10; i++) {
		g_test_message("%u: waited at most %.3f ms", i, (double)result.task[i].max_gap_ns / 1e6);
		g_assert_cmpint(result.task[i].max_gap_ns, <, 150000000);
	}
	engine_result_clear(&result);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/scheduling/plan/kept", test_kept);
	g_test_add_func("/scheduling/plan/refused", test_refused);
	g_test_add_func("/scheduling/plan/left-over", test_left_over);
	return g_test_run();
}
