/* edf-cbs: Global earliest deadline first over constant-bandwidth servers: a reservation each, kept and not overrun.
 *
 * Idea: a vCPU with a reservation of runtime in each period is a server with a budget and a deadline. Service empties the
 * budget; empty, it waits for its deadline, which then moves on a period. Waking with more budget than its bandwidth
 * allows until the old deadline, it gets a new one, so that sleeping gains nothing. The least deadline runs. vCPUs without
 * a reservation share what is left by weight. With reclaim=grub a budget empties only as fast as the active bandwidth per
 * CPU, so that sleepers' shares go to those awake; a sleeper counts as active until its lag is 0.
 *
 * Source: L. Abeni, G. Buttazzo, "Integrating Multimedia Applications in Hard Real-Time Systems", RTSS 1998; G. Lipari,
 * S. Baruah, "Greedy reclamation of unused bandwidth in constant-bandwidth servers", ECRTS 2000; Xen's RTDS; Linux,
 * Documentation/scheduler/sched-deadline.rst.
 *
 * Complexity: constant, beside the queue's order.
 *
 * Loses: where reservations are guessed too small (a vCPU waits though CPUs idle, unless reclaimed) or too large (few can be
 * admitted); on several CPUs the bandwidth test admits sets that global EDF misses deadlines of, by a bounded time.
 */
#include "core/scheduling/average.h"
#include "core/scheduling/limit.h"
#include "core/scheduling/strategies/strategies.h"

enum { CAPACITY_PERCENT, RECLAIM, SLICE_US };
enum { RECLAIM_NONE, RECLAIM_GRUB };
enum { ACTIVE = SCHEDULING_STRATEGY }; /* its bandwidth is in system->scratch[0] */

#define PACE_NS    50000
#define BACKGROUND ((int64_t)1 << 61) /* keys of those without a reservation: after all deadlines */

static const char *const reclaims[] = { "none", "grub", NULL };
static const struct strategy_parameter parameters[] = {
	{ .name = "capacity-percent",
	  .type = STRATEGY_INTEGER,
	  .min = 1,
	  .max = 100,
	  .initial = 95,
	  .doc = "part of the CPUs that may be reserved; the kernel's is 95" },
	{ .name = "reclaim",
	  .type = STRATEGY_CHOICE,
	  .initial = RECLAIM_NONE,
	  .choices = reclaims,
	  .doc = "what becomes of bandwidth that is reserved and not used" },
	{ .name = "slice-us",
	  .type = STRATEGY_INTEGER,
	  .min = 100,
	  .max = 100000,
	  .initial = 3000,
	  .doc = "how long a vCPU without a reservation runs before the next one's turn" },
};

static bool reserved(const struct scheduling_entity *entity)
{
	return entity->runtime_ns > 0;
}

static enum scheduling_admission admit(struct scheduling_system *system, struct scheduling_entity *entity)
{
	uint64_t all = (uint64_t)system->n_cpus * SCHEDULING_UNIT * (uint64_t)system->parameter[CAPACITY_PERCENT];
	enum scheduling_admission admission = scheduling_admit(system, entity);

	if (admission == SCHEDULING_ACCEPTED && system->admitted * 100 > all) {
		scheduling_retire(system, entity);
		return SCHEDULING_REFUSED_CAPACITY;
	}
	return admission;
}

static void activate(struct scheduling_system *system, struct scheduling_entity *entity)
{
	entity->flags &= ~(uint32_t)SCHEDULING_TIMED;
	if (entity->flags & ACTIVE)
		return;
	entity->flags |= ACTIVE;
	system->scratch[0] += (int64_t)scheduling_share(entity->runtime_ns, entity->period_ns);
}

static void deactivate(struct scheduling_system *system, struct scheduling_entity *entity)
{
	entity->flags &= ~(uint32_t)SCHEDULING_TIMED;
	if (!(entity->flags & ACTIVE))
		return;
	entity->flags &= ~(uint32_t)ACTIVE;
	system->scratch[0] -= (int64_t)scheduling_share(entity->runtime_ns, entity->period_ns);
}

static void retire(struct scheduling_system *system, struct scheduling_entity *entity)
{
	if (reserved(entity))
		deactivate(system, entity);
	scheduling_retire(system, entity);
}

/* By how much to shift times so that the product of two fits: exact up to periods of 3 s. */
static unsigned shift_of(const struct scheduling_entity *entity)
{
	return entity->period_ns <= INT64_C(3000000000) ? 0 : 12;
}

/* Is the budget more than the bandwidth is worth until the deadline? */
static bool too_much(const struct scheduling_system *system, const struct scheduling_entity *entity)
{
	unsigned shift = shift_of(entity);

	if (!scheduling_before(system->now_ns, entity->deadline))
		return true;
	return (entity->budget_ns >> shift) * (entity->period_ns >> shift) >
	       ((entity->deadline - system->now_ns) >> shift) * (entity->runtime_ns >> shift);
}

static void place_reserved(struct scheduling_system *system, struct scheduling_entity *entity, enum scheduling_why why)
{
	if (why == SCHEDULING_NEW || (why == SCHEDULING_WAKE && too_much(system, entity))) {
		entity->deadline = system->now_ns + entity->period_ns;
		entity->budget_ns = entity->runtime_ns;
	}
	activate(system, entity);
}

static void place(struct scheduling_system *system, struct scheduling_queue *queue, struct scheduling_entity *entity,
		  enum scheduling_why why)
{
	if (reserved(entity))
		place_reserved(system, entity, why);
	else if (why != SCHEDULING_REQUEUE && why != SCHEDULING_JOB)
		entity->virtual_time = queue->virtual_time - entity->lag;
}

static void join(struct scheduling_system *system, struct scheduling_queue *queue, struct scheduling_entity *entity)
{
	if (!reserved(entity))
		average_add(queue, entity);
}

static void leave(struct scheduling_system *system, struct scheduling_queue *queue, struct scheduling_entity *entity)
{
	int64_t most = scheduling_virtual(system->parameter[SLICE_US] * 1000, entity->weight);

	if (reserved(entity))
		return;
	entity->lag = average_lag_within(queue, entity, most);
	average_remove(queue, entity);
}

static int64_t key(const struct scheduling_system *system, const struct scheduling_entity *entity)
{
	return reserved(entity) ? entity->deadline : BACKGROUND + entity->virtual_time / SCHEDULING_VIRTUAL;
}

static bool keep(const struct scheduling_system *system, const struct scheduling_entity *running,
		 const struct scheduling_entity *head)
{
	return scheduling_before(key(system, running), key(system, head));
}

static bool preempt(const struct scheduling_system *system, const struct scheduling_entity *running,
		    const struct scheduling_entity *woken)
{
	return reserved(woken) && scheduling_before(key(system, woken), key(system, running));
}

/* The pace at which a budget empties, as active ÷ all: all of it, or with GRUB the active bandwidth of a CPU, and never less
 * than its own. */
static int64_t pace(const struct scheduling_system *system, const struct scheduling_entity *entity, int64_t *all)
{
	int64_t active, own;

	*all = (int64_t)SCHEDULING_UNIT * system->parameter[CAPACITY_PERCENT] / 100;
	if (system->parameter[RECLAIM] != RECLAIM_GRUB)
		return *all;
	active = system->scratch[0] / (int64_t)system->n_cpus;
	own = (int64_t)scheduling_share(entity->runtime_ns, entity->period_ns);
	if (active < own)
		active = own;
	return active < *all ? active : *all;
}

/* Rounded up: many short runs cost no less than a long one. */
static int64_t cost(const struct scheduling_system *system, const struct scheduling_entity *entity, int64_t delta_ns)
{
	int64_t all, active = pace(system, entity, &all);

	return delta_ns / all * active + (delta_ns % all * active + all - 1) / all;
}

static void charge(struct scheduling_system *system, struct scheduling_queue *queue, struct scheduling_entity *entity,
		   int64_t delta_ns)
{
	if (reserved(entity)) {
		entity->budget_ns -= cost(system, entity, delta_ns);
		if (entity->budget_ns <= 0)
			entity->flags |= SCHEDULING_THROTTLED;
	} else {
		average_advance(queue, entity, delta_ns);
	}
	limit_charge(system, entity, delta_ns);
}

/* The bandwidth stays active until the budget left would have been used at the reserved pace. */
static void block(struct scheduling_system *system, struct scheduling_queue *queue, struct scheduling_entity *entity)
{
	unsigned shift = shift_of(entity);
	int64_t zero_lag;

	if (!reserved(entity) || (entity->flags & SCHEDULING_HELD))
		return;
	if (shift)
		zero_lag = (entity->budget_ns >> shift) * (entity->period_ns >> shift) /
			   (entity->runtime_ns >> shift | 1) * ((int64_t)1 << shift);
	else
		zero_lag = entity->budget_ns * entity->period_ns / entity->runtime_ns;
	zero_lag = entity->deadline - zero_lag;
	if (!scheduling_before(system->now_ns, zero_lag)) {
		deactivate(system, entity);
		return;
	}
	entity->replenish_ns = zero_lag;
	entity->flags |= SCHEDULING_TIMED;
}

static int64_t slice(const struct scheduling_system *system, const struct scheduling_entity *entity)
{
	int64_t most = system->parameter[SLICE_US] * 1000;

	if (!reserved(entity))
		return limit_slice(system, entity, most);
	/* Reclaiming makes a budget last longer, unless others wake: only the end of it is taken at today's pace. */
	most = entity->budget_ns;
	if (most < PACE_NS) {
		int64_t all, active = pace(system, entity, &all);

		most = most * all / active;
		if (most > PACE_NS)
			most = PACE_NS;
	}
	return limit_slice(system, entity, most);
}

static int64_t timer(const struct scheduling_system *system, const struct scheduling_entity *entity)
{
	int64_t when;

	if (!(entity->flags & SCHEDULING_THROTTLED))
		return entity->replenish_ns;
	when = reserved(entity) && entity->budget_ns <= 0 ? entity->deadline : system->now_ns;
	if ((entity->flags & SCHEDULING_CAPPED) && scheduling_before(when, entity->cap_until_ns))
		when = entity->cap_until_ns;
	return when;
}

static void expire(struct scheduling_system *system, struct scheduling_entity *entity)
{
	if (!(entity->flags & SCHEDULING_THROTTLED)) {
		deactivate(system, entity);
		return;
	}
	limit_expire(system, entity);
	if (entity->flags & SCHEDULING_CAPPED)
		return;
	if (reserved(entity) && entity->budget_ns <= 0) {
		int64_t periods = -entity->budget_ns / entity->runtime_ns + 1;

		entity->budget_ns += periods * entity->runtime_ns;
		entity->deadline += periods * entity->period_ns;
		/* An overrun of more than a budget waits for as many periods. */
		if (periods > 1) {
			entity->budget_ns = 0;
			return;
		}
		if (!scheduling_before(system->now_ns, entity->deadline)) {
			entity->deadline = system->now_ns + entity->period_ns;
			entity->budget_ns = entity->runtime_ns;
		}
	}
	entity->flags &= ~(uint32_t)SCHEDULING_THROTTLED;
}

static void project(const struct scheduling_system *system, const struct scheduling_entity *entity,
		    struct scheduling_knobs *knobs)
{
	scheduling_knobs_init(entity, knobs);
	if (!reserved(entity)) {
		knobs->slice_ns = system->parameter[SLICE_US] * 1000;
		knobs->exactness = SCHEDULING_EXACT;
		return;
	}
	scheduling_knobs_reserve(entity, knobs);
	knobs->exactness = SCHEDULING_EXACT;
	if (system->parameter[RECLAIM] == RECLAIM_GRUB || entity->limit_ns) {
		knobs->exactness = SCHEDULING_APPROXIMATE;
		knobs->lost = entity->limit_ns ? "the limit: bandwidth control does not reach SCHED_DEADLINE"
					       : "reclaiming across CPUs: the kernel reclaims on each CPU by itself";
	}
}

const struct scheduling_strategy strategy_edf_cbs = {
	.info = { .name = "edf-cbs",
		  .summary = "Global earliest deadline first over constant-bandwidth servers: a reservation each, kept "
			     "and "
			     "not overrun.",
		  .kind = STRATEGY_ONLINE,
		  .index = STRATEGY_INDEX_EXACT,
		  .parameters = parameters,
		  .n_parameters = sizeof(parameters) / sizeof(*parameters) },
	.scope = SCHEDULING_GLOBAL,
	.work_conserving = true,
	.admit = admit,
	.retire = retire,
	.place = place,
	.join = join,
	.leave = leave,
	.key = key,
	.keep = keep,
	.preempt = preempt,
	.charge = charge,
	.block = block,
	.slice = slice,
	.timer = timer,
	.expire = expire,
	.project = project,
};
