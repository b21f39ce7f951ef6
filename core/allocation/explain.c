/* Why a request goes where it goes. What would let in one that goes nowhere is in relief.c. */
#include "core/allocation/explain_private.h"

#include <string.h>

#include "core/allocation/placer_private.h"
#include "core/allocation/world_private.h"

static bool is_better(const struct allocation_decision *a, const struct allocation_decision *b)
{
	if (b->fit.host == ALLOCATION_NONE)
		return true;
	if (a->penalty != b->penalty)
		return a->penalty < b->penalty;
	return a->cost < b->cost; /* equal: the one found first, of the lower host and node */
}

/* The best by cost on a host that is not the winner's. */
static void second_by_cost(struct allocation_placer *placer, uint32_t class_id, int64_t now_ms,
			   struct allocation_explanation *explanation)
{
	const struct allocation_world *world = placer->world;
	const struct allocation_request *request = allocation_world_request(world, class_id);
	struct allocation_decision *best = &explanation->runner_up;
	uint32_t n_hosts = allocation_world_n_hosts(world);

	for (uint32_t host = 0; host < n_hosts; host++) {
		struct allocation_fit fits[ALLOCATION_NODES_MAX];
		unsigned n =
			host != explanation->winner.fit.host ? allocation_world_fits(world, request, host, fits) : 0;

		for (unsigned i = 0; i < n; i++) {
			struct allocation_decision next = { .fit = fits[i], .step = ALLOCATION_STEP_COST };

			next.penalty = allocation_world_penalty(world, request, host);
			next.cost = placer->strategy->cost(placer->state, world, class_id, &fits[i], now_ms);
			if (is_better(&next, best))
				*best = next;
		}
	}
}

/* What it would decide with the winner's host cordoned. `decide` depends on nothing but state and world, and both are
 * afterwards what they were. */
static void second_by_cordon(struct allocation_placer *placer, uint32_t class_id, int64_t now_ms,
			     struct allocation_explanation *explanation)
{
	uint32_t winner = explanation->winner.fit.host;

	placer->world->hosts[winner].cordoned = true;
	if (placer->world->headroom != NULL)
		placer->world->headroom->known = false;
	placer_host_changed(placer, winner);
	allocation_placer_decide(placer, class_id, now_ms, &explanation->runner_up);
	placer->world->hosts[winner].cordoned = false;
	if (placer->world->headroom != NULL)
		placer->world->headroom->known = false;
	placer_host_changed(placer, winner);
}

/* Least left of its capacity, after the winner has taken the request. */
static void tightest(const struct allocation_world *world, const struct allocation_request *request,
		     struct allocation_explanation *explanation)
{
	uint32_t host = explanation->winner.fit.host;
	const struct allocation_host_state *state = &world->hosts[host];
	const struct allocation_host *type = &world->types[state->type].host;
	uint32_t total[ALLOCATION_NODE_DIMENSIONS];
	double least = 2;

	world_total(request, type, total);
	for (unsigned d = 0; d < ALLOCATION_DIMENSIONS; d++) {
		uint64_t takes = d < ALLOCATION_NODE_DIMENSIONS ? total[d] : request->amount[d];
		uint64_t left = world_headroom_free(state, d);
		uint64_t capacity = left + world_headroom_used(world, host, d);

		left = left > takes ? left - takes : 0;
		if (capacity == 0 || (double)left / (double)capacity >= least)
			continue;
		least = (double)left / (double)capacity;
		explanation->tightest = d;
		explanation->tightest_left = left < UINT32_MAX ? (uint32_t)left : UINT32_MAX;
	}
}

void allocation_explain(struct allocation_placer *placer, uint32_t class_id, int64_t now_ms,
			struct allocation_explanation *explanation)
{
	const struct allocation_request *request = allocation_world_request(placer->world, class_id);
	uint32_t n_hosts = allocation_world_n_hosts(placer->world);

	memset(explanation, 0, sizeof(*explanation));
	explanation->winner.fit.host = explanation->runner_up.fit.host = ALLOCATION_NONE;
	explanation->relief.host = ALLOCATION_NONE;
	for (uint32_t host = 0; host < n_hosts; host++) {
		enum allocation_constraint violated;

		if (!placer->world->hosts[host].present)
			continue;
		explanation->n_hosts++;
		violated = allocation_world_violates(placer->world, request, host);
		if (violated == ALLOCATION_CONSTRAINTS)
			explanation->n_feasible++;
		else
			explanation->ruled_out[violated]++;
	}
	if (explanation->n_feasible == 0) {
		explanation->relief = explain_relief(placer->world, request);
		return;
	}
	allocation_placer_decide(placer, class_id, now_ms, &explanation->winner);
	if (explanation->winner.fit.host == ALLOCATION_NONE)
		return;
	if (explanation->n_feasible == 1)
		explanation->winner.step = ALLOCATION_STEP_ONLY;
	else if (placer->strategy->cost != NULL)
		second_by_cost(placer, class_id, now_ms, explanation);
	else
		second_by_cordon(placer, class_id, now_ms, explanation);
	tightest(placer->world, request, explanation);
}
