/* Part of the loop: what a CPU runs. */
#pragma once

#include "lab/scheduling/engine_queue.h"

static void changes_make(struct engine *engine);
static void engine_look(struct engine *engine, guint cpu);

/* ---- Time that passed ---- */

/* Whoever runs there is charged up to now. */
static G_ALWAYS_INLINE inline void cpu_settle(struct engine *engine, guint cpu)
{
	struct scheduling_cpu *c = &engine->system.cpus[cpu];
	gint64 now = engine->system.now_ns, delta;
	guint id = c->running;
	struct scheduling_entity *e;
	struct runner *runner;

	if (id == NONE)
		return;
	e = entity(engine, id);
	runner = &engine->runner[id];
	delta = now - engine->cpu[cpu].charged_ns;
	if (delta <= 0)
		return;
	engine->cpu[cpu].charged_ns = now;
	runner->left_ns -= delta;
	engine->task[id].run_ns += delta;
	if (runner->activity == RUNNER_SPINS)
		engine->task[id].spin_ns += delta;
	if (engine->window)
		engine->window[id] += delta;
	ops(engine)->charge(&engine->system, engine->cpu[cpu].sums, e, delta);
	if (G_UNLIKELY(e->flags & SCHEDULING_HELD)) /* it is looked at as soon as what is going on is done */
		agenda_set(&engine->ends, cpu, now);
}

static void engine_settle(struct engine *engine, guint cpu)
{
	cpu_settle(engine, cpu);
}

/* ---- Running ---- */

static inline void ends_set(struct engine *engine, guint cpu)
{
	const struct runner *runner = &engine->runner[engine->system.cpus[cpu].running];
	gint64 now = engine->system.now_ns, end = engine->cpu[cpu].slice_end_ns;

	if (runner->left_ns < end - now)
		end = now + runner->left_ns;
	agenda_set(&engine->ends, cpu, MAX(end, now));
}

static inline void cpu_slice_set(struct engine *engine, guint cpu, gint64 until_ns)
{
	const struct scheduling_entity *e = entity(engine, engine->system.cpus[cpu].running);
	gint64 now = engine->system.now_ns, slice = ops(engine)->slice(&engine->system, e);

	/* One that is out of budget runs for an instant, and its charge says so. */
	slice = MAX(slice, 1);
	slice = MIN(slice, SPIN_NS - now);
	engine->cpu[cpu].slice_end_ns = MIN(now + slice, MAX(until_ns, now + 1));
}

/* It runs at last. */
static inline void start_note(struct engine *engine, guint id)
{
	struct engine_totals *totals = &engine->result->totals;
	struct runner *runner = &engine->runner[id];
	const struct scheduling_entity *e = entity(engine, id);
	gint64 now = engine->system.now_ns, gap = now - runner->gap_ns;

	if (gap > engine->task[id].max_gap_ns)
		engine->task[id].max_gap_ns = gap;
	wait_note(engine, id, now);
	if (!runner->woken)
		return;
	runner->woken = FALSE;
	engine->task[id].wakeups++;
	histogram_add(&totals->wakeup, gap);
	if (!e->latency_ns)
		return;
	histogram_add(&totals->wakeup_class, gap);
	histogram_add(&totals->wakeup_ratio, gap > G_MAXINT64 / 1000 ? G_MAXINT64 : gap * 1000 / e->latency_ns);
}

/* What switching to it and moving it costs. */
static inline void cost_add(struct engine *engine, guint id, guint cpu)
{
	const struct topology *topology = &engine->workload->topology;
	const struct scheduling_cpu *cpus = engine->system.cpus;
	struct runner *runner = &engine->runner[id];
	guint last = runner->last_cpu;
	gint64 cost = 0;

	if (engine->cpu[cpu].last != id) {
		engine->result->totals.switches++;
		cost += topology->switch_ns;
	}
	if (last != NONE && last != cpu) {
		engine->result->totals.migrations++;
		if (cpus[last].llc != cpus[cpu].llc)
			cost += topology->migrate_llc_ns;
		else if (cpus[last].core != cpus[cpu].core)
			cost += topology->migrate_ns;
	}
	engine->task[id].overhead_ns += cost;
	runner->left_ns += cost;
	runner->last_cpu = cpu;
	engine->cpu[cpu].last = id;
}

static void forced_end(struct engine *engine, guint cpu)
{
	engine->result->totals.idle_forced_ns += engine->system.now_ns - engine->cpu[cpu].forced_ns;
	engine->cpu[cpu].forced_ns = -1;
	engine->n_forced--;
}

/* It is in no queue, and has joined this CPU's sums. */
static inline void cpu_start(struct engine *engine, guint cpu, guint id, gint64 until_ns)
{
	struct scheduling_cpu *c = &engine->system.cpus[cpu];
	struct scheduling_entity *e = entity(engine, id);
	struct runner *runner = &engine->runner[id];

	start_note(engine, id);
	if (G_UNLIKELY(engine->cpu[cpu].forced_ns >= 0))
		forced_end(engine, cpu);
	if (engine->n_idle && bit_of(engine->idle, cpu)) {
		bit_clear(engine->idle, cpu);
		engine->n_idle--;
	}
	e->cpu = cpu;
	e->flags |= SCHEDULING_RUNNING;
	runner->state = RUNNER_RUNNING;
	c->running = id;
	c->since_ns = engine->cpu[cpu].charged_ns = engine->system.now_ns;
	if (runner->activity >= RUNNER_SPINS)
		program_resume(engine, id);
	cost_add(engine, id, cpu);
	cpu_slice_set(engine, cpu, until_ns);
	ends_set(engine, cpu);
	if (engine->threads > 1)
		engine_core_note(engine, cpu);
	if (engine->setup->observer)
		engine->setup->observer(engine->setup->user_data, engine->system.now_ns, cpu, id);
}

/* The CPU runs nothing for this moment; what ran is charged. Idle is set by cpu_look(). */
static inline guint cpu_stop(struct engine *engine, guint cpu)
{
	struct scheduling_cpu *c = &engine->system.cpus[cpu];
	guint id = c->running;
	struct runner *runner = &engine->runner[id];

	c->running = NONE;
	entity(engine, id)->flags &= ~(guint32)SCHEDULING_RUNNING;
	runner->waits_ns = runner->gap_ns = engine->system.now_ns;
	runner->state = RUNNER_ASLEEP;
	return id;
}

/* Back into its queue. */
static inline void requeue(struct engine *engine, guint id)
{
	engine->runner[id].state = RUNNER_QUEUED;
	queue_push(engine, id);
}

/* ---- Looking for work ---- */

static void cpu_rest(struct engine *engine, guint cpu, gint64 until_ns)
{
	if (!bit_of(engine->idle, cpu)) {
		bit_set(engine->idle, cpu);
		engine->n_idle++;
		if (engine->setup->observer)
			engine->setup->observer(engine->setup->user_data, engine->system.now_ns, cpu, NONE);
		if (engine->threads > 1)
			engine_core_note(engine, cpu);
	}
	if (engine->filters && engine->cpu[cpu].forced_ns < 0 && queue_length(engine->cpu[cpu].queue) &&
	    engine->setup->sharing != SCHEDULING_SHARE_ANY) {
		engine->cpu[cpu].forced_ns = engine->system.now_ns;
		engine->n_forced++;
	}
	agenda_set(&engine->ends, cpu, until_ns > engine->system.now_ns ? until_ns : AGENDA_NEVER);
}

/* By plan: TRUE when that settled what the CPU does. */
static gboolean look_plan(struct engine *engine, guint cpu, gint64 *until_ns)
{
	guint id = ops(engine)->pick(&engine->system, cpu, until_ns);

	if (id != NONE && engine->runner[id].state == RUNNER_QUEUED && engine_usable(engine, id, cpu)) {
		queue_remove(engine, id);
		queue_move(engine, id, cpu);
		cpu_start(engine, cpu, id, *until_ns);
		return TRUE;
	}
	if (ops(engine)->work_conserving)
		return FALSE;
	cpu_rest(engine, cpu, *until_ns);
	return TRUE;
}

/* From the queue of another cache, and moved; or NONE. */
static guint steal_cache(struct engine *engine, guint cpu)
{
	guint from = engine_fullest(engine, engine->system.cpus[cpu].queue, 0, engine->system.n_queues);
	guint any = NONE, id;

	if (from == NONE)
		return NONE;
	for (guint i = 0; i < engine->system.n_cpus; i++)
		if (engine->system.cpus[i].queue == from) {
			engine_settle(engine, i);
			any = i;
		}
	id = queue_take_any(engine, &engine->cpu[any], cpu);
	if (id != NONE)
		queue_move(engine, id, cpu);
	return id;
}

/* From another's queue, nearest first, and moved; or NONE. */
static guint steal(struct engine *engine, guint cpu)
{
	guint n = engine->system.n_cpus;

	if (!engine->n_queued)
		return NONE;
	if (ops(engine)->scope != SCHEDULING_PER_CPU)
		return steal_cache(engine, cpu);
	for (guint span = engine->llc_cpus;; span = span < engine->node_cpus ? engine->node_cpus : n) {
		guint first = cpu / span * span, from = engine_fullest(engine, cpu, first, MIN(first + span, n));
		guint id = NONE;

		if (from != NONE) {
			engine_settle(engine, from);
			id = queue_take_any(engine, &engine->cpu[from], cpu);
		}
		if (id != NONE)
			queue_move(engine, id, cpu);
		if (id != NONE || span >= n)
			return id;
	}
}

static G_ALWAYS_INLINE inline void cpu_look(struct engine *engine, guint cpu)
{
	gint64 until = AGENDA_NEVER;
	struct engine_cpu *c = &engine->cpu[cpu];
	guint id;

	if (G_UNLIKELY(engine->system.n_changed))
		changes_make(engine);
	if (engine->system.cpus[cpu].running != NONE)
		return;
	if (ops(engine)->pick && look_plan(engine, cpu, &until))
		return;
	if (G_UNLIKELY(engine->filters)) {
		id = queue_take_for(engine, c, cpu);
	} else {
		id = queue_head(engine, c);
		if (id != NONE)
			queue_pop(engine, c);
	}
	if (id == NONE && ops(engine)->steals)
		id = steal(engine, cpu);
	if (id == NONE)
		cpu_rest(engine, cpu, until);
	else
		cpu_start(engine, cpu, id, until);
}

static void engine_look(struct engine *engine, guint cpu)
{
	cpu_look(engine, cpu);
}

/* ---- Siblings under core scheduling ---- */

/* Those that it keeps idle have their turn when this CPU's slice is over: so none starves. */
static void siblings_look(struct engine *engine, guint cpu)
{
	guint first = cpu / engine->threads * engine->threads;

	for (guint i = first; i < first + engine->threads && i < engine->system.n_cpus; i++)
		if (i != cpu && engine->cpu[i].forced_ns >= 0 && engine->system.cpus[i].running == NONE)
			engine_look(engine, i);
}

static gboolean sibling_forced(const struct engine *engine, guint cpu)
{
	guint first = cpu / engine->threads * engine->threads;

	for (guint i = first; engine->n_forced && i < first + engine->threads && i < engine->system.n_cpus; i++)
		if (i != cpu && engine->cpu[i].forced_ns >= 0)
			return TRUE;
	return FALSE;
}

/* The siblings give way to one that may not share the core with what they run. */
static void siblings_displace(struct engine *engine, guint cpu)
{
	guint first = cpu / engine->threads * engine->threads;

	for (guint i = first; i < first + engine->threads && i < engine->system.n_cpus; i++)
		if (i != cpu && engine->system.cpus[i].running != NONE) {
			engine_settle(engine, i);
			requeue(engine, cpu_stop(engine, i));
		}
	engine_look(engine, cpu);
	for (guint i = first; i < first + engine->threads && i < engine->system.n_cpus; i++)
		if (i != cpu)
			engine_look(engine, i);
}

static G_ALWAYS_INLINE inline void look_again(struct engine *engine, guint cpu)
{
	if (G_UNLIKELY(engine->n_forced))
		siblings_look(engine, cpu);
	cpu_look(engine, cpu);
	if (G_UNLIKELY(engine->n_forced))
		siblings_look(engine, cpu);
}
