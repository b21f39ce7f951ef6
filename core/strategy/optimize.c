/* The search runs in the unit cube, one coordinate a parameter. State:
 *
 *   SAMPLE   the defaults, then a Latin hypercube, until the population is full
 *   EVOLVE   one member after the other is challenged by a trial (differential evolution, half of the trials
 *            current-to-best/1, half rand/1, binomial crossover) and replaced when the trial is at least as good
 *   CLIMB    the last fifth: one coordinate of the best is moved by ± a step; after a round of all without gain the step
 *            is halved
 *
 * ask() makes the point, tell() takes its result and moves on. */
#include "core/strategy/optimize.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/strategy/number.h"

#define POPULATION_MAX 64
#define DIGITS         6 /* of a number tried: nobody types more back in */
#define CLIMB_STEP     0.1
#define CLIMB_STEP_MIN 1e-6

struct member {
	double at[STRATEGY_PARAMETERS_MAX]; /* in [0, 1] */
	double result;
};

struct strategy_optimizer {
	const struct strategy_info *info;
	struct strategy_random random;
	uint64_t budget, asked;
	size_t n; /* parameters */
	size_t population;
	struct member members[POPULATION_MAX];
	struct member trial, best;
	struct strategy_values trial_values, best_values;
	bool pending;
	size_t target; /* EVOLVE: the member challenged */
	double step;   /* CLIMB */
	size_t move;   /* CLIMB: coordinate × 2 + direction */
	bool gained;   /* CLIMB: in this round */
};

static double levels(const struct strategy_parameter *parameter)
{
	double n = 0;

	if (parameter->type != STRATEGY_CHOICE)
		return parameter->max - parameter->min + 1;
	while (parameter->choices[(size_t)n])
		n++;
	return n;
}

static double clamp(double value, double min, double max)
{
	return value < min ? min : value > max ? max : value;
}

static double decode(const struct strategy_parameter *parameter, double at)
{
	double low = parameter->min, high = parameter->max;

	if (parameter->type != STRATEGY_NUMBER) {
		double level = floor(at * levels(parameter));

		return (parameter->type == STRATEGY_CHOICE ? 0 : low) + clamp(level, 0, levels(parameter) - 1);
	}
	if (parameter->logarithmic)
		at = strategy_exp(strategy_log(low) + at * (strategy_log(high) - strategy_log(low)));
	else
		at = low + at * (high - low);
	return clamp(strategy_number_round(at, DIGITS), low, high);
}

static double encode(const struct strategy_parameter *parameter, double value)
{
	double low = parameter->min, high = parameter->max;

	if (parameter->type != STRATEGY_NUMBER)
		return (value - (parameter->type == STRATEGY_CHOICE ? 0 : low) + 0.5) / levels(parameter);
	if (parameter->logarithmic)
		return clamp((strategy_log(value) - strategy_log(low)) / (strategy_log(high) - strategy_log(low)), 0,
			     1);
	return (value - low) / (high - low);
}

static uint64_t climb_from(const struct strategy_optimizer *optimizer)
{
	return optimizer->budget - optimizer->budget / 5;
}

/* Each coordinate's strata are dealt to the members in an order of its own (McKay, Beckman and Conover 1979). */
static void sample(struct strategy_optimizer *optimizer)
{
	size_t order[POPULATION_MAX];

	for (size_t k = 0; k < optimizer->n; k++) {
		for (size_t i = 0; i < optimizer->population; i++) {
			size_t j = strategy_random_below(&optimizer->random, i + 1);

			order[i] = order[j];
			order[j] = i;
		}
		for (size_t i = 0; i < optimizer->population; i++)
			optimizer->members[i].at[k] = ((double)order[i] + strategy_random_unit(&optimizer->random)) /
						      (double)optimizer->population;
		optimizer->members[0].at[k] =
			encode(&optimizer->info->parameters[k], optimizer->info->parameters[k].initial);
	}
}

struct strategy_optimizer *strategy_optimizer_new(const struct strategy_info *info, uint64_t budget, uint64_t seed)
{
	struct strategy_optimizer *optimizer;

	if (info->n_parameters == 0 || info->n_parameters > STRATEGY_PARAMETERS_MAX)
		return NULL;
	optimizer = calloc(1, sizeof(*optimizer));
	if (!optimizer)
		return NULL;
	optimizer->info = info;
	optimizer->budget = budget;
	optimizer->n = info->n_parameters;
	optimizer->step = CLIMB_STEP;
	/* Five generations at least, or the sample is all there is. */
	optimizer->population = 4 + 3 * optimizer->n;
	if (optimizer->population > budget / 5)
		optimizer->population = budget / 5;
	if (optimizer->population < 5)
		optimizer->population = 5;
	strategy_random_init(&optimizer->random, seed);
	sample(optimizer);
	strategy_values_init(info, &optimizer->best_values);
	memcpy(optimizer->best.at, optimizer->members[0].at, sizeof(optimizer->best.at));
	optimizer->best.result = -INFINITY;
	return optimizer;
}

void strategy_optimizer_free(struct strategy_optimizer *optimizer)
{
	free(optimizer);
}

static const struct member *another(struct strategy_optimizer *optimizer)
{
	return &optimizer->members[strategy_random_below(&optimizer->random, optimizer->population)];
}

static void evolve(struct strategy_optimizer *optimizer)
{
	const struct member *target = &optimizer->members[optimizer->target];
	const struct member *a = another(optimizer), *b = another(optimizer), *c = another(optimizer);
	bool to_best = strategy_random_next(&optimizer->random) >> 63;
	double weight = 0.4 + 0.5 * strategy_random_unit(&optimizer->random);
	size_t always = strategy_random_below(&optimizer->random, optimizer->n);

	for (size_t k = 0; k < optimizer->n; k++) {
		double base = to_best ? target->at[k] : c->at[k];
		double at = base + weight * (a->at[k] - b->at[k]);

		if (to_best)
			at += weight * (optimizer->best.at[k] - target->at[k]);
		/* Out of the cube: halfway to the wall it went through. */
		if (at < 0)
			at = base / 2;
		else if (at > 1)
			at = (base + 1) / 2;
		optimizer->trial.at[k] =
			k == always || strategy_random_unit(&optimizer->random) < 0.9 ? at : target->at[k];
		/* Choices have no neighbours, and differences between equal ones are 0: now and then one is drawn. */
		if (optimizer->info->parameters[k].type == STRATEGY_CHOICE &&
		    strategy_random_unit(&optimizer->random) < 0.1)
			optimizer->trial.at[k] = strategy_random_unit(&optimizer->random);
	}
}

/* The next move of the climb: of a whole number or choice at least one level. */
static void climb_once(struct strategy_optimizer *optimizer)
{
	size_t k = optimizer->move / 2;
	const struct strategy_parameter *parameter = &optimizer->info->parameters[k];
	double by = optimizer->step;

	if (parameter->type == STRATEGY_CHOICE || (parameter->type == STRATEGY_INTEGER && by < 1 / levels(parameter)))
		by = 1 / levels(parameter);
	optimizer->trial = optimizer->best;
	optimizer->trial.at[k] = optimizer->best.at[k] + (optimizer->move & 1 ? -by : by);
	if (parameter->type == STRATEGY_CHOICE) /* round and round */
		optimizer->trial.at[k] -= floor(optimizer->trial.at[k]);
	optimizer->trial.at[k] = clamp(optimizer->trial.at[k], 0, 1);
}

static void climb_next(struct strategy_optimizer *optimizer)
{
	if (++optimizer->move < 2 * optimizer->n)
		return;
	optimizer->move = 0;
	if (!optimizer->gained && optimizer->step > CLIMB_STEP_MIN)
		optimizer->step /= 2;
	optimizer->gained = false;
}

static void decode_trial(struct strategy_optimizer *optimizer)
{
	for (size_t k = 0; k < optimizer->n; k++)
		optimizer->trial_values.value[k] = decode(&optimizer->info->parameters[k], optimizer->trial.at[k]);
}

/* Moves that change nothing (at a wall, below a number's last digit) are passed over; when all are, evolution goes on. */
static bool climb(struct strategy_optimizer *optimizer)
{
	for (size_t tries = 0; tries < 4 * optimizer->n; tries++) {
		climb_once(optimizer);
		decode_trial(optimizer);
		if (memcmp(optimizer->trial_values.value, optimizer->best_values.value,
			   optimizer->n * sizeof(double)) != 0)
			return true;
		climb_next(optimizer);
	}
	return false;
}

bool strategy_optimizer_ask(struct strategy_optimizer *optimizer, struct strategy_values *values)
{
	assert(!optimizer->pending);
	if (optimizer->asked == optimizer->budget)
		return false;
	if (optimizer->asked < optimizer->population) {
		optimizer->trial = optimizer->members[optimizer->asked];
		decode_trial(optimizer);
		if (optimizer->asked == 0)
			strategy_values_init(optimizer->info, &optimizer->trial_values);
	} else if (optimizer->asked < climb_from(optimizer) || !climb(optimizer)) {
		evolve(optimizer);
		decode_trial(optimizer);
	}
	*values = optimizer->trial_values;
	optimizer->pending = true;
	return true;
}

void strategy_optimizer_tell(struct strategy_optimizer *optimizer, double result)
{
	bool better;

	assert(optimizer->pending);
	optimizer->pending = false;
	if (!isfinite(result))
		result = -INFINITY;
	optimizer->trial.result = result;
	better = result > optimizer->best.result;
	if (better) {
		optimizer->best = optimizer->trial;
		optimizer->best_values = optimizer->trial_values;
	}
	if (optimizer->asked < optimizer->population) {
		optimizer->members[optimizer->asked] = optimizer->trial;
	} else if (optimizer->asked < climb_from(optimizer)) {
		if (result >= optimizer->members[optimizer->target].result)
			optimizer->members[optimizer->target] = optimizer->trial;
		optimizer->target = (optimizer->target + 1) % optimizer->population;
	} else if (better) {
		optimizer->gained = true; /* and the same way again */
	} else {
		climb_next(optimizer);
	}
	optimizer->asked++;
}

double strategy_optimizer_best(const struct strategy_optimizer *optimizer, struct strategy_values *values)
{
	*values = optimizer->best_values;
	return optimizer->best.result;
}

uint64_t strategy_optimizer_evaluations(const struct strategy_optimizer *optimizer)
{
	return optimizer->asked;
}
