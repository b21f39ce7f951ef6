/* The QEMU guest agent's protocol: one JSON object a line each way, one command at a time.
 * (QEMU docs/interop/qemu-ga-ref.) The agent keeps no connections: what it answers may be meant for whoever asked before
 * us, so a guest-sync-delimited with a random id comes first, and again after anything odd.
 *
 *   OFF ──qga_port_opened(TRUE)──▶ SYNCING ──id echoed──▶ IDLE ◀──answer──▶ BUSY
 *                                    ▲ │ deadline: wait, again     deadline, garbage, link lost │
 *                                    └─┴────────────────────────────────────────────────────────┘
 *
 * Only while something was asked is anything read, and then at most QGA_ANSWER_BYTES_MAX: a guest that floods is stopped
 * by its own full port. */
#pragma once

#include <json-glib/json-glib.h>

struct qga;

#define QGA_COMMANDS_MAX     256u               /* waiting at a time */
#define QGA_ANSWER_BYTES_MAX (4u * 1024 * 1024) /* read for one command, garbage included */

struct qga_events {
	/* On each change, from the main loop: the agent answered a sync and a ping, or stopped answering. */
	void (*ready)(gboolean ready, gpointer user_data);
};

/* An answer: `result` is its "return" (borrowed), or NULL with error: FAILED with the agent's own words, TIMEOUT,
 * UNAVAILABLE, CORRUPT, TOO_LARGE. */
typedef void (*qga_callback)(JsonNode *result, const GError *error, gpointer user_data);

/* qga_new(run_dir, events, user_data): speaks on run_dir/guest.sock. */
struct qga *qga_new(const char *run_dir, const struct qga_events *events, gpointer user_data);

/* qga_free(qga): callbacks of waiting commands are not called. NULL is fine. */
void qga_free(struct qga *qga);

/* qga_port_opened(qga, open): as guest_port_opened(). */
void qga_port_opened(struct qga *qga, gboolean open);
/* qga_is_ready(qga): it answered a sync and a ping, and has not stopped answering. */
gboolean qga_is_ready(const struct qga *qga);

/* qga_command(qga, execute, arguments, callback, user_data): queue a command; `arguments` (nullable) is taken. Its
 * callback is called once, from the main loop; LIMIT_GUEST_TIMEOUT_MS after it was sent at the latest. Returns its number
 * for qga_cancel. */
guint64 qga_command(struct qga *qga, const char *execute, JsonObject *arguments, qga_callback callback,
		    gpointer user_data);

/* qga_cancel(qga, number): its callback is not called any more; it may still be carried out. */
void qga_cancel(struct qga *qga, guint64 number);

/* qga_post(qga, execute): send a command that is never answered, now. FALSE when the agent is not ready. */
gboolean qga_post(struct qga *qga, const char *execute);

/* qga_set_timing(qga, timeout_ms, backoff_ms): another deadline than LIMIT_GUEST_TIMEOUT_MS, and another time after a
 * first failure until it is tried again (doubled from then on): for tests, which wait for both. */
void qga_set_timing(struct qga *qga, guint timeout_ms, guint backoff_ms);
