/* Branch and bound over the cells. */
#include <assert.h>
#include <string.h>

#include "core/allocation/index/cells_private.h"

#define DIGITS (1u << ALLOCATION_NODE_DIMENSIONS)

struct search {
	struct allocation_cells *cells;
	const struct allocation_world *world;
	const struct allocation_host_state *hosts;
	const struct allocation_request *request;
	double terms[ALLOCATION_TERMS];
	uint32_t need[ALLOCATION_NODE_DIMENSIONS]; /* a node's free amounts are at least these */
	cells_code need_code;
	bool soft;              /* penalties are possible */
	uint32_t least_penalty; /* no candidate has less */
	uint32_t most_penalty;  /* candidates with more are left out */
	bool found, tied;
	uint32_t penalty, slot; /* of the best */
	double cost;
	uint8_t nodes;
};

static bool has_soft(const struct allocation_request *request, uint32_t *lightest)
{
	*lightest = UINT32_MAX;
	for (unsigned i = 0; i < ALLOCATION_TERMS_MAX; i++)
		if (request->term[i].group && request->term[i].soft_weight && request->term[i].soft_weight < *lightest)
			*lightest = request->term[i].soft_weight;
	for (unsigned i = 0; i < ALLOCATION_SPREADS_MAX; i++)
		if (request->spread[i].group && request->spread[i].soft_weight &&
		    request->spread[i].soft_weight < *lightest)
			*lightest = request->spread[i].soft_weight;
	return *lightest != UINT32_MAX;
}

/* Whether something of this cost, its lowest slot being `slot`, can still be better than the best. */
static bool is_open(const struct search *search, double cost, uint32_t slot)
{
	if (!search->found || search->penalty > search->least_penalty)
		return true;
	return cost < search->cost || (cost == search->cost && slot < search->slot);
}

static void offer(struct search *search, uint32_t penalty, double cost, uint32_t slot, uint8_t nodes)
{
	if (search->found) {
		if (penalty != search->penalty ? penalty > search->penalty : cost > search->cost)
			return;
		if (penalty == search->penalty && cost == search->cost) {
			search->tied = true;
			if (slot > search->slot)
				return;
		} else {
			search->tied = false;
		}
	}
	search->found = true;
	search->penalty = penalty;
	search->cost = cost;
	search->slot = slot;
	search->nodes = nodes;
}

/* Whether the one node takes the request; `*penalty` is what that breaks. */
static bool slot_takes(const struct search *search, uint32_t slot, uint32_t *penalty)
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
	if (*penalty > search->most_penalty)
		return false;
	unsigned n = allocation_world_fits(search->world, request, slot / CELLS_SLOTS, fits);
	for (unsigned i = 0; i < n; i++)
		if (fits[i].nodes == 1u << slot % CELLS_SLOTS)
			return true;
	return false;
}

/* The lowest slot of a cell that takes the request: below a heap's entry are only higher ones. */
static void search_cell(struct search *search, const struct cell *cell, double cost)
{
	const uint32_t *heap = cell_heap(cell);
	uint32_t open[2 * 32]; /* a path's siblings */
	unsigned n_open = 0;

	open[n_open++] = 0;
	while (n_open > 0) {
		uint32_t at = open[--n_open], penalty;

		if (!is_open(search, cost, heap[at]))
			continue;
		if (slot_takes(search, heap[at], &penalty)) {
			offer(search, penalty, cost, heap[at], (uint8_t)(1u << heap[at] % CELLS_SLOTS));
			if (penalty <= search->least_penalty) {
				search->tied |= cell->n > 1;
				continue;
			}
		}
		for (uint32_t child = 2 * at + 2; child > 2 * at; child--)
			if (child < cell->n)
				open[n_open++] = child;
	}
}

/* The step of one dimension; of a box, its lowest, but no lower than what is needed. */
static inline unsigned step_in(cells_code code, unsigned d)
{
	return code >> (8 * d) & 0xff;
}

static double bound_of(const struct search *search, cells_code code, unsigned bit)
{
	double low[ALLOCATION_NODE_DIMENSIONS], high[ALLOCATION_NODE_DIMENSIONS];

	for (unsigned d = 0; d < ALLOCATION_NODE_DIMENSIONS; d++) {
		unsigned first = step_in(code, d), last = first | ((1u << bit) - 1);
		unsigned need = step_in(search->need_code, d);

		low[d] = search->cells->value[d][first > need ? first : need];
		high[d] = search->cells->value[d][last];
	}
	if (bit == 0)
		return search->cells->rule->cost(search->terms, low);
	return search->cells->rule->bound(search->terms, low, high);
}

/* Children that are there and large enough in every dimension, as bits. */
static unsigned children_of(const struct search *search, const struct trie_node *node, cells_code code, unsigned bit)
{
	static const uint16_t upper[ALLOCATION_NODE_DIMENSIONS] = { 0xaaaa, 0xcccc, 0xf0f0, 0xff00 };
	unsigned children = node->present;

	for (unsigned d = 0; d < ALLOCATION_NODE_DIMENSIONS; d++)
		if (step_in(code, d) + (1u << bit) <= step_in(search->need_code, d))
			children &= upper[d];
	return children;
}

/* The children of a node: of its box, `code` has the lowest steps. */
static void search_node(struct search *search, uint32_t number, cells_code code, unsigned bit)
{
	const struct trie_node *node = &search->cells->nodes[number];
	unsigned children = children_of(search, node, code, bit);
	struct {
		double bound;
		unsigned digit;
	} order[DIGITS];
	unsigned n = 0;

	for (; children; children &= children - 1) {
		unsigned digit = (unsigned)__builtin_ctz(children);
		double bound = bound_of(search, code | cells_spread(digit) << bit, bit);
		unsigned at = n;

		if (!is_open(search, bound, 0))
			continue;
		for (n++; at > 0 && order[at - 1].bound > bound; at--)
			order[at] = order[at - 1];
		order[at].bound = bound;
		order[at].digit = digit;
	}
	for (unsigned i = 0; i < n && is_open(search, order[i].bound, 0); i++) {
		uint32_t child = node->child[order[i].digit];

		if (bit == 0)
			search_cell(search, &search->cells->cells[child], order[i].bound);
		else
			search_node(search, child, code | cells_spread(order[i].digit) << bit, bit - 1);
	}
}

static bool trie_takes(const struct trie *trie, const struct allocation_request *request)
{
	return (request->engine == 0 || (trie->engines & request->engine)) && trie->cpu_level >= request->cpu_level &&
	       (trie->labels & request->labels_required) == request->labels_required &&
	       (trie->labels & request->labels_forbidden) == 0 && (trie->taints & ~request->tolerates) == 0;
}

static void search_single(struct search *search)
{
	bool relational = search->request->term[0].group || search->request->spread[0].group;

	for (uint32_t i = 0; i < search->cells->n_tries; i++) {
		const struct trie *trie = &search->cells->tries[i];

		if (!trie_takes(trie, search->request))
			continue;
		if (relational && trie->zone && !cells_zone_allows(search->world, search->request, trie->zone))
			continue;
		search_node(search, trie->root, 0, CELLS_DEPTH - 1);
	}
}

static void search_wide(struct search *search, uint32_t class_id)
{
	struct allocation_tree *tree = search->cells->tree;
	uint32_t host = 0;

	while ((host = allocation_tree_next(tree, search->world, search->request, host)) != ALLOCATION_NONE) {
		struct allocation_fit fits[ALLOCATION_NODES_MAX];
		unsigned n = allocation_world_fits(search->world, search->request, host, fits);
		uint32_t penalty =
			n && search->soft ? allocation_world_penalty(search->world, search->request, host) : 0;

		for (unsigned i = 0; i < n; i++) {
			uint32_t slot = host * CELLS_SLOTS + (uint32_t)__builtin_ctz(fits[i].nodes);

			offer(search, penalty, allocation_cells_cost(search->cells, search->world, class_id, &fits[i]),
			      slot, fits[i].nodes);
		}
		host++;
	}
}

static void search_init(struct search *search, struct allocation_cells *cells, const struct allocation_world *world,
			const struct allocation_request *request)
{
	*search = (struct search) { .cells = cells,
				    .world = world,
				    .hosts = allocation_world_hosts(world),
				    .request = request,
				    .most_penalty = UINT32_MAX };
	memcpy(search->need, request->amount, sizeof(search->need));
	if (request->exclusive_cores && cells->sells_less)
		search->need[ALLOCATION_CPU] = 0;
	for (unsigned d = 0; d < ALLOCATION_NODE_DIMENSIONS; d++)
		search->need_code |= (cells_code)allocation_cells_step((enum allocation_dimension)d, search->need[d])
				     << (8 * d);
	cells_terms(cells, request, search->terms);
}

void allocation_cells_decide(struct allocation_cells *cells, const struct allocation_world *world, uint32_t class_id,
			     struct allocation_decision *decision)
{
	const struct allocation_request *request = allocation_world_request(world, class_id);
	struct search search;
	uint32_t lightest;

	search_init(&search, cells, world, request);
	search.soft = has_soft(request, &lightest);
	if (request->numa != ALLOCATION_NUMA_SPLIT || request->numa_nodes <= 1) {
		/* First without breaking anything; only when that cannot be, with as little as possible. */
		search.most_penalty = search.soft ? 0 : UINT32_MAX;
		search_single(&search);
		if (!search.found && search.soft) {
			search.least_penalty = lightest;
			search.most_penalty = UINT32_MAX;
			search_single(&search);
		}
	}
	if (request->numa != ALLOCATION_NUMA_ONE && (!search.found || search.penalty > 0))
		search_wide(&search, class_id);
	*decision = (struct allocation_decision) { .fit = { .host = ALLOCATION_NONE } };
	if (!search.found)
		return;
	decision->fit = (struct allocation_fit) { .host = search.slot / CELLS_SLOTS, .nodes = search.nodes };
	decision->penalty = search.penalty;
	decision->cost = search.cost;
	decision->step = search.tied ? ALLOCATION_STEP_TIE : ALLOCATION_STEP_COST;
}
