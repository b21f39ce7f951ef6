/* cosine: The NUMA node whose free amounts point the same way as what is asked.
 *
 * Idea: keep the mix of what is left as it is: the angle between free and asked amounts is all that counts, their size
 * is not. Amounts are in vCPUs and in units of memory-per-cpu-mib. What is free is seen in steps of a sixteenth; nodes
 * within a step are alike, and the lowest number takes the VM.
 *
 * Source: the cosine similarity of M. Gabay and S. Zaourar, "Vector bin packing with heterogeneous bins: application
 * to the machine reassignment problem", Annals of Operations Research 242, 2016; used for VMs by Grandl et al.
 * (SIGCOMM 2014).
 *
 * Complexity: a branch-and-bound over cells of like nodes, about the logarithm of the number of cells where the
 * request fits somewhere near its best cell; one cell left and one entered a change.
 *
 * Loses: on density: an empty host of the right mix beats a nearly full one, so gaps stay open. Its bound is weak
 * where boxes touch zero, so it looks at more of them than the others.
 */
#include "core/allocation/strategies/cells_strategy.h"
#include "core/allocation/strategies/strategies.h"

/* terms: the amounts, then the square of their length. */
static void prepare(const double *amount, double *terms)
{
	terms[ALLOCATION_NODE_DIMENSIONS] = 0;
	for (unsigned d = 0; d < ALLOCATION_NODE_DIMENSIONS; d++) {
		terms[d] = amount[d];
		terms[ALLOCATION_NODE_DIMENSIONS] += amount[d] * amount[d];
	}
}

/* Minus the square of the cosine, times that of the request's length: no root, and nothing changes the order. */
static double of(const double *terms, const double *above, const double *below)
{
	double dot = 0, square = 0;

	for (unsigned d = 0; d < ALLOCATION_NODE_DIMENSIONS; d++) {
		dot += terms[d] * above[d];
		square += below[d] * below[d];
	}
	return square > 0 ? -(dot * dot / square) : 0;
}

static double cost(const double *terms, const double *low)
{
	return of(terms, low, low);
}

static double bound(const double *terms, const double *low, const double *high)
{
	double all =
		-terms[ALLOCATION_NODE_DIMENSIONS] * (1 + 1e-9); /* the same direction; more than rounding can give */
	double least = of(terms, high, low);

	return least == 0 || least < all ? all : least;
}

static const struct allocation_cells_rule rule = { .prepare = prepare, .cost = cost, .bound = bound };

static const struct strategy_parameter parameters[] = { CELLS_STRATEGY_PARAMETER };

static void *new_state(const struct allocation_world *world, const struct strategy_values *values, uint64_t seed)
{
	return allocation_cells_new(world, &rule, values->value[0]);
}

const struct allocation_strategy strategy_cosine = {
	.info = { .name = "cosine",
		  .summary = "The NUMA node whose free amounts point the same way as what is asked.",
		  .kind = STRATEGY_ONLINE,
		  .index = STRATEGY_INDEX_EXACT,
		  .parameters = parameters,
		  .n_parameters = 1 },
	.new = new_state,
	.free = cells_strategy_free,
	.update = cells_strategy_update,
	.decide = cells_strategy_decide,
	.cost = cells_strategy_cost,
};
