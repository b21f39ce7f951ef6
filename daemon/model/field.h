/* The field table: one row a field, from which JSON both ways, validation, the API schema and CLI columns come.
 * A noun (vm.h, host.h, …) is a plain struct plus one `struct noun` that lists its fields. */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>

enum field_type {
	FIELD_STRING,  /* char *            JSON string; NULL when absent */
	FIELD_BOOL,    /* gboolean          JSON boolean */
	FIELD_UINT,    /* guint64           JSON integer within [min, max] */
	FIELD_BYTES,   /* guint64           as FIELD_UINT, a size in bytes; columns print 512M */
	FIELD_MS,      /* guint64           as FIELD_UINT, a duration in ms; columns print 30s */
	FIELD_TIME,    /* gint64            µs since the epoch, UTC; JSON string RFC 3339 with µs; absent when 0 */
	FIELD_ENUM,    /* int               JSON string, one of `names` */
	FIELD_STRINGS, /* char ** (strv)    JSON array of strings; NULL when empty; at most `max` of them */
	FIELD_NUMBER,  /* double            JSON number within [min, max] */
};

enum field_flags {
	FIELD_CREATE = 1 << 0,   /* a client may set it when it creates the object */
	FIELD_UPDATE = 1 << 1,   /* a client may change it later (PATCH) */
	FIELD_REQUIRED = 1 << 2, /* must be present in a create request */
	FIELD_WIDE = 1 << 3,     /* column shown by --wide only */
	FIELD_INTERNAL = 1 << 5, /* only in the store: not answered, not in the schema */
	FIELD_SIGNED = 1 << 4,   /* FIELD_NUMBER: any finite number, below 0 too; min and max do not count */
};

struct field {
	const char *name; /* JSON name, snake_case, unit last */
	enum field_type type;
	gsize offset;     /* offsetof in the noun's struct */
	unsigned flags;   /* enum field_flags */
	guint64 min, max; /* FIELD_UINT/BYTES/MS/NUMBER: value range; FIELD_STRING: bytes; FIELD_STRINGS: count.
	                              * max 0 = no bound */
	guint64 initial;  /* default of numbers, booleans and enums */
	const char *initial_string;                           /* default of strings, or NULL */
	const char *const *names;                             /* FIELD_ENUM: NULL-terminated, index = value */
	gboolean (*check)(const char *value, GError **error); /* FIELD_STRING and each FIELD_STRINGS item, or NULL */
	const char *column;                                   /* heading in CLI tables, or NULL */
	const char *doc;                                      /* one sentence; becomes the schema's description */
};

struct noun {
	const char *name; /* "vm": singular, as in keys and messages */
	gsize size;       /* sizeof its struct */
	const struct field *fields;
	gsize n_fields;
	const char *doc;
	/* What no field can say alone; asked of what a client creates or changes. NULL: nothing. */
	gboolean (*check)(gconstpointer object, GError **error);
};

enum noun_source {
	NOUN_FROM_CREATE, /* a client's create request: only FIELD_CREATE fields, all FIELD_REQUIRED ones */
	NOUN_FROM_UPDATE, /* a client's PATCH: only FIELD_UPDATE fields; absent ones keep what `object` holds */
	NOUN_FROM_STORE,  /* our own record: any field; unknown fields are still refused */
};

/* noun_init(noun, object): fill caller's memory of noun->size bytes with the defaults. */
void noun_init(const struct noun *noun, gpointer object);

/* noun_clear(noun, object): free what the fields own and zero them. Fine on a zeroed object, and twice. */
void noun_clear(const struct noun *noun, gpointer object);

/* noun_copy(noun, from, to): deep copy into uninitialized memory `to`. */
void noun_copy(const struct noun *noun, gconstpointer from, gpointer to);

/* noun_equal(noun, a, b, flags): all fields that carry any bit of `flags` are equal (flags 0: all fields). */
gboolean noun_equal(const struct noun *noun, gconstpointer a, gconstpointer b, unsigned flags);

/* noun_from_json(noun, object, json, json_bytes, source, error): parse one JSON object. For CREATE and STORE, `object`
 * is uninitialized memory and is initialized here; for UPDATE it must be initialized and is changed only on success.
 * Refuses unknown, duplicate, read-only and missing fields, wrong types, values out of range, depth over
 * LIMIT_API_JSON_DEPTH, NUL bytes and invalid UTF-8, and of a client what the noun's check refuses: POLDER_ERROR_INVALID
 * naming the field. On error a CREATE/STORE
 * object is cleared. */
gboolean noun_from_json(const struct noun *noun, gpointer object, const char *json, gsize json_bytes,
			enum noun_source source, GError **error);

/* noun_from_node: the same from a parsed JsonObject (borrowed; nothing of it is kept). */
gboolean noun_from_node(const struct noun *noun, gpointer object, JsonObject *node, enum noun_source source,
			GError **error);

/* noun_to_json(noun, object): compact JSON text, defaults and empties left out: what the store holds. Caller frees. */
char *noun_to_json(const struct noun *noun, gconstpointer object);

/* noun_to_node(noun, object): a JsonObject with every field (empties as "", [], 0, or null for FIELD_TIME 0):
 * what the API answers. FIELD_INTERNAL ones are left out. Caller unrefs. */
JsonObject *noun_to_node(const struct noun *noun, gconstpointer object);

/* noun_schema(noun, source): JSON Schema (OpenAPI 3.0 dialect) of the noun as answered (NOUN_FROM_STORE) or as taken
 * in a create or update request. additionalProperties is false. Caller unrefs. */
JsonObject *noun_schema(const struct noun *noun, enum noun_source source);

/* field_format(field, value-node): how a field's JSON value reads in a CLI column ("512M", "23.5G" rounded, "30s", "-" when
 * empty).
 * Works on the API's JSON so that the CLI needs no struct. Caller frees. */
char *field_format(const struct field *field, JsonNode *value);

/* noun_field(noun, name): the field called `name`, or NULL. */
const struct field *noun_field(const struct noun *noun, const char *name);

/* json_parse_bounded(text, bytes, error): parse hostile JSON with the limits above applied *before* the tree is built:
 * size is the caller's to bound; depth, UTF-8, NULs and trailing text are refused here. Caller unrefs. */
JsonNode *json_parse_bounded(const char *text, gsize bytes, GError **error);
