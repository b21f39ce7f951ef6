/* A daemon's stand-in: an HTTP server on a unix socket, in a thread of its own. */
#pragma once

#include <libsoup/soup.h>

struct test_server;

/* test_server_new(setup, user_data): `setup` adds handlers, which run in the server's thread. */
struct test_server *test_server_new(void (*setup)(SoupServer *server, gpointer user_data), gpointer user_data);
void test_server_free(struct test_server *server);
const char *test_server_socket(const struct test_server *server);

/* answer(message, status, type, text): a handler's whole answer. */
void test_server_answer(SoupServerMessage *message, guint status, const char *type, const char *text);
