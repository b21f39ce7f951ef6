#include "daemon/engine/qemu/qga.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/engine/qemu/qga_line.h"
#include "daemon/engine/qemu/run_socket.h"
#include "daemon/model/error.h"
#include "daemon/model/limits.h"

#define READ_BYTES      (64u * 1024u)
#define BACKOFF_MIN_MS  250u
#define BACKOFF_MAX_MS  15000u
#define SYNC_ROUNDS_MAX 4u /* an agent that needs more in a row is left alone for a while */

enum qga_state { QGA_OFF, QGA_WAITING, QGA_SYNCING, QGA_IDLE, QGA_BUSY };

struct command {
	guint64 number;
	char *line, *name;
	qga_callback callback; /* NULL: our own ping, or cancelled */
	gpointer user_data;
	gboolean is_ping;
	JsonNode *result;
	GError *error;
};

struct qga {
	char *run_dir;
	const struct qga_events *events;
	gpointer user_data;
	int fd; /* -1: not connected */
	enum qga_state state;
	gboolean ready, told_ready;
	gboolean stale; /* bytes may come that answer nothing of ours: sync before the next command */
	guint in_source, out_source, deadline, tell;
	guint backoff_ms, backoff_min_ms, timeout_ms;
	guint sync_rounds; /* syncs since a command was answered */
	gint32 sync_id;
	gsize read_bytes; /* since the command was sent */
	struct qga_lines lines;
	GByteArray *out;
	GQueue waiting, done; /* of struct command */
	struct command *current;
	guint64 next_number;
};

static void start_sync(struct qga *qga);
static void next(struct qga *qga);
static gboolean on_writable(int fd, GIOCondition condition, gpointer user_data);
static gboolean on_readable(int fd, GIOCondition condition, gpointer user_data);

static void command_free(struct command *command)
{
	g_clear_pointer(&command->result, json_node_unref);
	g_clear_error(&command->error);
	g_free(command->line);
	g_free(command->name);
	g_free(command);
}

struct qga *qga_new(const char *run_dir, const struct qga_events *events, gpointer user_data)
{
	struct qga *qga = g_new0(struct qga, 1);
	qga->run_dir = g_strdup(run_dir);
	qga->events = events;
	qga->user_data = user_data;
	qga->fd = -1;
	qga_set_timing(qga, LIMIT_GUEST_TIMEOUT_MS, BACKOFF_MIN_MS);
	qga_lines_init(&qga->lines);
	qga->out = g_byte_array_new();
	g_queue_init(&qga->waiting);
	g_queue_init(&qga->done);
	return qga;
}

static void disconnect(struct qga *qga)
{
	g_clear_handle_id(&qga->in_source, g_source_remove);
	g_clear_handle_id(&qga->out_source, g_source_remove);
	if (qga->fd >= 0)
		close(qga->fd);
	qga->fd = -1;
	g_byte_array_set_size(qga->out, 0);
	qga_lines_reset(&qga->lines);
	qga->stale = FALSE;
}

void qga_free(struct qga *qga)
{
	if (!qga)
		return;
	disconnect(qga);
	g_clear_handle_id(&qga->deadline, g_source_remove);
	g_clear_handle_id(&qga->tell, g_source_remove);
	g_queue_clear_full(&qga->waiting, (GDestroyNotify)command_free);
	g_queue_clear_full(&qga->done, (GDestroyNotify)command_free);
	g_clear_pointer(&qga->current, command_free);
	qga_lines_clear(&qga->lines);
	g_byte_array_unref(qga->out);
	g_free(qga->run_dir);
	g_free(qga);
}

gboolean qga_is_ready(const struct qga *qga)
{
	return qga->ready;
}

/* ---- telling: always from an idle source, one thing a turn, so that a callback may free us ---- */

static gboolean on_tell(gpointer user_data)
{
	struct qga *qga = user_data;
	struct command *command = g_queue_pop_head(&qga->done);
	gboolean more = command && (!g_queue_is_empty(&qga->done) || qga->told_ready != qga->ready);
	if (!more)
		qga->tell = 0;
	if (command) {
		if (command->callback)
			command->callback(command->result, command->error, command->user_data);
		command_free(command);
	} else if (qga->told_ready != qga->ready) {
		qga->told_ready = qga->ready;
		qga->events->ready(qga->ready, qga->user_data);
	}
	return more ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

static void tell_soon(struct qga *qga)
{
	if (!qga->tell)
		qga->tell = g_idle_add_full(G_PRIORITY_DEFAULT, on_tell, qga, NULL);
}

static void set_ready(struct qga *qga, gboolean ready)
{
	qga->ready = ready;
	tell_soon(qga);
}

static void finish(struct qga *qga, struct command *command, JsonNode *result, GError *error)
{
	command->result = result;
	command->error = error;
	g_queue_push_tail(&qga->done, command);
	tell_soon(qga);
}

static void finish_current(struct qga *qga, JsonNode *result, GError *error)
{
	struct command *command = g_steal_pointer(&qga->current);
	g_clear_handle_id(&qga->deadline, g_source_remove);
	if (command)
		finish(qga, command, result, error);
	else
		g_clear_error(&error);
}

static void fail_all(struct qga *qga, int code, const char *reason)
{
	if (qga->current)
		finish_current(qga, NULL, g_error_new_literal(POLDER_ERROR, code, reason));
	struct command *command;
	while ((command = g_queue_pop_head(&qga->waiting)))
		finish(qga, command, NULL, g_error_new_literal(POLDER_ERROR, code, reason));
}

/* ---- the link ---- */

static gboolean asked(const struct qga *qga)
{
	return qga->state == QGA_SYNCING || qga->state == QGA_BUSY;
}

static void watch_input(struct qga *qga)
{
	g_clear_handle_id(&qga->in_source, g_source_remove);
	if (qga->fd >= 0)
		qga->in_source =
			g_unix_fd_add(qga->fd, (asked(qga) ? G_IO_IN : 0) | G_IO_HUP | G_IO_ERR, on_readable, qga);
}

static void set_state(struct qga *qga, enum qga_state state)
{
	gboolean was_asked = asked(qga);
	qga->state = state;
	if (was_asked != asked(qga))
		watch_input(qga);
}

/* Errors show on the reading side. */
static void flush(struct qga *qga)
{
	while (qga->out->len > 0) {
		ssize_t n = send(qga->fd, qga->out->data, qga->out->len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			if (!qga->out_source)
				qga->out_source = g_unix_fd_add(qga->fd, G_IO_OUT | G_IO_ERR, on_writable, qga);
			return;
		}
		g_byte_array_remove_range(qga->out, 0, n < 0 ? qga->out->len : (guint)n);
	}
}

static gboolean on_writable(int fd, GIOCondition condition, gpointer user_data)
{
	struct qga *qga = user_data;
	qga->out_source = 0; /* flush() watches again where needed */
	flush(qga);
	return G_SOURCE_REMOVE;
}

static gboolean on_retry(gpointer user_data)
{
	struct qga *qga = user_data;
	qga->deadline = 0;
	start_sync(qga);
	return G_SOURCE_REMOVE;
}

/* No agent for now. Tried again for ever, more and more seldom. */
static void wait_and_retry(struct qga *qga, int code, const char *reason)
{
	fail_all(qga, code, reason);
	if (qga->out->len > 0)
		disconnect(qga);
	set_state(qga, QGA_WAITING);
	set_ready(qga, FALSE);
	qga->sync_rounds = 0;
	g_clear_handle_id(&qga->deadline, g_source_remove);
	qga->deadline = g_timeout_add(qga->backoff_ms, on_retry, qga);
	qga->backoff_ms = MIN(qga->backoff_ms * 2, BACKOFF_MAX_MS);
}

static void lose_link(struct qga *qga)
{
	disconnect(qga);
	wait_and_retry(qga, POLDER_ERROR_UNAVAILABLE, "the link to the guest agent was closed: the VM ended");
}

/* ---- commands ---- */

static gboolean on_deadline(gpointer user_data)
{
	struct qga *qga = user_data;
	qga->deadline = 0;
	if (qga->state == QGA_SYNCING) {
		wait_and_retry(qga, POLDER_ERROR_TIMEOUT, "the guest agent does not answer");
		return G_SOURCE_REMOVE;
	}
	finish_current(qga, NULL,
		       g_error_new(POLDER_ERROR, POLDER_ERROR_TIMEOUT, "the guest agent did not answer %s within %u ms",
				   qga->current->name, qga->timeout_ms));
	start_sync(qga);
	return G_SOURCE_REMOVE;
}

static void ask(struct qga *qga, enum qga_state state, const char *line)
{
	qga->read_bytes = 0;
	g_clear_handle_id(&qga->deadline, g_source_remove);
	qga->deadline = g_timeout_add(qga->timeout_ms, on_deadline, qga);
	set_state(qga, state);
	g_byte_array_append(qga->out, (const guint8 *)line, strlen(line));
	flush(qga);
}

static void start_sync(struct qga *qga)
{
	if (qga->fd < 0) {
		g_autoptr(GError) error = NULL;
		qga->fd = run_socket_connect(qga->run_dir, "guest.sock", &error);
		if (qga->fd < 0) {
			wait_and_retry(qga, POLDER_ERROR_UNAVAILABLE, error->message);
			return;
		}
		watch_input(qga);
	}
	if (qga->sync_rounds++ >= SYNC_ROUNDS_MAX) {
		qga->sync_rounds = 0;
		wait_and_retry(qga, POLDER_ERROR_CORRUPT, "the guest agent answers garbage");
		return;
	}
	qga->stale = FALSE;
	qga_lines_reset(&qga->lines);
	qga->sync_id = g_random_int_range(1, G_MAXINT32);
	/* 0xFF empties what the agent's parser still holds of an earlier client. */
	g_autofree char *line =
		g_strdup_printf("\xff{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":%d}}\n", qga->sync_id);
	ask(qga, QGA_SYNCING, line);
}

static struct command *command_new(struct qga *qga, const char *execute, JsonObject *arguments)
{
	g_autoptr(JsonObject) object = json_object_new();
	json_object_set_string_member(object, "execute", execute);
	if (arguments)
		json_object_set_object_member(object, "arguments", arguments);
	g_autoptr(JsonNode) node = json_node_init_object(json_node_alloc(), object);
	g_autofree char *text = json_to_string(node, FALSE);
	struct command *command = g_new0(struct command, 1);
	command->number = ++qga->next_number;
	command->name = g_strdup(execute);
	command->line = g_strconcat(text, "\n", NULL);
	return command;
}

static gboolean has_unasked_bytes(struct qga *qga)
{
	guint8 byte;
	return qga->lines.bytes->len > qga->lines.head || recv(qga->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

static void next(struct qga *qga)
{
	if (qga->state != QGA_IDLE || g_queue_is_empty(&qga->waiting))
		return;
	if (qga->stale || has_unasked_bytes(qga)) {
		start_sync(qga);
		return;
	}
	qga->current = g_queue_pop_head(&qga->waiting);
	ask(qga, QGA_BUSY, qga->current->line);
}

static void synced(struct qga *qga)
{
	g_clear_handle_id(&qga->deadline, g_source_remove);
	set_state(qga, QGA_IDLE);
	if (!qga->ready) {
		struct command *ping = command_new(qga, "guest-ping", NULL);
		ping->is_ping = TRUE;
		g_queue_push_head(&qga->waiting, ping);
	}
	next(qga);
}

static void answered(struct qga *qga, const char *line)
{
	GError *error = NULL;
	JsonNode *result = qga_answer_parse(line, &error);
	gboolean garbage = g_error_matches(error, POLDER_ERROR, POLDER_ERROR_CORRUPT);
	gboolean is_ping = qga->current->is_ping;
	finish_current(qga, result, error);
	if (garbage) {
		start_sync(qga);
		return;
	}
	set_state(qga, QGA_IDLE);
	qga->sync_rounds = 0;
	if (is_ping) {
		qga->backoff_ms = qga->backoff_min_ms;
		set_ready(qga, TRUE);
	}
	next(qga);
}

static void take_line(struct qga *qga, const char *line)
{
	if (qga->state == QGA_BUSY) {
		answered(qga, line);
		return;
	}
	g_autoptr(JsonNode) result = qga_answer_parse(line, NULL);
	if (result && JSON_NODE_HOLDS_VALUE(result) && json_node_get_value_type(result) == G_TYPE_INT64 &&
	    json_node_get_int(result) == qga->sync_id)
		synced(qga);
}

static void take_lines(struct qga *qga)
{
	while (asked(qga)) {
		g_autofree char *line = NULL;
		enum qga_line found = qga_lines_next(&qga->lines, &line);
		if (found == QGA_LINE_NONE)
			return;
		if (found == QGA_LINE_TEXT) {
			take_line(qga, line);
		} else if (qga->state == QGA_BUSY) {
			finish_current(qga, NULL,
				       g_error_new(POLDER_ERROR, POLDER_ERROR_TOO_LARGE,
						   "the guest agent's answer is longer than %u bytes",
						   LIMIT_GUEST_LINE_BYTES));
			start_sync(qga);
		}
	}
}

static gboolean on_readable(int fd, GIOCondition condition, gpointer user_data)
{
	struct qga *qga = user_data;
	guint8 buffer[READ_BYTES];
	ssize_t n = asked(qga) ? recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT) : 0;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return G_SOURCE_CONTINUE;
	if (n <= 0) {
		lose_link(qga);
		return G_SOURCE_CONTINUE; /* the source is gone already */
	}
	qga->read_bytes += n;
	qga_lines_feed(&qga->lines, buffer, n);
	take_lines(qga);
	if (asked(qga) && qga->read_bytes > QGA_ANSWER_BYTES_MAX)
		wait_and_retry(qga, POLDER_ERROR_TOO_LARGE, "the guest agent floods its port");
	return G_SOURCE_CONTINUE;
}

/* ---- what others call ---- */

static gboolean on_opened(gpointer user_data)
{
	struct qga *qga = user_data;
	qga->deadline = 0;
	start_sync(qga);
	return G_SOURCE_REMOVE;
}

void qga_port_opened(struct qga *qga, gboolean open)
{
	set_state(qga, QGA_OFF);
	disconnect(qga);
	g_clear_handle_id(&qga->deadline, g_source_remove);
	fail_all(qga, POLDER_ERROR_UNAVAILABLE, "the guest agent went away");
	qga->backoff_ms = qga->backoff_min_ms;
	set_ready(qga, FALSE);
	if (open) {
		set_state(qga, QGA_WAITING);
		qga->deadline = g_idle_add_full(G_PRIORITY_DEFAULT, on_opened, qga, NULL);
	}
}

guint64 qga_command(struct qga *qga, const char *execute, JsonObject *arguments, qga_callback callback,
		    gpointer user_data)
{
	struct command *command = command_new(qga, execute, arguments);
	guint64 number = command->number;
	command->callback = callback;
	command->user_data = user_data;
	if (!qga->ready) {
		finish(qga, command, NULL,
		       g_error_new_literal(POLDER_ERROR, POLDER_ERROR_UNAVAILABLE, "the guest agent is not there"));
	} else if (g_queue_get_length(&qga->waiting) >= QGA_COMMANDS_MAX) {
		finish(qga, command, NULL,
		       g_error_new_literal(POLDER_ERROR, POLDER_ERROR_NO_CAPACITY,
					   "too many commands wait for the guest agent: try again later"));
	} else {
		g_queue_push_tail(&qga->waiting, command);
		next(qga);
	}
	return number;
}

static void cancel_in(GQueue *queue, guint64 number)
{
	for (GList *link = queue->head; link; link = link->next) {
		struct command *command = link->data;
		if (command->number == number)
			command->callback = NULL;
	}
}

void qga_cancel(struct qga *qga, guint64 number)
{
	cancel_in(&qga->waiting, number);
	cancel_in(&qga->done, number);
	if (qga->current && qga->current->number == number)
		qga->current->callback = NULL;
}

void qga_set_timing(struct qga *qga, guint timeout_ms, guint backoff_ms)
{
	qga->timeout_ms = timeout_ms;
	qga->backoff_ms = qga->backoff_min_ms = backoff_ms;
}

gboolean qga_post(struct qga *qga, const char *execute)
{
	if (!qga->ready || qga->fd < 0)
		return FALSE;
	struct command *command = command_new(qga, execute, NULL);
	g_byte_array_append(qga->out, (const guint8 *)command->line, strlen(command->line));
	command_free(command);
	qga->stale = TRUE;
	flush(qga);
	return TRUE;
}
