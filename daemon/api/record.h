/* Stored records as JSON text, read and completed without building a tree: a list of 10,000 VMs is three times as many
 * records. The store holds a record without its defaults (noun_to_json); an answer holds every field. */
#pragma once

#include <glib.h>

#include "daemon/model/field.h"

/* A value in a record: raw JSON text, borrowed from the record. bytes 0: the record does not have it. */
struct record_value {
	const char *json;
	gsize bytes;
};

/* record_get(record, name): the value of top-level member `name`; record NULL: absent. */
struct record_value record_get(GBytes *record, const char *name);

gboolean record_value_equal(struct record_value a, struct record_value b);
/* record_value_is(value, json): it is exactly this JSON text. */
gboolean record_value_is(struct record_value value, const char *json);
/* record_value_string(value): a JSON string decoded; NULL when absent or no string. Caller frees. */
char *record_value_string(struct record_value value);

/* A field's value given from outside instead of the record's. */
struct record_override {
	const char *name;
	struct record_value value;
};

/* record_append(out, noun, record, override, n): every field of `noun`, in its table's order, as "name":value,… without
 * the braces; `record` NULL stands for a record of defaults. */
void record_append(GString *out, const struct noun *noun, GBytes *record, const struct record_override *override,
		   gsize n_overrides);

/* record_append_string(out, text): `text` as a JSON string, quotes included. NULL as "". */
void record_append_string(GString *out, const char *text);
