/* The life of one VM: the state machine.
 *
 * THE STATES
 *
 *                       ┌──────────────────────── its run directory was found ───────────────────────┐
 *                       │                                                                            ▼
 *      ┌─────┐  run wanted  ┌───────────┐  image there  ┌──────────┐                           ┌──────────┐
 *      │ NEW ├─────────────▶│ PREPARING ├──────────────▶│ STARTING │                           │ ADOPTING │
 *      └──┬──┘              └─▲───┬───▲─┘               └─┬──┬───┬─┘                           └─┬──┬───┬─┘
 *         │                   │   │   │          resumed  │  │   │ paused is wanted              │  │   │
 *         │     backoff over  │   │   │ new run  ┌────────┼──┼───┼───────────── running ─────────┘  │   │ ended
 *         │             ┌─────┴───┼┐  │          ▼        │  │   ▼                                  ▼   │
 *         │             │ RESTAR- ││  │    ┌─────────┐    │  │ ┌────────┐            paused             │
 *         │             │ TING    │◀──┼────┤ RUNNING ├────┼──┼▶│ PAUSED │◀──────────────────────────────┤
 *         │             └──┬──────┘│  │    └┬──▲─────┘◀───┼──┼─┤        │                               │
 *         │   stop wanted  │       │  │     │  └──────────┼──┼─┴──┬─────┘                               │
 *         │                │  failed  │     │ stop wanted │  │    │ stop wanted                         │
 *         │                │       │  │     ▼             ▼  │    ▼                                     │
 *         │                │       │  │  ┌─────────────────┐ │ ┌──┴ · a kill, when it has not started   │
 *         ▼                ▼       ▼  │  │    STOPPING     │◀┘                                          │
 *      ┌───────────────────────────┴──┴┐ └───────┬─────────┘                                            │
 *      │       STOPPED / FAILED        │◀────────┴───────────────── ended ──────────────────────────────┘
 *      └───────────────┬───────────────┘
 *                      ▼ removal wanted
 *                    GONE        (from any state: what runs is killed first)
 *
 * TRANSITION → FUNCTION (here, in lifecycle_rest.c and lifecycle_end.c; "life_" in front of their names left out)
 *
 *      NEW → PREPARING, STOPPED             life_step_rest()   a run that was not carried out yet; nothing to do
 *      PREPARING → STARTING                 begin_start()      engine usable and image there
 *      PREPARING → FAILED                   step_preparing()   no such engine or image, or the image can't be made
 *      PREPARING → STOPPED                  step_preparing()   stop wanted before anything was forked
 *      STARTING → RUNNING, PAUSED           step_starting()    the engine said "started", then "resumed"
 *      STARTING → STOPPING                  step_starting()    stop wanted: killed, it has not executed anything
 *      ADOPTING → RUNNING, PAUSED           step_adopting()    the engine found it alive
 *      RUNNING ⇄ PAUSED                     step_running(), step_paused()   only when the engine has said so
 *      RUNNING, PAUSED → STOPPING           begin_stop()
 *      STOPPING → STOPPED, FAILED           end_run()          policy.c: stop_next() is the ladder agent, ACPI, kill
 *      any with an engine → STOPPED, FAILED, RESTARTING   end_run()   policy.c: end_state() decides which
 *      ADOPTING → PREPARING                 start_over()       the agent before died amid the start: nothing was run
 *      RESTARTING → PREPARING               step_rest()        its backoff is over
 *      STOPPED, FAILED → PREPARING          step_rest()        plan.run is above the run carried out
 *      rest → GONE                          finish_removal()   plan.remove, no plan, or a plan with another uuid
 *
 * INVARIANTS
 *
 *   1. vm->engine_vm is set exactly in ADOPTING, STARTING, RUNNING, PAUSED and STOPPING.
 *   2. A start happens only without engine_vm and with a clean run directory: never two at a time for one name.
 *   3. vm->run only grows. plan.run > vm->run is the one reason to begin a run; the restart policy stays within it.
 *   4. A run directory is cleaned only after the store durably holds how its VM ended (lifecycle_written), or when the
 *      VM is being removed, or when nothing ever ran in it. So an exit reason survives a crash at any point.
 *   5. STOPPING ends: its deadline only ever comes nearer, and the kill is repeated until the engine reports the end.
 *   6. Nothing is killed that a plan wants to run, but for one reason: it did not start within LIMIT_START_TIMEOUT_MS.
 *
 * GUARANTEES OF EACH STATE, to whoever reads the status
 *
 *   PREPARING    nothing was forked; no run directory.
 *   STARTING     the run directory's intent is durable or will be before the fork; the guest has not executed anything.
 *   RUNNING      the engine's last word is "resumed"; pid and accelerator are filled in.
 *   PAUSED       the engine's last word is "paused"; a reason is given when nobody asked for it.
 *   STOPPING     at the deadline it is killed.
 *   STOPPED, FAILED, RESTARTING   no process; reason, exit status and time of the end are those of this run.
 *   GONE         no process, no run directory, no logs, no status.
 *
 * RECOVERY: a new agent gives every VM what the store says (lifecycle_restore) and then either its run directory
 * (lifecycle_adopt) or the fact that there is none (lifecycle_missing). A status that lags behind its run directory by
 * any number of steps leads to the same place, because only facts are compared. */
#include "daemon/agent/lifecycle.h"

#include "daemon/agent/lifecycle_private.h"
#include "daemon/model/limits.h"

#define ASK_AGAIN_US    ((gint64)LIMIT_QMP_TIMEOUT_MS * 1000)
#define RESUME_AGAIN_US (30 * G_USEC_PER_SEC) /* after a pause that nobody asked for */

gint64 life_now_us(const struct vm_life *vm)
{
	return vm->env->now_us();
}

const struct engine_ops *life_ops(const struct vm_life *vm)
{
	return vm->engine->engine->ops;
}

void life_set_reason(struct vm_life *vm, const char *reason)
{
	if (g_strcmp0(vm->reason, reason) == 0)
		return;
	g_free(vm->reason);
	vm->reason = g_strdup(reason);
	vm->env->touch(vm, vm->env->user_data);
}

static void count_start(struct vm_life *vm, enum life next)
{
	struct life_engine *engine = vm->engine;

	if (next == LIFE_STARTING && vm->state != LIFE_STARTING) {
		engine->starting++;
	} else if (next != LIFE_STARTING && vm->state == LIFE_STARTING) {
		engine->starting--;
		if (engine->start_waited)
			vm->env->start_over(engine, vm->env->user_data);
		engine->start_waited = FALSE;
	}
}

gboolean life_set_state(struct vm_life *vm, enum life state, const char *reason)
{
	count_start(vm, state);
	if (vm->state != state)
		vm->changed_at = g_get_real_time();
	vm->state = state;
	vm->entered_us = life_now_us(vm);
	vm->asked = FALSE;
	vm->image_wanted = FALSE;
	if (reason != vm->reason) {
		g_free(vm->reason);
		vm->reason = g_strdup(reason);
	}
	vm->env->touch(vm, vm->env->user_data);
	return TRUE;
}

void life_due_at(struct vm_life *vm, gint64 when_us)
{
	if (!vm->due_us || when_us < vm->due_us)
		vm->due_us = when_us;
}

/* ---- What the plan wants ---- */

gboolean life_wants_gone(const struct vm_life *vm)
{
	return !vm->has_plan || vm->plan_remove || vm->plan_other_uuid;
}

gboolean life_wants_run(const struct vm_life *vm)
{
	return vm->plan_here && vm->plan_desired != VM_DESIRED_STOPPED && vm->plan_run > vm->run;
}

gboolean life_wants_end(const struct vm_life *vm)
{
	return life_wants_gone(vm) || vm->plan_desired == VM_DESIRED_STOPPED || life_wants_run(vm);
}

static gboolean begin_stop(struct vm_life *vm, guint64 timeout_ms, const char *reason)
{
	g_assert(vm->engine_vm && !vm->stopping);
	vm->stopping = g_new0(struct stop_ladder, 1);
	vm->stopping->begun_us = life_now_us(vm);
	vm->stopping->deadline_us = vm->stopping->begun_us + (gint64)timeout_ms * 1000;
	return life_set_state(vm, LIFE_STOPPING, reason);
}

static gboolean stop_as_planned(struct vm_life *vm)
{
	if (life_wants_gone(vm))
		return begin_stop(vm, 0, "is being removed");
	if (vm->plan_desired != VM_DESIRED_STOPPED)
		return begin_stop(vm, vm->plan_stop_timeout_ms, "stops to be started anew");
	return begin_stop(vm, vm->plan_stop_timeout_ms, NULL);
}

/* ---- With an engine ---- */

static gboolean now_running(struct vm_life *vm)
{
	if (!vm->running_since_us)
		vm->running_since_us = life_now_us(vm);
	vm->pause_unasked = FALSE;
	vm->restored = LIFE_NEW;
	return life_set_state(vm, LIFE_RUNNING, NULL);
}

static gboolean now_paused(struct vm_life *vm)
{
	vm->restored = LIFE_NEW;
	return life_set_state(vm, LIFE_PAUSED, vm->pause_reason);
}

/* Asks once, and again when no answer came for a while. */
static void ask(struct vm_life *vm, void (*request)(struct engine_vm *engine_vm))
{
	if (vm->asked && life_now_us(vm) < vm->asked_us + ASK_AGAIN_US) {
		life_due_at(vm, vm->asked_us + ASK_AGAIN_US);
		return;
	}
	vm->asked = TRUE;
	vm->asked_us = life_now_us(vm);
	life_due_at(vm, vm->asked_us + ASK_AGAIN_US);
	request(vm->engine_vm);
}

static gboolean step_starting(struct vm_life *vm)
{
	gint64 deadline_us = vm->entered_us + (gint64)LIMIT_START_TIMEOUT_MS * 1000;

	if (vm->exit)
		return life_end_run(vm);
	if (life_wants_end(vm))
		return begin_stop(vm, 0, life_wants_gone(vm) ? "is being removed" : NULL);
	if (vm->engine_state == ENGINE_STATE_RUNNING)
		return now_running(vm);
	if (vm->engine_state == ENGINE_STATE_PAUSED && vm->plan_desired == VM_DESIRED_PAUSED)
		return now_paused(vm);
	if (life_now_us(vm) >= deadline_us) {
		vm->start_overdue = TRUE;
		life_due_at(vm, life_now_us(vm) + 5 * G_USEC_PER_SEC);
		life_ops(vm)->kill(vm->engine_vm);
		return FALSE;
	}
	life_due_at(vm, deadline_us);
	if (vm->engine_state == ENGINE_STATE_PAUSED)
		ask(vm, life_ops(vm)->resume);
	return FALSE;
}

static gboolean adopted_alive(struct vm_life *vm)
{
	gboolean known = vm->restored == LIFE_STARTING || vm->restored == LIFE_RUNNING || vm->restored == LIFE_PAUSED ||
			 vm->restored == LIFE_STOPPING;
	gboolean let_go = known && vm->restored != LIFE_STARTING;

	if (!known) { /* the agent before us died before the status could tell of this start */
		vm->started_at = g_get_real_time();
		vm->ended_at = 0;
		vm->boot_ms = vm->exit_status = 0;
	}
	if (vm->engine_state == ENGINE_STATE_RUNNING)
		return now_running(vm);
	if (let_go)
		return now_paused(vm);
	vm->restored = LIFE_NEW;
	return life_set_state(vm, LIFE_STARTING, NULL);
}

static gboolean step_adopting(struct vm_life *vm)
{
	gint64 late_us = vm->entered_us + (gint64)LIMIT_START_TIMEOUT_MS * 1000;

	if (vm->exit)
		return life_end_run(vm);
	if (vm->engine_state == ENGINE_STATE_PAUSED || vm->engine_state == ENGINE_STATE_RUNNING)
		return adopted_alive(vm);
	if (life_now_us(vm) < late_us) {
		life_due_at(vm, late_us);
		return FALSE;
	}
	/* It may well run: only the plan may end it. */
	if (life_wants_end(vm))
		return stop_as_planned(vm);
	life_set_reason(vm, "its process is there but does not answer yet");
	return FALSE;
}

static gboolean step_running(struct vm_life *vm)
{
	if (vm->exit)
		return life_end_run(vm);
	if (life_wants_end(vm))
		return stop_as_planned(vm);
	if (vm->engine_state == ENGINE_STATE_PAUSED)
		return now_paused(vm);
	if (vm->plan_desired == VM_DESIRED_PAUSED)
		ask(vm, life_ops(vm)->pause);
	return FALSE;
}

static gboolean step_paused(struct vm_life *vm)
{
	if (vm->exit)
		return life_end_run(vm);
	if (life_wants_end(vm))
		return stop_as_planned(vm);
	if (vm->engine_state == ENGINE_STATE_RUNNING)
		return now_running(vm);
	if (vm->plan_desired != VM_DESIRED_RUNNING)
		return FALSE;
	if (vm->pause_unasked && life_now_us(vm) < vm->entered_us + RESUME_AGAIN_US) {
		life_due_at(vm, vm->entered_us + RESUME_AGAIN_US);
		return FALSE;
	}
	ask(vm, life_ops(vm)->resume);
	return FALSE;
}

static gboolean step_stopping(struct vm_life *vm)
{
	struct stop_ladder *ladder = vm->stopping;
	enum stop_action action;
	gint64 again_us = 0;

	if (vm->exit)
		return life_end_run(vm);
	if (life_wants_gone(vm))
		ladder->deadline_us = MIN(ladder->deadline_us, life_now_us(vm));
	if (vm->engine_state == ENGINE_STATE_PAUSED && !ladder->killed_us && life_now_us(vm) < ladder->deadline_us) {
		/* A paused guest hears nothing: the ladder is climbed from "resumed" on. */
		ask(vm, life_ops(vm)->resume);
		life_due_at(vm, ladder->deadline_us);
		return FALSE;
	}
	while ((action = stop_next(ladder, life_now_us(vm), &again_us)) != STOP_WAIT) {
		gboolean possible = TRUE;

		if (action == STOP_AGENT)
			possible = life_ops(vm)->shutdown(vm->engine_vm, ENGINE_SHUTDOWN_AGENT);
		else if (action == STOP_ACPI)
			possible = life_ops(vm)->shutdown(vm->engine_vm, ENGINE_SHUTDOWN_ACPI);
		else
			life_ops(vm)->kill(vm->engine_vm);
		stop_done(ladder, action, possible, life_now_us(vm));
	}
	life_due_at(vm, again_us);
	return FALSE;
}

static gboolean (*const steps[LIFE_COUNT])(struct vm_life *vm) = {
	[LIFE_NEW] = life_step_rest,        [LIFE_PREPARING] = life_step_preparing, [LIFE_ADOPTING] = step_adopting,
	[LIFE_STARTING] = step_starting,    [LIFE_RUNNING] = step_running,          [LIFE_PAUSED] = step_paused,
	[LIFE_STOPPING] = step_stopping,    [LIFE_STOPPED] = life_step_rest,        [LIFE_FAILED] = life_step_rest,
	[LIFE_RESTARTING] = life_step_rest,
};

static gboolean holds_engine_vm(const struct vm_life *vm)
{
	return vm->state == LIFE_ADOPTING || vm->state == LIFE_STARTING || vm->state == LIFE_RUNNING ||
	       vm->state == LIFE_PAUSED || vm->state == LIFE_STOPPING;
}

void lifecycle_reconcile(struct vm_life *vm)
{
	/* No path is longer than ENDED → PREPARING → FAILED → GONE; more would be a loop between states. */
	guint left = 16;

	do {
		vm->due_us = 0;
		if (vm->state == LIFE_GONE)
			return;
	} while (steps[vm->state](vm) && --left);
	if (!left)
		g_warning("vm %s goes round in circles in state %s", vm->name, life_name(vm->state));
	g_assert(vm->state == LIFE_GONE || holds_engine_vm(vm) == !!vm->engine_vm || vm->exit);
}
