#include "core/allocation/rebalance.h"

#include <stdlib.h>
#include <string.h>

const char *const rebalance_violation_names[] = { "machine", "capacity",   "transient", "conflict",
						  "spread",  "dependency", "valid",     NULL };

static bool amounts_in_range(const int64_t *amount, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (amount[i] < 0 || amount[i] > INT32_MAX)
			return false;
	return true;
}

static bool indexes_in_range(const uint32_t *index, size_t n, uint32_t below)
{
	for (size_t i = 0; i < n; i++)
		if (index[i] >= below)
			return false;
	return true;
}

/* Whether the worst cost any assignment could have fits 63 bits, with room to spare: in floating point, from above. */
static bool costs_fit(const struct rebalance_problem *problem)
{
	const double most = 2e18;
	double load = 0, balance = 0, moves = 0, used = 0;
	int64_t highest = 0;

	for (uint32_t p = 0; p < problem->n_processes; p++) {
		for (uint32_t r = 0; r < problem->n_resources; r++) {
			double amount = (double)problem->amount[(size_t)p * problem->n_resources + r];

			load += amount * (double)problem->load_weight[r];
			used += amount;
		}
		moves += (double)problem->move_cost[p] * (double)problem->process_move_weight;
	}
	for (size_t i = 0; i < (size_t)problem->n_machines * problem->n_machines; i++)
		if (problem->distance[i] > highest)
			highest = problem->distance[i];
	moves += (double)highest * (double)problem->machine_move_weight * problem->n_processes;
	moves += (double)problem->n_processes * (double)problem->service_move_weight;
	for (uint32_t b = 0; b < problem->n_balances; b++) {
		const struct rebalance_balance *term = &problem->balance[b];

		for (uint32_t m = 0; m < problem->n_machines; m++)
			for (uint32_t r = 0; r < problem->n_resources; r++)
				balance += ((double)problem->capacity[(size_t)m * problem->n_resources + r] + used) *
					   (double)(term->target + 1) * (double)(term->weight + 1);
	}
	return load + balance + moves < most;
}

const char *rebalance_problem_check(const struct rebalance_problem *problem)
{
	size_t resources = problem->n_resources, machines = problem->n_machines;

	if (!resources || resources > REBALANCE_RESOURCES_MAX)
		return "needs 1 to 32 resources";
	if (!machines || !problem->n_services)
		return "needs at least one machine and one service";
	if (problem->n_balances > REBALANCE_BALANCES_MAX)
		return "has more than 64 balance costs";
	if (!indexes_in_range(problem->neighbourhood, machines, problem->n_neighbourhoods) ||
	    !indexes_in_range(problem->location, machines, problem->n_locations))
		return "names a neighbourhood or location that is not there";
	if (!indexes_in_range(problem->service, problem->n_processes, problem->n_services) ||
	    !indexes_in_range(problem->needs, problem->needs_start[problem->n_services], problem->n_services))
		return "names a service that is not there";
	if (!indexes_in_range(problem->initial, problem->n_processes, problem->n_machines))
		return "starts with a process on a machine that is not there";
	if (!amounts_in_range(problem->load_weight, resources) ||
	    !amounts_in_range(problem->capacity, machines * resources) ||
	    !amounts_in_range(problem->safety, machines * resources) ||
	    !amounts_in_range(problem->distance, machines * machines) ||
	    !amounts_in_range(problem->amount, problem->n_processes * resources) ||
	    !amounts_in_range(problem->move_cost, problem->n_processes) ||
	    !amounts_in_range(&problem->process_move_weight, 1) ||
	    !amounts_in_range(&problem->service_move_weight, 1) || !amounts_in_range(&problem->machine_move_weight, 1))
		return "has an amount below 0 or above 2147483647";
	for (uint32_t b = 0; b < problem->n_balances; b++)
		if (problem->balance[b].first >= resources || problem->balance[b].second >= resources ||
		    !amounts_in_range(&problem->balance[b].target, 1) ||
		    !amounts_in_range(&problem->balance[b].weight, 1))
			return "has a balance cost of a resource that is not there, or out of range";
	return costs_fit(problem) ? NULL : "has amounts and weights whose costs could exceed 64 bits";
}

/* ---- From scratch ---- */

struct scratch {
	int64_t *used;          /* [machines][resources] */
	int64_t *transient;     /* [machines][resources]: used, and what has left */
	uint32_t *count;        /* [largest of machines, locations, neighbourhoods] */
	uint32_t *moved;        /* [services] */
	uint32_t *first, *next; /* processes of a service, as lists */
};

static void add_up(const struct rebalance_problem *problem, const uint32_t *machine, struct scratch *scratch)
{
	size_t resources = problem->n_resources;

	for (uint32_t p = 0; p < problem->n_processes; p++) {
		bool moves = machine[p] != problem->initial[p];

		for (size_t r = 0; r < resources; r++) {
			int64_t amount = problem->amount[p * resources + r];

			scratch->used[machine[p] * resources + r] += amount;
			scratch->transient[machine[p] * resources + r] += amount;
			if (moves && problem->is_transient[r])
				scratch->transient[problem->initial[p] * resources + r] += amount;
		}
		scratch->moved[problem->service[p]] += moves;
		scratch->next[p] = scratch->first[problem->service[p]];
		scratch->first[problem->service[p]] = p;
	}
}

static void add_costs(const struct rebalance_problem *problem, const uint32_t *machine, const struct scratch *scratch,
		      struct rebalance_cost *cost)
{
	size_t resources = problem->n_resources;
	uint32_t most = 0;

	for (size_t m = 0; m < problem->n_machines; m++) {
		const int64_t *used = &scratch->used[m * resources], *capacity = &problem->capacity[m * resources];

		for (size_t r = 0; r < resources; r++)
			if (used[r] > problem->safety[m * resources + r])
				cost->load += problem->load_weight[r] * (used[r] - problem->safety[m * resources + r]);
		for (uint32_t b = 0; b < problem->n_balances; b++) {
			const struct rebalance_balance *term = &problem->balance[b];
			int64_t lack = term->target * (capacity[term->first] - used[term->first]) -
				       (capacity[term->second] - used[term->second]);

			if (lack > 0)
				cost->balance += term->weight * lack;
		}
	}
	for (uint32_t p = 0; p < problem->n_processes; p++) {
		if (machine[p] == problem->initial[p])
			continue;
		cost->process_move += problem->process_move_weight * problem->move_cost[p];
		cost->machine_move += problem->machine_move_weight *
				      problem->distance[(size_t)problem->initial[p] * problem->n_machines + machine[p]];
	}
	for (uint32_t s = 0; s < problem->n_services; s++)
		if (scratch->moved[s] > most)
			most = scratch->moved[s];
	cost->service_move = problem->service_move_weight * most;
	cost->total = cost->load + cost->balance + cost->process_move + cost->service_move + cost->machine_move;
}

static bool has_in(const struct rebalance_problem *problem, const uint32_t *machine, const struct scratch *scratch,
		   uint32_t service, uint32_t neighbourhood)
{
	for (uint32_t p = scratch->first[service]; p != ALLOCATION_NONE; p = scratch->next[p])
		if (problem->neighbourhood[machine[p]] == neighbourhood)
			return true;
	return false;
}

static enum rebalance_violation service_violates(const struct rebalance_problem *problem, const uint32_t *machine,
						 struct scratch *scratch, uint32_t service)
{
	uint32_t locations = 0;

	memset(scratch->count, 0, problem->n_machines * sizeof *scratch->count);
	for (uint32_t p = scratch->first[service]; p != ALLOCATION_NONE; p = scratch->next[p])
		if (scratch->count[machine[p]]++)
			return REBALANCE_CONFLICT;
	memset(scratch->count, 0, problem->n_locations * sizeof *scratch->count);
	for (uint32_t p = scratch->first[service]; p != ALLOCATION_NONE; p = scratch->next[p])
		locations += !scratch->count[problem->location[machine[p]]]++;
	if (locations < problem->spread_min[service])
		return REBALANCE_SPREAD;
	for (uint32_t d = problem->needs_start[service]; d < problem->needs_start[service + 1]; d++)
		for (uint32_t p = scratch->first[service]; p != ALLOCATION_NONE; p = scratch->next[p])
			if (!has_in(problem, machine, scratch, problem->needs[d], problem->neighbourhood[machine[p]]))
				return REBALANCE_DEPENDENCY;
	return REBALANCE_VALID;
}

static enum rebalance_violation first_violation(const struct rebalance_problem *problem, const uint32_t *machine,
						struct scratch *scratch)
{
	enum rebalance_violation violation = REBALANCE_VALID;

	for (size_t i = 0; i < (size_t)problem->n_machines * problem->n_resources; i++) {
		if (scratch->used[i] > problem->capacity[i])
			return REBALANCE_CAPACITY;
		if (scratch->transient[i] > problem->capacity[i])
			violation = REBALANCE_TRANSIENT;
	}
	for (uint32_t s = 0; s < problem->n_services && violation == REBALANCE_VALID; s++)
		violation = service_violates(problem, machine, scratch, s);
	return violation;
}

bool rebalance_verify(const struct rebalance_problem *problem, const uint32_t *machine, struct rebalance_cost *cost,
		      enum rebalance_violation *violation)
{
	size_t cells = (size_t)problem->n_machines * problem->n_resources;
	size_t domains = problem->n_machines > problem->n_locations ? problem->n_machines : problem->n_locations;
	struct scratch scratch = { 0 };
	bool done = false;

	*cost = (struct rebalance_cost) { 0 };
	*violation = REBALANCE_MACHINE;
	for (uint32_t p = 0; p < problem->n_processes; p++)
		if (machine[p] >= problem->n_machines)
			return true;
	scratch.used = calloc(cells, sizeof *scratch.used);
	scratch.transient = calloc(cells, sizeof *scratch.transient);
	scratch.count = calloc(domains, sizeof *scratch.count);
	scratch.moved = calloc(problem->n_services, sizeof *scratch.moved);
	scratch.first = malloc(problem->n_services * sizeof *scratch.first);
	scratch.next = calloc((size_t)problem->n_processes + 1, sizeof *scratch.next);
	if (scratch.used && scratch.transient && scratch.count && scratch.moved && scratch.first && scratch.next) {
		memset(scratch.first, 0xff, problem->n_services * sizeof *scratch.first);
		add_up(problem, machine, &scratch);
		add_costs(problem, machine, &scratch, cost);
		*violation = first_violation(problem, machine, &scratch);
		done = true;
	}
	free(scratch.next);
	free(scratch.first);
	free(scratch.moved);
	free(scratch.count);
	free(scratch.transient);
	free(scratch.used);
	return done;
}
