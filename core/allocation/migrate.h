/* Consolidation while VMs come and go: a policy is asked for moves each time a VM has ended, and whoever asks (the lab's
 * replay, control later) carries out each move, in order, as long as it still fits. Policies are deterministic and keep
 * their own state beside the world; they are told nothing but the world as it is. */
#pragma once

#include "core/allocation/world.h"

struct allocation_move {
	uint32_t vm;
	struct allocation_fit to;
};

struct allocation_migration {
	const char *name;
	const char *summary;                                               /* one line */
	void *(*new)(const struct allocation_world *world, uint64_t seed); /* NULL: out of memory */
	void (*free)(void *state);                                         /* NULL is fine */
	/* A VM has left `host`; up to n_max moves may be made now (the budget left). Writes moves that fit one after the
	 * other and returns how many. VM numbers change when a VM is moved: a plan names each VM once. */
	size_t (*plan)(void *state, const struct allocation_world *world, uint32_t host, int64_t now_ms,
		       struct allocation_move *moves, size_t n_max);
};
#define ALLOCATION_MOVES_MAX 256 /* n_max is never more */

extern const struct allocation_migration allocation_migration_empty_fewest; /* migrate_fewest.c */
extern const struct allocation_migration *const allocation_migrations[];
extern const size_t allocation_n_migrations;
const struct allocation_migration *allocation_migration_find(const char *name);
