/* kill -9 at random moments: a writer tells over a pipe what was acknowledged to it, is killed, and the file is opened
 * again by the next one, which must find all of that and nothing half there. */
#include <errno.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/store/fixture.h"
#include "tests/unit/store/workload.h"

#if defined(__SANITIZE_ADDRESS__)
#define KILLS 150u /* each process starts many times slower */
#else
#define KILLS 2000u
#endif
#define KILLS_LONG 5000u
/* Every so often an empty file, so that creating one is killed, too. */
#define KILLS_PER_FILE 10u
#define IN_FLIGHT      16u
#define OPEN_MS_MAX    30000
#define RUN_US_MAX     25000

/* What one writer says: first where it found the store, then what is acknowledged. */
struct message {
	gint64 found; /* -1: the store was broken; then `n` is nothing */
	guint n;
};

/* ---- the writer, a process of its own ---- */

struct writer {
	struct store *store;
	int fd;
	guint issued, acknowledged;
};

static void say(int fd, gint64 found, guint n)
{
	struct message message = { .found = found, .n = n };

	if (write(fd, &message, sizeof(message)) != (ssize_t)sizeof(message))
		_exit(3);
}

static void on_ack(GObject *source, GAsyncResult *result, gpointer user_data)
{
	struct writer *writer = user_data;
	g_autoptr(GError) error = NULL;

	store_txn_result_free(store_txn_finish(writer->store, result, &error));
	if (error != NULL) {
		g_printerr("writer: %s\n", error->message);
		_exit(4);
	}
	say(writer->fd, 0, ++writer->acknowledged);
}

static int run_writer(const char *path, int fd)
{
	g_autoptr(GError) error = NULL;
	struct writer writer = { .store = store_sqlite_open(path, NULL, &error), .fd = fd };
	char *why;
	gint64 found;

	if (writer.store == NULL) {
		g_printerr("writer: %s\n", error->message);
		return 5;
	}
	found = workload_check(writer.store, 0, &why);
	if (found < 0)
		g_printerr("writer: %s\n", why);
	say(fd, found, 0);
	writer.issued = writer.acknowledged = (guint)MAX(found, 0);
	for (;;) {
		while (writer.issued < writer.acknowledged + IN_FLIGHT)
			store_txn_async(writer.store, workload_txn(++writer.issued, 0), NULL, on_ack, &writer);
		g_main_context_iteration(NULL, TRUE);
	}
}

/* ---- the test ---- */

static const char *self;

struct tally {
	guint kills, while_opening, acknowledged;
};

static pid_t spawn(const char *path, int *fd)
{
	char fd_text[16];
	int fds[2];
	pid_t pid;

	g_assert_cmpint(pipe(fds), ==, 0);
	g_snprintf(fd_text, sizeof(fd_text), "%d", fds[1]);
	pid = fork();
	g_assert_cmpint(pid, >=, 0);
	if (pid == 0) {
		close(fds[0]);
		execl(self, self, "--writer", path, fd_text, (char *)NULL);
		_exit(6);
	}
	close(fds[1]);
	*fd = fds[0];
	return pid;
}

/* Reads all the dead writer said. Returns what the store must hold at least from here on. */
static guint read_messages(int fd, guint least, struct tally *tally)
{
	struct message message;
	gboolean opened = FALSE;
	size_t have = 0;
	ssize_t n;

	while ((n = read(fd, (char *)&message + have, sizeof(message) - have)) > 0) {
		have += (size_t)n;
		if (have < sizeof(message))
			continue;
		have = 0;
		if (!opened) {
			opened = TRUE;
			g_assert_cmpint(message.found, >=,
					least); /* every acknowledged write is there, and none is half there */
			least = (guint)message.found;
		} else {
			least = message.n;
			tally->acknowledged++;
		}
	}
	g_assert_cmpint(n, ==, 0);
	tally->while_opening += !opened;
	return least;
}

static guint kill_once(const char *path, guint least, GRand *rand, struct tally *tally)
{
	int fd, status;
	pid_t pid = spawn(path, &fd);

	/* The wait is the point of the test: a moment of no meaning to the writer. Half of them count from when it has opened
	 * the store, however long that takes here. */
	if (g_rand_boolean(rand)) {
		struct pollfd opened = { .fd = fd, .events = POLLIN };

		g_assert_cmpint(poll(&opened, 1, OPEN_MS_MAX), ==, 1);
	}
	g_usleep((gulong)g_rand_int_range(rand, 0, RUN_US_MAX));
	g_assert_cmpint(kill(pid, SIGKILL), ==, 0);
	while (waitpid(pid, &status, 0) < 0)
		g_assert_cmpint(errno, ==, EINTR);
	g_assert_true(WIFSIGNALED(status)); /* else it ended by itself: it says why on stderr */
	tally->kills++;
	least = read_messages(fd, least, tally);
	close(fd);
	return least;
}

static void check_end(const char *path, guint least)
{
	g_autoptr(GError) error = NULL;
	struct store *store = store_sqlite_open(path, NULL, &error);
	g_autofree char *why = NULL;

	g_assert_no_error(error);
	g_assert_cmpint(workload_check(store, 0, &why), >=, least);
	store_unref(store);
}

static void test_kill(void)
{
	guint32 seed = (guint32)g_test_rand_int();
	g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
	g_autofree char *dir = g_dir_make_tmp("polder-kill-XXXXXX", NULL);
	guint n_kills = g_getenv("POLDER_TEST_LONG") != NULL ? KILLS_LONG : KILLS;
	struct tally tally = { 0 };

	g_test_message("seed %u", seed);
	for (guint round = 0; round < n_kills / KILLS_PER_FILE; round++) {
		g_autofree char *path = g_strdup_printf("%s/%u.db", dir, round);
		g_autofree char *wal = g_strconcat(path, "-wal", NULL);
		guint least = 0;

		for (guint i = 0; i < KILLS_PER_FILE; i++)
			least = kill_once(path, least, rand, &tally);
		check_end(path, least);
		g_unlink(path);
		g_unlink(wal);
	}
	g_test_message("%u kills, %u of them while opening, %u transactions acknowledged", tally.kills,
		       tally.while_opening, tally.acknowledged);
	g_assert_cmpuint(tally.acknowledged, >, 0);
	remove_tree(dir);
}

int main(int argc, char **argv)
{
	g_autofree char *exe = NULL;

	if (argc == 4 && strcmp(argv[1], "--writer") == 0)
		return run_writer(argv[2], atoi(argv[3]));
	exe = g_file_read_link("/proc/self/exe", NULL);
	self = exe;
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/store/kill", test_kill);
	return g_test_run();
}
