/* All dimensions of an amount side by side in a few 64-bit words, so that "does it fit" takes a handful of instructions.
 *
 * An amount is encoded as the sum over dimensions of amount << (position × width), modulo 2^64, so sums and differences of
 * encoded amounts are the encoded sums and differences. Each field has one bit more than any room in any bin needs: after
 * the guard (that top bit) is added to every field, the bit is still set exactly where the amount is not negative. It holds
 * for differences room − size as long as size ≤ capacity in each dimension, which items that fit no bin are kept out for.
 * The caller checks no room that already is below 0. */
#pragma once

#include "core/allocation/pack.h"

struct pack_fields {
	uint32_t dimensions, width, per_word, words;
	uint64_t guard[PACK_DIMENSIONS_MAX];
};

void pack_fields_init(struct pack_fields *fields, const struct pack_problem *problem);
void pack_fields_encode(const struct pack_fields *fields, const int32_t *amounts, uint64_t *words);

/* pack_capacity(problem, bin): [dimensions], of that bin. */
static inline const int32_t *pack_capacity(const struct pack_problem *problem, uint32_t bin)
{
	return problem->capacity + (problem->n_bins ? (size_t)bin * problem->dimensions : 0);
}

/* pack_fields_cover(fields, words, room, back, size): room + back − size is at least 0 in all dimensions. */
static inline bool pack_fields_cover(const struct pack_fields *fields, uint32_t words, const uint64_t *room,
				     const uint64_t *back, const uint64_t *size)
{
	uint64_t missing = 0;

	for (uint32_t w = 0; w < words; w++)
		missing |= ~(room[w] + back[w] - size[w] + fields->guard[w]) & fields->guard[w];
	return missing == 0;
}

static inline bool pack_fields_fit(const struct pack_fields *fields, uint32_t words, const uint64_t *room,
				   const uint64_t *size)
{
	uint64_t missing = 0;

	for (uint32_t w = 0; w < words; w++)
		missing |= ~(room[w] - size[w] + fields->guard[w]) & fields->guard[w];
	return missing == 0;
}
