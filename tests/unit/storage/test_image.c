#include "daemon/storage/image.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/model/error.h"

#define TIMEOUT_US (20 * G_USEC_PER_SEC)

struct fixture {
	char *root, *cache, *files, *tools;
	struct dirs dirs;
	struct image_builder *builder;
	struct image_status last; /* what progress() told last */
	guint reports;
	guint percent; /* the highest seen while it was being built */
};

static void progress(const char *name, const struct image_status *status, gpointer data)
{
	struct fixture *fixture = data;

	noun_clear(&image_status_noun, &fixture->last);
	noun_copy(&image_status_noun, status, &fixture->last);
	fixture->reports++;
	if (status->state == IMAGE_STATE_BUILDING)
		fixture->percent = MAX(fixture->percent, status->progress_percent);
}

/* A stand-in for guest/build-tiny: `body` runs with $out set. */
static void write_builder(struct fixture *fixture, const char *body)
{
	g_autofree char *path = g_build_filename(fixture->tools, "guest", "build-tiny", NULL);
	g_autofree char *text = g_strdup_printf("out=./out\n%s\n", body);

	g_assert_true(g_file_set_contents(path, text, -1, NULL));
	g_chmod(path, 0755);
}

static void set_up(struct fixture *fixture, gconstpointer data)
{
	fixture->root = g_dir_make_tmp("polder-image-XXXXXX", NULL);
	g_chmod(fixture->root, 0755); /* the builder's own user has to get in */
	fixture->cache = g_build_filename(fixture->root, "cache", NULL);
	fixture->files = g_build_filename(fixture->root, "files", NULL);
	fixture->tools = g_build_filename(fixture->root, "tools", NULL);
	g_autofree char *guest = g_build_filename(fixture->tools, "guest", NULL);
	g_autofree char *agent = g_build_filename(fixture->tools, "polder-guest", NULL);
	g_mkdir(fixture->files, 0755);
	g_mkdir_with_parents(guest, 0755);
	g_assert_true(g_file_set_contents(agent, "agent", -1, NULL));
	g_setenv("POLDER_LIBEXEC", fixture->tools, TRUE);
	fixture->dirs = (struct dirs) { .cache = fixture->cache };
	noun_init(&image_status_noun, &fixture->last);
	fixture->builder = image_builder_new(&fixture->dirs, progress, fixture);
}

static void remove_all(const char *path)
{
	g_autoptr(GError) error = NULL;

	g_spawn_sync(NULL, (char *[]) { (char *)"rm", (char *)"-rf", (char *)path, NULL }, NULL, G_SPAWN_SEARCH_PATH,
		     NULL, NULL, NULL, NULL, NULL, &error);
	g_assert_no_error(error);
}

static void tear_down(struct fixture *fixture, gconstpointer data)
{
	image_builder_free(fixture->builder);
	while (g_main_context_iteration(NULL, FALSE))
		;
	noun_clear(&image_status_noun, &fixture->last);
	remove_all(fixture->root);
	g_free(fixture->root);
	g_free(fixture->cache);
	g_free(fixture->files);
	g_free(fixture->tools);
}

static char *make_file(struct fixture *fixture, const char *name, const char *head, gsize bytes)
{
	char *path = g_build_filename(fixture->files, name, NULL);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	g_assert_cmpint(write(fd, head, strlen(head)), ==, strlen(head));
	g_assert_cmpint(ftruncate(fd, bytes), ==, 0);
	close(fd);
	return path;
}

static void image_init(struct image *image, const char *name, int source)
{
	noun_init(&image_noun, image);
	image->name = g_strdup(name);
	image->source = source;
	image->owner_uid = geteuid();
	image->build = 3;
}

/* Build to its end. */
static void build(struct fixture *fixture, const struct image *image)
{
	gint64 deadline = g_get_monotonic_time() + TIMEOUT_US;

	fixture->last.state = IMAGE_STATE_BUILDING;
	fixture->reports = 0;
	image_builder_build(fixture->builder, image);
	g_assert_cmpuint(fixture->reports, ==, 0);
	while (fixture->last.state == IMAGE_STATE_BUILDING) {
		g_assert_cmpint(g_get_monotonic_time(), <, deadline);
		g_main_context_iteration(NULL, TRUE);
	}
}

static void expect_failure(struct fixture *fixture, const char *part)
{
	g_assert_cmpint(fixture->last.state, ==, IMAGE_STATE_FAILED);
	g_test_message("%s", fixture->last.reason);
	if (!strstr(fixture->last.reason, part))
		g_error("reason \"%s\" lacks \"%s\"", fixture->last.reason, part);
}

/* Nothing of a build lies around. */
static void expect_swept(struct fixture *fixture)
{
	g_autofree char *builds = g_build_filename(fixture->cache, "build", NULL);
	g_autoptr(GDir) dir = g_dir_open(builds, 0, NULL);

	g_assert_true(!dir || !g_dir_read_name(dir));
}

static void expect_absent(struct fixture *fixture, const struct image *image)
{
	struct image_status status;

	image_builder_find(fixture->builder, image, &status);
	g_assert_cmpint(status.state, ==, IMAGE_STATE_ABSENT);
	noun_clear(&image_status_noun, &status);
	expect_swept(fixture);
}

static void test_files(struct fixture *fixture, gconstpointer data)
{
	struct image image;
	struct image_status found;
	struct stat info;

	image_init(&image, "mine", IMAGE_SOURCE_FILES);
	expect_absent(fixture, &image);
	image.kernel = make_file(fixture, "vmlinux", "\177ELF", 3 << 20);
	image.initrd = make_file(fixture, "initrd", "x", 5000);
	image.cmdline = g_strdup("console=ttyS0 a=b");
	build(fixture, &image);
	g_assert_cmpint(fixture->last.state, ==, IMAGE_STATE_READY);
	expect_swept(fixture);
	image_builder_find(fixture->builder, &image, &found);
	g_assert_true(noun_equal(&image_status_noun, &found, &fixture->last, 0));
	g_assert_cmpuint(found.build, ==, 3);
	g_assert_cmpuint(found.size_bytes, ==, (3 << 20) + 5000);
	g_assert_cmpstr(found.cmdline, ==, "console=ttyS0 a=b");
	g_assert_null(found.firmware);
	g_assert_cmpint(stat(found.kernel, &info), ==, 0);
	g_assert_cmphex(info.st_mode & 07777, ==, 0644);
	/* Built again: another content in the same place, what is open stays whole. */
	int running = open(found.initrd, O_RDONLY | O_CLOEXEC);
	g_free(make_file(fixture, "initrd", "y", 6000));
	build(fixture, &image);
	g_assert_cmpint(fixture->last.state, ==, IMAGE_STATE_READY);
	g_assert_cmpuint(fixture->last.size_bytes, ==, (3 << 20) + 6000);
	g_assert_cmpint(fstat(running, &info), ==, 0);
	g_assert_cmpint(info.st_size, ==, 5000);
	close(running);
	expect_swept(fixture);
	/* A part that is not what it was: absent, to be made again. */
	g_assert_cmpint(truncate(found.kernel, 100), ==, 0);
	expect_absent(fixture, &image);
	g_autoptr(GError) error = NULL;
	g_assert_true(image_builder_remove(fixture->builder, "mine", &error));
	g_assert_true(image_builder_remove(fixture->builder, "mine", &error));
	g_assert_false(g_file_test(found.initrd, G_FILE_TEST_EXISTS));
	noun_clear(&image_status_noun, &found);
	noun_clear(&image_noun, &image);
}

/* Other users pass, whatever our umask is. */
static void test_umask(struct fixture *fixture, gconstpointer data)
{
	static const char *const names[] = { "", "image", "build", "packages", "image/rom" };
	struct image image;
	mode_t before = umask(077);

	image_init(&image, "rom", IMAGE_SOURCE_FILES);
	image.firmware = make_file(fixture, "rom", "x", 65536);
	g_assert_cmpint(g_chmod(image.firmware, 0644), ==, 0);
	build(fixture, &image);
	umask(before);
	g_assert_cmpint(fixture->last.state, ==, IMAGE_STATE_READY);
	for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autofree char *path = g_build_filename(fixture->cache, names[i], NULL);
		struct stat info;

		g_assert_cmpint(stat(path, &info), ==, 0);
		g_assert_cmphex(info.st_mode & 07777, ==, 0755);
	}
	noun_clear(&image_noun, &image);
}

static void test_firmware(struct fixture *fixture, gconstpointer data)
{
	struct image image;

	image_init(&image, "rom", IMAGE_SOURCE_FILES);
	image.firmware = make_file(fixture, "rom", "x", 65536);
	build(fixture, &image);
	g_assert_cmpint(fixture->last.state, ==, IMAGE_STATE_READY);
	g_assert_nonnull(fixture->last.firmware);
	g_assert_null(fixture->last.kernel);
	noun_clear(&image_noun, &image);
}

/* Sets one path of a fresh image and expects its build to fail with `part` in the reason and nothing left. */
static void expect_refused(struct fixture *fixture, const char *kernel, const char *firmware, const char *part)
{
	struct image image;

	image_init(&image, "bad", IMAGE_SOURCE_FILES);
	image.kernel = g_strdup(kernel);
	image.firmware = g_strdup(firmware);
	build(fixture, &image);
	expect_failure(fixture, part);
	expect_absent(fixture, &image);
	noun_clear(&image_noun, &image);
}

static void test_refused(struct fixture *fixture, gconstpointer data)
{
	g_autofree char *text = make_file(fixture, "text", "hello", 100);
	g_autofree char *empty = make_file(fixture, "empty", "", 0);
	g_autofree char *huge = make_file(fixture, "huge", "\177ELF", (1 << 30) + 1);
	g_autofree char *odd = make_file(fixture, "odd", "x", 65537);
	g_autofree char *fifo = g_build_filename(fixture->files, "fifo", NULL);
	g_autofree char *missing = g_build_filename(fixture->files, "missing", NULL);

	g_assert_cmpint(mkfifo(fifo, 0644), ==, 0);
	expect_refused(fixture, NULL, NULL, "neither a kernel nor a firmware");
	expect_refused(fixture, missing, NULL, "No such file");
	expect_refused(fixture, text, NULL, "not one QEMU can start");
	expect_refused(fixture, empty, NULL, "is empty");
	expect_refused(fixture, huge, NULL, "larger than 1024 MiB");
	expect_refused(fixture, fifo, NULL, "not a regular file");
	expect_refused(fixture, fixture->files, NULL, "not a regular file");
	expect_refused(fixture, "/dev/zero", NULL, "not a regular file");
	expect_refused(fixture, NULL, odd, "multiple of 64 KiB");
}

/* The owner's rights decide, not ours. */
static void test_owner(struct fixture *fixture, gconstpointer data)
{
	struct image image;

	image_init(&image, "other", IMAGE_SOURCE_FILES);
	image.kernel = make_file(fixture, "secret", "\177ELF", 1000);
	g_assert_cmpint(g_chmod(image.kernel, 0600), ==, 0);
	image.owner_uid = geteuid() == 0 ? 65534 : 0;
	build(fixture, &image);
	expect_failure(fixture, geteuid() == 0 ? "Permission denied" : "Operation not permitted");
	expect_absent(fixture, &image);
	g_assert_cmpint(g_chmod(image.kernel, 0644), ==, 0);
	build(fixture, &image);
	if (geteuid() == 0)
		g_assert_cmpint(fixture->last.state, ==, IMAGE_STATE_READY);
	noun_clear(&image_noun, &image);
}

static void test_tiny(struct fixture *fixture, gconstpointer data)
{
	struct image image;

	write_builder(fixture, "echo progress 10 first; echo noise; echo progress 80 second; test -r ./polder-guest\n"
			       "test ! -w . -o $(id -u) -ne 0 || exit 9\n"
			       "echo k >$out/kernel; echo i >$out/initrd; echo 'cmdline=quiet x=1' >$out/meta");
	image_init(&image, "tiny", IMAGE_SOURCE_BUILTIN);
	build(fixture, &image);
	g_assert_cmpstr(fixture->last.reason, ==, NULL);
	g_assert_cmpint(fixture->last.state, ==, IMAGE_STATE_READY);
	g_assert_cmpuint(fixture->percent, >=, 80);
	g_assert_cmpstr(fixture->last.cmdline, ==, "quiet x=1");
	g_assert_cmpstr(fixture->last.notes[0], ==, "no disk: what it writes is gone at stop");
	expect_swept(fixture);
	noun_clear(&image_noun, &image);
	image_init(&image, "huge", IMAGE_SOURCE_BUILTIN);
	build(fixture, &image);
	expect_failure(fixture, "no builtin image");
	noun_clear(&image_noun, &image);
}

/* A failed, a killed and a lying builder: each says why, and what was there before stays. */
static void test_tiny_fails(struct fixture *fixture, gconstpointer data)
{
	struct image image;
	struct image_status found;

	image_init(&image, "tiny", IMAGE_SOURCE_BUILTIN);
	write_builder(fixture,
		      "echo k >$out/kernel; echo noise >&2; echo 'build-tiny: no luck; next: try again' >&2; exit 1");
	build(fixture, &image);
	expect_failure(fixture, "no luck; next: try again");
	g_assert_false(g_str_has_prefix(fixture->last.reason, "build-tiny"));
	expect_absent(fixture, &image);
	write_builder(fixture, "kill -9 $$");
	build(fixture, &image);
	expect_failure(fixture, "killed by signal 9");
	write_builder(fixture, "exit 1");
	build(fixture, &image);
	expect_failure(fixture, "did not say why");
	write_builder(fixture, "echo k >$out/kernel");
	build(fixture, &image);
	expect_failure(fixture, "no kernel or no initrd");
	write_builder(fixture, "ln -s /etc/passwd $out/kernel; echo i >$out/initrd");
	build(fixture, &image);
	expect_failure(fixture, "kernel");
	write_builder(fixture, "echo k >$out/kernel; : >$out/initrd");
	build(fixture, &image);
	expect_failure(fixture, "initrd");
	expect_absent(fixture, &image);
	write_builder(fixture, "echo k >$out/kernel; echo i >$out/initrd");
	build(fixture, &image);
	write_builder(fixture, "exit 1");
	build(fixture, &image);
	expect_failure(fixture, "next");
	image_builder_find(fixture->builder, &image, &found);
	g_assert_cmpint(found.state, ==, IMAGE_STATE_READY);
	noun_clear(&image_status_noun, &found);
	noun_clear(&image_noun, &image);
}

/* A second build of the same image joins the first; removing it meanwhile is refused; freeing the builder ends its
 * processes and leaves nothing. */
static void test_running(struct fixture *fixture, gconstpointer data)
{
	struct image image;
	struct image_status found;
	g_autofree char *pid_path = g_build_filename(fixture->files, "pid", NULL);
	g_autofree char *script = NULL, *text = NULL;
	g_autoptr(GError) error = NULL;
	gint64 deadline = g_get_monotonic_time() + TIMEOUT_US;

	g_chmod(fixture->files, 0777);
	script = g_strdup_printf("sleep 600 & echo $! >%s.new; mv %s.new %s; echo progress 50 waiting; wait", pid_path,
				 pid_path, pid_path);
	write_builder(fixture, script);
	image_init(&image, "tiny", IMAGE_SOURCE_BUILTIN);
	image_builder_build(fixture->builder, &image);
	image_builder_build(fixture->builder, &image);
	while (g_strcmp0(fixture->last.step, "waiting")) {
		g_assert_cmpint(g_get_monotonic_time(), <, deadline);
		g_main_context_iteration(NULL, TRUE);
	}
	image_builder_find(fixture->builder, &image, &found);
	g_assert_cmpint(found.state, ==, IMAGE_STATE_BUILDING);
	g_assert_cmpuint(found.progress_percent, ==, 50);
	g_assert_false(image_builder_remove(fixture->builder, "tiny", &error));
	g_assert_error(error, POLDER_ERROR, POLDER_ERROR_CONFLICT);
	image_builder_free(fixture->builder);
	g_assert_true(g_file_get_contents(pid_path, &text, NULL, NULL));
	g_autofree char *stat_path = g_strdup_printf("/proc/%d/stat", atoi(text));
	for (;;) {
		g_autofree char *stat_text = NULL;
		g_assert_cmpint(g_get_monotonic_time(), <, deadline);
		if (!g_file_get_contents(stat_path, &stat_text, NULL, NULL) || strstr(stat_text, ") Z "))
			break;
	}
	while (g_main_context_iteration(NULL, FALSE))
		;
	fixture->builder = image_builder_new(&fixture->dirs, progress, fixture);
	expect_absent(fixture, &image);
	noun_clear(&image_status_noun, &found);
	noun_clear(&image_noun, &image);
}

/* Freed before the build has even begun, and in the middle of a copy. */
static void test_freed(struct fixture *fixture, gconstpointer data)
{
	struct image image;

	image_init(&image, "mine", IMAGE_SOURCE_FILES);
	image.kernel = make_file(fixture, "vmlinux", "\177ELF", 300 << 20);
	image_builder_build(fixture->builder, &image);
	image_builder_free(fixture->builder);
	fixture->builder = image_builder_new(&fixture->dirs, progress, fixture);
	fixture->last.state = IMAGE_STATE_ABSENT;
	image_builder_build(fixture->builder, &image);
	while (fixture->last.state != IMAGE_STATE_BUILDING || fixture->last.progress_percent < 1)
		g_main_context_iteration(NULL, TRUE);
	image_builder_free(fixture->builder);
	fixture->builder = image_builder_new(&fixture->dirs, progress, fixture);
	while (g_main_context_iteration(NULL, FALSE))
		;
	expect_absent(fixture, &image);
	noun_clear(&image_noun, &image);
}

/* What a daemon that was killed left behind goes at the next start; links in it are not followed. */
static void test_sweep(struct fixture *fixture, gconstpointer data)
{
	g_autofree char *dead = g_build_filename(fixture->cache, "build", "tiny-AAAAAA", "out", NULL);
	g_autofree char *link = g_build_filename(dead, "link", NULL);
	g_autofree char *kept = make_file(fixture, "kept", "x", 10);

	g_mkdir_with_parents(dead, 0755);
	g_assert_cmpint(symlink(fixture->files, link), ==, 0);
	image_builder_free(fixture->builder);
	fixture->builder = image_builder_new(&fixture->dirs, progress, fixture);
	expect_swept(fixture);
	g_assert_true(g_file_test(kept, G_FILE_TEST_EXISTS));
}

/* A full file system, for real, where we may mount one. */
static void test_full(struct fixture *fixture, gconstpointer data)
{
	struct image image;

	if (geteuid() != 0 || g_mkdir(fixture->cache, 0755) < 0) {
		g_test_skip("needs root to mount a small file system");
		return;
	}
	g_autofree char *command = g_strdup_printf("mount -t tmpfs -o size=2m polder-test %s", fixture->cache);
	if (system(command) != 0) {
		g_test_skip("can't mount here");
		return;
	}
	image_init(&image, "mine", IMAGE_SOURCE_FILES);
	image.kernel = make_file(fixture, "vmlinux", "\177ELF", 8 << 20);
	build(fixture, &image);
	expect_failure(fixture, "No space left on device");
	expect_failure(fixture, "next: free some space");
	expect_absent(fixture, &image);
	noun_clear(&image_noun, &image);
	image_init(&image, "tiny", IMAGE_SOURCE_BUILTIN);
	write_builder(fixture, "head -c 9000000 /dev/zero >$out/kernel");
	build(fixture, &image);
	expect_failure(fixture, "No space left on device");
	expect_absent(fixture, &image);
	noun_clear(&image_noun, &image);
	g_autofree char *undo = g_strdup_printf("umount %s", fixture->cache);
	g_assert_cmpint(system(undo), ==, 0);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *path;
		void (*run)(struct fixture *fixture, gconstpointer data);
	} tests[] = {
		{ "/storage/image/files", test_files },     { "/storage/image/firmware", test_firmware },
		{ "/storage/image/refused", test_refused }, { "/storage/image/owner", test_owner },
		{ "/storage/image/tiny", test_tiny },       { "/storage/image/tiny-fails", test_tiny_fails },
		{ "/storage/image/running", test_running }, { "/storage/image/freed", test_freed },
		{ "/storage/image/sweep", test_sweep },     { "/storage/image/full", test_full },
		{ "/storage/image/umask", test_umask },
	};

	g_test_init(&argc, &argv, NULL);
	for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
		g_test_add(tests[i].path, struct fixture, NULL, set_up, tests[i].run, tear_down);
	return g_test_run();
}
