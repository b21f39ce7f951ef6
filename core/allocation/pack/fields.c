#include "core/allocation/pack/fields.h"

#include <assert.h>

void pack_fields_init(struct pack_fields *fields, const struct pack_problem *problem)
{
	uint32_t bins = problem->n_bins ? problem->n_bins : 1;
	uint64_t largest = 0, negative = 0;

	for (size_t i = 0; i < (size_t)bins * problem->dimensions; i++)
		if ((uint64_t)problem->capacity[i] > largest)
			largest = (uint64_t)problem->capacity[i];
	/* Items below 0 add room: at most all of them in one bin, and in one dimension. */
	for (size_t i = 0; i < (size_t)problem->n_items * problem->dimensions; i++)
		if (problem->size[i] < 0)
			negative += (uint64_t) - (int64_t)problem->size[i];
	*fields = (struct pack_fields) { .dimensions = problem->dimensions, .width = 2 };
	while ((uint64_t)1 << (fields->width - 1) <= largest + negative)
		fields->width++;
	assert(fields->width <= 64);
	fields->per_word = 64 / fields->width;
	fields->words = (problem->dimensions + fields->per_word - 1) / fields->per_word;
	for (uint32_t d = 0; d < problem->dimensions; d++)
		fields->guard[d / fields->per_word] |= (uint64_t)1 << ((d % fields->per_word + 1) * fields->width - 1);
}

void pack_fields_encode(const struct pack_fields *fields, const int32_t *amounts, uint64_t *words)
{
	for (uint32_t w = 0; w < fields->words; w++)
		words[w] = 0;
	for (uint32_t d = 0; d < fields->dimensions; d++)
		words[d / fields->per_word] += (uint64_t)(int64_t)amounts[d] << (d % fields->per_word * fields->width);
}
