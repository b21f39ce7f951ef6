/* Orders that several strategies share, as operations for their tables: by arrival, by virtual time. */
#pragma once

#include "core/scheduling/scheduling.h"

/* key: all alike, so that the sequence decides. */
static inline int64_t order_key_arrival(const struct scheduling_system *system, const struct scheduling_entity *entity)
{
	return 0;
}

static inline int64_t order_key_virtual_time(const struct scheduling_system *system,
					     const struct scheduling_entity *entity)
{
	return entity->virtual_time;
}

/* keep: while it is behind the others still. */
static inline bool order_keep_virtual_time(const struct scheduling_system *system,
					   const struct scheduling_entity *running,
					   const struct scheduling_entity *head)
{
	return scheduling_before(running->virtual_time, head->virtual_time);
}

/* keep and preempt: never; slices are whole, and one is a turn. */
static inline bool order_never(const struct scheduling_system *system, const struct scheduling_entity *running,
			       const struct scheduling_entity *other)
{
	return false;
}
