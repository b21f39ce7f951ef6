/* lns: solves small parts again and again, a few machines at a time.
 *
 * Idea: large neighbourhood search. A few random machines and all processes on them are one small problem, the rest stands
 * still. A short annealing on it looks for a better arrangement of them; it is kept when it is no dearer, else taken back
 * whole. A small problem is searched through in little time, and gains add up over the machines.
 *
 * Source: Shaw, Using Constraint Programming and Local Search Methods to Solve Vehicle Routing Problems, CP 1998; for machine
 * reassignment: Mehta, O'Sullivan and Simonis, Comparing Solution Methods for the Machine Reassignment Problem, CP 2012
 * (there with constraint programming for the parts).
 *
 * Complexity: O(resources) a step, O(processes) for every part tried.
 *
 * Loses: what takes a chain over more machines than a part has is not found; annealing over all of them, given time, is
 * better.
 */
#include <stdlib.h>
#include <string.h>

#include "core/allocation/rebalance/anneal.h"
#include "core/allocation/strategies/strategies.h"

#define TEMPERATURES_LOG2 5 /* falls 32 times in a part */

static const struct strategy_parameter parameters[] = {
	{ .name = "machines",
	  .type = STRATEGY_INTEGER,
	  .min = 2,
	  .max = 64,
	  .initial = 6,
	  .doc = "How many machines a part has." },
	{ .name = "part-steps",
	  .type = STRATEGY_INTEGER,
	  .min = 100,
	  .max = 1e7,
	  .initial = 20000,
	  .doc = "Moves tried in a part." },
	{ .name = "temperature-share",
	  .type = STRATEGY_NUMBER,
	  .min = 1e-9,
	  .max = 1,
	  .initial = 3e-4,
	  .logarithmic = true,
	  .doc = "First temperature of a part, as a share of the cost now per process; it falls to a hundredth." },
};

struct part {
	struct rebalance_state state;
	struct strategy_random random;
	double draws[ANNEAL_DRAWS];
	uint32_t *chosen, n_chosen;       /* machines; chosen holds all of them, the part's first */
	uint32_t *processes, n_processes; /* on them */
	uint32_t *before;                 /* [processes of the problem] */
	uint8_t *is_chosen;
};

static void choose(struct part *part, uint32_t n)
{
	const struct rebalance_problem *problem = part->state.problem;

	memset(part->is_chosen, 0, problem->n_machines);
	part->n_chosen = n < problem->n_machines ? n : problem->n_machines;
	for (uint32_t i = 0; i < part->n_chosen; i++) {
		uint32_t j = i + (uint32_t)strategy_random_below(&part->random, problem->n_machines - i);
		uint32_t m = part->chosen[j];

		part->chosen[j] = part->chosen[i];
		part->chosen[i] = m;
		part->is_chosen[m] = 1;
	}
	part->n_processes = 0;
	for (uint32_t p = 0; p < problem->n_processes; p++)
		if (part->is_chosen[part->state.machine[p]])
			part->processes[part->n_processes++] = p;
}

static void step(struct part *part, double temperature)
{
	struct rebalance_state *state = &part->state;
	uint32_t p = part->processes[strategy_random_below(&part->random, part->n_processes)], other;
	uint64_t bits = strategy_random_next(&part->random);
	struct rebalance_change change;
	bool swap = bits & 1;

	if (swap)
		other = part->processes[strategy_random_below(&part->random, part->n_processes)];
	else
		other = part->chosen[strategy_random_below(&part->random, part->n_chosen)];
	if (state->machine[p] == (swap ? state->machine[other] : other))
		return;
	if (!(swap ? rebalance_swap_try(state, p, other, &change) : rebalance_shift_try(state, p, other, &change)))
		return;
	if (change.cost > 0 && (double)change.cost > temperature * part->draws[bits >> 52])
		return;
	if (swap)
		rebalance_swap(state, p, other, &change);
	else
		rebalance_shift(state, p, other, &change);
}

/* One part: `steps` moves tried, kept when no dearer. */
static void solve(struct part *part, double start, uint64_t steps)
{
	struct rebalance_state *state = &part->state;
	double factor = anneal_root(0.01, TEMPERATURES_LOG2), temperature = start;
	int64_t cost = state->cost;

	memcpy(part->before, state->machine, state->problem->n_processes * sizeof *part->before);
	for (uint64_t done = 0; done < steps && part->n_processes; done++) {
		if (done % (steps / (1u << TEMPERATURES_LOG2) + 1) == 0)
			temperature *= factor;
		step(part, temperature);
	}
	if (state->cost > cost)
		rebalance_state_set(state, part->before);
}

static bool part_init(struct part *part, const struct rebalance_problem *problem, uint64_t seed,
		      const uint32_t *machine)
{
	strategy_random_init(&part->random, seed);
	anneal_draws(part->draws);
	part->chosen = calloc(problem->n_machines, sizeof *part->chosen);
	part->is_chosen = calloc(problem->n_machines, 1);
	part->processes = calloc((size_t)problem->n_processes + 1, sizeof *part->processes);
	part->before = calloc((size_t)problem->n_processes + 1, sizeof *part->before);
	if (!rebalance_state_init(&part->state, problem, machine) || !part->chosen || !part->is_chosen ||
	    !part->processes || !part->before)
		return false;
	for (uint32_t m = 0; m < problem->n_machines; m++)
		part->chosen[m] = m;
	return true;
}

static void part_free(struct part *part)
{
	if (!part)
		return;
	rebalance_state_clear(&part->state);
	free(part->before);
	free(part->processes);
	free(part->is_chosen);
	free(part->chosen);
	free(part);
}

static bool improve(const struct rebalance_problem *problem, const struct strategy_values *values, uint64_t seed,
		    struct rebalance_budget *budget, uint32_t *machine)
{
	struct part *part = calloc(1, sizeof *part);
	uint64_t steps = (uint64_t)values->value[1];
	bool ok = part && part_init(part, problem, seed, machine);

	budget->used = 0;
	while (ok && problem->n_processes && budget->used + steps <= budget->steps) {
		double start = values->value[2] * (double)part->state.cost / problem->n_processes;

		choose(part, (uint32_t)values->value[0]);
		solve(part, start, steps);
		budget->used += steps;
		if (budget->stop && budget->stop(budget->data))
			break;
	}
	if (ok)
		memcpy(machine, part->state.machine, problem->n_processes * sizeof *machine);
	part_free(part);
	return ok;
}

static const struct rebalance_ops ops = { .improve = improve };

const struct allocation_strategy strategy_lns = {
	.info = { .name = "lns",
		  .summary = "solves small parts again and again, a few machines at a time",
		  .kind = STRATEGY_CONTINUOUS,
		  .index = STRATEGY_INDEX_BOUNDED,
		  .parameters = parameters,
		  .n_parameters = sizeof parameters / sizeof *parameters },
	.rebalance = &ops,
};
