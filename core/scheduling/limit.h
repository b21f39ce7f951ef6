/* What all strategies share: admission of reservations, and limits (caps) by a budget a period, as the kernel's bandwidth
 * control and Xen's RTDS keep it. Inline, so that a strategy stays one translation unit for the kernel. */
#pragma once

#include "core/scheduling/scheduling.h"

#define SCHEDULING_LIMIT_MIN_NS  1000000    /* the kernel's least quota and period of bandwidth control */
#define SCHEDULING_PERIOD_MAX_NS 1000000000 /* … and its longest period */

/* runtime ÷ period in SCHEDULING_UNITs, rounded up, so that a sum of them never hides an overload. */
static inline uint64_t scheduling_share(int64_t runtime_ns, int64_t period_ns)
{
	uint64_t whole = (uint64_t)runtime_ns / (uint64_t)period_ns, rest = (uint64_t)runtime_ns % (uint64_t)period_ns;

	/* rest < period; scaled down together so that rest × UNIT fits. Rounds up by less than a unit in 2^20. */
	while (rest > (UINT64_MAX >> 21)) {
		rest = (rest >> 1) + 1;
		period_ns = period_ns >> 1;
	}
	return whole * SCHEDULING_UNIT + (rest * SCHEDULING_UNIT + (uint64_t)period_ns - 1) / (uint64_t)period_ns;
}

/* Is what the entity asks for well formed, whatever the strategy? */
static inline bool scheduling_well_formed(const struct scheduling_entity *entity)
{
	if (entity->weight < 1 || entity->weight > SCHEDULING_WEIGHT_MAX)
		return false;
	if (entity->runtime_ns < 0 || entity->period_ns < 0 || entity->runtime_ns > entity->period_ns)
		return false;
	if (entity->limit_ns < 0 || entity->limit_period_ns < 0 || entity->request_ns < 0 || entity->latency_ns < 0)
		return false;
	if (entity->limit_ns == 0)
		return true;
	return entity->limit_ns >= SCHEDULING_LIMIT_MIN_NS && entity->limit_period_ns >= SCHEDULING_LIMIT_MIN_NS &&
	       entity->limit_period_ns <= SCHEDULING_PERIOD_MAX_NS;
}

/* Admit: the reservations of all fit the CPUs. Necessary for every strategy, and all a proportional one needs. */
static inline enum scheduling_admission scheduling_admit(struct scheduling_system *system,
							 struct scheduling_entity *entity)
{
	uint64_t share;

	if (!scheduling_well_formed(entity))
		return SCHEDULING_REFUSED_MALFORMED;
	share = entity->period_ns ? scheduling_share(entity->runtime_ns, entity->period_ns) : 0;
	if (system->admitted + share > (uint64_t)system->n_cpus * SCHEDULING_UNIT)
		return SCHEDULING_REFUSED_CAPACITY;
	system->admitted += share;
	entity->flags |= SCHEDULING_ADMITTED;
	return SCHEDULING_ACCEPTED;
}

static inline void scheduling_retire(struct scheduling_system *system, struct scheduling_entity *entity)
{
	if (!(entity->flags & SCHEDULING_ADMITTED))
		return;
	entity->flags &= ~(uint32_t)SCHEDULING_ADMITTED;
	if (entity->period_ns)
		system->admitted -= scheduling_share(entity->runtime_ns, entity->period_ns);
}

/* A limit given as a part of a CPU, in SCHEDULING_UNITs (0: none), becomes so much in each 50 ms: whoever is limited is held no
 * longer than twice that; in longer ones where the kernel's least quota is more. */
#define SCHEDULING_LIMIT_PERIOD_NS 50000000

static inline void scheduling_limit(struct scheduling_entity *entity, uint64_t share)
{
	int64_t period = SCHEDULING_LIMIT_PERIOD_NS, least = SCHEDULING_LIMIT_MIN_NS * (int64_t)SCHEDULING_UNIT;

	while (share && period < SCHEDULING_PERIOD_MAX_NS && period * (int64_t)share < least)
		period = period * 2 < SCHEDULING_PERIOD_MAX_NS ? period * 2 : SCHEDULING_PERIOD_MAX_NS;
	entity->limit_period_ns = share ? period : 0;
	entity->limit_ns = (period * (int64_t)share + SCHEDULING_UNIT / 2) / SCHEDULING_UNIT;
}

/* A reservation given as a part of a CPU, in SCHEDULING_UNITs, becomes a runtime in a period: that of the latency target, else
 * 20 ms; longer where the runtime would be so short that what a tick finds overrun would have to be paid back over many
 * periods. */
#define SCHEDULING_RESERVE_PERIOD_NS     20000000
#define SCHEDULING_RESERVE_PERIOD_MAX_NS 100000000
#define SCHEDULING_RESERVE_RUNTIME_NS    500000 /* at least, if the longest period gives it */

static inline void scheduling_reserve(struct scheduling_entity *entity, uint64_t share)
{
	int64_t period = SCHEDULING_RESERVE_PERIOD_NS,
		shortest = SCHEDULING_RESERVE_RUNTIME_NS * (int64_t)SCHEDULING_UNIT;

	share = share > SCHEDULING_UNIT ? SCHEDULING_UNIT : share;
	if (entity->latency_ns && entity->latency_ns < SCHEDULING_RESERVE_PERIOD_MAX_NS)
		period = entity->latency_ns;
	while (period < SCHEDULING_RESERVE_PERIOD_MAX_NS / 2 && period * (int64_t)share < shortest)
		period *= 2;
	entity->period_ns = share ? period : 0;
	entity->runtime_ns = (period * (int64_t)share + SCHEDULING_UNIT / 2) / SCHEDULING_UNIT;
}

/* Limits: limit_ns in each limit_period_ns, periods counted from the begin of the first run. What is overrun is paid back. */
static inline void limit_refill(struct scheduling_entity *entity, int64_t when_ns)
{
	int64_t periods, most;

	if (!entity->cap_until_ns) {
		entity->cap_left_ns = entity->limit_ns;
		entity->cap_until_ns = when_ns + entity->limit_period_ns;
		return;
	}
	if (when_ns < entity->cap_until_ns)
		return;
	periods = (when_ns - entity->cap_until_ns) / entity->limit_period_ns + 1;
	entity->cap_until_ns += periods * entity->limit_period_ns;
	/* More of them fill it to no more than the limit. */
	most = entity->cap_left_ns < 0 ? -entity->cap_left_ns / entity->limit_ns + 2 : 1;
	entity->cap_left_ns += (periods < most ? periods : most) * entity->limit_ns;
	if (entity->cap_left_ns > entity->limit_ns)
		entity->cap_left_ns = entity->limit_ns;
}

/* A run over the end of a period counts in each for what it took of it: when it is charged must not matter. */
static inline void limit_charge(const struct scheduling_system *system, struct scheduling_entity *entity,
				int64_t delta_ns)
{
	int64_t begin_ns = system->now_ns - delta_ns, whole;

	if (!entity->limit_ns)
		return;
	limit_refill(entity, begin_ns);
	if (system->now_ns >= entity->cap_until_ns) {
		entity->cap_left_ns -= entity->cap_until_ns - begin_ns;
		delta_ns = system->now_ns - entity->cap_until_ns;
		limit_refill(entity, entity->cap_until_ns);
		whole = delta_ns / entity->limit_period_ns;
		entity->cap_left_ns -= whole * (entity->limit_period_ns - entity->limit_ns);
		entity->cap_until_ns += whole * entity->limit_period_ns;
		delta_ns -= whole * entity->limit_period_ns;
	}
	entity->cap_left_ns -= delta_ns;
	if (entity->cap_left_ns <= 0)
		entity->flags |= SCHEDULING_THROTTLED | SCHEDULING_CAPPED;
}

/* charge, as an operation, where service counts for nothing but the limit. */
static inline void limit_charge_only(struct scheduling_system *system, struct scheduling_queue *queue,
				     struct scheduling_entity *entity, int64_t delta_ns)
{
	limit_charge(system, entity, delta_ns);
}

/* A slice that does not outrun the limit: one that lasts until the period's end goes on with the next one's. */
static inline int64_t limit_slice(const struct scheduling_system *system, const struct scheduling_entity *entity,
				  int64_t slice_ns)
{
	struct scheduling_entity now = { 0 };
	int64_t most, until_ns;

	if (!entity->limit_ns || entity->limit_ns == entity->limit_period_ns)
		return slice_ns;
	now.limit_ns = entity->limit_ns;
	now.limit_period_ns = entity->limit_period_ns;
	now.cap_left_ns = entity->cap_left_ns;
	now.cap_until_ns = entity->cap_until_ns;
	limit_refill(&now, system->now_ns);
	until_ns = now.cap_until_ns - system->now_ns;
	most = now.cap_left_ns < until_ns ? now.cap_left_ns : until_ns + now.limit_ns;
	return most < slice_ns ? most : slice_ns;
}

static inline int64_t limit_timer(const struct scheduling_system *system, const struct scheduling_entity *entity)
{
	return entity->flags & SCHEDULING_CAPPED ? entity->cap_until_ns : SCHEDULING_NEVER;
}

static inline void limit_expire(struct scheduling_system *system, struct scheduling_entity *entity)
{
	if (!(entity->flags & SCHEDULING_CAPPED))
		return;
	limit_refill(entity, system->now_ns);
	if (entity->cap_left_ns > 0)
		entity->flags &= ~(uint32_t)(SCHEDULING_THROTTLED | SCHEDULING_CAPPED);
}

/* ---- project(): what all strategies' knobs have in common ---- */

static inline void scheduling_knobs_init(const struct scheduling_entity *entity, struct scheduling_knobs *knobs)
{
	*knobs = (struct scheduling_knobs) { .weight = entity->weight,
					     .quota_ns = entity->limit_ns,
					     .period_ns = entity->limit_ns ? entity->limit_period_ns : 0 };
}

/* The kernel shares by weight, in slices: near the strategy, but for what is `lost`. */
static inline void scheduling_knobs_by_weight(const struct scheduling_entity *entity, struct scheduling_knobs *knobs,
					      int64_t slice_ns, const char *lost)
{
	scheduling_knobs_init(entity, knobs);
	knobs->slice_ns = slice_ns;
	knobs->exactness = SCHEDULING_APPROXIMATE;
	knobs->lost = lost;
}

/* Its reservation becomes SCHED_DEADLINE's, due at the end of the period. */
static inline void scheduling_knobs_reserve(const struct scheduling_entity *entity, struct scheduling_knobs *knobs)
{
	knobs->policy = SCHEDULING_POLICY_DEADLINE;
	knobs->runtime_ns = entity->runtime_ns;
	knobs->deadline_ns = knobs->deadline_period_ns = entity->period_ns;
}
