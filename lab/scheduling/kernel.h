/* A model of the Linux kernel's scheduler, as one more table of operations for the simulator: what becomes of a strategy
 * when its project() is all that reaches the host. The engine runs it as it runs any strategy; kernel.c says what is
 * modelled after which source, and what is not.
 *
 *	g_autoptr(lab_kernel_auto) kernel = lab_kernel_new(strategy, values);
 *	struct engine_setup setup = { .strategy = &lab_kernel_strategy, .values = NULL, .host = kernel, … };
 *	engine_run(&setup, &result);
 *	lab_kernel_projection(kernel, &projection);
 *
 * All the engine does is to put the kernel into system->host before start(). admit() asks the projected strategy's own
 * admit (on a shadow of the system), then its project() for the knobs, then the kernel's admission of DEADLINE. */
#pragma once

#include <glib.h>

#include "core/scheduling/scheduling.h"

/* Its parameters, in order of declaration: index of struct strategy_values and of scheduling_system.parameter. */
enum lab_kernel_parameter {
	LAB_KERNEL_FAIR,          /* "eevdf" (Linux 6.6 and later) or "cfs" (before: Debian 12 has 6.1) */
	LAB_KERNEL_TICK_US,       /* 4000: 250 Hz */
	LAB_KERNEL_HRTICK,        /* "off" or "on": a slice ends when it is used up, not at the next tick */
	LAB_KERNEL_BASE_SLICE_US, /* 0: 700 µs × (1 + log2 of CPUs, 8 at most), as the kernel scales it */
	LAB_KERNEL_CUSTOM_SLICE,  /* "on": sched_attr::sched_runtime counts (6.12 and later) */
	LAB_KERNEL_PARITY,        /* "off", "deadline" or "min-slice": what of its slice the running one is sure of */
	LAB_KERNEL_DELAY_DEQUEUE, /* "on" (6.12 and later) */
	LAB_KERNEL_LATENCY_US,    /* cfs: 0: 6000 µs, scaled likewise */
	LAB_KERNEL_MIN_GRANULARITY_US,    /* cfs: 0: 750 µs, scaled */
	LAB_KERNEL_WAKEUP_GRANULARITY_US, /* cfs: 0: 1000 µs, scaled */
	LAB_KERNEL_RT_PERCENT,            /* 95: of each second for FIFO at most, while others wait; 100: no limit */
	LAB_KERNEL_CORRECT, /* "on": the loop around the kernel corrects weights, where a strategy is projected */
	LAB_KERNEL_PARAMETERS,
};

extern const struct scheduling_strategy lab_kernel_strategy;

struct lab_kernel;
/* lab_kernel_new(strategy, values): a kernel that runs the projection of this strategy with these values (NULL: its
 * defaults), both borrowed. NULL strategy: the kernel's default, all vCPUs alike but for weight and limit. For one run. */
struct lab_kernel *lab_kernel_new(const struct scheduling_strategy *strategy, const struct strategy_values *values);
void lab_kernel_free(struct lab_kernel *kernel); /* NULL is fine */
typedef struct lab_kernel lab_kernel_auto;       /* for g_autoptr() */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(lab_kernel_auto, lab_kernel_free)

/* lab_kernel_set_knobs(kernel, entity, knobs): these instead of what project() says, for entity number `entity`. Before the
 * run; for tests and for knobs recorded live. */
void lab_kernel_set_knobs(struct lab_kernel *kernel, guint entity, const struct scheduling_knobs *knobs);

/* Affinity. lab_kernel_allows(kernel, entity, cpu): by its knobs; TRUE before it has any. lab_kernel_pins(kernel): any of
 * them has an affinity. */
gboolean lab_kernel_allows(const struct lab_kernel *kernel, guint entity, guint cpu);
gboolean lab_kernel_pins(const struct lab_kernel *kernel);

/* Weights as corrected, beside those of the entities: by how much one weighs more (or less) now, and all on a queue together.
 * What evens out CPUs goes by them. */
gint64 lab_kernel_extra_weight(const struct lab_kernel *kernel, guint entity);
gint64 lab_kernel_extra_load(const struct lab_kernel *kernel, guint queue);

/* What became of a strategy. */
struct lab_projection {
	guint n;                                   /* vCPUs that asked to be admitted */
	guint exact, approximate, not_enforceable; /* of those */
	guint refused_strategy, refused_kernel;    /* of those */
	enum scheduling_exactness exactness;       /* the worst */
	const char *lost[8]; /* static texts, each once, in order of entities; NULL after the last */
};
/* lab_kernel_projection(kernel, projection): of all admitted so far. */
void lab_kernel_projection(const struct lab_kernel *kernel, struct lab_projection *projection);
const struct scheduling_knobs *lab_kernel_knobs(const struct lab_kernel *kernel, guint entity); /* NULL: none yet */

/* lab_scheduling_project(strategy, system, knobs, projection): without a run: the knobs of all entities of a system, in
 * order of id, into knobs[n_entities] (NULL: not wanted), and what is lost. The system is left as it was. */
void lab_scheduling_project(const struct scheduling_strategy *strategy, const struct scheduling_system *system,
			    struct scheduling_knobs *knobs, struct lab_projection *projection);

extern const char *const lab_kernel_exactness_names[]; /* "exact", "approximate", "not enforceable" */

/* Weights as the kernel counts them: cgroup v2's cpu.weight 1–10000 becomes v1's shares, 2–262144, 1024 the normal. */
static inline guint64 lab_kernel_weight(guint weight)
{
	return CLAMP(((guint64)weight * 1024 + 50) / 100, 2, 262144);
}
