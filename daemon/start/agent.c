#include "daemon/start/start.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/model/error.h"

#define STORE_FD   3
#define REQUEST_FD 4

/* In the child, between fork and exec: only async-signal-safe calls. On failure the errno goes back through `report`. */
static void G_GNUC_NORETURN child(const char *path, char *const *argv, int store_fd, int request_fd, int report)
{
	int null = open("/dev/null", O_RDONLY);
	sigset_t none;
	int error;

	/* Above the fds they will be put on, so that neither is overwritten. */
	store_fd = fcntl(store_fd, F_DUPFD, 10);
	request_fd = fcntl(request_fd, F_DUPFD, 10);
	report = fcntl(report, F_DUPFD_CLOEXEC, 10);
	if (null >= 0 && store_fd >= 0 && request_fd >= 0 && report >= 0 && dup2(null, STDIN_FILENO) >= 0 &&
	    dup2(STDERR_FILENO, STDOUT_FILENO) >= 0 && dup2(store_fd, STORE_FD) >= 0 &&
	    dup2(request_fd, REQUEST_FD) >= 0 && close_range(REQUEST_FD + 1, ~0u, CLOSE_RANGE_CLOEXEC) == 0) {
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		signal(SIGPIPE, SIG_DFL);
		execv(path, argv);
	}
	error = errno;
	if (report < 0 || write(report, &error, sizeof(error)) < 0)
		_exit(126);
	_exit(127);
}

static gboolean pair(int type, int fds[2], GError **error)
{
	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) == 0)
		return TRUE;
	g_set_error(error, POLDER_ERROR, POLDER_ERROR_FAILED, "make the agent's sockets: %s", g_strerror(errno));
	return FALSE;
}

/* 0 when it was executed; else its errno. */
static int exec_result(int report)
{
	int error = 0;
	ssize_t got;

	do
		got = read(report, &error, sizeof(error));
	while (got < 0 && errno == EINTR);
	return got == sizeof(error) ? error : 0;
}

gboolean start_agent(const char *path, const char *root, const char *socket, struct agent_process *agent,
		     GError **error)
{
	char *const argv[] = { (char *)path,   (char *)"--socket",
			       (char *)socket, root ? (char *)"--root" : NULL,
			       (char *)root,   NULL };
	int store[2], request[2], report[2], failed;

	if (!pair(SOCK_STREAM, store, error))
		return FALSE;
	if (!pair(SOCK_SEQPACKET, request, error) || pipe2(report, O_CLOEXEC) < 0) {
		g_prefix_error(error, "start the agent: ");
		if (error && !*error)
			g_set_error(error, POLDER_ERROR, POLDER_ERROR_FAILED, "start the agent: %s", g_strerror(errno));
		return FALSE; /* the process ends: its fds go with it */
	}
	agent->pid = fork();
	if (agent->pid == 0)
		child(path, argv, store[1], request[1], report[1]);
	close(store[1]);
	close(request[1]);
	close(report[1]);
	failed = agent->pid < 0 ? errno : exec_result(report[0]);
	close(report[0]);
	agent->store_fd = store[0];
	agent->request_fd = request[0];
	if (!failed)
		return TRUE;
	g_set_error(error, POLDER_ERROR, POLDER_ERROR_FAILED, "start the agent %s: %s; --agent PATH names another",
		    path, g_strerror(failed));
	return FALSE;
}

void start_end_agent(const struct agent_process *agent)
{
	if (agent->pid <= 0)
		return;
	shutdown(agent->store_fd, SHUT_RDWR);
	shutdown(agent->request_fd, SHUT_RDWR);
	while (waitpid(agent->pid, NULL, 0) < 0 && errno == EINTR)
		;
}
