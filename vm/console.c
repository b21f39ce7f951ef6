#include "vm/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/model/limits.h"

_Static_assert(CONSOLE_CLIENTS == LIMIT_CONSOLE_CLIENTS, "the poll set has room for exactly the clients we allow");

void console_init(struct console *console, int guest_fd, int listen_fd, struct log *log)
{
	memset(console, 0, sizeof(*console));
	console->guest_fd = guest_fd;
	console->listen_fd = listen_fd;
	console->log = log;
	for (unsigned i = 0; i < CONSOLE_CLIENTS; i++)
		console->clients[i] = -1;
	fcntl(guest_fd, F_SETFL, O_NONBLOCK);
}

void console_poll(const struct console *console, struct pollfd *fds)
{
	bool full = console->input_bytes > 0;

	fds[0] = (struct pollfd) { .fd = console->guest_fd, .events = (short)(POLLIN | (full ? POLLOUT : 0)) };
	fds[1] = (struct pollfd) { .fd = console->listen_fd, .events = POLLIN };
	for (unsigned i = 0; i < CONSOLE_CLIENTS; i++)
		fds[2 + i] = (struct pollfd) { .fd = console->clients[i], .events = full ? 0 : POLLIN };
}

static void hang_up(struct console *console, unsigned i)
{
	close(console->clients[i]);
	console->clients[i] = -1;
}

static void remember(struct console *console, const char *data, size_t bytes)
{
	if (bytes > CONSOLE_RING_BYTES) {
		data += bytes - CONSOLE_RING_BYTES;
		bytes = CONSOLE_RING_BYTES;
	}
	size_t first = CONSOLE_RING_BYTES - console->ring_next;
	if (first > bytes)
		first = bytes;
	memcpy(console->ring + console->ring_next, data, first);
	memcpy(console->ring, data + first, bytes - first);
	console->ring_next = (console->ring_next + bytes) % CONSOLE_RING_BYTES;
	console->ring_bytes += bytes;
	if (console->ring_bytes > CONSOLE_RING_BYTES)
		console->ring_bytes = CONSOLE_RING_BYTES;
}

/* The kernel's socket buffer (some 200 KiB) is all a slow client gets: what doesn't fit is lost to it alone. One that is
 * gone is noticed when it is read: what it typed before it left comes first. */
static void send_client(const struct console *console, unsigned i, const char *data, size_t bytes)
{
	send(console->clients[i], data, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Some output of the guest to everyone. False when there is none now. */
static bool take_output(struct console *console)
{
	char data[4096];
	ssize_t n = read(console->guest_fd, data, sizeof(data));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		close(console->guest_fd);
		console->guest_fd = -1;
		console->input_bytes = 0;
		return false;
	}
	remember(console, data, (size_t)n);
	log_write(console->log, data, (size_t)n);
	for (unsigned i = 0; i < CONSOLE_CLIENTS; i++)
		if (console->clients[i] >= 0)
			send_client(console, i, data, (size_t)n);
	return true;
}

static void give_input(struct console *console)
{
	if (console->guest_fd < 0) {
		console->input_bytes = 0;
		return;
	}
	ssize_t n = send(console->guest_fd, console->input, console->input_bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0)
		n = (ssize_t)console->input_bytes; /* the guest's end is gone: nobody will ever read it */
	console->input_bytes -= (size_t)n;
	memmove(console->input, console->input + n, console->input_bytes);
}

static void take_client(struct console *console, unsigned i)
{
	if (console->input_bytes > 0)
		return; /* another client's input came first: this one's waits in its socket */
	ssize_t n = recv(console->clients[i], console->input, sizeof(console->input), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		hang_up(console, i);
		return;
	}
	console->input_bytes = (size_t)n;
	give_input(console);
}

/* A free place; one of a client that is gone counts. -1: LIMIT_CONSOLE_CLIENTS are there. */
static int find_place(struct console *console)
{
	for (unsigned i = 0; i < CONSOLE_CLIENTS; i++)
		if (console->clients[i] < 0)
			return (int)i;
	for (unsigned i = 0; i < CONSOLE_CLIENTS; i++) {
		struct pollfd p = { .fd = console->clients[i] };
		if (poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR))) {
			hang_up(console, i);
			return (int)i;
		}
	}
	return -1;
}

static void accept_client(struct console *console)
{
	int fd = accept4(console->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int place = fd < 0 ? -1 : find_place(console);

	if (place < 0) {
		if (fd >= 0)
			close(fd);
		return;
	}
	console->clients[place] = fd;
	size_t start = (console->ring_next + CONSOLE_RING_BYTES - console->ring_bytes) % CONSOLE_RING_BYTES;
	size_t first = CONSOLE_RING_BYTES - start;
	if (first > console->ring_bytes)
		first = console->ring_bytes;
	if (first)
		send_client(console, (unsigned)place, console->ring + start, first);
	if (console->ring_bytes > first)
		send_client(console, (unsigned)place, console->ring, console->ring_bytes - first);
}

void console_dispatch(struct console *console, const struct pollfd *fds)
{
	if (fds[0].revents & POLLOUT)
		give_input(console);
	if (fds[0].revents & (POLLIN | POLLHUP | POLLERR))
		take_output(console);
	for (unsigned i = 0; i < CONSOLE_CLIENTS; i++)
		if (fds[2 + i].revents)
			take_client(console, i);
	if (fds[1].revents)
		accept_client(console);
}

void console_drain(struct console *console)
{
	while (console->guest_fd >= 0 && take_output(console))
		continue;
	for (unsigned i = 0; i < CONSOLE_CLIENTS; i++)
		if (console->clients[i] >= 0)
			hang_up(console, i);
}
