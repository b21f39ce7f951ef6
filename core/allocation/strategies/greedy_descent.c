/* greedy-descent: makes what improves, until nothing does.
 *
 * Idea: on a machine reassignment problem, every process is tried on every machine and takes the cheapest; then every two
 * processes are tried in each other's place; again, until a whole pass changes nothing. On the live world, the VM of the
 * most used host whose move lowers the imbalance most is moved, again and again.
 *
 * Source: hill climbing; the balancer of Ganeti (hbal) descends steepest on the spread of loads likewise.
 *
 * Complexity: O(processes × (machines + processes) × resources) a pass; live, O(VMs on the host × hosts) a move.
 *
 * Loses: it ends in the first valley it meets: annealing finds cheaper ones when there is time.
 */
#include <string.h>

#include "core/allocation/rebalance/balance.h"
#include "core/allocation/rebalance/state.h"
#include "core/allocation/strategies/strategies.h"

static const struct strategy_parameter parameters[] = {
	{ .name = "patience",
	  .type = STRATEGY_INTEGER,
	  .min = 1,
	  .max = 100000,
	  .initial = 16,
	  .doc = "Live: give up after this many hosts in a row without a move that gains." },
};

static bool is_over(struct rebalance_budget *budget, uint64_t steps)
{
	budget->used += steps;
	return (budget->steps && budget->used >= budget->steps) || (budget->stop && budget->stop(budget->data));
}

/* The cheapest machine for each process. Returns whether anything changed. */
static bool shift_all(struct rebalance_state *state, struct rebalance_budget *budget, bool *over)
{
	const struct rebalance_problem *problem = state->problem;
	bool changed = false;

	for (uint32_t p = 0; p < problem->n_processes && !*over; p++) {
		struct rebalance_change change, best = { 0 };
		uint32_t to = ALLOCATION_NONE;

		for (uint32_t m = 0; m < problem->n_machines; m++)
			if (m != state->machine[p] && rebalance_shift_try(state, p, m, &change) &&
			    change.cost < best.cost) {
				best = change;
				to = m;
			}
		if (to != ALLOCATION_NONE) {
			rebalance_shift(state, p, to, &best);
			changed = true;
		}
		*over = is_over(budget, problem->n_machines);
	}
	return changed;
}

static bool swap_all(struct rebalance_state *state, struct rebalance_budget *budget, bool *over)
{
	const struct rebalance_problem *problem = state->problem;
	bool changed = false;

	for (uint32_t p = 0; p < problem->n_processes && !*over; p++) {
		for (uint32_t q = p + 1; q < problem->n_processes; q++) {
			struct rebalance_change change;

			if (state->machine[p] != state->machine[q] && rebalance_swap_try(state, p, q, &change) &&
			    change.cost < 0) {
				rebalance_swap(state, p, q, &change);
				changed = true;
			}
		}
		*over = is_over(budget, problem->n_processes - p);
	}
	return changed;
}

static bool improve(const struct rebalance_problem *problem, const struct strategy_values *values, uint64_t seed,
		    struct rebalance_budget *budget, uint32_t *machine)
{
	struct rebalance_state state;
	bool ok = rebalance_state_init(&state, problem, machine), over = false;

	budget->used = 0;
	while (ok && !over) {
		bool changed = shift_all(&state, budget, &over);

		changed |= swap_all(&state, budget, &over);
		if (!changed)
			break;
	}
	if (ok)
		memcpy(machine, state.machine, problem->n_processes * sizeof *machine);
	rebalance_state_clear(&state);
	return ok;
}

static bool plan(struct rebalance_search *search, const struct strategy_values *values, uint64_t seed)
{
	return rebalance_balance(search, (uint32_t)values->value[0]);
}

static const struct rebalance_ops ops = { .improve = improve, .plan = plan };

const struct allocation_strategy strategy_greedy_descent = {
	.info = { .name = "greedy-descent",
		  .summary = "makes what improves, until nothing does",
		  .kind = STRATEGY_CONTINUOUS,
		  .index = STRATEGY_INDEX_SCAN,
		  .parameters = parameters,
		  .n_parameters = sizeof parameters / sizeof *parameters },
	.rebalance = &ops,
};
