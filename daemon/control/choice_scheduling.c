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

/* Who may share a core goes with any strategy: checked, and taken out of what are the strategy's own parameters. NULL: *error.
 * The strings stay the record's. */
static GPtrArray *own_parameters(const struct strategy_choice *record, GError **error)
{
	GPtrArray *own = g_ptr_array_new();
	enum scheduling_sharing sharing;

	for (char **parameter = record->parameters; parameter && *parameter; parameter++) {
		if (!g_str_has_prefix(*parameter, SCHEDULING_SHARING)) {
			g_ptr_array_add(own, *parameter);
		} else if (!scheduling_sharing_parse(*parameter + strlen(SCHEDULING_SHARING), &sharing)) {
			g_set_error(
				error, POLDER_ERROR, POLDER_ERROR_INVALID,
				"%.100s: who may share a core is off (anyone), vm (VMs of one tenant) or vcpu (nobody)",
				*parameter);
			g_ptr_array_unref(own);
			return NULL;
		}
	}
	g_ptr_array_add(own, NULL);
	return own;
}

gboolean choice_check_scheduling(const struct strategy_choice *record, GError **error)
{
	const char *name = record->name ? record->name : "";
	const struct scheduling_strategy *strategy = scheduling_strategy_find(name);
	g_autoptr(GPtrArray) parameters = NULL;
	struct scheduling_knobs knobs = { 0 };
	struct strategy_values values;

	if (!strategy)
		return unknown(name, error);
	parameters = own_parameters(record, error);
	strategy_values_init(&strategy->info, &values);
	if (!parameters || !choice_set(&strategy->info, &values, (char *const *)parameters->pdata, error))
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
