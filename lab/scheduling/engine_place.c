/* Where: idle CPUs, stealing, evening out. */
#include "lab/scheduling/engine_private.h"

static gboolean usable(struct engine *engine, guint id, guint cpu)
{
	return !engine->filters || (engine_allowed(engine, id, cpu) && engine_may_share(engine, id, cpu));
}

/* An idle CPU of [first, end) that the vCPU may use; one whose core is idle altogether before others. */
static guint idle_within(struct engine *engine, guint id, guint first, guint end)
{
	guint fallback = NONE;

	for (guint word = first / 64; word < BITS(end); word++) {
		guint64 bits = engine->idle[word];

		while (bits) {
			guint cpu = word * 64 + (guint)__builtin_ctzll(bits);
			guint core = cpu / engine->threads * engine->threads;
			gboolean whole = TRUE;

			bits &= bits - 1;
			if (cpu < first || cpu >= end || !usable(engine, id, cpu))
				continue;
			for (guint i = core; i < core + engine->threads && i < engine->system.n_cpus; i++)
				whole = whole && (engine->idle[i / 64] >> i % 64 & 1);
			if (whole)
				return cpu;
			if (fallback == NONE)
				fallback = cpu;
		}
	}
	return fallback;
}

guint engine_find_idle(struct engine *engine, guint id)
{
	guint last = entity(engine, id)->cpu, found, n = engine->system.n_cpus;

	if (!engine->n_idle)
		return NONE;
	if ((engine->idle[last / 64] >> last % 64 & 1) && usable(engine, id, last))
		return last;
	for (guint span = engine->llc_cpus;; span = span < engine->node_cpus ? engine->node_cpus : n) {
		guint first = last / span * span;

		found = idle_within(engine, id, first, MIN(first + span, n));
		if (found != NONE || span >= n)
			return found;
	}
}

/* Of the queues of CPUs [first, end), from the fullest; of equally full ones the first after `cpu`. */
static guint steal_within(struct engine *engine, guint cpu, guint first, guint end)
{
	guint fullest = NONE, most = 0, id;

	for (guint i = 1; i < end - first; i++) {
		guint from = first + (cpu - first + i) % (end - first);

		if (queue_length(&engine->queue[from]) > most) {
			most = queue_length(&engine->queue[from]);
			fullest = from;
		}
	}
	if (fullest == NONE)
		return NONE;
	engine_settle(engine, fullest);
	id = queue_take_any(engine, &engine->queue[fullest], cpu);
	if (id != NONE)
		engine_move(engine, id, cpu);
	return id;
}

/* Likewise of the queues of whole caches. */
static guint steal_cache(struct engine *engine, guint cpu)
{
	guint own = engine->system.cpus[cpu].queue, n = engine->system.n_queues, fullest = NONE, most = 0, id;

	for (guint i = 1; i < n; i++) {
		guint from = (own + i) % n;

		if (queue_length(&engine->queue[from]) > most) {
			most = queue_length(&engine->queue[from]);
			fullest = from;
		}
	}
	if (fullest == NONE)
		return NONE;
	for (guint i = 0; i < engine->system.n_cpus; i++)
		if (engine->system.cpus[i].queue == fullest)
			engine_settle(engine, i);
	id = queue_take_any(engine, &engine->queue[fullest], cpu);
	if (id != NONE)
		engine_move(engine, id, cpu);
	return id;
}

guint engine_steal(struct engine *engine, guint cpu)
{
	guint n = engine->system.n_cpus;

	if (!engine->n_queued)
		return NONE;
	if (engine->ops->scope != SCHEDULING_PER_CPU)
		return steal_cache(engine, cpu);
	for (guint span = engine->llc_cpus;; span = span < engine->node_cpus ? engine->node_cpus : n) {
		guint first = cpu / span * span, id = steal_within(engine, cpu, first, MIN(first + span, n));

		if (id != NONE || span >= n)
			return id;
	}
}

/* The queued one whose going over evens out two queues best: its weight nearest to half the difference, and not above it. One
 * as heavy as the difference changes the sides: so three on two CPUs take turns. */
static guint mover(struct engine *engine, const struct queue *from, guint to, guint64 difference)
{
	const struct queue_heap *heaps[] = { &from->ready, &from->future };
	guint64 best_miss = G_MAXUINT64, best_order = 0;
	guint best = NONE;

	for (guint h = 0; h < G_N_ELEMENTS(heaps); h++)
		for (guint i = 0; i < heaps[h]->n; i++) {
			guint id = queue_id(&heaps[h]->node[i]);
			guint64 twice = 2 * (guint64)entity(engine, id)->weight, order = heaps[h]->node[i].order;
			guint64 miss = twice > difference ? twice - difference : difference - twice;

			if (twice > 2 * difference || !engine_allowed(engine, id, to))
				continue;
			if (best == NONE || miss < best_miss || (miss == best_miss && order < best_order)) {
				best = id;
				best_miss = miss;
				best_order = order;
			}
		}
	return best;
}

void engine_balance(struct engine *engine)
{
	guint n = engine->system.n_cpus;

	for (guint round = 0; round <= n / 8; round++) {
		guint most = NONE, least = 0, id;

		for (guint i = 0; i < n; i++) {
			if (queue_length(&engine->queue[i]) && (most == NONE || engine->load[i] > engine->load[most]))
				most = i;
			if (engine->load[i] < engine->load[least])
				least = i;
		}
		if (most == NONE || engine->load[most] <= engine->load[least])
			return;
		engine_settle(engine, most);
		engine_settle(engine, least);
		id = mover(engine, &engine->queue[most], least, engine->load[most] - engine->load[least]);
		if (id == NONE)
			return;
		queue_remove(engine, &engine->queue[most], id);
		engine_move(engine, id, least);
		engine_push(engine, id);
		if (engine->system.cpus[least].running == NONE)
			engine_look(engine, least);
	}
}

guint engine_victim(struct engine *engine, guint id)
{
	guint queue = engine->system.cpus[entity(engine, id)->cpu].queue, victim = NONE;
	gint64 last = 0;

	for (guint i = 0; i < engine->system.n_cpus; i++) {
		const struct scheduling_cpu *cpu = &engine->system.cpus[i];
		gint64 key;

		if (cpu->queue != queue || cpu->running == NONE || (engine->filters && !engine_allowed(engine, id, i)))
			continue;
		key = engine->ops->key(&engine->system, entity(engine, cpu->running));
		if (victim == NONE || scheduling_before(last, key)) {
			victim = i;
			last = key;
		}
	}
	return victim;
}
