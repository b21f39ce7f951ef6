#include "core/allocation/pack/ejection.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/allocation/pack/fields.h"
#include "core/strategy/random.h"

/* Invariants between steps:
 * 1. An item is either in a bin (bin[i], linked in that bin's list) or in the pool (bin[i] == PACK_UNPLACED).
 * 2. room[b] ≥ 0 in all dimensions; without[i] == room[bin[i]] + size[i] for items in bins.
 * 3. cost[i] is the item's penalty in a bin and NO_COST in the pool, so that a scan over all items skips the pool.
 * 4. pair_cost[b] is up to date (as 2., by refresh()).
 * A pool that runs empty is a packing into one bin less. */

#define NO_COST         UINT32_MAX
#define NONE            UINT32_MAX
#define STOP_WORK       (1 << 15) /* items looked at between two looks at the clock */
#define PENALTY_BY_SIZE 10        /* what a full bin's worth of an item has more penalty at first than nothing */
#define PAIR_DEPTH      48        /* items of a bin among which pairs are tried */

struct ejection {
	const struct pack_problem *problem;
	const struct pack_ejection *how;
	struct pack_fields fields;
	struct strategy_random random;
	uint32_t n, n_bins, n_pool;
	uint32_t n_excluded;      /* items that fit no bin at all */
	uint64_t work;            /* since the last look at the clock */
	uint64_t *size, *without; /* [n][words] */
	uint64_t *room;           /* [n_bins][words] */
	uint32_t *bin, *next, *prev, *cost, *penalty, *pool;
	uint32_t *first;     /* [n_bins] */
	uint32_t *pair_cost; /* [n_bins]: of the two cheapest items together; NO_COST with less than two */
	uint32_t *label;     /* [n_bins]: the caller's bin number */
};

static void ejection_clear(struct ejection *e)
{
	free(e->size);
	free(e->without);
	free(e->room);
	free(e->bin);
	free(e->next);
	free(e->prev);
	free(e->cost);
	free(e->penalty);
	free(e->pool);
	free(e->first);
	free(e->pair_cost);
	free(e->label);
}

static bool ejection_init(struct ejection *e, const struct pack_problem *problem, const struct pack_ejection *how,
			  uint32_t n_bins)
{
	size_t n = problem->n_items ? problem->n_items : 1, words;

	*e = (struct ejection) { .problem = problem, .how = how, .n = problem->n_items, .work = STOP_WORK };
	pack_fields_init(&e->fields, problem);
	strategy_random_init(&e->random, how->seed);
	words = e->fields.words;
	e->size = calloc(n, words * sizeof(*e->size));
	e->without = calloc(n, words * sizeof(*e->without));
	e->room = calloc(n_bins + 1, words * sizeof(*e->room));
	e->bin = calloc(n, sizeof(*e->bin));
	e->next = calloc(n, sizeof(*e->next));
	e->prev = calloc(n, sizeof(*e->prev));
	e->cost = calloc(n, sizeof(*e->cost));
	e->penalty = calloc(n, sizeof(*e->penalty));
	e->pool = calloc(n, sizeof(*e->pool));
	e->first = calloc(n_bins + 1, sizeof(*e->first));
	e->pair_cost = calloc(n_bins + 1, sizeof(*e->pair_cost));
	e->label = calloc(n_bins + 1, sizeof(*e->label));
	if (e->size && e->without && e->room && e->bin && e->next && e->prev && e->cost && e->penalty && e->pool &&
	    e->first && e->pair_cost && e->label)
		return true;
	ejection_clear(e);
	return false;
}

/* After a bin's items changed. */
static void refresh(struct ejection *e, uint32_t bin)
{
	const uint64_t *room = e->room + (size_t)bin * e->fields.words;
	uint32_t words = e->fields.words, low = NO_COST, second = NO_COST;

	for (uint32_t i = e->first[bin]; i != NONE; i = e->next[i]) {
		for (uint32_t w = 0; w < words; w++)
			e->without[(size_t)i * words + w] = room[w] + e->size[(size_t)i * words + w];
		if (e->cost[i] < low) {
			second = low;
			low = e->cost[i];
		} else if (e->cost[i] < second) {
			second = e->cost[i];
		}
	}
	e->pair_cost[bin] = second > NO_COST - low ? NO_COST : low + second;
}

static void link_item(struct ejection *e, uint32_t item, uint32_t bin)
{
	uint32_t words = e->fields.words;

	e->bin[item] = bin;
	e->cost[item] = e->penalty[item];
	e->prev[item] = NONE;
	e->next[item] = e->first[bin];
	if (e->first[bin] != NONE)
		e->prev[e->first[bin]] = item;
	e->first[bin] = item;
	for (uint32_t w = 0; w < words; w++)
		e->room[(size_t)bin * words + w] -= e->size[(size_t)item * words + w];
}

static void unlink_item(struct ejection *e, uint32_t item)
{
	uint32_t words = e->fields.words, bin = e->bin[item];

	if (e->prev[item] != NONE)
		e->next[e->prev[item]] = e->next[item];
	else
		e->first[bin] = e->next[item];
	if (e->next[item] != NONE)
		e->prev[e->next[item]] = e->prev[item];
	for (uint32_t w = 0; w < words; w++)
		e->room[(size_t)bin * words + w] += e->size[(size_t)item * words + w];
	e->bin[item] = PACK_UNPLACED;
	e->cost[item] = NO_COST;
}

static void eject(struct ejection *e, uint32_t item)
{
	unlink_item(e, item);
	e->pool[e->n_pool++] = item;
}

/* ---- Choosing ---- */

static uint32_t find_bin(struct ejection *e, const uint64_t *size)
{
	uint32_t words = e->fields.words;
	uint32_t b = (uint32_t)strategy_random_below(&e->random, e->n_bins);

	for (uint32_t i = 0; i < e->n_bins; i++, b = b + 1 == e->n_bins ? 0 : b + 1)
		if (pack_fields_fit(&e->fields, words, e->room + (size_t)b * words, size))
			return b;
	return PACK_UNPLACED;
}

struct victims {
	uint32_t bin, n, item[2], cost;
};

/* Items [from, to). */
struct range {
	uint32_t from, to;
};

/* Inlined for each count of words, so that the inner loop unrolls. */
static inline __attribute__((always_inline)) void
scan_singles(const struct ejection *e, uint32_t words, const uint64_t *size, struct range range, struct victims *best)
{
	uint64_t need[PACK_DIMENSIONS_MAX];

	for (uint32_t w = 0; w < words; w++)
		need[w] = e->fields.guard[w] - size[w];
	for (uint32_t i = range.from; i < range.to; i++) {
		uint64_t missing = 0;

		if (e->cost[i] >= best->cost)
			continue;
		for (uint32_t w = 0; w < words; w++)
			missing |= ~(e->without[(size_t)i * words + w] + need[w]) & e->fields.guard[w];
		if (!missing)
			*best = (struct victims) { .bin = e->bin[i], .n = 1, .item = { i }, .cost = e->cost[i] };
	}
}

static void find_single(struct ejection *e, const uint64_t *size, struct victims *best)
{
	uint32_t start = (uint32_t)strategy_random_below(&e->random, e->n);
	const struct range ranges[] = { { start, e->n }, { 0, start } };

	for (int half = 0; half < 2; half++) {
		if (e->fields.words == 1)
			scan_singles(e, 1, size, ranges[half], best);
		else if (e->fields.words == 2)
			scan_singles(e, 2, size, ranges[half], best);
		else
			scan_singles(e, e->fields.words, size, ranges[half], best);
	}
}

static void find_pair_in(const struct ejection *e, uint32_t bin, const uint64_t *size, struct victims *best)
{
	uint32_t words = e->fields.words, depth = PAIR_DEPTH;

	for (uint32_t i = e->first[bin]; i != NONE && depth; i = e->next[i], depth--) {
		uint32_t depth_left = depth;

		if (e->cost[i] >= best->cost)
			continue;
		for (uint32_t j = e->next[i]; j != NONE && depth_left; j = e->next[j], depth_left--) {
			uint64_t cost = (uint64_t)e->cost[i] + e->cost[j];

			if (cost < best->cost && pack_fields_cover(&e->fields, words, e->without + (size_t)i * words,
								   e->size + (size_t)j * words, size))
				*best = (struct victims) {
					.bin = bin, .n = 2, .item = { i, j }, .cost = (uint32_t)cost
				};
		}
	}
}

static void find_pair(struct ejection *e, const uint64_t *size, struct victims *best)
{
	uint32_t b = (uint32_t)strategy_random_below(&e->random, e->n_bins);

	for (uint32_t i = 0; i < e->n_bins; i++, b = b + 1 == e->n_bins ? 0 : b + 1)
		if (e->pair_cost[b] < best->cost)
			find_pair_in(e, b, size, best);
}

/* Where no bin gives room by one or two: a random item makes some. */
static void eject_any(struct ejection *e)
{
	uint32_t item = (uint32_t)strategy_random_below(&e->random, e->n), bin = e->bin[item];

	if (bin == PACK_UNPLACED)
		return;
	eject(e, item);
	refresh(e, bin);
}

/* ---- Moving about without ejecting ---- */

static bool fits_instead(const struct ejection *e, uint32_t item, uint32_t other)
{
	uint32_t words = e->fields.words;

	return pack_fields_fit(&e->fields, words, e->without + (size_t)other * words, e->size + (size_t)item * words);
}

static void swap_items(struct ejection *e, uint32_t a, uint32_t b)
{
	uint32_t bin_a = e->bin[a], bin_b = e->bin[b];

	unlink_item(e, a);
	unlink_item(e, b);
	link_item(e, a, bin_b);
	link_item(e, b, bin_a);
	refresh(e, bin_a);
	refresh(e, bin_b);
}

/* Random feasible moves keep the search from circling. */
static void perturb(struct ejection *e)
{
	for (uint32_t t = 0; t < e->how->perturbations; t++) {
		uint32_t a = (uint32_t)strategy_random_below(&e->random, e->n);
		uint32_t b = (uint32_t)strategy_random_below(&e->random, e->n);

		if (e->bin[a] == PACK_UNPLACED || e->bin[b] == PACK_UNPLACED || e->bin[a] == e->bin[b])
			continue;
		if (fits_instead(e, a, b) && fits_instead(e, b, a))
			swap_items(e, a, b);
	}
}

static void step(struct ejection *e)
{
	uint32_t item = e->pool[e->n_pool - 1];
	const uint64_t *size = e->size + (size_t)item * e->fields.words;
	uint32_t bin = find_bin(e, size);
	struct victims best = { .cost = NO_COST };

	e->work += e->n_bins;
	if (bin != PACK_UNPLACED) {
		e->n_pool--;
		link_item(e, item, bin);
		refresh(e, bin);
		return;
	}
	if (e->penalty[item] < NO_COST / 2 - 1)
		e->penalty[item]++;
	find_single(e, size, &best);
	if (e->how->pairs)
		find_pair(e, size, &best);
	e->work += e->n + 8 * e->how->perturbations;
	if (best.n) {
		e->n_pool--;
		for (uint32_t i = 0; i < best.n; i++)
			eject(e, best.item[i]);
		link_item(e, item, best.bin);
		refresh(e, best.bin);
	} else {
		/* It needs more room than two items leave: another first. */
		uint32_t other = (uint32_t)strategy_random_below(&e->random, e->n_pool);

		e->pool[e->n_pool - 1] = e->pool[other];
		e->pool[other] = item;
		eject_any(e);
	}
	perturb(e);
}

/* ---- Bins ---- */

static bool fits_some_bin(const struct ejection *e, uint32_t item)
{
	const struct pack_problem *problem = e->problem;
	const int32_t *size = problem->size + (size_t)item * problem->dimensions;

	for (uint32_t b = 0; b < (problem->n_bins ? problem->n_bins : 1); b++) {
		const int32_t *capacity = pack_capacity(problem, b);
		uint32_t d = 0;

		while (d < problem->dimensions && size[d] <= capacity[d])
			d++;
		if (d == problem->dimensions)
			return true;
	}
	return false;
}

/* Big items are dear from the start. In whole numbers, a dimension at a time. */
static uint32_t first_penalty(const struct ejection *e, uint32_t item)
{
	uint32_t dimensions = e->problem->dimensions;
	const int32_t *size = e->problem->size + (size_t)item * dimensions, *capacity = e->problem->capacity;
	int64_t sum = 0;

	assert(dimensions > 0);
	for (uint32_t d = 0; d < dimensions; d++)
		if (size[d] > 0 && capacity[d] > 0)
			sum += (int64_t)1000 * (size[d] < capacity[d] ? size[d] : capacity[d]) / capacity[d];
	return 1 + (uint32_t)(sum * PENALTY_BY_SIZE / (1000 * (int64_t)dimensions));
}

/* number[]: bin of the caller → bin here. */
static void load(struct ejection *e, const struct pack_solution *solution, const uint32_t *number)
{
	uint32_t words = e->fields.words;

	for (uint32_t b = 0; b < e->n_bins; b++) {
		e->first[b] = NONE;
		pack_fields_encode(&e->fields, pack_capacity(e->problem, e->label[b]), e->room + (size_t)b * words);
	}
	for (uint32_t i = 0; i < e->n; i++) {
		pack_fields_encode(&e->fields, e->problem->size + (size_t)i * e->problem->dimensions,
				   e->size + (size_t)i * words);
		e->penalty[i] = first_penalty(e, i);
		e->cost[i] = NO_COST;
		e->bin[i] = PACK_UNPLACED;
		if (solution->bin[i] != PACK_UNPLACED)
			link_item(e, i, number[solution->bin[i]]);
		else if (fits_some_bin(e, i))
			e->pool[e->n_pool++] = i;
		else
			e->n_excluded++;
	}
	for (uint32_t b = 0; b < e->n_bins; b++)
		refresh(e, b);
}

static void close_bin(struct ejection *e, uint32_t bin)
{
	uint32_t words = e->fields.words, last = e->n_bins - 1;

	while (e->first[bin] != NONE)
		eject(e, e->first[bin]);
	if (bin != last) {
		e->first[bin] = e->first[last];
		e->pair_cost[bin] = e->pair_cost[last];
		e->label[bin] = e->label[last];
		memcpy(e->room + (size_t)bin * words, e->room + (size_t)last * words, words * sizeof(*e->room));
		for (uint32_t i = e->first[bin]; i != NONE; i = e->next[i])
			e->bin[i] = bin;
	}
	e->n_bins--;
}

/* The bin whose items have the least penalty together. */
static uint32_t cheapest_bin(struct ejection *e)
{
	uint32_t b = (uint32_t)strategy_random_below(&e->random, e->n_bins), best = b;
	uint64_t best_cost = UINT64_MAX;

	for (uint32_t k = 0; k < e->n_bins; k++, b = b + 1 == e->n_bins ? 0 : b + 1) {
		uint64_t cost = 0;

		for (uint32_t i = e->first[b]; i != NONE; i = e->next[i])
			cost += e->penalty[i];
		if (cost < best_cost) {
			best = b;
			best_cost = cost;
		}
	}
	return best;
}

static void save(const struct ejection *e, struct pack_solution *solution)
{
	for (uint32_t i = 0; i < e->n; i++) {
		uint32_t bin = e->bin[i];

		if (bin == PACK_UNPLACED)
			solution->bin[i] = PACK_UNPLACED;
		else
			solution->bin[i] = e->problem->n_bins ? e->label[bin] : bin;
	}
	solution->n_unplaced = e->n_pool + e->n_excluded;
	solution->n_bins = 0;
	for (uint32_t b = 0; b < e->n_bins; b++)
		solution->n_bins += e->first[b] != NONE;
}

static bool out_of_budget(struct ejection *e, const struct pack_budget *budget)
{
	if (budget->used >= budget->steps)
		return true;
	if (e->work < STOP_WORK)
		return false;
	e->work = 0;
	return budget->stop && budget->stop(budget->data);
}

/* Until the pool is empty, saving each solution that leaves out fewer than `least` items. false: out of budget. */
static bool empty_pool(struct ejection *e, uint32_t least, struct pack_budget *budget, struct pack_solution *solution)
{
	while (e->n_pool) {
		if (out_of_budget(e, budget))
			return false;
		budget->used++;
		step(e);
		if (e->n_pool < least) {
			least = e->n_pool;
			save(e, solution);
		}
	}
	return true;
}

static void search(struct ejection *e, struct pack_budget *budget, struct pack_solution *solution)
{
	if (!empty_pool(e, e->n_pool, budget, solution))
		return;
	while (e->n_bins > e->how->at_least && e->n_bins > 1) {
		for (uint32_t i = 0; i < e->n; i++) {
			e->penalty[i] = first_penalty(e, i);
			e->cost[i] = e->bin[i] == PACK_UNPLACED ? NO_COST : e->penalty[i];
		}
		for (uint32_t b = 0; b < e->n_bins; b++)
			refresh(e, b);
		close_bin(e, cheapest_bin(e));
		if (!e->n_pool)
			save(e, solution);
		if (!empty_pool(e, 1, budget, solution))
			return;
	}
}

/* Bins are those in use, or all given ones where something was left out. */
static void number_bins(struct ejection *e, const struct pack_solution *solution, uint32_t *number, uint32_t n_labels)
{
	bool all = e->problem->n_bins && solution->n_unplaced;

	for (uint32_t b = 0; b < n_labels; b++)
		number[b] = all ? 1 : 0;
	for (uint32_t i = 0; i < e->n; i++)
		if (solution->bin[i] != PACK_UNPLACED)
			number[solution->bin[i]] = 1;
	for (uint32_t b = 0; b < n_labels; b++) {
		if (!number[b])
			continue;
		e->label[e->n_bins] = b;
		number[b] = e->n_bins++;
	}
}

bool pack_eject(const struct pack_problem *problem, const struct pack_ejection *how, struct pack_budget *budget,
		struct pack_solution *solution)
{
	uint32_t n_labels = problem->n_bins ? problem->n_bins : solution->n_bins;
	uint32_t *number = calloc((size_t)n_labels + 1, sizeof(*number));
	struct ejection e;

	if (!number || !ejection_init(&e, problem, how, n_labels)) {
		free(number);
		return false;
	}
	number_bins(&e, solution, number, n_labels);
	load(&e, solution, number);
	search(&e, budget, solution);
	ejection_clear(&e);
	free(number);
	return true;
}
