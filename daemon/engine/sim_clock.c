#include "daemon/engine/sim_clock.h"

struct sim_clock {
	GSource *source;
	GPtrArray *heap; /* of struct sim_alarm, borrowed; the earliest first */
	void (*ring)(struct sim_alarm *alarm);
};

struct clock_source {
	GSource source;
	struct sim_clock *clock;
};

static struct sim_alarm *at(struct sim_clock *clock, guint index)
{
	return g_ptr_array_index(clock->heap, index);
}

static void put(struct sim_clock *clock, guint index, struct sim_alarm *alarm)
{
	g_ptr_array_index(clock->heap, index) = alarm;
	alarm->slot = index + 1;
}

static void sift_up(struct sim_clock *clock, guint index)
{
	struct sim_alarm *alarm = at(clock, index);
	while (index > 0 && at(clock, (index - 1) / 2)->due_us > alarm->due_us) {
		put(clock, index, at(clock, (index - 1) / 2));
		index = (index - 1) / 2;
	}
	put(clock, index, alarm);
}

static void sift_down(struct sim_clock *clock, guint index)
{
	struct sim_alarm *alarm = at(clock, index);
	for (;;) {
		guint child = 2 * index + 1;
		if (child >= clock->heap->len)
			break;
		if (child + 1 < clock->heap->len && at(clock, child + 1)->due_us < at(clock, child)->due_us)
			child++;
		if (at(clock, child)->due_us >= alarm->due_us)
			break;
		put(clock, index, at(clock, child));
		index = child;
	}
	put(clock, index, alarm);
}

static void arm(struct sim_clock *clock)
{
	g_source_set_ready_time(clock->source, clock->heap->len ? at(clock, 0)->due_us : -1);
}

static gboolean dispatch(GSource *source, GSourceFunc callback, gpointer user_data)
{
	struct sim_clock *clock = ((struct clock_source *)source)->clock;
	gint64 now = g_get_monotonic_time();
	for (guint i = 0; i < SIM_CLOCK_BATCH && clock->heap->len && at(clock, 0)->due_us <= now; i++) {
		struct sim_alarm *alarm = at(clock, 0);
		sim_clock_cancel(clock, alarm);
		clock->ring(alarm);
	}
	arm(clock);
	return G_SOURCE_CONTINUE;
}

struct sim_clock *sim_clock_new(void (*ring)(struct sim_alarm *alarm))
{
	static GSourceFuncs functions = { .dispatch = dispatch };
	struct sim_clock *clock = g_new0(struct sim_clock, 1);
	clock->heap = g_ptr_array_new();
	clock->ring = ring;
	clock->source = g_source_new(&functions, sizeof(struct clock_source));
	((struct clock_source *)clock->source)->clock = clock;
	arm(clock);
	g_source_attach(clock->source, NULL);
	return clock;
}

void sim_clock_free(struct sim_clock *clock)
{
	g_source_destroy(clock->source);
	g_source_unref(clock->source);
	g_ptr_array_unref(clock->heap);
	g_free(clock);
}

void sim_clock_set(struct sim_clock *clock, struct sim_alarm *alarm, gint64 due_us)
{
	if (alarm->slot == 0) {
		g_ptr_array_add(clock->heap, alarm);
		alarm->slot = clock->heap->len;
	}
	alarm->due_us = due_us;
	sift_up(clock, alarm->slot - 1);
	sift_down(clock, alarm->slot - 1);
	arm(clock);
}

void sim_clock_cancel(struct sim_clock *clock, struct sim_alarm *alarm)
{
	if (alarm->slot == 0)
		return;
	guint index = alarm->slot - 1;
	struct sim_alarm *last = at(clock, clock->heap->len - 1);
	g_ptr_array_set_size(clock->heap, clock->heap->len - 1);
	alarm->slot = 0;
	if (last != alarm) {
		put(clock, index, last);
		sift_up(clock, last->slot - 1);
		sift_down(clock, last->slot - 1);
	}
	arm(clock);
}
