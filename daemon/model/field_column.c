/* How fields read in the CLI's columns. */
#include "daemon/model/field.h"

#include <string.h>

#include "daemon/model/units.h"

static char *strings_format(JsonArray *array)
{
	g_autoptr(GString) text = g_string_new(NULL);

	for (guint i = 0; i < json_array_get_length(array); i++) {
		JsonNode *item = json_array_get_element(array, i);

		if (json_node_get_value_type(item) != G_TYPE_STRING)
			continue;
		g_string_append_printf(text, "%s%s", text->len ? ", " : "", json_node_get_string(item));
	}
	return g_strdup(text->len ? text->str : "-");
}

/* What has a short exact form is shown so; the memory of a host, say, is rounded. */
static char *bytes_format(guint64 bytes)
{
	static const char letters[] = "KMGTPE";
	g_autofree char *exact = size_format(bytes);
	int unit = 0;

	if (strlen(exact) <= 5)
		return g_steal_pointer(&exact);
	while (letters[unit + 1] && bytes >> (10 * (unit + 2)))
		unit++;
	return g_strdup_printf("%.1f%c", (double)bytes / (double)(G_GUINT64_CONSTANT(1) << (10 * (unit + 1))),
			       letters[unit]);
}

char *field_format(const struct field *field, JsonNode *value)
{
	GType type = value ? json_node_get_value_type(value) : G_TYPE_INVALID;

	if (!value || JSON_NODE_HOLDS_NULL(value))
		return g_strdup("-");
	if (JSON_NODE_HOLDS_ARRAY(value))
		return strings_format(json_node_get_array(value));
	if (type == G_TYPE_BOOLEAN)
		return g_strdup(json_node_get_boolean(value) ? "yes" : "no");
	if (type == G_TYPE_DOUBLE)
		return g_strdup_printf("%g", json_node_get_double(value));
	if (type == G_TYPE_INT64) {
		gint64 number = json_node_get_int(value);

		if (field->type == FIELD_BYTES && number >= 0)
			return bytes_format((guint64)number);
		if (field->type == FIELD_MS && number >= 0)
			return duration_format((guint64)number);
		return g_strdup_printf("%" G_GINT64_FORMAT, number);
	}
	if (type == G_TYPE_STRING) {
		const char *text = json_node_get_string(value);

		/* Microseconds are for programs. */
		if (field->type == FIELD_TIME && strlen(text) > 19 && text[19] == '.')
			return g_strdup_printf("%.19sZ", text);
		return g_strdup(*text ? text : "-");
	}
	return g_strdup("-");
}
