/* When what happens next: one time for each of a fixed number of slots, and always the earliest; among equal times the lowest
 * slot. A tree of winners: each node holds the earlier of its two children, the root the earliest of all. Setting a time
 * plays its way up to the root. Nothing branches on who wins, which cannot be foretold, and whom it meets on the way does not
 * depend on that either. */
#pragma once

#include <glib.h>

#define AGENDA_NEVER G_MAXINT64

/* Time and slot as one number: compared at once. */
typedef unsigned __int128 agenda_entry;

struct agenda {
	agenda_entry *node; /* from 1, the root; the children of i are 2i and 2i + 1 */
	guint first_leaf;   /* a power of two */
};

static inline void agenda_set(struct agenda *agenda, guint slot, gint64 time)
{
	agenda_entry best = (agenda_entry)(guint64)time << 64 | slot;
	guint at = agenda->first_leaf + slot;

	agenda->node[at] = best;
	do {
		agenda_entry other = agenda->node[at ^ 1];

		best = other < best ? other : best;
		at /= 2;
		agenda->node[at] = best;
	} while (at > 1);
}

static inline void agenda_init(struct agenda *agenda, guint n_slots)
{
	guint leaves = 2;

	while (leaves < n_slots)
		leaves *= 2;
	agenda->first_leaf = leaves;
	agenda->node = g_aligned_alloc(2 * (gsize)leaves, sizeof(agenda_entry), 64);
	for (guint i = 0; i < 2 * leaves; i++)
		agenda->node[i] = (agenda_entry)AGENDA_NEVER << 64;
}

static inline void agenda_clear(struct agenda *agenda)
{
	g_aligned_free(agenda->node);
}

static inline gint64 agenda_next(const struct agenda *agenda)
{
	return (gint64)(agenda->node[1] >> 64);
}

/* The lowest slot of those that are next. */
static inline guint agenda_slot(const struct agenda *agenda)
{
	return (guint)agenda->node[1];
}
