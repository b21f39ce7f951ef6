#include "tests/unit/lab/synthetic.h"

#include <math.h>
#include <string.h>

#include "core/strategy/random.h"
#include "lab/error.h"

static const struct strategy_parameter x_only[] = {
	{ "x", STRATEGY_NUMBER, .min = 0, .max = 1, .initial = 0.2, .doc = "Where." },
};

static const struct strategy_info plain = { .name = "plain", .summary = "Plain." };
static const struct strategy_info good = { .name = "good", .summary = "Good." };
static const struct strategy_info noisy = { .name = "noisy", .summary = "Noisy." };
static const struct strategy_info hill = {
	.name = "hill", .summary = "A hill.", .parameters = x_only, .n_parameters = 1
};
static const struct strategy_info trap = {
	.name = "trap", .summary = "A trap.", .parameters = x_only, .n_parameters = 1
};
static const struct strategy_info blind = { .name = "blind", .summary = "Blind." };
static const struct strategy_info broken = { .name = "broken", .summary = "Broken." };
static const struct strategy_info batch = { .name = "batch", .summary = "Batch.", .kind = STRATEGY_BATCH };
static const struct strategy_info odd = { .name = "odd", .summary = "Odd." };

static const struct strategy_info *const entries[] = { &plain, &good,   &noisy, &hill, &trap,
						       &blind, &broken, &batch, &odd };
static const struct strategy_registry registry = { "synthetic", entries, G_N_ELEMENTS(entries) };

static const char *applicable(gconstpointer workload, const struct strategy_info *info)
{
	return info == &odd ? "it is odd" : NULL;
}

static gboolean can_apply(const struct strategy_info *info)
{
	return info->kind == STRATEGY_ONLINE;
}

static double performance(const struct strategy_info *info, double x, guint64 seed, enum lab_part part)
{
	struct strategy_random random;

	if (info == &noisy) {
		strategy_random_init(&random, seed);
		return 0.4 + 0.4 * strategy_random_unit(&random);
	}
	if (info == &hill)
		return 0.8 - (x - 0.7) * (x - 0.7) + 0.001 * (double)(seed % 3);
	if (info == &trap)
		return part == LAB_TUNE ? 0.5 + x / 10 : 0.5 - x / 10;
	return info == &good || info == &batch ? 0.9 : 0.6;
}

static gboolean evaluate(gconstpointer workload, const struct strategy_info *info, const struct strategy_values *values,
			 guint64 seed, enum lab_part part, struct lab_result *result, GError **error)
{
	if (info == &broken) {
		g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "it is broken");
		return FALSE;
	}
	result->score[SCORE_PERFORMANCE] = performance(info, values->value[0], seed, part);
	result->score[SCORE_AVAILABILITY] = info == &plain ? 0.99 : 0.95;
	result->score[SCORE_SECURITY] = 0.5;
	for (int i = 0; i < SCORES; i++)
		result->has_score[i] = TRUE;
	result->has_score[SCORE_SECURITY] = info != &blind;
	lab_result_add(result, "cost", info == &good ? 2000 : 123456.789);
	lab_result_add_time(result, "decide_ns", (double)seed * 17);
	if (info == &blind)
		result->note = g_strdup("the trace names no tenants");
	return TRUE;
}

const struct lab_family synthetic_family = {
	.name = "synthetic",
	.registry = &registry,
	.applicable = applicable,
	.can_apply = can_apply,
	.evaluate = evaluate,
};
