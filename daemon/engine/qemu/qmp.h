/* A client of one QEMU's monitor (QMP): commands with deadlines, events, bounded memory, never blocking.
 *
 *   open ──garbage, too long a line, end of file, a command without answer in time, qmp_fail()──▶ closed
 *
 * Closed is final: every command under way ends with the error, then `closed` is called, once. The VM is not touched;
 * make a new client to try again. QEMU serves one client at a time: another is greeted when the first is gone.
 * Events are not replayed: after connecting, ask for the state. Callbacks come from the main loop, never inside a call
 * of this file except qmp_free(), which calls nothing. */
#pragma once

#include <gio/gio.h>
#include <json-glib/json-glib.h>

struct qmp;

struct qmp_events {
	void (*event)(const char *name, JsonObject *data, gpointer user_data); /* data may be NULL; both borrowed */
	void (*closed)(const GError *error, gpointer user_data);
};

/* Exactly one of value and error. Borrowed. */
typedef void (*qmp_reply_func)(JsonNode *value, const GError *error, gpointer user_data);

/* qmp_new(fd, timeout_ms, events, user_data): takes a connected stream socket; the capabilities are negotiated at once
 * (commands may be sent right away: QEMU reads them in order). timeout_ms is each command's deadline. */
struct qmp *qmp_new(int fd, guint timeout_ms, const struct qmp_events *events, gpointer user_data);
void qmp_free(struct qmp *qmp); /* NULL is fine; may be called inside a callback */

/* qmp_send(qmp, command, reply, user_data): `command` is QMP's name of it, without arguments (none of ours takes any).
 * reply may be NULL; it comes in any case, except after qmp_free(). */
void qmp_send(struct qmp *qmp, const char *command, qmp_reply_func reply, gpointer user_data);
