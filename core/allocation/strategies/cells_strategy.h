/* What all strategies over cells (core/allocation/index/cells.h) have alike: their state is the cells, the rule differs. */
#pragma once

#include "core/allocation/index/cells.h"

#define CELLS_STRATEGY_PARAMETER                                                                                   \
	{                                                                                                          \
		.name = "memory-per-cpu-mib", .type = STRATEGY_NUMBER, .min = 64, .max = 1 << 18, .initial = 4096, \
		.logarithmic = true, .doc = "Memory that counts as much as one vCPU, MiB."                         \
	}

static inline void cells_strategy_free(void *state)
{
	allocation_cells_free(state);
}

static inline bool cells_strategy_update(void *state, const struct allocation_world *world,
					 const struct allocation_event *event)
{
	return allocation_cells_update(state, world, event);
}

static inline void cells_strategy_decide(void *state, const struct allocation_world *world, uint32_t class_id,
					 int64_t now_ms, struct allocation_decision *decision)
{
	allocation_cells_decide(state, world, class_id, decision);
}

static inline double cells_strategy_cost(const void *state, const struct allocation_world *world, uint32_t class_id,
					 const struct allocation_fit *fit, int64_t now_ms)
{
	return allocation_cells_cost(state, world, class_id, fit);
}
