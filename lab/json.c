#include "lab/json.h"

#include <math.h>

#include "core/strategy/number.h"

void lab_json_init(struct lab_json *json)
{
	json->text = g_string_new(NULL);
	json->comma = FALSE;
}

char *lab_json_steal(struct lab_json *json)
{
	GString *text = g_steal_pointer(&json->text);

	g_string_append_c(text, '\n');
	return g_string_free(text, FALSE);
}

/* What comes from traces need not be UTF-8: it is made so. */
static void quote(GString *text, const char *value)
{
	g_autofree char *valid = g_utf8_make_valid(value, -1);

	g_string_append_c(text, '"');
	for (const char *c = valid; *c; c++) {
		if (*c == '"' || *c == '\\')
			g_string_append_printf(text, "\\%c", *c);
		else if (*c == '\n')
			g_string_append(text, "\\n");
		else if ((guchar)*c < 0x20 || *c == 0x7f)
			g_string_append_printf(text, "\\u%04x", (guint)(guchar)*c);
		else
			g_string_append_c(text, *c);
	}
	g_string_append_c(text, '"');
}

static GString *begin(struct lab_json *json, const char *name)
{
	if (json->comma)
		g_string_append_c(json->text, ',');
	json->comma = TRUE;
	if (name) {
		quote(json->text, name);
		g_string_append_c(json->text, ':');
	}
	return json->text;
}

void lab_json_open(struct lab_json *json, const char *name, char bracket)
{
	g_string_append_c(begin(json, name), bracket);
	json->comma = FALSE;
}

void lab_json_close(struct lab_json *json, char bracket)
{
	g_string_append_c(json->text, bracket);
	json->comma = TRUE;
}

void lab_json_string(struct lab_json *json, const char *name, const char *value)
{
	if (value)
		quote(begin(json, name), value);
	else
		lab_json_null(json, name);
}

void lab_json_number(struct lab_json *json, const char *name, double value)
{
	char text[STRATEGY_NUMBER_TEXT_MAX];

	if (!isfinite(value)) {
		lab_json_null(json, name);
		return;
	}
	strategy_number_print(value, text);
	g_string_append(begin(json, name), text);
}

void lab_json_integer(struct lab_json *json, const char *name, guint64 value)
{
	g_string_append_printf(begin(json, name), "%" G_GUINT64_FORMAT, value);
}

void lab_json_boolean(struct lab_json *json, const char *name, gboolean value)
{
	g_string_append(begin(json, name), value ? "true" : "false");
}

void lab_json_null(struct lab_json *json, const char *name)
{
	g_string_append(begin(json, name), "null");
}
