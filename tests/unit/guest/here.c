#include "tests/unit/guest/here.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

static void signals_ready(void *data, short revents)
{
	struct here *here = data;
	struct signalfd_siginfo info;

	while (read(here->signals_fd, &info, sizeof(info)) == sizeof(info))
		loop_reap(here->loop);
}

static void pump(gpointer data)
{
	struct here *here = data;

	loop_run_once(here->loop, 10);
}

void here_init(struct here *here)
{
	int fds[2];
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	g_assert_cmpint(sigprocmask(SIG_BLOCK, &set, NULL), ==, 0);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGIO, SIG_IGN);
	here->loop = loop_new();
	here->signals_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	here->signals = loop_watch(here->loop, here->signals_fd, POLLIN, signals_ready, here);
	g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
	here->guest_fd = fds[0];
	client_init(&here->client, fds[1], pump, here);
}

void here_clear(struct here *here)
{
	client_clear(&here->client);
	loop_free(here->loop);
	close(here->signals_fd);
}
