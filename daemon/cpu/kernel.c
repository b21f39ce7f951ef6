#include "daemon/cpu/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef PR_SCHED_CORE
#define PR_SCHED_CORE 62
#endif
enum { CORE_GET, CORE_CREATE, CORE_SHARE_TO, CORE_SHARE_FROM };
enum { CORE_SCOPE_THREAD = 0 };

static int make_group(void *data, const char *path)
{
	return mkdir(path, 0755) < 0 ? errno : 0;
}

static int remove_group(void *data, const char *path)
{
	return rmdir(path) < 0 ? errno : 0;
}

static int read_file(void *data, const char *path, char *text, size_t size)
{
	size_t used = 0;
	ssize_t got = 0;
	int status = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	text[0] = '\0';
	if (fd < 0)
		return errno;
	while (used + 1 < size) {
		got = read(fd, text + used, size - 1 - used);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		used += (size_t)got;
	}
	if (got < 0)
		status = errno;
	text[used] = '\0';
	close(fd);
	return status;
}

static int write_file(void *data, const char *path, const char *text)
{
	ssize_t got;
	int status;
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return errno;
	do {
		got = write(fd, text, strlen(text));
	} while (got < 0 && errno == EINTR);
	status = got < 0 ? errno : (size_t)got != strlen(text) ? EIO : 0;
	close(fd);
	return status;
}

static int set_attr(void *data, pid_t tid, const struct cpu_attr *attr)
{
	return syscall(SYS_sched_setattr, tid, attr, 0) < 0 ? errno : 0;
}

static int get_attr(void *data, pid_t tid, struct cpu_attr *attr)
{
	memset(attr, 0, sizeof(*attr));
	return syscall(SYS_sched_getattr, tid, attr, sizeof(*attr), 0) < 0 ? errno : 0;
}

static int set_affinity(void *data, pid_t tid, const struct cpu_mask *mask)
{
	return syscall(SYS_sched_setaffinity, tid, sizeof(*mask), mask->bits) < 0 ? errno : 0;
}

static int get_affinity(void *data, pid_t tid, struct cpu_mask *mask)
{
	memset(mask, 0, sizeof(*mask));
	return syscall(SYS_sched_getaffinity, tid, sizeof(*mask), mask->bits) < 0 ? errno : 0;
}

struct sharing {
	pid_t tid, from;
	int status;
};

/* A cookie goes from thread to thread only through the caller's own: a thread made for it takes and gives it, and ends. */
static void *share_cookie(void *data)
{
	struct sharing *sharing = data;

	if (prctl(PR_SCHED_CORE, CORE_SHARE_FROM, sharing->from, CORE_SCOPE_THREAD, 0) < 0 ||
	    prctl(PR_SCHED_CORE, CORE_SHARE_TO, sharing->tid, CORE_SCOPE_THREAD, 0) < 0)
		sharing->status = errno;
	return NULL;
}

static int core(void *data, enum cpu_core_op op, pid_t tid, pid_t from)
{
	unsigned long cookie = 0;
	struct sharing sharing = { .tid = tid, .from = from };
	pthread_t thread;
	int status;

	switch (op) {
	case CPU_CORE_GET:
		return prctl(PR_SCHED_CORE, CORE_GET, tid, CORE_SCOPE_THREAD, &cookie) < 0 ? errno : 0;
	case CPU_CORE_CREATE:
		return prctl(PR_SCHED_CORE, CORE_CREATE, tid, CORE_SCOPE_THREAD, 0) < 0 ? errno : 0;
	case CPU_CORE_SHARE:
		status = pthread_create(&thread, NULL, share_cookie, &sharing);
		if (status)
			return status;
		pthread_join(thread, NULL);
		return sharing.status;
	case CPU_CORE_CLEAR: /* we ourselves have none */
		return prctl(PR_SCHED_CORE, CORE_SHARE_TO, tid, CORE_SCOPE_THREAD, 0) < 0 ? errno : 0;
	}
	return EINVAL;
}

const struct cpu_kernel cpu_kernel_linux = {
	.make_group = make_group,
	.remove_group = remove_group,
	.read = read_file,
	.write = write_file,
	.set_attr = set_attr,
	.get_attr = get_attr,
	.set_affinity = set_affinity,
	.get_affinity = get_affinity,
	.core = core,
};
