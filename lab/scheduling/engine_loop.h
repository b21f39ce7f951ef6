/* The loop: what happens, one event after the other. Compiled for each instance, after
 *
 *	static inline const struct scheduling_strategy *ops(const struct engine *engine);
 *
 * which tells the instance's table of operations: a constant, or engine->ops. */
#pragma once

#include "lab/scheduling/engine_wake.h"

/* ---- On a CPU ---- */

/* FALSE: the vCPU has left its CPU. */
static inline gboolean step_done(struct engine *engine, guint cpu)
{
	guint id = engine->system.cpus[cpu].running;
	struct scheduling_entity *e = entity(engine, id);
	gint64 wake = AGENDA_NEVER;
	enum outcome outcome;
	gboolean released = FALSE;

	while ((outcome = program_advance(engine, id, &wake)) == OUTCOME_RELEASED) {
		e->enqueued_ns = e->release_ns = wake;
		released = TRUE;
	}
	if (outcome == OUTCOME_RUNS) {
		if (released) {
			sums_place(engine, id, SCHEDULING_JOB);
			engine->cpu[cpu].slice_end_ns = engine->system.now_ns;
		}
		return TRUE;
	}
	cpu_stop(engine, cpu);
	block(engine, id);
	if (outcome == OUTCOME_ENDS) {
		end(engine, id);
	} else {
		engine->runner[id].left_ns = 0;
		engine_sleep(engine, id, wake);
		if (G_UNLIKELY(e->flags & TIMED)) /* its time comes whether it sleeps or not */
			timer_set(engine, id, engine->system.now_ns);
	}
	if (G_UNLIKELY(engine->system.n_changed))
		changes_make(engine);
	look_again(engine, cpu);
	return FALSE;
}

/* Who of the queue is to be compared with the running one, and whether that one stays. */
struct rival {
	guint head;
	gboolean stays, displaces; /* the siblings */
};

static inline struct rival rival_of(struct engine *engine, guint cpu)
{
	guint running = engine->system.cpus[cpu].running;
	struct rival rival = { .head = NONE };

	if (ops(engine)->pick)
		return rival;
	rival.head = queue_head(engine, &engine->cpu[cpu]);
	if (rival.head != NONE && G_UNLIKELY(engine->filters)) {
		rival.displaces = !engine_may_share(engine, rival.head, cpu);
		if (!engine_allowed(engine, rival.head, cpu))
			rival.head = NONE;
	}
	if (!sibling_forced(engine, cpu))
		rival.stays = rival.head == NONE ||
			      ops(engine)->keep(&engine->system, entity(engine, running), entity(engine, rival.head));
	return rival;
}

/* Its slice is over: who goes on? */
static inline void slice_over(struct engine *engine, guint cpu, gboolean new_job)
{
	guint id = engine->system.cpus[cpu].running;
	struct rival rival = rival_of(engine, cpu);

	if (!new_job && (!rival.stays || rival.head == NONE)) {
		sums_place(engine, id, SCHEDULING_REQUEUE);
		if (G_UNLIKELY(entity(engine, id)->flags & SCHEDULING_HELD)) {
			agenda_set(&engine->ends, cpu, engine->system.now_ns);
			return;
		}
	}
	if (rival.stays) { /* chosen anew */
		engine->system.cpus[cpu].since_ns = engine->system.now_ns;
		cpu_slice_set(engine, cpu, AGENDA_NEVER);
		ends_set(engine, cpu);
		return;
	}
	cpu_stop(engine, cpu);
	entity(engine, id)->sequence = ++engine->sequence;
	requeue(engine, id);
	if (G_UNLIKELY(rival.displaces) && rival.head != NONE)
		siblings_displace(engine, cpu);
	else
		look_again(engine, cpu);
	if (engine->n_idle && engine->runner[id].state == RUNNER_QUEUED)
		rouse(engine, id);
}

/* What is touched of the one that is likely to run next. Whoever was first when nobody is: that does no harm, and asking who
 * there is would cost more. */
static inline void head_prefetch(const struct engine *engine, guint cpu)
{
	guint id = queue_id(heap_order(*line_ring(&engine->cpu[cpu].queue->ready, 0)));
	const char *e = (const char *)&engine->system.entities[id];

	__builtin_prefetch(e);
	__builtin_prefetch(e + CACHE_LINE);
	__builtin_prefetch(&engine->runner[id]);
	__builtin_prefetch(&engine->task[id]);
}

static inline void cpu_event(struct engine *engine, guint cpu)
{
	guint id = engine->system.cpus[cpu].running;
	gboolean new_job = FALSE;

	if (id == NONE) {
		agenda_set(&engine->ends, cpu, AGENDA_NEVER);
		look_again(engine, cpu);
		return;
	}
	head_prefetch(engine, cpu);
	cpu_settle(engine, cpu);
	if (engine->runner[id].left_ns <= 0) {
		gint64 release_ns = entity(engine, id)->release_ns;

		if (!step_done(engine, cpu))
			return;
		new_job = entity(engine, id)->release_ns != release_ns;
	}
	if (G_UNLIKELY(entity(engine, id)->flags & SCHEDULING_HELD)) {
		cpu_stop(engine, cpu);
		block(engine, id);
		hold(engine, id);
		look_again(engine, cpu);
		return;
	}
	if (engine->cpu[cpu].slice_end_ns <= engine->system.now_ns)
		slice_over(engine, cpu, new_job);
	else
		ends_set(engine, cpu);
}

/* ---- By time ---- */

static void timer_event(struct engine *engine, guint id)
{
	struct scheduling_entity *e = entity(engine, id);

	agenda_set(&engine->timers, id, AGENDA_NEVER);
	if (!(e->flags & TIMED)) /* it woke before */
		return;
	if (ops(engine)->expire)
		ops(engine)->expire(&engine->system, e);
	if (e->flags & TIMED)
		held_on(engine, id, engine->system.now_ns + 1);
	if (!(e->flags & SCHEDULING_HELD) && engine->runner[id].state == RUNNER_HELD)
		release(engine, id);
}

static void settle_all(struct engine *engine)
{
	for (guint i = 0; i < engine->system.n_cpus; i++)
		engine_settle(engine, i);
}

static void tick_event(struct engine *engine)
{
	engine->next_tick_ns += ops(engine)->tick_ns;
	settle_all(engine); /* a CPU's tick may look at what runs on another */
	for (guint i = 0; i < engine->system.n_cpus; i++) {
		engine->result->totals.ticks++;
		if (ops(engine)->tick)
			ops(engine)->tick(&engine->system, i);
		if (engine->system.n_changed)
			changes_make(engine);
		if (engine->system.cpus[i].running != NONE &&
		    entity(engine, engine->system.cpus[i].running)->flags & SCHEDULING_HELD)
			agenda_set(&engine->ends, i, engine->system.now_ns);
	}
}

static void balance_event(struct engine *engine)
{
	struct engine_move move;

	engine->next_balance_ns += ENGINE_BALANCE_NS;
	for (guint round = 0; round <= engine->system.n_cpus / 8 && engine_uneven(engine, &move); round++) {
		engine_settle(engine, move.from);
		engine_settle(engine, move.to);
		if (!engine_mover(engine, &move))
			return;
		queue_remove(engine, move.id);
		queue_move(engine, move.id, move.to);
		queue_push(engine, move.id);
		if (engine->system.cpus[move.to].running == NONE)
			engine_look(engine, move.to);
	}
}

static void windows_turn(struct engine *engine)
{
	engine->system.now_ns = engine->window_end_ns;
	settle_all(engine);
	engine->window_end_ns += engine->result->window_ns;
	engine->window += engine->system.n_entities;
}

/* ---- The loop ---- */

/* What is next, and when. At equal times in this order. */
enum event { EVENT_CPU, EVENT_TIMER, EVENT_WAKE, EVENT_TICK, EVENT_BALANCE };

static inline enum event event_next(struct engine *engine, gint64 *at_ns)
{
	gint64 end = agenda_next(&engine->ends), timer = agenda_next(&engine->timers);
	gint64 wake = wheel_next(&engine->wakes, AGENDA_NEVER);
	gint64 due = MIN(engine->next_tick_ns, engine->next_balance_ns);
	gint64 next = MIN(MIN(end, timer), MIN(wake, due));

	*at_ns = next;
	if (next == end)
		return EVENT_CPU;
	if (next == wake && next != timer)
		return EVENT_WAKE;
	if (next == timer)
		return EVENT_TIMER;
	return next == engine->next_tick_ns ? EVENT_TICK : EVENT_BALANCE;
}

static inline void event_make(struct engine *engine, enum event event)
{
	switch (event) {
	case EVENT_CPU:
		cpu_event(engine, agenda_slot(&engine->ends));
		break;
	case EVENT_TIMER:
		timer_event(engine, agenda_slot(&engine->timers));
		break;
	case EVENT_WAKE:
		engine_wake(engine, wheel_pop(&engine->wakes));
		break;
	case EVENT_TICK:
		tick_event(engine);
		break;
	case EVENT_BALANCE:
		balance_event(engine);
		break;
	}
	if (G_UNLIKELY(engine->system.n_changed))
		changes_make(engine);
}

static inline gboolean event_counts(const struct engine *engine, gint64 at_ns)
{
	return at_ns <= engine->horizon_ns ||
	       (engine->setup->one_past && at_ns != AGENDA_NEVER &&
		(engine->system.now_ns <= engine->horizon_ns || at_ns == engine->system.now_ns));
}

static void loop(struct engine *engine)
{
	engine->settle = engine_settle;
	for (;;) {
		gint64 at;
		enum event event = event_next(engine, &at);

		if (!event_counts(engine, at))
			break;
		if (G_UNLIKELY(engine->window && at >= engine->window_end_ns)) {
			windows_turn(engine);
			continue;
		}
		engine->system.now_ns = at;
		engine->result->totals.events++;
		event_make(engine, event);
	}
	while (engine->window && engine->window_end_ns < engine->horizon_ns)
		windows_turn(engine);
	engine->system.now_ns = engine->horizon_ns;
	settle_all(engine);
}
