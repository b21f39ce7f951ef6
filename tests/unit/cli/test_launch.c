/* Which daemon is used, and starting one: this program itself stands in for polderd when called by that name. */
#include "cli/launch.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/model/error.h"

static int listen_on(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 8) != 0)
		return -1;
	return fd;
}

/* polderd --idle-exit --root DIR: listens, or dies as a real one does. */
static int stand_in(int argc, char **argv)
{
	g_autofree char *path = NULL;

	alarm(30);
	if (argc != 4 || strcmp(argv[1], "--idle-exit") != 0 || strcmp(argv[2], "--root") != 0)
		return 2;
	if (g_getenv("TEST_DIES")) {
		fprintf(stderr, "first line\npolderd: the database is damaged\n");
		return 1;
	}
	path = g_build_filename(argv[3], "run", "polder.sock", NULL);
	if (listen_on(path) < 0)
		return 3;
	for (;;)
		pause();
}

struct fixture {
	char *dir, *tools, *root;
};

static void set_up(struct fixture *fixture, gconstpointer data)
{
	g_autofree char *exe = g_file_read_link("/proc/self/exe", NULL);
	g_autofree char *link = NULL;

	fixture->dir = g_dir_make_tmp("polder-launch-XXXXXX", NULL);
	fixture->tools = g_build_filename(fixture->dir, "tools", NULL);
	fixture->root = g_build_filename(fixture->dir, "root", NULL);
	link = g_build_filename(fixture->tools, "polderd", NULL);
	g_assert_cmpint(g_mkdir(fixture->tools, 0700), ==, 0);
	g_assert_cmpint(symlink(exe, link), ==, 0);
	g_setenv("POLDER_LIBEXEC", fixture->tools, TRUE);
}

static void tear_down(struct fixture *fixture, gconstpointer data)
{
	const char *argv[] = { "rm", "-rf", fixture->dir, NULL };

	g_assert_true(g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL));
	g_unsetenv("TEST_DIES");
	g_unsetenv("POLDER_NO_START");
	g_unsetenv("POLDER_LIBEXEC");
	g_free(fixture->dir);
	g_free(fixture->tools);
	g_free(fixture->root);
}

static void end(GPid pid)
{
	g_assert_cmpint(pid, >, 0);
	kill(pid, SIGKILL);
	g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
}

static void assert_unavailable(struct fixture *fixture, const char *root, const char *socket, const char *says)
{
	g_autoptr(GError) error = NULL;
	struct launch launch;

	g_assert_false(launch_daemon(&launch, root, socket, &error));
	g_assert_error(error, POLDER_ERROR, POLDER_ERROR_UNAVAILABLE);
	if (!strstr(error->message, says))
		g_error("'%s' lacks '%s'", error->message, says);
	launch_clear(&launch);
}

static void test_start(struct fixture *fixture, gconstpointer data)
{
	struct launch first, second;
	g_autoptr(GError) error = NULL;

	launch_daemon(&first, fixture->root, NULL, &error);
	g_assert_no_error(error);
	g_assert_true(launch_daemon(&second, fixture->root, NULL, &error));
	g_assert_cmpint(second.started, ==, 0);
	end(first.started);
	launch_clear(&first);
	launch_clear(&second);
}

static gpointer launch_in_thread(gpointer root)
{
	struct launch launch;
	GPid started;

	if (!launch_daemon(&launch, root, NULL, NULL))
		return GINT_TO_POINTER(-1);
	started = launch.started;
	launch_clear(&launch);
	return GINT_TO_POINTER(started);
}

/* Many at once start one. */
static void test_race(struct fixture *fixture, gconstpointer data)
{
	GThread *threads[8];
	GPid started = 0;

	for (gsize i = 0; i < G_N_ELEMENTS(threads); i++)
		threads[i] = g_thread_new("launch", launch_in_thread, fixture->root);
	for (gsize i = 0; i < G_N_ELEMENTS(threads); i++) {
		GPid pid = GPOINTER_TO_INT(g_thread_join(threads[i]));

		g_assert_cmpint(pid, >=, 0);
		g_assert_true(!pid || !started);
		started = MAX(started, pid);
	}
	end(started);
}

static void test_dies(struct fixture *fixture, gconstpointer data)
{
	g_setenv("TEST_DIES", "1", TRUE);
	assert_unavailable(fixture, fixture->root, NULL, "the database is damaged");
}

static void test_never_started(struct fixture *fixture, gconstpointer data)
{
	g_autofree char *socket = g_build_filename(fixture->dir, "s", NULL);

	assert_unavailable(fixture, NULL, socket, "polder daemon --socket");
	g_setenv("POLDER_NO_START", "1", TRUE);
	assert_unavailable(fixture, fixture->root, NULL, "POLDER_NO_START");
	g_unsetenv("POLDER_NO_START");
	g_setenv("POLDER_LIBEXEC", "/nonexistent", TRUE);
	assert_unavailable(fixture, fixture->root, NULL, "/nonexistent/polderd is not there");
}

static void test_given_socket(struct fixture *fixture, gconstpointer data)
{
	g_autofree char *socket = g_build_filename(fixture->dir, "s", NULL);
	struct launch launch;
	int fd = listen_on(socket);

	g_assert_cmpint(fd, >=, 0);
	g_assert_true(launch_daemon(&launch, NULL, socket, NULL));
	g_assert_cmpint(launch.started, ==, 0);
	g_assert_cmpstr(launch.dirs.socket, ==, socket);
	launch_clear(&launch);
	close(fd);
}

int main(int argc, char **argv)
{
	if (g_str_has_suffix(argv[0], "/polderd"))
		return stand_in(argc, argv);
	g_unsetenv("POLDER_ROOT");
	g_unsetenv("POLDER_SOCKET");
	g_unsetenv("POLDER_NO_START");
	g_test_init(&argc, &argv, NULL);
	g_test_add("/launch/start", struct fixture, NULL, set_up, test_start, tear_down);
	g_test_add("/launch/race", struct fixture, NULL, set_up, test_race, tear_down);
	g_test_add("/launch/dies", struct fixture, NULL, set_up, test_dies, tear_down);
	g_test_add("/launch/never-started", struct fixture, NULL, set_up, test_never_started, tear_down);
	g_test_add("/launch/given-socket", struct fixture, NULL, set_up, test_given_socket, tear_down);
	return g_test_run();
}
