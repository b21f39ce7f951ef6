/* What a fit takes from the gaps of its host: vCPUs' worth of the shapes usually run that they no longer hold. */
#pragma once

#include "core/allocation/strategies/scored.h"

static inline double fragmentation_loss(const struct shapes *shapes, const struct scored_fit *view)
{
	double loss = 0;

	for (uint32_t i = 0; i < shapes->n_ranked; i++) {
		const struct shapes_ranked *shape = &shapes->ranked[i];
		double before = shapes_slots(shape, view->cpu, view->memory, view->n_nodes);
		double after = shapes_slots(shape, view->cpu_after, view->memory_after, view->n_nodes);

		loss += shape->share * shape->size * (before - after);
	}
	return loss;
}
