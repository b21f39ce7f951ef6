/* What lifecycle.c compares: facts from plans, engines and recovery. */
#include "daemon/agent/facts.h"

#include <stddef.h>
#include <string.h>

#include "daemon/model/error.h"
#include "daemon/model/limits.h"

static void queue(struct vm_life *vm)
{
	vm->env->queue(vm, vm->env->user_data);
}

static void touch(struct vm_life *vm)
{
	vm->env->touch(vm, vm->env->user_data);
}

struct vm_life *lifecycle_new(const struct life_env *env, const char *name)
{
	gsize name_size = strlen(name) + 1;
	struct vm_life *vm = g_malloc0(sizeof *vm + name_size);

	vm->env = env;
	memcpy(vm->name, name, name_size);
	return vm;
}

void life_exit_free(struct life_exit *ended)
{
	if (!ended)
		return;
	g_free(ended->reason);
	g_free(ended);
}

/* Frees everything owned; the fields are dangling afterwards. */
static void release(struct vm_life *vm)
{
	if (vm->state == LIFE_STARTING && vm->engine_vm)
		vm->engine->starting--;
	if (vm->engine_vm)
		vm->engine->engine->ops->vm_free(vm->engine_vm);
	life_exit_free(vm->exit);
	g_free(vm->stopping);
	g_free(vm->reason);
	g_free(vm->plan_error);
	g_free(vm->pause_reason);
	g_strfreev(vm->addresses);
	g_strfreev(vm->notes);
	g_strfreev(vm->cpu_notes);
	g_clear_pointer(&vm->host, g_ref_string_release);
	g_clear_pointer(&vm->tenant, g_ref_string_release);
}

void lifecycle_free(struct vm_life *vm)
{
	if (!vm)
		return;
	release(vm);
	g_free(vm);
}

void life_forget(struct vm_life *vm)
{
	const struct life_env *env = vm->env;
	gint64 revision = vm->plan_revision, timer_us = vm->timer_us;
	gboolean queued = vm->queued;
	struct plan plan;

	release(vm);
	memset(vm, 0, offsetof(struct vm_life, name)); /* the name begins inside its padding */
	vm->env = env;
	vm->timer_us = timer_us;
	vm->queued = queued;
	vm->changed_at = g_get_real_time();
	if (env->plan(vm, &plan, env->user_data)) {
		lifecycle_plan(vm, &plan, revision);
		noun_clear(&plan_noun, &plan);
	}
	touch(vm); /* the other VM's status goes, even when nothing is to start */
}

/* ---- Plans ---- */

/* A stop under way may only get shorter. */
static void tighten_stop(struct vm_life *vm, guint64 timeout_ms)
{
	gint64 deadline_us = vm->env->now_us() + (gint64)timeout_ms * 1000;

	if (vm->stopping && timeout_ms != vm->plan_stop_timeout_ms)
		vm->stopping->deadline_us = MIN(vm->stopping->deadline_us, deadline_us);
}

/* Simulated VMs may also be on a simulated host that we serve: there is no such machine, so any of them fits. */
static gboolean plan_is_here(const struct vm_life *vm, const struct plan *plan)
{
	if (plan->refused || !plan->host || !*plan->host)
		return FALSE;
	if (strcmp(plan->host, vm->env->host) == 0)
		return TRUE;
	return g_strcmp0(plan->agent, vm->env->host) == 0 && g_strcmp0(plan->engine, "sim") == 0;
}

/* Thousands of VMs share few names. */
static void set_host(struct vm_life *vm, const char *host)
{
	const char *simulated = host && *host && strcmp(host, vm->env->host) != 0 ? host : NULL;

	if (g_strcmp0(vm->host, simulated) == 0)
		return;
	g_clear_pointer(&vm->host, g_ref_string_release);
	vm->host = simulated ? g_ref_string_new_intern(simulated) : NULL;
}

/* As the history of placements names it. */
static void set_tenant(struct vm_life *vm, const struct plan *plan)
{
	g_autofree char *owner = g_strdup_printf("uid-%" G_GUINT64_FORMAT, plan->owner_uid);
	const char *tenant = plan->tenant && *plan->tenant ? plan->tenant : owner;

	if (g_strcmp0(vm->tenant, tenant) == 0)
		return;
	g_clear_pointer(&vm->tenant, g_ref_string_release);
	vm->tenant = g_ref_string_new_intern(tenant);
}

void lifecycle_plan(struct vm_life *vm, const struct plan *plan, gint64 revision)
{
	vm->plan_revision = revision;
	g_clear_pointer(&vm->plan_error, g_free);
	vm->has_plan = plan != NULL;
	if (plan) {
		const char *uuid = plan->uuid ? plan->uuid : "";

		if (!*vm->uuid)
			g_strlcpy(vm->uuid, uuid, sizeof vm->uuid);
		tighten_stop(vm, plan->stop_timeout_ms);
		vm->plan_other_uuid = strcmp(vm->uuid, uuid) != 0;
		vm->plan_remove = plan->remove;
		vm->plan_here = plan_is_here(vm, plan);
		if (vm->plan_here)
			set_host(vm, plan->host);
		vm->plan_run = plan->run;
		vm->plan_stop_timeout_ms = plan->stop_timeout_ms;
		vm->plan_desired = plan->desired;
		vm->plan_restart = plan->restart;
		if (!vm->plan_other_uuid)
			set_tenant(vm, plan);
		vm->plan_cpu_weight = (guint16)MIN(plan->cpu_weight, LIMIT_CPU_WEIGHT_MAX);
		vm->plan_cpu_limit_percent = (guint32)MIN(plan->cpu_limit_percent, LIMIT_VM_CPUS_MAX * 100);
		vm->plan_cpu_reserve_percent = (guint32)MIN(plan->cpu_reserve_percent, LIMIT_VM_CPUS_MAX * 100);
		vm->plan_cpu_latency_us = (guint32)MIN(plan->cpu_latency_us, LIMIT_CPU_LATENCY_MAX_US);
		vm->pause_unasked = FALSE;
	}
	queue(vm);
}

void lifecycle_plan_malformed(struct vm_life *vm, const char *why, gint64 revision)
{
	vm->plan_revision = revision;
	g_free(vm->plan_error);
	vm->plan_error = g_strdup_printf("its plan is malformed: %s", why);
	if (!vm->has_plan) {
		/* What runs goes on, nothing starts. */
		vm->has_plan = TRUE;
		vm->plan_desired = VM_DESIRED_RUNNING;
		vm->plan_here = FALSE;
	}
	queue(vm);
}

/* ---- Recovery ---- */

static enum life life_of_state(int state)
{
	switch (state) {
	case VM_STATE_PREPARING:
		return LIFE_PREPARING;
	case VM_STATE_STARTING:
		return LIFE_STARTING;
	case VM_STATE_RUNNING:
		return LIFE_RUNNING;
	case VM_STATE_PAUSED:
		return LIFE_PAUSED;
	case VM_STATE_STOPPING:
		return LIFE_STOPPING;
	case VM_STATE_STOPPED:
		return LIFE_STOPPED;
	case VM_STATE_FAILED:
		return LIFE_FAILED;
	case VM_STATE_RESTARTING:
		return LIFE_RESTARTING;
	default:
		return LIFE_NEW;
	}
}

/* Those on its CPUs are made anew. */
static char **notes_but_cpu(char **notes)
{
	g_autoptr(GStrvBuilder) kept = g_strv_builder_new();

	for (char **note = notes; note && *note; note++) {
		if (!g_str_has_prefix(*note, LIFE_CPU_NOTE))
			g_strv_builder_add(kept, *note);
	}
	return g_strv_builder_end(kept);
}

void lifecycle_restore(struct vm_life *vm, const struct status *status)
{
	g_assert(vm->state == LIFE_NEW && !vm->engine_vm);
	g_strlcpy(vm->uuid, status->uuid ? status->uuid : "", sizeof vm->uuid);
	set_host(vm, status->host);
	vm->state = vm->restored = life_of_state(status->state);
	vm->reason = g_strdup(status->reason);
	vm->notes = notes_but_cpu(status->notes);
	vm->run = status->run;
	vm->restarts = vm->failures = (guint32)MIN(status->restarts, G_MAXUINT32);
	vm->changed_at = status->changed_at;
	vm->started_at = status->started_at;
	vm->ended_at = status->ended_at;
	vm->boot_ms = (guint32)MIN(status->boot_ms, G_MAXUINT32);
	vm->exit_status = (guint32)MIN(status->exit_status, G_MAXUINT32);
	vm->entered_us = vm->env->now_us();
	vm->restart_at_us = vm->entered_us + (gint64)restart_delay_ms(vm->failures) * 1000;
}

static void config_to_adopt(const struct vm_life *vm, struct engine_config *config, struct plan *plan)
{
	*config = (struct engine_config) { .name = vm->name, .uuid = vm->uuid, .run = vm->run };
	if (!vm->env->plan(vm, plan, vm->env->user_data)) {
		noun_init(&plan_noun, plan);
		return;
	}
	config->cpus = plan->cpus;
	config->memory_bytes = plan->memory_bytes;
	config->network = plan->network;
	config->publish = (const char *const *)plan->publish;
}

void lifecycle_adopt(struct vm_life *vm, struct life_engine *engine, const char *uuid, guint64 run)
{
	struct engine_config config;
	struct plan plan;

	g_assert(!vm->engine_vm);
	/* The run directory is nearer to the truth than the status. An unreadable intent names no VM: whatever the plan
	 * says, it is for another. */
	if (!uuid)
		uuid = "unreadable";
	if (g_strcmp0(vm->uuid, uuid) != 0) {
		g_strlcpy(vm->uuid, uuid, sizeof vm->uuid);
		vm->restored = LIFE_NEW;
		vm->run = run;
	}
	if (run > vm->run)
		vm->restored = LIFE_PREPARING; /* it began a run that the status has not heard of */
	vm->run = MAX(vm->run, run);
	vm->state = LIFE_ADOPTING;
	vm->entered_us = vm->env->now_us();
	vm->engine = engine;
	config_to_adopt(vm, &config, &plan);
	vm->engine_vm = engine->engine->ops->vm_new(engine->engine, &config, &life_engine_events, vm);
	noun_clear(&plan_noun, &plan);
	vm->engine_state = ENGINE_STATE_BUSY;
	engine->engine->ops->adopt(vm->engine_vm);
	queue(vm);
}

void lifecycle_missing(struct vm_life *vm, const char *reason)
{
	switch (vm->state) {
	case LIFE_STARTING: /* its run directory was not made yet: nothing was forked */
		vm->state = LIFE_PREPARING;
		break;
	case LIFE_RUNNING:
	case LIFE_PAUSED:
	case LIFE_STOPPING:
		vm->exit = g_new0(struct life_exit, 1);
		vm->exit->cause = ENGINE_EXIT_LOST;
		vm->exit->reason = g_strdup(reason);
		break;
	default:
		break;
	}
	queue(vm);
}

void lifecycle_written(struct vm_life *vm)
{
	if (!vm->unclean || vm->engine_vm)
		return;
	vm->engine->engine->ops->clean(vm->engine->engine, vm->name);
	vm->unclean = FALSE;
	queue(vm);
}

/* ---- Engine events ---- */

static void on_started(struct engine_vm *engine_vm, gpointer user_data)
{
	struct vm_life *vm = user_data;

	vm->engine_state = ENGINE_STATE_PAUSED;
	touch(vm); /* its pid is known now */
	queue(vm);
}

static void on_adopted(struct engine_vm *engine_vm, gboolean paused, gpointer user_data)
{
	struct vm_life *vm = user_data;

	vm->engine_state = paused ? ENGINE_STATE_PAUSED : ENGINE_STATE_RUNNING;
	queue(vm);
}

static void on_resumed(struct engine_vm *engine_vm, gpointer user_data)
{
	struct vm_life *vm = user_data;

	vm->engine_state = ENGINE_STATE_RUNNING;
	vm->asked = FALSE;
	g_clear_pointer(&vm->pause_reason, g_free);
	queue(vm);
}

static void on_paused(struct engine_vm *engine_vm, const char *reason, gpointer user_data)
{
	struct vm_life *vm = user_data;

	vm->engine_state = ENGINE_STATE_PAUSED;
	vm->asked = FALSE;
	vm->pause_unasked = reason != NULL;
	g_free(vm->pause_reason);
	vm->pause_reason = g_strdup(reason);
	queue(vm);
}

static void on_ready(struct engine_vm *engine_vm, gboolean ready, gpointer user_data)
{
	struct vm_life *vm = user_data;
	gint64 boot_us = g_get_real_time() - vm->started_at;

	if (vm->ready == !!ready)
		return;
	vm->ready = !!ready;
	if (ready && !vm->boot_ms && vm->started_at)
		vm->boot_ms = (guint32)CLAMP(boot_us / 1000, 1, (gint64)G_MAXUINT32);
	if (ready && vm->stopping && vm->stopping->agent_refused)
		vm->stopping->agent_tried = FALSE; /* it can be asked after all */
	touch(vm);
	queue(vm);
}

static void on_addresses(struct engine_vm *engine_vm, const char *const *addresses, gpointer user_data)
{
	struct vm_life *vm = user_data;

	g_strfreev(vm->addresses);
	vm->addresses = addresses && *addresses ? g_strdupv((char **)addresses) : NULL;
	touch(vm);
}

static void on_exited(struct engine_vm *engine_vm, const struct engine_exit *exit, gpointer user_data)
{
	struct vm_life *vm = user_data;

	if (vm->exit) {
		g_warning("vm %s: its engine reported two ends", vm->name);
		return;
	}
	vm->exit = g_new0(struct life_exit, 1);
	vm->exit->cause = exit->cause;
	vm->exit->status = exit->status;
	vm->exit->ended_at = exit->ended_at;
	vm->exit->reason = g_strdup(exit->reason);
	queue(vm);
}

const struct engine_events life_engine_events = {
	.started = on_started,
	.adopted = on_adopted,
	.resumed = on_resumed,
	.paused = on_paused,
	.ready = on_ready,
	.addresses = on_addresses,
	.exited = on_exited,
};

/* ---- Streams ---- */

/* The log of a VM that does not run is read through an engine's VM that lives only for the call. */
static int open_old_log(struct vm_life *vm, const struct engine_stream *stream, GError **error)
{
	struct engine_config config;
	struct life_engine *engine = NULL;
	struct engine_vm *engine_vm;
	struct plan plan;
	int fd;

	if (!vm->env->plan(vm, &plan, vm->env->user_data)) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_UNAVAILABLE, "vm %s has no log: it is being removed",
			    vm->name);
		return -1;
	}
	engine = vm->engine ? vm->engine : vm->env->engine(plan.engine, vm->env->user_data);
	noun_clear(&plan_noun, &plan);
	if (!engine) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_UNAVAILABLE, "vm %s has no log: no such engine here",
			    vm->name);
		return -1;
	}
	config_to_adopt(vm, &config, &plan);
	engine_vm = engine->engine->ops->vm_new(engine->engine, &config, &life_engine_events, vm);
	noun_clear(&plan_noun, &plan);
	fd = engine->engine->ops->stream_open(engine_vm, stream, error);
	engine->engine->ops->vm_free(engine_vm);
	return fd;
}

int lifecycle_stream_open(struct vm_life *vm, const struct engine_stream *stream, GError **error)
{
	if (vm->engine_vm && !vm->exit)
		return vm->engine->engine->ops->stream_open(vm->engine_vm, stream, error);
	if (stream->kind == ENGINE_STREAM_LOG)
		return open_old_log(vm, stream, error);
	g_set_error(error, POLDER_ERROR, POLDER_ERROR_UNAVAILABLE, "vm %s does not run (%s): start it first", vm->name,
		    life_name(vm->state));
	return -1;
}

/* ---- CPUs ---- */

static gboolean same_strings(char **a, char **b)
{
	if (!a || !b)
		return (!a || !*a) && (!b || !*b);
	return g_strv_equal((const char *const *)a, (const char *const *)b);
}

void lifecycle_cpu_notes(struct vm_life *vm, char **notes)
{
	gboolean news = !same_strings(vm->cpu_notes, notes);

	g_strfreev(vm->cpu_notes);
	vm->cpu_notes = notes;
	if (news)
		touch(vm);
}
