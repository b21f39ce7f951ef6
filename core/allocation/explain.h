/* Why a request goes where it goes, what else there was, and what would change it. May scan; never on the hot path. */
#pragma once

#include "core/allocation/family.h"

struct allocation_relief { /* the smallest single change that would let the request in */
	enum {
		ALLOCATION_RELIEF_NONE,     /* no single change of these kinds helps */
		ALLOCATION_RELIEF_SHRINK,   /* ask for at most `amount` of `dimension` (on host `host`) */
		ALLOCATION_RELIEF_DROP,     /* give up `constraint` (host `host` would take it then) */
		ALLOCATION_RELIEF_SPLIT,    /* let it span `amount` NUMA nodes */
		ALLOCATION_RELIEF_UNCORDON, /* let host `host` take VMs again */
	} kind;
	enum allocation_dimension dimension;
	enum allocation_constraint constraint;
	uint32_t host;
	uint32_t amount;
};

struct allocation_explanation {
	struct allocation_decision winner;
	struct allocation_decision runner_up;       /* best on another host; host ALLOCATION_NONE: there is none */
	uint32_t n_hosts;                           /* present */
	uint32_t n_feasible;                        /* hosts */
	uint32_t ruled_out[ALLOCATION_CONSTRAINTS]; /* hosts, by the first constraint each violates */
	struct allocation_relief relief;            /* when nothing fits; kind NONE otherwise */
	/* What it would take for another outcome when something fits: the dimension in which the winner's host has least
	 * left afterwards, and how much. */
	enum allocation_dimension tightest;
	uint32_t tightest_left;
};

/* allocation_explain(placer, class_id, now_ms, explanation): O(hosts). Where a strategy has no cost (order, chance) the
 * winner is what `decide` says and the runner-up is what it would say with the winner's host cordoned; strategies that
 * move a cursor or draw do so on a copy: the state is not disturbed. */
void allocation_explain(struct allocation_placer *placer, uint32_t class_id, int64_t now_ms,
			struct allocation_explanation *explanation);

/* allocation_explain_host(world, request, host): the first constraint violated on one host, as allocation_world_violates. */

struct allocation_capacity {
	uint64_t more; /* how many more of the request fit */
	bool capped;   /* stopped counting at the limit */
	enum allocation_constraint
		first_out[ALLOCATION_CONSTRAINTS]; /* constraints that stop further ones, most hosts first */
	uint32_t stopped[ALLOCATION_CONSTRAINTS];  /* hosts stopped by each, afterwards */
};
/* allocation_capacity(world, class_id, limit, capacity): on a copy, place until nothing fits or `limit` are placed.
 * false: out of memory. */
bool allocation_capacity(const struct allocation_world *world, uint32_t class_id, uint64_t limit,
			 struct allocation_capacity *capacity);

/* allocation_preempt(world, class_id, vms, n_max): the VMs of strictly lower priority to end so that the request fits, all
 * on one host: fewest priorities hurt highest-last, then fewest VMs, then least dominant resource, then lowest host.
 * Returns how many are in vms (0: it fits without, or no such set of at most n_max); `*fit` where it then goes. */
size_t allocation_preempt(const struct allocation_world *world, uint32_t class_id, uint32_t *vms, size_t n_max,
			  struct allocation_fit *fit);
