/* Part of the loop: what becomes runnable, and what is held. */
#pragma once

#include "lab/scheduling/engine_cpu.h"

static void make_runnable(struct engine *engine, guint id, enum scheduling_why why);

/* ---- Blocking ---- */

/* No longer runnable, or held: out of the sums. */
static inline void block(struct engine *engine, guint id)
{
	struct scheduling_entity *e = entity(engine, id);

	if (ops(engine)->block)
		ops(engine)->block(&engine->system, engine->cpu[e->cpu].sums, e);
	sums_leave(engine, id);
	e->flags &= ~(guint32)SCHEDULING_ON_QUEUE;
	engine->system.vms[e->vm].n_runnable--;
}

static void timer_set(struct engine *engine, guint id, gint64 earliest_ns)
{
	gint64 at = AGENDA_NEVER;

	if (ops(engine)->timer && entity(engine, id)->flags & TIMED)
		at = ops(engine)->timer(&engine->system, entity(engine, id));
	agenda_set(&engine->timers, id, at == AGENDA_NEVER ? at : MAX(at, earliest_ns));
}

static void hold(struct engine *engine, guint id)
{
	engine->runner[id].state = RUNNER_HELD;
	engine->runner[id].waits_ns = engine->system.now_ns;
	engine->runner[id].parked = (entity(engine, id)->flags & SCHEDULING_PARKED) != 0;
	timer_set(engine, id, engine->system.now_ns);
}

/* It stays held, perhaps for another reason. */
static void held_on(struct engine *engine, guint id, gint64 earliest_ns)
{
	struct runner *runner = &engine->runner[id];

	if (runner->state == RUNNER_HELD) {
		wait_note(engine, id, engine->system.now_ns);
		runner->parked = (entity(engine, id)->flags & SCHEDULING_PARKED) != 0;
	}
	timer_set(engine, id, earliest_ns);
}

static void end(struct engine *engine, guint id)
{
	engine->runner[id].state = RUNNER_ENDED;
	if (ops(engine)->retire)
		ops(engine)->retire(&engine->system, entity(engine, id));
}

/* ---- Becoming runnable ---- */

static void cpu_preempt(struct engine *engine, guint cpu)
{
	engine_settle(engine, cpu);
	requeue(engine, cpu_stop(engine, cpu));
	look_again(engine, cpu);
}

/* Where it is to be queued. */
static inline guint wake_cpu(struct engine *engine, guint id, guint idle)
{
	struct scheduling_entity *e = entity(engine, id);
	guint cpu = idle;

	if (ops(engine)->select)
		cpu = ops(engine)->select(&engine->system, e, idle);
	else if (cpu == NONE && ops(engine)->scope != SCHEDULING_PER_CPU)
		cpu = engine_victim(engine, id);
	if (cpu >= engine->system.n_cpus)
		cpu = e->cpu;
	if (G_UNLIKELY(engine->filters) && !engine_allowed(engine, id, cpu)) {
		cpu = idle != NONE ? idle : e->cpu;
		for (guint i = 0; i < engine->system.n_cpus && !engine_allowed(engine, id, cpu); i++)
			cpu = i;
	}
	return cpu;
}

static inline guint find_idle(struct engine *engine, guint id)
{
	return engine->n_idle ? engine_idle_for(engine, id) : NONE;
}

/* It has been queued, though a CPU that may run it idles: that one looks. */
static void rouse(struct engine *engine, guint id)
{
	guint idle = find_idle(engine, id);

	if (idle != NONE && (ops(engine)->scope != SCHEDULING_PER_CPU || ops(engine)->steals))
		engine_look(engine, idle);
}

/* Queued where it belongs; now the CPUs. */
static inline void wake_enqueue(struct engine *engine, guint id, guint cpu)
{
	struct scheduling_entity *e = entity(engine, id);
	guint running = engine->system.cpus[cpu].running;

	queue_push(engine, id);
	if (running == NONE)
		look_again(engine, cpu);
	else if (ops(engine)->preempt && ops(engine)->preempt(&engine->system, entity(engine, running), e) &&
		 (!engine->filters || engine_allowed(engine, id, cpu)))
		cpu_preempt(engine, cpu);
	if (engine->runner[id].state == RUNNER_QUEUED && engine->n_idle)
		rouse(engine, id);
}

static void make_runnable(struct engine *engine, guint id, enum scheduling_why why)
{
	struct scheduling_entity *e = entity(engine, id);
	struct runner *runner = &engine->runner[id];
	guint cpu = wake_cpu(engine, id, find_idle(engine, id));

	e->cpu = cpu;
	e->flags |= SCHEDULING_ON_QUEUE;
	engine->system.vms[e->vm].n_runnable++;
	cpu_settle(engine, cpu);
	sums_place(engine, id, why);
	sums_join(engine, id);
	e->sequence = ++engine->sequence;
	runner->state = RUNNER_QUEUED;
	runner->waits_ns = engine->system.now_ns;
	if (G_UNLIKELY(e->flags & SCHEDULING_HELD)) {
		block(engine, id);
		hold(engine, id);
	} else if (engine->system.cpus[cpu].running == NONE && !ops(engine)->pick && !engine->filters &&
		   !queue_length(engine->cpu[cpu].queue)) {
		cpu_start(engine, cpu, id, AGENDA_NEVER);
	} else {
		wake_enqueue(engine, id, cpu);
	}
}

/* FALSE: its program has nothing to do for now. */
static inline gboolean wake_advance(struct engine *engine, guint id)
{
	gint64 wake;

	switch (program_advance(engine, id, &wake)) {
	case OUTCOME_RUNS:
		return TRUE;
	case OUTCOME_ENDS:
		end(engine, id);
		break;
	case OUTCOME_BLOCKS:
		engine_sleep(engine, id, wake);
		break;
	case OUTCOME_RELEASED:
		engine_sleep(engine, id, engine->system.now_ns);
		break;
	}
	return FALSE;
}

static inline void engine_wake(struct engine *engine, guint id)
{
	struct runner *runner = &engine->runner[id];
	struct scheduling_entity *e = entity(engine, id);
	gint64 now = engine->system.now_ns;
	gboolean first = !runner->begun;

	if (runner->state != RUNNER_ASLEEP)
		return;
	if (first) {
		runner->begun = TRUE;
		runner->release_ns = now;
	}
	/* A barrier that opened, a sleep that ended: the next step says what there is to do. */
	e->enqueued_ns = e->release_ns = now;
	if (runner->left_ns <= 0 && !wake_advance(engine, id))
		return;
	runner->gap_ns = now;
	runner->woken = TRUE;
	if (e->flags & SCHEDULING_HELD)
		hold(engine, id);
	else
		make_runnable(engine, id, first ? SCHEDULING_NEW : SCHEDULING_WAKE);
}

/* ---- What the strategy changed on its own ---- */

/* No longer held: its wait counts up to now. */
static void release(struct engine *engine, guint id)
{
	wait_note(engine, id, engine->system.now_ns);
	make_runnable(engine, id, SCHEDULING_RELEASE);
}

static void change_make(struct engine *engine, guint id)
{
	gboolean held = entity(engine, id)->flags & SCHEDULING_HELD;
	gint64 now = engine->system.now_ns;

	switch ((enum runner_state)engine->runner[id].state) {
	case RUNNER_QUEUED:
		queue_remove(engine, id);
		if (!held) {
			queue_push(engine, id);
			return;
		}
		wait_note(engine, id, now);
		block(engine, id);
		hold(engine, id);
		return;
	case RUNNER_RUNNING:
		if (held) /* its CPU looks as soon as what is going on is done */
			agenda_set(&engine->ends, entity(engine, id)->cpu, now);
		return;
	case RUNNER_HELD:
		if (held) {
			held_on(engine, id, now);
			return;
		}
		agenda_set(&engine->timers, id, AGENDA_NEVER);
		release(engine, id);
		return;
	case RUNNER_ASLEEP:
	case RUNNER_ENDED:
		return;
	}
}

static void changes_make(struct engine *engine)
{
	struct scheduling_system *system = &engine->system;

	while (system->n_changed) {
		guint id = system->changed[--system->n_changed];

		entity(engine, id)->flags &= ~(guint32)SCHEDULING_CHANGED;
		change_make(engine, id);
	}
}
