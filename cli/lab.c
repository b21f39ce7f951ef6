/* polder lab allocation: strategies on a trace or a packing instance, in this process; no daemon is asked. */
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>

#include "cli/progress.h"
#include "cli/verbs.h"
#include "cli/workload.h"
#include "lab/allocation.h"
#include "lab/error.h"
#include "lab/packing.h"
#include "lab/report.h"

/* "hosts=…" and what --option says, as the family's load takes it. */
static char **load_options(struct invocation *invocation, gboolean packing)
{
	g_autofree const char **given = invocation_options(invocation, "option");
	g_autoptr(GPtrArray) options = g_ptr_array_new();
	const char *hosts = invocation_option(invocation, "hosts");

	if (hosts && !packing)
		g_ptr_array_add(options, g_strconcat("hosts=", hosts, NULL));
	for (const char **option = given; *option; option++)
		g_ptr_array_add(options, g_strdup(*option));
	g_ptr_array_add(options, NULL);
	return (char **)g_ptr_array_steal(options, NULL);
}

static enum lab_part part_option(struct invocation *invocation)
{
	const char *part = invocation_option(invocation, "part");

	return g_strcmp0(part, "tune") == 0 ? LAB_TUNE : g_strcmp0(part, "held-out") == 0 ? LAB_HELD_OUT : LAB_WHOLE;
}

/* --strategy's candidates, with --param set when there is but one. */
static gboolean candidates_add(struct invocation *invocation, struct lab_ranking *ranking, GError **error)
{
	g_autofree const char **pairs = invocation_options(invocation, "param");
	const char *names = invocation_option(invocation, "strategy");
	const struct strategy_info *info;
	struct strategy_values values;

	if (!pairs[0])
		return lab_ranking_add_named(ranking, names ? names : "all", error);
	if (!names || g_strcmp0(names, "all") == 0 || strpbrk(names, ",(")) {
		usage_error(error, invocation,
			    "--param is for one strategy: name it with --strategy (or give each its values: "
			    "--strategy 'first-fit,weighted(cpu=2)')");
		return FALSE;
	}
	info = lab_strategy_find(ranking->family->registry, names, error);
	if (!info)
		return FALSE;
	strategy_values_init(info, &values);
	for (const char **pair = pairs; *pair; pair++)
		if (!lab_values_set(info, &values, *pair, error))
			return FALSE;
	lab_ranking_add(ranking, info, &values);
	return TRUE;
}

static int rank_and_print(struct invocation *invocation, struct lab_ranking *ranking, GError **error)
{
	gboolean timing = invocation_flag(invocation, "timing");
	g_autofree char *text = NULL;

	if (!candidates_add(invocation, ranking, error) || !workload_rank(invocation, ranking, "Replaying", error) ||
	    !workload_plot(invocation, ranking, error))
		return -1;
	text = invocation_flag(invocation, "json") ? lab_report_json(ranking, timing)
						   : lab_report_text(ranking, timing);
	fputs(text, stdout);
	/* No candidate is a conflict, as in strategy select: none met what is required, or none has a score. */
	return ranking->winner ? 0 : 4;
}

/* A bad --strategy is told before a long trace is read. */
static gboolean names_check(struct invocation *invocation, const struct lab_family *family, GError **error)
{
	const char *names = invocation_option(invocation, "strategy");

	return !names || g_strcmp0(names, "all") == 0 || strpbrk(names, ",(") ||
	       lab_strategy_find(family->registry, names, error) != NULL;
}

static int allocation(struct invocation *invocation, GError **error)
{
	const char *trace = invocation_option(invocation, "trace");
	gboolean packing = trace && (g_str_has_suffix(trace, ".vbp") || g_str_has_suffix(trace, ".vbp.gz"));
	const struct lab_family *family = packing ? &lab_packing_family : &lab_allocation_family;
	g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
	g_auto(GStrv) options = load_options(invocation, packing);
	struct lab_ranking *ranking;
	g_autofree char *fetched = NULL;
	gpointer workload = NULL;
	int status;

	if (!trace)
		return usage_error(error, invocation,
				   "no trace: name a file with --trace, live for what this daemon recorded, or "
				   "synthetic:vms=10000,seed=1");
	if (!names_check(invocation, family, error) || !workload_drawing_check(invocation, "plot", error))
		return -1;
	if (packing && invocation_option(invocation, "hosts"))
		g_ptr_array_add(notes, g_strdup("hosts: an instance has bins of its own; --hosts was not used"));
	if (strcmp(trace, "live") != 0 || workload_fetch(invocation, family, &fetched, error))
		workload = family->load(fetched ? fetched : trace, (const char *const *)options, notes, error);
	if (fetched)
		g_unlink(fetched);
	if (!workload)
		return -1;
	ranking = lab_ranking_new(family, workload, part_option(invocation));
	ranking->source = g_strdup(trace);
	for (guint i = 0; i < notes->len; i++)
		g_ptr_array_add(ranking->notes, g_strdup(notes->pdata[i]));
	status = rank_and_print(invocation, ranking, error);
	lab_ranking_free(ranking);
	family->free(workload);
	return status;
}

int verb_lab_allocation(struct invocation *invocation, GError **error)
{
	int status = allocation(invocation, error);

	if (status < 0 && *error && (*error)->domain == LAB_ERROR)
		return lab_error_exit_status(*error);
	return status;
}
