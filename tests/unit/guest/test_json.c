#include "guest/json.h"

#include <glib.h>
#include <string.h>

static void test_values(void)
{
	static const char text[] =
		" {\"a\":[1,-2.5e1,true,false,null],\"s\":\"x\\u00e9\\ud83d\\ude00\\n\",\"n\":9223372036854775807} ";
	const char *error;
	struct json *json = json_parse(text, strlen(text), &error);

	g_assert_nonnull(json);
	const struct json *at = json_member(json, "a")->children;
	g_assert_cmpint(at->integer, ==, 1);
	at = at->next;
	g_assert_cmpint(at->type, ==, JSON_REAL);
	g_assert_cmpfloat(at->real, ==, -25);
	at = at->next;
	g_assert_true(at->boolean);
	at = at->next;
	g_assert_true(at->type == JSON_BOOL && !at->boolean);
	g_assert_cmpint(at->next->type, ==, JSON_NULL);
	g_assert_cmpstr(json_member(json, "s")->string, ==, "xé😀\n");
	g_assert_cmpint(json_member(json, "n")->integer, ==, G_MAXINT64);
	g_assert_null(json_member(json, "b"));
	json_free(json);
}

static void test_refused(void)
{
	static const char *const texts[] = {
		"",
		"{",
		"}",
		"{\"a\"}",
		"{\"a\":1,}",
		"[1,]",
		"[1 2]",
		"01",
		"1.",
		"+1",
		".5",
		"1e",
		"nul",
		"\"",
		"\"\\x\"",
		"\"\\ud800\"",
		"\"\\udc00\"",
		"\"\\u0000\"",
		"\"\\u12\"",
		"{a:1}",
		"{\"a\":1,\"a\":2}",
		"{} x",
		"\"\xc0\x80\"",
		"\"\xff\"",
		"\"\xed\xa0\x80\"",
		"\"a\nb\"",
		"--1",
		"-",
		"[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]",
		"\"\\",
	};

	for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
		const char *error = NULL;
		struct json *json = json_parse(texts[i], strlen(texts[i]), &error);
		g_test_message("text %" G_GSIZE_FORMAT ": %s", i, error);
		g_assert_null(json);
		g_assert_nonnull(error);
	}
}

static void test_bounded(void)
{
	g_autoptr(GString) text = g_string_new("[0");
	const char *error;

	for (int i = 0; i < JSON_VALUES_MAX; i++)
		g_string_append(text, ",0");
	g_string_append_c(text, ']');
	g_assert_null(json_parse(text->str, text->len, &error));
	g_assert_cmpstr(error, ==, "too many values");
}

/* Any truncation of a valid text is refused and leaks nothing. */
static void test_truncated(void)
{
	static const char text[] = "{\"execute\":\"guest-exec\",\"arguments\":{\"arg\":[\"a\\u0041\",1.5,null,true]}}";
	const char *error;

	for (gsize bytes = 0; bytes < strlen(text); bytes++)
		g_assert_null(json_parse(text, bytes, &error));
	struct json *json = json_parse(text, strlen(text), &error);
	g_assert_nonnull(json);
	json_free(json);
}

static void test_written(void)
{
	struct buffer buffer;

	buffer_init(&buffer, 1000);
	json_put_string(&buffer, "a\"\\\n\x01é\xff");
	g_autofree char *text = g_strndup(buffer_peek(&buffer), buffer_bytes(&buffer));
	g_assert_cmpstr(text, ==, "\"a\\\"\\\\\\u000a\\u0001é\\ufffd\"");
	buffer_clear(&buffer);
}

static void test_base64(void)
{
	guint8 data[300];
	guint32 seed = g_test_rand_int();
	g_autoptr(GRand) random = g_rand_new_with_seed(seed);

	g_test_message("seed %u", seed);
	for (gsize bytes = 0; bytes < sizeof(data); bytes++) {
		struct buffer buffer;
		gsize count;
		for (gsize i = 0; i < bytes; i++)
			data[i] = g_rand_int(random);
		buffer_init(&buffer, 1000);
		json_put_base64(&buffer, data, bytes);
		g_autofree char *text = g_strndup(buffer_peek(&buffer) + 1, buffer_bytes(&buffer) - 2);
		g_autofree char *want = g_base64_encode(data, bytes);
		g_assert_cmpstr(text, ==, want);
		unsigned char *back = json_base64_decode(text, &count);
		g_assert_cmpmem(back, count, data, bytes);
		free(back);
		buffer_clear(&buffer);
	}
	gsize count;
	g_assert_null(json_base64_decode("abc", &count));
	g_assert_null(json_base64_decode("ab=c", &count));
	g_assert_null(json_base64_decode("====", &count));
	g_assert_null(json_base64_decode("ab==abcd", &count));
	g_assert_null(json_base64_decode("ab\ncd123", &count));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/guest/json/values", test_values);
	g_test_add_func("/guest/json/refused", test_refused);
	g_test_add_func("/guest/json/bounded", test_bounded);
	g_test_add_func("/guest/json/truncated", test_truncated);
	g_test_add_func("/guest/json/written", test_written);
	g_test_add_func("/guest/json/base64", test_base64);
	return g_test_run();
}
