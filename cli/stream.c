/* Flow control: what was read from fd_in and not given back by CREDIT is at most STREAM_WINDOW; then reading pauses.
 * What came for fd_out and fd_err is given back once it was written there, so a slow reader slows the guest down, not
 * us. */
#include "cli/stream.h"

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cli/progress.h"
#include "cli/sink.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "daemon/model/error.h"
#include "guest/protocol.h"

#define CREDIT_BYTES      (STREAM_WINDOW / 4)
#define CLOSE_MS          500 /* how long the closing handshake may take */
#define INTERRUPTS_MAX    3   /* so many SIGINTs or SIGTERMs give up on a command that ignores them */
#define QUIET_TERMINAL_MS 700
#define QUIET_LINES_MS    10000

struct pump {
	struct client *client;
	const struct stream_config *config;
	struct stream_result *result;
	GMainLoop *loop;
	SoupWebsocketConnection *socket;
	GError *error;
	struct sink out, err;
	guint input_source;
	guint64 in_flight; /* input bytes sent and not given back */
	guint64 consumed;  /* output bytes written and not yet given back */
	gboolean input_ended, opened, ended, closed;
	guint interrupts;
	guint signals[4];
	struct progress *waiting;
};

static void pump_end(struct pump *pump, enum stream_end end, guint status)
{
	if (pump->ended)
		return;
	pump->ended = TRUE;
	pump->result->end = end;
	pump->result->status = status;
	g_clear_handle_id(&pump->input_source, g_source_remove);
}

/* Quit once everything that came was written. */
static void pump_settle(struct pump *pump)
{
	if (pump->ended && (pump->result->end != STREAM_END_EXIT || (!pump->out.queue->len && !pump->err.queue->len)))
		g_main_loop_quit(pump->loop);
}

static void pump_break(struct pump *pump, const char *why)
{
	if (!pump->ended)
		g_set_error(&pump->error, POLDER_ERROR, POLDER_ERROR_UNAVAILABLE,
			    "the connection to %s broke off: %s; see 'polder ps'", pump->config->what, why);
	pump_end(pump, STREAM_END_BROKEN, 0);
	pump_settle(pump);
}

/* ---- to the guest ---- */

static void send_frame(struct pump *pump, enum stream_kind kind, gconstpointer data, gsize bytes)
{
	g_autofree guint8 *frame = g_malloc(bytes + 1);

	if (!pump->socket || soup_websocket_connection_get_state(pump->socket) != SOUP_WEBSOCKET_STATE_OPEN)
		return;
	frame[0] = (guint8)kind;
	if (bytes)
		memcpy(frame + 1, data, bytes);
	soup_websocket_connection_send_binary(pump->socket, frame, bytes + 1);
}

static void send_u32(struct pump *pump, enum stream_kind kind, guint32 number)
{
	number = GUINT32_TO_LE(number);
	send_frame(pump, kind, &number, sizeof(number));
}

static void send_size(struct pump *pump)
{
	guint rows, columns;
	guint16 size[2];

	if (!terminal_size(pump->config->fd_in, &rows, &columns))
		return;
	if (pump->config->resized) {
		pump->config->resized(rows, columns, pump->config->user_data);
		return;
	}
	size[0] = GUINT16_TO_LE((guint16)rows);
	size[1] = GUINT16_TO_LE((guint16)columns);
	send_frame(pump, STREAM_RESIZE, size, sizeof(size));
}

static void input_end(struct pump *pump)
{
	if (pump->input_ended)
		return;
	pump->input_ended = TRUE;
	if (pump->config->tty) /* its user would type it */
		send_frame(pump, STREAM_STDIN, "\x04", 1);
	/* A console has no end of input: one simply types no more. */
	if (pump->config->open)
		send_frame(pump, STREAM_STDIN_EOF, NULL, 0);
}

static gboolean input_ready(gint fd, GIOCondition condition, gpointer user_data)
{
	struct pump *pump = user_data;
	guint8 buffer[STREAM_PAYLOAD_MAX];
	gsize room = MIN(sizeof(buffer), (gsize)(STREAM_WINDOW - pump->in_flight));
	ssize_t got = read(fd, buffer, room);
	guint8 *key;

	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return G_SOURCE_CONTINUE;
	if (got <= 0) {
		pump->input_source = 0;
		input_end(pump);
		return G_SOURCE_REMOVE;
	}
	key = pump->config->detach_key ? memchr(buffer, STREAM_DETACH_KEY, (gsize)got) : NULL;
	if (key)
		got = key - buffer;
	if (got)
		send_frame(pump, STREAM_STDIN, buffer, (gsize)got);
	pump->in_flight += (guint64)got;
	if (key) {
		pump->input_source = 0;
		pump_end(pump, STREAM_END_DETACHED, 0);
		pump_settle(pump);
		return G_SOURCE_REMOVE;
	}
	if (pump->in_flight < STREAM_WINDOW)
		return G_SOURCE_CONTINUE;
	pump->input_source = 0;
	return G_SOURCE_REMOVE;
}

static void input_watch(struct pump *pump)
{
	if (pump->config->forward_input && !pump->input_ended && !pump->ended && !pump->input_source &&
	    pump->in_flight < STREAM_WINDOW)
		pump->input_source =
			g_unix_fd_add(pump->config->fd_in, G_IO_IN | G_IO_HUP | G_IO_ERR, input_ready, pump);
}

/* ---- from the guest ---- */

/* In large pieces: most of the window stays free all the same, and most commands end without a single credit. */
static void give_back(struct pump *pump, guint64 bytes)
{
	pump->consumed += bytes;
	if (pump->consumed < CREDIT_BYTES)
		return;
	send_u32(pump, STREAM_CREDIT, (guint32)pump->consumed);
	pump->consumed = 0;
}

static void on_written(guint64 bytes, gpointer user_data)
{
	struct pump *pump = user_data;

	give_back(pump, bytes);
	pump_settle(pump);
}

/* As if the command's own reader had gone. */
static void on_broken_pipe(gpointer user_data)
{
	struct pump *pump = user_data;

	pump_end(pump, STREAM_END_SIGNAL, 128 + SIGPIPE);
	pump_settle(pump);
}

static void output(struct pump *pump, struct sink *sink, const guint8 *data, gsize bytes)
{
	if (!sink->broken && pump->out.queue->len + pump->err.queue->len + bytes > STREAM_WINDOW)
		pump_break(pump, "it sent more than was asked for");
	else
		sink_put(sink, data, bytes);
}

static guint32 take_u32(const guint8 *data, gsize bytes)
{
	guint32 number = 0;

	if (bytes >= sizeof(number))
		memcpy(&number, data, sizeof(number));
	return GUINT32_FROM_LE(number);
}

static void opened(struct pump *pump)
{
	if (pump->opened)
		return;
	pump->opened = TRUE;
	g_clear_pointer(&pump->waiting, progress_free);
	if (pump->config->raw)
		terminal_raw(pump->config->fd_in);
	if (pump->config->forward_input)
		input_watch(pump);
	else
		input_end(pump);
}

static void waiting(struct pump *pump, const char *text)
{
	if (pump->opened)
		return;
	if (!pump->waiting)
		pump->waiting = progress_new(STDERR_FILENO, pump->config->what,
					     isatty(STDERR_FILENO) ? QUIET_TERMINAL_MS : QUIET_LINES_MS);
	progress_update(pump->waiting, -1, text);
}

static void refused(struct pump *pump, const guint8 *data, gsize bytes)
{
	g_autofree char *text = g_strndup((const char *)data, bytes);

	if (pump->ended)
		return;
	pump->result->reason = text_printable(text);
	pump_end(pump, STREAM_END_REFUSED, 0);
}

static void frame(struct pump *pump, guint8 kind, const guint8 *data, gsize bytes)
{
	guint32 credit;
	g_autofree char *text = NULL;

	switch (kind) {
	case STREAM_OPENED:
		opened(pump);
		break;
	case STREAM_REFUSED:
		refused(pump, data, bytes);
		break;
	case STREAM_STDOUT:
		output(pump, &pump->out, data, bytes);
		break;
	case STREAM_STDERR:
		output(pump, &pump->err, data, bytes);
		break;
	case STREAM_CREDIT:
		credit = take_u32(data, bytes);
		pump->in_flight -= MIN(pump->in_flight, credit);
		input_watch(pump);
		break;
	case STREAM_EXIT:
		pump_end(pump, STREAM_END_EXIT, take_u32(data, bytes));
		break;
	case STREAM_STATUS:
		text = g_strndup((const char *)data, bytes);
		waiting(pump, text);
		break;
	default:
		pump_break(pump, "it sent what makes no sense");
		break;
	}
	pump_settle(pump);
}

static void on_message(SoupWebsocketConnection *socket, gint type, GBytes *message, gpointer user_data)
{
	struct pump *pump = user_data;
	gsize bytes;
	const guint8 *data = g_bytes_get_data(message, &bytes);

	if (type != SOUP_WEBSOCKET_DATA_BINARY || !bytes) {
		pump_break(pump, "it sent what makes no sense");
		return;
	}
	if (!pump->ended)
		frame(pump, data[0], data + 1, bytes - 1);
}

static void on_closed(SoupWebsocketConnection *socket, gpointer user_data)
{
	struct pump *pump = user_data;
	const char *why = soup_websocket_connection_get_close_data(socket);
	g_autofree char *printable = text_printable(why && *why ? why : "the daemon closed it");

	pump->closed = TRUE;
	if (!pump->ended)
		pump_break(pump, printable);
	else
		pump_settle(pump);
}

/* ---- signals ---- */

static gboolean on_signal(struct pump *pump, int number)
{
	gboolean pass_on = pump->config->open && pump->opened && !pump->config->raw && number != SIGHUP;

	/* The command is over, but nobody takes the rest of its output: there is nothing left to pass a signal on to. */
	if (pump->ended) {
		pump->result->end = STREAM_END_SIGNAL;
		pump->result->status = 128 + (guint)number;
		g_main_loop_quit(pump->loop);
		return G_SOURCE_CONTINUE;
	}
	if (pass_on && ++pump->interrupts >= INTERRUPTS_MAX)
		pass_on = FALSE;
	if (pass_on) {
		send_u32(pump, STREAM_SIGNAL, (guint32)number);
		return G_SOURCE_CONTINUE;
	}
	pump_end(pump, STREAM_END_SIGNAL, 128 + (guint)number);
	pump_settle(pump);
	return G_SOURCE_CONTINUE;
}

static gboolean on_interrupt(gpointer pump)
{
	return on_signal(pump, SIGINT);
}

static gboolean on_terminate(gpointer pump)
{
	return on_signal(pump, SIGTERM);
}

static gboolean on_hangup(gpointer pump)
{
	return on_signal(pump, SIGHUP);
}

static gboolean on_resize(gpointer user_data)
{
	struct pump *pump = user_data;

	if (pump->opened && pump->config->raw)
		send_size(pump);
	return G_SOURCE_CONTINUE;
}

static void signals_watch(struct pump *pump)
{
	pump->signals[0] = g_unix_signal_add(SIGINT, on_interrupt, pump);
	pump->signals[1] = g_unix_signal_add(SIGTERM, on_terminate, pump);
	pump->signals[2] = g_unix_signal_add(SIGHUP, on_hangup, pump);
	pump->signals[3] = g_unix_signal_add(SIGWINCH, on_resize, pump);
}

/* ---- the session ---- */

static void on_connected(GObject *source, GAsyncResult *result, gpointer user_data)
{
	struct pump *pump = user_data;

	pump->socket = soup_session_websocket_connect_finish(SOUP_SESSION(source), result, &pump->error);
	if (!pump->socket) {
		pump_end(pump, STREAM_END_BROKEN, 0);
		g_main_loop_quit(pump->loop);
		return;
	}
	client_answered(pump->client);
	g_signal_connect(pump->socket, "message", G_CALLBACK(on_message), pump);
	g_signal_connect(pump->socket, "closed", G_CALLBACK(on_closed), pump);
	if (pump->ended) { /* a signal came meanwhile */
		g_main_loop_quit(pump->loop);
		return;
	}
	if (pump->config->open)
		send_frame(pump, STREAM_OPEN, pump->config->open, strlen(pump->config->open));
	else
		opened(pump);
	if (pump->config->resized)
		on_resize(pump);
}

static gboolean too_late(gpointer user_data)
{
	gboolean *late = user_data;

	*late = TRUE;
	return G_SOURCE_REMOVE;
}

/* Let the closing handshake go through, so that the guest learns at once that we are gone. */
static void pump_close(struct pump *pump)
{
	gboolean late = FALSE;
	guint timer;

	if (!pump->socket)
		return;
	if (!pump->closed) {
		if (pump->result->end == STREAM_END_SIGNAL || pump->result->end == STREAM_END_DETACHED)
			send_frame(pump, STREAM_CLOSE, NULL, 0);
		if (soup_websocket_connection_get_state(pump->socket) == SOUP_WEBSOCKET_STATE_OPEN)
			soup_websocket_connection_close(pump->socket, SOUP_WEBSOCKET_CLOSE_NORMAL, NULL);
		timer = g_timeout_add(CLOSE_MS, too_late, &late);
		while (!pump->closed && !late)
			g_main_context_iteration(NULL, TRUE);
		if (!late)
			g_source_remove(timer);
	}
	g_signal_handlers_disconnect_by_data(pump->socket, pump);
	g_clear_object(&pump->socket);
}

static void pump_clear(struct pump *pump)
{
	struct sink *sinks[] = { &pump->out, &pump->err };

	terminal_restore();
	pump_close(pump);
	g_clear_handle_id(&pump->input_source, g_source_remove);
	for (gsize i = 0; i < G_N_ELEMENTS(sinks); i++)
		sink_clear(sinks[i]);
	for (gsize i = 0; i < G_N_ELEMENTS(pump->signals); i++)
		g_clear_handle_id(&pump->signals[i], g_source_remove);
	progress_free(pump->waiting);
	g_main_loop_unref(pump->loop);
}

/* libsoup keeps the body of a refused WebSocket to itself: ask again in a way that tells. */
static void explain_refusal(struct pump *pump, SoupMessage *message)
{
	struct client_request request = { .method = "GET", .path = pump->config->path, .handshake = TRUE };
	guint status = soup_message_get_status(message);
	g_autofree char *cause = g_strdup(status ? soup_status_get_phrase(status) : pump->error->message);
	g_autoptr(JsonNode) node = NULL;

	g_clear_error(&pump->error);
	if (status)
		node = client_call(pump->client, &request, &pump->error);
	/* It would be taken by now, or the daemon went away: the refusal counts. */
	if (!pump->error || g_error_matches(pump->error, POLDER_ERROR, POLDER_ERROR_UNAVAILABLE)) {
		g_autoptr(GError) later = g_steal_pointer(&pump->error);

		g_set_error(&pump->error, POLDER_ERROR, POLDER_ERROR_UNAVAILABLE, "can't connect to %s: %s",
			    pump->config->what, later ? later->message : cause);
	}
}

gboolean stream_run(struct client *client, const struct stream_config *config, struct stream_result *result,
		    GError **error)
{
	g_autoptr(SoupMessage) message = client_message(client, "GET", config->path);
	struct pump pump = {
		.client = client, .config = config, .result = result, .loop = g_main_loop_new(NULL, FALSE)
	};

	*result = (struct stream_result) { .end = STREAM_END_BROKEN };
	pump.out = (struct sink) {
		.fd = config->fd_out, .written = on_written, .broke = on_broken_pipe, .user_data = &pump
	};
	pump.err = pump.out;
	pump.err.fd = config->fd_err;
	sink_init(&pump.out);
	sink_init(&pump.err);
	signals_watch(&pump);
	soup_session_websocket_connect_async(client_session(client), message, NULL, NULL, G_PRIORITY_DEFAULT, NULL,
					     on_connected, &pump);
	/* Until there is a connection (or none), leaving would leave the callback behind. */
	do
		g_main_loop_run(pump.loop);
	while (!pump.socket && !pump.error);
	if (!pump.socket)
		explain_refusal(&pump, message);
	pump_clear(&pump);
	if (pump.result->end != STREAM_END_BROKEN) {
		g_clear_error(&pump.error);
		return TRUE;
	}
	g_propagate_error(error, pump.error);
	return FALSE;
}
