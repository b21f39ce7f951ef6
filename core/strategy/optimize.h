/* Seeded search over a strategy's declared parameters, as a state machine that asks and is told: the caller evaluates. A
 * budget counts evaluations, so a run is reproducible whatever the machine's speed.
 *
 * Method: differential evolution with a first sample by Latin hypercube, the defaults being its first member, followed by a
 * coordinate search around the best with shrinking steps for the last fifth of the budget (Storn and Price 1997). */
#pragma once

#include "core/strategy/random.h"
#include "core/strategy/strategy.h"

struct strategy_optimizer;

/* strategy_optimizer_new(info, budget, seed): NULL when out of memory or the strategy has no parameters. */
struct strategy_optimizer *strategy_optimizer_new(const struct strategy_info *info, uint64_t budget, uint64_t seed);
void strategy_optimizer_free(struct strategy_optimizer *optimizer);

/* strategy_optimizer_ask(optimizer, values): the next to evaluate; false when the budget is used up. Each ask is followed
 * by one tell with its result, higher is better (not finite: worse than everything). */
bool strategy_optimizer_ask(struct strategy_optimizer *optimizer, struct strategy_values *values);
void strategy_optimizer_tell(struct strategy_optimizer *optimizer, double result);

/* strategy_optimizer_best(optimizer, values): the best told so far and its result; the defaults before any. */
double strategy_optimizer_best(const struct strategy_optimizer *optimizer, struct strategy_values *values);
uint64_t strategy_optimizer_evaluations(const struct strategy_optimizer *optimizer);
