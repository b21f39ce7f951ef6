/* Packing many items at once into bins: the batch strategies and the lower bounds. Vector bin packing: dimensions are the
 * instance's own (up to PACK_DIMENSIONS_MAX), amounts are whole numbers up to PACK_AMOUNT_MAX. Sizes may be negative (a
 * few published instances have such items: they add room); capacities may not. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/strategy/strategy.h"

#define PACK_DIMENSIONS_MAX 16
#define PACK_UNPLACED       UINT32_MAX
#define PACK_ITEMS_MAX      ((uint32_t)1 << 20)
#define PACK_AMOUNT_MAX     ((int32_t)1 << 29)

struct pack_problem {
	uint32_t dimensions;     /* ≥ 1 */
	uint32_t n_items;        /* ≤ PACK_ITEMS_MAX */
	const int32_t *size;     /* [n_items][dimensions] */
	uint32_t n_bins;         /* 0: as many identical bins as needed; else exactly these */
	const int32_t *capacity; /* [dimensions], or [n_bins][dimensions] when n_bins > 0 */
};

/* How long to go on: a count makes a run reproducible; `stop` may end it sooner (NULL: never). */
struct pack_budget {
	uint64_t steps; /* strategy's own unit of work, documented in its header; 0: just the constructive pass */
	bool (*stop)(void *data);
	void *data;
	uint64_t used; /* out: the count that reproduces this result */
};

struct pack_solution {
	uint32_t *bin;   /* [n_items], the caller's memory; PACK_UNPLACED where an item fits no bin */
	uint32_t n_bins; /* bins used */
	uint32_t n_unplaced;
};

struct pack_ops {
	/* false: out of memory. The solution is always valid (checked by pack_check) and never worse than without budget. */
	bool (*pack)(const struct pack_problem *problem, const struct strategy_values *values, uint64_t seed,
		     struct pack_budget *budget, struct pack_solution *solution);
};

/* pack_check(problem, solution): NULL, or what is wrong (static text): from scratch. */
const char *pack_check(const struct pack_problem *problem, const struct pack_solution *solution);

/* ---- Lower bounds on the number of identical bins ---- */
uint64_t pack_bound_continuous(const struct pack_problem *problem); /* max over dimensions of ceil(sum ÷ capacity) */
/* Dual-feasible functions (Fekete and Schepers 2001; in several dimensions the maximum over dimensions and over
 * combinations as in Caprara and Monaci 2009). At least the continuous bound. false: out of memory. */
bool pack_bound_dual_feasible(const struct pack_problem *problem, uint64_t *bound);
