#include "guest/events.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/input.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define UEVENT_BYTES 8192

struct button {
	const struct events_host *host;
	int fd;
	struct watch *watch;
};

static struct loop *events_loop;

static void button_ready(void *data, short revents)
{
	struct button *button = data;
	struct input_event event;
	ssize_t count = read(button->fd, &event, sizeof(event));

	if (count == sizeof(event)) {
		if (event.type == EV_KEY && event.code == KEY_POWER && event.value == 1)
			button->host->power_button(button->host->data);
	} else if (count >= 0 || (errno != EAGAIN && errno != EINTR)) {
		loop_unwatch(button->watch);
		close(button->fd);
		free(button);
	}
}

/* Listen to the input device if it has a power key. `name` is its path under /dev. */
static void add_button(const struct events_host *host, const char *name)
{
	unsigned char keys[KEY_MAX / 8 + 1] = { 0 };
	struct button *button = calloc(1, sizeof(*button));
	char path[64];

	if (!button)
		return;
	snprintf(path, sizeof(path), "/dev/%.50s", name);
	*button = (struct button) { host, open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC) };
	if (button->fd >= 0 && ioctl(button->fd, EVIOCGBIT(EV_KEY, sizeof(keys)), keys) >= 0 &&
	    keys[KEY_POWER / 8] & 1 << KEY_POWER % 8)
		button->watch = loop_watch(events_loop, button->fd, POLLIN, button_ready, button);
	if (button->watch)
		return;
	if (button->fd >= 0)
		close(button->fd);
	free(button);
}

struct uevent_socket {
	const struct events_host *host;
	int fd;
};

/* "ACTION@PATH" and "KEY=value" strings, each ended by NUL. */
static void uevent(const struct events_host *host, const char *text, size_t bytes)
{
	const char *subsystem = "", *device = "", *action = "";

	for (const char *at = text; at < text + bytes; at += strlen(at) + 1) {
		if (!strncmp(at, "SUBSYSTEM=", 10))
			subsystem = at + 10;
		else if (!strncmp(at, "DEVNAME=", 8))
			device = at + 8;
		else if (!strncmp(at, "ACTION=", 7))
			action = at + 7;
	}
	if (!strcmp(action, "remove"))
		return;
	if (!strcmp(subsystem, "input") && !strncmp(device, "input/event", 11) && !strcmp(action, "add"))
		add_button(host, device);
	else
		host->changed(host->data, subsystem);
}

static void uevent_ready(void *data, short revents)
{
	struct uevent_socket *socket = data;
	char text[UEVENT_BYTES + 1];

	for (;;) {
		ssize_t bytes = recv(socket->fd, text, UEVENT_BYTES, MSG_DONTWAIT);
		if (bytes < 0 && errno == ENOBUFS)
			continue; /* some were lost; later ones lead to the same scan */
		if (bytes <= 0)
			return;
		text[bytes] = 0;
		uevent(socket->host, text, bytes);
	}
}

void events_listen(struct loop *loop, const struct events_host *host)
{
	static struct uevent_socket uevents;
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK, .nl_groups = 1 };

	events_loop = loop;
	uevents.host = host;
	uevents.fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
	if (uevents.fd < 0 || bind(uevents.fd, (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		fprintf(stderr, "polder: uevents: %s\n", strerror(errno));
	else
		loop_watch(loop, uevents.fd, POLLIN, uevent_ready, &uevents);
}
