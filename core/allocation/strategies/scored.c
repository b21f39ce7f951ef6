#include "core/allocation/strategies/scored.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void scored_fit_init(struct scored_fit *view, const struct allocation_world *world, uint32_t class_id,
		     const struct allocation_fit *fit)
{
	const struct allocation_host_state *host = &allocation_world_hosts(world)[fit->host];
	const struct allocation_host *type = allocation_world_type(world, host->type);
	uint32_t node_amount[ALLOCATION_NODES_MAX][ALLOCATION_NODE_DIMENSIONS];
	uint32_t host_amount[ALLOCATION_HOST_DIMENSIONS];
	uint32_t cpu = 1, memory = 1;

	allocation_world_charge(world, allocation_world_request(world, class_id), fit, node_amount, host_amount);
	for (uint32_t i = 0; i < host->n_nodes; i++) {
		cpu = type->node_capacity[i][ALLOCATION_CPU] > cpu ? type->node_capacity[i][ALLOCATION_CPU] : cpu;
		memory = type->node_capacity[i][ALLOCATION_MEMORY] > memory ? type->node_capacity[i][ALLOCATION_MEMORY]
									    : memory;
	}
	view->n_nodes = host->n_nodes;
	view->nodes = fit->nodes;
	view->cpu_capacity = cpu;
	view->memory_capacity = memory;
	for (uint32_t i = 0; i < host->n_nodes; i++) {
		bool on = fit->nodes >> i & 1;

		view->cpu[i] = host->node[i].free[ALLOCATION_CPU];
		view->memory[i] = host->node[i].free[ALLOCATION_MEMORY];
		view->cpu_after[i] = view->cpu[i] - (on ? node_amount[i][ALLOCATION_CPU] : 0);
		view->memory_after[i] = view->memory[i] - (on ? node_amount[i][ALLOCATION_MEMORY] : 0);
		view->cpu_share[i] = view->cpu_after[i] / view->cpu_capacity;
		view->memory_share[i] = view->memory_after[i] / view->memory_capacity;
	}
}

double scored_fit_rest(const struct scored_fit *view)
{
	double sum = 0;

	for (uint32_t i = 0; i < view->n_nodes; i++)
		sum += view->cpu_share[i] > view->memory_share[i] ? view->cpu_share[i] : view->memory_share[i];
	return sum;
}

double scored_fit_node_imbalance(const struct scored_fit *view)
{
	double mean = 0, sum = 0;

	for (uint32_t i = 0; i < view->n_nodes; i++)
		mean += view->cpu_share[i] / view->n_nodes;
	for (uint32_t i = 0; i < view->n_nodes; i++)
		sum += fabs(view->cpu_share[i] - mean);
	return sum;
}

double scored_fit_shape_imbalance(const struct scored_fit *view)
{
	double sum = 0;

	for (uint32_t i = 0; i < view->n_nodes; i++)
		sum += fabs(view->cpu_share[i] - view->memory_share[i]);
	return sum;
}

static bool large_reserve(struct scored *scored, uint32_t hosts)
{
	uint32_t capacity = scored->large_capacity ? scored->large_capacity : 16;
	uint64_t *grown;

	if (hosts <= scored->large_capacity)
		return true;
	while (capacity < hosts)
		capacity *= 2;
	grown = realloc(scored->large_cpu, capacity * sizeof *grown);
	if (!grown)
		return false;
	memset(grown + scored->large_capacity, 0, (capacity - scored->large_capacity) * sizeof *grown);
	scored->large_cpu = grown;
	scored->large_capacity = capacity;
	return true;
}

static void large_count(struct scored *scored, const struct allocation_world *world, uint32_t class_id, uint32_t host,
			bool more)
{
	uint32_t cpu = allocation_world_request(world, class_id)->amount[ALLOCATION_CPU];

	if (cpu < scored->large_cpu_least)
		return;
	if (more)
		scored->large_cpu[host] += cpu;
	else
		scored->large_cpu[host] -= cpu;
}

bool scored_init(struct scored *scored, const struct allocation_world *world, double memory_per_cpu_mib,
		 uint32_t large_cpu_least)
{
	uint32_t n = allocation_world_n_placements(world);

	memset(scored, 0, sizeof *scored);
	scored->large_cpu_least = large_cpu_least;
	shapes_init(&scored->shapes, memory_per_cpu_mib);
	scored->tree = allocation_tree_new(world);
	bool ok = scored->tree && large_reserve(scored, allocation_world_n_hosts(world));
	for (uint32_t vm = 0; ok && vm < n; vm++) {
		const struct allocation_placement *placement = allocation_world_placement(world, vm);

		if (placement->class_id == ALLOCATION_NONE)
			continue;
		ok = shapes_add(&scored->shapes, allocation_world_request(world, placement->class_id));
		large_count(scored, world, placement->class_id, placement->host, true);
	}
	if (ok)
		shapes_rank(&scored->shapes);
	else
		scored_clear(scored);
	return ok;
}

void scored_clear(struct scored *scored)
{
	allocation_tree_free(scored->tree);
	shapes_clear(&scored->shapes);
	free(scored->large_cpu);
}

bool scored_update(struct scored *scored, const struct allocation_world *world, const struct allocation_event *event)
{
	bool ok = allocation_tree_touch(scored->tree, world, event->host) &&
		  large_reserve(scored, allocation_world_n_hosts(world));

	if (!ok || event->change == ALLOCATION_HOST_CHANGED)
		return ok;
	const struct allocation_request *request = allocation_world_request(world, event->class_id);
	if (event->change == ALLOCATION_PLACED)
		ok = shapes_add(&scored->shapes, request);
	else
		shapes_remove(&scored->shapes, request);
	large_count(scored, world, event->class_id, event->host, event->change == ALLOCATION_PLACED);
	shapes_rank(&scored->shapes);
	return ok;
}

struct scored *scored_new(const struct allocation_world *world, const struct strategy_info *info,
			  const struct strategy_values *values, double memory_per_cpu_mib, uint32_t large_cpu_least)
{
	struct scored *scored = malloc(sizeof *scored);
	struct strategy_values defaults;

	if (!scored)
		return NULL;
	if (!scored_init(scored, world, memory_per_cpu_mib, large_cpu_least)) {
		free(scored);
		return NULL;
	}
	strategy_values_init(info, &defaults);
	memcpy(scored->value, values ? values->value : defaults.value, sizeof scored->value);
	return scored;
}

void scored_free(void *state)
{
	if (state)
		scored_clear(state);
	free(state);
}

double scored_size_mix(const struct scored *scored, const struct allocation_world *world, uint32_t class_id,
		       uint32_t host)
{
	const struct allocation_host_state *state = &allocation_world_hosts(world)[host];
	const struct allocation_host *type = allocation_world_type(world, state->type);
	const struct allocation_request *request = allocation_world_request(world, class_id);
	double used = 0, share;

	for (uint32_t i = 0; i < state->n_nodes; i++)
		used += (double)type->node_capacity[i][ALLOCATION_CPU] - state->node[i].free[ALLOCATION_CPU];
	if (used <= 0)
		return 0;
	share = (double)scored->large_cpu[host] / used;
	share = share > 1 ? 1 : share;
	return request->amount[ALLOCATION_CPU] >= scored->large_cpu_least ? 1 - share : share;
}

void scored_decide(const struct scored_question *question, struct allocation_decision *decision)
{
	const struct allocation_world *world = question->world;
	const struct allocation_request *request = allocation_world_request(world, question->class_id);
	bool relational = allocation_world_is_relational(world, request);
	size_t fits_seen = 0, same_penalty = 0, same_cost = 0;

	*decision = (struct allocation_decision) { .fit.host = ALLOCATION_NONE };
	for (uint32_t host = 0;; host++) {
		struct allocation_fit fits[ALLOCATION_NODES_MAX];

		host = allocation_tree_next(question->tree, world, request, host);
		if (host == ALLOCATION_NONE)
			break;
		unsigned n = allocation_world_fits(world, request, host, fits);
		uint32_t penalty = n && relational ? allocation_world_penalty(world, request, host) : 0;
		fits_seen += n;
		if (fits_seen > n && penalty > decision->penalty)
			continue;
		for (unsigned i = 0; i < n; i++) {
			double cost = question->strategy->cost(question->state, world, question->class_id, &fits[i],
							       question->now_ms);
			bool first = decision->fit.host == ALLOCATION_NONE || penalty < decision->penalty;

			same_penalty = first ? 1 : same_penalty + 1;
			if (!first && cost >= decision->cost) {
				same_cost += cost == decision->cost;
				continue;
			}
			same_cost = 1;
			*decision = (struct allocation_decision) { .fit = fits[i], .penalty = penalty, .cost = cost };
		}
	}
	decision->step = fits_seen == 0      ? ALLOCATION_STEP_NONE
			 : fits_seen == 1    ? ALLOCATION_STEP_ONLY
			 : same_penalty == 1 ? ALLOCATION_STEP_PENALTY
			 : same_cost == 1    ? ALLOCATION_STEP_COST
					     : ALLOCATION_STEP_TIE;
}
