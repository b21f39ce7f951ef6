/* Nouns from JSON, checked field by field, and to JSON. */
#include "daemon/model/field.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "daemon/model/error.h"
#include "daemon/model/field_private.h"
#include "daemon/model/limits.h"
#include "daemon/model/units.h"

static gboolean invalid(GError **error, const struct field *field, const char *what)
{
	g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID, "%s: %s", field->name, what);
	return FALSE;
}

/* ---- time: RFC 3339, UTC, microseconds ---- */

static char *time_format(gint64 time_us)
{
	time_t seconds = (time_t)(time_us / G_USEC_PER_SEC);
	gint64 micros = time_us % G_USEC_PER_SEC;
	struct tm tm;

	if (micros < 0) {
		micros += G_USEC_PER_SEC;
		seconds--;
	}
	gmtime_r(&seconds, &tm);
	return g_strdup_printf("%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
			       tm.tm_hour, tm.tm_min, tm.tm_sec, (int)micros);
}

/* Exactly the form that time_format() writes. */
static gboolean time_parse(const char *text, gint64 *time_us)
{
	static const char form[] = "0000-00-00T00:00:00.000000Z";
	struct tm tm = { 0 };
	int micros;

	if (strlen(text) != sizeof(form) - 1)
		return FALSE;
	for (gsize i = 0; i < sizeof(form) - 1; i++)
		if (form[i] == '0' ? !g_ascii_isdigit(text[i]) : text[i] != form[i])
			return FALSE;
	if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%6dZ", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min,
		   &tm.tm_sec, &micros) != 7)
		return FALSE;
	if (tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 || tm.tm_min > 59 ||
	    tm.tm_sec > 60)
		return FALSE;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	*time_us = (gint64)timegm(&tm) * G_USEC_PER_SEC + micros;
	return TRUE;
}

/* ---- from JSON ---- */

static gboolean string_check(const struct field *field, const char *text, enum noun_source source, GError **error)
{
	gsize length = strlen(text);

	/* Our own records leave nothing out by mistake: an empty text there says "none". */
	if (source == NOUN_FROM_STORE && !length)
		return TRUE;
	if (field->type == FIELD_STRING && length < field->min)
		return invalid(error, field, "must not be empty");
	if (field->type == FIELD_STRING && field->max && length > field->max) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID,
			    "%s: %zu bytes are too long, at most %" G_GUINT64_FORMAT " are allowed", field->name,
			    length, field->max);
		return FALSE;
	}
	if (source != NOUN_FROM_STORE)
		for (const char *at = text; *at; at++)
			if ((guchar)*at < 0x20 || *at == 0x7f)
				return invalid(error, field, "must not contain control characters");
	if (field->check && !field->check(text, error)) {
		g_prefix_error(error, "%s: ", field->name);
		return FALSE;
	}
	return TRUE;
}

static gboolean strings_from_node(const struct field *field, JsonNode *node, enum noun_source source, char ***out,
				  GError **error)
{
	g_autoptr(GStrvBuilder) builder = NULL;
	JsonArray *array;
	guint count;

	if (!JSON_NODE_HOLDS_ARRAY(node))
		return invalid(error, field, "must be an array of strings");
	array = json_node_get_array(node);
	count = json_array_get_length(array);
	if (field->max && count > field->max) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID,
			    "%s: %u items are too many, at most %" G_GUINT64_FORMAT " are allowed", field->name, count,
			    field->max);
		return FALSE;
	}
	builder = g_strv_builder_new();
	for (guint i = 0; i < count; i++) {
		JsonNode *item = json_array_get_element(array, i);

		if (json_node_get_value_type(item) != G_TYPE_STRING)
			return invalid(error, field, "must be an array of strings");
		if (!string_check(field, json_node_get_string(item), source, error))
			return FALSE;
		g_strv_builder_add(builder, json_node_get_string(item));
	}
	*out = count ? g_strv_builder_end(builder) : NULL;
	return TRUE;
}

static gboolean enum_from_node(const struct field *field, JsonNode *node, int *out, GError **error)
{
	g_autofree char *allowed = NULL;
	g_autofree char *message = NULL;

	if (json_node_get_value_type(node) == G_TYPE_STRING) {
		for (int i = 0; field->names[i]; i++) {
			if (strcmp(field->names[i], json_node_get_string(node)) == 0) {
				*out = i;
				return TRUE;
			}
		}
	}
	allowed = g_strjoinv(", ", (char **)field->names);
	message = g_strdup_printf("must be one of %s", allowed);
	return invalid(error, field, message);
}

static gboolean range_invalid(const struct field *field, GError **error)
{
	g_autofree char *min = NULL, *max = NULL;

	if (field->type == FIELD_BYTES) {
		min = size_format(field->min);
		max = size_format(field->max);
	} else if (field->type == FIELD_MS) {
		min = duration_format(field->min);
		max = duration_format(field->max);
	} else {
		min = g_strdup_printf("%" G_GUINT64_FORMAT, field->min);
		max = g_strdup_printf("%" G_GUINT64_FORMAT, field->max);
	}
	if (field->max)
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID, "%s: must be from %s to %s", field->name, min,
			    max);
	else
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID, "%s: must be at least %s", field->name, min);
	return FALSE;
}

static gboolean uint_from_node(const struct field *field, JsonNode *node, guint64 *out, GError **error)
{
	gint64 value;

	if (json_node_get_value_type(node) != G_TYPE_INT64)
		return invalid(error, field, "must be an integer");
	value = json_node_get_int(node);
	if (value < 0 || (guint64)value < field->min || (field->max && (guint64)value > field->max))
		return range_invalid(field, error);
	*out = (guint64)value;
	return TRUE;
}

static gboolean number_from_node(const struct field *field, JsonNode *node, double *out, GError **error)
{
	GType type = json_node_get_value_type(node);
	double value;

	if (type != G_TYPE_DOUBLE && type != G_TYPE_INT64)
		return invalid(error, field, "must be a number");
	value = type == G_TYPE_DOUBLE ? json_node_get_double(node) : (double)json_node_get_int(node);
	if (!isfinite(value) || (!(field->flags & FIELD_SIGNED) &&
				 (value < (double)field->min || (field->max && value > (double)field->max))))
		return range_invalid(field, error);
	*out = value;
	return TRUE;
}

static gboolean field_from_node(const struct field *field, gpointer object, JsonNode *node, enum noun_source source,
				GError **error)
{
	char **strings;

	switch (field->type) {
	case FIELD_STRING:
		if (json_node_get_value_type(node) != G_TYPE_STRING)
			return invalid(error, field, "must be a string");
		if (!string_check(field, json_node_get_string(node), source, error))
			return FALSE;
		field_clear(field, object);
		FIELD_MEMBER(char *, object, field) = json_node_dup_string(node);
		return TRUE;
	case FIELD_STRINGS:
		if (!strings_from_node(field, node, source, &strings, error))
			return FALSE;
		field_clear(field, object);
		FIELD_MEMBER(char **, object, field) = strings;
		return TRUE;
	case FIELD_BOOL:
		if (json_node_get_value_type(node) != G_TYPE_BOOLEAN)
			return invalid(error, field, "must be true or false");
		FIELD_MEMBER(gboolean, object, field) = json_node_get_boolean(node);
		return TRUE;
	case FIELD_ENUM:
		return enum_from_node(field, node, &FIELD_MEMBER(int, object, field), error);
	case FIELD_NUMBER:
		return number_from_node(field, node, &FIELD_MEMBER(double, object, field), error);
	case FIELD_TIME:
		if (JSON_NODE_HOLDS_NULL(node)) {
			FIELD_MEMBER(gint64, object, field) = 0;
			return TRUE;
		}
		if (json_node_get_value_type(node) != G_TYPE_STRING ||
		    !time_parse(json_node_get_string(node), &FIELD_MEMBER(gint64, object, field)))
			return invalid(error, field, "must be a UTC time like 2026-01-31T12:00:00.000000Z");
		return TRUE;
	case FIELD_UINT:
	case FIELD_BYTES:
	case FIELD_MS:
		break;
	}
	return uint_from_node(field, node, &FIELD_MEMBER(guint64, object, field), error);
}

/* May `source` set this field? */
static gboolean field_settable(const struct noun *noun, const struct field *field, const char *name,
			       enum noun_source source, GError **error)
{
	if (!field) {
		g_autofree char *start = g_strndup(name, LIMIT_NAME_BYTES);
		g_autofree char *shown = g_strescape(start, NULL);

		g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID, "%s has no field '%s'", noun->name, shown);
		return FALSE;
	}
	if (source == NOUN_FROM_CREATE && !(field->flags & FIELD_CREATE))
		return invalid(error, field, "is set by Polder and can't be given");
	if (source == NOUN_FROM_UPDATE && !(field->flags & FIELD_UPDATE))
		return invalid(error, field, "can't be changed after creation");
	return TRUE;
}

static gboolean apply(const struct noun *noun, gpointer object, JsonObject *node, enum noun_source source,
		      GError **error)
{
	JsonObjectIter iter;
	const char *name;
	JsonNode *value;

	json_object_iter_init(&iter, node);
	while (json_object_iter_next(&iter, &name, &value)) {
		const struct field *field = noun_field(noun, name);

		if (!field_settable(noun, field, name, source, error) ||
		    !field_from_node(field, object, value, source, error))
			return FALSE;
	}
	for (gsize i = 0; source == NOUN_FROM_CREATE && i < noun->n_fields; i++) {
		const struct field *field = &noun->fields[i];

		if ((field->flags & FIELD_REQUIRED) && !json_object_has_member(node, field->name))
			return invalid(error, field, "is required");
	}
	return TRUE;
}

gboolean noun_from_node(const struct noun *noun, gpointer object, JsonObject *node, enum noun_source source,
			GError **error)
{
	g_autofree gpointer next = g_malloc(noun->size);

	/* Worked out beside, so that an update that fails half-way changes nothing. */
	if (source == NOUN_FROM_UPDATE)
		noun_copy(noun, object, next);
	else
		noun_init(noun, next);
	if (!apply(noun, next, node, source, error) ||
	    (source != NOUN_FROM_STORE && noun->check && !noun->check(next, error))) {
		noun_clear(noun, next);
		if (source != NOUN_FROM_UPDATE)
			memset(object, 0, noun->size);
		return FALSE;
	}
	if (source == NOUN_FROM_UPDATE)
		noun_clear(noun, object);
	memcpy(object, next, noun->size);
	return TRUE;
}

gboolean noun_from_json(const struct noun *noun, gpointer object, const char *json, gsize json_bytes,
			enum noun_source source, GError **error)
{
	g_autoptr(JsonNode) node = json_parse_bounded(json, json_bytes, error);

	if (node && JSON_NODE_HOLDS_OBJECT(node))
		return noun_from_node(noun, object, json_node_get_object(node), source, error);
	if (node)
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID, "a %s must be a JSON object", noun->name);
	if (source != NOUN_FROM_UPDATE)
		memset(object, 0, noun->size);
	return FALSE;
}

/* ---- to JSON ---- */

static JsonNode *strings_to_node(JsonNode *node, char **strings)
{
	g_autoptr(JsonArray) array = json_array_new();

	for (; strings && *strings; strings++)
		json_array_add_string_element(array, *strings);
	return json_node_init_array(node, array);
}

static JsonNode *field_to_node(const struct field *field, gconstpointer object)
{
	JsonNode *node = json_node_alloc();
	gint64 time_us;

	switch (field->type) {
	case FIELD_STRING:
		return json_node_init_string(
			node, FIELD_MEMBER(char *, object, field) ? FIELD_MEMBER(char *, object, field) : "");
	case FIELD_STRINGS:
		return strings_to_node(node, FIELD_MEMBER(char **, object, field));
	case FIELD_BOOL:
		return json_node_init_boolean(node, FIELD_MEMBER(gboolean, object, field));
	case FIELD_ENUM:
		return json_node_init_string(node, field->names[FIELD_MEMBER(int, object, field)]);
	case FIELD_NUMBER:
		return json_node_init_double(node, FIELD_MEMBER(double, object, field));
	case FIELD_TIME: {
		g_autofree char *text = NULL;

		time_us = FIELD_MEMBER(gint64, object, field);
		if (!time_us)
			return json_node_init_null(node);
		text = time_format(time_us);
		return json_node_init_string(node, text);
	}
	case FIELD_UINT:
	case FIELD_BYTES:
	case FIELD_MS:
		break;
	}
	return json_node_init_int(node, (gint64)MIN(FIELD_MEMBER(guint64, object, field), (guint64)G_MAXINT64));
}

JsonObject *noun_to_node(const struct noun *noun, gconstpointer object)
{
	JsonObject *node = json_object_new();

	for (gsize i = 0; i < noun->n_fields; i++) {
		if (!(noun->fields[i].flags & FIELD_INTERNAL))
			json_object_set_member(node, noun->fields[i].name, field_to_node(&noun->fields[i], object));
	}
	return node;
}

char *noun_to_json(const struct noun *noun, gconstpointer object)
{
	g_autofree gpointer initial = g_malloc(noun->size);
	g_autoptr(JsonObject) node = json_object_new();
	g_autoptr(JsonNode) root = json_node_init_object(json_node_alloc(), node);
	char *text;

	noun_init(noun, initial);
	for (gsize i = 0; i < noun->n_fields; i++) {
		const struct field *field = &noun->fields[i];

		if (!field_equal(field, object, initial))
			json_object_set_member(node, field->name, field_to_node(field, object));
	}
	text = json_to_string(root, FALSE);
	noun_clear(noun, initial);
	return text;
}
