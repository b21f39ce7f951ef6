/* One line of QEMU's monitor protocol (QMP), taken apart. QEMU runs hostile guests, so what it says is hostile too. */
#pragma once

#include <json-glib/json-glib.h>

enum qmp_kind { QMP_GREETING, QMP_RETURN, QMP_ERROR, QMP_EVENT };

struct qmp_message {
	enum qmp_kind kind;
	JsonNode *root;   /* owns everything below */
	gint64 id;        /* RETURN, ERROR: of the command; -1 when absent (a line QEMU couldn't parse) */
	JsonNode *value;  /* RETURN: what it returned. Borrowed */
	const char *name; /* EVENT: "STOP"; ERROR: the class. Borrowed */
	const char *text; /* ERROR: the description. Borrowed */
	JsonObject *data; /* EVENT: its data, or NULL. Borrowed */
};

/* qmp_message_parse(line, bytes, message, error): one line without its end. POLDER_ERROR_INVALID for anything that is
 * not a QMP message; bytes over LIMIT_QMP_LINE_BYTES are TOO_LARGE. Clear the message after TRUE only. */
gboolean qmp_message_parse(const char *line, gsize bytes, struct qmp_message *message, GError **error);
void qmp_message_clear(struct qmp_message *message);

/* Members of a hostile object: NULL or the fallback when absent or of another type. */
const char *qmp_string(JsonObject *object, const char *name);
gboolean qmp_boolean(JsonObject *object, const char *name, gboolean fallback);
JsonObject *qmp_object(JsonObject *object, const char *name);
