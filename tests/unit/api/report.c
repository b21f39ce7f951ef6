/* Goal: a report of the agent is told from what an earlier agent left, and from half of one. */
#include "tests/unit/api/fixture.h"

#include "daemon/model/nouns.h"

static const char host[] = "{\"name\":\"h1\",\"engines\":[\"qemu\"],\"cpus\":2,\"memory_bytes\":4294967296}";
static const char ready[] = "{\"state\":\"ready\"}";

/* Put it, and wait until the cache has it. */
static void put(struct fixture *fixture, const char *key, const char *json)
{
	gint64 before = store_cache_revision(fixture->cache);

	fixture_put(fixture, key, json);
	fixture_wait(store_cache_revision(fixture->cache) > before);
}

static gboolean report_image(const struct store_kv *kv, gpointer names)
{
	g_ptr_array_add(names, g_strconcat("/image-status/", kv->key + strlen("/image/"), NULL));
	return TRUE;
}

/* As the agent does for every image it is asked for. */
static void report_images(struct fixture *fixture)
{
	g_autoptr(GPtrArray) keys = g_ptr_array_new_with_free_func(g_free);

	store_cache_foreach(fixture->cache, "/image/", report_image, keys);
	for (guint i = 0; i < keys->len; i++)
		put(fixture, g_ptr_array_index(keys, i), ready);
}

static gint64 now(struct fixture *fixture)
{
	return store_cache_revision(fixture->cache);
}

static void test_report(void)
{
	struct fixture fixture;
	gint64 since;

	fixture_init(&fixture);
	since = now(&fixture);
	g_assert_false(api_agent_reported(fixture.cache, since));
	put(&fixture, "/host/h1", host);
	g_assert_false(api_agent_reported(fixture.cache, since)); /* nothing about the images */
	report_images(&fixture);
	g_assert_true(api_agent_reported(fixture.cache, since));
	g_assert_false(api_agent_reported(fixture.cache, now(&fixture) + 1)); /* the cache is behind */

	/* The next agent: all there is was written by the last. Images first, this time. */
	since = now(&fixture);
	g_assert_false(api_agent_reported(fixture.cache, since));
	report_images(&fixture);
	g_assert_false(api_agent_reported(fixture.cache, since));
	put(&fixture, "/host/h1", host);
	g_assert_true(api_agent_reported(fixture.cache, since));

	/* Of what it can't read the agent says nothing, and nobody waits for that. */
	put(&fixture, "/image/bad", "{");
	g_assert_true(api_agent_reported(fixture.cache, since));
	put(&fixture, "/image/own", "{\"name\":\"own\",\"source\":\"files\",\"kernel\":\"/k\"}");
	g_assert_false(api_agent_reported(fixture.cache, since));
	put(&fixture, "/image-status/own", "{\"state\":\"failed\",\"reason\":\"no such file\"}");
	g_assert_true(api_agent_reported(fixture.cache, since));
	fixture_clear(&fixture);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/api/report", test_report);
	return g_test_run();
}
