#include "daemon/api/record.h"

#include <string.h>

#define MEMBERS_MAX 128u /* more than any noun has fields */

struct member {
	const char *name; /* without quotes; field names have no escapes */
	gsize name_bytes;
	struct record_value value;
};

static const char *skip_space(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r'))
		at++;
	return at;
}

/* From an opening quote to behind the closing one; `end` when it does not close. */
static const char *skip_string(const char *at, const char *end)
{
	for (at++; at < end && *at != '"'; at++) {
		if (*at == '\\' && at + 1 < end)
			at++;
	}
	return at < end ? at + 1 : end;
}

static const char *skip_value(const char *at, const char *end)
{
	guint depth = 0;

	while (at < end) {
		if (*at == '"') {
			at = skip_string(at, end);
		} else if (*at == '{' || *at == '[') {
			depth++;
			at++;
		} else if (*at == '}' || *at == ']') {
			if (depth == 0)
				return at;
			depth--;
			at++;
		} else if (depth == 0 && (*at == ',' || *at == ' ' || *at == '\n')) {
			return at;
		} else {
			at++;
		}
		if (depth == 0 && (at == end || *at == ',' || *at == '}'))
			return at;
	}
	return end;
}

/* The next member of an object; `at` stands behind '{' or the member before. */
static gboolean next_member(const char **at, const char *end, struct member *member)
{
	const char *from = skip_space(*at, end), *to;

	if (from < end && *from == ',')
		from = skip_space(from + 1, end);
	if (from >= end || *from != '"')
		return FALSE;
	to = skip_string(from, end);
	member->name = from + 1;
	member->name_bytes = (gsize)(to - from) >= 2 ? (gsize)(to - from) - 2 : 0;
	from = skip_space(to, end);
	if (from >= end || *from != ':')
		return FALSE;
	from = skip_space(from + 1, end);
	to = skip_value(from, end);
	member->value.json = from;
	member->value.bytes = (gsize)(to - from);
	*at = to;
	return member->value.bytes > 0;
}

static gboolean record_open(GBytes *record, const char **at, const char **end)
{
	gsize bytes;
	const char *text;

	if (!record)
		return FALSE;
	text = g_bytes_get_data(record, &bytes);
	if (!text)
		return FALSE;
	*end = text + bytes;
	*at = skip_space(text, *end);
	if (*at == *end || **at != '{')
		return FALSE;
	(*at)++;
	return TRUE;
}

struct record_value record_get(GBytes *record, const char *name)
{
	struct member member;
	const char *at, *end;
	gsize bytes = strlen(name);

	if (record_open(record, &at, &end)) {
		while (next_member(&at, end, &member)) {
			if (member.name_bytes == bytes && memcmp(member.name, name, bytes) == 0)
				return member.value;
		}
	}
	return (struct record_value) { NULL, 0 };
}

gboolean record_value_equal(struct record_value a, struct record_value b)
{
	return a.bytes == b.bytes && (a.bytes == 0 || memcmp(a.json, b.json, a.bytes) == 0);
}

gboolean record_value_is(struct record_value value, const char *json)
{
	return record_value_equal(value, (struct record_value) { json, strlen(json) });
}

char *record_value_string(struct record_value value)
{
	g_autoptr(JsonNode) node = NULL;

	if (value.bytes < 2 || value.json[0] != '"')
		return NULL;
	if (!memchr(value.json, '\\', value.bytes))
		return g_strndup(value.json + 1, value.bytes - 2);
	node = json_parse_bounded(value.json, value.bytes, NULL);
	return node && JSON_NODE_HOLDS_VALUE(node) ? g_strdup(json_node_get_string(node)) : NULL;
}

/* A noun's defaults as JSON text: `"name":value` per field. Made once per noun and kept. */
static const char *const *noun_defaults(const struct noun *noun)
{
	static GHashTable *known;
	GPtrArray *defaults;
	g_autoptr(JsonObject) node = NULL;
	g_autofree gpointer object = NULL;

	if (!known)
		known = g_hash_table_new(NULL, NULL);
	defaults = g_hash_table_lookup(known, noun);
	if (defaults)
		return (const char *const *)defaults->pdata;
	object = g_malloc0(noun->size);
	noun_init(noun, object);
	node = noun_to_node(noun, object);
	noun_clear(noun, object);
	defaults = g_ptr_array_new();
	for (gsize i = 0; i < noun->n_fields; i++) {
		JsonNode *value = json_object_get_member(node, noun->fields[i].name);
		g_autofree char *text = value ? json_to_string(value, FALSE) : NULL; /* NULL: internal, not answered */

		g_ptr_array_add(defaults, g_strdup_printf("\"%s\":%s", noun->fields[i].name, text));
	}
	g_hash_table_insert(known, (gpointer)noun, defaults);
	return (const char *const *)defaults->pdata;
}

static void append_value(GString *out, const char *name, struct record_value value)
{
	g_string_append_c(out, '"');
	g_string_append(out, name);
	g_string_append_len(out, "\":", 2);
	g_string_append_len(out, value.json, (gssize)value.bytes);
}

void record_append(GString *out, const struct noun *noun, GBytes *record, const struct record_override *override,
		   gsize n_overrides)
{
	const char *const *defaults = noun_defaults(noun);
	struct member members[MEMBERS_MAX];
	const char *at, *end;
	gsize n = 0, next = 0;
	gboolean appended = FALSE;

	if (record_open(record, &at, &end)) {
		while (n < MEMBERS_MAX && next_member(&at, end, &members[n]))
			n++;
	}
	for (gsize i = 0; i < noun->n_fields; i++) {
		const char *name = noun->fields[i].name;
		gsize bytes = strlen(name), looked = 0, o = 0;

		if (noun->fields[i].flags & FIELD_INTERNAL)
			continue;
		if (appended)
			g_string_append_c(out, ',');
		appended = TRUE;
		while (o < n_overrides && strcmp(override[o].name, name) != 0)
			o++;
		if (o < n_overrides) {
			append_value(out, name, override[o].value);
			continue;
		}
		/* Records are written in the table's order: the next member is nearly always the one. */
		while (looked < n &&
		       (members[next % n].name_bytes != bytes || memcmp(members[next % n].name, name, bytes) != 0)) {
			next++;
			looked++;
		}
		if (looked < n)
			append_value(out, name, members[next++ % n].value);
		else
			g_string_append(out, defaults[i]);
	}
}

void record_append_string(GString *out, const char *text)
{
	g_string_append_c(out, '"');
	for (const char *at = text ? text : ""; *at; at++) {
		if (*at == '"' || *at == '\\')
			g_string_append_c(out, '\\');
		if ((guchar)*at < 0x20)
			g_string_append_printf(out, "\\u%04x", (guint)(guchar)*at);
		else
			g_string_append_c(out, *at);
	}
	g_string_append_c(out, '"');
}
