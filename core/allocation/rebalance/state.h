/* A machine reassignment solution in the making, with everything a move's cost and validity depend on kept up to date, so
 * that a move is judged in O(resources + balances) and the services it concerns.
 *
 * Capacity may be soft: with a penalty, what is above it (transient amounts included) costs that much a unit, so that a search
 * crosses what it could not get around. A solution is valid when `above` is 0; everything else always holds.
 *
 * Invariants: conflicts, spread and dependencies hold; without penalty `above` is 0; used, left, counts, costs equal a
 * recount. */
#pragma once

#include "core/allocation/rebalance.h"
#include "core/strategy/random.h"

struct rebalance_state {
	const struct rebalance_problem *problem;
	uint32_t *machine;      /* [processes] */
	int64_t *used;          /* [machines][resources] */
	int64_t *left;          /* [machines][resources]: transient amounts of what has moved away */
	int64_t *machine_cost;  /* [machines]: load and balance */
	int64_t *machine_above; /* [machines]: amount above capacity, over all resources */
	int64_t above;          /* of all machines */
	int64_t penalty;        /* a unit above; 0: nothing may be above. Set by the owner */
	uint8_t *is_on;         /* [services][machines] */
	uint32_t *near;         /* [services][neighbourhoods]: processes there */
	uint32_t *at;           /* [services][locations] */
	uint32_t *locations;    /* [services]: distinct ones */
	uint32_t *moved;        /* [services]: processes moved */
	uint32_t *moved_alike;  /* [processes + 1]: services with so many moved */
	uint32_t most_moved;
	uint32_t *needed_start, *needed; /* services that need a service: the reverse of problem->needs */
	int64_t *move_cost;              /* [processes]: weighted, without distance */
	int64_t cost;                    /* without penalties */
};

struct rebalance_change {
	int64_t cost, above;
};

/* rebalance_state_init(state, problem, machine): from a valid assignment. false: out of memory; clear it either way. */
bool rebalance_state_init(struct rebalance_state *state, const struct rebalance_problem *problem,
			  const uint32_t *machine);
void rebalance_state_clear(struct rebalance_state *state);
/* rebalance_state_set(state, machine): another valid assignment. */
void rebalance_state_set(struct rebalance_state *state, const uint32_t *machine);

/* rebalance_shift_try(state, process, to, change): whether the process may move to machine `to` (not where it is), and what
 * that changes the cost by. rebalance_shift: do it; `change` is what try said. */
bool rebalance_shift_try(struct rebalance_state *state, uint32_t process, uint32_t to, struct rebalance_change *change);
void rebalance_shift(struct rebalance_state *state, uint32_t process, uint32_t to,
		     const struct rebalance_change *change);

/* The same for two processes on different machines that change places. */
bool rebalance_swap_try(struct rebalance_state *state, uint32_t first, uint32_t second,
			struct rebalance_change *change);
void rebalance_swap(struct rebalance_state *state, uint32_t first, uint32_t second,
		    const struct rebalance_change *change);
