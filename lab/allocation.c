#include "lab/allocation.h"

#include <string.h>

#include "lab/error.h"
#include "lab/derive.h"

#define HOSTS_DEFAULT "2x40c90G"
#define DAY_US        G_GINT64_CONSTANT(86400000000)

/* The options as text, and once parsed. */
struct settings {
	const char *hosts, *migrate;
	guint racks;
	double split_over_gib; /* negative: the format's default */
	gint64 tune_until_us;  /* negative: not given */
	struct trace_options trace;
	struct replay_options replay;
};

static gboolean option_fail(GError **error, const char *option, const char *what)
{
	g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID, "option %.100s: %s", option, what);
	return FALSE;
}

static gboolean number_parse(const char *text, double min, double max, double *value)
{
	char *end = NULL;

	*value = g_ascii_strtod(text, &end);
	return end != text && !*end && *value >= min && *value <= max;
}

/* "1.5d", "36h", "90m", "300s", "300". */
static gboolean duration_us(const char *text, gint64 *us)
{
	double value, unit = 1;
	char *end = NULL;

	value = g_ascii_strtod(text, &end);
	switch (*end) {
	case 'd':
		unit = 86400;
		break;
	case 'h':
		unit = 3600;
		break;
	case 'm':
		unit = 60;
		break;
	default:
		break;
	}
	if (end == text || (*end && (end[1] || !strchr("dhms", *end))) || !(value > 0 && value * unit < 3e9))
		return FALSE;
	*us = (gint64)(value * unit * 1e6);
	return TRUE;
}

/* The index of `text` in `names`, or -1. */
static int choice(const char *text, const char *const *names)
{
	for (int i = 0; names[i]; i++)
		if (strcmp(text, names[i]) == 0)
			return i;
	return -1;
}

static gboolean migrate_set(struct settings *settings, const char *option, const char *value, GError **error)
{
	g_autoptr(GString) names = g_string_new("there is no such policy; known: ");

	settings->replay.migration = allocation_migration_find(value);
	if (settings->replay.migration)
		return TRUE;
	for (size_t i = 0; i < allocation_n_migrations; i++)
		g_string_append_printf(names, "%s%s", i ? ", " : "", allocation_migrations[i]->name);
	return option_fail(error, option, names->str);
}

static gboolean option_set(struct settings *settings, const char *option, GError **error)
{
	static const char *const lifetimes[] = { "midpoint", "shortest", "longest", NULL };
	static const char *const aparts[] = { "no", "soft", "hard", NULL };
	const char *equals = strchr(option, '=');
	g_autofree char *name = equals ? g_strndup(option, (gsize)(equals - option)) : NULL;
	const char *value = equals ? equals + 1 : "";
	double number = 0;
	int index;

	if (!equals)
		return option_fail(error, option, "write name=value");
	if (strcmp(name, "hosts") == 0) {
		settings->hosts = value;
	} else if (strcmp(name, "racks") == 0) {
		if (!number_parse(value, 1, 100000, &number))
			return option_fail(error, option, "the hosts of a rack are 1 to 100000");
		settings->racks = (guint)number;
	} else if (strcmp(name, "split-over") == 0) {
		if (!number_parse(value, 0, 65536, &settings->split_over_gib))
			return option_fail(error, option, "a number of GiB, or 0: split as needed");
	} else if (strcmp(name, "lifetime") == 0) {
		if ((index = choice(value, lifetimes)) < 0)
			return option_fail(error, option, "it is midpoint, shortest or longest");
		settings->trace.lifetime = (enum trace_lifetime)index;
	} else if (strcmp(name, "tune-until") == 0) {
		if (!duration_us(value, &settings->tune_until_us))
			return option_fail(error, option, "a time since the trace's beginning like 1.5d, 36h or 900s");
	} else if (strcmp(name, "apart") == 0) {
		if ((index = choice(value, aparts)) < 0)
			return option_fail(error, option, "it is no, soft or hard");
		settings->replay.apart = (enum replay_apart)index;
	} else if (strcmp(name, "samples") == 0) {
		if (!number_parse(value, 1, 10000, &number))
			return option_fail(error, option, "a number from 1 to 10000");
		settings->replay.samples = (guint)number;
	} else if (strcmp(name, "migrate") == 0) {
		return migrate_set(settings, option, value, error);
	} else if (strcmp(name, "max-per-vm") == 0) {
		if (!number_parse(value, 0, 1000, &settings->replay.max_moves_per_vm))
			return option_fail(error, option, "moves for each VM, like 0.05");
	} else if (strcmp(name, "leave-out") == 0) {
		if (!number_parse(value, 0, 0.9, &settings->replay.leave_out))
			return option_fail(error, option, "a share of the batches, 0 to 0.9");
	} else {
		return option_fail(error, option,
				   "unknown; known: hosts, racks, split-over, lifetime, tune-until, apart, samples, "
				   "migrate, max-per-vm, leave-out");
	}
	return TRUE;
}

static void workload_free(gpointer data)
{
	struct allocation_workload *workload = data;

	if (!workload)
		return;
	if (!workload->trace || workload->fleet != workload->trace->fleet)
		fleet_free(workload->fleet);
	trace_free(workload->trace);
	g_free(workload);
}

static void note(GPtrArray *notes, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void note(GPtrArray *notes, const char *format, ...)
{
	va_list arguments;

	if (!notes)
		return;
	va_start(arguments, format);
	g_ptr_array_add(notes, g_strdup_vprintf(format, arguments));
	va_end(arguments);
}

/* ---- What the trace does not say ---- */

static gboolean fleet_choose(struct allocation_workload *workload, const struct settings *settings, GPtrArray *notes,
			     GError **error)
{
	if (settings->hosts) {
		workload->fleet = fleet_parse(settings->hosts, settings->racks, error);
	} else if (workload->trace->fleet) {
		workload->fleet = workload->trace->fleet;
		note(notes, "hosts: the %u that the trace names", workload->fleet->hosts->len);
	} else {
		workload->fleet = fleet_parse(HOSTS_DEFAULT, settings->racks, error);
		note(notes, "hosts: as many as needed of " HOSTS_DEFAULT ", as none were given (--hosts)");
	}
	if (!workload->fleet)
		return FALSE;
	if (!workload->fleet->names_racks)
		note(notes, "racks: of %u hosts each, by number", workload->fleet->rack_hosts);
	return TRUE;
}

static void split_choose(struct allocation_workload *workload, const struct settings *settings, GPtrArray *notes)
{
	static const double gib[] = {
		[TRACE_AZURE] = 20, [TRACE_HUAWEI] = 10, [TRACE_EVENTS] = 0, [TRACE_SYNTHETIC] = 0
	};
	double over = settings->split_over_gib < 0 ? gib[workload->trace->format] : settings->split_over_gib;

	workload->options.split_over_mib = (guint32)(over * 1024);
	if (over > 0)
		note(notes, "NUMA: VMs of more than %g GiB are split over two nodes, others are on one (split-over)",
		     over);
	else
		note(notes, "NUMA: VMs that don't say are on one node where possible, else over as few as it takes");
}

static void tune_choose(struct allocation_workload *workload, const struct settings *settings)
{
	const struct trace *trace = workload->trace;

	workload->tune_until_us = trace->first_us + (trace->last_create_us - trace->first_us) / 2;
	if (trace->format == TRACE_AZURE && trace->last_create_us > DAY_US * 3 / 2)
		workload->tune_until_us = DAY_US * 3 / 2;
	if (settings->tune_until_us > 0)
		workload->tune_until_us = trace->first_us + settings->tune_until_us;
}

static void derived_note(const struct trace *trace, GPtrArray *notes)
{
	if (trace->format == TRACE_AZURE)
		note(notes, "groups: each tenant batch is one");
	else if (trace->format == TRACE_HUAWEI || !trace->has_groups)
		note(notes, "groups: consecutive requests of one size at one time are one, as the trace names none");
	if (!trace->has_tenants)
		note(notes,
		     "tenants: drawn for each batch by Zipf's law over %d, by the run's seed, as the trace names none",
		     DERIVE_TENANTS);
	if (trace->n_refused)
		note(notes,
		     "%" G_GUINT64_FORMAT " refused when this was recorded; how long they would have "
		     "stayed is not known, so left out",
		     trace->n_refused);
}

static gpointer workload_load(const char *path, const char *const *options, GPtrArray *notes, GError **error)
{
	struct settings settings = { .racks = FLEET_RACK_OF_DEFAULT,
				     .split_over_gib = -1,
				     .tune_until_us = -1,
				     .replay = { .samples = 32, .max_moves_per_vm = 0.05 } };
	struct allocation_workload *workload;

	for (; options && *options; options++)
		if (!option_set(&settings, *options, error))
			return NULL;
	workload = g_new0(struct allocation_workload, 1);
	workload->options = settings.replay;
	workload->trace = trace_load(path, &settings.trace, error);
	if (!workload->trace || !fleet_choose(workload, &settings, notes, error)) {
		workload_free(workload);
		return NULL;
	}
	split_choose(workload, &settings, notes);
	tune_choose(workload, &settings);
	derived_note(workload->trace, notes);
	if (settings.replay.leave_out > 0)
		note(notes,
		     "seeds: each leaves another %g %% of the batches out, to show how sure the outcome is (leave-out)",
		     settings.replay.leave_out * 100);
	return workload;
}

/* ---- Evaluation ---- */

static const struct allocation_strategy *strategy_of(const struct strategy_info *info)
{
	return (const struct allocation_strategy *)(const void *)info; /* its first member */
}

static const char *applicable(gconstpointer workload, const struct strategy_info *info)
{
	return replay_can(strategy_of(info));
}

static gboolean can_apply(const struct strategy_info *info)
{
	return info->kind == STRATEGY_ONLINE;
}

static void score_set(struct lab_result *result, enum score_kind kind, gboolean present, double value)
{
	result->has_score[kind] = present;
	result->score[kind] = present ? CLAMP(value, 0, 1) : 0;
}

static void scores_make(const struct replay *replay, const struct replay_outcome *outcome, struct lab_result *result)
{
	if (replay->fleet->elastic)
		score_set(result, SCORE_PERFORMANCE, outcome->host_hours > 0,
			  outcome->host_hours > 0 ? outcome->bound_host_hours / outcome->host_hours : 0);
	else
		score_set(result, SCORE_PERFORMANCE, outcome->asked_hours > 0,
			  outcome->asked_hours > 0 ? outcome->accepted_hours / outcome->asked_hours : 0);
	score_set(result, SCORE_AVAILABILITY, outcome->has_majority && outcome->has_replaceable,
		  outcome->majority_share * outcome->replaceable_share);
	score_set(result, SCORE_SECURITY, outcome->vm_hours > 0, outcome->own_share);
}

static void figures_make(const struct replay *replay, const struct replay_outcome *outcome, struct lab_result *result)
{
	lab_result_add(result, "host_hours", outcome->host_hours);
	if (replay->fleet->elastic) {
		lab_result_add(result, "bound_host_hours", outcome->bound_host_hours);
		if (outcome->bound_host_hours > 0)
			lab_result_add(result, "over_bound_percent",
				       100 * (outcome->host_hours / outcome->bound_host_hours - 1));
	}
	lab_result_add(result, "peak_hosts", outcome->peak_hosts);
	lab_result_add(result, "requests", (double)outcome->requests);
	lab_result_add(result, "refused", (double)outcome->refused);
	if (replay->options.migration)
		lab_result_add(result, "migrations", (double)outcome->migrations);
	lab_result_add(result, "decisions", (double)outcome->decisions);
	if (outcome->has_majority)
		lab_result_add(result, "majority_share", outcome->majority_share);
	if (outcome->has_replaceable)
		lab_result_add(result, "replaceable_share", outcome->replaceable_share);
	lab_result_add_time(result, "decide_p50_ns", outcome->decide_p50_ns);
	lab_result_add_time(result, "decide_p99_ns", outcome->decide_p99_ns);
}

static gboolean evaluate(gconstpointer data, const struct strategy_info *info, const struct strategy_values *values,
			 guint64 seed, enum lab_part part, struct lab_result *result, GError **error)
{
	const struct allocation_workload *workload = data;
	struct replay replay = {
		.trace = workload->trace,
		.fleet = workload->fleet,
		.options = workload->options,
		.tune_until_us = workload->tune_until_us,
		.strategy = strategy_of(info),
		.values = values,
		.seed = seed,
		.part = part,
	};
	struct replay_outcome outcome;

	if (!replay_run(&replay, &outcome, error))
		return FALSE;
	scores_make(&replay, &outcome, result);
	figures_make(&replay, &outcome, result);
	return TRUE;
}

static const char *const resample[] = { "leave-out=0.1", NULL };

const struct lab_family lab_allocation_family = {
	.name = "allocation",
	.registry = &allocation_registry,
	.load = workload_load,
	.free = workload_free,
	.applicable = applicable,
	.can_apply = can_apply,
	.evaluate = evaluate,
	.resample = resample,
};
