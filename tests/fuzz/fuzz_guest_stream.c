/* The guest's two agents fed with bytes over a socket pair. Requests that would run or touch something on this machine are
 * left out. The first byte chooses the agent. */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest/agent_qga.h"
#include "guest/agent_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void power(void *data, enum power_action action)
{
}

static void drain(int fd)
{
	char bytes[65536];

	while (read(fd, bytes, sizeof(bytes)) > 0)
		;
}

/* Requests that would touch this machine are not sent: they have tests of their own. */
static int touches_host(const uint8_t *data, size_t size)
{
	static const char *const words[] = { "guest-exec", "guest-file", "guest-set-time", "argv", "\\u" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (memmem(data, size, words[i], strlen(words[i])))
			return 1;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct qga_host host = { power, NULL };
	int fds[2];

	if (size < 1 || size > 200000 || touches_host(data, size))
		return 0;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGIO, SIG_IGN);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		return 0;
	struct loop *loop = loop_new();
	struct qga *qga = data[0] & 1 ? qga_new(loop, fds[0], &host) : NULL;
	struct stream_agent *stream = data[0] & 1 ? NULL : stream_agent_new(loop, fds[0]);
	for (size_t at = 1; at < size;) {
		ssize_t sent = write(fds[1], data + at, size - at);
		at += sent > 0 ? sent : 0;
		loop_run_once(loop, 0);
		drain(fds[1]);
		if (sent < 0 && errno != EAGAIN)
			break;
	}
	for (int i = 0; i < 8; i++) {
		loop_run_once(loop, 0);
		drain(fds[1]);
	}
	close(fds[1]);
	loop_run_once(loop, 0);
	qga_free(qga);
	stream_agent_free(stream);
	loop_free(loop);
	return 0;
}
