/* guided-ejection: empty one bin after another, forcing its items into the others.
 *
 * Idea: start from bin-centric selection (from first-fit decreasing with more than 16,384 items). Close a bin; its items
 * wait in a pool. The last one in the pool goes where it fits; where it fits nowhere it is forced into the bin that gives
 * the least for it: one or two of its items leave, those with the lowest penalty. An item's penalty starts by its size
 * and grows each time it fits nowhere, so items that are hard to place stay and easy ones travel. Random swaps between
 * bins after each ejection keep it from circling. When the pool is empty, what was found is kept and the next bin is
 * closed, down to the lower bound. Instances without any slack are first tried as an exact cover by bins that are full to
 * the last unit (two or three items each), searched in the same way. In given bins, items left out are brought in by the
 * same ejections first. One step of the budget is one item placed, one full bin taken, or one item whose full bins are
 * looked for; without steps it is the start alone, which a time does not cut short.
 *
 * Source: Nagata and Bräysy, A powerful route minimization heuristic for the vehicle routing problem with time windows,
 * Operations Research Letters, 2009; bins as routes, with swaps as the feasible moves. The pool of items left out as the
 * thing to search: Buljubašić and Vasquez, Consistent neighborhood search for one-dimensional bin packing and
 * two-dimensional vector packing, Computers and Operations Research, 2016.
 *
 * Complexity: O(n × dimensions) a step (about a microsecond at 500 items), bin-centric selection before it; an exact cover
 * takes O(n²) to find its candidates.
 *
 * Loses: a decision a millisecond sooner is bcs or ffd. It gives no proof and goes on to the end of its budget unless the
 * lower bound is met. With a hundred thousand items a step takes long, and a bin saved is a small gain. Farthest from the
 * optimum with 500 items of which two or three share a bin: up to 3 % after a third of a second, while of the
 * instances with a known optimum it finds that on more than four in five.
 */
#include "core/allocation/pack/cover.h"
#include "core/allocation/pack/ejection.h"
#include "core/allocation/pack/greedy.h"
#include "core/allocation/strategies/strategies.h"

#define BIN_CENTRIC_ITEMS_MAX 16384 /* its time grows with the square of the items */

static const struct strategy_parameter parameters[] = {
	{ .name = "perturbations",
	  .type = STRATEGY_INTEGER,
	  .min = 0,
	  .max = 1000,
	  .initial = 30,
	  .doc = "Random swaps tried after each ejection." },
	{ .name = "eject-max",
	  .type = STRATEGY_INTEGER,
	  .min = 1,
	  .max = 2,
	  .initial = 2,
	  .doc = "How many items may leave a bin for one." },
};

/* Once stopped, stopped for all parts, so that the count of steps tells where each ended. */
struct latch {
	const struct pack_budget *outer;
	bool stopped;
};

static bool latch_stop(void *data)
{
	struct latch *latch = data;

	latch->stopped = latch->stopped || latch->outer->stop(latch->outer->data);
	return latch->stopped;
}

static bool start(const struct pack_problem *problem, uint64_t seed, struct pack_solution *solution)
{
	struct pack_greedy how = { .seed = seed };

	if (problem->n_items > BIN_CENTRIC_ITEMS_MAX) {
		how.measure = PACK_MEASURE_SQUARES;
		return pack_by_item(problem, &how, solution);
	}
	how.choice = PACK_CHOICE_DOT;
	how.weight = PACK_WEIGHT_REMAINING;
	return pack_by_bin(problem, &how, solution);
}

static bool pack(const struct pack_problem *problem, const struct strategy_values *values, uint64_t seed,
		 struct pack_budget *budget, struct pack_solution *solution)
{
	struct latch latch = { .outer = budget };
	struct pack_budget inner = { .steps = budget->steps, .stop = budget->stop ? latch_stop : NULL, .data = &latch };
	struct pack_ejection how = {
		.seed = seed,
		.at_least = pack_bound_continuous(problem),
		.perturbations = (uint32_t)values->value[0],
		.pairs = values->value[1] >= 2,
	};
	bool ok = start(problem, seed, solution);

	if (ok && (solution->n_unplaced || solution->n_bins > how.at_least))
		ok = pack_cover(problem, seed, &inner, solution) && pack_eject(problem, &how, &inner, solution);
	budget->used = inner.used;
	return ok;
}

static const struct pack_ops ops = { .pack = pack };

const struct allocation_strategy strategy_guided_ejection = {
	.info = {
		.name = "guided-ejection",
		.summary = "empty one bin after another, forcing its items into the others.",
		.kind = STRATEGY_BATCH,
		.index = STRATEGY_INDEX_SCAN,
		.parameters = parameters,
		.n_parameters = sizeof(parameters) / sizeof(*parameters),
	},
	.pack = &ops,
};
