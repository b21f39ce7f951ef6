/* Packing without any slack: when the items fill k identical bins exactly in every dimension, each bin must be full to the
 * last unit, and the candidates for bins are few: pairs of items whose complement is there. What remains is an exact cover
 * of the items by full bins of two or three. */
#pragma once

#include "core/allocation/pack.h"

/* pack_cover(problem, seed, budget, solution): replace `solution` (valid, everything placed) when the cover found, with the
 * items it leaves out packed by dot product, takes fewer bins. Does nothing where there is slack, or more than
 * PACK_COVER_ITEMS_MAX items. One step of the budget: one item whose full bins are looked for, O(n), or one full bin taken.
 * false: out of memory (the solution is as it was). */
#define PACK_COVER_ITEMS_MAX 4096
bool pack_cover(const struct pack_problem *problem, uint64_t seed, struct pack_budget *budget,
		struct pack_solution *solution);
