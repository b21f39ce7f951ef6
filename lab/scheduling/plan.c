#include "lab/scheduling/plan.h"

static gboolean make(struct plan *plan, const struct scheduling_system *system, const struct scheduling_entity *wishes)
{
	gsize bytes = scheduling_table_bytes(wishes, system->n_entities, system->n_cpus);

	g_free(plan->memory);
	plan->memory = g_malloc(bytes);
	return scheduling_table_plan(wishes, system->n_entities, system->n_cpus,
				     (struct scheduling_table_memory) { plan->memory, bytes },
				     &plan->table) == SCHEDULING_TABLE_PLANNED;
}

/* All at once, as it nearly always works; else one after the other. */
void plan_make(struct plan *plan, const struct scheduling_system *system)
{
	g_autofree struct scheduling_entity *wishes =
		g_memdup2(system->entities, system->n_entities * sizeof(*system->entities));
	gboolean complete;

	*plan = (struct plan) { .refused = g_new0(gboolean, system->n_entities) };
	if (make(plan, system, wishes))
		return;
	for (guint i = 0; i < system->n_entities; i++)
		wishes[i].runtime_ns = 0;
	for (guint i = 0; i < system->n_entities; i++) {
		wishes[i].runtime_ns = system->entities[i].runtime_ns;
		if (!wishes[i].runtime_ns || make(plan, system, wishes))
			continue;
		wishes[i].runtime_ns = 0;
		plan->refused[i] = TRUE;
	}
	complete = make(plan, system, wishes);
	g_assert(complete);
}

void plan_clear(struct plan *plan)
{
	g_free(plan->memory);
	g_free(plan->refused);
}
