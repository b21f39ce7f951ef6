#include "daemon/engine/qemu/qga_line.h"

#include <gio/gio.h>
#include <string.h>

#include "daemon/engine/qemu/guest.h"
#include "daemon/model/error.h"
#include "daemon/model/field.h"
#include "daemon/model/limits.h"

#define DELIMITER             0xff
#define AGENT_WORDS_BYTES_MAX 256

void qga_lines_init(struct qga_lines *lines)
{
	*lines = (struct qga_lines) { .bytes = g_byte_array_new() };
}

void qga_lines_clear(struct qga_lines *lines)
{
	g_clear_pointer(&lines->bytes, g_byte_array_unref);
}

void qga_lines_reset(struct qga_lines *lines)
{
	g_byte_array_set_size(lines->bytes, 0);
	lines->head = lines->scanned = 0;
	lines->dropping = FALSE;
}

void qga_lines_feed(struct qga_lines *lines, const guint8 *data, gsize bytes)
{
	g_byte_array_remove_range(lines->bytes, 0, lines->head);
	lines->head = 0;
	g_byte_array_append(lines->bytes, data, bytes);
}

static void drop(struct qga_lines *lines, gsize bytes)
{
	lines->head += bytes;
	lines->scanned = 0;
}

/* The first end of line or delimiter at or after `scanned`. */
static const guint8 *find_end(struct qga_lines *lines)
{
	const guint8 *from = lines->bytes->data + lines->head + lines->scanned;
	gsize bytes = lines->bytes->len - lines->head - lines->scanned;
	if (bytes == 0)
		return NULL;
	const guint8 *newline = memchr(from, '\n', bytes);
	const guint8 *delimiter = memchr(from, DELIMITER, newline ? (gsize)(newline - from) : bytes);
	return delimiter ? delimiter : newline;
}

enum qga_line qga_lines_next(struct qga_lines *lines, char **line)
{
	for (;;) {
		const guint8 *found = find_end(lines);
		const guint8 *start = lines->bytes->data + lines->head;
		gsize length = found ? (gsize)(found - start) : lines->bytes->len - lines->head;
		gboolean too_long = !lines->dropping && length > LIMIT_GUEST_LINE_BYTES;
		gboolean text = found && *found == '\n' && !lines->dropping && !too_long && length > 0;
		if (text)
			*line = g_strndup((const char *)start, length);
		if (found) {
			lines->dropping = FALSE;
			drop(lines, length + 1);
		} else if (too_long || lines->dropping) {
			lines->dropping = TRUE;
			drop(lines, length);
		} else {
			lines->scanned = length;
		}
		if (too_long)
			return QGA_LINE_TOO_LONG;
		if (text)
			return QGA_LINE_TEXT;
		if (!found)
			return QGA_LINE_NONE;
	}
}

/* A member of an object, or NULL: never trusts a type. */
static JsonNode *member(JsonNode *node, const char *name)
{
	if (!node || !JSON_NODE_HOLDS_OBJECT(node))
		return NULL;
	return json_object_get_member(json_node_get_object(node), name);
}

static const char *string_member(JsonNode *node, const char *name)
{
	JsonNode *value = member(node, name);
	return value && JSON_NODE_HOLDS_VALUE(value) && json_node_get_value_type(value) == G_TYPE_STRING
		       ? json_node_get_string(value)
		       : NULL;
}

static gboolean int_member(JsonNode *node, const char *name, gint64 *out)
{
	JsonNode *value = member(node, name);
	if (!value || !JSON_NODE_HOLDS_VALUE(value) || json_node_get_value_type(value) != G_TYPE_INT64)
		return FALSE;
	*out = json_node_get_int(value);
	return TRUE;
}

static gboolean bool_member(JsonNode *node, const char *name)
{
	JsonNode *value = member(node, name);
	return value && JSON_NODE_HOLDS_VALUE(value) && json_node_get_value_type(value) == G_TYPE_BOOLEAN &&
	       json_node_get_boolean(value);
}

/* The agent's own words go to people: one short line. */
static char *one_line(const char *text)
{
	g_autofree char *valid = g_utf8_make_valid(text, strnlen(text, AGENT_WORDS_BYTES_MAX));
	for (char *c = valid; *c; c++) {
		if (g_ascii_iscntrl(*c))
			*c = ' ';
	}
	return g_strstrip(g_steal_pointer(&valid));
}

JsonNode *qga_answer_parse(const char *line, GError **error)
{
	g_autoptr(JsonNode) root = json_parse_bounded(line, strlen(line), NULL);
	JsonNode *result = member(root, "return");
	if (result)
		return json_node_copy(result);
	JsonNode *failure = member(root, "error");
	if (failure) {
		const char *words = string_member(failure, "desc");
		g_autofree char *text = one_line(words ? words : "an error without a description");
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_FAILED, "the guest agent says: %s", text);
		return NULL;
	}
	g_set_error(error, POLDER_ERROR, POLDER_ERROR_CORRUPT, "the guest agent answered something that is no answer");
	return NULL;
}

static gboolean is_public(const char *text)
{
	g_autoptr(GInetAddress) address = strlen(text) < 46 ? g_inet_address_new_from_string(text) : NULL;
	return address && !g_inet_address_get_is_loopback(address) && !g_inet_address_get_is_link_local(address) &&
	       !g_inet_address_get_is_any(address) && !g_inet_address_get_is_multicast(address);
}

static void add_addresses(GPtrArray *addresses, JsonNode *interface)
{
	JsonNode *list = member(interface, "ip-addresses");
	if (!list || !JSON_NODE_HOLDS_ARRAY(list))
		return;
	JsonArray *array = json_node_get_array(list);
	for (guint i = 0; i < json_array_get_length(array) && addresses->len < GUEST_ADDRESSES_MAX; i++) {
		const char *text = string_member(json_array_get_element(array, i), "ip-address");
		if (text && is_public(text) && !g_ptr_array_find_with_equal_func(addresses, text, g_str_equal, NULL))
			g_ptr_array_add(addresses, g_strdup(text));
	}
}

char **qga_addresses_parse(JsonNode *result)
{
	GPtrArray *addresses = g_ptr_array_new();
	if (result && JSON_NODE_HOLDS_ARRAY(result)) {
		JsonArray *interfaces = json_node_get_array(result);
		for (guint i = 0; i < json_array_get_length(interfaces) && addresses->len < GUEST_ADDRESSES_MAX; i++)
			add_addresses(addresses, json_array_get_element(interfaces, i));
	}
	g_ptr_array_add(addresses, NULL);
	return (char **)g_ptr_array_free(addresses, FALSE);
}

static GBytes *base64_member(JsonNode *node, const char *name)
{
	const char *text = string_member(node, name);
	if (!text || !*text)
		return NULL;
	gsize bytes;
	guchar *data = g_base64_decode(text, &bytes);
	return data ? g_bytes_new_take(data, bytes) : NULL;
}

gboolean qga_exec_status_parse(JsonNode *result, struct qga_exec_status *status, GError **error)
{
	gint64 number;
	*status = (struct qga_exec_status) { 0 };
	if (!member(result, "exited")) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_CORRUPT,
			    "the guest agent's answer does not say whether the command ended");
		return FALSE;
	}
	status->exited = bool_member(result, "exited");
	if (!status->exited)
		return TRUE;
	if (int_member(result, "signal", &number) && number > 0 && number < 128)
		status->status = 128 + number;
	else if (int_member(result, "exitcode", &number) && number >= 0 && number <= 255)
		status->status = number;
	else
		status->status = 255;
	status->truncated = bool_member(result, "out-truncated") || bool_member(result, "err-truncated");
	status->out = base64_member(result, "out-data");
	status->err = base64_member(result, "err-data");
	return TRUE;
}

void qga_exec_status_clear(struct qga_exec_status *status)
{
	g_clear_pointer(&status->out, g_bytes_unref);
	g_clear_pointer(&status->err, g_bytes_unref);
}

gboolean qga_pid_parse(JsonNode *result, gint64 *pid, GError **error)
{
	if (int_member(result, "pid", pid) && *pid > 0)
		return TRUE;
	g_set_error(error, POLDER_ERROR, POLDER_ERROR_CORRUPT, "the guest agent's answer names no process");
	return FALSE;
}
