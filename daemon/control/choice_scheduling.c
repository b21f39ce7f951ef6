/* The strategy chosen for scheduling: hosts' agents enforce it; here it is only seen whether they could. */
#include <string.h>

#include "core/scheduling/scheduling.h"
#include "daemon/control/choice.h"
#include "daemon/model/error.h"

static gboolean unknown(const char *name, GError **error)
{
	g_autoptr(GString) names = g_string_new(NULL);

	for (size_t i = 0; i < scheduling_n_strategies; i++)
		g_string_append_printf(names, "%s%s", names->len ? " " : "", scheduling_strategies[i]->info.name);
	g_set_error(error, POLDER_ERROR, POLDER_ERROR_NOT_FOUND,
		    "there is no scheduling strategy '%.63s': use one of %s", name, names->str);
	return FALSE;
}

/* What the strategy makes of a vCPU that wishes nothing, alone on a CPU. */
static void project_plain(const struct scheduling_strategy *strategy, const struct strategy_values *values,
			  struct scheduling_knobs *knobs)
{
	struct scheduling_entity entity = { .weight = SCHEDULING_WEIGHT_NORMAL };
	struct scheduling_vm vm = { .n_vcpus = 1 };
	struct scheduling_cpu cpu = { .running = SCHEDULING_NO_ENTITY };
	struct scheduling_queue queue = { 0 };
	guint32 changed[1];
	struct scheduling_system system = { .n_entities = 1,
					    .n_vms = 1,
					    .n_cpus = 1,
					    .n_queues = 1,
					    .n_cores = 1,
					    .entities = &entity,
					    .vms = &vm,
					    .cpus = &cpu,
					    .queues = &queue,
					    .values = values,
					    .random = 1,
					    .changed = changed };

	for (size_t i = 0; i < strategy->info.n_parameters; i++)
		system.parameter[i] = (gint64)values->value[i];
	if (strategy->start)
		strategy->start(&system);
	strategy->admit(&system, &entity);
	strategy->project(&system, &entity, knobs);
}

gboolean choice_check_scheduling(const struct strategy_choice *record, GError **error)
{
	const char *name = record->name ? record->name : "";
	const struct scheduling_strategy *strategy = scheduling_strategy_find(name);
	struct scheduling_knobs knobs = { 0 };
	struct strategy_values values;

	if (!strategy)
		return unknown(name, error);
	strategy_values_init(&strategy->info, &values);
	if (!choice_set(&strategy->info, &values, record->parameters, error))
		return FALSE;
	project_plain(strategy, &values, &knobs);
	if (knobs.exactness != SCHEDULING_NOT_ENFORCEABLE)
		return TRUE;
	g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID,
		    "no host's kernel can be made to schedule by %s%s%s: try it in polder lab scheduling, or choose "
		    "another",
		    name, knobs.lost ? ": it lacks " : "", knobs.lost ? knobs.lost : "");
	return FALSE;
}
