/* What the daemon answers, or does not, becomes the right error. */
#include "cli/client.h"

#include <string.h>

#include "daemon/model/error.h"
#include "tests/unit/cli/server.h"

static void handle(SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
		   gpointer user_data)
{
	static const char problem[] = "{\"type\":\"about:blank\",\"title\":\"No capacity\",\"status\":409,"
				      "\"code\":\"no-capacity\",\"detail\":\"no host can take web: memory\"}";

	if (strcmp(path, "/v1/good") == 0)
		test_server_answer(message, 200, "application/json", "{\"vms\":[]}");
	else if (strcmp(path, "/v1/echo") == 0) {
		g_autofree char *text = g_strndup(soup_server_message_get_request_body(message)->data,
						  (gsize)soup_server_message_get_request_body(message)->length);

		test_server_answer(message, 201, "application/json", text);
	} else if (strcmp(path, "/v1/nothing") == 0)
		soup_server_message_set_status(message, 204, NULL);
	else if (strcmp(path, "/v1/problem") == 0)
		test_server_answer(message, 409, "application/problem+json", problem);
	else if (strcmp(path, "/v1/plain") == 0)
		test_server_answer(message, 404, "text/html", "<html>");
	else if (strcmp(path, "/v1/odd") == 0)
		test_server_answer(message, 418, "application/problem+json", "{\"code\":7,\"detail\":[]}");
	else if (strcmp(path, "/v1/garbage") == 0)
		test_server_answer(message, 200, "application/json", "{\"vms\":");
	else if (strcmp(path, "/v1/hangup") == 0) {
		g_autoptr(GIOStream) stream = soup_server_message_steal_connection(message);

		g_io_stream_close(stream, NULL, NULL);
	}
}

static void setup(SoupServer *server, gpointer user_data)
{
	soup_server_add_handler(server, NULL, handle, NULL, NULL);
}

static void assert_fails(struct client *client, const char *path, int code, const char *says)
{
	g_autoptr(GError) error = NULL, read_error = NULL;
	g_autoptr(JsonNode) node = client_get(client, &error, "%s", path);
	g_autoptr(GInputStream) stream = NULL;

	g_assert_null(node);
	g_assert_error(error, POLDER_ERROR, code);
	g_assert_nonnull(strstr(error->message, says));
	if (strcmp(path, "/v1/garbage") == 0)
		return;
	stream = client_read(client, path, &read_error);
	g_assert_null(stream);
	g_assert_error(read_error, POLDER_ERROR, code);
}

static void test_errors(void)
{
	struct test_server *server = test_server_new(setup, NULL);
	struct client *client = client_open_socket(test_server_socket(server));

	assert_fails(client, "/v1/problem", POLDER_ERROR_NO_CAPACITY, "no host can take web");
	assert_fails(client, "/v1/plain", POLDER_ERROR_NOT_FOUND, "404");
	assert_fails(client, "/v1/odd", POLDER_ERROR_INVALID, "418");
	assert_fails(client, "/v1/garbage", POLDER_ERROR_INVALID, "JSON");
	assert_fails(client, "/v1/hangup", POLDER_ERROR_UNAVAILABLE, "went away");
	client_close(client);
	test_server_free(server);
}

static void test_answers(void)
{
	struct test_server *server = test_server_new(setup, NULL);
	struct client *client = client_open_socket(test_server_socket(server));
	g_autoptr(GError) error = NULL;
	g_autoptr(JsonNode) good = client_get(client, &error, "/v1/%s", "good");
	g_autoptr(JsonNode) nothing = client_get(client, NULL, "/v1/nothing");
	g_autoptr(JsonNode) body = json_from_string("{\"name\":\"web\"}", NULL);
	g_autoptr(JsonNode) echo = client_call(
		client, &(struct client_request) { .method = "POST", .path = "/v1/echo", .body = body }, NULL);
	g_autoptr(GInputStream) stream = client_read(client, "/v1/good", NULL);
	char text[64] = "";

	g_assert_no_error(error);
	g_assert_true(json_object_has_member(json_node_get_object(good), "vms"));
	g_assert_cmpuint(json_object_get_size(json_node_get_object(nothing)), ==, 0);
	g_assert_true(json_node_equal(echo, body));
	g_assert_true(g_input_stream_read_all(stream, text, sizeof(text) - 1, NULL, NULL, NULL));
	g_assert_cmpstr(text, ==, "{\"vms\":[]}");
	g_clear_object(&stream);
	client_close(client);
	test_server_free(server);
}

static void test_nobody(void)
{
	struct client *client = client_open_socket("/nonexistent/polder.sock");

	assert_fails(client, "/v1/good", POLDER_ERROR_UNAVAILABLE, "/nonexistent/polder.sock");
	client_close(client);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/client/errors", test_errors);
	g_test_add_func("/client/answers", test_answers);
	g_test_add_func("/client/nobody", test_nobody);
	return g_test_run();
}
