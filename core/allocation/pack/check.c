#include "core/allocation/pack.h"

#include <stdlib.h>

#include "core/allocation/pack/fields.h"

static bool fits_alone(const struct pack_problem *problem, uint32_t item)
{
	const int32_t *size = problem->size + (size_t)item * problem->dimensions;

	for (uint32_t d = 0; d < problem->dimensions; d++)
		if (size[d] > problem->capacity[d])
			return false;
	return true;
}

/* load: [bins][dimensions + 1], zeroed; the last counts items. */
static const char *check(const struct pack_problem *problem, const struct pack_solution *solution, uint32_t bins,
			 int64_t *load)
{
	size_t row = (size_t)problem->dimensions + 1;
	uint32_t used = 0, unplaced = 0;

	for (uint32_t i = 0; i < problem->n_items; i++) {
		uint32_t bin = solution->bin[i];

		if (bin == PACK_UNPLACED) {
			if (!problem->n_bins && fits_alone(problem, i))
				return "an item is left out that fits an empty bin";
			unplaced++;
			continue;
		}
		if (bin >= bins)
			return "an item is in a bin that is not there";
		for (uint32_t d = 0; d < problem->dimensions; d++)
			load[bin * row + d] += problem->size[(size_t)i * problem->dimensions + d];
		used += load[bin * row + problem->dimensions]++ == 0;
	}
	for (uint32_t b = 0; b < bins; b++)
		for (uint32_t d = 0; d < problem->dimensions; d++)
			if (load[b * row + d] > pack_capacity(problem, b)[d])
				return "a bin holds more than its capacity";
	if (used != solution->n_bins)
		return "the number of bins used is wrong";
	if (unplaced != solution->n_unplaced)
		return "the number of items left out is wrong";
	return NULL;
}

const char *pack_check(const struct pack_problem *problem, const struct pack_solution *solution)
{
	uint32_t bins = problem->n_bins ? problem->n_bins : solution->n_bins;
	int64_t *load = calloc((size_t)bins + 1, ((size_t)problem->dimensions + 1) * sizeof(*load));
	const char *wrong = load ? check(problem, solution, bins, load) : "out of memory";

	free(load);
	return wrong;
}
