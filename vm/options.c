#include "vm/vm.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void complain(int error, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (error)
		fprintf(stderr, "polder-vm: %s: %s\n", text, strerror(error));
	else
		fprintf(stderr, "polder-vm: %s\n", text);
}

static bool parse_id(const char *text, unsigned *id)
{
	char *end;

	errno = 0;
	unsigned long value = strtoul(text, &end, 10);
	/* (uid_t)-1 means "leave as it is" to the kernel; 0 would be no drop at all. */
	if (errno || *end || end == text || text[0] == '-' || value == 0 || value >= 0xffffffffUL) {
		complain(0, "\"%s\" is not a user or group id", text);
		return false;
	}
	*id = (unsigned)value;
	return true;
}

static bool parse_fd(const char *text, int *fd)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (*end || end == text || value < 3 || value > 1023) {
		complain(0, "\"%s\" is not a file descriptor to hand over", text);
		return false;
	}
	*fd = (int)value;
	return true;
}

bool options_parse(struct options *options, int argc, char **argv)
{
	static const struct option table[] = {
		{ "dir", required_argument, NULL, 'd' },
		{ "log", required_argument, NULL, 'l' },
		{ "uid", required_argument, NULL, 'u' },
		{ "gid", required_argument, NULL, 'g' },
		{ "kvm-gid", required_argument, NULL, 'k' },
		{ "launch-fd", required_argument, NULL, 'f' },
		{ NULL, 0, NULL, 0 },
	};
	bool has_uid = false, has_gid = false;
	int c;

	memset(options, 0, sizeof(*options));
	options->launch_fd = -1;
	while ((c = getopt_long(argc, argv, "+", table, NULL)) != -1) {
		bool ok = true;
		if (c == 'd')
			options->dir = optarg;
		else if (c == 'l')
			options->log = optarg;
		else if (c == 'u')
			ok = has_uid = parse_id(optarg, &options->uid);
		else if (c == 'g')
			ok = has_gid = parse_id(optarg, &options->gid);
		else if (c == 'k')
			ok = options->has_kvm_gid = parse_id(optarg, &options->kvm_gid);
		else if (c == 'f')
			ok = parse_fd(optarg, &options->launch_fd);
		else
			ok = false; /* getopt has said what is wrong */
		if (!ok)
			return false;
	}
	options->child_argv = argv + optind;
	options->has_ids = has_uid && has_gid;
	if (!options->dir || !options->log || optind >= argc || has_uid != has_gid) {
		complain(0, "usage: polder-vm --dir DIR --log FILE [--uid U --gid G [--kvm-gid G]] [--launch-fd N] -- "
			    "PROGRAM [ARG…]");
		return false;
	}
	return true;
}
