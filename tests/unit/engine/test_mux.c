/* Sessions over the stream port against a fake guest that keeps, or breaks, the protocol. */
#include <endian.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/engine/qemu/mux.h"
#include "daemon/engine/qemu/mux_frame.h"
#include "tests/unit/engine/fake_guest.h"

#define OPEN_JSON "{\"argv\":[\"cat\"]}"

/* A guest that answers HELLO and echoes STDIN as STDOUT. */
struct echo {
	guint32 id;
	GByteArray *held;                          /* waits for credit */
	gsize unacknowledged, most_unacknowledged; /* STDOUT sent */
	gsize received;                            /* STDIN not yet given back */
	gboolean eof, closed;
	guint32 signal;
};

struct world {
	char *dir;
	struct fake_port port;
	struct mux *mux;
	gboolean hold_hello, hold_input; /* of the guest: do not answer; do not consume */
	guint hellos, answered, lost;
	guint8 nonce[MUX_NONCE_BYTES];
	GHashTable *sessions; /* id → struct echo */
	guint32 last_id;
	char *lost_reason;
};

static void echo_free(gpointer data)
{
	struct echo *echo = data;
	g_byte_array_unref(echo->held);
	g_free(echo);
}

static void guest_frame(struct world *world, guint32 id, guint8 kind, const void *payload, gsize bytes)
{
	g_autoptr(GByteArray) out = g_byte_array_new();
	mux_frame_append(out, id, kind, payload, bytes);
	fake_port_send(&world->port, out->data, out->len);
}

static void guest_u32(struct world *world, guint32 id, guint8 kind, guint32 value)
{
	value = htole32(value);
	guest_frame(world, id, kind, &value, sizeof(value));
}

static void guest_hello(struct world *world)
{
	guint8 answer[MUX_NONCE_BYTES + 4] = { 0 };
	memcpy(answer, world->nonce, sizeof(world->nonce));
	answer[MUX_NONCE_BYTES] = 1;
	guest_frame(world, 0, STREAM_HELLO, answer, sizeof(answer));
}

static void echo_pump(struct world *world, struct echo *echo)
{
	while (echo->held->len > 0 && echo->unacknowledged < STREAM_WINDOW) {
		gsize n = MIN(MIN(echo->held->len, STREAM_PAYLOAD_MAX), STREAM_WINDOW - echo->unacknowledged);
		guint8 chunk[STREAM_PAYLOAD_MAX];
		memcpy(chunk, echo->held->data, n);
		g_byte_array_remove_range(echo->held, 0, n);
		echo->unacknowledged += n;
		echo->received -= n;
		echo->most_unacknowledged = MAX(echo->most_unacknowledged, echo->unacknowledged);
		guest_frame(world, echo->id, STREAM_STDOUT, chunk, n);
		guest_u32(world, echo->id, STREAM_CREDIT, n);
	}
	if (echo->eof && echo->held->len == 0 && !echo->closed) {
		echo->closed = TRUE;
		guest_u32(world, echo->id, STREAM_EXIT, 42);
	}
}

static void guest_takes(struct world *world, const struct mux_frame *frame)
{
	struct echo *echo = g_hash_table_lookup(world->sessions, GUINT_TO_POINTER(frame->session));
	guint32 value = 0;
	if (frame->bytes == sizeof(value))
		memcpy(&value, frame->payload, sizeof(value));
	value = le32toh(value);
	switch (frame->kind) {
	case STREAM_HELLO:
		g_assert_cmpuint(frame->bytes, ==, MUX_NONCE_BYTES);
		world->hellos++;
		memcpy(world->nonce, frame->payload, MUX_NONCE_BYTES);
		g_hash_table_remove_all(world->sessions);
		if (!world->hold_hello)
			guest_hello(world);
		return;
	case STREAM_OPEN:
		g_assert_null(echo);
		g_assert_cmpmem(frame->payload, frame->bytes, OPEN_JSON, strlen(OPEN_JSON));
		echo = g_new0(struct echo, 1);
		echo->id = world->last_id = frame->session;
		echo->held = g_byte_array_new();
		g_hash_table_insert(world->sessions, GUINT_TO_POINTER(frame->session), echo);
		guest_u32(world, frame->session, STREAM_OPENED, 1000 + frame->session);
		return;
	case STREAM_STDIN:
		g_byte_array_append(echo->held, frame->payload, frame->bytes);
		echo->received += frame->bytes;
		g_assert_cmpuint(echo->received, <=, STREAM_WINDOW);
		break;
	case STREAM_STDIN_EOF:
		echo->eof = TRUE;
		break;
	case STREAM_CREDIT:
		g_assert_cmpuint(value, <=, echo->unacknowledged);
		echo->unacknowledged -= value;
		break;
	case STREAM_SIGNAL:
		echo->signal = value;
		break;
	case STREAM_CLOSE:
		if (echo)
			echo->closed = TRUE;
		return;
	default:
		g_assert_not_reached();
	}
	if (!world->hold_input)
		echo_pump(world, echo);
}

static void on_arrived(struct fake_port *port, gpointer user_data)
{
	struct world *world = user_data;
	struct mux_frame frame;
	gsize used;
	for (;;) {
		enum mux_frame_result result = mux_frame_next(port->in->data, port->in->len, &frame, &used);
		g_assert_cmpint(result, !=, MUX_FRAME_TORN);
		if (result == MUX_FRAME_PARTIAL)
			return;
		guest_takes(world, &frame);
		g_byte_array_remove_range(port->in, 0, used);
	}
}

static void on_answered(gpointer user_data)
{
	((struct world *)user_data)->answered++;
}

static void on_lost(const char *reason, gpointer user_data)
{
	struct world *world = user_data;
	world->lost++;
	g_free(world->lost_reason);
	world->lost_reason = g_strdup(reason);
}

static const struct mux_events events = { .answered = on_answered, .lost = on_lost };

static void attach(struct world *world)
{
	int fds[2];
	g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), ==, 0);
	fake_port_hang_up(&world->port);
	fake_port_adopt(&world->port, fds[1]);
	mux_attach(world->mux, fds[0]);
}

static void world_init(struct world *world)
{
	memset(world, 0, sizeof(*world));
	world->dir = g_dir_make_tmp("polder-mux-XXXXXX", NULL);
	fake_port_init(&world->port, world->dir, "stream.sock", on_arrived, world);
	world->sessions = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, echo_free);
	world->mux = mux_new(&events, world);
	attach(world);
}

static void world_clear(struct world *world)
{
	mux_free(world->mux, "the test ends");
	fake_port_clear(&world->port);
	g_hash_table_unref(world->sessions);
	fake_remove_tree(world->dir);
	g_free(world->dir);
	g_free(world->lost_reason);
}

static void world_answered(struct world *world)
{
	world_init(world);
	WAIT_FOR(world->answered);
}

static int open_session(struct world *world)
{
	int fd;
	g_autoptr(GError) error = NULL;
	struct client *client = client_new(&fd, &error);
	g_assert_no_error(error);
	mux_open(world->mux, client, OPEN_JSON);
	return fd;
}

static struct echo *echo_of(struct world *world, guint32 id)
{
	return g_hash_table_lookup(world->sessions, GUINT_TO_POINTER(id));
}

static guint32 opened(int fd)
{
	struct fake_packet packet;
	g_assert_true(fake_receive(fd, &packet));
	g_assert_cmpuint(packet.kind, ==, STREAM_OPENED);
	return fake_u32(&packet) - 1000;
}

/* One side of a transfer: what a client sends and hears back. */
struct transfer {
	int fd;
	GChecksum *sent, *heard;
	gsize to_send, heard_bytes, unacknowledged, most;
	gboolean ended;
	guint32 status;
	GRand *random;
	const guint8 *noise; /* two payloads long */
};

static void transfer_step(struct transfer *transfer)
{
	guint8 chunk[STREAM_PAYLOAD_MAX + 1];
	struct fake_packet packet;
	while (transfer->to_send > 0 && transfer->unacknowledged < STREAM_WINDOW) {
		gsize n = MIN(transfer->to_send, STREAM_WINDOW - transfer->unacknowledged);
		gsize some = g_rand_int_range(transfer->random, 1, STREAM_PAYLOAD_MAX + 1);
		n = MIN(n, some);
		chunk[0] = STREAM_STDIN;
		memcpy(chunk + 1, transfer->noise + g_rand_int_range(transfer->random, 0, STREAM_PAYLOAD_MAX), n);
		if (send(transfer->fd, chunk, n + 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			break;
		g_checksum_update(transfer->sent, chunk + 1, n);
		transfer->to_send -= n;
		transfer->unacknowledged += n;
		if (transfer->to_send == 0)
			fake_send(transfer->fd, STREAM_STDIN_EOF, NULL, 0);
	}
	while (!transfer->ended && fake_receive_now(transfer->fd, &packet)) {
		if (packet.kind == STREAM_STDOUT) {
			g_checksum_update(transfer->heard, packet.payload, packet.bytes);
			transfer->heard_bytes += packet.bytes;
			fake_send_u32(transfer->fd, STREAM_CREDIT, packet.bytes);
		} else if (packet.kind == STREAM_CREDIT) {
			g_assert_cmpuint(fake_u32(&packet), <=, transfer->unacknowledged);
			transfer->unacknowledged -= fake_u32(&packet);
		} else {
			if (packet.kind == STREAM_REFUSED)
				g_error("refused: %.*s", (int)packet.bytes, packet.payload);
			g_assert_cmpuint(packet.kind, ==, STREAM_EXIT);
			transfer->status = fake_u32(&packet);
			transfer->ended = TRUE;
		}
	}
}

static void transfers_run(struct world *world, guint n, gsize bytes)
{
	g_autofree struct transfer *transfers = g_new0(struct transfer, n);
	guint32 seed = g_test_rand_int();
	guint8 noise[2 * STREAM_PAYLOAD_MAX];
	g_test_message("seed %u", seed);
	g_autoptr(GRand) random = g_rand_new_with_seed(seed);
	for (gsize i = 0; i < sizeof(noise); i++)
		noise[i] = (guint8)g_rand_int(random);
	for (guint i = 0; i < n; i++) {
		transfers[i] = (struct transfer) { .fd = open_session(world),
						   .to_send = bytes,
						   .sent = g_checksum_new(G_CHECKSUM_SHA256),
						   .heard = g_checksum_new(G_CHECKSUM_SHA256),
						   .noise = noise,
						   .random = g_rand_new_with_seed(seed + i) };
		opened(transfers[i].fd);
	}
	gint64 end = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;
	for (guint left = n; left > 0;) {
		g_main_context_iteration(NULL, FALSE);
		left = 0;
		for (guint i = 0; i < n; i++) {
			transfer_step(&transfers[i]);
			left += !transfers[i].ended;
		}
		g_assert_cmpint(g_get_monotonic_time(), <, end);
	}
	for (guint i = 0; i < n; i++) {
		struct echo *echo = echo_of(world, i + 1);
		g_assert_cmpuint(transfers[i].status, ==, 42);
		g_assert_cmpuint(transfers[i].heard_bytes, ==, bytes);
		g_assert_cmpstr(g_checksum_get_string(transfers[i].sent), ==,
				g_checksum_get_string(transfers[i].heard));
		g_assert_cmpuint(echo->most_unacknowledged, <=, STREAM_WINDOW);
		g_checksum_free(transfers[i].sent);
		g_checksum_free(transfers[i].heard);
		g_rand_free(transfers[i].random);
		close(transfers[i].fd);
	}
	g_assert_cmpuint(mux_sessions(world->mux), ==, 0);
}

static void test_4_mib(void)
{
	struct world world;
	world_answered(&world);
	gint64 began = g_get_monotonic_time();
	transfers_run(&world, 1, 4 * 1024 * 1024);
	g_test_message("4 MiB both ways in %" G_GINT64_FORMAT " ms", (g_get_monotonic_time() - began) / 1000);
	world_clear(&world);
}

static void test_many(void)
{
	struct world world;
	world_answered(&world);
	transfers_run(&world, 64, 512 * 1024);
	world_clear(&world);
}

static void test_stale_bytes_before_hello(void)
{
	struct world world;
	world_init(&world);
	world.hold_hello = TRUE;
	WAIT_FOR(world.hellos == 1);
	guint8 junk[5000];
	for (gsize i = 0; i < sizeof(junk); i++)
		junk[i] = i % 7 ? (guint8)i : 'S';
	fake_port_send(&world.port, junk, sizeof(junk));
	guest_u32(&world, 9, STREAM_EXIT, 3);
	guint8 nonce[MUX_NONCE_BYTES];
	memcpy(nonce, world.nonce, sizeof(nonce));
	world.nonce[0] ^= 1; /* another connection's answer */
	guest_hello(&world);
	memcpy(world.nonce, nonce, sizeof(nonce));
	fake_port_send(&world.port, "MR", 2);
	for (guint i = 0; i < 50; i++)
		g_main_context_iteration(NULL, FALSE);
	g_assert_cmpuint(world.answered, ==, 0);
	guest_hello(&world);
	WAIT_FOR(world.answered == 1);
	transfers_run(&world, 1, 1000);
	world_clear(&world);
}

/* The guest sends `bytes` of output to a client that gives no credit. */
static guint guest_overruns(guint8 kind, gsize frame_bytes, gsize total)
{
	struct world world;
	world_answered(&world);
	int fd = open_session(&world);
	guint32 id = opened(fd);
	g_autofree guint8 *data = g_malloc0(frame_bytes);
	for (gsize sent = 0; sent < total; sent += frame_bytes)
		guest_frame(&world, id, kind, data, frame_bytes);
	guest_u32(&world, id, STREAM_EXIT, 0);
	struct fake_packet packet = { 0 };
	gsize got = 0;
	while (fake_receive(fd, &packet) && packet.kind == kind)
		got += packet.bytes;
	g_assert_cmpuint(got, <=, STREAM_WINDOW);
	if (packet.kind == STREAM_REFUSED) {
		g_test_message("%.*s", (int)packet.bytes, packet.payload);
		WAIT_FOR(echo_of(&world, id)->closed);
	}
	close(fd);
	world_clear(&world);
	return packet.kind;
}

static void test_window_of_guest(void)
{
	g_assert_cmpuint(guest_overruns(STREAM_STDOUT, 16384, STREAM_WINDOW), ==, STREAM_EXIT);
	g_assert_cmpuint(guest_overruns(STREAM_STDERR, 16384, STREAM_WINDOW + 16384), ==, STREAM_REFUSED);
	/* Many tiny frames do not take more memory than few large ones. */
	g_assert_cmpuint(guest_overruns(STREAM_STDOUT, 1, STREAM_WINDOW), ==, STREAM_EXIT);
}

static void guest_violates(guint8 kind, const void *payload, gsize bytes)
{
	struct world world;
	world_answered(&world);
	int fd = open_session(&world), other = open_session(&world);
	guint32 id = opened(fd);
	guest_frame(&world, id, kind, payload, bytes);
	g_autofree char *reason = NULL;
	g_assert_cmpuint(fake_collect(fd, NULL, NULL, &reason), ==, 1000);
	g_test_message("%s", reason);
	if (kind != STREAM_REFUSED) /* which ends a session rightly */
		WAIT_FOR(echo_of(&world, id)->closed);
	/* Its other sessions live on. */
	opened(other);
	fake_send(other, STREAM_STDIN_EOF, NULL, 0);
	g_assert_cmpuint(fake_collect(other, NULL, NULL, NULL), ==, 42);
	close(fd);
	close(other);
	world_clear(&world);
}

static void test_violations_of_guest(void)
{
	guint32 zero = 0, many = htole32(5), status = htole32(256);
	guest_violates(STREAM_CREDIT, &zero, 4);
	guest_violates(STREAM_CREDIT, &many, 4);
	guest_violates(STREAM_CREDIT, &many, 3);
	guest_violates(STREAM_OPENED, &many, 4); /* again */
	guest_violates(STREAM_EXIT, &status, 4);
	guest_violates(STREAM_EXIT, &status, 0);
	guest_violates(STREAM_STDIN, "x", 1);
	guest_violates(STREAM_OPEN, "{}", 2);
	guest_violates(STREAM_STATUS, "x", 1);
	guest_violates(200, NULL, 0);
	guest_violates(STREAM_REFUSED, "gone \xff\xfe bad\0text", 17);
}

static void client_violates(const guint8 *packet, gsize bytes, gsize times)
{
	struct world world;
	world_answered(&world);
	world.hold_input = TRUE;
	int fd = open_session(&world);
	guint32 id = opened(fd);
	for (gsize i = 0; i < times; i++)
		fake_send(fd, packet[0], packet + 1, bytes - 1);
	g_autofree char *reason = NULL;
	g_assert_cmpuint(fake_collect(fd, NULL, NULL, &reason), ==, 1000);
	g_test_message("%s", reason);
	WAIT_FOR(echo_of(&world, id)->closed);
	g_assert_cmpuint(mux_sessions(world.mux), ==, 0);
	close(fd);
	world_clear(&world);
}

static void test_violations_of_client(void)
{
	guint8 packet[1 + STREAM_PAYLOAD_MAX + 1] = { STREAM_STDIN };
	client_violates(packet, 1 + STREAM_PAYLOAD_MAX, STREAM_WINDOW / STREAM_PAYLOAD_MAX + 1);
	client_violates(packet, sizeof(packet), 1);
	packet[0] = STREAM_CREDIT;
	client_violates(packet, 5, 1);
	packet[1] = 1;
	client_violates(packet, 5, 1);
	client_violates(packet, 4, 1);
	packet[0] = STREAM_EXIT;
	client_violates(packet, 5, 1);
	packet[0] = STREAM_RESIZE;
	client_violates(packet, 2, 1);
	packet[0] = STREAM_STDIN_EOF;
	client_violates(packet, 2, 1);
	packet[0] = 0;
	client_violates(packet, 1, 1);
}

static void test_client_gone(void)
{
	struct world world;
	world_answered(&world);
	int fd = open_session(&world);
	guint32 id = opened(fd);
	fake_send_u32(fd, STREAM_SIGNAL, 15);
	WAIT_FOR(echo_of(&world, id)->signal == 15);
	close(fd);
	WAIT_FOR(echo_of(&world, id)->closed);
	g_assert_cmpuint(mux_sessions(world.mux), ==, 0);
	guest_frame(&world, id, STREAM_STDOUT, "late", 4); /* in flight: ignored */
	guest_u32(&world, id, STREAM_EXIT, 0);
	transfers_run(&world, 0, 0);
	int next = open_session(&world);
	g_assert_cmpuint(opened(next), ==, id + 1); /* numbers are not used again */
	close(next);
	world_clear(&world);
}

static void test_link_lost(void)
{
	struct world world;
	world_answered(&world);
	int fd = open_session(&world);
	opened(fd);
	fake_port_hang_up(&world.port);
	g_autofree char *reason = NULL;
	g_assert_cmpuint(fake_collect(fd, NULL, NULL, &reason), ==, 1000);
	g_test_message("%s", reason);
	close(fd);
	WAIT_FOR(world.lost == 1);
	g_assert_false(mux_is_attached(world.mux));
	attach(&world);
	WAIT_FOR(world.answered == 2);
	world_clear(&world);
}

static void test_torn(void)
{
	struct world world;
	world_answered(&world);
	int fd = open_session(&world);
	opened(fd);
	fake_port_send(&world.port, "not a frame at all, is it?", 26);
	g_autofree char *reason = NULL;
	g_assert_cmpuint(fake_collect(fd, NULL, NULL, &reason), ==, 1000);
	g_assert_cmpstr(reason, ==, world.lost_reason);
	close(fd);
	world_clear(&world);
}

/* A guest that reads nothing: what we hold of its input stays bounded, and the client's end fills up instead. */
static void test_back_pressure(void)
{
	struct world world;
	world_answered(&world);
	int fds[16];
	for (guint i = 0; i < G_N_ELEMENTS(fds); i++) {
		fds[i] = open_session(&world);
		opened(fds[i]);
	}
	g_source_remove(world.port.source); /* deaf */
	world.port.source = 0;
	guint8 packet[1 + STREAM_PAYLOAD_MAX] = { STREAM_STDIN };
	gsize taken = 0;
	for (guint round = 0; round < 200; round++) {
		for (guint i = 0; i < G_N_ELEMENTS(fds); i++) {
			/* Within each window. */
			if (round < STREAM_WINDOW / STREAM_PAYLOAD_MAX &&
			    send(fds[i], packet, sizeof(packet), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
				taken += STREAM_PAYLOAD_MAX;
		}
		g_main_context_iteration(NULL, FALSE);
	}
	g_test_message("%" G_GSIZE_FORMAT " KiB sent, %" G_GSIZE_FORMAT " KiB held", taken / 1024,
		       mux_queued(world.mux) / 1024);
	g_assert_cmpuint(mux_queued(world.mux), <=, 2 * STREAM_WINDOW);
	g_assert_cmpuint(taken, >, 4 * STREAM_WINDOW);
	close(fds[0]); /* still noticed */
	WAIT_FOR(mux_sessions(world.mux) == G_N_ELEMENTS(fds) - 1);
	for (guint i = 1; i < G_N_ELEMENTS(fds); i++)
		close(fds[i]);
	world_clear(&world);
}

static void test_free_with_unread_output(void)
{
	struct world world;
	world_answered(&world);
	int fd = open_session(&world);
	guint32 id = opened(fd);
	guint8 data[STREAM_PAYLOAD_MAX] = { 0 };
	for (guint i = 0; i < STREAM_WINDOW / STREAM_PAYLOAD_MAX; i++)
		guest_frame(&world, id, STREAM_STDOUT, data, sizeof(data));
	guest_u32(&world, id, STREAM_EXIT, 9);
	WAIT_FOR(mux_sessions(world.mux) == 0);
	world_clear(&world); /* the session is over; what the client has not read yet is still delivered */
	g_autoptr(GString) out = g_string_new(NULL);
	g_assert_cmpuint(fake_collect(fd, out, NULL, NULL), ==, 9);
	g_assert_cmpuint(out->len, ==, STREAM_WINDOW);
	close(fd);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/mux/4-mib", test_4_mib);
	g_test_add_func("/mux/many", test_many);
	g_test_add_func("/mux/stale-bytes-before-hello", test_stale_bytes_before_hello);
	g_test_add_func("/mux/window-of-guest", test_window_of_guest);
	g_test_add_func("/mux/violations-of-guest", test_violations_of_guest);
	g_test_add_func("/mux/violations-of-client", test_violations_of_client);
	g_test_add_func("/mux/client-gone", test_client_gone);
	g_test_add_func("/mux/link-lost", test_link_lost);
	g_test_add_func("/mux/torn", test_torn);
	g_test_add_func("/mux/back-pressure", test_back_pressure);
	g_test_add_func("/mux/free-with-unread-output", test_free_with_unread_output);
	return g_test_run();
}
