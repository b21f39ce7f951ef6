#include "cli/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/table.h"
#include "daemon/model/error.h"

#define START_DEADLINE_MS 20000
#define POLL_MS           5
#define LOG_BYTES_MAX     (1 << 20)

/* Does anybody accept on `path`? Leaves errno. */
static gboolean accepts(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, result;

	if (g_strlcpy(address.sun_path, path, sizeof(address.sun_path)) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return FALSE;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return FALSE;
	result = connect(fd, (struct sockaddr *)&address, sizeof(address));
	if (result < 0) {
		int saved = errno;

		close(fd);
		errno = saved;
		return FALSE;
	}
	close(fd);
	return TRUE;
}

static gboolean unavailable(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

static gboolean unavailable(GError **error, const char *format, ...)
{
	g_autofree char *message = NULL;
	va_list args;

	va_start(args, format);
	message = g_strdup_vprintf(format, args);
	va_end(args);
	g_set_error_literal(error, POLDER_ERROR, POLDER_ERROR_UNAVAILABLE, message);
	return FALSE;
}

/* Make `path`, and refuse one that is not ours: anybody can make a directory in /tmp before us. */
static gboolean make_directory(const char *path, GError **error)
{
	struct stat st;

	if (g_mkdir_with_parents(path, geteuid() == 0 ? 0755 : 0700) != 0)
		return unavailable(error, "can't make %s for the daemon: %s", path, g_strerror(errno));
	if (lstat(path, &st) != 0 || !S_ISDIR(st.st_mode))
		return unavailable(error, "%s is not a directory: move it away", path);
	/* Root's daemon may have given its directories to its own user. */
	if (geteuid() != 0 && (st.st_uid != geteuid() || (st.st_mode & 0022)))
		return unavailable(error, "%s can be written by others: use --root DIR or set XDG_RUNTIME_DIR", path);
	return TRUE;
}

/* The daemon's log, where it also writes when it can't start. *offset: where its new lines begin. */
static int open_log(const char *path, off_t *offset)
{
	int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && st.st_size > LOG_BYTES_MAX && ftruncate(fd, 0) == 0)
		st.st_size = 0;
	*offset = st.st_size;
	return fd;
}

/* The last line written to the log since `offset`. Caller frees. */
static char *last_line(int fd, off_t offset)
{
	char buffer[4096];
	struct stat st;
	ssize_t got;
	g_auto(GStrv) lines = NULL;

	if (fstat(fd, &st) != 0 || st.st_size <= offset)
		return g_strdup("it wrote no reason");
	offset = MAX(offset, st.st_size - (off_t)sizeof(buffer) + 1);
	got = pread(fd, buffer, sizeof(buffer) - 1, offset);
	if (got <= 0)
		return g_strdup("it wrote no reason");
	buffer[got] = '\0';
	g_strchomp(buffer);
	lines = g_strsplit(buffer, "\n", -1);
	return text_printable(lines[g_strv_length(lines) - 1]);
}

/* Start polderd, its own session, its output into the log. -1 with errno. */
static pid_t spawn(const char *tool, char **argv, int log_fd)
{
	pid_t pid = fork();
	sigset_t none;
	int null_fd;

	if (pid != 0)
		return pid;
	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	null_fd = open("/dev/null", O_RDWR);
	if (null_fd < 0 || dup2(null_fd, 0) < 0 || dup2(log_fd, 1) < 0 || dup2(log_fd, 2) < 0 || chdir("/") < 0)
		_exit(127);
	/* Nothing of ours may live on in it: a pipe kept open would keep its reader waiting. */
	for (int fd = 3; fd < 256; fd++)
		close(fd);
	execv(tool, argv);
	dprintf(2, "can't execute %s: %s\n", tool, strerror(errno));
	_exit(127);
}

static gboolean wait_until_accepts(struct launch *launch, int log_fd, off_t offset, gint64 deadline, GError **error)
{
	int status;

	while (!accepts(launch->dirs.socket)) {
		if (waitpid(launch->started, &status, WNOHANG) == launch->started) {
			g_autofree char *line = last_line(log_fd, offset);

			/* It lost a race against another one that now listens. */
			if (accepts(launch->dirs.socket))
				return TRUE;
			return unavailable(error, "the daemon did not start: %s (all of it in %s/polderd.log)", line,
					   launch->dirs.state);
		}
		if (g_get_monotonic_time() > deadline)
			return unavailable(
				error, "the daemon (pid %d) did not begin to listen within %d s; see %s/polderd.log",
				(int)launch->started, START_DEADLINE_MS / 1000, launch->dirs.state);
		g_usleep(POLL_MS * 1000);
	}
	return TRUE;
}

static gboolean start_locked(struct launch *launch, const char *root, const char *socket, gint64 deadline,
			     GError **error)
{
	g_autofree char *tool = dirs_tool("polderd");
	g_autofree char *log_path = g_build_filename(launch->dirs.state, "polderd.log", NULL);
	g_autofree char *absolute_root = root ? g_canonicalize_filename(root, NULL) : NULL;
	g_autoptr(GPtrArray) argv = g_ptr_array_new();
	off_t offset = 0;
	int log_fd;
	gboolean ok;

	if (!g_file_test(tool, G_FILE_TEST_IS_EXECUTABLE))
		return unavailable(error, "no daemon runs, and %s is not there to be started: build or install it",
				   tool);
	log_fd = open_log(log_path, &offset);
	if (log_fd < 0)
		return unavailable(error, "can't write the daemon's log %s: %s", log_path, g_strerror(errno));
	g_ptr_array_add(argv, tool);
	g_ptr_array_add(argv, (gpointer) "--idle-exit");
	if (absolute_root) {
		g_ptr_array_add(argv, (gpointer) "--root");
		g_ptr_array_add(argv, absolute_root);
	}
	if (socket) {
		g_ptr_array_add(argv, (gpointer) "--socket");
		g_ptr_array_add(argv, launch->dirs.socket);
	}
	g_ptr_array_add(argv, NULL);
	launch->started = spawn(tool, (char **)argv->pdata, log_fd);
	if (launch->started < 0) {
		launch->started = 0;
		ok = unavailable(error, "can't start the daemon: %s", g_strerror(errno));
	} else
		ok = wait_until_accepts(launch, log_fd, offset, deadline, error);
	close(log_fd);
	return ok;
}

/* One starter at a time: the others wait, and find a daemon that listens. */
static gboolean start(struct launch *launch, const char *root, const char *socket, GError **error)
{
	gint64 deadline = g_get_monotonic_time() + START_DEADLINE_MS * 1000;
	g_autofree char *lock_path = g_build_filename(launch->dirs.run, "start.lock", NULL);
	gboolean ok = FALSE;
	int lock;

	if (!make_directory(launch->dirs.run, error) || !make_directory(launch->dirs.state, error))
		return FALSE;
	lock = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (lock < 0)
		return unavailable(error, "can't open %s: %s", lock_path, g_strerror(errno));
	while (flock(lock, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK && errno != EINTR) {
			unavailable(error, "can't lock %s: %s", lock_path, g_strerror(errno));
			goto out;
		}
		if (g_get_monotonic_time() > deadline) {
			unavailable(error, "another command has been starting the daemon for %d s; see %s/polderd.log",
				    START_DEADLINE_MS / 1000, launch->dirs.state);
			goto out;
		}
		g_usleep(POLL_MS * 1000);
	}
	ok = accepts(launch->dirs.socket) || start_locked(launch, root, socket, deadline, error);
out:
	close(lock);
	return ok;
}

static const char *given(const char *argument, const char *variable)
{
	const char *value = argument ? argument : g_getenv(variable);

	return value && *value ? value : NULL;
}

gboolean launch_daemon(struct launch *launch, const char *root, const char *socket, GError **error)
{
	root = given(root, "POLDER_ROOT");
	socket = given(socket, "POLDER_SOCKET");
	launch->started = 0;
	dirs_init(&launch->dirs, root, socket);
	if (!root && !socket && !launch->dirs.system && accepts(DIRS_SYSTEM_SOCKET)) {
		g_free(launch->dirs.socket);
		launch->dirs.socket = g_strdup(DIRS_SYSTEM_SOCKET);
		launch->dirs.system = TRUE;
		return TRUE;
	}
	if (accepts(launch->dirs.socket))
		return TRUE;
	if (errno == ENAMETOOLONG)
		return unavailable(error,
				   "the socket's path %s is longer than the %zu bytes the kernel takes: use a shorter "
				   "--root, or --socket",
				   launch->dirs.socket, sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
	if (errno == EACCES)
		return unavailable(error, "can't connect to the daemon at %s: %s", launch->dirs.socket,
				   g_strerror(errno));
	if (socket && !root)
		return unavailable(error, "no daemon listens on %s: start one there with 'polder daemon --socket %s'",
				   socket, socket);
	if (g_getenv("POLDER_NO_START"))
		return unavailable(error, "no daemon listens on %s, and POLDER_NO_START forbids to start one",
				   launch->dirs.socket);
	return start(launch, root, socket, error);
}

void launch_clear(struct launch *launch)
{
	dirs_clear(&launch->dirs);
}
