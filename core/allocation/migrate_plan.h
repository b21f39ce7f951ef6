/* A plan of moves in the making: what each host has room for once the moves planned so far are made. */
#pragma once

#include "core/allocation/migrate.h"

struct migrate_room {
	double cpu[ALLOCATION_NODES_MAX], memory[ALLOCATION_NODES_MAX]; /* free */
	double per_cpu, per_memory;                                     /* one over those of the largest node */
	uint32_t n_nodes, type;
	bool open;   /* has VMs and takes more */
	bool shared; /* no VM there wants it alone */
};

struct migrate_plan {
	const struct allocation_world *world;
	int64_t now_ms;
	uint32_t from; /* nothing is moved there */
	struct allocation_move *moves;
	size_t n, n_max;
	struct migrate_room *room; /* by host */
	uint32_t n_hosts, capacity;
};

/* Zeroed before the first. begin: false: out of memory. */
bool migrate_plan_begin(struct migrate_plan *plan);
void migrate_plan_clear(struct migrate_plan *plan);

/* Plan the VM's move to where it leaves least. false: it fits nowhere. */
bool migrate_plan_move(struct migrate_plan *plan, uint32_t vm);
/* Plan it and before it those of small VMs that make way for it elsewhere. false: there is no such way; nothing was
 * planned. Only for VMs that no constraint but room keeps off hosts of the same type. */
bool migrate_plan_make_way(struct migrate_plan *plan, uint32_t vm);
