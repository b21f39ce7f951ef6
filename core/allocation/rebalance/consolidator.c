#include <stdlib.h>

#include "core/allocation/rebalance/search.h"

struct rebalance_consolidator {
	struct allocation_world *world;
	struct rebalance_rooms rooms;
};

struct rebalance_consolidator *rebalance_consolidator_new(struct allocation_world *world)
{
	struct rebalance_consolidator *consolidator = calloc(1, sizeof *consolidator);

	if (!consolidator)
		return NULL;
	consolidator->world = world;
	if (rebalance_rooms_init(&consolidator->rooms, world))
		return consolidator;
	rebalance_consolidator_free(consolidator);
	return NULL;
}

void rebalance_consolidator_free(struct rebalance_consolidator *consolidator)
{
	if (consolidator)
		rebalance_rooms_clear(&consolidator->rooms);
	free(consolidator);
}

bool rebalance_consolidator_update(struct rebalance_consolidator *consolidator, uint32_t host)
{
	return rebalance_rooms_update(&consolidator->rooms, consolidator->world, host);
}

static void carry(struct rebalance_consolidator *consolidator, uint32_t vm, uint32_t from,
		  const struct allocation_fit *to)
{
	rebalance_world_move(consolidator->world, vm, to);
	rebalance_rooms_update(&consolidator->rooms, consolidator->world, from);
	rebalance_rooms_update(&consolidator->rooms, consolidator->world, to->host);
}

void rebalance_consolidator_empty(struct rebalance_consolidator *consolidator, uint32_t host, uint32_t max_moves,
				  struct rebalance_step *steps, uint32_t *n_steps)
{
	struct allocation_world *world = consolidator->world;
	uint32_t n_vms = allocation_world_hosts(world)[host].n_vms, n = 0, *vms;

	*n_steps = 0;
	if (!n_vms || n_vms > max_moves || !rebalance_vms_on(world, host, &vms))
		return;
	for (; n < n_vms; n++) {
		const struct allocation_placement was = *allocation_world_placement(world, vms[n]);
		struct rebalance_step step = {
			.vm = vms[n], .class_id = was.class_id, .from = host, .from_nodes = was.nodes
		};

		if (!rebalance_best_fit(world, &consolidator->rooms, vms[n], NULL, &step.to))
			break;
		steps[n] = step;
		carry(consolidator, vms[n], host, &step.to);
	}
	*n_steps = n == n_vms ? n : 0;
	while (n-- > 0) {
		struct allocation_fit home = { .host = host, .nodes = steps[n].from_nodes };

		carry(consolidator, steps[n].vm, steps[n].to.host, &home);
	}
	free(vms);
}
