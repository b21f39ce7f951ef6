#include "daemon/model/field.h"

#include <string.h>

#include "daemon/model/field_private.h"

static const char *text_or_empty(const char *text)
{
	return text ? text : "";
}

void field_clear(const struct field *field, gpointer object)
{
	if (field->type == FIELD_STRING)
		g_clear_pointer(&FIELD_MEMBER(char *, object, field), g_free);
	else if (field->type == FIELD_STRINGS)
		g_clear_pointer(&FIELD_MEMBER(char **, object, field), g_strfreev);
}

void noun_init(const struct noun *noun, gpointer object)
{
	memset(object, 0, noun->size);
	for (gsize i = 0; i < noun->n_fields; i++) {
		const struct field *field = &noun->fields[i];

		switch (field->type) {
		case FIELD_STRING:
			FIELD_MEMBER(char *, object, field) = g_strdup(field->initial_string);
			break;
		case FIELD_BOOL:
		case FIELD_ENUM:
			FIELD_MEMBER(int, object, field) = (int)field->initial;
			break;
		case FIELD_UINT:
		case FIELD_BYTES:
		case FIELD_MS:
			FIELD_MEMBER(guint64, object, field) = field->initial;
			break;
		case FIELD_NUMBER:
			FIELD_MEMBER(double, object, field) = (double)field->initial;
			break;
		case FIELD_TIME:
		case FIELD_STRINGS:
			break;
		}
	}
}

void noun_clear(const struct noun *noun, gpointer object)
{
	for (gsize i = 0; i < noun->n_fields; i++)
		field_clear(&noun->fields[i], object);
	memset(object, 0, noun->size);
}

void noun_copy(const struct noun *noun, gconstpointer from, gpointer to)
{
	memcpy(to, from, noun->size);
	for (gsize i = 0; i < noun->n_fields; i++) {
		const struct field *field = &noun->fields[i];

		if (field->type == FIELD_STRING)
			FIELD_MEMBER(char *, to, field) = g_strdup(FIELD_MEMBER(char *, from, field));
		else if (field->type == FIELD_STRINGS)
			FIELD_MEMBER(char **, to, field) = g_strdupv(FIELD_MEMBER(char **, from, field));
	}
}

static gboolean strings_equal(char **a, char **b)
{
	static char *none[] = { NULL };

	return g_strv_equal((const char *const *)(a ? a : none), (const char *const *)(b ? b : none));
}

gboolean field_equal(const struct field *field, gconstpointer a, gconstpointer b)
{
	switch (field->type) {
	case FIELD_STRING:
		return strcmp(text_or_empty(FIELD_MEMBER(char *, a, field)),
			      text_or_empty(FIELD_MEMBER(char *, b, field))) == 0;
	case FIELD_STRINGS:
		return strings_equal(FIELD_MEMBER(char **, a, field), FIELD_MEMBER(char **, b, field));
	case FIELD_BOOL:
		return !FIELD_MEMBER(gboolean, a, field) == !FIELD_MEMBER(gboolean, b, field);
	case FIELD_ENUM:
		return FIELD_MEMBER(int, a, field) == FIELD_MEMBER(int, b, field);
	case FIELD_NUMBER:
		return FIELD_MEMBER(double, a, field) == FIELD_MEMBER(double, b, field);
	case FIELD_UINT:
	case FIELD_BYTES:
	case FIELD_MS:
	case FIELD_TIME:
		break;
	}
	return FIELD_MEMBER(guint64, a, field) == FIELD_MEMBER(guint64, b, field);
}

gboolean noun_equal(const struct noun *noun, gconstpointer a, gconstpointer b, unsigned flags)
{
	for (gsize i = 0; i < noun->n_fields; i++) {
		const struct field *field = &noun->fields[i];

		if ((!flags || (field->flags & flags)) && !field_equal(field, a, b))
			return FALSE;
	}
	return TRUE;
}

const struct field *noun_field(const struct noun *noun, const char *name)
{
	for (gsize i = 0; i < noun->n_fields; i++)
		if (strcmp(noun->fields[i].name, name) == 0)
			return &noun->fields[i];
	return NULL;
}
