/* Scores and selection, the same for all families (docs/architecture.md, "Scores"): three numbers in [0, 1], higher is
 * better, each defined absolutely, so that adding a candidate never changes another's. A score that could not be computed
 * is missing, never 1: its weight goes to the others. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum score_kind { SCORE_PERFORMANCE, SCORE_AVAILABILITY, SCORE_SECURITY, SCORES };
extern const char *const score_names[]; /* "performance", …, NULL */

/* One score over the seeds it was measured with. */
struct score {
	bool present;
	double mean;
	double low,
		high; /* 95 % confidence interval of the mean (Student's t over the runs); both `mean` with one run */
};

struct scores {
	struct score score[SCORES];
};

struct score_weights {
	double weight[SCORES]; /* ≥ 0, sum 1 */
};
#define SCORE_WEIGHTS_DEFAULT         \
	{                             \
		{                     \
			0.5, 0.3, 0.2 \
		}                     \
	}

/* score_weights_normalize(weights): scale to a sum of 1. Returns false when a weight is negative or not finite, or all
 * are 0 (weights unchanged); `*changed` says whether scaling changed them. */
bool score_weights_normalize(struct score_weights *weights, bool *changed);

/* score_interval(runs, n): mean and interval of `n` ≥ 0 runs of anything (0: missing). Between the tabulated degrees of
 * freedom the next smaller ones count, so the interval is never too narrow. */
struct score score_interval(const double *runs, size_t n);

/* score_from_runs(runs, n): the same of a score: the interval does not leave [0, 1]. */
struct score score_from_runs(const double *runs, size_t n);

/* score_nines(availability): A' = min(1, −log10(1−A)/4), so that each nine counts a quarter; 0 up to an availability of
 * 0. The logarithm is strategy_log(): the same on every machine, so that no libm decides an order. */
double score_nines(double availability);

struct score_efficiency {
	bool present;
	double mean, low, high;
	unsigned missing; /* bit set of enum score_kind whose weight went to the others */
};
/* efficiency = wp·P + wa·A' + ws·S, of the means; missing when all weighted scores are missing. Its interval is made of
 * the scores' ends and so holds however the scores hang together; it is wider than need be. A' rises with A, so the
 * mean of the efficiency is what everything is ranked by. */
struct score_efficiency score_efficiency(const struct scores *scores, const struct score_weights *weights);

/* A floor on a raw score. Floors on a family's figures are the caller's: it tells the outcome in the candidate. */
struct score_floor {
	enum score_kind kind;
	double least;
	bool strict; /* above, not at least */
};
/* score_meets(scores, floors, n): all floors hold (compared with the mean). A missing score meets none.
 * `*first_missed` (may be NULL) is the index of the first that does not, and *distance the sum of what lacks. */
bool score_meets(const struct scores *scores, const struct score_floor *floors, size_t n, size_t *first_missed,
		 double *distance);

struct score_candidate {
	struct scores scores;               /* in */
	bool misses_figure;                 /* in: a floor on a figure does not hold */
	double figure_distance;             /* in: what lacks there, as a share of what is required, summed */
	struct score_efficiency efficiency; /* out */
	bool pareto;     /* out: no other candidate is at least as good in all scores and better in one */
	bool meets;      /* out: all floors */
	double distance; /* out: what lacks to the floors, summed */
	size_t rank;     /* out: 0 best; those that miss a floor come after all that meet them, by distance */
};

struct score_selection {
	size_t winner;    /* index, or SIZE_MAX: no candidate meets the floors (or there is none) */
	size_t nearest;   /* when there is no winner: the one that lacks least, or SIZE_MAX */
	size_t runner_up; /* or SIZE_MAX */
	bool clear;       /* the winner's interval lies above the runner-up's */
};
/* score_select(candidates, n, weights, floors, n_floors): rank, mark, choose. Ties by index. When the winner's interval
 * overlaps others', `clear` is false and the earlier-listed (simpler) does not win by that alone: the mean decides. */
struct score_selection score_select(struct score_candidate *candidates, size_t n, const struct score_weights *weights,
				    const struct score_floor *floors, size_t n_floors);
