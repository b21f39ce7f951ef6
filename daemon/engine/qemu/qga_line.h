/* Reading what a guest agent says: lines out of bytes, answers out of lines, facts out of answers. All of it hostile. */
#pragma once

#include <json-glib/json-glib.h>

enum qga_line {
	QGA_LINE_NONE, /* no whole line yet */
	QGA_LINE_TEXT,
	QGA_LINE_TOO_LONG, /* over LIMIT_GUEST_LINE_BYTES: said once, then dropped to its end */
};

struct qga_lines {
	GByteArray *bytes;
	gsize head;    /* bytes at the start that were taken */
	gsize scanned; /* bytes after it that hold no end of a line */
	gboolean dropping;
};

void qga_lines_init(struct qga_lines *lines);
void qga_lines_clear(struct qga_lines *lines);
void qga_lines_reset(struct qga_lines *lines);
void qga_lines_feed(struct qga_lines *lines, const guint8 *data, gsize bytes);

/* qga_lines_next(lines, line): the next line without its end (caller frees). A 0xFF byte, the agent's delimiter, starts a
 * line anew. Empty lines are skipped. */
enum qga_line qga_lines_next(struct qga_lines *lines, char **line);

/* qga_answer_parse(line, error): {"return":X}. Returns X (caller unrefs; of type null when it is null); NULL with error:
 * FAILED with the agent's description for {"error":…}, CORRUPT for anything else. */
JsonNode *qga_answer_parse(const char *line, GError **error);

/* qga_addresses_parse(result): of guest-network-get-interfaces: numeric addresses, neither loopback nor link-local nor
 * unspecified nor multicast, each once, at most GUEST_ADDRESSES_MAX. Never NULL; empty when there are none. */
char **qga_addresses_parse(JsonNode *result);

/* Of guest-exec-status. Output that is not base64 reads as none. */
struct qga_exec_status {
	gboolean exited, truncated;
	guint32 status;    /* 0–255, or 128+signal */
	GBytes *out, *err; /* nullable */
};
gboolean qga_exec_status_parse(JsonNode *result, struct qga_exec_status *status, GError **error);
void qga_exec_status_clear(struct qga_exec_status *status);

/* qga_pid_parse(result, pid, error): of guest-exec. */
gboolean qga_pid_parse(JsonNode *result, gint64 *pid, GError **error);
