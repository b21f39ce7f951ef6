#include "cli/view.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/table.h"
#include "cli/terminal.h"

#define SHORT_LIST_BYTES 60 /* a longer list is shown one item a line */

static JsonObject *part_of(JsonObject *object, const char *member)
{
	JsonNode *node;

	if (!member || !object)
		return object;
	node = json_object_get_member(object, member);
	return node && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}

static JsonNode *value_of(JsonObject *object, const char *member, const char *name)
{
	JsonObject *part = part_of(object, member);

	return part ? json_object_get_member(part, name) : NULL;
}

const char *view_text(JsonObject *object, const char *member, const char *name)
{
	JsonNode *node = value_of(object, member, name);

	return node && json_node_get_value_type(node) == G_TYPE_STRING ? json_node_get_string(node) : "";
}

gint64 view_number(JsonObject *object, const char *member, const char *name)
{
	JsonNode *node = value_of(object, member, name);

	return node && json_node_get_value_type(node) == G_TYPE_INT64 ? json_node_get_int(node) : 0;
}

GPtrArray *view_objects(JsonNode *answer, const char *array)
{
	GPtrArray *objects = g_ptr_array_new();
	JsonNode *node =
		JSON_NODE_HOLDS_OBJECT(answer) ? json_object_get_member(json_node_get_object(answer), array) : NULL;
	JsonArray *items = node && JSON_NODE_HOLDS_ARRAY(node) ? json_node_get_array(node) : NULL;

	for (guint i = 0; items && i < json_array_get_length(items); i++) {
		JsonNode *item = json_array_get_element(items, i);

		if (JSON_NODE_HOLDS_OBJECT(item))
			g_ptr_array_add(objects, json_node_get_object(item));
	}
	return objects;
}

static gboolean shown(const struct field *field, gboolean wide)
{
	return field->column && (wide || !(field->flags & FIELD_WIDE));
}

void view_list(JsonNode *answer, const char *array, const struct view_part *parts, gboolean wide)
{
	g_autoptr(GPtrArray) objects = view_objects(answer, array);
	g_autoptr(GPtrArray) headings = g_ptr_array_new();
	struct table *table;
	g_autofree char *text = NULL;
	guint rows, columns;

	for (const struct view_part *part = parts; part->noun; part++)
		for (gsize f = 0; f < part->noun->n_fields; f++)
			if (shown(&part->noun->fields[f], wide))
				g_ptr_array_add(headings, (gpointer)part->noun->fields[f].column);
	g_ptr_array_add(headings, NULL);
	table = table_new((const char *const *)headings->pdata);
	for (guint i = 0; i < objects->len; i++) {
		g_autoptr(GPtrArray) cells = g_ptr_array_new_with_free_func(g_free);

		for (const struct view_part *part = parts; part->noun; part++) {
			for (gsize f = 0; f < part->noun->n_fields; f++) {
				const struct field *field = &part->noun->fields[f];

				if (shown(field, wide))
					g_ptr_array_add(cells,
							field_format(field, value_of(objects->pdata[i], part->member,
										     field->name)));
			}
		}
		table_add(table, (const char *const *)cells->pdata);
	}
	text = table_render(table, terminal_size(STDOUT_FILENO, &rows, &columns) ? columns : 0);
	table_free(table);
	fputs(text, stdout);
}

void view_names(JsonNode *answer, const char *array)
{
	g_autoptr(GPtrArray) objects = view_objects(answer, array);

	for (guint i = 0; i < objects->len; i++)
		puts(view_text(objects->pdata[i], NULL, "name"));
}

/* "memory_bytes" → "memory": the value carries its unit. */
static char *label(const struct field *field)
{
	static const char *const units[] = { "_bytes", "_ms", "_at" };
	g_autofree char *text = g_strdup(field->name);

	for (gsize i = 0; i < G_N_ELEMENTS(units); i++)
		if (g_str_has_suffix(text, units[i]))
			text[strlen(text) - strlen(units[i])] = '\0';
	return g_strdelimit(g_steal_pointer(&text), "_", ' ');
}

static void show_field(const char *name, const char *value)
{
	g_autofree char *printable = text_printable(value);

	printf("%-18s %s\n", name, printable);
}

static void show_strings(const char *name, JsonArray *items)
{
	for (guint i = 0; i < json_array_get_length(items); i++) {
		JsonNode *item = json_array_get_element(items, i);

		if (json_node_get_value_type(item) == G_TYPE_STRING)
			show_field(i ? "" : name, json_node_get_string(item));
	}
}

static gboolean listed(const struct view_part *part, const struct field *field, const char *text)
{
	if (strcmp(text, "-") == 0 || (part->hide && g_strv_contains(part->hide, field->name)))
		return FALSE;
	return !part->only ||
	       (g_strv_contains(part->only, field->name) && !(field->type == FIELD_BOOL && strcmp(text, "no") == 0));
}

void view_show(JsonObject *object, const struct view_part *parts)
{
	for (const struct view_part *part = parts; part->noun; part++) {
		if (!part_of(object, part->member))
			continue;
		if (part->heading)
			printf("\n%s\n", part->heading);
		for (gsize f = 0; f < part->noun->n_fields; f++) {
			const struct field *field = &part->noun->fields[f];
			JsonNode *value = value_of(object, part->member, field->name);
			g_autofree char *name = label(field);
			g_autofree char *text = field_format(field, value);

			if (!listed(part, field, text))
				continue;
			if (value && JSON_NODE_HOLDS_ARRAY(value) && strlen(text) > SHORT_LIST_BYTES)
				show_strings(name, json_node_get_array(value));
			else
				show_field(name, text);
		}
	}
}

void view_json(JsonNode *node)
{
	g_autofree char *text = json_to_string(node, isatty(STDOUT_FILENO));

	puts(text);
}
