#include "core/allocation/rebalance/search.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

bool rebalance_is_on(const struct allocation_world *world, uint32_t host)
{
	const struct allocation_host_state *state = &allocation_world_hosts(world)[host];

	return state->present && state->powered;
}

double rebalance_used(const struct allocation_world *world, uint32_t host, double *cpu, double *memory)
{
	const struct allocation_host_state *state = &allocation_world_hosts(world)[host];
	const struct allocation_host *type = allocation_world_type(world, state->type);
	double has[2] = { 0, 0 }, is_free[2] = { 0, 0 };

	for (uint32_t n = 0; n < state->n_nodes; n++)
		for (unsigned d = 0; d < ALLOCATION_NODE_DIMENSIONS; d++) {
			has[d != ALLOCATION_CPU] += type->node_capacity[n][d];
			is_free[d != ALLOCATION_CPU] += state->node[n].free[d];
		}
	*cpu = has[0] > 0 ? 1 - is_free[0] / has[0] : 0;
	*memory = has[1] > 0 ? 1 - is_free[1] / has[1] : 0;
	return *cpu > *memory ? *cpu : *memory;
}

uint64_t rebalance_memory_mib(const struct allocation_world *world, uint32_t class_id)
{
	const struct allocation_request *request = allocation_world_request(world, class_id);

	return (uint64_t)request->amount[ALLOCATION_MEMORY] + request->amount[ALLOCATION_HUGE_2M] +
	       request->amount[ALLOCATION_HUGE_1G];
}

/* Off its host, whose class must outlive it; the number just given back is the next given out. */
static void put_back(struct allocation_world *world, uint32_t vm, uint32_t class_id, const struct allocation_fit *fit,
		     int64_t placed_ms)
{
	uint32_t again = allocation_world_place(world, class_id, fit, placed_ms);

	/* What was just given back is there to be had again: neither memory nor another number. */
	assert(again == vm);
}

void rebalance_world_move(struct allocation_world *world, uint32_t vm, const struct allocation_fit *fit)
{
	const struct allocation_placement was = *allocation_world_placement(world, vm);
	uint32_t class_id = allocation_world_class(world, allocation_world_request(world, was.class_id));

	assert(class_id == was.class_id);
	allocation_world_remove(world, vm);
	put_back(world, vm, class_id, fit, was.placed_ms);
	allocation_world_class_unref(world, class_id);
}

/* ---- Where to ---- */

static bool try_host(const struct allocation_world *world, const struct allocation_request *request, uint32_t host,
		     uint32_t penalty, struct allocation_fit *fit)
{
	struct allocation_fit fits[ALLOCATION_NODES_MAX];

	if (!allocation_world_fits(world, request, host, fits) ||
	    allocation_world_penalty(world, request, host) > penalty)
		return false;
	*fit = fits[0];
	return true;
}

/* With the VM off its host. */
static bool scan_rooms(const struct allocation_world *world, const struct rebalance_rooms *rooms,
		       const struct allocation_request *request, const uint8_t *skip, struct allocation_fit *fit)
{
	uint32_t from = fit->host, penalty = allocation_world_penalty(world, request, from), tries = 0, seen = 0;

	for (uint32_t level = rebalance_rooms_next(rooms, rebalance_rooms_need(rooms, request)); level < ROOMS_LEVELS;
	     level = level + 1 < ROOMS_LEVELS ? rebalance_rooms_next(rooms, level + 1) : ROOMS_LEVELS)
		for (uint32_t host = rooms->first[level]; host != ALLOCATION_NONE; host = rooms->next[host]) {
			if (++seen > 64 * REBALANCE_TRIES)
				return false;
			if (host == from || (skip && skip[host]))
				continue;
			if (try_host(world, request, host, penalty, fit))
				return true;
			if (++tries == REBALANCE_TRIES)
				return false;
		}
	return false;
}

bool rebalance_best_fit(struct allocation_world *world, const struct rebalance_rooms *rooms, uint32_t vm,
			const uint8_t *skip, struct allocation_fit *fit)
{
	const struct allocation_placement was = *allocation_world_placement(world, vm);
	struct allocation_fit home = { .host = was.host, .nodes = was.nodes };
	uint32_t class_id = was.class_id;
	bool found;

	*fit = home;
	/* Whether it fits elsewhere by itself does not depend on its being here, unless other VMs matter to it. */
	if (!allocation_world_is_relational(world, allocation_world_request(world, class_id)))
		return scan_rooms(world, rooms, allocation_world_request(world, class_id), skip, fit);
	class_id = allocation_world_class(world, allocation_world_request(world, class_id));
	allocation_world_remove(world, vm);
	found = scan_rooms(world, rooms, allocation_world_request(world, class_id), skip, fit);
	put_back(world, vm, class_id, &home, was.placed_ms);
	allocation_world_class_unref(world, class_id);
	return found;
}

/* Used share of `host` with the request there too, of CPU or memory whichever is more. */
static double used_with(const struct allocation_world *world, uint32_t host, const struct allocation_request *request)
{
	const struct allocation_host *type = allocation_world_type(world, allocation_world_hosts(world)[host].type);
	double has[2] = { 0, 0 }, more[2] = { 0, 0 }, used[2];

	rebalance_used(world, host, &used[0], &used[1]);
	for (unsigned d = 0; d < ALLOCATION_NODE_DIMENSIONS; d++) {
		more[d != ALLOCATION_CPU] += request->amount[d];
		for (uint32_t n = 0; n < type->n_nodes; n++)
			has[d != ALLOCATION_CPU] += type->node_capacity[n][d];
	}
	for (unsigned d = 0; d < 2; d++)
		used[d] += has[d] > 0 ? more[d] / has[d] : 0;
	return used[0] > used[1] ? used[0] : used[1];
}

bool rebalance_scan_fit(struct allocation_world *world, uint32_t vm, uint32_t max_penalty, double most_used,
			struct allocation_fit *fit)
{
	const struct allocation_placement was = *allocation_world_placement(world, vm);
	struct allocation_fit home = { .host = was.host, .nodes = was.nodes }, fits[ALLOCATION_NODES_MAX];
	uint32_t class_id = allocation_world_class(world, allocation_world_request(world, was.class_id));
	uint32_t least = UINT32_MAX;
	double least_used = 0;

	allocation_world_remove(world, vm);
	for (uint32_t host = 0; host < allocation_world_n_hosts(world); host++) {
		const struct allocation_request *request = allocation_world_request(world, class_id);
		uint32_t penalty;
		double used;

		if (host == was.host || !allocation_world_fits(world, request, host, fits))
			continue;
		penalty = allocation_world_penalty(world, request, host);
		used = used_with(world, host, request);
		if (penalty > max_penalty || used > most_used || penalty > least ||
		    (penalty == least && used >= least_used))
			continue;
		least = penalty;
		least_used = used;
		*fit = fits[0];
	}
	put_back(world, vm, class_id, &home, was.placed_ms);
	allocation_world_class_unref(world, class_id);
	return least < UINT32_MAX;
}

/* ---- Moves of a plan ---- */

bool rebalance_search_may(const struct rebalance_search *search, uint32_t vm)
{
	const struct allocation_placement *placement = allocation_world_placement(search->world, vm);

	if (search->plan->n_steps >= search->limits.max_moves)
		return false;
	return !search->limits.max_memory_mib ||
	       search->plan->memory_mib + rebalance_memory_mib(search->world, placement->class_id) <=
		       search->limits.max_memory_mib;
}

bool rebalance_search_move(struct rebalance_search *search, uint32_t vm, const struct allocation_fit *fit)
{
	struct rebalance_plan *plan = search->plan;
	const struct allocation_placement was = *allocation_world_placement(search->world, vm);

	if (plan->n_steps == plan->room) {
		uint32_t room = plan->room ? plan->room * 2 : 64;
		struct rebalance_step *steps = realloc(plan->steps, room * sizeof *steps);

		if (!steps)
			return false;
		plan->steps = steps;
		plan->room = room;
	}
	rebalance_world_move(search->world, vm, fit);
	plan->steps[plan->n_steps++] = (struct rebalance_step) {
		.vm = vm, .class_id = was.class_id, .from = was.host, .from_nodes = was.nodes, .to = *fit
	};
	plan->memory_mib += rebalance_memory_mib(search->world, was.class_id);
	rebalance_rooms_update(&search->rooms, search->world, was.host);
	rebalance_rooms_update(&search->rooms, search->world, fit->host);
	return true;
}

void rebalance_search_undo(struct rebalance_search *search, uint32_t n_steps)
{
	struct rebalance_plan *plan = search->plan;

	while (plan->n_steps > n_steps) {
		const struct rebalance_step *step = &plan->steps[--plan->n_steps];
		struct allocation_fit home = { .host = step->from, .nodes = step->from_nodes };

		rebalance_world_move(search->world, step->vm, &home);
		plan->memory_mib -= rebalance_memory_mib(search->world, step->class_id);
		rebalance_rooms_update(&search->rooms, search->world, step->from);
		rebalance_rooms_update(&search->rooms, search->world, step->to.host);
	}
}

/* ---- All of a host ---- */

struct sized {
	uint32_t vm, cpu;
	uint64_t memory;
};

static int larger_first(const void *a, const void *b)
{
	const struct sized *x = a, *y = b;

	if (x->cpu != y->cpu)
		return x->cpu < y->cpu ? 1 : -1;
	if (x->memory != y->memory)
		return x->memory < y->memory ? 1 : -1;
	return (x->vm > y->vm) - (x->vm < y->vm);
}

uint32_t rebalance_vms_on(const struct allocation_world *world, uint32_t host, uint32_t **vms)
{
	const struct allocation_host_state *state = &allocation_world_hosts(world)[host];
	struct sized *sized = malloc(((size_t)state->n_vms + 1) * sizeof *sized);
	uint32_t n = 0;

	*vms = sized ? malloc(((size_t)state->n_vms + 1) * sizeof **vms) : NULL;
	for (uint32_t vm = state->first_vm; *vms && vm != ALLOCATION_NONE; n++) {
		const struct allocation_placement *placement = allocation_world_placement(world, vm);
		const struct allocation_request *request = allocation_world_request(world, placement->class_id);

		sized[n] = (struct sized) { vm, request->amount[ALLOCATION_CPU],
					    rebalance_memory_mib(world, placement->class_id) };
		vm = placement->next;
	}
	if (*vms)
		qsort(sized, n, sizeof *sized, larger_first);
	for (uint32_t i = 0; i < n; i++)
		(*vms)[i] = sized[i].vm;
	free(sized);
	return n;
}

static void shun(struct rebalance_search *search, uint32_t host)
{
	uint32_t before = search->rooms.shunned;

	search->rooms.shunned = host;
	if (before != ALLOCATION_NONE)
		rebalance_rooms_update(&search->rooms, search->world, before);
	if (host != ALLOCATION_NONE)
		rebalance_rooms_update(&search->rooms, search->world, host);
}

bool rebalance_search_empty(struct rebalance_search *search, uint32_t host, const uint8_t *skip, bool *emptied)
{
	uint32_t before = search->plan->n_steps, n, *vms;
	bool ok = true, goes_on = true;

	n = rebalance_vms_on(search->world, host, &vms);
	*emptied = false;
	if (!vms)
		return false;
	shun(search, host);
	for (uint32_t i = 0; i < n && ok && goes_on; i++) {
		struct allocation_fit fit;

		goes_on = rebalance_search_may(search, vms[i]);
		if (goes_on && !rebalance_best_fit(search->world, &search->rooms, vms[i], skip, &fit)) {
			ok = rebalance_search_make_room(search, vms[i], skip, &fit);
			goes_on = ok && fit.host != ALLOCATION_NONE;
		}
		/* Making room was a move, too. */
		goes_on = goes_on && rebalance_search_may(search, vms[i]);
		if (goes_on && ok)
			ok = rebalance_search_move(search, vms[i], &fit);
	}
	*emptied = ok && goes_on;
	if (!*emptied)
		rebalance_search_undo(search, before);
	shun(search, ALLOCATION_NONE);
	free(vms);
	return ok;
}
