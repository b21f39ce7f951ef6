#include "core/allocation/index/cells_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define STEPS_EXACT_BITS 4 /* 16 units exactly, then 16 steps to each doubling */

/* 125 thousandths of a vCPU, 64 MiB, one 1G page. */
static const uint32_t step_unit[ALLOCATION_NODE_DIMENSIONS] = { 125, 64, 64, 1024 };

static uint8_t step_of_units(uint32_t units)
{
	if (units < 1u << STEPS_EXACT_BITS)
		return (uint8_t)units;
	unsigned exponent = 31 - (unsigned)__builtin_clz(units);
	uint32_t step = ((exponent - STEPS_EXACT_BITS + 1) << STEPS_EXACT_BITS) +
			(units >> (exponent - STEPS_EXACT_BITS)) - (1u << STEPS_EXACT_BITS);

	return step > UINT8_MAX ? UINT8_MAX : (uint8_t)step;
}

uint8_t allocation_cells_step(enum allocation_dimension dimension, uint32_t amount)
{
	switch (dimension) {
	case ALLOCATION_CPU:
		return step_of_units(amount / 125);
	case ALLOCATION_HUGE_1G:
		return step_of_units(amount / 1024);
	default:
		return step_of_units(amount / 64);
	}
}

uint32_t allocation_cells_value(enum allocation_dimension dimension, uint8_t step)
{
	uint32_t mantissa = step & ((1u << STEPS_EXACT_BITS) - 1);
	uint64_t units = step;

	if (step >> STEPS_EXACT_BITS)
		units = (uint64_t)(mantissa + (1u << STEPS_EXACT_BITS)) << ((step >> STEPS_EXACT_BITS) - 1);
	units *= step_unit[dimension];
	return units > UINT32_MAX ? UINT32_MAX : (uint32_t)units;
}

static cells_code code_of(const uint32_t amount[ALLOCATION_NODE_DIMENSIONS])
{
	return (cells_code)allocation_cells_step(ALLOCATION_CPU, amount[ALLOCATION_CPU]) |
	       (cells_code)allocation_cells_step(ALLOCATION_MEMORY, amount[ALLOCATION_MEMORY]) << 8 |
	       (cells_code)allocation_cells_step(ALLOCATION_HUGE_2M, amount[ALLOCATION_HUGE_2M]) << 16 |
	       (cells_code)allocation_cells_step(ALLOCATION_HUGE_1G, amount[ALLOCATION_HUGE_1G]) << 24;
}

/* The digit of `code` on a level of a trie with so many. */
static unsigned digit_of(cells_code code, unsigned level, unsigned levels)
{
	if (levels == CELLS_LEVELS_PLAIN) {
		code >>= 6 - 2 * level;
		return (code & 3) | (code >> 6 & 12);
	}
	code >>= 7 - level;
	return (code & 1) | (code >> 7 & 2) | (code >> 14 & 4) | (code >> 21 & 8);
}

static bool grow(void *array, uint32_t *capacity, size_t bytes)
{
	uint32_t more = *capacity ? *capacity * 2 : 64;
	void **at = array;
	void *grown = realloc(*at, more * bytes);

	if (!grown)
		return false;
	*at = grown;
	*capacity = more;
	return true;
}

/* ---- trie ---- */

static uint32_t node_new(struct allocation_cells *cells, uint32_t parent, unsigned digit)
{
	uint32_t number = cells->free_node;

	if (number != ALLOCATION_NONE) {
		cells->free_node = cells->nodes[number].parent;
	} else {
		if (cells->n_nodes == cells->nodes_capacity &&
		    !grow(&cells->nodes, &cells->nodes_capacity, sizeof(*cells->nodes)))
			return ALLOCATION_NONE;
		number = cells->n_nodes++;
	}
	cells->nodes[number].present = 0;
	cells->nodes[number].digit = (uint8_t)digit;
	cells->nodes[number].parent = parent;
	return number;
}

static uint32_t cell_new(struct allocation_cells *cells, uint32_t parent, cells_code code, unsigned levels)
{
	uint32_t number = cells->free_cell;

	if (number != ALLOCATION_NONE) {
		cells->free_cell = cells->cells[number].parent;
	} else {
		if (cells->n_cells == cells->cells_capacity &&
		    !grow(&cells->cells, &cells->cells_capacity, sizeof(*cells->cells)))
			return ALLOCATION_NONE;
		number = cells->n_cells++;
		cells->cells[number].many = NULL;
		cells->cells[number].capacity = CELLS_FEW;
	}
	cells->cells[number].n = 0;
	cells->cells[number].code = code;
	cells->cells[number].levels = levels;
	cells->cells[number].parent = parent;
	return number;
}

/* The cell of `code`, made when it is not there. */
static uint32_t cell_at(struct allocation_cells *cells, const struct trie *trie, cells_code code)
{
	uint32_t number = trie->root;

	for (unsigned level = 0; level < trie->levels; level++) {
		unsigned digit = digit_of(code, level, trie->levels);
		uint32_t child;

		if (cells->nodes[number].present >> digit & 1) {
			number = cells->nodes[number].child[digit];
			continue;
		}
		child = level + 1 < trie->levels ? node_new(cells, number, digit)
						 : cell_new(cells, number, code, trie->levels);
		if (child == ALLOCATION_NONE)
			return ALLOCATION_NONE;
		cells->nodes[number].child[digit] = child;
		cells->nodes[number].present |= (uint16_t)(1u << digit);
		number = child;
	}
	return number;
}

/* Take an empty cell out, and the nodes that are left without children; the root stays. */
static void cell_drop(struct allocation_cells *cells, uint32_t number, unsigned levels)
{
	struct cell *cell = &cells->cells[number];
	unsigned digit = digit_of(cell->code, levels - 1, levels);
	uint32_t parent = cell->parent;

	cell->parent = cells->free_cell;
	cells->free_cell = number;
	for (;;) {
		struct trie_node *node = &cells->nodes[parent];
		uint32_t gone = parent;

		node->present &= (uint16_t) ~(1u << digit);
		if (node->present || node->parent == ALLOCATION_NONE)
			return;
		digit = node->digit;
		parent = node->parent;
		node->parent = cells->free_node;
		cells->free_node = gone;
	}
}

/* ---- heap ---- */

static void heap_set(struct allocation_cells *cells, uint32_t *heap, uint32_t at, uint32_t slot)
{
	heap[at] = slot;
	cells->slots[slot].at = at;
}

static void heap_up(struct allocation_cells *cells, uint32_t *heap, uint32_t at, uint32_t slot)
{
	while (at > 0 && heap[(at - 1) / 2] > slot) {
		heap_set(cells, heap, at, heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	heap_set(cells, heap, at, slot);
}

static void heap_down(struct allocation_cells *cells, uint32_t *heap, uint32_t n, uint32_t at)
{
	uint32_t slot = heap[at];

	for (;;) {
		uint32_t child = 2 * at + 1;

		if (child + 1 < n && heap[child + 1] < heap[child])
			child++;
		if (child >= n || heap[child] > slot)
			break;
		heap_set(cells, heap, at, heap[child]);
		at = child;
	}
	heap_set(cells, heap, at, slot);
}

static bool cell_put(struct allocation_cells *cells, uint32_t number, uint32_t slot)
{
	struct cell *cell = &cells->cells[number];

	if (cell->n == cell->capacity) {
		uint32_t *many = realloc(cell->many, 2 * sizeof(*many) * cell->capacity);

		if (!many)
			return false;
		if (!cell->many)
			memcpy(many, cell->few, sizeof(cell->few));
		else
			cells->heap_bytes -= sizeof(*many) * cell->capacity;
		cell->many = many;
		cell->capacity *= 2;
		cells->heap_bytes += sizeof(*many) * cell->capacity;
	}
	cells->slots[slot].cell = number;
	heap_up(cells, cell->many ? cell->many : cell->few, cell->n++, slot);
	return true;
}

static void cell_take(struct allocation_cells *cells, uint32_t slot)
{
	uint32_t number = cells->slots[slot].cell;
	uint32_t at = cells->slots[slot].at;
	struct cell *cell = &cells->cells[number];
	uint32_t *heap = cell->many ? cell->many : cell->few;
	uint32_t last = heap[--cell->n];

	cells->slots[slot].cell = ALLOCATION_NONE;
	if (cell->n == 0) {
		cell_drop(cells, number, cell->levels);
		return;
	}
	if (at == cell->n)
		return;
	if (last < slot) {
		heap_up(cells, heap, at, last);
	} else {
		heap_set(cells, heap, at, last);
		heap_down(cells, heap, cell->n, at);
	}
}

/* ---- filing ---- */

static bool slot_file(struct allocation_cells *cells, const struct allocation_host_state *host, uint32_t number,
		      unsigned node)
{
	uint32_t slot = number * CELLS_SLOTS + node;
	uint32_t trie = cells->trie_of[number];
	bool filed = trie != ALLOCATION_NONE && node < host->n_nodes;
	uint32_t was = cells->slots[slot].cell;
	cells_code code = filed ? code_of(host->node[node].free) : 0;

	if (was != ALLOCATION_NONE) {
		if (filed && cells->cells[was].code == code)
			return true;
		cell_take(cells, slot);
	}
	if (!filed)
		return true;
	uint32_t cell = cell_at(cells, &cells->tries[trie], code);
	return cell != ALLOCATION_NONE && cell_put(cells, cell, slot);
}

static uint32_t zone_of(const struct allocation_cells *cells, uint32_t zone)
{
	for (uint32_t i = 0; i < cells->n_zones; i++)
		if (cells->zones[i] == zone)
			return zone;
	return 0;
}

static bool has_huge(const struct allocation_host *type)
{
	uint32_t huge = 0;

	for (unsigned node = 0; node < type->n_nodes; node++)
		huge |= type->node_capacity[node][ALLOCATION_HUGE_2M] | type->node_capacity[node][ALLOCATION_HUGE_1G];
	return huge != 0;
}

/* The trie for a host, made when there is none. */
static uint32_t trie_for(struct allocation_cells *cells, const struct allocation_world *world, uint32_t number)
{
	const struct allocation_host_state *host = &allocation_world_hosts(world)[number];
	const struct allocation_host *type = allocation_world_type(world, host->type);
	uint32_t zone = zone_of(cells, host->zone);
	uint32_t levels = has_huge(type) ? CELLS_LEVELS : CELLS_LEVELS_PLAIN;

	for (uint32_t i = 0; i < cells->n_tries; i++) {
		const struct trie *trie = &cells->tries[i];

		if (trie->labels == type->labels && trie->taints == type->taints && trie->engines == type->engines &&
		    trie->cpu_level == type->cpu_level && trie->zone == zone && trie->levels == levels)
			return i;
	}
	if (cells->n_tries == cells->tries_capacity &&
	    !grow(&cells->tries, &cells->tries_capacity, sizeof(*cells->tries)))
		return ALLOCATION_NONE;
	uint32_t root = node_new(cells, ALLOCATION_NONE, 0);
	if (root == ALLOCATION_NONE)
		return ALLOCATION_NONE;
	cells->tries[cells->n_tries] = (struct trie) { .labels = type->labels,
						       .taints = type->taints,
						       .engines = type->engines,
						       .cpu_level = type->cpu_level,
						       .zone = zone,
						       .root = root,
						       .levels = levels };
	return cells->n_tries++;
}

/* All of a host, from scratch. */
static bool host_file(struct allocation_cells *cells, const struct allocation_world *world, uint32_t number)
{
	const struct allocation_host_state *host = &allocation_world_hosts(world)[number];
	bool takes = host->present && host->powered && !host->cordoned;

	/* Out of its old trie first: a cell belongs to one trie, and codes are compared within it. */
	cells->trie_of[number] = ALLOCATION_NONE;
	for (unsigned node = 0; node < CELLS_SLOTS; node++)
		slot_file(cells, host, number, node);
	if (!takes)
		return true;
	uint32_t percent = allocation_world_type(world, host->type)->cpu_overcommit_percent;
	if (percent > 0 && percent < 100)
		cells->sells_less = true;
	cells->trie_of[number] = trie_for(cells, world, number);
	if (cells->trie_of[number] == ALLOCATION_NONE)
		return false;
	for (unsigned node = 0; node < host->n_nodes; node++)
		if (!slot_file(cells, host, number, node))
			return false;
	return true;
}

static bool hosts_reserve(struct allocation_cells *cells, uint32_t n)
{
	uint32_t capacity = cells->hosts_capacity ? cells->hosts_capacity : 16;

	while (capacity < n)
		capacity *= 2;
	if (capacity == cells->hosts_capacity)
		return true;
	struct slot *slots = realloc(cells->slots, (size_t)capacity * CELLS_SLOTS * sizeof(*slots));
	if (!slots)
		return false;
	cells->slots = slots;
	uint32_t *trie_of = realloc(cells->trie_of, capacity * sizeof(*trie_of));
	if (!trie_of)
		return false;
	cells->trie_of = trie_of;
	memset(&slots[(size_t)cells->hosts_capacity * CELLS_SLOTS], 0xff,
	       (size_t)(capacity - cells->hosts_capacity) * CELLS_SLOTS * sizeof(*slots));
	memset(&trie_of[cells->hosts_capacity], 0xff, (capacity - cells->hosts_capacity) * sizeof(*trie_of));
	cells->hosts_capacity = capacity;
	return true;
}

/* Zones of some size get tries of their own, when they are few. */
static bool zones_choose(struct allocation_cells *cells, const struct allocation_world *world)
{
	const struct allocation_host_state *hosts = allocation_world_hosts(world);
	uint32_t n = allocation_world_n_hosts(world), highest = 0;

	for (uint32_t i = 0; i < n; i++)
		if (hosts[i].present && hosts[i].zone > highest)
			highest = hosts[i].zone;
	uint32_t *count = calloc((size_t)highest + 1, sizeof(*count));
	if (!count)
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (hosts[i].present)
			count[hosts[i].zone]++;
	for (uint32_t zone = 1; zone <= highest && cells->n_zones < CELLS_ZONES_MAX; zone++)
		if (count[zone] >= CELLS_ZONE_MIN)
			cells->zones[cells->n_zones++] = zone;
	free(count);
	return true;
}

static void values_init(struct allocation_cells *cells)
{
	for (unsigned d = 0; d < ALLOCATION_NODE_DIMENSIONS; d++) {
		double measure = d == ALLOCATION_CPU ? 1000 : cells->memory_per_cpu_mib;

		for (unsigned step = 0; step < 256; step++)
			cells->value[d][step] =
				allocation_cells_value((enum allocation_dimension)d, (uint8_t)step) / measure;
	}
}

static bool build(struct allocation_cells *cells, const struct allocation_world *world)
{
	uint32_t n = allocation_world_n_hosts(world);

	cells->tree = allocation_tree_new(world);
	if (!cells->tree || !zones_choose(cells, world) || !hosts_reserve(cells, n))
		return false;
	for (uint32_t host = 0; host < n; host++)
		if (!host_file(cells, world, host))
			return false;
	return true;
}

struct allocation_cells *allocation_cells_new(const struct allocation_world *world,
					      const struct allocation_cells_rule *rule, double memory_per_cpu_mib)
{
	struct allocation_cells *cells = calloc(1, sizeof(*cells));

	if (!cells)
		return NULL;
	cells->rule = rule;
	cells->memory_per_cpu_mib = memory_per_cpu_mib;
	cells->free_node = cells->free_cell = ALLOCATION_NONE;
	values_init(cells);
	if (!build(cells, world)) {
		allocation_cells_free(cells);
		return NULL;
	}
	return cells;
}

void allocation_cells_free(struct allocation_cells *cells)
{
	if (!cells)
		return;
	for (uint32_t i = 0; i < cells->n_cells; i++)
		free(cells->cells[i].many);
	free(cells->cells);
	free(cells->nodes);
	free(cells->tries);
	free(cells->trie_of);
	free(cells->slots);
	allocation_tree_free(cells->tree);
	free(cells);
}

bool allocation_cells_update(struct allocation_cells *cells, const struct allocation_world *world,
			     const struct allocation_event *event)
{
	const struct allocation_host_state *host = &allocation_world_hosts(world)[event->host];
	unsigned nodes = event->nodes;

	if (!allocation_tree_touch(cells->tree, world, event->host))
		return false;
	if (event->change == ALLOCATION_HOST_CHANGED)
		return hosts_reserve(cells, event->host + 1) && host_file(cells, world, event->host);
	if (cells->trie_of[event->host] == ALLOCATION_NONE)
		return true;
	if (host->overdrawn)
		nodes = (1u << host->n_nodes) - 1;
	for (; nodes; nodes &= nodes - 1)
		if (!slot_file(cells, host, event->host, (unsigned)__builtin_ctz(nodes)))
			return false;
	return true;
}

size_t allocation_cells_bytes(const struct allocation_cells *cells)
{
	return sizeof(*cells) + (size_t)cells->hosts_capacity * (CELLS_SLOTS * sizeof(*cells->slots) + 4) +
	       cells->tries_capacity * sizeof(*cells->tries) + cells->nodes_capacity * sizeof(*cells->nodes) +
	       cells->cells_capacity * sizeof(*cells->cells) + cells->heap_bytes + allocation_tree_bytes(cells->tree);
}

double allocation_cells_cost(const struct allocation_cells *cells, const struct allocation_world *world,
			     uint32_t class_id, const struct allocation_fit *fit)
{
	const struct allocation_request *request = allocation_world_request(world, class_id);
	const struct allocation_host_state *host = &allocation_world_hosts(world)[fit->host];
	double terms[ALLOCATION_TERMS], low[ALLOCATION_NODE_DIMENSIONS];
	unsigned n = (unsigned)__builtin_popcount(fit->nodes);

	cells_terms(cells, request, terms);
	for (unsigned d = 0; d < ALLOCATION_NODE_DIMENSIONS; d++) {
		uint64_t sum = 0;

		for (unsigned nodes = fit->nodes; nodes; nodes &= nodes - 1)
			sum += host->node[__builtin_ctz(nodes)].free[d];
		low[d] = cells->value[d][allocation_cells_step((enum allocation_dimension)d,
							       sum > UINT32_MAX ? UINT32_MAX : (uint32_t)sum)];
	}
	return cells->rule->cost(terms, low) + ALLOCATION_CELLS_WIDE * (n - 1);
}

void cells_terms(const struct allocation_cells *cells, const struct allocation_request *request,
		 double terms[ALLOCATION_TERMS])
{
	double amount[ALLOCATION_NODE_DIMENSIONS];

	for (unsigned d = 0; d < ALLOCATION_NODE_DIMENSIONS; d++)
		amount[d] = request->amount[d] / (d == ALLOCATION_CPU ? 1000 : cells->memory_per_cpu_mib);
	if (cells->rule->prepare)
		cells->rule->prepare(amount, terms);
	else
		memcpy(terms, amount, sizeof(amount));
}
