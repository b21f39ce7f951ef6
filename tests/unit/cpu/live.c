#include "tests/unit/cpu/live.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/cpu/cpu_private.h"

struct cpu *live_open_cpu(struct live *f, const struct cpu_kernel *kernel)
{
	struct cpu_places places = { .run = f->run, .group = f->group, .kernel = kernel };

	return cpu_open(&places);
}

void live_begin(struct live *f, gboolean busy)
{
	*f = (struct live) { .run = world_run("web"), .group = world_group() };
	f->cpu = live_open_cpu(f, NULL);
	victim_start(&f->victim, busy);
	f->target = (struct cpu_target) { "web", f->victim.pid, f->victim.tids + 1, 3 };
}

void live_end(struct live *f)
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

enum cpu_outcome live_apply(struct live *f)
{
	return cpu_apply(f->cpu, &f->target, f->knobs, 0, &f->report);
}

gboolean live_can(struct live *f, enum cpu_mechanism mechanism)
{
	if (cpu_describe(f->cpu, mechanism)->works)
		return TRUE;
	g_test_skip(cpu_describe(f->cpu, mechanism)->why);
	return FALSE;
}

struct cpu_attr live_attr_of(struct live *f, guint i)
{
	struct cpu_attr attr;

	g_assert_cmpint(cpu_kernel_linux.get_attr(NULL, f->target.vcpus[i], &attr), ==, 0);
	return attr;
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

int live_main(int argc, char **argv, void (*add_tests)(void))
{
	g_autofree char *lock = g_build_filename(g_get_tmp_dir(), "polder-test-cpu.lock", NULL);
	int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	int status = 0;
	pid_t child;

	/* What DEADLINE can reserve is the machine's: one such test at a time. The lock ends with us. */
	while (fd >= 0 && flock(fd, LOCK_EX) < 0 && errno == EINTR)
		;
	child = fork();
	if (!child) {
		g_test_init(&argc, &argv, NULL);
		add_tests();
		return g_test_run();
	}
	waitpid(child, &status, 0);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		sweep(child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
