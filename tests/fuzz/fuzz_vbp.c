/* Packing instances: what is accepted keeps its limits, and small ones are packed validly within their bounds. */
#include <assert.h>
#include <stdint.h>

#include "core/allocation/strategies/strategies.h"
#include "lab/packing.h"

#define PACKED_ITEMS_MAX 200

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void pack_all(const struct lab_vbp *vbp)
{
	static const struct allocation_strategy *const strategies[] = { &strategy_ffd, &strategy_wfd, &strategy_bcs,
									&strategy_guided_ejection };
	struct pack_problem problem = {
		.dimensions = vbp->dimensions, .n_items = vbp->n_items, .size = vbp->size, .capacity = vbp->capacity
	};
	struct lab_packing_run run;
	uint64_t bound = 0;
	bool ok = pack_bound_dual_feasible(&problem, &bound);

	assert(ok);
	for (size_t i = 0; i < G_N_ELEMENTS(strategies); i++) {
		struct strategy_values values;
		struct lab_packing_job job = {
			.vbp = vbp, .strategy = strategies[i], .values = &values, .seed = 1, .limit = { .steps = 200 }
		};

		strategy_values_init(&strategies[i]->info, &values);
		ok = lab_packing_pack(&job, &run, NULL);
		assert(ok && run.bins >= bound && run.bins + run.unplaced <= vbp->n_items);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(lab_vbp_auto) vbp = lab_vbp_parse((const char *)data, size, "fuzz", &error);

	assert(!vbp == !!error);
	if (!vbp)
		return 0;
	assert(vbp->dimensions >= 1 && vbp->dimensions <= PACK_DIMENSIONS_MAX && vbp->n_items <= PACK_ITEMS_MAX);
	if (vbp->n_items <= PACKED_ITEMS_MAX)
		pack_all(vbp);
	return 0;
}
