/* The loop around the kernel: every SCHEDULING_CORRECT_NS weights are corrected by what came of them, as the agent of a host
 * does it live (core/scheduling/share.h). What a vCPU wanted of the time is how long it was queued or ran. */
#include "lab/scheduling/kernel_private.h"

static gboolean takes_part(const struct kernel_task *task)
{
	return task->known && task->class == KERNEL_CLASS_FAIR && !task->knobs.n_cpus;
}

gint64 lab_kernel_extra_weight(const struct lab_kernel *kernel, guint entity)
{
	return kernel->task[entity].extra;
}

gint64 lab_kernel_extra_load(const struct lab_kernel *kernel, guint queue)
{
	return kernel->queue[queue].extra;
}

void kernel_correct_join(struct scheduling_system *system, struct scheduling_queue *queue,
			 struct scheduling_entity *entity)
{
	struct kernel_task *task = kernel_task(system, entity);

	task->wants_since_ns = system->now_ns;
	kernel_queue(system, queue)->extra += task->extra;
}

void kernel_correct_leave(struct scheduling_system *system, struct scheduling_queue *queue,
			  struct scheduling_entity *entity)
{
	struct kernel_task *task = kernel_task(system, entity);

	task->wanted_ns += system->now_ns - task->wants_since_ns;
	task->wants_since_ns = -1;
	kernel_queue(system, queue)->extra -= task->extra;
}

static void claim(struct scheduling_system *system, guint id, gint64 stretch_ns, struct scheduling_claim *claim)
{
	struct scheduling_entity *entity = &system->entities[id];
	struct kernel_task *task = kernel_task(system, entity);
	const struct scheduling_knobs *knobs = &task->knobs;

	if (task->wants_since_ns >= 0) {
		task->wanted_ns += system->now_ns - task->wants_since_ns;
		task->wants_since_ns = system->now_ns;
	}
	claim->weight = knobs->weight ? knobs->weight : SCHEDULING_WEIGHT_NORMAL;
	claim->most_ns = MIN(task->wanted_ns, stretch_ns);
	if (knobs->quota_ns)
		claim->most_ns = MIN(claim->most_ns,
				     (gint64)((double)stretch_ns * (double)knobs->quota_ns / (double)knobs->period_ns));
	claim->least_ns =
		entity->period_ns
			? (gint64)((double)stretch_ns * (double)entity->runtime_ns / (double)entity->period_ns)
			: 0;
}

static void take(struct scheduling_system *system, guint id, guint wished, gint64 corrected)
{
	struct scheduling_entity *entity = &system->entities[id];
	struct kernel_task *task = kernel_task(system, entity);
	guint weight = scheduling_take(&task->share, wished, corrected);
	gint64 extra = (gint64)weight - wished;

	task->wanted_ns = task->got_ns = 0;
	if ((gint64)lab_kernel_weight(weight) == task->weight)
		return;
	kernel_fair_reweight(system, entity, (gint64)lab_kernel_weight(weight));
	if (task->wants_since_ns >= 0) {
		kernel_of(system)->queue[task->queue].extra += extra - task->extra;
		scheduling_changed(system, entity);
	}
	task->extra = extra;
}

void kernel_correct(struct scheduling_system *system)
{
	struct lab_kernel *kernel = kernel_of(system);
	gint64 stretch_ns = SCHEDULING_CORRECT_NS + system->now_ns - kernel->next_look_ns, pool_ns = 0;
	guint n = 0;

	kernel->next_look_ns = system->now_ns + SCHEDULING_CORRECT_NS;
	for (guint i = 0; i < system->n_entities; i++) {
		if (!takes_part(&kernel->task[i]))
			continue;
		claim(system, i, stretch_ns, &kernel->claims[n]);
		kernel->claimants[n++] = i;
		pool_ns += kernel->task[i].got_ns;
	}
	scheduling_entitle(kernel->claims, n, pool_ns);
	if (!scheduling_contended(kernel->claims, n, pool_ns))
		for (guint i = 0; i < n; i++) {
			kernel->task[kernel->claimants[i]].share.lag_ns = 0;
			kernel->task[kernel->claimants[i]].got_ns = kernel->claims[i].due_ns;
		}
	for (guint i = 0; i < n; i++) {
		const struct scheduling_entity *entity = &system->entities[kernel->claimants[i]];
		struct kernel_task *task = kernel_task(system, entity);

		kernel->corrected[i] = scheduling_correct(&task->share, &kernel->claims[i], task->got_ns, stretch_ns,
							  entity->latency_ns > 0);
	}
	scheduling_fit(kernel->corrected, kernel->claims, n);
	for (guint i = 0; i < n; i++)
		take(system, kernel->claimants[i], kernel->claims[i].weight, kernel->corrected[i]);
}
