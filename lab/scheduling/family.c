#include "lab/scheduling/family.h"

#include <string.h>

#include "lab/error.h"
#include "lab/scheduling/figures.h"
#include "lab/scheduling/kernel.h"
#include "lab/scheduling/simulate.h"

#define SECOND      G_GINT64_CONSTANT(1000000000)
#define HELD_OUT    7907 /* added to the seed: what was not tuned on */
#define ATTACK_TEXT "attack,vms=4,cpus=1,seconds=10"

static const struct scheduling_strategy *strategy_of(const struct strategy_info *info)
{
	return scheduling_strategy_find(info->name);
}

static gboolean fail(GError **error, const char *option, const char *what)
{
	g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID, "option %.100s: %s", option, what);
	return FALSE;
}

struct settings {
	guint64 cpus, threads, seconds, vms, line, jitter;
	enum scheduling_sharing sharing;
	gboolean projected;
};

static gboolean option_set(struct settings *settings, const char *option, GError **error)
{
	struct {
		const char *name;
		guint64 *value, max;
	} numbers[] = {
		{ "cpus=", &settings->cpus, WORKLOAD_CPUS_MAX }, { "threads=", &settings->threads, 8 },
		{ "seconds=", &settings->seconds, 10000000 },    { "vms=", &settings->vms, WORKLOAD_TASKS_MAX },
		{ "line=", &settings->line, G_MAXUINT32 },       { "jitter=", &settings->jitter, 90 },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(numbers); i++)
		if (g_str_has_prefix(option, numbers[i].name)) {
			const char *text = option + strlen(numbers[i].name);

			return g_ascii_string_to_unsigned(text, 10, 1, numbers[i].max, numbers[i].value, NULL) ||
			       fail(error, option, "it takes a whole number above 0, and not a huge one");
		}
	if (g_str_has_prefix(option, SCHEDULING_SHARING))
		return scheduling_sharing_parse(option + strlen(SCHEDULING_SHARING), &settings->sharing) ||
		       fail(error, option, "it is off, vm or vcpu");
	if (strcmp(option, "model=ideal") == 0 || strcmp(option, "model=kernel") == 0) {
		settings->projected = strcmp(option, "model=kernel") == 0;
		return TRUE;
	}
	return fail(error, option,
		    "unknown; known: cpus, threads, seconds, vms, line, jitter, sharing, model=ideal|kernel");
}

static void loaded_free(gpointer data)
{
	struct scheduling_workload *loaded = data;

	if (!loaded)
		return;
	workload_free(loaded->workload);
	workload_free(loaded->attack);
	g_free(loaded);
}

/* Runs and sleeps that are exact become so only on average; jobs that declare what they need keep to it. */
static void jitter_add(struct workload *workload, guint8 percent)
{
	for (guint i = 0; i < workload->tasks->len; i++) {
		const struct task *task = workload_task(workload, i);

		for (guint j = 0; j < task->n_steps && !task->period_ns; j++) {
			struct step *step = &g_array_index(workload->steps, struct step, task->first_step + j);

			if ((step->kind == STEP_RUN || step->kind == STEP_SLEEP) && !step->spread_percent)
				step->spread_percent = percent;
		}
	}
}

static void recorded_notes_add(const struct workload *workload, GPtrArray *notes)
{
	g_ptr_array_add(
		notes,
		g_strdup_printf("recorded live: the last %g of %g s; a vCPU wants what it ran and waited for, in as "
				"many jobs as it woke; what else ran on the host is not in it",
				(double)workload->horizon_ns / 1e9, (double)workload->recorded_ns / 1e9));
	if (workload->no_wakeups)
		g_ptr_array_add(notes,
				g_strdup("wake-ups were not recorded: latency is null, and so is the performance "
					 "of what has VMs with a latency target"));
}

static void notes_add(const struct scheduling_workload *loaded, GPtrArray *notes)
{
	const struct topology *topology = &loaded->workload->topology;

	if (!notes)
		return;
	g_ptr_array_add(notes,
			g_strdup_printf("%u VMs with %u vCPUs on %u CPUs (%u threads a core), %g s of virtual time",
					loaded->workload->vms->len, loaded->workload->tasks->len, topology->n_cpus,
					topology->threads_per_core, (double)loaded->workload->horizon_ns / 1e9));
	if (loaded->projected)
		g_ptr_array_add(notes,
				g_strdup("projected: what a model of the kernel makes of each strategy's knobs"));
	if (loaded->workload->recorded_ns)
		recorded_notes_add(loaded->workload, notes);
	else if (loaded->workload->samples->len)
		g_ptr_array_add(notes, g_strdup("utilization: of each second, and what is not done by its end is lost; "
						"tenants: one a VM"));
	g_ptr_array_add(notes,
			g_strdup("theft: measured in an attack of its own (one tick-dodger, three busy vCPUs, a CPU)"));
}

static gpointer load(const char *path, const char *const *options, GPtrArray *notes, GError **error)
{
	struct settings settings = { 0 };
	struct scheduling_workload *loaded;
	struct workload *workload;
	struct workload_part part;

	for (guint i = 0; options && options[i]; i++)
		if (!option_set(&settings, options[i], error))
			return NULL;
	part = (struct workload_part) { (guint)settings.vms, (guint)settings.line, (guint)settings.seconds };
	workload = workload_open(path, &part, error);
	if (!workload)
		return NULL;
	if (settings.cpus)
		workload->topology.n_cpus = (guint)settings.cpus;
	if (settings.threads)
		workload->topology.threads_per_core = (guint)settings.threads;
	if (settings.seconds && !workload->recorded_ns)
		workload->horizon_ns = (gint64)settings.seconds * SECOND;
	if (settings.jitter)
		jitter_add(workload, (guint8)settings.jitter);
	if (!workload_check(workload, error)) {
		workload_free(workload);
		return NULL;
	}
	loaded = g_new0(struct scheduling_workload, 1);
	loaded->workload = workload;
	loaded->attack = workload_generate(ATTACK_TEXT, NULL);
	loaded->sharing = settings.sharing;
	loaded->projected = settings.projected;
	notes_add(loaded, notes);
	return loaded;
}

static const char *applicable(gconstpointer workload, const struct strategy_info *info)
{
	return strategy_of(info) ? NULL : "it is not a scheduling strategy";
}

static gboolean can_apply(const struct strategy_info *info)
{
	const struct scheduling_strategy *strategy = strategy_of(info);

	return strategy && strategy->project && info->kind != STRATEGY_YARDSTICK;
}

static const char *const *traits(const struct strategy_info *info)
{
	static const char *const words[] = { "proportional", NULL };
	const struct scheduling_strategy *strategy = strategy_of(info);

	return strategy && strategy->proportional ? words : words + 1;
}

static char *lost_text(struct lab_kernel *kernel)
{
	struct lab_projection projection = { 0 };
	g_autofree char *lost = NULL;

	lab_kernel_projection(kernel, &projection);
	if (projection.exactness == SCHEDULING_EXACT)
		return g_strdup("its projection is exact");
	lost = g_strjoinv("; ", (char **)projection.lost);
	return g_strdup_printf("its projection is %s: %s", lab_kernel_exactness_names[projection.exactness], lost);
}

void scheduling_simulate(const struct scheduling_workload *loaded, const struct strategy_info *info,
			 const struct strategy_values *values, struct engine_setup *setup, struct engine_result *result,
			 char **note)
{
	const struct scheduling_strategy *strategy = strategy_of(info);
	g_autoptr(lab_kernel_auto) kernel = NULL;

	if (!setup->workload)
		setup->workload = loaded->workload;
	setup->sharing = loaded->sharing;
	setup->strategy = strategy;
	setup->values = values;
	if (loaded->projected) {
		kernel = lab_kernel_new(strategy, values);
		setup->strategy = &lab_kernel_strategy;
		setup->values = NULL;
		setup->host = kernel;
	}
	engine_run(setup, result);
	if (kernel && note)
		*note = lost_text(kernel);
}

static double theft(const struct scheduling_workload *loaded, const struct strategy_info *info,
		    const struct strategy_values *values, guint64 seed)
{
	struct engine_setup setup = { .workload = loaded->attack, .seed = seed };
	struct engine_result run;
	double value;

	scheduling_simulate(loaded, info, values, &setup, &run, NULL);
	value = figures_theft(loaded->attack, &run);
	engine_result_clear(&run);
	return value;
}

static gboolean evaluate(gconstpointer data, const struct strategy_info *info, const struct strategy_values *values,
			 guint64 seed, enum lab_part part, struct lab_result *result, GError **error)
{
	const struct scheduling_workload *loaded = data;
	const struct workload *workload = loaded->workload;
	struct engine_setup setup = { .seed = part == LAB_HELD_OUT ? seed + HELD_OUT : seed };
	gint64 start_us = g_get_monotonic_time();
	struct engine_result run;
	double seconds;

	setup.horizon_ns = part == LAB_WHOLE ? workload->horizon_ns : MAX(workload->horizon_ns / 2, 1);
	if (workload->samples->len) {
		setup.window_ns = workload->sample_ns;
		setup.offset_ns =
			part == LAB_HELD_OUT ? setup.horizon_ns / workload->sample_ns * workload->sample_ns : 0;
	}
	scheduling_simulate(loaded, info, values, &setup, &run, &result->note);
	seconds = (double)(g_get_monotonic_time() - start_us) / 1e6;
	figures_tell(workload, &run, setup.offset_ns, theft(loaded, info, values, seed), result);
	lab_result_add_time(result, "simulation_s", seconds);
	lab_result_add_time(result, "events_per_s", seconds > 0 ? (double)run.totals.events / seconds : 0);
	engine_result_clear(&run);
	return TRUE;
}

static const char *const resample[] = { "jitter=10", NULL };
/* Linux runs the threads: what is applied are knobs, and only their effect counts. */
static const char *const live[] = { "model=kernel", NULL };

static const char *const modifiers[] = { SCHEDULING_SHARING, NULL };

const struct lab_family lab_scheduling_family = {
	.name = "scheduling",
	.registry = &scheduling_registry,
	.load = load,
	.free = loaded_free,
	.applicable = applicable,
	.can_apply = can_apply,
	.traits = traits,
	.evaluate = evaluate,
	.resample = resample,
	.live = live,
	.modifiers = modifiers,
};
