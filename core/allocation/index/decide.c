/* Where a decision looks: at single nodes, at hosts as wholes, or only where the VMs are that it must be close to. */
#include <string.h>

#include "core/allocation/index/search.h"

#define PASSES_EXACT 2 /* passes that settle on one penalty, before one that takes what there is */

static bool has_soft(const struct allocation_request *request)
{
	for (unsigned i = 0; i < ALLOCATION_TERMS_MAX; i++)
		if (request->term[i].group && request->term[i].soft_weight)
			return true;
	for (unsigned i = 0; i < ALLOCATION_SPREADS_MAX; i++)
		if (request->spread[i].group && request->spread[i].soft_weight)
			return true;
	return false;
}

/* Offer every way the request fits on one host. */
static void offer_host(struct search *search, uint32_t host)
{
	struct allocation_fit fits[ALLOCATION_NODES_MAX];
	unsigned n = allocation_world_fits(search->world, search->request, host, fits);
	uint32_t penalty = n && search->soft ? allocation_world_penalty(search->world, search->request, host) : 0;

	if (n > 0 && penalty > search->most_penalty) {
		search_leave_out(search, penalty);
		return;
	}
	for (unsigned i = 0; i < n; i++)
		search_offer(search, penalty,
			     allocation_cells_cost(search->cells, search->world, search->class_id, &fits[i]),
			     host * CELLS_SLOTS + (uint32_t)__builtin_ctz(fits[i].nodes), fits[i].nodes);
}

/* ---- several nodes ---- */

/* Whether one node has what is asked: then the host's only fits are such nodes, and the cells have told of them. */
static bool one_node_has(const struct search *search, uint32_t number)
{
	const struct allocation_host_state *host = &search->hosts[number];

	if (search->request->numa != ALLOCATION_NUMA_ANY || search->request->exclusive_cores)
		return false;
	for (unsigned node = 0; node < host->n_nodes; node++) {
		const uint32_t *amount = host->node[node].free;

		if (amount[0] >= search->need[0] && amount[1] >= search->need[1] && amount[2] >= search->need[2] &&
		    amount[3] >= search->need[3])
			return true;
	}
	return false;
}

/* Zones that have tries of their own and are ruled out, as bits. */
static unsigned zones_closed(const struct search *search)
{
	unsigned closed = 0;
	uint32_t penalty;

	for (uint32_t i = 0; i < search->cells->n_zones; i++)
		closed |= (unsigned)!allocation_world_zone_allows(search->world, search->request,
								  search->cells->zones[i], &penalty)
			  << i;
	return closed;
}

static bool is_closed(const struct search *search, unsigned closed, uint32_t host)
{
	for (; closed; closed &= closed - 1)
		if (search->cells->zones[__builtin_ctz(closed)] == search->hosts[host].zone)
			return true;
	return false;
}

struct wide {
	struct search *search;
	unsigned closed;
	uint32_t n_nodes_done; /* hosts of so many nodes have been searched */
};

static void visit_wide(void *data, uint32_t host)
{
	const struct wide *wide = data;

	if (wide->search->hosts[host].n_nodes != wide->n_nodes_done && !one_node_has(wide->search, host) &&
	    !is_closed(wide->search, wide->closed, host))
		offer_host(wide->search, host);
}

static bool has_wider(const struct allocation_cells *wide, uint32_t n_nodes)
{
	for (uint32_t i = 0; i < wide->n_tries; i++)
		if (wide->tries[i].n_nodes > n_nodes && wide->tries[i].n_hosts > 0)
			return true;
	return false;
}

/* Hosts that have as many nodes as it takes are filed as wholes: what the request leaves free there is what they have. Of
 * hosts with more nodes, which of them it gets depends on more than what is free in sum: all are looked at. */
static void search_wide(struct search *search)
{
	struct allocation_cells *cells = search->cells;
	uint32_t n_nodes = search->request->numa == ALLOCATION_NUMA_SPLIT ? search->request->numa_nodes : 2;
	struct wide wide = { .search = search };

	cells->wants_wide = true;
	if (cells->wide) {
		search->filed = cells->wide;
		search->surcharge = ALLOCATION_CELLS_WIDE * (n_nodes - 1);
		search_tries(search, n_nodes);
		search->filed = cells;
		search->surcharge = 0;
		if (!has_wider(cells->wide, n_nodes))
			return;
		wide.n_nodes_done = n_nodes;
	}
	wide.closed = zones_closed(search);
	allocation_tree_each(cells->tree, search->world, search->request, visit_wide, &wide);
}

/* ---- close to others ---- */

#define NEAR_SHARE 8 /* of the hosts, at most one in so many: else the tries are faster */

/* How many hosts are in the domains where the term's group has members; UINT64_MAX: too many, or it is not listed. */
static uint64_t n_near(const struct search *search, const struct allocation_term *term)
{
	const struct allocation_world *world = search->world;
	uint64_t most = allocation_world_n_hosts(world) / NEAR_SHARE, n;

	if (term->group == 0 || term->anti)
		return UINT64_MAX;
	n = allocation_world_member_domains(world, term->group, term->level);
	if (n == 0 || n > most)
		return UINT64_MAX;
	if (term->level == ALLOCATION_HOST)
		return n;
	n = 0;
	for (uint32_t rack = ALLOCATION_NONE; n <= most;) {
		rack = allocation_world_member_domain_next(world, term->group, ALLOCATION_RACK, rack);
		if (rack == ALLOCATION_NONE)
			return n;
		n += allocation_world_rack_hosts(world, rack);
	}
	return UINT64_MAX;
}

/* Offer all hosts at which the term holds; it has members. */
static void offer_near(struct search *search, const struct allocation_term *term)
{
	const struct allocation_world *world = search->world;
	uint32_t domain = ALLOCATION_NONE, host = ALLOCATION_NONE;

	for (;;) {
		domain = allocation_world_member_domain_next(world, term->group, term->level, domain);
		if (domain == ALLOCATION_NONE)
			return;
		if (term->level == ALLOCATION_HOST)
			offer_host(search, domain);
		else
			while ((host = allocation_world_rack_next(world, domain, host)) != ALLOCATION_NONE)
				offer_host(search, host);
	}
}

/* A hard term that holds at few hosts: there are no others. */
static bool search_near_hard(struct search *search)
{
	const struct allocation_term *fewest = NULL;
	uint64_t least = UINT64_MAX;

	for (unsigned i = 0; i < ALLOCATION_TERMS_MAX; i++) {
		const struct allocation_term *term = &search->request->term[i];
		uint64_t n = term->soft_weight == 0 ? n_near(search, term) : UINT64_MAX;

		if (n < least) {
			fewest = term;
			least = n;
		}
	}
	if (fewest)
		offer_near(search, fewest);
	return fewest != NULL;
}

/* Soft terms that hold at few hosts: these are offered, and all others break them. */
static void search_near_soft(struct search *search)
{
	for (unsigned i = 0; i < ALLOCATION_TERMS_MAX; i++) {
		const struct allocation_term *term = &search->request->term[i];

		if (term->soft_weight == 0 || n_near(search, term) == UINT64_MAX)
			continue;
		offer_near(search, term);
		search->floor[term->level] += term->soft_weight;
	}
}

/* ---- the decision ---- */

static void search_init(struct search *search, struct allocation_cells *cells, const struct allocation_world *world,
			uint32_t class_id)
{
	const struct allocation_request *request = allocation_world_request(world, class_id);

	*search = (struct search) { .cells = cells,
				    .filed = cells,
				    .world = world,
				    .hosts = allocation_world_hosts(world),
				    .request = request,
				    .class_id = class_id,
				    .soft = has_soft(request),
				    .most_penalty = UINT32_MAX };
	memcpy(search->need, request->amount, sizeof(search->need));
	if (request->exclusive_cores && cells->sells_less)
		search->need[ALLOCATION_CPU] = 0;
	search->need_code = cells_code_of(search->need);
	cells_terms(cells, request, search->terms);
}

/* One pass over all hosts. Several nodes cost more than one, so they matter only for a lower penalty. */
static void search_once(struct search *search)
{
	const struct allocation_request *request = search->request;
	bool single = request->numa != ALLOCATION_NUMA_SPLIT || request->numa_nodes <= 1;

	if (single)
		search_tries(search, 0);
	if (search->found && search->penalty <= search->least_penalty)
		return;
	if (request->numa == ALLOCATION_NUMA_ANY || !single)
		search_wide(search);
}

/* Each pass asks for the least penalty that there still may be: then the first host found ends it. What it leaves out says
 * what the next one asks for. */
static void search_passes(struct search *search)
{
	uint32_t asked =
		search->floor[ALLOCATION_HOST] + search->floor[ALLOCATION_RACK] + search->floor[ALLOCATION_ZONE];
	unsigned n_looked = 0;

	if (search->found && search->penalty < asked)
		return;
	for (;;) {
		search->least_penalty = asked;
		search->most_penalty = search->soft && n_looked < PASSES_EXACT ? asked : UINT32_MAX;
		search->left_out = UINT32_MAX;
		search->looked = false;
		search_once(search);
		if (search->left_out == UINT32_MAX || (search->found && search->penalty < search->left_out))
			return;
		asked = search->left_out;
		n_looked += search->looked;
	}
}

void allocation_cells_decide(struct allocation_cells *cells, const struct allocation_world *world, uint32_t class_id,
			     struct allocation_decision *decision)
{
	struct search search;

	search_init(&search, cells, world, class_id);
	if (!search.request->term[0].group)
		search_passes(&search);
	else if (allocation_world_floor(world, search.request, search.floor) && !search_near_hard(&search)) {
		search_near_soft(&search);
		search_passes(&search);
	}
	*decision = (struct allocation_decision) { .fit = { .host = ALLOCATION_NONE } };
	if (!search.found)
		return;
	decision->fit = (struct allocation_fit) { .host = search.slot / CELLS_SLOTS, .nodes = search.nodes };
	decision->penalty = search.penalty;
	decision->cost = search.cost;
	decision->step = search.tied ? ALLOCATION_STEP_TIE : ALLOCATION_STEP_COST;
}
