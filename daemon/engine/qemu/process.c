#include "daemon/engine/qemu/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/model/error.h"

#define CHILD_ENVIRONMENT                                                                                             \
	{                                                                                                             \
		(char *)"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", (char *)"LC_ALL=C", NULL \
	}

static int pidfd_open_(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

static int pidfd_kill(int pidfd)
{
	return (int)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
}

gboolean process_ended(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

/* 0: nobody; -1: errno. */
static pid_t lock_holder(int fd)
{
	struct flock flock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_GETLK, &flock) < 0)
		return -1;
	return flock.l_type == F_UNLCK ? 0 : flock.l_pid;
}

static pid_t parent_of(pid_t pid)
{
	char path[64];
	g_autofree char *text = NULL;
	int parent = 0;

	g_snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (!g_file_get_contents(path, &text, NULL, NULL))
		return 0;
	/* The command's name may hold anything, parentheses too: what follows the last one counts. */
	char *after = strrchr(text, ')');
	return after && sscanf(after + 1, " %*c %d", &parent) == 1 ? parent : 0;
}

/* QEMU's pidfd, or -1: the file may be from an earlier run, its number someone else's by now. */
static int open_child(const char *run_dir, pid_t supervisor, pid_t *pid)
{
	g_autofree char *path = g_build_filename(run_dir, "child", NULL);
	g_autofree char *text = NULL;

	if (!g_file_get_contents(path, &text, NULL, NULL))
		return -1;
	*pid = (pid_t)g_ascii_strtoll(text, NULL, 10);
	int fd = *pid > 1 ? pidfd_open_(*pid) : -1;
	if (fd >= 0 && parent_of(*pid) == supervisor)
		return fd;
	if (fd >= 0)
		close(fd);
	*pid = 0;
	return -1;
}

gboolean process_find(const char *run_dir, struct process *process, GError **error)
{
	g_autofree char *path = g_build_filename(run_dir, "lock", NULL);

	*process = PROCESS_NONE;
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	pid_t holder = fd < 0 ? (errno == ENOENT ? 0 : -1) : lock_holder(fd);
	if (holder < 0) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_FAILED, "look at %s: %s", path, g_strerror(errno));
	} else if (holder > 0) {
		process->supervisor = holder;
		process->supervisor_fd = pidfd_open_(holder);
		/* It may have ended in between, and its number gone to another: only who still holds the lock is it. */
		if (process->supervisor_fd < 0 || lock_holder(fd) != holder) {
			process_clear(process);
			holder = 0;
		}
	}
	if (fd >= 0)
		close(fd);
	if (holder == 0)
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_NOT_FOUND, "nothing runs in %s", run_dir);
	if (holder <= 0)
		return FALSE;
	process->child_fd = open_child(run_dir, holder, &process->child);
	return TRUE;
}

void process_find_child(const char *run_dir, struct process *process)
{
	if (process->supervisor_fd >= 0 && process->child_fd < 0)
		process->child_fd = open_child(run_dir, process->supervisor, &process->child);
}

void process_clear(struct process *process)
{
	if (process->supervisor_fd >= 0)
		close(process->supervisor_fd);
	if (process->child_fd >= 0)
		close(process->child_fd);
	*process = PROCESS_NONE;
}

void process_kill(const struct process *process)
{
	if (process->child_fd >= 0)
		pidfd_kill(process->child_fd);
	else if (process->supervisor_fd >= 0)
		pidfd_kill(process->supervisor_fd);
}

/* What `fd` says until its end, at most `size` - 1 bytes of it; FALSE when the deadline passes first. */
static gboolean read_until_end(int fd, char *text, gsize size, gint64 deadline_us)
{
	gsize bytes = 0;
	char scrap[256];

	for (;;) {
		gint64 left_us = deadline_us - g_get_monotonic_time();
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int ready = poll(&p, 1, left_us > 0 ? (int)((left_us + 999) / 1000) : 0);
		if (ready == 0)
			return FALSE;
		if (ready < 0)
			continue;
		gboolean full = bytes + 1 >= size;
		ssize_t n = read(fd, full ? scrap : text + bytes, full ? sizeof(scrap) : size - 1 - bytes);
		if (n <= 0)
			break;
		bytes += full ? 0 : (gsize)n;
	}
	text[bytes] = '\0';
	return TRUE;
}

static int spawn(char *const *argv, int error_fd, int launch_fd, pid_t *pid)
{
	/* A VM must not depend on the environment its agent happened to have. */
	char *environment[] = CHILD_ENVIRONMENT;
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;

	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0);
	posix_spawn_file_actions_adddup2(&actions, 0, 1);
	posix_spawn_file_actions_adddup2(&actions, error_fd, 2);
	if (launch_fd >= 0)
		posix_spawn_file_actions_adddup2(&actions, launch_fd, PROCESS_LAUNCH_FD);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigmask(&attributes, &none);
	int result = posix_spawn(pid, argv[0], &actions, &attributes, argv, environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return result;
}

gboolean process_spawn(char *const *argv, int launch_fd, guint timeout_ms, GError **error)
{
	char text[1024] = "";
	int fds[2], status = 0;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_FAILED, "make a pipe: %s", g_strerror(errno));
		return FALSE;
	}
	int result = spawn(argv, fds[1], launch_fd, &pid);
	close(fds[1]);
	if (result != 0) {
		close(fds[0]);
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_FAILED, "run %s: %s", argv[0], g_strerror(result));
		return FALSE;
	}
	gboolean ended = read_until_end(fds[0], text, sizeof(text), g_get_monotonic_time() + (gint64)timeout_ms * 1000);
	close(fds[0]);
	if (!ended)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (ended && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return TRUE;
	g_strstrip(text);
	if (!ended)
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_TIMEOUT, "polder-vm didn't start QEMU within %u ms",
			    timeout_ms);
	else
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_FAILED, "%s",
			    *text ? text : "polder-vm ended without a word");
	return FALSE;
}
