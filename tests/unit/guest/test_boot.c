/* The image `tiny`, built and booted for real. */
#include <gio/gio.h>
#include <gio/gunixsocketaddress.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/model/nouns.h"
#include "tests/unit/guest/tiny.h"
#include "tests/unit/guest/vm.h"

static void set_up(struct vm_here *vm, gconstpointer data)
{
	static const char sync[] = "\xff{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":4711}}\n";
	g_autoptr(JsonParser) parser = json_parser_new();

	vm_here_init(vm, data);
	client_send(&vm->qga, sync, strlen(sync));
	JsonObject *reply = client_line(&vm->qga, parser);
	g_assert_cmpint(json_object_get_int_member(reply, "return"), ==, 4711);
	g_test_message("guest agent answered after %" G_GINT64_FORMAT " ms",
		       (g_get_monotonic_time() - vm->started_us) / 1000);
}

static void tear_down(struct vm_here *vm, gconstpointer data)
{
	vm_here_clear(vm);
}

/* Run to its end through the guest agent; what it printed. */
static char *guest_exec(struct vm_here *vm, const char *script)
{
	g_autofree char *request =
		g_strdup_printf("{\"execute\":\"guest-exec\",\"arguments\":{\"path\":\"sh\",\"arg\":[\"-c\","
				"\"%s\"],\"capture-output\":true}}",
				script);
	g_autofree char *started = client_ask(&vm->qga, request);
	g_autofree char *ask = NULL;
	gint64 deadline = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;

	g_assert_nonnull(strstr(started, "\"pid\":"));
	ask = g_strdup_printf("{\"execute\":\"guest-exec-status\",\"arguments\":{\"pid\":%d}}",
			      atoi(strstr(started, "\"pid\":") + 6));
	for (;;) {
		g_autofree char *status = client_ask(&vm->qga, ask);
		g_assert_cmpint(g_get_monotonic_time(), <, deadline);
		if (strstr(status, "\"exited\":false"))
			continue;
		g_autoptr(JsonNode) node = json_from_string(status, NULL);
		JsonObject *result = json_object_get_object_member(json_node_get_object(node), "return");
		g_assert_cmpint(json_object_get_int_member(result, "exitcode"), ==, 0);
		gsize bytes;
		const char *text = json_object_get_string_member_with_default(result, "out-data", "");
		g_autofree char *out = (char *)g_base64_decode(text, &bytes);
		return g_strndup(out, bytes);
	}
}

static void expect_exec(struct vm_here *vm, const char *script, const char *part)
{
	g_autofree char *out = guest_exec(vm, script);

	if (!strstr(out, part))
		g_error("%s: printed %s, wanted %s", script, out, part);
}

static void open_session(struct vm_here *vm, guint32 session, const char *request)
{
	client_frame_send(&vm->stream, session, STREAM_OPEN, request, strlen(request));
}

static void test_system(struct vm_here *vm, gconstpointer data)
{
	expect_exec(vm, "uname -a", "Linux boot 6.1");
	expect_exec(vm, "hostname; id", "uid=0(root)");
	expect_exec(vm, "ip addr show eth0", "10.0.2.15/24");
	expect_exec(vm, "ip route", "default via 10.0.2.2");
	expect_exec(vm, "cat /etc/resolv.conf", "10.0.2.3");
	expect_exec(vm, "ping -c 1 127.0.0.1", " 0% packet loss");
	expect_exec(vm, "ping -c 1 -W 5 10.0.2.2", " 0% packet loss");
	expect_exec(vm, "cat /proc/sys/kernel/tainted", "0\n");
	expect_exec(vm, "mount; ls -l /dev/fd /dev/pts/ptmx", "devpts on /dev/pts");
	expect_exec(
		vm,
		"cat /sys/devices/virtual/misc/hw_random/rng_current 2>&1 || cat /sys/class/misc/hw_random/rng_current",
		"virtio");
	/* Orphans are reaped by PID 1. */
	expect_exec(vm, "(sleep 0.1 &); sleep 0.5; ps -o stat,comm | grep -c ^Z || true", "0\n");
	g_autofree char *network = client_ask(&vm->qga, "{\"execute\":\"guest-network-get-interfaces\"}");
	g_assert_nonnull(strstr(network, "\"ip-address\":\"10.0.2.15\""));
	g_autofree char *time = client_ask(&vm->qga, "{\"execute\":\"guest-set-time\"}");
	g_assert_cmpstr(time, ==, "{\"return\":{}}");
	expect_exec(vm, "date -u +%Y", "20");
	g_autofree char *console = vm_here_console(vm);
	g_assert_nonnull(strstr(console, "boot: Linux 6.1"));
}

static void test_streams(struct vm_here *vm, gconstpointer data)
{
	g_autoptr(GString) out = g_string_new(NULL), err = g_string_new(NULL), tty = g_string_new(NULL);

	client_hello(&vm->stream, 99);
	open_session(vm, 1, "{\"argv\":[\"sh\",\"-c\",\"echo out; echo err >&2; exit 7\"]}");
	g_assert_cmpint(client_collect(&vm->stream, 1, out, err), ==, 7);
	g_assert_cmpstr(out->str, ==, "out\n");
	g_assert_cmpstr(err->str, ==, "err\n");
	open_session(vm, 2, "{\"argv\":[\"cat\"]}");
	client_echo(&vm->stream, 2, 1 << 20, g_test_rand_int());
	open_session(vm, 3,
		     "{\"argv\":[\"sh\",\"-c\",\"tty; stty size; read a; echo got "
		     "$a\"],\"tty\":true,\"rows\":40,\"cols\":99}");
	client_frame_send(&vm->stream, 3, STREAM_STDIN, "hello\r", 6);
	g_assert_cmpint(client_collect(&vm->stream, 3, tty, NULL), ==, 0);
	g_assert_nonnull(strstr(tty->str, "40 99\r\n"));
	g_assert_nonnull(strstr(tty->str, "got hello\r\n"));
	g_string_truncate(out, 0);
	open_session(vm, 4, "{\"argv\":[\"nosuch\"]}");
	g_assert_cmpint(client_collect(&vm->stream, 4, out, NULL), ==, -1);
	g_assert_cmpstr(out->str, ==, "nosuch: not found");
}

/* The host goes and another comes: sessions of the first end, the guest agent starts anew, half a request is forgotten. */
static void test_reconnect(struct vm_here *vm, gconstpointer data)
{
	g_autoptr(GString) out = g_string_new(NULL);

	client_hello(&vm->stream, 1);
	open_session(vm, 1, "{\"argv\":[\"sleep\",\"600\"]}");
	struct frame frame;
	client_frame(&vm->stream, &frame);
	g_assert_cmpint(frame.header.kind, ==, STREAM_OPENED);
	client_send(&vm->qga, "{\"execute\":", 11);
	for (int i = 0; i < 3; i++) {
		struct client *clients[] = { &vm->qga, &vm->stream };
		const char *names[] = { "qga", "stream" };
		for (int k = 0; k < 2; k++) {
			struct client old = *clients[k];
			g_autofree char *path = g_build_filename(vm->dir, names[k], NULL);
			g_autoptr(GSocketAddress) address = g_unix_socket_address_new(path);
			g_autoptr(GError) error = NULL;
			client_clear(&old);
			g_autoptr(GSocket) socket = g_socket_new(G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM, 0, &error);
			g_assert_no_error(error);
			g_socket_connect(socket, address, NULL, &error);
			g_assert_no_error(error);
			client_init(clients[k], dup(g_socket_get_fd(socket)), old.pump, old.data);
		}
		client_hello(&vm->stream, 2 + i);
		g_autofree char *pong = client_ask(&vm->qga, "\xff{\"execute\":\"guest-ping\"}");
		g_assert_cmpstr(pong, ==, "{\"return\":{}}");
	}
	expect_exec(vm, "sleep 0.2; pidof sleep | wc -w", "");
	open_session(vm, 1, "{\"argv\":[\"pidof\",\"-s\",\"sleep\"]}");
	g_assert_cmpint(client_collect(&vm->stream, 1, out, NULL), ==, 1);
}

static void test_agent_shutdown(struct vm_here *vm, gconstpointer data)
{
	static const char shutdown[] = "{\"execute\":\"guest-shutdown\"}\n";
	gint64 asked = g_get_monotonic_time();

	client_send(&vm->qga, shutdown, strlen(shutdown));
	g_assert_true(vm_here_wait(vm, 10));
	g_test_message("off after %" G_GINT64_FORMAT " ms", (g_get_monotonic_time() - asked) / 1000);
	g_assert_cmpint(g_subprocess_get_exit_status(vm->qemu), ==, 0);
	g_autofree char *console = vm_here_console(vm);
	g_assert_nonnull(strstr(console, "Power down"));
}

static void test_acpi_shutdown(struct vm_here *vm, gconstpointer data)
{
	static const char powerdown[] = "{\"execute\":\"system_powerdown\"}\n";
	int qmp = vm_here_qmp(vm);

	g_assert_cmpint(write(qmp, powerdown, strlen(powerdown)), ==, strlen(powerdown));
	g_assert_true(vm_here_wait(vm, 10));
	g_assert_cmpint(g_subprocess_get_exit_status(vm->qemu), ==, 0);
	close(qmp);
}

static void test_poweroff_command(struct vm_here *vm, gconstpointer data)
{
	client_hello(&vm->stream, 1);
	open_session(vm, 1, "{\"argv\":[\"poweroff\"]}");
	g_assert_true(vm_here_wait(vm, 10));
	g_assert_cmpint(g_subprocess_get_exit_status(vm->qemu), ==, 0);
}

/* pvpanic tells QEMU, which ends with a status of its own. */
static void test_panic(struct vm_here *vm, gconstpointer data)
{
	client_hello(&vm->stream, 1);
	open_session(vm, 1, "{\"argv\":[\"sh\",\"-c\",\"echo c >/proc/sysrq-trigger\"]}");
	g_assert_true(vm_here_wait(vm, 10));
	g_assert_cmpint(g_subprocess_get_exit_status(vm->qemu), ==, 1);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *path;
		void (*run)(struct vm_here *vm, gconstpointer data);
		gboolean slow;
	} tests[] = {
		{ "/guest/boot/system", test_system },
		{ "/guest/boot/streams", test_streams },
		{ "/guest/boot/agent-shutdown", test_agent_shutdown },
		{ "/guest/boot/reconnect", test_reconnect, TRUE },
		{ "/guest/boot/acpi-shutdown", test_acpi_shutdown, TRUE },
		{ "/guest/boot/poweroff-command", test_poweroff_command, TRUE },
		{ "/guest/boot/panic", test_panic, TRUE },
	};
	struct image_status image;

	g_test_init(&argc, &argv, NULL);
	signal(SIGPIPE, SIG_IGN);
	noun_init(&image_status_noun, &image);
	tiny_image(&image);
	for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
		if (!tests[i].slow || g_getenv("POLDER_TEST_LONG"))
			g_test_add(tests[i].path, struct vm_here, &image, set_up, tests[i].run, tear_down);
	int status = g_test_run();
	noun_clear(&image_status_noun, &image);
	return status;
}
