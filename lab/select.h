/* Candidates of a family on one workload: evaluated over seeds, ranked, and the reasons told. Rendered by report.h and
 * plot.h.
 *
 *   ranking = lab_ranking_new(family, workload, LAB_WHOLE);
 *   lab_ranking_add_all(ranking, FALSE)        or lab_ranking_add(ranking, info, values), one by one
 *   lab_ranking_run(ranking, &run, error)      evaluate
 *   lab_ranking_select(ranking, …, error)      rank, choose, say why
 */
#pragma once

#include "lab/evaluate.h"

/* One requirement: on a raw score's mean ("availability>=0.99") or on a figure's ("host_hours<=5e4"). */
struct lab_floor {
	char *name; /* owned */
	enum lab_comparison { LAB_AT_LEAST, LAB_ABOVE, LAB_AT_MOST, LAB_BELOW } comparison;
	double value;
};

/* lab_floors_parse(texts, error): of NULL-terminated texts (NULL: none), each with one or more requirements separated by
 * commas. Elements are struct lab_floor. LAB_ERROR_INVALID with an example. */
GArray *lab_floors_parse(const char *const *texts, GError **error);
char *lab_floor_print(const struct lab_floor *floor); /* caller frees */

/* lab_weights_parse(text, weights, changed, error): "performance=0.5,availability=0.3,security=0.2"; a score left out
 * weighs 0. Normalized to a sum of 1; `*changed` says whether that changed them. NULL: the defaults. */
gboolean lab_weights_parse(const char *text, struct score_weights *weights, gboolean *changed, GError **error);

/* A figure over the seeds: the mean of the runs that have it. */
struct lab_figure_mean {
	const char *name;
	struct score value; /* not within [0, 1] */
	gboolean is_time;
};

struct lab_candidate {
	const struct strategy_info *info;
	struct strategy_values values;
	const char *skipped;     /* why it can't be evaluated here, or NULL; then nothing below is set */
	char *failed;            /* owned; what went wrong evaluating it, or NULL; it has no scores then */
	struct lab_result *runs; /* n_runs of them, by seed */
	guint n_runs;
	struct score_candidate score;
	struct lab_figure_mean figure[LAB_FIGURES_MAX]; /* in the order of the first run */
	guint n_figures;
	char *note; /* owned; the notes of its runs, or NULL */
};

struct lab_ranking {
	const struct lab_family *family; /* borrowed, as the workload */
	gconstpointer workload;
	enum lab_part part;
	char *source;     /* owned; what the workload is called in reports, or NULL */
	GPtrArray *notes; /* char *, owned; what was derived or assumed */
	guint64 seed;
	guint n_seeds;
	GPtrArray *candidates; /* struct lab_candidate *, in the order added */

	/* By lab_ranking_select(): */
	struct score_weights weights;
	gboolean weights_normalized;
	GArray *floors;    /* struct lab_floor */
	GPtrArray *ranked; /* struct lab_candidate *, best first, borrowed from candidates */
	const struct lab_candidate *winner, *nearest, *runner_up; /* or NULL */
	char *why;                                                /* one or more sentences */
};

struct lab_ranking *lab_ranking_new(const struct lab_family *family, gconstpointer workload, enum lab_part part);
void lab_ranking_free(struct lab_ranking *ranking); /* NULL is fine */
typedef struct lab_ranking lab_ranking_auto;        /* for g_autoptr() */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(lab_ranking_auto, lab_ranking_free)

/* lab_ranking_add(ranking, info, values): values NULL: the defaults. One that can't be evaluated is listed as skipped. */
void lab_ranking_add(struct lab_ranking *ranking, const struct strategy_info *info,
		     const struct strategy_values *values);
/* lab_ranking_add_all(ranking, live): every strategy of the family; with `live` what cannot run live is skipped. */
void lab_ranking_add_all(struct lab_ranking *ranking, gboolean live);

/* lab_ranking_add_named(ranking, list, error): "all", or names separated by commas, each with values in parentheses if need
 * be: "best-fit,weighted(cpu=2 memory=1)". LAB_ERROR_INVALID lists the names there are. */
gboolean lab_ranking_add_named(struct lab_ranking *ranking, const char *list, GError **error);

struct lab_run {
	guint64 seed;                                                  /* the first; one run uses seed, seed + 1, … */
	guint n_seeds;                                                 /* 0: 1 */
	guint n_threads;                                               /* 0: 2 */
	void (*progress)(guint done, guint total, gpointer user_data); /* in the caller's thread; may be NULL */
	gpointer user_data;
};
/* lab_ranking_run(ranking, run, error): evaluate every candidate on every seed in worker threads. What comes out does not
 * depend on their number. A candidate that fails is marked; when all fail, so does this, with the first one's error. */
gboolean lab_ranking_run(struct lab_ranking *ranking, const struct lab_run *run, GError **error);

/* lab_ranking_select(ranking, weights, normalized, floors, error): floors NULL: none; else the ranking takes a reference.
 * LAB_ERROR_INVALID when a floor names neither a score nor a figure. No winner is not an error here. */
gboolean lab_ranking_select(struct lab_ranking *ranking, const struct score_weights *weights, gboolean normalized,
			    GArray *floors, GError **error);

/* lab_paired_difference(a, b, weights): of the efficiency, a − b, paired by seed: what chance does to both alike is taken
 * out. Missing when either failed or no seed gave both one. */
struct score lab_paired_difference(const struct lab_candidate *a, const struct lab_candidate *b,
				   const struct score_weights *weights);

/* ---- Names and parameters, with errors for people ---- */

/* lab_strategy_find(registry, name, error): LAB_ERROR_INVALID lists the names there are. */
const struct strategy_info *lab_strategy_find(const struct strategy_registry *registry, const char *name,
					      GError **error);
/* lab_values_set(info, values, pair, error): "name=value". LAB_ERROR_INVALID names the parameters, or the range. */
gboolean lab_values_set(const struct strategy_info *info, struct strategy_values *values, const char *pair,
			GError **error);
/* lab_values_print(info, values): what differs from the defaults, "" when nothing does. Caller frees. */
char *lab_values_print(const struct strategy_info *info, const struct strategy_values *values);
/* lab_parameter_range(parameter): "0 to 10", "one of a, b". Caller frees. */
char *lab_parameter_range(const struct strategy_parameter *parameter);
