#include "lab/scheduling/wheel.h"

#define PARTS_MIN   256 /* a power of two, as the most */
#define PARTS_MAX   65536
#define SHIFT_FIRST 14
#define SHIFT_LEAST 6
#define SHIFT_MOST  40

void wheel_init(struct wheel *wheel, guint n)
{
	*wheel = (struct wheel) { .shift = SHIFT_FIRST, .n_parts = PARTS_MIN };
	while (wheel->n_parts < 2 * n && wheel->n_parts < PARTS_MAX)
		wheel->n_parts *= 2;
	wheel->part = g_new(guint32, wheel->n_parts);
	for (guint i = 0; i < wheel->n_parts; i++)
		wheel->part[i] = WHEEL_NOBODY;
	wheel->used = g_new0(guint64, wheel->n_parts / 64);
	wheel->sleeper = g_new(struct wheel_sleeper, n);
}

void wheel_clear(struct wheel *wheel)
{
	g_free(wheel->near.entry);
	g_free(wheel->far.entry);
	g_free(wheel->part);
	g_free(wheel->used);
	g_free(wheel->sleeper);
}

/* The first part from `turned` that has a list; there is one. */
static gint64 part_next(const struct wheel *wheel)
{
	guint at = (guint)wheel->turned & (wheel->n_parts - 1), word = at / 64;
	guint64 bits = wheel->used[word] >> at % 64 << at % 64;

	while (!bits) {
		word = (word + 1) % (wheel->n_parts / 64);
		bits = wheel->used[word];
	}
	return wheel->turned + (((gint64)word * 64 + __builtin_ctzll(bits) - at) & (wheel->n_parts - 1));
}

/* A part's list into the heap of those near. */
static void part_empty(struct wheel *wheel, gint64 part)
{
	guint at = (guint)part & (wheel->n_parts - 1);

	for (guint32 id = wheel->part[at]; id != WHEEL_NOBODY; id = wheel->sleeper[id].next) {
		heap_push(&wheel->near, heap_entry_of(wheel->sleeper[id].time, id));
		wheel->n_turned++;
		wheel->n_listed--;
	}
	wheel->part[at] = WHEEL_NOBODY;
	wheel->used[at / 64] &= ~(G_GUINT64_CONSTANT(1) << at % 64);
}

/* From now on parts of another length, and everybody where that puts it. */
static void parts_change(struct wheel *wheel, guint shift)
{
	gint64 begin = wheel->turned << wheel->shift;
	struct heap near, far;

	while (wheel->n_listed)
		part_empty(wheel, part_next(wheel));
	near = wheel->near;
	far = wheel->far;
	wheel->near = wheel->far = (struct heap) { 0 };
	wheel->shift = shift;
	wheel->turned = begin >> shift;
	for (guint i = 0; i < near.n; i++)
		wheel_push(wheel, (guint)heap_order(near.entry[i]), heap_key(near.entry[i]));
	for (guint i = 0; i < far.n; i++)
		wheel_push(wheel, (guint)heap_order(far.entry[i]), heap_key(far.entry[i]));
	g_free(near.entry);
	g_free(far.entry);
}

/* Longer parts where many wake beyond the last one, shorter ones where many wake in one. */
static void parts_look(struct wheel *wheel)
{
	if (wheel->n_far > wheel->n_turned / 8 && wheel->shift < SHIFT_MOST)
		parts_change(wheel, wheel->shift + 1);
	else if (wheel->n_turned > 2 * wheel->turns && wheel->shift > SHIFT_LEAST)
		parts_change(wheel, wheel->shift - 1);
	wheel->turns = wheel->n_turned = wheel->n_far = 0;
}

void wheel_turn(struct wheel *wheel)
{
	struct heap *far = &wheel->far;
	gint64 part;

	if (G_UNLIKELY(wheel->turns >= wheel->n_parts))
		parts_look(wheel);
	if (!wheel->n_listed && !far->n)
		return;
	part = wheel->n_listed ? part_next(wheel) : heap_key(far->entry[0]) >> wheel->shift;
	part_empty(wheel, part);
	wheel->turned = part + 1;
	wheel->turns++;
	while (far->n && (heap_key(far->entry[0]) >> wheel->shift) - wheel->turned < wheel->n_parts) {
		heap_entry entry = far->entry[0];

		heap_remove(far, 0);
		wheel_push(wheel, (guint)heap_order(entry), heap_key(entry));
	}
}
