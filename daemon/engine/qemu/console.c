/* The console stream: raw bytes of RUN/vm/NAME/console.sock on one side, windows on the other. Nothing is read from the
 * VM beyond the client's credit, and the client gets credit for what the VM took. */
#include "daemon/engine/qemu/stream.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/engine/qemu/client.h"
#include "daemon/engine/qemu/run_socket.h"

struct console {
	int fd;
	struct client *client;
	GByteArray *input; /* at most a window: what the VM has not taken yet */
	guint in_source, out_source;
};

static gboolean on_output(int fd, GIOCondition condition, gpointer user_data);

static void console_free(struct console *console)
{
	if (console->in_source)
		g_source_remove(console->in_source);
	if (console->out_source)
		g_source_remove(console->out_source);
	close(console->fd);
	g_byte_array_unref(console->input);
	g_free(console);
}

static void watch_output(struct console *console)
{
	if (!console->in_source && client_credit(console->client) > 0)
		console->in_source = g_unix_fd_add(console->fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_output, console);
}

static gboolean on_output(int fd, GIOCondition condition, gpointer user_data)
{
	struct console *console = user_data;
	guint8 buffer[STREAM_PAYLOAD_MAX];
	ssize_t n = recv(fd, buffer, MIN(sizeof(buffer), client_credit(console->client)), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return G_SOURCE_CONTINUE;
	if (n <= 0) {
		console->in_source = 0;
		client_exit(console->client, 0);
		console_free(console);
		return G_SOURCE_REMOVE;
	}
	client_send(console->client, STREAM_STDOUT, buffer, n);
	if (client_credit(console->client) > 0)
		return G_SOURCE_CONTINUE;
	console->in_source = 0; /* until credit comes */
	return G_SOURCE_REMOVE;
}

static gboolean on_input_room(int fd, GIOCondition condition, gpointer user_data);

/* A VM that is gone is found by the output side. */
static void flush_input(struct console *console)
{
	while (console->input->len > 0) {
		ssize_t n = send(console->fd, console->input->data, console->input->len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			if (!console->out_source)
				console->out_source =
					g_unix_fd_add(console->fd, G_IO_OUT | G_IO_ERR, on_input_room, console);
			return;
		}
		guint taken = n < 0 ? console->input->len : (guint)n;
		g_byte_array_remove_range(console->input, 0, taken);
		client_consumed(console->client, taken);
	}
}

static gboolean on_input_room(int fd, GIOCondition condition, gpointer user_data)
{
	struct console *console = user_data;
	console->out_source = 0; /* flush_input() watches again where needed */
	flush_input(console);
	return G_SOURCE_REMOVE;
}

static void on_packet(guint8 kind, const guint8 *payload, gsize bytes, gpointer user_data)
{
	struct console *console = user_data;
	if (kind == STREAM_STDIN) {
		g_byte_array_append(console->input, payload, bytes);
		if (!console->out_source)
			flush_input(console);
	} else if (kind == STREAM_CREDIT) {
		watch_output(console);
	}
}

static void on_closed(gpointer user_data)
{
	struct console *console = user_data;
	client_free(console->client);
	console_free(console);
}

int stream_console(const char *run_dir, GError **error)
{
	static const struct client_events events = { .packet = on_packet, .closed = on_closed };
	int peer_fd;
	int fd = run_socket_connect(run_dir, "console.sock", error);
	if (fd < 0) {
		g_prefix_error(error, "the VM's console is not there (it runs only while the VM does): ");
		return -1;
	}
	struct client *client = client_new(&peer_fd, error);
	if (!client) {
		close(fd);
		return -1;
	}
	struct console *console = g_new0(struct console, 1);
	console->fd = fd;
	console->client = client;
	console->input = g_byte_array_new();
	client_bind(client, &events, console);
	watch_output(console);
	return peer_fd;
}
