#include "tests/unit/guest/tiny.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "daemon/model/dirs.h"
#include "daemon/storage/image.h"

static void progress(const char *name, const struct image_status *status, gpointer data)
{
	struct image_status *ended = data;

	if (status->state == IMAGE_STATE_BUILDING)
		return;
	noun_clear(&image_status_noun, ended);
	noun_copy(&image_status_noun, status, ended);
}

/* A digest of what the image is made from. */
static char *ingredients(void)
{
	const char *const tools[] = { "polder-guest", "guest/build-tiny" };
	g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);

	for (gsize i = 0; i < G_N_ELEMENTS(tools); i++) {
		g_autofree char *path = dirs_tool(tools[i]);
		g_autofree char *bytes = NULL;
		g_autoptr(GError) error = NULL;
		gsize count;
		g_file_get_contents(path, &bytes, &count, &error);
		g_assert_no_error(error);
		g_checksum_update(checksum, (const guchar *)bytes, count);
	}
	return g_strdup(g_checksum_get_string(checksum));
}

static void build(struct image_builder *builder, const struct image *image, struct image_status *status)
{
	gint64 deadline = g_get_monotonic_time() + 120 * G_USEC_PER_SEC;

	status->state = IMAGE_STATE_BUILDING;
	image_builder_build(builder, image);
	while (status->state == IMAGE_STATE_BUILDING) {
		g_assert_cmpint(g_get_monotonic_time(), <, deadline);
		g_main_context_iteration(NULL, TRUE);
	}
	if (status->state != IMAGE_STATE_READY)
		g_error("build tiny: %s", status->reason);
}

void tiny_image(struct image_status *status)
{
	const char *given = g_getenv("POLDER_TEST_CACHE");
	g_autofree char *cache =
		given ? g_strdup(given) : g_build_filename(g_getenv("POLDER_LIBEXEC"), "test-cache", NULL);
	g_autofree char *lock_path = g_build_filename(cache, "lock", NULL);
	g_autofree char *stamp_path = g_build_filename(cache, "stamp", NULL);
	g_autofree char *want = ingredients(), *have = NULL;
	struct dirs dirs = { .cache = cache };
	struct image image;

	g_mkdir_with_parents(cache, 0755);
	int lock = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	g_assert_cmpint(flock(lock, LOCK_EX), ==, 0);
	struct image_builder *builder = image_builder_new(&dirs, progress, status);
	noun_init(&image_noun, &image);
	image.name = g_strdup("tiny");
	image.source = IMAGE_SOURCE_BUILTIN;
	image_builder_find(builder, &image, status);
	g_file_get_contents(stamp_path, &have, NULL, NULL);
	if (status->state != IMAGE_STATE_READY || g_strcmp0(want, have)) {
		build(builder, &image, status);
		g_assert_true(g_file_set_contents(stamp_path, want, -1, NULL));
	}
	noun_clear(&image_noun, &image);
	image_builder_free(builder);
	close(lock);
}
