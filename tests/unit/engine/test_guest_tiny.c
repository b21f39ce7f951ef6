/* The guest client against the real image `tiny` in QEMU under TCG. POLDER_TEST_TINY names the directory with its kernel,
 * initrd and meta; skipped without. Boots once, for all tests, in order. */
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/engine/qemu/guest_private.h"
#include "daemon/engine/qemu/stream.h"
#include "tests/unit/engine/fake_guest.h"

#define BOOT_SECONDS 120

static struct {
	char *dir;
	GSubprocess *qemu;
	struct guest *guest;
	gboolean ready, ended;
	char **addresses;
} vm;

static void on_ready(gboolean ready, gpointer user_data)
{
	vm.ready = ready;
}

static void on_addresses(const char *const *addresses, gpointer user_data)
{
	g_strfreev(vm.addresses);
	vm.addresses = g_strdupv((char **)addresses);
}

static void on_ended(GObject *source, GAsyncResult *result, gpointer user_data)
{
	vm.ended = TRUE;
}

static const struct guest_events events = { .ready = on_ready, .addresses = on_addresses };

static char *meta_cmdline(const char *image)
{
	g_autofree char *path = g_build_filename(image, "meta", NULL), *text = NULL;
	g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
	const char *at = strstr(text, "cmdline=");
	g_assert_nonnull(at);
	at += strlen("cmdline=");
	return g_strndup(at, strcspn(at, "\n"));
}

static void boot(const char *image)
{
	vm.dir = g_dir_make_tmp("polder-tiny-XXXXXX", NULL);
	g_autofree char *cmdline = meta_cmdline(image);
	g_autofree char *line = g_strdup_printf(
		"qemu-system-x86_64 -M q35 -accel tcg -m 256M -nodefaults -no-user-config -display none "
		"-kernel %s/kernel -initrd %s/initrd -append '%s polder.name=tiny polder.net=user' "
		"-device virtio-serial-pci "
		"-chardev socket,id=agent,path=%s/guest.sock,server=on,wait=off "
		"-device virtserialport,chardev=agent,name=%s "
		"-chardev socket,id=stream,path=%s/stream.sock,server=on,wait=off "
		"-device virtserialport,chardev=stream,name=%s "
		"-chardev socket,id=console,path=%s/console.sock,server=on,wait=off -device isa-serial,chardev=console "
		"-netdev user,id=net -device virtio-net-pci,netdev=net,romfile=",
		image, image, cmdline, vm.dir, STREAM_AGENT_PORT_NAME, vm.dir, STREAM_PORT_NAME, vm.dir);
	g_auto(GStrv) argv = NULL;
	g_assert_true(g_shell_parse_argv(line, NULL, &argv, NULL));
	g_autoptr(GError) error = NULL;
	vm.qemu = g_subprocess_newv((const char *const *)argv, G_SUBPROCESS_FLAGS_NONE, &error);
	g_assert_no_error(error);
	g_subprocess_wait_async(vm.qemu, NULL, on_ended, NULL);
	g_autofree char *last = g_build_filename(vm.dir, "console.sock", NULL);
	WAIT_FOR(access(last, F_OK) == 0);
}

static int open_exec(const char *json)
{
	g_autoptr(GError) error = NULL;
	int fd = stream_exec(vm.guest, json, &error);
	g_assert_no_error(error);
	return fd;
}

static void check_exec(const char *json, guint status, const char *words)
{
	int fd = open_exec(json);
	g_autoptr(GString) out = g_string_new(NULL), err = g_string_new(NULL);
	g_autofree char *reason = NULL;
	fake_send(fd, STREAM_STDIN_EOF, NULL, 0);
	guint got = fake_collect(fd, out, err, &reason);
	if (reason)
		g_test_message("%s", reason);
	g_assert_cmpuint(got, ==, status);
	if (words && !strstr(out->str, words))
		g_error("no '%s' in '%s' (stderr '%s')", words, out->str, err->str);
	close(fd);
}

static void test_ready(void)
{
	gint64 began = g_get_monotonic_time();
	vm.guest = guest_new(vm.dir, &events, NULL);
	guest_port_opened(vm.guest, TRUE); /* long before it is: the client asks again until it is */
	gint64 end = began + BOOT_SECONDS * G_USEC_PER_SEC;
	while (!vm.ready && g_get_monotonic_time() < end)
		g_main_context_iteration(NULL, TRUE);
	g_assert_true(vm.ready);
	g_test_message("ready after %" G_GINT64_FORMAT " ms", (g_get_monotonic_time() - began) / 1000);
	WAIT_FOR(vm.addresses && vm.addresses[0]);
	g_assert_cmpstr(vm.addresses[0], ==, "10.0.2.15");
}

static void test_exec(void)
{
	check_exec("{\"argv\":[\"uname\",\"-a\"]}", 0, "Linux");
	check_exec("{\"argv\":[\"sh\",\"-c\",\"exit 7\"]}", 7, NULL);
	check_exec("{\"argv\":[\"sh\",\"-c\",\"kill -9 $$\"]}", 137, NULL);
	check_exec("{\"argv\":[\"sh\",\"-c\",\"echo $K; pwd\"],\"env\":[\"K=value\"],\"cwd\":\"/proc\"}", 0,
		   "value\n/proc");
	check_exec("{\"argv\":[\"nosuch\"]}", 1000, NULL);
	g_assert_true(mux_is_answered(vm.guest->mux));
}

static void test_terminal(void)
{
	int fd =
		open_exec("{\"argv\":[\"sh\",\"-c\",\"stty size; read line; echo got $line\"],\"tty\":true,\"rows\":33,"
			  "\"cols\":77}");
	g_autoptr(GString) out = g_string_new(NULL);
	fake_send(fd, STREAM_STDIN, "typed\r", 6);
	g_assert_cmpuint(fake_collect(fd, out, NULL, NULL), ==, 0);
	g_assert_nonnull(strstr(out->str, "33 77"));
	g_assert_nonnull(strstr(out->str, "got typed"));
	close(fd);
}

/* Through cat and back, with both windows kept. */
static void test_4_mib(void)
{
	static guint8 chunk[STREAM_PAYLOAD_MAX];
	gsize to_send = 4 << 20, heard = 0, window = 0;
	g_autoptr(GChecksum) sent = g_checksum_new(G_CHECKSUM_SHA256), back = g_checksum_new(G_CHECKSUM_SHA256);
	gint64 began = g_get_monotonic_time();
	int fd = open_exec("{\"argv\":[\"cat\"]}");
	struct fake_packet packet = { 0 };
	while (packet.kind != STREAM_EXIT) {
		while (to_send > 0 && window + sizeof(chunk) <= STREAM_WINDOW) {
			for (gsize i = 0; i < sizeof(chunk); i++)
				chunk[i] = (guint8)g_test_rand_int();
			fake_send(fd, STREAM_STDIN, chunk, sizeof(chunk));
			g_checksum_update(sent, chunk, sizeof(chunk));
			to_send -= sizeof(chunk);
			window += sizeof(chunk);
			if (to_send == 0)
				fake_send(fd, STREAM_STDIN_EOF, NULL, 0);
		}
		g_assert_true(fake_receive(fd, &packet));
		if (packet.kind == STREAM_CREDIT)
			window -= fake_u32(&packet);
		if (packet.kind != STREAM_STDOUT)
			continue;
		heard += packet.bytes;
		g_checksum_update(back, packet.payload, packet.bytes);
		fake_send_u32(fd, STREAM_CREDIT, packet.bytes);
	}
	g_assert_cmpuint(heard, ==, 4 << 20);
	g_assert_cmpstr(g_checksum_get_string(sent), ==, g_checksum_get_string(back));
	g_test_message("4 MiB there and back in %" G_GINT64_FORMAT " ms", (g_get_monotonic_time() - began) / 1000);
	close(fd);
}

static void test_parallel(void)
{
	int fds[40];
	for (guint i = 0; i < G_N_ELEMENTS(fds); i++) {
		g_autofree char *json = g_strdup_printf("{\"argv\":[\"sh\",\"-c\",\"cat; exit %u\"]}", i);
		fds[i] = open_exec(json);
		fake_send(fds[i], STREAM_STDIN, "same", 4);
	}
	for (guint i = 0; i < G_N_ELEMENTS(fds); i++)
		fake_send(fds[i], STREAM_STDIN_EOF, NULL, 0);
	for (guint i = 0; i < G_N_ELEMENTS(fds); i++) {
		g_autoptr(GString) out = g_string_new(NULL);
		g_assert_cmpuint(fake_collect(fds[i], out, NULL, NULL), ==, i);
		g_assert_cmpstr(out->str, ==, "same");
		close(fds[i]);
	}
}

static void test_signal_and_close(void)
{
	struct fake_packet packet;
	int fd = open_exec("{\"argv\":[\"sleep\",\"4711\"]}");
	g_assert_true(fake_receive(fd, &packet));
	g_assert_cmpuint(packet.kind, ==, STREAM_OPENED);
	fake_send_u32(fd, STREAM_SIGNAL, SIGTERM);
	g_assert_cmpuint(fake_collect(fd, NULL, NULL, NULL), ==, 128 + SIGTERM);
	close(fd);
	fd = open_exec("{\"argv\":[\"sleep\",\"4711\"]}");
	g_assert_true(fake_receive(fd, &packet));
	close(fd); /* the client is gone: so is what it ran */
	check_exec("{\"argv\":[\"sh\",\"-c\",\"for i in 1 2 3 4 5 6 7 8 9; do "
		   "pgrep -f 'sleep 471[1]' >/dev/null || exit 3; sleep 1; done\"]}",
		   3, NULL);
}

static void test_console(void)
{
	int fd = stream_console(vm.dir, NULL);
	g_assert_cmpint(fd, >=, 0);
	fake_send(fd, STREAM_STDIN, "echo $((40+2))x\r", 16);
	g_autoptr(GString) out = g_string_new(NULL);
	struct fake_packet packet;
	while (!strstr(out->str, "42x")) {
		g_assert_true(fake_receive(fd, &packet));
		if (packet.kind != STREAM_STDOUT)
			continue;
		g_string_append_len(out, (const char *)packet.payload, packet.bytes);
		fake_send_u32(fd, STREAM_CREDIT, packet.bytes);
	}
	close(fd);
}

/* Another agent process: the links are made anew, and what ran is ended. */
static void test_connect_again(void)
{
	int fd = open_exec("{\"argv\":[\"sleep\",\"4712\"]}");
	struct fake_packet packet;
	g_assert_true(fake_receive(fd, &packet));
	guest_free(vm.guest);
	g_assert_cmpuint(fake_collect(fd, NULL, NULL, NULL), ==, 1000);
	close(fd);
	vm.ready = FALSE;
	vm.guest = guest_new(vm.dir, &events, NULL);
	guest_port_opened(vm.guest, TRUE);
	WAIT_FOR(vm.ready);
	check_exec("{\"argv\":[\"sh\",\"-c\",\"for i in 1 2 3 4 5 6 7 8 9; do "
		   "pgrep -f 'sleep 471[2]' >/dev/null || exit 3; sleep 1; done\"]}",
		   3, NULL);
}

/* The same guest without its stream port: guest-exec. */
static void test_guest_exec(void)
{
	guest_free(vm.guest);
	g_autofree char *path = g_build_filename(vm.dir, "stream.sock", NULL);
	g_assert_cmpint(unlink(path), ==, 0);
	vm.ready = FALSE;
	vm.guest = guest_new(vm.dir, &events, NULL);
	guest_port_opened(vm.guest, TRUE);
	WAIT_FOR(vm.ready);
	check_exec("{\"argv\":[\"uname\",\"-a\"]}", 0, "Linux");
	check_exec("{\"argv\":[\"sh\",\"-c\",\"exit 7\"]}", 7, NULL);
	check_exec("{\"argv\":[\"sh\",\"-c\",\"kill -9 $$\"]}", 137, NULL);
	check_exec("{\"argv\":[\"sh\",\"-c\",\"echo $K; pwd\"],\"env\":[\"K=value\"],\"cwd\":\"/proc\"}", 0,
		   "value\n/proc");
	check_exec("{\"argv\":[\"sh\"],\"tty\":true}", 1000, NULL);
	int fd = open_exec("{\"argv\":[\"wc\",\"-c\"]}");
	g_autofree char *input = g_strnfill(STREAM_PAYLOAD_MAX, 'i');
	for (guint i = 0; i < 10; i++)
		fake_send(fd, STREAM_STDIN, input, STREAM_PAYLOAD_MAX);
	fake_send(fd, STREAM_STDIN_EOF, NULL, 0);
	g_autoptr(GString) out = g_string_new(NULL);
	g_assert_cmpuint(fake_collect(fd, out, NULL, NULL), ==, 0);
	g_assert_cmpint(atoi(out->str), ==, 163840);
	close(fd);
	g_assert_false(mux_is_answered(vm.guest->mux));
}

static void test_shutdown(void)
{
	g_assert_true(guest_shutdown(vm.guest));
	WAIT_FOR(vm.ended);
	g_assert_true(g_subprocess_get_successful(vm.qemu));
	WAIT_FOR(!vm.ready);
}

int main(int argc, char **argv)
{
	const char *image = g_getenv("POLDER_TEST_TINY");
	g_test_init(&argc, &argv, NULL);
	if (!image) {
		g_print("1..0 # SKIP POLDER_TEST_TINY names no image\n");
		return 0;
	}
	boot(image);
	g_test_add_func("/tiny/ready", test_ready);
	g_test_add_func("/tiny/exec", test_exec);
	g_test_add_func("/tiny/terminal", test_terminal);
	g_test_add_func("/tiny/4-mib", test_4_mib);
	g_test_add_func("/tiny/parallel", test_parallel);
	g_test_add_func("/tiny/signal-and-close", test_signal_and_close);
	g_test_add_func("/tiny/console", test_console);
	g_test_add_func("/tiny/connect-again", test_connect_again);
	g_test_add_func("/tiny/guest-exec", test_guest_exec);
	g_test_add_func("/tiny/shutdown", test_shutdown);
	int status = g_test_run();
	if (!vm.ended)
		g_subprocess_force_exit(vm.qemu);
	WAIT_FOR(vm.ended);
	guest_free(vm.guest);
	g_object_unref(vm.qemu);
	g_strfreev(vm.addresses);
	fake_remove_tree(vm.dir);
	g_free(vm.dir);
	return status;
}
