/* polder lab rebalance: moves that improve what is placed, in this process; no daemon is asked. */
#include <stdio.h>

#include "cli/verbs.h"
#include "lab/rebalance.h"

int verb_lab_rebalance(struct invocation *invocation, GError **error)
{
	const char *model = invocation_option(invocation, "reassignment"),
		   *ganeti = invocation_option(invocation, "ganeti");
	const char *assignment = invocation_argument(invocation, 0);
	g_autofree const char **parameters = invocation_options(invocation, "param");
	guint64 seed = 1, max_moves = 0;
	struct lab_rebalance_options options = {
		.strategy = invocation_option(invocation, "strategy"),
		.parameters = parameters,
		.budget = invocation_option(invocation, "budget"),
		.json = invocation_flag(invocation, "json"),
		.timing = invocation_flag(invocation, "timing"),
	};
	g_autofree char *told = NULL;

	if (!invocation_number(invocation, "seed", (guint64[]) { 0, G_MAXINT64 }, &seed, error) ||
	    !invocation_number(invocation, "max-moves", (guint64[]) { 0, G_MAXINT32 }, &max_moves, error))
		return -1;
	if (!model == !ganeti)
		return usage_error(error, invocation, "give either --reassignment MODEL ASSIGNMENT or --ganeti FILE");
	if (model && !assignment)
		return usage_error(error, invocation, "the assignment is missing: --reassignment MODEL ASSIGNMENT");
	if (ganeti && assignment)
		return usage_error(error, invocation, "a Ganeti cluster has no assignment of its own, '%s'",
				   assignment);
	options.seed = seed;
	options.max_moves = (guint)max_moves;
	told = model ? lab_rebalance_reassignment(model, assignment, &options, error)
		     : lab_rebalance_ganeti(ganeti, &options, error);
	if (!told)
		return -1;
	fputs(told, stdout);
	return 0;
}
