/* Admission by plan, for strategies that want one (scheduling_strategy.plans): who is refused, and the table of the others. */
#pragma once

#include <glib.h>

#include "core/scheduling/table.h"

struct plan {
	struct scheduling_table table;
	gpointer memory;   /* of the table */
	gboolean *refused; /* by entity */
};

/* plan_make(plan, system): for the reservations of all entities of the system. Where they do not fit all, those that come first
 * by id are in. There is always a plan, be it an empty one. Clear it after. */
void plan_make(struct plan *plan, const struct scheduling_system *system);
void plan_clear(struct plan *plan); /* zeros are fine */
