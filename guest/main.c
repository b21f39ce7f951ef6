/* polder-guest: PID 1 and guest agent of the built-in image `tiny`. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "guest/agent_qga.h"
#include "guest/agent_stream.h"
#include "guest/events.h"
#include "guest/init.h"
#include "guest/modules.h"
#include "guest/network.h"
#include "guest/port.h"
#include "guest/protocol.h"

#define MODULES_LIST "/etc/polder/modules"

struct guest {
	struct loop *loop;
	struct qga *qga;
	struct stream_agent *stream;
	struct qga_host host;
	int signals_fd;
	bool user_network;
	bool ending;
	enum power_action action;
};

/* Ends at the bottom of the main loop, not inside whoever asked. */
static void ask_power(void *data, enum power_action action)
{
	struct guest *guest = data;

	guest->ending = true;
	guest->action = action;
}

static void power_button(void *data)
{
	ask_power(data, POWER_OFF);
}

static void open_ports(struct guest *guest)
{
	int fd = guest->qga ? -1 : port_open(STREAM_AGENT_PORT_NAME);

	if (fd >= 0)
		guest->qga = qga_new(guest->loop, fd, &guest->host);
	fd = guest->stream ? -1 : port_open(STREAM_PORT_NAME);
	if (fd >= 0)
		guest->stream = stream_agent_new(guest->loop, fd);
}

static void device_changed(void *data, const char *subsystem)
{
	struct guest *guest = data;

	if (!strcmp(subsystem, "virtio-ports"))
		open_ports(guest);
	else if (!strcmp(subsystem, "net") && guest->user_network)
		network_up_user();
}

static void take_signal(struct guest *guest, uint32_t number)
{
	switch (number) {
	case SIGCHLD:
		loop_reap(guest->loop);
		break;
	case SIGIO: /* the host connected to a port, or left it */
		if (guest->qga)
			qga_wake(guest->qga);
		if (guest->stream)
			stream_agent_wake(guest->stream);
		break;
	case SIGTERM: /* busybox reboot */
	case SIGINT:  /* Ctrl-Alt-Del */
		ask_power(guest, POWER_REBOOT);
		break;
	case SIGUSR1: /* busybox halt: a halted VM would only hold its memory */
	case SIGUSR2: /* busybox poweroff */
		ask_power(guest, POWER_OFF);
		break;
	}
}

static void signals_ready(void *data, short revents)
{
	struct guest *guest = data;
	struct signalfd_siginfo info;

	while (read(guest->signals_fd, &info, sizeof(info)) == sizeof(info))
		take_signal(guest, info.ssi_signo);
}

static void listen_to_signals(struct guest *guest)
{
	static const int numbers[] = { SIGCHLD, SIGIO, SIGTERM, SIGINT, SIGUSR1, SIGUSR2 };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaddset(&set, numbers[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	reboot(RB_DISABLE_CAD); /* Ctrl-Alt-Del becomes SIGINT */
	guest->signals_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	loop_watch(guest->loop, guest->signals_fd, POLLIN, signals_ready, guest);
}

int main(int argc, char **argv)
{
	static struct guest guest;
	static struct events_host events = { device_changed, power_button, &guest };
	char network[16];

	if (getpid() != 1) {
		fprintf(stderr, "polder-guest: this is PID 1 of Polder's image tiny; it is not started by hand\n");
		return 2;
	}
	guest.loop = loop_new();
	if (!guest.loop)
		return 1;
	guest.host = (struct qga_host) { ask_power, &guest };
	init_mount();
	init_option("polder.net", network, sizeof(network));
	guest.user_network = !strcmp(network, "user");
	listen_to_signals(&guest);
	events_listen(guest.loop, &events);
	init_hostname();
	network_up_loopback();
	modules_load(MODULES_LIST);
	init_console(guest.loop);
	/* What the modules found (the power button, eth0) is taken up before the host hears that we are here. */
	loop_run_once(guest.loop, 0);
	open_ports(&guest);
	while (!guest.ending)
		loop_run_once(guest.loop, -1);
	init_power(guest.action);
}
