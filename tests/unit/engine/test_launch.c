/* An agent that is killed at any point of a start: the VM is found by the next one or was never run, and is never lost,
 * doubled or left behind. The agent is this program again, in a process of its own; so is QEMU (fake, quick). */
#include "tests/unit/engine/vm_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/engine/qemu/args.h"
#include "daemon/engine/qemu/qemu.h"

#define ROUNDS      30 /* POLDER_TEST_LONG: ten times as many */
#define DEADLINE_US (20 * G_USEC_PER_SEC)

/* ---- QEMU: answers one client after the other ---- */

static void answer(int fd, const char *line)
{
	const char *id = strstr(line, "\"id\":");

	dprintf(fd, "{\"return\":%s,\"id\":%ld}\n", strstr(line, "query-status") ? "{\"running\":false}" : "{}",
		id ? atol(id + 5) : 0);
}

static G_GNUC_NORETURN void fake_qemu(void)
{
	signal(SIGPIPE, SIG_IGN);
	for (;;) {
		struct pollfd listening = { .fd = ARGS_FD_QMP, .events = POLLIN };
		char line[512];
		gsize bytes = 0;

		poll(&listening, 1, -1);
		int fd = accept(ARGS_FD_QMP, NULL, NULL);
		if (fd < 0)
			continue;
		dprintf(fd, "{\"QMP\":{\"version\":{},\"capabilities\":[]}}\r\n");
		while (bytes < sizeof(line) - 1 && read(fd, line + bytes, 1) == 1) {
			if (line[bytes++] != '\n')
				continue;
			line[bytes] = '\0';
			bytes = 0;
			answer(fd, line);
		}
		close(fd);
	}
}

/* ---- the agent ---- */

static void use_fake(struct fixture *f)
{
	struct qemu_engine *engine = (struct qemu_engine *)f->engine;

	g_free(engine->binary);
	engine->binary = g_build_filename(f->root, "fake-qemu", NULL);
}

static int agent(const char *root)
{
	struct fixture f = { .name = "web", .root = (char *)root };

	dirs_init(&f.dirs, root, NULL);
	f.engine = engine_qemu.engine_new(&f.dirs);
	f.rom = g_build_filename(root, "guest.rom", NULL);
	use_fake(&f);
	fixture_vm_new(&f);
	engine_qemu.start(f.vm);
	while (!f.started && !f.exited)
		g_main_context_iteration(NULL, TRUE);
	if (write(1, "S", 1) != 1)
		return 1;
	for (;;)
		pause();
}

struct killable {
	pid_t pid;
	int said_fd;
};

/* `libexec`: where it finds polder-vm; NULL: where we do. */
static struct killable agent_spawn(const char *root, const char *libexec)
{
	const char *argv[] = { "/proc/self/exe", "--agent", root, NULL };
	posix_spawn_file_actions_t actions;
	g_auto(GStrv) environment = g_get_environ();
	struct killable child;
	int fds[2];

	if (libexec)
		environment = g_environ_setenv(environment, "POLDER_LIBEXEC", libexec, TRUE);
	g_assert_cmpint(pipe2(fds, O_CLOEXEC), ==, 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
	g_assert_cmpint(posix_spawn(&child.pid, argv[0], &actions, NULL, (char **)argv, environment), ==, 0);
	posix_spawn_file_actions_destroy(&actions);
	close(fds[1]);
	child.said_fd = fds[0];
	return child;
}

static void agent_kill(struct killable *child)
{
	kill(child->pid, SIGKILL);
	g_assert_cmpint(waitpid(child->pid, NULL, 0), ==, child->pid);
	close(child->said_fd);
}

static void wait_said(struct killable *child)
{
	struct pollfd p = { .fd = child->said_fd, .events = POLLIN };
	char byte;

	g_assert_cmpint(poll(&p, 1, (int)(DEADLINE_US / 1000)), ==, 1);
	g_assert_cmpint(read(child->said_fd, &byte, 1), ==, 1);
}

/* ---- what runs ---- */

static gboolean mentions(const char *pid, const char *root)
{
	g_autofree char *path = g_build_filename("/proc", pid, "cmdline", NULL);
	g_autofree char *text = NULL;
	gsize bytes;

	return g_file_get_contents(path, &text, &bytes, NULL) && memmem(text, bytes, root, strlen(root)) &&
	       !memmem(text, bytes, "--agent", 7);
}

/* Processes of the VM: with `program` in front, or any when NULL. */
static guint count(const char *root, const char *program)
{
	g_autoptr(GDir) dir = g_dir_open("/proc", 0, NULL);
	const char *name;
	guint n = 0;

	while ((name = g_dir_read_name(dir))) {
		g_autofree char *path = g_build_filename("/proc", name, "exe", NULL);
		g_autofree char *exe = g_file_read_link(path, NULL);

		if (g_ascii_isdigit(*name) && mentions(name, root))
			n += !program || (exe && g_str_has_suffix(exe, program));
	}
	return n;
}

/* Soon: polder-vm's first process, and what was just killed, may still be on their way out. */
static void wait_count(const char *root, const char *program, guint wanted)
{
	gint64 deadline_us = g_get_monotonic_time() + DEADLINE_US;

	while (count(root, program) != wanted) {
		g_assert_cmpint(g_get_monotonic_time(), <, deadline_us);
		g_usleep(500);
	}
}

/* ---- the tests ---- */

/* polder-vm is a script that runs `before` first. */
static char *slow_polder_vm(struct fixture *f, const char *before)
{
	g_autofree char *real = dirs_tool("polder-vm");
	g_autofree char *directory = g_build_filename(f->root, "libexec", NULL);
	g_autofree char *path = g_build_filename(directory, "polder-vm", NULL);
	g_autofree char *script = g_strdup_printf("#!/bin/sh\n%s\nexec %s \"$@\"\n", before, real);

	g_mkdir(directory, 0755);
	g_assert_true(g_file_set_contents_full(path, script, -1, G_FILE_SET_CONTENTS_NONE, 0755, NULL));
	return g_steal_pointer(&directory);
}

static void init(struct fixture *f)
{
	g_autofree char *text = NULL;
	gsize bytes;

	fixture_init(f, "HELLO\n", ROM_HALT);
	use_fake(f);
	g_autofree char *binary = g_build_filename(f->root, "fake-qemu", NULL);
	g_assert_true(g_file_get_contents("/proc/self/exe", &text, &bytes, NULL));
	g_assert_true(g_file_set_contents_full(binary, text, (gssize)bytes, G_FILE_SET_CONTENTS_NONE, 0755, NULL));
}

static gboolean over(struct fixture *f)
{
	return f->adopted || f->exited;
}

/* What the next agent does: TRUE when it found the VM alive. */
static gboolean recover(struct fixture *f)
{
	g_auto(GStrv) names = engine_qemu.scan(f->engine);
	gboolean alive = FALSE;

	if (*names) {
		g_assert_cmpstr(names[0], ==, "web");
		fixture_adopt(f);
		g_assert_true(fixture_wait_until(f, over, (guint)(DEADLINE_US / 1000)));
		alive = f->adopted > 0;
	}
	g_assert_cmpuint(count(f->root, "/fake-qemu"), <=, 1);
	wait_count(f->root, "/polder-vm", alive);
	wait_count(f->root, "/fake-qemu", alive);
	if (alive) {
		engine_qemu.kill(f->vm);
		fixture_wait(f, &f->exited, 1);
		g_assert_cmpint(f->cause, ==, ENGINE_EXIT_STOPPED);
	} else if (*names) {
		g_assert_cmpint(f->cause, ==, ENGINE_EXIT_CUT_SHORT);
	}
	wait_count(f->root, NULL, 0);
	g_autofree char *run_dir = dirs_vm_run(&f->dirs, "web");
	g_assert_true(!*names || g_file_test(run_dir, G_FILE_TEST_EXISTS));
	return alive;
}

/* polder-vm stands still before it has done anything, while the next agent looks. */
static void test_before_lock(void)
{
	struct fixture f;

	init(&f);
	g_autofree char *gate = g_build_filename(f.root, "gate", NULL);
	g_autofree char *arrived = g_build_filename(f.root, "arrived", NULL);
	g_assert_cmpint(mkfifo(gate, 0600), ==, 0);
	g_autofree char *before = g_strdup_printf("touch %s; read line <%s", arrived, gate);
	g_autofree char *slow = slow_polder_vm(&f, before);
	struct killable killed = agent_spawn(f.root, slow);
	gint64 deadline_us = g_get_monotonic_time() + DEADLINE_US;
	while (!g_file_test(arrived, G_FILE_TEST_EXISTS)) {
		g_assert_cmpint(g_get_monotonic_time(), <, deadline_us);
		g_usleep(500);
	}
	agent_kill(&killed);
	g_auto(GStrv) names = engine_qemu.scan(f.engine);
	g_assert_cmpuint(g_strv_length(names), ==, 1);
	engine_qemu.clean(f.engine, "web"); /* not now */
	fixture_adopt(&f);
	g_assert_false(fixture_wait_until(&f, over, 200));
	int fd = open(gate, O_WRONLY | O_CLOEXEC);
	g_assert_cmpint(write(fd, "\n", 1), ==, 1);
	close(fd);
	fixture_wait(&f, &f.adopted, 1);
	engine_qemu.kill(f.vm);
	fixture_wait(&f, &f.exited, 1);
	g_assert_cmpint(f.cause, ==, ENGINE_EXIT_STOPPED);
	wait_count(f.root, NULL, 0);
	fixture_clear(&f);
}

static gint64 start_takes_us(void)
{
	gint64 begun_us = g_get_monotonic_time(), took_us;
	struct fixture f;

	init(&f);
	struct killable whole = agent_spawn(f.root, NULL);
	wait_said(&whole);
	took_us = g_get_monotonic_time() - begun_us;
	agent_kill(&whole);
	g_assert_true(recover(&f));
	fixture_clear(&f);
	return took_us;
}

static void test_killed_anywhere(void)
{
	gint64 whole_us = start_takes_us();
	guint32 seed = g_test_rand_int();
	g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
	guint rounds = g_getenv("POLDER_TEST_LONG") ? 10 * ROUNDS : ROUNDS, alive = 0;

	g_test_message("seed %u (--seed repeats it); a whole start takes %" G_GINT64_FORMAT " us", seed, whole_us);
	for (guint i = 0; i < rounds; i++) {
		struct fixture f;

		init(&f);
		/* Every other polder-vm is late, so that the moments before its lock are met, too. */
		g_autofree char *before = g_strdup_printf("sleep 0.0%u", g_rand_int_range(rand, 0, 50));
		g_autofree char *slow = i % 2 ? slow_polder_vm(&f, before) : NULL;
		struct killable killed = agent_spawn(f.root, slow);
		g_usleep((gulong)g_rand_int_range(rand, 0, (gint32)whole_us + (slow ? 50000 : 0)));
		agent_kill(&killed);
		alive += recover(&f);
		fixture_clear(&f);
	}
	g_test_message("%u of %u were found alive", alive, rounds);
}

int main(int argc, char **argv)
{
	if (g_str_has_suffix(argv[0], "/fake-qemu"))
		fake_qemu();
	if (argc == 3 && !strcmp(argv[1], "--agent"))
		return agent(argv[2]);
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/launch/before-lock", test_before_lock);
	g_test_add_func("/launch/killed-anywhere", test_killed_anywhere);
	return g_test_run();
}
