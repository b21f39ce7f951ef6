/* Console and log streams. */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/engine/qemu/stream.h"
#include "daemon/model/error.h"
#include "tests/unit/engine/fake_guest.h"

/* ---- console ---- */

static void test_console(void)
{
	g_autofree char *dir = g_dir_make_tmp("polder-console-XXXXXX", NULL);
	g_autoptr(GError) error = NULL;
	g_assert_cmpint(stream_console(dir, &error), ==, -1);
	g_assert_error(error, POLDER_ERROR, POLDER_ERROR_UNAVAILABLE);
	struct fake_port console;
	fake_port_init(&console, dir, "console.sock", NULL, NULL);
	int fd = stream_console(dir, NULL);
	g_assert_cmpint(fd, >=, 0);
	WAIT_FOR(console.fd >= 0);
	fake_port_send(&console, "login: ", 7);
	struct fake_packet packet;
	g_assert_true(fake_receive(fd, &packet));
	g_assert_cmpuint(packet.kind, ==, STREAM_STDOUT);
	g_assert_cmpmem(packet.payload, packet.bytes, "login: ", 7);
	fake_send(fd, STREAM_STDIN, "root\n", 5);
	fake_send(fd, STREAM_RESIZE, "\30\0\120\0", 4);
	WAIT_FOR(console.in->len == 5);
	g_assert_true(fake_receive(fd, &packet));
	g_assert_cmpuint(packet.kind, ==, STREAM_CREDIT);
	g_assert_cmpuint(fake_u32(&packet), ==, 5);

	/* More than a window: the rest stays in the socket until credit comes. */
	g_autofree char *much = g_strnfill(2 * STREAM_WINDOW, 'm');
	fake_port_send(&console, much, 2 * STREAM_WINDOW);
	gsize got = 7;
	while (got < STREAM_WINDOW) {
		g_assert_true(fake_receive(fd, &packet));
		got += packet.bytes;
	}
	g_assert_cmpuint(got, ==, STREAM_WINDOW);
	for (guint i = 0; i < 50; i++)
		g_main_context_iteration(NULL, FALSE);
	g_assert_false(fake_receive_now(fd, &packet));
	fake_send_u32(fd, STREAM_CREDIT, got);
	while (got < 7 + 2 * STREAM_WINDOW) {
		g_assert_true(fake_receive(fd, &packet));
		fake_send_u32(fd, STREAM_CREDIT, packet.bytes);
		got += packet.bytes;
	}
	fake_port_hang_up(&console);
	g_assert_cmpuint(fake_collect(fd, NULL, NULL, NULL), ==, 0);
	close(fd);

	fd = stream_console(dir, NULL); /* a client that goes frees the console */
	WAIT_FOR(console.fd >= 0);
	close(fd);
	WAIT_FOR(console.fd < 0);
	fake_port_clear(&console);
	fake_remove_tree(dir);
}

/* A VM that reads nothing from its console: the client is given no credit, and nothing piles up. */
static void test_console_deaf(void)
{
	g_autofree char *dir = g_dir_make_tmp("polder-console-XXXXXX", NULL);
	struct fake_port console;
	fake_port_init(&console, dir, "console.sock", NULL, NULL);
	int fd = stream_console(dir, NULL);
	WAIT_FOR(console.fd >= 0);
	g_source_remove(console.source);
	console.source = 0;
	static const guint8 block[STREAM_PAYLOAD_MAX];
	gsize credit = STREAM_WINDOW, sent = 0;
	struct fake_packet packet;
	for (guint quiet = 0; quiet < 100;) {
		g_main_context_iteration(NULL, FALSE);
		quiet++;
		for (; credit >= sizeof(block); credit -= sizeof(block), sent += sizeof(block)) {
			fake_send(fd, STREAM_STDIN, block, sizeof(block));
			quiet = 0;
		}
		for (; fake_receive_now(fd, &packet); quiet = 0)
			credit += fake_u32(&packet);
	}
	g_assert_cmpuint(sent, <, 3 * STREAM_WINDOW); /* a window, and what the sockets hold */
	close(fd);
	for (guint i = 0; i < 50; i++)
		g_main_context_iteration(NULL, FALSE);
	fake_port_clear(&console);
	fake_remove_tree(dir);
}

/* ---- log ---- */

struct log_world {
	char *dir, *path, *older, *lock;
	pid_t holder; /* stands in for polder-vm: holds the lock */
	int release;
};

static void hold_lock(struct log_world *world)
{
	int release[2], held[2];
	char byte;
	g_assert_cmpint(pipe(release) | pipe(held), ==, 0);
	world->holder = fork();
	if (world->holder == 0) {
		struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
		close(release[1]);
		int fd = open(world->lock, O_RDWR | O_CREAT, 0600);
		if (fcntl(fd, F_SETLK, &lock) == 0 && write(held[1], "x", 1) == 1 && read(release[0], &byte, 1) < 0)
			_exit(1);
		_exit(0);
	}
	g_assert_cmpint(read(held[0], &byte, 1), ==, 1);
	close(release[0]);
	close(held[0]);
	close(held[1]);
	world->release = release[1];
}

static void release_lock(struct log_world *world)
{
	if (world->holder <= 0)
		return;
	close(world->release);
	waitpid(world->holder, NULL, 0);
	world->holder = 0;
}

static void log_init(struct log_world *world, gboolean alive)
{
	*world = (struct log_world) { .dir = g_dir_make_tmp("polder-log-XXXXXX", NULL) };
	world->path = g_build_filename(world->dir, "console.log", NULL);
	world->older = g_build_filename(world->dir, "console.log.1", NULL);
	world->lock = g_build_filename(world->dir, "lock", NULL);
	if (alive)
		hold_lock(world);
}

static void log_clear(struct log_world *world)
{
	release_lock(world);
	fake_remove_tree(world->dir);
	g_free(world->dir);
	g_free(world->path);
	g_free(world->older);
	g_free(world->lock);
}

static void append(const char *path, const char *text)
{
	FILE *file = fopen(path, "a");
	g_assert_nonnull(file);
	fputs(text, file);
	fclose(file);
}

static char *whole_log(struct log_world *world, guint64 tail_bytes)
{
	int fd = stream_log(world->path, world->dir, FALSE, tail_bytes, NULL);
	g_autoptr(GString) out = g_string_new(NULL);
	g_assert_cmpuint(fake_collect(fd, out, NULL, NULL), ==, 0);
	close(fd);
	return g_string_free(g_steal_pointer(&out), FALSE);
}

static void check_log(struct log_world *world, guint64 tail_bytes, const char *expected)
{
	g_autofree char *text = whole_log(world, tail_bytes);
	g_assert_cmpstr(text, ==, expected);
}

static void test_log(void)
{
	struct log_world world;
	log_init(&world, FALSE);
	check_log(&world, 0, "");
	append(world.path, "new");
	check_log(&world, 0, "new");
	append(world.older, "older");
	check_log(&world, 0, "oldernew");
	check_log(&world, 100, "oldernew");
	check_log(&world, 8, "oldernew");
	check_log(&world, 5, "ernew");
	check_log(&world, 3, "new");
	check_log(&world, 2, "ew");
	g_unlink(world.path);
	check_log(&world, 2, "er");
	/* A link in place of the log is not followed. */
	g_assert_cmpint(symlink("/etc/passwd", world.path), ==, 0);
	check_log(&world, 0, "older");
	log_clear(&world);
}

static void test_log_large(void)
{
	struct log_world world;
	log_init(&world, FALSE);
	g_autofree char *much = g_strnfill(1 << 20, 'l');
	append(world.older, much);
	append(world.path, much);
	g_autofree char *text = whole_log(&world, 0);
	g_assert_cmpuint(strlen(text), ==, 2 << 20);
	log_clear(&world);
}

/* Read until `text` has come. */
static void expect(int fd, const char *text)
{
	g_autoptr(GString) out = g_string_new(NULL);
	struct fake_packet packet;
	while (out->len < strlen(text)) {
		g_assert_true(fake_receive(fd, &packet));
		g_assert_cmpuint(packet.kind, ==, STREAM_STDOUT);
		g_string_append_len(out, (const char *)packet.payload, packet.bytes);
		fake_send_u32(fd, STREAM_CREDIT, packet.bytes);
	}
	g_assert_cmpstr(out->str, ==, text);
}

static void test_follow(void)
{
	struct log_world world;
	log_init(&world, TRUE);
	int fd = stream_log(world.path, world.dir, TRUE, 0, NULL);
	append(world.path, "one\n");
	expect(fd, "one\n");
	append(world.path, "two\n");
	expect(fd, "two\n");
	/* A rotation. */
	append(world.path, "three\n");
	g_assert_cmpint(g_rename(world.path, world.older), ==, 0);
	append(world.path, "four\n");
	expect(fd, "three\nfour\n");
	/* Two between two looks: nothing is skipped that is still there. */
	append(world.path, "five\n");
	g_assert_cmpint(g_rename(world.path, world.older), ==, 0);
	append(world.path, "six\n");
	g_assert_cmpint(g_rename(world.path, world.older), ==, 0);
	append(world.path, "seven\n");
	expect(fd, "five\nsix\nseven\n");
	append(world.path, "last");
	release_lock(&world);
	g_autoptr(GString) out = g_string_new(NULL);
	g_assert_cmpuint(fake_collect(fd, out, NULL, NULL), ==, 0);
	g_assert_cmpstr(out->str, ==, "last");
	close(fd);
	log_clear(&world);
}

/* polder-vm wrote why QEMU ended and removed its sockets: no need to wait for its lock. */
static void test_follow_exit_record(void)
{
	struct log_world world;
	log_init(&world, TRUE);
	g_autofree char *exit_path = g_build_filename(world.dir, "exit", NULL);
	g_autofree char *temporary = g_build_filename(world.dir, "exit.new", NULL);
	append(world.path, "text");
	int fd = stream_log(world.path, world.dir, TRUE, 2, NULL);
	expect(fd, "xt");
	append(temporary, "status=0\n");
	gint64 began = g_get_monotonic_time();
	g_assert_cmpint(g_rename(temporary, exit_path), ==, 0);
	g_assert_cmpuint(fake_collect(fd, NULL, NULL, NULL), ==, 0);
	g_test_message("ended after %" G_GINT64_FORMAT " ms", (g_get_monotonic_time() - began) / 1000);
	close(fd);

	fd = stream_log(world.path, world.dir, TRUE, 0, NULL); /* a client that goes */
	close(fd);
	for (guint i = 0; i < 20; i++)
		g_main_context_iteration(NULL, FALSE);
	log_clear(&world);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/stream/console", test_console);
	g_test_add_func("/stream/console-deaf", test_console_deaf);
	g_test_add_func("/stream/log", test_log);
	g_test_add_func("/stream/log-large", test_log_large);
	g_test_add_func("/stream/follow", test_follow);
	g_test_add_func("/stream/follow-exit-record", test_follow_exit_record);
	return g_test_run();
}
