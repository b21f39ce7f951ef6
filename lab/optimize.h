/* A strategy's parameters searched on one part of a workload and judged on another. */
#pragma once

#include "lab/select.h"

struct lab_budget {
	guint64 evaluations; /* or 0: */
	gint64 duration_us;  /* as many as one evaluation's time lets expect; the count is fixed before the search, and
			      * gives the same result on any machine */
};

/* lab_budget_parse(text, budget, error): "5000" or "30s", "5m", "1h", "250ms". */
gboolean lab_budget_parse(const char *text, struct lab_budget *budget, GError **error);

struct lab_search {
	const struct strategy_info *info;
	struct lab_budget budget;
	const struct score_weights *weights;
	gboolean weights_normalized;
	GArray *floors;     /* NULL: none. What misses one is worse than all that meet them */
	guint n_tune_seeds; /* 0: 2, one a thread */
	struct lab_run run; /* its seeds judge (0: 5), and its first is the search's */
};

struct lab_optimization {
	const struct strategy_info *info;
	struct strategy_values values; /* the best of the search */
	guint64 evaluations, seed;
	gboolean timed;                   /* the budget was a time */
	double tuned_default, tuned_best; /* the efficiency on the part that was tuned on */
	struct score difference;          /* of the efficiency on the held-out part, best − default, paired by seed */
	gboolean gain;                    /* its interval lies above 0 and the required floors are met */
	struct lab_ranking *held_out;     /* two candidates: the defaults, then the best */
	char *verdict;                    /* one or two sentences */
};

/* lab_optimize(family, workload, search, error): LAB_ERROR_INVALID when the strategy has no parameters or cannot be
 * evaluated on the workload. */
struct lab_optimization *lab_optimize(const struct lab_family *family, gconstpointer workload,
				      const struct lab_search *search, GError **error);
void lab_optimization_free(struct lab_optimization *optimization); /* NULL is fine */
typedef struct lab_optimization lab_optimization_auto;             /* for g_autoptr() */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(lab_optimization_auto, lab_optimization_free)

char *lab_optimization_text(const struct lab_optimization *optimization, gboolean timing); /* caller frees */
char *lab_optimization_json(const struct lab_optimization *optimization, gboolean timing);
