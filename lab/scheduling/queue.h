/* A queue of runnable vCPUs: the least key first, among equal keys the one queued first. Where a strategy has eligibility,
 * two heaps: those not yet eligible by `eligible`, the others by key; what turned out not to be eligible goes back, so the
 * head is exact even where the queue's virtual time goes backwards. */
#pragma once

#include <glib.h>

#include "core/scheduling/scheduling.h"

#define QUEUE_ID_BITS 24 /* of `order`; the rest is the sequence of enqueueing */
#define QUEUE_ARITY   4

struct queue_node {
	gint64 key;
	guint64 order;
};

struct queue_heap {
	struct queue_node *node;
	guint n, room;
};

struct queue {
	struct queue_heap ready, future;
};

static inline gboolean queue_before(const struct queue_node *a, const struct queue_node *b)
{
	return a->key == b->key ? a->order < b->order : scheduling_before(a->key, b->key);
}

static inline guint queue_id(const struct queue_node *node)
{
	return node->order & ((1u << QUEUE_ID_BITS) - 1);
}

static inline void heap_up(struct queue_heap *heap, guint at, struct queue_node node)
{
	while (at > 0) {
		guint parent = (at - 1) / QUEUE_ARITY;

		if (!queue_before(&node, &heap->node[parent]))
			break;
		heap->node[at] = heap->node[parent];
		at = parent;
	}
	heap->node[at] = node;
}

static inline void heap_down(struct queue_heap *heap, guint at, struct queue_node node)
{
	for (;;) {
		guint first = at * QUEUE_ARITY + 1, least = first;

		if (first >= heap->n)
			break;
		for (guint i = first + 1; i < MIN(first + QUEUE_ARITY, heap->n); i++)
			if (queue_before(&heap->node[i], &heap->node[least]))
				least = i;
		if (!queue_before(&heap->node[least], &node))
			break;
		heap->node[at] = heap->node[least];
		at = least;
	}
	heap->node[at] = node;
}

static inline void heap_push(struct queue_heap *heap, struct queue_node node)
{
	if (heap->n == heap->room) {
		heap->room = MAX(16, heap->room * 2);
		heap->node = g_renew(struct queue_node, heap->node, heap->room);
	}
	heap_up(heap, heap->n++, node);
}

static inline void heap_remove(struct queue_heap *heap, guint at)
{
	struct queue_node last = heap->node[--heap->n];

	if (at == heap->n)
		return;
	if (at > 0 && queue_before(&last, &heap->node[(at - 1) / QUEUE_ARITY]))
		heap_up(heap, at, last);
	else
		heap_down(heap, at, last);
}

static inline guint queue_length(const struct queue *queue)
{
	return queue->ready.n + queue->future.n;
}

static inline guint64 queue_order(const struct scheduling_entity *entity)
{
	return entity->sequence << QUEUE_ID_BITS | entity->id;
}
