/* Branch and bound over the cells. */
#include <string.h>

#include "core/allocation/index/search.h"

/* Whether something of this cost, its lowest slot being `slot`, can still be better than the best. */
static bool is_open(const struct search *search, double cost, uint32_t slot)
{
	if (!search->found || search->penalty > search->least_penalty)
		return true;
	return cost < search->cost || (cost == search->cost && slot < search->slot);
}

void search_offer(struct search *search, uint32_t penalty, double cost, uint32_t slot, uint8_t nodes)
{
	if (search->found) {
		if (penalty != search->penalty ? penalty > search->penalty : cost > search->cost)
			return;
		if (penalty == search->penalty && cost == search->cost) {
			if (slot == search->slot) /* seen before */
				return;
			search->tied = true;
			if (slot > search->slot)
				return;
		} else {
			search->tied = false;
		}
	}
	__builtin_prefetch(&search->cells->slots[slot], 1); /* filed anew when the request is placed there */
	search->found = true;
	search->penalty = penalty;
	search->cost = cost;
	search->slot = slot;
	search->nodes = nodes;
}

/* Whether the one node takes the request; `*penalty` is what that breaks. */
static bool slot_takes(struct search *search, uint32_t slot, uint32_t *penalty)
{
	const struct allocation_host_state *host = &search->hosts[slot / CELLS_SLOTS];
	const struct allocation_node *node = &host->node[slot % CELLS_SLOTS];
	const struct allocation_request *request = search->request;
	struct allocation_fit fits[ALLOCATION_NODES_MAX];
	uint32_t lacks = 0;

	for (unsigned d = 0; d < ALLOCATION_NODE_DIMENSIONS; d++)
		lacks |= node->free[d] < search->need[d];
	for (unsigned d = 0; d < ALLOCATION_HOST_DIMENSIONS; d++)
		lacks |= host->free[d] < request->amount[ALLOCATION_NODE_DIMENSIONS + d];
	if (lacks)
		return false;
	*penalty = search->soft ? allocation_world_penalty(search->world, request, slot / CELLS_SLOTS) : 0;
	if (*penalty > search->most_penalty) {
		search_leave_out(search, *penalty);
		return false;
	}
	unsigned n = allocation_world_fits(search->world, request, slot / CELLS_SLOTS, fits);
	for (unsigned i = 0; i < n; i++)
		if (fits[i].nodes == 1u << slot % CELLS_SLOTS)
			return true;
	return false;
}

/* Whether the host takes the request on all its nodes. */
static bool whole_takes(struct search *search, uint32_t host, uint32_t *penalty)
{
	struct allocation_fit fits[ALLOCATION_NODES_MAX];
	unsigned all = (1u << search->hosts[host].n_nodes) - 1;

	*penalty = search->soft ? allocation_world_penalty(search->world, search->request, host) : 0;
	if (*penalty > search->most_penalty) {
		search_leave_out(search, *penalty);
		return false;
	}
	return allocation_world_fits(search->world, search->request, host, fits) > 0 && fits[0].nodes == all;
}

static uint8_t nodes_of(const struct search *search, uint32_t at)
{
	return search->filed->slots_a_host > 1 ? (uint8_t)(1u << at % CELLS_SLOTS)
					       : (uint8_t)((1u << search->hosts[at].n_nodes) - 1);
}

/* The lowest entry of a cell that takes the request: below a heap's entry are only higher ones. */
static void search_cell(struct search *search, const struct cell *cell, double cost)
{
	const uint32_t *heap = cell_heap(cell);
	uint32_t open[CELLS_FAN * 32 / CELLS_FAN_BITS + CELLS_FAN]; /* a path's siblings */
	unsigned n_open = 0;
	bool whole = search->filed->slots_a_host == 1;

	open[n_open++] = 0;
	while (n_open > 0) {
		uint32_t at = open[--n_open], penalty;
		uint32_t slot = whole ? heap[at] * CELLS_SLOTS : heap[at];

		if (!is_open(search, cost, slot))
			continue;
		if (whole ? whole_takes(search, heap[at], &penalty) : slot_takes(search, slot, &penalty)) {
			search_offer(search, penalty, cost, slot, nodes_of(search, heap[at]));
			if (penalty <= search->least_penalty) {
				search->tied |= cell->n > 1;
				continue;
			}
		}
		for (uint32_t child = CELLS_FAN * at + CELLS_FAN; child > CELLS_FAN * at; child--)
			if (child < cell->n)
				open[n_open++] = child;
	}
}

/* What lies under a trie node: the least and the most free of each dimension, no less than needed. */
struct box {
	double low[ALLOCATION_NODE_DIMENSIONS], high[ALLOCATION_NODE_DIMENSIONS];
	cells_code code; /* the lowest steps */
};

/* One dimension on a level, by the bits that are told there. */
struct side {
	double low[4], high[4];
	unsigned first; /* lower ones are too small */
};

/* What is known of a search while it is compiled: levels of the trie, and whether the cost is a sum. */
struct form {
	unsigned levels;
	bool sums;
};

static inline __attribute__((always_inline)) void
side_init(struct side *side, const struct search *search, cells_code code, unsigned d, unsigned level, struct form form)
{
	unsigned bits = cells_bits(form.levels), shift = CELLS_LEVELS - bits * (level + 1);
	unsigned base = code >> (8 * d) & 0xff, need = search->need_code >> (8 * d) & 0xff;
	const double *value = search->cells->value[d];

	side->first = need > base ? (need - base) >> shift : 0;
	for (unsigned i = 0; i < 1u << bits; i++) {
		unsigned step = base | i << shift;

		side->low[i] = value[step > need ? step : need];
		if (!form.sums)
			side->high[i] = value[step | ((1u << shift) - 1)];
	}
}

/* The children of a node that are large enough in every dimension, as bits. */
static inline unsigned children_of(const struct trie_node *node, const struct side *sides, unsigned levels)
{
	/* Digits whose lower, and whose upper two bits are at least so much; and those whose bit of a dimension is set. */
	static const uint16_t lower[] = { 0xffff, 0xeeee, 0xcccc, 0x8888 },
			      upper[] = { 0xffff, 0xfff0, 0xff00, 0xf000 };
	static const uint16_t set[] = { 0xaaaa, 0xcccc, 0xf0f0, 0xff00 };
	unsigned children = node->present;

	if (levels == CELLS_LEVELS_PLAIN) /* what is under a node was large enough on the way down */
		return children & lower[sides[0].first & 3] & upper[sides[1].first & 3];
	for (unsigned d = 0; d < ALLOCATION_NODE_DIMENSIONS; d++)
		if (sides[d].first)
			children &= set[d];
	return children;
}

static inline __attribute__((always_inline)) void box_narrow(struct box *box, const struct side *sides, unsigned digit,
							     struct form form)
{
	unsigned bits = cells_bits(form.levels), told = cells_told(form.levels), mask = (1u << bits) - 1;

	for (unsigned d = 0; d < told; d++) {
		box->low[d] = sides[d].low[digit >> (bits * d) & mask];
		if (!form.sums)
			box->high[d] = sides[d].high[digit >> (bits * d) & mask];
	}
}

/* A child that is still worth a look. */
struct choice {
	double bound;
	unsigned digit;
};

/* Those children of a node, best bound first. Returns how many. */
static inline __attribute__((always_inline)) unsigned choose(const struct search *search, unsigned children,
							     struct box *box, const struct side *sides,
							     struct choice choices[16], struct form form)
{
	unsigned n = 0;

	for (; children; children &= children - 1) {
		unsigned digit = (unsigned)__builtin_ctz(children), at = n;

		box_narrow(box, sides, digit, form);
		double bound = search->surcharge +
			       (form.sums ? cells_sum(box->low)
					  : cells_rule_bound(search->cells->rule, search->terms, box->low, box->high));
		if (!is_open(search, bound, 0))
			continue;
		for (n++; at > 0 && choices[at - 1].bound > bound; at--)
			choices[at] = choices[at - 1];
		choices[at] = (struct choice) { bound, digit };
	}
	return n;
}

static inline __attribute__((always_inline)) void
search_node(struct search *search, uint32_t number, const struct box *around, unsigned level, struct form form);

/* Inlined for each form. */
static inline __attribute__((always_inline)) void
search_node_of(struct search *search, uint32_t number, const struct box *around, unsigned level, struct form form)
{
	const struct trie_node *node = &search->filed->nodes[number];
	unsigned bits = cells_bits(form.levels), told = cells_told(form.levels);
	unsigned shift = CELLS_LEVELS - bits * (level + 1), mask = (1u << bits) - 1;
	struct choice choices[16];
	struct side sides[ALLOCATION_NODE_DIMENSIONS];
	struct box box = *around;

	for (unsigned d = 0; d < told; d++)
		side_init(&sides[d], search, around->code, d, level, form);
	unsigned n = choose(search, children_of(node, sides, form.levels), &box, sides, choices, form);
	for (unsigned i = 0; i < n && is_open(search, choices[i].bound, 0); i++) {
		unsigned digit = choices[i].digit;

		box.code = around->code;
		for (unsigned d = 0; d < told; d++)
			box.code |= (cells_code)(digit >> (bits * d) & mask) << (8 * d + shift);
		box_narrow(&box, sides, digit, form);
		if (level + 1 == form.levels)
			search_cell(search, &search->filed->cells[node->child[digit]],
				    search->surcharge + cells_rule_cost(search->cells->rule, search->terms, box.low));
		else
			search_node(search, node->child[digit], &box, level + 1, form);
	}
}

static void search_plain_sums(struct search *search, uint32_t number, const struct box *around, unsigned level)
{
	search_node_of(search, number, around, level, (struct form) { CELLS_LEVELS_PLAIN, true });
}

static void search_plain(struct search *search, uint32_t number, const struct box *around, unsigned level)
{
	search_node_of(search, number, around, level, (struct form) { CELLS_LEVELS_PLAIN, false });
}

static void search_huge(struct search *search, uint32_t number, const struct box *around, unsigned level)
{
	search_node_of(search, number, around, level, (struct form) { CELLS_LEVELS, false });
}

static inline __attribute__((always_inline)) void
search_node(struct search *search, uint32_t number, const struct box *around, unsigned level, struct form form)
{
	if (form.levels != CELLS_LEVELS_PLAIN)
		search_huge(search, number, around, level);
	else if (form.sums)
		search_plain_sums(search, number, around, level);
	else
		search_plain(search, number, around, level);
}

static void search_trie(struct search *search, const struct trie *trie)
{
	struct box box = { .code = 0 };

	for (unsigned d = 0; d < ALLOCATION_NODE_DIMENSIONS; d++) {
		bool known = d >= ALLOCATION_HUGE_2M && trie->levels == CELLS_LEVELS_PLAIN;

		box.low[d] = search->cells->value[d][search->need_code >> (8 * d) & 0xff];
		box.high[d] = search->cells->value[d][known ? 0 : 0xff];
	}
	search_node(search, trie->root, &box, 0, (struct form) { trie->levels, search->cells->rule->sums });
}

static bool trie_takes(const struct trie *trie, const struct allocation_request *request)
{
	if (trie->levels == CELLS_LEVELS_PLAIN &&
	    (request->amount[ALLOCATION_HUGE_2M] || request->amount[ALLOCATION_HUGE_1G]))
		return false;
	return (request->engine == 0 || (trie->engines & request->engine)) && trie->cpu_level >= request->cpu_level &&
	       (trie->labels & request->labels_required) == request->labels_required &&
	       (trie->labels & request->labels_forbidden) == 0 && (trie->taints & ~request->tolerates) == 0;
}

/* What no host of the trie can help to break; false: none can take the request. */
static bool trie_floor(const struct search *search, const struct trie *trie, uint32_t *floor)
{
	uint32_t penalty;

	*floor = search->floor[ALLOCATION_HOST] + search->floor[ALLOCATION_RACK] + search->floor[ALLOCATION_ZONE];
	if (trie->zone == 0)
		return true;
	if (!allocation_world_zone_allows(search->world, search->request, trie->zone, &penalty))
		return false;
	*floor += penalty - search->floor[ALLOCATION_ZONE];
	return true;
}

static void search_tries_of(struct search *search, unsigned levels, uint32_t n_nodes)
{
	bool relational = search->request->term[0].group || search->request->spread[0].group;

	for (uint32_t i = 0; i < search->filed->n_tries; i++) {
		const struct trie *trie = &search->filed->tries[i];
		uint32_t floor = 0;

		if (trie->levels != levels || trie->n_nodes != n_nodes || !trie_takes(trie, search->request))
			continue;
		if (relational && !trie_floor(search, trie, &floor))
			continue;
		if (floor > search->most_penalty) {
			if (floor < search->left_out)
				search->left_out = floor;
			continue;
		}
		search_trie(search, trie);
	}
}

void search_tries(struct search *search, uint32_t n_nodes)
{
	/* The shallow ones first: what they find spares much of the deep ones. */
	search_tries_of(search, CELLS_LEVELS_PLAIN, n_nodes);
	search_tries_of(search, CELLS_LEVELS, n_nodes);
}
