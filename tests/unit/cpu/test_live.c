/* The drivers on this machine's own kernel, with real threads; and a kill -9 at every step of theirs. Groups have names of
 * their own, only threads of our own are touched, and what is made is removed, also when a test fails: tests run in a child, whose
 * own children end with it, and its parent sweeps the groups. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/cpu/cpu_private.h"
#include "tests/unit/cpu/world.h"

#define MS 1000000ll

struct fixture {
	char *run, *group;
	struct cpu *cpu;
	struct victim victim;
	struct cpu_target target;
	struct scheduling_knobs knobs[3];
	struct cpu_report report;
};

static struct cpu *open_cpu(struct fixture *f, const struct cpu_kernel *kernel)
{
	struct cpu_places places = { .run = f->run, .group = f->group, .kernel = kernel };

	return cpu_open(&places);
}

static void begin(struct fixture *f, gboolean busy)
{
	*f = (struct fixture) { .run = world_run("web"), .group = world_group() };
	f->cpu = open_cpu(f, NULL);
	victim_start(&f->victim, busy);
	f->target = (struct cpu_target) { "web", f->victim.pid, f->victim.tids + 1, 3 };
}

static void end(struct fixture *f)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *root = world_group_dir(f->cpu);

	cpu_clear(f->cpu, "web", &error);
	victim_end(&f->victim);
	g_assert_no_error(error);
	g_assert_false(root && g_file_test(root, G_FILE_TEST_EXISTS));
	cpu_close(f->cpu);
	world_remove(f->run);
	g_free(f->run);
	g_free(f->group);
}

static enum cpu_outcome apply(struct fixture *f)
{
	return cpu_apply(f->cpu, &f->target, f->knobs, 0, &f->report);
}

/* FALSE, and the test is skipped, where the host can't. */
static gboolean can(struct fixture *f, enum cpu_mechanism mechanism)
{
	if (cpu_describe(f->cpu, mechanism)->works)
		return TRUE;
	g_test_skip(cpu_describe(f->cpu, mechanism)->why);
	return FALSE;
}

static void expect_done(struct fixture *f, enum cpu_mechanism mechanism, guint n)
{
	g_test_message("%s: %u of %u %s", cpu_mechanism_name(mechanism), f->report.of[mechanism].enforced,
		       f->report.of[mechanism].wanted, f->report.of[mechanism].why);
	g_assert_cmpuint(f->report.of[mechanism].enforced, ==, n);
}

static struct cpu_attr attr_of(struct fixture *f, guint i)
{
	struct cpu_attr attr;

	g_assert_cmpint(cpu_kernel_linux.get_attr(NULL, f->target.vcpus[i], &attr), ==, 0);
	return attr;
}

static void test_describe(void)
{
	struct fixture f;

	begin(&f, FALSE);
	for (guint i = 0; i < CPU_N_MECHANISMS; i++) {
		const struct cpu_capability *capability = cpu_describe(f.cpu, i);

		g_test_message("%s: %s, %s", cpu_mechanism_name(i), capability->works ? "works" : "does not work",
			       capability->why);
		g_assert_true(capability->why[0]);
	}
	g_assert_true(cpu_describe(f.cpu, CPU_BATCH)->works);
	g_assert_true(cpu_describe(f.cpu, CPU_AFFINITY)->works);
	end(&f);
}

/* Run time of the vCPUs until all together got this much on their CPU. No wall time decides: only counts. */
static void run_for(struct fixture *f, guint64 total_ns, guint64 *got_ns)
{
	struct cpu_usage before[3], now[3];
	guint64 sum = 0;

	cpu_read(f->cpu, &f->target, before);
	while (sum < total_ns) {
		g_usleep(5000);
		g_assert_cmpuint(cpu_read(f->cpu, &f->target, now), ==, 3);
		sum = 0;
		for (guint i = 0; i < 3; i++) {
			got_ns[i] = now[i].run_ns - before[i].run_ns;
			sum += got_ns[i];
		}
	}
}

/* Two busy vCPUs of one CPU, weights 1 to 4; the third asks for little. */
static void test_shares(void)
{
	struct fixture f;
	guint64 got[3];
	double ratio;

	begin(&f, TRUE);
	if (can(&f, CPU_WEIGHT)) {
		f.knobs[0].weight = 100;
		f.knobs[1].weight = 400;
		f.knobs[2].weight = 1;
		for (guint i = 0; i < 3; i++)
			f.knobs[i].n_cpus = 1;
		g_assert_cmpint(apply(&f), ==, CPU_APPLIED);
		expect_done(&f, CPU_WEIGHT, 3);
		expect_done(&f, CPU_AFFINITY, 3);
		run_for(&f, 600 * MS, got);
		ratio = (double)got[1] / (double)got[0];
		g_test_message("weights 1:4 got 1:%.2f", ratio);
		g_assert_cmpfloat(ratio, >, 2);
		g_assert_cmpfloat(ratio, <, 8);
	}
	end(&f);
}

/* A hog in the batch class has its share beside one that is not. */
static void test_batch(void)
{
	struct fixture f;
	guint64 got[3];
	double ratio;

	begin(&f, TRUE);
	if (can(&f, CPU_WEIGHT)) {
		f.knobs[0] =
			(struct scheduling_knobs) { .policy = SCHEDULING_POLICY_BATCH, .weight = 100, .n_cpus = 1 };
		f.knobs[1] = (struct scheduling_knobs) { .weight = 100, .n_cpus = 1 };
		f.knobs[2] = (struct scheduling_knobs) { .weight = 1, .n_cpus = 1 };
		g_assert_cmpint(apply(&f), ==, CPU_APPLIED);
		expect_done(&f, CPU_BATCH, 1);
		g_assert_cmpuint(attr_of(&f, 0).policy, ==, CPU_POLICY_BATCH);
		run_for(&f, 400 * MS, got);
		ratio = (double)got[0] / (double)got[1];
		g_test_message("batch got %.2f of what the other got", ratio);
		g_assert_cmpfloat(ratio, >, 0.5);
		g_assert_cmpfloat(ratio, <, 2);
	}
	end(&f);
}

/* A limit of 20 % is kept by the thread it is for, and throttles no other. */
static void test_limit(void)
{
	struct fixture f;
	struct cpu_usage usage[3];
	guint64 got[3];

	begin(&f, TRUE);
	if (can(&f, CPU_LIMIT)) {
		f.knobs[0] = (struct scheduling_knobs) { .quota_ns = 4 * MS, .period_ns = 20 * MS, .n_cpus = 1 };
		f.knobs[1].n_cpus = 1;
		f.knobs[2].n_cpus = 1;
		g_assert_cmpint(apply(&f), ==, CPU_APPLIED);
		expect_done(&f, CPU_LIMIT, 1);
		run_for(&f, 600 * MS, got);
		cpu_read(f.cpu, &f.target, usage);
		g_test_message("limited to 20 %%: %.1f %% of the CPU's time", 100.0 * (double)got[0] / 600e6);
		g_assert_cmpuint(got[0], <, (got[0] + got[1] + got[2]) * 2 / 5);
		g_assert_cmpuint(usage[0].n_throttled, >, 0);
		g_assert_cmpuint(usage[1].n_throttled, ==, 0);
	}
	end(&f);
}

/* Where real-time groups have budgets, a FIFO thread is in the one that was given one; else in its own. */
static void expect_group_of_fifo(struct fixture *f, guint i)
{
	g_autofree char *group = cpu_group_of(f->cpu, f->victim.pid, f->target.vcpus[i]);
	g_autofree char *name = group ? g_path_get_basename(group) : NULL;
	g_autofree char *own = g_strdup_printf("web.vcpu%u", i);
	char text[64];

	if (!group)
		return;
	if (cpu_read_file(f->cpu, text, sizeof(text), "%s/cpu.rt_runtime_us", f->cpu->groups.base)) {
		g_assert_cmpstr(name, ==, own);
		return;
	}
	g_assert_cmpstr(name, ==, "fifo");
	g_assert_cmpint(cpu_read_file(f->cpu, text, sizeof(text), "%s/cpu.rt_runtime_us", group), ==, 0);
	g_assert_cmpint(atoi(text), >=, 1000);
}

/* Every policy on a thread of its own, changed into one another, and back to how it was. */
static void test_policies(void)
{
	struct fixture f;
	struct cpu_attr before, now;

	begin(&f, FALSE);
	before = attr_of(&f, 0);
	if (can(&f, CPU_FIFO) && can(&f, CPU_DEADLINE)) {
		for (guint round = 0; round < 3; round++) {
			f.knobs[round % 3] =
				(struct scheduling_knobs) { .policy = SCHEDULING_POLICY_FIFO, .priority = 2 };
			f.knobs[(round + 1) % 3] = (struct scheduling_knobs) { .policy = SCHEDULING_POLICY_DEADLINE,
									       .runtime_ns = MS,
									       .deadline_ns = 50 * MS,
									       .deadline_period_ns = 100 * MS };
			f.knobs[(round + 2) % 3] = (struct scheduling_knobs) { .slice_ns = 3 * MS, .weight = 50 };
			g_assert_cmpint(apply(&f), ==, CPU_APPLIED);
			expect_done(&f, CPU_FIFO, 1);
			expect_done(&f, CPU_DEADLINE, 1);
			now = attr_of(&f, round % 3);
			g_assert_cmpuint(now.policy, ==, CPU_POLICY_FIFO);
			g_assert_cmpuint(now.flags & CPU_ATTR_RESET_ON_FORK, ==, CPU_ATTR_RESET_ON_FORK);
			expect_group_of_fifo(&f, round % 3);
			now = attr_of(&f, (round + 1) % 3);
			g_assert_cmpuint(now.policy, ==, CPU_POLICY_DEADLINE);
			if (cpu_describe(f.cpu, CPU_SLICE)->works) {
				expect_done(&f, CPU_SLICE, 1);
				g_assert_cmpuint(attr_of(&f, (round + 2) % 3).runtime_ns, ==, 3 * MS);
			}
			g_assert_cmpint(apply(&f), ==, CPU_APPLIED);
			g_assert_cmpuint(f.report.n_writes, ==, 0);
			g_assert_cmpint(cpu_apply(f.cpu, &f.target, f.knobs, CPU_VERIFY, &f.report), ==, CPU_APPLIED);
			g_assert_cmpuint(f.report.n_writes, ==, 0);
		}
	}
	g_assert_true(cpu_clear(f.cpu, "web", NULL));
	for (guint i = 0; i < 3; i++) {
		now = attr_of(&f, i);
		g_assert_cmpmem(&now, sizeof(now), &before, sizeof(before));
	}
	end(&f);
}

/* A pinned reservation: the reservation is kept, the pin is not, and that is said. A greater one than the host has: refused. */
static void test_deadline_limits(void)
{
	struct fixture f;

	begin(&f, FALSE);
	if (can(&f, CPU_DEADLINE)) {
		f.knobs[0] = (struct scheduling_knobs) { .policy = SCHEDULING_POLICY_DEADLINE,
							 .runtime_ns = MS,
							 .deadline_ns = 100 * MS,
							 .deadline_period_ns = 100 * MS,
							 .n_cpus = 1 };
		g_assert_cmpint(apply(&f), ==, CPU_APPLIED);
		expect_done(&f, CPU_DEADLINE, 1);
		expect_done(&f, CPU_AFFINITY, 0);
		g_assert_nonnull(strstr(f.report.of[CPU_AFFINITY].why, "exclusive cpuset"));
		for (guint i = 0; i < 3; i++)
			f.knobs[i] = (struct scheduling_knobs) { .policy = SCHEDULING_POLICY_DEADLINE,
								 .runtime_ns = 100 * MS,
								 .deadline_ns = 100 * MS,
								 .deadline_period_ns = 100 * MS };
		g_assert_cmpint(apply(&f), ==, CPU_APPLIED);
		if (g_get_num_processors() < 4)
			g_assert_nonnull(strstr(f.report.of[CPU_DEADLINE].why, "left to reserve"));
	}
	end(&f);
}

/* Reservations that come and go, of threads asleep, leave the kernel as much to reserve as before. */
static void test_no_leak(void)
{
	struct fixture f;
	struct cpu_audit before, after;

	begin(&f, FALSE);
	if (can(&f, CPU_DEADLINE)) {
		g_assert_true(cpu_audit(f.cpu, &before));
		for (guint round = 0; round < 10; round++) {
			f.knobs[0] = (struct scheduling_knobs) { .policy = SCHEDULING_POLICY_DEADLINE,
								 .runtime_ns = 2 * MS,
								 .deadline_ns = 100 * MS,
								 .deadline_period_ns = 100 * MS };
			g_assert_cmpint(apply(&f), ==, CPU_APPLIED);
			expect_done(&f, CPU_DEADLINE, 1);
			f.knobs[0] = (struct scheduling_knobs) { 0 };
			g_assert_cmpint(apply(&f), ==, CPU_APPLIED);
		}
		g_assert_true(cpu_audit(f.cpu, &after));
		g_test_message("limit %" G_GINT64_FORMAT ", servers %" G_GINT64_FORMAT ", used %" G_GINT64_FORMAT
			       ", free %" G_GINT64_FORMAT " then %" G_GINT64_FORMAT ", leaked %" G_GINT64_FORMAT " ppm",
			       after.limit_ppm, after.server_ppm, after.used_ppm, before.free_ppm, after.free_ppm,
			       after.leaked_ppm);
		/* A leak would be 20,000 ppm each round. */
		g_assert_cmpint(ABS(after.free_ppm - before.free_ppm), <, 10000);
	}
	end(&f);
}

/* The audit shows what others leak: a sleeping thread that was demoted as it stood. Only where nobody else lives. */
static void test_leak_shown(void)
{
	struct fixture f;
	struct cpu_audit audit;
	struct cpu_attr deadline = { .size = sizeof(deadline),
				     .policy = CPU_POLICY_DEADLINE,
				     .runtime_ns = 20 * MS,
				     .deadline_ns = 100 * MS,
				     .period_ns = 100 * MS };
	struct cpu_attr other = { .size = sizeof(other) };

	begin(&f, FALSE);
	if (!g_getenv("POLDER_TEST_LEAK")) {
		g_test_skip("leaks what DEADLINE can reserve until the machine's next boot: set POLDER_TEST_LEAK=1");
	} else if (can(&f, CPU_DEADLINE)) {
		g_assert_cmpint(cpu_kernel_linux.set_attr(NULL, f.target.vcpus[0], &deadline), ==, 0);
		g_assert_true(cpu_audit(f.cpu, &audit));
		g_assert_cmpint(ABS(audit.used_ppm - 200000), <, 100);
		g_assert_cmpint(audit.leaked_ppm, ==, 0);
		g_usleep(300000); /* its own time must pass for it to sleep in the kernel's books too */
		g_assert_cmpint(cpu_kernel_linux.set_attr(NULL, f.target.vcpus[0], &other), ==, 0);
		g_assert_true(cpu_audit(f.cpu, &audit));
		g_test_message("leaked %" G_GINT64_FORMAT " ppm", audit.leaked_ppm);
		g_assert_cmpint(ABS(audit.leaked_ppm - 200000), <, 100);
	}
	end(&f);
}

static guint64 cookie_of(pid_t tid)
{
	unsigned long cookie = 0;

	g_assert_cmpint(prctl(62 /* PR_SCHED_CORE */, 0 /* GET */, tid, 0, &cookie), ==, 0);
	return cookie;
}

/* Two more VMs, of which one is to share cores with the first. */
static void check_cookies_of_vms(struct fixture *f)
{
	struct scheduling_knobs knobs[2][3] = { { { .cookie = 7 }, { .cookie = 7 }, { .cookie = 7 } },
						{ { .cookie = 9 }, { .cookie = 9 }, { .cookie = 9 } } };
	static const char *const names[] = { "db", "mail" };
	struct victim victims[2];
	pid_t first[2];

	for (guint v = 0; v < 2; v++) {
		g_autofree char *dir = g_build_filename(f->run, names[v], NULL);
		struct cpu_target target = { .vm = names[v], .n_vcpus = 3 };
		struct cpu_report report;

		g_mkdir_with_parents(dir, 0700);
		victim_start(&victims[v], FALSE);
		target.pid = victims[v].pid;
		target.vcpus = victims[v].tids + 1;
		first[v] = target.vcpus[0];
		g_assert_cmpint(cpu_apply(f->cpu, &target, knobs[v], 0, &report), ==, CPU_APPLIED);
		g_assert_cmpuint(cookie_of(target.vcpus[1]), ==, cookie_of(first[v]));
		g_assert_cmpuint(cookie_of(target.vcpus[2]), ==, cookie_of(first[v]));
	}
	g_assert_cmpuint(cookie_of(first[0]), ==, cookie_of(f->target.vcpus[0]));
	g_assert_cmpuint(cookie_of(first[1]), !=, cookie_of(f->target.vcpus[0]));
	g_assert_cmpuint(cookie_of(first[1]), !=, 0);
	for (guint v = 0; v < 2; v++) {
		g_assert_true(cpu_clear(f->cpu, names[v], NULL));
		g_assert_cmpuint(cookie_of(first[v]), ==, 0);
		victim_end(&victims[v]);
	}
}

/* Who may share a core: threads of one cookie have one and the same, others another; in the end, and ourselves, none. */
static void test_cookies(void)
{
	struct fixture f;

	begin(&f, FALSE);
	if (can(&f, CPU_COOKIE)) {
		f.knobs[0].cookie = f.knobs[2].cookie = 7;
		f.knobs[1].cookie = 8;
		g_assert_cmpint(apply(&f), ==, CPU_APPLIED);
		expect_done(&f, CPU_COOKIE, 3);
		g_assert_cmpuint(cookie_of(f.target.vcpus[0]), !=, 0);
		g_assert_cmpuint(cookie_of(f.target.vcpus[0]), ==, cookie_of(f.target.vcpus[2]));
		g_assert_cmpuint(cookie_of(f.target.vcpus[0]), !=, cookie_of(f.target.vcpus[1]));
		g_assert_cmpuint(cookie_of(f.victim.pid), ==, 0);
		g_assert_cmpuint(cookie_of(0), ==, 0);
		check_cookies_of_vms(&f);
		f.knobs[1].cookie = 0;
		g_assert_cmpint(apply(&f), ==, CPU_APPLIED);
		g_assert_cmpuint(cookie_of(f.target.vcpus[1]), ==, 0);
		g_assert_true(cpu_clear(f.cpu, "web", NULL));
		g_assert_cmpuint(cookie_of(f.target.vcpus[0]), ==, 0);
	}
	end(&f);
}

/* The VM dies while its plan is applied: said, and nothing left. */
static void test_dies(void)
{
	struct fixture f;

	begin(&f, FALSE);
	g_assert_cmpint(apply(&f), ==, CPU_APPLIED);
	victim_end(&f.victim);
	f.knobs[0].weight = 200;
	g_assert_cmpint(apply(&f), ==, CPU_VM_GONE);
	end(&f);
}

/* ---- kill -9 ---- */

/* A kernel that ends its caller before its n-th change. */
static gint64 deadly_left;

static void step(void)
{
	if (deadly_left-- == 0)
		kill(getpid(), SIGKILL);
}

static int deadly_make(void *data, const char *path)
{
	step();
	return cpu_kernel_linux.make_group(NULL, path);
}

static int deadly_remove(void *data, const char *path)
{
	step();
	return cpu_kernel_linux.remove_group(NULL, path);
}

static int deadly_write(void *data, const char *path, const char *text)
{
	step();
	return cpu_kernel_linux.write(NULL, path, text);
}

static int deadly_attr(void *data, pid_t tid, const struct cpu_attr *attr)
{
	step();
	return cpu_kernel_linux.set_attr(NULL, tid, attr);
}

static int deadly_affinity(void *data, pid_t tid, const struct cpu_mask *mask)
{
	step();
	return cpu_kernel_linux.set_affinity(NULL, tid, mask);
}

static void plan(struct fixture *f, guint round)
{
	const struct scheduling_knobs plans[] = {
		{ .policy = SCHEDULING_POLICY_FIFO, .priority = 1 },
		{ .policy = SCHEDULING_POLICY_DEADLINE,
		  .runtime_ns = MS,
		  .deadline_ns = 100 * MS,
		  .deadline_period_ns = 100 * MS },
		{ .weight = 300, .quota_ns = 50 * MS, .period_ns = 50 * MS, .slice_ns = 3 * MS, .n_cpus = 1 },
	};

	for (guint i = 0; i < 3; i++)
		f->knobs[i] = plans[(i + round) % 3];
}

/* Two plans and their end, killed before the change `at` (or, when at < 0, by its parent at any time). FALSE: it lived. */
static gboolean run_and_die(struct fixture *f, gint64 at, guint after_us)
{
	struct cpu_kernel deadly = cpu_kernel_linux;
	int status;
	pid_t child = fork();

	if (!child) {
		struct cpu *cpu;

		deadly.make_group = deadly_make;
		deadly.remove_group = deadly_remove;
		deadly.write = deadly_write;
		deadly.set_attr = deadly_attr;
		deadly.set_affinity = deadly_affinity;
		deadly_left = G_MAXINT64; /* not while it only looks */
		cpu = open_cpu(f, &deadly);
		deadly_left = at < 0 ? G_MAXINT64 : at;
		for (guint round = 0; round < 2; round++) {
			plan(f, round);
			cpu_apply(cpu, &f->target, f->knobs, 0, &f->report);
		}
		cpu_clear(cpu, "web", NULL);
		_exit(0);
	}
	if (at < 0) {
		g_usleep(after_us);
		kill(child, SIGKILL);
	}
	g_assert_cmpint(waitpid(child, &status, 0), ==, child);
	return WIFSIGNALED(status);
}

/* Repair, then the VM ends or lives on: its threads are as they were, and no group and no journal is left. */
static void repair_and_look(struct fixture *f, const struct cpu_attr *before, const struct cpu_mask *mask,
			    const char *home)
{
	struct cpu_repaired repaired;
	g_autofree char *journal = g_build_filename(f->run, "web", "cpu.journal", NULL);
	g_autoptr(GError) error = NULL;

	g_autofree char *text = NULL;
	gboolean half = g_file_get_contents(journal, &text, NULL, NULL) && strstr(text, "state applying");

	cpu_close(f->cpu);
	f->cpu = open_cpu(f, NULL);
	cpu_repair(f->cpu, &repaired);
	g_assert_cmpstr(repaired.why, ==, "");
	g_assert_cmpuint(repaired.undone, ==, half);
	g_assert_cmpuint(repaired.kept, ==, text && !half);
	if (repaired.kept) /* killed between two plans: it holds until it is removed */
		cpu_clear(f->cpu, "web", &error);
	g_assert_no_error(error);
	g_assert_false(g_file_test(journal, G_FILE_TEST_EXISTS));
	g_assert_false(f->cpu->groups.root && g_file_test(f->cpu->groups.root, G_FILE_TEST_EXISTS));
	for (guint i = 0; i < 3; i++) {
		struct cpu_attr now = attr_of(f, i);
		struct cpu_mask now_mask;
		g_autofree char *group = cpu_group_of(f->cpu, f->victim.pid, f->target.vcpus[i]);

		g_assert_cmpmem(&now, sizeof(now), before, sizeof(*before));
		g_assert_cmpint(cpu_kernel_linux.get_affinity(NULL, f->target.vcpus[i], &now_mask), ==, 0);
		g_assert_cmpmem(&now_mask, sizeof(now_mask), mask, sizeof(*mask));
		g_assert_cmpstr(group, ==, home);
	}
}

static void test_kill(void)
{
	struct fixture f;
	struct cpu_attr before;
	struct cpu_mask mask;
	g_autofree char *home = NULL;
	const char *kills = g_getenv("POLDER_TEST_KILLS");
	guint at, random_kills = kills ? (guint)atoi(kills) : g_getenv("POLDER_TEST_LONG") ? 2000 : 100;
	guint32 seed = g_getenv("POLDER_TEST_SEED") ? (guint32)atoi(g_getenv("POLDER_TEST_SEED")) : g_random_int();
	g_autoptr(GRand) rand = g_rand_new_with_seed(seed);

	begin(&f, FALSE);
	if (can(&f, CPU_FIFO) && can(&f, CPU_DEADLINE)) {
		before = attr_of(&f, 0);
		cpu_kernel_linux.get_affinity(NULL, f.target.vcpus[0], &mask);
		home = cpu_group_of(f.cpu, f.victim.pid, f.victim.pid);
		for (at = 0; run_and_die(&f, at, 0); at++)
			repair_and_look(&f, &before, &mask, home);
		g_test_message("killed before each of %u changes; then %u times at random, seed %u", at, random_kills,
			       seed);
		g_assert_cmpuint(at, >, 30);
		for (guint i = 0; i < random_kills; i++) {
			run_and_die(&f, -1, (guint)g_rand_int_range(rand, 0, 8000));
			repair_and_look(&f, &before, &mask, home);
		}
	}
	end(&f);
}

static int run_tests(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/cpu/live/describe", test_describe);
	g_test_add_func("/cpu/live/shares", test_shares);
	g_test_add_func("/cpu/live/batch", test_batch);
	g_test_add_func("/cpu/live/limit", test_limit);
	g_test_add_func("/cpu/live/policies", test_policies);
	g_test_add_func("/cpu/live/deadline-limits", test_deadline_limits);
	g_test_add_func("/cpu/live/no-leak", test_no_leak);
	g_test_add_func("/cpu/live/leak-shown", test_leak_shown);
	g_test_add_func("/cpu/live/cookies", test_cookies);
	g_test_add_func("/cpu/live/dies", test_dies);
	g_test_add_func("/cpu/live/kill", test_kill);
	return g_test_run();
}

/* Groups of tests that failed in between. */
static void sweep(pid_t of)
{
	for (guint i = 0; i < 32; i++) {
		g_autofree char *group = g_strdup_printf("polder-test-%d-%u", of, i);
		struct cpu_places places = { .run = "/nonexistent", .group = group };
		struct cpu *cpu = cpu_open(&places);
		struct cpu_repaired repaired;

		if (cpu->groups.root && g_file_test(cpu->groups.root, G_FILE_TEST_EXISTS))
			cpu_repair(cpu, &repaired);
		cpu_close(cpu);
	}
}

int main(int argc, char **argv)
{
	g_autofree char *lock = g_build_filename(g_get_tmp_dir(), "polder-test-cpu.lock", NULL);
	int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	int status = 0;
	pid_t child;

	/* What DEADLINE can reserve is the machine's: one such test at a time. The lock ends with us. */
	while (fd >= 0 && flock(fd, LOCK_EX) < 0 && errno == EINTR)
		;
	child = fork();
	if (!child)
		return run_tests(argc, argv);
	waitpid(child, &status, 0);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		sweep(child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
