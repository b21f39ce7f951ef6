/* What is told of a VM's life: its status and its threads. */
#include "daemon/agent/lifecycle.h"

/* ---- CPUs ---- */

guint lifecycle_vcpus(const struct vm_life *vm, const pid_t **threads)
{
	const struct engine_ops *ops = vm->engine ? vm->engine->engine->ops : NULL;
	gboolean lives = vm->engine_state == ENGINE_STATE_PAUSED || vm->engine_state == ENGINE_STATE_RUNNING;

	*threads = NULL;
	return vm->engine_vm && !vm->exit && lives && ops->vcpus ? ops->vcpus(vm->engine_vm, threads) : 0;
}

pid_t lifecycle_pid(const struct vm_life *vm)
{
	struct status status;
	pid_t pid;

	if (!vm->engine_vm)
		return 0;
	noun_init(&status_noun, &status);
	vm->engine->engine->ops->describe(vm->engine_vm, &status);
	pid = (pid_t)status.pid;
	noun_clear(&status_noun, &status);
	return pid;
}

/* ---- The status ---- */

static const int written_states[LIFE_COUNT] = {
	[LIFE_NEW] = VM_STATE_PENDING,       [LIFE_PREPARING] = VM_STATE_PREPARING,
	[LIFE_ADOPTING] = VM_STATE_STARTING, [LIFE_STARTING] = VM_STATE_STARTING,
	[LIFE_RUNNING] = VM_STATE_RUNNING,   [LIFE_PAUSED] = VM_STATE_PAUSED,
	[LIFE_STOPPING] = VM_STATE_STOPPING, [LIFE_STOPPED] = VM_STATE_STOPPED,
	[LIFE_FAILED] = VM_STATE_FAILED,     [LIFE_RESTARTING] = VM_STATE_RESTARTING,
};

static char **join_notes(char **first, char **second)
{
	g_autoptr(GStrvBuilder) all = NULL;

	if (!second)
		return g_strdupv(first);
	all = g_strv_builder_new();
	if (first)
		g_strv_builder_addv(all, (const char **)first);
	g_strv_builder_addv(all, (const char **)second);
	return g_strv_builder_end(all);
}

gboolean lifecycle_status(const struct vm_life *vm, struct status *status)
{
	enum life shown = vm->state;

	if (shown == LIFE_NEW || shown == LIFE_GONE)
		return FALSE;
	if (shown == LIFE_ADOPTING && vm->restored != LIFE_NEW)
		shown = vm->restored; /* what was known before stays until more is known */
	noun_init(&status_noun, status);
	g_free(status->uuid);
	g_free(status->host);
	status->uuid = g_strdup(vm->uuid);
	status->host = g_strdup(vm->host ? vm->host : vm->env->host);
	if (vm->host) {
		g_free(status->agent);
		status->agent = g_strdup(vm->env->host);
	}
	status->state = written_states[shown];
	status->reason = g_strdup(vm->reason);
	status->ready = vm->ready;
	status->run = vm->run;
	status->restarts = vm->restarts;
	status->changed_at = vm->changed_at;
	status->started_at = vm->started_at;
	status->ended_at = vm->ended_at;
	status->boot_ms = vm->boot_ms;
	status->exit_status = vm->exit_status;
	status->addresses = g_strdupv(vm->addresses);
	status->notes = join_notes(vm->notes, vm->cpu_notes);
	if (vm->engine_vm)
		vm->engine->engine->ops->describe(vm->engine_vm, status);
	return TRUE;
}

static const char *const life_names[LIFE_COUNT] = {
	[LIFE_NEW] = "new",           [LIFE_PREPARING] = "preparing",
	[LIFE_ADOPTING] = "adopting", [LIFE_STARTING] = "starting",
	[LIFE_RUNNING] = "running",   [LIFE_PAUSED] = "paused",
	[LIFE_STOPPING] = "stopping", [LIFE_STOPPED] = "stopped",
	[LIFE_FAILED] = "failed",     [LIFE_RESTARTING] = "restarting",
	[LIFE_GONE] = "gone",
};

const char *life_name(enum life state)
{
	return state < LIFE_COUNT && life_names[state] ? life_names[state] : "?";
}
