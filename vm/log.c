#include "vm/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/model/limits.h"

static void reopen(struct log *log)
{
	struct stat st;

	log->fd = openat(log->dir_fd, log->name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
			 0600);
	log->bytes = log->fd >= 0 && fstat(log->fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

bool log_init(struct log *log, const char *path)
{
	char dir[4096];
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	size_t dir_bytes = slash ? (size_t)(slash - path) : 0;

	memset(log, 0, sizeof(*log));
	if (dir_bytes >= sizeof(dir) || !*name || strlen(name) + sizeof(".1") > sizeof(log->name)) {
		complain(0, "\"%s\" can't be a log file's name", path);
		return false;
	}
	memcpy(dir, path, dir_bytes);
	dir[dir_bytes] = '\0';
	strcpy(log->name, name);
	log->dir_fd = open(slash ? (dir_bytes ? dir : "/") : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (log->dir_fd < 0) {
		complain(errno, "open log directory %s", dir_bytes ? dir : "of the console log");
		return false;
	}
	reopen(log);
	return true;
}

static void rotate(struct log *log)
{
	char old[sizeof(log->name) + 2];

	snprintf(old, sizeof(old), "%s.1", log->name);
	if (renameat(log->dir_fd, log->name, log->dir_fd, old) < 0) {
		/* It can't be kept: losing the old output is better than a file that grows without end. */
		if (ftruncate(log->fd, 0) == 0)
			log->bytes = 0;
		return;
	}
	close(log->fd);
	reopen(log);
}

/* What could be written of data; the rest counts as lost. */
static void write_some(struct log *log, const char *data, size_t bytes)
{
	ssize_t n = log->fd >= 0 && log->bytes + bytes <= LIMIT_CONSOLE_LOG_BYTES ? write(log->fd, data, bytes) : -1;

	if (n > 0)
		log->bytes += (uint64_t)n;
	if (n < (ssize_t)bytes)
		log->lost_bytes += bytes - (n > 0 ? (size_t)n : 0);
}

void log_write(struct log *log, const char *data, size_t bytes)
{
	char note[96];

	if (log->fd < 0)
		reopen(log);
	if (log->fd >= 0 && log->bytes + bytes > LIMIT_CONSOLE_LOG_BYTES)
		rotate(log);
	if (log->lost_bytes && log->fd >= 0) {
		int n = snprintf(note, sizeof(note),
				 "\n[polder: %llu bytes of output were lost: they could not be written]\n",
				 (unsigned long long)log->lost_bytes);
		if (write(log->fd, note, (size_t)n) != n) {
			log->lost_bytes += bytes;
			return;
		}
		log->bytes += (uint64_t)n;
		log->lost_bytes = 0;
	}
	write_some(log, data, bytes);
}
