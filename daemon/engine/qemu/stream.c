/* Where an exec session goes: to the guest's stream port where that answers, else to guest-exec. */
#include "daemon/engine/qemu/stream.h"

#include <string.h>
#include <unistd.h>

#include "daemon/engine/qemu/exec.h"
#include "daemon/engine/qemu/guest_private.h"
#include "daemon/model/error.h"
#include "daemon/model/limits.h"

struct pending {
	struct guest *guest;
	struct client *client;
	char *open_json;
};

static gboolean on_pending_timer(gpointer user_data)
{
	struct guest *guest = user_data;
	guest->pending_timer = 0;
	guest_exec_pending(guest);
	return G_SOURCE_REMOVE;
}

static void pending_free(struct pending *pending)
{
	g_free(pending->open_json);
	g_free(pending);
}

static void on_pending_closed(gpointer user_data)
{
	struct pending *pending = user_data;
	g_queue_remove(&pending->guest->pending, pending);
	client_free(pending->client);
	pending_free(pending);
}

static const struct client_events pending_events = { .closed = on_pending_closed };

static void on_exec_gone(struct exec *exec, gpointer user_data)
{
	struct guest *guest = user_data;
	g_ptr_array_remove_fast(guest->execs, exec);
}

static void place(struct guest *guest, struct pending *pending)
{
	if (mux_is_answered(guest->mux))
		mux_open(guest->mux, pending->client, pending->open_json);
	else if (!qga_is_ready(guest->qga))
		client_refuse(pending->client, "the guest agent went away");
	else
		g_ptr_array_add(guest->execs,
				exec_start(guest->qga, pending->client, pending->open_json, on_exec_gone, guest));
	pending_free(pending);
}

void guest_exec_pending(struct guest *guest)
{
	if (g_queue_is_empty(&guest->pending))
		return;
	gint64 left = guest->ready_at + guest->stream_grace_us - g_get_monotonic_time();
	gboolean may_answer = mux_is_attached(guest->mux) && !mux_is_answered(guest->mux);
	if (may_answer && qga_is_ready(guest->qga) && left > 0) {
		if (!guest->pending_timer)
			guest->pending_timer = g_timeout_add(left / 1000 + 1, on_pending_timer, guest);
		return;
	}
	struct pending *pending;
	while ((pending = g_queue_pop_head(&guest->pending)))
		place(guest, pending);
}

void guest_exec_pending_end(struct guest *guest, const char *reason)
{
	if (guest->pending_timer)
		g_source_remove(guest->pending_timer);
	guest->pending_timer = 0;
	struct pending *pending;
	while ((pending = g_queue_pop_head(&guest->pending))) {
		client_refuse(pending->client, reason);
		pending_free(pending);
	}
}

void guest_execs_end(struct guest *guest, const char *reason)
{
	for (guint i = 0; i < guest->execs->len; i++)
		exec_free(g_ptr_array_index(guest->execs, i), reason);
	g_ptr_array_set_size(guest->execs, 0);
}

int stream_exec(struct guest *guest, const char *open_json, GError **error)
{
	guint sessions = mux_sessions(guest->mux) + guest->execs->len + g_queue_get_length(&guest->pending);
	int peer_fd;
	if (!qga_is_ready(guest->qga) && !mux_is_answered(guest->mux)) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_UNAVAILABLE,
			    "the guest agent does not answer: wait until the VM is ready, or use its console");
		return -1;
	}
	if (sessions >= LIMIT_EXEC_SESSIONS) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_NO_CAPACITY,
			    "%u commands run in this VM through Polder, which is the limit: end one first", sessions);
		return -1;
	}
	if (strlen(open_json) > LIMIT_EXEC_REQUEST_BYTES) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_TOO_LARGE, "exec: a request of at most %u bytes",
			    LIMIT_EXEC_REQUEST_BYTES);
		return -1;
	}
	struct client *client = client_new(&peer_fd, error);
	if (!client)
		return -1;
	struct pending *pending = g_new0(struct pending, 1);
	pending->guest = guest;
	pending->client = client;
	pending->open_json = g_strdup(open_json);
	client_set_reading(client, FALSE);
	client_bind(client, &pending_events, pending);
	g_queue_push_tail(&guest->pending, pending);
	guest_exec_pending(guest);
	return peer_fd;
}
