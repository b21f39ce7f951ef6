#include "guest/port.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest/process.h"

#define PORT_READ_BYTES 32768

struct port {
	int fd;
	struct watch *watch;
	struct buffer out;
	bool asleep;  /* the host is not there */
	bool crowded; /* was over its half when last looked at */
	const struct port_events *events;
	void *data;
};

static void port_poll(struct port *port)
{
	bool waiting = buffer_bytes(&port->out) > 0;

	loop_watch_set(port->watch, port->asleep ? 0 : (port_crowded(port) ? 0 : POLLIN) | (waiting ? POLLOUT : 0));
}

static void set_async(struct port *port, bool on)
{
	int flags = fcntl(port->fd, F_GETFL);

	fcntl(port->fd, F_SETOWN, getpid());
	fcntl(port->fd, F_SETFL, on ? flags | O_ASYNC : flags & ~O_ASYNC);
}

static void sleep_until_connected(struct port *port)
{
	port->asleep = true;
	buffer_clear(&port->out);
	port->events->hangup(port->data);
	set_async(port, true);
	/* It may have connected before SIGIO was asked for. */
	port_wake(port);
}

static void port_ready(void *data, short revents)
{
	struct port *port = data;
	static char bytes[PORT_READ_BYTES];

	if (revents & POLLOUT)
		port_flush(port);
	if (!(revents & (POLLIN | POLLHUP | POLLERR)))
		return;
	ssize_t count = read(port->fd, bytes, sizeof(bytes));
	if (count > 0)
		port->events->input(port->data, bytes, count);
	else if (count == 0 || (errno != EAGAIN && errno != EINTR) || (revents & POLLHUP))
		sleep_until_connected(port);
	port_poll(port);
}

struct port *port_new(struct loop *loop, int fd, size_t out_max, const struct port_events *events, void *data)
{
	struct port *port = calloc(1, sizeof(*port));

	if (!port)
		return NULL;
	process_unblock(fd);
	*port = (struct port) { .fd = fd, .events = events, .data = data };
	buffer_init(&port->out, out_max);
	port->watch = loop_watch(loop, fd, POLLIN, port_ready, port);
	if (!port->watch) {
		free(port);
		return NULL;
	}
	return port;
}

void port_free(struct port *port)
{
	if (!port)
		return;
	loop_unwatch(port->watch);
	close(port->fd);
	buffer_clear(&port->out);
	free(port);
}

struct buffer *port_out(struct port *port)
{
	return &port->out;
}

bool port_crowded(const struct port *port)
{
	return buffer_bytes(&port->out) > port->out.max / 2;
}

void port_flush(struct port *port)
{
	/* A failed write is a hang-up; the next poll tells. */
	if (port->asleep || buffer_write(&port->out, port->fd) < 0)
		buffer_clear(&port->out);
	bool crowded = port_crowded(port);
	bool drained = port->crowded && !crowded;
	port->crowded = crowded;
	port_poll(port);
	if (drained && port->events->drained)
		port->events->drained(port->data);
}

void port_wake(struct port *port)
{
	struct pollfd fd = { .fd = port->fd, .events = POLLIN };

	if (!port->asleep || poll(&fd, 1, 0) < 0 || (fd.revents & (POLLHUP | POLLERR | POLLNVAL)))
		return;
	port->asleep = false;
	set_async(port, false);
	port_poll(port);
}

/* Without udev there are no /dev/virtio-ports links: the names are in sysfs. */
int port_open(const char *name)
{
	char path[300], found[64];
	int fd = -1;
	DIR *ports = opendir("/sys/class/virtio-ports");

	for (struct dirent *entry; ports && fd < 0 && (entry = readdir(ports));) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", entry->d_name);
		FILE *file = fopen(path, "re");
		if (!file)
			continue;
		if (!fgets(found, sizeof(found), file))
			found[0] = 0;
		fclose(file);
		found[strcspn(found, "\n")] = 0;
		if (strcmp(found, name))
			continue;
		snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
		fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	}
	if (ports)
		closedir(ports);
	return fd;
}
