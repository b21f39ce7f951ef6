#include "daemon/api/parse.h"

#include <string.h>

#include "daemon/model/error.h"

#define SHOWN_BYTES 64 /* of a client's text in an error message */

/* The next component of a path: "/a/b" → "a", rest "/b". FALSE at the end. */
static gboolean component(const char **path, const char **start, gsize *bytes)
{
	if (**path != '/')
		return FALSE;
	*start = *path + 1;
	*bytes = strcspn(*start, "/");
	*path = *start + *bytes;
	return TRUE;
}

gboolean path_match(const char *template, const char *path, char **name)
{
	const char *want, *have;
	gsize want_bytes, have_bytes;

	*name = NULL;
	while (component(&template, &want, &want_bytes)) {
		if (!component(&path, &have, &have_bytes) || have_bytes == 0)
			goto differs;
		if (want_bytes == strlen("{name}") && memcmp(want, "{name}", want_bytes) == 0) {
			g_free(*name);
			*name = g_uri_unescape_segment(have, have + have_bytes, "/");
			/* Badly encoded: hand it on as it is; no name contains a '%'. */
			if (!*name || !g_utf8_validate(*name, -1, NULL)) {
				g_free(*name);
				*name = g_strdup("%");
			}
		} else if (want_bytes != have_bytes || memcmp(want, have, want_bytes) != 0) {
			goto differs;
		}
	}
	if (*path == '\0')
		return TRUE;
differs:
	g_clear_pointer(name, g_free);
	return FALSE;
}

static gboolean invalid(GError **error, const char *what, const char *name)
{
	g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID, "query parameter '%.*s' %s", SHOWN_BYTES, name, what);
	return FALSE;
}

static gboolean allowed_has(const char *const *allowed, const char *name)
{
	return allowed && g_strv_contains(allowed, name);
}

static gboolean query_add(GHashTable *query, const char *pair, const char *const *allowed, GError **error)
{
	const char *equals = strchr(pair, '=');
	g_autofree char *name = g_uri_unescape_segment(pair, equals, NULL);
	g_autofree char *value = equals ? g_uri_unescape_string(equals + 1, NULL) : g_strdup("");

	if (!name || !value || !g_utf8_validate(name, -1, NULL) || !g_utf8_validate(value, -1, NULL)) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID, "the query is badly encoded");
		return FALSE;
	}
	if (!allowed_has(allowed, name)) {
		g_autofree char *list = allowed ? g_strjoinv(", ", (char **)allowed) : g_strdup("none");

		g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID,
			    "unknown query parameter '%.*s'; allowed here: %s", SHOWN_BYTES, name, list);
		return FALSE;
	}
	if (g_hash_table_contains(query, name))
		return invalid(error, "is given twice", name);
	g_hash_table_insert(query, g_steal_pointer(&name), g_steal_pointer(&value));
	return TRUE;
}

GHashTable *query_parse(const char *text, const char *const *allowed, GError **error)
{
	g_autoptr(GHashTable) query = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	g_auto(GStrv) pairs = g_strsplit(text ? text : "", "&", QUERY_PARAMETERS_MAX + 1);

	if (g_strv_length(pairs) > QUERY_PARAMETERS_MAX) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID, "more than %u query parameters",
			    QUERY_PARAMETERS_MAX);
		return NULL;
	}
	for (char **pair = pairs; *pair; pair++) {
		if (**pair && !query_add(query, *pair, allowed, error))
			return NULL;
	}
	return g_steal_pointer(&query);
}

gboolean query_uint(GHashTable *query, const char *name, struct query_range range, guint64 *value, GError **error)
{
	const char *text = g_hash_table_lookup(query, name);

	*value = range.initial;
	if (!text)
		return TRUE;
	if (!g_ascii_string_to_unsigned(text, 10, 0, range.max, value, NULL)) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID,
			    "query parameter '%s' must be a whole number from 0 to %" G_GUINT64_FORMAT ", not '%.*s'",
			    name, range.max, SHOWN_BYTES, text);
		return FALSE;
	}
	return TRUE;
}

gboolean query_bool(GHashTable *query, const char *name, gboolean *value, GError **error)
{
	const char *text = g_hash_table_lookup(query, name);

	*value = FALSE;
	if (!text || strcmp(text, "false") == 0)
		return TRUE;
	if (strcmp(text, "true") != 0)
		return invalid(error, "must be true or false", name);
	*value = TRUE;
	return TRUE;
}
