/* One workload, one strategy, one seed: what came of it. A family implements `struct lab_family` once (lab/allocation.h, …);
 * ranking, selection, optimization, tables and plots are made from it for all families alike. */
#pragma once

#include <glib.h>

#include "core/strategy/score.h"
#include "core/strategy/strategy.h"

/* A raw figure. The name carries the unit ("host_hours", "wakeup_p99_us") and is the JSON key. */
struct lab_figure {
	const char *name; /* static */
	double value;
	gboolean present; /* absent: null */
	gboolean is_time; /* measured with a clock: shown with --timing only */
};
#define LAB_FIGURES_MAX 32

struct lab_result {
	double score[SCORES];
	gboolean has_score[SCORES];
	struct lab_figure figure[LAB_FIGURES_MAX];
	guint n_figures;
	char *note; /* owned; what a reader must know, or NULL */
};
void lab_result_clear(struct lab_result *result);
void lab_result_add(struct lab_result *result, const char *name, double value);
void lab_result_add_missing(struct lab_result *result, const char *name); /* null */
void lab_result_add_time(struct lab_result *result, const char *name, double value);

/* Parts of a workload in time: tuned on one, reported on the other. */
enum lab_part { LAB_WHOLE, LAB_TUNE, LAB_HELD_OUT };

struct lab_family {
	const char *name; /* "allocation" */
	const struct strategy_registry *registry;

	/* load(path, options, notes, error): a workload from a file, or "live" traces from what was fetched into a file.
	 * `options`: NULL-terminated "name=value" ("hosts=2x40c90G", "tune-until=1.5d"). Says in `notes` (array of owned
	 * strings) what was derived or assumed (tenants, groups, racks). NULL with the error set. */
	gpointer (*load)(const char *path, const char *const *options, GPtrArray *notes, GError **error);
	void (*free)(gpointer workload);

	/* applicable(workload, info): NULL, or why this strategy cannot be evaluated on it (static text). */
	const char *(*applicable)(gconstpointer workload, const struct strategy_info *info);
	/* can_apply(info): whether it can run live. */
	gboolean (*can_apply)(const struct strategy_info *info);
	/* traits(info): what it declares beyond kind and index ("proportional"): static, NULL-terminated. NULL: this family
	 * declares no more. */
	const char *const *(*traits)(const struct strategy_info *info);

	/* evaluate(workload, info, values, seed, part, result, error): deterministic but for figures marked is_time. May run
	 * in several threads at once on one workload. */
	gboolean (*evaluate)(gconstpointer workload, const struct strategy_info *info,
			     const struct strategy_values *values, guint64 seed, enum lab_part part,
			     struct lab_result *result, GError **error);

	/* Options of load that make seeds differ in the workload itself, NULL-terminated, or NULL: what never depends on
	 * a seed would otherwise look as if it were certain. Selection and optimization load with them. */
	const char *const *resample;

	/* Options of load that make an evaluation tell what the live platform would do, where it can do less than the
	 * strategy asks; NULL-terminated, or NULL. What is to be applied is ranked with them, whatever else was given. */
	const char *const *live;

	/* Options of load that go with any strategy live, too, and are applied with it: "sharing=". NULL-terminated, or NULL. */
	const char *const *modifiers;
};
