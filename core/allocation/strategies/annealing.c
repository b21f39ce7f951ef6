/* annealing: random shifts and swaps, worse ones accepted ever more rarely.
 *
 * Idea: a random process moves to a random machine, or two change places. What makes the assignment cheaper is accepted; what
 * makes it dearer by d is accepted with probability exp(-d / T), and the temperature T falls geometrically from a
 * multiple of the median change of a random move to a small one. A move is judged in O(resources) by what it changes.
 * The moves of the outcome are put in an order in which each has room when its turn comes.
 *
 * Source: Kirkpatrick, Gelatt and Vecchi, Optimization by Simulated Annealing, Science, 1983; for machine reassignment:
 * Portal, Ritt, Borba and Buriol, Simulated annealing for the machine reassignment problem, Annals of Operations
 * Research, 2016.
 *
 * Complexity: O(resources) a step.
 *
 * Loses: with few steps greedy descent is better, as it wastes none on the way; where capacity is so tight that nearly no
 * single move is valid, it stays where it is.
 */
#include "core/allocation/rebalance/anneal.h"
#include "core/allocation/strategies/strategies.h"

static const struct strategy_parameter parameters[] = {
	{ .name = "start-temperature",
	  .type = STRATEGY_NUMBER,
	  .min = 1e-6,
	  .max = 100,
	  .initial = 20,
	  .logarithmic = true,
	  .doc = "First temperature, as a multiple of the median change of a random move." },
	{ .name = "end-temperature",
	  .type = STRATEGY_NUMBER,
	  .min = 1e-9,
	  .max = 1,
	  .initial = 0.02,
	  .logarithmic = true,
	  .doc = "Last temperature, as a multiple of the same." },
	{ .name = "swap-share",
	  .type = STRATEGY_NUMBER,
	  .min = 0,
	  .max = 1,
	  .initial = 0.5,
	  .doc = "Share of steps that try a swap instead of a shift." },
	{ .name = "rounds",
	  .type = STRATEGY_INTEGER,
	  .min = 1,
	  .max = 64,
	  .initial = 1,
	  .doc = "How often the temperature falls anew, each time from the best found." },
};

static bool improve(const struct rebalance_problem *problem, const struct strategy_values *values, uint64_t seed,
		    struct rebalance_budget *budget, uint32_t *machine)
{
	struct anneal_schedule schedule = {
		.start = values->value[0],
		.end = values->value[1],
		.swap_share = values->value[2],
		.rounds = (uint32_t)values->value[3],
	};

	return rebalance_anneal(problem, &schedule, seed, budget, machine);
}

static const struct rebalance_ops ops = { .improve = improve };

const struct allocation_strategy strategy_annealing = {
	.info = { .name = "annealing",
		  .summary = "random shifts and swaps, worse ones accepted ever more rarely",
		  .kind = STRATEGY_CONTINUOUS,
		  .index = STRATEGY_INDEX_BOUNDED,
		  .parameters = parameters,
		  .n_parameters = sizeof parameters / sizeof *parameters },
	.rebalance = &ops,
};
