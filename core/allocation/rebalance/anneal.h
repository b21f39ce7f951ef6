/* Simulated annealing on a machine reassignment problem, shared by the strategies built on it. */
#pragma once

#include "core/allocation/rebalance/state.h"

struct anneal_schedule {
	double start, end; /* temperatures, as multiples of the median change of a valid random move */
	double swap_share; /* of steps */
	uint32_t rounds;   /* ≥ 1 */
	int64_t penalty;   /* a unit above capacity; 0: none may be above */
};

/* rebalance_anneal(problem, schedule, seed, budget, machine): as rebalance_ops.improve. */
bool rebalance_anneal(const struct rebalance_problem *problem, const struct anneal_schedule *schedule, uint64_t seed,
		      struct rebalance_budget *budget, uint32_t *machine);

/* -ln of the middles of ANNEAL_DRAWS equal parts of (0, 1), made of basic operations only so that every machine has the
 * same: a change is accepted when it is at most temperature × a random one of them. */
#define ANNEAL_DRAWS 4096
void anneal_draws(double draws[ANNEAL_DRAWS]);

/* anneal_root(x, doublings): the 2^doublings-th root of x > 0, exact to rounding on every machine. */
double anneal_root(double x, unsigned doublings);
