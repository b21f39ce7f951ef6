#include "cli/table.h"

struct table {
	guint n_columns;
	GPtrArray *rows; /* char **, the headings first */
};

char *text_printable(const char *text)
{
	g_autofree char *valid = g_utf8_make_valid(text, -1);
	GString *out = g_string_new(NULL);

	for (const char *at = valid; *at; at = g_utf8_next_char(at)) {
		gunichar c = g_utf8_get_char(at);

		g_string_append_unichar(out, g_unichar_isprint(c) ? c : '?');
	}
	return g_string_free(out, FALSE);
}

static guint char_width(gunichar c)
{
	if (g_unichar_iszerowidth(c))
		return 0;
	return g_unichar_iswide(c) ? 2 : 1;
}

guint text_width(const char *text)
{
	guint width = 0;

	for (; *text; text = g_utf8_next_char(text))
		width += char_width(g_utf8_get_char(text));
	return width;
}

static void row_free(gpointer row)
{
	g_strfreev(row);
}

void table_add(struct table *table, const char *const *cells)
{
	char **row = g_new0(char *, table->n_columns + 1);

	for (guint i = 0; i < table->n_columns; i++)
		row[i] = text_printable(cells[i]);
	g_ptr_array_add(table->rows, row);
}

struct table *table_new(const char *const *headings)
{
	struct table *table = g_new0(struct table, 1);

	table->n_columns = g_strv_length((char **)headings);
	table->rows = g_ptr_array_new_with_free_func(row_free);
	table_add(table, headings);
	return table;
}

void table_free(struct table *table)
{
	if (!table)
		return;
	g_ptr_array_unref(table->rows);
	g_free(table);
}

/* Cut `line` to `width` columns. */
static void cut(GString *line, guint width)
{
	guint used = 0;

	for (const char *at = line->str; *at; at = g_utf8_next_char(at)) {
		used += char_width(g_utf8_get_char(at));
		if (used > width) {
			g_string_truncate(line, (gsize)(at - line->str));
			return;
		}
	}
}

char *table_render(const struct table *table, guint width)
{
	g_autofree guint *widths = g_new0(guint, table->n_columns + 1);
	GString *out = g_string_new(NULL);

	for (guint r = 0; r < table->rows->len; r++) {
		char **row = table->rows->pdata[r];

		for (guint c = 0; c < table->n_columns; c++)
			widths[c] = MAX(widths[c], text_width(row[c]));
	}
	for (guint r = 0; r < table->rows->len; r++) {
		g_autoptr(GString) line = g_string_new(NULL);
		char **row = table->rows->pdata[r];

		for (guint c = 0; c < table->n_columns; c++) {
			g_string_append(line, row[c]);
			if (c + 1 < table->n_columns)
				for (guint pad = widths[c] - text_width(row[c]) + 2; pad; pad--)
					g_string_append_c(line, ' ');
		}
		if (width)
			cut(line, width);
		g_string_append(out, line->str);
		g_string_append_c(out, '\n');
	}
	return g_string_free(out, FALSE);
}
