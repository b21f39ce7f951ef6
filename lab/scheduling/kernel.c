/* What is modelled, after Linux's kernel/sched/ (deadline.c, rt.c, fair.c, core.c) and Documentation/scheduler/:
 *
 * - Classes: DEADLINE before FIFO before fair.
 * - DEADLINE: a constant-bandwidth server each: runtime in each period, put off when used up, overruns paid back, deadline
 *   and budget renewed at a wake-up that could not keep them (dl_entity_overflow). Admission: runtime ÷ period in all ≤ 95 %
 *   of the CPUs; not for a thread with an affinity of its own (EPERM). Refused: it stays fair. Earliest deadline per
 *   queue; a woken one goes to the CPU that runs the latest (find_later_rq).
 * - FIFO: highest priority first, first come first served, preempted at the head. Of each second on each CPU 95 % while
 *   fair ones wait (RT throttling; since 6.12 the fair server).
 * - Fair: a queue a CPU; each vCPU thread alone in its cgroup, the groups all siblings, so a group's entity stands for its
 *   thread. EEVDF or CFS: kernel_fair.c.
 * - Bandwidth control (cpu.max): quota a period, periods counted from the first run; what a tick finds overrun is paid back;
 *   up to 5 ms (1 ms asleep) of what was handed to the CPU is kept over the end of the period.
 * - The tick: used-up slices, quotas and runtimes are found at multiples of it, on all CPUs at once, unless HRTICK.
 *
 * Not modelled: PELT and the lag of shares behind it (group weights are exact here at once); load balancing and idle
 * stealing are the engine's; cache-hot and wake-affine choice of CPU; priorities of interrupts; cpufreq; the kernel's own
 * costs beyond the engine's switch and migration costs. Around the kernel: the agent's correction of weights
 * (kernel_correct.c), where a strategy is projected. */
#include "lab/scheduling/kernel_private.h"

#include <assert.h>
#include <string.h>

#define BANDWIDTH_SLICE_NS G_GINT64_CONSTANT(5000000) /* sched_cfs_bandwidth_slice() */
#define BANDWIDTH_KEPT_NS  G_GINT64_CONSTANT(1000000) /* min_cfs_rq_runtime */

static const char *const fair_names[] = { "eevdf", "cfs", NULL };
static const char *const switch_names[] = { "off", "on", NULL };
static const char *const parity_names[] = { "off", "deadline", "min-slice", NULL };

static const struct strategy_parameter parameters[] = {
	[LAB_KERNEL_FAIR] = { .name = "fair",
			      .type = STRATEGY_CHOICE,
			      .choices = fair_names,
			      .doc = "eevdf: Linux 6.6 and later; cfs: before" },
	[LAB_KERNEL_TICK_US] = { .name = "tick-us",
				 .type = STRATEGY_INTEGER,
				 .min = 100,
				 .max = 10000,
				 .initial = 4000,
				 .doc = "1000000 / CONFIG_HZ" },
	[LAB_KERNEL_HRTICK] = { .name = "hrtick",
				.type = STRATEGY_CHOICE,
				.choices = switch_names,
				.doc = "slices, quotas and runtimes end when used up, not at the next tick" },
	[LAB_KERNEL_BASE_SLICE_US] = { .name = "base-slice-us",
				       .type = STRATEGY_INTEGER,
				       .max = 100000,
				       .doc = "of eevdf; 0: 700 × (1 + log2 of the CPUs, 8 at most)" },
	[LAB_KERNEL_CUSTOM_SLICE] = { .name = "custom-slice",
				      .type = STRATEGY_CHOICE,
				      .choices = switch_names,
				      .initial = 1,
				      .doc = "slices of single threads count: Linux 6.12 and later" },
	[LAB_KERNEL_PARITY] = { .name = "run-to-parity",
				.type = STRATEGY_CHOICE,
				.choices = parity_names,
				.initial = KERNEL_PARITY_MIN_SLICE,
				.doc = "what of its slice the running one is sure of; min-slice: 6.17 and later" },
	[LAB_KERNEL_DELAY_DEQUEUE] = { .name = "delay-dequeue",
				       .type = STRATEGY_CHOICE,
				       .choices = switch_names,
				       .initial = 1,
				       .doc = "who sleeps in debt counts on: Linux 6.12 and later" },
	[LAB_KERNEL_LATENCY_US] = { .name = "latency-us",
				    .type = STRATEGY_INTEGER,
				    .max = 1000000,
				    .doc = "of cfs, in which each runs once; 0: 6000, scaled by CPUs likewise" },
	[LAB_KERNEL_MIN_GRANULARITY_US] = { .name = "min-granularity-us",
					    .type = STRATEGY_INTEGER,
					    .max = 1000000,
					    .doc = "of cfs, the least slice; 0: 750, scaled" },
	[LAB_KERNEL_WAKEUP_GRANULARITY_US] = { .name = "wakeup-granularity-us",
					       .type = STRATEGY_INTEGER,
					       .max = 1000000,
					       .doc = "of cfs, lead at which a woken one preempts; 0: 1000, scaled" },
	[LAB_KERNEL_RT_PERCENT] = { .name = "rt-percent",
				    .type = STRATEGY_INTEGER,
				    .min = 1,
				    .max = 100,
				    .initial = 95,
				    .doc = "of each second for FIFO at most while others wait" },
	[LAB_KERNEL_CORRECT] = { .name = "correct",
				 .type = STRATEGY_CHOICE,
				 .choices = switch_names,
				 .doc = "weights are corrected every 100 ms by what came of them, as hosts' agents "
					"do with POLDER_CPU_CORRECTION=1" },
};
static_assert(G_N_ELEMENTS(parameters) == LAB_KERNEL_PARAMETERS, "every parameter is declared");

struct lab_kernel *lab_kernel_new(const struct scheduling_strategy *strategy, const struct strategy_values *values)
{
	struct lab_kernel *kernel = g_new0(struct lab_kernel, 1);

	kernel->strategy = strategy;
	kernel->values = values;
	kernel->fifo = g_array_new(FALSE, FALSE, sizeof(guint));
	kernel->given = g_hash_table_new_full(NULL, NULL, NULL, g_free);
	return kernel;
}

void lab_kernel_free(struct lab_kernel *kernel)
{
	if (!kernel)
		return;
	for (guint i = 0; i < kernel->n_queues; i++) {
		g_array_unref(kernel->queue[i].members);
		g_array_unref(kernel->queue[i].delayed);
	}
	kernel_shadow_clear(kernel);
	g_hash_table_unref(kernel->given);
	g_array_unref(kernel->fifo);
	g_free(kernel->claims);
	g_free(kernel->claimants);
	g_free(kernel->corrected);
	g_free(kernel->queue);
	g_free(kernel->task);
	g_free(kernel);
}

static gint64 scaled(const struct scheduling_system *system, enum lab_kernel_parameter parameter, gint64 base_us)
{
	gint64 us = system->parameter[parameter];

	/* sched_tunable_scaling: logarithmic. */
	return 1000 * (us ? us : base_us * g_bit_storage(CLAMP(system->n_cpus, 1, 8)));
}

static void start(struct scheduling_system *system)
{
	struct lab_kernel *kernel = kernel_of(system);
	const gint64 *parameter = system->parameter;

	g_assert(kernel && !kernel->task);
	kernel->cfs = parameter[LAB_KERNEL_FAIR];
	kernel->hrtick = parameter[LAB_KERNEL_HRTICK];
	kernel->custom_slice = !kernel->cfs && parameter[LAB_KERNEL_CUSTOM_SLICE];
	kernel->delay_dequeue = !kernel->cfs && parameter[LAB_KERNEL_DELAY_DEQUEUE];
	kernel->parity = (enum kernel_parity)parameter[LAB_KERNEL_PARITY];
	kernel->tick_ns = parameter[LAB_KERNEL_TICK_US] * 1000;
	kernel->slice_ns = scaled(system, LAB_KERNEL_BASE_SLICE_US, 700);
	kernel->latency_ns = scaled(system, LAB_KERNEL_LATENCY_US, 6000);
	kernel->min_granularity_ns = scaled(system, LAB_KERNEL_MIN_GRANULARITY_US, 750);
	kernel->wakeup_granularity_ns = scaled(system, LAB_KERNEL_WAKEUP_GRANULARITY_US, 1000);
	kernel->rt_ns = KERNEL_RT_PERIOD_NS / 100 * parameter[LAB_KERNEL_RT_PERCENT];
	kernel->slices[kernel->n_slices++] = kernel->slice_ns;
	kernel->n_tasks = system->n_entities;
	kernel->task = g_new0(struct kernel_task, system->n_entities);
	for (guint i = 0; i < system->n_entities; i++)
		kernel->task[i].wants_since_ns = -1;
	kernel->corrects = kernel->strategy && parameter[LAB_KERNEL_CORRECT];
	kernel->next_look_ns = SCHEDULING_CORRECT_NS;
	kernel->claims = g_new(struct scheduling_claim, system->n_entities);
	kernel->claimants = g_new(guint, system->n_entities);
	kernel->corrected = g_new(gint64, system->n_entities);
	kernel->n_queues = system->n_queues;
	kernel->queue = g_new0(struct kernel_queue, system->n_queues);
	for (guint i = 0; i < system->n_queues; i++) {
		kernel->queue[i].members = g_array_new(FALSE, FALSE, sizeof(guint));
		kernel->queue[i].delayed = g_array_new(FALSE, FALSE, sizeof(guint));
	}
	kernel_shadow_init(kernel, system);
}

static gint64 key(const struct scheduling_system *system, const struct scheduling_entity *entity)
{
	const struct kernel_task *task = kernel_task(system, entity);

	switch (task->class) {
	case KERNEL_CLASS_DEADLINE:
		return KERNEL_KEY_DEADLINE + entity->deadline;
	case KERNEL_CLASS_FIFO:
		return (kernel_of(system)->queue[system->cpus[entity->cpu].queue].rt_late ? KERNEL_KEY_FIFO_LATE
											  : KERNEL_KEY_FIFO) -
		       task->knobs.priority;
	case KERNEL_CLASS_FAIR:
		break;
	}
	return kernel_of(system)->cfs ? entity->virtual_time : entity->deadline;
}

/* ---- Bandwidth control ---- */

static void bandwidth_refill(const struct scheduling_system *system, struct scheduling_entity *entity)
{
	const struct scheduling_knobs *knobs = &kernel_task(system, entity)->knobs;
	gint64 periods, kept;

	if (!entity->replenish_ns) {
		entity->budget_ns = knobs->quota_ns;
		entity->replenish_ns = system->now_ns + knobs->period_ns;
		return;
	}
	if (system->now_ns < entity->replenish_ns)
		return;
	periods = (system->now_ns - entity->replenish_ns) / knobs->period_ns + 1;
	entity->replenish_ns += periods * knobs->period_ns;
	kept = entity->flags & SCHEDULING_RUNNING ? BANDWIDTH_SLICE_NS : BANDWIDTH_KEPT_NS;
	/* Debt is paid from each period; what is left of the pool is not kept, but for what the CPU has. */
	if (entity->budget_ns < 0)
		entity->budget_ns = MIN(entity->budget_ns + periods * knobs->quota_ns, knobs->quota_ns);
	else
		entity->budget_ns = knobs->quota_ns + MIN(entity->budget_ns, kept);
}

static void bandwidth_charge(struct scheduling_system *system, struct scheduling_entity *entity, gint64 delta_ns)
{
	if (!kernel_task(system, entity)->knobs.quota_ns)
		return;
	bandwidth_refill(system, entity);
	entity->budget_ns -= delta_ns;
	if (entity->budget_ns <= 0)
		entity->flags |= SCHEDULING_THROTTLED;
}

/* ---- DEADLINE ---- */

static void deadline_place(struct scheduling_system *system, struct scheduling_entity *entity)
{
	const struct scheduling_knobs *knobs = &kernel_task(system, entity)->knobs;
	gint64 left = entity->deadline - system->now_ns;

	/* update_dl_entity(): what is left of the budget can't be used until the deadline at the reserved rate. */
	if (!entity->deadline || left <= 0 ||
	    (__int128)entity->budget_ns * knobs->deadline_ns > (__int128)left * knobs->runtime_ns) {
		entity->deadline = system->now_ns + knobs->deadline_ns;
		entity->budget_ns = knobs->runtime_ns;
	}
}

static void deadline_charge(struct scheduling_system *system, struct scheduling_entity *entity, gint64 delta_ns)
{
	const struct scheduling_knobs *knobs = &kernel_task(system, entity)->knobs;

	entity->budget_ns -= delta_ns;
	if (entity->budget_ns > 0)
		return;
	/* dl_next_period(). One that is late by then is not put off at all. */
	entity->replenish_ns = entity->deadline - knobs->deadline_ns + knobs->deadline_period_ns;
	entity->flags |= SCHEDULING_THROTTLED;
}

/* replenish_dl_entity() */
static void deadline_replenish(struct scheduling_system *system, struct scheduling_entity *entity)
{
	const struct scheduling_knobs *knobs = &kernel_task(system, entity)->knobs;

	while (entity->budget_ns <= 0) {
		entity->deadline += knobs->deadline_period_ns;
		entity->budget_ns += knobs->runtime_ns;
	}
	if (scheduling_before(entity->deadline, system->now_ns)) {
		entity->deadline = system->now_ns + knobs->deadline_ns;
		entity->budget_ns = knobs->runtime_ns;
	}
	entity->flags &= ~(guint32)SCHEDULING_THROTTLED;
}

/* ---- FIFO's part ---- */

static void fifo_turn(struct scheduling_system *system, struct scheduling_queue *queue, gboolean late)
{
	struct lab_kernel *kernel = kernel_of(system);
	guint index = (guint)(queue - system->queues);

	kernel->queue[index].rt_late = late;
	for (guint i = 0; i < kernel->fifo->len; i++) {
		struct scheduling_entity *entity = &system->entities[g_array_index(kernel->fifo, guint, i)];

		if (system->cpus[entity->cpu].queue == index && entity->flags & SCHEDULING_ON_QUEUE)
			scheduling_changed(system, entity);
	}
}

static void fifo_account(struct scheduling_system *system, struct scheduling_queue *queue, gint64 ran_ns)
{
	struct lab_kernel *kernel = kernel_of(system);
	struct kernel_queue *own = kernel_queue(system, queue);

	if (!kernel->fifo->len || kernel->rt_ns >= KERNEL_RT_PERIOD_NS)
		return;
	if (system->now_ns >= own->rt_until_ns) {
		own->rt_until_ns = (system->now_ns / KERNEL_RT_PERIOD_NS + 1) * KERNEL_RT_PERIOD_NS;
		own->rt_ran_ns = 0;
		if (own->rt_late)
			fifo_turn(system, queue, FALSE);
	}
	own->rt_ran_ns += ran_ns;
	if (!own->rt_late && own->rt_ran_ns >= kernel->rt_ns && own->n_fair)
		fifo_turn(system, queue, TRUE);
}

/* ---- The table ---- */

static void place(struct scheduling_system *system, struct scheduling_queue *queue, struct scheduling_entity *entity,
		  enum scheduling_why why)
{
	struct kernel_task *task = kernel_task(system, entity);

	task->goes_on = why == SCHEDULING_REQUEUE && !task->yields;
	task->yields = FALSE;
	if (task->goes_on)
		task->resched = FALSE;
	switch (task->class) {
	case KERNEL_CLASS_DEADLINE:
		entity->eligible = KERNEL_LONG_AGO;
		if (why == SCHEDULING_NEW || why == SCHEDULING_WAKE)
			deadline_place(system, entity);
		return;
	case KERNEL_CLASS_FIFO:
		entity->eligible = KERNEL_LONG_AGO;
		break;
	case KERNEL_CLASS_FAIR:
		if (kernel_of(system)->cfs)
			entity->eligible = KERNEL_LONG_AGO;
		kernel_fair_place(system, queue, entity, why);
		break;
	}
	if (task->knobs.quota_ns)
		bandwidth_refill(system, entity);
}

static void join(struct scheduling_system *system, struct scheduling_queue *queue, struct scheduling_entity *entity)
{
	kernel_correct_join(system, queue, entity);
	if (kernel_task(system, entity)->class == KERNEL_CLASS_FAIR)
		kernel_fair_join(system, queue, entity);
}

static void leave(struct scheduling_system *system, struct scheduling_queue *queue, struct scheduling_entity *entity)
{
	kernel_correct_leave(system, queue, entity);
	if (kernel_task(system, entity)->class == KERNEL_CLASS_FAIR)
		kernel_fair_leave(system, queue, entity);
}

static void block(struct scheduling_system *system, struct scheduling_queue *queue, struct scheduling_entity *entity)
{
	kernel_task(system, entity)->blocks = TRUE;
}

static bool keep(const struct scheduling_system *system, const struct scheduling_entity *running,
		 const struct scheduling_entity *head)
{
	struct kernel_task *task = kernel_task(system, running);
	bool kept;

	if (task->class == KERNEL_CLASS_FAIR && kernel_task(system, head)->class == KERNEL_CLASS_FAIR)
		kept = kernel_fair_keep(system, running, head);
	else
		kept = !scheduling_before(key(system, head), key(system, running));
	task->yields = !kept;
	return kept;
}

static bool preempt(const struct scheduling_system *system, const struct scheduling_entity *running,
		    const struct scheduling_entity *woken)
{
	if (kernel_task(system, running)->class == KERNEL_CLASS_FAIR &&
	    kernel_task(system, woken)->class == KERNEL_CLASS_FAIR)
		return kernel_fair_preempt(system, running, woken);
	return scheduling_before(key(system, woken), key(system, running));
}

static void charge(struct scheduling_system *system, struct scheduling_queue *queue, struct scheduling_entity *entity,
		   int64_t delta_ns)
{
	struct kernel_task *task = kernel_task(system, entity);

	switch (task->class) {
	case KERNEL_CLASS_DEADLINE:
		deadline_charge(system, entity, delta_ns);
		break;
	case KERNEL_CLASS_FIFO:
		break;
	case KERNEL_CLASS_FAIR:
		kernel_fair_charge(system, queue, entity, delta_ns);
		bandwidth_charge(system, entity, delta_ns);
		break;
	}
	fifo_account(system, queue, task->class == KERNEL_CLASS_FIFO ? delta_ns : 0);
	task->got_ns += delta_ns;
	if (kernel_of(system)->corrects && system->now_ns >= kernel_of(system)->next_look_ns)
		kernel_correct(system);
}

static int64_t slice(const struct scheduling_system *system, const struct scheduling_entity *entity)
{
	const struct lab_kernel *kernel = kernel_of(system);
	const struct kernel_task *task = kernel_task(system, entity);
	const struct kernel_queue *own = &kernel->queue[system->cpus[entity->cpu].queue];
	gint64 left = SCHEDULING_NEVER, end;

	switch (task->class) {
	case KERNEL_CLASS_DEADLINE:
		left = entity->budget_ns;
		break;
	case KERNEL_CLASS_FIFO:
		if (kernel->rt_ns < KERNEL_RT_PERIOD_NS)
			left = own->rt_late ? 1 : MAX(1, kernel->rt_ns - own->rt_ran_ns);
		break;
	case KERNEL_CLASS_FAIR:
		left = kernel_fair_left(system, entity);
		if (task->knobs.quota_ns && entity->budget_ns > 0)
			left = MIN(left, entity->budget_ns);
		if (kernel->fifo->len)
			left = MIN(left, kernel->tick_ns); /* FIFO's second may begin anew */
		break;
	}
	if (left >= SCHEDULING_NEVER - system->now_ns - kernel->tick_ns)
		return SCHEDULING_NEVER;
	left = MAX(left, 1);
	if (kernel->hrtick)
		return left;
	end = system->now_ns + left;
	return (end + kernel->tick_ns - 1) / kernel->tick_ns * kernel->tick_ns - system->now_ns;
}

static int64_t timer(const struct scheduling_system *system, const struct scheduling_entity *entity)
{
	return entity->replenish_ns;
}

static void expire(struct scheduling_system *system, struct scheduling_entity *entity)
{
	if (kernel_task(system, entity)->class == KERNEL_CLASS_DEADLINE) {
		deadline_replenish(system, entity);
		return;
	}
	bandwidth_refill(system, entity);
	if (entity->budget_ns > 0)
		entity->flags &= ~(guint32)SCHEDULING_THROTTLED;
}

/* ---- Where ---- */

/* The CPU that runs the least urgent by class and key, the one it was on before others; for a new fair one the least
 * loaded. */
static guint select_cpu(struct scheduling_system *system, const struct scheduling_entity *entity, guint idle)
{
	const struct lab_kernel *kernel = kernel_of(system);
	const struct kernel_task *task = kernel_task(system, entity);
	guint best = SCHEDULING_NO_CPU;
	gint64 best_value = 0;

	if (idle != SCHEDULING_NO_CPU && lab_kernel_allows(kernel, entity->id, idle))
		return idle;
	if (task->class == KERNEL_CLASS_FAIR && entity->sequence && lab_kernel_allows(kernel, entity->id, entity->cpu))
		return entity->cpu;
	for (guint i = 0; i < system->n_cpus; i++) {
		guint cpu = (entity->cpu + i) % system->n_cpus;
		const struct scheduling_cpu *it = &system->cpus[cpu];
		gint64 value = G_MAXINT64;

		if (!lab_kernel_allows(kernel, entity->id, cpu))
			continue;
		if (it->running != SCHEDULING_NO_ENTITY) {
			if (task->class == KERNEL_CLASS_FAIR)
				value = -(gint64)system->queues[it->queue].weight;
			else if (kernel->task[it->running].class == KERNEL_CLASS_FAIR)
				value = G_MAXINT64 - 1;
			else
				value = key(system, &system->entities[it->running]);
		}
		if (best == SCHEDULING_NO_CPU || value > best_value) {
			best = cpu;
			best_value = value;
		}
	}
	return best == SCHEDULING_NO_CPU ? entity->cpu : best;
}

const struct scheduling_strategy lab_kernel_strategy = {
	.info = { .name = "kernel",
		  .summary = "A model of the Linux kernel's scheduler, on which strategies are projected.",
		  .kind = STRATEGY_ONLINE,
		  .index = STRATEGY_INDEX_EXACT,
		  .parameters = parameters,
		  .n_parameters = G_N_ELEMENTS(parameters) },
	.scope = SCHEDULING_PER_CPU,
	.proportional = true,
	.eligibility = true,
	.work_conserving = true,
	.steals = true,
	.start = start,
	.admit = kernel_admit,
	.retire = kernel_retire,
	.place = place,
	.join = join,
	.leave = leave,
	.key = key,
	.select = select_cpu,
	.keep = keep,
	.preempt = preempt,
	.charge = charge,
	.block = block,
	.slice = slice,
	.timer = timer,
	.expire = expire,
	.project = kernel_knobs_of,
};
