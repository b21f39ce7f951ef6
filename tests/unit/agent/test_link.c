/* Both ends of the request link, and what a hostile peer may send. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/agent/link.h"
#include "daemon/agent/packet.h"
#include "daemon/agent/streams.h"
#include "daemon/model/error.h"
#include "daemon/model/limits.h"
#include "tests/unit/agent/world.h"

#define UUID_A "3f1b7f0e-7c7b-4b0e-9f2e-0d7b1f1a0001"

struct pair {
	struct world world;
	struct agent_link *link; /* NULL when the test speaks for it: raw */
	struct streams *streams;
	int raw;
	gboolean lost, closed;
};

static void on_lost(gpointer user_data)
{
	((struct pair *)user_data)->lost = TRUE;
}

static void on_closed(gpointer user_data)
{
	((struct pair *)user_data)->closed = TRUE;
}

static void pair_connect(struct pair *pair, gboolean with_link)
{
	int fds[2];

	g_assert_cmpint(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), ==, 0);
	if (with_link)
		pair->link = agent_link_new(fds[0], on_lost, pair);
	else
		pair->raw = fds[0];
	pair->streams = streams_new(fds[1], pair->world.vms, NULL, on_closed, pair);
}

static void pair_init(struct pair *pair, gboolean with_link)
{
	struct plan plan = world_new_plan(UUID_A);

	memset(pair, 0, sizeof *pair);
	pair->raw = -1;
	world_init(&pair->world);
	world_agent_start(&pair->world);
	world_plan(&pair->world, "web", &plan);
	world_answer_all(&pair->world);
	pair_connect(pair, with_link);
}

static void pair_clear(struct pair *pair)
{
	agent_link_free(pair->link);
	if (pair->raw >= 0)
		close(pair->raw);
	streams_free(pair->streams);
	world_clear(&pair->world);
}

struct result {
	struct agent_link *link;
	gboolean done;
	int fd;
	GError *error;
};

static void opened(GObject *object, GAsyncResult *answer, gpointer user_data)
{
	struct result *result = user_data;

	result->fd = agent_link_stream_finish(result->link, answer, &result->error);
	result->done = TRUE;
}

static gboolean expire(gpointer user_data)
{
	*(gboolean *)user_data = TRUE;
	return G_SOURCE_CONTINUE;
}

static void wait_for(const gboolean *condition)
{
	gboolean late = FALSE;
	guint timer = g_timeout_add_seconds(10, expire, &late);

	while (!*condition && !late)
		g_main_context_iteration(NULL, TRUE);
	g_source_remove(timer);
	g_assert_true(*condition);
}

static struct result ask(struct pair *pair, const struct agent_stream_request *request)
{
	struct result result = { .link = pair->link, .fd = -2 };

	agent_link_stream_async(pair->link, request, NULL, opened, &result);
	g_assert_false(result.done); /* never inside the call */
	wait_for(&result.done);
	return result;
}

static void test_streams(void)
{
	struct pair pair;
	struct result result;

	pair_init(&pair, TRUE);
	result = ask(&pair, &(struct agent_stream_request) {
				    .vm = "web", .stream = "exec", .request = "{\"argv\":[\"true\"],\"tty\":false}" });
	g_assert_no_error(result.error);
	g_assert_cmpint(result.fd, >=, 0);
	g_assert_cmpint(fcntl(result.fd, F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);
	close(result.fd);
	result = ask(&pair, &(struct agent_stream_request) { .vm = "web", .stream = "log", .tail_bytes = 10 });
	g_assert_no_error(result.error);
	close(result.fd);
	result = ask(&pair, &(struct agent_stream_request) { .vm = "nosuch", .stream = "console" });
	g_assert_error(result.error, POLDER_ERROR, POLDER_ERROR_NOT_FOUND);
	g_assert_cmpint(result.fd, ==, -1);
	g_clear_error(&result.error);
	result = ask(&pair, &(struct agent_stream_request) { .vm = "../web", .stream = "console" });
	g_assert_error(result.error, POLDER_ERROR, POLDER_ERROR_INVALID);
	g_clear_error(&result.error);
	result = ask(&pair,
		     &(struct agent_stream_request) { .vm = "web", .stream = "exec", .request = "{\"argv\":[]}" });
	g_assert_error(result.error, POLDER_ERROR, POLDER_ERROR_INVALID);
	g_clear_error(&result.error);
	pair_clear(&pair);
}

static void test_too_large(void)
{
	g_autofree char *word = g_strnfill(LIMIT_EXEC_REQUEST_BYTES, 'a');
	g_autofree char *exec = g_strdup_printf("{\"argv\":[\"%s\"]}", word);
	struct pair pair;
	struct result result;

	pair_init(&pair, TRUE);
	result = ask(&pair, &(struct agent_stream_request) { .vm = "web", .stream = "exec", .request = exec });
	g_assert_error(result.error, POLDER_ERROR, POLDER_ERROR_TOO_LARGE);
	g_clear_error(&result.error);
	pair_clear(&pair);
}

static void test_agent_goes(void)
{
	struct agent_stream_request request = { .vm = "web", .stream = "console" };
	struct result result;
	struct pair pair;

	pair_init(&pair, TRUE);
	result = (struct result) { .link = pair.link, .fd = -2 };
	agent_link_stream_async(pair.link, &request, NULL, opened, &result);
	g_clear_pointer(&pair.streams, streams_free);
	wait_for(&result.done);
	g_assert_error(result.error, POLDER_ERROR, POLDER_ERROR_UNAVAILABLE);
	g_clear_error(&result.error);
	wait_for(&pair.lost);
	result = ask(&pair, &request);
	g_assert_error(result.error, POLDER_ERROR, POLDER_ERROR_UNAVAILABLE);
	g_clear_error(&result.error);
	pair_clear(&pair);
}

static void test_cancel(void)
{
	struct agent_stream_request request = { .vm = "web", .stream = "console" };
	g_autoptr(GCancellable) cancellable = g_cancellable_new();
	struct result result, next;
	struct pair pair;

	pair_init(&pair, TRUE);
	result = (struct result) { .link = pair.link, .fd = -2 };
	agent_link_stream_async(pair.link, &request, cancellable, opened, &result);
	g_cancellable_cancel(cancellable);
	wait_for(&result.done);
	g_assert_cmpint(result.fd, <, 0);
	g_assert_error(result.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
	g_clear_error(&result.error);
	next = ask(&pair, &request); /* the late answer went nowhere, its fd was closed */
	g_assert_no_error(next.error);
	close(next.fd);
	pair_clear(&pair);
}

/* A request that comes while the VM is being found again waits for it. */
static void test_waits_for_adoption(void)
{
	struct agent_stream_request request = { .vm = "web", .stream = "exec", .request = "{\"argv\":[\"true\"]}" };
	struct result result;
	struct pair pair;

	pair_init(&pair, TRUE);
	agent_link_free(pair.link);
	streams_free(pair.streams);
	world_agent_stop(&pair.world);
	world_agent_start(&pair.world);
	pair_connect(&pair, TRUE);
	result = (struct result) { .link = pair.link, .fd = -2 };
	agent_link_stream_async(pair.link, &request, NULL, opened, &result);
	for (guint i = 0; i < 20; i++)
		g_main_context_iteration(NULL, FALSE);
	g_assert_false(result.done);
	world_answer_all(&pair.world);
	wait_for(&result.done);
	g_assert_no_error(result.error);
	close(result.fd);
	pair_clear(&pair);
}

static void test_daemon_goes(void)
{
	struct pair pair;

	pair_init(&pair, FALSE);
	close(pair.raw);
	pair.raw = -1;
	wait_for(&pair.closed);
	pair_clear(&pair);
}

/* What polderd would send if it were taken over. */
static void test_hostile_requests(void)
{
	static const struct {
		const char *text, *part;
	} rows[] = {
		{ "{\"id\":1}", "vm is not a valid name" },
		{ "{\"id\":1,\"vm\":\"../../etc\",\"stream\":\"log\"}", "vm is not a valid name" },
		{ "{\"id\":1,\"vm\":7,\"stream\":\"log\"}", "vm is not a valid name" },
		{ "{\"id\":1,\"vm\":\"web\",\"stream\":\"root\"}", "stream is not" },
		{ "{\"id\":1,\"vm\":\"web\",\"stream\":\"log\",\"x\":1}", "unknown member" },
		{ "{\"id\":1,\"vm\":\"web\",\"stream\":\"log\",\"follow\":1}", "follow" },
		{ "{\"id\":1,\"vm\":\"web\",\"stream\":\"log\",\"tail_bytes\":-1}", "tail_bytes" },
		{ "{\"id\":1,\"vm\":\"web\",\"stream\":\"log\",\"request\":{}}", "only exec" },
		{ "{\"id\":1,\"vm\":\"web\",\"stream\":\"exec\"}", "without a request" },
		{ "{\"id\":1,\"vm\":\"web\",\"stream\":\"exec\",\"request\":{}}", "argv is missing" },
		{ "{\"id\":1,\"vm\":\"web\",\"stream\":\"exec\",\"request\":{\"argv\":[\"\"]}}", "no command" },
		{ "{\"id\":1,\"vm\":\"web\",\"stream\":\"exec\",\"request\":{\"argv\":[1]}}", "not a string" },
		{ "{\"id\":1,\"vm\":\"web\",\"stream\":\"exec\",\"request\":{\"argv\":[null]}}", "not a string" },
		{ "{\"id\":1,\"vm\":\"web\",\"stream\":\"exec\",\"request\":{\"argv\":[\"a\"],\"env\":[\"x\"]}}",
		  "NAME=VALUE" },
		{ "{\"id\":1,\"vm\":\"web\",\"stream\":\"exec\",\"request\":{\"argv\":[\"a\"],\"cwd\":\"x\"}}",
		  "absolute" },
		{ "{\"id\":1,\"vm\":\"web\",\"stream\":\"exec\",\"request\":{\"argv\":[\"a\"],\"rows\":99999}}",
		  "rows and cols" },
		{ "{\"id\":1,\"vm\":\"web\",\"stream\":\"exec\",\"request\":{\"argv\":[\"a\"],\"root\":true}}",
		  "unknown member" },
	};

	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) error = NULL;
		struct packet_request request;

		g_assert_false(packet_request_parse(rows[i].text, strlen(rows[i].text), &request, &error));
		g_assert_error(error, POLDER_ERROR, POLDER_ERROR_INVALID);
		if (!strstr(error->message, rows[i].part))
			g_error("row %u: \"%s\" lacks \"%s\"", i, error->message, rows[i].part);
		g_assert_cmpuint(request.id, ==, 1);
		packet_request_clear(&request);
	}
}

static void test_garbage_closes(void)
{
	static const char *const rows[] = { "garbage", "[]", "{}", "{\"id\":0}", "{\"id\":\"1\"}", "\xff\xfe" };

	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct pair pair;

		pair_init(&pair, FALSE);
		g_assert_cmpint(send(pair.raw, rows[i], strlen(rows[i]), 0), >, 0);
		wait_for(&pair.closed);
		pair_clear(&pair);
	}
}

static void test_overlong_closes(void)
{
	g_autofree char *packet = g_strnfill(LIMIT_EXEC_REQUEST_BYTES * 2, ' ');
	struct pair pair;

	pair_init(&pair, FALSE);
	g_assert_cmpint(send(pair.raw, packet, LIMIT_EXEC_REQUEST_BYTES * 2, 0), >, 0);
	wait_for(&pair.closed);
	pair_clear(&pair);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/agent/link/streams", test_streams);
	g_test_add_func("/agent/link/too-large", test_too_large);
	g_test_add_func("/agent/link/agent-goes", test_agent_goes);
	g_test_add_func("/agent/link/cancel", test_cancel);
	g_test_add_func("/agent/link/waits-for-adoption", test_waits_for_adoption);
	g_test_add_func("/agent/link/daemon-goes", test_daemon_goes);
	g_test_add_func("/agent/link/hostile-requests", test_hostile_requests);
	g_test_add_func("/agent/link/garbage-closes", test_garbage_closes);
	g_test_add_func("/agent/link/overlong-closes", test_overlong_closes);
	return g_test_run();
}
