/* Goal: directories get exactly the owners and modes of start.h, what is not ours is refused, those of before are waited
 * for, and every refusal names what to do. */
#include "daemon/start/start.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/model/error.h"
#include "daemon/model/ids.h"

struct fixture {
	char *root;
	struct dirs dirs;
	struct identity identity;
};

static void fixture_init(struct fixture *fixture)
{
	fixture->root = g_dir_make_tmp("polder-start-XXXXXX", NULL);
	g_assert_nonnull(fixture->root);
	dirs_init(&fixture->dirs, fixture->root, NULL);
	/* Not identity_find(): the machine may have a user polder or not. */
	fixture->identity = (struct identity) { .drop = geteuid() == 0,
						.uid = geteuid() == 0 ? POLDER_DAEMON_UID : geteuid(),
						.gid = geteuid() == 0 ? POLDER_DAEMON_UID : getegid(),
						.started_by = getuid() };
}

static void remove_tree(const char *path)
{
	g_autoptr(GDir) dir = g_file_test(path, G_FILE_TEST_IS_SYMLINK) ? NULL : g_dir_open(path, 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir))) {
		g_autofree char *child = g_build_filename(path, name, NULL);

		remove_tree(child);
	}
	g_remove(path);
}

static void fixture_clear(struct fixture *fixture)
{
	remove_tree(fixture->root);
	dirs_clear(&fixture->dirs);
	g_free(fixture->root);
}

static void assert_dir(const struct fixture *fixture, const char *path, mode_t mode, uid_t owner)
{
	g_autofree char *whole = g_build_filename(fixture->root, path, NULL);
	struct stat st;

	g_assert_cmpint(lstat(whole, &st), ==, 0);
	g_assert_true(S_ISDIR(st.st_mode));
	g_assert_cmphex(st.st_mode & 07777, ==, mode);
	g_assert_cmpuint(st.st_uid, ==, owner);
}

static void assert_dirs(const struct fixture *fixture)
{
	mode_t top = fixture->identity.drop ? 0755 : 0700;

	assert_dir(fixture, "state", top, geteuid());
	assert_dir(fixture, "state/store", 0700, fixture->identity.uid);
	assert_dir(fixture, "state/vm", 0700, geteuid());
	assert_dir(fixture, "run", top, geteuid());
	assert_dir(fixture, "run/vm", 0700, geteuid());
	assert_dir(fixture, "cache", 0755, geteuid());
}

static void test_dirs(void)
{
	struct fixture fixture;
	g_autoptr(GError) error = NULL;
	g_autofree char *store = NULL;
	mode_t mask = umask(0077);

	fixture_init(&fixture);
	start_dirs(&fixture.dirs, &fixture.identity, &error);
	g_assert_no_error(error);
	assert_dirs(&fixture);
	/* What somebody loosened is tightened. */
	store = g_build_filename(fixture.dirs.state, "store", NULL);
	g_assert_cmpint(chmod(store, 0777), ==, 0);
	g_assert_cmpint(chmod(fixture.dirs.state, 0777), ==, 0);
	g_assert_cmpint(chmod(fixture.dirs.run, 0777), ==, 0);
	start_dirs(&fixture.dirs, &fixture.identity, &error);
	g_assert_no_error(error);
	assert_dirs(&fixture);
	umask(mask);
	fixture_clear(&fixture);
}

static void assert_refused(struct fixture *fixture, const char *text)
{
	g_autoptr(GError) error = NULL;

	g_assert_false(start_dirs(&fixture->dirs, &fixture->identity, &error));
	g_assert_error(error, POLDER_ERROR, POLDER_ERROR_DENIED);
	if (!strstr(error->message, text))
		g_test_message("instead of '%s': %s", text, error->message);
	g_assert_nonnull(strstr(error->message, text));
	g_assert_nonnull(strstr(error->message, fixture->root));
	g_assert_nonnull(strstr(error->message, "--root DIR"));
	g_assert_null(strchr(error->message, '\n'));
}

static void test_not_ours(void)
{
	struct fixture fixture;
	g_autofree char *store = NULL, *elsewhere = NULL;

	fixture_init(&fixture);
	store = g_build_filename(fixture.dirs.state, "store", NULL);
	elsewhere =
		g_build_filename(fixture.root, "elsewhere", NULL); /* ours: code that follows the link may change it */
	g_assert_cmpint(g_mkdir(fixture.dirs.state, 0700), ==, 0);
	g_assert_cmpint(g_mkdir(elsewhere, 0700), ==, 0);
	g_assert_cmpint(symlink(elsewhere, store), ==, 0);
	assert_refused(&fixture, "is a symbolic link or no directory");
	g_assert_cmpint(unlink(store), ==, 0);
	g_assert_true(g_file_set_contents(store, "", 0, NULL));
	assert_refused(&fixture, "is a symbolic link or no directory");
	g_assert_cmpint(unlink(store), ==, 0);
	if (geteuid() == 0) {
		g_assert_cmpint(chown(fixture.dirs.state, 1234, (gid_t)-1), ==, 0);
		assert_refused(&fixture, "belongs to user 1234");
		/* Nor may polderd's user own what holds the agent's files. */
		g_assert_cmpint(chown(fixture.dirs.state, fixture.identity.uid, (gid_t)-1), ==, 0);
		assert_refused(&fixture, "belongs to user");
	}
	fixture_clear(&fixture);
}

/* In a child that gives up being root as polderd does; its message comes back. */
static char *message_after_drop(const struct fixture *fixture)
{
	char buffer[1024] = "";
	int report[2], result;
	ssize_t got;
	pid_t pid;

	g_assert_cmpint(pipe(report), ==, 0);
	pid = fork();
	if (pid == 0) {
		GError *error = NULL;

		if (!start_drop(&fixture->identity, &error) || !start_check_store(&fixture->dirs, &error))
			_exit(write(report[1], error->message, strlen(error->message)) > 0 ? 1 : 2);
		_exit(0);
	}
	g_assert_cmpint(pid, >, 0);
	close(report[1]);
	got = read(report[0], buffer, sizeof(buffer) - 1);
	close(report[0]);
	g_assert_cmpint(got, >=, 0);
	g_assert_cmpint(waitpid(pid, &result, 0), ==, pid);
	g_assert_cmpint(WEXITSTATUS(result), ==, got > 0);
	return g_strdup(buffer);
}

/* As below `mktemp -d`, which only root may pass. */
static void test_closed_root(void)
{
	struct fixture fixture;
	g_autoptr(GError) error = NULL;
	g_autofree char *closed = NULL, *fine = NULL, *wanted = NULL;

	if (geteuid() != 0) {
		g_test_skip("only root has a user to drop to");
		return;
	}
	fixture_init(&fixture);
	start_dirs(&fixture.dirs, &fixture.identity, &error);
	g_assert_no_error(error);
	closed = message_after_drop(&fixture);
	wanted = g_strdup_printf("directory %s is closed to user %u, ", fixture.root, POLDER_DAEMON_UID);
	g_assert_true(g_str_has_prefix(closed, wanted));
	g_free(wanted);
	wanted = g_strdup_printf("run chmod o+x %s", fixture.root);
	g_assert_true(g_str_has_suffix(closed, wanted));
	g_assert_cmpint(chmod(fixture.root, 0711), ==, 0);
	fine = message_after_drop(&fixture);
	g_assert_cmpstr(fine, ==, "");
	fixture_clear(&fixture);
}

struct waiter {
	const struct fixture *fixture;
	gint begun;
	int fd;
};

static gpointer wait_for_lock(gpointer user_data)
{
	struct waiter *waiter = user_data;

	g_atomic_int_set(&waiter->begun, 1);
	waiter->fd = start_lock(&waiter->fixture->dirs, START_WAIT_MS, NULL);
	return NULL;
}

static void test_locks(void)
{
	struct fixture fixture;
	struct waiter waiter = { .fixture = &fixture };
	g_autoptr(GError) error = NULL, held = NULL, agent_held = NULL;
	g_autofree char *agent = NULL;
	GThread *thread;
	int first;

	fixture_init(&fixture);
	start_dirs(&fixture.dirs, &fixture.identity, &error);
	g_assert_no_error(error);
	first = start_lock(&fixture.dirs, 0, &error);
	g_assert_no_error(error);
	g_assert_cmpint(start_lock(&fixture.dirs, 30, &held), ==, -1);
	g_assert_error(held, POLDER_ERROR, POLDER_ERROR_CONFLICT);
	g_assert_nonnull(strstr(held->message, "another polderd serves"));
	/* One that waits gets it when the first is gone. */
	thread = g_thread_new("waiter", wait_for_lock, &waiter);
	while (!g_atomic_int_get(&waiter.begun))
		g_thread_yield();
	close(first);
	g_thread_join(thread);
	g_assert_cmpint(waiter.fd, >=, 0);
	/* The same with the agent's, which is never kept. The lock of a dead polderd stands in for it here. */
	start_await_agent(&fixture.dirs, 0, &error);
	g_assert_no_error(error);
	agent = g_build_filename(fixture.dirs.run, "agent.lock", NULL);
	{
		g_autofree char *lock = g_build_filename(fixture.dirs.state, "polderd.lock", NULL);

		g_assert_cmpint(link(lock, agent), ==, 0);
	}
	g_assert_false(start_await_agent(&fixture.dirs, 30, &agent_held));
	g_assert_error(agent_held, POLDER_ERROR, POLDER_ERROR_CONFLICT);
	close(waiter.fd);
	for (guint i = 0; i < 2; i++) {
		start_await_agent(&fixture.dirs, 0, &error);
		g_assert_no_error(error);
	}
	fixture_clear(&fixture);
}

static void assert_in_the_way(const struct fixture *fixture, const char *text)
{
	g_autoptr(GError) error = NULL;

	g_assert_null(start_bind(&fixture->dirs, &fixture->identity, &error));
	g_assert_error(error, POLDER_ERROR, POLDER_ERROR_CONFLICT);
	g_assert_nonnull(strstr(error->message, text));
	g_assert_nonnull(strstr(error->message, "--socket PATH"));
}

static void test_socket(void)
{
	struct fixture fixture;
	g_autoptr(GError) error = NULL;
	g_autoptr(GSocket) first = NULL, second = NULL;
	struct stat st;

	fixture_init(&fixture);
	start_dirs(&fixture.dirs, &fixture.identity, &error);
	g_assert_no_error(error);
	g_assert_true(g_file_set_contents(fixture.dirs.socket, "precious", -1, NULL));
	assert_in_the_way(&fixture, "it is no socket");
	g_assert_cmpint(unlink(fixture.dirs.socket), ==, 0);
	first = start_bind(&fixture.dirs, &fixture.identity, &error);
	g_assert_no_error(error);
	g_assert_cmpint(lstat(fixture.dirs.socket, &st), ==, 0);
	g_assert_cmphex(st.st_mode & 0777, ==, fixture.identity.drop ? 0660 : 0600);
	g_assert_cmpuint(st.st_gid, ==, fixture.identity.gid);
	start_listen(first, &error);
	g_assert_no_error(error);
	assert_in_the_way(&fixture, "another daemon serves it");
	/* A dead one's. */
	g_socket_close(first, NULL);
	second = start_bind(&fixture.dirs, &fixture.identity, &error);
	g_assert_no_error(error);
	fixture_clear(&fixture);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/start/dirs", test_dirs);
	g_test_add_func("/start/not-ours", test_not_ours);
	g_test_add_func("/start/closed-root", test_closed_root);
	g_test_add_func("/start/locks", test_locks);
	g_test_add_func("/start/socket", test_socket);
	return g_test_run();
}
