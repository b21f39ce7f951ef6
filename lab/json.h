/* Writes JSON: numbers with the fewest digits that read back the same, members in the order written, the same bytes in
 * every locale. Commas are its business, balance is the caller's. */
#pragma once

#include <glib.h>

struct lab_json {
	GString *text;
	gboolean comma; /* a value was written before on this level */
};

void lab_json_init(struct lab_json *json);
/* lab_json_steal(json): the text, with an end of line. Caller frees; the writer is cleared. */
char *lab_json_steal(struct lab_json *json);

/* `name` is the member's, or NULL for an array's element and the document itself. */
void lab_json_open(struct lab_json *json, const char *name, char bracket);        /* '{' or '[' */
void lab_json_close(struct lab_json *json, char bracket);                         /* '}' or ']' */
void lab_json_string(struct lab_json *json, const char *name, const char *value); /* NULL: null */
void lab_json_number(struct lab_json *json, const char *name, double value);      /* not finite: null */
void lab_json_integer(struct lab_json *json, const char *name, guint64 value);
void lab_json_boolean(struct lab_json *json, const char *name, gboolean value);
void lab_json_null(struct lab_json *json, const char *name);
