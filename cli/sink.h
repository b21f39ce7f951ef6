/* Output to a descriptor that is shared with the shell, and so can't be made non-blocking: at most PIPE_BUF bytes are written
 * whenever poll() says so, which never blocks. The rest waits in a queue. */
#pragma once

#include <glib.h>

struct sink {
	int fd;
	/* Told after each write, and once when its reader has gone; what comes then is dropped. */
	void (*written)(guint64 bytes, gpointer user_data);
	void (*broke)(gpointer user_data);
	gpointer user_data;
	GByteArray *queue; /* the rest is the sink's own */
	guint source;
	gboolean broken;
};

/* sink_init(sink): fd and callbacks are set. */
void sink_init(struct sink *sink);
void sink_clear(struct sink *sink);

/* sink_put(sink, data, bytes): write it, now or later. */
void sink_put(struct sink *sink, const guint8 *data, gsize bytes);
