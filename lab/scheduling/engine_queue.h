/* Part of the loop: queues of runnable vCPUs, and their sums. `ops(engine)` is the instance's. */
#pragma once

#include "lab/scheduling/engine_private.h"

/* ---- Sums ---- */

static inline void sums_join(struct engine *engine, guint id)
{
	struct scheduling_entity *e = entity(engine, id);
	struct engine_cpu *cpu = &engine->cpu[e->cpu];

	if (ops(engine)->join)
		ops(engine)->join(&engine->system, cpu->sums, e);
	cpu->sums->n++;
	engine->load[cpu->queue_index] += e->weight;
}

static inline void sums_leave(struct engine *engine, guint id)
{
	struct scheduling_entity *e = entity(engine, id);
	struct engine_cpu *cpu = &engine->cpu[e->cpu];

	if (ops(engine)->leave)
		ops(engine)->leave(&engine->system, cpu->sums, e);
	cpu->sums->n--;
	engine->load[cpu->queue_index] -= e->weight;
}

static inline void sums_place(struct engine *engine, guint id, enum scheduling_why why)
{
	struct scheduling_entity *e = entity(engine, id);

	if (ops(engine)->place)
		ops(engine)->place(&engine->system, engine->cpu[e->cpu].sums, e, why);
}

/* ---- Order ---- */

/* Its time has come by the queue's clock. */
static inline gboolean queue_eligible(const struct scheduling_queue *sums, gint64 eligible)
{
	return !scheduling_before(sums->virtual_time, eligible);
}

static inline void queue_push(struct engine *engine, guint id)
{
	struct scheduling_entity *e = entity(engine, id);
	struct engine_cpu *cpu = &engine->cpu[e->cpu];
	guint64 order = e->sequence << QUEUE_ID_BITS | id;

	engine->n_queued++;
	bit_set(engine->waiting, cpu->queue_index);
	if (ops(engine)->eligibility && !queue_eligible(cpu->sums, e->eligible)) {
		line_push(&cpu->queue->future, heap_entry_of(e->eligible, order));
	} else {
		line_push(&cpu->queue->ready, heap_entry_of(ops(engine)->key(&engine->system, e), order));
	}
}

/* From one line into the other what belongs there by now. */
static inline void queue_sort_out(struct engine *engine, const struct engine_cpu *cpu)
{
	struct line *ready = &cpu->queue->ready, *future = &cpu->queue->future;

	while (future->n && queue_eligible(cpu->sums, heap_key(*line_ring(future, 0)))) {
		guint64 order = heap_order(*line_ring(future, 0));

		line_pop(future);
		line_push(ready,
			  heap_entry_of(ops(engine)->key(&engine->system, entity(engine, queue_id(order))), order));
	}
	while (ready->n) {
		guint64 order = heap_order(*line_ring(ready, 0));
		const struct scheduling_entity *e = entity(engine, queue_id(order));

		if (queue_eligible(cpu->sums, e->eligible))
			break;
		line_pop(ready);
		line_push(future, heap_entry_of(e->eligible, order));
	}
}

/* Or NONE: nothing there that may run. */
static inline guint queue_head(struct engine *engine, const struct engine_cpu *cpu)
{
	struct line *ready = &cpu->queue->ready;

	if (ops(engine)->eligibility)
		queue_sort_out(engine, cpu);
	return ready->n ? queue_id(heap_order(*line_ring(ready, 0))) : NONE;
}

static inline void queue_shrunk(struct engine *engine, const struct engine_cpu *cpu)
{
	engine->n_queued--;
	if (!queue_length(cpu->queue))
		bit_clear(engine->waiting, cpu->queue_index);
}

/* The head that queue_head() told. */
static inline void queue_pop(struct engine *engine, const struct engine_cpu *cpu)
{
	line_pop(&cpu->queue->ready);
	queue_shrunk(engine, cpu);
}

static gboolean line_drop(struct line *line, guint id)
{
	for (guint i = 0; i < line_length(line); i++)
		if (queue_id(heap_order(line_at(line, i))) == id) {
			line_remove(line, i);
			return TRUE;
		}
	return FALSE;
}

static void queue_remove(struct engine *engine, guint id)
{
	struct engine_cpu *cpu = &engine->cpu[entity(engine, id)->cpu];
	gboolean there = line_drop(&cpu->queue->ready, id) || line_drop(&cpu->queue->future, id);

	g_assert(there);
	queue_shrunk(engine, cpu);
}

/* The best of the queue that may run on `cpu` now, taken out; or NONE. */
static guint queue_take_for(struct engine *engine, const struct engine_cpu *from, guint cpu)
{
	heap_entry best = 0;
	struct line *ready = &from->queue->ready;
	guint id = queue_head(engine, from); /* sorts out first */

	if (id == NONE)
		return NONE;
	if (engine_usable(engine, id, cpu)) {
		queue_pop(engine, from);
		return id;
	}
	id = NONE;
	for (guint i = 0; i < line_length(ready); i++) {
		heap_entry entry = line_at(ready, i);
		guint other = queue_id(heap_order(entry));

		if ((id == NONE || heap_before(entry, best)) && engine_usable(engine, other, cpu)) {
			best = entry;
			id = other;
		}
	}
	if (id != NONE)
		queue_remove(engine, id);
	return id;
}

/* The one with the least key, whether its time has come or not, that may run on `cpu`, taken out; or NONE. */
static guint queue_take_any(struct engine *engine, const struct engine_cpu *from, guint cpu)
{
	struct line *lines[] = { &from->queue->ready, &from->queue->future };
	heap_entry best = 0;
	guint id = NONE;

	if (!ops(engine)->eligibility)
		return queue_take_for(engine, from, cpu);
	for (guint l = 0; l < G_N_ELEMENTS(lines); l++)
		for (guint i = 0; i < line_length(lines[l]); i++) {
			guint64 order = heap_order(line_at(lines[l], i));
			guint other = queue_id(order);
			heap_entry entry =
				heap_entry_of(ops(engine)->key(&engine->system, entity(engine, other)), order);

			if ((id == NONE || heap_before(entry, best)) && engine_usable(engine, other, cpu)) {
				best = entry;
				id = other;
			}
		}
	if (id != NONE)
		queue_remove(engine, id);
	return id;
}

/* One that was queued and has been taken out: to that CPU, and its queue's sums. */
static void queue_move(struct engine *engine, guint id, guint cpu)
{
	struct scheduling_entity *e = entity(engine, id);

	if (engine->cpu[e->cpu].queue == engine->cpu[cpu].queue) {
		e->cpu = cpu;
		return;
	}
	sums_leave(engine, id);
	e->cpu = cpu;
	sums_place(engine, id, SCHEDULING_MIGRATE);
	sums_join(engine, id);
	e->sequence = ++engine->sequence;
}
