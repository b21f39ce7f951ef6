/* Guest agent commands about the guest as a whole: clock, power, addresses. */
#include "guest/qga_command.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/rtc.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define INTERFACES_MAX 64

void qga_get_time(struct qga_call *call)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	buffer_printf(call->reply, "%lld", now.tv_sec * 1000000000ll + now.tv_nsec);
}

/* Seconds since the epoch by the hardware clock, which the host keeps right; -1 with errno. */
static time_t read_hardware_clock(void)
{
	struct rtc_time now;
	int fd = open("/dev/rtc0", O_RDONLY | O_CLOEXEC);
	int result = fd < 0 ? -1 : ioctl(fd, RTC_RD_TIME, &now);

	if (fd >= 0)
		close(fd);
	if (result < 0)
		return -1;
	struct tm time = { .tm_sec = now.tm_sec,
			   .tm_min = now.tm_min,
			   .tm_hour = now.tm_hour,
			   .tm_mday = now.tm_mday,
			   .tm_mon = now.tm_mon,
			   .tm_year = now.tm_year };
	return timegm(&time);
}

void qga_set_time(struct qga_call *call)
{
	int64_t time_ns = qga_integer(call, "time", -1);
	struct timespec time = { .tv_sec = time_ns / 1000000000, .tv_nsec = time_ns % 1000000000 };

	if (!json_member(call->args, "time")) {
		time = (struct timespec) { .tv_sec = read_hardware_clock() };
		time_ns = time.tv_sec;
	}
	if (time_ns < 0)
		qga_fail(call,
			 "guest-set-time: no time was given and the hardware clock can't be read, or it is negative");
	else if (clock_settime(CLOCK_REALTIME, &time) < 0)
		qga_fail(call, "guest-set-time: %s", strerror(errno));
}

void qga_shutdown(struct qga_call *call)
{
	const char *mode = qga_string(call, "mode", "powerdown");

	/* A halted VM would hold its memory until somebody kills it: halt powers off. */
	if (!strcmp(mode, "powerdown") || !strcmp(mode, "halt")) {
		call->silent = true;
		call->host->power(call->host->data, POWER_OFF);
	} else if (!strcmp(mode, "reboot")) {
		call->silent = true;
		call->host->power(call->host->data, POWER_REBOOT);
	} else {
		qga_fail(call, "mode is invalid (valid values are: halt|powerdown|reboot)");
	}
}

static unsigned prefix_bits(const struct sockaddr *mask, const void *bytes, size_t count)
{
	unsigned bits = 0;

	for (size_t i = 0; mask && i < count; i++)
		bits += __builtin_popcount(((const unsigned char *)bytes)[i]);
	return bits;
}

static void put_addresses(struct buffer *reply, const struct ifaddrs *list, const char *name)
{
	const char *comma = "";
	char text[INET6_ADDRSTRLEN];

	for (const struct ifaddrs *at = list; at; at = at->ifa_next) {
		int family = at->ifa_addr ? at->ifa_addr->sa_family : AF_UNSPEC;
		if (strcmp(at->ifa_name, name) || (family != AF_INET && family != AF_INET6))
			continue;
		bool v4 = family == AF_INET;
		const void *address = v4 ? (void *)&((struct sockaddr_in *)at->ifa_addr)->sin_addr
					 : (void *)&((struct sockaddr_in6 *)at->ifa_addr)->sin6_addr;
		const void *mask = v4 ? (void *)&((struct sockaddr_in *)at->ifa_netmask)->sin_addr
				      : (void *)&((struct sockaddr_in6 *)at->ifa_netmask)->sin6_addr;
		inet_ntop(family, address, text, sizeof(text));
		buffer_printf(reply, "%s{\"ip-address-type\":\"%s\",\"ip-address\":\"%s\",\"prefix\":%u}", comma,
			      v4 ? "ipv4" : "ipv6", text, prefix_bits(at->ifa_netmask, mask, v4 ? 4 : 16));
		comma = ",";
	}
}

static void put_hardware_address(struct buffer *reply, const struct sockaddr *address)
{
	const struct sockaddr_ll *link = (const struct sockaddr_ll *)address;

	if (link->sll_halen != 6)
		return;
	buffer_printf(reply, ",\"hardware-address\":\"%02x:%02x:%02x:%02x:%02x:%02x\"", link->sll_addr[0],
		      link->sll_addr[1], link->sll_addr[2], link->sll_addr[3], link->sll_addr[4], link->sll_addr[5]);
}

void qga_network_get_interfaces(struct qga_call *call)
{
	struct ifaddrs *list;
	unsigned count = 0;

	if (getifaddrs(&list) < 0) {
		qga_fail(call, "guest-network-get-interfaces: %s", strerror(errno));
		return;
	}
	buffer_append(call->reply, "[", 1);
	/* Each interface has exactly one entry of family AF_PACKET. */
	for (const struct ifaddrs *at = list; at && count < INTERFACES_MAX; at = at->ifa_next) {
		if (!at->ifa_addr || at->ifa_addr->sa_family != AF_PACKET)
			continue;
		buffer_printf(call->reply, "%s{\"name\":", count++ ? "," : "");
		json_put_string(call->reply, at->ifa_name);
		put_hardware_address(call->reply, at->ifa_addr);
		buffer_printf(call->reply, ",\"ip-addresses\":[");
		put_addresses(call->reply, list, at->ifa_name);
		buffer_append(call->reply, "]}", 2);
	}
	buffer_append(call->reply, "]", 1);
	freeifaddrs(list);
}
