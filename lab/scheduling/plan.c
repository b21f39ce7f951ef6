#include "lab/scheduling/plan.h"

#include <string.h>

#include "core/scheduling/table.h"

struct plan {
	struct scheduling_strategy strategy;
	const struct scheduling_strategy *planned;
	struct scheduling_table table;
	gpointer memory;
	gboolean *refused; /* by entity; made when the first is admitted */
};

/* Admission is told of the system and of nobody else's data. */
static _Thread_local struct plan *current;

/* A plan for those that are not refused. */
static gboolean make(struct plan *plan, const struct scheduling_system *system, struct scheduling_entity *wishes)
{
	gsize bytes = scheduling_table_bytes(wishes, system->n_entities, system->n_cpus);

	g_free(plan->memory);
	plan->memory = g_malloc(bytes);
	return scheduling_table_plan(wishes, system->n_entities, system->n_cpus,
				     (struct scheduling_table_memory) { plan->memory, bytes },
				     &plan->table) == SCHEDULING_TABLE_PLANNED;
}

/* All at once, as it nearly always works; else one after the other. */
static void decide(struct plan *plan, const struct scheduling_system *system)
{
	g_autofree struct scheduling_entity *wishes =
		g_memdup2(system->entities, system->n_entities * sizeof(*system->entities));
	gboolean complete;

	plan->refused = g_new0(gboolean, system->n_entities);
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

static enum scheduling_admission admit(struct scheduling_system *system, struct scheduling_entity *entity)
{
	struct plan *plan = current;

	if (!plan->refused)
		decide(plan, system);
	system->table = &plan->table;
	return plan->refused[entity->id] ? SCHEDULING_REFUSED_CAPACITY : plan->planned->admit(system, entity);
}

struct plan *plan_new(const struct scheduling_strategy *strategy)
{
	struct plan *plan;

	if (strcmp(strategy->info.name, "table") != 0)
		return NULL;
	plan = g_new0(struct plan, 1);
	plan->planned = strategy;
	plan->strategy = *strategy;
	plan->strategy.admit = admit;
	g_assert(!current);
	current = plan;
	return plan;
}

void plan_free(struct plan *plan)
{
	if (!plan)
		return;
	current = NULL;
	g_free(plan->memory);
	g_free(plan->refused);
	g_free(plan);
}

const struct scheduling_strategy *plan_strategy(const struct plan *plan)
{
	return &plan->strategy;
}
