#include "daemon/engine/qemu/run_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/model/error.h"

/* A connect on a unix socket never waits for the peer: it succeeds once there is room in the backlog. */
static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	if (g_strlcpy(address.sun_path, path, sizeof(address.sun_path)) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

int run_socket_connect(const char *run_dir, const char *name, GError **error)
{
	g_autofree char *path = g_build_filename(run_dir, name, NULL);
	int fd = connect_to(path);
	if (fd < 0 && errno == ENAMETOOLONG) {
		int dir = open(run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (dir >= 0) {
			g_autofree char *by_fd = g_strdup_printf("/proc/self/fd/%d/%s", dir, name);
			fd = connect_to(by_fd);
			int saved = errno;
			close(dir);
			errno = saved;
		}
	}
	if (fd < 0)
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_UNAVAILABLE, "connect to %s: %s", path,
			    g_strerror(errno));
	return fd;
}
