/* Constructive packing, item by item or bin by bin.
 *
 * Amounts are compared after division by capacity (of the largest bin where bins differ) and times a weight per
 * dimension. */
#pragma once

#include "core/allocation/pack.h"

/* What makes an item big. */
enum pack_measure {
	PACK_MEASURE_SUM,     /* of its dimensions */
	PACK_MEASURE_MAX,     /* its largest dimension */
	PACK_MEASURE_SQUARES, /* sum of their squares */
	PACK_MEASURES,
};
extern const char *const pack_measure_names[]; /* NULL-terminated */

/* Weight of a dimension. */
enum pack_weight {
	PACK_WEIGHT_EQUAL,
	PACK_WEIGHT_DEMAND,    /* what the items ask for in it, in bins */
	PACK_WEIGHT_REMAINING, /* the same of the items not yet packed, again for each bin (item by item: as DEMAND) */
	PACK_WEIGHTS,
};
extern const char *const pack_weight_names[];

enum pack_rule { PACK_FIRST_FIT, PACK_BEST_FIT, PACK_WORST_FIT };

/* Which item goes next into the open bin. */
enum pack_choice {
	PACK_CHOICE_DOT,    /* largest dot product of size and room (Panigrahy et al. 2011) */
	PACK_CHOICE_NORM,   /* leaves the shortest room, Euclidean (same source) */
	PACK_CHOICE_COSINE, /* smallest angle between size and room, big items first by SQUARES */
	PACK_CHOICES,
};
extern const char *const pack_choice_names[];

struct pack_greedy {
	enum pack_measure measure; /* item by item: the order */
	enum pack_weight weight;
	enum pack_rule rule;
	enum pack_choice choice; /* bin by bin */
	uint64_t seed;           /* order of items that compare equal */
};

/* Item by item, in order of falling size: the rule picks among the open bins where it fits; else the next bin opens. Best
 * fit leaves the least room by `measure`, worst fit the most. O(n log n + n × bins), first fit of many items O(n log n)
 * or a little more. false: out of memory. */
bool pack_by_item(const struct pack_problem *problem, const struct pack_greedy *how, struct pack_solution *solution);
/* Bin by bin: fill the open one by `choice` until nothing fits. O(n × bins + n × candidates). false: out of memory. */
bool pack_by_bin(const struct pack_problem *problem, const struct pack_greedy *how, struct pack_solution *solution);
