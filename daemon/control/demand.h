/* What a VM asks of a host, as wanted (struct vm) or as once placed (struct plan): the same members by the same names. */
#pragma once

#include "daemon/model/nouns.h"

struct demand { /* everything is borrowed */
	const char *name, *engine, *pool, *tenant, *gang, *cpu_model;
	guint64 cpus, memory_bytes, disk_bytes, network_bps, numa_nodes, priority, owner_uid, cpu_reserve_percent;
	int exclusive, numa, hugepages;
	char **groups, **affinity, **anti_affinity, **spread, **require, **avoid_labels, **tolerate, **extended;
};

#define DEMAND_OF(vm_name, from)                                                                                    \
	{                                                                                                           \
		.name = (vm_name), .engine = (from)->engine, .pool = (from)->pool, .tenant = (from)->tenant,        \
		.gang = (from)->gang, .cpu_model = (from)->cpu_model, .cpus = (from)->cpus,                         \
		.memory_bytes = (from)->memory_bytes, .disk_bytes = (from)->disk_bytes,                             \
		.network_bps = (from)->network_bps, .numa_nodes = (from)->numa_nodes, .priority = (from)->priority, \
		.owner_uid = (from)->owner_uid, .cpu_reserve_percent = (from)->cpu_reserve_percent,                 \
		.exclusive = (from)->exclusive, .numa = (from)->numa, .hugepages = (from)->hugepages,               \
		.groups = (from)->groups, .affinity = (from)->affinity, .anti_affinity = (from)->anti_affinity,     \
		.spread = (from)->spread, .require = (from)->require, .avoid_labels = (from)->avoid_labels,         \
		.tolerate = (from)->tolerate, .extended = (from)->extended                                          \
	}

static inline struct demand demand_of_vm(const struct vm *vm)
{
	return (struct demand)DEMAND_OF(vm->name, vm);
}

static inline struct demand demand_of_plan(const char *name, const struct plan *plan)
{
	return (struct demand)DEMAND_OF(name, plan);
}

/* Simulated VMs have no guest and take nothing of a real host. */
static inline gboolean demand_is_sim(const struct demand *demand)
{
	return g_strcmp0(demand->engine, "sim") == 0;
}
