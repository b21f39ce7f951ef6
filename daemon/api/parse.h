/* Parsing of what a request line says: paths and query strings. Hostile input; nothing here needs a server. */
#pragma once

#include <glib.h>

#define QUERY_PARAMETERS_MAX 16u

/* path_match(template, path, name): whether `path`, as sent (percent-encoded), is of the form `template`, as
 * "/v1/vms/{name}/exec". *name: what stands for "{name}", decoded and not yet checked, or NULL. Caller frees. */
gboolean path_match(const char *template, const char *path, char **name);

/* query_parse(query, allowed, error): a query string as sent (NULL: none) as name → value, decoded. Refuses parameters
 * that are not in the NULL-terminated `allowed` (NULL: none are), duplicates, bad encoding. Caller unrefs. */
GHashTable *query_parse(const char *query, const char *const *allowed, GError **error);

/* query_uint(query, name, initial, max, value, error), query_bool(…): a parameter's value; `initial` when absent.
 * INVALID, naming the parameter, when it is no number up to `max`, or neither true nor false. */
struct query_range {
	guint64 initial, max;
};
gboolean query_uint(GHashTable *query, const char *name, struct query_range range, guint64 *value, GError **error);
gboolean query_bool(GHashTable *query, const char *name, gboolean *value, GError **error);
