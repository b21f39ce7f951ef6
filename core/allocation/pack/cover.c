#include "core/allocation/pack/cover.h"

#include <stdlib.h>
#include <string.h>

#include "core/allocation/pack/fields.h"
#include "core/allocation/pack/greedy.h"
#include "core/strategy/random.h"

#define NONE           UINT32_MAX
#define SETS_PER_ITEM  256 /* more: there is little that an exact cover would know better */
#define STEPS_PER_ITEM 4000
#define STOP_INTERVAL  64 /* steps of the search, and … */
#define ROWS_INTERVAL  16 /* … items whose sets are looked for, between two looks at the clock */
#define ITEMS_PER_SET  3

/* Local search, as in ejection.c but on whole bins: an item left out takes a set that holds it; the sets it meets are given
 * up. Penalties of items that keep being left out make their sets dear to give up.
 *
 * Invariant: taken[i] is the set that covers item i, or NONE and then i is in the pool at `place[i]`. */
struct cover {
	const struct pack_problem *problem;
	struct pack_fields fields;
	struct strategy_random random;
	uint32_t n;
	uint64_t *size;         /* [n][words] */
	uint32_t *slot, *chain; /* hash of sizes: slot[mask + 1], chain[n] */
	uint32_t mask;
	uint32_t *set; /* [n_sets][ITEMS_PER_SET], NONE for a third that is not there */
	uint32_t n_sets, sets_max;
	uint32_t *start, *of;                            /* sets of item i: of[start[i]] … of[start[i + 1] - 1] */
	uint32_t *taken, *pool, *place, *penalty, *best; /* [n]; best: taken[] when the pool was smallest */
	uint32_t n_pool;
};

static void cover_clear(struct cover *c)
{
	free(c->size);
	free(c->slot);
	free(c->chain);
	free(c->set);
	free(c->start);
	free(c->of);
	free(c->taken);
	free(c->pool);
	free(c->place);
	free(c->penalty);
	free(c->best);
}

static uint32_t hash(const struct cover *c, const uint64_t *words)
{
	uint64_t h = 0;

	for (uint32_t w = 0; w < c->fields.words; w++)
		h = (h ^ words[w] ^ (h >> 29)) * 0x9e3779b97f4a7c15u;
	return (uint32_t)(h >> 32) & c->mask;
}

static bool cover_init(struct cover *c, const struct pack_problem *problem, uint64_t seed)
{
	size_t n = problem->n_items;

	*c = (struct cover) { .problem = problem, .n = problem->n_items, .mask = 1 };
	pack_fields_init(&c->fields, problem);
	strategy_random_init(&c->random, seed);
	while (c->mask < 2 * n)
		c->mask = 2 * c->mask + 1;
	c->size = calloc(n, c->fields.words * sizeof(*c->size));
	c->slot = malloc(((size_t)c->mask + 1) * sizeof(*c->slot));
	c->chain = calloc(n, sizeof(*c->chain));
	c->start = calloc(n + 2, sizeof(*c->start));
	c->taken = calloc(n, sizeof(*c->taken));
	c->pool = calloc(n, sizeof(*c->pool));
	c->place = calloc(n, sizeof(*c->place));
	c->penalty = calloc(n, sizeof(*c->penalty));
	c->best = calloc(n, sizeof(*c->best));
	if (!c->size || !c->slot || !c->chain || !c->start || !c->taken || !c->pool || !c->place || !c->penalty ||
	    !c->best) {
		cover_clear(c);
		return false;
	}
	memset(c->slot, 0xff, ((size_t)c->mask + 1) * sizeof(*c->slot));
	for (uint32_t i = 0; i < c->n; i++) {
		uint64_t *words = c->size + (size_t)i * c->fields.words;
		uint32_t *slot;

		pack_fields_encode(&c->fields, problem->size + (size_t)i * problem->dimensions, words);
		slot = &c->slot[hash(c, words)];
		c->chain[i] = *slot; /* so a chain falls in item number */
		*slot = i;
	}
	return true;
}

static bool add_set(struct cover *c, uint32_t i, uint32_t j, uint32_t k)
{
	if (c->n_sets == c->sets_max) {
		uint32_t more = c->sets_max ? 2 * c->sets_max : 1024;
		uint32_t *set = realloc(c->set, (size_t)more * ITEMS_PER_SET * sizeof(*set));

		if (!set)
			return false;
		c->set = set;
		c->sets_max = more;
	}
	memcpy(c->set + (size_t)c->n_sets++ * ITEMS_PER_SET, (uint32_t[]) { i, j, k }, ITEMS_PER_SET * sizeof(i));
	return true;
}

/* All items after `after` whose encoded size is `wanted` complete a set with i (and j). Encodings are equal exactly where
 * amounts are, up to sums that wrap out of a field; sets are checked again in whole numbers when they are used. */
static bool complete(struct cover *c, uint32_t i, uint32_t j, const uint64_t *wanted)
{
	uint32_t after = j == NONE ? i : j;

	for (uint32_t k = c->slot[hash(c, wanted)]; k != NONE && k > after; k = c->chain[k])
		if (memcmp(c->size + (size_t)k * c->fields.words, wanted, c->fields.words * sizeof(*wanted)) == 0 &&
		    !(j == NONE ? add_set(c, i, k, NONE) : add_set(c, i, j, k)))
			return false;
	return true;
}

enum found { FOUND_ALL, FOUND_TOO_MANY, FOUND_NO_TIME, FOUND_NO_MEMORY };

static enum found find_sets(struct cover *c, struct pack_budget *budget)
{
	uint32_t words = c->fields.words;
	uint64_t one[PACK_DIMENSIONS_MAX], two[PACK_DIMENSIONS_MAX], capacity[PACK_DIMENSIONS_MAX];

	pack_fields_encode(&c->fields, c->problem->capacity, capacity);
	for (uint32_t i = 0; i < c->n; i++) {
		if (budget->used >= budget->steps ||
		    (i % ROWS_INTERVAL == 0 && budget->stop && budget->stop(budget->data)))
			return FOUND_NO_TIME;
		for (uint32_t w = 0; w < words; w++)
			one[w] = capacity[w] - c->size[(size_t)i * words + w];
		if (!complete(c, i, NONE, one))
			return FOUND_NO_MEMORY;
		for (uint32_t j = i + 1; j < c->n; j++) {
			for (uint32_t w = 0; w < words; w++)
				two[w] = one[w] - c->size[(size_t)j * words + w];
			if (!complete(c, i, j, two))
				return FOUND_NO_MEMORY;
		}
		budget->used++;
		if (c->n_sets > (uint64_t)c->n * SETS_PER_ITEM)
			return FOUND_TOO_MANY;
	}
	return FOUND_ALL;
}

static bool index_sets(struct cover *c)
{
	c->of = calloc((size_t)c->n_sets * ITEMS_PER_SET + 1, sizeof(*c->of));
	if (!c->of)
		return false;
	for (size_t i = 0; i < (size_t)c->n_sets * ITEMS_PER_SET; i++)
		if (c->set[i] != NONE)
			c->start[c->set[i] + 2]++;
	for (uint32_t i = 2; i < c->n + 2; i++)
		c->start[i] += c->start[i - 1];
	for (size_t i = 0; i < (size_t)c->n_sets * ITEMS_PER_SET; i++)
		if (c->set[i] != NONE)
			c->of[c->start[c->set[i] + 1]++] = (uint32_t)(i / ITEMS_PER_SET);
	return true;
}

static void pool_add(struct cover *c, uint32_t item)
{
	c->taken[item] = NONE;
	c->place[item] = c->n_pool;
	c->pool[c->n_pool++] = item;
}

static void pool_remove(struct cover *c, uint32_t item)
{
	uint32_t last = c->pool[--c->n_pool];

	c->pool[c->place[item]] = last;
	c->place[last] = c->place[item];
}

static void give_up(struct cover *c, uint32_t set)
{
	for (uint32_t x = 0; x < ITEMS_PER_SET; x++)
		if (c->set[(size_t)set * ITEMS_PER_SET + x] != NONE)
			pool_add(c, c->set[(size_t)set * ITEMS_PER_SET + x]);
}

static void take(struct cover *c, uint32_t set)
{
	const uint32_t *items = c->set + (size_t)set * ITEMS_PER_SET;

	for (uint32_t x = 0; x < ITEMS_PER_SET && items[x] != NONE; x++)
		if (c->taken[items[x]] != NONE)
			give_up(c, c->taken[items[x]]);
	for (uint32_t x = 0; x < ITEMS_PER_SET && items[x] != NONE; x++) {
		c->taken[items[x]] = set;
		pool_remove(c, items[x]);
	}
}

/* Penalties of the items left out by taking `set`: those of the sets it meets that it does not hold itself. */
static uint64_t price(const struct cover *c, uint32_t set)
{
	const uint32_t *items = c->set + (size_t)set * ITEMS_PER_SET;
	uint32_t met[ITEMS_PER_SET];
	uint64_t sum = 0;
	uint32_t n_met = 0;

	for (uint32_t x = 0; x < ITEMS_PER_SET && items[x] != NONE; x++) {
		uint32_t other = c->taken[items[x]];
		bool known = other == NONE;

		for (uint32_t y = 0; y < n_met; y++)
			known = known || met[y] == other;
		if (known)
			continue;
		met[n_met++] = other;
		for (uint32_t y = 0; y < ITEMS_PER_SET; y++) {
			uint32_t left = c->set[(size_t)other * ITEMS_PER_SET + y];

			if (left != NONE && left != items[0] && left != items[1] && left != items[2])
				sum += c->penalty[left];
		}
	}
	return sum;
}

static void cover_search(struct cover *c, struct pack_budget *budget)
{
	uint64_t steps = (uint64_t)STEPS_PER_ITEM * c->n;
	uint32_t least;

	for (uint32_t i = 0; i < c->n; i++) {
		c->penalty[i] = 1;
		if (c->start[i] != c->start[i + 1])
			pool_add(c, i);
		else
			c->taken[i] = NONE; /* in no set: left to the packing of what is left out */
	}
	least = c->n_pool + 1;
	while (c->n_pool && steps-- && budget->used < budget->steps) {
		uint32_t item = c->pool[strategy_random_below(&c->random, c->n_pool)];
		uint32_t n = c->start[item + 1] - c->start[item], best = NONE;
		uint32_t first = (uint32_t)strategy_random_below(&c->random, n);
		uint64_t best_price = UINT64_MAX;

		for (uint32_t x = 0; x < n && best_price; x++) {
			uint32_t set = c->of[c->start[item] + (first + x) % n];
			uint64_t its_price = price(c, set);

			if (its_price < best_price) {
				best_price = its_price;
				best = set;
			}
		}
		c->penalty[item]++;
		take(c, best);
		if (c->n_pool < least) {
			least = c->n_pool;
			memcpy(c->best, c->taken, c->n * sizeof(*c->best));
		}
		if (budget->used++ % STOP_INTERVAL == 0 && budget->stop && budget->stop(budget->data))
			break;
	}
}

/* The sets taken become bins, the items left out a smaller problem. */
static bool cover_finish(struct cover *c, uint64_t seed, struct pack_solution *solution)
{
	const struct pack_problem *problem = c->problem;
	size_t row = problem->dimensions;
	int32_t *size = calloc(c->n * row, sizeof(*size));
	uint32_t *bin = calloc(2 * (size_t)c->n, sizeof(*bin)),
		 *number = calloc((size_t)c->n_sets + 1, sizeof(*number));
	struct pack_greedy greedy = { .weight = PACK_WEIGHT_REMAINING, .choice = PACK_CHOICE_DOT, .seed = seed };
	struct pack_solution rest = { .bin = bin ? bin + c->n : NULL }, all = { .bin = bin };
	struct pack_problem left = *problem;
	bool ok = size && bin && number;

	left.n_items = 0;
	left.size = size;
	for (uint32_t i = 0; ok && i < c->n; i++)
		if (c->best[i] == NONE)
			memcpy(size + row * left.n_items++, problem->size + row * i, row * sizeof(*size));
		else if (!number[c->best[i]])
			number[c->best[i]] = ++all.n_bins;
	ok = ok && pack_by_bin(&left, &greedy, &rest);
	for (uint32_t i = 0, x = 0; ok && i < c->n; i++)
		bin[i] = c->best[i] == NONE ? all.n_bins + rest.bin[x++] : number[c->best[i]] - 1;
	all.n_bins += rest.n_bins;
	if (ok && all.n_bins < solution->n_bins && !rest.n_unplaced && !pack_check(problem, &all)) {
		memcpy(solution->bin, bin, c->n * sizeof(*bin));
		solution->n_bins = all.n_bins;
	}
	free(size);
	free(bin);
	free(number);
	return ok;
}

static bool without_slack(const struct pack_problem *problem)
{
	int64_t bins = 0;

	for (uint32_t d = 0; d < problem->dimensions; d++) {
		int64_t sum = 0;

		for (uint32_t i = 0; i < problem->n_items; i++)
			sum += problem->size[(size_t)i * problem->dimensions + d];
		if (problem->capacity[d] == 0 || sum <= 0 || sum % problem->capacity[d] != 0)
			return false;
		if (bins && sum / problem->capacity[d] != bins)
			return false;
		bins = sum / problem->capacity[d];
	}
	return true;
}

bool pack_cover(const struct pack_problem *problem, uint64_t seed, struct pack_budget *budget,
		struct pack_solution *solution)
{
	struct cover cover;
	enum found found;
	bool ok;

	if (problem->n_bins || problem->n_items < 2 || problem->n_items > PACK_COVER_ITEMS_MAX ||
	    solution->n_unplaced || !without_slack(problem))
		return true;
	if (!cover_init(&cover, problem, seed))
		return false;
	found = find_sets(&cover, budget);
	ok = found != FOUND_NO_MEMORY;
	if (found == FOUND_ALL && cover.n_sets) {
		ok = index_sets(&cover);
		if (ok) {
			cover_search(&cover, budget);
			ok = cover_finish(&cover, seed, solution);
		}
	}
	cover_clear(&cover);
	return ok;
}
