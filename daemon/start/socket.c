#include "daemon/start/start.h"

#include <errno.h>
#include <gio/gunixsocketaddress.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/model/error.h"

#define BACKLOG 128

/* Whoever holds the lock owns run/polder.sock; but a path given by --socket may be another daemon's. */
static gboolean accepts(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	gboolean answered;

	g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
	/* EAGAIN: its queue is full. */
	answered = fd >= 0 && (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 || errno == EAGAIN);
	if (fd >= 0)
		close(fd);
	return answered;
}

static gboolean clear_path(const char *path, GError **error)
{
	const char *why = "it is no socket; remove it or use --socket PATH";
	struct stat st;

	if (lstat(path, &st) < 0) {
		if (errno == ENOENT)
			return TRUE;
		why = g_strerror(errno);
	} else if (S_ISSOCK(st.st_mode) && accepts(path)) {
		why = "another daemon serves it; stop that one or use --socket PATH";
	} else if (S_ISSOCK(st.st_mode)) {
		if (unlink(path) == 0)
			return TRUE;
		why = g_strerror(errno);
	}
	g_set_error(error, POLDER_ERROR, POLDER_ERROR_CONFLICT, "%s is in the way of the API's socket: %s", path, why);
	return FALSE;
}

GSocket *start_bind(const struct dirs *dirs, const struct identity *identity, GError **error)
{
	g_autoptr(GSocketAddress) address = NULL;
	g_autoptr(GSocket) socket = NULL;
	gboolean bound;
	mode_t mask;

	if (strlen(dirs->socket) >= sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID,
			    "the socket's path %s is longer than the kernel takes (107 bytes): use --socket PATH",
			    dirs->socket);
		return NULL;
	}
	if (!clear_path(dirs->socket, error))
		return NULL;
	address = g_unix_socket_address_new(dirs->socket);
	socket = g_socket_new(G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT, error);
	if (!socket)
		return NULL;
	g_socket_set_listen_backlog(socket, BACKLOG);
	/* Nobody may connect before owner and mode are right. */
	mask = umask(0777);
	bound = g_socket_bind(socket, address, FALSE, error);
	umask(mask);
	if (!bound) {
		g_prefix_error(error, "make the API's socket %s: ", dirs->socket);
		return NULL;
	}
	if ((identity->drop && chown(dirs->socket, 0, identity->gid) < 0) ||
	    chmod(dirs->socket, identity->drop ? 0660 : 0600) < 0) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_FAILED, "set owner and mode of %s: %s", dirs->socket,
			    g_strerror(errno));
		return NULL;
	}
	return g_steal_pointer(&socket);
}

gboolean start_listen(GSocket *socket, GError **error)
{
	g_socket_set_blocking(socket, FALSE);
	if (g_socket_listen(socket, error))
		return TRUE;
	g_prefix_error(error, "listen on the API's socket: ");
	return FALSE;
}

void start_notify(const char *state)
{
	const char *path = g_getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	gsize bytes = path ? strlen(path) : 0;
	int fd;

	if (bytes == 0 || bytes >= sizeof(address.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(address.sun_path, path, bytes);
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address,
			     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + bytes)) < 0)
		g_message("the service manager did not hear \"%s\": %s", state, g_strerror(errno));
	if (fd >= 0)
		close(fd);
}
