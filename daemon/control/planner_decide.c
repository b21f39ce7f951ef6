/* What becomes of one VM: the table of planner.h. Placing and starting are in planner_place.c. */
#include <string.h>

#include "daemon/control/planner_private.h"

void planner_write_plan(struct planner_write *write, const struct records *records, const struct plan *plan)
{
	char *text = noun_to_json(&plan_noun, plan);

	write->action = PLANNER_PUT_PLAN;
	write->revision = records->plan_kv ? records->plan_kv->mod_revision : 0;
	write->value = g_bytes_new_take(text, strlen(text));
}

void planner_set_string(char **field, const char *value)
{
	g_free(*field);
	*field = g_strdup(value);
}

static void set_strings(char ***field, char **value)
{
	g_strfreev(*field);
	*field = g_strdupv(value);
}

static void plan_fill_demand(struct plan *plan, const struct vm *vm)
{
	planner_set_string(&plan->pool, vm->pool);
	planner_set_string(&plan->tenant, vm->tenant);
	planner_set_string(&plan->gang, vm->gang);
	planner_set_string(&plan->cpu_model, vm->cpu_model);
	set_strings(&plan->groups, vm->groups);
	set_strings(&plan->affinity, vm->affinity);
	set_strings(&plan->anti_affinity, vm->anti_affinity);
	set_strings(&plan->spread, vm->spread);
	set_strings(&plan->require, vm->require);
	set_strings(&plan->avoid_labels, vm->avoid_labels);
	set_strings(&plan->tolerate, vm->tolerate);
	set_strings(&plan->extended, vm->extended);
	plan->cpus = vm->cpus;
	plan->memory_bytes = vm->memory_bytes;
	plan->exclusive = vm->exclusive;
	plan->numa = vm->numa;
	plan->hugepages = vm->hugepages;
	plan->numa_nodes = vm->numa_nodes;
	plan->priority = vm->priority;
	plan->disk_bytes = vm->disk_bytes;
	plan->network_bps = vm->network_bps;
	plan->owner_uid = vm->owner_uid;
}

/* Copy into the plan what the agent and the accounts need of the VM. */
void planner_plan_fill(struct plan *plan, const struct records *records)
{
	const struct vm *vm = &records->vm;

	planner_set_string(&plan->uuid, vm->uuid);
	planner_set_string(&plan->image, vm->image);
	planner_set_string(&plan->engine, vm->engine);
	planner_set_string(&plan->cmdline, vm->cmdline);
	set_strings(&plan->publish, vm->publish);
	plan_fill_demand(plan, vm);
	plan->vm_revision = (guint64)records->vm_kv->mod_revision;
	plan->network = vm->network;
	plan->restart = vm->restart;
	plan->desired = vm->desired;
	plan->run = vm->run + plan->preemptions;
	plan->cpu_weight = vm->cpu_weight;
	plan->cpu_limit_percent = vm->cpu_limit_percent;
	plan->cpu_reserve_percent = vm->cpu_reserve_percent;
	plan->cpu_latency_us = vm->cpu_latency_us;
	planner_set_string(&plan->held, NULL);
	plan->stop_timeout_ms = vm->desired == VM_DESIRED_STOPPED ? vm->stopping_timeout_ms : vm->stop_timeout_ms;
}

/* Nobody wants this VM: see to it that its agent lets go of it, then forget the plan. */
static gboolean decide_removal(struct records *records, struct planner_write *write)
{
	if (!records->plan_kv && !records->status_kv)
		return FALSE;
	if (records->plan_kv && !records->status_kv &&
	    (!records->has_plan || records->plan.remove || records->plan.refused)) {
		write->action = PLANNER_DELETE_PLAN;
		write->revision = records->plan_kv->mod_revision;
		return TRUE;
	}
	if (records->has_plan && records->plan.remove)
		return FALSE; /* the agent is at it */
	if (!records->has_plan) {
		if (!records->has_status)
			return FALSE; /* malformed: nothing to go by */
		noun_init(&plan_noun, &records->plan);
		records->has_plan = TRUE;
		planner_set_string(&records->plan.uuid, records->status.uuid);
		planner_set_string(&records->plan.host, records->status.host);
		planner_set_string(&records->plan.reason, "its host still has it and nobody wants it");
	}
	records->plan.remove = TRUE;
	planner_write_plan(write, records, &records->plan);
	return TRUE;
}

static gboolean ended(const struct records *records)
{
	return records->has_status && records->status.run >= records->vm.run &&
	       (records->status.state == VM_STATE_STOPPED || records->status.state == VM_STATE_FAILED);
}

/* Wanted to start, and its plan, which answers the VM as it is now, did not let it. */
static gboolean held(const struct records *records)
{
	return records->plan.desired == VM_DESIRED_STOPPED && records->vm.desired != VM_DESIRED_STOPPED;
}

/* Its reservation may be what it asks for by now. `lacks`: why not. */
static gboolean raised(const struct records *records, const char *lacks)
{
	return !lacks && records->plan.cpu_reserve_percent < records->vm.cpu_reserve_percent;
}

/* It is to give way, and what it takes is not free yet. */
static gboolean decide_eviction(struct planner *planner, struct entry *entry, struct records *records,
				struct planner_write *write)
{
	struct plan *plan = &records->plan;
	g_autofree char *winner = g_steal_pointer(&entry->evicted_for);

	if (!entry->charge.host || plan->desired == VM_DESIRED_STOPPED)
		return FALSE;
	plan->desired = VM_DESIRED_STOPPED;
	plan->preempted = TRUE;
	plan->preemptions++;
	plan->vm_revision = (guint64)records->vm_kv->mod_revision;
	plan->stop_timeout_ms = records->vm.stop_timeout_ms;
	g_free(plan->reason);
	plan->reason =
		g_strdup_printf("stopped to make room for vm %s, which has a higher priority than %" G_GUINT64_FORMAT
				"; it starts again when there is room",
				winner, plan->priority);
	planner_write_plan(write, records, plan);
	return TRUE;
}

static gboolean decide_update(struct planner *planner, struct entry *entry, struct records *records,
			      struct planner_write *write)
{
	struct plan *plan = &records->plan;
	guint64 run = plan->run, reserve_percent = plan->cpu_reserve_percent;
	g_autofree char *lacks = NULL;
	gboolean never_began;

	if (entry->evicted_for)
		return decide_eviction(planner, entry, records, write);
	if (!entry->charge.host && records->vm.desired != VM_DESIRED_STOPPED)
		return planner_start(planner, entry, records, write);
	planner_waits(planner, entry, FALSE);
	if (plan->preempted && records->vm.desired != VM_DESIRED_STOPPED)
		return FALSE; /* it is ending, and starts again from there */
	if (entry->charge.host && records->vm.cpu_reserve_percent > reserve_percent)
		lacks = planner_raise(planner, entry, records);
	if (plan->vm_revision == (guint64)records->vm_kv->mod_revision && !held(records) && !raised(records, lacks)) {
		entry->settled = !records->vm.ephemeral;
		return FALSE;
	}
	never_began = !entry->charge.host || plan->preempted;
	planner_plan_fill(plan, records);
	plan->preempted = FALSE;
	if (lacks) {
		plan->cpu_reserve_percent = reserve_percent;
		planner_set_string(&plan->held, lacks);
	}
	/* A run that was held never began: the VM has ended, or is about to, and so it stays. */
	if (never_began)
		plan->run = run;
	if (!entry->charge.host) {
		g_free(plan->reason);
		plan->reason = reason_stopped(plan->host);
	}
	planner_write_plan(write, records, plan);
	return TRUE;
}

gboolean planner_decide(struct planner *planner, struct entry *entry, struct records *records,
			struct planner_write *write)
{
	gboolean wanted = records->has_vm;

	/* A malformed VM record is neither wanted nor removed: better leave the VM alone. */
	if (records->vm_kv && !records->has_vm)
		return FALSE;
	if ((records->plan_kv && (!records->has_plan || g_strcmp0(records->plan.uuid, records->vm.uuid) != 0)) ||
	    (records->has_status && g_strcmp0(records->status.uuid, records->vm.uuid) != 0) ||
	    (records->has_plan && records->plan.remove))
		wanted = FALSE; /* an old life of that name goes first */
	if (!wanted) {
		planner_waits(planner, entry, FALSE);
		return decide_removal(records, write);
	}
	entry->ephemeral = records->vm.ephemeral != FALSE;
	if (records->vm.ephemeral && ended(records)) {
		write->action = PLANNER_DELETE_VM;
		write->revision = records->vm_kv->mod_revision;
		return TRUE;
	}
	if (!records->has_plan || records->plan.refused || !records->plan.host || !*records->plan.host)
		return planner_place(planner, entry, records, write);
	return decide_update(planner, entry, records, write);
}
