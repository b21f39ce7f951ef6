/* Sleepers by when they wake, always the earliest; among equal times the lowest number. A calendar: time is cut into parts, the
 * next few thousand of which have a list each of who wakes in it; who wakes later is in a heap. When a part's turn comes, its
 * list goes into a heap of its own, which thereby stays so small that to come and to go costs the same for any number of
 * sleepers. How long a part is follows from how many wake: about one in each.
 *
 * R. Brown, "Calendar Queues: A Fast O(1) Priority Queue Implementation for the Simulation Event Set Problem", CACM 31(10),
 * 1988. */
#pragma once

#include "lab/scheduling/heap.h"

#define WHEEL_NOBODY G_MAXUINT32

struct wheel_sleeper {
	gint64 time;
	guint32 next; /* of the same part */
};

/* Who wakes in part p is in `near` when p < turned, in the list of p when p < turned + n_parts, else in `far`. */
struct wheel {
	struct heap near, far;
	gint64 turned;
	guint shift; /* a part is 2^shift ns */
	guint n_parts;
	guint n_listed;
	guint32 *part;                 /* first of the list, by part modulo n_parts */
	guint64 *used;                 /* bits by part modulo n_parts: somebody is listed */
	struct wheel_sleeper *sleeper; /* by number */
	guint turns, n_turned,
		n_far; /* since the length of parts was looked at: lists turned, who was in them; into far */
};

/* wheel_init(wheel, n): of numbers below n, each of which sleeps at most once at a time. */
void wheel_init(struct wheel *wheel, guint n);
void wheel_clear(struct wheel *wheel);
/* wheel_turn(wheel): nobody is near; the next part's turn comes. Nothing happens when nobody sleeps. */
void wheel_turn(struct wheel *wheel);

static inline void wheel_push(struct wheel *wheel, guint id, gint64 time)
{
	gint64 part = time >> wheel->shift;
	guint at = (guint)part & (wheel->n_parts - 1);

	if (part < wheel->turned) {
		heap_push(&wheel->near, heap_entry_of(time, id));
	} else if (part - wheel->turned >= wheel->n_parts) {
		wheel->n_far++;
		heap_push(&wheel->far, heap_entry_of(time, id));
	} else {
		wheel->sleeper[id] = (struct wheel_sleeper) { .time = time, .next = wheel->part[at] };
		wheel->part[at] = id;
		wheel->used[at / 64] |= G_GUINT64_CONSTANT(1) << at % 64;
		wheel->n_listed++;
	}
}

/* The time of the first, or `none`. */
static inline gint64 wheel_next(struct wheel *wheel, gint64 none)
{
	if (!wheel->near.n)
		wheel_turn(wheel);
	return wheel->near.n ? heap_key(wheel->near.entry[0]) : none;
}

/* Of whom wheel_next() told the time: it wakes. */
static inline guint wheel_pop(struct wheel *wheel)
{
	guint id = (guint)heap_order(wheel->near.entry[0]);

	heap_remove(&wheel->near, 0);
	return id;
}
