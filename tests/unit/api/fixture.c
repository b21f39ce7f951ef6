#include "tests/unit/api/fixture.h"

#include <glib-unix.h>
#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/api/record.h"
#include "daemon/model/limits.h"
#include "daemon/model/nouns.h"

void fixture_until(const gboolean *flag)
{
	fixture_wait(*flag);
}

void fixture_put(struct fixture *fixture, const char *key, const char *json)
{
	g_autoptr(GBytes) value = g_bytes_new(json, strlen(json));

	store_put_async(fixture->store, key, value, 0, NULL, NULL, NULL);
}

/* ---- The agent double ---- */

static guint64 number(GBytes *record, const char *name)
{
	struct record_value value = record_get(record, name);

	return value.bytes ? g_ascii_strtoull(value.json, NULL, 10) : 0;
}

static void agent_acts(struct fixture *fixture, const struct store_kv *plan)
{
	const char *name = plan->key + strlen("/plan/");
	g_autofree char *key = g_strconcat("/status/", name, NULL), *text = NULL;
	g_autofree char *uuid = record_value_string(record_get(plan->value, "uuid"));
	g_autofree char *desired = record_value_string(record_get(plan->value, "desired"));
	const char *state = !desired || strcmp(desired, "running") == 0 ? "running" : desired;

	if (record_value_is(record_get(plan->value, "remove"), "true")) {
		store_delete_async(fixture->store, key, NULL, NULL, NULL);
		return;
	}
	if (record_value_is(record_get(plan->value, "refused"), "true"))
		return;
	text = g_strdup_printf(
		"{\"uuid\":\"%s\",\"host\":\"h1\",\"state\":\"%s\",\"ready\":%s,\"run\":%" G_GUINT64_FORMAT
		",\"changed_at\":\"2026-01-02T03:04:05.000006Z\"}",
		uuid, state, strcmp(state, "running") == 0 ? "true" : "false", number(plan->value, "run"));
	fixture_put(fixture, key, text);
}

/* As the agent's cpu_control_figures(), or cpu_control_recording(): more than one piece. */
static int cpu_file(gboolean recording)
{
	static const char figures[] =
		"{\"time_us\":1,\"cpus\":2,\"strategy\":\"eevdf\",\"vcpus\":[],\"mechanisms\":[]}";
	g_autoptr(GString) text = g_string_new(recording ? "time_s,event,vm,vcpu\n" : figures);
	int fd = memfd_create("polder-test-cpu", MFD_CLOEXEC);

	for (guint i = 0; recording && i < FIXTURE_RECORDED_ROWS; i++)
		g_string_append_printf(text, "%u.000000,vcpu,web,0\n", i);
	g_assert_cmpint(write(fd, text->str, text->len), ==, (gssize)text->len);
	return fd;
}

static gboolean on_agent_request(int fd, GIOCondition condition, gpointer user_data)
{
	struct fixture *fixture = user_data;
	char packet[LIMIT_EXEC_REQUEST_BYTES + 1];
	ssize_t got = recv(fd, packet, sizeof(packet) - 1, MSG_DONTWAIT);
	g_autofree char *answer = NULL;
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec part;
	struct msghdr msg = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	g_autoptr(GBytes) record = NULL;
	int pair[2];

	if (got <= 0)
		return G_SOURCE_REMOVE;
	packet[got] = '\0';
	g_free(fixture->stream_request);
	fixture->stream_request = g_strdup(packet);
	if (strstr(packet, "\"stream\":\"cpu")) {
		pair[0] = -1;
		pair[1] = cpu_file(strstr(packet, "\"stream\":\"cpu-record\"") != NULL);
	} else {
		g_assert_cmpint(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), ==, 0);
	}
	if (fixture->stream_fd >= 0)
		close(fixture->stream_fd);
	fixture->stream_fd = pair[0];
	record = g_bytes_new(packet, (gsize)got);
	answer = g_strdup_printf("{\"id\":%" G_GUINT64_FORMAT "}", number(record, "id"));
	part.iov_base = answer;
	part.iov_len = strlen(answer);
	CMSG_FIRSTHDR(&msg)->cmsg_level = SOL_SOCKET;
	CMSG_FIRSTHDR(&msg)->cmsg_type = SCM_RIGHTS;
	CMSG_FIRSTHDR(&msg)->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), &pair[1], sizeof(int));
	g_assert_cmpint(sendmsg(fd, &msg, MSG_NOSIGNAL), >, 0);
	close(pair[1]);
	return G_SOURCE_CONTINUE;
}

/* ---- The daemon's inside ---- */

static void on_ready(gpointer user_data)
{
	struct fixture *fixture = user_data;

	fixture->ready = TRUE;
	control_ready(fixture->control);
}

static void on_changed(const struct store_kv *before, const struct store_kv *now, gint64 revision, gpointer user_data)
{
	struct fixture *fixture = user_data;

	control_changed(fixture->control, before, now);
	if (fixture->api)
		api_changed(fixture->api, before, now, revision);
	if (now && g_str_has_prefix(now->key, "/plan/") && !fixture->hold_statuses)
		agent_acts(fixture, now);
}

static void on_settled(gint64 revision, gpointer user_data)
{
	struct fixture *fixture = user_data;

	control_settled(fixture->control);
	if (fixture->api)
		api_settled(fixture->api, revision);
}

static void on_lost(gpointer user_data)
{
}

static void open_api(struct fixture *fixture, const struct fixture_options *options)
{
	g_autoptr(GSocketAddress) address = g_unix_socket_address_new(fixture->dirs.socket);
	g_autoptr(GError) error = NULL;
	struct api_config config = { .store = fixture->store,
				     .cache = fixture->cache,
				     .control = fixture->control,
				     .link = fixture->link,
				     .dirs = &fixture->dirs,
				     .agent_pid = 1,
				     .owner_uid = getuid(),
				     .group_gid = options->group_gid ? options->group_gid : (guint64)-1,
				     .lease_ms = options->lease_ms };

	fixture->listening =
		g_socket_new(G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT, &error);
	g_assert_no_error(error);
	g_assert_true(g_socket_bind(fixture->listening, address, FALSE, NULL));
	g_socket_set_listen_backlog(fixture->listening, 512);
	g_assert_true(g_socket_listen(fixture->listening, NULL));
	g_socket_set_blocking(fixture->listening, FALSE);
	fixture->api = api_new(&config, fixture->listening);
}

void fixture_init(struct fixture *fixture)
{
	static const struct fixture_options usual = { 0 };

	fixture_init_with(fixture, &usual);
}

void fixture_init_with(struct fixture *fixture, const struct fixture_options *options)
{
	static const struct store_cache_funcs funcs = { .ready = on_ready,
							.changed = on_changed,
							.settled = on_settled };
	g_autofree char *path = NULL;
	g_autoptr(GError) error = NULL;
	int pair[2];

	memset(fixture, 0, sizeof(*fixture));
	fixture->stream_fd = -1;
	fixture->dir = g_build_filename(options->parent ? options->parent : g_get_tmp_dir(), "polder-api-XXXXXX", NULL);
	g_assert_nonnull(g_mkdtemp(fixture->dir));
	dirs_init(&fixture->dirs, fixture->dir, NULL);
	g_assert_cmpint(g_mkdir_with_parents(fixture->dirs.run, 0700), ==, 0);
	path = g_build_filename(fixture->dir, "store.db", NULL);
	fixture->store = store_sqlite_open(path, NULL, &error);
	g_assert_no_error(error);
	g_assert_cmpint(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), ==, 0);
	fixture->link = agent_link_new(pair[0], on_lost, fixture);
	fixture->agent_fd = pair[1];
	fixture->agent_source = g_unix_fd_add(pair[1], G_IO_IN, on_agent_request, fixture);
	fixture_put(fixture, "/pool/default", "{\"name\":\"default\"}");
	fixture_put(fixture, "/image/tiny", "{\"name\":\"tiny\",\"source\":\"builtin\"}");
	fixture_put(fixture, "/host/h1",
		    "{\"name\":\"h1\",\"engines\":[\"qemu\",\"sim\"],\"cpus\":4,"
		    "\"memory_bytes\":8589934592}");
	fixture->cache = store_cache_new(fixture->store, "/", &funcs, fixture);
	fixture->control = control_new(fixture->store, fixture->cache);
	fixture_until(&fixture->ready);
	fixture_wait(store_cache_get(fixture->cache, "/host/h1"));
	open_api(fixture, options);
}

static void remove_tree(const char *path)
{
	g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir))) {
		g_autofree char *child = g_build_filename(path, name, NULL);

		remove_tree(child);
	}
	g_remove(path);
}

void fixture_clear(struct fixture *fixture)
{
	api_free(fixture->api);
	control_free(fixture->control);
	store_cache_free(fixture->cache);
	agent_link_free(fixture->link);
	g_clear_handle_id(&fixture->agent_source, g_source_remove);
	close(fixture->agent_fd);
	if (fixture->stream_fd >= 0)
		close(fixture->stream_fd);
	store_unref(fixture->store);
	while (g_main_context_iteration(NULL, FALSE))
		;
	g_object_unref(fixture->listening);
	remove_tree(fixture->dir);
	dirs_clear(&fixture->dirs);
	g_free(fixture->stream_request);
	g_free(fixture->dir);
}

/* ---- Clients ---- */

int fixture_connect(struct fixture *fixture)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	g_assert_cmpint(fd, >=, 0);
	g_assert_cmpuint(strlen(fixture->dirs.socket), <, sizeof(address.sun_path));
	strcpy(address.sun_path, fixture->dirs.socket);
	g_assert_cmpint(connect(fd, (struct sockaddr *)&address, sizeof(address)), ==, 0);
	return fd;
}

/* FALSE: the server closed; that is its right when it has answered. */
static gboolean send_all(int fd, const char *data, gsize bytes)
{
	while (bytes) {
		ssize_t sent = send(fd, data, bytes, MSG_NOSIGNAL);

		if (sent <= 0)
			return FALSE;
		data += sent;
		bytes -= (gsize)sent;
	}
	return TRUE;
}

static void send_filler(int fd, const struct call *call)
{
	static const char zeros[65536];

	for (gsize left = call->filler; left;) {
		gsize part = MIN(left, sizeof(zeros));
		g_autofree char *size = g_strdup_printf("%zx\r\n", part);

		if ((call->chunked && !send_all(fd, size, strlen(size))) || !send_all(fd, zeros, part) ||
		    (call->chunked && !send_all(fd, "\r\n", 2)))
			return;
		left -= part;
	}
	if (call->chunked)
		send_all(fd, "0\r\n\r\n", 5);
}

static char *dechunk(const char *data, gsize bytes, gsize *out_bytes)
{
	GString *out = g_string_new(NULL);
	const char *at = data, *end = data + bytes;

	while (at < end) {
		char *after;
		guint64 size = g_ascii_strtoull(at, &after, 16);

		if (size == 0 || after + 2 + size > end)
			break;
		g_string_append_len(out, after + 2, (gssize)size);
		at = after + 2 + size + 2;
	}
	*out_bytes = out->len;
	return g_string_free(out, FALSE);
}

static void parse_answer(struct call *call, GByteArray *all)
{
	const char *text, *body;

	g_byte_array_append(all, (const guint8 *)"", 1);
	text = (const char *)all->data;
	body = strstr(text, "\r\n\r\n");
	if (!body || !g_str_has_prefix(text, "HTTP/1."))
		return;
	call->status = (guint)g_ascii_strtoull(text + strlen("HTTP/1.1 "), NULL, 10);
	call->headers = g_strndup(text, (gsize)(body - text));
	body += 4;
	call->answer_bytes = all->len - 1 - (gsize)(body - text);
	if (strstr(call->headers, "Transfer-Encoding: chunked"))
		call->answer = dechunk(body, call->answer_bytes, &call->answer_bytes);
	else
		call->answer = g_strndup(body, call->answer_bytes);
}

static gpointer call_thread(gpointer user_data)
{
	struct call *call = user_data;
	gsize body_bytes = call->body ? strlen(call->body) : 0;
	g_autofree char *length = g_strdup_printf("Content-Length: %zu", body_bytes + call->filler);
	g_autofree char *head =
		call->head ? g_strdup(call->head)
			   : g_strdup_printf("%s %s HTTP/1.1\r\nHost: polder\r\n%s\r\n\r\n", call->method, call->path,
					     call->chunked ? "Transfer-Encoding: chunked" : length);
	g_autoptr(GByteArray) all = g_byte_array_new();
	int fd = fixture_connect(call->fixture);
	guint8 buffer[65536];
	ssize_t got;

	if (send_all(fd, head, strlen(head)) && call->body)
		send_all(fd, call->body, body_bytes);
	if (call->filler)
		send_filler(fd, call);
	while ((got = recv(fd, buffer, sizeof(buffer), 0)) > 0)
		g_byte_array_append(all, buffer, (guint)got);
	close(fd);
	parse_answer(call, all);
	g_atomic_int_set(&call->done, 1);
	g_main_context_wakeup(NULL);
	return NULL;
}

void call_begin(struct call *call)
{
	call->thread = g_thread_new("client", call_thread, call);
}

void call_end(struct call *call)
{
	fixture_wait(g_atomic_int_get(&call->done));
	g_thread_join(call->thread);
}

void call_clear(struct call *call)
{
	g_free(call->headers);
	g_free(call->answer);
	g_free(call->head);
}

JsonNode *http(struct fixture *fixture, const char *method, const char *path, const char *body, guint *status)
{
	struct call call = { .fixture = fixture, .method = method, .path = path, .body = body };
	g_autoptr(GError) error = NULL;
	JsonNode *node;

	call_begin(&call);
	call_end(&call);
	*status = call.status;
	g_assert_nonnull(call.headers);
	if (strstr(call.headers, "json"))
		g_assert_nonnull(strstr(call.headers, call.status >= 400 ? "Content-Type: application/problem+json"
									 : "Content-Type: application/json"));
	node = json_parse_bounded(call.answer, call.answer_bytes, &error);
	if (strstr(call.headers, "json"))
		g_assert_no_error(error);
	call_clear(&call);
	return node;
}

JsonObject *http_expect(struct fixture *fixture, const char *request, const char *body, guint status, const char *code)
{
	g_auto(GStrv) parts = g_strsplit(request, " ", 2);
	g_autoptr(JsonNode) node = NULL;
	guint got;

	node = http(fixture, parts[0], parts[1], body, &got);
	if (got != status)
		g_test_message("%s: %u %s", request, got, node ? json_to_string(node, FALSE) : "");
	g_assert_cmpuint(got, ==, status);
	g_assert_nonnull(node);
	if (code)
		g_assert_cmpstr(json_object_get_string_member(json_node_get_object(node), "code"), ==, code);
	return json_node_dup_object(node);
}
