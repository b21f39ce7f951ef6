/* The world: hosts, what is placed on them, and the counters that constraints need. It is the snapshot every strategy
 * decides on and the only account of what is free: strategies keep indexes, never a second account.
 *
 * Hosts, placements (VMs) and classes are numbered densely from 0; numbers of removed ones are used again. Functions that
 * can run out of memory say so; nothing else fails on valid numbers. Not thread-safe. Pointers to hosts, types and
 * placements hold until one is added; those to requests as long as their class. A type that no host has any more may be
 * given another description.
 *
 * Invariants (checked by allocation_world_verify, always on in tests):
 *   - for each host, node and dimension: capacity = free + sum charged by the VMs placed there, unless overdrawn
 *   - group counters equal a recount over placements
 *   - a host's VM list holds exactly the placements that name it */
#pragma once

#include <stdalign.h>

#include "core/allocation/resources.h"

struct allocation_node {
	uint32_t free[ALLOCATION_NODE_DIMENSIONS];
};

/* Read by strategies and indexes directly; written by the world only. Hot fields first. */
struct allocation_host_state {
	alignas(64) uint32_t n_nodes; /* all but the nodes is one cache line */
	uint32_t n_vms;
	uint32_t type;   /* index in types: capacity, labels, taints, engines; hosts alike share one */
	uint32_t tenant; /* of all its VMs; 0: empty or none; ALLOCATION_NONE: several (no tenant counts as one) */
	uint32_t free[ALLOCATION_HOST_DIMENSIONS];
	uint32_t n_exclusive; /* VMs that want it alone */
	uint32_t first_vm;    /* list of placements, ALLOCATION_NONE ends */
	uint32_t rack, zone;  /* dense domain numbers, always ≥ 1: hosts without one get one of their own */
	bool present, powered, cordoned;
	bool overdrawn;
	struct allocation_node
		node[ALLOCATION_NODES_MAX]; /* free; saturates at 0 when a host shrank below what it holds */
};

struct allocation_placement {
	uint32_t class_id; /* ALLOCATION_NONE: this number is free */
	uint32_t host;
	uint32_t next, prev; /* on its host */
	uint8_t nodes;       /* bit set of NUMA nodes it is on */
	int64_t placed_ms;   /* the caller's clock */
};

struct allocation_world;

struct allocation_world *allocation_world_new(void); /* NULL: out of memory */
void allocation_world_free(struct allocation_world *world);

/* ---- Hosts ---- */

/* allocation_world_host_add(world, host): its number, the lowest free one; ALLOCATION_NONE: out of memory or no node.
 * `host` is copied. */
uint32_t allocation_world_host_add(struct allocation_world *world, const struct allocation_host *host);
/* Change its description; what is placed stays, and may then overdraw it. false: out of memory (nothing changed). */
bool allocation_world_host_change(struct allocation_world *world, uint32_t host, const struct allocation_host *now);
/* Only an empty host may be removed. */
void allocation_world_host_remove(struct allocation_world *world, uint32_t host);
void allocation_world_host_power(struct allocation_world *world, uint32_t host, bool powered);

uint32_t allocation_world_n_hosts(const struct allocation_world *world); /* highest number + 1, with absent ones */
const struct allocation_host_state *allocation_world_hosts(const struct allocation_world *world);
const struct allocation_host *allocation_world_type(const struct allocation_world *world, uint32_t type);
uint32_t allocation_world_n_types(const struct allocation_world *world);

/* ---- Requests ---- */

/* allocation_world_class(world, request): the number of the class equal to `request`, with one reference more;
 * ALLOCATION_NONE: out of memory. */
uint32_t allocation_world_class(struct allocation_world *world, const struct allocation_request *request);
void allocation_world_class_unref(struct allocation_world *world, uint32_t class_id);
const struct allocation_request *allocation_world_request(const struct allocation_world *world, uint32_t class_id);
uint32_t allocation_world_n_classes(const struct allocation_world *world); /* highest number + 1 */
/* Increases whenever the number is given to a different request: for caches kept by class number. */
uint32_t allocation_world_class_generation(const struct allocation_world *world, uint32_t class_id);

/* ---- Feasibility ---- */

/* Where on a host: a set of NUMA nodes. */
struct allocation_fit {
	uint32_t host;
	uint8_t nodes;
};

/* allocation_world_fits(world, request, host, fits): every way `request` fits on `host` by all hard constraints, at most one
 * a node for ONE (and ANY where one node suffices), one for SPLIT and wider ANY (of the sets of nodes that take
 * it, the one with the most free memory; ties to the one that is lowest as a number). Returns how many (≤ ALLOCATION_NODES_MAX), in order of the lowest node. */
unsigned allocation_world_fits(const struct allocation_world *world, const struct allocation_request *request,
			       uint32_t host, struct allocation_fit fits[ALLOCATION_NODES_MAX]);

/* The first constraint violated there, or ALLOCATION_CONSTRAINTS. */
enum allocation_constraint allocation_world_violates(const struct allocation_world *world,
						     const struct allocation_request *request, uint32_t host);

/* Sum of the weights of soft terms and spreads that `host` would break. */
uint32_t allocation_world_penalty(const struct allocation_world *world, const struct allocation_request *request,
				  uint32_t host);
/* allocation_world_zone_allows(world, request, zone, penalty): whether no hard term or spread of level ZONE rules out the zone
 * of that dense number; `*penalty` is what the soft ones of that level add on every host there. */
bool allocation_world_zone_allows(const struct allocation_world *world, const struct allocation_request *request,
				  uint32_t zone, uint32_t *penalty);
/* allocation_world_floor(world, request, floor): what the soft terms of each level add on every host alike; no host's penalty
 * is lower than their sum. false: no host takes the request, as a hard term holds nowhere. */
bool allocation_world_floor(const struct allocation_world *world, const struct allocation_request *request,
			    uint32_t floor[ALLOCATION_LEVELS]);
/* Whether the request has terms, spreads, or groups others avoid: whether anything but the host itself decides. */
bool allocation_world_is_relational(const struct allocation_world *world, const struct allocation_request *request);

/* What the request is charged on each of the nodes of `fit` and on the host (exclusive cores rounded up, splits done). */
void allocation_world_charge(const struct allocation_world *world, const struct allocation_request *request,
			     const struct allocation_fit *fit,
			     uint32_t node_amount[ALLOCATION_NODES_MAX][ALLOCATION_NODE_DIMENSIONS],
			     uint32_t host_amount[ALLOCATION_HOST_DIMENSIONS]);

/* N+1: with `hosts` ≥ 1, no placement may leave the free capacity of the other hosts, in any dimension's sum, below what
 * the fullest `hosts` hosts (at most 8) hold; looked at in the dimensions that the request takes. 0 (the default): off. */
void allocation_world_headroom(struct allocation_world *world, uint32_t hosts);

/* ---- Placements ---- */

/* allocation_world_place(world, class_id, fit, now_ms): the VM's number, or ALLOCATION_NONE (out of memory). Takes a
 * reference to the class. Does not test: records what is so, even when it overdraws. */
uint32_t allocation_world_place(struct allocation_world *world, uint32_t class_id, const struct allocation_fit *fit,
				int64_t now_ms);
void allocation_world_remove(struct allocation_world *world, uint32_t vm);
const struct allocation_placement *allocation_world_placement(const struct allocation_world *world, uint32_t vm);
uint32_t allocation_world_n_placements(const struct allocation_world *world);            /* highest number + 1 */
uint32_t allocation_world_members(const struct allocation_world *world, uint32_t group); /* placed members in all */

/* Where members of a group are, by hosts or racks: listed from the first class on that has affinity at one of these levels.
 * allocation_world_member_domains(world, group, level): how many; ALLOCATION_NONE: not listed. The others are for what is
 * listed; `after` ALLOCATION_NONE: the first; they return ALLOCATION_NONE at the end. In no particular order. */
uint32_t allocation_world_member_domains(const struct allocation_world *world, uint32_t group, uint32_t level);
uint32_t allocation_world_member_domain_next(const struct allocation_world *world, uint32_t group, uint32_t level,
					     uint32_t after);
uint32_t allocation_world_rack_hosts(const struct allocation_world *world, uint32_t rack); /* how many */
uint32_t allocation_world_rack_next(const struct allocation_world *world, uint32_t rack, uint32_t after);

/* allocation_world_copy(world): an independent copy with the same numbers: to try things on. NULL: out of memory. */
struct allocation_world *allocation_world_copy(const struct allocation_world *world);

/* allocation_world_verify(world): NULL, or which invariant does not hold (static text). Recounts everything. */
const char *allocation_world_verify(const struct allocation_world *world);
