/* The API's JSON as text for people, by the nouns' field tables. */
#pragma once

#include <json-glib/json-glib.h>

#include "daemon/model/field.h"

/* A noun and where its fields are in an object of the answer: in it (member NULL), or in its member. */
struct view_part {
	const struct noun *noun;
	const char *member;
	/* For view_show(): */
	const char *heading;     /* above its fields; NULL: none */
	const char *const *only; /* names of the fields to show, switches just when on; NULL: all */
	const char *const *hide; /* names of fields that an earlier part tells; NULL: none */
};

/* view_list(answer, array, parts, wide): print a table of the objects in member `array`; columns are the fields of all
 * `parts` (ended by noun NULL) that have one. */
void view_list(JsonNode *answer, const char *array, const struct view_part *parts, gboolean wide);

/* view_names(answer, array): print the names only. */
void view_names(JsonNode *answer, const char *array);

/* view_show(object, parts): print every field that says something, one a line. */
void view_show(JsonObject *object, const struct view_part *parts);

/* view_json(node): print one JSON document: indented on a terminal, one line elsewhere. */
void view_json(JsonNode *node);

/* view_text(object, member, name): a string of `object` (of its object `member` unless NULL), "" when absent.
 * Borrowed. view_number: the same for an integer, 0 when absent. */
const char *view_text(JsonObject *object, const char *member, const char *name);
gint64 view_number(JsonObject *object, const char *member, const char *name);

/* view_objects(answer, array): the objects in member `array`; borrowed items, the array is the caller's. */
GPtrArray *view_objects(JsonNode *answer, const char *array);
