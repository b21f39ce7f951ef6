#include "guest/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct reader {
	const char *at, *end;
	const char *error;
	unsigned values;
};

static struct json *read_value(struct reader *reader, unsigned depth);

static void *fail(struct reader *reader, const char *error)
{
	if (!reader->error)
		reader->error = error;
	return NULL;
}

static void skip_space(struct reader *reader)
{
	while (reader->at < reader->end && strchr(" \t\r\n", *reader->at) && *reader->at)
		reader->at++;
}

static bool take(struct reader *reader, char c)
{
	skip_space(reader);
	if (reader->at == reader->end || *reader->at != c)
		return false;
	reader->at++;
	return true;
}

static bool take_word(struct reader *reader, const char *word)
{
	size_t bytes = strlen(word);

	if ((size_t)(reader->end - reader->at) < bytes || memcmp(reader->at, word, bytes))
		return false;
	reader->at += bytes;
	return true;
}

/* Bytes of the UTF-8 character at `text`, 0 when it is not one (overlong forms, surrogates, above U+10FFFF). */
static unsigned utf8_bytes(const unsigned char *text, size_t left)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned bytes = text[0] < 0x80   ? 1
			 : text[0] < 0xc2 ? 0
			 : text[0] < 0xe0 ? 2
			 : text[0] < 0xf0 ? 3
			 : text[0] < 0xf5 ? 4
					  : 0;

	if (bytes <= 1)
		return bytes;
	if (bytes > left)
		return 0;
	uint32_t code = text[0] & (0x7f >> bytes);
	for (unsigned i = 1; i < bytes; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (text[i] & 0x3f);
	}
	if (code < least[bytes] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return 0;
	return bytes;
}

static char *put_utf8(char *to, uint32_t code)
{
	if (code < 0x80) {
		*to++ = code;
	} else if (code < 0x800) {
		*to++ = 0xc0 | code >> 6;
		*to++ = 0x80 | (code & 0x3f);
	} else if (code < 0x10000) {
		*to++ = 0xe0 | code >> 12;
		*to++ = 0x80 | (code >> 6 & 0x3f);
		*to++ = 0x80 | (code & 0x3f);
	} else {
		*to++ = 0xf0 | code >> 18;
		*to++ = 0x80 | (code >> 12 & 0x3f);
		*to++ = 0x80 | (code >> 6 & 0x3f);
		*to++ = 0x80 | (code & 0x3f);
	}
	return to;
}

/* The four hex digits of a \u escape; false when they are not. */
static bool read_hex4(struct reader *reader, uint32_t *code)
{
	*code = 0;
	if (reader->end - reader->at < 4)
		return false;
	for (int i = 0; i < 4; i++) {
		char c = *reader->at++;
		unsigned digit = c >= '0' && c <= '9'   ? c - '0'
				 : c >= 'a' && c <= 'f' ? c - 'a' + 10
				 : c >= 'A' && c <= 'F' ? c - 'A' + 10
							: 16;
		if (digit > 15)
			return false;
		*code = *code << 4 | digit;
	}
	return true;
}

/* After the backslash: appends the character, returns the new end or NULL. */
static char *read_escape(struct reader *reader, char *to)
{
	static const char from[] = "\"\\/bfnrt", plain[] = "\"\\/\b\f\n\r\t";
	uint32_t code, low;

	if (reader->at == reader->end)
		return fail(reader, "string does not end");
	char c = *reader->at++;
	const char *found = c ? strchr(from, c) : NULL;
	if (found) {
		*to++ = plain[found - from];
		return to;
	}
	if (c != 'u' || !read_hex4(reader, &code))
		return fail(reader, "unknown escape");
	if (code >= 0xd800 && code < 0xdc00) {
		if (!take_word(reader, "\\u") || !read_hex4(reader, &low) || low < 0xdc00 || low >= 0xe000)
			return fail(reader, "lone surrogate");
		code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
	} else if (code >= 0xdc00 && code < 0xe000) {
		return fail(reader, "lone surrogate");
	}
	if (!code)
		return fail(reader, "NUL character");
	return put_utf8(to, code);
}

/* After the opening quote. No escape decodes to more bytes than it is written with. */
static char *read_string(struct reader *reader)
{
	const char *close = reader->at;

	while (close < reader->end && *close != '"')
		close += *close == '\\' ? 2 : 1;
	if (close >= reader->end)
		return fail(reader, "string does not end");
	char *string = malloc(close - reader->at + 1), *to = string;
	if (!string)
		return fail(reader, "out of memory");
	while (to && *reader->at != '"') {
		unsigned char c = *reader->at;
		unsigned bytes = utf8_bytes((const unsigned char *)reader->at, reader->end - reader->at);
		if (c < 0x20 || !bytes) {
			to = fail(reader, c < 0x20 ? "control character in a string" : "not UTF-8");
		} else if (c == '\\') {
			reader->at++;
			to = read_escape(reader, to);
		} else {
			memcpy(to, reader->at, bytes);
			to += bytes;
			reader->at += bytes;
		}
	}
	if (!to) {
		free(string);
		return NULL;
	}
	reader->at++;
	*to = 0;
	return string;
}

static bool read_digits(const char **at, const char *end)
{
	const char *first = *at;

	while (*at < end && **at >= '0' && **at <= '9')
		(*at)++;
	return *at > first;
}

static bool read_number(struct reader *reader, struct json *json)
{
	const char *at = reader->at, *end = reader->end;
	bool integer = true;
	char text[64];

	at += at < end && *at == '-';
	const char *digits = at;
	if (!read_digits(&at, end) || (*digits == '0' && at - digits > 1))
		return fail(reader, "not a JSON value");
	if (at < end && *at == '.') {
		integer = false;
		at++;
		if (!read_digits(&at, end))
			return fail(reader, "malformed number");
	}
	if (at < end && (*at == 'e' || *at == 'E')) {
		integer = false;
		at++;
		at += at < end && (*at == '+' || *at == '-');
		if (!read_digits(&at, end))
			return fail(reader, "malformed number");
	}
	size_t bytes = at - reader->at;
	if (bytes >= sizeof(text))
		return fail(reader, "number too long");
	memcpy(text, reader->at, bytes);
	text[bytes] = 0;
	reader->at = at;
	errno = 0;
	json->integer = integer ? strtoll(text, NULL, 10) : 0;
	json->type = integer && !errno ? JSON_INTEGER : JSON_REAL;
	json->real = strtod(text, NULL);
	return true;
}

static bool read_container(struct reader *reader, struct json *json, unsigned depth)
{
	bool object = json->type == JSON_OBJECT;
	char close = object ? '}' : ']';
	struct json **last = &json->children;

	if (depth >= JSON_DEPTH_MAX)
		return fail(reader, "nested too deep");
	if (take(reader, close))
		return true;
	do {
		char *name = NULL;
		if (object) {
			if (!take(reader, '"'))
				return fail(reader, "a member name must be a string");
			name = read_string(reader);
			if (!name)
				return false;
			if (json_member(json, name) || ++reader->values > JSON_VALUES_MAX || !take(reader, ':')) {
				fail(reader, json_member(json, name)            ? "duplicate member"
					     : reader->values > JSON_VALUES_MAX ? "too many values"
										: "a colon is missing");
				free(name);
				return false;
			}
		}
		struct json *child = read_value(reader, depth + 1);
		if (!child) {
			free(name);
			return false;
		}
		child->name = name;
		*last = child;
		last = &child->next;
	} while (take(reader, ','));
	return take(reader, close) || fail(reader, "a comma or closing bracket is missing");
}

static bool read_into(struct reader *reader, struct json *json, unsigned depth)
{
	if (take(reader, '{') || take(reader, '[')) {
		json->type = reader->at[-1] == '{' ? JSON_OBJECT : JSON_ARRAY;
		return read_container(reader, json, depth);
	}
	if (take(reader, '"')) {
		json->type = JSON_STRING;
		json->string = read_string(reader);
		return json->string != NULL;
	}
	if (take_word(reader, "true") || take_word(reader, "false")) {
		json->type = JSON_BOOL;
		json->boolean = reader->at[-2] == 'u';
		return true;
	}
	if (take_word(reader, "null"))
		return true;
	return read_number(reader, json);
}

static struct json *read_value(struct reader *reader, unsigned depth)
{
	skip_space(reader);
	if (reader->at == reader->end)
		return fail(reader, "text ends early");
	if (++reader->values > JSON_VALUES_MAX)
		return fail(reader, "too many values");
	struct json *json = calloc(1, sizeof(*json));
	if (!json)
		return fail(reader, "out of memory");
	if (!read_into(reader, json, depth)) {
		json_free(json);
		return NULL;
	}
	return json;
}

struct json *json_parse(const char *text, size_t bytes, const char **error)
{
	struct reader reader = { .at = text, .end = text + bytes };
	struct json *json = read_value(&reader, 0);

	skip_space(&reader);
	if (json && reader.at != reader.end) {
		fail(&reader, "text after the value");
		json_free(json);
		json = NULL;
	}
	*error = reader.error;
	return json;
}

void json_free(struct json *json)
{
	while (json) {
		struct json *next = json->next;
		json_free(json->children);
		free(json->name);
		free(json->string);
		free(json);
		json = next;
	}
}

const struct json *json_member(const struct json *object, const char *name)
{
	if (!object || object->type != JSON_OBJECT)
		return NULL;
	for (const struct json *child = object->children; child; child = child->next)
		if (!strcmp(child->name, name))
			return child;
	return NULL;
}

char **json_strings(const struct json *array, size_t max)
{
	size_t count = 0;

	if (!array || array->type != JSON_ARRAY)
		return NULL;
	for (const struct json *child = array->children; child; child = child->next, count++)
		if (child->type != JSON_STRING || count >= max)
			return NULL;
	char **strings = calloc(count + 1, sizeof(*strings));
	size_t i = 0;
	for (const struct json *child = array->children; strings && child; child = child->next)
		strings[i++] = child->string;
	return strings;
}

void json_put_string(struct buffer *buffer, const char *text)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t left = strlen(text);

	buffer_append(buffer, "\"", 1);
	while (left) {
		unsigned bytes = utf8_bytes(at, left);
		if (!bytes)
			buffer_append(buffer, "\\ufffd", 6);
		else if (*at < 0x20 || *at == 0x7f)
			buffer_printf(buffer, "\\u%04x", *at);
		else if (*at == '"' || *at == '\\')
			buffer_printf(buffer, "\\%c", *at);
		else
			buffer_append(buffer, at, bytes);
		at += bytes ? bytes : 1;
		left -= bytes ? bytes : 1;
	}
	buffer_append(buffer, "\"", 1);
}

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void json_put_base64(struct buffer *buffer, const void *data, size_t bytes)
{
	const unsigned char *from = data;

	buffer_append(buffer, "\"", 1);
	for (size_t i = 0; i < bytes; i += 3) {
		uint32_t group =
			from[i] << 16 | (i + 1 < bytes ? from[i + 1] << 8 : 0) | (i + 2 < bytes ? from[i + 2] : 0);
		char text[4] = { base64_digits[group >> 18], base64_digits[group >> 12 & 63],
				 i + 1 < bytes ? base64_digits[group >> 6 & 63] : '=',
				 i + 2 < bytes ? base64_digits[group & 63] : '=' };
		buffer_append(buffer, text, 4);
	}
	buffer_append(buffer, "\"", 1);
}

unsigned char *json_base64_decode(const char *text, size_t *bytes)
{
	size_t length = strlen(text);

	if (length % 4)
		return NULL;
	unsigned char *data = malloc(length / 4 * 3 + 1), *to = data;
	for (size_t i = 0; data && i < length; i += 4) {
		uint32_t group = 0;
		unsigned padding = 0;
		for (unsigned k = 0; k < 4; k++) {
			const char *digit = strchr(base64_digits, text[i + k]);
			bool pad = text[i + k] == '=' && i + 4 == length && k >= 2;
			if ((!digit && !pad) || (padding && !pad)) {
				free(data);
				return NULL;
			}
			padding += pad;
			group = group << 6 | (pad ? 0 : digit - base64_digits);
		}
		*to++ = group >> 16;
		if (padding < 2)
			*to++ = group >> 8;
		if (padding < 1)
			*to++ = group;
	}
	*bytes = data ? to - data : 0;
	return data;
}
