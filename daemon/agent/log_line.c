#include "daemon/agent/log_line.h"

#include <stdio.h>
#include <string.h>

/* A message may quote what came from outside: no quoted line end or escape sequence gets through. */
char *log_line_format(const char *message)
{
	g_autofree char *text = g_utf8_make_valid(message, -1);

	for (char *c = text; *c; c++) {
		if (g_ascii_iscntrl(*c))
			*c = ' ';
	}
	return g_strconcat("polder-agent: ", text, NULL);
}

GLogWriterOutput log_line_write(GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer user_data)
{
	const char *message = "";

	if (level & (G_LOG_LEVEL_DEBUG | G_LOG_LEVEL_INFO))
		return G_LOG_WRITER_HANDLED;
	for (gsize i = 0; i < n_fields; i++) {
		/* A negative length: NUL-terminated, which is all that GLib's own macros make. */
		if (strcmp(fields[i].key, "MESSAGE") == 0 && fields[i].length < 0)
			message = fields[i].value;
	}
	g_autofree char *line = log_line_format(message);
	fprintf(stderr, "%s\n", line);
	return G_LOG_WRITER_HANDLED;
}
