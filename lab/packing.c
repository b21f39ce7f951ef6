#include "lab/packing.h"

#include <string.h>

#include "core/allocation/family.h"
#include "lab/error.h"
#include "lab/optimize.h"

struct packing {
	struct lab_vbp *vbp;
	struct lab_packing_limit limit;
	guint64 bound;
};

gboolean lab_packing_limit_parse(const char *text, struct lab_packing_limit *limit, GError **error)
{
	struct lab_budget budget = { 0 };

	if (!lab_budget_parse(text, &budget, error))
		return FALSE;
	limit->duration_us = budget.evaluations ? 0 : budget.duration_us;
	limit->steps = budget.evaluations ? budget.evaluations : G_MAXUINT64;
	return TRUE;
}

static void packing_free(gpointer workload)
{
	struct packing *packing = workload;

	if (!packing)
		return;
	lab_vbp_free(packing->vbp);
	g_free(packing);
}

static gboolean set_option(struct packing *packing, const char *option, GError **error)
{
	if (g_str_has_prefix(option, "budget="))
		return lab_packing_limit_parse(option + strlen("budget="), &packing->limit, error);
	g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID,
		    "option \"%s\" does not apply to a packing instance: there is budget=TIME|STEPS", option);
	return FALSE;
}

static void note(GPtrArray *notes, const char *format, guint32 n)
{
	if (notes && n) {
		GString *text = g_string_new(NULL);

		g_string_append_printf(text, "%u %s ", n, n == 1 ? "item" : "items");
		g_string_append(text, format);
		g_ptr_array_add(notes, g_string_free(text, FALSE));
	}
}

static gpointer packing_load(const char *path, const char *const *options, GPtrArray *notes, GError **error)
{
	struct packing *packing = g_new0(struct packing, 1);
	struct pack_problem problem = { 0 };

	packing->limit.steps = LAB_PACKING_STEPS;
	for (guint i = 0; options && options[i]; i++) {
		if (!set_option(packing, options[i], error)) {
			packing_free(packing);
			return NULL;
		}
	}
	packing->vbp = lab_vbp_load(path, error);
	if (!packing->vbp) {
		packing_free(packing);
		return NULL;
	}
	problem.dimensions = packing->vbp->dimensions;
	problem.n_items = packing->vbp->n_items;
	problem.size = packing->vbp->size;
	problem.capacity = packing->vbp->capacity;
	if (!pack_bound_dual_feasible(&problem, &packing->bound)) {
		g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "%s: out of memory for its lower bound", path);
		packing_free(packing);
		return NULL;
	}
	note(notes, "with a size below 0, which adds room", packing->vbp->n_negative);
	note(notes, "larger than a bin, which no packing places", packing->vbp->n_oversize);
	return packing;
}

static const char *packing_applicable(gconstpointer workload, const struct strategy_info *info)
{
	const struct allocation_strategy *strategy = allocation_strategy_find(info->name);

	return strategy && strategy->pack ? NULL : "decides VM by VM or moves what is placed: it packs no batch";
}

static gboolean packing_can_apply(const struct strategy_info *info)
{
	return FALSE;
}

struct deadline {
	gint64 at_us;
};

static bool deadline_passed(void *data)
{
	return g_get_monotonic_time() >= ((struct deadline *)data)->at_us;
}

gboolean lab_packing_pack(const struct lab_packing_job *job, struct lab_packing_run *run, GError **error)
{
	const struct lab_vbp *vbp = job->vbp;
	g_autofree gint32 *size = lab_vbp_shuffled(vbp, job->seed);
	g_autofree guint32 *bin = g_new0(guint32, vbp->n_items + 1);
	struct pack_problem problem = {
		.dimensions = vbp->dimensions, .n_items = vbp->n_items, .size = size, .capacity = vbp->capacity
	};
	struct pack_solution solution = { .bin = bin };
	struct deadline deadline = { 0 };
	struct pack_budget budget = { .steps = job->limit.steps, .data = &deadline };
	gint64 start_us = g_get_monotonic_time();
	const char *wrong;

	deadline.at_us = start_us + job->limit.duration_us;
	if (job->limit.duration_us)
		budget.stop = deadline_passed;
	if (!job->strategy->pack->pack(&problem, job->values, job->seed, &budget, &solution)) {
		g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "%s: out of memory for %u items",
			    job->strategy->info.name, vbp->n_items);
		return FALSE;
	}
	*run = (struct lab_packing_run) { .bins = solution.n_bins,
					  .unplaced = solution.n_unplaced,
					  .steps = budget.used,
					  .elapsed_us = g_get_monotonic_time() - start_us };
	wrong = pack_check(&problem, &solution);
	if (wrong)
		g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "%s packed wrongly: %s", job->strategy->info.name,
			    wrong);
	return !wrong;
}

static gboolean packing_evaluate(gconstpointer workload, const struct strategy_info *info,
				 const struct strategy_values *values, guint64 seed, enum lab_part part,
				 struct lab_result *result, GError **error)
{
	const struct packing *packing = workload;
	const struct allocation_strategy *strategy = allocation_strategy_find(info->name);
	struct lab_packing_job job = {
		.vbp = packing->vbp, .strategy = strategy, .values = values, .seed = seed, .limit = packing->limit
	};
	struct lab_packing_run run;

	if (!strategy || !strategy->pack) {
		g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID, "%s packs no batch", info->name);
		return FALSE;
	}
	if (!lab_packing_pack(&job, &run, error))
		return FALSE;
	/* No items: nothing was wasted. Nothing placed of some: nothing can be said. */
	result->has_score[SCORE_PERFORMANCE] = run.bins || !packing->vbp->n_items;
	result->score[SCORE_PERFORMANCE] = run.bins ? (double)packing->bound / run.bins : 1;
	lab_result_add(result, "bins", run.bins);
	lab_result_add(result, "bound", (double)packing->bound);
	if (packing->bound)
		lab_result_add(result, "ratio", (double)run.bins / (double)packing->bound);
	lab_result_add(result, "unplaced", run.unplaced);
	lab_result_add(result, "steps", (double)run.steps);
	lab_result_add_time(result, "pack_ms", (double)run.elapsed_us / 1000);
	return TRUE;
}

const struct lab_family lab_packing_family = {
	.name = "allocation",
	.registry = &allocation_registry,
	.load = packing_load,
	.free = packing_free,
	.applicable = packing_applicable,
	.can_apply = packing_can_apply,
	.evaluate = packing_evaluate,
};
