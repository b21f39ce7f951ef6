#include "daemon/agent/packet.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/model/error.h"
#include "daemon/model/field.h"
#include "daemon/model/limits.h"
#include "daemon/model/units.h"

#define MESSAGE_BYTES_MAX 1024u
#define TERMINAL_MAX      10000 /* rows and columns */

G_GNUC_PRINTF(2, 3) static gboolean refuse(GError **error, const char *format, ...)
{
	va_list arguments;

	if (error) {
		va_start(arguments, format);
		*error = g_error_new_valist(POLDER_ERROR, POLDER_ERROR_INVALID, format, arguments);
		va_end(arguments);
	}
	return FALSE;
}

ssize_t packet_receive(int fd, char *buffer, gsize size, int *passed)
{
	union {
		char bytes[CMSG_SPACE(4 * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { .iov_base = buffer, .iov_len = size };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes
	};
	ssize_t bytes;

	*passed = -1;
	do
		bytes = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (bytes < 0 && errno == EINTR);
	if (bytes < 0)
		return -errno;
	for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
		gsize count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		for (gsize i = 0; i < count; i++) {
			int one;

			memcpy(&one, CMSG_DATA(header) + i * sizeof(int), sizeof one);
			if (*passed < 0)
				*passed = one;
			else
				close(one); /* nobody sends two */
		}
	}
	if (!(message.msg_flags & MSG_TRUNC))
		return bytes;
	if (*passed >= 0)
		close(*passed);
	*passed = -1;
	return -EMSGSIZE;
}

/* ---- JSON ---- */

static JsonNode *parse_object(const char *text, gsize bytes, GError **error)
{
	JsonNode *root = json_parse_bounded(text, bytes, error);

	if (root && !JSON_NODE_HOLDS_OBJECT(root)) {
		g_clear_pointer(&root, json_node_unref);
		refuse(error, "not a JSON object");
	}
	return root;
}

static gboolean only_members(JsonObject *object, const char *const *known, GError **error)
{
	g_autoptr(GList) members = json_object_get_members(object);

	for (GList *item = members; item; item = item->next) {
		if (!g_strv_contains(known, item->data))
			return refuse(error, "unknown member %.40s", (const char *)item->data);
	}
	return TRUE;
}

/* The string member, or NULL when it is absent or no string. */
static const char *string_member(JsonObject *object, const char *name)
{
	JsonNode *node = json_object_get_member(object, name);

	return node && JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING
		       ? json_node_get_string(node)
		       : NULL;
}

/* FALSE when present and not a whole number within [0, max]; absent: *value stays. */
static gboolean number_member(JsonObject *object, const char *name, gint64 max, gint64 *value)
{
	JsonNode *node = json_object_get_member(object, name);

	if (!node)
		return TRUE;
	if (!JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_INT64)
		return FALSE;
	*value = json_node_get_int(node);
	return *value >= 0 && *value <= max;
}

static gboolean bool_member(JsonObject *object, const char *name, gboolean *value)
{
	JsonNode *node = json_object_get_member(object, name);

	if (!node)
		return TRUE;
	if (!JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_BOOLEAN)
		return FALSE;
	*value = json_node_get_boolean(node);
	return TRUE;
}

static GBytes *object_to_bytes(JsonObject *object)
{
	g_autoptr(JsonNode) root = json_node_alloc();
	char *text;

	json_node_init_object(root, object);
	text = json_to_string(root, FALSE);
	return g_bytes_new_take(text, strlen(text));
}

/* ---- Exec ---- */

static gboolean strings_check(JsonObject *object, const char *name, guint min, guint max, GError **error)
{
	JsonNode *node = json_object_get_member(object, name);
	JsonArray *array;

	if (!node)
		return min == 0 || refuse(error, "%s is missing", name);
	if (!JSON_NODE_HOLDS_ARRAY(node))
		return refuse(error, "%s is not an array", name);
	array = json_node_get_array(node);
	if (json_array_get_length(array) < min || json_array_get_length(array) > max)
		return refuse(error, "%s has %u items: %u to %u are allowed", name, json_array_get_length(array), min,
			      max);
	for (guint i = 0; i < json_array_get_length(array); i++) {
		JsonNode *item = json_array_get_element(array, i);
		gboolean is_string = JSON_NODE_HOLDS_VALUE(item) && json_node_get_value_type(item) == G_TYPE_STRING;

		if (!is_string)
			return refuse(error, "%s holds what is not a string", name);
		if (strcmp(name, "env") == 0 && strchr(json_node_get_string(item), '=') == NULL)
			return refuse(error, "env holds what is not NAME=VALUE");
	}
	return TRUE;
}

gboolean exec_request_check(JsonObject *object, GError **error)
{
	static const char *const known[] = { "argv", "env", "cwd", "tty", "rows", "cols", NULL };
	gint64 number = 0;
	gboolean flag = FALSE;

	if (!only_members(object, known, error) || !strings_check(object, "argv", 1, LIMIT_EXEC_ARGS, error) ||
	    !strings_check(object, "env", 0, LIMIT_EXEC_ARGS, error))
		return FALSE;
	if (!*json_array_get_string_element(json_object_get_array_member(object, "argv"), 0))
		return refuse(error, "argv names no command");
	if (json_object_has_member(object, "cwd")) {
		const char *cwd = string_member(object, "cwd");

		if (!cwd || *cwd != '/')
			return refuse(error, "cwd is not an absolute path");
	}
	if (!bool_member(object, "tty", &flag))
		return refuse(error, "tty is not true or false");
	if (!number_member(object, "rows", TERMINAL_MAX, &number) ||
	    !number_member(object, "cols", TERMINAL_MAX, &number))
		return refuse(error, "rows and cols are numbers up to %d", TERMINAL_MAX);
	return TRUE;
}

/* ---- Request ---- */

GBytes *packet_request_build(guint64 id, const struct agent_stream_request *request, GError **error)
{
	g_autoptr(JsonObject) object = json_object_new();
	g_autoptr(GBytes) packet = NULL;

	json_object_set_int_member(object, "id", (gint64)id);
	json_object_set_string_member(object, "vm", request->vm);
	json_object_set_string_member(object, "stream", request->stream);
	if (request->request) {
		JsonNode *exec = NULL;

		if (strlen(request->request) <= LIMIT_EXEC_REQUEST_BYTES) {
			exec = parse_object(request->request, strlen(request->request), error);
			if (!exec)
				return NULL;
			json_object_set_member(object, "request", exec);
		}
	}
	json_object_set_boolean_member(object, "follow", request->follow);
	json_object_set_int_member(object, "tail_bytes", (gint64)MIN(request->tail_bytes, (guint64)G_MAXINT64));
	packet = object_to_bytes(object);
	if (g_bytes_get_size(packet) > LIMIT_EXEC_REQUEST_BYTES ||
	    (request->request && !json_object_has_member(object, "request"))) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_TOO_LARGE,
			    "command, environment and directory take more than %u bytes: shorten them",
			    LIMIT_EXEC_REQUEST_BYTES);
		return NULL;
	}
	return g_steal_pointer(&packet);
}

static gboolean parse_exec(JsonObject *object, struct packet_request *out, GError **error)
{
	JsonNode *node = json_object_get_member(object, "request");

	if (out->stream.kind != ENGINE_STREAM_EXEC)
		return !node || refuse(error, "only exec has a request");
	if (!node || !JSON_NODE_HOLDS_OBJECT(node))
		return refuse(error, "exec without a request");
	if (!exec_request_check(json_node_get_object(node), error)) {
		g_prefix_error(error, "exec: ");
		return FALSE;
	}
	out->exec = json_to_string(node, FALSE);
	out->stream.request = out->exec;
	return TRUE;
}

static gboolean parse_request(JsonObject *object, struct packet_request *out, GError **error)
{
	static const char *const known[] = { "id", "vm", "stream", "request", "follow", "tail_bytes", NULL };
	static const char *const kinds[] = {
		[ENGINE_STREAM_EXEC] = "exec", [ENGINE_STREAM_CONSOLE] = "console", [ENGINE_STREAM_LOG] = "log"
	};
	const char *vm = string_member(object, "vm"), *stream = string_member(object, "stream");
	gint64 id = 0, tail_bytes = 0;
	guint kind = 0;

	if (!number_member(object, "id", G_MAXINT64, &id) || id < 1)
		return refuse(error, "id is missing or no number above 0");
	out->id = (guint64)id;
	if (!only_members(object, known, error))
		return FALSE;
	if (!vm || !name_check(vm, NULL))
		return refuse(error, "vm is not a valid name");
	out->is_cpu = g_strcmp0(stream, "cpu") == 0;
	out->is_cpu_record = g_strcmp0(stream, "cpu-record") == 0;
	if (out->is_cpu || out->is_cpu_record)
		stream = "log";
	while (kind < G_N_ELEMENTS(kinds) && g_strcmp0(stream, kinds[kind]) != 0)
		kind++;
	if (kind == G_N_ELEMENTS(kinds))
		return refuse(error, "stream is not exec, console or log");
	out->stream.kind = kind;
	if (!bool_member(object, "follow", &out->stream.follow))
		return refuse(error, "follow is not true or false");
	if (!number_member(object, "tail_bytes", G_MAXINT64, &tail_bytes))
		return refuse(error, "tail_bytes is no number");
	out->stream.tail_bytes = (guint64)tail_bytes;
	if (!parse_exec(object, out, error))
		return FALSE;
	out->vm = g_strdup(vm);
	return TRUE;
}

gboolean packet_request_parse(const char *text, gsize bytes, struct packet_request *out, GError **error)
{
	g_autoptr(JsonNode) root = NULL;

	memset(out, 0, sizeof *out);
	if (bytes > LIMIT_EXEC_REQUEST_BYTES)
		return refuse(error, "longer than %u bytes", LIMIT_EXEC_REQUEST_BYTES);
	root = parse_object(text, bytes, error);
	return root && parse_request(json_node_get_object(root), out, error);
}

void packet_request_clear(struct packet_request *request)
{
	g_clear_pointer(&request->vm, g_free);
	g_clear_pointer(&request->exec, g_free);
}

/* ---- Answer ---- */

GBytes *packet_answer_build(guint64 id, const GError *error)
{
	g_autoptr(JsonObject) object = json_object_new();

	json_object_set_int_member(object, "id", (gint64)id);
	if (error) {
		int code = error->domain == POLDER_ERROR ? error->code : POLDER_ERROR_FAILED;
		g_autofree char *message = g_utf8_make_valid(error->message, -1);

		if (strlen(message) > MESSAGE_BYTES_MAX)
			*g_utf8_find_prev_char(message, message + MESSAGE_BYTES_MAX) = '\0';
		json_object_set_string_member(object, "code", polder_error_info(code)->name);
		json_object_set_string_member(object, "message", message);
	}
	return object_to_bytes(object);
}

gboolean packet_answer_parse(const char *text, gsize bytes, struct packet_answer *out, GError **error)
{
	static const char *const known[] = { "id", "code", "message", NULL };
	g_autoptr(JsonNode) root = parse_object(text, bytes, error);
	JsonObject *object;
	const char *message;
	gint64 id = 0;

	memset(out, 0, sizeof *out);
	if (!root)
		return FALSE;
	object = json_node_get_object(root);
	if (!only_members(object, known, error))
		return FALSE;
	if (!number_member(object, "id", G_MAXINT64, &id))
		return refuse(error, "id is no number");
	out->id = (guint64)id;
	out->code = g_strdup(string_member(object, "code"));
	message = string_member(object, "message");
	out->message = g_strdup(message ? message : "refused by the agent");
	return TRUE;
}

void packet_answer_clear(struct packet_answer *answer)
{
	g_clear_pointer(&answer->code, g_free);
	g_clear_pointer(&answer->message, g_free);
}
