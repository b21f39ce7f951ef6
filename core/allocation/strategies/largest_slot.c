/* largest-slot: The fit that takes least from the largest gap a host still offers, then leaves least.
 *
 * Idea: keep whole what a large VM will need. A node's slot is the smaller of its free shares of CPU and memory; the
 * fit that shrinks its host's largest slot least wins, weighed against what is left free in all.
 *
 * Source: the largest-slot rule of memory allocators (worst-fit turned round: the largest gap is the one to keep),
 * D. E. Knuth, The Art of Computer Programming 1, section 2.5, on two dimensions.
 *
 * Complexity: O(hosts that fit).
 *
 * Loses: where all VMs are small: it then keeps gaps that nobody asks for. Host-hours over the bound: 1.147 on what
 * is held out of the public Azure trace (first-fit 1.158), 1.47 on Huawei's (first-fit 1.40).
 */
#include "core/allocation/strategies/scored.h"
#include "core/allocation/strategies/strategies.h"

enum { REST };
static const struct strategy_parameter parameters[] = {
	{ .name = "rest",
	  .type = STRATEGY_NUMBER,
	  .min = 0,
	  .max = 100,
	  .initial = 1,
	  .doc = "Weight of what is left free on the host, against the shrinking of its largest slot." },
};

static double slot(double cpu_share, double memory_share)
{
	return cpu_share < memory_share ? cpu_share : memory_share;
}

static void *new_state(const struct allocation_world *world, const struct strategy_values *values, uint64_t seed)
{
	(void)seed;
	return scored_new(world, &strategy_largest_slot.info, values, 2304, UINT32_MAX);
}

static double cost(const void *state, const struct allocation_world *world, uint32_t class_id,
		   const struct allocation_fit *fit, int64_t now_ms)
{
	const struct scored *scored = state;
	struct scored_fit view;

	(void)now_ms;
	scored_fit_init(&view, world, class_id, fit);

	double before = 0, after = 0;
	for (uint32_t i = 0; i < view.n_nodes; i++) {
		double was = slot(view.cpu[i] / view.cpu_capacity, view.memory[i] / view.memory_capacity);
		double is = slot(view.cpu_share[i], view.memory_share[i]);

		before = was > before ? was : before;
		after = is > after ? is : after;
	}
	return before - after + scored->value[REST] * scored_fit_rest(&view);
}
SCORED_OPERATIONS(strategy_largest_slot)

const struct allocation_strategy strategy_largest_slot = {
	.info = { .name = "largest-slot",
		  .summary = "The fit that takes least from the largest gap a host still offers, then leaves least.",
		  .kind = STRATEGY_ONLINE,
		  .index = STRATEGY_INDEX_SCAN,
		  .parameters = parameters,
		  .n_parameters = 1 },
	.new = new_state,
	.free = scored_free,
	.update = update,
	.decide = decide,
	.cost = cost,
};
