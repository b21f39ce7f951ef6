/* V, the mean virtual time of a queue weighted by its entities' weights: who is behind it is owed service, who is ahead has
 * had more than its share. Kept in whole numbers without drift: V = virtual_time + offset ÷ weight exactly, and
 * 0 ≤ offset < weight, so that v ≤ V is v ≤ virtual_time.
 *
 * I. Stoica, H. Abdel-Wahab, "Earliest Eligible Virtual Deadline First", Old Dominion University TR-95-22, 1995. */
#pragma once

#include "core/scheduling/scheduling.h"

static inline void average_settle(struct scheduling_queue *queue)
{
	int64_t weight = (int64_t)queue->weight, whole;

	if (!weight) {
		queue->offset = 0; /* V stays: whoever comes next starts from it */
		return;
	}
	whole = queue->offset / weight;
	queue->offset -= whole * weight;
	if (queue->offset < 0) {
		queue->offset += weight;
		whole--;
	}
	queue->virtual_time = (int64_t)((uint64_t)queue->virtual_time + (uint64_t)whole);
}

static inline int64_t average_difference(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a - (uint64_t)b);
}

static inline void average_add(struct scheduling_queue *queue, const struct scheduling_entity *entity)
{
	queue->weight += entity->weight;
	queue->offset += average_difference(entity->virtual_time, queue->virtual_time) * (int64_t)entity->weight;
	average_settle(queue);
}

static inline void average_remove(struct scheduling_queue *queue, const struct scheduling_entity *entity)
{
	queue->weight -= entity->weight;
	queue->offset -= average_difference(entity->virtual_time, queue->virtual_time) * (int64_t)entity->weight;
	average_settle(queue);
}

/* It ran: V moves by its share. */
static inline void average_advance(struct scheduling_queue *queue, struct scheduling_entity *entity, int64_t delta_ns)
{
	int64_t virtual_ns = scheduling_virtual(delta_ns, entity->weight);

	entity->virtual_time = (int64_t)((uint64_t)entity->virtual_time + (uint64_t)virtual_ns);
	queue->offset += virtual_ns * (int64_t)entity->weight;
	average_settle(queue);
}

/* Lag of a queued or running entity in virtual time (times the weight: in service): V − v. */
static inline int64_t average_lag(const struct scheduling_queue *queue, const struct scheduling_entity *entity)
{
	return average_difference(queue->virtual_time, entity->virtual_time);
}

/* The same, not farther than `most` off on either side: what it may take with it when it leaves. */
static inline int64_t average_lag_within(const struct scheduling_queue *queue, const struct scheduling_entity *entity,
					 int64_t most)
{
	int64_t lag = average_lag(queue, entity);

	return lag > most ? most : lag < -most ? -most : lag;
}

/* join, as an operation. */
static inline void average_join(struct scheduling_system *system, struct scheduling_queue *queue,
				struct scheduling_entity *entity)
{
	average_add(queue, entity);
}
