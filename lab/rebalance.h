/* Plans that improve what is placed, made and told: for machine reassignment instances and Ganeti clusters. */
#pragma once

#include "lab/ganeti.h"
#include "lab/reassignment.h"

#define LAB_REBALANCE_WORKERS       2 /* seeds tried side by side, the best taken: the same whatever the machine */
#define LAB_REBALANCE_STEPS_DEFAULT 20000000

struct lab_rebalance_options {
	const char *strategy;          /* NULL: annealing */
	const char *const *parameters; /* "name=value", NULL-terminated; NULL: none */
	const char *budget; /* "N" steps for each worker, or "300s", "5m"; NULL: the default. A time is turned
					* into the number of steps that fits it here, which the plan names */
	guint64 seed;
	gboolean json, timing;
	guint max_moves; /* of a Ganeti cluster; 0: no limit */
};

/* lab_rebalance_reassignment(model, assignment, options, error): the plan in its order, its gain and cost, as text or JSON.
 * Every plan is checked from scratch before it is told. Caller frees. */
char *lab_rebalance_reassignment(const char *model, const char *assignment, const struct lab_rebalance_options *options,
				 GError **error);
/* The same for a Ganeti cluster: steepest descent on hbal's score. It ends as hbal does: when no move gains, or, below a
 * score of 0.1, when none gains 0.01. */
char *lab_rebalance_ganeti(const char *path, const struct lab_rebalance_options *options, GError **error);

struct lab_improvement {
	struct rebalance_cost before, after;
	guint32 *machine; /* owned */
	guint64 steps, seed, used;
	gboolean cut; /* the time ran out before the steps: not to be reproduced by their number */
};
/* lab_rebalance_improve(problem, options, improvement, error): without the telling. */
gboolean lab_rebalance_improve(const struct rebalance_problem *problem, const struct lab_rebalance_options *options,
			       struct lab_improvement *improvement, GError **error);
void lab_improvement_clear(struct lab_improvement *improvement);
