/* Machine reassignment files, model and assignment divided by the first NUL: what is accepted can be improved, and stays
 * valid. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "core/allocation/family.h"
#include "lab/reassignment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void improve(const struct rebalance_problem *problem)
{
	const struct allocation_strategy *strategy = allocation_strategy_find("annealing");
	g_autofree uint32_t *machine = g_memdup2(problem->initial, ((gsize)problem->n_processes + 1) * sizeof *machine);
	struct rebalance_budget budget = { .steps = 2000 };
	enum rebalance_violation violation;
	struct strategy_values values;
	struct rebalance_cost before, after;
	bool ok;

	strategy_values_init(&strategy->info, &values);
	ok = rebalance_verify(problem, machine, &before, &violation) &&
	     strategy->rebalance->improve(problem, &values, 1, &budget, machine) &&
	     rebalance_verify(problem, machine, &after, &violation);
	assert(ok && violation == REBALANCE_VALID && after.total <= before.total);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	const char *divided = size ? memchr(text, 0, size) : NULL;
	struct lab_text model = { "model", text, divided ? (gsize)(divided - text) : size };
	struct lab_text assignment = { "assignment", divided ? divided + 1 : "",
				       divided ? size - model.length - 1 : 0 };
	g_autoptr(GError) error = NULL;
	g_autoptr(lab_reassignment_auto) instance = lab_reassignment_parse(&model, &assignment, &error);

	assert(!instance == !!error);
	if (instance)
		improve(&instance->problem);
	return 0;
}
