#include "core/scheduling/table.h"

static bool slots_complete(const struct scheduling_table *table)
{
	for (uint32_t cpu = 0; cpu < table->n_cpus; cpu++) {
		int64_t begin = 0;

		for (uint32_t i = table->first[cpu]; i < table->first[cpu + 1]; i++) {
			if (table->slots[i].end_ns <= begin)
				return false;
			if (table->slots[i].entity != SCHEDULING_NO_ENTITY &&
			    table->slots[i].entity >= table->n_entities)
				return false;
			begin = table->slots[i].end_ns;
		}
		if (begin != SCHEDULING_TABLE_NS)
			return false;
	}
	return true;
}

static bool give(struct scheduling_table_given *given, int64_t begin, int64_t end)
{
	if (given->last_ns < 0)
		given->first_ns = begin;
	else if (begin < given->last_ns)
		return false;
	else if (begin - given->last_ns > given->gap_ns)
		given->gap_ns = begin - given->last_ns;
	given->last_ns = end;
	given->service_ns += end - begin;
	return true;
}

static int64_t begin_of(const struct scheduling_table *table, uint32_t cpu, uint32_t slot)
{
	return slot == table->first[cpu] ? 0 : table->slots[slot - 1].end_ns;
}

/* All slots in the order they begin, whatever their CPU: a vCPU on two CPUs at once is one that begins before it ended. */
static bool give_all(const struct scheduling_table *table, struct scheduling_table_given *given)
{
	for (uint32_t cpu = 0; cpu < table->n_cpus; cpu++)
		table->cursors[cpu] = table->first[cpu];
	for (uint32_t i = 0; i < table->first[table->n_cpus]; i++) {
		uint32_t best = SCHEDULING_NO_CPU;
		int64_t best_begin = 0;
		const struct scheduling_table_slot *slot;

		for (uint32_t cpu = 0; cpu < table->n_cpus; cpu++) {
			int64_t begin;

			if (table->cursors[cpu] == table->first[cpu + 1])
				continue;
			begin = begin_of(table, cpu, table->cursors[cpu]);
			if (best != SCHEDULING_NO_CPU && begin >= best_begin)
				continue;
			best = cpu;
			best_begin = begin;
		}
		slot = &table->slots[table->cursors[best]++];
		if (slot->entity != SCHEDULING_NO_ENTITY && !give(&given[slot->entity], best_begin, slot->end_ns))
			return false;
	}
	return true;
}

/* Enough service, and no gap longer than promised, also over the end of the length. */
static bool kept(const struct scheduling_entity *entity, const struct scheduling_table_given *given)
{
	int64_t gap;

	if (!entity->runtime_ns)
		return given->service_ns == 0;
	if (given->last_ns < 0)
		return false;
	gap = SCHEDULING_TABLE_NS - given->last_ns + given->first_ns;
	if (gap < given->gap_ns)
		gap = given->gap_ns;
	/* service ÷ length ≥ runtime ÷ period; each product is at most 10^10 × 10^8.02 */
	return given->service_ns * entity->period_ns >= entity->runtime_ns * SCHEDULING_TABLE_NS &&
	       gap <= scheduling_table_bound(entity);
}

bool scheduling_table_verify(const struct scheduling_entity *entities, const struct scheduling_table *table,
			     struct scheduling_table_given *given)
{
	if (!slots_complete(table))
		return false;
	for (uint32_t i = 0; i < table->n_entities; i++)
		given[i] = (struct scheduling_table_given) { .last_ns = -1 };
	if (!give_all(table, given))
		return false;
	for (uint32_t i = 0; i < table->n_entities; i++) {
		if (!kept(&entities[i], &given[i]))
			return false;
		if (given[i].last_ns >= 0 &&
		    SCHEDULING_TABLE_NS - given[i].last_ns + given[i].first_ns > given[i].gap_ns)
			given[i].gap_ns = SCHEDULING_TABLE_NS - given[i].last_ns + given[i].first_ns;
	}
	return true;
}
