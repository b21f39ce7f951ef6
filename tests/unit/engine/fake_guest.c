#include "tests/unit/engine/fake_guest.h"

#include <endian.h>
#include <errno.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/model/limits.h"

gboolean fake_tick(gpointer unused)
{
	return G_SOURCE_CONTINUE;
}

/* ---- ports ---- */

static gboolean on_accept(int fd, GIOCondition condition, gpointer user_data);

static void port_listen(struct fake_port *port)
{
	if (!port->listen_source)
		port->listen_source = g_unix_fd_add(port->listen_fd, G_IO_IN, on_accept, port);
}

void fake_port_hang_up(struct fake_port *port)
{
	if (port->source)
		g_source_remove(port->source);
	if (port->out_source)
		g_source_remove(port->out_source);
	port->source = port->out_source = 0;
	g_byte_array_set_size(port->out, 0);
	if (port->fd >= 0)
		close(port->fd);
	port->fd = -1;
	g_byte_array_set_size(port->in, 0);
	port_listen(port);
}

static gboolean on_data(int fd, GIOCondition condition, gpointer user_data)
{
	struct fake_port *port = user_data;
	guint8 buffer[16384];
	ssize_t n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return G_SOURCE_CONTINUE;
	if (n <= 0) {
		fake_port_hang_up(port);
		return G_SOURCE_CONTINUE;
	}
	g_byte_array_append(port->in, buffer, n);
	if (port->arrived)
		port->arrived(port, port->user_data);
	return G_SOURCE_CONTINUE;
}

void fake_port_adopt(struct fake_port *port, int fd)
{
	g_assert_cmpint(fd, >=, 0);
	port->fd = fd;
	port->connections++;
	port->source = g_unix_fd_add(fd, G_IO_IN | G_IO_HUP, on_data, port);
}

static gboolean on_accept(int fd, GIOCondition condition, gpointer user_data)
{
	struct fake_port *port = user_data;
	fake_port_adopt(port, accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
	port->listen_source = 0;
	return G_SOURCE_REMOVE;
}

void fake_port_init(struct fake_port *port, const char *dir, const char *name,
		    void (*arrived)(struct fake_port *port, gpointer user_data), gpointer user_data)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	g_snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", dir, name);
	*port = (struct fake_port) { .fd = -1,
				     .in = g_byte_array_new(),
				     .out = g_byte_array_new(),
				     .arrived = arrived,
				     .user_data = user_data };
	port->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	g_assert_cmpint(bind(port->listen_fd, (struct sockaddr *)&address, sizeof(address)), ==, 0);
	g_assert_cmpint(listen(port->listen_fd, 4), ==, 0);
	port_listen(port);
}

void fake_port_clear(struct fake_port *port)
{
	fake_port_hang_up(port);
	g_source_remove(port->listen_source);
	close(port->listen_fd);
	g_byte_array_unref(port->in);
	g_byte_array_unref(port->out);
}

static gboolean on_room(int fd, GIOCondition condition, gpointer user_data)
{
	struct fake_port *port = user_data;
	ssize_t n = send(fd, port->out->data, port->out->len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return G_SOURCE_CONTINUE;
	g_byte_array_remove_range(port->out, 0, n < 0 ? port->out->len : (guint)n);
	if (port->out->len > 0)
		return G_SOURCE_CONTINUE;
	port->out_source = 0;
	return G_SOURCE_REMOVE;
}

void fake_port_send(struct fake_port *port, const void *data, gsize bytes)
{
	if (port->fd < 0)
		return;
	g_byte_array_append(port->out, data, bytes);
	if (!port->out_source)
		port->out_source = g_unix_fd_add(port->fd, G_IO_OUT, on_room, port);
}

/* ---- the agent ---- */

static void say(struct fake_agent *agent, const char *text)
{
	gsize bytes = strlen(text);
	if (agent->mode != FAKE_DRIBBLE) {
		fake_port_send(&agent->port, text, bytes);
		return;
	}
	for (gsize i = 0; i < bytes; i++) {
		fake_port_send(&agent->port, text + i, 1);
		while (agent->port.out->len > 0)
			g_main_context_iteration(NULL, FALSE);
	}
}

static void answer_sync(struct fake_agent *agent, const char *line)
{
	const char *id = strstr(line, "\"id\":");
	agent->syncs++;
	if (agent->mode == FAKE_GARBAGE_ALWAYS) {
		say(agent, "}}}} no JSON \x01\x02\n");
		return;
	}
	if (agent->mode == FAKE_LATE_REST)
		say(agent, "{\"return\":4711}\n{\"return\": {}}\n{\"ret");
	g_autofree char *text = g_strdup_printf("\xff{\"return\": %d}\n", atoi(id + 5));
	say(agent, text);
}

static void say_oversized(struct fake_agent *agent)
{
	g_autofree char *text = g_strnfill(LIMIT_GUEST_LINE_BYTES + 100, 'x');
	agent->mode = FAKE_GOOD;
	say(agent, text);
	say(agent, "\n");
}

/* As fast as the client takes it, until the mode changes. */
static gboolean on_flood(gpointer user_data)
{
	struct fake_agent *agent = user_data;
	static const char text[4096] = "yyyyyyyyyyyyyyyyyyyyyyy\n";
	ssize_t n = 0;
	for (guint i = 0; i < 100 && n >= 0 && agent->port.fd >= 0; i++) {
		n = send(agent->port.fd, text, sizeof(text), MSG_NOSIGNAL | MSG_DONTWAIT);
		agent->flooded += MAX(n, 0);
	}
	if (agent->mode == FAKE_FLOOD && agent->port.fd >= 0)
		return G_SOURCE_CONTINUE;
	agent->flood_source = 0;
	return G_SOURCE_REMOVE;
}

static void answer_exec(struct fake_agent *agent, const char *line)
{
	g_free(agent->last_exec);
	agent->last_exec = g_strdup(line);
	agent->execs++;
	if (strstr(line, "\"path\":\"kill\"")) {
		agent->kills++;
		agent->polls_until_exit = 0;
	}
	if (strstr(line, "nosuch"))
		say(agent, "{\"error\":{\"class\":\"GenericError\",\"desc\":\"Failed to execute child process "
			   "\\u201cnosuch\\u201d (No such file or directory)\"}}\n");
	else
		say(agent, "{\"return\": {\"pid\": 77}}\n");
}

static void answer(struct fake_agent *agent, const char *line)
{
	g_autofree char *text = NULL;
	if (agent->mode == FAKE_SILENT)
		return;
	if (agent->mode == FAKE_FLOOD) {
		if (!agent->flood_source)
			agent->flood_source = g_idle_add(on_flood, agent);
		return;
	}
	if (strstr(line, "guest-sync-delimited")) {
		answer_sync(agent, line);
	} else if (agent->mode == FAKE_GARBAGE || agent->mode == FAKE_GARBAGE_ALWAYS) {
		say(agent, "[[[[ \"never closed\n");
	} else if (strstr(line, "guest-ping")) {
		agent->pings++;
		say(agent, "{\"return\": {}}\n");
	} else if (strstr(line, "guest-network-get-interfaces")) {
		agent->interface_asks++;
		if (agent->mode == FAKE_OVERSIZED) {
			say_oversized(agent);
			return;
		}
		text = g_strdup_printf("{\"return\": %s}\n", agent->interfaces);
		say(agent, text);
	} else if (strstr(line, "guest-shutdown")) {
		agent->shutdowns++;
	} else if (strstr(line, "guest-exec-status")) {
		agent->status_polls++;
		gboolean exited = agent->polls_until_exit == 0;
		agent->polls_until_exit -= !exited;
		text = g_strdup_printf("{\"return\": %s}\n", exited ? agent->exec_status : "{\"exited\": false}");
		say(agent, text);
	} else if (strstr(line, "guest-exec")) {
		answer_exec(agent, line);
	}
}

static void on_agent_data(struct fake_port *port, gpointer user_data)
{
	struct fake_agent *agent = user_data;
	for (;;) {
		const guint8 *end = port->in->len ? memchr(port->in->data, '\n', port->in->len) : NULL;
		if (!end)
			return;
		gsize length = end - port->in->data;
		g_autofree char *line = g_strndup((const char *)port->in->data, length);
		g_byte_array_remove_range(port->in, 0, length + 1);
		answer(agent, line);
	}
}

void fake_agent_init(struct fake_agent *agent)
{
	*agent = (struct fake_agent) {
		.dir = g_dir_make_tmp("polder-guest-XXXXXX", NULL),
		.interfaces = "[{\"name\":\"lo\",\"ip-addresses\":[{\"ip-address\":\"127.0.0.1\"}]},"
			      "{\"name\":\"eth0\",\"ip-addresses\":[{\"ip-address\":\"10.0.2.15\"},"
			      "{\"ip-address\":\"fe80::1\"}]}]",
		.exec_status = "{\"exited\": true, \"exitcode\": 0}",
	};
	fake_port_init(&agent->port, agent->dir, "guest.sock", on_agent_data, agent);
}

void fake_agent_clear(struct fake_agent *agent)
{
	if (agent->flood_source)
		g_source_remove(agent->flood_source);
	fake_port_clear(&agent->port);
	fake_remove_tree(agent->dir);
	g_free(agent->dir);
	g_free(agent->last_exec);
}

/* ---- the client's end ---- */

gboolean fake_receive_now(int fd, struct fake_packet *packet)
{
	guint8 buffer[sizeof(packet->payload) + 1];
	ssize_t n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
	if (n <= 0)
		return FALSE;
	packet->kind = buffer[0];
	packet->bytes = n - 1;
	memcpy(packet->payload, buffer + 1, n - 1);
	return TRUE;
}

gboolean fake_receive(int fd, struct fake_packet *packet)
{
	gint64 end = g_get_monotonic_time() + WAIT_SECONDS * G_USEC_PER_SEC;
	for (;;) {
		errno = 0;
		if (fake_receive_now(fd, packet))
			return TRUE;
		if (errno != EAGAIN) {
			g_assert_cmpint(errno, ==, 0); /* no reset in place of the last packets */
			return FALSE;
		}
		if (g_get_monotonic_time() > end)
			g_error("no packet within %d s", WAIT_SECONDS);
		if (!g_main_context_iteration(NULL, FALSE))
			g_usleep(200);
	}
}

void fake_send(int fd, guint8 kind, const void *payload, gsize bytes)
{
	guint8 buffer[STREAM_PAYLOAD_MAX + 100];
	buffer[0] = kind;
	if (bytes)
		memcpy(buffer + 1, payload, bytes);
	while (send(fd, buffer, bytes + 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		if (errno != EAGAIN)
			return;
		g_main_context_iteration(NULL, FALSE);
	}
}

void fake_send_u32(int fd, guint8 kind, guint32 value)
{
	value = htole32(value);
	fake_send(fd, kind, &value, sizeof(value));
}

guint32 fake_u32(const struct fake_packet *packet)
{
	guint32 value;
	g_assert_cmpuint(packet->bytes, ==, sizeof(value));
	memcpy(&value, packet->payload, sizeof(value));
	return le32toh(value);
}

guint fake_collect(int fd, GString *out, GString *err, char **reason)
{
	struct fake_packet packet;
	guint status = G_MAXUINT;
	while (fake_receive(fd, &packet)) {
		g_assert_cmpuint(status, ==, G_MAXUINT); /* nothing follows the end */
		if (packet.kind == STREAM_STDOUT || packet.kind == STREAM_STDERR) {
			GString *to = packet.kind == STREAM_STDOUT ? out : err;
			if (to)
				g_string_append_len(to, (const char *)packet.payload, packet.bytes);
			fake_send_u32(fd, STREAM_CREDIT, packet.bytes);
		} else if (packet.kind == STREAM_EXIT) {
			status = fake_u32(&packet);
		} else if (packet.kind == STREAM_REFUSED) {
			status = 1000;
			if (reason)
				*reason = g_strndup((const char *)packet.payload, packet.bytes);
		}
	}
	return status;
}

void fake_remove_tree(const char *dir)
{
	g_autoptr(GDir) open = g_dir_open(dir, 0, NULL);
	for (const char *name = open ? g_dir_read_name(open) : NULL; name; name = g_dir_read_name(open)) {
		g_autofree char *path = g_build_filename(dir, name, NULL);
		if (g_file_test(path, G_FILE_TEST_IS_DIR) && !g_file_test(path, G_FILE_TEST_IS_SYMLINK))
			fake_remove_tree(path);
		else
			g_unlink(path);
	}
	g_rmdir(dir);
}
