/* How long vCPUs waited after they woke, as an SVG drawing: for each strategy the share of wake-ups that waited longer, both
 * axes logarithmic, so that p99 and p99.9 are as easy to read as the median. One panel for the strategies themselves, one
 * for their projections. Readable on light and dark ground, the same bytes for the same runs. */
#pragma once

#include "lab/scheduling/engine.h"

enum latency_panel { LATENCY_IDEAL, LATENCY_PROJECTED, LATENCY_PANELS };

struct latency;
/* latency_new(title): nothing in it yet. */
struct latency *latency_new(const char *title);
void latency_free(struct latency *latency); /* NULL is fine */

/* latency_add(latency, panel, name, totals): one run of the strategy `name`; copied. Of vCPUs with a latency target where there
 * are any, else of all. Colours go by name, in the order first added. */
void latency_add(struct latency *latency, enum latency_panel panel, const char *name,
		 const struct engine_totals *totals);

/* latency_svg(latency): the document. Caller frees. */
char *latency_svg(const struct latency *latency);
