#include "guest/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/route.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sockaddr ipv4(const char *text)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	struct sockaddr generic;

	inet_pton(AF_INET, text, &address.sin_addr);
	memcpy(&generic, &address, sizeof(generic));
	return generic;
}

static bool set_flags_up(int fd, const char *name)
{
	struct ifreq request = { 0 };

	snprintf(request.ifr_name, IFNAMSIZ, "%s", name);
	if (ioctl(fd, SIOCGIFFLAGS, &request) < 0)
		return false;
	request.ifr_flags |= IFF_UP;
	return ioctl(fd, SIOCSIFFLAGS, &request) == 0;
}

static bool set_address(int fd, const char *name, unsigned long command, const char *address)
{
	struct ifreq request = { .ifr_addr = ipv4(address) };

	snprintf(request.ifr_name, IFNAMSIZ, "%s", name);
	return ioctl(fd, command, &request) == 0;
}

static bool add_default_route(int fd, const char *gateway)
{
	struct rtentry route = { .rt_dst = ipv4("0.0.0.0"),
				 .rt_genmask = ipv4("0.0.0.0"),
				 .rt_gateway = ipv4(gateway),
				 .rt_flags = RTF_UP | RTF_GATEWAY };

	return ioctl(fd, SIOCADDRT, &route) == 0 || errno == EEXIST;
}

static void write_resolver(void)
{
	FILE *file = fopen("/etc/resolv.conf", "we");

	if (!file)
		return;
	fputs("nameserver 10.0.2.3\n", file);
	fclose(file);
}

void network_up_loopback(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || !set_flags_up(fd, "lo"))
		fprintf(stderr, "polder: network lo: %s\n", strerror(errno));
	if (fd >= 0)
		close(fd);
}

void network_up_user(void)
{
	static bool done;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (!done && fd >= 0 && if_nametoindex("eth0")) {
		done = set_address(fd, "eth0", SIOCSIFADDR, "10.0.2.15") &&
		       set_address(fd, "eth0", SIOCSIFNETMASK, "255.255.255.0") && set_flags_up(fd, "eth0") &&
		       add_default_route(fd, "10.0.2.2");
		if (!done)
			fprintf(stderr, "polder: network eth0: %s\n", strerror(errno));
		write_resolver();
	}
	if (fd >= 0)
		close(fd);
}
