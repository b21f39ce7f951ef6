#include "daemon/api/yaml.h"

#include <string.h>

static void append_value(GString *out, JsonNode *node, guint indent);

static void append_indent(GString *out, guint indent)
{
	for (guint i = 0; i < indent; i++)
		g_string_append(out, "  ");
}

/* A word that no YAML reader takes for anything but a string. */
static gboolean is_plain(const char *text)
{
	static const char *const others[] = { "true", "false", "null", "yes", "no", "on", "off", "y", "n", NULL };

	if (!g_ascii_isalpha(text[0]) && text[0] != '/')
		return FALSE;
	for (const char *at = text; *at; at++) {
		if (!g_ascii_isalnum(*at) && !strchr("_-/.{}", *at))
			return FALSE;
	}
	return !g_strv_contains(others, text);
}

static void append_string(GString *out, const char *text)
{
	g_autoptr(JsonNode) node = NULL;
	g_autofree char *quoted = NULL;

	if (is_plain(text)) {
		g_string_append(out, text);
		return;
	}
	node = json_node_init_string(json_node_alloc(), text);
	quoted = json_to_string(node, FALSE); /* YAML's double-quoted strings include JSON's */
	g_string_append(out, quoted);
}

static void append_object(GString *out, JsonObject *object, guint indent)
{
	g_autoptr(GList) names = json_object_get_members(object);

	for (GList *name = names; name; name = name->next) {
		append_indent(out, indent);
		append_string(out, name->data);
		g_string_append_c(out, ':');
		append_value(out, json_object_get_member(object, name->data), indent + 1);
	}
}

static void append_array(GString *out, JsonArray *array, guint indent)
{
	for (guint i = 0; i < json_array_get_length(array); i++) {
		append_indent(out, indent);
		g_string_append_c(out, '-');
		append_value(out, json_array_get_element(array, i), indent + 1);
	}
}

/* Behind "name:" or "-", with the line's end. */
static void append_value(GString *out, JsonNode *node, guint indent)
{
	g_autofree char *scalar = NULL;

	if (JSON_NODE_HOLDS_OBJECT(node) && json_object_get_size(json_node_get_object(node))) {
		g_string_append_c(out, '\n');
		append_object(out, json_node_get_object(node), indent);
		return;
	}
	if (JSON_NODE_HOLDS_ARRAY(node) && json_array_get_length(json_node_get_array(node))) {
		g_string_append_c(out, '\n');
		append_array(out, json_node_get_array(node), indent);
		return;
	}
	g_string_append_c(out, ' ');
	if (JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING) {
		append_string(out, json_node_get_string(node));
	} else {
		scalar = json_to_string(node, FALSE); /* numbers, booleans, null, {} and [] read the same */
		g_string_append(out, scalar);
	}
	g_string_append_c(out, '\n');
}

char *yaml_format(JsonNode *node)
{
	GString *out = g_string_new(NULL);

	if (JSON_NODE_HOLDS_OBJECT(node))
		append_object(out, json_node_get_object(node), 0);
	else if (JSON_NODE_HOLDS_ARRAY(node))
		append_array(out, json_node_get_array(node), 0);
	return g_string_free(out, FALSE);
}
