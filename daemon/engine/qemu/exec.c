#include "daemon/engine/qemu/exec.h"

#include <endian.h>
#include <string.h>

#include "daemon/engine/qemu/qga_line.h"
#include "daemon/engine/qemu/stream.h"
#include "daemon/model/error.h"
#include "daemon/model/field.h"
#include "daemon/model/limits.h"

#define POLL_MIN_MS   10u
#define POLL_MAX_MS   250u
#define STDIN_HINT_MS 1500u /* a person who waits is told what for */

enum exec_state { EXEC_GATHERING, EXEC_STARTING, EXEC_RUNNING, EXEC_DELIVERING };

struct exec {
	struct qga *qga;
	struct client *client; /* NULL: it went away */
	void (*gone)(struct exec *exec, gpointer user_data);
	gpointer user_data;
	enum exec_state state;
	JsonObject *arguments;
	GError *refusal; /* of a request we can't carry out, told from the main loop */
	GByteArray *input;
	guint64 command; /* waiting at the agent, 0: none */
	guint timer, poll_ms;
	guint32 early_signal; /* came while the command was being started */
	gint64 pid;
	struct qga_exec_status status;
	gsize out_sent, err_sent;
};

static void poll_later(struct exec *exec);

/* ---- the request ---- */

static gboolean string_ok(JsonNode *node)
{
	return JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING;
}

/* The strings of array `name` onto `out`. An absent one reads as empty. */
static gboolean add_strings(JsonObject *object, const char *name, GPtrArray *out, GError **error)
{
	JsonNode *node = json_object_get_member(object, name);
	if (!node || JSON_NODE_HOLDS_NULL(node))
		return TRUE;
	gboolean ok = JSON_NODE_HOLDS_ARRAY(node);
	JsonArray *array = ok ? json_node_get_array(node) : NULL;
	ok = ok && json_array_get_length(array) <= LIMIT_EXEC_ARGS;
	for (guint i = 0; ok && i < json_array_get_length(array); i++) {
		ok = string_ok(json_array_get_element(array, i));
		if (ok)
			g_ptr_array_add(out, (gpointer)json_array_get_string_element(array, i));
	}
	if (!ok)
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID, "exec: \"%s\" is a list of at most %u strings",
			    name, LIMIT_EXEC_ARGS);
	return ok;
}

static JsonObject *make_arguments(GPtrArray *words)
{
	JsonObject *arguments = json_object_new();
	json_object_set_string_member(arguments, "path", g_ptr_array_index(words, 0));
	JsonArray *array = json_array_sized_new(words->len);
	for (guint i = 1; i < words->len; i++)
		json_array_add_string_element(array, g_ptr_array_index(words, i));
	json_object_set_array_member(arguments, "arg", array);
	json_object_set_boolean_member(arguments, "capture-output", TRUE);
	return arguments;
}

JsonObject *exec_arguments(const char *open_json, GError **error)
{
	g_autoptr(JsonNode) root = json_parse_bounded(open_json, strlen(open_json), error);
	if (!root) {
		g_prefix_error(error, "exec: ");
		return NULL;
	}
	JsonObject *object = JSON_NODE_HOLDS_OBJECT(root) ? json_node_get_object(root) : NULL;
	g_autoptr(GPtrArray) argv = g_ptr_array_new(), env = g_ptr_array_new(), words = g_ptr_array_new();
	if (!object || !add_strings(object, "argv", argv, error) || !add_strings(object, "env", env, error) ||
	    argv->len == 0) {
		if (error && !*error)
			g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID, "exec: no command is given");
		return NULL;
	}
	JsonNode *tty = json_object_get_member(object, "tty");
	if (tty && JSON_NODE_HOLDS_VALUE(tty) && json_node_get_boolean(tty)) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID,
			    "this guest's agent offers no terminal (it has no port %s): run the command without one",
			    STREAM_PORT_NAME);
		return NULL;
	}
	JsonNode *cwd = json_object_get_member(object, "cwd");
	const char *directory = cwd && string_ok(cwd) && *json_node_get_string(cwd) ? json_node_get_string(cwd) : "/";
	if (env->len > 0 || !g_str_equal(directory, "/")) {
		/* guest-exec's own "env" would replace the whole environment, and it knows no directory. */
		const char *const before[] = { "env", "--" };
		const char *const after[] = { "sh", "-c", "cd -- \"$1\" && shift && exec \"$@\"", "sh" };
		for (guint i = 0; i < G_N_ELEMENTS(before); i++)
			g_ptr_array_add(words, (gpointer)before[i]);
		g_ptr_array_extend(words, env, NULL, NULL);
		for (guint i = 0; i < G_N_ELEMENTS(after); i++)
			g_ptr_array_add(words, (gpointer)after[i]);
		g_ptr_array_add(words, (gpointer)directory);
	}
	g_ptr_array_extend(words, argv, NULL, NULL);
	return make_arguments(words);
}

/* ---- the end ---- */

static void exec_clear(struct exec *exec)
{
	if (exec->timer)
		g_source_remove(exec->timer);
	if (exec->command)
		qga_cancel(exec->qga, exec->command);
	g_clear_pointer(&exec->arguments, json_object_unref);
	g_clear_error(&exec->refusal);
	g_byte_array_unref(exec->input);
	qga_exec_status_clear(&exec->status);
	g_free(exec);
}

void exec_free(struct exec *exec, const char *reason)
{
	if (exec->client)
		client_refuse(exec->client, reason);
	exec_clear(exec);
}

static void end(struct exec *exec, const char *refusal)
{
	if (exec->client && refusal)
		client_refuse(exec->client, refusal);
	else if (exec->client)
		client_exit(exec->client, exec->status.status);
	exec->client = NULL;
	exec->gone(exec, exec->user_data);
	exec_clear(exec);
}

/* ---- running ---- */

/* What credit allows, stdout first; then the status. */
static void deliver(struct exec *exec)
{
	struct {
		guint8 kind;
		GBytes *bytes;
		gsize *sent;
	} parts[] = { { STREAM_STDOUT, exec->status.out, &exec->out_sent },
		      { STREAM_STDERR, exec->status.err, &exec->err_sent } };
	for (guint i = 0; i < G_N_ELEMENTS(parts); i++) {
		gsize size = 0;
		const guint8 *data = parts[i].bytes ? g_bytes_get_data(parts[i].bytes, &size) : NULL;
		while (*parts[i].sent < size) {
			gsize n = MIN(MIN(size - *parts[i].sent, client_credit(exec->client)), STREAM_PAYLOAD_MAX);
			if (n == 0)
				return; /* its CREDIT brings us here again */
			client_send(exec->client, parts[i].kind, data + *parts[i].sent, n);
			*parts[i].sent += n;
		}
	}
	if (exec->status.truncated) {
		static const char note[] = "the guest agent cut the command's output";
		client_send(exec->client, STREAM_STATUS, note, sizeof(note) - 1);
	}
	end(exec, NULL);
}

static void on_status(JsonNode *result, const GError *error, gpointer user_data)
{
	struct exec *exec = user_data;
	g_autoptr(GError) wrong = NULL;
	exec->command = 0;
	if (g_error_matches(error, POLDER_ERROR, POLDER_ERROR_TIMEOUT)) {
		poll_later(exec);
		return;
	}
	if (error || !qga_exec_status_parse(result, &exec->status, &wrong)) {
		g_autofree char *reason = g_strdup_printf(
			"%s%s", (error ? error : wrong)->message,
			g_error_matches(error, POLDER_ERROR, POLDER_ERROR_TOO_LARGE)
				? ": the command's output is too much for it; send it to a file in the guest"
				: "");
		end(exec, reason);
		return;
	}
	if (!exec->status.exited) {
		poll_later(exec);
		return;
	}
	exec->state = EXEC_DELIVERING;
	if (exec->client)
		deliver(exec);
	else
		end(exec, NULL);
}

static gboolean on_poll(gpointer user_data)
{
	struct exec *exec = user_data;
	exec->timer = 0;
	JsonObject *arguments = json_object_new();
	json_object_set_int_member(arguments, "pid", exec->pid);
	exec->command = qga_command(exec->qga, "guest-exec-status", arguments, on_status, exec);
	return G_SOURCE_REMOVE;
}

static void poll_later(struct exec *exec)
{
	exec->timer = g_timeout_add(exec->poll_ms, on_poll, exec);
	exec->poll_ms = MIN(exec->poll_ms + exec->poll_ms / 2, POLL_MAX_MS);
}

static void send_signal(struct exec *exec, guint32 number)
{
	if (exec->state != EXEC_RUNNING || number == 0 || number > 64)
		return;
	g_autofree char *signal = g_strdup_printf("-%u", number);
	g_autofree char *pid = g_strdup_printf("%" G_GINT64_FORMAT, exec->pid);
	const char *words[] = { "kill", signal, pid };
	g_autoptr(GPtrArray) array = g_ptr_array_new();
	for (guint i = 0; i < G_N_ELEMENTS(words); i++)
		g_ptr_array_add(array, (gpointer)words[i]);
	JsonObject *arguments = make_arguments(array);
	json_object_set_boolean_member(arguments, "capture-output", FALSE);
	qga_command(exec->qga, "guest-exec", arguments, NULL, NULL);
}

static void on_started(JsonNode *result, const GError *error, gpointer user_data)
{
	struct exec *exec = user_data;
	g_autoptr(GError) wrong = NULL;
	exec->command = 0;
	if (error || !qga_pid_parse(result, &exec->pid, &wrong)) {
		end(exec, (error ? error : wrong)->message);
		return;
	}
	exec->state = EXEC_RUNNING;
	if (exec->client)
		client_send_u32(exec->client, STREAM_OPENED, (guint32)exec->pid);
	else
		send_signal(exec, 9);
	send_signal(exec, exec->early_signal);
	poll_later(exec);
}

static void start(struct exec *exec)
{
	if (exec->timer)
		g_source_remove(exec->timer);
	exec->timer = 0;
	exec->state = EXEC_STARTING;
	if (exec->input->len > 0) {
		g_autofree char *text = g_base64_encode(exec->input->data, exec->input->len);
		json_object_set_string_member(exec->arguments, "input-data", text);
		g_byte_array_set_size(exec->input, 0);
	}
	exec->command = qga_command(exec->qga, "guest-exec", g_steal_pointer(&exec->arguments), on_started, exec);
}

/* ---- the client ---- */

static void gather(struct exec *exec, const guint8 *payload, gsize bytes)
{
	if (exec->input->len + bytes > STREAM_FALLBACK_STDIN_MAX) {
		g_autofree char *reason = g_strdup_printf(
			"standard input is longer than %u KiB, which this guest's agent can't take (it has no port %s)",
			STREAM_FALLBACK_STDIN_MAX / 1024, STREAM_PORT_NAME);
		end(exec, reason);
		return;
	}
	g_byte_array_append(exec->input, payload, bytes);
	client_consumed(exec->client, bytes);
}

static void on_packet(guint8 kind, const guint8 *payload, gsize bytes, gpointer user_data)
{
	struct exec *exec = user_data;
	guint32 number;
	switch (kind) {
	case STREAM_STDIN:
		if (exec->state == EXEC_GATHERING)
			gather(exec, payload, bytes);
		return;
	case STREAM_STDIN_EOF:
		if (exec->state == EXEC_GATHERING)
			start(exec);
		return;
	case STREAM_SIGNAL:
		memcpy(&number, payload, sizeof(number));
		number = le32toh(number);
		if (exec->state == EXEC_STARTING)
			exec->early_signal = number;
		send_signal(exec, number);
		if (exec->state != EXEC_GATHERING)
			return;
		exec->status.status = 128 + MIN(number, 64u);
		end(exec, NULL); /* it has not begun: as if the signal had ended it */
		return;
	case STREAM_CREDIT:
		if (exec->state == EXEC_DELIVERING)
			deliver(exec);
		return;
	default:
		return; /* no terminal to resize */
	}
}

static void on_closed(gpointer user_data)
{
	struct exec *exec = user_data;
	g_clear_pointer(&exec->client, client_free);
	if (exec->state == EXEC_GATHERING || exec->state == EXEC_DELIVERING)
		end(exec, NULL);
	else
		send_signal(exec, 9); /* polled on until it has ended */
}

static gboolean on_hint(gpointer user_data)
{
	struct exec *exec = user_data;
	static const char hint[] = "this guest takes standard input whole: waiting for its end (Ctrl-D on a terminal)";
	exec->timer = 0;
	client_send(exec->client, STREAM_STATUS, hint, sizeof(hint) - 1);
	return G_SOURCE_REMOVE;
}

static gboolean on_refusal(gpointer user_data)
{
	struct exec *exec = user_data;
	exec->timer = 0;
	end(exec, exec->refusal->message);
	return G_SOURCE_REMOVE;
}

struct exec *exec_start(struct qga *qga, struct client *client, const char *open_json,
			void (*gone)(struct exec *exec, gpointer user_data), gpointer user_data)
{
	static const struct client_events events = { .packet = on_packet, .closed = on_closed };
	struct exec *exec = g_new0(struct exec, 1);
	exec->qga = qga;
	exec->client = client;
	exec->gone = gone;
	exec->user_data = user_data;
	exec->poll_ms = POLL_MIN_MS;
	exec->input = g_byte_array_new();
	exec->arguments = exec_arguments(open_json, &exec->refusal);
	exec->timer = exec->refusal ? g_idle_add(on_refusal, exec) : g_timeout_add(STDIN_HINT_MS, on_hint, exec);
	client_bind(client, &events, exec);
	client_set_reading(client, !exec->refusal);
	return exec;
}
