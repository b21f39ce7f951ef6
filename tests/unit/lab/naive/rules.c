/* A queue a CPU. Virtual time is service ÷ weight, in whole units; the mean of a queue is weighted, over those that wait and the
 * one that runs, and rounded down where one begins from it or leaves with the distance from it.
 *
 * Round robin: order of arrival, a slice each; who is busy at its end goes to the back. Kleinrock 1964. Pin: likewise, and
 * nobody changes CPU.
 * Stride: the least pass for a quantum; service moves its pass on by service ÷ weight, and the queue's own by service ÷ the
 * whole weight; who goes keeps its distance from that, a stride at most; a new one begins a stride behind. Waldspurger,
 * Weihl, MIT/LCS/TM-528, 1995.
 * EEVDF: eligible is who is not ahead of the mean; of those the earliest virtual deadline, for a request, whose deadline is
 * request ÷ weight after its begin; lag, the distance from the mean, is kept over sleep, a request at most, and is the same
 * after one has come (strategy 2 of the paper). One that wakes, eligible and earlier due, preempts when its request is
 * shorter or the running one has had its share. Stoica, Abdel-Wahab, TR-95-22, 1995; Linux 6.6 and later.
 * BVT: the least effective virtual time: the actual one, less the warp of those with a latency target for warp-limit after
 * they woke. One that wakes is not before the mean. Preemption only at a lead of an allowance, or by a warped one of one that is
 * not. Duda, Cheriton, SOSP 1999, with the mean as scheduler virtual time.
 * Credit: every 30 ms all active ones get CPUs × 30 ms by weight, no one more than 30 ms, none owes more; who has 30 ms and
 * sleeps is active no more. Boosted (woke with credits, until a tick finds it running or its slice ends) before those with
 * credits before those without; in order of arrival. Xen's scheduler, Cherkasova, Gupta, Vahdat 2007.
 * Credit2: the most credits; a run burns them by weight; when the one that is chosen has none left all get a reset's worth,
 * and none has more than that. One that wakes with more credits preempts, but not in the rate limit. Xen's credit2. */
#include "tests/unit/lab/naive/naive.h"

#include <math.h>
#include <stddef.h>

#define CREDIT_PERIOD_TICKS 300

static long double virtual_of(const struct naive_task *task, int ticks)
{
	return (long double)ticks * NAIVE_UNIT / task->weight;
}

static bool has_mean(const struct naive *sim)
{
	return sim->algorithm == NAIVE_EEVDF || sim->algorithm == NAIVE_BVT;
}

/* Σ weight and Σ weight × virtual time of a queue. */
static void sums(const struct naive *sim, int cpu, long double *weight, long double *product)
{
	*weight = *product = 0;
	for (int i = 0; i < sim->n_tasks; i++) {
		const struct naive_task *task = &sim->task[i];

		if (!naive_wants(task) || task->cpu != cpu)
			continue;
		*weight += task->weight;
		*product += task->weight * task->pass;
	}
}

/* stride: what of the queue's own pass is no whole number depends on how often it is added to. */
static void check_whole(struct naive *sim, int cpu)
{
	if (sim->mean[cpu] != roundl(sim->mean[cpu]))
		sim->rounded = true;
}

static bool eligible(const struct naive *sim, const struct naive_task *task)
{
	long double weight, product;

	if (sim->algorithm != NAIVE_EEVDF)
		return true;
	sums(sim, task->cpu, &weight, &product);
	return task->pass * weight <= product;
}

static int request_of(const struct naive *sim, const struct naive_task *task)
{
	int tenth = task->latency / 10 < 1 ? 1 : task->latency / 10;

	if (task->request)
		return task->request;
	return task->latency && tenth < sim->slice ? tenth : sim->slice;
}

static bool warped(const struct naive *sim, const struct naive_task *task)
{
	return task->latency && task->warped_ticks < sim->warp_limit;
}

static long double key(const struct naive *sim, const struct naive_task *task)
{
	switch (sim->algorithm) {
	case NAIVE_STRIDE:
		return task->pass;
	case NAIVE_EEVDF:
		return task->pass_due;
	case NAIVE_BVT:
		return task->pass - (warped(sim, task) ? sim->warp * NAIVE_UNIT / 100 : 0);
	case NAIVE_CREDIT:
		return task->credits <= 0 ? 2 : task->boosted ? 0 : 1;
	case NAIVE_CREDIT2:
		return -task->credits;
	default:
		return 0;
	}
}

/* Is a's key less? Where rounding may decide, that is open. */
static bool less(struct naive *sim, const struct naive_task *a, const struct naive_task *b)
{
	if (sim->algorithm == NAIVE_STRIDE && naive_near(sim, key(sim, a), key(sim, b)))
		naive_open(sim);
	return key(sim, a) < key(sim, b);
}

int naive_first(struct naive *sim, int cpu, bool eligible_only)
{
	struct naive_task *best = NULL;

	for (int i = 0; i < sim->n_tasks; i++) {
		struct naive_task *task = &sim->task[i];
		long double one, other;

		if (!naive_waits(task) || task->cpu != cpu || (eligible_only && !eligible(sim, task)))
			continue;
		one = key(sim, task);
		other = best ? key(sim, best) : 0;
		if (!best || one < other || (one <= other && task->sequence < best->sequence))
			best = task;
	}
	for (int i = 0; i < sim->n_tasks && best; i++)
		if (naive_waits(&sim->task[i]) && sim->task[i].cpu == cpu && &sim->task[i] != best)
			less(sim, best, &sim->task[i]);
	return best ? (int)(best - sim->task) : NAIVE_NOBODY;
}

bool naive_keeps(struct naive *sim, int running, int first)
{
	const struct naive_task *task = &sim->task[running];

	if (sim->algorithm == NAIVE_ROUND_ROBIN || sim->algorithm == NAIVE_PIN)
		return false;
	return eligible(sim, task) && less(sim, task, &sim->task[first]);
}

static bool preempts_eevdf(struct naive *sim, const struct naive_task *running, const struct naive_task *woken)
{
	if (!eligible(sim, woken) || !less(sim, woken, running))
		return false;
	return request_of(sim, woken) < request_of(sim, running) || !eligible(sim, running);
}

static bool preempts_bvt(struct naive *sim, const struct naive_task *running, const struct naive_task *woken)
{
	long double allowance = virtual_of(running, sim->slice);

	if (warped(sim, woken) && !warped(sim, running))
		return less(sim, woken, running);
	return key(sim, woken) < key(sim, running) - allowance;
}

bool naive_preempts(struct naive *sim, int running, int woken)
{
	const struct naive_task *one = &sim->task[running], *other = &sim->task[woken];

	switch (sim->algorithm) {
	case NAIVE_EEVDF:
		return preempts_eevdf(sim, one, other);
	case NAIVE_BVT:
		return preempts_bvt(sim, one, other);
	case NAIVE_CREDIT:
		return less(sim, other, one);
	case NAIVE_CREDIT2:
		return sim->now - sim->since[one->cpu] >= sim->rate_limit && less(sim, other, one);
	default:
		return false;
	}
}

/* ---- Coming and going ---- */

static void arrive_eevdf(struct naive *sim, struct naive_task *task, enum naive_why why, long double weight)
{
	long double left = task->pass_due - task->pass, lag = why == NAIVE_NEW ? 0 : task->lag;

	/* v with which mean − v is the lag after it has come */
	task->pass = sim->mean[task->cpu];
	if (weight > 0)
		task->pass -= lag + truncl(lag * task->weight / weight);
	if (why == NAIVE_NEW || why == NAIVE_WOKEN)
		left = virtual_of(task, request_of(sim, task));
	task->pass_due = task->pass + left;
}

/* `task` is not yet one of those that want its CPU. */
static void arrive_pass(struct naive *sim, struct naive_task *task, enum naive_why why)
{
	long double weight, product;

	sums(sim, task->cpu, &weight, &product);
	if (has_mean(sim) && weight > 0)
		sim->mean[task->cpu] = floorl(product / weight);
	if (sim->algorithm == NAIVE_EEVDF) {
		arrive_eevdf(sim, task, why, weight);
	} else if (sim->algorithm == NAIVE_BVT) {
		if (why == NAIVE_NEW || why == NAIVE_WOKEN)
			task->warped_ticks = 0;
		if (why == NAIVE_NEW || (why == NAIVE_WOKEN && task->lag > 0))
			task->lag = 0;
		task->pass = sim->mean[task->cpu] - task->lag;
	} else {
		if (why == NAIVE_NEW)
			task->lag = -virtual_of(task, sim->slice);
		check_whole(sim, task->cpu);
		task->pass = sim->mean[task->cpu] - task->lag;
	}
}

void naive_arrive(struct naive *sim, int id, enum naive_why why)
{
	struct naive_task *task = &sim->task[id];
	long double most = sim->reset * (long double)sim->tick_ns;

	if (sim->algorithm == NAIVE_CREDIT2 && sim->now == sim->reset_at)
		naive_open(sim); /* before the reset or after it? */
	switch (sim->algorithm) {
	case NAIVE_STRIDE:
	case NAIVE_EEVDF:
	case NAIVE_BVT:
		task->runnable = false;
		arrive_pass(sim, task, why);
		task->runnable = true;
		break;
	case NAIVE_CREDIT:
		task->active = true;
		task->boosted = task->boosted || (why == NAIVE_WOKEN && task->credits > 0);
		break;
	case NAIVE_CREDIT2:
		if (why == NAIVE_NEW || task->credits > most)
			task->credits = most;
		break;
	default:
		break;
	}
}

void naive_depart(struct naive *sim, int id)
{
	struct naive_task *task = &sim->task[id];
	long double weight, product, most = virtual_of(task, sim->slice);

	sums(sim, task->cpu, &weight, &product);
	if (has_mean(sim))
		sim->mean[task->cpu] = floorl(product / weight);
	if (sim->algorithm == NAIVE_STRIDE)
		check_whole(sim, task->cpu);
	if (sim->algorithm == NAIVE_EEVDF)
		most = virtual_of(task, request_of(sim, task));
	task->lag = sim->mean[task->cpu] - task->pass;
	if (sim->algorithm == NAIVE_BVT)
		return;
	task->lag = task->lag > most ? most : task->lag < -most ? -most : task->lag;
}

/* Its turn is over, and it goes on or to the back. */
void naive_turn_over(struct naive *sim, int id)
{
	sim->task[id].boosted = false;
}

/* ---- Running ---- */

void naive_ran(struct naive *sim, int id)
{
	struct naive_task *task = &sim->task[id];
	long double weight, product;

	sums(sim, task->cpu, &weight, &product);
	task->pass += virtual_of(task, 1);
	task->warped_ticks++;
	if (sim->algorithm == NAIVE_STRIDE)
		sim->mean[task->cpu] += NAIVE_UNIT / weight;
	if (sim->algorithm == NAIVE_EEVDF && task->pass >= task->pass_due)
		task->pass_due = task->pass + virtual_of(task, request_of(sim, task));
	if (sim->algorithm == NAIVE_CREDIT)
		task->credits -= sim->tick_ns;
	if (sim->algorithm == NAIVE_CREDIT2)
		task->credits -= (long double)sim->tick_ns * 100 / task->weight;
}

/* credit2: who is chosen and has none left: all get new ones. */
static void reset(struct naive *sim)
{
	long double most = sim->reset * (long double)sim->tick_ns;

	sim->reset_at = sim->now;
	for (int i = 0; i < sim->n_tasks; i++) {
		struct naive_task *task = &sim->task[i];

		task->credits = task->credits > 0 && task->begun ? most : task->credits + most;
	}
}

/* For how many ticks it may run now that it has been chosen. */
int naive_turn(struct naive *sim, int id)
{
	const struct naive_task *task = &sim->task[id];

	switch (sim->algorithm) {
	case NAIVE_EEVDF:
		return (int)lroundl((task->pass_due - task->pass) * task->weight / NAIVE_UNIT);
	case NAIVE_BVT:
		if (warped(sim, task) && sim->warp_limit - task->warped_ticks < sim->slice)
			return sim->warp_limit - task->warped_ticks;
		return sim->slice;
	case NAIVE_CREDIT2:
		if (task->credits <= 0)
			reset(sim);
		return sim->slice;
	default:
		return sim->slice;
	}
}

/* credit: the tick of 10 ms; every third one accounts. */
void naive_account(struct naive *sim)
{
	const long double most = (long double)CREDIT_PERIOD_TICKS * sim->tick_ns;

	for (int cpu = 0; cpu < sim->n_cpus; cpu++) {
		if (sim->running[cpu] != NAIVE_NOBODY)
			sim->task[sim->running[cpu]].boosted = false;
		/* Each CPU accounts for its part of all. */
		for (int i = cpu; i < sim->n_tasks && sim->now % CREDIT_PERIOD_TICKS == 0; i += sim->n_cpus) {
			struct naive_task *task = &sim->task[i];
			long double weight = 0;

			for (int other = 0; other < sim->n_tasks; other++)
				weight += sim->task[other].active ? sim->task[other].weight : 0;
			if (!task->active)
				continue;
			task->credits += floorl(most * sim->n_cpus * task->weight / weight);
			if (task->credits < -most)
				task->credits = -most;
			if (task->credits <= most)
				continue;
			task->credits = most;
			task->active = naive_wants(task);
		}
	}
}
