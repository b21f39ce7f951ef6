/* Guided ejection search: empty one bin after another (Nagata and Bräysy 2009, "A powerful route minimization heuristic for
 * the vehicle routing problem with time windows", here for bins). */
#pragma once

#include "core/allocation/pack.h"

struct pack_ejection {
	uint64_t seed;
	uint64_t at_least;      /* stop at so many bins: a lower bound */
	uint32_t perturbations; /* random swaps tried after each ejection */
	bool pairs;             /* may eject two items for one */
};

/* pack_eject(problem, how, budget, solution): improve a valid solution in place: first items left out of given bins are
 * brought in, then bins are emptied. One step: one item put into a bin, by force where it must be. false: out of memory
 * (the solution is as it was). */
bool pack_eject(const struct pack_problem *problem, const struct pack_ejection *how, struct pack_budget *budget,
		struct pack_solution *solution);
