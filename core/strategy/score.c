#include "core/strategy/score.h"

#include <math.h>
#include <stdint.h>

#include "core/strategy/number.h"

const char *const score_names[] = { "performance", "availability", "security", NULL };

#define LN10 2.302585092994045684

bool score_weights_normalize(struct score_weights *weights, bool *changed)
{
	double sum = 0;

	*changed = false;
	for (int i = 0; i < SCORES; i++) {
		if (!(weights->weight[i] >= 0) || isinf(weights->weight[i]))
			return false;
		sum += weights->weight[i];
	}
	if (!(sum > 0) || isinf(sum))
		return false;
	/* 0.7 + 0.2 + 0.1 is not quite 1 in binary; that is nothing to tell anyone. */
	if (fabs(sum - 1) <= 1e-12)
		return true;
	for (int i = 0; i < SCORES; i++)
		weights->weight[i] /= sum;
	*changed = true;
	return true;
}

/* Student's t, 97.5 %: one to thirty degrees of freedom, then some. */
static double student_t(size_t freedom)
{
	static const double table[] = {
		12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
		2.201,  2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
		2.080,  2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
	};

	if (freedom <= 30)
		return table[freedom - 1];
	return freedom < 40 ? 2.042 : freedom < 60 ? 2.021 : freedom < 120 ? 2.000 : 1.980;
}

struct score score_interval(const double *runs, size_t n)
{
	struct score score = { .present = n > 0 };
	double sum = 0, squares = 0, half;

	if (!n)
		return score;
	for (size_t i = 0; i < n; i++)
		sum += runs[i];
	score.mean = score.low = score.high = sum / (double)n;
	if (n == 1)
		return score;
	for (size_t i = 0; i < n; i++)
		squares += (runs[i] - score.mean) * (runs[i] - score.mean);
	/* Equal runs have no spread, whatever their mean's last bit is. */
	for (size_t i = 1; i < n; i++)
		if (runs[i] != runs[0]) {
			half = student_t(n - 1) * sqrt(squares / (double)(n - 1) / (double)n);
			score.low -= half;
			score.high += half;
			return score;
		}
	score.mean = score.low = score.high = runs[0];
	return score;
}

struct score score_from_runs(const double *runs, size_t n)
{
	struct score score = score_interval(runs, n);

	if (score.low < 0 && score.mean >= 0)
		score.low = 0;
	if (score.high > 1 && score.mean <= 1)
		score.high = 1;
	return score;
}

double score_nines(double availability)
{
	double nines;

	if (!(availability > 0))
		return 0;
	if (availability >= 0.9999)
		return 1;
	nines = -strategy_log(1 - availability) / LN10 / 4;
	return nines < 1 ? nines : 1;
}

static double valued(enum score_kind kind, double score)
{
	return kind == SCORE_AVAILABILITY ? score_nines(score) : score;
}

struct score_efficiency score_efficiency(const struct scores *scores, const struct score_weights *weights)
{
	struct score_efficiency efficiency = { 0 };
	double there = 0;

	for (int i = 0; i < SCORES; i++) {
		if (scores->score[i].present)
			there += weights->weight[i];
		else if (weights->weight[i] > 0)
			efficiency.missing |= 1u << i;
	}
	if (!(there > 0))
		return efficiency;
	efficiency.present = true;
	for (int i = 0; i < SCORES; i++) {
		double weight = weights->weight[i] / there;

		if (!scores->score[i].present)
			continue;
		efficiency.mean += weight * valued(i, scores->score[i].mean);
		efficiency.low += weight * valued(i, scores->score[i].low);
		efficiency.high += weight * valued(i, scores->score[i].high);
	}
	return efficiency;
}

bool score_meets(const struct scores *scores, const struct score_floor *floors, size_t n, size_t *first_missed,
		 double *distance)
{
	bool meets = true;

	*distance = 0;
	for (size_t i = 0; i < n; i++) {
		const struct score *score = &scores->score[floors[i].kind];
		double mean = score->present ? score->mean : 0;

		if (score->present && (floors[i].strict ? mean > floors[i].least : mean >= floors[i].least))
			continue;
		if (meets && first_missed)
			*first_missed = i;
		meets = false;
		*distance += floors[i].least - mean;
	}
	return meets;
}

/* Whether `a` is at least as good as `b` everywhere and better somewhere. A missing score is worse than any. */
static bool dominates(const struct scores *a, const struct scores *b)
{
	bool better = false;

	for (int i = 0; i < SCORES; i++) {
		double mean_a = a->score[i].present ? a->score[i].mean : -1;
		double mean_b = b->score[i].present ? b->score[i].mean : -1;

		if (mean_a < mean_b)
			return false;
		better |= mean_a > mean_b;
	}
	return better;
}

/* Whether candidate `a` is ranked before `b`, apart from ties. */
static bool before(const struct score_candidate *a, const struct score_candidate *b)
{
	if (a->meets != b->meets)
		return a->meets;
	if (!a->meets && a->distance != b->distance)
		return a->distance < b->distance;
	if (a->efficiency.present != b->efficiency.present)
		return a->efficiency.present;
	return a->efficiency.present && a->efficiency.mean > b->efficiency.mean;
}

struct score_selection score_select(struct score_candidate *candidates, size_t n, const struct score_weights *weights,
				    const struct score_floor *floors, size_t n_floors)
{
	struct score_selection selection = { SIZE_MAX, SIZE_MAX, SIZE_MAX, false };
	size_t first = SIZE_MAX, second = SIZE_MAX;

	for (size_t i = 0; i < n; i++) {
		struct score_candidate *candidate = &candidates[i];

		candidate->efficiency = score_efficiency(&candidate->scores, weights);
		candidate->meets = score_meets(&candidate->scores, floors, n_floors, NULL, &candidate->distance);
		candidate->meets &= !candidate->misses_figure;
		candidate->distance += candidate->figure_distance;
	}
	for (size_t i = 0; i < n; i++) {
		struct score_candidate *candidate = &candidates[i];

		candidate->pareto = true;
		candidate->rank = 0;
		for (size_t j = 0; j < n; j++) {
			if (j == i)
				continue;
			if (dominates(&candidates[j].scores, &candidate->scores))
				candidate->pareto = false;
			if (before(&candidates[j], candidate) || (j < i && !before(candidate, &candidates[j])))
				candidate->rank++;
		}
		if (candidate->rank == 0)
			first = i;
		else if (candidate->rank == 1)
			second = i;
	}
	if (first == SIZE_MAX)
		return selection;
	if (!candidates[first].meets || !candidates[first].efficiency.present) {
		selection.nearest = first;
		return selection;
	}
	selection.winner = first;
	selection.clear = true;
	if (second != SIZE_MAX && candidates[second].meets && candidates[second].efficiency.present) {
		selection.runner_up = second;
		selection.clear = candidates[first].efficiency.low > candidates[second].efficiency.high;
	}
	return selection;
}
