/* The packets of the request link (see link.h): built and parsed here for both of its ends. Everything parsed is
 * hostile: polderd handles what comes from outside, the agent handles guests. */
#pragma once

#include <gio/gio.h>

#include "daemon/agent/link.h"
#include "daemon/engine/engine.h"

#define PACKET_ANSWER_BYTES 8192u

/* packet_receive(fd, buffer, size, &passed): one packet and the fd passed with it (-1: none). Answers its bytes, 0 at
 * the end of the link, or a negative errno; -EMSGSIZE when it was longer than `size` (its fds are closed). */
ssize_t packet_receive(int fd, char *buffer, gsize size, int *passed);

/* ---- Request ---- */

/* packet_request_build(id, request, error): TOO_LARGE over LIMIT_EXEC_REQUEST_BYTES, INVALID when exec's JSON is not
 * an object. Caller unrefs. */
GBytes *packet_request_build(guint64 id, const struct agent_stream_request *request, GError **error);

struct packet_request {
	guint64 id;
	char *vm;
	gboolean is_cpu, is_cpu_record; /* of no VM: the figures of all CPUs; what was recorded of them */
	struct engine_stream stream;
	char *exec; /* what stream.request points to */
};
/* packet_request_parse(text, bytes, out, error): every member is checked: known names only, a valid VM name, a known
 * stream, an exec request of the documented shape. On error out->id is still what could be read, 0 when nothing. */
gboolean packet_request_parse(const char *text, gsize bytes, struct packet_request *out, GError **error);
void packet_request_clear(struct packet_request *request);

/* exec_request_check(object, error): STREAM_OPEN's JSON: argv (1 … LIMIT_EXEC_ARGS strings, the first not empty),
 * env ("K=V"), cwd (absolute), tty, rows, cols; nothing else. */
gboolean exec_request_check(JsonObject *object, GError **error);

/* ---- Answer ---- */

struct packet_answer {
	guint64 id;
	char *code, *message; /* code NULL: a stream was passed */
};
/* packet_answer_build(id, error): error NULL: a stream is passed with it. Caller unrefs. */
GBytes *packet_answer_build(guint64 id, const GError *error);
gboolean packet_answer_parse(const char *text, gsize bytes, struct packet_answer *out, GError **error);
void packet_answer_clear(struct packet_answer *answer);
