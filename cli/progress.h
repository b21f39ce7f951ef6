/* What takes longer than a moment, on stderr: a bar on a terminal, plain lines elsewhere. */
#pragma once

#include <glib.h>

struct progress;

/* progress_new(fd, title, quiet_ms): shows nothing in its first quiet_ms, so that what is quick stays silent. */
struct progress *progress_new(int fd, const char *title, guint quiet_ms);

/* progress_update(progress, percent, step): percent -1 when unknown; step may be NULL or "". */
void progress_update(struct progress *progress, int percent, const char *step);

/* progress_count(done, total, progress): as a lab's run tells it. */
void progress_count(guint done, guint total, gpointer progress);

/* progress_free(progress): takes a bar off the terminal again. NULL is fine. */
void progress_free(struct progress *progress);
