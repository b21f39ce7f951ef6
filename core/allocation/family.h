/* The family of allocation strategies: the contract, the list, and the placer that pairs a world with a strategy.
 *
 * Contract of an online strategy. It keeps private state beside the world (indexes, learned lifetimes, cursors); the world
 * it is given is always the one its state was made from, brought up to date by events. Each change of the world is told
 * once, after it happened. `decide` chooses among the fits that allocation_world_fits() allows on powered hosts, and
 *   - first minimizes allocation_world_penalty(), then its own cost, then the host's number, then the lowest node;
 *   - never changes the world, never allocates.
 * A strategy that declares an exact index decides what allocation_scan() with its `cost` decides, always. `update` may
 * allocate; when it cannot, it returns false, and the strategy scans from then on. */
#pragma once

#include "core/allocation/world.h"
#include "core/strategy/strategy.h"

/* Why the winner won: the last comparison that still ruled out another. */
enum allocation_step {
	ALLOCATION_STEP_NONE,    /* no host fits */
	ALLOCATION_STEP_ONLY,    /* the only one that fits (told by explain; decide need not know) */
	ALLOCATION_STEP_PENALTY, /* soft constraints */
	ALLOCATION_STEP_COST,    /* the strategy's cost */
	ALLOCATION_STEP_ORDER,   /* the first in the strategy's order (first-fit, next-fit, move-to-front) */
	ALLOCATION_STEP_DRAW,    /* chance (random, power-of-d) */
	ALLOCATION_STEP_TIE,     /* equal cost: the lowest number */
	ALLOCATION_STEPS,
};
extern const char *const allocation_step_names[];

struct allocation_decision {
	struct allocation_fit fit; /* host ALLOCATION_NONE: nothing fits */
	uint32_t penalty;
	double cost; /* of the winner; 0 where the strategy has none */
	enum allocation_step step;
};

enum allocation_change {
	ALLOCATION_PLACED,       /* vm, class_id, host */
	ALLOCATION_REMOVED,      /* the same, already taken off; lived_ms since it was placed, −1: it did not end */
	ALLOCATION_HOST_CHANGED, /* host added, removed, changed, powered, cordoned */
};
struct allocation_event {
	enum allocation_change change;
	uint32_t vm, class_id, host;
	uint8_t nodes;
	int64_t now_ms, lived_ms;
	/* A move is told as PLACED with the number it had before in `from`, both being placed then, and REMOVED of that one
	 * with lived_ms −1. Without a move, what is removed with lived_ms −1 was taken back and never ran. */
	bool moved;
	uint32_t from;
};

struct allocation_strategy {
	struct strategy_info info; /* first */
	/* Online. new: state for the world as it is (its placements included), or NULL when out of memory. */
	void *(*new)(const struct allocation_world *world, const struct strategy_values *values, uint64_t seed);
	void (*free)(void *state); /* NULL is fine */
	bool (*update)(void *state, const struct allocation_world *world, const struct allocation_event *event);
	void (*decide)(void *state, const struct allocation_world *world, uint32_t class_id, int64_t now_ms,
		       struct allocation_decision *decision);
	/* Smaller is better. NULL where order or chance decides. Pure in (state, world, class, fit, now). */
	double (*cost)(const void *state, const struct allocation_world *world, uint32_t class_id,
		       const struct allocation_fit *fit, int64_t now_ms);
	/* Batch: pack.h. Continuous: rebalance.h. */
	const struct pack_ops *pack;
	const struct rebalance_ops *rebalance;
};

/* All of them, in the order shown: online, batch, continuous, yardstick. */
extern const struct allocation_strategy *const allocation_strategies[];
extern const size_t allocation_n_strategies;
extern const struct strategy_registry allocation_registry; /* the same, as infos */
const struct allocation_strategy *allocation_strategy_find(const char *name);
/* allocation_strategy_check(strategy): NULL, or what is missing for its kind (static text). */
const char *allocation_strategy_check(const struct allocation_strategy *strategy);

/* allocation_scan(strategy, state, world, class_id, now_ms, decision): the oracle: looks at every fit of every host. */
void allocation_scan(const struct allocation_strategy *strategy, const void *state,
		     const struct allocation_world *world, uint32_t class_id, int64_t now_ms,
		     struct allocation_decision *decision);

/* ---- The placer: a world, a strategy, and every change told to both ---- */

struct allocation_placer; /* owns its strategy's state; borrows the world */

struct allocation_placer *allocation_placer_new(struct allocation_world *world,
						const struct allocation_strategy *strategy,
						const struct strategy_values *values, uint64_t seed);
void allocation_placer_free(struct allocation_placer *placer);
/* Change the strategy live: new state from the world as it is. false: out of memory, the old one stays. */
bool allocation_placer_switch(struct allocation_placer *placer, const struct allocation_strategy *strategy,
			      const struct strategy_values *values, uint64_t seed);
struct allocation_world *allocation_placer_world(struct allocation_placer *placer);

void allocation_placer_decide(struct allocation_placer *placer, uint32_t class_id, int64_t now_ms,
			      struct allocation_decision *decision);
uint32_t allocation_placer_place(struct allocation_placer *placer, uint32_t class_id, const struct allocation_fit *fit,
				 int64_t now_ms);
void allocation_placer_remove(struct allocation_placer *placer, uint32_t vm, int64_t now_ms);
/* allocation_placer_move(placer, vm, to, now_ms): its number from now on; it keeps the time it was placed. ALLOCATION_NONE: out
 * of memory, it stays. */
uint32_t allocation_placer_move(struct allocation_placer *placer, uint32_t vm, const struct allocation_fit *to,
				int64_t now_ms);
uint32_t allocation_placer_host_add(struct allocation_placer *placer, const struct allocation_host *host);
bool allocation_placer_host_change(struct allocation_placer *placer, uint32_t host, const struct allocation_host *now);
void allocation_placer_host_remove(struct allocation_placer *placer, uint32_t host);
void allocation_placer_host_power(struct allocation_placer *placer, uint32_t host, bool powered);

/* allocation_placer_gang(placer, class_ids, n, now_ms, vms): place all or none. Returns n, or the index of the first that
 * did not fit (then nothing is placed). vms[n] gets the numbers. */
size_t allocation_placer_gang(struct allocation_placer *placer, const uint32_t *class_ids, size_t n, int64_t now_ms,
			      uint32_t *vms);
