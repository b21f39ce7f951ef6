#include "daemon/agent/link.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/agent/packet.h"
#include "daemon/model/error.h"
#include "daemon/model/field.h"
#include "daemon/model/limits.h"
#include "daemon/model/source.h"

struct agent_link {
	int fd;
	void (*lost)(gpointer user_data);
	gpointer user_data;
	GMainContext *context;
	GSource *readable, *writable;
	GQueue outgoing;      /* of GBytes: packets the socket had no room for */
	GHashTable *requests; /* id (guint64 inside the request) → struct request */
	guint64 last_id;
	GSource *losing; /* reports the loss from the main loop */
};

struct request {
	struct agent_link *link; /* NULL: the link is gone */
	guint64 id;
	GTask *task;
	GSource *deadline, *cancelled;
};

static void request_free(gpointer data)
{
	struct request *request = data;

	source_clear(&request->deadline);
	source_clear(&request->cancelled);
	g_clear_object(&request->task);
	g_free(request);
}

static void close_stream_fd(gpointer data)
{
	close(GPOINTER_TO_INT(data) - 1);
}

/* Takes the request out of the table, so that it ends once. Exactly one of fd and error. */
static void request_end(struct request *request, int fd, GError *error)
{
	GTask *task = g_steal_pointer(&request->task);

	if (request->link)
		g_hash_table_remove(request->link->requests, &request->id);
	if (error)
		g_task_return_error(task, error);
	else
		g_task_return_pointer(task, GINT_TO_POINTER(fd + 1),
				      close_stream_fd); /* + 1: 0 is an fd, NULL is none */
	g_object_unref(task);
}

static void end_all(struct agent_link *link, const char *why)
{
	g_autoptr(GList) requests = g_hash_table_get_values(link->requests);

	for (GList *item = requests; item; item = item->next) {
		g_autoptr(GError) error = g_error_new_literal(POLDER_ERROR, POLDER_ERROR_UNAVAILABLE, why);

		request_end(item->data, -1, g_steal_pointer(&error));
	}
}

static gboolean report_loss(gpointer user_data)
{
	struct agent_link *link = user_data;

	source_clear(&link->losing);
	if (link->lost)
		link->lost(link->user_data);
	return G_SOURCE_REMOVE;
}

static void link_lost(struct agent_link *link, const char *why)
{
	if (link->fd < 0)
		return;
	g_debug("request link to the agent: %s", why);
	source_clear(&link->readable);
	source_clear(&link->writable);
	close(link->fd);
	link->fd = -1;
	g_queue_clear_full(&link->outgoing, (GDestroyNotify)g_bytes_unref);
	end_all(link, "the agent is gone: try again once it is back");
	link->losing = g_idle_source_new();
	g_source_set_callback(link->losing, report_loss, link, NULL);
	g_source_attach(link->losing, link->context);
}

/* ---- Sending ---- */

/* TRUE: sent or lost; FALSE: no room. */
static gboolean send_now(struct agent_link *link, GBytes *packet)
{
	gsize bytes;
	const void *data = g_bytes_get_data(packet, &bytes);
	ssize_t sent;

	do
		sent = send(link->fd, data, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS))
		return FALSE;
	if (sent < 0)
		link_lost(link, g_strerror(errno));
	return TRUE;
}

static gboolean on_writable(gint fd, GIOCondition condition, gpointer user_data)
{
	struct agent_link *link = user_data;

	while (!g_queue_is_empty(&link->outgoing)) {
		if (!send_now(link, g_queue_peek_head(&link->outgoing)))
			return G_SOURCE_CONTINUE;
		if (link->fd < 0)
			return G_SOURCE_REMOVE;
		g_bytes_unref(g_queue_pop_head(&link->outgoing));
	}
	g_clear_pointer(&link->writable, g_source_unref);
	return G_SOURCE_REMOVE;
}

static void send_packet(struct agent_link *link, GBytes *packet)
{
	if (g_queue_is_empty(&link->outgoing) && send_now(link, packet))
		return;
	g_queue_push_tail(&link->outgoing, g_bytes_ref(packet));
	if (link->writable)
		return;
	link->writable = g_unix_fd_source_new(link->fd, G_IO_OUT);
	g_source_set_callback(link->writable, G_SOURCE_FUNC(on_writable), link, NULL);
	g_source_attach(link->writable, link->context);
}

/* ---- Receiving ---- */

static gboolean handle_answer(struct agent_link *link, const char *text, gsize bytes, int fd)
{
	g_autoptr(GError) error = NULL;
	struct packet_answer answer;
	struct request *request;

	if (!packet_answer_parse(text, bytes, &answer, &error)) {
		if (fd >= 0)
			close(fd);
		link_lost(link, error->message);
		return FALSE;
	}
	request = g_hash_table_lookup(link->requests, &answer.id);
	if (!request) { /* it was cancelled or too late */
		if (fd >= 0)
			close(fd);
	} else if (answer.code) {
		if (fd >= 0)
			close(fd);
		request_end(request, -1,
			    g_error_new_literal(POLDER_ERROR, polder_error_from_name(answer.code), answer.message));
	} else if (fd < 0) {
		request_end(
			request, -1,
			g_error_new_literal(POLDER_ERROR, POLDER_ERROR_FAILED, "the agent answered without a stream"));
	} else {
		request_end(request, fd, NULL);
	}
	packet_answer_clear(&answer);
	return TRUE;
}

static gboolean on_readable(gint fd, GIOCondition condition, gpointer user_data)
{
	struct agent_link *link = user_data;
	g_autofree char *text = g_malloc(PACKET_ANSWER_BYTES);
	int passed = -1;
	ssize_t bytes = packet_receive(fd, text, PACKET_ANSWER_BYTES, &passed);

	if (bytes == -EAGAIN)
		return G_SOURCE_CONTINUE;
	if (bytes <= 0) {
		link_lost(link, bytes ? g_strerror((int)-bytes) : "closed by the agent");
		return G_SOURCE_REMOVE;
	}
	return handle_answer(link, text, (gsize)bytes, passed);
}

/* ---- Requests ---- */

static gboolean on_deadline(gpointer user_data)
{
	request_end(user_data, -1,
		    g_error_new(POLDER_ERROR, POLDER_ERROR_TIMEOUT, "the agent did not answer within %u s: try again",
				LIMIT_GUEST_TIMEOUT_MS / 1000));
	return G_SOURCE_REMOVE;
}

static gboolean on_cancelled(GCancellable *cancellable, gpointer user_data)
{
	request_end(user_data, -1, g_error_new_literal(G_IO_ERROR, G_IO_ERROR_CANCELLED, "cancelled"));
	return G_SOURCE_REMOVE;
}

void agent_link_stream_async(struct agent_link *link, const struct agent_stream_request *wanted,
			     GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
	g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, user_data);
	g_autoptr(GBytes) packet = NULL;
	struct request *request;
	GError *error = NULL;

	g_task_set_source_tag(task, agent_link_stream_async);
	g_task_set_check_cancellable(task, FALSE); /* an fd that came is never dropped on the way */
	if (link->fd < 0) {
		g_task_return_new_error(task, POLDER_ERROR, POLDER_ERROR_UNAVAILABLE, "the agent is gone");
		return;
	}
	packet = packet_request_build(link->last_id + 1, wanted, &error);
	if (!packet) {
		g_task_return_error(task, error);
		return;
	}
	request = g_new0(struct request, 1);
	request->link = link;
	request->id = ++link->last_id;
	request->task = g_steal_pointer(&task);
	request->deadline = g_timeout_source_new(LIMIT_GUEST_TIMEOUT_MS);
	g_source_set_callback(request->deadline, on_deadline, request, NULL);
	g_source_attach(request->deadline, link->context);
	if (cancellable) {
		request->cancelled = g_cancellable_source_new(cancellable);
		g_source_set_callback(request->cancelled, G_SOURCE_FUNC(on_cancelled), request, NULL);
		g_source_attach(request->cancelled, link->context);
	}
	g_hash_table_insert(link->requests, &request->id, request);
	send_packet(link, packet);
}

int agent_link_stream_finish(struct agent_link *link, GAsyncResult *result, GError **error)
{
	return GPOINTER_TO_INT(g_task_propagate_pointer(G_TASK(result), error)) - 1;
}

struct agent_link *agent_link_new(int fd, void (*lost)(gpointer user_data), gpointer user_data)
{
	struct agent_link *link = g_new0(struct agent_link, 1);

	link->fd = fd;
	link->lost = lost;
	link->user_data = user_data;
	link->context = g_main_context_ref_thread_default();
	link->requests = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, request_free);
	g_queue_init(&link->outgoing);
	link->readable = g_unix_fd_source_new(fd, G_IO_IN);
	g_source_set_callback(link->readable, G_SOURCE_FUNC(on_readable), link, NULL);
	g_source_attach(link->readable, link->context);
	return link;
}

void agent_link_free(struct agent_link *link)
{
	if (!link)
		return;
	link->lost = NULL;
	link_lost(link, "closed");
	source_clear(&link->losing);
	g_hash_table_unref(link->requests);
	g_main_context_unref(link->context);
	g_free(link);
}
