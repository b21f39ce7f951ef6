/* Who ran where and when, as an SVG drawing: a row a CPU. Readable on light and dark ground, the same bytes for the same run. */
#pragma once

#include "lab/scheduling/engine.h"

struct gantt;
struct gantt *gantt_new(const struct workload *workload, const char *title, gint64 from_ns, gint64 until_ns);
void gantt_free(struct gantt *gantt); /* NULL is fine */

/* gantt_observe(gantt, …): an engine_observer. */
void gantt_observe(gpointer gantt, gint64 now_ns, guint cpu, guint task);

/* gantt_svg(gantt): the document. Caller frees. */
char *gantt_svg(struct gantt *gantt);
