/* Inside the cells: one decision under way. decide.c says where to look and how often, search.c looks through the tries. */
#pragma once

#include "core/allocation/index/cells_private.h"

struct search {
	struct allocation_cells *cells;       /* the rule and its measure */
	const struct allocation_cells *filed; /* whose tries are searched: the same, or its whole hosts */
	const struct allocation_world *world;
	const struct allocation_host_state *hosts;
	const struct allocation_request *request;
	uint32_t class_id;
	double terms[ALLOCATION_TERMS];
	uint32_t need[ALLOCATION_NODE_DIMENSIONS]; /* what is filed has at least these free */
	cells_code need_code;
	bool soft;                         /* penalties are possible */
	uint32_t floor[ALLOCATION_LEVELS]; /* what relations of a level break on every host not yet offered */
	uint32_t least_penalty;            /* no candidate has less */
	uint32_t most_penalty;             /* candidates with more are left out, */
	uint32_t left_out;                 /* the least of theirs noted here, */
	bool looked;                       /* and whether any host had to be looked at for it */
	double surcharge;                  /* for what is filed: of several nodes */
	bool found, tied;
	uint32_t penalty, slot; /* of the best */
	double cost;
	uint8_t nodes;
};

static inline void search_leave_out(struct search *search, uint32_t penalty)
{
	search->looked = true;
	if (penalty < search->left_out)
		search->left_out = penalty;
}

/* A candidate: kept when it is the best so far. */
void search_offer(struct search *search, uint32_t penalty, double cost, uint32_t slot, uint8_t nodes);

/* All tries of what is filed, those for hosts of so many nodes where hosts are filed as wholes (else 0). */
void search_tries(struct search *search, uint32_t n_nodes);
