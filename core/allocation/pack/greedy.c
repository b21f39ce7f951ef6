#include "core/allocation/pack/greedy.h"

#include <stdlib.h>
#include <string.h>

#include "core/allocation/pack/fields.h"
#include "core/allocation/pack/tree.h"
#include "core/strategy/random.h"

const char *const pack_measure_names[] = { "sum", "max", "squares", NULL };
const char *const pack_weight_names[] = { "equal", "demand", "remaining", NULL };
const char *const pack_choice_names[] = { "dot", "norm", "cosine", NULL };

/* Sums run in lanes: independent chains of additions, the same on every machine. */
#define LANES 4
/* With fewer items a scan over bins is faster than the tree. */
#define TREE_ITEMS_MIN 2000

struct greedy {
	const struct pack_problem *problem;
	const struct pack_greedy *how;
	struct pack_solution *solution;
	struct pack_fields fields;
	uint32_t n_bins_max;
	uint32_t stride;                     /* dimensions, padded with zeros to whole lanes */
	int64_t demand[PACK_DIMENSIONS_MAX]; /* of what is unplaced */
	double weight[PACK_DIMENSIONS_MAX], scale[PACK_DIMENSIONS_MAX]; /* scale: 1 ÷ capacity */
	double *size;                                                   /* [n][stride], over capacity */
	uint64_t *words;                                                /* [n][fields.words], encoded */
	uint64_t *room;                                                 /* [bins][fields.words] */
	double *rest;                                                   /* [bins][stride], room over capacity */
	struct pack_tree tree;                /* of the open bins; no room in it where it is not used */
	int32_t largest[PACK_DIMENSIONS_MAX]; /* capacity */
	double *key;                          /* [n] */
	uint32_t *order;                      /* [n] */
	uint32_t *scratch;
};

static void *array(size_t n, size_t bytes)
{
	return calloc(n ? n : 1, bytes);
}

static void greedy_clear(struct greedy *greedy)
{
	pack_tree_clear(&greedy->tree);
	free(greedy->size);
	free(greedy->words);
	free(greedy->room);
	free(greedy->rest);
	free(greedy->key);
	free(greedy->order);
	free(greedy->scratch);
}

/* Weights from the demand of what is unplaced. */
static void weigh(struct greedy *greedy)
{
	for (uint32_t d = 0; d < greedy->problem->dimensions; d++) {
		greedy->weight[d] = (double)greedy->demand[d] * greedy->scale[d];
		if (greedy->weight[d] < 0)
			greedy->weight[d] = 0;
	}
}

static void scale_init(struct greedy *greedy)
{
	const struct pack_problem *problem = greedy->problem;

	for (uint32_t b = 0; b < (problem->n_bins ? problem->n_bins : 1); b++)
		for (uint32_t d = 0; d < problem->dimensions; d++)
			if (pack_capacity(problem, b)[d] > greedy->largest[d])
				greedy->largest[d] = pack_capacity(problem, b)[d];
	for (uint32_t d = 0; d < problem->dimensions; d++)
		greedy->scale[d] = greedy->largest[d] ? 1.0 / greedy->largest[d] : 0;
}

static void shuffle(uint32_t *order, uint32_t n, uint64_t seed)
{
	struct strategy_random random;

	strategy_random_init(&random, seed);
	for (uint32_t i = 0; i < n; i++)
		order[i] = i;
	for (uint32_t i = n; i > 1; i--) {
		uint32_t j = (uint32_t)strategy_random_below(&random, i), item = order[i - 1];

		order[i - 1] = order[j];
		order[j] = item;
	}
}

static bool tree_init(struct greedy *greedy)
{
	if (greedy->how->rule != PACK_FIRST_FIT || greedy->problem->n_items < TREE_ITEMS_MIN)
		return true;
	return pack_tree_init(&greedy->tree, greedy->n_bins_max, greedy->problem->dimensions);
}

static bool greedy_init(struct greedy *greedy, const struct pack_problem *problem, const struct pack_greedy *how,
			struct pack_solution *solution)
{
	size_t n = problem->n_items;

	*greedy = (struct greedy) { .problem = problem, .how = how, .solution = solution };
	greedy->n_bins_max = problem->n_bins ? problem->n_bins : problem->n_items;
	greedy->stride = (problem->dimensions + LANES - 1) / LANES * LANES;
	pack_fields_init(&greedy->fields, problem);
	greedy->size = array(n * greedy->stride, sizeof(*greedy->size));
	greedy->words = array(n * greedy->fields.words, sizeof(*greedy->words));
	greedy->room = array((size_t)greedy->n_bins_max * greedy->fields.words, sizeof(*greedy->room));
	greedy->rest = array((size_t)greedy->n_bins_max * greedy->stride, sizeof(*greedy->rest));
	greedy->key = array(n, sizeof(*greedy->key));
	greedy->order = array(n, sizeof(*greedy->order));
	greedy->scratch = array(n, sizeof(*greedy->scratch));
	if (!greedy->size || !greedy->words || !greedy->room || !greedy->rest || !greedy->key || !greedy->order ||
	    !greedy->scratch || !tree_init(greedy)) {
		greedy_clear(greedy);
		return false;
	}
	scale_init(greedy);
	for (size_t i = 0; i < n; i++) {
		const int32_t *size = problem->size + i * problem->dimensions;

		pack_fields_encode(&greedy->fields, size, greedy->words + i * greedy->fields.words);
		for (uint32_t d = 0; d < problem->dimensions; d++) {
			greedy->size[i * greedy->stride + d] = size[d] * greedy->scale[d];
			greedy->demand[d] += size[d];
		}
		solution->bin[i] = PACK_UNPLACED;
	}
	shuffle(greedy->order, problem->n_items, how->seed);
	weigh(greedy);
	if (how->weight == PACK_WEIGHT_EQUAL)
		for (uint32_t d = 0; d < problem->dimensions; d++)
			greedy->weight[d] = 1;
	return true;
}

static double measure(const struct greedy *greedy, const double *amount)
{
	double result = 0;

	for (uint32_t d = 0; d < greedy->problem->dimensions; d++) {
		double x = amount[d] * greedy->weight[d];

		if (greedy->how->measure == PACK_MEASURE_MAX)
			result = x > result ? x : result;
		else
			result += greedy->how->measure == PACK_MEASURE_SQUARES ? x * amount[d] : x;
	}
	return result;
}

/* Stable merge sort by falling key. */
static void sort_falling(const double *key, uint32_t *order, uint32_t *scratch, uint32_t n)
{
	uint32_t half = n / 2, i = 0, j = half, out = 0;

	if (n < 2)
		return;
	sort_falling(key, order, scratch, half);
	sort_falling(key, order + half, scratch, n - half);
	memcpy(scratch, order, n * sizeof(*order));
	while (i < half && j < n)
		order[out++] = key[scratch[j]] > key[scratch[i]] ? scratch[j++] : scratch[i++];
	while (i < half)
		order[out++] = scratch[i++];
	while (j < n)
		order[out++] = scratch[j++];
}

/* Larger than any bin: left out before it meets encoded amounts, which have no room for it. */
static bool fits_none(const struct greedy *greedy, uint32_t item)
{
	const int32_t *size = greedy->problem->size + (size_t)item * greedy->problem->dimensions;

	for (uint32_t d = 0; d < greedy->problem->dimensions; d++)
		if (size[d] > greedy->largest[d])
			return true;
	return false;
}

static void bin_open(struct greedy *greedy, uint32_t bin)
{
	const struct pack_problem *problem = greedy->problem;
	const int32_t *capacity = pack_capacity(problem, bin);

	pack_fields_encode(&greedy->fields, capacity, greedy->room + (size_t)bin * greedy->fields.words);
	for (uint32_t d = 0; d < problem->dimensions; d++)
		greedy->rest[(size_t)bin * greedy->stride + d] = capacity[d] * greedy->scale[d];
	if (greedy->tree.room)
		pack_tree_open(&greedy->tree, bin, capacity);
}

static void put(struct greedy *greedy, uint32_t item, uint32_t bin)
{
	uint32_t words = greedy->fields.words, dimensions = greedy->problem->dimensions;

	for (uint32_t w = 0; w < words; w++)
		greedy->room[(size_t)bin * words + w] -= greedy->words[(size_t)item * words + w];
	for (uint32_t d = 0; d < dimensions; d++) {
		greedy->rest[(size_t)bin * greedy->stride + d] -= greedy->size[(size_t)item * greedy->stride + d];
		greedy->demand[d] -= greedy->problem->size[(size_t)item * dimensions + d];
	}
	if (greedy->tree.room)
		pack_tree_take(&greedy->tree, bin, greedy->problem->size + (size_t)item * dimensions);
	greedy->solution->bin[item] = bin;
}

static bool fits(const struct greedy *greedy, uint32_t item, uint32_t bin)
{
	uint32_t words = greedy->fields.words;

	return pack_fields_fit(&greedy->fields, words, greedy->room + (size_t)bin * words,
			       greedy->words + (size_t)item * words);
}

/* Which of the bins [0, opened) takes it by the rule, or PACK_UNPLACED. */
static uint32_t choose_bin(const struct greedy *greedy, uint32_t item, uint32_t opened)
{
	bool worst = greedy->how->rule == PACK_WORST_FIT;
	uint32_t best = PACK_UNPLACED;
	double best_rest = 0;

	if (greedy->tree.room)
		return pack_tree_first(&greedy->tree,
				       greedy->problem->size + (size_t)item * greedy->problem->dimensions);
	for (uint32_t b = 0; b < opened; b++) {
		double rest;

		if (!fits(greedy, item, b))
			continue;
		if (greedy->how->rule == PACK_FIRST_FIT)
			return b;
		rest = measure(greedy, greedy->rest + (size_t)b * greedy->stride);
		if (best == PACK_UNPLACED || (worst ? rest > best_rest : rest < best_rest)) {
			best = b;
			best_rest = rest;
		}
	}
	return best;
}

static void place_in_order(struct greedy *greedy, uint32_t n)
{
	uint32_t opened = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t item = greedy->order[i], bin = choose_bin(greedy, item, opened);

		while (bin == PACK_UNPLACED && opened < greedy->n_bins_max) {
			bin_open(greedy, opened);
			if (fits(greedy, item, opened))
				bin = opened;
			opened++;
		}
		if (bin != PACK_UNPLACED)
			put(greedy, item, bin);
	}
}

static uint32_t keep_possible(struct greedy *greedy)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < greedy->problem->n_items; i++)
		if (!fits_none(greedy, greedy->order[i]))
			greedy->order[kept++] = greedy->order[i];
	return kept;
}

/* Used bins, and without gaps in their numbers where bins are identical. */
static bool count_bins(struct greedy *greedy)
{
	struct pack_solution *solution = greedy->solution;
	uint32_t *number = array(greedy->n_bins_max, sizeof(*number));

	if (!number)
		return false;
	solution->n_bins = solution->n_unplaced = 0;
	for (uint32_t i = 0; i < greedy->problem->n_items; i++) {
		uint32_t bin = solution->bin[i];

		if (bin == PACK_UNPLACED) {
			solution->n_unplaced++;
			continue;
		}
		if (!number[bin])
			number[bin] = ++solution->n_bins;
		if (!greedy->problem->n_bins)
			solution->bin[i] = number[bin] - 1;
	}
	free(number);
	return true;
}

bool pack_by_item(const struct pack_problem *problem, const struct pack_greedy *how, struct pack_solution *solution)
{
	struct greedy greedy;
	uint32_t n;
	bool ok;

	if (!greedy_init(&greedy, problem, how, solution))
		return false;
	for (uint32_t i = 0; i < problem->n_items; i++)
		greedy.key[i] = measure(&greedy, greedy.size + (size_t)i * greedy.stride);
	n = keep_possible(&greedy);
	sort_falling(greedy.key, greedy.order, greedy.scratch, n);
	place_in_order(&greedy, n);
	ok = count_bins(&greedy);
	greedy_clear(&greedy);
	return ok;
}

static double dot(const double *a, const double *b, uint32_t stride)
{
	double sum[LANES] = { 0 };

	for (uint32_t d = 0; d < stride; d += LANES)
		for (uint32_t lane = 0; lane < LANES; lane++)
			sum[lane] += a[d + lane] * b[d + lane];
	return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* Higher is better. Squares compare as their roots do. `wanted` is weight times room. */
static double desire(const struct greedy *greedy, const double *size, const double *rest, const double *wanted)
{
	double product, square = 0;

	if (greedy->how->choice == PACK_CHOICE_DOT)
		return dot(size, wanted, greedy->stride);
	if (greedy->how->choice == PACK_CHOICE_NORM) {
		for (uint32_t d = 0; d < greedy->problem->dimensions; d++)
			square += greedy->weight[d] * (rest[d] - size[d]) * (rest[d] - size[d]);
		return -square;
	}
	product = dot(size, wanted, greedy->stride);
	for (uint32_t d = 0; d < greedy->problem->dimensions; d++)
		square += greedy->weight[d] * size[d] * size[d];
	return square > 0 ? product * product / square : 0;
}

/* Fill the bin from the items in order[0, n). Candidates that no longer fit are dropped from the list for this bin. */
static void fill(struct greedy *greedy, uint32_t bin, uint32_t n)
{
	const struct pack_problem *problem = greedy->problem;
	const double *rest = greedy->rest + (size_t)bin * greedy->stride;
	const uint64_t *room = greedy->room + (size_t)bin * greedy->fields.words;
	uint32_t *candidate = greedy->scratch, left = n;

	memcpy(candidate, greedy->order, n * sizeof(*candidate));
	while (left) {
		uint32_t best = PACK_UNPLACED, kept = 0;
		double best_desire = 0, wanted[PACK_DIMENSIONS_MAX] = { 0 };

		for (uint32_t d = 0; d < problem->dimensions; d++)
			wanted[d] = greedy->weight[d] * rest[d];
		for (uint32_t i = 0; i < left; i++) {
			uint32_t item = candidate[i];
			double value;

			if (greedy->solution->bin[item] != PACK_UNPLACED ||
			    !pack_fields_fit(&greedy->fields, greedy->fields.words, room,
					     greedy->words + (size_t)item * greedy->fields.words))
				continue;
			candidate[kept++] = item;
			value = desire(greedy, greedy->size + (size_t)item * greedy->stride, rest, wanted);
			if (best == PACK_UNPLACED || value > best_desire) {
				best = item;
				best_desire = value;
			}
		}
		left = kept;
		if (best != PACK_UNPLACED)
			put(greedy, best, bin);
	}
}

static uint32_t keep_unplaced(struct greedy *greedy, uint32_t n)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < n; i++)
		if (greedy->solution->bin[greedy->order[i]] == PACK_UNPLACED)
			greedy->order[kept++] = greedy->order[i];
	return kept;
}

bool pack_by_bin(const struct pack_problem *problem, const struct pack_greedy *how, struct pack_solution *solution)
{
	struct greedy greedy;
	uint32_t left;
	bool ok;

	if (!greedy_init(&greedy, problem, how, solution))
		return false;
	left = keep_possible(&greedy);
	for (uint32_t bin = 0; left && bin < greedy.n_bins_max; bin++) {
		if (how->weight == PACK_WEIGHT_REMAINING)
			weigh(&greedy);
		bin_open(&greedy, bin);
		fill(&greedy, bin, left);
		left = keep_unplaced(&greedy, left);
	}
	ok = count_bins(&greedy);
	greedy_clear(&greedy);
	return ok;
}
