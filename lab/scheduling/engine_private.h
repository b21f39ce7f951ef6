/* Inside the engine. A vCPU's states:
 *
 *          wake                  start                 block, end
 *   ASLEEP ------> QUEUED <-----------------> RUNNING ------------> ASLEEP, ENDED
 *                    ^   \     preempt, slice /
 *                    |    v                  v
 *                    +---- HELD (out of budget, co-stopped: runnable, but may not run; in no queue)
 *
 *   transition                  function           operations of the strategy
 *   --------------------------  -----------------  ---------------------------------------------------
 *   ASLEEP → QUEUED or RUNNING  engine_wake        select, place, join; preempt when the CPU is busy
 *   HELD → QUEUED or RUNNING    timer_event, or    expire; then as from ASLEEP
 *                               changes_make
 *   QUEUED → RUNNING            cpu_look           pick, or the head of the queue; slice
 *   RUNNING → QUEUED            slice_over         keep, place
 *                               cpu_preempt
 *   RUNNING → ASLEEP, ENDED     step_done          block, leave; retire
 *   RUNNING, QUEUED → HELD      cpu_event,         block, leave; timer
 *                               change_make
 *
 * Invariants:
 *  1. A queue holds exactly the QUEUED ones that belong to it.
 *  2. join() was called, and leave() not yet, for exactly the QUEUED and RUNNING ones.
 *  3. A CPU runs at most one; a RUNNING one's time of end in the agenda is not before now.
 *  4. Whoever is looked at by an operation has been charged up to now (engine_settle).
 *
 * The loop, and whatever in it calls the strategy, is in headers (engine_queue.h, engine_cpu.h, engine_wake.h, engine_loop.h)
 * that are compiled once for any table of operations (engine_any.c), and once more for each strategy that runs often
 * (engine_of.c), with the table a constant: its operations become part of the loop. What does not call it is in .c files. */
#pragma once

#include "core/strategy/random.h"
#include "lab/scheduling/agenda.h"
#include "lab/scheduling/engine.h"
#include "lab/scheduling/line.h"
#include "lab/scheduling/plan.h"
#include "lab/scheduling/wheel.h"

#define NONE       SCHEDULING_NO_CPU                         /* of tasks as of CPUs */
#define SPIN_NS    (G_MAXINT64 / 4)                          /* what is left to one that spins */
#define TIMED      (SCHEDULING_THROTTLED | SCHEDULING_TIMED) /* timer() counts */
#define BITS(n)    (((n) + 63) / 64)
#define CACHE_LINE 64

enum runner_state { RUNNER_ASLEEP, RUNNER_QUEUED, RUNNER_RUNNING, RUNNER_HELD, RUNNER_ENDED };

/* What it does when it runs: a step that is over by itself; a job at STEP_USE; waits at STEP_LOCK; keeps out of the tick's way
 * at STEP_DODGE. From SPINS on it looks about itself when it begins to run again (program_resume). */
enum runner_activity { RUNNER_COMPUTES, RUNNER_WORKS, RUNNER_SPINS, RUNNER_DODGES };

/* A line of the cache. */
struct runner {
	gint64 left_ns;    /* of the step it is at; SPIN_NS while it spins */
	gint64 waits_ns;   /* since when it has been queued or held */
	gint64 gap_ns;     /* since when it has been runnable without running */
	gint64 release_ns; /* of its job */
	guint64 random;
	guint32 at;                  /* step */
	guint32 first_step, n_steps; /* its program's, in workload.steps */
	guint32 last_cpu;            /* that it ran on, or NONE */
	guint8 state;
	guint8 activity;
	guint8 begun, woken;
	guint8 parked; /* why it is held: co-stopped, not out of budget */
};
G_STATIC_ASSERT(sizeof(struct runner) == CACHE_LINE);
G_STATIC_ASSERT(sizeof(struct scheduling_entity) == 3 * CACHE_LINE);

struct lock {
	guint32 owner; /* or NONE */
	GArray *spinners;
};

struct barrier {
	guint32 size;
	GArray *waiters;
};

/* Runnable vCPUs, by key. Where a strategy has eligibility, those whose time had not come when they were looked at last wait
 * in `future`, by that time; the head is sorted out when it is asked for, so it is exact even where the queue's virtual time
 * goes backwards. */
struct queue {
	struct line ready, future;
};

#define QUEUE_ID_BITS 24 /* of the order: the vCPU; the rest is the sequence of enqueueing */

static inline guint queue_id(guint64 order)
{
	return order & ((1u << QUEUE_ID_BITS) - 1);
}

static inline guint queue_length(const struct queue *queue)
{
	return line_length(&queue->ready) + line_length(&queue->future);
}

struct engine_cpu {
	gint64 slice_end_ns;
	gint64 charged_ns; /* up to when what runs here has been charged */
	gint64 forced_ns;  /* since when it is idle though it has work; −1: it is not */
	guint32 last;      /* that ran here */
	guint32 queue_index;
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
	struct agenda ends, timers; /* of CPUs, of entities */
	struct wheel wakes;         /* of those ASLEEP that wake by time */
	gint64 next_tick_ns, next_balance_ns, horizon_ns, window_end_ns;
	struct runner *runner;
	struct engine_task *task;
	struct engine_cpu *cpu;
	struct engine_core *core;
	struct queue *queue;
	guint64 *load;    /* of queues: weights */
	guint64 *waiting; /* bits by queue: somebody is queued */
	guint64 *idle;    /* bits by CPU */
	guint n_idle, n_forced, n_queued, threads, llc_cpus, node_cpus;
	gboolean filters; /* not every CPU may run every vCPU: masks, or core scheduling */
	struct lock *lock;
	struct barrier *barrier;
	struct plan plan; /* of ops->plans */
	guint64 sequence;
	gint64 *window; /* of now, or NULL */
	struct engine_result *result;
	void (*settle)(struct engine *engine, guint cpu); /* the instance's engine_settle */
};

static inline struct scheduling_entity *entity(struct engine *engine, guint id)
{
	return &engine->system.entities[id];
}

static inline gboolean bit_of(const guint64 *bits, guint i)
{
	return bits[i / 64] >> i % 64 & 1;
}

static inline void bit_set(guint64 *bits, guint i)
{
	bits[i / 64] |= G_GUINT64_CONSTANT(1) << i % 64;
}

static inline void bit_clear(guint64 *bits, guint i)
{
	bits[i / 64] &= ~(G_GUINT64_CONSTANT(1) << i % 64);
}

/* One ASLEEP, that is not in `wakes`. AGENDA_NEVER: something else will wake it. */
static inline void engine_sleep(struct engine *engine, guint id, gint64 until_ns)
{
	if (until_ns != AGENDA_NEVER)
		wheel_push(&engine->wakes, id, until_ns);
}

/* The wait of a QUEUED or HELD one is added up, and begins anew. */
static inline void wait_note(struct engine *engine, guint id, gint64 until_ns)
{
	struct runner *runner = &engine->runner[id];
	struct engine_task *told = &engine->task[id];
	gint64 waited = until_ns - runner->waits_ns;

	if (runner->state == RUNNER_QUEUED)
		told->ready_ns += waited;
	else if (runner->parked)
		told->parked_ns += waited;
	else
		told->throttled_ns += waited;
	runner->waits_ns = until_ns;
}

/* engine.c: a core's time up to now, by what it did; what it does from now on is noted. */
void engine_core_note(struct engine *engine, guint cpu);

/* engine_init.c */
void engine_init(struct engine *engine); /* ops, setup, workload and result are set */
void engine_free(struct engine *engine);

/* engine_place.c */
gboolean engine_allowed(struct engine *engine, guint id, guint cpu);   /* by its mask */
gboolean engine_may_share(struct engine *engine, guint id, guint cpu); /* by what the siblings run */
gboolean engine_usable(struct engine *engine, guint id, guint cpu);    /* both */
guint engine_idle_for(struct engine *engine, guint id);                /* nearest first, or NONE */
/* The CPU of a shared queue that runs the greatest key, or NONE. */
guint engine_victim(struct engine *engine, guint id);
/* The queue to steal from among those of CPUs [first, end): the fullest; of equally full ones the first after `cpu`. NONE:
 * nobody waits there. */
guint engine_fullest(const struct engine *engine, guint cpu, guint first, guint end);
/* What evens out the queues best. FALSE: nothing does. */
struct engine_move {
	guint id, from, to;
};
gboolean engine_uneven(const struct engine *engine, struct engine_move *move); /* from which queue to which */
gboolean engine_mover(struct engine *engine, struct engine_move *move);        /* who */

/* engine_any.c, engine_of.c: runs until the horizon; leaves everything settled there. */
typedef void (*engine_loop)(struct engine *engine);
void engine_loop_any(struct engine *engine);
/* Strategies with a loop of their own; meson.build has the list once more. */
#define ENGINE_INSTANCES(X)       X(eevdf) X(stride) X(round_robin)
#define ENGINE_LOOP_DECLARE(name) void engine_loop_##name(struct engine *engine);
ENGINE_INSTANCES(ENGINE_LOOP_DECLARE)

/* program.c */
enum outcome { OUTCOME_RUNS, OUTCOME_BLOCKS, OUTCOME_RELEASED, OUTCOME_ENDS };
enum outcome program_advance(struct engine *engine, guint id, gint64 *wake_ns);
void program_resume(struct engine *engine, guint id); /* it begins to run again */
