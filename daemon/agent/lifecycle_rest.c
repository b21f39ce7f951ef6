/* The steps of a VM of which nothing runs: NEW, STOPPED, FAILED, RESTARTING, and PREPARING up to its start. */
#include "daemon/agent/lifecycle_private.h"

#include "daemon/agent/facts.h"
#include "daemon/agent/logs.h"

static gboolean finish_removal(struct vm_life *vm)
{
	if (vm->engine)
		life_ops(vm)->clean(vm->engine->engine, vm->name);
	vm->unclean = FALSE;
	logs_remove(vm->env->dirs, vm->name);
	if (vm->has_plan && !vm->plan_remove) {
		life_forget(vm); /* the plan is for another VM of this name: begin with that */
		return TRUE;
	}
	return life_set_state(vm, LIFE_GONE, NULL);
}

gboolean life_step_rest(struct vm_life *vm)
{
	if (life_wants_gone(vm))
		return finish_removal(vm);
	if (vm->unclean) /* lifecycle_written() comes first */
		return FALSE;
	if (life_wants_run(vm)) {
		vm->run = vm->plan_run;
		vm->restarts = vm->failures = 0;
		return life_set_state(vm, LIFE_PREPARING, NULL);
	}
	/* Started and stopped again before we heard of it: that run is over, and whoever keeps account of memory waits to hear so. */
	if (vm->plan_here && vm->plan_desired == VM_DESIRED_STOPPED && vm->plan_run > vm->run) {
		vm->run = vm->plan_run;
		vm->env->touch(vm, vm->env->user_data);
	}
	if (vm->state == LIFE_NEW && vm->plan_error)
		return life_set_state(vm, LIFE_FAILED, vm->plan_error);
	if (vm->state == LIFE_NEW && vm->plan_here)
		return life_set_state(vm, LIFE_STOPPED, "was never started");
	if (vm->state != LIFE_RESTARTING)
		return FALSE;
	if (vm->plan_desired == VM_DESIRED_STOPPED || vm->plan_restart == VM_RESTART_NEVER)
		return life_set_state(vm, LIFE_STOPPED, "stopped while it waited to be started again");
	if (life_now_us(vm) >= vm->restart_at_us) {
		vm->restarts++;
		return life_set_state(vm, LIFE_PREPARING, NULL);
	}
	life_due_at(vm, vm->restart_at_us);
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
	vm->engine_vm = life_ops(vm)->vm_new(vm->engine->engine, &config, &life_engine_events, vm);
	vm->engine_state = ENGINE_STATE_BUSY;
	life_ops(vm)->start(vm->engine_vm);
	return life_set_state(vm, LIFE_STARTING, NULL);
}

static gboolean wait_for_image(struct vm_life *vm, const struct plan *plan, const struct image_status *image)
{
	g_autofree char *reason = NULL;

	if (!image) {
		reason = g_strdup("waiting for the list of images");
	} else if (image->state == IMAGE_STATE_FAILED) {
		reason = g_strdup_printf("image %s: %s", plan->image, image->reason ? image->reason : "can't be made");
		return life_set_state(vm, LIFE_FAILED, reason);
	} else {
		reason = g_strdup_printf("waiting for image %s: %u %%%s%s", plan->image, (guint)image->progress_percent,
					 image->step ? " " : "", image->step ? image->step : "");
	}
	life_set_reason(vm, reason);
	return FALSE;
}

static gboolean prepare(struct vm_life *vm, const struct plan *plan)
{
	const struct image_status *image = NULL;
	struct life_engine *engine = vm->env->engine(plan->engine, vm->env->user_data);
	g_autofree char *reason = NULL;

	if (!engine) {
		reason = g_strdup_printf("no engine %s on this host: use qemu or sim", plan->engine);
		return life_set_state(vm, LIFE_FAILED, reason);
	}
	if (!engine->probed) {
		life_set_reason(vm, "waiting for the engine's self-test");
		return FALSE;
	}
	if (engine->unusable) {
		reason = g_strdup_printf("engine %s can't be used on this host: %s", plan->engine, engine->unusable);
		return life_set_state(vm, LIFE_FAILED, reason);
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
		life_set_reason(vm, "waiting for other VMs to have started");
		return FALSE;
	}
	vm->engine = engine;
	return begin_start(vm, plan, image);
}

gboolean life_step_preparing(struct vm_life *vm)
{
	struct plan plan;
	gboolean changed;

	if (life_wants_gone(vm) || vm->plan_desired == VM_DESIRED_STOPPED)
		return life_set_state(vm, LIFE_STOPPED, "stopped before it had started");
	if (!vm->plan_here)
		return life_set_state(vm, LIFE_FAILED, "this host may not run it any more");
	vm->run = MAX(vm->run, vm->plan_run);
	if (!vm->env->plan(vm, &plan, vm->env->user_data))
		return life_set_state(vm, LIFE_FAILED, vm->plan_error ? vm->plan_error : "its plan can't be read");
	changed = prepare(vm, &plan);
	noun_clear(&plan_noun, &plan);
	return changed;
}
