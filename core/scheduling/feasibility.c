#include "core/scheduling/feasibility.h"

#define PERIOD_MAX INT64_C(10000000000)

/* A number in [0, 2^32) with a fraction of 2^−128: whole, and four digits of 32 bits. Utilizations are put in rounded down,
 * and how many were not exact is counted: the sum lies at most that many units of the last place above. */
struct number {
	uint64_t whole;
	uint32_t digits[4];
	uint32_t inexact; /* units of the last place that may be missing */
};

static struct number number_of(int64_t runtime_ns, int64_t period_ns)
{
	struct number number = { .whole = (uint64_t)(runtime_ns / period_ns) };
	uint64_t rest = (uint64_t)(runtime_ns % period_ns), period = (uint64_t)period_ns;

	/* Long division, 16 bits at a time: rest < 2^34, so rest × 2^16 fits. */
	for (unsigned i = 0; i < 8; i++) {
		rest <<= 16;
		number.digits[i / 2] = number.digits[i / 2] << 16 | (uint32_t)(rest / period);
		rest %= period;
	}
	number.inexact = rest != 0;
	return number;
}

static void number_add(struct number *sum, const struct number *more)
{
	uint64_t carry = 0;

	for (int i = 3; i >= 0; i--) {
		carry += (uint64_t)sum->digits[i] + more->digits[i];
		sum->digits[i] = (uint32_t)carry;
		carry >>= 32;
	}
	sum->whole += more->whole + carry;
	sum->inexact += more->inexact;
}

static void number_times(struct number *number, uint32_t times)
{
	uint64_t carry = 0;

	for (int i = 3; i >= 0; i--) {
		carry += (uint64_t)number->digits[i] * times;
		number->digits[i] = (uint32_t)carry;
		carry >>= 32;
	}
	number->whole = number->whole * times + carry;
	number->inexact *= times;
}

/* −1: certainly at most m; 1: certainly more; 0: too close to say. */
static int compare_whole(const struct number *number, uint64_t m)
{
	struct number high = *number, units = { .digits = { 0, 0, 0, number->inexact } };
	bool fraction = number->digits[0] || number->digits[1] || number->digits[2] || number->digits[3];

	if (number->whole > m || (number->whole == m && (fraction || number->inexact)))
		return 1;
	number_add(&high, &units);
	fraction = high.digits[0] || high.digits[1] || high.digits[2] || high.digits[3];
	return high.whole < m || (high.whole == m && !fraction) ? -1 : 0;
}

/* The utilizations' sum, and the entity with the largest; false: malformed. */
static bool sum_up(const struct scheduling_entity *entities, uint32_t n, struct number *sum,
		   const struct scheduling_entity **largest)
{
	*sum = (struct number) { 0 };
	*largest = NULL;
	for (uint32_t i = 0; i < n; i++) {
		const struct scheduling_entity *entity = &entities[i];
		struct number one;

		if (!entity->runtime_ns)
			continue;
		if (entity->runtime_ns < 0 || entity->runtime_ns > entity->period_ns || entity->period_ns > PERIOD_MAX)
			return false;
		one = number_of(entity->runtime_ns, entity->period_ns);
		number_add(sum, &one);
		/* a ÷ b > c ÷ d as a·d > c·b, in 128 bits: admission is no hot path */
		if (!*largest || (unsigned __int128)entity->runtime_ns * (uint64_t)(*largest)->period_ns >
					 (unsigned __int128)(*largest)->runtime_ns * (uint64_t)entity->period_ns)
			*largest = entity;
	}
	return true;
}

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

/* A sum so close to a whole number that compare_whole() can't tell is that number: when all are fractions of a common
 * denominator under 2^100, the next sums are further away than what was rounded off (n + m < 2^28 units of 2^−128). */
static bool close_is_equal(const struct scheduling_entity *entities, uint32_t n)
{
	unsigned __int128 common = 1;

	for (uint32_t i = 0; i < n; i++) {
		uint64_t period = (uint64_t)entities[i].period_ns;

		if (!entities[i].runtime_ns)
			continue;
		common *= period / common_divisor(period, (uint64_t)(common % period));
		if (common >> 100)
			return false;
	}
	return true;
}

static bool at_most(const struct number *sum, uint32_t m, const struct scheduling_entity *entities, uint32_t n)
{
	int order = compare_whole(sum, m);

	return order < 0 || (order == 0 && close_is_equal(entities, n));
}

enum scheduling_feasible scheduling_feasible_gfb(const struct scheduling_entity *entities, uint32_t n, uint32_t n_cpus)
{
	const struct scheduling_entity *largest;
	struct number sum, most;
	int against_cpus;

	if (!sum_up(entities, n, &sum, &largest))
		return SCHEDULING_FEASIBLE_MALFORMED;
	if (!largest)
		return SCHEDULING_FEASIBLE;
	against_cpus = compare_whole(&sum, n_cpus);
	if (against_cpus > 0)
		return SCHEDULING_INFEASIBLE;
	most = number_of(largest->runtime_ns, largest->period_ns);
	number_times(&most, n_cpus - 1);
	number_add(&sum, &most);
	return at_most(&sum, n_cpus, entities, n) ? SCHEDULING_FEASIBLE : SCHEDULING_UNKNOWN;
}

int64_t scheduling_tardiness_bound_ns(const struct scheduling_entity *entities, uint32_t n, uint32_t n_cpus)
{
	const struct scheduling_entity *largest;
	struct number sum;
	int64_t most = 0, least = INT64_MAX;
	__int128 above, below;

	if (!sum_up(entities, n, &sum, &largest) || !at_most(&sum, n_cpus, entities, n))
		return -1;
	if (!largest || n_cpus == 1)
		return 0;
	for (uint32_t i = 0; i < n; i++) {
		if (!entities[i].runtime_ns)
			continue;
		most = entities[i].runtime_ns > most ? entities[i].runtime_ns : most;
		least = entities[i].runtime_ns < least ? entities[i].runtime_ns : least;
	}
	/* ((m − 1)·C_max − C_min) × T ÷ (m·T − (m − 2)·C), with u_max = C ÷ T */
	above = ((__int128)(n_cpus - 1) * most - least) * largest->period_ns;
	below = (__int128)n_cpus * largest->period_ns - (__int128)(n_cpus - 2) * largest->runtime_ns;
	if (above < 0)
		above = 0;
	return most + (int64_t)((above + below - 1) / below);
}
