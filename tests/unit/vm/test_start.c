/* How polder-vm starts: the launch lock it is handed, and what happens when whoever started it gives up. */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEADLINE_US (15 * G_USEC_PER_SEC)

struct fixture {
	char *root, *run, *log, *launch;
	int launch_fd;
};

static void fixture_init(struct fixture *f)
{
	f->root = g_dir_make_tmp("polder-start-XXXXXX", NULL);
	f->run = g_build_filename(f->root, "run", NULL);
	f->log = g_build_filename(f->root, "console.log", NULL);
	f->launch = g_build_filename(f->root, "launch", NULL);
	g_assert_cmpint(g_mkdir(f->run, 0700), ==, 0);
	f->launch_fd = open(f->launch, O_RDWR | O_CREAT, 0600); /* inherited by what we start */
	g_assert_cmpint(flock(f->launch_fd, LOCK_EX), ==, 0);
}

static void fixture_clear(struct fixture *f)
{
	static const char *const files[] = { "run/lock", "run/child",   "run/exit", "run/exit.new",
					     "run",      "console.log", "launch" };

	for (guint i = 0; i < G_N_ELEMENTS(files); i++) {
		g_autofree char *path = g_build_filename(f->root, files[i], NULL);
		g_remove(path);
	}
	g_assert_cmpint(g_rmdir(f->root), ==, 0);
	g_free(f->root);
	g_free(f->run);
	g_free(f->log);
	g_free(f->launch);
}

/* polder-vm's first process, with `launch_fd` ("": none is handed over) and a child that only waits. */
static pid_t start(struct fixture *f, const char *launch_fd)
{
	g_autofree char *program = g_build_filename(g_getenv("POLDER_LIBEXEC"), "polder-vm", NULL);
	const char *with[] = { program,   "--dir", f->run,       "--log", f->log, "--launch-fd",
			       launch_fd, "--",    "/bin/sleep", "1000",  NULL };
	g_autoptr(GError) error = NULL;
	GPid pid;

	g_spawn_async(NULL, (char **)with, NULL, G_SPAWN_LEAVE_DESCRIPTORS_OPEN | G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL,
		      &pid, &error);
	g_assert_no_error(error);
	return pid;
}

static gboolean launch_is_free(struct fixture *f)
{
	int fd = open(f->launch, O_RDWR | O_CLOEXEC);
	gboolean is_free = flock(fd, LOCK_EX | LOCK_NB) == 0;

	close(fd);
	return is_free;
}

/* Any process that has `path` among its arguments, or 0. */
static pid_t process_with(const char *path)
{
	g_autoptr(GDir) dir = g_dir_open("/proc", 0, NULL);
	const char *name;

	while ((name = g_dir_read_name(dir))) {
		g_autofree char *file = g_build_filename("/proc", name, "cmdline", NULL);
		g_autofree char *text = NULL;
		gsize bytes;

		if (g_ascii_isdigit(*name) && g_file_get_contents(file, &text, &bytes, NULL) && bytes &&
		    memmem(text, bytes, path, strlen(path)))
			return atoi(name);
	}
	return 0;
}

#define WAIT_FOR(condition)                                                    \
	do {                                                                   \
		gint64 begun_us = g_get_monotonic_time();                      \
		while (!(condition)) {                                         \
			if (g_get_monotonic_time() - begun_us > DEADLINE_US)   \
				g_error("waited too long for %s", #condition); \
			g_usleep(500);                                         \
		}                                                              \
	} while (0)

static pid_t supervisor_of(struct fixture *f)
{
	g_autofree char *path = g_build_filename(f->run, "lock", NULL);
	struct flock flock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = open(path, O_RDWR | O_CLOEXEC);

	g_assert_cmpint(fcntl(fd, F_GETLK, &flock), ==, 0);
	close(fd);
	return flock.l_type == F_UNLCK ? 0 : flock.l_pid;
}

/* Held until polder-vm has its own lock, and by nobody who runs on. */
static void test_handed_over(void)
{
	struct fixture f;
	int status;

	fixture_init(&f);
	g_autofree char *number = g_strdup_printf("%d", f.launch_fd);
	pid_t first = start(&f, number);
	close(f.launch_fd);
	while (!launch_is_free(&f)) {
		g_autofree char *exit_record = g_build_filename(f.run, "exit", NULL);
		g_assert_false(g_file_test(exit_record, G_FILE_TEST_EXISTS));
	}
	g_assert_cmpint(supervisor_of(&f), >, 0);
	g_assert_cmpint(waitpid(first, &status, 0), ==, first);
	g_assert_cmpint(status, ==, 0);
	kill(supervisor_of(&f), SIGTERM);
	WAIT_FOR(process_with(f.run) == 0);
	fixture_clear(&f);
}

static gboolean has_text(const char *path)
{
	g_autofree char *text = NULL;

	return g_file_get_contents(path, &text, NULL, NULL) && *text;
}

/* Who started it gives up before QEMU runs: nothing of it appears later. */
static void test_given_up(void)
{
	struct fixture f;

	fixture_init(&f);
	/* A lease on the lock's file: opening it takes until we give that up. */
	g_autofree char *lock_path = g_build_filename(f.run, "lock", NULL);
	int lease_fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	signal(SIGIO, SIG_IGN); /* somebody waits for it */
	if (fcntl(lease_fd, F_SETLEASE, F_WRLCK) < 0) {
		g_test_skip("no leases on this file system");
		close(lease_fd);
		close(f.launch_fd);
		fixture_clear(&f);
		return;
	}
	g_autofree char *number = g_strdup_printf("%d", f.launch_fd);
	pid_t first = start(&f, number);
	close(f.launch_fd);
	g_autofree char *children = g_strdup_printf("/proc/%d/task/%d/children", (int)first, (int)first);
	WAIT_FOR(has_text(children));
	g_assert_false(launch_is_free(&f));
	kill(first, SIGKILL);
	g_assert_cmpint(waitpid(first, NULL, 0), ==, first);
	WAIT_FOR(process_with(f.run) == 0);
	g_assert_true(launch_is_free(&f));
	close(lease_fd);
	fixture_clear(&f);
}

static void test_refused(void)
{
	static const char *const wrong[] = { "x", "", "2", "-1", "4096" };

	for (guint i = 0; i < G_N_ELEMENTS(wrong); i++) {
		struct fixture f;
		int status;

		fixture_init(&f);
		pid_t first = start(&f, wrong[i]);
		g_assert_cmpint(waitpid(first, &status, 0), ==, first);
		g_assert_true(WIFEXITED(status));
		g_assert_cmpint(WEXITSTATUS(status), ==, 1);
		close(f.launch_fd);
		fixture_clear(&f);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/polder-vm-start/handed-over", test_handed_over);
	g_test_add_func("/polder-vm-start/given-up", test_given_up);
	g_test_add_func("/polder-vm-start/refused", test_refused);
	return g_test_run();
}
