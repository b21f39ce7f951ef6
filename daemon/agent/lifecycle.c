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
 * TRANSITION → FUNCTION
 *
 *      NEW → PREPARING, STOPPED             step_rest()        a run that was not carried out yet; nothing to do
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
 *      VM is being removed. So an exit reason survives a crash at any point.
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
 * (lifecycle_adopt) or the fact that there is none (lifecycle_missing). A status that lags behind its run directory by any number
 * of steps leads to the same place, because only facts are compared. */
#include "daemon/agent/lifecycle.h"

#include "daemon/agent/facts.h"
#include "daemon/agent/logs.h"
#include "daemon/model/limits.h"
#include "daemon/model/units.h"

#define ASK_AGAIN_US    ((gint64)LIMIT_QMP_TIMEOUT_MS * 1000)
#define RESUME_AGAIN_US (30 * G_USEC_PER_SEC) /* after a pause that nobody asked for */

static gint64 now_us(const struct vm_life *vm)
{
	return vm->env->now_us();
}

static const struct engine_ops *ops_of(const struct vm_life *vm)
{
	return vm->engine->engine->ops;
}

static void set_reason(struct vm_life *vm, const char *reason)
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

static gboolean set_state(struct vm_life *vm, enum life state, const char *reason)
{
	count_start(vm, state);
	if (vm->state != state)
		vm->changed_at = g_get_real_time();
	vm->state = state;
	vm->entered_us = now_us(vm);
	vm->asked = FALSE;
	vm->image_wanted = FALSE;
	if (reason != vm->reason) {
		g_free(vm->reason);
		vm->reason = g_strdup(reason);
	}
	vm->env->touch(vm, vm->env->user_data);
	return TRUE;
}

static void due_at(struct vm_life *vm, gint64 when_us)
{
	if (!vm->due_us || when_us < vm->due_us)
		vm->due_us = when_us;
}

/* ---- What the plan wants ---- */

static gboolean wants_gone(const struct vm_life *vm)
{
	return !vm->has_plan || vm->plan_remove || vm->plan_other_uuid;
}

static gboolean wants_run(const struct vm_life *vm)
{
	return vm->plan_here && vm->plan_desired != VM_DESIRED_STOPPED && vm->plan_run > vm->run;
}

static gboolean wants_end(const struct vm_life *vm)
{
	return wants_gone(vm) || vm->plan_desired == VM_DESIRED_STOPPED || wants_run(vm);
}

/* ---- The end of a run ---- */

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
		return ended->cause == ENGINE_EXIT_LOST || ended->ended_at <= vm->ended_at;
	case LIFE_RESTARTING:
		return ended->ended_at <= vm->ended_at;
	default:
		return FALSE;
	}
}

static void forget_engine_vm(struct vm_life *vm)
{
	if (vm->engine_vm) {
		ops_of(vm)->vm_free(g_steal_pointer(&vm->engine_vm));
		vm->unclean = TRUE;
	}
	vm->engine_state = ENGINE_STATE_NONE;
	vm->ready = FALSE;
	g_clear_pointer(&vm->addresses, g_strfreev);
}

static void wait_for_restart(struct vm_life *vm, const char *why)
{
	guint64 delay_ms = restart_delay_ms(vm->failures++);
	g_autofree char *delay = duration_format(delay_ms);
	g_autofree char *reason = g_strdup_printf("%s; starts again after %s", why ? why : "ended", delay);

	vm->restart_at_us = now_us(vm) + (gint64)delay_ms * 1000;
	set_state(vm, LIFE_RESTARTING, reason);
}

static gboolean end_run(struct vm_life *vm)
{
	struct life_exit *ended = g_steal_pointer(&vm->exit);
	gboolean recorded = end_is_recorded(vm, ended);
	gint64 ran_us = vm->running_since_us ? now_us(vm) - vm->running_since_us : 0;
	g_autofree char *reason = recorded ? g_strdup(vm->reason) : end_reason(vm, ended);
	struct end end = { .cause = vm->start_overdue ? ENGINE_EXIT_START_FAILED : ended->cause,
			   .asked = vm->state == LIFE_STOPPING || vm->restored == LIFE_STOPPING || wants_end(vm),
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
			vm->restart_at_us = now_us(vm) + (gint64)restart_delay_ms(vm->failures) * 1000;
		return set_state(vm, vm->restored, reason);
	}
	vm->restored = LIFE_NEW;
	vm->ended_at = ended->ended_at ? ended->ended_at : g_get_real_time();
	vm->exit_status = ended->status;
	life_exit_free(ended);
	g_debug("vm %s ended: %s", vm->name, reason ? reason : "no reason given");
	if (next == VM_STATE_RESTARTING)
		wait_for_restart(vm, reason);
	else
		set_state(vm, next == VM_STATE_FAILED ? LIFE_FAILED : LIFE_STOPPED, reason);
	return TRUE;
}

static gboolean begin_stop(struct vm_life *vm, guint64 timeout_ms, const char *reason)
{
	g_assert(vm->engine_vm && !vm->stopping);
	vm->stopping = g_new0(struct stop_ladder, 1);
	vm->stopping->begun_us = now_us(vm);
	vm->stopping->deadline_us = vm->stopping->begun_us + (gint64)timeout_ms * 1000;
	return set_state(vm, LIFE_STOPPING, reason);
}

static gboolean stop_as_planned(struct vm_life *vm)
{
	if (wants_gone(vm))
		return begin_stop(vm, 0, "is being removed");
	if (vm->plan_desired != VM_DESIRED_STOPPED)
		return begin_stop(vm, vm->plan_stop_timeout_ms, "stops to be started anew");
	return begin_stop(vm, vm->plan_stop_timeout_ms, NULL);
}

/* ---- At rest: NEW, STOPPED, FAILED, RESTARTING ---- */

static gboolean finish_removal(struct vm_life *vm)
{
	if (vm->engine)
		ops_of(vm)->clean(vm->engine->engine, vm->name);
	vm->unclean = FALSE;
	logs_remove(vm->env->dirs, vm->name);
	if (vm->has_plan && !vm->plan_remove) {
		life_forget(vm); /* the plan is for another VM of this name: begin with that */
		return TRUE;
	}
	return set_state(vm, LIFE_GONE, NULL);
}

static gboolean step_rest(struct vm_life *vm)
{
	if (wants_gone(vm))
		return finish_removal(vm);
	if (vm->unclean) /* lifecycle_written() comes first */
		return FALSE;
	if (wants_run(vm)) {
		vm->run = vm->plan_run;
		vm->restarts = vm->failures = 0;
		return set_state(vm, LIFE_PREPARING, NULL);
	}
	if (vm->state == LIFE_NEW && vm->plan_error)
		return set_state(vm, LIFE_FAILED, vm->plan_error);
	if (vm->state == LIFE_NEW && vm->plan_here)
		return set_state(vm, LIFE_STOPPED, "was never started");
	if (vm->state != LIFE_RESTARTING)
		return FALSE;
	if (vm->plan_desired == VM_DESIRED_STOPPED || vm->plan_restart == VM_RESTART_NEVER)
		return set_state(vm, LIFE_STOPPED, "stopped while it waited to be started again");
	if (now_us(vm) >= vm->restart_at_us) {
		vm->restarts++;
		return set_state(vm, LIFE_PREPARING, NULL);
	}
	due_at(vm, vm->restart_at_us);
	return FALSE;
}

/* ---- PREPARING ---- */

static char *join_cmdline(const struct image_status *image, const struct plan *plan)
{
	const char *first = image && image->cmdline ? image->cmdline : "";
	const char *second = plan->cmdline ? plan->cmdline : "";

	if (!*first && !*second)
		return NULL;
	return g_strdup_printf("%s%s%s", first, *first && *second ? " " : "", second);
}

static gboolean begin_start(struct vm_life *vm, const struct plan *plan, const struct image_status *image)
{
	g_autofree char *cmdline = join_cmdline(image, plan);
	struct engine_config config = {
		.name = vm->name,
		.uuid = vm->uuid,
		.run = vm->run,
		.cpus = plan->cpus,
		.memory_bytes = plan->memory_bytes,
		.kernel = image ? image->kernel : NULL,
		.initrd = image ? image->initrd : NULL,
		.firmware = image ? image->firmware : NULL,
		.cmdline = cmdline,
		.network = plan->network,
		.publish = (const char *const *)plan->publish,
	};

	g_assert(!vm->engine_vm && !vm->unclean);
	g_strfreev(vm->notes);
	vm->notes = image ? g_strdupv(image->notes) : NULL;
	vm->started_at = g_get_real_time();
	vm->ended_at = 0;
	vm->boot_ms = vm->exit_status = 0;
	vm->engine_vm = ops_of(vm)->vm_new(vm->engine->engine, &config, &life_engine_events, vm);
	vm->engine_state = ENGINE_STATE_BUSY;
	ops_of(vm)->start(vm->engine_vm);
	return set_state(vm, LIFE_STARTING, NULL);
}

static gboolean wait_for_image(struct vm_life *vm, const struct plan *plan, const struct image_status *image)
{
	g_autofree char *reason = NULL;

	if (!image) {
		reason = g_strdup("waiting for the list of images");
	} else if (image->state == IMAGE_STATE_FAILED) {
		reason = g_strdup_printf("image %s: %s", plan->image, image->reason ? image->reason : "can't be made");
		return set_state(vm, LIFE_FAILED, reason);
	} else {
		reason = g_strdup_printf("waiting for image %s: %u %%%s%s", plan->image, (guint)image->progress_percent,
					 image->step ? " " : "", image->step ? image->step : "");
	}
	set_reason(vm, reason);
	return FALSE;
}

static gboolean prepare(struct vm_life *vm, const struct plan *plan)
{
	const struct image_status *image = NULL;
	struct life_engine *engine = vm->env->engine(plan->engine, vm->env->user_data);
	g_autofree char *reason = NULL;

	if (!engine) {
		reason = g_strdup_printf("no engine %s on this host: use qemu or sim", plan->engine);
		return set_state(vm, LIFE_FAILED, reason);
	}
	if (!engine->probed) {
		set_reason(vm, "waiting for the engine's self-test");
		return FALSE;
	}
	if (engine->unusable) {
		reason = g_strdup_printf("engine %s can't be used on this host: %s", plan->engine, engine->unusable);
		return set_state(vm, LIFE_FAILED, reason);
	}
	if (engine->needs_image) {
		image = vm->env->image(plan->image, !vm->image_wanted, vm->env->user_data);
		if (image)
			vm->image_wanted = TRUE;
		if (!image || image->state != IMAGE_STATE_READY)
			return wait_for_image(vm, plan, image);
	}
	if (engine->starting_max && engine->starting >= engine->starting_max) {
		engine->start_waited = TRUE;
		set_reason(vm, "waiting for other VMs to have started");
		return FALSE;
	}
	vm->engine = engine;
	return begin_start(vm, plan, image);
}

static gboolean step_preparing(struct vm_life *vm)
{
	struct plan plan;
	gboolean changed;

	if (wants_gone(vm) || vm->plan_desired == VM_DESIRED_STOPPED)
		return set_state(vm, LIFE_STOPPED, "stopped before it had started");
	if (!vm->plan_here)
		return set_state(vm, LIFE_FAILED, "this host may not run it any more");
	vm->run = MAX(vm->run, vm->plan_run);
	if (!vm->env->plan(vm, &plan, vm->env->user_data))
		return set_state(vm, LIFE_FAILED, vm->plan_error ? vm->plan_error : "its plan can't be read");
	changed = prepare(vm, &plan);
	noun_clear(&plan_noun, &plan);
	return changed;
}

/* ---- With an engine ---- */

static gboolean now_running(struct vm_life *vm)
{
	if (!vm->running_since_us)
		vm->running_since_us = now_us(vm);
	vm->pause_unasked = FALSE;
	vm->restored = LIFE_NEW;
	return set_state(vm, LIFE_RUNNING, NULL);
}

static gboolean now_paused(struct vm_life *vm)
{
	vm->restored = LIFE_NEW;
	return set_state(vm, LIFE_PAUSED, vm->pause_reason);
}

/* Asks once, and again when no answer came for a while. */
static void ask(struct vm_life *vm, void (*request)(struct engine_vm *engine_vm))
{
	if (vm->asked && now_us(vm) < vm->asked_us + ASK_AGAIN_US) {
		due_at(vm, vm->asked_us + ASK_AGAIN_US);
		return;
	}
	vm->asked = TRUE;
	vm->asked_us = now_us(vm);
	due_at(vm, vm->asked_us + ASK_AGAIN_US);
	request(vm->engine_vm);
}

static gboolean step_starting(struct vm_life *vm)
{
	gint64 deadline_us = vm->entered_us + (gint64)LIMIT_START_TIMEOUT_MS * 1000;

	if (vm->exit)
		return end_run(vm);
	if (wants_end(vm))
		return begin_stop(vm, 0, wants_gone(vm) ? "is being removed" : NULL);
	if (vm->engine_state == ENGINE_STATE_RUNNING)
		return now_running(vm);
	if (vm->engine_state == ENGINE_STATE_PAUSED && vm->plan_desired == VM_DESIRED_PAUSED)
		return now_paused(vm);
	if (now_us(vm) >= deadline_us) {
		vm->start_overdue = TRUE;
		due_at(vm, now_us(vm) + 5 * G_USEC_PER_SEC);
		ops_of(vm)->kill(vm->engine_vm);
		return FALSE;
	}
	due_at(vm, deadline_us);
	if (vm->engine_state == ENGINE_STATE_PAUSED)
		ask(vm, ops_of(vm)->resume);
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
	return set_state(vm, LIFE_STARTING, NULL);
}

static gboolean step_adopting(struct vm_life *vm)
{
	gint64 late_us = vm->entered_us + (gint64)LIMIT_START_TIMEOUT_MS * 1000;

	if (vm->exit)
		return end_run(vm);
	if (vm->engine_state == ENGINE_STATE_PAUSED || vm->engine_state == ENGINE_STATE_RUNNING)
		return adopted_alive(vm);
	if (now_us(vm) < late_us) {
		due_at(vm, late_us);
		return FALSE;
	}
	/* It may well run: only the plan may end it. */
	if (wants_end(vm))
		return stop_as_planned(vm);
	set_reason(vm, "its process is there but does not answer yet");
	return FALSE;
}

static gboolean step_running(struct vm_life *vm)
{
	if (vm->exit)
		return end_run(vm);
	if (wants_end(vm))
		return stop_as_planned(vm);
	if (vm->engine_state == ENGINE_STATE_PAUSED)
		return now_paused(vm);
	if (vm->plan_desired == VM_DESIRED_PAUSED)
		ask(vm, ops_of(vm)->pause);
	return FALSE;
}

static gboolean step_paused(struct vm_life *vm)
{
	if (vm->exit)
		return end_run(vm);
	if (wants_end(vm))
		return stop_as_planned(vm);
	if (vm->engine_state == ENGINE_STATE_RUNNING)
		return now_running(vm);
	if (vm->plan_desired != VM_DESIRED_RUNNING)
		return FALSE;
	if (vm->pause_unasked && now_us(vm) < vm->entered_us + RESUME_AGAIN_US) {
		due_at(vm, vm->entered_us + RESUME_AGAIN_US);
		return FALSE;
	}
	ask(vm, ops_of(vm)->resume);
	return FALSE;
}

static gboolean step_stopping(struct vm_life *vm)
{
	struct stop_ladder *ladder = vm->stopping;
	enum stop_action action;
	gint64 again_us = 0;

	if (vm->exit)
		return end_run(vm);
	if (wants_gone(vm))
		ladder->deadline_us = MIN(ladder->deadline_us, now_us(vm));
	if (vm->engine_state == ENGINE_STATE_PAUSED && !ladder->killed_us && now_us(vm) < ladder->deadline_us) {
		/* A paused guest hears nothing: the ladder is climbed from "resumed" on. */
		ask(vm, ops_of(vm)->resume);
		due_at(vm, ladder->deadline_us);
		return FALSE;
	}
	while ((action = stop_next(ladder, now_us(vm), &again_us)) != STOP_WAIT) {
		gboolean possible = TRUE;

		if (action == STOP_AGENT)
			possible = ops_of(vm)->shutdown(vm->engine_vm, ENGINE_SHUTDOWN_AGENT);
		else if (action == STOP_ACPI)
			possible = ops_of(vm)->shutdown(vm->engine_vm, ENGINE_SHUTDOWN_ACPI);
		else
			ops_of(vm)->kill(vm->engine_vm);
		stop_done(ladder, action, possible, now_us(vm));
	}
	due_at(vm, again_us);
	return FALSE;
}

static gboolean (*const steps[LIFE_COUNT])(struct vm_life *vm) = {
	[LIFE_NEW] = step_rest,          [LIFE_PREPARING] = step_preparing, [LIFE_ADOPTING] = step_adopting,
	[LIFE_STARTING] = step_starting, [LIFE_RUNNING] = step_running,     [LIFE_PAUSED] = step_paused,
	[LIFE_STOPPING] = step_stopping, [LIFE_STOPPED] = step_rest,        [LIFE_FAILED] = step_rest,
	[LIFE_RESTARTING] = step_rest,
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
