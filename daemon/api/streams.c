/* Streams: one WebSocket of a client ⇄ one SEQPACKET socket of the VM's agent, message by packet.
 *
 *   upgraded ──▶ waiting (for STREAM_OPEN and for the VM to be ready) ──▶ opening (the agent was asked) ──▶ relaying ──▶ over
 *
 * Nothing is buffered beyond one window a direction: a side that can't take more stops the reading of the other, and one
 * that sends more than its window (guest/protocol.h) ends the stream. */
#include "daemon/api/stream.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WAIT_DEFAULT_MS 60000u
#define WAIT_LIMIT_MS   3600000u

static void stream_progress(struct stream *stream);

static void stream_unref(struct stream *stream)
{
	if (--stream->refs)
		return;
	g_queue_clear_full(&stream->unsent, (GDestroyNotify)g_bytes_unref);
	g_free(stream->name);
	g_free(stream->uuid);
	g_free(stream->open);
	g_free(stream->told);
	g_free(stream);
}

void stream_over(struct stream *stream, guint16 code)
{
	struct api *api = stream->api;
	const struct store_kv *vm;
	guint8 close_kind = STREAM_CLOSE;

	if (!api)
		return;
	stream->api = NULL;
	g_hash_table_remove(api->streams, stream);
	g_clear_handle_id(&stream->deadline, g_source_remove);
	g_clear_handle_id(&stream->read_source, g_source_remove);
	g_clear_handle_id(&stream->write_source, g_source_remove);
	if (stream->fd >= 0) {
		if (send(stream->fd, &close_kind, 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			g_debug("stream of %s was closed already", stream->name);
		close(stream->fd);
		stream->fd = -1;
	}
	if (code)
		websocket_close(stream->websocket, code);
	stream->websocket = NULL;
	hold_end(api, stream->name);
	vm = stream->remove ? api_get(api, "vm", stream->name) : NULL;
	if (vm) {
		g_autofree char *uuid = record_value_string(record_get(vm->value, "uuid"));

		if (g_strcmp0(uuid, stream->uuid) == 0)
			vm_delete_now(api->config.store, stream->name, vm->create_revision);
	}
	stream_unref(stream);
}

static void send_kind(struct stream *stream, enum stream_kind kind, const char *text)
{
	gsize bytes = MIN(strlen(text), STREAM_PAYLOAD_MAX);
	g_autofree guint8 *message = g_malloc(bytes + 1);

	message[0] = (guint8)kind;
	memcpy(message + 1, text, bytes);
	websocket_send(stream->websocket, message, bytes + 1);
}

static void stream_refuse(struct stream *stream, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void stream_refuse(struct stream *stream, const char *format, ...)
{
	g_autofree char *reason = NULL;
	va_list arguments;

	va_start(arguments, format);
	reason = g_strdup_vprintf(format, arguments);
	va_end(arguments);
	send_kind(stream, STREAM_REFUSED, reason);
	stream_over(stream, 1000);
}

/* ---- Waiting and opening ---- */

static void on_opened(GObject *source, GAsyncResult *async, gpointer user_data)
{
	struct stream *stream = user_data;
	g_autoptr(GError) error = NULL;
	int fd = -1;

	if (stream->api) {
		fd = agent_link_stream_finish(stream->api->config.link, async, &error);
		if (fd < 0) {
			stream_refuse(stream, "%s", error->message);
		} else {
			stream_relay_begin(stream, fd);
		}
	}
	stream_unref(stream);
}

static void stream_open(struct stream *stream)
{
	struct agent_stream_request request = { .vm = stream->name,
						.stream = stream->exec ? "exec" : "console",
						.request = stream->open };

	stream->opening = TRUE;
	g_clear_handle_id(&stream->deadline, g_source_remove);
	stream->refs++;
	agent_link_stream_async(stream->api->config.link, &request, NULL, on_opened, stream);
	g_clear_pointer(&stream->open, g_free);
}

/* What people are told while they wait: the state, why, and what the image's build is doing. */
static char *waiting_line(struct stream *stream, const struct vm_records *records, int state, const char *reason)
{
	if (state == VM_STATE_RUNNING)
		return g_strdup_printf("VM %s runs: waiting for its guest agent", stream->name);
	return g_strdup_printf("VM %s is %s%s%s", stream->name, view_state_name(state), *reason ? ": " : "", reason);
}

static gboolean vm_ended(const struct vm_records *records, int state)
{
	struct record_value run = record_get(records->vm->value, "run");
	struct record_value status_run = { NULL, 0 };

	if (records->status)
		status_run = record_get(records->status->value, "run");
	return state == VM_STATE_REFUSED || ((state == VM_STATE_STOPPED || state == VM_STATE_FAILED) &&
					     (status_run.bytes ? g_ascii_strtoull(status_run.json, NULL, 10) : 0) >=
						     (run.bytes ? g_ascii_strtoull(run.json, NULL, 10) : 0));
}

static gboolean vm_ready(const struct stream *stream, const struct vm_records *records, int state)
{
	if (!stream->exec)
		return state == VM_STATE_RUNNING || state == VM_STATE_PAUSED || state == VM_STATE_STOPPING;
	return state == VM_STATE_RUNNING && records->status &&
	       record_value_is(record_get(records->status->value, "ready"), "true");
}

static void stream_progress(struct stream *stream)
{
	struct vm_records records = vm_records_get(stream->api, stream->name);
	g_autofree char *uuid = records.vm ? record_value_string(record_get(records.vm->value, "uuid")) : NULL;
	g_autofree char *reason = NULL, *line = NULL;
	int state;

	if (stream->opening)
		return;
	if (!uuid || g_strcmp0(uuid, stream->uuid) != 0) {
		stream_refuse(stream, "VM %s was removed", stream->name);
		return;
	}
	state = view_state(&records, &reason);
	if (vm_ended(&records, state)) {
		stream_refuse(stream, "VM %s is %s%s%s", stream->name, view_state_name(state), *reason ? ": " : "",
			      reason);
		return;
	}
	if (stream->exec && !stream->opened)
		return;
	if (vm_ready(stream, &records, state)) {
		stream_open(stream);
		return;
	}
	line = waiting_line(stream, &records, state, reason);
	if (g_strcmp0(line, stream->told) != 0) {
		send_kind(stream, STREAM_STATUS, line);
		g_free(stream->told);
		stream->told = g_steal_pointer(&line);
	}
}

/* What each does may end streams: walk a copy. */
static GPtrArray *open_streams(struct api *api)
{
	GPtrArray *streams = g_ptr_array_new_with_free_func((GDestroyNotify)stream_unref);
	GHashTableIter iter;
	gpointer stream;

	g_hash_table_iter_init(&iter, api->streams);
	while (g_hash_table_iter_next(&iter, &stream, NULL)) {
		((struct stream *)stream)->refs++;
		g_ptr_array_add(streams, stream);
	}
	return streams;
}

void streams_settled(struct api *api)
{
	g_autoptr(GPtrArray) streams = NULL;

	if (g_hash_table_size(api->streams) == 0)
		return;
	streams = open_streams(api);
	for (guint i = 0; i < streams->len; i++) {
		struct stream *stream = g_ptr_array_index(streams, i);

		if (stream->api && !stream->opening)
			stream_progress(stream);
	}
}

void streams_close_all(struct api *api)
{
	GHashTableIter iter;
	gpointer stream;

	g_hash_table_iter_init(&iter, api->streams);
	while (g_hash_table_iter_next(&iter, &stream, NULL)) {
		/* The daemon ends, not the client: what the VM was made for may go on. */
		((struct stream *)stream)->remove = FALSE;
		stream_over(stream, 1001);
		g_hash_table_iter_init(&iter, api->streams);
	}
}

static gboolean on_deadline(gpointer user_data)
{
	struct stream *stream = user_data;

	stream->deadline = 0;
	stream_refuse(stream, "VM %s was not ready after %" G_GUINT64_FORMAT " s (%s): see polder logs %s",
		      stream->name, stream->wait_ms / 1000, stream->told ? stream->told : "no request came",
		      stream->name);
	return G_SOURCE_REMOVE;
}

/* ---- The upgrade ---- */

static void on_message(const guint8 *message, gsize bytes, gpointer user_data)
{
	struct stream *stream = user_data;

	if (stream->exec && !stream->opened) {
		if (bytes < 2 || message[0] != STREAM_OPEN) {
			stream_refuse(stream, "the first message of an exec stream must be STREAM_OPEN");
			return;
		}
		stream->open = g_strndup((const char *)message + 1, bytes - 1);
		stream->opened = TRUE;
		stream_progress(stream);
		return;
	}
	stream_relay_message(stream, message, bytes);
}

static void on_drained(gpointer user_data)
{
	stream_relay_drained(user_data);
}

static void on_closed(gpointer user_data)
{
	stream_over(user_data, 0);
}

static void on_upgraded(SoupServerMessage *msg, gpointer user_data)
{
	static const struct websocket_funcs funcs = { .message = on_message,
						      .drained = on_drained,
						      .closed = on_closed };
	struct request *request = request_ref(user_data);
	struct stream *stream = request->state;
	struct api *api = request->api;
	g_autoptr(SoupServerMessage) kept = g_object_ref(msg);
	g_autoptr(GIOStream) connection = NULL;

	request->state = NULL;
	request_detach(request);
	request_unref(request);
	connection = soup_server_message_steal_connection(msg);
	stream->api = api;
	stream->websocket = websocket_new(connection, LIMIT_EXEC_REQUEST_BYTES + 1, &funcs, stream);
	stream->deadline = g_timeout_add((guint)stream->wait_ms, on_deadline, stream);
	g_hash_table_add(api->streams, stream);
	hold_begin(api, stream->name);
	stream_progress(stream);
}

static void state_stream_free(gpointer data)
{
	if (data)
		stream_unref(data);
}

/* FALSE after answering. */
static gboolean stream_check(struct request *request, struct stream *stream)
{
	struct vm_records records = vm_records_get(request->api, request->name);
	g_autofree char *reason = NULL;
	g_autoptr(GError) error = NULL;
	int state;

	if (!query_uint(request->query, "wait_ms", (struct query_range) { WAIT_DEFAULT_MS, WAIT_LIMIT_MS },
			&stream->wait_ms, &error) ||
	    !query_bool(request->query, "remove", &stream->remove, &error)) {
		request_fail(request, error);
		return FALSE;
	}
	if (!records.vm) {
		request_fail_new(request, POLDER_ERROR_NOT_FOUND,
				 "there is no VM called \"%s\": polder ps lists those there are", request->name);
		return FALSE;
	}
	state = view_state(&records, &reason);
	if (vm_ended(&records, state)) {
		request_fail_new(request, POLDER_ERROR_CONFLICT, "VM %s is %s%s%s%s: start it first (polder start %s)",
				 request->name, view_state_name(state), *reason ? " (" : "", reason, *reason ? ")" : "",
				 request->name);
		return FALSE;
	}
	if (stream->exec && state == VM_STATE_PAUSED) {
		request_fail_new(request, POLDER_ERROR_CONFLICT, "VM %s is paused: resume it first (polder resume %s)",
				 request->name, request->name);
		return FALSE;
	}
	if (!request->api->config.link) {
		request_fail_new(request, POLDER_ERROR_UNAVAILABLE, "the daemon has no agent: see its log");
		return FALSE;
	}
	stream->uuid = record_value_string(record_get(records.vm->value, "uuid"));
	return TRUE;
}

static void stream_begin(struct request *request, gboolean exec)
{
	struct stream *stream = g_new0(struct stream, 1);
	g_autoptr(GError) error = NULL;

	stream->refs = 1;
	stream->fd = -1;
	stream->exec = exec;
	stream->name = g_strdup(request->name);
	request->state = stream;
	request->state_free = state_stream_free;
	if (!stream_check(request, stream))
		return;
	if (!soup_websocket_server_check_handshake(request->msg, NULL, NULL, NULL, &error)) {
		request_fail_new(request, POLDER_ERROR_INVALID, "this path speaks WebSocket: %s", error->message);
		return;
	}
	g_signal_connect(request->msg, "wrote-informational", G_CALLBACK(on_upgraded), request);
	soup_websocket_server_process_handshake(request->msg, NULL, NULL, NULL, NULL);
	request->answered = TRUE;
	request->api->answered[1]++;
}

void streams_exec(struct request *request)
{
	stream_begin(request, TRUE);
}

void streams_console(struct request *request)
{
	stream_begin(request, FALSE);
}
