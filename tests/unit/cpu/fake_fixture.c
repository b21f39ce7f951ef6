#include "tests/unit/cpu/fake_fixture.h"

#include <string.h>

#include "tests/unit/cpu/world.h"

static const pid_t vcpus[] = { PID + 1, PID + 2 };

void fixture_begin_with(struct fixture *f, gboolean v2, const char *controllers)
{
	fake_init(&f->fake, v2, controllers);
	f->run = world_run("web");
	fake_process(&f->fake, PID, 4, "/");
	f->cpu = fake_open(&f->fake, f->run);
	f->target = (struct cpu_target) { "web", PID, vcpus, 2 };
	memset(f->knobs, 0, sizeof(f->knobs));
}

void fixture_begin(struct fixture *f, gboolean v2)
{
	fixture_begin_with(f, v2, "cpuset cpu io\n");
}

void fixture_end(struct fixture *f)
{
	cpu_close(f->cpu);
	world_remove(f->run);
	g_free(f->run);
	fake_clear(&f->fake);
}

enum cpu_outcome fixture_apply(struct fixture *f, unsigned flags)
{
	return cpu_apply(f->cpu, &f->target, f->knobs, flags, &f->report);
}

void fixture_expect_nothing_left(struct fixture *f)
{
	g_autofree char *root = g_build_filename(f->fake.mount, "polder", NULL);
	g_autofree char *journal = g_build_filename(f->run, "web", "cpu.journal", NULL);

	g_assert_false(g_file_test(root, G_FILE_TEST_EXISTS));
	g_assert_false(g_file_test(journal, G_FILE_TEST_EXISTS));
}
