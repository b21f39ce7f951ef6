/* What the live platform recorded becomes a workload: known rows, known demand, known figures; without wake-ups no latency; what is
 * malformed is refused with its place. */
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "core/scheduling/scheduling.h"
#include "lab/error.h"
#include "lab/scheduling/engine.h"
#include "lab/scheduling/family.h"
#include "lab/scheduling/figures.h"
#include "lab/scheduling/simulate.h"

#define MS     1000000
#define SECOND G_GINT64_CONSTANT(1000000000)
#define HEADER                                                                                                     \
	"time_s,event,vm,vcpu,tenant,weight,limit_percent,reserve_percent,latency_us,interval_us,run_us,ready_us," \
	"throttled_us,wakeups,switches,cpus,threads_per_core,cores_per_llc,llcs_per_node\n"
#define HOST "1000,host,,,,,,,,,,,,,,2,1,2,1\n"
/* One runs whenever it can; the other wakes ten times a second, for 10 ms each. */
#define ROUND(time)                                                                      \
	time ".000100,vcpu,busy,0,red,100,0,0,0,1000000,600000,400000,0,0,30,,,,\n" time \
	     ".000100,vcpu,wakes,0,blue,100,0,0,0,1000000,90000,10000,0,10,12,,,,\n"
#define FOUR HEADER HOST ROUND("1001") ROUND("1002") ROUND("1003") ROUND("1004")

static struct workload *read_part(const char *text, guint seconds, guint n_vms)
{
	const struct workload_part part = { .seconds = seconds, .n_vms = n_vms };
	g_autoptr(GError) error = NULL;
	struct workload *workload = workload_read_recorded(text, strlen(text), "test.csv", &part, &error);

	g_assert_no_error(error);
	g_assert_true(workload_check(workload, &error));
	return workload;
}

static const struct sample *sample_of(const struct workload *workload, guint task, guint n)
{
	const struct task *of = workload_task(workload, task);

	g_assert_cmpuint(n, <, of->n_samples);
	return &g_array_index(workload->samples, struct sample, of->first_sample + n);
}

static void run(const char *strategy, const struct workload *workload, guint64 seed, struct engine_result *result)
{
	const struct engine_setup setup = { .strategy = scheduling_strategy_find(strategy),
					    .workload = workload,
					    .seed = seed,
					    .window_ns = workload->sample_ns };

	engine_run(&setup, result);
}

static void known_rows(void)
{
	g_autoptr(workload_auto) workload = read_part(FOUR, 0, 0);

	g_assert_cmpuint(workload->vms->len, ==, 2);
	g_assert_cmpstr(workload_vm(workload, 0)->name, ==, "busy");
	g_assert_cmpstr(workload->tenants->pdata[workload_vm(workload, 1)->tenant], ==, "blue");
	g_assert_cmpint(workload->sample_ns, ==, SECOND);
	g_assert_cmpint(workload->horizon_ns, ==, 4 * SECOND);
	g_assert_cmpint(workload->recorded_ns, ==, 4 * SECOND);
	g_assert_cmpuint(workload->topology.n_cpus, ==, 2);
	g_assert_false(workload->no_wakeups);
	for (guint i = 0; i < 4; i++) {
		g_assert_cmpuint(sample_of(workload, 0, i)->use_ppm, ==, SAMPLE_PPM);
		g_assert_cmpuint(sample_of(workload, 0, i)->wakeups, ==, 1);
		g_assert_cmpuint(sample_of(workload, 1, i)->use_ppm, ==, SAMPLE_PPM / 10);
		g_assert_cmpuint(sample_of(workload, 1, i)->wakeups, ==, 10);
	}
}

/* Nobody stands in the way of the other: each gets in each second what it wanted in it, in as many jobs as were recorded. */
static void known_run(void)
{
	g_autoptr(workload_auto) workload = read_part(FOUR, 0, 0);

	for (guint64 seed = 1; seed <= 5; seed++) {
		struct engine_result result;

		run("eevdf", workload, seed, &result);
		g_assert_cmpint(ABS(result.task[0].run_ns - 4 * SECOND), <, MS);
		g_assert_cmpint(ABS(result.task[1].run_ns - 400 * MS), <, MS);
		g_assert_cmpuint(result.task[1].wakeups, ==, 40);
		g_assert_cmpuint(result.n_windows, ==, 4);
		for (guint w = 0; w < 4; w++)
			g_assert_cmpint(ABS(result.window[w * 2 + 1] - 100 * MS), <, MS);
		engine_result_clear(&result);
	}
}

/* On one CPU the one that wakes has all it wants, late at times but not lost; the other has the rest. */
static void known_contention(void)
{
	g_autoptr(workload_auto) workload = read_part(FOUR, 0, 0);
	struct engine_result result, again;

	workload->topology.n_cpus = 1;
	run("eevdf", workload, 1, &result);
	g_assert_cmpint(ABS(result.task[1].run_ns - 400 * MS), <, 20 * MS);
	g_assert_cmpint(result.task[0].run_ns + result.task[1].run_ns, ==, 4 * SECOND);
	run("eevdf", workload, 1, &again);
	g_assert_cmpmem(result.task, 2 * sizeof(*result.task), again.task, 2 * sizeof(*again.task));
	engine_result_clear(&result);
	engine_result_clear(&again);
}

/* It waits for turns of 10 ms and longer, wakes each 4 ms, and is owed less than its third: it works off what has come up. */
static void late_is_not_lost(void)
{
	g_autoptr(workload_auto) workload =
		read_part(HEADER HOST "1001,vcpu,a,0,,100,0,0,0,1000000,1000000,0,0,0,0,,,,\n"
				      "1001,vcpu,b,0,,100,0,0,0,1000000,1000000,0,0,0,0,,,,\n"
				      "1001,vcpu,c,0,,100,0,0,0,1000000,250000,0,0,250,250,,,,\n",
			  0, 0);
	struct engine_result result;

	workload->topology.n_cpus = 1;
	run("round-robin", workload, 1, &result);
	g_assert_cmpint(ABS(result.task[2].run_ns - 250 * MS), <, 20 * MS);
	engine_result_clear(&result);
}

/* It comes in the second round and goes in the fourth; before and after it wants nothing. A round of two seconds is one sample
 * as the others, with half the wake-ups. */
static void comes_and_goes(void)
{
	g_autoptr(workload_auto) workload = read_part(
		HEADER HOST ROUND("1001")
			ROUND("1002") "1002.000100,vcpu,guest,3,,400,0,0,0,1000000,500000,0,0,4,4,,,,\n" ROUND(
				"7003") "7003.000100,vcpu,guest,3,,400,0,0,0,2000000,1000000,0,0,8,9,,,,\n" ROUND("700"
														  "4"),
		0, 0);
	struct engine_result result;

	g_assert_cmpstr(workload_vm(workload, 1)->name, ==, "guest");
	g_assert_cmpstr(workload->tenants->pdata[workload_vm(workload, 1)->tenant], ==, "guest");
	g_assert_cmpuint(workload_vm(workload, 1)->weight, ==, 400);
	g_assert_cmpint(workload->horizon_ns, ==, 4 * SECOND);
	for (guint i = 0; i < 4; i++) {
		gboolean there = i == 1 || i == 2;

		g_assert_cmpuint(sample_of(workload, 1, i)->use_ppm, ==, there ? SAMPLE_PPM / 2 : 0);
		g_assert_cmpuint(sample_of(workload, 1, i)->wakeups, ==, there ? 4 : 0);
	}
	workload->topology.n_cpus = 4;
	run("eevdf", workload, 1, &result);
	g_assert_cmpint(ABS(result.task[1].run_ns - SECOND), <, MS);
	g_assert_cmpint(result.window[1], ==, 0);
	engine_result_clear(&result);
}

static void part_of_it(void)
{
	g_autoptr(workload_auto) last = read_part(FOUR, 2, 0), first_vm = read_part(FOUR, 0, 1);

	g_assert_cmpint(last->horizon_ns, ==, 2 * SECOND);
	g_assert_cmpint(last->recorded_ns, ==, 4 * SECOND);
	g_assert_cmpuint(workload_task(last, 1)->n_samples, ==, 2);
	g_assert_cmpuint(first_vm->vms->len, ==, 1);
	g_assert_cmpstr(workload_vm(first_vm, 0)->name, ==, "busy");
}

/* What would be long to simulate is taken in part: five million wake-ups, and never less than 30 rounds. */
static void part_by_default(void)
{
	static const struct {
		guint wakeups, seconds, taken;
	} cases[] = { { 10, 0, 600 }, { 50000, 0, 100 }, { 1000000, 0, 30 }, { 50000, 300, 300 } };

	for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GString) text = g_string_new(HEADER HOST);
		g_autoptr(workload_auto) workload = NULL;

		for (guint t = 1001; t < 1801; t++)
			g_string_append_printf(text, "%u,vcpu,a,0,,100,0,0,0,1000000,1000,0,0,%u,,,,,\n", t,
					       cases[i].wakeups);
		workload = read_part(text->str, cases[i].seconds, 0);
		g_assert_cmpint(workload->horizon_ns, ==, cases[i].taken * SECOND);
		g_assert_cmpint(workload->recorded_ns, ==, 800 * SECOND);
	}
}

/* VMs that are all alike do not wake all at once, not even at first: with a CPU each for half of them most find one free. */
static void not_in_step(void)
{
	g_autoptr(GString) text = g_string_new(HEADER HOST);
	g_autoptr(workload_auto) workload = NULL;
	struct engine_result result;
	gint64 ready = 0;

	for (guint i = 0; i < 16; i++)
		g_string_append_printf(text, "1001,vcpu,vm-%u,0,,100,0,0,0,1000000,100000,0,0,10,10,,,,\n", i);
	workload = read_part(text->str, 0, 0);
	workload->topology.n_cpus = 8;
	run("eevdf", workload, 1, &result);
	for (guint i = 0; i < 16; i++)
		ready += result.task[i].ready_ns;
	g_assert_cmpint(ready, <, 16 * MS); /* in step it would be 1.5 s */
	engine_result_clear(&result);
}

/* A VM's percents are shared by its vCPUs; what was wished last counts. */
static void wishes(void)
{
	g_autoptr(workload_auto) workload = read_part(
		HEADER HOST
		"1001,vcpu,a,0,,100,0,0,0,1000000,1,1,0,1,1,,,,\n1001,vcpu,a,1,,100,0,0,0,1000000,1,1,0,1,1,,,,\n"
		"1002,vcpu,a,0,,200,50,40,20000,1000000,1,1,0,1,1,,,,\n"
		"1002,vcpu,a,1,,200,50,40,20000,1000000,1,1,0,1,1,,,,\n",
		0, 0);
	const struct workload_vm *vm = workload_vm(workload, 0);
	const struct task *task = workload_task(workload, 1);

	g_assert_cmpuint(vm->n_tasks, ==, 2);
	g_assert_cmpuint(vm->weight, ==, 200);
	g_assert_cmpint(vm->latency_ns, ==, 20 * MS);
	g_assert_cmpint(vm->limit_ns, ==, 25 * MS / 2);
	g_assert_cmpint(vm->limit_period_ns, ==, 50 * MS);
	g_assert_cmpint(task->period_ns, ==, 20 * MS);
	g_assert_cmpint(ABS(task->runtime_ns - 4 * MS), <, 20); /* a share has 20 bits */
}

static const struct lab_figure *figure(const struct lab_result *result, const char *name)
{
	for (guint i = 0; i < result->n_figures; i++)
		if (strcmp(result->figure[i].name, name) == 0)
			return &result->figure[i];
	return NULL;
}

/* evaluate: as --trace live does, from a file. */
static void evaluate(const char *text, const char *const *options, GPtrArray *notes, struct lab_result *result)
{
	g_autofree char *path = NULL;
	g_autoptr(GError) error = NULL;
	struct strategy_values values;
	const struct strategy_info *info = &scheduling_strategy_find("eevdf")->info;
	gpointer loaded;
	int fd = g_file_open_tmp("recorded-XXXXXX.csv", &path, &error);

	g_assert_no_error(error);
	close(fd);
	g_assert_true(g_file_set_contents(path, text, -1, NULL));
	loaded = lab_scheduling_family.load(path, options, notes, &error);
	g_assert_no_error(error);
	strategy_values_init(info, &values);
	memset(result, 0, sizeof(*result));
	g_assert_true(lab_scheduling_family.evaluate(loaded, info, &values, 1, LAB_WHOLE, result, &error));
	lab_scheduling_family.free(loaded);
	g_unlink(path);
}

static gboolean told(const GPtrArray *notes, const char *what)
{
	for (guint i = 0; i < notes->len; i++)
		if (strstr(notes->pdata[i], what))
			return TRUE;
	return FALSE;
}

static void known_figures(void)
{
	static const char *const live[] = { "jitter=10", "model=kernel", NULL };
	g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
	struct lab_result result;

	evaluate(FOUR, live, notes, &result);
	g_assert_true(result.has_score[SCORE_PERFORMANCE]);
	g_assert_cmpfloat(figure(&result, "delivered_share")->value, >, 0.999);
	g_assert_cmpfloat(ABS(figure(&result, "busy_share")->value - 1.1 / 2), <, 0.002);
	g_assert_true(figure(&result, "wakeup_p99_us")->present);
	g_assert_true(told(notes, "the last 4 of 4 s"));
	g_assert_false(told(notes, "not recorded"));
	lab_result_clear(&result);
}

/* One vCPU's wake-ups are unknown: nothing is said of latency; nor of performance, where somebody has a target. */
static void latency_unknown(void)
{
	static const char *const names[] = { "wakeup_p50_us", "wakeup_p99_us", "wakeup_p999_us", "wakeup_max_us" };
	g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
	struct lab_result result;

	evaluate(FOUR "1004.000100,vcpu,dark,0,,100,0,0,0,1000000,200000,0,0,,,,,,\n", NULL, notes, &result);
	g_assert_true(result.has_score[SCORE_PERFORMANCE]);
	for (guint i = 0; i < G_N_ELEMENTS(names); i++)
		g_assert_false(figure(&result, names[i])->present);
	g_assert_true(told(notes, "latency is null"));
	lab_result_clear(&result);
	evaluate(FOUR "1004.000100,vcpu,dark,0,,100,0,0,2000,1000000,200000,0,0,,,,,,\n", NULL, notes, &result);
	g_assert_false(result.has_score[SCORE_PERFORMANCE]);
	g_assert_false(figure(&result, "latency_class_p99_us")->present);
	g_assert_true(figure(&result, "delivered_share")->present);
	lab_result_clear(&result);
}

/* An idle vCPU's wake-ups tell nothing and are not missed. */
static void idle_unknown(void)
{
	g_autoptr(workload_auto) workload =
		read_part(FOUR "1004.000100,vcpu,idle,0,,100,0,0,0,1000000,0,0,0,,,,,,\n", 0, 0);

	g_assert_false(workload->no_wakeups);
	g_assert_cmpuint(workload->vms->len, ==, 3);
}

#define ROW(cells) HEADER HOST "1001,vcpu,a," cells "\n"

static void malformed(void)
{
	static const struct {
		const char *text, *told;
	} cases[] = {
		{ "", "is empty" },
		{ HEADER, "let VMs run" },
		{ HEADER HOST, "let VMs run" },
		{ HEADER "1001,vcpu,a,0,,100,0,0,0,1000000,1,1,0,1,1,,,,\n", "no host row" },
		{ "time_s,event,vm,vcpu\n", "the column tenant is missing" },
		{ HEADER "1000,host,,,,,,,,,,,,,,0,1,2,1\n", "line 2, column 16 (cpus): it is at least 1" },
		{ HEADER "1000,host,,,,,,,,,,,,,,9999,1,2,1\n", "line 2, column 16 (cpus)" },
		{ HEADER HOST "1001,disk,a,0,,100,0,0,0,1000000,1,1,0,1,1,,,,\n",
		  "line 3, column 2 (event): 'disk' is no event" },
		{ HEADER HOST "999,vcpu,a,0,,100,0,0,0,1000000,1,1,0,1,1,,,,\n",
		  "line 3, column 1 (time_s): before the row" },
		{ HEADER HOST "x,vcpu,a,0,,100,0,0,0,1000000,1,1,0,1,1,,,,\n", "line 3, column 1 (time_s)" },
		{ HEADER HOST "1001,vcpu,,0,,100,0,0,0,1000000,1,1,0,1,1,,,,\n", "line 3, column 3 (vm): a name" },
		{ ROW("256,,100,0,0,0,1000000,1,1,0,1,1,,,,"), "line 3, column 4 (vcpu)" },
		{ ROW("0,,0,0,0,0,1000000,1,1,0,1,1,,,,"), "line 3, column 6 (weight): it is at least 1" },
		{ ROW("0,,100,-1,0,0,1000000,1,1,0,1,1,,,,"), "line 3, column 7 (limit_percent)" },
		{ ROW("0,,100,0,99999,0,1000000,1,1,0,1,1,,,,"), "line 3, column 8 (reserve_percent)" },
		{ ROW("0,,100,0,0,0,0,1,1,0,1,1,,,,"), "line 3, column 10 (interval_us): it is at least 1000" },
		{ ROW("0,,100,0,0,0,1000000,,1,0,1,1,,,,"), "line 3, column 11 (run_us): nothing there" },
		{ ROW("0,,100,0,0,0,1000000,1,1,0,many,1,,,,"), "line 3, column 14 (wakeups)" },
		{ ROW("0,,100,0,0,0,1000000,1,1,0,1,1,,,"), "line 3" },
		{ ROW("0,,100,0,0,0,1000000,1,1,0,1,1,,,,,"), "line 3" },
		{ ROW("0,,100,0,0,0,1000000,1,1,0,1,1,,,,") "1001,vcpu,a,0,,100,0,0,0,1000000,1,1,0,1,1,,,,\n",
		  "line 4, column 4 (vcpu): vCPU 0 of a is there twice" },
	};

	for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
		const struct workload_part part = { 0 };
		g_autoptr(GError) error = NULL;
		g_autoptr(workload_auto) workload =
			workload_read_recorded(cases[i].text, strlen(cases[i].text), "test.csv", &part, &error);

		g_test_message("%s -> %s", cases[i].text, error ? error->message : "accepted");
		g_assert_null(workload);
		g_assert_error(error, LAB_ERROR, LAB_ERROR_INVALID);
		g_assert_nonnull(strstr(error->message, "test.csv"));
		g_assert_nonnull(strstr(error->message, cases[i].told));
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/lab/scheduling/recorded/rows", known_rows);
	g_test_add_func("/lab/scheduling/recorded/run", known_run);
	g_test_add_func("/lab/scheduling/recorded/contention", known_contention);
	g_test_add_func("/lab/scheduling/recorded/late", late_is_not_lost);
	g_test_add_func("/lab/scheduling/recorded/comes-and-goes", comes_and_goes);
	g_test_add_func("/lab/scheduling/recorded/part", part_of_it);
	g_test_add_func("/lab/scheduling/recorded/part-by-default", part_by_default);
	g_test_add_func("/lab/scheduling/recorded/not-in-step", not_in_step);
	g_test_add_func("/lab/scheduling/recorded/wishes", wishes);
	g_test_add_func("/lab/scheduling/recorded/figures", known_figures);
	g_test_add_func("/lab/scheduling/recorded/latency-unknown", latency_unknown);
	g_test_add_func("/lab/scheduling/recorded/idle-unknown", idle_unknown);
	g_test_add_func("/lab/scheduling/recorded/malformed", malformed);
	return g_test_run();
}
