/* Images as the agent follows them: from /image/NAME in the store to the files in the cache and /image-status/NAME. */
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/agent/images.h"
#include "tests/unit/agent/world.h"

#define DEADLINE_US (20 * G_USEC_PER_SEC)

struct scene {
	struct world world;
	struct images *images;
	char *kernel, *tools;
	guint changes;
	char *changed; /* the name told last */
};

static void changed(const char *name, gpointer user_data)
{
	struct scene *scene = user_data;

	scene->changes++;
	g_free(scene->changed);
	scene->changed = g_strdup(name);
}

static void agent_start(struct scene *scene)
{
	scene->world.writer = writer_new(scene->world.store);
	scene->images = images_new(scene->world.store, scene->world.writer, &scene->world.dirs, changed, scene);
}

static void agent_stop(struct scene *scene)
{
	g_clear_pointer(&scene->images, images_free);
	g_clear_pointer(&scene->world.writer, writer_free);
}

/* The image's status in the store is `state`; ABSENT: there is none. */
static gboolean is_state(struct scene *scene, const char *name, enum image_state state, char **reason)
{
	g_autofree char *key = g_strconcat("/image-status/", name, NULL);
	g_autofree char *json = world_get(&scene->world, key);
	struct image_status status;
	g_autoptr(GError) error = NULL;
	gboolean is;

	if (!json)
		return state == IMAGE_STATE_ABSENT;
	noun_from_json(&image_status_noun, &status, json, strlen(json), NOUN_FROM_STORE, &error);
	g_assert_no_error(error);
	is = (enum image_state)status.state == state;
	if (reason)
		*reason = g_strdup(status.reason);
	noun_clear(&image_status_noun, &status);
	return is;
}

static void wait_state(struct scene *scene, const char *name, enum image_state state)
{
	gint64 deadline_us = g_get_monotonic_time() + DEADLINE_US;

	while (!is_state(scene, name, state, NULL))
		g_assert_cmpint(g_get_monotonic_time(), <, deadline_us);
}

static void wait_file(const char *path)
{
	gint64 deadline_us = g_get_monotonic_time() + DEADLINE_US;

	while (!g_file_test(path, G_FILE_TEST_EXISTS)) {
		g_assert_cmpint(g_get_monotonic_time(), <, deadline_us);
		g_main_context_iteration(NULL, FALSE);
	}
}

static char *cached(struct scene *scene, const char *name, const char *part)
{
	return g_build_filename(scene->world.dirs.cache, "image", name, part, NULL);
}

static void put_files(struct scene *scene, const char *name, guint build)
{
	g_autofree char *key = g_strconcat("/image/", name, NULL);
	g_autofree char *json = g_strdup_printf(
		"{\"name\":\"%s\",\"source\":\"files\",\"kernel\":\"%s\",\"owner_uid\":%u,\"build\":%u}", name,
		scene->kernel, (guint)geteuid(), build);

	world_put(&scene->world, key, json);
}

static void put_tiny(struct scene *scene, guint build)
{
	g_autofree char *json = g_strdup_printf(
		"{\"name\":\"tiny\",\"source\":\"builtin\",\"owner_uid\":%u,\"build\":%u}", (guint)geteuid(), build);

	world_put(&scene->world, "/image/tiny", json);
}

/* A stand-in for guest/build-tiny, run with $out set. */
static void write_builder(struct scene *scene, const char *body)
{
	g_autofree char *path = g_build_filename(scene->tools, "guest", "build-tiny", NULL);
	g_autofree char *text = g_strdup_printf("out=./out\n%s\n", body);

	g_assert_true(g_file_set_contents(path, text, -1, NULL));
	g_chmod(path, 0755);
}

static void run_in_scene(gconstpointer data)
{
	struct scene scene = { 0 };

	world_init(&scene.world);
	g_chmod(scene.world.root, 0755); /* the builder's own user has to get in */
	scene.kernel = g_build_filename(scene.world.root, "vmlinux", NULL);
	g_assert_true(g_file_set_contents(scene.kernel, "\177ELF and so on", -1, NULL));
	g_chmod(scene.kernel, 0644);
	scene.tools = g_build_filename(scene.world.root, "tools", NULL);
	g_autofree char *guest = g_build_filename(scene.tools, "guest", NULL);
	g_autofree char *agent = g_build_filename(scene.tools, "polder-guest", NULL);
	g_mkdir_with_parents(guest, 0755);
	g_assert_true(g_file_set_contents(agent, "agent", -1, NULL));
	g_setenv("POLDER_LIBEXEC", scene.tools, TRUE);
	agent_start(&scene);
	((void (*)(struct scene *))data)(&scene);
	agent_stop(&scene);
	g_free(scene.changed);
	g_free(scene.kernel);
	g_free(scene.tools);
	world_clear(&scene.world);
}

static void test_files(struct scene *scene)
{
	g_autofree char *kernel = cached(scene, "mine", "kernel");

	put_files(scene, "mine", 1);
	wait_state(scene, "mine", IMAGE_STATE_READY);
	g_assert_true(g_file_test(kernel, G_FILE_TEST_EXISTS));
	g_assert_cmpstr(scene->changed, ==, "mine");
	g_assert_cmpint(images_look(scene->images, "mine", FALSE)->state, ==, IMAGE_STATE_READY);
	/* Removed: its files and its status go. */
	world_put(&scene->world, "/image/mine", NULL);
	wait_state(scene, "mine", IMAGE_STATE_ABSENT);
	g_assert_false(g_file_test(kernel, G_FILE_TEST_EXISTS));
	g_assert_cmpint(images_look(scene->images, "mine", TRUE)->state, ==, IMAGE_STATE_FAILED);
}

static void test_later_agent(struct scene *scene)
{
	g_autofree char *mine = cached(scene, "mine", "kernel");
	g_autofree char *other = cached(scene, "other", "kernel");

	put_files(scene, "mine", 1);
	put_files(scene, "other", 1);
	wait_state(scene, "mine", IMAGE_STATE_READY);
	wait_state(scene, "other", IMAGE_STATE_READY);
	agent_stop(scene);
	world_put(&scene->world, "/image/mine", NULL);
	world_put(&scene->world, "/image-status/other", NULL);
	agent_start(scene);
	wait_state(scene, "mine", IMAGE_STATE_ABSENT);
	wait_state(scene, "other", IMAGE_STATE_READY);
	g_assert_false(g_file_test(mine, G_FILE_TEST_EXISTS));
	g_assert_true(g_file_test(other, G_FILE_TEST_EXISTS));
}

/* What a failed build says reaches the status and those who wait; wanted again, it is tried again. */
static void test_failed(struct scene *scene)
{
	g_autofree char *reason = NULL;
	gint64 deadline_us = g_get_monotonic_time() + DEADLINE_US;
	const struct image_status *status;

	write_builder(scene, "echo 'build-tiny: no luck today' >&2; exit 1");
	put_tiny(scene, 0);
	while (!(status = images_look(scene->images, "tiny", FALSE)) || status->state == IMAGE_STATE_FAILED) {
		g_assert_cmpint(g_get_monotonic_time(), <, deadline_us);
		g_main_context_iteration(NULL, TRUE);
	}
	g_assert_cmpint(status->state, ==, IMAGE_STATE_ABSENT); /* nobody wanted it yet */
	scene->changes = 0;
	g_assert_cmpint(images_look(scene->images, "tiny", TRUE)->state, ==, IMAGE_STATE_BUILDING);
	wait_state(scene, "tiny", IMAGE_STATE_FAILED);
	g_assert_true(is_state(scene, "tiny", IMAGE_STATE_FAILED, &reason));
	g_assert_nonnull(strstr(reason, "no luck today"));
	g_assert_cmpuint(scene->changes, >, 0);
	g_assert_cmpstr(images_look(scene->images, "tiny", FALSE)->reason, ==, reason);
	/* Known to a later agent, which does not try by itself. */
	agent_stop(scene);
	agent_start(scene);
	wait_state(scene, "tiny", IMAGE_STATE_FAILED);
	write_builder(scene, "echo k >$out/kernel; echo i >$out/initrd");
	g_assert_cmpint(images_look(scene->images, "tiny", TRUE)->state, ==, IMAGE_STATE_BUILDING);
	wait_state(scene, "tiny", IMAGE_STATE_READY);
	/* Somebody emptied the cache: made again for the next who wants it. */
	g_autofree char *kernel = cached(scene, "tiny", "kernel");
	g_assert_cmpint(g_unlink(kernel), ==, 0);
	g_assert_cmpint(images_look(scene->images, "tiny", TRUE)->state, ==, IMAGE_STATE_BUILDING);
	while (images_look(scene->images, "tiny", FALSE)->state != IMAGE_STATE_READY)
		g_main_context_iteration(NULL, TRUE);
	g_assert_true(g_file_test(kernel, G_FILE_TEST_EXISTS));
}

/* Removed while it is built, and another put in its place: the first one's files are never the second's. */
static void test_removed_while_built(struct scene *scene)
{
	g_autofree char *ran = g_build_filename(scene->world.root, "gate", "ran", NULL);
	g_autofree char *gate = g_path_get_dirname(ran);
	g_autofree char *open = g_build_filename(gate, "open", NULL);
	g_autofree char *kernel = cached(scene, "tiny", "kernel");
	g_autofree char *body = g_strdup_printf("touch %s; until test -e %s; do sleep 0.01; done\n"
						"echo first >$out/kernel; echo i >$out/initrd",
						ran, open);
	g_autofree char *text = NULL;

	g_mkdir(gate, 0755);
	g_chmod(gate, 01777);
	write_builder(scene, body);
	put_tiny(scene, 1);
	wait_file(ran);
	world_put(&scene->world, "/image/tiny", NULL);
	wait_state(scene, "tiny", IMAGE_STATE_ABSENT);
	put_files(scene, "tiny", 1);
	wait_state(scene, "tiny", IMAGE_STATE_BUILDING);
	g_assert_true(g_file_set_contents(open, "", 0, NULL));
	wait_state(scene, "tiny", IMAGE_STATE_READY);
	g_assert_true(g_file_get_contents(kernel, &text, NULL, NULL));
	g_assert_true(g_str_has_prefix(text, "\177ELF"));
}

static void test_garbage(struct scene *scene)
{
	g_test_expect_message(NULL, G_LOG_LEVEL_WARNING, "*image bad is ignored*");
	world_put(&scene->world, "/image/bad", "{\"name\":\"other\"");
	put_files(scene, "mine", 1);
	wait_state(scene, "mine", IMAGE_STATE_READY);
	g_test_assert_expected_messages();
}

#define ADD(name, func) g_test_add_data_func("/agent/images/" name, (gconstpointer)(func), run_in_scene)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	ADD("files", test_files);
	ADD("later-agent", test_later_agent);
	ADD("failed", test_failed);
	ADD("removed-while-built", test_removed_while_built);
	ADD("garbage", test_garbage);
	return g_test_run();
}
