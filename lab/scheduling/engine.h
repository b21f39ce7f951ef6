/* The simulator: discrete events in virtual time, deterministic. It owns queues, CPUs and time, runs the programs of a
 * workload's vCPUs, and calls a strategy's operations as core/scheduling/scheduling.h lays down; the same for every
 * strategy, and for the model of the kernel. Equal times: what happens on a CPU comes before timers of the strategy, those
 * before wake-ups, those before the tick; within each the lowest number first. */
#pragma once

#include "core/scheduling/scheduling.h"
#include "lab/scheduling/histogram.h"
#include "lab/scheduling/workload.h"

#define ENGINE_BALANCE_NS  10000000 /* how often queues of single CPUs are evened out */
#define ENGINE_WINDOWS_MAX 4096

/* Told when a CPU turns to another vCPU, or to none (SCHEDULING_NO_CPU). */
typedef void (*engine_observer)(gpointer user_data, gint64 now_ns, guint cpu, guint task);

struct engine_setup {
	const struct scheduling_strategy *strategy;
	const struct strategy_values *values; /* NULL: the defaults */
	const struct workload *workload;
	guint64 seed;
	gint64 horizon_ns; /* 0: the workload's */
	gint64 offset_ns;  /* into recorded utilization */
	gint64 window_ns;  /* service is noted for each; 0: one for all */
	enum scheduling_sharing sharing;
	gboolean no_balance; /* queues of single CPUs are not evened out */
	gboolean one_past;   /* what happens next past the horizon still counts, as where a loop asks only before it */
	void *host;          /* goes into scheduling_system.host: the kernel's model (kernel.h) */
	engine_observer observer;
	gpointer user_data;
};

/* What became of a vCPU. What counts at every turn is first, in a line of the cache. */
struct engine_task {
	_Alignas(64) gint64 run_ns;
	gint64 overhead_ns, ready_ns, max_gap_ns;
	guint64 wakeups;
	gint64 parked_ns, throttled_ns, spin_ns;
	guint64 ok_jobs, tardy_jobs;
	gint64 max_tardiness_ns;
	gint64 first_miss_ns, first_late_ns; /* the first deadline missed, −1: none; when that job was done */
	gboolean overdue;                    /* at the horizon its job is past its deadline and not done */
	enum scheduling_admission admission;
};

struct engine_totals {
	guint64 events, switches, migrations, preemptions, ticks;
	gint64 busy_ns, cross_tenant_ns;       /* of cores */
	gint64 idle_forced_ns;                 /* CPUs kept idle by core scheduling */
	struct histogram wakeup, wakeup_class; /* ns, of all and of those with a latency target */
	struct histogram wakeup_ratio;         /* of those: per mille of the target */
};

struct engine_result {
	guint n_tasks, n_windows;
	gint64 horizon_ns, window_ns;
	struct engine_task *task;
	gint64 *window; /* [n_windows][n_tasks]: service; with one window, NULL */
	struct engine_totals totals;
};

/* engine_run(setup, result): from the beginning to the horizon. Clear the result after. */
void engine_run(const struct engine_setup *setup, struct engine_result *result);
void engine_result_clear(struct engine_result *result);
