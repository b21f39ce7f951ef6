#include "daemon/model/field.h"

#include <string.h>

/* Bounds of an integer or number; those we did not set stay unsaid. */
static void schema_range(JsonObject *schema, const struct field *field)
{
	if (field->flags & FIELD_SIGNED)
		return;
	json_object_set_int_member(schema, "minimum", (gint64)field->min);
	if (field->max)
		json_object_set_int_member(schema, "maximum", (gint64)field->max);
}

static void schema_enum(JsonObject *schema, const struct field *field)
{
	JsonArray *names = json_array_new();

	for (int i = 0; field->names[i]; i++)
		json_array_add_string_element(names, field->names[i]);
	json_object_set_array_member(schema, "enum", names);
}

static void schema_type(JsonObject *schema, const struct field *field)
{
	JsonObject *items;

	switch (field->type) {
	case FIELD_STRING:
		json_object_set_string_member(schema, "type", "string");
		if (field->max)
			json_object_set_int_member(schema, "maxLength", (gint64)field->max);
		break;
	case FIELD_BOOL:
		json_object_set_string_member(schema, "type", "boolean");
		break;
	case FIELD_UINT:
	case FIELD_BYTES:
	case FIELD_MS:
		json_object_set_string_member(schema, "type", "integer");
		json_object_set_string_member(schema, "format", "int64");
		schema_range(schema, field);
		break;
	case FIELD_NUMBER:
		json_object_set_string_member(schema, "type", "number");
		schema_range(schema, field);
		break;
	case FIELD_TIME:
		json_object_set_string_member(schema, "type", "string");
		json_object_set_string_member(schema, "format", "date-time");
		json_object_set_boolean_member(schema, "nullable", TRUE);
		break;
	case FIELD_ENUM:
		json_object_set_string_member(schema, "type", "string");
		schema_enum(schema, field);
		break;
	case FIELD_STRINGS:
		json_object_set_string_member(schema, "type", "array");
		items = json_object_new();
		json_object_set_string_member(items, "type", "string");
		json_object_set_object_member(schema, "items", items);
		if (field->max)
			json_object_set_int_member(schema, "maxItems", (gint64)field->max);
		break;
	}
}

/* What a create request that leaves the field out gets. */
static void schema_default(JsonObject *schema, const struct field *field)
{
	switch (field->type) {
	case FIELD_STRING:
		if (field->initial_string)
			json_object_set_string_member(schema, "default", field->initial_string);
		break;
	case FIELD_BOOL:
		json_object_set_boolean_member(schema, "default", field->initial != 0);
		break;
	case FIELD_UINT:
	case FIELD_BYTES:
	case FIELD_MS:
		json_object_set_int_member(schema, "default", (gint64)field->initial);
		break;
	case FIELD_NUMBER:
		json_object_set_double_member(schema, "default", (double)field->initial);
		break;
	case FIELD_ENUM:
		json_object_set_string_member(schema, "default", field->names[field->initial]);
		break;
	case FIELD_TIME:
	case FIELD_STRINGS:
		break;
	}
}

static gboolean field_shown(const struct field *field, enum noun_source source)
{
	switch (source) {
	case NOUN_FROM_CREATE:
		return (field->flags & FIELD_CREATE) != 0;
	case NOUN_FROM_UPDATE:
		return (field->flags & FIELD_UPDATE) != 0;
	case NOUN_FROM_STORE:
		break;
	}
	return (field->flags & FIELD_INTERNAL) == 0;
}

JsonObject *noun_schema(const struct noun *noun, enum noun_source source)
{
	JsonObject *schema = json_object_new();
	JsonObject *properties = json_object_new();
	JsonArray *required = json_array_new();

	json_object_set_string_member(schema, "type", "object");
	json_object_set_string_member(schema, "description", noun->doc);
	for (gsize i = 0; i < noun->n_fields; i++) {
		const struct field *field = &noun->fields[i];
		JsonObject *property;

		if (!field_shown(field, source))
			continue;
		property = json_object_new();
		schema_type(property, field);
		json_object_set_string_member(property, "description", field->doc);
		if (source == NOUN_FROM_CREATE && !(field->flags & FIELD_REQUIRED))
			schema_default(property, field);
		json_object_set_object_member(properties, field->name, property);
		/* An answer holds every field, always. */
		if (source == NOUN_FROM_STORE || (source == NOUN_FROM_CREATE && (field->flags & FIELD_REQUIRED)))
			json_array_add_string_element(required, field->name);
	}
	json_object_set_object_member(schema, "properties", properties);
	if (json_array_get_length(required))
		json_object_set_array_member(schema, "required", required);
	else
		json_array_unref(required);
	json_object_set_boolean_member(schema, "additionalProperties", FALSE);
	return schema;
}
