/* Improving what is already placed, move by move: the continuous strategies.
 *
 * Two models. The first is the machine reassignment problem (ROADEF/EURO challenge 2012), below: everything known
 * beforehand, all moves at once, a cost of whole numbers. The second is the live world: moves one after another, each
 * through allocation_world_fits(), so that every hard constraint holds whenever a move's turn comes. */
#pragma once

#include "core/allocation/world.h"
#include "core/strategy/strategy.h"

/* How long to go on. `steps` is the unit a strategy documents, mostly moves evaluated; it makes a run reproducible. `stop`
 * is asked now and then and may end it sooner (NULL: never). */
struct rebalance_budget {
	uint64_t steps;
	bool (*stop)(void *data);
	void *data;
	uint64_t used; /* out */
};

/* ---- The machine reassignment problem ---- */

#define REBALANCE_RESOURCES_MAX 32
#define REBALANCE_BALANCES_MAX  64

struct rebalance_balance { /* costs weight × max(0, target × free of `first` − free of `second`) on each machine */
	uint32_t first, second; /* resources */
	int64_t target, weight;
};

/* All arrays are borrowed. Amounts, costs and weights are ≥ 0 and at most INT32_MAX; rebalance_problem_check tells. */
struct rebalance_problem {
	uint32_t n_resources, n_machines, n_services, n_processes, n_balances;
	uint32_t n_neighbourhoods, n_locations;
	const bool *is_transient;      /* [resources]: charged on both machines while a process moves */
	const int64_t *load_weight;    /* [resources] */
	const uint32_t *neighbourhood; /* [machines] < n_neighbourhoods */
	const uint32_t *location;      /* [machines] < n_locations */
	const int64_t *capacity;       /* [machines][resources] */
	const int64_t *safety;         /* [machines][resources]: what is used above it costs load_weight each */
	const int64_t *distance;     /* [machines][machines]: cost of a move between them, times machine_move_weight */
	const uint32_t *spread_min;  /* [services]: least number of locations */
	const uint32_t *needs_start; /* [services + 1] into needs */
	const uint32_t *needs;    /* services that must have a process in each neighbourhood where this one has one */
	const uint32_t *service;  /* [processes]; processes of one service are on different machines */
	const int64_t *amount;    /* [processes][resources] */
	const int64_t *move_cost; /* [processes], times process_move_weight */
	const struct rebalance_balance *balance;
	int64_t process_move_weight, service_move_weight, machine_move_weight;
	const uint32_t *initial; /* [processes]: machine */
};

/* rebalance_problem_check(problem): NULL, or what is wrong with it (static text): an index or amount out of range, costs
 * that could overflow. */
const char *rebalance_problem_check(const struct rebalance_problem *problem);

enum rebalance_violation {
	REBALANCE_MACHINE,    /* a process is on no machine */
	REBALANCE_CAPACITY,   /* in use above a machine's capacity */
	REBALANCE_TRANSIENT,  /* the same, with transient resources of what leaves it counted too */
	REBALANCE_CONFLICT,   /* two processes of a service on one machine */
	REBALANCE_SPREAD,     /* a service in too few locations */
	REBALANCE_DEPENDENCY, /* a service without one it needs in the neighbourhood */
	REBALANCE_VALID,      /* how many; as a result: none */
};
extern const char *const rebalance_violation_names[];

struct rebalance_cost {
	int64_t total;
	int64_t load, balance, process_move, service_move, machine_move; /* weighted */
};

/* rebalance_verify(problem, machine, cost, violation): from scratch, sharing nothing with the strategies: the cost of
 * `machine` [processes] and the first violation. false: out of memory. */
bool rebalance_verify(const struct rebalance_problem *problem, const uint32_t *machine, struct rebalance_cost *cost,
		      enum rebalance_violation *violation);

/* One move after another. The challenge's moves all happen at once, so its solutions need no order; on live machines what
 * is not transient is freed by an earlier move and taken by a later one. A ring of such moves is opened by parking a
 * process on a third machine (one move more); `together` marks those for which there is none: they must be made at once. */
struct rebalance_move {
	uint32_t process, from, to;
	bool together; /* with the one before */
};
/* rebalance_order(problem, machine, moves, n_moves): moves (room for 2 × processes) from problem->initial to `machine`, in
 * an order in which, one after another with both machines charged until a move is done, no machine holds more than its
 * capacity nor two processes of a service. false: out of memory. */
bool rebalance_order(const struct rebalance_problem *problem, const uint32_t *machine, struct rebalance_move *moves,
		     size_t *n_moves);
/* rebalance_order_check(problem, machine, moves, n_moves): NULL, or what is wrong with the order (static text). */
const char *rebalance_order_check(const struct rebalance_problem *problem, const uint32_t *machine,
				  const struct rebalance_move *moves, size_t n_moves);

/* ---- The live world ---- */

/* One move, in its place in the plan: when its turn comes, `to` has room for it beside everything there, and breaks no hard
 * constraint. */
struct rebalance_step {
	uint32_t vm; /* number in the world the plan was made for */
	uint32_t class_id;
	uint32_t from;
	uint8_t from_nodes;
	struct allocation_fit to;
};

struct rebalance_limits {
	uint32_t max_moves;              /* 0: none but the world's size */
	uint64_t max_memory_mib;         /* moved in all; 0: no limit */
	uint32_t max_hosts;              /* consolidation: hosts to empty; 0: as many as possible */
	struct rebalance_budget *budget; /* NULL: the strategy's default */
};

struct rebalance_plan {
	struct rebalance_step *steps; /* owned: rebalance_plan_clear */
	uint32_t n_steps, room;
	uint64_t memory_mib;    /* moved in all: what the plan costs */
	uint32_t hosts_emptied; /* net, powered hosts */
	/* What the plan gains. Imbalance: the root of the variance of the used share over powered hosts, mean of CPU and memory.
	 * Overloaded: hosts used above the strategy's threshold (else 90 %). */
	double imbalance_before, imbalance_after;
	uint32_t hosts_used_before, hosts_used_after;
	uint32_t overloaded_before, overloaded_after;
};
void rebalance_plan_clear(struct rebalance_plan *plan);

struct allocation_strategy;

/* allocation_rebalance_plan(world, strategy, values, seed, limits, plan): what a continuous strategy would do. `world` is
 * left as it is: the plan is made on a copy. Soft constraints never get worse by a move. Only a VM on a present host is
 * moved, only to powered hosts. false: out of memory, or the strategy makes no plans. */
bool allocation_rebalance_plan(const struct allocation_world *world, const struct allocation_strategy *strategy,
			       const struct strategy_values *values, uint64_t seed,
			       const struct rebalance_limits *limits, struct rebalance_plan *plan);

struct rebalance_stuck {
	uint32_t vm;
	enum allocation_constraint
		most;   /* what rules out most of the other hosts (ALLOCATION_CONSTRAINTS: no other host) */
	uint32_t hosts; /* how many it rules out */
};
struct rebalance_drain {
	struct rebalance_plan plan;
	struct rebalance_stuck *stuck; /* owned */
	uint32_t n_stuck;
};
/* allocation_drain_plan(world, host, drain): moves that empty `host`, largest VM first, each to the fullest host that takes
 * it, and the VMs that no host takes, with why. false: out of memory. Cleared with rebalance_drain_clear. */
bool allocation_drain_plan(const struct allocation_world *world, uint32_t host, struct rebalance_drain *drain);
void rebalance_drain_clear(struct rebalance_drain *drain);

/* allocation_plan_check(world, plan): NULL, or what is wrong (static text): carries the plan out on a copy, step by step,
 * asking allocation_world_violates() each time. */
const char *allocation_plan_check(const struct allocation_world *world, const struct rebalance_plan *plan);

/* For use at every event: empties given hosts by moves that fill others. Keeps the hosts in order of their room, so that a
 * try looks at few hosts; borrows the world and is told each change of it. */
struct rebalance_consolidator;
struct rebalance_consolidator *rebalance_consolidator_new(struct allocation_world *world); /* NULL: out of memory */
void rebalance_consolidator_free(struct rebalance_consolidator *consolidator);
/* rebalance_consolidator_update(consolidator, host): something on the host has changed (a VM came or went, power, …).
 * false: out of memory (a host was added). */
bool rebalance_consolidator_update(struct rebalance_consolidator *consolidator, uint32_t host);
/* rebalance_consolidator_empty(consolidator, host, max_moves, steps, n_steps): the moves (room for max_moves) that empty
 * `host` wholly, each VM to the host with least room that takes it; none when it can't be emptied in max_moves. Hosts that are
 * empty are not used. The world is changed while it works, and as it was on return: the caller makes the moves. O(VMs there ×
 * REBALANCE_TRIES). */
#define REBALANCE_TRIES 64 /* hosts looked at closely for one VM */
void rebalance_consolidator_empty(struct rebalance_consolidator *consolidator, uint32_t host, uint32_t max_moves,
				  struct rebalance_step *steps, uint32_t *n_steps);

/* ---- What a continuous strategy provides ---- */

struct rebalance_search; /* a copy of the world and the plan in the making: core/allocation/rebalance/search.h */

struct rebalance_ops {
	/* A machine reassignment problem: improve `machine` [processes], valid on entry (mostly problem->initial). Always valid
	 * and never worse on return. NULL: not for these. false: out of memory. */
	bool (*improve)(const struct rebalance_problem *problem, const struct strategy_values *values, uint64_t seed,
			struct rebalance_budget *budget, uint32_t *machine);
	/* The live world: add moves to the search. NULL: not for these. false: out of memory. */
	bool (*plan)(struct rebalance_search *search, const struct strategy_values *values, uint64_t seed);
};

/* ---- Even load: the score of a Ganeti cluster ---- */

#define REBALANCE_LOADS_MAX 8

/* Items on nodes; each load of a node is a number, and the score is the weighted sum, over loads, of the standard deviation
 * over the nodes (population, not sample). An item adds amount[load] ÷ scale of its node to it. */
struct rebalance_even {
	uint32_t n_loads, n_nodes, n_kinds, n_items;
	double weight[REBALANCE_LOADS_MAX];
	const double *base;   /* [nodes][loads] */
	const double *scale;  /* [nodes][loads] > 0 */
	const double *limit;  /* [nodes][loads]: highest allowed after a move onto the node */
	const double *amount; /* [kinds][loads]: items alike are of one kind */
	const uint32_t *kind; /* [items] */
	const bool *fixed;    /* [items] may not move; NULL: all may */
	const bool *closed;   /* [nodes] take nothing and count in no score; NULL: none */
};
struct rebalance_even_move {
	uint32_t item, from, to;
	double score; /* after it */
};
/* rebalance_even_score(even, node): the score of the items on node [items], from scratch. */
double rebalance_even_score(const struct rebalance_even *even, const uint32_t *node);
/* rebalance_even_descend(even, node, max_moves, least, moves, n_moves): steepest descent: again and again the one move that
 * lowers the score most (ties: lowest item, then node), until none lowers it by more than `least` or max_moves are made. node
 * [items] is changed; moves has room for max_moves. Every move is possible when its turn comes. false: out of memory.
 * O(moves × nodes² × kinds) at worst, with kinds absent from a node skipped. */
bool rebalance_even_descend(const struct rebalance_even *even, uint32_t *node, size_t max_moves, double least,
			    struct rebalance_even_move *moves, size_t *n_moves);
