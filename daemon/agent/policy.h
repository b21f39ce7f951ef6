/* The agent's decisions that need no state: when to restart, how to stop, what an end means. Pure functions. */
#pragma once

#include <glib.h>

#include "daemon/engine/engine.h"

#define RESTART_RESET_MS 60000u /* a VM that ran so long starts its backoff anew */

/* restart_delay_ms(failures): how long to wait before the next start after `failures` earlier ones in a row:
 * LIMIT_RESTART_BACKOFF_MIN_MS, doubled each time, at most LIMIT_RESTART_BACKOFF_MAX_MS. */
guint64 restart_delay_ms(guint failures);

/* restart_failures(failures, ran_ms): how many ends in a row still count after it ran for `ran_ms`. */
guint restart_failures(guint failures, guint64 ran_ms);

/* end_state(…): what an ended VM becomes: VM_STATE_STOPPED, VM_STATE_FAILED or VM_STATE_RESTARTING.
 * asked: the plan wanted it to end. killed: we killed it to reach that. */
struct end {
	enum engine_exit_cause cause;
	gboolean asked, killed;
};
enum vm_state end_state(const struct end *end, enum vm_restart policy);

/* ---- How to stop: the guest agent at once, ACPI after a third of the time, kill at its end. ---- */

enum stop_action { STOP_WAIT, STOP_AGENT, STOP_ACPI, STOP_KILL };

struct stop_ladder {
	gint64 begun_us, deadline_us; /* monotonic */
	gint64 killed_us;             /* 0: not yet */
	gboolean agent_tried, agent_refused, acpi_tried;
};

/* stop_next(ladder, now_us, again_us): what to do now; with STOP_WAIT, *again_us says when to ask again. The caller
 * carries the action out and notes it in the ladder (stop_done). A kill that was not followed by an end is repeated. */
enum stop_action stop_next(const struct stop_ladder *ladder, gint64 now_us, gint64 *again_us);
void stop_done(struct stop_ladder *ladder, enum stop_action action, gboolean possible, gint64 now_us);
