#include "core/scheduling/table.h"

#include <stdalign.h>

#define LENGTH     SCHEDULING_TABLE_NS
#define PERIOD_MAX INT64_C(10000000000)
#define PIECE_MIN  1000 /* a piece of a split vCPU is at least so long: a switch must be worth it */

/* A part of a vCPU on one CPU: in each period, released at offset, `runtime` to be done by `deadline` (from the period's
 * begin). A whole vCPU has offset 0 and its period as deadline. */
struct piece {
	uint32_t entity, cpu;
	int64_t offset, runtime, deadline, period;
	/* While the schedule of a CPU is made. */
	int64_t left, due, next;
};

struct planner {
	const struct scheduling_entity *entities;
	uint32_t n, n_cpus;
	struct piece *wholes; /* n_wholes, by share, largest first */
	uint32_t n_wholes;
	struct piece *pieces; /* n_pieces, of any CPU */
	uint32_t n_pieces, max_pieces;
	struct piece **run; /* of the CPU looked at */
	int64_t *load;      /* of each CPU, in a length */
	uint32_t *first, *home, *cursors;
	struct scheduling_table_slot *slots;
	uint32_t n_slots, max_slots;
	struct scheduling_table_given *given;
};

static uint32_t max_pieces(uint32_t n, uint32_t n_cpus)
{
	return n + 4 * n_cpus;
}

int64_t scheduling_table_bound(const struct scheduling_entity *entity)
{
	return entity->latency_ns ? entity->latency_ns : 2 * (entity->period_ns - entity->runtime_ns);
}

/* The share of a period, rounded up. runtime ≤ period ≤ 10^10 and of ≤ 10^8.02: fits. */
static int64_t runtime_in(const struct scheduling_entity *entity, int64_t of)
{
	return (entity->runtime_ns * of + entity->period_ns - 1) / entity->period_ns;
}

/* The longest divisor of the length that keeps period and bound; 0: none. */
static int64_t period_of(const struct scheduling_entity *entity)
{
	int64_t bound = scheduling_table_bound(entity);

	for (int64_t times = 1; times <= LENGTH / SCHEDULING_TABLE_MIN_NS; times++) {
		int64_t period = LENGTH / times;

		if (LENGTH % times != 0 || period > entity->period_ns)
			continue;
		if (2 * (period - runtime_in(entity, period)) <= bound)
			return period;
	}
	return 0;
}

static bool well_formed(const struct scheduling_entity *entity)
{
	return entity->runtime_ns > 0 && entity->runtime_ns <= entity->period_ns && entity->period_ns <= PERIOD_MAX &&
	       entity->period_ns >= SCHEDULING_TABLE_MIN_NS && entity->latency_ns >= 0;
}

/* ---- Memory ---- */

static void *take(struct scheduling_table_memory *memory, size_t bytes)
{
	void *here = memory->start;

	bytes = (bytes + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
	if (bytes > memory->bytes)
		return NULL;
	memory->start = (char *)memory->start + bytes;
	memory->bytes -= bytes;
	return here;
}

static uint32_t slots_max(const struct scheduling_entity *entities, uint32_t n, uint32_t n_cpus)
{
	int64_t jobs = 0, most = 0;

	for (uint32_t i = 0; i < n; i++) {
		int64_t period = well_formed(&entities[i]) ? period_of(&entities[i]) : 0;
		int64_t times = period ? LENGTH / period : 0;

		jobs += times;
		most = times > most ? times : most;
	}
	/* Each job begins a slot, may end in one that is nobody's, and may cut one in two. */
	return (uint32_t)(3 * (jobs + 4 * n_cpus * most) + n_cpus);
}

static bool lay_out(struct planner *planner, struct scheduling_table_memory memory, uint32_t max_slots)
{
	uint32_t n = planner->n, n_cpus = planner->n_cpus;

	planner->max_pieces = max_pieces(n, n_cpus);
	planner->max_slots = max_slots;
	planner->wholes = take(&memory, n * sizeof(*planner->wholes));
	planner->pieces = take(&memory, planner->max_pieces * sizeof(*planner->pieces));
	planner->run = take(&memory, planner->max_pieces * sizeof(*planner->run));
	planner->load = take(&memory, n_cpus * sizeof(*planner->load));
	planner->first = take(&memory, (n_cpus + 1) * sizeof(*planner->first));
	planner->cursors = take(&memory, n_cpus * sizeof(*planner->cursors));
	planner->home = take(&memory, n * sizeof(*planner->home));
	planner->given = take(&memory, n * sizeof(*planner->given));
	planner->slots = take(&memory, max_slots * sizeof(*planner->slots));
	return planner->wholes && planner->pieces && planner->run && planner->load && planner->first &&
	       planner->cursors && planner->home && planner->given && planner->slots;
}

size_t scheduling_table_bytes(const struct scheduling_entity *entities, uint32_t n_entities, uint32_t n_cpus)
{
	size_t pieces = max_pieces(n_entities, n_cpus);

	return n_entities * (sizeof(struct piece) + sizeof(uint32_t) + sizeof(struct scheduling_table_given)) +
	       pieces * (sizeof(struct piece) + sizeof(struct piece *)) +
	       n_cpus * (sizeof(int64_t) + 2 * sizeof(uint32_t)) + sizeof(uint32_t) +
	       slots_max(entities, n_entities, n_cpus) * sizeof(struct scheduling_table_slot) +
	       9 * alignof(max_align_t);
}

/* ---- One CPU's schedule: EDF over a length ---- */

static uint32_t gather(struct planner *planner, uint32_t cpu)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < planner->n_pieces; i++)
		if (planner->pieces[i].cpu == cpu)
			planner->run[n++] = &planner->pieces[i];
	for (uint32_t i = 0; i < n; i++) {
		planner->run[i]->left = 0;
		planner->run[i]->next = planner->run[i]->offset;
	}
	return n;
}

static bool put(struct planner *planner, uint32_t cpu, uint32_t entity, int64_t end)
{
	struct scheduling_table_slot *last = planner->slots + planner->n_slots - 1;

	if (planner->n_slots > planner->first[cpu] && last->entity == entity) {
		last->end_ns = end;
		return true;
	}
	if (planner->n_slots == planner->max_slots)
		return false;
	planner->slots[planner->n_slots++] = (struct scheduling_table_slot) { .end_ns = end, .entity = entity };
	return true;
}

/* Releases what is due; the piece with the earliest deadline, and when the next comes. */
static struct piece *earliest(struct planner *planner, uint32_t n, int64_t now, int64_t *next)
{
	struct piece *best = NULL;

	*next = LENGTH;
	for (uint32_t i = 0; i < n; i++) {
		struct piece *piece = planner->run[i];

		if (piece->next <= now && !piece->left) {
			piece->due = piece->next - piece->offset + piece->deadline;
			piece->next += piece->period;
			piece->left = piece->runtime;
		}
		if (piece->left && (!best || piece->due < best->due))
			best = piece;
		if (piece->next < *next)
			*next = piece->next;
	}
	return best;
}

/* Is every deadline of the CPU's pieces kept? With `emit`, its slots are written. */
static bool schedule(struct planner *planner, uint32_t cpu, bool emit)
{
	uint32_t n = gather(planner, cpu);
	int64_t now = 0, next, end;

	while (now < LENGTH) {
		struct piece *piece = earliest(planner, n, now, &next);

		end = next;
		if (piece && now + piece->left < end)
			end = now + piece->left;
		if (piece && end > piece->due)
			return false;
		if (end <= now) /* released again before it was done */
			return false;
		if (emit && !put(planner, cpu, piece ? piece->entity : SCHEDULING_NO_ENTITY, end))
			return false;
		if (piece)
			piece->left -= end - now;
		now = end;
	}
	for (uint32_t i = 0; i < n; i++)
		if (planner->run[i]->left)
			return false;
	return true;
}

/* ---- Partition and split ---- */

static struct piece *add(struct planner *planner, const struct piece *piece, uint32_t cpu)
{
	struct piece *new = &planner->pieces[planner->n_pieces];

	if (planner->n_pieces == planner->max_pieces)
		return NULL;
	planner->n_pieces++;
	*new = *piece;
	new->cpu = cpu;
	planner->load[cpu] += new->runtime *(LENGTH / new->period);
	return new;
}

static void drop_last(struct planner *planner)
{
	const struct piece *piece = &planner->pieces[--planner->n_pieces];

	planner->load[piece->cpu] -= piece->runtime * (LENGTH / piece->period);
}

static bool load_fits(const struct planner *planner, const struct piece *piece, uint32_t cpu)
{
	return planner->load[cpu] + piece->runtime * (LENGTH / piece->period) <= LENGTH;
}

/* Of a CPU without split pieces a load of at most one is enough; else its schedule must hold. */
static bool add_checked(struct planner *planner, const struct piece *piece, uint32_t cpu)
{
	if (!load_fits(planner, piece, cpu) || !add(planner, piece, cpu))
		return false;
	if (schedule(planner, cpu, false))
		return true;
	drop_last(planner);
	return false;
}

static uint32_t least_loaded(const struct planner *planner, uint32_t but)
{
	uint32_t best = SCHEDULING_NO_CPU;

	for (uint32_t cpu = 0; cpu < planner->n_cpus; cpu++)
		if (cpu != but && (best == SCHEDULING_NO_CPU || planner->load[cpu] < planner->load[best]))
			best = cpu;
	return best;
}

/* The largest C=D piece that the CPU can take, by halving; 0: none worth it. The rest must stay positive. */
static int64_t largest_piece(struct planner *planner, const struct piece *rest, uint32_t cpu)
{
	int64_t low = 0, high = (LENGTH - planner->load[cpu]) / (LENGTH / rest->period);
	struct piece piece = *rest;

	if (high >= rest->runtime)
		high = rest->runtime - 1;
	while (high - low >= PIECE_MIN) {
		piece.runtime = low + (high - low + 1) / 2;
		piece.deadline = piece.offset + piece.runtime;
		if (add_checked(planner, &piece, cpu)) {
			drop_last(planner);
			low = piece.runtime;
		} else {
			high = piece.runtime - 1;
		}
	}
	return low < PIECE_MIN ? 0 : low;
}

static bool place_last(struct planner *planner, const struct piece *rest, uint32_t but)
{
	for (uint32_t cpu = 0; cpu < planner->n_cpus; cpu++)
		if (cpu != but && add_checked(planner, rest, cpu))
			return true;
	return false;
}

/* Pieces one after the other: each begins when the one before has had to end. */
static bool split(struct planner *planner, const struct piece *whole)
{
	struct piece rest = *whole;
	uint32_t cpu = SCHEDULING_NO_CPU;
	uint32_t before = planner->n_pieces;

	for (uint32_t tries = 0; tries < planner->n_cpus; tries++) {
		struct piece piece = rest;

		if (place_last(planner, &rest, cpu))
			return true;
		cpu = least_loaded(planner, cpu);
		if (cpu == SCHEDULING_NO_CPU)
			break;
		piece.runtime = largest_piece(planner, &rest, cpu);
		if (!piece.runtime)
			break;
		piece.deadline = piece.offset + piece.runtime;
		if (!add(planner, &piece, cpu))
			break;
		rest.offset += piece.runtime;
		rest.runtime -= piece.runtime;
	}
	while (planner->n_pieces > before)
		drop_last(planner);
	return false;
}

static void reset(struct planner *planner)
{
	planner->n_pieces = 0;
	for (uint32_t cpu = 0; cpu < planner->n_cpus; cpu++)
		planner->load[cpu] = 0;
}

/* Worst fit for all that fit, largest first; then the others are split. */
static bool partition_and_split(struct planner *planner)
{
	reset(planner);
	for (uint32_t i = 0; i < planner->n_wholes; i++) {
		uint32_t cpu = least_loaded(planner, SCHEDULING_NO_CPU);

		planner->wholes[i].cpu = load_fits(planner, &planner->wholes[i], cpu) ? cpu : SCHEDULING_NO_CPU;
		if (planner->wholes[i].cpu != SCHEDULING_NO_CPU)
			add(planner, &planner->wholes[i], cpu);
	}
	for (uint32_t i = 0; i < planner->n_wholes; i++)
		if (planner->wholes[i].cpu == SCHEDULING_NO_CPU && !split(planner, &planner->wholes[i]))
			return false;
	return true;
}

static bool partition_first_fit(struct planner *planner)
{
	reset(planner);
	for (uint32_t i = 0; i < planner->n_wholes; i++) {
		uint32_t cpu = 0;

		while (cpu < planner->n_cpus && !load_fits(planner, &planner->wholes[i], cpu))
			cpu++;
		if (cpu == planner->n_cpus || !add(planner, &planner->wholes[i], cpu))
			return false;
	}
	return true;
}

/* Is a's share larger, or equal and its number smaller? In whole nanoseconds of a length. */
static bool larger(const struct piece *a, const struct piece *b)
{
	int64_t share_a = a->runtime * (LENGTH / a->period), share_b = b->runtime * (LENGTH / b->period);

	return share_a != share_b ? share_a > share_b : a->entity < b->entity;
}

static bool by_number(const struct piece *a, const struct piece *b)
{
	return a->entity < b->entity;
}

static void sort(struct piece *pieces, uint32_t n, bool (*before)(const struct piece *, const struct piece *))
{
	for (uint32_t gap = n / 2; gap > 0; gap = gap == 2 ? 1 : (uint32_t)((uint64_t)gap * 5 / 11)) {
		for (uint32_t i = gap; i < n; i++) {
			struct piece piece = pieces[i];
			uint32_t at = i;

			for (; at >= gap && before(&piece, &pieces[at - gap]); at -= gap)
				pieces[at] = pieces[at - gap];
			pieces[at] = piece;
		}
	}
}

/* ---- The plan ---- */

static enum scheduling_table_result read_wishes(struct planner *planner)
{
	planner->n_wholes = 0;
	for (uint32_t i = 0; i < planner->n; i++) {
		const struct scheduling_entity *entity = &planner->entities[i];
		int64_t period;

		if (!entity->runtime_ns)
			continue;
		if (!well_formed(entity))
			return SCHEDULING_TABLE_MALFORMED;
		period = period_of(entity);
		if (!period)
			return SCHEDULING_TABLE_LATENCY;
		planner->wholes[planner->n_wholes++] = (struct piece) {
			.entity = i, .runtime = runtime_in(entity, period), .deadline = period, .period = period
		};
	}
	return SCHEDULING_TABLE_PLANNED;
}

static bool emit(struct planner *planner, struct scheduling_table *table)
{
	planner->n_slots = 0;
	for (uint32_t cpu = 0; cpu < planner->n_cpus; cpu++) {
		planner->first[cpu] = planner->n_slots;
		if (!schedule(planner, cpu, true))
			return false;
	}
	planner->first[planner->n_cpus] = planner->n_slots;
	for (uint32_t i = 0; i < planner->n; i++)
		planner->home[i] = SCHEDULING_NO_CPU;
	for (uint32_t i = 0; i < planner->n_pieces; i++)
		if (planner->pieces[i].offset == 0 && planner->pieces[i].deadline == planner->pieces[i].period)
			planner->home[planner->pieces[i].entity] = planner->pieces[i].cpu;
	*table = (struct scheduling_table) { .n_cpus = planner->n_cpus,
					     .n_entities = planner->n,
					     .first = planner->first,
					     .slots = planner->slots,
					     .home = planner->home,
					     .cursors = planner->cursors };
	return scheduling_table_verify(planner->entities, table, planner->given);
}

enum scheduling_table_result scheduling_table_plan(const struct scheduling_entity *entities, uint32_t n_entities,
						   uint32_t n_cpus, struct scheduling_table_memory memory,
						   struct scheduling_table *table)
{
	struct planner planner = { .entities = entities, .n = n_entities, .n_cpus = n_cpus };
	enum scheduling_table_result result;

	if (!n_cpus)
		return SCHEDULING_TABLE_CAPACITY;
	if (!lay_out(&planner, memory, slots_max(entities, n_entities, n_cpus)))
		return SCHEDULING_TABLE_MEMORY;
	result = read_wishes(&planner);
	if (result != SCHEDULING_TABLE_PLANNED)
		return result;
	sort(planner.wholes, planner.n_wholes, larger);
	if (partition_and_split(&planner) && emit(&planner, table))
		return SCHEDULING_TABLE_PLANNED;
	if (partition_first_fit(&planner) && emit(&planner, table))
		return SCHEDULING_TABLE_PLANNED;
	sort(planner.wholes, planner.n_wholes, by_number);
	if (partition_first_fit(&planner) && emit(&planner, table))
		return SCHEDULING_TABLE_PLANNED;
	return SCHEDULING_TABLE_CAPACITY;
}
