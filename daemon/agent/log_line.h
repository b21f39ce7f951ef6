/* What the agent logs: plain lines on stderr, which is polderd's log or the journal. */
#pragma once

#include <glib.h>

/* log_line_write: a GLogWriterFunc: "polder-agent: MESSAGE", one line each; nothing below messages. */
GLogWriterOutput log_line_write(GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer user_data);

/* log_line_format(message): the line, without its end. Caller frees. */
char *log_line_format(const char *message);
