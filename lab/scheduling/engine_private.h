/* Inside the engine. A vCPU's states:
 *
 *          wake                  start                 block, end
 *   ASLEEP ------> QUEUED <-----------------> RUNNING ------------> ASLEEP, ENDED
 *                    ^   \     preempt, slice /
 *                    |    v                  v
 *                    +---- HELD (out of budget, co-stopped: runnable, but may not run; in no queue)
 *
 * Invariants: a queue holds exactly the QUEUED ones that belong to it; join() was called, and leave() not yet, for exactly
 * the QUEUED and RUNNING ones; a CPU runs at most one; a CPU's time in `ends` is never before now. */
#pragma once

#include "core/scheduling/table.h"
#include "core/strategy/random.h"
#include "lab/scheduling/agenda.h"
#include "lab/scheduling/engine.h"
#include "lab/scheduling/plan.h"
#include "lab/scheduling/queue.h"

#define NONE    SCHEDULING_NO_CPU                         /* of tasks as of CPUs */
#define SPIN_NS (G_MAXINT64 / 4)                          /* what is left to one that spins */
#define TIMED   (SCHEDULING_THROTTLED | SCHEDULING_TIMED) /* timer() counts */
#define BITS(n) (((n) + 63) / 64)

enum runner_state { RUNNER_ASLEEP, RUNNER_QUEUED, RUNNER_RUNNING, RUNNER_HELD, RUNNER_ENDED };

struct runner {
	gint64 left_ns;    /* of the step it is at; SPIN_NS while it spins */
	gint64 waits_ns;   /* since when it has been queued or held */
	gint64 gap_ns;     /* since when it has been runnable without running */
	gint64 release_ns; /* of its job */
	guint64 random;
	guint32 at;       /* step */
	guint32 last_cpu; /* that it ran on, or NONE */
	guint8 state;
	guint8 woken, spins, dodges, works; /* dodges: at STEP_DODGE; works: at STEP_USE, on a job */
	guint8 parked;                      /* why it is held: co-stopped, not out of budget */
};

struct lock {
	guint32 owner; /* or NONE */
	GArray *spinners;
};

struct barrier {
	guint32 size;
	GArray *waiters;
};

struct engine_cpu {
	gint64 slice_end_ns;
	gint64 charged_ns; /* up to when what runs here has been charged */
	gint64 forced_ns;  /* since when it is idle though it has work; −1: it is not */
	guint32 last;      /* that ran here */
	struct queue *queue;
	struct scheduling_queue *sums;
};

struct engine_core {
	gint64 since_ns;
	gboolean busy, mixed;
};

struct engine {
	const struct scheduling_strategy *ops;
	const struct engine_setup *setup;
	const struct workload *workload;
	const struct step *steps;
	struct scheduling_system system;
	struct strategy_values values;
	struct agenda ends, timers, wakes; /* of CPUs, of entities, of entities */
	gint64 next_tick_ns, next_balance_ns, horizon_ns, window_end_ns;
	struct runner *runner;
	struct engine_task *task;
	struct engine_cpu *cpu;
	struct engine_core *core;
	struct queue *queue;
	guint64 *load; /* of queues: weights */
	guint64 *idle; /* bits by CPU */
	guint n_idle, n_forced, n_queued, threads, llc_cpus, node_cpus;
	gboolean filters; /* not every CPU may run every vCPU: masks, or core scheduling */
	struct lock *lock;
	struct barrier *barrier;
	struct plan plan; /* of ops->plans */
	guint64 sequence;
	gint64 *window; /* of now, or NULL */
	struct engine_result *result;
};

/* What is touched of a vCPU that is about to run. */
static inline void engine_prefetch(const struct engine *engine, guint id)
{
	const char *e = (const char *)&engine->system.entities[id];

	__builtin_prefetch(e);
	__builtin_prefetch(e + 64);
	__builtin_prefetch(e + 128);
	__builtin_prefetch(e + 192);
	__builtin_prefetch(&engine->runner[id]);
	__builtin_prefetch(&engine->task[id]);
}

static inline struct scheduling_entity *entity(struct engine *engine, guint id)
{
	return &engine->system.entities[id];
}

/* engine_init.c */
void engine_init(struct engine *engine); /* ops, setup, workload and result are set */
void engine_free(struct engine *engine);

/* engine.c */
void engine_settle(struct engine *engine, guint cpu);
void engine_wake(struct engine *engine, guint id);
void engine_move(struct engine *engine, guint id,
		 guint cpu); /* a queued one, taken out of its queue: to that CPU's sums */
void engine_push(struct engine *engine, guint id);
void engine_look(struct engine *engine, guint cpu); /* an idle CPU looks for work */
void engine_grant(struct engine *engine, guint id); /* a spinner that runs has got its lock */

/* engine_queue.c */
void queue_push(struct engine *engine, struct queue *queue, guint id);
guint queue_head(struct engine *engine, struct queue *queue); /* or NONE: nothing there that may run */
void queue_pop(struct engine *engine, struct queue *queue);   /* the head that queue_head() told */
void queue_remove(struct engine *engine, struct queue *queue, guint id);
/* The best of the queue that may run on this CPU now, taken out; or NONE. */
guint queue_take_for(struct engine *engine, struct queue *queue, guint cpu);
guint queue_take_any(struct engine *engine, struct queue *queue, guint cpu); /* likewise, eligible or not */
gboolean engine_allowed(struct engine *engine, guint id, guint cpu);         /* by its mask */
gboolean engine_may_share(struct engine *engine, guint id, guint cpu);       /* by what the siblings run */

/* engine_place.c */
guint engine_find_idle(struct engine *engine, guint id); /* nearest first, or NONE */
guint engine_steal(struct engine *engine, guint cpu);    /* taken from another's queue and moved, or NONE */
void engine_balance(struct engine *engine);
guint engine_victim(struct engine *engine,
		    guint id); /* the CPU of a shared queue that runs the greatest key, or NONE */

/* program.c */
enum outcome { OUTCOME_RUNS, OUTCOME_BLOCKS, OUTCOME_RELEASED, OUTCOME_ENDS };
enum outcome program_advance(struct engine *engine, guint id, gint64 *wake_ns);
void program_resume(struct engine *engine, guint id); /* it begins to run again */
