#include "daemon/engine/qemu/message.h"

#include <string.h>

#include "daemon/model/error.h"
#include "daemon/model/field.h"
#include "daemon/model/limits.h"

static JsonNode *member(JsonObject *object, const char *name, GType type)
{
	JsonNode *node = object ? json_object_get_member(object, name) : NULL;

	return node && JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == type ? node : NULL;
}

const char *qmp_string(JsonObject *object, const char *name)
{
	JsonNode *node = member(object, name, G_TYPE_STRING);

	return node ? json_node_get_string(node) : NULL;
}

gboolean qmp_boolean(JsonObject *object, const char *name, gboolean fallback)
{
	JsonNode *node = member(object, name, G_TYPE_BOOLEAN);

	return node ? json_node_get_boolean(node) : fallback;
}

JsonObject *qmp_object(JsonObject *object, const char *name)
{
	JsonNode *node = object ? json_object_get_member(object, name) : NULL;

	return node && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}

static gboolean take_apart(JsonObject *object, struct qmp_message *message)
{
	JsonNode *id = member(object, "id", G_TYPE_INT64);
	JsonObject *error = qmp_object(object, "error");

	message->id = id ? json_node_get_int(id) : -1;
	message->value = json_object_get_member(object, "return");
	if (message->value) {
		message->kind = QMP_RETURN;
		return TRUE;
	}
	if (error) {
		message->kind = QMP_ERROR;
		message->name = qmp_string(error, "class");
		message->text = qmp_string(error, "desc");
		return message->name && message->text;
	}
	message->name = qmp_string(object, "event");
	if (message->name) {
		message->kind = QMP_EVENT;
		message->data = qmp_object(object, "data");
		return TRUE;
	}
	message->kind = QMP_GREETING;
	return qmp_object(object, "QMP") != NULL;
}

gboolean qmp_message_parse(const char *line, gsize bytes, struct qmp_message *message, GError **error)
{
	g_autoptr(GError) cause = NULL;

	memset(message, 0, sizeof(*message));
	if (bytes > LIMIT_QMP_LINE_BYTES) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_TOO_LARGE,
			    "QEMU sent a line of %" G_GSIZE_FORMAT " bytes", bytes);
		return FALSE;
	}
	message->root = json_parse_bounded(line, bytes, &cause);
	if (!message->root) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID, "QEMU sent garbage: %s", cause->message);
		return FALSE;
	}
	if (JSON_NODE_HOLDS_OBJECT(message->root) && take_apart(json_node_get_object(message->root), message))
		return TRUE;
	g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID, "QEMU sent something that is not QMP");
	qmp_message_clear(message);
	return FALSE;
}

void qmp_message_clear(struct qmp_message *message)
{
	g_clear_pointer(&message->root, json_node_unref);
	memset(message, 0, sizeof(*message));
}
