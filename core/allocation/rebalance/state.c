#include "core/allocation/rebalance/state.h"

#include <stdlib.h>
#include <string.h>

/* ---- Costs ---- */

/* Load and balance of machine `m` with `used`. */
static inline int64_t machine_cost(const struct rebalance_problem *problem, uint32_t m, const int64_t *used)
{
	size_t resources = problem->n_resources;
	const int64_t *safety = &problem->safety[m * resources], *capacity = &problem->capacity[m * resources];
	int64_t cost = 0;

	for (size_t r = 0; r < resources; r++) {
		int64_t above = used[r] - safety[r];

		cost += problem->load_weight[r] * (above > 0 ? above : 0);
	}
	for (uint32_t b = 0; b < problem->n_balances; b++) {
		const struct rebalance_balance *term = &problem->balance[b];
		int64_t lack = term->target * (capacity[term->first] - used[term->first]) -
			       (capacity[term->second] - used[term->second]);

		cost += lack > 0 ? term->weight * lack : 0;
	}
	return cost;
}

/* What it costs that the process is on `m`, for itself. */
static inline int64_t being_on(const struct rebalance_state *state, uint32_t process, uint32_t m)
{
	const struct rebalance_problem *problem = state->problem;
	uint32_t initial = problem->initial[process];

	if (m == initial)
		return 0;
	return state->move_cost[process] +
	       problem->machine_move_weight * problem->distance[(size_t)initial * problem->n_machines + m];
}

/* How many of a service's processes more (or fewer) are moved when one goes from → to. */
static inline int moved_change(const struct rebalance_state *state, uint32_t process, uint32_t from, uint32_t to)
{
	uint32_t initial = state->problem->initial[process];

	return (from == initial) - (to == initial);
}

/* The highest count of moved processes of a service when `service` has `change` more. */
static uint32_t most_moved_after(const struct rebalance_state *state, uint32_t service, int change)
{
	uint32_t moved = state->moved[service], now = moved + (uint32_t)change;

	if (now >= state->most_moved)
		return now;
	if (moved < state->most_moved || state->moved_alike[moved] > 1)
		return state->most_moved;
	/* It alone had the most, and has one or two fewer now. */
	for (uint32_t n = moved; n-- > now;)
		if (state->moved_alike[n])
			return n;
	return now;
}

static void count_moved(struct rebalance_state *state, uint32_t service, int change)
{
	uint32_t most = most_moved_after(state, service, change);

	if (!change)
		return;
	state->moved_alike[state->moved[service]]--;
	state->moved[service] += (uint32_t)change;
	state->moved_alike[state->moved[service]]++;
	state->most_moved = most;
}

static int64_t service_move_change(struct rebalance_state *state, const uint32_t *process, const int *change,
				   unsigned n)
{
	const struct rebalance_problem *problem = state->problem;
	uint32_t before = state->most_moved, after;
	uint32_t first = problem->service[process[0]], second = problem->service[process[n - 1]];

	if (!problem->service_move_weight || (!change[0] && !change[n - 1]))
		return 0;
	if (n == 1 || first == second) {
		after = most_moved_after(state, first, n == 1 ? change[0] : change[0] + change[1]);
	} else {
		count_moved(state, first, change[0]);
		after = most_moved_after(state, second, change[1]);
		count_moved(state, first, -change[0]);
		state->most_moved = before;
	}
	return problem->service_move_weight * ((int64_t)after - (int64_t)before);
}

/* ---- Validity ---- */

/* What of machine `m` is above its capacity, with `more` beside what is there less `less` (either may be ALLOCATION_NONE);
 * fills `used` with what is used then. Transient amounts of what comes back to `m` were charged while it was away, too, and
 * what goes stays charged when `m` is where it started. Stops at the first amount above when none is allowed. */
static inline int64_t above_with(const struct rebalance_state *state, uint32_t m, uint32_t more, uint32_t less,
				 int64_t *used)
{
	static const int64_t nothing[REBALANCE_RESOURCES_MAX];
	const struct rebalance_problem *problem = state->problem;
	size_t resources = problem->n_resources;
	const int64_t *in = more == ALLOCATION_NONE ? nothing : &problem->amount[more * resources];
	const int64_t *out = less == ALLOCATION_NONE ? nothing : &problem->amount[less * resources];
	const int64_t *now = &state->used[m * resources], *left = &state->left[m * resources];
	const int64_t *capacity = &problem->capacity[m * resources];
	int64_t returns = more != ALLOCATION_NONE && problem->initial[more] == m;
	int64_t stays = less != ALLOCATION_NONE && problem->initial[less] == m;
	int64_t above = 0;

	for (size_t r = 0; r < resources; r++) {
		int64_t held;

		used[r] = now[r] + in[r] - out[r];
		held = used[r] + left[r] - capacity[r];
		if (problem->is_transient[r])
			held += stays * out[r] - returns * in[r];
		above += held > 0 ? held : 0;
		if (above && !state->penalty)
			return above;
	}
	return above;
}

static bool needs_met(const struct rebalance_state *state, uint32_t service, uint32_t neighbourhood)
{
	const struct rebalance_problem *problem = state->problem;

	for (uint32_t d = problem->needs_start[service]; d < problem->needs_start[service + 1]; d++)
		if (!state->near[(size_t)problem->needs[d] * problem->n_neighbourhoods + neighbourhood])
			return false;
	return true;
}

/* Whether a service may have no process in the neighbourhood: nobody there needs it. */
static bool may_be_absent(const struct rebalance_state *state, uint32_t service, uint32_t neighbourhood)
{
	size_t n = state->problem->n_neighbourhoods;

	if (state->near[service * n + neighbourhood])
		return true;
	for (uint32_t d = state->needed_start[service]; d < state->needed_start[service + 1]; d++)
		if (state->near[state->needed[d] * n + neighbourhood])
			return false;
	return true;
}

/* Dependencies after one or two processes have changed neighbourhood: counted, looked at, and counted back. */
static bool dependencies_hold(struct rebalance_state *state, const uint32_t *service, unsigned n, uint32_t from,
			      uint32_t to)
{
	size_t width = state->problem->n_neighbourhoods;
	uint32_t where[2][2] = { { from, to }, { to, from } };
	bool hold = true;

	for (unsigned i = 0; i < n; i++) {
		state->near[service[i] * width + where[i][0]]--;
		state->near[service[i] * width + where[i][1]]++;
	}
	for (unsigned i = 0; i < n && hold; i++)
		hold = needs_met(state, service[i], where[i][1]) && may_be_absent(state, service[i], where[i][0]);
	for (unsigned i = 0; i < n; i++) {
		state->near[service[i] * width + where[i][0]]++;
		state->near[service[i] * width + where[i][1]]--;
	}
	return hold;
}

static bool spread_holds(const struct rebalance_state *state, uint32_t service, uint32_t from, uint32_t to)
{
	const struct rebalance_problem *problem = state->problem;
	const uint32_t *at = &state->at[(size_t)service * problem->n_locations];
	uint32_t a = problem->location[from], b = problem->location[to];

	if (a == b)
		return true;
	return state->locations[service] - (at[a] == 1) + (at[b] == 0) >= problem->spread_min[service];
}

static inline bool neighbours_hold(struct rebalance_state *state, const uint32_t *service, unsigned n, uint32_t from,
				   uint32_t to)
{
	const struct rebalance_problem *problem = state->problem;

	if (problem->neighbourhood[from] == problem->neighbourhood[to])
		return true;
	return dependencies_hold(state, service, n, problem->neighbourhood[from], problem->neighbourhood[to]);
}

/* ---- Moves ---- */

bool rebalance_shift_try(struct rebalance_state *state, uint32_t process, uint32_t to, struct rebalance_change *change)
{
	const struct rebalance_problem *problem = state->problem;
	uint32_t from = state->machine[process], service = problem->service[process];
	int64_t there[REBALANCE_RESOURCES_MAX], here[REBALANCE_RESOURCES_MAX], above;
	int moved;

	if (state->is_on[(size_t)service * problem->n_machines + to])
		return false;
	above = above_with(state, to, process, ALLOCATION_NONE, there);
	if ((above && !state->penalty) || !spread_holds(state, service, from, to) ||
	    !neighbours_hold(state, &service, 1, from, to))
		return false;
	above += above_with(state, from, ALLOCATION_NONE, process, here);
	change->above = above - state->machine_above[from] - state->machine_above[to];
	moved = moved_change(state, process, from, to);
	change->cost = machine_cost(problem, from, here) + machine_cost(problem, to, there) -
		       state->machine_cost[from] - state->machine_cost[to] + being_on(state, process, to) -
		       being_on(state, process, from) + service_move_change(state, &process, &moved, 1);
	return true;
}

static void relocate(struct rebalance_state *state, uint32_t process, uint32_t to)
{
	const struct rebalance_problem *problem = state->problem;
	size_t resources = problem->n_resources;
	uint32_t from = state->machine[process], service = problem->service[process],
		 initial = problem->initial[process];
	uint32_t *near = &state->near[(size_t)service * problem->n_neighbourhoods];
	uint32_t *at = &state->at[(size_t)service * problem->n_locations];

	for (size_t r = 0; r < resources; r++) {
		int64_t amount = problem->amount[process * resources + r];

		state->used[from * resources + r] -= amount;
		state->used[to * resources + r] += amount;
		if (problem->is_transient[r]) {
			state->left[from * resources + r] += from == initial ? amount : 0;
			state->left[to * resources + r] -= to == initial ? amount : 0;
		}
	}
	state->is_on[(size_t)service * problem->n_machines + from]--;
	state->is_on[(size_t)service * problem->n_machines + to]++;
	near[problem->neighbourhood[from]]--;
	near[problem->neighbourhood[to]]++;
	state->locations[service] -= !--at[problem->location[from]];
	state->locations[service] += !at[problem->location[to]]++;
	count_moved(state, service, moved_change(state, process, from, to));
	state->machine[process] = to;
}

static void recost(struct rebalance_state *state, uint32_t m)
{
	int64_t used[REBALANCE_RESOURCES_MAX];

	state->above -= state->machine_above[m];
	state->machine_above[m] = above_with(state, m, ALLOCATION_NONE, ALLOCATION_NONE, used);
	state->above += state->machine_above[m];
	state->machine_cost[m] = machine_cost(state->problem, m, &state->used[m * (size_t)state->problem->n_resources]);
}

void rebalance_shift(struct rebalance_state *state, uint32_t process, uint32_t to,
		     const struct rebalance_change *change)
{
	uint32_t from = state->machine[process];

	relocate(state, process, to);
	recost(state, from);
	recost(state, to);
	state->cost += change->cost;
}

bool rebalance_swap_try(struct rebalance_state *state, uint32_t first, uint32_t second, struct rebalance_change *change)
{
	const struct rebalance_problem *problem = state->problem;
	size_t machines = problem->n_machines;
	uint32_t process[2] = { first, second };
	uint32_t service[2] = { problem->service[first], problem->service[second] };
	uint32_t a = state->machine[first], b = state->machine[second];
	int64_t at_a[REBALANCE_RESOURCES_MAX], at_b[REBALANCE_RESOURCES_MAX], above_a, above_b;
	int moved[2] = { moved_change(state, first, a, b), moved_change(state, second, b, a) };

	if (service[0] != service[1] &&
	    (state->is_on[service[0] * machines + b] || state->is_on[service[1] * machines + a]))
		return false;
	above_b = above_with(state, b, first, second, at_b);
	if (above_b && !state->penalty)
		return false;
	above_a = above_with(state, a, second, first, at_a);
	if (above_a && !state->penalty)
		return false;
	if (service[0] != service[1] &&
	    (!spread_holds(state, service[0], a, b) || !spread_holds(state, service[1], b, a) ||
	     !neighbours_hold(state, service, 2, a, b)))
		return false;
	change->above = above_a + above_b - state->machine_above[a] - state->machine_above[b];
	change->cost = machine_cost(problem, a, at_a) + machine_cost(problem, b, at_b) - state->machine_cost[a] -
		       state->machine_cost[b] + being_on(state, first, b) - being_on(state, first, a) +
		       being_on(state, second, a) - being_on(state, second, b) +
		       service_move_change(state, process, moved, 2);
	return true;
}

void rebalance_swap(struct rebalance_state *state, uint32_t first, uint32_t second,
		    const struct rebalance_change *change)
{
	uint32_t a = state->machine[first], b = state->machine[second];

	relocate(state, first, b);
	relocate(state, second, a);
	recost(state, a);
	recost(state, b);
	state->cost += change->cost;
}

/* ---- Making one ---- */

static bool reverse_needs(struct rebalance_state *state)
{
	const struct rebalance_problem *problem = state->problem;
	uint32_t n = problem->n_services;

	state->needed_start = calloc((size_t)n + 2, sizeof *state->needed_start);
	state->needed = calloc((size_t)problem->needs_start[n] + 1, sizeof *state->needed);
	if (!state->needed_start || !state->needed)
		return false;
	for (uint32_t d = 0; d < problem->needs_start[n]; d++)
		state->needed_start[problem->needs[d] + 2]++;
	for (uint32_t s = 2; s <= n; s++)
		state->needed_start[s] += state->needed_start[s - 1];
	for (uint32_t s = 0; s < n; s++)
		for (uint32_t d = problem->needs_start[s]; d < problem->needs_start[s + 1]; d++)
			state->needed[state->needed_start[problem->needs[d] + 1]++] = s;
	return true;
}

/* From everything where it started: cost 0 moves. */
static void start(struct rebalance_state *state)
{
	const struct rebalance_problem *problem = state->problem;
	size_t resources = problem->n_resources;

	for (uint32_t p = 0; p < problem->n_processes; p++) {
		uint32_t m = problem->initial[p];
		size_t s = problem->service[p];

		state->machine[p] = m;
		state->move_cost[p] = problem->process_move_weight * problem->move_cost[p];
		for (size_t r = 0; r < resources; r++)
			state->used[m * resources + r] += problem->amount[p * resources + r];
		state->is_on[s * problem->n_machines + m]++;
		state->near[s * problem->n_neighbourhoods + problem->neighbourhood[m]]++;
		state->locations[s] += !state->at[s * problem->n_locations + problem->location[m]]++;
	}
	state->moved_alike[0] = problem->n_services;
	for (uint32_t m = 0; m < problem->n_machines; m++) {
		state->machine_cost[m] = machine_cost(problem, m, &state->used[m * resources]);
		state->cost += state->machine_cost[m];
	}
}

bool rebalance_state_init(struct rebalance_state *state, const struct rebalance_problem *problem,
			  const uint32_t *machine)
{
	size_t cells = (size_t)problem->n_machines * problem->n_resources, services = problem->n_services;

	*state = (struct rebalance_state) { .problem = problem };
	state->machine = calloc((size_t)problem->n_processes + 1, sizeof *state->machine);
	state->used = calloc(cells, sizeof *state->used);
	state->left = calloc(cells, sizeof *state->left);
	state->machine_cost = calloc(problem->n_machines, sizeof *state->machine_cost);
	state->machine_above = calloc(problem->n_machines, sizeof *state->machine_above);
	state->is_on = calloc(services, problem->n_machines);
	state->near = calloc(services * problem->n_neighbourhoods, sizeof *state->near);
	state->at = calloc(services * problem->n_locations, sizeof *state->at);
	state->locations = calloc(services, sizeof *state->locations);
	state->moved = calloc(services, sizeof *state->moved);
	state->moved_alike = calloc((size_t)problem->n_processes + 1, sizeof *state->moved_alike);
	state->move_cost = calloc((size_t)problem->n_processes + 1, sizeof *state->move_cost);
	if (!state->machine || !state->used || !state->left || !state->machine_cost || !state->machine_above ||
	    !state->is_on || !state->near || !state->at || !state->locations || !state->moved || !state->moved_alike ||
	    !state->move_cost || !reverse_needs(state))
		return false;
	start(state);
	rebalance_state_set(state, machine);
	return true;
}

void rebalance_state_set(struct rebalance_state *state, const uint32_t *machine)
{
	const struct rebalance_problem *problem = state->problem;

	for (uint32_t p = 0; p < problem->n_processes; p++)
		if (machine[p] != state->machine[p]) {
			state->cost += being_on(state, p, machine[p]) - being_on(state, p, state->machine[p]);
			state->cost -= problem->service_move_weight * state->most_moved;
			relocate(state, p, machine[p]);
			state->cost += problem->service_move_weight * state->most_moved;
		}
	for (uint32_t m = 0; m < problem->n_machines; m++) {
		state->cost -= state->machine_cost[m];
		recost(state, m);
		state->cost += state->machine_cost[m];
	}
}

void rebalance_state_clear(struct rebalance_state *state)
{
	free(state->move_cost);
	free(state->needed);
	free(state->needed_start);
	free(state->moved_alike);
	free(state->moved);
	free(state->locations);
	free(state->at);
	free(state->near);
	free(state->is_on);
	free(state->machine_above);
	free(state->machine_cost);
	free(state->left);
	free(state->used);
	free(state->machine);
	*state = (struct rebalance_state) { 0 };
}
