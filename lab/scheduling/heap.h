/* A heap of entries with a key and an order: the least key first, among equal keys the least order. Keys are compared by
 * difference, so that they may wrap. Which of two is less cannot be foretold: nothing branches on it. */
#pragma once

#include <glib.h>

/* Key and order as one number: compared at once. */
typedef unsigned __int128 heap_entry;

struct heap {
	heap_entry *entry;
	guint n, room;
};

static inline heap_entry heap_entry_of(gint64 key, guint64 order)
{
	return (heap_entry)(guint64)key << 64 | order;
}

static inline gint64 heap_key(heap_entry entry)
{
	return (gint64)(entry >> 64);
}

static inline guint64 heap_order(heap_entry entry)
{
	return (guint64)entry;
}

/* 1 or 0. */
static inline guint heap_before(heap_entry a, heap_entry b)
{
	return (guint)((a - b) >> 127);
}

static inline void heap_up(struct heap *heap, guint at, heap_entry entry)
{
	while (at > 0) {
		guint parent = (at - 1) / 2;

		if (!heap_before(entry, heap->entry[parent]))
			break;
		heap->entry[at] = heap->entry[parent];
		at = parent;
	}
	heap->entry[at] = entry;
}

static inline void heap_push(struct heap *heap, heap_entry entry)
{
	if (G_UNLIKELY(heap->n == heap->room)) {
		heap->room = MAX(64, heap->room * 2);
		heap->entry = g_renew(heap_entry, heap->entry, heap->room);
	}
	heap_up(heap, heap->n++, entry);
}

/* The hole goes down to the bottom by way of the lesser children; there the last one, which comes from there, most likely
 * belongs. */
static inline void heap_remove(struct heap *heap, guint at)
{
	heap_entry *entry = heap->entry, last = entry[--heap->n];
	guint n = heap->n, child;

	if (at == n)
		return;
	for (; (child = 2 * at + 2) < n; at = child) {
		child -= heap_before(entry[child - 1], entry[child]);
		entry[at] = entry[child];
	}
	if (child == n) {
		entry[at] = entry[child - 1];
		at = child - 1;
	}
	heap_up(heap, at, last);
}
