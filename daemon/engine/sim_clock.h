/* One timer for any number of simulated VMs: a heap of due times behind a single GSource. */
#pragma once

#include <glib.h>

struct sim_clock;

/* Embedded in what waits. Zeroed: waits for nothing. */
struct sim_alarm {
	gint64 due_us; /* monotonic */
	guint slot;    /* place in the heap + 1; 0: not set */
};

/* sim_clock_new(ring, user_data): ring(alarm) is called from the main loop when an alarm is due; it is not set then. At
 * most SIM_CLOCK_BATCH a turn, so that thousands due together do not keep everything else waiting. */
struct sim_clock *sim_clock_new(void (*ring)(struct sim_alarm *alarm));
void sim_clock_free(struct sim_clock *clock);
#define SIM_CLOCK_BATCH 256u

/* sim_clock_set(clock, alarm, due_us): set, or set to another time. */
void sim_clock_set(struct sim_clock *clock, struct sim_alarm *alarm, gint64 due_us);
/* sim_clock_cancel(clock, alarm): fine when it is not set. */
void sim_clock_cancel(struct sim_clock *clock, struct sim_alarm *alarm);
