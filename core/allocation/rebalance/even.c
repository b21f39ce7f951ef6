/* Steepest descent on the sum of standard deviations. With n, sum and sum of squares of each load kept, the score after a
 * move follows from the loads of its two nodes alone; and as items of a kind are alike, one of each kind on a node stands
 * for all of them. */
#include "core/allocation/rebalance.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct descent {
	const struct rebalance_even *even;
	uint32_t *node;       /* the caller's [items] */
	double *load;         /* [nodes][loads] */
	double *goes, *comes; /* [nodes][kinds][loads]: what the sum of squares changes by when one goes or comes */
	uint32_t *of_kind;    /* [nodes][kinds]: movable items there */
	uint32_t counted;     /* nodes in the score */
	double mean[REBALANCE_LOADS_MAX];
	double spread[REBALANCE_LOADS_MAX]; /* sum of squared deviations */
	double factor
		[REBALANCE_LOADS_MAX]; /* weight ÷ √counted: times the root of spread, a load's part of the score */
	double part[REBALANCE_LOADS_MAX];
	double score;
};

static bool is_closed(const struct rebalance_even *even, uint32_t node)
{
	return even->closed && even->closed[node];
}

/* Anew from the loads, so that rounding does not add up over moves. The mean moves a little when nodes differ in size. */
static void rescore(struct descent *descent)
{
	const struct rebalance_even *even = descent->even;
	uint32_t loads = even->n_loads;

	descent->score = 0;
	for (uint32_t k = 0; k < loads; k++) {
		double sum = 0, spread = 0;

		for (uint32_t n = 0; n < even->n_nodes; n++)
			if (!is_closed(even, n))
				sum += descent->load[n * loads + k];
		descent->mean[k] = descent->counted ? sum / descent->counted : 0;
		for (uint32_t n = 0; n < even->n_nodes; n++) {
			double off = descent->load[n * loads + k] - descent->mean[k];

			if (!is_closed(even, n))
				spread += off * off;
		}
		descent->spread[k] = spread;
		descent->factor[k] = descent->counted ? even->weight[k] / sqrt(descent->counted) : 0;
		descent->part[k] = descent->factor[k] * sqrt(spread);
		descent->score += descent->part[k];
	}
}

/* Loads from the items, added one by one in order of their number. */
static void add_up(struct descent *descent)
{
	const struct rebalance_even *even = descent->even;
	uint32_t loads = even->n_loads;

	memcpy(descent->load, even->base, (size_t)even->n_nodes * loads * sizeof *descent->load);
	for (uint32_t i = 0; i < even->n_items; i++) {
		size_t n = descent->node[i];

		for (uint32_t k = 0; k < loads; k++)
			descent->load[n * loads + k] +=
				even->amount[(size_t)even->kind[i] * loads + k] / even->scale[n * loads + k];
		if (!even->fixed || !even->fixed[i])
			descent->of_kind[n * even->n_kinds + even->kind[i]]++;
	}
	for (uint32_t n = 0; n < even->n_nodes; n++)
		descent->counted += !is_closed(even, n);
	rescore(descent);
}

static bool descent_init(struct descent *descent, const struct rebalance_even *even, uint32_t *node)
{
	*descent = (struct descent) { .even = even, .node = node };
	descent->load = calloc((size_t)even->n_nodes * even->n_loads + 1, sizeof *descent->load);
	descent->of_kind = calloc((size_t)even->n_nodes * even->n_kinds + 1, sizeof *descent->of_kind);
	descent->goes = calloc((size_t)even->n_nodes * even->n_kinds * even->n_loads + 1, sizeof *descent->goes);
	descent->comes = calloc((size_t)even->n_nodes * even->n_kinds * even->n_loads + 1, sizeof *descent->comes);
	if (!descent->load || !descent->of_kind || !descent->goes || !descent->comes)
		return false;
	add_up(descent);
	return true;
}

static void descent_clear(struct descent *descent)
{
	free(descent->comes);
	free(descent->goes);
	free(descent->of_kind);
	free(descent->load);
}

double rebalance_even_score(const struct rebalance_even *even, const uint32_t *node)
{
	double score = 0, counted = 0;
	uint32_t loads = even->n_loads;

	for (uint32_t n = 0; n < even->n_nodes; n++)
		counted += !is_closed(even, n);
	for (uint32_t k = 0; k < loads && counted > 0; k++) {
		double sum = 0, squares = 0;

		for (unsigned pass = 0; pass < 2; pass++)
			for (uint32_t n = 0; n < even->n_nodes; n++) {
				double load = even->base[n * loads + k];

				if (is_closed(even, n))
					continue;
				for (uint32_t i = 0; i < even->n_items; i++)
					if (node[i] == n)
						load += even->amount[(size_t)even->kind[i] * loads + k] /
							even->scale[n * loads + k];
				sum += pass ? 0 : load;
				squares += pass ? (load - sum / counted) * (load - sum / counted) : 0;
			}
		score += even->weight[k] * sqrt(squares / counted);
	}
	return score;
}

struct best {
	double score;
	uint32_t kind, from, to;
};

static uint32_t first_of(const struct descent *descent, uint32_t kind, uint32_t node)
{
	const struct rebalance_even *even = descent->even;

	for (uint32_t i = 0; i < even->n_items; i++)
		if (descent->node[i] == node && even->kind[i] == kind && (!even->fixed || !even->fixed[i]))
			return i;
	return ALLOCATION_NONE;
}

/* What each kind would change on each node: S' = S + Δ(a²) + Δ(b²) - n Δ(mean²), all about the old mean so that nothing
 * large cancels. What may not come to a node changes it by infinity. */
static void tabulate(struct descent *descent)
{
	const struct rebalance_even *even = descent->even;
	uint32_t loads = even->n_loads;
	double *goes = descent->goes, *comes = descent->comes;

	for (uint32_t n = 0; n < even->n_nodes; n++)
		for (uint32_t kind = 0; kind < even->n_kinds; kind++)
			for (uint32_t k = 0; k < loads; k++, goes++, comes++) {
				double amount = even->amount[(size_t)kind * loads + k] / even->scale[n * loads + k];
				double load = descent->load[n * loads + k], off = load - descent->mean[k];

				*goes = is_closed(even, n) ? 0 : amount * (amount - 2 * off);
				*comes = amount * (amount + 2 * off);
				if (is_closed(even, n) || (amount > 0 && load + amount > even->limit[n * loads + k]))
					*comes = INFINITY;
			}
}

/* The score with one of `kind` gone from one node to another; infinite when it may not. */
static inline double score_with(const struct descent *descent, uint32_t kind, uint32_t from, uint32_t to)
{
	const struct rebalance_even *even = descent->even;
	uint32_t loads = even->n_loads;
	const double *goes = &descent->goes[((size_t)from * even->n_kinds + kind) * loads];
	const double *comes = &descent->comes[((size_t)to * even->n_kinds + kind) * loads];
	const double *amount = &even->amount[(size_t)kind * loads];
	double score = 0, n = descent->counted;
	bool is_counted = !is_closed(even, from);

	for (uint32_t k = 0; k < loads; k++) {
		double shift = 0, spread;

		if (!(amount[k] > 0)) {
			score += descent->part[k];
			continue;
		}
		if (even->scale[from * loads + k] != even->scale[to * loads + k] || !is_counted)
			shift = amount[k] / even->scale[to * loads + k] -
				(is_counted ? amount[k] / even->scale[from * loads + k] : 0);
		spread = descent->spread[k] + goes[k] + comes[k] - shift * shift / n;
		score += spread > 0 ? descent->factor[k] * sqrt(spread) : 0;
	}
	return score;
}

/* Between equal scores, to the last bit's noise, the lowest item and then node wins. */
static bool is_better(const struct descent *descent, double score, uint32_t kind, uint32_t from, uint32_t to,
		      const struct best *best)
{
	const double noise = 1e-13;
	uint32_t item, other;

	if (score < best->score - noise)
		return true;
	if (score > best->score + noise || best->from == ALLOCATION_NONE)
		return false;
	item = first_of(descent, kind, from);
	other = first_of(descent, best->kind, best->from);
	return item < other || (item == other && to < best->to);
}

static bool find_best(struct descent *descent, struct best *best)
{
	const struct rebalance_even *even = descent->even;

	tabulate(descent);
	*best = (struct best) { .score = descent->score, .from = ALLOCATION_NONE };
	for (uint32_t from = 0; from < even->n_nodes; from++)
		for (uint32_t kind = 0; kind < even->n_kinds; kind++) {
			if (!descent->of_kind[(size_t)from * even->n_kinds + kind])
				continue;
			for (uint32_t to = 0; to < even->n_nodes; to++) {
				double score;

				if (to == from || is_closed(even, to))
					continue;
				score = score_with(descent, kind, from, to);
				if (score < INFINITY && is_better(descent, score, kind, from, to, best))
					*best = (struct best) { score, kind, from, to };
			}
		}
	return best->from != ALLOCATION_NONE;
}

static void carry_out(struct descent *descent, uint32_t item, const struct best *best)
{
	const struct rebalance_even *even = descent->even;
	uint32_t loads = even->n_loads;

	for (uint32_t k = 0; k < loads; k++) {
		double amount = even->amount[(size_t)best->kind * loads + k];

		descent->load[best->from * loads + k] -= amount / even->scale[best->from * loads + k];
		descent->load[best->to * loads + k] += amount / even->scale[best->to * loads + k];
	}
	descent->of_kind[(size_t)best->from * even->n_kinds + best->kind]--;
	descent->of_kind[(size_t)best->to * even->n_kinds + best->kind]++;
	descent->node[item] = best->to;
	rescore(descent);
}

bool rebalance_even_descend(const struct rebalance_even *even, uint32_t *node, size_t max_moves, double least,
			    struct rebalance_even_move *moves, size_t *n_moves)
{
	struct descent descent;
	bool ok = descent_init(&descent, even, node);
	struct best best;

	*n_moves = 0;
	while (ok && *n_moves < max_moves && find_best(&descent, &best) && best.score < descent.score - least) {
		struct rebalance_even_move *move = &moves[(*n_moves)++];

		*move = (struct rebalance_even_move) { first_of(&descent, best.kind, best.from), best.from, best.to,
						       0 };
		carry_out(&descent, move->item, &best);
		move->score = descent.score;
	}
	descent_clear(&descent);
	return ok;
}
