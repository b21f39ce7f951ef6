/* Scheduling: when each virtual CPU runs. One source of each strategy serves the simulator, live enforcement (through
 * project()), and later a sched_ext BPF program. Therefore: integer arithmetic only, no libc, no allocation, no unbounded
 * loop, no globals; every operation works on the fixed structs below and is cheap enough for a scheduler's hot path.
 *
 * The platform (simulator, or later the kernel) owns queues, CPUs and time, and calls the strategy's operations. Operations
 * that are NULL do nothing; what that means is said at each.
 *
 *   event                         operations, in order
 *   ----------------------------  ----------------------------------------------------------------------------------
 *   the system begins             start
 *   a vCPU is created / goes      admit / retire (blocked before)
 *   it becomes runnable           select → a CPU; place (WAKE, or NEW the first time) and join in the queue of that CPU (or
 *                                 the one queue, or its LLC's: ops->scope); it is queued by key(); the running one there is
 *                                 charged, and preempt(running, it) asked
 *   it is held (see below)        nothing of this until it no longer is
 *   a CPU looks for work          pick when there is one, else (or when pick says so) the head of its queue: the least
 *                                 key, ties by sequence, among eligible ones when ops->eligibility. Nothing there and
 *                                 ops->steals: the least key of the fullest other queue, eligible or not, nearest first:
 *                                 leave the old queue, place (MIGRATE), join the new
 *   it runs                       slice() says for how long at most (≤ 0: looks for work again at once)
 *   it ran for a while            charge(delta), always before any other operation sees it again
 *   its slice ends                charge; keep(running, head): the running one is not queued then, and is compared as if it
 *                                 were; when not kept: place (REQUEUE) and queued again, behind equal keys. It never
 *                                 left the queue: no leave, no join. No head: it goes on, after place (REQUEUE)
 *   it is preempted               charge, and queued again with its key as it is: no place
 *   its job ends, the next waits  charge; enqueued_ns and release_ns become the next job's; place (JOB); then as if its slice
 *                                 ended, without the place (REQUEUE)
 *   it blocks                     charge, block, leave
 *   charge, or another's          block, leave, as if it had blocked; it is not queued while a flag of SCHEDULING_HELD
 *     operation, holds it         is set. While THROTTLED (or TIMED) is set, at timer(): expire, which may clear it. Not
 *                                 held any more and runnable: as if it became runnable, with place (RELEASE)
 *   the tick (ops->tick_ns > 0)   the running one is charged, then tick(system, cpu), on every CPU at every multiple of it
 *
 * An operation that changes the key or the holding flags of an entity other than its own argument puts it on the list
 * system->changed (scheduling_changed()); the platform empties the list after every operation, and re-queues, blocks or
 * releases those.
 *
 * Times are nanoseconds on the platform's clock; virtual times count SCHEDULING_VIRTUAL to a nanosecond of an entity of
 * normal weight. Both, and keys, are signed 64-bit and compared by difference (scheduling_before), so that they may wrap. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/strategy/strategy.h"

#define SCHEDULING_CPUS_MAX      4096
#define SCHEDULING_NO_CPU        UINT32_MAX
#define SCHEDULING_NO_ENTITY     UINT32_MAX
#define SCHEDULING_VM_VCPUS_MAX  256 /* bounds the loops over siblings */
#define SCHEDULING_NEVER         INT64_MAX
#define SCHEDULING_WEIGHT_NORMAL 100 /* 1–10000, as cgroup v2's cpu.weight */
#define SCHEDULING_WEIGHT_MAX    10000
#define SCHEDULING_UNIT          (1 << 20) /* fixed point: 1.0 of a CPU */
#define SCHEDULING_VIRTUAL       1024      /* virtual time a nanosecond: a run of 1 ns is never free, at any weight */

/* A vCPU. Three lines of a cache: what is touched whenever one runs, whenever one wakes or sleeps, and the rest. */
struct scheduling_entity {
	/* The platform's; read by strategies. */
	uint32_t id; /* dense from 0 */
	uint32_t weight;
	uint32_t cpu;       /* where it runs, or ran last */
	uint32_t flags;     /* enum scheduling_flags */
	int64_t limit_ns;   /* cap: so much in each limit_period_ns; 0: none */
	int64_t request_ns; /* slice it asks for; 0: the strategy's */
	int64_t latency_ns; /* wakes within this; 0: no target */

	/* The strategy's. */
	int64_t virtual_time; /* service received, scaled */
	int64_t deadline;     /* virtual or real, as the strategy says */
	int64_t eligible;     /* not before this (same clock as the queue's virtual time) */

	int64_t lag; /* kept over sleep */
	int64_t scratch[3];

	/* The platform's. */
	uint64_t sequence;   /* of its last enqueueing: breaks ties first come, first served */
	int64_t enqueued_ns; /* when it became runnable last */
	int64_t release_ns;  /* when the job it works on was released; without jobs: enqueued_ns */
	uint32_t vm;         /* dense from 0 */
	uint32_t cookie;     /* tenant: who may share a core */

	int32_t priority;              /* fifo-priority: higher runs first */
	int64_t runtime_ns, period_ns; /* reservation: so much in each period; 0: none */
	int64_t limit_period_ns;

	/* The strategy's. */
	int64_t budget_ns;    /* left; ≤ 0: throttled until timer() */
	int64_t replenish_ns; /* when the budget comes back */
	int64_t cap_left_ns;  /* of limit_ns (limit.h) */
	int64_t cap_until_ns; /* when limit_period_ns ends */
};

enum scheduling_flags {
	SCHEDULING_ADMITTED = 1 << 0,
	SCHEDULING_THROTTLED = 1 << 1, /* out of budget: may not run */
	SCHEDULING_BOOSTED = 1 << 2,   /* woke lately: runs first (credit) */
	SCHEDULING_PARKED = 1 << 3,    /* co-stopped: waits for its siblings */
	SCHEDULING_ON_QUEUE = 1 << 4,  /* the platform's: runnable, and not held: queued or running */
	SCHEDULING_RUNNING = 1 << 5,   /* the platform's */
	SCHEDULING_CAPPED = 1 << 6,    /* why it is throttled: its limit (limit.h), not the strategy's budget */
	SCHEDULING_CHANGED = 1 << 7,   /* is on system->changed */
	SCHEDULING_TIMED = 1 << 8,     /* wants timer() and expire as well, whether it runs, waits or sleeps */
	SCHEDULING_HELD = SCHEDULING_THROTTLED | SCHEDULING_PARKED,
	SCHEDULING_STRATEGY = 1 << 16, /* from here: the strategy's own */
};

/* A virtual machine: what its vCPUs share. */
struct scheduling_vm {
	uint32_t first, n_vcpus; /* entities first … first + n_vcpus − 1 */
	uint32_t n_runnable;     /* ON_QUEUE */
	int64_t progress;        /* the strategy's */
	int64_t scratch[2];
};

struct scheduling_cpu {
	uint32_t id, core, llc, node; /* dense; SMT siblings share a core */
	uint32_t running;             /* entity id, UINT32_MAX when idle */
	uint32_t queue;               /* index in queues */
	int64_t since_ns;             /* when it began to run that one */
	int64_t scratch[2];
};

/* What a strategy knows of a queue. The platform keeps the order; the strategy keeps the sums. */
struct scheduling_queue {
	uint32_t n;           /* queued and running here: the platform's, changed before join and before leave */
	int64_t virtual_time; /* of the queue (V) */
	uint64_t weight;      /* sum over them */
	int64_t offset;       /* Σ w·(v − V) in EEVDF's average; the strategy's */
	int64_t scratch[2];
};

struct scheduling_system {
	uint32_t n_entities, n_vms, n_cpus, n_queues, n_cores;
	struct scheduling_entity *entities;
	struct scheduling_vm *vms;
	struct scheduling_cpu *cpus;
	struct scheduling_queue *queues;
	const struct strategy_values *values;
	int64_t parameter[STRATEGY_PARAMETERS_MAX]; /* values as whole numbers, in the unit each declares */
	int64_t now_ns;
	uint64_t random;   /* xorshift64 state, seeded, never 0 */
	uint64_t admitted; /* sum of reservations, in SCHEDULING_UNITs */
	uint32_t *changed; /* n_entities long */
	uint32_t n_changed;
	const struct scheduling_table *table; /* table.h; NULL: none planned */
	void *host;                           /* the lab's model of a kernel (lab/scheduling/kernel.h); else NULL */
	int64_t scratch[8];
};

enum scheduling_why {
	SCHEDULING_NEW,
	SCHEDULING_WAKE,
	SCHEDULING_REQUEUE, /* its slice ended */
	SCHEDULING_MIGRATE, /* from another queue */
	SCHEDULING_JOB,     /* it goes on with a job that was released while it worked on another */
	SCHEDULING_RELEASE, /* no longer held */
};
enum scheduling_scope { SCHEDULING_PER_CPU, SCHEDULING_PER_LLC, SCHEDULING_GLOBAL };
enum scheduling_admission { SCHEDULING_ACCEPTED, SCHEDULING_REFUSED_CAPACITY, SCHEDULING_REFUSED_MALFORMED };

/* How a strategy becomes knobs of the host's kernel. */
enum scheduling_exactness { SCHEDULING_EXACT, SCHEDULING_APPROXIMATE, SCHEDULING_NOT_ENFORCEABLE };
enum scheduling_policy {
	SCHEDULING_POLICY_OTHER,
	SCHEDULING_POLICY_BATCH,
	SCHEDULING_POLICY_FIFO,
	SCHEDULING_POLICY_DEADLINE
};
struct scheduling_knobs {
	enum scheduling_policy policy;
	uint32_t weight;                                     /* cgroup cpu.weight; 0: leave */
	int64_t quota_ns, period_ns;                         /* cgroup bandwidth; quota 0: none */
	int64_t slice_ns;                                    /* EEVDF custom slice (Linux 6.12 and later); 0: leave */
	int64_t runtime_ns, deadline_ns, deadline_period_ns; /* SCHED_DEADLINE */
	int32_t priority;                                    /* FIFO: 1–99 */
	uint32_t first_cpu, n_cpus;                          /* affinity; n_cpus 0: all */
	uint32_t cookie;                                     /* core scheduling; 0: none */
	enum scheduling_exactness exactness;
	const char *lost; /* static text: what of the strategy these knobs do not carry over; NULL when exact */
};

struct scheduling_strategy {
	struct strategy_info info; /* first; kind online (table: batch at admission), index exact */
	enum scheduling_scope scope;
	bool proportional;    /* shares are by weight: a guest can't gain by how it spends its time */
	bool eligibility;     /* only entities whose `eligible` ≤ the queue's virtual_time may be picked */
	bool work_conserving; /* false with pick: a CPU for which pick has nothing idles */
	bool steals;          /* an idle CPU takes from other queues */
	bool plans;           /* wants system->table (table.h) after admission */
	int64_t tick_ns;      /* 0: no tick */

	void (*start)(struct scheduling_system *system); /* once, before the first event; NULL: nothing */
	enum scheduling_admission (*admit)(struct scheduling_system *system, struct scheduling_entity *entity);
	void (*retire)(struct scheduling_system *system, struct scheduling_entity *entity);
	void (*place)(struct scheduling_system *system, struct scheduling_queue *queue,
		      struct scheduling_entity *entity, enum scheduling_why why);
	/* The queue's sums when an entity joins or leaves it (queued or running): NULL when the strategy needs none. */
	void (*join)(struct scheduling_system *system, struct scheduling_queue *queue,
		     struct scheduling_entity *entity);
	void (*leave)(struct scheduling_system *system, struct scheduling_queue *queue,
		      struct scheduling_entity *entity);
	int64_t (*key)(const struct scheduling_system *system, const struct scheduling_entity *entity);
	/* By plan instead of by queue: who runs on this CPU now, and until when at most. SCHEDULING_NO_ENTITY: nobody by
	 * plan; the queue's head until then (or nobody, when not work_conserving; the CPU looks again then). Only an entity
	 * that is ON_QUEUE and not running elsewhere; from another queue it moves as a stolen one. NULL: by queue. */
	uint32_t (*pick)(struct scheduling_system *system, uint32_t cpu, int64_t *until_ns);
	/* A CPU for a woken entity; `idle`: an idle CPU the platform found (nearest first), or SCHEDULING_NO_CPU. NULL: the
	 * idle one; else with one queue for several CPUs the one of them that runs the greatest key, and with a queue a
	 * CPU the one it ran on last. */
	uint32_t (*select)(struct scheduling_system *system, const struct scheduling_entity *entity, uint32_t idle);
	bool (*keep)(const struct scheduling_system *system, const struct scheduling_entity *running,
		     const struct scheduling_entity *head);
	bool (*preempt)(const struct scheduling_system *system, const struct scheduling_entity *running,
			const struct scheduling_entity *woken);
	void (*charge)(struct scheduling_system *system, struct scheduling_queue *queue,
		       struct scheduling_entity *entity, int64_t delta_ns);
	void (*block)(struct scheduling_system *system, struct scheduling_queue *queue,
		      struct scheduling_entity *entity);
	int64_t (*slice)(const struct scheduling_system *system, const struct scheduling_entity *entity);
	/* When a throttled (or timed) entity wants expire; SCHEDULING_NEVER: not by time. */
	int64_t (*timer)(const struct scheduling_system *system, const struct scheduling_entity *entity);
	void (*expire)(struct scheduling_system *system, struct scheduling_entity *entity);
	void (*tick)(struct scheduling_system *system, uint32_t cpu);
	void (*project)(const struct scheduling_system *system, const struct scheduling_entity *entity,
			struct scheduling_knobs *knobs);
};

extern const struct scheduling_strategy *const scheduling_strategies[];
extern const size_t scheduling_n_strategies;
extern const struct strategy_registry scheduling_registry;
const struct scheduling_strategy *scheduling_strategy_find(const char *name);
const char *scheduling_strategy_check(const struct scheduling_strategy *strategy);

/* Core scheduling, a modifier of any strategy: who may share an SMT core at the same time. By name: off (anyone), vm (VMs of
 * one tenant), vcpu (nobody). Beside a strategy's parameters it is written sharing=NAME. */
enum scheduling_sharing { SCHEDULING_SHARE_ANY, SCHEDULING_SHARE_VM, SCHEDULING_SHARE_NONE };
extern const char *const scheduling_sharing_names[]; /* NULL-terminated */
#define SCHEDULING_SHARING "sharing="
/* scheduling_sharing_parse(name, sharing): false: it is none of them. */
bool scheduling_sharing_parse(const char *name, enum scheduling_sharing *sharing);
static inline bool scheduling_compat(enum scheduling_sharing sharing, const struct scheduling_entity *a,
				     const struct scheduling_entity *b)
{
	switch (sharing) {
	case SCHEDULING_SHARE_ANY:
		return true;
	case SCHEDULING_SHARE_VM:
		return a->cookie == b->cookie;
	case SCHEDULING_SHARE_NONE:
		return a->id == b->id;
	}
	return false;
}

/* ---- Arithmetic ---- */

/* a before b, also when the clock wrapped between them. */
static inline bool scheduling_before(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a - (uint64_t)b) < 0;
}

/* delta ≥ 0 of real time as virtual time of an entity of this weight: delta × VIRTUAL × NORMAL ÷ weight, rounded to
 * nearest. Up to a day of real time. */
static inline int64_t scheduling_virtual(int64_t delta_ns, uint32_t weight)
{
	if (weight == SCHEDULING_WEIGHT_NORMAL)
		return delta_ns * SCHEDULING_VIRTUAL; /* the same, and most are: a division is dear */
	return (delta_ns * (SCHEDULING_VIRTUAL * SCHEDULING_WEIGHT_NORMAL) + weight / 2) / weight;
}

/* The other way, rounded up: virtual ≥ 0. Where that would overflow: a day, which is longer than anything here. */
static inline int64_t scheduling_real(int64_t virtual_time, uint32_t weight)
{
	const int64_t normal = (int64_t)SCHEDULING_VIRTUAL * SCHEDULING_WEIGHT_NORMAL;

	if (virtual_time > (INT64_MAX - normal) / SCHEDULING_WEIGHT_MAX)
		return (int64_t)86400 * 1000000000;
	return (virtual_time * weight + normal - 1) / normal;
}

static inline void scheduling_changed(struct scheduling_system *system, struct scheduling_entity *entity)
{
	if (entity->flags & SCHEDULING_CHANGED)
		return;
	entity->flags |= SCHEDULING_CHANGED;
	system->changed[system->n_changed++] = entity->id;
}

static inline uint64_t scheduling_random(struct scheduling_system *system)
{
	uint64_t x = system->random;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return system->random = x;
}
