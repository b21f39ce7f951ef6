/* The field table at work, on the VM and on a noun of its own with every field type. */
#include <string.h>

#include "daemon/model/error.h"
#include "daemon/model/limits.h"
#include "daemon/model/nouns.h"

struct sample {
	char *text;
	gboolean flag;
	guint64 count, size, wait;
	gint64 at;
	int kind;
	char **items;
	double ratio;
};

static const char *const kinds[] = { "one", "two", NULL };

static gboolean no_x(const char *text, GError **error)
{
	if (!strchr(text, 'x'))
		return TRUE;
	g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID, "has an x");
	return FALSE;
}

#define ROW(member) .name = #member, .offset = offsetof(struct sample, member), .doc = "A field."
#define BOTH        .flags = FIELD_CREATE | FIELD_UPDATE

static const struct field sample_fields[] = {
	{ ROW(text), .type = FIELD_STRING, .flags = FIELD_CREATE | FIELD_REQUIRED, .min = 1, .max = 5, .check = no_x },
	{ ROW(flag), .type = FIELD_BOOL, BOTH, .initial = TRUE },
	{ ROW(count), .type = FIELD_UINT, BOTH, .min = 1, .max = 9, .initial = 3 },
	{ ROW(size), .type = FIELD_BYTES, BOTH },
	{ ROW(wait), .type = FIELD_MS, BOTH },
	{ ROW(at), .type = FIELD_TIME },
	{ ROW(kind), .type = FIELD_ENUM, BOTH, .names = kinds, .initial = 1 },
	{ ROW(items), .type = FIELD_STRINGS, BOTH, .max = 2, .check = no_x },
	{ ROW(ratio), .type = FIELD_NUMBER, BOTH, .max = 1 },
};
static const struct noun sample_noun = {
	.name = "sample",
	.size = sizeof(struct sample),
	.fields = sample_fields,
	.n_fields = G_N_ELEMENTS(sample_fields),
	.doc = "Every type.",
};

static gboolean parse(struct sample *sample, const char *json, enum noun_source source, GError **error)
{
	return noun_from_json(&sample_noun, sample, json, strlen(json), source, error);
}

static void test_defaults(void)
{
	struct vm vm;

	noun_init(&vm_noun, &vm);
	g_assert_cmpstr(vm.engine, ==, "qemu");
	g_assert_cmpstr(vm.pool, ==, "default");
	g_assert_cmpuint(vm.cpus, ==, 1);
	g_assert_cmpuint(vm.memory_bytes, ==, 256 << 20);
	g_assert_cmpint(vm.network, ==, VM_NETWORK_USER);
	g_assert_cmpint(vm.restart, ==, VM_RESTART_NEVER);
	g_assert_cmpint(vm.desired, ==, VM_DESIRED_RUNNING);
	g_assert_cmpuint(vm.stop_timeout_ms, ==, 30000);
	noun_clear(&vm_noun, &vm);
	g_assert_null(vm.engine);
	noun_clear(&vm_noun, &vm);
}

static void test_create(void)
{
	g_autoptr(GError) error = NULL;
	struct sample sample;

	parse(&sample,
	      "{\"text\":\"abc\",\"flag\":false,\"count\":9,\"size\":1024,\"wait\":5,\"kind\":\"one\",\"items\":[\"a\","
	      "\"b\"],"
	      "\"ratio\":0.5}",
	      NOUN_FROM_CREATE, &error);
	g_assert_no_error(error);
	g_assert_cmpstr(sample.text, ==, "abc");
	g_assert_false(sample.flag);
	g_assert_cmpuint(sample.count, ==, 9);
	g_assert_cmpuint(sample.size, ==, 1024);
	g_assert_cmpuint(sample.wait, ==, 5);
	g_assert_cmpint(sample.kind, ==, 0);
	g_assert_cmpuint(g_strv_length(sample.items), ==, 2);
	g_assert_cmpfloat(sample.ratio, ==, 0.5);
	noun_clear(&sample_noun, &sample);
}

static void test_refusals(void)
{
	static const struct {
		const char *json;
		const char *names; /* what the message must name */
	} cases[] = {
		{ "[]", "sample" },
		{ "{}", "text" },
		{ "{\"text\":\"\"}", "text" },
		{ "{\"text\":\"abcdef\"}", "text" },
		{ "{\"text\":\"x\"}", "text" },
		{ "{\"text\":\"a\\n\"}", "text" },
		{ "{\"text\":null}", "text" },
		{ "{\"text\":1}", "text" },
		{ "{\"text\":\"a\",\"flag\":1}", "flag" },
		{ "{\"text\":\"a\",\"flag\":\"true\"}", "flag" },
		{ "{\"text\":\"a\",\"count\":0}", "count" },
		{ "{\"text\":\"a\",\"count\":10}", "count" },
		{ "{\"text\":\"a\",\"count\":-1}", "count" },
		{ "{\"text\":\"a\",\"count\":2.0}", "count" },
		{ "{\"text\":\"a\",\"count\":\"2\"}", "count" },
		{ "{\"text\":\"a\",\"size\":-1}", "size" },
		{ "{\"text\":\"a\",\"size\":\"1G\"}", "size" },
		{ "{\"text\":\"a\",\"at\":\"2026-01-01T00:00:00.000000Z\"}", "at" },
		{ "{\"text\":\"a\",\"kind\":\"three\"}", "one, two" },
		{ "{\"text\":\"a\",\"kind\":0}", "kind" },
		{ "{\"text\":\"a\",\"items\":\"a\"}", "items" },
		{ "{\"text\":\"a\",\"items\":[1]}", "items" },
		{ "{\"text\":\"a\",\"items\":[\"a\",\"a\",\"a\"]}", "items" },
		{ "{\"text\":\"a\",\"items\":[\"ax\"]}", "items" },
		{ "{\"text\":\"a\",\"ratio\":1.5}", "ratio" },
		{ "{\"text\":\"a\",\"ratio\":\"1\"}", "ratio" },
		{ "{\"text\":\"a\",\"colour\":1}", "colour" },
		{ "{\"text\":\"a\",\"text\":\"b\"}", "text" },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GError) error = NULL;
		struct sample sample;

		if (parse(&sample, cases[i].json, NOUN_FROM_CREATE, &error))
			g_error("accepted: %s", cases[i].json);
		g_assert_error(error, POLDER_ERROR, POLDER_ERROR_INVALID);
		g_assert_nonnull(strstr(error->message, cases[i].names));
		g_assert_null(sample.text);
	}
}

static void test_update(void)
{
	g_autoptr(GError) error = NULL;
	struct sample sample;

	g_assert_true(parse(&sample, "{\"text\":\"abc\",\"items\":[\"a\"]}", NOUN_FROM_CREATE, NULL));
	/* The second field is wrong: the first must not have been taken. */
	g_assert_false(parse(&sample, "{\"items\":[\"b\"],\"count\":0}", NOUN_FROM_UPDATE, &error));
	g_assert_error(error, POLDER_ERROR, POLDER_ERROR_INVALID);
	g_assert_cmpstr(sample.items[0], ==, "a");
	g_assert_false(parse(&sample, "{\"text\":\"new\"}", NOUN_FROM_UPDATE, NULL));
	g_assert_false(parse(&sample, "{", NOUN_FROM_UPDATE, NULL));
	g_assert_cmpstr(sample.text, ==, "abc");
	g_assert_true(parse(&sample, "{\"items\":[\"b\"]}", NOUN_FROM_UPDATE, NULL));
	g_assert_cmpstr(sample.items[0], ==, "b");
	g_assert_cmpstr(sample.text, ==, "abc");
	g_assert_cmpuint(sample.count, ==, 3);
	noun_clear(&sample_noun, &sample);
}

static void test_store_round_trip(void)
{
	struct sample sample, back, other;
	g_autofree char *empty = NULL, *full = NULL;
	g_autoptr(GError) error = NULL;

	noun_init(&sample_noun, &sample);
	empty = noun_to_json(&sample_noun, &sample);
	g_assert_cmpstr(empty, ==, "{}");
	sample.text = g_strdup("é\"\\\n");
	sample.flag = FALSE;
	sample.at = G_GINT64_CONSTANT(1767225600123456);
	sample.items = g_strsplit("a,b", ",", -1);
	sample.ratio = 0.25;
	full = noun_to_json(&sample_noun, &sample);
	g_assert_nonnull(strstr(full, "\"2026-01-01T00:00:00.123456Z\""));
	parse(&back, full, NOUN_FROM_STORE, &error);
	g_assert_no_error(error);
	g_assert_true(noun_equal(&sample_noun, &sample, &back, 0));
	noun_copy(&sample_noun, &back, &other);
	noun_clear(&sample_noun, &back);
	g_assert_true(noun_equal(&sample_noun, &sample, &other, 0));
	g_free(other.items[1]);
	other.items[1] = g_strdup("c");
	g_assert_false(noun_equal(&sample_noun, &sample, &other, 0));
	g_assert_true(noun_equal(&sample_noun, &sample, &other, FIELD_REQUIRED));
	g_assert_false(parse(&back, "{\"colour\":1}", NOUN_FROM_STORE, NULL));
	noun_clear(&sample_noun, &sample);
	noun_clear(&sample_noun, &other);
}

/* A default that was cleared must not come back. */
static void test_cleared_default(void)
{
	struct vm vm, back;
	g_autofree char *json = NULL;

	noun_init(&vm_noun, &vm);
	g_clear_pointer(&vm.engine, g_free);
	json = noun_to_json(&vm_noun, &vm);
	g_assert_true(noun_from_json(&vm_noun, &back, json, strlen(json), NOUN_FROM_STORE, NULL));
	g_assert_cmpstr(back.engine, ==, "");
	g_assert_true(noun_equal(&vm_noun, &vm, &back, 0));
	noun_clear(&vm_noun, &vm);
	noun_clear(&vm_noun, &back);
}

static void test_bad_times(void)
{
	static const char *const bad[] = {
		"2026-13-01T00:00:00.000000Z", "2026-01-01T24:00:00.000000Z",      "2026-01-01",
		"2026-01-01T00:00:00Z",        "2026-01-01T00:00:00.000000+00:00", ""
	};

	for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autofree char *json = g_strdup_printf("{\"at\":\"%s\"}", bad[i]);
		struct sample sample;

		g_assert_false(parse(&sample, json, NOUN_FROM_STORE, NULL));
	}
}

static void assert_column(const char *field, const char *json, const char *text)
{
	g_autoptr(JsonNode) node = json ? json_from_string(json, NULL) : NULL;
	g_autofree char *column = field_format(noun_field(&sample_noun, field), node);

	g_assert_cmpstr(column, ==, text);
}

static void test_columns(void)
{
	assert_column("size", "536870912", "512M");
	assert_column("size", "25276502016", "23.5G");
	assert_column("size", "100000", "97.7K");
	assert_column("size", "1000", "1000");
	assert_column("wait", "30000", "30s");
	assert_column("count", "7", "7");
	assert_column("flag", "true", "yes");
	assert_column("text", "\"\"", "-");
	assert_column("text", NULL, "-");
	assert_column("at", "null", "-");
	assert_column("at", "\"2026-01-01T00:00:00.123456Z\"", "2026-01-01T00:00:00Z");
	assert_column("items", "[\"a\",\"b\"]", "a, b");
	assert_column("items", "[]", "-");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/field/defaults", test_defaults);
	g_test_add_func("/field/create", test_create);
	g_test_add_func("/field/refusals", test_refusals);
	g_test_add_func("/field/update", test_update);
	g_test_add_func("/field/store-round-trip", test_store_round_trip);
	g_test_add_func("/field/cleared-default", test_cleared_default);
	g_test_add_func("/field/bad-times", test_bad_times);
	g_test_add_func("/field/columns", test_columns);
	return g_test_run();
}
