/* Which shapes of VM (vCPUs, memory, NUMA nodes) are placed and how much of the whole each makes up: what gaps are
 * worth keeping. The account is a plain count of what is placed, so state made again from a snapshot is the same. */
#pragma once

#include "core/allocation/resources.h"

#define SHAPES_RANKED 12
/* Shapes that make up less of the whole are left out: no gap is kept for them. */
#define SHAPES_SHARE_LEAST 0.005

struct shape {
	uint32_t cpu, memory_mib, nodes; /* on each of `nodes` nodes; the order of shapes is the order of these */
	uint32_t n;                      /* VMs placed; 0: none, kept as one may come again */
};

struct shapes_ranked {
	double cpu, memory_mib; /* on each of `nodes` nodes */
	uint32_t nodes;
	double size;  /* vCPUs, or memory in units of memory-per-cpu-mib, whichever is more; over all nodes */
	double share; /* of what all placed VMs take in that measure */
};

struct shapes {
	struct shape *shape; /* sorted */
	uint32_t n, capacity;
	double memory_per_cpu_mib;
	struct shapes_ranked ranked[SHAPES_RANKED]; /* largest share first */
	uint32_t n_ranked;
};

void shapes_init(struct shapes *shapes, double memory_per_cpu_mib);
void shapes_clear(struct shapes *shapes);
bool shapes_add(struct shapes *shapes, const struct allocation_request *request); /* false: out of memory */
void shapes_remove(struct shapes *shapes, const struct allocation_request *request);
/* shapes_rank(shapes): bring `ranked` up to date. */
void shapes_rank(struct shapes *shapes);

/* shapes_slots(ranked, cpu, memory, n_nodes): how many VMs of that shape the free amounts hold. */
double shapes_slots(const struct shapes_ranked *ranked, const double *cpu, const double *memory_mib, uint32_t n_nodes);
