/* Connections: who is at the other end, and how many there are. */
#include <gio/gunixsocketaddress.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/api/server.h"

#define GROUPS_MAX      1024
#define ACCEPTS_AT_ONCE 16 /* then others have their turn */
#define ACCEPT_PAUSE_MS 200

/* ---- Who is at the other end ---- */

static void peer_free(gpointer data)
{
	struct peer *peer = data;

	g_object_unref(peer->socket);
	g_free(peer);
}

static gboolean peer_in_group(int fd, gid_t primary, guint64 wanted)
{
	gid_t groups[GROUPS_MAX];
	socklen_t bytes = sizeof(groups);

	if (wanted == (guint64)-1)
		return FALSE;
	if (primary == wanted)
		return TRUE;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &bytes) < 0)
		return FALSE;
	for (gsize i = 0; i < bytes / sizeof(*groups); i++) {
		if (groups[i] == wanted)
			return TRUE;
	}
	return FALSE;
}

static struct peer *peer_new(struct api *api, GSocket *socket)
{
	struct peer *peer = g_new0(struct peer, 1);
	struct ucred cred = { .uid = (uid_t)-1 };
	socklen_t bytes = sizeof(cred);
	int fd = g_socket_get_fd(socket);

	peer->socket = g_object_ref(socket);
	peer->uid = (guint64)-1;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &bytes) == 0) {
		peer->uid = cred.uid;
		peer->allowed = cred.uid == 0 || cred.uid == api->config.owner_uid ||
				peer_in_group(fd, cred.gid, api->config.group_gid);
	}
	return peer;
}

struct peer *peer_of(SoupServerMessage *msg)
{
	return g_object_get_data(G_OBJECT(soup_server_message_get_remote_address(msg)), "polder-peer");
}

/* ---- Accepting. Ours and not libsoup's listener, which in 3.2.3 (Debian 12) leaks every socket that it accepts. ---- */

static void connection_gone(gpointer data)
{
	guint *connections = data;

	(*connections)--;
	g_rc_box_release(connections);
}

static void turn_away(GSocket *socket)
{
	static const char full[] = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n"
				   "Content-Type: application/problem+json\r\n\r\n"
				   "{\"type\":\"about:blank\",\"title\":\"Unavailable\",\"status\":503,"
				   "\"code\":\"unavailable\",\"detail\":\"too many connections: close some\"}\n";

	/* Whether it hears us does not matter: the connection ends either way. */
	if (send(g_socket_get_fd(socket), full, strlen(full), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		g_debug("a client over the limit did not hear why");
}

static void take_connection(struct api *api, GSocket *socket)
{
	g_autoptr(GSocketConnection) stream = NULL;
	/* libsoup keeps them for messages and takes the local one for an internet address (HTTP/1.0 without a Host). */
	g_autoptr(GSocketAddress) local = g_inet_socket_address_new_from_string("127.0.0.1", 0);
	g_autoptr(GSocketAddress) remote = g_unix_socket_address_new("client");
	g_autoptr(GError) error = NULL;

	if (*api->connections >= LIMIT_API_CONNECTIONS) {
		turn_away(socket);
		return;
	}
	(*api->connections)++;
	g_object_set_data_full(G_OBJECT(socket), "polder-connection", g_rc_box_acquire(api->connections),
			       connection_gone);
	g_object_set_data_full(G_OBJECT(remote), "polder-peer", peer_new(api, socket), peer_free);
	stream = g_socket_connection_factory_create_connection(socket);
	if (!soup_server_accept_iostream(api->server, G_IO_STREAM(stream), local, remote, &error))
		g_warning("a client's connection: %s", error->message);
}

static gboolean on_acceptable(GSocket *listening, GIOCondition condition, gpointer user_data);

void accept_begin(struct api *api)
{
	api->accept_source = g_socket_create_source(api->listening, G_IO_IN, NULL);
	g_source_set_callback(api->accept_source, G_SOURCE_FUNC(on_acceptable), api, NULL);
	g_source_attach(api->accept_source, NULL);
}

static gboolean accept_later(gpointer user_data)
{
	struct api *api = user_data;

	api->accept_pause = 0;
	accept_begin(api);
	return G_SOURCE_REMOVE;
}

static gboolean on_acceptable(GSocket *listening, GIOCondition condition, gpointer user_data)
{
	struct api *api = user_data;

	for (guint i = 0; i < ACCEPTS_AT_ONCE; i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(GSocket) socket = g_socket_accept(listening, NULL, &error);

		if (socket) {
			take_connection(api, socket);
			continue;
		}
		if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
			break;
		/* Out of file descriptors, most likely: the client stays in the queue. */
		g_warning("accept a client: %s; trying again", error->message);
		g_clear_pointer(&api->accept_source, g_source_unref);
		api->accept_pause = g_timeout_add(ACCEPT_PAUSE_MS, accept_later, api);
		return G_SOURCE_REMOVE;
	}
	return G_SOURCE_CONTINUE;
}

void accept_end(struct api *api)
{
	if (api->accept_source) {
		g_source_destroy(api->accept_source);
		g_clear_pointer(&api->accept_source, g_source_unref);
	}
	g_clear_handle_id(&api->accept_pause, g_source_remove);
}

guint api_connections(const struct api *api)
{
	return *api->connections;
}
