#include "core/allocation/rebalance/anneal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LEVELS_LOG2 10 /* 1024 temperatures a round */
#define SAMPLES     1001
#define QUENCH_PART 12 /* of the steps, the last fall much further: to where nothing worse is accepted */
#define QUENCH_TO   1e-5
#define HURRIED     (1u << 21)
#define STOP_EVERY  16384 /* steps between two looks at `stop` */

void anneal_draws(double draws[ANNEAL_DRAWS])
{
	for (int i = 0; i < ANNEAL_DRAWS; i++) {
		double x = (i + 0.5) / ANNEAL_DRAWS, sum = 0, halvings = 0, z, power;

		while (x < 0.5) {
			x *= 2;
			halvings++;
		}
		/* ln x = 2 artanh((x - 1) / (x + 1)), |z| ≤ 1/3 */
		z = (x - 1) / (x + 1);
		power = z;
		for (int k = 1; k < 40; k += 2, power *= z * z)
			sum += power / k;
		draws[i] = halvings * 0.69314718055994530942 - 2 * sum;
	}
}

double anneal_root(double x, unsigned doublings)
{
	while (doublings--)
		x = sqrt(x);
	return x;
}

struct walk {
	struct rebalance_state state;
	struct strategy_random random;
	double draws[ANNEAL_DRAWS];
	uint32_t swap_below; /* of 256 */
	uint32_t *best;      /* the caller's */
	int64_t best_cost;
	bool is_best_stale; /* state is better than what `best` holds: copied when it gets worse */
};

struct draw {
	bool swap;
	uint32_t process, other; /* other process, or machine */
};

static inline uint32_t below(uint32_t random, uint32_t n)
{
	return (uint32_t)(((uint64_t)random * n) >> 32);
}

/* One number from the generator makes a whole step: who by its high half, where by the top of its low half, and swap or not
 * by its last byte. */
static inline bool draw_move(struct walk *walk, struct draw *draw)
{
	const struct rebalance_problem *problem = walk->state.problem;
	uint64_t bits = strategy_random_next(&walk->random);
	uint32_t low = (uint32_t)bits, high = (uint32_t)(bits >> 32);

	draw->process = below(high, problem->n_processes);
	draw->swap = (low & 0xff) < walk->swap_below;
	if (draw->swap) {
		draw->other = below(low, problem->n_processes);
		return walk->state.machine[draw->process] != walk->state.machine[draw->other];
	}
	draw->other = (low & 0x700) ? below(low, problem->n_machines) : problem->initial[draw->process];
	return walk->state.machine[draw->process] != draw->other;
}

static inline bool try_move(struct walk *walk, const struct draw *draw, struct rebalance_change *change)
{
	return draw->swap ? rebalance_swap_try(&walk->state, draw->process, draw->other, change)
			  : rebalance_shift_try(&walk->state, draw->process, draw->other, change);
}

/* The state is the best so far, and `next` (or nothing) changes it. Copied only when it will not be the best any more. */
static void keep_best(struct walk *walk, const struct rebalance_change *next)
{
	if (!walk->is_best_stale || (next && next->cost < 0 && next->above <= 0))
		return;
	memcpy(walk->best, walk->state.machine, walk->state.problem->n_processes * sizeof *walk->best);
	walk->is_best_stale = false;
}

static inline void step(struct walk *walk, double temperature)
{
	struct rebalance_state *state = &walk->state;
	struct draw draw;
	struct rebalance_change change;
	int64_t worse;

	if (!draw_move(walk, &draw) || !try_move(walk, &draw, &change))
		return;
	worse = change.cost + state->penalty * change.above;
	if (worse > 0) {
		double draw_of = walk->draws[strategy_random_next(&walk->random) & (ANNEAL_DRAWS - 1)];

		if ((double)worse > temperature * draw_of)
			return;
	}
	if (walk->is_best_stale)
		keep_best(walk, &change);
	if (draw.swap)
		rebalance_swap(state, draw.process, draw.other, &change);
	else
		rebalance_shift(state, draw.process, draw.other, &change);
	if (state->cost < walk->best_cost && !state->above) {
		walk->best_cost = state->cost;
		walk->is_best_stale = true;
	}
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* The median size of a change by a valid random move that changes anything; at least 1. */
static double median_change(struct walk *walk, uint64_t *steps)
{
	int64_t change[SAMPLES];
	struct rebalance_change tried;
	size_t n = 0, middle;
	struct draw draw;

	for (uint32_t i = 0; i < 200 * SAMPLES && n < SAMPLES; i++, ++*steps)
		if (draw_move(walk, &draw) && try_move(walk, &draw, &tried) && tried.cost)
			change[n++] = tried.cost < 0 ? -tried.cost : tried.cost;
	qsort(change, n, sizeof *change, compare);
	middle = n / 2;
	return n ? (double)change[middle] : 1;
}

/* One fall of the temperature in `steps` steps. false: told to stop. */
static bool fall(struct walk *walk, double start, double end, uint64_t steps, struct rebalance_budget *budget)
{
	double factor = anneal_root(end / start, LEVELS_LOG2), temperature = start;
	uint64_t level = steps >> LEVELS_LOG2, next_level = level, done = 0;

	for (; done < steps; done++) {
		if (done >= next_level && level) {
			temperature *= factor;
			next_level += level;
		}
		step(walk, temperature);
		if (done % STOP_EVERY == STOP_EVERY - 1 && budget->stop && budget->stop(budget->data)) {
			budget->used += done + 1;
			return false;
		}
	}
	budget->used += done;
	return true;
}

bool rebalance_anneal(const struct rebalance_problem *problem, const struct anneal_schedule *schedule, uint64_t seed,
		      struct rebalance_budget *budget, uint32_t *machine)
{
	struct walk *walk = calloc(1, sizeof *walk);
	bool ok = walk && rebalance_state_init(&walk->state, problem, machine);

	budget->used = 0;
	if (ok && problem->n_processes && problem->n_machines > 1) {
		double unit, start = schedule->start;
		uint64_t samples = 0;

		strategy_random_init(&walk->random, seed);
		anneal_draws(walk->draws);
		walk->swap_below = (uint32_t)(schedule->swap_share * 256);
		walk->best = machine;
		walk->best_cost = walk->state.cost;
		unit = median_change(walk, &samples);
		walk->state.penalty = schedule->penalty;
		for (uint32_t round = 0; round < schedule->rounds; round++) {
			uint64_t steps = budget->steps / schedule->rounds, quench = steps / QUENCH_PART;
			double end = schedule->end * unit;

			if (!fall(walk, start * unit, end, steps - quench, budget)) {
				/* Told to stop while it is hot, it is still cooled down, in a moment. */
				struct rebalance_budget moment = { .used = 0 };

				fall(walk, end, end * QUENCH_TO, quench < HURRIED ? quench : HURRIED, &moment);
				budget->used += moment.used;
				break;
			}
			if (!fall(walk, end, end * QUENCH_TO, quench, budget))
				break;
			keep_best(walk, NULL);
			rebalance_state_set(&walk->state, machine);
			start = schedule->start / 8 > schedule->end ? schedule->start / 8 : schedule->end;
		}
		keep_best(walk, NULL);
	}
	if (walk)
		rebalance_state_clear(&walk->state);
	free(walk);
	return ok;
}
