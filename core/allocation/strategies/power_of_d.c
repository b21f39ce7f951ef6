/* power-of-d: The host with the most left free, of d drawn from those that take the VM.
 *
 * Idea: two draws are nearly as good as looking at all: the fullest host then grows with log log of their number instead of
 * log. What is left counts as vCPUs plus memory in units of memory-per-cpu-mib, over all NUMA nodes. Draws follow from the
 * seed, the placements there are, the class and the time.
 *
 * Source: M. Mitzenmacher, "The power of two choices in randomized load balancing", IEEE TPDS 12(10), 2001; Y. Azar et al.,
 * "Balanced allocations", SIAM Journal on Computing 29(1), 1999.
 *
 * Complexity: d draws of at most 32 looks each, then a descent in a 16-ary tree of bounding boxes.
 *
 * Loses: on density, as worst-fit; on balance, slightly, to worst-fit, which looks at all hosts.
 */
#include <stdlib.h>

#include "core/allocation/index/chance.h"
#include "core/allocation/strategies/strategies.h"

struct power_of_d {
	struct allocation_chance *chance;
	unsigned d;
	double memory_per_cpu_mib;
};

static const struct strategy_parameter parameters[] = {
	{ .name = "d", .type = STRATEGY_INTEGER, .min = 1, .max = 16, .initial = 2, .doc = "Hosts drawn." },
	{ .name = "memory-per-cpu-mib",
	  .type = STRATEGY_NUMBER,
	  .min = 64,
	  .max = 1 << 18,
	  .initial = 4096,
	  .logarithmic = true,
	  .doc = "Memory that counts as much as one vCPU, MiB." },
};

static void free_state(void *state)
{
	struct power_of_d *power = state;

	if (!power)
		return;
	allocation_chance_free(power->chance);
	free(power);
}

static void *new_state(const struct allocation_world *world, const struct strategy_values *values, uint64_t seed)
{
	struct power_of_d *power = calloc(1, sizeof(*power));

	if (!power)
		return NULL;
	power->d = (unsigned)values->value[0];
	power->memory_per_cpu_mib = values->value[1];
	power->chance = allocation_chance_new(world, seed);
	if (!power->chance) {
		free(power);
		return NULL;
	}
	return power;
}

static bool update(void *state, const struct allocation_world *world, const struct allocation_event *event)
{
	struct power_of_d *power = state;

	return allocation_chance_update(power->chance, world, event);
}

static double left_on(const struct power_of_d *power, const struct allocation_host_state *host)
{
	double left = 0;

	for (unsigned node = 0; node < host->n_nodes; node++) {
		const uint32_t *amount = host->node[node].free;

		left += amount[ALLOCATION_CPU] / 1000.0;
		left += ((double)amount[ALLOCATION_MEMORY] + amount[ALLOCATION_HUGE_2M] + amount[ALLOCATION_HUGE_1G]) /
			power->memory_per_cpu_mib;
	}
	return left;
}

static void decide(void *state, const struct allocation_world *world, uint32_t class_id, int64_t now_ms,
		   struct allocation_decision *decision)
{
	const struct allocation_request *request = allocation_world_request(world, class_id);
	struct power_of_d *power = state;
	struct strategy_random random = allocation_chance_random(power->chance, class_id, now_ms);
	double most = -1;

	*decision = (struct allocation_decision) { .fit.host = ALLOCATION_NONE, .step = ALLOCATION_STEP_DRAW };
	for (unsigned draw = 0; draw < power->d; draw++) {
		struct allocation_fit fit;

		if (!allocation_chance_draw(power->chance, world, request, &random, &fit)) {
			allocation_scan(&strategy_power_of_d, state, world, class_id, now_ms, decision);
			return;
		}
		double left = left_on(power, &allocation_world_hosts(world)[fit.host]);
		if (left > most || (left == most && fit.host < decision->fit.host)) {
			most = left;
			decision->fit = fit;
		}
	}
}

const struct allocation_strategy strategy_power_of_d = {
	.info = { .name = "power-of-d",
		  .summary = "The host with the most left free, of d drawn from those that take the VM.",
		  .kind = STRATEGY_ONLINE,
		  .index = STRATEGY_INDEX_BOUNDED,
		  .parameters = parameters,
		  .n_parameters = 2 },
	.new = new_state,
	.free = free_state,
	.update = update,
	.decide = decide,
};
