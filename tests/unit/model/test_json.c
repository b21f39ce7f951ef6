/* The bounded parser takes exactly RFC 8259 within its limits. */
#include <string.h>

#include "daemon/model/error.h"
#include "daemon/model/field.h"
#include "daemon/model/limits.h"

static void assert_parses(const char *text, const char *written)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(JsonNode) node = json_parse_bounded(text, strlen(text), &error);
	g_autofree char *back = NULL;

	g_assert_no_error(error);
	back = json_to_string(node, FALSE);
	g_assert_cmpstr(back, ==, written);
}

static void test_accepts(void)
{
	assert_parses("null", "null");
	assert_parses(" {\"a\" : [ 1 , -2.5 , true,false,null ] }\n", "{\"a\":[1,-2.5,true,false,null]}");
	assert_parses("[]", "[]");
	assert_parses("{}", "{}");
	assert_parses("\"\\u00e9\\ud83d\\ude00\\n\\/\"", "\"é😀\\n/\"");
	assert_parses("-9223372036854775808", "-9223372036854775808");
	assert_parses("9223372036854775807", "9223372036854775807");
}

static void test_refuses(void)
{
	static const char *const bad[] = {
		"",
		" ",
		"{",
		"[1,]",
		"{\"a\":1,}",
		"{a:1}",
		"{'a':1}",
		"[1 2]",
		"01",
		"+1",
		"1.",
		".5",
		"1e",
		"-",
		"0x10",
		"1e999",
		"nul",
		"True",
		"\"\\x\"",
		"\"\\u12\"",
		"\"\\u0000\"",
		"\"\\ud800\"",
		"\"\\ude00\"",
		"\"\\ud800\\u0041\"",
		"\"\n\"",
		"\"",
		"1 1",
		"{}x",
		"{\"a\":1,\"a\":2}",
		"9223372036854775808",
		"/* c */ 1",
		"[1] // c",
		"NaN",
		"\xff",
		"\"\xc0\x80\"",
		"{\"a\"}",
		"{\"a\":}",
		"]",
	};

	for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autoptr(GError) error = NULL;

		if (json_parse_bounded(bad[i], strlen(bad[i]), &error))
			g_error("accepted: %s", bad[i]);
		g_assert_error(error, POLDER_ERROR, POLDER_ERROR_INVALID);
		g_assert_true(g_utf8_validate(error->message, -1, NULL));
	}
	g_assert_null(json_parse_bounded("\"a\0b\"", 5, NULL));
	g_assert_null(json_parse_bounded("1\0", 2, NULL));
}

/* The text need not end in NUL, and nothing past its end is read. */
static void test_bounds(void)
{
	char *text = g_malloc(3);
	g_autoptr(JsonNode) node = NULL;

	memcpy(text, "123", 3);
	node = json_parse_bounded(text, 3, NULL);
	g_assert_cmpint(json_node_get_int(node), ==, 123);
	memcpy(text, "\"ab", 3);
	g_assert_null(json_parse_bounded(text, 3, NULL));
	memcpy(text, "tru", 3);
	g_assert_null(json_parse_bounded(text, 3, NULL));
	g_free(text);
}

static void test_depth(void)
{
	g_autoptr(GString) text = g_string_new(NULL);
	g_autoptr(JsonNode) deepest = NULL;

	for (guint i = 0; i < LIMIT_API_JSON_DEPTH; i++) {
		g_string_prepend_c(text, '[');
		g_string_append_c(text, ']');
	}
	deepest = json_parse_bounded(text->str, text->len, NULL);
	g_assert_nonnull(deepest);
	g_string_prepend_c(text, '[');
	g_string_append_c(text, ']');
	g_assert_null(json_parse_bounded(text->str, text->len, NULL));
	g_string_set_size(text, 1u << 20);
	memset(text->str, '[', text->len);
	g_assert_null(json_parse_bounded(text->str, text->len, NULL));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/json/accepts", test_accepts);
	g_test_add_func("/json/refuses", test_refuses);
	g_test_add_func("/json/bounds", test_bounds);
	g_test_add_func("/json/depth", test_depth);
	return g_test_run();
}
