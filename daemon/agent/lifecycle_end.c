/* The end of a run: what it was, and which state follows. */
#include "daemon/agent/lifecycle_private.h"

#include "daemon/agent/facts.h"
#include "daemon/model/limits.h"
#include "daemon/model/units.h"

static char *end_reason(const struct vm_life *vm, const struct life_exit *ended)
{
	const struct stop_ladder *stopping = vm->stopping;

	if (vm->start_overdue) {
		g_autofree char *limit = duration_format(LIMIT_START_TIMEOUT_MS);

		return g_strdup_printf("killed: did not start within %s; see its log", limit);
	}
	if (stopping && stopping->killed_us && stopping->deadline_us > stopping->begun_us && vm->plan_stop_timeout_ms) {
		guint64 waited_ms = (stopping->deadline_us - stopping->begun_us) / 1000;
		g_autofree char *waited = duration_format(waited_ms < 1000 ? waited_ms : waited_ms / 1000 * 1000);

		return g_strdup_printf("killed after %s: the guest did not answer", waited);
	}
	if (stopping && stopping->killed_us)
		return g_strdup("killed, as asked");
	if (stopping && (ended->cause == ENGINE_EXIT_STOPPED || ended->cause == ENGINE_EXIT_SHUTDOWN))
		return g_strdup("stopped, as asked");
	return g_strdup(ended->reason);
}

/* A run directory whose end the store has already: an agent died after it wrote that and before it cleaned up. */
static gboolean end_is_recorded(const struct vm_life *vm, const struct life_exit *ended)
{
	if (vm->state != LIFE_ADOPTING)
		return FALSE;
	switch (vm->restored) {
	case LIFE_STOPPED:
	case LIFE_FAILED:
		return ended->cause == ENGINE_EXIT_LOST || ended->cause == ENGINE_EXIT_CUT_SHORT ||
		       ended->ended_at <= vm->ended_at;
	case LIFE_RESTARTING:
		return ended->cause == ENGINE_EXIT_CUT_SHORT || ended->ended_at <= vm->ended_at;
	default:
		return FALSE;
	}
}

static void forget_engine_vm(struct vm_life *vm)
{
	if (vm->engine_vm) {
		life_ops(vm)->vm_free(g_steal_pointer(&vm->engine_vm));
		vm->unclean = TRUE;
	}
	vm->engine_state = ENGINE_STATE_NONE;
	vm->ready = FALSE;
	g_clear_pointer(&vm->addresses, g_strfreev);
	g_clear_pointer(&vm->cpu_notes, g_strfreev);
}

static void wait_for_restart(struct vm_life *vm, const char *why)
{
	guint64 delay_ms = restart_delay_ms(vm->failures++);
	g_autofree char *delay = duration_format(delay_ms);
	g_autofree char *reason = g_strdup_printf("%s; starts again after %s", why ? why : "ended", delay);

	vm->restart_at_us = life_now_us(vm) + (gint64)delay_ms * 1000;
	life_set_state(vm, LIFE_RESTARTING, reason);
}

/* The agent before us ended in the middle of a start: that is no end of the VM, which has not executed anything. */
static gboolean is_cut_short(const struct vm_life *vm)
{
	return vm->exit->cause == ENGINE_EXIT_CUT_SHORT && vm->state == LIFE_ADOPTING && !life_wants_end(vm) &&
	       (vm->restored == LIFE_NEW || vm->restored == LIFE_PREPARING || vm->restored == LIFE_STARTING);
}

static gboolean start_over(struct vm_life *vm)
{
	life_exit_free(g_steal_pointer(&vm->exit));
	forget_engine_vm(vm);
	life_ops(vm)->clean(vm->engine->engine, vm->name);
	vm->unclean = FALSE;
	vm->restored = LIFE_NEW;
	return life_set_state(vm, LIFE_PREPARING, NULL);
}

gboolean life_end_run(struct vm_life *vm)
{
	if (is_cut_short(vm))
		return start_over(vm);

	struct life_exit *ended = g_steal_pointer(&vm->exit);
	gboolean recorded = end_is_recorded(vm, ended);
	gint64 ran_us = vm->running_since_us ? life_now_us(vm) - vm->running_since_us : 0;
	g_autofree char *reason = recorded ? g_strdup(vm->reason) : end_reason(vm, ended);
	struct end end = { .cause = vm->start_overdue ? ENGINE_EXIT_START_FAILED : ended->cause,
			   .asked = vm->state == LIFE_STOPPING || vm->restored == LIFE_STOPPING || life_wants_end(vm),
			   .killed = vm->stopping && vm->stopping->killed_us };
	enum vm_state next = end_state(&end, vm->plan_restart);

	forget_engine_vm(vm);
	g_clear_pointer(&vm->stopping, g_free);
	vm->failures = restart_failures(vm->failures, ran_us / 1000);
	vm->running_since_us = 0;
	vm->start_overdue = FALSE;
	if (recorded) {
		life_exit_free(ended);
		if (vm->restored == LIFE_RESTARTING)
			vm->restart_at_us = life_now_us(vm) + (gint64)restart_delay_ms(vm->failures) * 1000;
		return life_set_state(vm, vm->restored, reason);
	}
	vm->restored = LIFE_NEW;
	vm->ended_at = ended->ended_at ? ended->ended_at : g_get_real_time();
	vm->exit_status = ended->status;
	life_exit_free(ended);
	g_debug("vm %s ended: %s", vm->name, reason ? reason : "no reason given");
	if (next == VM_STATE_RESTARTING)
		wait_for_restart(vm, reason);
	else
		life_set_state(vm, next == VM_STATE_FAILED ? LIFE_FAILED : LIFE_STOPPED, reason);
	return TRUE;
}
