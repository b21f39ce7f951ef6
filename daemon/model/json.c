/* A strict JSON (RFC 8259) parser that builds json-glib's tree. json-glib's own parser accepts comments, single quotes
 * and trailing commas, recurses without bound, lets the last of duplicate members win and wraps large integers: none
 * of that may reach validation. */
#include "daemon/model/field.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "daemon/model/error.h"
#include "daemon/model/limits.h"

struct parser {
	const char *start, *at, *end; /* text[end] is never read */
	guint depth;
	GError **error;
};

static JsonNode *parse_value(struct parser *parser);

static gboolean fail(struct parser *parser, const char *what)
{
	g_set_error(parser->error, POLDER_ERROR, POLDER_ERROR_INVALID, "malformed JSON at byte %zu: %s",
		    (gsize)(parser->at - parser->start), what);
	return FALSE;
}

static void skip_space(struct parser *parser)
{
	while (parser->at < parser->end &&
	       (*parser->at == ' ' || *parser->at == '\t' || *parser->at == '\n' || *parser->at == '\r'))
		parser->at++;
}

static gboolean take(struct parser *parser, char c)
{
	skip_space(parser);
	if (parser->at == parser->end || *parser->at != c)
		return FALSE;
	parser->at++;
	return TRUE;
}

static gboolean parse_hex4(struct parser *parser, gunichar *unit)
{
	*unit = 0;
	if (parser->end - parser->at < 4)
		return fail(parser, "a \\u escape needs four hexadecimal digits");
	for (int i = 0; i < 4; i++, parser->at++) {
		int digit = g_ascii_xdigit_value(*parser->at);

		if (digit < 0)
			return fail(parser, "a \\u escape needs four hexadecimal digits");
		*unit = *unit << 4 | (gunichar)digit;
	}
	return TRUE;
}

static gboolean parse_unicode_escape(struct parser *parser, GString *text)
{
	gunichar high, low;

	if (!parse_hex4(parser, &high))
		return FALSE;
	if (high == 0)
		return fail(parser, "NUL is not allowed in text");
	if (high >= 0xd800 && high <= 0xdfff) {
		if (high >= 0xdc00 || parser->end - parser->at < 2 || parser->at[0] != '\\' || parser->at[1] != 'u')
			return fail(parser, "half of a surrogate pair");
		parser->at += 2;
		if (!parse_hex4(parser, &low))
			return FALSE;
		if (low < 0xdc00 || low > 0xdfff)
			return fail(parser, "half of a surrogate pair");
		high = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
	}
	g_string_append_unichar(text, high);
	return TRUE;
}

static gboolean parse_escape(struct parser *parser, GString *text)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *known;

	if (parser->at == parser->end)
		return fail(parser, "a string that does not end");
	if (*parser->at == 'u') {
		parser->at++;
		return parse_unicode_escape(parser, text);
	}
	known = *parser->at ? strchr(from, *parser->at) : NULL;
	if (!known)
		return fail(parser, "unknown escape in a string");
	g_string_append_c(text, to[known - from]);
	parser->at++;
	return TRUE;
}

/* After the opening quote. Caller frees; NULL with error. */
static char *parse_string(struct parser *parser)
{
	g_autoptr(GString) text = g_string_new(NULL);

	for (;;) {
		const char *run = parser->at;

		while (parser->at < parser->end && *parser->at != '"' && *parser->at != '\\' &&
		       (guchar)*parser->at >= 0x20)
			parser->at++;
		g_string_append_len(text, run, parser->at - run);
		if (parser->at == parser->end) {
			fail(parser, "a string that does not end");
			return NULL;
		}
		if (*parser->at == '"') {
			parser->at++;
			return g_string_free(g_steal_pointer(&text), FALSE);
		}
		if (*parser->at != '\\') {
			fail(parser, "a control character in a string");
			return NULL;
		}
		parser->at++;
		if (!parse_escape(parser, text))
			return NULL;
	}
}

static gsize skip_digits(struct parser *parser)
{
	const char *from = parser->at;

	while (parser->at < parser->end && g_ascii_isdigit(*parser->at))
		parser->at++;
	return (gsize)(parser->at - from);
}

static JsonNode *parse_number(struct parser *parser)
{
	const char *from = parser->at;
	gboolean integer = TRUE;
	g_autofree char *text = NULL;

	if (*parser->at == '-')
		parser->at++;
	if (parser->at < parser->end && *parser->at == '0')
		parser->at++;
	else if (!skip_digits(parser))
		goto malformed;
	if (parser->at < parser->end && *parser->at == '.') {
		integer = FALSE;
		parser->at++;
		if (!skip_digits(parser))
			goto malformed;
	}
	if (parser->at < parser->end && (*parser->at == 'e' || *parser->at == 'E')) {
		integer = FALSE;
		parser->at++;
		if (parser->at < parser->end && (*parser->at == '+' || *parser->at == '-'))
			parser->at++;
		if (!skip_digits(parser))
			goto malformed;
	}
	text = g_strndup(from, (gsize)(parser->at - from));
	if (integer) {
		gint64 value;

		errno = 0;
		value = g_ascii_strtoll(text, NULL, 10);
		if (errno == 0)
			return json_node_init_int(json_node_alloc(), value);
	} else {
		double value = g_ascii_strtod(text, NULL);

		if (isfinite(value))
			return json_node_init_double(json_node_alloc(), value);
	}
	fail(parser, "a number too large");
	return NULL;
malformed:
	fail(parser, "a malformed number");
	return NULL;
}

static JsonNode *parse_object(struct parser *parser)
{
	g_autoptr(JsonObject) object = json_object_new();

	if (!take(parser, '}')) {
		do {
			g_autofree char *name = NULL;
			JsonNode *value;

			if (!take(parser, '"')) {
				fail(parser, "expected a member's name in quotes");
				return NULL;
			}
			name = parse_string(parser);
			if (!name)
				return NULL;
			if (json_object_has_member(object, name)) {
				g_autofree char *start = g_strndup(name, LIMIT_NAME_BYTES);
				g_autofree char *shown = g_strescape(start, NULL);

				g_set_error(parser->error, POLDER_ERROR, POLDER_ERROR_INVALID,
					    "field '%s' is given twice", shown);
				return NULL;
			}
			if (!take(parser, ':')) {
				fail(parser, "expected ':'");
				return NULL;
			}
			value = parse_value(parser);
			if (!value)
				return NULL;
			json_object_set_member(object, name, value);
		} while (take(parser, ','));
		if (!take(parser, '}')) {
			fail(parser, "expected ',' or '}'");
			return NULL;
		}
	}
	return json_node_init_object(json_node_alloc(), object);
}

static JsonNode *parse_array(struct parser *parser)
{
	g_autoptr(JsonArray) array = json_array_new();

	if (!take(parser, ']')) {
		do {
			JsonNode *value = parse_value(parser);

			if (!value)
				return NULL;
			json_array_add_element(array, value);
		} while (take(parser, ','));
		if (!take(parser, ']')) {
			fail(parser, "expected ',' or ']'");
			return NULL;
		}
	}
	return json_node_init_array(json_node_alloc(), array);
}

static gboolean take_word(struct parser *parser, const char *word)
{
	gsize length = strlen(word);

	if ((gsize)(parser->end - parser->at) < length || memcmp(parser->at, word, length) != 0)
		return FALSE;
	parser->at += length;
	return TRUE;
}

static JsonNode *parse_nested(struct parser *parser, JsonNode *(*parse)(struct parser *parser))
{
	JsonNode *node;

	if (parser->depth == LIMIT_API_JSON_DEPTH) {
		fail(parser, "nested too deep");
		return NULL;
	}
	parser->at++;
	parser->depth++;
	node = parse(parser);
	parser->depth--;
	return node;
}

static JsonNode *parse_value(struct parser *parser)
{
	char *text;
	JsonNode *node;

	skip_space(parser);
	if (parser->at == parser->end) {
		fail(parser, "expected a value");
		return NULL;
	}
	switch (*parser->at) {
	case '{':
		return parse_nested(parser, parse_object);
	case '[':
		return parse_nested(parser, parse_array);
	case '"':
		parser->at++;
		text = parse_string(parser);
		if (!text)
			return NULL;
		node = json_node_init_string(json_node_alloc(), text);
		g_free(text);
		return node;
	default:
		break;
	}
	if (*parser->at == '-' || g_ascii_isdigit(*parser->at))
		return parse_number(parser);
	if (take_word(parser, "true"))
		return json_node_init_boolean(json_node_alloc(), TRUE);
	if (take_word(parser, "false"))
		return json_node_init_boolean(json_node_alloc(), FALSE);
	if (take_word(parser, "null"))
		return json_node_init_null(json_node_alloc());
	fail(parser, "expected a value");
	return NULL;
}

JsonNode *json_parse_bounded(const char *text, gsize bytes, GError **error)
{
	struct parser parser = { .start = text, .at = text, .end = text + bytes, .error = error };
	const char *invalid;
	JsonNode *node;

	/* A NUL counts as invalid here too. */
	if (!g_utf8_validate_len(text, bytes, &invalid)) {
		parser.at = invalid;
		fail(&parser, *invalid ? "not UTF-8" : "NUL is not allowed in text");
		return NULL;
	}
	node = parse_value(&parser);
	if (!node)
		return NULL;
	skip_space(&parser);
	if (parser.at != parser.end) {
		fail(&parser, "text after the value");
		json_node_unref(node);
		return NULL;
	}
	return node;
}
