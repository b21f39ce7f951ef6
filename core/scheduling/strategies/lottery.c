/* lottery: Chance in proportion to weight, slice by slice.
 *
 * Idea: every slice is a draw with the weights as tickets. Instead of drawing among all at each slice, each vCPU draws once
 * when it is queued: an exponential time with its weight as rate, from the time last drawn; the least wins. The
 * exponential forgets, so this is the same lottery, without going through the tickets. Who used a part f of its slice
 * draws its next time scaled by f: the paper's compensation tickets.
 *
 * Source: C. A. Waldspurger, W. E. Weihl, "Lottery Scheduling: Flexible Proportional-Share Resource Management", OSDI
 * 1994.
 *
 * Complexity: constant, beside the queue's order; 24 squarings a draw.
 *
 * Loses: in the short run: the error of a share grows with the square root of the number of draws, and the wait of an
 * unlucky one has no bound. stride gives the same shares without the luck.
 */
#include "core/scheduling/limit.h"
#include "core/scheduling/order.h"
#include "core/scheduling/strategies/strategies.h"

enum { SLICE_US };

#define DRAW_UNIT 4096

static const struct strategy_parameter parameters[] = {
	{ .name = "slice-us",
	  .type = STRATEGY_INTEGER,
	  .min = 100,
	  .max = 100000,
	  .initial = 3000,
	  .doc = "how long the winner runs before the next draw" },
};

/* −ln(u) for u uniform in (0, 1], in 1 ÷ DRAW_UNIT: the binary logarithm bit by bit, by squaring, times ln 2. */
static int64_t exponential(struct scheduling_system *system)
{
	uint64_t u = (scheduling_random(system) >> 32) + 1, x = u, whole = 0, fraction = 0;

	while (x < (uint64_t)1 << 32 && whole < 32) {
		x <<= 1;
		whole++;
	}
	x >>= 1; /* 1 ≤ x ÷ 2^31 ≤ 2 */
	for (unsigned bit = 0; bit < 24; bit++) {
		x = (x * x) >> 31;
		fraction <<= 1;
		if (x >= (uint64_t)1 << 32) {
			x >>= 1;
			fraction |= 1;
		}
	}
	/* −log2(u ÷ 2^32) = whole − fraction ÷ 2^24; ln 2 = 11629080 ÷ 2^24 */
	return (int64_t)(((whole << 24) - fraction) * 11629080 >> 24 >> 12);
}

static void draw(struct scheduling_system *system, struct scheduling_queue *queue, struct scheduling_entity *entity)
{
	entity->virtual_time = queue->virtual_time +
			       scheduling_virtual(entity->scratch[1], entity->weight) * exponential(system) / DRAW_UNIT;
}

/* scratch[0]: used since the last draw; scratch[1]: what the next draw stands for. */
static void place(struct scheduling_system *system, struct scheduling_queue *queue, struct scheduling_entity *entity,
		  enum scheduling_why why)
{
	int64_t slice_ns = system->parameter[SLICE_US] * 1000;

	if (why == SCHEDULING_NEW)
		entity->scratch[0] = slice_ns;
	if (entity->scratch[0]) {
		entity->scratch[1] = entity->scratch[0] < slice_ns ? entity->scratch[0] : slice_ns;
		entity->scratch[0] = 0;
	}
	draw(system, queue, entity);
}

static void charge(struct scheduling_system *system, struct scheduling_queue *queue, struct scheduling_entity *entity,
		   int64_t delta_ns)
{
	entity->scratch[0] += delta_ns;
	if (scheduling_before(queue->virtual_time, entity->virtual_time))
		queue->virtual_time = entity->virtual_time;
	limit_charge(system, entity, delta_ns);
}

static int64_t slice(const struct scheduling_system *system, const struct scheduling_entity *entity)
{
	return limit_slice(system, entity, system->parameter[SLICE_US] * 1000);
}

static void project(const struct scheduling_system *system, const struct scheduling_entity *entity,
		    struct scheduling_knobs *knobs)
{
	scheduling_knobs_by_weight(entity, knobs, system->parameter[SLICE_US] * 1000,
				   "the chance: the kernel's EEVDF gives the same shares in a fixed order");
}

const struct scheduling_strategy strategy_lottery = {
	.info = { .name = "lottery",
		  .summary = "Chance in proportion to weight, slice by slice.",
		  .kind = STRATEGY_ONLINE,
		  .index = STRATEGY_INDEX_EXACT,
		  .parameters = parameters,
		  .n_parameters = sizeof(parameters) / sizeof(*parameters) },
	.scope = SCHEDULING_PER_CPU,
	.proportional = true,
	.work_conserving = true,
	.steals = true,
	.admit = scheduling_admit,
	.retire = scheduling_retire,
	.place = place,
	.key = order_key_virtual_time,
	.keep = order_never, /* it takes part in the next draw */
	.preempt = order_never,
	.charge = charge,
	.slice = slice,
	.timer = limit_timer,
	.expire = limit_expire,
	.project = project,
};
