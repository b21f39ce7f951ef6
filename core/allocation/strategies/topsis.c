/* topsis: The fit nearest to the ideal one and farthest from the worst, over several criteria at once.
 *
 * Idea: each criterion (CPU and memory left, imbalance of nodes, imbalance of CPU against memory, the host's number)
 * is a coordinate between 0, ideal, and 1, worst. The cost is the distance to the ideal divided by the sum of the
 * distances to both. Unlike the textbook's, the ideal does not move with the candidates: adding a host never changes
 * the order of two others.
 *
 * Source: C. L. Hwang and K. Yoon, "Multiple Attribute Decision Making", Springer 1981.
 *
 * Complexity: O(hosts that fit).
 *
 * Loses: criteria bought at fixed weights: where one resource runs out first the others' weights are noise.
 * Host-hours over the bound: 1.133 on what is held out of the public Azure trace (first-fit 1.158), 1.43 on Huawei's
 * (first-fit 1.40).
 */
#include <math.h>

#include "core/allocation/strategies/scored.h"
#include "core/allocation/strategies/strategies.h"

enum { CPU, MEMORY, NODES, SHAPE, ORDER, CRITERIA };
#define WEIGHT(name_, initial_, doc_)                                                                        \
	{                                                                                                    \
		.name = name_, .type = STRATEGY_NUMBER, .min = 0, .max = 1, .initial = initial_, .doc = doc_ \
	}
static const struct strategy_parameter parameters[] = {
	WEIGHT("cpu", 1, "Weight of the CPU share left on the host."),
	WEIGHT("memory", 1, "Weight of the memory share left on the host."),
	WEIGHT("node-imbalance", 0.2, "Weight of the imbalance between the NUMA nodes."),
	WEIGHT("shape-imbalance", 0.2, "Weight of the imbalance of CPU against memory."),
	WEIGHT("order", 0.2, "Weight of the host's number among all hosts."),
};

static void *new_state(const struct allocation_world *world, const struct strategy_values *values, uint64_t seed)
{
	(void)seed;
	return scored_new(world, &strategy_topsis.info, values, 2304, UINT32_MAX);
}

static double cost(const void *state, const struct allocation_world *world, uint32_t class_id,
		   const struct allocation_fit *fit, int64_t now_ms)
{
	const struct scored *scored = state;
	struct scored_fit view;

	(void)now_ms;
	scored_fit_init(&view, world, class_id, fit);
	double criterion[CRITERIA] = { 0 }, ideal = 0, worst = 0;
	double hosts = allocation_world_n_hosts(world);

	for (uint32_t i = 0; i < view.n_nodes; i++) {
		criterion[CPU] += view.cpu_share[i] / view.n_nodes;
		criterion[MEMORY] += view.memory_share[i] / view.n_nodes;
	}
	criterion[NODES] = scored_fit_node_imbalance(&view) / view.n_nodes;
	criterion[SHAPE] = scored_fit_shape_imbalance(&view) / view.n_nodes;
	criterion[ORDER] = fit->host / hosts;
	for (unsigned i = 0; i < CRITERIA; i++) {
		double weight = scored->value[i] * scored->value[i];

		ideal += weight * criterion[i] * criterion[i];
		worst += weight * (1 - criterion[i]) * (1 - criterion[i]);
	}
	ideal = sqrt(ideal);
	worst = sqrt(worst);
	return ideal + worst > 0 ? ideal / (ideal + worst) : 0;
}
SCORED_OPERATIONS(strategy_topsis)

const struct allocation_strategy strategy_topsis = {
	.info = { .name = "topsis",
		  .summary = "The fit nearest to the ideal one and farthest from the worst, over several criteria at "
			     "once.",
		  .kind = STRATEGY_ONLINE,
		  .index = STRATEGY_INDEX_SCAN,
		  .parameters = parameters,
		  .n_parameters = CRITERIA },
	.new = new_state,
	.free = scored_free,
	.update = update,
	.decide = decide,
	.cost = cost,
};
