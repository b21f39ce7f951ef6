/* The guest agent client against agents good and bad, and exec over guest-exec. */
#include <string.h>
#include <unistd.h>

#include "daemon/engine/qemu/guest.h"
#include "daemon/engine/qemu/guest_private.h"
#include "daemon/engine/qemu/stream.h"
#include "daemon/model/error.h"
#include "daemon/model/limits.h"
#include "tests/unit/engine/fake_guest.h"

#define BACKOFF_MS       25
#define QUICK_REFRESH_MS 50
#define STREAM_GRACE_US  (200 * G_TIME_SPAN_MILLISECOND)
#define SHORT_TIMEOUT_MS 150

struct world {
	struct fake_agent agent;
	struct guest *guest;
	gboolean ready;
	guint ready_changes, address_changes;
	char **addresses;
};

static void on_ready(gboolean ready, gpointer user_data)
{
	struct world *world = user_data;
	g_assert_cmpint(ready, !=, world->ready);
	world->ready = ready;
	world->ready_changes++;
}

static void on_addresses(const char *const *addresses, gpointer user_data)
{
	struct world *world = user_data;
	g_strfreev(world->addresses);
	world->addresses = g_strdupv((char **)addresses);
	world->address_changes++;
}

static const struct guest_events events = { .ready = on_ready, .addresses = on_addresses };

static void world_init(struct world *world, enum fake_mode mode)
{
	memset(world, 0, sizeof(*world));
	fake_agent_init(&world->agent);
	world->agent.mode = mode;
	world->guest = guest_new(world->agent.dir, &events, world);
	world->guest->stream_grace_us = STREAM_GRACE_US;
	world->guest->quick_refresh_ms = QUICK_REFRESH_MS;
	qga_set_timing(guest_qga(world->guest), LIMIT_GUEST_TIMEOUT_MS, BACKOFF_MS);
}

static void world_clear(struct world *world)
{
	guest_free(world->guest);
	fake_agent_clear(&world->agent);
	g_strfreev(world->addresses);
}

static void world_ready(struct world *world)
{
	guest_port_opened(world->guest, TRUE);
	g_assert_false(world->ready); /* never inside the call */
	WAIT_FOR(world->ready);
}

static void check_good(enum fake_mode mode)
{
	struct world world;
	world_init(&world, mode);
	g_assert_false(guest_shutdown(world.guest));
	world_ready(&world);
	WAIT_FOR(world.addresses);
	g_assert_cmpuint(g_strv_length(world.addresses), ==, 1);
	g_assert_cmpstr(world.addresses[0], ==, "10.0.2.15");
	g_assert_true(guest_shutdown(world.guest));
	WAIT_FOR(world.agent.shutdowns == 1);
	guest_port_opened(world.guest, FALSE);
	g_assert_false(guest_is_ready(world.guest));
	WAIT_FOR(!world.ready);
	world_ready(&world);
	g_assert_cmpuint(world.ready_changes, ==, 3);
	world_clear(&world);
}

static void test_good(void)
{
	check_good(FAKE_GOOD);
}

static void test_dribble(void)
{
	check_good(FAKE_DRIBBLE);
}

static void test_late_rest(void)
{
	check_good(FAKE_LATE_REST);
}

static void test_no_socket_yet(void)
{
	struct world world;
	world_init(&world, FAKE_GOOD);
	fake_port_clear(&world.agent.port);
	g_autofree char *path = g_build_filename(world.agent.dir, "guest.sock", NULL);
	unlink(path);
	guest_port_opened(world.guest, TRUE);
	gint64 until = g_get_monotonic_time() + 100 * G_TIME_SPAN_MILLISECOND;
	WAIT_FOR(g_get_monotonic_time() > until);
	g_assert_false(world.ready);
	struct fake_port old = world.agent.port;
	fake_port_init(&world.agent.port, world.agent.dir, "guest.sock", old.arrived, old.user_data);
	WAIT_FOR(world.ready);
	world_clear(&world);
}

static void test_silent_then_good(void)
{
	struct world world;
	world_init(&world, FAKE_SILENT);
	qga_set_timing(guest_qga(world.guest), SHORT_TIMEOUT_MS, BACKOFF_MS);
	guest_port_opened(world.guest, TRUE);
	gint64 until = g_get_monotonic_time() + 2 * SHORT_TIMEOUT_MS * G_TIME_SPAN_MILLISECOND;
	WAIT_FOR(g_get_monotonic_time() > until);
	g_assert_cmpuint(world.ready_changes, ==, 0);
	g_autoptr(GError) error = NULL;
	g_assert_cmpint(stream_exec(world.guest, "{\"argv\":[\"true\"]}", &error), ==, -1);
	g_assert_error(error, POLDER_ERROR, POLDER_ERROR_UNAVAILABLE);
	world.agent.mode = FAKE_GOOD;
	WAIT_FOR(world.ready);
	world_clear(&world);
}

static void test_good_then_silent(void)
{
	struct world world;
	world_init(&world, FAKE_GOOD);
	qga_set_timing(guest_qga(world.guest), SHORT_TIMEOUT_MS, BACKOFF_MS);
	world.agent.interfaces = "[]"; /* asked again soon */
	world_ready(&world);
	WAIT_FOR(world.agent.interface_asks == 1);
	world.agent.mode = FAKE_SILENT;
	WAIT_FOR(!world.ready);
	world.agent.mode = FAKE_GOOD;
	WAIT_FOR(world.ready);
	world_clear(&world);
}

static void check_never_ready(enum fake_mode mode)
{
	struct world world;
	world_init(&world, mode);
	qga_set_timing(guest_qga(world.guest), SHORT_TIMEOUT_MS, BACKOFF_MS);
	guest_port_opened(world.guest, TRUE);
	gint64 until = g_get_monotonic_time() + 300 * G_TIME_SPAN_MILLISECOND;
	guint turns = 0;
	WAIT_FOR(++turns && g_get_monotonic_time() > until);
	g_assert_cmpuint(world.ready_changes, ==, 0);
	g_assert_cmpuint(world.agent.syncs, <, 40); /* it is left alone more and more */
	g_test_message("took %" G_GSIZE_FORMAT " KiB of a flood", world.agent.flooded / 1024);
	g_assert_cmpuint(world.agent.flooded, <, 8 * QGA_ANSWER_BYTES_MAX);
	world.agent.mode = FAKE_GOOD;
	WAIT_FOR(world.ready);
	world_clear(&world);
}

static void test_garbage(void)
{
	check_never_ready(FAKE_GARBAGE);
}

static void test_garbage_always(void)
{
	check_never_ready(FAKE_GARBAGE_ALWAYS);
}

static void test_flood(void)
{
	check_never_ready(FAKE_FLOOD);
}

static void test_oversized(void)
{
	struct world world;
	world_init(&world, FAKE_OVERSIZED);
	world_ready(&world);
	WAIT_FOR(world.addresses); /* the answer over the limit was dropped, and asked for again */
	g_assert_cmpuint(world.ready_changes, ==, 1);
	g_assert_cmpuint(world.agent.syncs, ==, 2);
	world_clear(&world);
}

static void test_link_lost(void)
{
	struct world world;
	world_init(&world, FAKE_GOOD);
	world_ready(&world);
	WAIT_FOR(world.addresses);
	fake_port_hang_up(&world.agent.port);
	WAIT_FOR(!world.ready);
	WAIT_FOR(world.ready);
	g_assert_cmpuint(world.agent.port.connections, ==, 2);
	world_clear(&world);
}

/* ---- exec without a stream port ---- */

static int open_exec(struct world *world, const char *json)
{
	g_autoptr(GError) error = NULL;
	int fd = stream_exec(world->guest, json, &error);
	g_assert_no_error(error);
	g_assert_cmpint(fd, >=, 0);
	return fd;
}

static void test_exec(void)
{
	struct world world;
	world_init(&world, FAKE_GOOD);
	world.agent.polls_until_exit = 3;
	world.agent.exec_status =
		"{\"exited\":true,\"exitcode\":7,\"out-data\":\"aGVsbG8K\",\"err-data\":\"b29wcw==\"}";
	world_ready(&world);
	int fd = open_exec(&world, "{\"argv\":[\"echo\",\"a b\"],\"env\":[\"K=V\"],\"cwd\":\"/tmp\"}");
	fake_send(fd, STREAM_STDIN, "input", 5);
	fake_send(fd, STREAM_STDIN_EOF, NULL, 0);
	g_autoptr(GString) out = g_string_new(NULL), err = g_string_new(NULL);
	g_assert_cmpuint(fake_collect(fd, out, err, NULL), ==, 7);
	g_assert_cmpstr(out->str, ==, "hello\n");
	g_assert_cmpstr(err->str, ==, "oops");
	g_assert_cmpuint(world.agent.status_polls, ==, 4);
	g_assert_nonnull(strstr(world.agent.last_exec, "\"input-data\":\"aW5wdXQ=\""));
	g_assert_nonnull(strstr(world.agent.last_exec, "\"path\":\"env\",\"arg\":[\"--\",\"K=V\",\"sh\",\"-c\""));
	g_assert_nonnull(strstr(world.agent.last_exec, "\"/tmp\",\"echo\",\"a b\"]"));
	close(fd);
	world_clear(&world);
}

static void test_exec_signal_status(void)
{
	struct world world;
	world_init(&world, FAKE_GOOD);
	world.agent.exec_status = "{\"exited\":true,\"signal\":9}";
	world_ready(&world);
	int fd = open_exec(&world, "{\"argv\":[\"sleep\"]}");
	fake_send(fd, STREAM_STDIN_EOF, NULL, 0);
	g_assert_cmpuint(fake_collect(fd, NULL, NULL, NULL), ==, 137);
	close(fd);
	world_clear(&world);
}

static void check_refused(struct world *world, const char *json, const char *words)
{
	g_autofree char *reason = NULL;
	int fd = open_exec(world, json);
	fake_send(fd, STREAM_STDIN_EOF, NULL, 0);
	g_assert_cmpuint(fake_collect(fd, NULL, NULL, &reason), ==, 1000);
	g_test_message("%s", reason);
	g_assert_nonnull(strstr(reason, words));
	close(fd);
}

static void test_exec_refused(void)
{
	struct world world;
	world_init(&world, FAKE_GOOD);
	world_ready(&world);
	check_refused(&world, "{\"argv\":[\"sh\"],\"tty\":true}", "terminal");
	check_refused(&world, "{\"argv\":[\"nosuch\"]}", "No such file");
	check_refused(&world, "{\"argv\":[]}", "no command");
	check_refused(&world, "{\"argv\":[1]}", "argv");
	check_refused(&world, "[]", "no command");
	world.agent.exec_status = "{\"exited\":17}";
	check_refused(&world, "[", "");
	world.agent.exec_status = "[]";
	check_refused(&world, "{\"argv\":[\"true\"]}", "does not say");
	world_clear(&world);
}

static void test_exec_input_too_long(void)
{
	struct world world;
	world_init(&world, FAKE_GOOD);
	world_ready(&world);
	int fd = open_exec(&world, "{\"argv\":[\"cat\"]}");
	g_autofree char *block = g_strnfill(STREAM_PAYLOAD_MAX, 'i');
	gsize sent = 0, credit = STREAM_WINDOW;
	struct fake_packet packet = { 0 };
	while (packet.kind != STREAM_REFUSED) {
		while (credit >= STREAM_PAYLOAD_MAX) {
			fake_send(fd, STREAM_STDIN, block, STREAM_PAYLOAD_MAX);
			credit -= STREAM_PAYLOAD_MAX;
			sent += STREAM_PAYLOAD_MAX;
		}
		g_assert_true(fake_receive(fd, &packet));
		if (packet.kind == STREAM_CREDIT)
			credit += fake_u32(&packet);
		g_assert_cmpuint(sent, <, 2 * STREAM_FALLBACK_STDIN_MAX);
	}
	g_assert_cmpuint(world.agent.execs, ==, 0);
	close(fd);
	world_clear(&world);
}

/* Output larger than the window: delivered by credit only. */
static void test_exec_credit(void)
{
	struct world world;
	world_init(&world, FAKE_GOOD);
	g_autofree guint8 *data = g_malloc(600 * 1024);
	memset(data, 'd', 600 * 1024);
	g_autofree char *text = g_base64_encode(data, 600 * 1024);
	g_autofree char *status = g_strdup_printf("{\"exited\":true,\"exitcode\":0,\"out-data\":\"%s\"}", text);
	world.agent.exec_status = status;
	world_ready(&world);
	int fd = open_exec(&world, "{\"argv\":[\"cat\"]}");
	fake_send(fd, STREAM_STDIN_EOF, NULL, 0);
	struct fake_packet packet;
	gsize got = 0;
	while (got < STREAM_WINDOW) {
		g_assert_true(fake_receive(fd, &packet));
		got += packet.kind == STREAM_STDOUT ? packet.bytes : 0;
	}
	g_assert_cmpuint(got, ==, STREAM_WINDOW);
	for (guint i = 0; i < 50; i++)
		g_main_context_iteration(NULL, FALSE);
	g_assert_false(fake_receive_now(fd, &packet));
	fake_send_u32(fd, STREAM_CREDIT, got);
	g_autoptr(GString) out = g_string_new(NULL);
	g_assert_cmpuint(fake_collect(fd, out, NULL, NULL), ==, 0);
	g_assert_cmpuint(got + out->len, ==, 600 * 1024);
	close(fd);
	world_clear(&world);
}

static void test_exec_client_gone(void)
{
	struct world world;
	world_init(&world, FAKE_GOOD);
	world.agent.polls_until_exit = G_MAXUINT;
	world_ready(&world);
	int fd = open_exec(&world, "{\"argv\":[\"sleep\",\"1000\"]}");
	fake_send(fd, STREAM_STDIN_EOF, NULL, 0);
	struct fake_packet packet;
	g_assert_true(fake_receive(fd, &packet));
	g_assert_cmpuint(packet.kind, ==, STREAM_OPENED);
	g_assert_cmpuint(fake_u32(&packet), ==, 77);
	close(fd);
	WAIT_FOR(world.agent.kills == 1);
	WAIT_FOR(world.guest->execs->len == 0); /* its end was waited for */
	world_clear(&world);
}

static void test_exec_guest_gone(void)
{
	struct world world;
	world_init(&world, FAKE_GOOD);
	world.agent.polls_until_exit = G_MAXUINT;
	world_ready(&world);
	int running = open_exec(&world, "{\"argv\":[\"sleep\",\"1000\"]}");
	fake_send(running, STREAM_STDIN_EOF, NULL, 0);
	WAIT_FOR(world.agent.status_polls > 0);
	int gathering = open_exec(&world, "{\"argv\":[\"cat\"]}");
	guest_port_opened(world.guest, FALSE);
	g_autofree char *reason = NULL;
	g_assert_cmpuint(fake_collect(running, NULL, NULL, &reason), ==, 1000);
	g_test_message("%s", reason);
	fake_send(gathering, STREAM_STDIN_EOF, NULL, 0);
	g_assert_cmpuint(fake_collect(gathering, NULL, NULL, NULL), ==, 1000);
	close(running);
	close(gathering);
	world_clear(&world);
}

/* A stream port the guest never opens: guest-exec is used once the port had its time to answer. */
static void test_exec_after_grace(void)
{
	struct world world;
	struct fake_port stream;
	world_init(&world, FAKE_GOOD);
	fake_port_init(&stream, world.agent.dir, "stream.sock", NULL, NULL);
	world_ready(&world);
	int fd = open_exec(&world, "{\"argv\":[\"true\"]}");
	fake_send(fd, STREAM_STDIN_EOF, NULL, 0);
	for (guint i = 0; i < 50; i++)
		g_main_context_iteration(NULL, FALSE);
	g_assert_cmpuint(world.agent.execs, ==, 0);
	g_assert_cmpuint(fake_collect(fd, NULL, NULL, NULL), ==, 0);
	g_assert_cmpuint(stream.in->len, ==, sizeof(struct stream_header) + 8); /* one HELLO */
	close(fd);
	fake_port_clear(&stream);
	world_clear(&world);
}

static void test_free_with_sessions(void)
{
	struct world world;
	world_init(&world, FAKE_GOOD);
	world_ready(&world);
	int a = open_exec(&world, "{\"argv\":[\"cat\"]}");
	int b = open_exec(&world, "{\"argv\":[\"cat\"]}");
	fake_send(b, STREAM_STDIN, "x", 1);
	guest_free(world.guest);
	world.guest = NULL;
	g_autofree char *reason = NULL;
	g_assert_cmpuint(fake_collect(a, NULL, NULL, &reason), ==, 1000);
	g_assert_cmpstr(reason, ==, "the VM ended");
	g_assert_cmpuint(fake_collect(b, NULL, NULL, NULL), ==, 1000);
	close(a);
	close(b);
	world_clear(&world);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/guest/good", test_good);
	g_test_add_func("/guest/dribble", test_dribble);
	g_test_add_func("/guest/late-rest", test_late_rest);
	g_test_add_func("/guest/no-socket-yet", test_no_socket_yet);
	g_test_add_func("/guest/silent-then-good", test_silent_then_good);
	g_test_add_func("/guest/good-then-silent", test_good_then_silent);
	g_test_add_func("/guest/garbage", test_garbage);
	g_test_add_func("/guest/garbage-always", test_garbage_always);
	g_test_add_func("/guest/flood", test_flood);
	g_test_add_func("/guest/oversized", test_oversized);
	g_test_add_func("/guest/link-lost", test_link_lost);
	g_test_add_func("/guest/exec", test_exec);
	g_test_add_func("/guest/exec-signal-status", test_exec_signal_status);
	g_test_add_func("/guest/exec-refused", test_exec_refused);
	g_test_add_func("/guest/exec-input-too-long", test_exec_input_too_long);
	g_test_add_func("/guest/exec-credit", test_exec_credit);
	g_test_add_func("/guest/exec-client-gone", test_exec_client_gone);
	g_test_add_func("/guest/exec-guest-gone", test_exec_guest_gone);
	g_test_add_func("/guest/exec-after-grace", test_exec_after_grace);
	g_test_add_func("/guest/free-with-sessions", test_free_with_sessions);
	return g_test_run();
}
