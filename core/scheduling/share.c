#include "core/scheduling/share.h"

#include "core/scheduling/scheduling.h"

#define LEVEL_BITS 8 /* of the level are a fraction of a nanosecond: 400 days at weight 1 still fit */
#define LEVEL_MAX  INT64_MAX
#define PER_MILLE  1000

/* What it gets at this level, ns for a weight of 2^LEVEL_BITS. */
static int64_t at_level(const struct scheduling_claim *claim, int64_t level)
{
	int64_t weight = claim->weight, whole = level >> LEVEL_BITS, rest = level & ((1 << LEVEL_BITS) - 1);
	int64_t least = claim->least_ns < claim->most_ns ? claim->least_ns : claim->most_ns, share;

	if (whole >= claim->most_ns / weight + 1)
		return claim->most_ns;
	share = whole * weight + (rest * weight >> LEVEL_BITS);
	share = share > least ? share : least;
	return share < claim->most_ns ? share : claim->most_ns;
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
	for (size_t i = 0; i < n; i++)
		claims[i].due_ns = at_level(&claims[i], low);
}

int64_t scheduling_lag(int64_t lag_ns, int64_t due_ns, int64_t got_ns)
{
	lag_ns += due_ns - got_ns;
	if (lag_ns > SCHEDULING_LAG_MAX_NS)
		return SCHEDULING_LAG_MAX_NS;
	return lag_ns < -SCHEDULING_LAG_MAX_NS ? -SCHEDULING_LAG_MAX_NS : lag_ns;
}

uint32_t scheduling_corrected(uint32_t weight, int64_t lag_ns, int64_t due_ns, int64_t stretch_ns)
{
	int64_t rate, factor, corrected;

	if (due_ns <= 0)
		return weight;
	/* Per mille of a CPU that it is due; then its lag as a part of what that is worth in SCHEDULING_LAG_GAIN_NS. */
	rate = due_ns * PER_MILLE / stretch_ns;
	rate = rate < 1 ? 1 : rate;
	factor = (lag_ns < 0 ? -lag_ns : lag_ns) * PER_MILLE / (SCHEDULING_LAG_GAIN_NS / PER_MILLE * rate) + PER_MILLE;
	if (factor > SCHEDULING_LAG_FACTOR * PER_MILLE)
		factor = SCHEDULING_LAG_FACTOR * PER_MILLE;
	if (lag_ns < 0)
		corrected = ((int64_t)weight * PER_MILLE + factor / 2) / factor;
	else
		corrected = ((int64_t)weight * factor + PER_MILLE / 2) / PER_MILLE;
	if (corrected < 1)
		return 1;
	return corrected > SCHEDULING_WEIGHT_MAX ? SCHEDULING_WEIGHT_MAX : (uint32_t)corrected;
}
