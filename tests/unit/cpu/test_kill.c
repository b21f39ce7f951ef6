/* A kill -9 before every change that the drivers make to this machine's kernel, and at any time: repaired at the next start. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/cpu/cpu_private.h"
#include "tests/unit/cpu/live.h"

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

static void plan(struct live *f, guint round)
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
static gboolean run_and_die(struct live *f, gint64 at, guint after_us)
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
		cpu = live_open_cpu(f, &deadly);
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
static void repair_and_look(struct live *f, const struct cpu_attr *before, const struct cpu_mask *mask,
			    const char *home)
{
	struct cpu_repaired repaired;
	g_autofree char *journal = g_build_filename(f->run, "web", "cpu.journal", NULL);
	g_autoptr(GError) error = NULL;

	g_autofree char *text = NULL;
	gboolean half = g_file_get_contents(journal, &text, NULL, NULL) && strstr(text, "state applying");

	cpu_close(f->cpu);
	f->cpu = live_open_cpu(f, NULL);
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
		struct cpu_attr now = live_attr_of(f, i);
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
	struct live f;
	struct cpu_attr before;
	struct cpu_mask mask;
	g_autofree char *home = NULL;
	const char *kills = g_getenv("POLDER_TEST_KILLS");
	guint at, random_kills = kills ? (guint)atoi(kills) : g_getenv("POLDER_TEST_LONG") ? 2000 : 100;
	guint32 seed = g_getenv("POLDER_TEST_SEED") ? (guint32)atoi(g_getenv("POLDER_TEST_SEED")) : g_random_int();
	g_autoptr(GRand) rand = g_rand_new_with_seed(seed);

	live_begin(&f, FALSE);
	if (live_can(&f, CPU_FIFO) && live_can(&f, CPU_DEADLINE)) {
		before = live_attr_of(&f, 0);
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
	live_end(&f);
}

static void add_tests(void)
{
	g_test_add_func("/cpu/kill", test_kill);
}

int main(int argc, char **argv)
{
	return live_main(argc, argv, add_tests);
}
