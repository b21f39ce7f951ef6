#include "daemon/start/start.h"

#include <stdio.h>
#include <string.h>

GLogWriterOutput start_log_line(GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer user_data)
{
	g_autofree char *line = NULL;
	const char *message = "";

	if (level & (G_LOG_LEVEL_DEBUG | G_LOG_LEVEL_INFO))
		return G_LOG_WRITER_HANDLED;
	for (gsize i = 0; i < n_fields; i++) {
		if (strcmp(fields[i].key, "MESSAGE") == 0)
			message = fields[i].value;
	}
	/* A message may quote what came from outside. */
	line = g_strdelimit(g_strdup(message), "\r\n", ' ');
	fprintf(stderr, "polderd: %s\n", line);
	return G_LOG_WRITER_HANDLED;
}
