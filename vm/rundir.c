#include "vm/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define EXIT_RECORD_BYTES 1024u

static const char *const sockets[] = { "qmp.sock", "guest.sock", "stream.sock", "console.sock" };

static bool lock(struct rundir *rundir, const char *path)
{
	struct flock flock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	rundir->lock_fd = openat(rundir->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (rundir->lock_fd < 0) {
		complain(errno, "open %s/lock", path);
		return false;
	}
	if (fcntl(rundir->lock_fd, F_SETLK, &flock) == 0)
		return true;
	int error = errno;
	if ((error == EAGAIN || error == EACCES) && fcntl(rundir->lock_fd, F_GETLK, &flock) == 0 &&
	    flock.l_type != F_UNLCK)
		complain(0, "%s is in use by process %d", path, (int)flock.l_pid);
	else
		complain(error, "lock %s/lock", path);
	return false;
}

static bool reserve_exit(struct rundir *rundir, const char *path)
{
	char blanks[EXIT_RECORD_BYTES];

	memset(blanks, '\n', sizeof(blanks));
	rundir->exit_fd = openat(rundir->fd, "exit.new", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (rundir->exit_fd < 0 || pwrite(rundir->exit_fd, blanks, sizeof(blanks), 0) != (ssize_t)sizeof(blanks)) {
		complain(errno, "write %s/exit.new", path);
		return false;
	}
	return true;
}

bool rundir_open(struct rundir *rundir, const char *path)
{
	rundir->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (rundir->fd < 0 || fchdir(rundir->fd) < 0) {
		complain(errno, "open run directory %s", path);
		return false;
	}
	if (!lock(rundir, path))
		return false;
	unlinkat(rundir->fd, "exit", 0);
	return reserve_exit(rundir, path);
}

int rundir_listen(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", name);
	unlink(name);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 8) < 0) {
		complain(errno, "listen on %s", name);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

bool rundir_write_child(const struct rundir *rundir, pid_t pid)
{
	int fd = openat(rundir->fd, "child", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool ok = fd >= 0 && dprintf(fd, "%d\n", (int)pid) > 0;

	if (!ok)
		complain(errno, "write the file child");
	if (fd >= 0)
		close(fd);
	return ok;
}

bool rundir_write_exit(const struct rundir *rundir, int wait_status, const char *last)
{
	char text[EXIT_RECORD_BYTES];
	struct timespec now;
	bool signalled = WIFSIGNALED(wait_status);
	int status = signalled ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);

	clock_gettime(CLOCK_REALTIME, &now);
	int bytes = snprintf(text, sizeof(text), "status=%d\nsignalled=%d\nended_at_us=%lld\nlast=%s\n", status,
			     signalled, (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000, last);
	if (bytes < 0 || bytes >= (int)sizeof(text))
		return false;
	bool ok = pwrite(rundir->exit_fd, text, (size_t)bytes, 0) == bytes && ftruncate(rundir->exit_fd, bytes) == 0 &&
		  fsync(rundir->exit_fd) == 0 && renameat(rundir->fd, "exit.new", rundir->fd, "exit") == 0;
	return fsync(rundir->fd) == 0 && ok;
}

void rundir_remove_sockets(const struct rundir *rundir)
{
	for (size_t i = 0; i < sizeof(sockets) / sizeof(sockets[0]); i++)
		unlinkat(rundir->fd, sockets[i], 0);
}
