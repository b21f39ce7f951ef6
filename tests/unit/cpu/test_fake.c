/* The drivers on a cgroup tree of our own making: v1 and v2, and everything a kernel can refuse. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "daemon/cpu/cpu_private.h"
#include "tests/unit/cpu/fake_fixture.h"
#include "tests/unit/cpu/world.h"

static void expect_file(struct fixture *f, const char *name, const char *wanted)
{
	g_autofree char *text = fake_file(&f->fake, "polder/%s", name);

	g_assert_cmpstr(text, ==, wanted);
}

static void expect_group(struct fixture *f, pid_t tid, const char *wanted)
{
	g_autofree char *group = fake_group_of(&f->fake, PID, tid);

	g_assert_cmpstr(group, ==, wanted);
}

static void test_layout(gconstpointer data)
{
	struct fixture f;
	gboolean v2 = GPOINTER_TO_INT(data);

	fixture_begin(&f, v2);
	f.knobs[0] = (struct scheduling_knobs) { .weight = 300, .quota_ns = 50000000, .period_ns = 100000000 };
	g_assert_cmpint(fixture_apply(&f, 0), ==, CPU_APPLIED);
	g_assert_cmpuint(f.report.n_writes, >, 0);
	expect_group(&f, PID, "/polder/web.io");
	expect_group(&f, PID + 1, "/polder/web.vcpu0");
	expect_group(&f, PID + 2, "/polder/web.vcpu1");
	expect_group(&f, PID + 3, "/polder/web.io");
	if (v2) {
		expect_file(&f, "cgroup.type", "threaded");
		expect_file(&f, "web.vcpu0/cgroup.type", "threaded");
		expect_file(&f, "web.vcpu0/cpu.weight", "300");
		expect_file(&f, "web.vcpu0/cpu.max", "50000 100000");
		expect_file(&f, "web.io/cpu.max", "max 100000");
		expect_file(&f, "cpu.weight", "500"); /* 300, 100 and the I/O's 100 */
	} else {
		expect_file(&f, "web.vcpu0/cpu.shares", "3072");
		expect_file(&f, "web.vcpu0/cpu.cfs_quota_us", "50000");
		expect_file(&f, "web.io/cpu.cfs_quota_us", "-1");
		expect_file(&f, "cpu.shares", "5120");
	}
	g_assert_cmpuint(f.report.of[CPU_WEIGHT].enforced, ==, 1);
	g_assert_cmpuint(f.report.of[CPU_LIMIT].enforced, ==, 1);
	/* The same again: nothing, also when looked at. */
	g_string_truncate(f.fake.log, 0);
	g_assert_cmpint(fixture_apply(&f, 0), ==, CPU_APPLIED);
	g_assert_cmpint(fixture_apply(&f, CPU_VERIFY), ==, CPU_APPLIED);
	g_assert_cmpuint(f.report.n_writes, ==, 0);
	g_assert_cmpstr(f.fake.log->str, ==, "");
	/* Back to defaults is a change as any other. */
	f.knobs[0] = (struct scheduling_knobs) { 0 };
	g_assert_cmpint(fixture_apply(&f, 0), ==, CPU_APPLIED);
	expect_file(&f, v2 ? "web.vcpu0/cpu.weight" : "web.vcpu0/cpu.shares", v2 ? "100" : "1024");
	g_assert_true(cpu_clear(f.cpu, "web", NULL));
	expect_group(&f, PID + 1, "/");
	expect_group(&f, PID + 3, "/");
	fixture_expect_nothing_left(&f);
	fixture_end(&f);
}

/* Someone else changes a value: verify puts it back and says it wrote. */
/* What a control loop does over and over costs a write a weight, and one for all. */
static void test_reweigh(void)
{
	struct fixture f;

	fixture_begin(&f, FALSE);
	for (guint i = 0; i < 2; i++)
		f.knobs[i] = (struct scheduling_knobs) { .weight = 100, .slice_ns = 3000000 };
	g_assert_cmpint(fixture_apply(&f, 0), ==, CPU_APPLIED);
	g_string_truncate(f.fake.log, 0);
	f.knobs[1].weight = 250;
	g_assert_cmpint(fixture_apply(&f, 0), ==, CPU_APPLIED);
	g_assert_cmpstr(f.fake.log->str, ==, "polder/web.vcpu1/cpu.shares=2560\npolder/cpu.shares=4608\n");
	g_assert_cmpuint(f.report.n_writes, ==, 2);
	g_assert_cmpuint(f.report.of[CPU_WEIGHT].enforced, ==, 2);
	/* One that is in the way is told as ever. */
	f.fake.fail_file = "cpu.shares";
	f.fake.fail_status = EACCES;
	f.knobs[0].weight = 50;
	g_assert_cmpint(fixture_apply(&f, 0), ==, CPU_APPLIED);
	g_assert_cmpuint(f.report.of[CPU_WEIGHT].enforced, ==, 1);
	g_assert_nonnull(strstr(f.report.of[CPU_WEIGHT].why, "Permission denied"));
	f.fake.fail_file = NULL;
	g_assert_cmpint(fixture_apply(&f, CPU_VERIFY), ==, CPU_APPLIED);
	expect_file(&f, "web.vcpu0/cpu.shares", "512");
	fixture_end(&f);
}

static void test_verify(void)
{
	struct fixture f;

	fixture_begin(&f, TRUE);
	f.knobs[0].weight = 300;
	fixture_apply(&f, 0);
	g_autofree char *path = g_build_filename(f.cpu->groups.root, "web.vcpu0", "cpu.weight", NULL);
	f.fake.kernel.write(&f.fake, path, "7");
	fixture_apply(&f, CPU_VERIFY);
	expect_file(&f, "web.vcpu0/cpu.weight", "300");
	g_assert_cmpuint(f.report.n_writes, >=, 1);
	g_assert_true(cpu_clear(f.cpu, "web", NULL));
	fixture_end(&f);
}

static void test_arithmetic(void)
{
	gint64 quota, period;

	g_assert_cmpuint(cpu_shares_from_weight(100), ==, 1024);
	g_assert_cmpuint(cpu_shares_from_weight(1), ==, 10);
	g_assert_cmpuint(cpu_shares_from_weight(0), ==, 10);
	g_assert_cmpuint(cpu_shares_from_weight(10000), ==, 102400);
	g_assert_cmpuint(cpu_shares_from_weight(G_MAXUINT64), ==, 102400);
	g_assert_cmpuint(cpu_weight_from_shares(2), ==, 1);
	g_assert_cmpuint(cpu_weight_from_shares(262144), ==, 10000);
	for (guint64 weight = 1; weight <= 10000; weight++)
		g_assert_cmpuint(cpu_weight_from_shares(cpu_shares_from_weight(weight)), ==, weight);
	g_assert_true(cpu_limit_fit(50000000, 100000000, &quota, &period));
	g_assert_cmpint(quota, ==, 50000);
	g_assert_cmpint(period, ==, 100000);
	g_assert_true(cpu_limit_fit(200000, 1000000, &quota, &period)); /* 20 % of 1 ms: longer, same ratio */
	g_assert_cmpint(quota, ==, 1000);
	g_assert_cmpint(period, ==, 5000);
	g_assert_true(cpu_limit_fit(5000000000, 10000000000, &quota, &period)); /* 10 s: 1 s */
	g_assert_cmpint(quota, ==, 500000);
	g_assert_cmpint(period, ==, 1000000);
	g_assert_false(cpu_limit_fit(1000, 100000000, &quota, &period)); /* 0.001 %: the least is 0.1 % */
	g_assert_cmpint(quota, ==, 1000);
	g_assert_cmpint(period, ==, 1000000);
}

/* Values outside the kernel's: the nearest, and said. */
static void test_out_of_range(gconstpointer data)
{
	struct fixture f;
	gboolean v2 = GPOINTER_TO_INT(data);

	fixture_begin(&f, v2);
	f.knobs[0] =
		(struct scheduling_knobs) { .weight = 4000000, .quota_ns = 100, .period_ns = 100000000, .slice_ns = 1 };
	f.knobs[1] = (struct scheduling_knobs) { .quota_ns = -5, .period_ns = 0 };
	g_assert_cmpint(fixture_apply(&f, 0), ==, CPU_APPLIED);
	expect_file(&f, v2 ? "web.vcpu0/cpu.weight" : "web.vcpu0/cpu.shares", v2 ? "10000" : "102400");
	expect_file(&f, v2 ? "web.vcpu0/cpu.max" : "web.vcpu0/cpu.cfs_period_us", v2 ? "1000 1000000" : "1000000");
	g_assert_nonnull(strstr(f.report.of[CPU_WEIGHT].why, "became 10000"));
	g_assert_nonnull(strstr(f.report.of[CPU_LIMIT].why, "0.1 %"));
	g_assert_nonnull(strstr(f.report.of[CPU_SLICE].why, "100 µs"));
	g_assert_cmpuint(f.report.of[CPU_LIMIT].wanted, ==, 2);
	g_assert_cmpuint(f.report.of[CPU_LIMIT].enforced, ==, 1);
	g_assert_true(cpu_clear(f.cpu, "web", NULL));
	fixture_expect_nothing_left(&f);
	fixture_end(&f);
}

/* Each refusal of the kernel is said and nothing else fails. */
static void test_refusals(gconstpointer data)
{
	static const struct {
		const char *v1, *v2;
		int status;
		enum cpu_mechanism mechanism;
	} cases[] = {
		{ "web.vcpu0/cpu.shares", "web.vcpu0/cpu.weight", EINVAL, CPU_WEIGHT },
		{ "web.vcpu0/cpu.shares", "web.vcpu0/cpu.weight", EROFS, CPU_WEIGHT },
		{ "web.vcpu0/cpu.cfs_quota_us", "web.vcpu0/cpu.max", EINVAL, CPU_LIMIT },
		{ "web.vcpu0/cpu.cfs_quota_us", "web.vcpu0/cpu.max", ENOENT, CPU_LIMIT },
		{ "web.vcpu0/tasks", "web.vcpu0/cgroup.threads", EACCES, CPU_WEIGHT },
	};
	gboolean v2 = GPOINTER_TO_INT(data);

	for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct fixture f;

		fixture_begin(&f, v2);
		f.fake.fail_file = v2 ? cases[i].v2 : cases[i].v1;
		f.fake.fail_status = cases[i].status;
		f.knobs[0] = (struct scheduling_knobs) {
			.weight = 300, .quota_ns = 50000000, .period_ns = 100000000, .slice_ns = 3000000
		};
		g_assert_cmpint(fixture_apply(&f, 0), ==, CPU_APPLIED);
		g_assert_cmpuint(f.report.of[cases[i].mechanism].wanted, ==, 1);
		g_assert_cmpuint(f.report.of[cases[i].mechanism].enforced, ==, 0);
		g_assert_nonnull(strstr(f.report.of[cases[i].mechanism].why, g_strerror(cases[i].status)));
		g_assert_cmpuint(f.report.of[CPU_SLICE].enforced, ==, 1);
		f.fake.fail_file = NULL;
		g_assert_true(cpu_clear(f.cpu, "web", NULL));
		fixture_expect_nothing_left(&f);
		fixture_end(&f);
	}
}

/* No groups at all: the thread's own knobs hold, the rest is said. */
static void test_no_groups(void)
{
	struct fixture f;

	fixture_begin_with(&f, TRUE, "hugetlb\n");
	g_assert_false(cpu_describe(f.cpu, CPU_WEIGHT)->works);
	g_assert_nonnull(strstr(cpu_describe(f.cpu, CPU_WEIGHT)->why, "no cpu controller"));
	f.knobs[0] = (struct scheduling_knobs) { .weight = 300, .slice_ns = 3000000, .first_cpu = 2, .n_cpus = 2 };
	g_assert_cmpint(fixture_apply(&f, 0), ==, CPU_APPLIED);
	g_assert_cmpuint(f.report.of[CPU_WEIGHT].enforced, ==, 0);
	g_assert_nonnull(strstr(f.report.of[CPU_WEIGHT].why, "no cpu controller"));
	g_assert_cmpuint(f.report.of[CPU_SLICE].enforced, ==, 1);
	g_assert_cmpuint(f.report.of[CPU_AFFINITY].enforced, ==, 1);
	g_assert_true(cpu_clear(f.cpu, "web", NULL));
	fixture_expect_nothing_left(&f);
	fixture_end(&f);
}

static void test_read_only(gconstpointer data)
{
	struct fixture f;

	fixture_begin(&f, GPOINTER_TO_INT(data));
	f.fake.make_status = EROFS;
	f.knobs[0] = (struct scheduling_knobs) { .weight = 300, .quota_ns = 50000000, .period_ns = 100000000 };
	g_assert_cmpint(fixture_apply(&f, 0), ==, CPU_APPLIED);
	g_assert_cmpuint(f.report.of[CPU_WEIGHT].enforced, ==, 0);
	g_assert_nonnull(strstr(f.report.of[CPU_WEIGHT].why, g_strerror(EROFS)));
	g_assert_true(cpu_clear(f.cpu, "web", NULL));
	fixture_expect_nothing_left(&f);
	fixture_end(&f);
}

/* v2: the kernel refuses our children the controller. */
static void test_busy_base(void)
{
	struct fixture f;

	fixture_begin(&f, TRUE);
	f.fake.fail_file = "cgroup/cgroup.subtree_control";
	f.fake.fail_status = EBUSY;
	f.knobs[0].weight = 300;
	g_assert_cmpint(fixture_apply(&f, 0), ==, CPU_APPLIED);
	g_assert_nonnull(strstr(f.report.of[CPU_WEIGHT].why, "Delegate=yes"));
	f.fake.fail_file = NULL;
	g_assert_true(cpu_clear(f.cpu, "web", NULL));
	fixture_expect_nothing_left(&f);
	fixture_end(&f);
}

/* A vCPU that is gone, before and during. */
static void test_gone(void)
{
	struct fixture f;

	fixture_begin(&f, TRUE);
	fake_thread_ends(&f.fake, PID, PID + 2);
	g_assert_cmpint(fixture_apply(&f, 0), ==, CPU_VM_GONE);
	g_assert_true(cpu_clear(f.cpu, "web", NULL));
	fixture_expect_nothing_left(&f);
	fixture_end(&f);

	fixture_begin(&f, TRUE);
	g_assert_cmpint(fixture_apply(&f, 0), ==, CPU_APPLIED);
	fake_thread_ends(&f.fake, PID, PID + 2);
	f.knobs[1].weight = 200;
	g_assert_cmpint(fixture_apply(&f, 0), ==, CPU_VM_GONE);
	for (pid_t tid = PID; tid < PID + 4; tid++)
		fake_thread_ends(&f.fake, PID, tid);
	g_assert_true(cpu_clear(f.cpu, "web", NULL));
	fixture_expect_nothing_left(&f);
	fixture_end(&f);
}

/* DEADLINE left: shrunk to nothing first, always. Refused: said, and the thread as it was. */
static void test_deadline(void)
{
	struct fixture f;

	fixture_begin(&f, TRUE);
	f.knobs[0] = (struct scheduling_knobs) { .policy = SCHEDULING_POLICY_DEADLINE,
						 .runtime_ns = 10000000,
						 .deadline_ns = 50000000,
						 .deadline_period_ns = 100000000,
						 .n_cpus = 1 };
	fixture_apply(&f, 0);
	g_assert_cmpuint(f.report.of[CPU_DEADLINE].enforced, ==, 1);
	g_assert_cmpuint(f.report.of[CPU_AFFINITY].enforced, ==, 0);
	g_assert_nonnull(strstr(f.report.of[CPU_AFFINITY].why, "exclusive cpuset"));
	g_string_truncate(f.fake.log, 0);
	f.knobs[0] = (struct scheduling_knobs) { 0 };
	fixture_apply(&f, 0);
	g_assert_nonnull(strstr(f.fake.log->str, "attr 1001 policy 6 runtime 1024\nattr 1001 policy 0 runtime 0\n"));
	f.fake.deadline_status = EBUSY;
	f.knobs[0].policy = SCHEDULING_POLICY_DEADLINE;
	f.knobs[0].runtime_ns = 10000000;
	f.knobs[0].deadline_period_ns = 100000000;
	g_assert_cmpint(fixture_apply(&f, 0), ==, CPU_APPLIED);
	g_assert_nonnull(strstr(f.report.of[CPU_DEADLINE].why, "left to reserve"));
	f.fake.deadline_status = 0;
	g_assert_true(cpu_clear(f.cpu, "web", NULL));
	fixture_expect_nothing_left(&f);
	fixture_end(&f);
}

/* Threads of one cookie share it, also across VMs; without it, none. */
static void test_cookies(void)
{
	static const pid_t others[] = { 2001 };
	struct fixture f;
	struct cpu_target other = { "db", 2000, others, 1 };
	struct scheduling_knobs knobs = { .cookie = 5 };
	struct cpu_report report;
	g_autofree char *dir = NULL;

	fixture_begin(&f, TRUE);
	dir = g_build_filename(f.run, "db", NULL);
	g_mkdir_with_parents(dir, 0700);
	fake_process(&f.fake, 2000, 2, "/");
	f.knobs[0].cookie = 5;
	f.knobs[1].cookie = 6;
	fixture_apply(&f, 0);
	g_assert_cmpint(cpu_apply(f.cpu, &other, &knobs, 0, &report), ==, CPU_APPLIED);
	g_assert_cmpuint(report.of[CPU_COOKIE].enforced, ==, 1);
	g_assert_true(g_hash_table_lookup(f.fake.cookies, GINT_TO_POINTER(2001)) ==
		      g_hash_table_lookup(f.fake.cookies, GINT_TO_POINTER(PID + 1)));
	g_assert_true(g_hash_table_lookup(f.fake.cookies, GINT_TO_POINTER(2001)) !=
		      g_hash_table_lookup(f.fake.cookies, GINT_TO_POINTER(PID + 2)));
	g_assert_true(cpu_clear(f.cpu, "web", NULL));
	g_assert_null(g_hash_table_lookup(f.fake.cookies, GINT_TO_POINTER(PID + 1)));
	g_assert_true(cpu_clear(f.cpu, "db", NULL));
	fixture_expect_nothing_left(&f);
	f.fake.core_status = EINVAL;
	g_assert_cmpint(fixture_apply(&f, 0), ==, CPU_APPLIED);
	g_assert_nonnull(strstr(f.report.of[CPU_COOKIE].why, "no core scheduling"));
	g_assert_true(cpu_clear(f.cpu, "web", NULL));
	fixture_end(&f);
}

/* An old kernel takes a slice and forgets it. */
static void test_no_slice(void)
{
	struct fixture f;

	fixture_begin(&f, TRUE);
	fixture_end(&f);
	fake_init(&f.fake, TRUE, "cpu\n");
	f.fake.no_slice = TRUE;
	f.run = world_run("web");
	fake_process(&f.fake, PID, 4, "/");
	f.cpu = fake_open(&f.fake, f.run);
	g_assert_false(cpu_describe(f.cpu, CPU_SLICE)->works);
	f.knobs[0].slice_ns = 3000000;
	fixture_apply(&f, 0);
	g_assert_cmpuint(f.report.of[CPU_SLICE].enforced, ==, 0);
	g_assert_nonnull(strstr(f.report.of[CPU_SLICE].why, "6.12"));
	cpu_apply(f.cpu, &f.target, f.knobs, CPU_VERIFY, &f.report);
	g_assert_cmpuint(f.report.n_writes, ==, 0);
	g_assert_true(cpu_clear(f.cpu, "web", NULL));
	fixture_end(&f);
}

static void test_read(gconstpointer data)
{
	struct fixture f;
	struct cpu_usage usage[2];

	fixture_begin(&f, GPOINTER_TO_INT(data));
	fixture_apply(&f, 0);
	fake_thread_ends(&f.fake, PID, PID + 2);
	g_assert_cmpuint(cpu_read(f.cpu, &f.target, usage), ==, 1);
	g_assert_cmpuint(usage[0].run_ns, ==, 1000);
	g_assert_cmpuint(usage[0].ready_ns, ==, 2000);
	g_assert_cmpuint(usage[0].n_throttled, ==, 3);
	g_assert_cmpuint(usage[0].throttled_ns, ==, 4000);
	g_assert_true(usage[0].was_read && usage[0].has_switches);
	g_assert_cmpuint(usage[0].wakeups, ==, 30);
	g_assert_cmpuint(usage[0].switches, ==, 37);
	g_assert_cmpuint(usage[1].run_ns, ==, 0);
	g_assert_false(usage[1].was_read);
	g_assert_true(cpu_clear(f.cpu, "web", NULL));
	fixture_end(&f);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	for (int v2 = 0; v2 < 2; v2++) {
		const struct {
			const char *name;
			GTestDataFunc run;
		} tests[] = { { "layout", test_layout },
			      { "out-of-range", test_out_of_range },
			      { "refusals", test_refusals },
			      { "read-only", test_read_only },
			      { "read", test_read } };

		for (guint i = 0; i < G_N_ELEMENTS(tests); i++) {
			g_autofree char *path = g_strdup_printf("/cpu/v%d/%s", v2 + 1, tests[i].name);

			g_test_add_data_func(path, GINT_TO_POINTER(v2), tests[i].run);
		}
	}
	g_test_add_func("/cpu/fake/reweigh", test_reweigh);
	g_test_add_func("/cpu/arithmetic", test_arithmetic);
	g_test_add_func("/cpu/verify", test_verify);
	g_test_add_func("/cpu/no-groups", test_no_groups);
	g_test_add_func("/cpu/busy-base", test_busy_base);
	g_test_add_func("/cpu/gone", test_gone);
	g_test_add_func("/cpu/deadline", test_deadline);
	g_test_add_func("/cpu/cookies", test_cookies);
	g_test_add_func("/cpu/no-slice", test_no_slice);
	return g_test_run();
}
