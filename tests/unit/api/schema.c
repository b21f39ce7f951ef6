/* As much of JSON Schema as the contract uses. An unknown keyword fails: a check that is silently left out is none. */
#include "tests/unit/api/fixture.h"

#include <string.h>

static JsonObject *resolve(JsonObject *document, JsonObject *schema)
{
	const char *reference;

	if (!json_object_has_member(schema, "$ref"))
		return schema;
	reference = json_object_get_string_member(schema, "$ref");
	g_assert_true(g_str_has_prefix(reference, "#/components/schemas/"));
	schema = json_object_get_object_member(json_object_get_object_member(document, "components"), "schemas");
	reference += strlen("#/components/schemas/");
	g_assert_true(json_object_has_member(schema, reference));
	return json_object_get_object_member(schema, reference);
}

static gboolean type_is(JsonNode *value, const char *type)
{
	GType held = JSON_NODE_HOLDS_VALUE(value) ? json_node_get_value_type(value) : G_TYPE_INVALID;

	if (strcmp(type, "object") == 0)
		return JSON_NODE_HOLDS_OBJECT(value);
	if (strcmp(type, "array") == 0)
		return JSON_NODE_HOLDS_ARRAY(value);
	if (strcmp(type, "string") == 0)
		return held == G_TYPE_STRING;
	if (strcmp(type, "boolean") == 0)
		return held == G_TYPE_BOOLEAN;
	if (strcmp(type, "integer") == 0)
		return held == G_TYPE_INT64;
	g_assert_cmpstr(type, ==, "number");
	return held == G_TYPE_INT64 || held == G_TYPE_DOUBLE;
}

static char *check_object(JsonObject *document, JsonObject *schema, JsonObject *object, const char *where)
{
	JsonObject *properties = json_object_get_object_member(schema, "properties");
	JsonArray *required =
		json_object_has_member(schema, "required") ? json_object_get_array_member(schema, "required") : NULL;
	g_autoptr(GList) names = json_object_get_members(object);

	for (guint i = 0; required && i < json_array_get_length(required); i++) {
		const char *name = json_array_get_string_element(required, i);

		if (!json_object_has_member(object, name))
			return g_strdup_printf("%s lacks %s", where, name);
	}
	for (GList *name = names; name; name = name->next) {
		g_autofree char *inner = g_strdup_printf("%s.%s", where, (char *)name->data);
		char *wrong;

		if (!json_object_has_member(properties, name->data))
			return g_strdup_printf("%s is not in the schema", inner);
		wrong = schema_check(document, json_object_get_object_member(properties, name->data),
				     json_object_get_member(object, name->data), inner);
		if (wrong)
			return wrong;
	}
	return NULL;
}

static char *check_keywords(JsonObject *schema, JsonNode *value, const char *where)
{
	g_autoptr(GList) keywords = json_object_get_members(schema);
	static const char *const known[] = { "type",    "description", "properties", "required", "additionalProperties",
					     "items",   "enum",        "format",     "nullable", "minimum",
					     "maximum", "maxLength",   "maxItems",   "default",  NULL };
	gboolean listed = FALSE;
	JsonArray *values;

	for (GList *keyword = keywords; keyword; keyword = keyword->next) {
		if (!g_strv_contains(known, keyword->data))
			return g_strdup_printf("%s: unknown keyword %s", where, (char *)keyword->data);
	}
	if (json_object_has_member(schema, "maxLength") &&
	    strlen(json_node_get_string(value)) > (gsize)json_object_get_int_member(schema, "maxLength"))
		return g_strdup_printf("%s is too long", where);
	if (json_object_has_member(schema, "minimum") &&
	    json_node_get_int(value) < json_object_get_int_member(schema, "minimum"))
		return g_strdup_printf("%s is too small", where);
	if (json_object_has_member(schema, "maximum") &&
	    json_node_get_int(value) > json_object_get_int_member(schema, "maximum"))
		return g_strdup_printf("%s is too large", where);
	if (!json_object_has_member(schema, "enum"))
		return NULL;
	values = json_object_get_array_member(schema, "enum");
	for (guint i = 0; i < json_array_get_length(values); i++)
		listed |= strcmp(json_array_get_string_element(values, i), json_node_get_string(value)) == 0;
	return listed ? NULL : g_strdup_printf("%s is none of its values", where);
}

char *schema_check(JsonObject *document, JsonObject *schema, JsonNode *value, const char *where)
{
	const char *type;
	char *wrong;

	schema = resolve(document, schema);
	if (JSON_NODE_HOLDS_NULL(value)) {
		if (json_object_has_member(schema, "nullable") && json_object_get_boolean_member(schema, "nullable"))
			return NULL;
		return g_strdup_printf("%s is null", where);
	}
	type = json_object_get_string_member(schema, "type");
	if (!type_is(value, type))
		return g_strdup_printf("%s is no %s", where, type);
	wrong = check_keywords(schema, value, where);
	if (wrong)
		return wrong;
	if (JSON_NODE_HOLDS_OBJECT(value))
		return check_object(document, schema, json_node_get_object(value), where);
	if (JSON_NODE_HOLDS_ARRAY(value)) {
		JsonArray *array = json_node_get_array(value);

		for (guint i = 0; i < json_array_get_length(array); i++) {
			g_autofree char *inner = g_strdup_printf("%s[%u]", where, i);

			wrong = schema_check(document, json_object_get_object_member(schema, "items"),
					     json_array_get_element(array, i), inner);
			if (wrong)
				return wrong;
		}
	}
	return NULL;
}
