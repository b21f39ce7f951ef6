/* What is written down before the kernel is touched: refused when it can't be, taken over, repaired after. */
#include <glib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/cpu/cpu_private.h"
#include "tests/unit/cpu/fake_fixture.h"

/* The journal can't be written: nothing at all is changed. */
static void test_no_journal(void)
{
	struct fixture f;

	fixture_begin(&f, TRUE);
	f.target.vm = "elsewhere"; /* has no run directory */
	f.knobs[0] = (struct scheduling_knobs) { .weight = 300, .policy = SCHEDULING_POLICY_FIFO, .priority = 3 };
	g_assert_cmpint(fixture_apply(&f, 0), ==, CPU_NOT_APPLIED);
	g_assert_cmpstr(f.fake.log->str, ==, "");
	g_assert_nonnull(strstr(f.report.of[CPU_WEIGHT].why, "journal"));
	g_assert_nonnull(strstr(f.report.of[CPU_FIFO].why, "journal"));
	f.target.vm = "../web";
	g_assert_cmpint(fixture_apply(&f, 0), ==, CPU_NOT_APPLIED);
	fixture_end(&f);
}

/* A new process of ours takes over what the last one applied, and knows how it was before. */
static void test_adopt(gconstpointer data)
{
	struct fixture f;
	struct cpu_repaired repaired;
	struct cpu_attr attr;

	fixture_begin(&f, GPOINTER_TO_INT(data));
	f.knobs[0] = (struct scheduling_knobs) { .weight = 300, .slice_ns = 3000000, .first_cpu = 1, .n_cpus = 1 };
	f.knobs[1] = (struct scheduling_knobs) { .policy = SCHEDULING_POLICY_BATCH };
	fixture_apply(&f, 0);
	cpu_close(f.cpu);
	f.cpu = fake_open(&f.fake, f.run);
	cpu_repair(f.cpu, &repaired);
	g_assert_cmpuint(repaired.kept, ==, 1);
	g_assert_cmpuint(repaired.undone + repaired.failed + repaired.orphans, ==, 0);
	g_assert_cmpint(fixture_apply(&f, 0), ==, CPU_APPLIED);
	g_assert_cmpuint(f.report.n_writes, ==, 0);
	g_assert_true(cpu_clear(f.cpu, "web", NULL));
	f.fake.kernel.get_attr(&f.fake, PID + 1, &attr);
	g_assert_cmpuint(attr.runtime_ns, ==, 1400000);
	f.fake.kernel.get_attr(&f.fake, PID + 2, &attr);
	g_assert_cmpuint(attr.policy, ==, CPU_POLICY_OTHER);
	fixture_expect_nothing_left(&f);
	fixture_end(&f);
}

/* Gone VMs, damaged journals, groups nobody owns. */
static void test_repair(void)
{
	struct fixture f;
	struct cpu_repaired repaired;
	g_autofree char *journal = NULL, *orphan = NULL;

	fixture_begin(&f, TRUE);
	fixture_apply(&f, 0);
	orphan = g_build_filename(f.cpu->groups.root, "old.vcpu0", NULL);
	f.fake.kernel.make_group(&f.fake, orphan);
	for (pid_t tid = PID; tid < PID + 4; tid++)
		fake_thread_ends(&f.fake, PID, tid);
	cpu_close(f.cpu);
	f.cpu = fake_open(&f.fake, f.run);
	cpu_repair(f.cpu, &repaired);
	g_assert_cmpuint(repaired.undone, ==, 1);
	g_assert_cmpuint(repaired.orphans, ==, 1);
	fixture_expect_nothing_left(&f);
	journal = g_build_filename(f.run, "web", "cpu.journal", NULL);
	g_assert_true(g_file_set_contents(journal, "polder-cpu 1\nprocess 5 x", -1, NULL));
	cpu_repair(f.cpu, &repaired);
	g_assert_cmpuint(repaired.failed, ==, 1);
	g_assert_nonnull(strstr(repaired.why, "damaged"));
	/* A link is none of ours, wherever it leads. */
	unlink(journal);
	g_assert_cmpint(symlink("/proc/self/mountinfo", journal), ==, 0);
	cpu_repair(f.cpu, &repaired);
	g_assert_cmpuint(repaired.failed, ==, 1);
	g_assert_nonnull(strstr(repaired.why, "damaged"));
	fixture_end(&f);
}

static void test_parsers(void)
{
	static const char *const bad[] = {
		"",
		"polder-cpu 2\nend\n",
		"polder-cpu 1\nprocess 5 5\nstate applied\n",
		"polder-cpu 1\nprocess -5 5\nstate applied\nend\n",
		"polder-cpu 1\nprocess 5 5\ngroups 99999\nstate applied\nend\n",
		"polder-cpu 1\nprocess 5 5\nthread 1 2 3\nstate applied\nend\n",
		"polder-cpu 1\nprocess 5 5\nthread 1 2 0 0 0 0 0 0 0 0 xyz\nstate applied\nend\n",
		"polder-cpu 1\nprocess 5 5\nwhat\nstate applied\nend\n"
	};
	struct cpu_vm *vm;
	struct cpu_groups groups = { 0 };

	for (guint i = 0; i < G_N_ELEMENTS(bad); i++)
		g_assert_null(cpu_journal_parse("web", bad[i]));
	vm = cpu_journal_parse("web", "polder-cpu 1\nprocess 5 6\ngroups 1\nhome /sys/fs/cgroup/a b\n"
				      "thread 7 8 0 -5 0 1 1400000 0 0 1 3,ff\nstate applying\nend\n");
	g_assert_nonnull(vm);
	g_assert_cmpstr(vm->home, ==, "/sys/fs/cgroup/a b");
	g_assert_cmpint(vm->threads[0].attr.nice, ==, -5);
	g_assert_cmpuint(vm->threads[0].mask.bits[1], ==, 0xff);
	g_assert_true(vm->half);
	cpu_vm_free(vm);

	/* v1's cpu and cpuset together, in a container that sees a part, at a path with a space; v2 beside it. */
	cpu_mounts_find("30 1 0:30 /docker/x /sys/a\\040b rw shared:1 master:2 - cgroup cgroup rw,cpu,cpuset\n"
			"31 1 0:31 / /sys/u rw - cgroup2 cgroup2 rw\nnonsense\n1 2 3 - x\n",
			"5:cpuset,cpu:/docker/x/y\n0::/z\n", &groups);
	g_assert_cmpint(groups.kind, ==, CPU_GROUPS_V1);
	g_assert_true(groups.with_cpuset);
	g_assert_cmpstr(groups.base, ==, "/sys/a b/y");
	g_free(groups.mount);
	g_free(groups.mount_root);
	g_free(groups.base);
	groups = (struct cpu_groups) { 0 };
	cpu_mounts_find("31 1 0:31 / /sys/u ro - cgroup2 cgroup2 rw\n", "0::/z\n", &groups);
	g_assert_cmpint(groups.kind, ==, CPU_GROUPS_NONE);
	g_assert_nonnull(strstr(groups.why, "read-only"));
	groups = (struct cpu_groups) { 0 };
	cpu_mounts_find("", "", &groups);
	g_assert_cmpint(groups.kind, ==, CPU_GROUPS_NONE);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/cpu/journal/refused", test_no_journal);
	g_test_add_data_func("/cpu/journal/adopt-v1", GINT_TO_POINTER(FALSE), test_adopt);
	g_test_add_data_func("/cpu/journal/adopt-v2", GINT_TO_POINTER(TRUE), test_adopt);
	g_test_add_func("/cpu/journal/repair", test_repair);
	g_test_add_func("/cpu/journal/parsers", test_parsers);
	return g_test_run();
}
