/* Sizes, durations, names and published ports: what is accepted, what is refused, and that formatting never lies. */
#include <string.h>

#include "daemon/model/error.h"
#include "daemon/model/limits.h"
#include "daemon/model/units.h"

static void test_size_parse(void)
{
	static const struct {
		const char *text;
		guint64 bytes;
	} good[] = {
		{ "0", 0 },
		{ "4096", 4096 },
		{ "512K", 512 << 10 },
		{ "512M", 512 << 20 },
		{ "2G", 2ull << 30 },
		{ "1T", 1ull << 40 },
		{ "2GiB", 2ull << 30 },
		{ "2GB", 2ull << 30 },
		{ "2g", 2ull << 30 },
		{ "2gib", 2ull << 30 },
		{ "7B", 7 },
		{ "1.5G", 3ull << 29 },
		{ "0.5K", 512 },
		{ "1.0", 1 },
		{ "9999T", 9999ull << 40 },
		{ "18446744073709551615", G_MAXUINT64 },
		{ "15E", 15ull << 60 },
	};
	static const char *const bad[] = {
		"",
		"-1",
		"+1",
		" 1",
		"1 ",
		"1 G",
		"G",
		"1.G",
		".5G",
		"1.3",
		"1GG",
		"1iB",
		"1X",
		"16E",
		"1e3",
		"0x10",
		"1.5.5G",
		"1G\n",
		"1BB",
		"18446744073709551616",
		"99999999999999999999999999",
		"1.00000000000000000000000000000G",
		"０",
	};

	for (gsize i = 0; i < G_N_ELEMENTS(good); i++) {
		g_autoptr(GError) error = NULL;
		guint64 bytes = 1;

		size_parse(good[i].text, &bytes, &error);
		g_assert_no_error(error);
		g_assert_cmpuint(bytes, ==, good[i].bytes);
	}
	for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autoptr(GError) error = NULL;
		guint64 bytes = 77;

		g_assert_false(size_parse(bad[i], &bytes, &error));
		g_assert_error(error, POLDER_ERROR, POLDER_ERROR_INVALID);
		g_assert_nonnull(strstr(error->message, "512M"));
		g_assert_cmpuint(bytes, ==, 77);
	}
}

static void test_size_format(void)
{
	static const struct {
		guint64 bytes;
		const char *text;
	} cases[] = {
		{ 0, "0" },
		{ 1, "1" },
		{ 1000, "1000" },
		{ 1024, "1K" },
		{ 1025, "1025" },
		{ 512ull << 20, "512M" },
		{ 3ull << 29, "1.5G" },
		{ (1ull << 30) + 1, "1073741825" },
		{ 1ull << 40, "1T" },
		{ G_MAXUINT64, "18446744073709551615" },
		{ 1152ull << 20, "1152M" },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *text = size_format(cases[i].bytes);

		g_assert_cmpstr(text, ==, cases[i].text);
	}
}

static void test_size_round_trip(void)
{
	for (int i = 0; i < 20000; i++) {
		guint64 bytes = ((guint64)(guint32)g_test_rand_int() << 32 | (guint32)g_test_rand_int()) >>
				g_test_rand_int_range(0, 64);
		g_autofree char *text = NULL;
		guint64 back = 0;

		if (i % 2)
			bytes &= ~((G_GUINT64_CONSTANT(1) << g_test_rand_int_range(0, 60)) - 1);
		text = size_format(bytes);
		g_assert_true(size_parse(text, &back, NULL));
		g_assert_cmpuint(back, ==, bytes);
	}
}

static void test_duration(void)
{
	static const struct {
		const char *text;
		guint64 ms;
		const char *formatted;
	} good[] = {
		{ "250ms", 250, "250ms" },     { "30s", 30000, "30s" },   { "5m", 300000, "5m" },
		{ "1h", 3600000, "1h" },       { "2d", 172800000, "2d" }, { "5m30s", 330000, "5m30s" },
		{ "90s", 90000, "1m30s" },     { "0s", 0, "0s" },         { "1d1ms", 86400001, "1d1ms" },
		{ "1500ms", 1500, "1s500ms" },
	};
	static const char *const bad[] = { "",    "30",   "s",    "-1s",           "1.5s",
					   "1S",  "1 s",  "30s ", "30s5m",         "1s1s",
					   "5mm", "1ms2", "1w",   "213503982335d", "99999999999999999999s" };

	for (gsize i = 0; i < G_N_ELEMENTS(good); i++) {
		guint64 ms = 1;
		g_autofree char *text = NULL;

		g_assert_true(duration_parse(good[i].text, &ms, NULL));
		g_assert_cmpuint(ms, ==, good[i].ms);
		text = duration_format(ms);
		g_assert_cmpstr(text, ==, good[i].formatted);
	}
	for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autoptr(GError) error = NULL;
		guint64 ms = 77;

		g_assert_false(duration_parse(bad[i], &ms, &error));
		g_assert_error(error, POLDER_ERROR, POLDER_ERROR_INVALID);
		g_assert_nonnull(strstr(error->message, "30s"));
		g_assert_cmpuint(ms, ==, 77);
	}
}

static void test_name(void)
{
	static const char *const good[] = { "a", "web", "web-1.example", "0", "a-", "a..b" };
	static const char *const bad[] = { "",    ".",   "..",  "../x", "-a",   ".a",       "Web",  "a_b",
					   "a/b", "a b", "a\n", "é",    "a%2f", "\xff\xfe", "a\x1b" };
	char longest[LIMIT_NAME_BYTES + 2];

	for (gsize i = 0; i < G_N_ELEMENTS(good); i++)
		g_assert_true(name_check(good[i], NULL));
	for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autoptr(GError) error = NULL;

		g_assert_false(name_check(bad[i], &error));
		g_assert_error(error, POLDER_ERROR, POLDER_ERROR_INVALID);
		g_assert_true(g_utf8_validate(error->message, -1, NULL));
	}
	memset(longest, 'a', sizeof(longest));
	longest[LIMIT_NAME_BYTES] = '\0';
	g_assert_true(name_check(longest, NULL));
	longest[LIMIT_NAME_BYTES] = 'a';
	longest[LIMIT_NAME_BYTES + 1] = '\0';
	g_assert_false(name_check(longest, NULL));
}

static void test_publish(void)
{
	static const char *const bad[] = { "",
					   "80",
					   "80:",
					   ":80",
					   "0:80",
					   "80:0",
					   "65536:80",
					   "80:80/sctp",
					   "80:80/",
					   "a:80",
					   "1.2.3:1:2",
					   "1.2.3.4:80",
					   "::1:80:80",
					   "80:80:80",
					   "80:80 ",
					   "-1:80",
					   "1.2.3.4:1:2:3",
					   "127.0.0.1,hostfwd=x:1:2",
					   "99999999999999999999:1" };
	struct publish publish;

	g_assert_true(publish_parse("8080:80", &publish, NULL));
	g_assert_cmpstr(publish.host_address, ==, "127.0.0.1");
	g_assert_cmpuint(publish.host_port, ==, 8080);
	g_assert_cmpuint(publish.guest_port, ==, 80);
	g_assert_false(publish.udp);
	g_assert_true(publish_parse("0.0.0.0:65535:1/udp", &publish, NULL));
	g_assert_cmpstr(publish.host_address, ==, "0.0.0.0");
	g_assert_cmpuint(publish.host_port, ==, 65535);
	g_assert_cmpuint(publish.guest_port, ==, 1);
	g_assert_true(publish.udp);
	for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autoptr(GError) error = NULL;

		g_assert_false(publish_check(bad[i], &error));
		g_assert_error(error, POLDER_ERROR, POLDER_ERROR_INVALID);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/units/size-parse", test_size_parse);
	g_test_add_func("/units/size-format", test_size_format);
	g_test_add_func("/units/size-round-trip", test_size_round_trip);
	g_test_add_func("/units/duration", test_duration);
	g_test_add_func("/units/name", test_name);
	g_test_add_func("/units/publish", test_publish);
	return g_test_run();
}
