#include "core/allocation/index/cells_private.h"

#include <stdlib.h>
#include <string.h>

/* 125 thousandths of a vCPU, 64 MiB, one 1G page. */
static const uint32_t step_unit[ALLOCATION_NODE_DIMENSIONS] = { 125, 64, 64, 1024 };

uint8_t allocation_cells_step(enum allocation_dimension dimension, uint32_t amount)
{
	return cells_step_of_units(amount / step_unit[dimension]);
}

uint32_t allocation_cells_value(enum allocation_dimension dimension, uint8_t step)
{
	uint32_t mantissa = step & ((1u << CELLS_EXACT_BITS) - 1);
	uint64_t units = step;

	if (step >> CELLS_EXACT_BITS)
		units = (uint64_t)(mantissa + (1u << CELLS_EXACT_BITS)) << ((step >> CELLS_EXACT_BITS) - 1);
	units *= step_unit[dimension];
	return units > UINT32_MAX ? UINT32_MAX : (uint32_t)units;
}

/* ---- filing ---- */

/* What lies in one slot: a node, or the sum over a host's nodes. */
static cells_code code_of_slot(const struct allocation_cells *cells, const struct allocation_host_state *host,
			       unsigned node)
{
	uint32_t sum[ALLOCATION_NODE_DIMENSIONS];

	if (cells->slots_a_host > 1)
		return cells_code_of(host->node[node].free);
	for (unsigned d = 0; d < ALLOCATION_NODE_DIMENSIONS; d++) {
		uint64_t all = 0;

		for (unsigned i = 0; i < host->n_nodes; i++)
			all += host->node[i].free[d];
		sum[d] = all > UINT32_MAX ? UINT32_MAX : (uint32_t)all;
	}
	return cells_code_of(sum);
}

static bool slot_file(struct allocation_cells *cells, const struct allocation_host_state *host, uint32_t number,
		      unsigned node)
{
	uint32_t slot = number * cells->slots_a_host + node;
	uint32_t trie = cells->trie_of[number];

	if (trie == ALLOCATION_NONE || node >= host->n_nodes)
		return cells_slot_move(cells, NULL, 0, slot);
	return cells_slot_move(cells, &cells->tries[trie], code_of_slot(cells, host, node), slot);
}

/* The nodes in the bit set, or the host as one. */
static bool slots_file(struct allocation_cells *cells, const struct allocation_host_state *host, uint32_t number,
		       unsigned nodes)
{
	if (cells->slots_a_host == 1)
		return slot_file(cells, host, number, 0);
	for (; nodes; nodes &= nodes - 1)
		if (!slot_file(cells, host, number, (unsigned)__builtin_ctz(nodes)))
			return false;
	return true;
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
	uint32_t n_nodes = cells->slots_a_host == 1 ? host->n_nodes : 0;

	for (uint32_t i = 0; i < cells->n_tries; i++) {
		const struct trie *trie = &cells->tries[i];

		if (trie->labels == type->labels && trie->taints == type->taints && trie->engines == type->engines &&
		    trie->cpu_level == type->cpu_level && trie->zone == zone && trie->levels == levels &&
		    trie->n_nodes == n_nodes)
			return i;
	}
	if (cells->n_tries == cells->tries_capacity &&
	    !cells_array_grow(&cells->tries, &cells->tries_capacity, sizeof(*cells->tries)))
		return ALLOCATION_NONE;
	uint32_t root = cells_node_new(cells, ALLOCATION_NONE, 0);
	if (root == ALLOCATION_NONE)
		return ALLOCATION_NONE;
	cells->tries[cells->n_tries] = (struct trie) { .labels = type->labels,
						       .taints = type->taints,
						       .engines = type->engines,
						       .cpu_level = type->cpu_level,
						       .zone = zone,
						       .root = root,
						       .levels = levels,
						       .n_nodes = n_nodes };
	return cells->n_tries++;
}

/* All of a host, from scratch. */
static bool host_file(struct allocation_cells *cells, const struct allocation_world *world, uint32_t number)
{
	const struct allocation_host_state *host = &allocation_world_hosts(world)[number];
	bool takes = host->present && host->powered && !host->cordoned;

	/* Out of its old trie first: a cell belongs to one trie, and codes are compared within it. */
	if (cells->trie_of[number] != ALLOCATION_NONE)
		cells->tries[cells->trie_of[number]].n_hosts--;
	cells->trie_of[number] = ALLOCATION_NONE;
	for (unsigned node = 0; node < cells->slots_a_host; node++)
		slot_file(cells, host, number, node);
	if (!takes)
		return true;
	uint32_t percent = allocation_world_type(world, host->type)->cpu_overcommit_percent;
	if (percent > 0 && percent < 100)
		cells->sells_less = true;
	cells->trie_of[number] = trie_for(cells, world, number);
	if (cells->trie_of[number] == ALLOCATION_NONE)
		return false;
	cells->tries[cells->trie_of[number]].n_hosts++;
	return slots_file(cells, host, number, (1u << host->n_nodes) - 1);
}

static bool hosts_reserve(struct allocation_cells *cells, uint32_t n)
{
	uint32_t capacity = cells->hosts_capacity ? cells->hosts_capacity : 16;

	while (capacity < n)
		capacity *= 2;
	if (capacity == cells->hosts_capacity)
		return true;
	struct slot *slots = realloc(cells->slots, (size_t)capacity * cells->slots_a_host * sizeof(*slots));
	if (!slots)
		return false;
	cells->slots = slots;
	uint32_t *trie_of = realloc(cells->trie_of, capacity * sizeof(*trie_of));
	if (!trie_of)
		return false;
	cells->trie_of = trie_of;
	memset(&slots[(size_t)cells->hosts_capacity * cells->slots_a_host], 0xff,
	       (size_t)(capacity - cells->hosts_capacity) * cells->slots_a_host * sizeof(*slots));
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

static bool hosts_file(struct allocation_cells *cells, const struct allocation_world *world)
{
	uint32_t n = allocation_world_n_hosts(world);

	if (!hosts_reserve(cells, n))
		return false;
	for (uint32_t host = 0; host < n; host++)
		if (!host_file(cells, world, host))
			return false;
	return true;
}

static struct allocation_cells *empty_new(unsigned slots_a_host)
{
	struct allocation_cells *cells = calloc(1, sizeof(*cells));

	if (!cells)
		return NULL;
	cells->slots_a_host = slots_a_host;
	cells->free_node = cells->free_cell = ALLOCATION_NONE;
	return cells;
}

/* Hosts as wholes, once somebody asked for several nodes. Without the memory for it every host is looked at. */
static void wide_build(struct allocation_cells *cells, const struct allocation_world *world)
{
	struct allocation_cells *wide = empty_new(1);

	cells->wants_wide = false;
	if (!wide)
		return;
	memcpy(wide->zones, cells->zones, sizeof(wide->zones));
	wide->n_zones = cells->n_zones;
	if (hosts_file(wide, world))
		cells->wide = wide;
	else
		allocation_cells_free(wide);
}

struct allocation_cells *allocation_cells_new(const struct allocation_world *world,
					      const struct allocation_cells_rule *rule, double memory_per_cpu_mib)
{
	struct allocation_cells *cells = empty_new(CELLS_SLOTS);

	if (!cells)
		return NULL;
	cells->rule = rule;
	cells->memory_per_cpu_mib = memory_per_cpu_mib;
	values_init(cells);
	cells->tree = allocation_tree_new(world);
	if (!cells->tree || !zones_choose(cells, world) || !hosts_file(cells, world)) {
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
	allocation_cells_free(cells->wide);
	free(cells);
}

static bool file_change(struct allocation_cells *cells, const struct allocation_world *world,
			const struct allocation_event *event)
{
	const struct allocation_host_state *host = &allocation_world_hosts(world)[event->host];

	if (event->change == ALLOCATION_HOST_CHANGED)
		return hosts_reserve(cells, event->host + 1) && host_file(cells, world, event->host);
	if (cells->trie_of[event->host] == ALLOCATION_NONE)
		return true;
	return slots_file(cells, host, event->host, host->overdrawn ? (1u << host->n_nodes) - 1 : event->nodes);
}

bool allocation_cells_update(struct allocation_cells *cells, const struct allocation_world *world,
			     const struct allocation_event *event)
{
	__builtin_prefetch(&cells->slots[(size_t)event->host * CELLS_SLOTS], 1); /* far off, and needed soon */
	if (!allocation_tree_touch(cells->tree, world, event->host) || !file_change(cells, world, event))
		return false;
	if (cells->wide && !file_change(cells->wide, world, event))
		return false;
	if (cells->wants_wide && !cells->wide)
		wide_build(cells, world);
	return true;
}

size_t allocation_cells_bytes(const struct allocation_cells *cells)
{
	return sizeof(*cells) + (size_t)cells->hosts_capacity * (cells->slots_a_host * sizeof(*cells->slots) + 4) +
	       cells->tries_capacity * sizeof(*cells->tries) + cells->nodes_capacity * sizeof(*cells->nodes) +
	       cells->cells_capacity * sizeof(*cells->cells) + cells->heap_bytes +
	       (cells->tree ? allocation_tree_bytes(cells->tree) : 0) +
	       (cells->wide ? allocation_cells_bytes(cells->wide) : 0);
}

double allocation_cells_cost(const struct allocation_cells *cells, const struct allocation_world *world,
			     uint32_t class_id, const struct allocation_fit *fit)
{
	const struct allocation_request *request = allocation_world_request(world, class_id);
	const struct allocation_host_state *host = &allocation_world_hosts(world)[fit->host];
	double terms[ALLOCATION_TERMS] = { 0 }, low[ALLOCATION_NODE_DIMENSIONS];
	unsigned n = (unsigned)__builtin_popcount(fit->nodes);

	cells_terms(cells, request, terms);
	for (unsigned d = 0; d < ALLOCATION_NODE_DIMENSIONS; d++) {
		uint64_t sum = 0;

		for (unsigned nodes = fit->nodes; nodes; nodes &= nodes - 1)
			sum += host->node[__builtin_ctz(nodes)].free[d];
		low[d] = cells->value[d][allocation_cells_step((enum allocation_dimension)d,
							       sum > UINT32_MAX ? UINT32_MAX : (uint32_t)sum)];
	}
	return cells_rule_cost(cells->rule, terms, low) + ALLOCATION_CELLS_WIDE * (n - 1);
}

void cells_terms(const struct allocation_cells *cells, const struct allocation_request *request,
		 double terms[ALLOCATION_TERMS])
{
	double amount[ALLOCATION_NODE_DIMENSIONS];

	if (cells->rule->sums)
		return;
	for (unsigned d = 0; d < ALLOCATION_NODE_DIMENSIONS; d++)
		amount[d] = request->amount[d] / (d == ALLOCATION_CPU ? 1000 : cells->memory_per_cpu_mib);
	if (cells->rule->prepare)
		cells->rule->prepare(amount, terms);
	else
		memcpy(terms, amount, sizeof(amount));
}
