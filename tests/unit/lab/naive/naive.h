/* A scheduling simulator so plain that one can believe it: time goes on tick by tick, and at every tick every CPU's choice is
 * made anew by going through all tasks. It shares no code with core or lab. Its algorithms are read from the papers and
 * documents named in rules.c and global.c, not from the strategies.
 *
 * At each tick, in this order (engine.h names it too): what ends on a CPU, the lowest CPU first; budgets that come back, the
 * lowest task first; tasks that wake, the lowest first; the accounting every 100th tick (credit). Then everyone that is on a
 * CPU runs for the tick.
 *
 * Where a definition leaves open who is next (two numbers that are the same but for what an implementation may round),
 * `open_at` says since when the schedule is one of several right ones. */
#pragma once

#include <stdbool.h>

#define NAIVE_TASKS  8
#define NAIVE_CPUS   4
#define NAIVE_STEPS  6
#define NAIVE_NOBODY (-1)
#define NAIVE_OTHER  (-2)           /* cbs: one without a reservation, whichever */
#define NAIVE_UNIT   10240000000.0L /* virtual time of a tick at weight 1: whole numbers for weights of 2^a·5^b */

enum naive_algorithm {
	NAIVE_EDF,
	NAIVE_FIFO,
	NAIVE_CBS,
	NAIVE_GLOBALS, /* up to here: one queue for all CPUs */
	NAIVE_ROUND_ROBIN = NAIVE_GLOBALS,
	NAIVE_PIN,
	NAIVE_STRIDE,
	NAIVE_EEVDF,
	NAIVE_BVT,
	NAIVE_CREDIT,
	NAIVE_CREDIT2, /* one CPU */
};

enum naive_kind { NAIVE_RUN, NAIVE_SLEEP, NAIVE_TIMER };
enum naive_why { NAIVE_NEW, NAIVE_WOKEN, NAIVE_MOVED, NAIVE_RELEASED };

/* RUN, SLEEP: for so many ticks; TIMER: the job is done, the next is released a multiple of `ticks` after the start. After the
 * last step comes the first. */
struct naive_step {
	enum naive_kind kind;
	int ticks;
};

struct naive_task {
	/* What it is. Times are ticks; 0 where there is none. */
	int weight, priority, start, request, latency;
	int runtime, period; /* reservation */
	int limit, limit_period;
	int deadline; /* of a job, since its release */
	int n_steps;
	struct naive_step step[NAIVE_STEPS];

	/* What became of it. */
	int service, ok_jobs, tardy_jobs, max_tardiness, first_miss;

	/* What it is at. */
	bool begun, runnable, on_cpu, put_off; /* put_off: out of budget, or at its limit */
	int at, left, wake_at, timer, release;
	int cpu, turn_left;
	long sequence;              /* of arrival in a queue */
	bool ended, next_job;       /* now: what it did; and it has begun with a job that had been waiting */
	bool sequence_open;         /* whether others came before it */
	int limit_left, limit_ends; /* limit_ends 0: has not run */
	int due, budget;            /* edf, cbs */
	bool spent;                 /* cbs: out of budget */
	long double pass, pass_due, lag;
	int warped_ticks;
	long double credits; /* in ns */
	bool boosted, active;
};

struct naive {
	enum naive_algorithm algorithm;
	int n_tasks, n_cpus;
	int slice, warp, warp_limit, reset, rate_limit; /* parameters, in ticks */
	int tick_ns;
	struct naive_task task[NAIVE_TASKS];

	int now, running[NAIVE_CPUS], since[NAIVE_CPUS];
	long sequence;
	long double mean[NAIVE_CPUS]; /* virtual time of a queue: the last one, while it is empty */
	bool rounded;                 /* stride: a virtual time that an implementation may have rounded */
	int reset_at;                 /* credit2: the last reset; −1: none */
	int open_at;                  /* −1: never */
};

/* naive_run(sim, horizon, who): who[tick · n_cpus + cpu] is the task that ran, or NAIVE_NOBODY. */
void naive_run(struct naive *sim, int horizon, int *who);

/* ---- Inside ---- */

void naive_open(struct naive *sim);
bool naive_near(const struct naive *sim, long double a, long double b); /* may an implementation see it otherwise? */
bool naive_waits(const struct naive_task *task);                        /* wants a CPU and may have one, and has none */
bool naive_wants(const struct naive_task *task);                        /* waits or runs */

/* global.c: one queue; who runs is chosen for all CPUs at once. */
void naive_global_arrive(struct naive *sim, int task, enum naive_why why);
void naive_global_end(struct naive *sim);     /* what ends on CPUs has ended */
void naive_global_budgets(struct naive *sim); /* of cbs: those that come back */
void naive_global_choose(struct naive *sim);

/* rules.c: a queue a CPU. */
void naive_arrive(struct naive *sim, int task, enum naive_why why);
void naive_depart(struct naive *sim, int task);
void naive_ran(struct naive *sim, int task); /* for a tick */
int naive_turn(struct naive *sim, int task);
int naive_first(struct naive *sim, int cpu, bool eligible_only);
bool naive_keeps(struct naive *sim, int running, int first);
bool naive_preempts(struct naive *sim, int running, int woken);
void naive_turn_over(struct naive *sim, int task);
void naive_account(struct naive *sim);
