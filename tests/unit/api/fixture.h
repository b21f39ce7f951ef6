/* A real API on a temporary socket: real store, cache, control and routes; only the agent is a double, which writes the
 * statuses that an agent would. Clients run in threads of their own while the test iterates the main loop. */
#pragma once

#include <gio/gio.h>
#include <json-glib/json-glib.h>

#include "daemon/api/api.h"
#include "daemon/control/control.h"

#define FIXTURE_RECORDED_ROWS 10000 /* of GET /v1/trace/scheduling */

struct fixture {
	char *dir;
	struct dirs dirs;
	struct store *store;
	struct store_cache *cache;
	struct control *control;
	struct api *api;
	GSocket *listening;
	struct agent_link *link;
	int agent_fd; /* the double's end of the request link */
	guint agent_source;
	int stream_fd;          /* the double's end of the last stream asked for; -1: none */
	char *stream_request;   /* the packet that asked */
	gboolean hold_statuses; /* the agent is slow: it writes nothing */
	gboolean ready;
};

/* What is unusual about it; zero: nothing. */
struct fixture_options {
	const char *parent; /* directory to make its own in; NULL: the temporary one */
	guint lease_ms;     /* of throwaway VMs */
	guint64 group_gid;  /* whose members may use the API; 0: none */
};

void fixture_init(struct fixture *fixture);
void fixture_init_with(struct fixture *fixture, const struct fixture_options *options);
void fixture_clear(struct fixture *fixture);

/* fixture_until(flag): iterate until *flag, at most 30 s. */
void fixture_until(const gboolean *flag);
#define fixture_wait(condition)                                                      \
	do {                                                                         \
		gint64 wait_deadline = g_get_monotonic_time() + 30 * G_USEC_PER_SEC; \
		while (!(condition)) {                                               \
			g_assert_cmpint(g_get_monotonic_time(), <, wait_deadline);   \
			if (!g_main_context_iteration(NULL, FALSE))                  \
				g_usleep(200);                                       \
		}                                                                    \
	} while (0)

void fixture_put(struct fixture *fixture, const char *key, const char *json);

/* ---- HTTP ---- */

struct call {
	struct fixture *fixture;
	char *head; /* the whole request's head, or NULL: made from method, path and body */
	const char *method, *path, *body;
	gsize filler; /* bytes of zeros to send as body instead */
	gboolean chunked;
	GThread *thread;
	gint done;
	guint status;
	char *headers, *answer;
	gsize answer_bytes;
};
void call_begin(struct call *call);
void call_end(struct call *call); /* iterates until it is answered */
void call_clear(struct call *call);

/* http(fixture, method, path, body): one request; its JSON answer (caller unrefs) or NULL; *status. */
JsonNode *http(struct fixture *fixture, const char *method, const char *path, const char *body, guint *status);
/* http_expect: the same, and the status must be this one. For problems, `code` is checked when not NULL. */
JsonObject *http_expect(struct fixture *fixture, const char *request, const char *body, guint status, const char *code);

int fixture_connect(struct fixture *fixture); /* a blocking socket to the API */

/* ---- Schemas (schema.c) ---- */

/* schema_check(document, schema, value, where): NULL when `value` is valid, else what is wrong. Caller frees. */
char *schema_check(JsonObject *document, JsonObject *schema, JsonNode *value, const char *where);
