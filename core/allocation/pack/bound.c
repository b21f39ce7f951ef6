#include "core/allocation/pack.h"

#include <stdlib.h>
#include <string.h>

#include "core/allocation/pack/fields.h"

/* A view of the problem with one dimension: item sizes and a capacity, possibly weighted sums of the original dimensions
 * (what fits in all of them fits in any sum with weights of at least 0). Sizes lie in [0, capacity] and rise. */
struct line {
	int64_t capacity;
	int64_t *size;   /* [n], rising */
	int64_t *prefix; /* [n + 1]: sums of the first i */
	uint32_t n;
};

#define THRESHOLDS_MAX    64   /* of the third function, spread over the distinct sizes */
#define STEPS_MAX         20   /* k of the staircase function */
#define COMBINE_ITEMS_MAX 8192 /* more: each dimension alone, by rounding */
#define SCALE             ((int64_t)1 << 10)

static int64_t ceil_div(__int128 sum, __int128 by)
{
	return sum <= 0 ? 0 : (int64_t)((sum + by - 1) / by);
}

static void largest_capacity(const struct pack_problem *problem, int64_t *capacity)
{
	for (uint32_t d = 0; d < problem->dimensions; d++) {
		capacity[d] = 0;
		for (uint32_t b = 0; b < (problem->n_bins ? problem->n_bins : 1); b++)
			if (pack_capacity(problem, b)[d] > capacity[d])
				capacity[d] = pack_capacity(problem, b)[d];
	}
}

/* What fits no bin is left out of every packing, so of every bound. */
static bool counts(const struct pack_problem *problem, const int64_t *capacity, uint32_t item)
{
	for (uint32_t d = 0; d < problem->dimensions; d++)
		if (problem->size[(size_t)item * problem->dimensions + d] > capacity[d])
			return false;
	return true;
}

uint64_t pack_bound_continuous(const struct pack_problem *problem)
{
	int64_t capacity[PACK_DIMENSIONS_MAX], sum[PACK_DIMENSIONS_MAX] = { 0 }, best = 0;

	largest_capacity(problem, capacity);
	for (uint32_t i = 0; i < problem->n_items; i++) {
		if (!counts(problem, capacity, i))
			continue;
		best = best ? best : 1;
		for (uint32_t d = 0; d < problem->dimensions; d++)
			sum[d] += problem->size[(size_t)i * problem->dimensions + d];
	}
	for (uint32_t d = 0; d < problem->dimensions; d++)
		if (capacity[d] && ceil_div(sum[d], capacity[d]) > best)
			best = ceil_div(sum[d], capacity[d]);
	return (uint64_t)best;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* false: it has items below 0, for which the functions are not defined, or no room at all. */
static bool line_fill(struct line *line, const struct pack_problem *problem, const int64_t *capacity,
		      const int64_t *weight)
{
	line->capacity = 0;
	line->n = 0;
	for (uint32_t d = 0; d < problem->dimensions; d++)
		line->capacity += weight[d] * capacity[d];
	for (uint32_t i = 0; i < problem->n_items; i++) {
		int64_t sum = 0;

		if (!counts(problem, capacity, i))
			continue;
		for (uint32_t d = 0; d < problem->dimensions; d++)
			sum += weight[d] * problem->size[(size_t)i * problem->dimensions + d];
		if (sum < 0)
			return false;
		line->size[line->n++] = sum;
	}
	qsort(line->size, line->n, sizeof(*line->size), compare);
	line->prefix[0] = 0;
	for (uint32_t i = 0; i < line->n; i++)
		line->prefix[i + 1] = line->prefix[i] + line->size[i];
	return line->capacity > 0;
}

/* How many sizes are less than `limit`. */
static uint32_t below(const struct line *line, int64_t limit)
{
	uint32_t low = 0, high = line->n;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (line->size[middle] < limit)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Sizes below e count nothing, above capacity − e a whole bin (Martello and Toth's bound as a function). */
static int64_t bound_round(const struct line *line)
{
	int64_t best = 0;

	for (uint32_t i = 0; i <= line->n; i++) {
		int64_t e = i < line->n ? line->size[i] : 0, bins;
		uint32_t from, to;

		if (e > line->capacity / 2)
			continue;
		from = below(line, e);
		to = below(line, line->capacity - e + 1);
		bins = ceil_div((__int128)(line->n - to) * line->capacity + line->prefix[to] - line->prefix[from],
				line->capacity);
		best = bins > best ? bins : best;
	}
	return best;
}

/* x stays where (k+1)·x is a multiple of the capacity, else floor((k+1)·x) ÷ k, in capacities. */
static int64_t bound_staircase(const struct line *line)
{
	int64_t best = 0;

	for (int64_t k = 1; k <= STEPS_MAX; k++) {
		__int128 sum = 0;
		int64_t bins;

		for (uint32_t i = 0; i < line->n; i++) {
			__int128 x = (__int128)(k + 1) * line->size[i];

			sum += x % line->capacity == 0 ? (__int128)k * line->size[i]
						       : x / line->capacity * line->capacity;
		}
		bins = ceil_div(sum, (__int128)k * line->capacity);
		best = bins > best ? bins : best;
	}
	return best;
}

/* With m = floor(1/e): above one half 1 − floor((1−x)/e) ÷ m, from e to one half 1/m, below nothing. */
static int64_t bound_threshold(const struct line *line, int64_t e)
{
	int64_t m = line->capacity / e;
	__int128 sum = 0;

	for (uint32_t i = below(line, e); i < line->n; i++) {
		int64_t x = line->size[i];

		sum += 2 * x > line->capacity ? m - (line->capacity - x) / e : 1;
	}
	return ceil_div(sum, m);
}

static int64_t line_bound(const struct line *line)
{
	int64_t best = bound_round(line), other;
	uint32_t half = below(line, line->capacity / 2 + 1), stride = half / THRESHOLDS_MAX + 1;

	if (line->n > COMBINE_ITEMS_MAX)
		return best;
	other = bound_staircase(line);
	best = other > best ? other : best;
	for (uint32_t i = 0; i < half; i += stride) {
		if (line->size[i] == 0)
			continue;
		other = bound_threshold(line, line->size[i]);
		best = other > best ? other : best;
	}
	return best;
}

/* Items no two of which share a bin, taken greedily from the largest: each needs a bin of its own. */
static int64_t bound_conflicts(const struct pack_problem *problem, const int64_t *capacity, uint32_t *chosen)
{
	uint32_t n_chosen = 0;

	for (int round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < problem->n_items; i++) {
			const int32_t *size = problem->size + (size_t)i * problem->dimensions;
			bool conflicts = counts(problem, capacity, i), large = false;

			for (uint32_t d = 0; d < problem->dimensions; d++) {
				large = large || 2 * (int64_t)size[d] > capacity[d];
				if (size[d] < 0)
					return 0; /* a third item could make room for two */
			}
			if (large != (round == 0))
				continue;
			for (uint32_t x = 0; x < n_chosen && conflicts; x++) {
				const int32_t *other = problem->size + (size_t)chosen[x] * problem->dimensions;

				conflicts = false;
				for (uint32_t d = 0; d < problem->dimensions && !conflicts; d++)
					conflicts = (int64_t)size[d] + other[d] > capacity[d];
			}
			if (conflicts)
				chosen[n_chosen++] = i;
		}
	}
	return n_chosen;
}

bool pack_bound_dual_feasible(const struct pack_problem *problem, uint64_t *bound)
{
	int64_t capacity[PACK_DIMENSIONS_MAX], best = (int64_t)pack_bound_continuous(problem), largest = 1;
	struct line line = {
		.size = calloc((size_t)problem->n_items + 1, sizeof(*line.size)),
		.prefix = calloc((size_t)problem->n_items + 2, sizeof(*line.prefix)),
	};
	uint32_t *chosen = calloc((size_t)problem->n_items + 1, sizeof(*chosen));
	bool ok = line.size && line.prefix && chosen, combine = problem->n_items <= COMBINE_ITEMS_MAX;

	largest_capacity(problem, capacity);
	for (uint32_t d = 0; d < problem->dimensions; d++)
		largest = capacity[d] > largest ? capacity[d] : largest;
	/* Each dimension, each pair of them, and all together; scaled so that capacities weigh about the same. */
	for (uint32_t a = 0; ok && a <= problem->dimensions; a++) {
		for (uint32_t b = a; (combine && b < problem->dimensions) || b == a; b++) {
			int64_t weight[PACK_DIMENSIONS_MAX] = { 0 }, found;

			for (uint32_t d = 0; d < problem->dimensions; d++)
				if ((a == problem->dimensions || d == a || d == b) && capacity[d])
					weight[d] =
						a == b && a < problem->dimensions ? 1 : SCALE * largest / capacity[d];
			if (!line_fill(&line, problem, capacity, weight))
				continue;
			found = line_bound(&line);
			best = found > best ? found : best;
		}
	}
	if (ok) {
		int64_t found = combine ? bound_conflicts(problem, capacity, chosen) : 0;

		*bound = (uint64_t)(found > best ? found : best);
	}
	free(line.size);
	free(line.prefix);
	free(chosen);
	return ok;
}
