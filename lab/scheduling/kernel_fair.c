/* The fair class of the model: EEVDF, and CFS before it.
 *
 * Source: Linux kernel/sched/fair.c: 6.1 for CFS (place_entity, sched_slice, check_preempt_tick, wakeup_preempt_entity);
 * 6.6–6.18 for EEVDF (avg_vruntime, place_entity, update_deadline, pick_eevdf, do_preempt_short, set_protect_slice,
 * requeue_delayed_entity). I. Stoica, H. Abdel-Wahab, "Earliest Eligible Virtual Deadline First", 1995. */
#include "lab/scheduling/kernel_private.h"

/* V = virtual_time + offset ÷ weight, 0 ≤ offset < weight: who is at or before virtual_time is eligible. */
static void settle(struct scheduling_queue *queue)
{
	gint64 weight = (gint64)queue->weight, whole;

	if (!weight) {
		queue->offset = 0;
		return;
	}
	whole = queue->offset / weight;
	queue->offset -= whole * weight;
	if (queue->offset < 0) {
		queue->offset += weight;
		whole--;
	}
	queue->virtual_time += whole;
}

static void sums_add(struct scheduling_queue *queue, const struct scheduling_entity *entity, gint64 weight)
{
	queue->weight += (guint64)weight;
	queue->offset += (entity->virtual_time - queue->virtual_time) * weight;
	settle(queue);
}

static void sums_remove(struct scheduling_queue *queue, const struct scheduling_entity *entity, gint64 weight)
{
	queue->weight -= (guint64)weight;
	queue->offset -= (entity->virtual_time - queue->virtual_time) * weight;
	settle(queue);
}

static void drop(GArray *array, guint id)
{
	for (guint i = 0; i < array->len; i++)
		if (g_array_index(array, guint, i) == id) {
			g_array_remove_index(array, i);
			return;
		}
	g_assert_not_reached();
}

static gboolean eligible(const struct scheduling_system *system, const struct scheduling_entity *entity)
{
	const struct scheduling_queue *queue = &system->queues[system->cpus[entity->cpu].queue];

	return !scheduling_before(queue->virtual_time, entity->virtual_time);
}

static gint64 clamp_lag(const struct lab_kernel *kernel, const struct kernel_task *task, gint64 lag)
{
	gint64 most = kernel_virtual(MAX(2 * task->slice_ns, kernel->tick_ns), task->weight);

	return CLAMP(lag, -most, most);
}

/* ---- Delayed dequeue ---- */

static void undelay(struct scheduling_system *system, guint id)
{
	struct lab_kernel *kernel = kernel_of(system);
	struct kernel_task *task = &kernel->task[id];
	struct scheduling_entity *entity = &system->entities[id];
	struct scheduling_queue *queue = &system->queues[task->queue];

	/* DELAY_ZERO: who waited its debt out is owed nothing for it. */
	entity->lag = MIN(0, clamp_lag(kernel, task, queue->virtual_time - entity->virtual_time));
	sums_remove(queue, entity, task->weight);
	task->delayed = FALSE;
	drop(kernel->queue[task->queue].delayed, id);
}

/* Those whose debt is paid. Lowest first, as the tree would find them. */
static void undelay_eligible(struct scheduling_system *system, struct scheduling_queue *queue)
{
	struct kernel_queue *own = kernel_queue(system, queue);

	for (guint i = 0; i < own->delayed->len;) {
		guint id = g_array_index(own->delayed, guint, i);

		if (scheduling_before(queue->virtual_time, system->entities[id].virtual_time)) {
			i++;
			continue;
		}
		undelay(system, id);
		i = 0;
	}
}

/* ---- cfs: min_vruntime ---- */

static void advance_min(struct scheduling_system *system, struct scheduling_queue *queue)
{
	const struct kernel_queue *own = kernel_queue(system, queue);
	gint64 least = G_MAXINT64;

	for (guint i = 0; i < own->members->len; i++)
		least = MIN(least, system->entities[g_array_index(own->members, guint, i)].virtual_time);
	if (own->members->len)
		queue->virtual_time = MAX(queue->virtual_time, least);
}

/* sched_slice(): its part of the period; `joins`: it is not yet counted. */
static gint64 cfs_slice(const struct scheduling_system *system, const struct scheduling_queue *queue,
			const struct kernel_task *task, gboolean joins)
{
	const struct lab_kernel *kernel = kernel_of(system);
	guint n = kernel->queue[queue - system->queues].n_fair + joins;
	gint64 load = (gint64)queue->weight + (joins ? task->weight : 0);
	gint64 period = n > KERNEL_CFS_NR ? n * kernel->min_granularity_ns : kernel->latency_ns;

	return MAX(period * task->weight / MAX(load, task->weight), kernel->min_granularity_ns);
}

static void cfs_place(struct scheduling_system *system, struct scheduling_queue *queue,
		      struct scheduling_entity *entity, enum scheduling_why why)
{
	const struct lab_kernel *kernel = kernel_of(system);
	struct kernel_task *task = kernel_task(system, entity);
	gint64 start = queue->virtual_time;
	/* Where it was among the others: on the same queue, the same. */
	gint64 ahead = entity->virtual_time - system->queues[task->queue].virtual_time;

	switch (why) {
	case SCHEDULING_NEW: /* START_DEBIT */
		entity->virtual_time = start + kernel_virtual(cfs_slice(system, queue, task, TRUE), task->weight);
		break;
	case SCHEDULING_WAKE: /* GENTLE_FAIR_SLEEPERS; never gaining by a short sleep */
	case SCHEDULING_RELEASE:
		entity->virtual_time = start + MAX(ahead, -kernel->latency_ns / 2);
		break;
	case SCHEDULING_MIGRATE:
		entity->virtual_time = start + ahead;
		break;
	case SCHEDULING_REQUEUE:
	case SCHEDULING_JOB:
		break;
	}
}

/* ---- EEVDF ---- */

static void set_deadline(struct kernel_task *task, struct scheduling_entity *entity)
{
	entity->deadline = entity->virtual_time + kernel_virtual(task->slice_ns, task->weight);
}

static void eevdf_place(struct scheduling_system *system, struct scheduling_queue *queue,
			struct scheduling_entity *entity, enum scheduling_why why)
{
	struct kernel_task *task = kernel_task(system, entity);
	gint64 lag;

	if (why == SCHEDULING_REQUEUE || why == SCHEDULING_JOB)
		return;
	if (task->delayed) {
		gboolean same = &system->queues[task->queue] == queue;
		gint64 was = entity->virtual_time;

		undelay(system, entity->id);
		if (same && entity->lag < 0) { /* it goes on where it was: its debt neither grew nor shrank */
			entity->virtual_time = was;
			entity->eligible = was;
			return;
		}
	}
	lag = why == SCHEDULING_NEW ? 0 : entity->lag;
	if (!queue->weight) /* PLACE_LAG only among others */
		lag = 0;
	else /* joining moves V towards it: inflated, so that the lag is as kept afterwards */
		lag += lag * task->weight / (gint64)queue->weight;
	entity->virtual_time = queue->virtual_time - lag;
	if (why == SCHEDULING_MIGRATE) /* PLACE_REL_DEADLINE */
		entity->deadline = entity->virtual_time + task->left;
	else
		set_deadline(task, entity);
	if (why == SCHEDULING_NEW) /* PLACE_DEADLINE_INITIAL */
		entity->deadline = entity->virtual_time + kernel_virtual(task->slice_ns / 2, task->weight);
	entity->eligible = entity->virtual_time;
}

static gboolean sure(const struct scheduling_system *system, const struct scheduling_entity *running)
{
	const struct lab_kernel *kernel = kernel_of(system);

	return kernel->parity != KERNEL_PARITY_OFF &&
	       scheduling_before(running->virtual_time, kernel->task[running->id].sure_until);
}

/* set_protect_slice(), of one that begins to run. */
static void protect(const struct scheduling_system *system, const struct scheduling_entity *entity)
{
	const struct lab_kernel *kernel = kernel_of(system);
	struct kernel_task *task = &kernel->task[entity->id];
	const struct kernel_queue *own = &kernel->queue[system->cpus[entity->cpu].queue];
	gint64 least = task->slice_ns;

	task->sure_until = entity->deadline;
	if (kernel->parity != KERNEL_PARITY_MIN_SLICE)
		return;
	for (guint i = 0; i < kernel->n_slices; i++)
		if (own->n_slices[i])
			least = MIN(least, kernel->slices[i]);
	if (least < task->slice_ns)
		task->sure_until = MIN(entity->deadline, entity->virtual_time + kernel_virtual(least, task->weight));
}

static bool eevdf_preempt(const struct scheduling_system *system, const struct scheduling_entity *running,
			  const struct scheduling_entity *woken)
{
	struct kernel_task *task = kernel_task(system, running);
	gboolean may = eligible(system, running), sooner = scheduling_before(woken->deadline, running->deadline);

	if (!eligible(system, woken))
		return false;
	/* PREEMPT_SHORT */
	if (kernel_task(system, woken)->slice_ns < task->slice_ns && (sooner || !may))
		task->sure_until = running->virtual_time;
	if (may && sure(system, running))
		return false;
	return !may || sooner;
}

static bool cfs_keep(const struct scheduling_system *system, const struct scheduling_entity *running,
		     const struct scheduling_entity *head)
{
	const struct lab_kernel *kernel = kernel_of(system);
	struct kernel_task *task = kernel_task(system, running);
	const struct scheduling_queue *queue = &system->queues[system->cpus[running->cpu].queue];
	gint64 ideal = MIN(cfs_slice(system, queue, task, FALSE), kernel->latency_ns);
	gint64 ahead = running->virtual_time - head->virtual_time;

	task->goes_on = TRUE;
	if (task->ran_ns > ideal) { /* chosen anew: the leftmost */
		task->goes_on = FALSE;
		return ahead <= 0;
	}
	return task->ran_ns < kernel->min_granularity_ns || ahead <= ideal;
}

/* ---- What the classes' table calls ---- */

void kernel_fair_place(struct scheduling_system *system, struct scheduling_queue *queue,
		       struct scheduling_entity *entity, enum scheduling_why why)
{
	if (!kernel_of(system)->cfs) {
		undelay_eligible(system, queue);
		eevdf_place(system, queue, entity, why);
		return;
	}
	advance_min(system, queue);
	cfs_place(system, queue, entity, why);
}

void kernel_fair_join(struct scheduling_system *system, struct scheduling_queue *queue,
		      struct scheduling_entity *entity)
{
	struct kernel_task *task = kernel_task(system, entity);
	struct kernel_queue *own = kernel_queue(system, queue);

	task->queue = (guint)(queue - system->queues);
	own->n_fair++;
	own->n_slices[task->slice_class]++;
	if (kernel_of(system)->cfs) {
		queue->weight += (guint64)task->weight;
		g_array_append_val(own->members, entity->id);
		return;
	}
	sums_add(queue, entity, task->weight);
	undelay_eligible(system, queue);
}

void kernel_fair_leave(struct scheduling_system *system, struct scheduling_queue *queue,
		       struct scheduling_entity *entity)
{
	struct lab_kernel *kernel = kernel_of(system);
	struct kernel_task *task = kernel_task(system, entity);
	struct kernel_queue *own = kernel_queue(system, queue);
	gboolean sleeps = task->blocks && !(entity->flags & SCHEDULING_HELD);

	task->blocks = FALSE;
	own->n_fair--;
	own->n_slices[task->slice_class]--;
	if (kernel->cfs) {
		queue->weight -= (guint64)task->weight;
		drop(own->members, entity->id);
		advance_min(system, queue);
		return;
	}
	task->left = entity->deadline - entity->virtual_time;
	entity->lag = clamp_lag(kernel, task, queue->virtual_time - entity->virtual_time);
	if (kernel->delay_dequeue && sleeps && own->n_fair && entity->lag < 0) {
		task->delayed = TRUE;
		g_array_append_val(own->delayed, entity->id);
		return;
	}
	sums_remove(queue, entity, task->weight);
	undelay_eligible(system, queue);
}

void kernel_fair_retire(struct scheduling_system *system, struct scheduling_entity *entity)
{
	if (kernel_task(system, entity)->delayed)
		undelay(system, entity->id);
}

void kernel_fair_charge(struct scheduling_system *system, struct scheduling_queue *queue,
			struct scheduling_entity *entity, gint64 delta_ns)
{
	struct lab_kernel *kernel = kernel_of(system);
	struct kernel_task *task = kernel_task(system, entity);
	gint64 passed = kernel_virtual(delta_ns, task->weight);

	entity->virtual_time += passed;
	task->ran_ns += delta_ns;
	if (kernel->cfs) {
		advance_min(system, queue);
		return;
	}
	entity->eligible = entity->virtual_time;
	queue->offset += passed * task->weight;
	settle(queue);
	undelay_eligible(system, queue);
	if (scheduling_before(entity->virtual_time, entity->deadline))
		return;
	set_deadline(task, entity);
	task->resched = kernel_queue(system, queue)->n_fair > 1;
}

void kernel_fair_reweight(struct scheduling_system *system, struct scheduling_entity *entity, gint64 weight)
{
	struct kernel_task *task = kernel_task(system, entity);
	struct scheduling_queue *queue = &system->queues[task->queue];
	gint64 was = task->weight, lag, left;

	task->weight = weight;
	if (task->wants_since_ns < 0 && !task->delayed) { /* in no queue's sums: ON_QUEUE is set before it joins */
		entity->lag = entity->lag * was / weight;
		task->left = task->left * was / weight;
		return;
	}
	if (kernel_of(system)->cfs) {
		queue->weight += (guint64)(weight - was);
		return;
	}
	lag = (queue->virtual_time - entity->virtual_time) * was / weight;
	left = (entity->deadline - entity->virtual_time) * was / weight;
	sums_remove(queue, entity, was);
	/* Joining moves V towards it, as in place. */
	if (queue->weight)
		lag += lag * weight / (gint64)queue->weight;
	entity->virtual_time = queue->virtual_time - lag;
	entity->deadline = entity->virtual_time + left;
	entity->eligible = entity->virtual_time;
	task->sure_until = entity->virtual_time; /* of its slice nothing is sure any more */
	sums_add(queue, entity, weight);
}

bool kernel_fair_keep(const struct scheduling_system *system, const struct scheduling_entity *running,
		      const struct scheduling_entity *head)
{
	struct kernel_task *task = kernel_task(system, running);

	if (kernel_of(system)->cfs)
		return cfs_keep(system, running, head);
	task->resched = FALSE;
	task->goes_on = eligible(system, running) &&
			(sure(system, running) || scheduling_before(running->deadline, head->deadline));
	return task->goes_on;
}

bool kernel_fair_preempt(const struct scheduling_system *system, const struct scheduling_entity *running,
			 const struct scheduling_entity *woken)
{
	const struct lab_kernel *kernel = kernel_of(system);
	const struct kernel_task *task = &kernel->task[woken->id];

	if (kernel->task[running->id].resched)
		return true;
	if (task->knobs.policy == SCHEDULING_POLICY_BATCH)
		return false;
	if (!kernel->cfs)
		return eevdf_preempt(system, running, woken);
	return running->virtual_time - woken->virtual_time >
	       kernel_virtual(kernel->wakeup_granularity_ns, task->weight);
}

gint64 kernel_fair_left(const struct scheduling_system *system, const struct scheduling_entity *entity)
{
	const struct lab_kernel *kernel = kernel_of(system);
	struct kernel_task *task = &kernel->task[entity->id];
	gint64 left;

	if (!task->goes_on) {
		task->ran_ns = 0;
		task->resched = FALSE;
		if (!kernel->cfs)
			protect(system, entity);
	}
	task->goes_on = FALSE;
	if (!kernel->cfs)
		return MAX(1, kernel_real(entity->deadline - entity->virtual_time, task->weight));
	left = MIN(cfs_slice(system, &system->queues[system->cpus[entity->cpu].queue], task, FALSE),
		   kernel->latency_ns) -
	       task->ran_ns;
	return kernel->hrtick ? MAX(left, kernel->min_granularity_ns / 4) : 1;
}
