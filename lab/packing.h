/* The batch strategies on a .vbp instance: how few bins they need. A family for select.h, optimize.h and report.h, so that
 * one instance is a workload as a trace is.
 *
 * load(path, options): options "budget=1s", "budget=2ms" or "budget=50000" (steps of the strategy's own; the default is
 * LAB_PACKING_STEPS). A time is of the wall clock, from the start of packing; the figure `steps` says the count that
 * reproduces the result.
 *
 * Score: performance = lower bound ÷ bins. Figures: bins, bound (dual-feasible functions), ratio (bins ÷ bound), unplaced,
 * steps, and with timing pack_ms. Items are shuffled by the seed, and every packing is checked from scratch. */
#pragma once

#include "lab/evaluate.h"
#include "lab/vbp.h"

#define LAB_PACKING_STEPS 100000

extern const struct lab_family lab_packing_family;

struct lab_packing_limit {
	guint64 steps;      /* G_MAXUINT64 with a time */
	gint64 duration_us; /* or 0 */
};
/* lab_packing_limit_parse(text, limit, error): "1s", "2ms", "50000". */
gboolean lab_packing_limit_parse(const char *text, struct lab_packing_limit *limit, GError **error);

struct allocation_strategy;
struct lab_packing_job {
	const struct lab_vbp *vbp; /* all borrowed */
	const struct allocation_strategy *strategy;
	const struct strategy_values *values;
	guint64 seed; /* of the shuffle and of the strategy */
	struct lab_packing_limit limit;
};
struct lab_packing_run {
	guint32 bins, unplaced;
	guint64 steps;
	gint64 elapsed_us;
};
/* lab_packing_pack(job, run, error): once. Fails when the packing is wrong. */
gboolean lab_packing_pack(const struct lab_packing_job *job, struct lab_packing_run *run, GError **error);
