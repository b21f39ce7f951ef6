/* Inside the model of the kernel.
 *
 * What is in a struct scheduling_entity here:
 *   virtual_time  fair: vruntime, in ns of an entity of kernel weight 1024
 *   deadline      fair: virtual deadline; DEADLINE: absolute deadline, ns
 *   eligible      eevdf: vruntime; others: long ago
 *   lag           eevdf: V − vruntime when it last left a queue
 *   budget_ns     DEADLINE: runtime left; else: quota left, where there is one
 *   replenish_ns  when the budget comes back
 * In a struct scheduling_queue: virtual_time: eevdf: V, the weighted mean; cfs: min_vruntime. weight: of fair ones, in the
 * kernel's terms. */
#pragma once

#include "core/scheduling/share.h"
#include "lab/scheduling/kernel.h"

#define KERNEL_NICE_0        1024
#define KERNEL_LONG_AGO      (-(G_GINT64_CONSTANT(1) << 61))
#define KERNEL_KEY_DEADLINE  (-(G_GINT64_CONSTANT(1) << 62))
#define KERNEL_KEY_FIFO      (-(G_GINT64_CONSTANT(1) << 61))
#define KERNEL_KEY_FIFO_LATE (G_GINT64_CONSTANT(1) << 60)
#define KERNEL_RT_PERIOD_NS  G_GINT64_CONSTANT(1000000000)
#define KERNEL_SLICES_MAX    32
#define KERNEL_CFS_NR        8 /* more runnable than this: min_granularity each, instead of a part of the latency */

enum kernel_class { KERNEL_CLASS_DEADLINE, KERNEL_CLASS_FIFO, KERNEL_CLASS_FAIR };
enum kernel_parity { KERNEL_PARITY_OFF, KERNEL_PARITY_DEADLINE, KERNEL_PARITY_MIN_SLICE };

/* What of a vCPU has no room in its entity. */
struct kernel_task {
	struct scheduling_knobs knobs;
	enum kernel_class class;
	enum scheduling_admission refused; /* by the strategy */
	gboolean known : 1;                /* it has knobs */
	gboolean refused_kernel : 1;       /* DEADLINE refused: runs as fair */
	gboolean delayed : 1;              /* asleep, but its weight still counts where it slept */
	gboolean blocks : 1;               /* between block and leave */
	gboolean resched : 1;              /* its slice was used up in charge */
	gboolean goes_on : 1;              /* the next slice() is no new choice of it */
	gboolean yields : 1;               /* keep() refused: the place() that comes is not for going on */
	gint64 weight;                     /* the kernel's; fair */
	gint64 slice_ns;
	guint slice_class; /* index in kernel.slices */
	gint64 sure_until; /* virtual: not preempted by a wake-up before this */
	gint64 ran_ns;     /* cfs: since it was chosen */
	gint64 left;       /* deadline − vruntime when it left its queue */
	guint queue;       /* that it is on, or delayed on */
	/* Of the loop around the kernel. */
	gint64 got_ns, wanted_ns; /* since its last look */
	gint64 wants_since_ns;    /* on a queue; −1: on none */
	struct scheduling_share share;
	gint64 extra; /* weight, corrected, beyond the wished one */
};

struct kernel_queue {
	guint n_fair;    /* queued and running */
	GArray *members; /* cfs: guint, those */
	GArray *delayed; /* eevdf: guint */
	guint n_slices[KERNEL_SLICES_MAX];
	gint64 rt_ran_ns, rt_until_ns; /* FIFO's part of this second */
	gboolean rt_late;              /* it has had it: after the fair ones */
	gint64 extra;                  /* of those on it */
};

struct lab_kernel {
	const struct scheduling_strategy *strategy; /* or NULL */
	const struct strategy_values *values;
	gboolean cfs, hrtick, custom_slice, delay_dequeue;
	enum kernel_parity parity;
	gint64 tick_ns, slice_ns;
	gint64 latency_ns, min_granularity_ns, wakeup_granularity_ns; /* cfs */
	gint64 rt_ns;                                                 /* of each second */
	guint64 deadline_bandwidth;                                   /* admitted, in SCHEDULING_UNITs */
	guint n_tasks, n_queues;
	guint n_slices;
	gint64 slices[KERNEL_SLICES_MAX];
	struct kernel_task *task;
	struct kernel_queue *queue;
	gboolean corrects;
	gint64 next_look_ns;             /* of the loop around the kernel */
	struct scheduling_claim *claims; /* its scratch, n_tasks long, as claimants */
	guint *claimants;
	gint64 *corrected;
	GArray *fifo;                    /* guint: who is of that class */
	GHashTable *given;               /* guint → struct scheduling_knobs * */
	struct scheduling_system shadow; /* in which the strategy is asked */
	struct strategy_values shadow_values;
};

static inline struct lab_kernel *kernel_of(const struct scheduling_system *system)
{
	return system->host;
}

static inline struct kernel_task *kernel_task(const struct scheduling_system *system,
					      const struct scheduling_entity *entity)
{
	return &kernel_of(system)->task[entity->id];
}

static inline struct kernel_queue *kernel_queue(const struct scheduling_system *system,
						const struct scheduling_queue *queue)
{
	return &kernel_of(system)->queue[queue - system->queues];
}

/* kernel_virtual(ns, weight), kernel_real(virtual, weight): rounded down, and up. */
static inline gint64 kernel_virtual(gint64 ns, gint64 weight)
{
	return weight == KERNEL_NICE_0 ? ns : ns * KERNEL_NICE_0 / weight;
}

static inline gint64 kernel_real(gint64 virtual_ns, gint64 weight)
{
	return (virtual_ns * weight + KERNEL_NICE_0 - 1) / KERNEL_NICE_0;
}

/* kernel_fair.c */
void kernel_fair_place(struct scheduling_system *system, struct scheduling_queue *queue,
		       struct scheduling_entity *entity, enum scheduling_why why);
void kernel_fair_join(struct scheduling_system *system, struct scheduling_queue *queue,
		      struct scheduling_entity *entity);
void kernel_fair_leave(struct scheduling_system *system, struct scheduling_queue *queue,
		       struct scheduling_entity *entity);
void kernel_fair_retire(struct scheduling_system *system, struct scheduling_entity *entity);
void kernel_fair_charge(struct scheduling_system *system, struct scheduling_queue *queue,
			struct scheduling_entity *entity, gint64 delta_ns);
bool kernel_fair_keep(const struct scheduling_system *system, const struct scheduling_entity *running,
		      const struct scheduling_entity *head);
bool kernel_fair_preempt(const struct scheduling_system *system, const struct scheduling_entity *running,
			 const struct scheduling_entity *woken);
/* reweight_entity(): what it has of lag and of its request stays, in service; weight: the kernel's. */
void kernel_fair_reweight(struct scheduling_system *system, struct scheduling_entity *entity, gint64 weight);
/* How long until the slice is used up (cfs without hrtick: until the next tick may find so); > 0. */
gint64 kernel_fair_left(const struct scheduling_system *system, const struct scheduling_entity *entity);

/* kernel_correct.c: kernel_correct() is to be called at next_look_ns or soon after. */
void kernel_correct_join(struct scheduling_system *system, struct scheduling_queue *queue,
			 struct scheduling_entity *entity);
void kernel_correct_leave(struct scheduling_system *system, struct scheduling_queue *queue,
			  struct scheduling_entity *entity);
void kernel_correct(struct scheduling_system *system);

/* kernel_project.c */
void kernel_shadow_init(struct lab_kernel *kernel, const struct scheduling_system *system);
void kernel_shadow_clear(struct lab_kernel *kernel);
enum scheduling_admission kernel_admit(struct scheduling_system *system, struct scheduling_entity *entity);
void kernel_retire(struct scheduling_system *system, struct scheduling_entity *entity);
void kernel_knobs_of(const struct scheduling_system *system, const struct scheduling_entity *entity,
		     struct scheduling_knobs *knobs);
