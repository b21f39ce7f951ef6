#include "tests/unit/cli/server.h"

#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>
#include <string.h>

struct test_server {
	GThread *thread;
	GMainContext *context;
	GMainLoop *loop;
	char *dir, *socket;
	void (*setup)(SoupServer *server, gpointer user_data);
	gpointer user_data;
	GMutex mutex;
	GCond cond;
	gboolean ready;
};

static gboolean is_ready(gpointer user_data)
{
	struct test_server *server = user_data;

	g_mutex_lock(&server->mutex);
	server->ready = TRUE;
	g_cond_signal(&server->cond);
	g_mutex_unlock(&server->mutex);
	return G_SOURCE_REMOVE;
}

static gpointer serve(gpointer user_data)
{
	struct test_server *server = user_data;
	g_autoptr(GSocketAddress) address = g_unix_socket_address_new(server->socket);
	g_autoptr(GSocket) listener = NULL;
	g_autoptr(SoupServer) soup = NULL;
	g_autoptr(GError) error = NULL;
	g_autoptr(GSource) source = g_idle_source_new();

	g_main_context_push_thread_default(server->context);
	soup = soup_server_new(NULL, NULL);
	server->setup(soup, server->user_data);
	listener = g_socket_new(G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT, &error);
	g_assert_no_error(error);
	g_socket_bind(listener, address, TRUE, &error);
	g_assert_no_error(error);
	g_socket_listen(listener, &error);
	g_assert_no_error(error);
	soup_server_listen_socket(soup, listener, 0, &error);
	g_assert_no_error(error);
	g_source_set_callback(source, is_ready, server, NULL);
	g_source_attach(source, server->context);
	g_main_loop_run(server->loop);
	soup_server_disconnect(soup);
	while (g_main_context_iteration(server->context, FALSE))
		;
	g_main_context_pop_thread_default(server->context);
	return NULL;
}

struct test_server *test_server_new(void (*setup)(SoupServer *server, gpointer user_data), gpointer user_data)
{
	struct test_server *server = g_new0(struct test_server, 1);

	server->context = g_main_context_new();
	server->loop = g_main_loop_new(server->context, FALSE);
	server->dir = g_dir_make_tmp("polder-cli-XXXXXX", NULL);
	server->socket = g_build_filename(server->dir, "s", NULL);
	server->setup = setup;
	server->user_data = user_data;
	g_mutex_init(&server->mutex);
	g_cond_init(&server->cond);
	server->thread = g_thread_new("server", serve, server);
	g_mutex_lock(&server->mutex);
	while (!server->ready)
		g_cond_wait(&server->cond, &server->mutex);
	g_mutex_unlock(&server->mutex);
	return server;
}

static gboolean quit(gpointer loop)
{
	g_main_loop_quit(loop);
	return G_SOURCE_REMOVE;
}

void test_server_free(struct test_server *server)
{
	g_main_context_invoke(server->context, quit, server->loop);
	g_thread_join(server->thread);
	g_main_loop_unref(server->loop);
	g_main_context_unref(server->context);
	g_unlink(server->socket);
	g_rmdir(server->dir);
	g_mutex_clear(&server->mutex);
	g_cond_clear(&server->cond);
	g_free(server->dir);
	g_free(server->socket);
	g_free(server);
}

const char *test_server_socket(const struct test_server *server)
{
	return server->socket;
}

void test_server_answer(SoupServerMessage *message, guint status, const char *type, const char *text)
{
	soup_server_message_set_status(message, status, NULL);
	soup_server_message_set_response(message, type, SOUP_MEMORY_COPY, text, strlen(text));
}
