/* The socket between remote and server: whatever a peer sends ends that link and nothing else; a lost link ends every
 * request and watch. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/store/frame.h"
#include "tests/unit/store/fixture.h"

struct peer {
	struct fixture f;
	struct store_server *server;
	int fd; /* our end: we are the client, and no honest one */
	gboolean closed;
};

static void on_closed(gpointer user_data)
{
	((struct peer *)user_data)->closed = TRUE;
}

static void set_up(struct peer *peer, gconstpointer data)
{
	int fds[2];

	fixture_open(&peer->f, FALSE);
	g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
	peer->fd = fds[0];
	peer->closed = FALSE;
	peer->server = store_serve(peer->f.store, fds[1], on_closed, peer);
}

static void tear_down(struct peer *peer, gconstpointer data)
{
	g_autofree char *alive = NULL;

	/* Whatever happened, the store behind it is well. */
	put_sync(peer->f.store, "/alive", "yes");
	alive = get_sync(peer->f.store, "/alive");
	g_assert_cmpstr(alive, ==, "yes");
	store_server_free(peer->server);
	if (peer->fd >= 0)
		close(peer->fd);
	fixture_close(&peer->f);
}

static void send_all(struct peer *peer, const void *data, gsize size)
{
	g_assert_cmpint(write(peer->fd, data, size), ==, (ssize_t)size);
}

static void send_frame(struct peer *peer, GBytes *frame)
{
	gsize size;
	const void *data = g_bytes_get_data(frame, &size);

	send_all(peer, data, size);
	g_bytes_unref(frame);
}

static void assert_thrown_out(struct peer *peer, const char *reason)
{
	g_test_expect_message(NULL, G_LOG_LEVEL_WARNING, reason);
	wait_for(&peer->closed);
	g_test_assert_expected_messages();
}

static void test_too_long(struct peer *peer, gconstpointer data)
{
	guint8 header[STORE_FRAME_HEADER_BYTES] = { 0xff, 0xff, 0xff, 0xff };

	send_all(peer, header, sizeof(header));
	assert_thrown_out(peer, "*4294967295 bytes*");
}

static void test_unknown_kind(struct peer *peer, gconstpointer data)
{
	guint8 header[STORE_FRAME_HEADER_BYTES] = { 0, 0, 0, 0, 99 };

	send_all(peer, header, sizeof(header));
	assert_thrown_out(peer, "*unknown kind 99*");
}

static void test_servers_kind(struct peer *peer, gconstpointer data)
{
	send_frame(peer, store_frame_make(STORE_FRAME_LEASE_DONE, 1, g_variant_new("(x)", (gint64)1)));
	assert_thrown_out(peer, "*a client sent*");
}

static void test_not_normal(struct peer *peer, gconstpointer data)
{
	guint8 frame[STORE_FRAME_HEADER_BYTES + 8] = { 8, 0, 0, 0, STORE_FRAME_TXN };

	memset(frame + STORE_FRAME_HEADER_BYTES, 0xee, 8);
	send_all(peer, frame, sizeof(frame));
	assert_thrown_out(peer, "*malformed payload*");
}

static void test_nul_in_key(struct peer *peer, gconstpointer data)
{
	GVariant *key = g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, "/a\0b", 4, 1);
	GVariant *end = g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, "/b", 2, 1);

	send_frame(peer, store_frame_make(STORE_FRAME_RANGE, 1, g_variant_new("(@ay@ayxu)", key, end, (gint64)0, 0u)));
	assert_thrown_out(peer, "*malformed range*");
}

static void test_bad_watch(struct peer *peer, gconstpointer data)
{
	struct store_span span = { (char *)"/b", (char *)"/a" };

	send_frame(peer, store_frame_make(STORE_FRAME_WATCH, 1, store_wire_watch(&span, 0)));
	assert_thrown_out(peer, "*must be above*");
}

static void test_watch_twice(struct peer *peer, gconstpointer data)
{
	struct store_span span = { (char *)"/a", (char *)"/b" };

	for (int i = 0; i < 2; i++)
		send_frame(peer, store_frame_make(STORE_FRAME_WATCH, 1, store_wire_watch(&span, 0)));
	assert_thrown_out(peer, "*there already*");
}

static void test_bad_operation(struct peer *peer, gconstpointer data)
{
	GVariantBuilder compares, ops;
	GVariant *empty[3];

	for (int i = 0; i < 3; i++)
		empty[i] = g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, "k", 1, 1);
	g_variant_builder_init(&compares, G_VARIANT_TYPE("a(ayyyxay)"));
	g_variant_builder_init(&ops, G_VARIANT_TYPE("a(yyayayayx)"));
	g_variant_builder_add(&ops, "(yy@ay@ay@ayx)", 0, 77, empty[0], empty[1], empty[2], (gint64)0);
	send_frame(peer,
		   store_frame_make(STORE_FRAME_TXN, 1, g_variant_new("(a(ayyyxay)a(yyayayayx))", &compares, &ops)));
	assert_thrown_out(peer, "*malformed operation*");
}

/* Half a frame is no frame, and nobody's fault. */
static void test_gone_midway(struct peer *peer, gconstpointer data)
{
	guint8 header[7] = { 8, 0, 0, 0, STORE_FRAME_TXN };

	send_all(peer, header, sizeof(header));
	close(peer->fd);
	peer->fd = -1;
	wait_for(&peer->closed);
}

static gboolean on_done(gpointer user_data)
{
	*(gboolean *)user_data = TRUE;
	return G_SOURCE_REMOVE;
}

/* Frames cut anywhere arrive all the same. */
static void test_byte_by_byte(struct peer *peer, gconstpointer data)
{
	struct store_span span = { (char *)"/a", (char *)"/b" };
	g_autoptr(GBytes) frame = store_frame_make(STORE_FRAME_RANGE, 7, store_wire_range(&span, 0, 0));
	guint8 answer[4096];
	struct store_frame parsed;
	gsize size;
	const guint8 *bytes_of = g_bytes_get_data(frame, &size);
	ssize_t n = 0;

	for (gsize i = 0; i < size; i++) {
		gboolean done = FALSE;

		send_all(peer, bytes_of + i, 1);
		g_idle_add(on_done, &done);
		wait_for(&done);
	}
	while (n <= 0) {
		g_main_context_iteration(NULL, FALSE);
		n = recv(peer->fd, answer, sizeof(answer), MSG_DONTWAIT);
	}
	g_assert_cmpint(store_frame_parse(answer, (gsize)n, &parsed, NULL), ==, n);
	g_assert_cmpint(parsed.kind, ==, STORE_FRAME_RANGE_DONE);
	g_assert_cmpuint(parsed.id, ==, 7);
	store_frame_clear(&parsed);
}

/* The client's side of a lost link. */
static void test_link_lost(struct peer *peer, gconstpointer data)
{
	struct fixture f;
	struct watched watched;
	struct txn_wait wait;
	g_autoptr(GBytes) value = bytes("x");
	struct store_txn *txn;

	fixture_open(&f, TRUE);
	watched_begin(&watched, f.store, "/a", NULL, 0);
	put_sync(f.store, "/a", "x");
	g_clear_pointer(&f.server, store_server_free);
	txn = store_txn_new();
	store_txn_put(txn, STORE_THEN, "/a", value, 0);
	txn_wait_begin(&wait, f.store, txn, NULL);
	wait_for(&wait.done);
	g_assert_true(g_error_matches(wait.error, POLDER_ERROR, POLDER_ERROR_UNAVAILABLE) ||
		      g_error_matches(wait.error, POLDER_ERROR, POLDER_ERROR_UNKNOWN_OUTCOME));
	txn_wait_clear(&wait);
	watched_wait_error(&watched);
	g_assert_cmpint(watched.error_code, ==, POLDER_ERROR_UNAVAILABLE);
	g_assert_cmpuint(f.n_lost, ==, 1);
	watched_clear(&watched);
	/* From now on, everything ends so at once. */
	range_sync(f.store, "/a", NULL, 0, 0, POLDER_ERROR_UNAVAILABLE);
	grant_sync(f.store, 1000, POLDER_ERROR_UNAVAILABLE);
	watched_begin(&watched, f.store, "/a", NULL, 0);
	watched_wait_error(&watched);
	watched_clear(&watched);
	fixture_close(&f);
}

static void on_range(GObject *source, GAsyncResult *result, gpointer user_data)
{
	store_range_free(store_range_finish(NULL, result, user_data));
}

static gboolean is_set(gpointer user_data)
{
	return *(gpointer *)user_data != NULL;
}

/* Nobody answers: every request ends all the same, and says whether it may have been done. */
static void test_deadline(struct peer *peer, gconstpointer data)
{
	g_autoptr(GBytes) value = bytes("x");
	g_autoptr(GError) error = NULL;
	struct store_txn *txn;
	struct store *store;
	struct txn_wait wait;
	int fds[2];

	if (g_getenv("POLDER_TEST_LONG") == NULL) {
		g_test_skip("takes as long as a deadline; set POLDER_TEST_LONG");
		return;
	}
	g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
	store = store_remote_new(fds[0], NULL, NULL);
	store_range_async(store, "/a", NULL, 0, 0, NULL, on_range, &error);
	txn = store_txn_new();
	store_txn_put(txn, STORE_THEN, "/a", value, 0);
	txn_wait_begin(&wait, store, txn, NULL);
	wait_until(is_set, &error);
	wait_for(&wait.done);
	g_assert_error(error, POLDER_ERROR, POLDER_ERROR_TIMEOUT);
	g_assert_error(wait.error, POLDER_ERROR, POLDER_ERROR_UNKNOWN_OUTCOME);
	txn_wait_clear(&wait);
	store_unref(store);
	close(fds[1]);
}

/* Every round logs why; that is not what we look at. */
static void on_log(const char *domain, GLogLevelFlags level, const char *message, gpointer user_data)
{
}

/* A server that answers garbage costs the client its link, not its life. */
static void test_hostile_server(struct peer *peer, gconstpointer data)
{
	g_autoptr(GBytes) frame = store_frame_make(STORE_FRAME_LEASE_DONE, 1, g_variant_new("(x)", (gint64)1));
	guint32 seed = (guint32)g_test_rand_int();
	g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
	GLogLevelFlags fatal;
	GLogFunc said;
	gsize size;
	const guint8 *data_of = g_bytes_get_data(frame, &size);

	g_test_message("seed %u", seed);
	fatal = g_log_set_always_fatal(G_LOG_FATAL_MASK);
	said = g_log_set_default_handler(on_log, NULL);
	for (int round = 0; round < 100; round++) {
		g_autofree guint8 *noise = g_memdup2(data_of, size);
		struct store *store;
		int fds[2];

		g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
		store = store_remote_new(fds[0], NULL, NULL);
		for (guint i = 0; i < 4 && round > 0; i++)
			noise[g_rand_int_range(rand, 0, (gint32)size)] = (guint8)g_rand_int(rand);
		g_assert_cmpint(write(fds[1], noise, size), ==, (ssize_t)size);
		close(fds[1]);
		range_sync(store, "/a", NULL, 0, 0, POLDER_ERROR_UNAVAILABLE);
		store_unref(store);
	}
	while (g_main_context_iteration(NULL, FALSE))
		;
	g_log_set_default_handler(said, NULL);
	g_log_set_always_fatal(fatal);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(struct peer *peer, gconstpointer data);
	} tests[] = {
		{ "too-long", test_too_long },         { "unknown-kind", test_unknown_kind },
		{ "servers-kind", test_servers_kind }, { "not-normal", test_not_normal },
		{ "nul-in-key", test_nul_in_key },     { "bad-watch", test_bad_watch },
		{ "watch-twice", test_watch_twice },   { "bad-operation", test_bad_operation },
		{ "gone-midway", test_gone_midway },   { "byte-by-byte", test_byte_by_byte },
		{ "link-lost", test_link_lost },       { "hostile-server", test_hostile_server },
		{ "deadline", test_deadline },
	};

	g_test_init(&argc, &argv, NULL);
	for (guint i = 0; i < G_N_ELEMENTS(tests); i++) {
		g_autofree char *path = g_strdup_printf("/store/wire/%s", tests[i].name);

		g_test_add(path, struct peer, NULL, set_up, tests[i].run, tear_down);
	}
	return g_test_run();
}
