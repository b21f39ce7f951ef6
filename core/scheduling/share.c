#include "core/scheduling/share.h"

#include "core/scheduling/scheduling.h"

#define LEVEL_BITS  8 /* of the level are a fraction of a nanosecond: 400 days at weight 1 still fit */
#define LEVEL_MAX   INT64_MAX
#define PER_MILLE   1000
#define STEP_PART   10
#define FORGET_PART 8
#define SCALE_BITS  20
#define LESS_MOST   1333 /* per mille: no less than three quarters of the weight */

/* What the level alone gives, ns for a weight of 2^LEVEL_BITS; at most `most`. */
static int64_t by_weight(int64_t weight, int64_t level, int64_t most)
{
	int64_t whole = level >> LEVEL_BITS, rest = level & ((1 << LEVEL_BITS) - 1), share;

	if (whole >= most / weight + 1)
		return most;
	share = whole * weight + (rest * weight >> LEVEL_BITS);
	return share < most ? share : most;
}

static int64_t at_level(const struct scheduling_claim *claim, int64_t level)
{
	int64_t least = claim->least_ns < claim->most_ns ? claim->least_ns : claim->most_ns;
	int64_t share = by_weight(claim->weight, level, claim->most_ns);

	return share > least ? share : least;
}

static bool fits(const struct scheduling_claim *claims, size_t n, int64_t level, int64_t capacity_ns)
{
	int64_t left = capacity_ns;

	for (size_t i = 0; i < n; i++) {
		left -= at_level(&claims[i], level);
		if (left < 0)
			return false;
	}
	return true;
}

void scheduling_entitle(struct scheduling_claim *claims, size_t n, int64_t capacity_ns)
{
	int64_t low = 0, high = LEVEL_MAX;

	if (fits(claims, n, high, capacity_ns))
		low = high;
	while (high - low > 1) {
		int64_t level = low + (high - low) / 2;

		if (fits(claims, n, level, capacity_ns))
			low = level;
		else
			high = level;
	}
	for (size_t i = 0; i < n; i++) {
		claims[i].due_ns = at_level(&claims[i], low);
		claims[i].fair_ns = by_weight(claims[i].weight, low, INT64_MAX / 2);
	}
}

static int64_t lag_after(int64_t lag_ns, const struct scheduling_claim *claim, int64_t got_ns)
{
	if (!claim->most_ns) /* it slept: nothing is owed for ever */
		return lag_ns - lag_ns / FORGET_PART;
	lag_ns += claim->due_ns - got_ns;
	if (lag_ns > SCHEDULING_LAG_MAX_NS)
		return SCHEDULING_LAG_MAX_NS;
	return lag_ns < -SCHEDULING_LAG_MAX_NS ? -SCHEDULING_LAG_MAX_NS : lag_ns;
}

static int64_t corrected(int64_t weight, int64_t lag_ns, int64_t due_ns, int64_t stretch_ns)
{
	int64_t rate, factor, behind = lag_ns < 0 ? -lag_ns : lag_ns;

	if (due_ns <= 0 || behind < SCHEDULING_LAG_QUIET_NS)
		return weight;
	/* Per mille of a CPU that it is due; then its lag as a part of what that is worth in SCHEDULING_LAG_GAIN_NS. */
	rate = due_ns * PER_MILLE / stretch_ns;
	rate = rate < 1 ? 1 : rate;
	factor = behind * PER_MILLE / (SCHEDULING_LAG_GAIN_NS / PER_MILLE * rate) + PER_MILLE;
	/* Who is ahead of a small share would otherwise stand still until others have had theirs. */
	if (lag_ns < 0)
		return weight * PER_MILLE / (factor < LESS_MOST ? factor : LESS_MOST);
	if (factor > SCHEDULING_LAG_FACTOR * PER_MILLE)
		factor = SCHEDULING_LAG_FACTOR * PER_MILLE;
	return weight * factor / PER_MILLE;
}

/* The weight that would give what is due. */
static int64_t reserving(const struct scheduling_claim *claim)
{
	int64_t weight = claim->weight;

	if (claim->due_ns <= claim->fair_ns)
		return weight;
	if (claim->fair_ns < claim->due_ns / SCHEDULING_WEIGHT_MAX)
		return SCHEDULING_WEIGHT_MAX;
	weight = weight * (claim->due_ns / 1000) / (claim->fair_ns / 1000 + 1);
	return weight < SCHEDULING_WEIGHT_MAX ? weight : SCHEDULING_WEIGHT_MAX;
}

/* Powers of two, so that it does not change with every breath. */
static int64_t lift(const struct scheduling_claim *claim, int64_t got_ns)
{
	int64_t factor = 1, share = claim->fair_ns > claim->least_ns ? claim->fair_ns : claim->least_ns;

	while (factor < SCHEDULING_LIFT_MAX && got_ns <= share / (2 * factor))
		factor *= 2;
	return factor;
}

int64_t scheduling_correct(struct scheduling_share *share, const struct scheduling_claim *claim, int64_t got_ns,
			   int64_t stretch_ns, bool latency)
{
	int64_t weight;

	share->lag_ns = lag_after(share->lag_ns, claim, got_ns);
	weight = corrected(reserving(claim), share->lag_ns, claim->due_ns, stretch_ns);
	if (latency && share->lag_ns > -SCHEDULING_LAG_QUIET_NS)
		weight *= lift(claim, got_ns);
	return weight < 1 ? 1 : weight;
}

bool scheduling_contended(const struct scheduling_claim *claims, size_t n, int64_t pool_ns)
{
	int64_t left = pool_ns + pool_ns / 4;

	for (size_t i = 0; i < n; i++)
		left -= claims[i].most_ns;
	return left < 0;
}

void scheduling_fit(int64_t *weights, const struct scheduling_claim *claims, size_t n)
{
	int64_t wished = 0, sum = 0, scale;

	for (size_t i = 0; i < n; i++) {
		wished += claims[i].weight;
		sum += weights[i];
	}
	if (!sum)
		return;
	scale = (wished << SCALE_BITS) / sum;
	for (size_t i = 0; i < n; i++)
		weights[i] = (weights[i] * scale + (1 << (SCALE_BITS - 1))) >> SCALE_BITS;
}

uint32_t scheduling_take(struct scheduling_share *share, uint32_t wished, int64_t weight)
{
	int64_t change;

	weight = weight < 1 ? 1 : weight > SCHEDULING_WEIGHT_MAX ? SCHEDULING_WEIGHT_MAX : weight;
	change = weight > share->weight ? weight - share->weight : share->weight - weight;
	if (share->wished != wished || change > share->weight / STEP_PART)
		share->weight = (uint32_t)weight;
	share->wished = wished;
	return share->weight;
}
