/* What a platform does for the table strategy: a plan of all reservations at admission (core/scheduling/table.h). Reservations
 * are admitted in order, each when there is a plan with it; the others are refused, and run in time left over. */
#pragma once

#include <glib.h>

#include "core/scheduling/scheduling.h"

struct plan;

/* plan_new(strategy): NULL when the strategy needs none. */
struct plan *plan_new(const struct scheduling_strategy *strategy);
void plan_free(struct plan *plan); /* NULL is fine */
typedef struct plan plan_auto;     /* for g_autoptr() */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(plan_auto, plan_free)

/* plan_strategy(plan): the strategy, with admission by plan; for one run, in the thread that made the plan, and one plan a
 * thread at a time. */
const struct scheduling_strategy *plan_strategy(const struct plan *plan);
