/* Goal: the loop plans thousands of VMs through a real store, several a transaction, and comes to rest. */
#include "daemon/control/control.h"

#include <glib/gstdio.h>
#include <string.h>

#include "daemon/model/nouns.h"

#define VMS         2000u
#define DEADLINE_US (20 * G_USEC_PER_SEC)

struct fixture {
	char *dir, *path;
	struct store *store;
	struct store_cache *cache;
	struct control *control;
	gboolean ready;
	guint plans, plan_revisions;
	gint64 last_plan_revision;
};

static void on_ready(gpointer user_data)
{
	struct fixture *fixture = user_data;

	fixture->ready = TRUE;
	control_ready(fixture->control);
}

static void on_changed(const struct store_kv *before, const struct store_kv *now, gint64 revision, gpointer user_data)
{
	struct fixture *fixture = user_data;

	control_changed(fixture->control, before, now);
	if (now && g_str_has_prefix(now->key, "/plan/")) {
		fixture->plans++;
		fixture->plan_revisions += revision != fixture->last_plan_revision;
		fixture->last_plan_revision = revision;
	}
}

static void on_settled(gint64 revision, gpointer user_data)
{
	control_settled(((struct fixture *)user_data)->control);
}

static void put(struct fixture *fixture, const char *key, char *text)
{
	g_autoptr(GBytes) value = g_bytes_new_take(text, strlen(text));

	store_put_async(fixture->store, key, value, 0, NULL, NULL, NULL);
}

static void wait_for(const gboolean *flag, const guint *count, guint wanted)
{
	gint64 deadline = g_get_monotonic_time() + DEADLINE_US;

	while ((flag && !*flag) || (count && *count < wanted)) {
		g_assert_cmpint(g_get_monotonic_time(), <, deadline);
		g_main_context_iteration(NULL, TRUE);
	}
}

static void put_world(struct fixture *fixture)
{
	char *engines[] = { (char *)"sim", NULL };
	struct host host;

	noun_init(&host_noun, &host);
	host.name = g_strdup("h1");
	host.engines = g_strdupv(engines);
	host.cpus = 2;
	host.memory_bytes = 1ull << 34;
	put(fixture, "/host/h1", noun_to_json(&host_noun, &host));
	noun_clear(&host_noun, &host);
	for (guint i = 0; i < VMS; i++) {
		g_autofree char *key = g_strdup_printf("/vm/v%u", i);

		put(fixture, key,
		    g_strdup_printf(
			    "{\"name\":\"v%u\",\"uuid\":\"u%u\",\"image\":\"tiny\",\"engine\":\"sim\",\"run\":1}", i,
			    i));
	}
}

static void test_many(void)
{
	static const struct store_cache_funcs funcs = { .ready = on_ready,
							.changed = on_changed,
							.settled = on_settled };
	struct fixture fixture = { .dir = g_dir_make_tmp("polder-control-XXXXXX", NULL) };
	g_autoptr(GError) error = NULL;
	gint64 begun;

	fixture.path = g_build_filename(fixture.dir, "store.db", NULL);
	fixture.store = store_sqlite_open(fixture.path, NULL, &error);
	g_assert_no_error(error);
	fixture.cache = store_cache_new(fixture.store, "/", &funcs, &fixture);
	fixture.control = control_new(fixture.store, fixture.cache);
	wait_for(&fixture.ready, NULL, 0);
	begun = g_get_monotonic_time();
	put_world(&fixture);
	wait_for(NULL, &fixture.plans, VMS);
	g_test_message("%u VMs written and planned in %" G_GINT64_FORMAT " ms, %u transactions of plans", VMS,
		       (g_get_monotonic_time() - begun) / 1000, fixture.plan_revisions);
	g_assert_cmpuint(fixture.plans, ==, VMS);
	/* Plans share transactions: a count that does not depend on the machine's speed beyond the first few. */
	g_assert_cmpuint(fixture.plan_revisions, <, VMS / 4);
	g_assert_cmpuint(control_waiting(fixture.control), ==, 0);

	control_free(fixture.control);
	store_cache_free(fixture.cache);
	store_unref(fixture.store);
	while (g_main_context_iteration(NULL, FALSE))
		;
	for (gsize i = 0; i < 4; i++) {
		static const char *const suffixes[] = { "", "-wal", "-shm", "-journal" };
		g_autofree char *path = g_strconcat(fixture.path, suffixes[i], NULL);

		g_unlink(path);
	}
	g_assert_cmpint(g_rmdir(fixture.dir), ==, 0);
	g_free(fixture.path);
	g_free(fixture.dir);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/control/many", test_many);
	return g_test_run();
}
