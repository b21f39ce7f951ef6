/* polder-vm: start one QEMU, keep its console, wait, write down why it ended. See vm.h. */
#include "vm/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct supervisor {
	struct options options;
	struct rundir rundir;
	struct log log;
	struct child child;
	struct console console;
	int signal_fd;
};

static struct supervisor vm; /* zeroed pages cost nothing until used; the stack would */

/* Our parent, its files and its directory must not be kept alive by a VM that outlives them. */
static void forget_parent(void)
{
	int fd = open("/dev/null", O_RDWR);

	dup2(fd, 0);
	dup2(fd, 1);
	dup2(fd, 2);
	if (fd > 2)
		close(fd);
}

static bool block_signals(struct supervisor *s)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file size limit is a full disk to us */
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signal_fd < 0)
		complain(errno, "signalfd");
	return s->signal_fd >= 0;
}

static void close_launch(struct options *options)
{
	if (options->launch_fd >= 0)
		close(options->launch_fd);
	options->launch_fd = -1;
}

/* Nothing of whoever started us may leak into a process that outlives them, but what was handed over. */
static void close_inherited(const struct options *options)
{
	if (options->launch_fd < 0) {
		close_range(3, ~0u, 0);
		return;
	}
	if (options->launch_fd > 3)
		close_range(3, (unsigned)options->launch_fd - 1, 0);
	close_range((unsigned)options->launch_fd + 1, ~0u, 0);
	fcntl(options->launch_fd, F_SETFD, FD_CLOEXEC);
}

static bool start(struct supervisor *s)
{
	int serial[2], fds[CHILD_FDS];

	/* The log's path may be relative, so it comes before the run directory becomes our working directory. */
	if (!block_signals(s) || !log_init(&s->log, s->options.log) || !rundir_open(&s->rundir, s->options.dir))
		return false;
	close_launch(&s->options);
	int console_fd = rundir_listen("console.sock");
	fds[0] = rundir_listen("qmp.sock");
	fds[1] = rundir_listen("guest.sock");
	fds[2] = rundir_listen("stream.sock");
	if (console_fd < 0 || fds[0] < 0 || fds[1] < 0 || fds[2] < 0)
		return false;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, serial) < 0) {
		complain(errno, "socketpair");
		return false;
	}
	fds[3] = serial[1];
	if (!child_start(&s->child, &s->options, fds) || !rundir_write_child(&s->rundir, s->child.pid))
		return false;
	for (int i = 0; i < CHILD_FDS; i++)
		close(fds[i]);
	console_init(&s->console, serial[0], console_fd, &s->log);
	return privileges_drop();
}

/* False once QEMU has ended. */
static bool take_signal(struct supervisor *s, int *wait_status)
{
	struct signalfd_siginfo info;

	while (read(s->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		/* Someone ends us politely: QEMU first, so that its end is recorded. */
		if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
			kill(s->child.pid, SIGTERM);
	}
	return waitpid(s->child.pid, wait_status, WNOHANG) != s->child.pid;
}

static void serve(struct supervisor *s, int *wait_status)
{
	struct pollfd fds[2 + CONSOLE_POLL_FDS];

	for (;;) {
		fds[0] = (struct pollfd) { .fd = s->signal_fd, .events = POLLIN };
		fds[1] = (struct pollfd) { .fd = s->child.error_fd, .events = POLLIN };
		console_poll(&s->console, fds + 2);
		if (poll(fds, sizeof(fds) / sizeof(fds[0]), -1) < 0)
			continue;
		console_dispatch(&s->console, fds + 2);
		if (fds[1].revents)
			child_read_errors(&s->child);
		if (fds[0].revents && !take_signal(s, wait_status))
			return;
	}
}

/* The supervisor's whole life; report_fd tells the first process, `parent`, how starting went. Until then it dies with
 * it: who gives a start up ends the first process, and must not find a VM running later. */
static int supervise(struct supervisor *s, int report_fd, pid_t parent)
{
	char last[CHILD_LAST_LINE_BYTES];
	int wait_status;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		return 1;
	if (!start(s)) {
		if (s->child.pid > 0)
			kill(s->child.pid, SIGKILL);
		if (s->rundir.exit_fd > 0)
			rundir_remove_sockets(&s->rundir);
		if (write(report_fd, "F", 1) != 1)
			return 1;
		return 1;
	}
	forget_parent();
	prctl(PR_SET_PDEATHSIG, 0);
	if (write(report_fd, "K", 1) == 1)
		close(report_fd);
	serve(s, &wait_status);
	console_drain(&s->console);
	for (size_t before = 0; s->child.error_fd >= 0; before++) {
		/* A child of QEMU could hold the pipe open: take what is there, not all there ever will be. */
		if (before == CHILD_ERROR_BYTES)
			break;
		struct pollfd more = { .fd = s->child.error_fd, .events = POLLIN };
		if (poll(&more, 1, 0) <= 0)
			break;
		child_read_errors(&s->child);
	}
	child_last_line(&s->child, last);
	bool recorded = rundir_write_exit(&s->rundir, wait_status, last);
	rundir_remove_sockets(&s->rundir);
	return recorded ? 0 : 1;
}

int main(int argc, char **argv)
{
	int report[2];
	char answer = 0;

	umask(077);
	if (!options_parse(&vm.options, argc, argv))
		return 1;
	close_inherited(&vm.options);
	if (pipe2(report, O_CLOEXEC) < 0) {
		complain(errno, "make a pipe");
		return 1;
	}
	pid_t self = getpid(), pid = fork();
	if (pid < 0) {
		complain(errno, "fork");
		return 1;
	}
	if (pid == 0) {
		close(report[0]);
		setsid();
		return supervise(&vm, report[1], self);
	}
	close(report[1]);
	close_launch(&vm.options);
	while (read(report[0], &answer, 1) < 0 && errno == EINTR)
		continue;
	if (answer == 0)
		complain(0, "ended before QEMU was started");
	return answer == 'K' ? 0 : 1;
}
