/* What the simulator keeps in order, the waiting line with its heap, the agenda and the sleepers, against arrays that are searched. */
#include <glib.h>

#include "lab/scheduling/agenda.h"
#include "lab/scheduling/line.h"
#include "lab/scheduling/wheel.h"

#define MOST  300
#define STEPS 20000

static guint32 seed;

/* The first of n entries by key (compared by difference) and order. */
static guint naive_first(const heap_entry *entry, guint n)
{
	guint first = 0;

	for (guint i = 1; i < n; i++) {
		gint64 ahead = (gint64)((guint64)heap_key(entry[i]) - (guint64)heap_key(entry[first]));

		if (ahead < 0 || (ahead == 0 && heap_order(entry[i]) < heap_order(entry[first])))
			first = i;
	}
	return first;
}

static void naive_drop(heap_entry *entry, guint *n, guint i)
{
	entry[i] = entry[--*n];
}

/* Any of it goes, as when it moves to another queue. */
static void line_drop_any(struct line *line, heap_entry *entry, guint *n, GRand *random)
{
	guint which = (guint)g_rand_int_range(random, 0, (gint32)*n);
	heap_entry goes = line_at(line, which);

	line_remove(line, which);
	for (guint i = 0; i < *n; i++)
		if (entry[i] == goes) {
			naive_drop(entry, n, i);
			return;
		}
	g_assert_not_reached();
}

/* It grows to hundreds and empties again, around keys that wrap; many keys are equal. */
static void waiting_line(void)
{
	g_autoptr(GRand) random = g_rand_new_with_seed(seed);
	struct line line = { 0 };
	heap_entry entry[MOST];
	guint n = 0;
	guint64 order = 0;

	for (guint step = 0; step < STEPS; step++) {
		gboolean grows = step / 1000 % 2 == 0;
		gint32 chance = g_rand_int_range(random, 0, 100);

		if (n < MOST && chance < (grows ? 60 : 30)) {
			guint64 key = (guint64)G_MAXINT64 - 20 + (guint64)g_rand_int_range(random, 0, 40) + step / 100;

			entry[n] = heap_entry_of((gint64)key, order++);
			line_push(&line, entry[n++]);
		} else if (n && chance < 95) {
			guint first = naive_first(entry, n);

			g_assert_true(*line_ring(&line, 0) == entry[first]);
			g_assert_true(line_at(&line, 0) == entry[first]);
			line_pop(&line);
			naive_drop(entry, &n, first);
		} else if (n) {
			line_drop_any(&line, entry, &n, random);
		}
		g_assert_cmpuint(line_length(&line), ==, n);
	}
	g_free(line.rest.entry);
}

static void agenda(void)
{
	g_autoptr(GRand) random = g_rand_new_with_seed(seed);

	for (guint n = 1; n < 200; n += 33) {
		struct agenda agenda;
		gint64 time[200];

		agenda_init(&agenda, n);
		for (guint i = 0; i < n; i++)
			time[i] = AGENDA_NEVER;
		for (guint step = 0; step < STEPS / 10; step++) {
			guint slot = (guint)g_rand_int_range(random, 0, (gint32)n), first = 0;

			time[slot] = g_rand_int_range(random, 0, 4) ? g_rand_int_range(random, 0, 50) : AGENDA_NEVER;
			agenda_set(&agenda, slot, time[slot]);
			for (guint i = 1; i < n; i++)
				if (time[i] < time[first])
					first = i;
			g_assert_cmpint(agenda_next(&agenda), ==, time[first]);
			if (time[first] != AGENDA_NEVER)
				g_assert_cmpuint(agenda_slot(&agenda), ==, first);
		}
		agenda_clear(&agenda);
	}
}

static guint earliest(const gint64 *time, guint n)
{
	guint first = 0;

	for (guint i = 1; i < n; i++)
		if (time[i] < time[first])
			first = i;
	return first;
}

/* Sleeps of the length `most` says, which changes now and then, so that parts get longer and shorter; now and then one at
 * once, or nobody sleeps at all. */
static void wheel_round(GRand *random, guint n)
{
	g_autofree gint64 *time = g_new(gint64, n);
	struct wheel wheel;
	gint64 now = 0, most = 1000;

	wheel_init(&wheel, n);
	for (guint i = 0; i < n; i++)
		time[i] = G_MAXINT64;
	for (guint step = 0; step < 20000; step++) {
		guint id = (guint)g_rand_int_range(random, 0, (gint32)n), first = earliest(time, n);

		g_assert_cmpint(wheel_next(&wheel, G_MAXINT64), ==, time[first]);
		if (step % 4000 == 0)
			most = G_GINT64_CONSTANT(1) << g_rand_int_range(random, 4, 45);
		if (time[id] == G_MAXINT64 && step % 1000 < 900) {
			time[id] = now + (step % 5 ? (gint64)(g_rand_double(random) * (double)most) : 0);
			wheel_push(&wheel, id, time[id]);
		} else if (time[first] != G_MAXINT64) {
			now = time[first];
			g_assert_cmpuint(wheel_pop(&wheel), ==, first);
			time[first] = G_MAXINT64;
		}
	}
	wheel_clear(&wheel);
}

static void wheel(void)
{
	g_autoptr(GRand) random = g_rand_new_with_seed(seed);

	for (guint round = 0; round < 8; round++)
		wheel_round(random, (guint)g_rand_int_range(random, 1, 400));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	seed = (guint32)g_test_rand_int();
	g_test_message("seed %u", seed);
	g_test_add_func("/scheduling/order/line", waiting_line);
	g_test_add_func("/scheduling/order/agenda", agenda);
	g_test_add_func("/scheduling/order/wheel", wheel);
	return g_test_run();
}
