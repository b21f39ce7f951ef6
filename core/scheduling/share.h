/* Shares: what each vCPU is due of the time there is, and weights corrected by what it got. Whole numbers only. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* What one vCPU may claim of a stretch of time, ns. */
struct scheduling_claim {
	uint32_t weight;  /* 1 … SCHEDULING_WEIGHT_MAX */
	int64_t least_ns; /* reserved; counts as far as it is wanted */
	int64_t most_ns;  /* wanted, limited: the least of the two, and of the stretch; ≥ 0 */
	int64_t due_ns;   /* out */
};

/* scheduling_entitle(claims, n, capacity_ns): water-filling, the weighted max-min fair shares (D. Bertsekas, R. Gallager,
 * "Data Networks", 1992, 6.5.2; with weights, and floors): due = min(most, max(least, level × weight) with one level for
 * all, the highest for which the sum is at most the capacity. Reservations that exceed the capacity are due all the
 * same. O(n × 64). The sum falls short of the capacity by less than n × weight ÷ 256 ns. */
void scheduling_entitle(struct scheduling_claim *claims, size_t n, int64_t capacity_ns);

/* Correction: a kernel keeps weights on each of its CPUs and evens out CPUs only roughly, so that on the emptier of two
 * CPUs everyone gets more than its share for as long as that lasts. Whoever has fallen behind what it was due gets more
 * weight, whoever is ahead gets less, until the sums agree (integral control; what distributed weighted round-robin does
 * with rounds: T. Li, D. Baumberger, S. Hahn, PPoPP 2009). */
#define SCHEDULING_LAG_MAX_NS \
	500000000 /* more is forgotten: a stretch in which nothing helped is not made good for ever */
#define SCHEDULING_LAG_GAIN_NS 100000000 /* behind by as much as it is due in this time: weight × 2; ahead: ÷ 2 */
#define SCHEDULING_LAG_FACTOR  16        /* weights stay within 1/16 and 16 times what is wished */

/* scheduling_lag(lag_ns, due_ns, got_ns): the lag after a stretch: > 0 is behind. */
int64_t scheduling_lag(int64_t lag_ns, int64_t due_ns, int64_t got_ns);

/* scheduling_corrected(weight, lag_ns, due_ns, stretch_ns): the weight for the next stretch, 1 … SCHEDULING_WEIGHT_MAX, of
 * one that was due `due_ns` of the last `stretch_ns` > 0. */
uint32_t scheduling_corrected(uint32_t weight, int64_t lag_ns, int64_t due_ns, int64_t stretch_ns);
