#include "lab/scheduling/engine_private.h"

#include <string.h>

static gboolean is_idle(const struct engine *engine, guint cpu)
{
	return engine->idle[cpu / 64] >> cpu % 64 & 1;
}

/* ---- What is added up ---- */

/* A core's time up to now, and what it does from now on. */
static void core_note(struct engine *engine, guint cpu)
{
	guint first = cpu / engine->threads * engine->threads, seen = NONE;
	struct engine_core *core = &engine->core[first / engine->threads];
	gint64 now = engine->system.now_ns;

	if (core->mixed)
		engine->result->totals.cross_tenant_ns += now - core->since_ns;
	core->since_ns = now;
	core->mixed = FALSE;
	for (guint i = first; i < first + engine->threads && i < engine->system.n_cpus; i++) {
		guint id = engine->system.cpus[i].running;

		if (id == NONE)
			continue;
		if (seen != NONE && entity(engine, id)->cookie != entity(engine, seen)->cookie)
			core->mixed = TRUE;
		seen = id;
	}
}

static void wait_note(struct engine *engine, guint id, gint64 until_ns)
{
	struct runner *runner = &engine->runner[id];
	struct engine_task *told = &engine->task[id];
	gint64 waited = until_ns - runner->waits_ns;

	if (runner->state == RUNNER_QUEUED)
		told->ready_ns += waited;
	else if (runner->parked)
		told->parked_ns += waited;
	else
		told->throttled_ns += waited;
	runner->waits_ns = until_ns;
}

/* It runs at last. */
static void start_note(struct engine *engine, guint id)
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

/* ---- Queues' sums ---- */

static void join(struct engine *engine, guint id)
{
	struct scheduling_entity *e = entity(engine, id);
	struct scheduling_queue *sums = engine->cpu[e->cpu].sums;

	if (engine->ops->join)
		engine->ops->join(&engine->system, sums, e);
	sums->n++;
	engine->load[sums - engine->system.queues] += e->weight;
}

static void leave(struct engine *engine, guint id)
{
	struct scheduling_entity *e = entity(engine, id);
	struct scheduling_queue *sums = engine->cpu[e->cpu].sums;

	if (engine->ops->leave)
		engine->ops->leave(&engine->system, sums, e);
	sums->n--;
	engine->load[sums - engine->system.queues] -= e->weight;
}

static void place(struct engine *engine, guint id, enum scheduling_why why)
{
	struct scheduling_entity *e = entity(engine, id);

	if (engine->ops->place)
		engine->ops->place(&engine->system, engine->cpu[e->cpu].sums, e, why);
}

void engine_move(struct engine *engine, guint id, guint cpu)
{
	struct scheduling_entity *e = entity(engine, id);

	if (engine->cpu[e->cpu].queue == engine->cpu[cpu].queue) {
		e->cpu = cpu;
		return;
	}
	leave(engine, id);
	e->cpu = cpu;
	place(engine, id, SCHEDULING_MIGRATE);
	join(engine, id);
	e->sequence = ++engine->sequence;
}

void engine_push(struct engine *engine, guint id)
{
	queue_push(engine, engine->cpu[entity(engine, id)->cpu].queue, id);
}

/* ---- Running ---- */

void engine_settle(struct engine *engine, guint cpu)
{
	struct scheduling_cpu *c = &engine->system.cpus[cpu];
	gint64 now = engine->system.now_ns, delta;
	struct scheduling_entity *e;
	struct runner *runner;

	if (c->running == NONE)
		return;
	delta = now - engine->cpu[cpu].charged_ns;
	if (delta <= 0)
		return;
	e = entity(engine, c->running);
	runner = &engine->runner[c->running];
	engine->cpu[cpu].charged_ns = now;
	runner->left_ns -= delta;
	engine->task[e->id].run_ns += delta;
	if (runner->spins)
		engine->task[e->id].spin_ns += delta;
	if (engine->window)
		engine->window[e->id] += delta;
	engine->ops->charge(&engine->system, engine->cpu[cpu].sums, e, delta);
	if (G_UNLIKELY(e->flags & SCHEDULING_HELD)) /* it is looked at as soon as what is going on is done */
		agenda_set(&engine->ends, cpu, now);
}

static void ends_set(struct engine *engine, guint cpu)
{
	const struct runner *runner = &engine->runner[engine->system.cpus[cpu].running];
	gint64 now = engine->system.now_ns, end = engine->cpu[cpu].slice_end_ns;

	if (runner->left_ns < end - now)
		end = now + runner->left_ns;
	agenda_set(&engine->ends, cpu, MAX(end, now));
}

static void slice_set(struct engine *engine, guint cpu, gint64 until_ns)
{
	const struct scheduling_entity *e = entity(engine, engine->system.cpus[cpu].running);
	gint64 now = engine->system.now_ns, slice = engine->ops->slice(&engine->system, e);

	/* One that is out of budget runs for an instant, and its charge says so. */
	slice = MAX(slice, 1);
	slice = MIN(slice, SPIN_NS - now);
	engine->cpu[cpu].slice_end_ns = MIN(now + slice, MAX(until_ns, now + 1));
}

static void cost_add(struct engine *engine, guint id, guint cpu)
{
	const struct topology *topology = &engine->workload->topology;
	struct runner *runner = &engine->runner[id];
	gint64 cost = 0;

	if (engine->cpu[cpu].last != id) {
		engine->result->totals.switches++;
		cost += topology->switch_ns;
	}
	if (runner->last_cpu != NONE && runner->last_cpu != cpu) {
		engine->result->totals.migrations++;
		if (runner->last_cpu / engine->llc_cpus != cpu / engine->llc_cpus)
			cost += topology->migrate_llc_ns;
		else if (runner->last_cpu / engine->threads != cpu / engine->threads)
			cost += topology->migrate_ns;
	}
	if (cost) {
		engine->task[id].overhead_ns += cost;
		runner->left_ns += cost;
	}
	runner->last_cpu = cpu;
	engine->cpu[cpu].last = id;
}

/* It is in no queue, and has joined this CPU's sums. */
static void start(struct engine *engine, guint cpu, guint id, gint64 until_ns)
{
	struct scheduling_cpu *c = &engine->system.cpus[cpu];
	struct scheduling_entity *e = entity(engine, id);
	struct runner *runner = &engine->runner[id];

	start_note(engine, id);
	if (engine->cpu[cpu].forced_ns >= 0) {
		engine->result->totals.idle_forced_ns += engine->system.now_ns - engine->cpu[cpu].forced_ns;
		engine->cpu[cpu].forced_ns = -1;
		engine->n_forced--;
	}
	if (is_idle(engine, cpu)) {
		engine->idle[cpu / 64] &= ~(G_GUINT64_CONSTANT(1) << cpu % 64);
		engine->n_idle--;
	}
	e->cpu = cpu;
	e->flags |= SCHEDULING_RUNNING;
	runner->state = RUNNER_RUNNING;
	c->running = id;
	c->since_ns = engine->cpu[cpu].charged_ns = engine->system.now_ns;
	if (runner->spins || runner->dodges)
		program_resume(engine, id);
	cost_add(engine, id, cpu);
	slice_set(engine, cpu, until_ns);
	ends_set(engine, cpu);
	if (engine->threads > 1)
		core_note(engine, cpu);
	if (engine->setup->observer)
		engine->setup->observer(engine->setup->user_data, engine->system.now_ns, cpu, id);
}

/* The CPU runs nothing for this moment; what ran is charged. Idle is set by engine_look(). */
static guint stop(struct engine *engine, guint cpu)
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
static void requeue(struct engine *engine, guint id)
{
	engine->runner[id].state = RUNNER_QUEUED;
	engine_push(engine, id);
}

/* No longer runnable, or held: out of the sums. */
static void block(struct engine *engine, guint id)
{
	struct scheduling_entity *e = entity(engine, id);

	if (engine->ops->block)
		engine->ops->block(&engine->system, engine->cpu[e->cpu].sums, e);
	leave(engine, id);
	e->flags &= ~(guint32)SCHEDULING_ON_QUEUE;
	engine->system.vms[e->vm].n_runnable--;
}

static void timer_set(struct engine *engine, guint id, gint64 earliest_ns)
{
	gint64 at = AGENDA_NEVER;

	if (engine->ops->timer && entity(engine, id)->flags & TIMED)
		at = engine->ops->timer(&engine->system, entity(engine, id));
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

static void changes_make(struct engine *engine);

static void rest(struct engine *engine, guint cpu, gint64 until_ns)
{
	if (!is_idle(engine, cpu)) {
		engine->idle[cpu / 64] |= G_GUINT64_CONSTANT(1) << cpu % 64;
		engine->n_idle++;
		if (engine->setup->observer)
			engine->setup->observer(engine->setup->user_data, engine->system.now_ns, cpu, NONE);
		if (engine->threads > 1)
			core_note(engine, cpu);
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
	guint id = engine->ops->pick(&engine->system, cpu, until_ns);

	if (id != NONE && engine->runner[id].state == RUNNER_QUEUED &&
	    (!engine->filters || (engine_allowed(engine, id, cpu) && engine_may_share(engine, id, cpu)))) {
		queue_remove(engine, engine->cpu[entity(engine, id)->cpu].queue, id);
		engine_move(engine, id, cpu);
		start(engine, cpu, id, *until_ns);
		return TRUE;
	}
	if (engine->ops->work_conserving)
		return FALSE;
	rest(engine, cpu, *until_ns);
	return TRUE;
}

/* Siblings that core scheduling keeps idle have their turn when this CPU's slice is over: so none starves. */
static void siblings_look(struct engine *engine, guint cpu)
{
	guint first = cpu / engine->threads * engine->threads;

	for (guint i = first; i < first + engine->threads && i < engine->system.n_cpus; i++)
		if (i != cpu && engine->cpu[i].forced_ns >= 0 && engine->system.cpus[i].running == NONE)
			engine_look(engine, i);
}

void engine_look(struct engine *engine, guint cpu)
{
	gint64 until = AGENDA_NEVER;
	struct queue *queue = engine->cpu[cpu].queue;
	guint id;

	if (engine->system.n_changed)
		changes_make(engine);
	if (engine->system.cpus[cpu].running != NONE)
		return;
	if (engine->ops->pick && look_plan(engine, cpu, &until))
		return;
	if (engine->filters) {
		id = queue_take_for(engine, queue, cpu);
	} else {
		id = queue_head(engine, queue);
		if (id != NONE)
			queue_pop(engine, queue);
	}
	if (id == NONE && engine->ops->steals)
		id = engine_steal(engine, cpu);
	if (id == NONE)
		rest(engine, cpu, until);
	else
		start(engine, cpu, id, until);
}

static void look_again(struct engine *engine, guint cpu)
{
	if (engine->n_forced)
		siblings_look(engine, cpu);
	engine_look(engine, cpu);
	if (engine->n_forced)
		siblings_look(engine, cpu);
}

/* ---- Waking ---- */

static void preempt(struct engine *engine, guint cpu)
{
	engine_settle(engine, cpu);
	requeue(engine, stop(engine, cpu));
	look_again(engine, cpu);
}

/* Where it is to be queued. */
static guint select_cpu(struct engine *engine, guint id, guint idle)
{
	struct scheduling_entity *e = entity(engine, id);
	guint cpu = idle;

	if (engine->ops->select)
		cpu = engine->ops->select(&engine->system, e, idle);
	else if (cpu == NONE && engine->ops->scope != SCHEDULING_PER_CPU)
		cpu = engine_victim(engine, id);
	if (cpu >= engine->system.n_cpus)
		cpu = e->cpu;
	if (engine->filters && !engine_allowed(engine, id, cpu)) {
		cpu = idle != NONE ? idle : e->cpu;
		for (guint i = 0; i < engine->system.n_cpus && !engine_allowed(engine, id, cpu); i++)
			cpu = i;
	}
	return cpu;
}

/* It has been queued, though a CPU that may run it idles: that one looks. */
static void rouse(struct engine *engine, guint id)
{
	guint idle = engine_find_idle(engine, id);

	if (idle != NONE && (engine->ops->scope != SCHEDULING_PER_CPU || engine->ops->steals))
		engine_look(engine, idle);
}

static void make_runnable(struct engine *engine, guint id, enum scheduling_why why)
{
	struct scheduling_entity *e = entity(engine, id);
	struct runner *runner = &engine->runner[id];
	guint idle = engine_find_idle(engine, id), cpu = select_cpu(engine, id, idle);
	struct scheduling_cpu *c = &engine->system.cpus[cpu];

	e->cpu = cpu;
	e->flags |= SCHEDULING_ON_QUEUE;
	engine->system.vms[e->vm].n_runnable++;
	engine_settle(engine, cpu);
	place(engine, id, why);
	join(engine, id);
	e->sequence = ++engine->sequence;
	runner->state = RUNNER_QUEUED;
	runner->waits_ns = engine->system.now_ns;
	if (G_UNLIKELY(e->flags & SCHEDULING_HELD)) {
		block(engine, id);
		hold(engine, id);
		return;
	}
	if (c->running == NONE && !engine->ops->pick && !engine->filters && !queue_length(engine->cpu[cpu].queue)) {
		start(engine, cpu, id, AGENDA_NEVER);
		return;
	}
	engine_push(engine, id);
	if (c->running == NONE)
		look_again(engine, cpu);
	else if (engine->ops->preempt && engine->ops->preempt(&engine->system, entity(engine, c->running), e) &&
		 engine_allowed(engine, id, cpu))
		preempt(engine, cpu);
	if (runner->state == RUNNER_QUEUED && engine->n_idle)
		rouse(engine, id);
}

void engine_wake(struct engine *engine, guint id)
{
	struct runner *runner = &engine->runner[id];
	struct scheduling_entity *e = entity(engine, id);
	gint64 now = engine->system.now_ns, ignored;
	gboolean first = engine->task[id].first_miss_ns == G_MININT64;

	agenda_set(&engine->wakes, id, AGENDA_NEVER);
	if (runner->state != RUNNER_ASLEEP)
		return;
	if (first) {
		engine->task[id].first_miss_ns = -1;
		runner->release_ns = now;
	}
	/* A barrier that opened, a sleep that ended: the next step says what there is to do. */
	e->enqueued_ns = e->release_ns = now;
	if (runner->left_ns <= 0) {
		switch (program_advance(engine, id, &ignored)) {
		case OUTCOME_RUNS:
			break;
		case OUTCOME_ENDS:
			runner->state = RUNNER_ENDED;
			if (engine->ops->retire)
				engine->ops->retire(&engine->system, e);
			return;
		case OUTCOME_BLOCKS:
			agenda_set(&engine->wakes, id, ignored);
			return;
		case OUTCOME_RELEASED:
			agenda_set(&engine->wakes, id, now);
			return;
		}
	}
	runner->gap_ns = now;
	runner->woken = TRUE;
	if (e->flags & SCHEDULING_HELD)
		hold(engine, id);
	else
		make_runnable(engine, id, first ? SCHEDULING_NEW : SCHEDULING_WAKE);
}

void engine_grant(struct engine *engine, guint id)
{
	guint cpu = entity(engine, id)->cpu;

	engine_settle(engine, cpu);
	engine->runner[id].left_ns = 0;
	agenda_set(&engine->ends, cpu, engine->system.now_ns);
}

/* ---- What the strategy changed on its own ---- */

static void change_make(struct engine *engine, guint id)
{
	struct scheduling_entity *e = entity(engine, id);
	struct runner *runner = &engine->runner[id];
	gboolean held = e->flags & SCHEDULING_HELD;
	guint cpu = e->cpu;

	switch ((enum runner_state)runner->state) {
	case RUNNER_QUEUED:
		queue_remove(engine, engine->cpu[cpu].queue, id);
		if (!held) {
			engine_push(engine, id);
			return;
		}
		wait_note(engine, id, engine->system.now_ns);
		block(engine, id);
		hold(engine, id);
		return;
	case RUNNER_RUNNING:
		if (held) /* its CPU looks as soon as what is going on is done */
			agenda_set(&engine->ends, cpu, engine->system.now_ns);
		return;
	case RUNNER_HELD:
		if (held) {
			held_on(engine, id, engine->system.now_ns);
			return;
		}
		wait_note(engine, id, engine->system.now_ns);
		agenda_set(&engine->timers, id, AGENDA_NEVER);
		make_runnable(engine, id, SCHEDULING_RELEASE);
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

/* ---- Events ---- */

/* FALSE: the vCPU has left its CPU. */
static gboolean step_done(struct engine *engine, guint cpu)
{
	guint id = engine->system.cpus[cpu].running;
	struct scheduling_entity *e = entity(engine, id);
	gint64 wake = AGENDA_NEVER;
	enum outcome outcome;
	gboolean released = FALSE;

	for (;;) {
		outcome = program_advance(engine, id, &wake);
		if (outcome != OUTCOME_RELEASED)
			break;
		e->enqueued_ns = e->release_ns = wake;
		released = TRUE;
	}
	if (outcome == OUTCOME_RUNS) {
		if (released) {
			place(engine, id, SCHEDULING_JOB);
			engine->cpu[cpu].slice_end_ns = engine->system.now_ns;
		}
		return TRUE;
	}
	stop(engine, cpu);
	block(engine, id);
	if (outcome == OUTCOME_ENDS) {
		engine->runner[id].state = RUNNER_ENDED;
		if (engine->ops->retire)
			engine->ops->retire(&engine->system, e);
	} else {
		engine->runner[id].left_ns = 0;
		agenda_set(&engine->wakes, id, wake);
		if (e->flags & TIMED) /* its time comes whether it sleeps or not */
			timer_set(engine, id, engine->system.now_ns);
	}
	if (engine->system.n_changed)
		changes_make(engine);
	look_again(engine, cpu);
	return FALSE;
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
			requeue(engine, stop(engine, i));
		}
	engine_look(engine, cpu);
	for (guint i = first; i < first + engine->threads && i < engine->system.n_cpus; i++)
		if (i != cpu)
			engine_look(engine, i);
}

/* Its slice is over: who goes on? */
static void slice_over(struct engine *engine, guint cpu, gboolean new_job)
{
	guint id = engine->system.cpus[cpu].running, head = NONE;
	struct scheduling_entity *e = entity(engine, id);
	gboolean stays = FALSE, displaces = FALSE;

	if (!engine->ops->pick) {
		head = queue_head(engine, engine->cpu[cpu].queue);
		if (head != NONE && engine->filters) {
			displaces = !engine_may_share(engine, head, cpu);
			if (!engine_allowed(engine, head, cpu))
				head = NONE;
		}
		if (!sibling_forced(engine, cpu))
			stays = head == NONE || engine->ops->keep(&engine->system, e, entity(engine, head));
	}
	if (!new_job && (!stays || head == NONE)) {
		place(engine, id, SCHEDULING_REQUEUE);
		if (G_UNLIKELY(e->flags & SCHEDULING_HELD)) {
			agenda_set(&engine->ends, cpu, engine->system.now_ns);
			return;
		}
	}
	if (stays) { /* chosen anew */
		engine->system.cpus[cpu].since_ns = engine->system.now_ns;
		slice_set(engine, cpu, AGENDA_NEVER);
		ends_set(engine, cpu);
		return;
	}
	stop(engine, cpu);
	e->sequence = ++engine->sequence;
	requeue(engine, id);
	if (displaces && head != NONE)
		siblings_displace(engine, cpu);
	else
		look_again(engine, cpu);
	if (engine->n_idle && engine->runner[id].state == RUNNER_QUEUED)
		rouse(engine, id);
}

static void cpu_event(struct engine *engine, guint cpu)
{
	guint id = engine->system.cpus[cpu].running;
	gboolean new_job;

	if (id == NONE) {
		agenda_set(&engine->ends, cpu, AGENDA_NEVER);
		look_again(engine, cpu);
		return;
	}
	if (engine->cpu[cpu].queue->ready.n)
		engine_prefetch(engine, queue_id(&engine->cpu[cpu].queue->ready.node[0]));
	engine_settle(engine, cpu);
	new_job = FALSE;
	if (engine->runner[id].left_ns <= 0) {
		gint64 release = entity(engine, id)->release_ns;

		if (!step_done(engine, cpu))
			return;
		new_job = entity(engine, id)->release_ns != release;
	}
	if (G_UNLIKELY(entity(engine, id)->flags & SCHEDULING_HELD)) {
		stop(engine, cpu);
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

static void timer_event(struct engine *engine, guint id)
{
	struct scheduling_entity *e = entity(engine, id);

	agenda_set(&engine->timers, id, AGENDA_NEVER);
	if (!(e->flags & TIMED)) /* it woke before */
		return;
	if (engine->ops->expire)
		engine->ops->expire(&engine->system, e);
	if (e->flags & TIMED)
		held_on(engine, id, engine->system.now_ns + 1);
	if (!(e->flags & SCHEDULING_HELD) && engine->runner[id].state == RUNNER_HELD) {
		wait_note(engine, id, engine->system.now_ns);
		make_runnable(engine, id, SCHEDULING_RELEASE);
	}
}

static void tick_event(struct engine *engine)
{
	engine->next_tick_ns += engine->ops->tick_ns;
	for (guint i = 0; i < engine->system.n_cpus; i++) /* a CPU's tick may look at what runs on another */
		engine_settle(engine, i);
	for (guint i = 0; i < engine->system.n_cpus; i++) {
		engine->result->totals.ticks++;
		if (engine->ops->tick)
			engine->ops->tick(&engine->system, i);
		if (engine->system.n_changed)
			changes_make(engine);
		if (engine->system.cpus[i].running != NONE &&
		    entity(engine, engine->system.cpus[i].running)->flags & SCHEDULING_HELD)
			agenda_set(&engine->ends, i, engine->system.now_ns);
	}
}

static void windows_turn(struct engine *engine)
{
	for (guint i = 0; i < engine->system.n_cpus; i++)
		engine_settle(engine, i);
	engine->window_end_ns += engine->result->window_ns;
	engine->window += engine->system.n_entities;
}

static void loop(struct engine *engine)
{
	struct engine_totals *totals = &engine->result->totals;

	for (;;) {
		gint64 end = agenda_next(&engine->ends), timer = agenda_next(&engine->timers);
		gint64 wake = agenda_next(&engine->wakes);
		gint64 due = MIN(engine->next_tick_ns, engine->next_balance_ns), next;

		next = MIN(MIN(end, timer), MIN(wake, due));
		if (next > engine->horizon_ns &&
		    !(engine->setup->one_past &&
		      (engine->system.now_ns <= engine->horizon_ns || next == engine->system.now_ns)))
			return;
		if (G_UNLIKELY(engine->window && next >= engine->window_end_ns)) {
			engine->system.now_ns = engine->window_end_ns;
			windows_turn(engine);
			continue;
		}
		engine->system.now_ns = next;
		totals->events++;
		if (next == end) {
			cpu_event(engine, agenda_slot(&engine->ends));
		} else if (next == timer) {
			timer_event(engine, agenda_slot(&engine->timers));
		} else if (next == wake) {
			engine_wake(engine, agenda_slot(&engine->wakes));
		} else if (next == engine->next_tick_ns) {
			tick_event(engine);
		} else {
			engine->next_balance_ns += ENGINE_BALANCE_NS;
			engine_balance(engine);
		}
		if (G_UNLIKELY(engine->system.n_changed))
			changes_make(engine);
	}
}

/* What is going on at the horizon counts up to there. */
static void finish(struct engine *engine)
{
	while (engine->window && engine->window_end_ns < engine->horizon_ns) {
		engine->system.now_ns = engine->window_end_ns;
		windows_turn(engine);
	}
	engine->system.now_ns = engine->horizon_ns;
	for (guint i = 0; i < engine->system.n_cpus; i++) {
		engine_settle(engine, i);
		if (engine->threads > 1 && i % engine->threads == 0)
			core_note(engine, i);
		if (engine->cpu[i].forced_ns >= 0)
			engine->result->totals.idle_forced_ns += engine->horizon_ns - engine->cpu[i].forced_ns;
	}
	for (guint i = 0; i < engine->system.n_entities; i++) {
		struct runner *runner = &engine->runner[i];

		engine->result->totals.busy_ns += engine->task[i].run_ns;
		const struct task *task = &g_array_index(engine->workload->tasks, struct task, i);

		if (engine->task[i].first_miss_ns == G_MININT64)
			engine->task[i].first_miss_ns = -1;
		engine->task[i].overdue = task->deadline_ns && runner->state != RUNNER_ASLEEP &&
					  runner->state != RUNNER_ENDED &&
					  runner->release_ns + task->deadline_ns < engine->horizon_ns;
		if (runner->state != RUNNER_QUEUED && runner->state != RUNNER_HELD)
			continue;
		wait_note(engine, i, engine->horizon_ns);
		engine->task[i].max_gap_ns = MAX(engine->task[i].max_gap_ns, engine->horizon_ns - runner->gap_ns);
	}
}

void engine_run(const struct engine_setup *setup, struct engine_result *result)
{
	struct engine engine = {
		.setup = setup, .workload = setup->workload, .ops = setup->strategy, .result = result
	};

	engine_init(&engine);
	loop(&engine);
	finish(&engine);
	engine_free(&engine);
}

void engine_result_clear(struct engine_result *result)
{
	g_clear_pointer(&result->task, g_free);
	g_clear_pointer(&result->window, g_free);
}
