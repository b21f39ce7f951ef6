/* NUMA nodes filed by what is free on them: finds the node with the least cost that takes a request without looking at the
 * others, for every cost that depends on what is free alone.
 *
 * Free amounts are seen in steps: exact up to 16 small units, a sixteenth of the amount above (allocation_cells_value). Nodes
 * alike in all four steps form a cell, all of one cost, ordered by host and node. Cells are the leaves of a 16-ary trie, each
 * level of which halves all four dimensions: the box of a trie node follows from its place, so nothing has to be kept up to
 * date but which children there are. There is one trie for each combination of labels, taints, engines and CPU level, and for
 * each of a few large zones. A search descends best bound first and leaves out boxes that are too small or cannot be better.
 *
 * Requests over several NUMA nodes go by hosts filed as wholes, from the second such request on; hosts with more nodes than
 * are asked for are all looked at (tree.h). Who must be near a group that is on few hosts is looked for only there. The cost of k nodes is that of their
 * sum plus ALLOCATION_CELLS_WIDE × (k − 1): fewer nodes always win.
 *
 * Memory: 64 bytes a host, up to about 140 a cell, and the tree's; 8 a host more once hosts are filed as wholes. */
#pragma once

#include "core/allocation/family.h"

#define ALLOCATION_CELLS_WIDE 1e12
#define ALLOCATION_TERMS      (ALLOCATION_NODE_DIMENSIONS + 1)

struct allocation_cells;

/* A strategy's cost of the free amounts `low`, in vCPUs and in as much memory as counts for one. `terms` are what `prepare`
 * made of the request's amounts in the same measure (NULL: they are the amounts). `bound`: no `low` ≤ free ≤ `high` costs
 * less. `sums`: the cost is the sum of `low`, and there are no functions. */
struct allocation_cells_rule {
	bool sums;
	void (*prepare)(const double amount[ALLOCATION_NODE_DIMENSIONS], double terms[ALLOCATION_TERMS]);
	double (*cost)(const double terms[ALLOCATION_TERMS], const double low[ALLOCATION_NODE_DIMENSIONS]);
	double (*bound)(const double terms[ALLOCATION_TERMS], const double low[ALLOCATION_NODE_DIMENSIONS],
			const double high[ALLOCATION_NODE_DIMENSIONS]);
};

/* allocation_cells_new(world, rule, memory_per_cpu_mib): `rule` is borrowed for good. NULL when out of memory. */
struct allocation_cells *allocation_cells_new(const struct allocation_world *world,
					      const struct allocation_cells_rule *rule, double memory_per_cpu_mib);
void allocation_cells_free(struct allocation_cells *cells);

/* As a strategy's update, decide and cost. After update has returned false the cells are stale. */
bool allocation_cells_update(struct allocation_cells *cells, const struct allocation_world *world,
			     const struct allocation_event *event);
void allocation_cells_decide(struct allocation_cells *cells, const struct allocation_world *world, uint32_t class_id,
			     struct allocation_decision *decision);
double allocation_cells_cost(const struct allocation_cells *cells, const struct allocation_world *world,
			     uint32_t class_id, const struct allocation_fit *fit);

/* Bytes it holds. */
size_t allocation_cells_bytes(const struct allocation_cells *cells);

/* allocation_cells_step, allocation_cells_value(dimension, …): the step an amount is in, and the least amount of a step. */
uint8_t allocation_cells_step(enum allocation_dimension dimension, uint32_t amount);
uint32_t allocation_cells_value(enum allocation_dimension dimension, uint8_t step);
