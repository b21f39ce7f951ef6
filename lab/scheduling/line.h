/* A waiting line in order: the first few in a ring, sorted; when there are more, those that come later in a heap. Most lines
 * are short, and most who come belong at their end: then to come is a comparison, and to go is nothing. */
#pragma once

#include "lab/scheduling/heap.h"

#define LINE_RING 32 /* a power of two */

struct line {
	guint first, n;
	struct heap rest; /* none of it before any of the ring; empty when the ring is */
	heap_entry ring[LINE_RING];
};

static inline guint line_length(const struct line *line)
{
	return line->n + line->rest.n;
}

/* One of the ring, from the first. */
static inline heap_entry *line_ring(struct line *line, guint i)
{
	return &line->ring[(line->first + i) % LINE_RING];
}

/* Any: the first is number 0, but otherwise in no order. */
static inline heap_entry line_at(struct line *line, guint i)
{
	return i < line->n ? *line_ring(line, i) : line->rest.entry[i - line->n];
}

static inline void line_push(struct line *line, heap_entry entry)
{
	guint i;

	if (G_UNLIKELY(line->rest.n || line->n == LINE_RING)) {
		if (heap_before(*line_ring(line, line->n - 1), entry)) {
			heap_push(&line->rest, entry);
			return;
		}
		if (line->n == LINE_RING)
			heap_push(&line->rest, *line_ring(line, --line->n));
	}
	for (i = line->n++; i && heap_before(entry, *line_ring(line, i - 1)); i--)
		*line_ring(line, i) = *line_ring(line, i - 1);
	*line_ring(line, i) = entry;
}

static inline void line_refill(struct line *line)
{
	while (line->n < LINE_RING / 2 && line->rest.n) {
		*line_ring(line, line->n++) = line->rest.entry[0];
		heap_remove(&line->rest, 0);
	}
}

/* The first goes. */
static inline void line_pop(struct line *line)
{
	line->first = (line->first + 1) % LINE_RING;
	line->n--;
	if (G_UNLIKELY(!line->n))
		line_refill(line);
}

/* line_remove(line, i): the one that line_at() says. */
static inline void line_remove(struct line *line, guint i)
{
	if (i >= line->n) {
		heap_remove(&line->rest, i - line->n);
		return;
	}
	line->n--;
	for (; i < line->n; i++)
		*line_ring(line, i) = *line_ring(line, i + 1);
	if (!line->n)
		line_refill(line);
}
