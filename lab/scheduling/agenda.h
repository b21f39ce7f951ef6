/* When what happens next: one time for each of a fixed number of slots, and always the earliest. A tree of minima, eight
 * children a node: setting a time touches at most a node a level, and mostly none above the first. Among equal times the
 * lowest slot comes first. */
#pragma once

#include <glib.h>

#define AGENDA_NEVER      G_MAXINT64
#define AGENDA_FAN        8
#define AGENDA_LEVELS_MAX 8

struct agenda {
	gint64 *level[AGENDA_LEVELS_MAX]; /* level[0]: the slots; the last has one group, whose first is the earliest */
	guint n_levels;
};

static inline void agenda_init(struct agenda *agenda, guint n_slots)
{
	gsize n = MAX(n_slots, 1);

	agenda->n_levels = 0;
	for (;;) {
		gsize room = (n + AGENDA_FAN - 1) / AGENDA_FAN * AGENDA_FAN;
		gint64 *times = g_aligned_alloc(room, sizeof(gint64), 64);

		for (gsize i = 0; i < room; i++)
			times[i] = AGENDA_NEVER;
		g_assert(agenda->n_levels < AGENDA_LEVELS_MAX);
		agenda->level[agenda->n_levels++] = times;
		if (n == 1)
			break;
		n = room / AGENDA_FAN;
	}
}

static inline void agenda_clear(struct agenda *agenda)
{
	for (guint i = 0; i < agenda->n_levels; i++)
		g_aligned_free(agenda->level[i]);
	agenda->n_levels = 0;
}

static inline gint64 agenda_least(const gint64 *t)
{
	gint64 a = MIN(t[0], t[1]), b = MIN(t[2], t[3]), c = MIN(t[4], t[5]), d = MIN(t[6], t[7]);

	a = MIN(a, b);
	c = MIN(c, d);
	return MIN(a, c);
}

static inline void agenda_set(struct agenda *agenda, guint slot, gint64 time)
{
	gint64 old = agenda->level[0][slot];

	agenda->level[0][slot] = time;
	for (guint i = 1; i < agenda->n_levels; i++) {
		gint64 *above = &agenda->level[i][slot / AGENDA_FAN];
		gint64 was = *above, now;

		if (time <= was)
			now = time;
		else if (old > was)
			return;
		else
			now = agenda_least(&agenda->level[i - 1][slot / AGENDA_FAN * AGENDA_FAN]);
		if (now == was)
			return;
		*above = now;
		time = now;
		old = was;
		slot /= AGENDA_FAN;
	}
}

static inline gint64 agenda_next(const struct agenda *agenda)
{
	return agenda->level[agenda->n_levels - 1][0];
}

/* The lowest slot of those that are next. */
static inline guint agenda_slot(const struct agenda *agenda)
{
	gint64 time = agenda_next(agenda);
	guint slot = 0;

	for (guint i = agenda->n_levels - 1; i-- > 0;) {
		const gint64 *t = &agenda->level[i][slot * AGENDA_FAN];
		guint equal = 0;

		/* Without branches: which child it is cannot be foretold. */
		for (guint child = 0; child < AGENDA_FAN; child++)
			equal |= (guint)(t[child] == time) << child;
		slot = slot * AGENDA_FAN + (guint)__builtin_ctz(equal);
	}
	return slot;
}
