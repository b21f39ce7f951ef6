/* Shares: what each vCPU is due of the time there is, and weights corrected by what it got. Whole numbers only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What one vCPU may claim of a stretch of time, ns. */
struct scheduling_claim {
	uint32_t weight;  /* 1 … SCHEDULING_WEIGHT_MAX */
	int64_t least_ns; /* reserved; due as far as it is wanted */
	int64_t most_ns;  /* wanted, limited: the least of the two, and of the stretch; ≥ 0 */
	int64_t due_ns;   /* out */
	int64_t fair_ns;  /* out: what its weight alone gives who wants everything; may be beyond the stretch */
};

/* scheduling_entitle(claims, n, capacity_ns): water-filling, the weighted max-min fair shares (D. Bertsekas, R. Gallager,
 * "Data Networks", 1992, 6.5.2; with weights, and floors): due = min(most, max(least, level × weight)) with one level for
 * all, the highest for which the sum is at most the capacity. Reservations that exceed the capacity are due all the
 * same. O(n × 64). The sum falls short of the capacity by less than n × weight ÷ 256 ns. */
void scheduling_entitle(struct scheduling_claim *claims, size_t n, int64_t capacity_ns);

/* Correction: a kernel keeps weights on each of its CPUs and evens out CPUs only roughly, so that on the emptier of two
 * CPUs everyone gets more than its share for as long as that lasts. Whoever has fallen behind what it was due gets more
 * weight, whoever is ahead gets less, until the sums agree (integral control; what distributed weighted round-robin does
 * with rounds: T. Li, D. Baumberger, S. Hahn, PPoPP 2009). Whose reservation is more than its weight gives weighs as much
 * more from the start: so reservations are kept by weight as well.
 *
 * Lift: one with a latency target that uses less than its fair share weighs as much more as would bring it to that share:
 * woken, it comes first, and owes little for having run. Should it begin to use more, the lift is gone at the next
 * correction, and what it took too much is its lag (a bounded form of borrowed virtual time: K. Duda, D. Cheriton, SOSP
 * 1999). */
#define SCHEDULING_LAG_MAX_NS   100000000 /* more is forgotten: what could not be helped is not made good for long */
#define SCHEDULING_LAG_GAIN_NS  100000000 /* behind by as much as it is due in this time: twice the weight */
#define SCHEDULING_LAG_QUIET_NS 5000000   /* less is the counters' own grain */
#define SCHEDULING_LAG_FACTOR   4         /* behind: at most so many times the weight; ahead: at least three quarters */
#define SCHEDULING_LIFT_MAX     16
#define SCHEDULING_CORRECT_NS   100000000 /* from one correction to the next */

/* What is kept of a vCPU from one correction to the next; zero at first. */
struct scheduling_share {
	int64_t lag_ns;          /* > 0: behind */
	uint32_t wished, weight; /* 0: not corrected yet */
};

/* scheduling_correct(share, claim, got_ns, stretch_ns, latency): the weight that it should have for the next stretch, ≥ 1.
 * claim: entitled, of the stretch that is over, 0 < stretch_ns; got_ns: what it ran of it. latency: it has a target. */
int64_t scheduling_correct(struct scheduling_share *share, const struct scheduling_claim *claim, int64_t got_ns,
			   int64_t stretch_ns, bool latency);

/* scheduling_contended(claims, n, pool_ns): they wanted more than a quarter beyond the pool_ns they got in all. Otherwise their waits
 * are of others' making, or chance: then nobody is behind, and no weight is to change for it (lag_ns 0, got_ns = due_ns).
 * Kernels take every change of a weight for a reason to place the whole group anew, to the cost of whoever else runs. */
bool scheduling_contended(const struct scheduling_claim *claims, size_t n, int64_t pool_ns);

/* scheduling_fit(weights, claims, n): scaled so that all together weigh what is wished: a correction takes from the others, and
 * nothing from whoever else runs on the host. */
void scheduling_fit(int64_t *weights, const struct scheduling_claim *claims, size_t n);

/* scheduling_take(share, wished, weight): the weight to be at work, 1 … SCHEDULING_WEIGHT_MAX: the one that is, when it is about
 * right: a change of less than a tenth is not made, so that a balanced host is left alone. */
uint32_t scheduling_take(struct scheduling_share *share, uint32_t wished, int64_t weight);
