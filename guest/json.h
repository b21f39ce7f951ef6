/* A strict JSON reader (RFC 8259) and what is needed to write it. What it reads comes from the host side of a serial
 * port and is treated as hostile: depth, number of values and text size are bounded, UTF-8 is checked, duplicate members
 * and NUL characters are refused. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest/buffer.h"

#define JSON_DEPTH_MAX  16
#define JSON_VALUES_MAX 4096 /* values and member names of one text */

enum json_type { JSON_NULL, JSON_BOOL, JSON_INTEGER, JSON_REAL, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json {
	enum json_type type;
	char *name; /* of a member of an object, else NULL */
	bool boolean;
	int64_t integer;       /* JSON_INTEGER: written without fraction and exponent, and fits */
	double real;           /* JSON_INTEGER and JSON_REAL */
	char *string;          /* NUL-terminated UTF-8 */
	struct json *children; /* of an array or object, in order */
	struct json *next;
};

/* json_parse(text, bytes, error): the value, or NULL with *error saying what is wrong (a static string). Caller frees. */
struct json *json_parse(const char *text, size_t bytes, const char **error);
void json_free(struct json *json); /* NULL is fine */

/* Members of an object; NULL when `object` is NULL or has no such member. Borrowed. */
const struct json *json_member(const struct json *object, const char *name);

/* json_strings(array): a NULL-terminated vector of the borrowed strings of an array of strings, or NULL when it holds
 * anything else or memory is short. The caller frees the vector, not the strings. */
char **json_strings(const struct json *array, size_t max);

/* Append as JSON. `text` needs not be UTF-8: bytes that are not become U+FFFD. */
void json_put_string(struct buffer *buffer, const char *text);
void json_put_base64(struct buffer *buffer, const void *data, size_t bytes);

/* json_base64_decode(text, bytes): decoded bytes (caller frees), or NULL when it is not base64. */
unsigned char *json_base64_decode(const char *text, size_t *bytes);
