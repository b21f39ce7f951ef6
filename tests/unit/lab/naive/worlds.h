/* Small random worlds for the naive simulator and the real one. */
#pragma once

#include "core/scheduling/scheduling.h"
#include "tests/unit/lab/naive/naive.h"

#include <glib.h>

#define WORLD_TICK_NS G_GINT64_CONSTANT(100000)
#define WORLD_HORIZON 2000 /* ticks */

/* What is compared, and which of the tasks' properties mean something there. */
struct world_kind {
	const char *name; /* of the test */
	const char *strategy;
	enum naive_algorithm algorithm;
	gboolean kernel; /* the strategy's projection on the model of the kernel */
	gint cpus_max;
	gboolean limits, requests, latencies, reservations, jobs;
	gboolean sleeps_never; /* no sleep: nothing is rounded, and every tick is compared */
	const char *slice;     /* the parameter that says how long a turn is, in µs; NULL: none */
	gint slice_least, slice_most;
};

/* world_random(kind, rand, sim): a world of this kind. */
void world_random(const struct world_kind *kind, GRand *rand, struct naive *sim);

struct world_outcome {
	gboolean same;
	gint ticks;  /* that were compared */
	gint misses; /* of deadlines, in what was compared to the end */
};
/* world_compare(kind, sim, window): runs both; tells the first difference as both schedules around it. `window`, in ticks:
 * of the engine's service windows, or 0. */
void world_compare(const struct world_kind *kind, struct naive *sim, gint window, struct world_outcome *outcome);
