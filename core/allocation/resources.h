/* What hosts have and VMs take. All amounts are 32-bit whole numbers; sums over hosts are 64-bit.
 *
 * CPU is in thousandths of a vCPU. Host CPU capacity is threads × 1000 × overcommit, less what is kept for the host.
 * Memory, huge pages and disk are in MiB; a VM takes ordinary memory or huge pages of one size. Network is in Mbit/s.
 * Reserved CPU is what is kept for a VM whatever others do, in thousandths of a CPU; it is not overcommitted.
 * Extended resources (GPUs, licences, …) are counted; the caller says which is which. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ALLOCATION_NODES_MAX 8 /* NUMA nodes a host */
#define ALLOCATION_NONE      UINT32_MAX

enum allocation_dimension {
	/* of a NUMA node: */
	ALLOCATION_CPU,
	ALLOCATION_MEMORY,
	ALLOCATION_HUGE_2M,
	ALLOCATION_HUGE_1G,
	ALLOCATION_NODE_DIMENSIONS,
	/* of the host: */
	ALLOCATION_DISK = ALLOCATION_NODE_DIMENSIONS,
	ALLOCATION_NETWORK,
	ALLOCATION_CPU_RESERVE,
	ALLOCATION_EXTENDED,
	ALLOCATION_DIMENSIONS = ALLOCATION_EXTENDED + 4,
};
#define ALLOCATION_HOST_DIMENSIONS (ALLOCATION_DIMENSIONS - ALLOCATION_NODE_DIMENSIONS)
extern const char *const allocation_dimension_names[]; /* "cpu", "memory", "huge-2m", … */

/* Failure domains, smallest first. */
enum allocation_level { ALLOCATION_HOST, ALLOCATION_RACK, ALLOCATION_ZONE, ALLOCATION_LEVELS };
extern const char *const allocation_level_names[];

/* What can keep a request off a host, in the order tested; the first one violated is the one counted. */
enum allocation_constraint {
	ALLOCATION_IS_AWAY,     /* host is not there, or powered off */
	ALLOCATION_IS_CORDONED, /* drained: takes no new VM */
	ALLOCATION_LACKS_ENGINE,
	ALLOCATION_LACKS_CPU_MODEL,
	ALLOCATION_LACKS_LABEL, /* a label is required that it lacks, or one is forbidden that it has */
	ALLOCATION_IS_TAINTED,  /* a taint the request does not tolerate */
	ALLOCATION_IS_EXCLUSIVE, /* held by another tenant, or the request wants it alone and it is not empty of others */
	ALLOCATION_LACKS_CPU,    /* the host as a whole has too little left, per dimension … */
	ALLOCATION_LACKS_MEMORY,
	ALLOCATION_LACKS_HUGE_2M,
	ALLOCATION_LACKS_HUGE_1G,
	ALLOCATION_LACKS_DISK,
	ALLOCATION_LACKS_NETWORK,
	ALLOCATION_LACKS_CPU_RESERVE,
	ALLOCATION_LACKS_EXTENDED,
	ALLOCATION_LACKS_NUMA, /* … or enough in sum, but not on the node(s) asked for */
	ALLOCATION_BREAKS_AFFINITY,
	ALLOCATION_BREAKS_ANTI_AFFINITY,
	ALLOCATION_BREAKS_SPREAD,
	ALLOCATION_BREAKS_HEADROOM, /* N+1: after it, the loss of the fullest host could no longer be absorbed */
	ALLOCATION_CONSTRAINTS,     /* how many; as a result: nothing is violated */
};
extern const char *const allocation_constraint_names[]; /* "memory", "anti-affinity", … as in "12 lack memory" */

struct allocation_amounts {
	uint32_t of[ALLOCATION_DIMENSIONS];
};

/* A host as described by its owner. Labels and taints are bits that the caller numbers (at most 64 of each). */
struct allocation_host {
	uint32_t n_nodes;
	uint32_t node_capacity[ALLOCATION_NODES_MAX][ALLOCATION_NODE_DIMENSIONS]; /* reserve off, overcommit in */
	uint32_t capacity[ALLOCATION_HOST_DIMENSIONS];
	uint32_t threads_per_core;       /* 1 without SMT; 0 counts as 1 */
	uint32_t cpu_overcommit_percent; /* already in node_capacity; needed for exclusive cores. 0 counts as 100 */
	uint32_t rack, zone;             /* numbered by the caller from 1; 0: none, a domain of its own */
	uint32_t cpu_level;              /* x86-64 micro-architecture level 1–4; 0 unknown */
	uint32_t engines;                /* bits */
	uint64_t labels, taints;
	bool cordoned;
	bool powered; /* false: there, but takes nothing until it is powered on (elastic fleets) */
};

/* Affinity or anti-affinity to the members of a group. Where a group has no members yet, affinity to it holds for those who
 * are members of it themselves, and for nobody else. Groups are numbered by the caller from 1 ("group=db", "vm=web":
 * each VM may be a group of its own). Anti-affinity holds both ways: nothing that it avoids may come later, either. */
struct allocation_term {
	uint32_t group; /* 0: unused */
	uint8_t level;  /* enum allocation_level */
	bool anti;
	uint16_t soft_weight; /* 0: hard; else 1–1000, added to the penalty of a host that breaks it */
};

/* The domain a VM goes to may then have at most max_skew more members of `group` than any domain of that level that has a
 * host the request could use by label and engine. So a spread that was kept from the beginning holds between any two. */
struct allocation_spread {
	uint32_t group; /* 0: unused */
	uint8_t level;
	uint8_t max_skew; /* ≥ 1 */
	uint16_t soft_weight;
};

#define ALLOCATION_TERMS_MAX   6
#define ALLOCATION_SPREADS_MAX 3
#define ALLOCATION_MEMBER_MAX  4

enum allocation_numa {
	ALLOCATION_NUMA_ONE, /* all on one node */
	/* Evenly over exactly `numa_nodes` nodes: in whole vCPUs and pages where it is whole, remainders to the
	 * lowest-numbered. */
	ALLOCATION_NUMA_SPLIT,
	ALLOCATION_NUMA_ANY, /* on one node where possible, else evenly over as few nodes as it takes */
};

/* A request, complete but for its identity: equal requests are interned as one class. Zero the struct before filling it
 * (it is compared bytewise), unused entries last. */
struct allocation_request {
	uint32_t amount[ALLOCATION_DIMENSIONS];
	uint32_t engine;    /* one bit; 0: any */
	uint32_t cpu_level; /* least level; 0 any */
	uint32_t tenant;    /* from 1; 0: none */
	uint32_t pool;      /* index in the pool tree; 0: the root */
	uint32_t batch;     /* what was asked for together lives alike: learned from by lifetime strategies; 0: none */
	int32_t priority;   /* may preempt strictly lower ones; 0 normal */
	uint64_t labels_required, labels_forbidden, tolerates;
	uint8_t numa; /* enum allocation_numa */
	uint8_t numa_nodes;
	uint8_t exclusive_host;  /* no other tenant's VM beside it */
	uint8_t exclusive_cores; /* whole physical cores, not overcommitted: CPU is rounded up to cores and charged so */
	uint32_t member_of[ALLOCATION_MEMBER_MAX]; /* groups */
	struct allocation_term term[ALLOCATION_TERMS_MAX];
	struct allocation_spread spread[ALLOCATION_SPREADS_MAX];
};
