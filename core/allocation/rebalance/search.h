/* A plan in the making: moves tried on a world, and taken back. */
#pragma once

#include "core/allocation/rebalance.h"
#include "core/allocation/rebalance/rooms.h"

struct rebalance_search {
	struct allocation_world *world; /* a copy, the search's own */
	struct rebalance_limits limits; /* max_moves, max_hosts never 0 */
	struct rebalance_plan *plan;
	struct rebalance_rooms rooms; /* kept up to date by move and undo */
	double overloaded_above;      /* used share; set by the strategy */
};

/* Used share of a host, of CPU or memory whichever is more; 0 when it has neither. And each of the two. */
double rebalance_used(const struct allocation_world *world, uint32_t host, double *cpu, double *memory);
/* Whether it takes part: present and powered. */
bool rebalance_is_on(const struct allocation_world *world, uint32_t host);
/* Memory of a VM that must be carried over, huge pages included. */
uint64_t rebalance_memory_mib(const struct allocation_world *world, uint32_t class_id);

/* rebalance_world_move(world, vm, fit): the VM, on `fit` instead; it keeps its number. */
void rebalance_world_move(struct allocation_world *world, uint32_t vm, const struct allocation_fit *fit);

/* rebalance_best_fit(world, rooms, vm, skip, fit): the host with least room for `vm` that takes it, of REBALANCE_TRIES looked
 * at closely and without more penalty than where it is; not its own, none marked in `skip` [hosts] (may be NULL), no empty
 * one. false: none. */
bool rebalance_best_fit(struct allocation_world *world, const struct rebalance_rooms *rooms, uint32_t vm,
			const uint8_t *skip, struct allocation_fit *fit);

/* rebalance_scan_fit(world, vm, max_penalty, most_used, fit): the host that takes `vm` with the least penalty (at most
 * max_penalty), then the least used share, which may be at most most_used with it; ties to the lowest number. Looks at every
 * host, empty ones too. false: none. */
bool rebalance_scan_fit(struct allocation_world *world, uint32_t vm, uint32_t max_penalty, double most_used,
			struct allocation_fit *fit);

/* rebalance_search_may(search, vm): whether the limits allow one more move of it. */
bool rebalance_search_may(const struct rebalance_search *search, uint32_t vm);
/* rebalance_search_move(search, vm, fit): make the move and note it. false: out of memory (nothing done). */
bool rebalance_search_move(struct rebalance_search *search, uint32_t vm, const struct allocation_fit *fit);
/* rebalance_search_undo(search, n_steps): take back the moves after the first n_steps. */
void rebalance_search_undo(struct rebalance_search *search, uint32_t n_steps);

/* rebalance_search_make_room(search, vm, skip, fit): where no host takes `vm`, one smaller VM is moved off a host that then does,
 * and `fit` is there; on host ALLOCATION_NONE, and nothing moved, when that did not help. false: out of memory. */
bool rebalance_search_make_room(struct rebalance_search *search, uint32_t vm, const uint8_t *skip,
				struct allocation_fit *fit);

/* rebalance_search_empty(search, host, skip): move all off the host, or nothing. `*emptied` says which. false: out of
 * memory. */
bool rebalance_search_empty(struct rebalance_search *search, uint32_t host, const uint8_t *skip, bool *emptied);

/* rebalance_vms_on(world, host, vms): the numbers of its VMs, largest CPU first, then memory, then number: *vms is the
 * caller's to free, NULL when out of memory. */
uint32_t rebalance_vms_on(const struct allocation_world *world, uint32_t host, uint32_t **vms);
