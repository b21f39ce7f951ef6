/* Columns for people. Text is made harmless: what a guest wrote can't drive the terminal. */
#pragma once

#include <glib.h>

struct table;

/* table_new(headings): NULL-terminated, borrowed for the table's life. */
struct table *table_new(const char *const *headings);
void table_free(struct table *table);

/* table_add(table, cells): one cell a heading; copied. */
void table_add(struct table *table, const char *const *cells);

/* table_render(table, width): text with aligned columns; lines longer than `width` columns are cut (0: never). Caller
 * frees. */
char *table_render(const struct table *table, guint width);

/* text_printable(text): `text` as valid UTF-8 with anything unprintable shown as '?'. Caller frees. */
char *text_printable(const char *text);

/* text_width(text): terminal columns. */
guint text_width(const char *text);
