#include "daemon/agent/policy.h"

#include "daemon/model/limits.h"

#define KILL_AGAIN_US (5 * G_USEC_PER_SEC)

guint64 restart_delay_ms(guint failures)
{
	guint64 delay_ms = LIMIT_RESTART_BACKOFF_MIN_MS;

	for (guint i = 0; i < failures && delay_ms < LIMIT_RESTART_BACKOFF_MAX_MS; i++)
		delay_ms *= 2;
	return MIN(delay_ms, LIMIT_RESTART_BACKOFF_MAX_MS);
}

guint restart_failures(guint failures, guint64 ran_ms)
{
	return ran_ms >= RESTART_RESET_MS ? 0 : failures;
}

static gboolean is_failure(enum engine_exit_cause cause)
{
	return cause != ENGINE_EXIT_SHUTDOWN && cause != ENGINE_EXIT_STOPPED;
}

enum vm_state end_state(const struct end *end, enum vm_restart policy)
{
	gboolean failed = is_failure(end->cause);

	if (end->asked) {
		/* Asked to end and gone is success, whichever way it went, unless the guest broke on the way. */
		if (end->killed || (end->cause != ENGINE_EXIT_PANIC && end->cause != ENGINE_EXIT_CRASH))
			return VM_STATE_STOPPED;
		return VM_STATE_FAILED;
	}
	if (policy == VM_RESTART_ALWAYS || (policy == VM_RESTART_ON_FAILURE && failed))
		return VM_STATE_RESTARTING;
	return failed ? VM_STATE_FAILED : VM_STATE_STOPPED;
}

enum stop_action stop_next(const struct stop_ladder *ladder, gint64 now_us, gint64 *again_us)
{
	gint64 acpi_us = ladder->begun_us + (ladder->deadline_us - ladder->begun_us) / 3;

	if (ladder->killed_us) {
		*again_us = ladder->killed_us + KILL_AGAIN_US;
		return now_us >= *again_us ? STOP_KILL : STOP_WAIT;
	}
	if (now_us >= ladder->deadline_us)
		return STOP_KILL;
	if (!ladder->agent_tried)
		return STOP_AGENT;
	if (!ladder->acpi_tried && (ladder->agent_refused || now_us >= acpi_us))
		return STOP_ACPI;
	*again_us = ladder->acpi_tried ? ladder->deadline_us : acpi_us;
	return STOP_WAIT;
}

void stop_done(struct stop_ladder *ladder, enum stop_action action, gboolean possible, gint64 now_us)
{
	switch (action) {
	case STOP_AGENT:
		ladder->agent_tried = TRUE;
		ladder->agent_refused = !possible;
		break;
	case STOP_ACPI:
		ladder->acpi_tried = TRUE;
		break;
	case STOP_KILL:
		ladder->killed_us = now_us;
		break;
	case STOP_WAIT:
		break;
	}
}
