#include "daemon/engine/qemu/qmp.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/engine/qemu/message.h"
#include "daemon/model/error.h"
#include "daemon/model/limits.h"
#include "daemon/model/source.h"

#define READ_BYTES       16384u
#define READS_PER_TURN   8u /* then others in the main loop get their turn */
#define COMMANDS_PENDING 64u

struct command {
	gint64 id;
	gint64 deadline_us; /* monotonic; commands are in order, so the first is the earliest */
	qmp_reply_func reply;
	gpointer user_data;
};

struct qmp {
	int fd;
	guint timeout_ms;
	const struct qmp_events *events;
	gpointer user_data;
	GByteArray *in;
	GString *out;
	GQueue commands; /* struct command */
	gint64 next_id;
	GMainContext *context;
	GSource *readable, *writable, *timer;
	GError *error;  /* set: closed */
	gboolean told;  /* events->closed was called */
	gboolean freed; /* by the owner, inside a callback */
	guint refs;     /* the owner, and each callback under way */
};

static gboolean on_timer(gpointer data);

static void unref(struct qmp *qmp)
{
	if (--qmp->refs)
		return;
	g_byte_array_unref(qmp->in);
	g_string_free(qmp->out, TRUE);
	g_queue_clear_full(&qmp->commands, g_free);
	g_main_context_unref(qmp->context);
	g_clear_error(&qmp->error);
	g_free(qmp);
}

static void disconnect(struct qmp *qmp)
{
	source_clear(&qmp->readable);
	source_clear(&qmp->writable);
	source_clear(&qmp->timer);
	if (qmp->fd >= 0)
		close(qmp->fd);
	qmp->fd = -1;
}

/* The timer fires at the first command's deadline; once closed, at once, to report it. */
static void arm_timer(struct qmp *qmp)
{
	struct command *first = g_queue_peek_head(&qmp->commands);

	source_clear(&qmp->timer);
	if (!first && !qmp->error)
		return;
	gint64 left_us = qmp->error ? 0 : first->deadline_us - g_get_monotonic_time();
	qmp->timer = g_timeout_source_new(left_us > 0 ? (guint)((left_us + 999) / 1000) : 0);
	g_source_set_callback(qmp->timer, on_timer, qmp, NULL);
	g_source_attach(qmp->timer, qmp->context);
}

/* Takes `error`. Reports from the main loop. */
static void fail(struct qmp *qmp, GError *error)
{
	if (qmp->error) {
		g_error_free(error);
		return;
	}
	disconnect(qmp);
	qmp->error = error;
	arm_timer(qmp);
}

static void report_closed(struct qmp *qmp)
{
	struct command *command;

	while (!qmp->freed && (command = g_queue_pop_head(&qmp->commands))) {
		if (command->reply)
			command->reply(NULL, qmp->error, command->user_data);
		g_free(command);
	}
	if (!qmp->freed && !qmp->told) {
		qmp->told = TRUE;
		qmp->events->closed(qmp->error, qmp->user_data);
	}
}

static gboolean on_timer(gpointer data)
{
	struct qmp *qmp = data;

	qmp->refs++;
	source_clear(&qmp->timer);
	if (qmp->error)
		report_closed(qmp);
	else
		fail(qmp, g_error_new(POLDER_ERROR, POLDER_ERROR_TIMEOUT, "QEMU's monitor didn't answer within %u ms",
				      qmp->timeout_ms));
	unref(qmp);
	return G_SOURCE_REMOVE;
}

static void answer(struct qmp *qmp, const struct qmp_message *message)
{
	g_autoptr(GError) error = NULL;
	struct command *command = g_queue_peek_head(&qmp->commands);

	/* QEMU answers in order; anything else is not a QEMU we understand. */
	if (!command || message->id != command->id) {
		fail(qmp,
		     g_error_new(POLDER_ERROR, POLDER_ERROR_INVALID, "QEMU answered something that was not asked"));
		return;
	}
	g_queue_pop_head(&qmp->commands);
	arm_timer(qmp);
	if (message->kind == QMP_ERROR)
		error = g_error_new(POLDER_ERROR, POLDER_ERROR_FAILED, "QEMU refused: %s", message->text);
	if (command->reply)
		command->reply(message->value, error, command->user_data);
	g_free(command);
}

static void take_line(struct qmp *qmp, const char *line, gsize bytes)
{
	struct qmp_message message;
	GError *error = NULL;

	if (!qmp_message_parse(line, bytes, &message, &error)) {
		fail(qmp, error);
		return;
	}
	if (message.kind == QMP_EVENT)
		qmp->events->event(message.name, message.data, qmp->user_data);
	else if (message.kind != QMP_GREETING)
		answer(qmp, &message);
	qmp_message_clear(&message);
}

static void take_lines(struct qmp *qmp)
{
	gsize start = 0;

	while (!qmp->freed && !qmp->error) {
		const char *from = (const char *)qmp->in->data + start;
		const char *end = memchr(from, '\n', qmp->in->len - start);
		if (!end)
			break;
		gsize bytes = (gsize)(end - from);
		start += bytes + 1;
		if (bytes && from[bytes - 1] == '\r')
			bytes--;
		if (bytes)
			take_line(qmp, from, bytes);
	}
	if (qmp->freed || qmp->error)
		return;
	g_byte_array_remove_range(qmp->in, 0, (guint)start);
	if (qmp->in->len > LIMIT_QMP_LINE_BYTES)
		fail(qmp, g_error_new(POLDER_ERROR, POLDER_ERROR_TOO_LARGE, "QEMU sent a line of more than %u bytes",
				      LIMIT_QMP_LINE_BYTES));
}

static gboolean on_readable(int fd, GIOCondition condition, gpointer data)
{
	struct qmp *qmp = data;
	guint8 bytes[READ_BYTES];

	qmp->refs++;
	for (guint i = 0; i < READS_PER_TURN && !qmp->freed && !qmp->error; i++) {
		ssize_t n = recv(qmp->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n <= 0) {
			fail(qmp, g_error_new(POLDER_ERROR, POLDER_ERROR_UNAVAILABLE, "QEMU closed its monitor%s%s",
					      n < 0 ? ": " : "", n < 0 ? g_strerror(errno) : ""));
			break;
		}
		/* Search only what is new for a line's end, so that a long line costs its length once. */
		g_byte_array_append(qmp->in, bytes, (guint)n);
		if (memchr(bytes, '\n', (gsize)n) || qmp->in->len > LIMIT_QMP_LINE_BYTES)
			take_lines(qmp);
	}
	unref(qmp);
	return G_SOURCE_CONTINUE; /* a destroyed source is not called again */
}

static gboolean on_writable(int fd, GIOCondition condition, gpointer data);

static void flush(struct qmp *qmp)
{
	ssize_t n = send(qmp->fd, qmp->out->str, qmp->out->len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		/* What QEMU said last may still be there to read; its end of file closes us. */
		g_string_truncate(qmp->out, 0);
		source_clear(&qmp->writable);
		return;
	}
	if (n > 0)
		g_string_erase(qmp->out, 0, n);
	if (qmp->out->len == 0) {
		source_clear(&qmp->writable);
	} else if (!qmp->writable) {
		qmp->writable = g_unix_fd_source_new(qmp->fd, G_IO_OUT);
		g_source_set_callback(qmp->writable, G_SOURCE_FUNC(on_writable), qmp, NULL);
		g_source_attach(qmp->writable, qmp->context);
	}
}

static gboolean on_writable(int fd, GIOCondition condition, gpointer data)
{
	flush(data);
	return G_SOURCE_CONTINUE;
}

void qmp_send(struct qmp *qmp, const char *name, qmp_reply_func reply, gpointer user_data)
{
	struct command *command = g_new0(struct command, 1);

	command->id = qmp->next_id++;
	command->deadline_us = g_get_monotonic_time() + (gint64)qmp->timeout_ms * 1000;
	command->reply = reply;
	command->user_data = user_data;
	g_queue_push_tail(&qmp->commands, command);
	if (qmp->error) {
		arm_timer(qmp);
		return;
	}
	if (qmp->commands.length > COMMANDS_PENDING) {
		fail(qmp, g_error_new(POLDER_ERROR, POLDER_ERROR_UNAVAILABLE, "QEMU's monitor is %u commands behind",
				      COMMANDS_PENDING));
		return;
	}
	if (qmp->commands.length == 1)
		arm_timer(qmp);
	g_string_append_printf(qmp->out, "{\"execute\":\"%s\",\"id\":%" G_GINT64_FORMAT "}\r\n", name, command->id);
	flush(qmp);
}

struct qmp *qmp_new(int fd, guint timeout_ms, const struct qmp_events *events, gpointer user_data)
{
	struct qmp *qmp = g_new0(struct qmp, 1);

	qmp->fd = fd;
	qmp->timeout_ms = timeout_ms;
	qmp->events = events;
	qmp->user_data = user_data;
	qmp->refs = 1;
	qmp->in = g_byte_array_new();
	qmp->out = g_string_new(NULL);
	g_queue_init(&qmp->commands);
	qmp->context = g_main_context_ref_thread_default();
	qmp->readable = g_unix_fd_source_new(fd, G_IO_IN | G_IO_HUP | G_IO_ERR);
	g_source_set_callback(qmp->readable, G_SOURCE_FUNC(on_readable), qmp, NULL);
	g_source_attach(qmp->readable, qmp->context);
	qmp_send(qmp, "qmp_capabilities", NULL, NULL);
	return qmp;
}

void qmp_free(struct qmp *qmp)
{
	if (!qmp)
		return;
	disconnect(qmp);
	qmp->freed = TRUE;
	unref(qmp);
}
