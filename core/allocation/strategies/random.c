/* random: A host drawn from those that take the VM.
 *
 * Idea: the yardstick of having no idea. Draws from all hosts until one takes the VM, at most 32 times, which is uniform over
 * the hosts that do; then the first at or after the last one drawn, which is only nearly so. What is drawn follows from the
 * seed, the placements there are, the class and the time, so that a state made again from the world draws the same.
 *
 * Source: folklore; as a baseline in R. Panigrahy et al., "Heuristics for Vector Bin Packing", Microsoft Research, 2011.
 *
 * Complexity: at most 32 looks, then a descent in a 16-ary tree of bounding boxes.
 *
 * Loses: on density against every rule that fills hosts up, and on spread against worst-fit and power-of-d.
 */
#include "core/allocation/index/chance.h"
#include "core/allocation/strategies/strategies.h"

static void *new_state(const struct allocation_world *world, const struct strategy_values *values, uint64_t seed)
{
	return allocation_chance_new(world, seed);
}

static void free_state(void *state)
{
	allocation_chance_free(state);
}

static bool update(void *state, const struct allocation_world *world, const struct allocation_event *event)
{
	return allocation_chance_update(state, world, event);
}

static void decide(void *state, const struct allocation_world *world, uint32_t class_id, int64_t now_ms,
		   struct allocation_decision *decision)
{
	const struct allocation_request *request = allocation_world_request(world, class_id);
	struct strategy_random random = allocation_chance_random(state, class_id, now_ms);

	*decision = (struct allocation_decision) { .fit.host = ALLOCATION_NONE, .step = ALLOCATION_STEP_NONE };
	if (allocation_chance_draw(state, world, request, &random, &decision->fit))
		decision->step = ALLOCATION_STEP_DRAW;
	else
		allocation_scan(&strategy_random, state, world, class_id, now_ms, decision);
}

const struct allocation_strategy strategy_random = {
	.info = { .name = "random",
		  .summary = "A host drawn from those that take the VM.",
		  .kind = STRATEGY_ONLINE,
		  .index = STRATEGY_INDEX_BOUNDED },
	.new = new_state,
	.free = free_state,
	.update = update,
	.decide = decide,
};
