/* The host's name and record. */
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/agent/host.h"
#include "daemon/agent/log_line.h"
#include "daemon/model/limits.h"
#include "daemon/model/units.h"
#include "tests/unit/agent/world.h"

static void test_name(void)
{
	static const char *const rows[][2] = {
		{ "web", "web" },
		{ "Web-01.Example.COM", "web-01.example.com" },
		{ "my_host", "my-host" },
		{ "-x-", "x" },
		{ "...", "localhost" },
		{ "", "localhost" },
		{ "\xc3\xa9t\xc3\xa9", "t" },
	};
	g_autofree char *longest = g_strnfill(300, 'a');
	g_autofree char *cut = host_name_from(longest);

	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *name = host_name_from(rows[i][0]);

		g_assert_cmpstr(name, ==, rows[i][1]);
		g_assert_true(name_check(name, NULL));
	}
	g_assert_cmpuint(strlen(cut), ==, LIMIT_NAME_BYTES);
	g_assert_true(name_check(cut, NULL));
}

static void assert_kept(const struct dirs *dirs, const char *fresh, const char *expected)
{
	g_autofree char *name = host_name_keep(dirs, fresh);

	g_assert_cmpstr(name, ==, expected);
}

static void test_keep(void)
{
	struct world world;

	world_init(&world);
	g_autofree char *path = g_build_filename(world.dirs.state, "host", NULL);
	assert_kept(&world.dirs, "first", "first");
	assert_kept(&world.dirs, "first", "first");
	assert_kept(&world.dirs, "renamed", "first"); /* the machine's name changed, the host's did not */
	g_assert_true(g_file_set_contents(path, "Not A Name\n", -1, NULL));
	g_test_expect_message(NULL, G_LOG_LEVEL_WARNING, "*written anew*");
	assert_kept(&world.dirs, "second", "second");
	g_test_assert_expected_messages();
	if (geteuid() == 0) { /* another's file is no word of ours */
		g_assert_cmpint(chown(path, 1, 1), ==, 0);
		g_test_expect_message(NULL, G_LOG_LEVEL_WARNING, "*written anew*");
		assert_kept(&world.dirs, "third", "third");
		g_test_assert_expected_messages();
		assert_kept(&world.dirs, "renamed", "third");
	}
	g_assert_cmpint(g_unlink(path), ==, 0);
	g_assert_cmpint(symlink("/etc/hostname", path), ==, 0);
	g_test_expect_message(NULL, G_LOG_LEVEL_WARNING, "*written anew*");
	assert_kept(&world.dirs, "fourth", "fourth");
	g_test_assert_expected_messages();
	g_assert_false(g_file_test(path, G_FILE_TEST_IS_SYMLINK));
	world_clear(&world);
}

static void test_inspect(void)
{
	struct host host, found;
	g_autofree char *json = NULL;

	host_inspect(&host, "here");
	g_assert_cmpstr(host.name, ==, "here");
	g_assert_cmpuint(host.cpus, >=, 1);
	g_assert_cmpuint(host.memory_bytes, >, 0);
	g_assert_cmpuint(host.memory_reserved_bytes, >=, MIN(256ull << 20, host.memory_bytes));
	g_assert_cmpuint(host.memory_reserved_bytes, <=, MAX(256ull << 20, host.memory_bytes / 20));
	g_assert_cmpint(host_booted_at(), >, 0);
	g_assert_cmpint(host_booted_at(), <, g_get_real_time());
	noun_init(&host_noun, &found);
	found.engines = g_strsplit("qemu", ",", 0);
	found.limits = g_strsplit("no KVM", ",", 0);
	g_free(found.accelerator);
	found.accelerator = g_strdup("tcg");
	host_merge(&host, &found);
	noun_clear(&host_noun, &found);
	g_assert_cmpstr(host.accelerator, ==, "tcg");
	g_assert_cmpstr(host.engines[0], ==, "qemu");
	g_assert_true(g_strv_contains((const char *const *)host.limits, "no KVM"));
	json = noun_to_json(&host_noun, &host);
	g_assert_nonnull(json);
	noun_clear(&host_noun, &host);
}

static void test_log_line(void)
{
	g_autofree char *plain = log_line_format("3 VMs known");
	g_autofree char *hostile = log_line_format("says \"a\nb\033[2J\xff\"");

	g_assert_cmpstr(plain, ==, "polder-agent: 3 VMs known");
	g_assert_cmpstr(hostile, ==, "polder-agent: says \"a b [2J\xef\xbf\xbd\"");
}

struct seen {
	struct store *store;
	gboolean host, deleted;
	gint64 lease;
};

static void on_event(const struct store_event *events, guint n, gint64 revision, const GError *error,
		     gpointer user_data)
{
	struct seen *seen = user_data;

	for (guint i = 0; i < n; i++) {
		seen->host = !events[i].deleted;
		seen->deleted = events[i].deleted;
		if (!events[i].deleted)
			seen->lease = events[i].kv.lease;
	}
}

static gboolean expire(gpointer user_data)
{
	*(gboolean *)user_data = TRUE;
	return G_SOURCE_CONTINUE;
}

static void wait_for(const gboolean *condition)
{
	gboolean late = FALSE;
	guint timer = g_timeout_add_seconds(10, expire, &late);

	while (!*condition && !late)
		g_main_context_iteration(NULL, TRUE);
	g_source_remove(timer);
	g_assert_true(*condition);
}

/* Its lease is gone (the machine slept): the record is written anew on another. */
static void test_record(void)
{
	struct world world;
	struct seen seen = { 0 };
	struct host_record *record;
	struct store_watch *watch;
	struct host host;
	gint64 first;

	world_init(&world);
	host_inspect(&host, "here");
	watch = store_watch_new(world.store, "/host/here", NULL, 0, on_event, &seen);
	record = host_record_new(world.store);
	host_record_set_intervals(record, 5000, 20);
	host_record_publish(record, &host);
	wait_for(&seen.host);
	g_assert_cmpint(seen.lease, >, 0);
	first = seen.lease;
	store_lease_revoke_async(world.store, first, NULL, NULL, NULL);
	wait_for(&seen.deleted);
	wait_for(&seen.host);
	g_assert_cmpint(seen.lease, !=, first);
	host_record_free(record);
	store_watch_free(watch);
	noun_clear(&host_noun, &host);
	world_clear(&world);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/agent/host/name", test_name);
	g_test_add_func("/agent/host/keep", test_keep);
	g_test_add_func("/agent/host/inspect", test_inspect);
	g_test_add_func("/agent/host/log-line", test_log_line);
	g_test_add_func("/agent/host/record", test_record);
	return g_test_run();
}
