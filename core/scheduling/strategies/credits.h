/* What credit and credit-tick share: all but who is debited when.
 *
 * entity->budget_ns: credits; system->scratch[0]: weight of the active ones. */
#pragma once

#include "core/scheduling/limit.h"

#define CREDITS_TICK_NS   10000000
#define CREDITS_PERIOD_NS 30000000

enum { CREDITS_ACTIVE = SCHEDULING_STRATEGY };

/* Boosted, under, over: first come, first served in each. */
static inline int64_t credits_key(const struct scheduling_system *system, const struct scheduling_entity *entity)
{
	int64_t class = entity->budget_ns <= 0 ? 2 : entity->flags & SCHEDULING_BOOSTED ? 0 : 1;

	return class << 40;
}

static inline void credits_place(struct scheduling_system *system, struct scheduling_queue *queue,
				 struct scheduling_entity *entity, enum scheduling_why why)
{
	if (!(entity->flags & CREDITS_ACTIVE)) {
		entity->flags |= CREDITS_ACTIVE;
		system->scratch[0] += entity->weight;
	}
	if (why == SCHEDULING_WAKE && entity->budget_ns > 0)
		entity->flags |= SCHEDULING_BOOSTED;
	if (why == SCHEDULING_REQUEUE)
		entity->flags &= ~(uint32_t)SCHEDULING_BOOSTED;
}

static inline bool credits_keep(const struct scheduling_system *system, const struct scheduling_entity *running,
				const struct scheduling_entity *head)
{
	return credits_key(system, running) < credits_key(system, head);
}

static inline bool credits_preempt(const struct scheduling_system *system, const struct scheduling_entity *running,
				   const struct scheduling_entity *woken)
{
	return credits_key(system, woken) < credits_key(system, running);
}

/* Each period hands out the CPUs' time by weight; who has a period's worth and sleeps takes no more part. */
static inline void credits_account(struct scheduling_system *system, struct scheduling_entity *entity)
{
	int64_t before = credits_key(system, entity), share;

	if (!(entity->flags & CREDITS_ACTIVE))
		return;
	share = CREDITS_PERIOD_NS * (int64_t)system->n_cpus * (int64_t)entity->weight / system->scratch[0];
	entity->budget_ns += share;
	if (entity->budget_ns < -CREDITS_PERIOD_NS)
		entity->budget_ns = -CREDITS_PERIOD_NS;
	if (entity->budget_ns > CREDITS_PERIOD_NS) {
		entity->budget_ns = CREDITS_PERIOD_NS;
		if (!(entity->flags & SCHEDULING_ON_QUEUE)) {
			entity->flags &= ~(uint32_t)CREDITS_ACTIVE;
			system->scratch[0] -= entity->weight;
		}
	}
	if (credits_key(system, entity) != before)
		scheduling_changed(system, entity);
}

/* Each CPU accounts for its part of all vCPUs, so that no tick is long. */
static inline void credits_tick(struct scheduling_system *system, uint32_t cpu)
{
	uint32_t running = system->cpus[cpu].running;

	if (running != SCHEDULING_NO_ENTITY)
		system->entities[running].flags &= ~(uint32_t)SCHEDULING_BOOSTED;
	if (system->now_ns / CREDITS_TICK_NS % (CREDITS_PERIOD_NS / CREDITS_TICK_NS) != 0)
		return;
	for (uint32_t id = cpu; id < system->n_entities; id += system->n_cpus)
		credits_account(system, &system->entities[id]);
}

static inline void credits_retire(struct scheduling_system *system, struct scheduling_entity *entity)
{
	if (entity->flags & CREDITS_ACTIVE) {
		entity->flags &= ~(uint32_t)CREDITS_ACTIVE;
		system->scratch[0] -= entity->weight;
	}
	scheduling_retire(system, entity);
}
