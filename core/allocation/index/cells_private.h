/* Inside the cells: what cells.c and trie.c keep and search.c and decide.c read. */
#pragma once

#include "core/allocation/index/cells.h"
#include "core/allocation/index/tree.h"

/* A level of a trie tells four bits: two of the CPU's and of memory's step where there are no huge pages, else one of each
 * dimension's. */
#define CELLS_LEVELS       8
#define CELLS_LEVELS_PLAIN 4
#define CELLS_FEW          9
#define CELLS_FAN_BITS     3
#define CELLS_FAN          (1u << CELLS_FAN_BITS) /* children of a heap's entry */
#define CELLS_SLOTS        ALLOCATION_NODES_MAX   /* slot = host × CELLS_SLOTS + node */
#define CELLS_ZONES_MAX    16
#define CELLS_ZONE_MIN     64 /* hosts; smaller zones are not worth tries of their own */

/* Four steps, one a byte, CPU lowest. */
typedef uint32_t cells_code;

#define CELLS_EXACT_BITS 4 /* 16 units exactly, then 16 steps to each doubling */

static inline uint8_t cells_step_of_units(uint32_t units)
{
	unsigned shift = 31 - CELLS_EXACT_BITS - (unsigned)__builtin_clz(units | 1u << CELLS_EXACT_BITS);
	uint32_t step = (shift << CELLS_EXACT_BITS) + (units >> shift);

	return step > UINT8_MAX ? UINT8_MAX : (uint8_t)step;
}

/* As allocation_cells_step, of all dimensions. */
static inline cells_code cells_code_of(const uint32_t amount[ALLOCATION_NODE_DIMENSIONS])
{
	return (cells_code)cells_step_of_units(amount[ALLOCATION_CPU] / 125) |
	       (cells_code)cells_step_of_units(amount[ALLOCATION_MEMORY] / 64) << 8 |
	       (cells_code)cells_step_of_units(amount[ALLOCATION_HUGE_2M] / 64) << 16 |
	       (cells_code)cells_step_of_units(amount[ALLOCATION_HUGE_1G] / 1024) << 24;
}

/* A heap of slots, the lowest at the top; few of them lie in the cell itself. */
struct cell {
	uint32_t *many; /* NULL: `few` */
	cells_code code;
	uint32_t n, capacity;
	uint32_t parent; /* trie node; or the next free cell */
	uint32_t levels; /* of its trie */
	uint32_t few[CELLS_FEW];
};

struct trie_node {
	uint16_t present; /* children, by digit: the bits told here, those of CPU lowest */
	uint8_t digit;    /* which child of its parent this is */
	uint32_t parent;  /* or the next free node */
	uint32_t child[16];
};

/* Hosts that a request's own labels, taints, engine and CPU level cannot tell apart. */
struct trie {
	uint64_t labels, taints;
	uint32_t engines, cpu_level;
	uint32_t zone; /* dense number; 0: any */
	uint32_t root;
	uint32_t levels;
	uint32_t n_nodes; /* of each host, where hosts are filed as wholes; else 0 */
	uint32_t n_hosts; /* filed in it */
};

struct slot {
	uint32_t cell; /* ALLOCATION_NONE: not filed */
	uint32_t at;   /* in the heap */
};

struct allocation_cells {
	const struct allocation_cells_rule *rule;
	double memory_per_cpu_mib;
	double value[ALLOCATION_NODE_DIMENSIONS][256]; /* of a step, in the measure of costs */
	unsigned slots_a_host; /* CELLS_SLOTS; 1: hosts are filed as wholes, by what is free on all their nodes */
	struct slot *slots;
	uint32_t *trie_of; /* by host */
	uint32_t hosts_capacity;
	struct trie *tries;
	uint32_t n_tries, tries_capacity;
	struct trie_node *nodes;
	uint32_t n_nodes, nodes_capacity, free_node;
	struct cell *cells;
	uint32_t n_cells, cells_capacity, free_cell;
	size_t heap_bytes;
	uint32_t zones[CELLS_ZONES_MAX];
	uint32_t n_zones;
	bool sells_less; /* some host's CPU overcommit is below 100 %: exclusive cores may be charged less than asked */
	struct allocation_tree *tree;
	struct allocation_cells *wide; /* the hosts as wholes, for requests over all nodes; NULL until there was one */
	bool wants_wide;               /* there was one */
};

static inline const uint32_t *cell_heap(const struct cell *cell)
{
	return cell->many ? cell->many : cell->few;
}

/* Dimensions that a trie with so many levels tells apart, and bits of each on a level. */
static inline unsigned cells_told(unsigned levels)
{
	return levels == CELLS_LEVELS_PLAIN ? 2 : ALLOCATION_NODE_DIMENSIONS;
}

static inline unsigned cells_bits(unsigned levels)
{
	return CELLS_LEVELS / levels;
}

static inline double cells_sum(const double *low)
{
	return low[0] + low[1] + low[2] + low[3];
}

static inline double cells_rule_cost(const struct allocation_cells_rule *rule, const double *terms, const double *low)
{
	return rule->sums ? cells_sum(low) : rule->cost(terms, low);
}

static inline double cells_rule_bound(const struct allocation_cells_rule *rule, const double *terms, const double *low,
				      const double *high)
{
	return rule->sums ? cells_sum(low) : rule->bound(terms, low, high);
}

/* What the rule makes of the request. */
void cells_terms(const struct allocation_cells *cells, const struct allocation_request *request,
		 double terms[ALLOCATION_TERMS]);

/* trie.c: slot to the cell of `code` in the trie, out of the one it is in; NULL: to none. false: out of memory. */
bool cells_slot_move(struct allocation_cells *cells, const struct trie *trie, cells_code code, uint32_t slot);
uint32_t cells_node_new(struct allocation_cells *cells, uint32_t parent, unsigned digit);
bool cells_array_grow(void *array, uint32_t *capacity, size_t bytes);
