#include "lab/evaluate.h"

#include <string.h>

void lab_result_clear(struct lab_result *result)
{
	g_free(result->note);
	memset(result, 0, sizeof(*result));
}

static void add(struct lab_result *result, struct lab_figure figure)
{
	g_assert(result->n_figures < LAB_FIGURES_MAX);
	result->figure[result->n_figures++] = figure;
}

void lab_result_add(struct lab_result *result, const char *name, double value)
{
	add(result, (struct lab_figure) { .name = name, .value = value, .present = TRUE });
}

void lab_result_add_missing(struct lab_result *result, const char *name)
{
	add(result, (struct lab_figure) { .name = name });
}

void lab_result_add_time(struct lab_result *result, const char *name, double value)
{
	add(result, (struct lab_figure) { .name = name, .value = value, .present = TRUE, .is_time = TRUE });
}
