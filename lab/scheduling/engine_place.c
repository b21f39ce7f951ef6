/* Where: who may run on which CPU, idle CPUs, whom to steal from, evening out. */
#include "lab/scheduling/engine_private.h"
#include "lab/scheduling/kernel.h"

gboolean engine_allowed(struct engine *engine, guint id, guint cpu)
{
	guint mask = g_array_index(engine->workload->tasks, struct task, id).mask;

	if (engine->setup->host && !lab_kernel_allows(engine->setup->host, id, cpu))
		return FALSE;
	return !mask || bit_of(engine->workload->masks->pdata[mask - 1], cpu);
}

gboolean engine_may_share(struct engine *engine, guint id, guint cpu)
{
	guint first = cpu / engine->threads * engine->threads;

	if (engine->setup->sharing == SCHEDULING_SHARE_ANY)
		return TRUE;
	for (guint i = first; i < first + engine->threads && i < engine->system.n_cpus; i++) {
		guint other = engine->system.cpus[i].running;

		if (i == cpu || other == NONE)
			continue;
		if (!scheduling_compat(engine->setup->sharing, entity(engine, other), entity(engine, id)))
			return FALSE;
	}
	return TRUE;
}

gboolean engine_usable(struct engine *engine, guint id, guint cpu)
{
	return !engine->filters || (engine_allowed(engine, id, cpu) && engine_may_share(engine, id, cpu));
}

/* ---- Idle CPUs ---- */

static gboolean core_idle(const struct engine *engine, guint cpu)
{
	guint first = cpu / engine->threads * engine->threads;

	for (guint i = first; i < first + engine->threads && i < engine->system.n_cpus; i++)
		if (!bit_of(engine->idle, i))
			return FALSE;
	return TRUE;
}

/* The bits of a word that are of [first, end). */
static guint64 word_of(const guint64 *bits, guint word, guint first, guint end)
{
	guint64 mask = G_MAXUINT64;

	if (first > word * 64)
		mask <<= first - word * 64;
	if (end - word * 64 < 64)
		mask &= (G_GUINT64_CONSTANT(1) << (end - word * 64)) - 1;
	return bits[word] & mask;
}

/* An idle CPU of [first, end) that the vCPU may use; one whose core is idle altogether before others. */
static guint idle_within(struct engine *engine, guint id, guint first, guint end)
{
	guint fallback = NONE;

	for (guint word = first / 64; word < BITS(end); word++)
		for (guint64 bits = word_of(engine->idle, word, first, end); bits; bits &= bits - 1) {
			guint cpu = word * 64 + (guint)__builtin_ctzll(bits);

			if (!engine_usable(engine, id, cpu))
				continue;
			if (engine->threads == 1 || core_idle(engine, cpu))
				return cpu;
			if (fallback == NONE)
				fallback = cpu;
		}
	return fallback;
}

guint engine_idle_for(struct engine *engine, guint id)
{
	guint last = entity(engine, id)->cpu, found, n = engine->system.n_cpus;

	if (bit_of(engine->idle, last) && engine_usable(engine, id, last))
		return last;
	for (guint span = engine->llc_cpus;; span = span < engine->node_cpus ? engine->node_cpus : n) {
		guint first = last / span * span;

		found = idle_within(engine, id, first, MIN(first + span, n));
		if (found != NONE || span >= n)
			return found;
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

/* ---- From queue to queue; each is one CPU's ---- */

/* The fullest of [first, end), where it is fuller than *most; of equally full ones the first. */
static guint fullest_within(const struct engine *engine, guint first, guint end, guint *most)
{
	guint fullest = NONE;

	for (guint word = first / 64; word < BITS(end); word++)
		for (guint64 bits = word_of(engine->waiting, word, first, end); bits; bits &= bits - 1) {
			guint i = word * 64 + (guint)__builtin_ctzll(bits), length = queue_length(&engine->queue[i]);

			if (length > *most) {
				*most = length;
				fullest = i;
			}
		}
	return fullest;
}

guint engine_fullest(const struct engine *engine, guint cpu, guint first, guint end)
{
	guint most = 0, after, before;

	after = cpu + 1 < end ? fullest_within(engine, cpu + 1, end, &most) : NONE;
	before = first < cpu ? fullest_within(engine, first, cpu, &most) : NONE;
	return before != NONE ? before : after;
}

/* Weights, as the kernel's model has them by now. */
static gint64 load_of(const struct engine *engine, guint queue)
{
	const void *kernel = engine->setup->host;

	return (gint64)engine->load[queue] + (kernel ? lab_kernel_extra_load(kernel, queue) : 0);
}

static gint64 weight_of(const struct engine *engine, guint id)
{
	const void *kernel = engine->setup->host;

	return (gint64)engine->system.entities[id].weight + (kernel ? lab_kernel_extra_weight(kernel, id) : 0);
}

gboolean engine_uneven(const struct engine *engine, struct engine_move *move)
{
	guint n = engine->system.n_cpus, most = NONE, least = 0;
	gint64 greatest = 0, smallest = load_of(engine, 0);

	for (guint i = 1; i < n; i++) {
		gint64 load = load_of(engine, i);

		if (load < smallest) {
			smallest = load;
			least = i;
		}
	}
	for (guint word = 0; word < BITS(n); word++)
		for (guint64 bits = engine->waiting[word]; bits; bits &= bits - 1) {
			guint i = word * 64 + (guint)__builtin_ctzll(bits);
			gint64 load = load_of(engine, i);

			if (load > greatest) {
				greatest = load;
				most = i;
			}
		}
	*move = (struct engine_move) { NONE, most, least };
	return most != NONE && greatest > smallest;
}

/* The queued one whose going over evens out two queues best: its weight nearest to half the difference, and not above it. One
 * as heavy as the difference changes the sides: so three on two CPUs take turns. */
gboolean engine_mover(struct engine *engine, struct engine_move *move)
{
	struct queue *from = &engine->queue[move->from];
	struct line *lines[] = { &from->ready, &from->future };
	gint64 difference = load_of(engine, move->from) - load_of(engine, move->to), best_miss = G_MAXINT64;
	guint64 best_order = 0;

	for (guint l = 0; l < G_N_ELEMENTS(lines); l++)
		for (guint i = 0; i < line_length(lines[l]); i++) {
			guint64 order = heap_order(line_at(lines[l], i));
			guint id = queue_id(order);
			gint64 twice = 2 * weight_of(engine, id), miss = ABS(twice - difference);

			if (twice > 2 * difference || (engine->filters && !engine_allowed(engine, id, move->to)))
				continue;
			if (move->id == NONE || miss < best_miss || (miss == best_miss && order < best_order)) {
				move->id = id;
				best_miss = miss;
				best_order = order;
			}
		}
	return move->id != NONE;
}
