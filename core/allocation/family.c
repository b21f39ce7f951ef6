#include "core/allocation/family.h"

#include <assert.h>
#include <string.h>

#include "core/allocation/strategies/strategies.h"

/* The order shown: online, batch, continuous. */
const struct allocation_strategy *const allocation_strategies[] = {
	&strategy_first_fit,
	&strategy_next_fit,
	&strategy_best_fit,
	&strategy_worst_fit,
	&strategy_random,
	&strategy_power_of_d,
	&strategy_move_to_front,
	&strategy_dot_product,
	&strategy_l2_norm,
	&strategy_cosine,
	&strategy_fgd,
	&strategy_lifetime,
	&strategy_topsis,
	&strategy_weighted,
	&strategy_ffd,
	&strategy_bfd,
	&strategy_wfd,
	&strategy_bcs,
	&strategy_guided_ejection,
	&strategy_greedy_descent,
	&strategy_annealing,
	&strategy_lns,
	&strategy_mmt,
	&strategy_consolidation,
};
const size_t allocation_n_strategies = sizeof(allocation_strategies) / sizeof(*allocation_strategies);

/* The info is a strategy's first member, so the one list serves as both. */
static_assert(offsetof(struct allocation_strategy, info) == 0, "the registry reads strategies as their infos");
const struct strategy_registry allocation_registry = {
	.family = "allocation",
	.entries = (const struct strategy_info *const *)allocation_strategies,
	.n_entries = sizeof(allocation_strategies) / sizeof(*allocation_strategies),
};

const char *const allocation_step_names[] = { "none", "only", "penalty", "cost", "order", "draw", "tie", NULL };

const struct allocation_strategy *allocation_strategy_find(const char *name)
{
	for (size_t i = 0; i < allocation_n_strategies; i++)
		if (strcmp(allocation_strategies[i]->info.name, name) == 0)
			return allocation_strategies[i];
	return NULL;
}

static bool runs_online(const struct allocation_strategy *strategy)
{
	return strategy->new && strategy->free && strategy->update && strategy->decide;
}

const char *allocation_strategy_check(const struct allocation_strategy *strategy)
{
	const char *wrong = strategy_check(&strategy->info);

	if (wrong)
		return wrong;
	switch (strategy->info.kind) {
	case STRATEGY_ONLINE:
		return runs_online(strategy) ? NULL : "an online strategy needs new, free, update and decide";
	case STRATEGY_BATCH:
		return strategy->pack ? NULL : "a batch strategy needs pack";
	case STRATEGY_CONTINUOUS:
		return strategy->rebalance ? NULL : "a continuous strategy needs rebalance";
	case STRATEGY_YARDSTICK:
		return runs_online(strategy) || strategy->pack || strategy->rebalance ? NULL
										      : "a yardstick can do nothing";
	case STRATEGY_KINDS:
		break;
	}
	return "no such kind";
}

/* How many fits were no worse than the best at each comparison: tells which one decided. */
struct scan {
	struct allocation_decision best;
	size_t fits, same_penalty, same_cost;
};

static void scan_fit(struct scan *scan, const struct allocation_fit *fit, uint32_t penalty, double cost)
{
	struct allocation_decision *best = &scan->best;

	scan->fits++;
	if (best->fit.host == ALLOCATION_NONE || penalty < best->penalty) {
		*best = (struct allocation_decision) { .fit = *fit, .penalty = penalty, .cost = cost };
		scan->same_penalty = scan->same_cost = 1;
		return;
	}
	if (penalty > best->penalty)
		return;
	scan->same_penalty++;
	if (cost < best->cost) {
		best->fit = *fit;
		best->cost = cost;
		scan->same_cost = 1;
	} else if (cost == best->cost) {
		scan->same_cost++;
	}
}

void allocation_scan(const struct allocation_strategy *strategy, const void *state,
		     const struct allocation_world *world, uint32_t class_id, int64_t now_ms,
		     struct allocation_decision *decision)
{
	const struct allocation_request *request = allocation_world_request(world, class_id);
	struct scan scan = { .best.fit.host = ALLOCATION_NONE };
	uint32_t n_hosts = allocation_world_n_hosts(world);

	for (uint32_t host = 0; host < n_hosts; host++) {
		struct allocation_fit fits[ALLOCATION_NODES_MAX];
		unsigned n = allocation_world_fits(world, request, host, fits);
		uint32_t penalty = n ? allocation_world_penalty(world, request, host) : 0;

		for (unsigned i = 0; i < n; i++) {
			double cost = strategy->cost ? strategy->cost(state, world, class_id, &fits[i], now_ms) : 0;

			scan_fit(&scan, &fits[i], penalty, cost);
		}
	}
	if (scan.fits == 0)
		scan.best.step = ALLOCATION_STEP_NONE;
	else if (scan.fits == 1)
		scan.best.step = ALLOCATION_STEP_ONLY;
	else if (scan.same_penalty == 1)
		scan.best.step = ALLOCATION_STEP_PENALTY;
	else if (!strategy->cost)
		scan.best.step = ALLOCATION_STEP_ORDER;
	else
		scan.best.step = scan.same_cost == 1 ? ALLOCATION_STEP_COST : ALLOCATION_STEP_TIE;
	*decision = scan.best;
}
