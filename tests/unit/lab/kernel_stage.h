/* A small machine on which the model of the kernel runs. */
#pragma once

#include "lab/scheduling/engine.h"
#include "lab/scheduling/kernel.h"

#define MS     G_GINT64_CONSTANT(1000000)
#define SECOND (1000 * MS)

struct stage {
	struct workload *workload;
	struct lab_kernel *kernel;
	struct strategy_values values;
	struct engine_result result;
	GArray *turns; /* gint64: (time, task) pairs */
};

void stage_open(struct stage *stage, const struct scheduling_strategy *strategy, guint n_cpus);
void stage_close(struct stage *stage);
/* A VM of one vCPU: runs run_ns, sleeps sleep_ns (0: never), again and again. */
guint stage_vcpu(struct stage *stage, guint weight, gint64 run_ns, gint64 sleep_ns);
guint stage_hog(struct stage *stage, guint weight);
void stage_run(struct stage *stage, gint64 horizon_ns, gint64 window_ns);
gint64 stage_ran(const struct stage *stage, guint task);
gint64 stage_in_window(const struct stage *stage, guint window, guint task);
void assert_near(gint64 value, gint64 expected, gint64 within);
void stage_quota(struct stage *stage, guint task, gint64 quota_ns, gint64 period_ns);
void stage_deadline(struct stage *stage, guint task, gint64 runtime_ns, gint64 period_ns);
void stage_fifo(struct stage *stage, guint task, gint priority);
