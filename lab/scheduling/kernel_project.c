/* From a strategy to knobs: its own admit() and project() on a shadow of the system, then what the kernel says to that. */
#include "lab/scheduling/kernel_private.h"

#include <string.h>

#include "core/scheduling/limit.h"

#define DEADLINE_RUNTIME_MIN_NS 1024
#define DEADLINE_PERIOD_MIN_NS  100000     /* sched_deadline_period_min_us */
#define DEADLINE_PERIOD_MAX_NS  4194304000 /* sched_deadline_period_max_us */
#define SLICE_MIN_NS            100000
#define SLICE_MAX_NS            100000000

const char *const lab_kernel_exactness_names[] = { "exact", "approximate", "not enforceable", NULL };

static guint queue_by_scope(const struct scheduling_strategy *strategy, const struct scheduling_cpu *cpu)
{
	switch (strategy->scope) {
	case SCHEDULING_PER_CPU:
		return cpu->id;
	case SCHEDULING_PER_LLC:
		return cpu->llc;
	case SCHEDULING_GLOBAL:
		break;
	}
	return 0;
}

void kernel_shadow_init(struct lab_kernel *kernel, const struct scheduling_system *system)
{
	const struct scheduling_strategy *strategy = kernel->strategy;
	struct scheduling_system *shadow = &kernel->shadow;

	if (!strategy)
		return;
	*shadow = *system;
	memset(shadow->scratch, 0, sizeof(shadow->scratch));
	memset(shadow->parameter, 0, sizeof(shadow->parameter));
	shadow->host = NULL;
	shadow->admitted = 0;
	shadow->random = 1;
	shadow->n_changed = 0;
	shadow->changed = g_new0(guint32, system->n_entities);
	shadow->entities = g_new0(struct scheduling_entity, system->n_entities);
	shadow->vms = g_new0(struct scheduling_vm, system->n_vms);
	for (guint i = 0; i < system->n_vms; i++)
		shadow->vms[i] =
			(struct scheduling_vm) { .first = system->vms[i].first, .n_vcpus = system->vms[i].n_vcpus };
	shadow->cpus = g_new0(struct scheduling_cpu, system->n_cpus);
	shadow->queues = g_new0(struct scheduling_queue, system->n_cpus);
	shadow->n_queues = 0;
	for (guint i = 0; i < system->n_cpus; i++) {
		const struct scheduling_cpu *cpu = &system->cpus[i];
		guint queue = queue_by_scope(strategy, cpu);

		shadow->cpus[i] = (struct scheduling_cpu) { .id = i,
							    .core = cpu->core,
							    .llc = cpu->llc,
							    .node = cpu->node,
							    .running = SCHEDULING_NO_ENTITY,
							    .queue = queue };
		shadow->n_queues = MAX(shadow->n_queues, queue + 1);
	}
	if (kernel->values)
		kernel->shadow_values = *kernel->values;
	else
		strategy_values_init(&strategy->info, &kernel->shadow_values);
	shadow->values = &kernel->shadow_values;
	for (gsize i = 0; i < strategy->info.n_parameters; i++)
		shadow->parameter[i] = (gint64)kernel->shadow_values.value[i];
	if (strategy->start)
		strategy->start(shadow);
}

void kernel_shadow_clear(struct lab_kernel *kernel)
{
	struct scheduling_system *shadow = &kernel->shadow;

	g_free(shadow->changed);
	g_free(shadow->entities);
	g_free(shadow->vms);
	g_free(shadow->cpus);
	g_free(shadow->queues);
}

/* What the strategy says: its admission, and knobs in any case, since a refused one runs all the same, as one that never
 * asked for a reservation. */
static enum scheduling_admission ask(struct lab_kernel *kernel, const struct scheduling_entity *entity,
				     struct scheduling_knobs *knobs)
{
	struct scheduling_system *shadow = &kernel->shadow;
	enum scheduling_admission admission;
	struct scheduling_entity *copy;

	memset(knobs, 0, sizeof(*knobs));
	if (!kernel->strategy) {
		scheduling_knobs_init(entity, knobs);
		return SCHEDULING_ACCEPTED;
	}
	copy = &shadow->entities[entity->id];
	*copy = (struct scheduling_entity) {
		.id = entity->id,
		.vm = entity->vm,
		.cookie = entity->cookie,
		.weight = entity->weight,
		.runtime_ns = entity->runtime_ns,
		.period_ns = entity->period_ns,
		.limit_ns = entity->limit_ns,
		.limit_period_ns = entity->limit_period_ns,
		.request_ns = entity->request_ns,
		.latency_ns = entity->latency_ns,
		.priority = entity->priority,
		.cpu = entity->cpu,
	};
	admission = kernel->strategy->admit(shadow, copy);
	if (admission != SCHEDULING_ACCEPTED)
		copy->runtime_ns = copy->period_ns = 0;
	kernel->strategy->project(shadow, copy, knobs);
	return admission;
}

/* ---- What the kernel says ---- */

static gboolean deadline_accepted(struct lab_kernel *kernel, const struct scheduling_knobs *knobs, guint n_cpus)
{
	gint64 period = knobs->deadline_period_ns;
	guint64 share;

	if (knobs->runtime_ns < DEADLINE_RUNTIME_MIN_NS || knobs->runtime_ns > knobs->deadline_ns ||
	    knobs->deadline_ns > period || period < DEADLINE_PERIOD_MIN_NS || period > DEADLINE_PERIOD_MAX_NS)
		return FALSE;
	if (knobs->n_cpus && knobs->n_cpus < n_cpus) /* it has to be allowed on all CPUs of its root domain */
		return FALSE;
	share = scheduling_share(knobs->runtime_ns, period);
	if (kernel->deadline_bandwidth + share > (guint64)n_cpus * SCHEDULING_UNIT / 100 * 95)
		return FALSE;
	kernel->deadline_bandwidth += share;
	return TRUE;
}

static void slice_note(struct lab_kernel *kernel, struct kernel_task *task)
{
	const struct scheduling_knobs *knobs = &task->knobs;
	guint i;

	task->slice_ns = kernel->slice_ns;
	if (kernel->custom_slice && knobs->slice_ns)
		task->slice_ns = CLAMP(knobs->slice_ns, SLICE_MIN_NS, SLICE_MAX_NS);
	for (i = 0; i < kernel->n_slices && kernel->slices[i] != task->slice_ns; i++)
		;
	if (i == KERNEL_SLICES_MAX) { /* counted as the last; shorter than that: the last becomes so short */
		i--;
		kernel->slices[i] = MIN(kernel->slices[i], task->slice_ns);
	} else if (i == kernel->n_slices) {
		kernel->slices[kernel->n_slices++] = task->slice_ns;
	}
	task->slice_class = i;
}

static void take(struct lab_kernel *kernel, struct kernel_task *task, guint n_cpus)
{
	struct scheduling_knobs *knobs = &task->knobs;

	task->known = TRUE;
	task->class = KERNEL_CLASS_FAIR;
	task->weight = (gint64)lab_kernel_weight(knobs->weight ? knobs->weight : SCHEDULING_WEIGHT_NORMAL);
	if (knobs->policy == SCHEDULING_POLICY_DEADLINE) {
		task->refused_kernel = !deadline_accepted(kernel, knobs, n_cpus);
		if (!task->refused_kernel)
			task->class = KERNEL_CLASS_DEADLINE;
	} else if (knobs->policy == SCHEDULING_POLICY_FIFO) {
		task->class = KERNEL_CLASS_FIFO;
	}
	if (knobs->quota_ns) {
		knobs->quota_ns = MAX(knobs->quota_ns, SCHEDULING_LIMIT_MIN_NS);
		knobs->period_ns = CLAMP(knobs->period_ns, SCHEDULING_LIMIT_MIN_NS, SCHEDULING_PERIOD_MAX_NS);
	}
	slice_note(kernel, task);
}

enum scheduling_admission kernel_admit(struct scheduling_system *system, struct scheduling_entity *entity)
{
	struct lab_kernel *kernel = kernel_of(system);
	struct kernel_task *task = &kernel->task[entity->id];
	const struct scheduling_knobs *given = g_hash_table_lookup(kernel->given, GUINT_TO_POINTER(entity->id));

	if (given) {
		task->knobs = *given;
		task->refused = SCHEDULING_ACCEPTED;
	} else {
		task->refused = ask(kernel, entity, &task->knobs);
	}
	take(kernel, task, system->n_cpus);
	if (task->class == KERNEL_CLASS_FIFO)
		g_array_append_val(kernel->fifo, entity->id);
	/* From here on it is an entity of the model: it waits in no queue yet. */
	entity->eligible = KERNEL_LONG_AGO;
	if (task->refused == SCHEDULING_ACCEPTED)
		entity->flags |= SCHEDULING_ADMITTED;
	return task->refused;
}

void kernel_retire(struct scheduling_system *system, struct scheduling_entity *entity)
{
	struct lab_kernel *kernel = kernel_of(system);
	struct kernel_task *task = &kernel->task[entity->id];

	kernel_fair_retire(system, entity);
	entity->flags &= ~(guint32)SCHEDULING_ADMITTED;
	if (task->class == KERNEL_CLASS_DEADLINE)
		kernel->deadline_bandwidth -= scheduling_share(task->knobs.runtime_ns, task->knobs.deadline_period_ns);
	if (kernel->strategy && kernel->shadow.entities[entity->id].flags & SCHEDULING_ADMITTED)
		kernel->strategy->retire(&kernel->shadow, &kernel->shadow.entities[entity->id]);
}

void kernel_knobs_of(const struct scheduling_system *system, const struct scheduling_entity *entity,
		     struct scheduling_knobs *knobs)
{
	*knobs = kernel_task(system, entity)->knobs;
}

/* ---- What became of it ---- */

void lab_kernel_set_knobs(struct lab_kernel *kernel, guint entity, const struct scheduling_knobs *knobs)
{
	g_hash_table_insert(kernel->given, GUINT_TO_POINTER(entity), g_memdup2(knobs, sizeof(*knobs)));
}

const struct scheduling_knobs *lab_kernel_knobs(const struct lab_kernel *kernel, guint entity)
{
	return entity < kernel->n_tasks && kernel->task[entity].known ? &kernel->task[entity].knobs : NULL;
}

gboolean lab_kernel_allows(const struct lab_kernel *kernel, guint entity, guint cpu)
{
	const struct scheduling_knobs *knobs = lab_kernel_knobs(kernel, entity);

	return !knobs || !knobs->n_cpus || (cpu >= knobs->first_cpu && cpu - knobs->first_cpu < knobs->n_cpus);
}

gboolean lab_kernel_pins(const struct lab_kernel *kernel)
{
	for (guint i = 0; i < kernel->n_tasks; i++)
		if (kernel->task[i].known && kernel->task[i].knobs.n_cpus)
			return TRUE;
	return FALSE;
}

static void lose(struct lab_projection *projection, const char *text)
{
	for (guint i = 0; text && i + 1 < G_N_ELEMENTS(projection->lost); i++) {
		if (projection->lost[i] && strcmp(projection->lost[i], text) != 0)
			continue;
		projection->lost[i] = text;
		return;
	}
}

void lab_kernel_projection(const struct lab_kernel *kernel, struct lab_projection *projection)
{
	memset(projection, 0, sizeof(*projection));
	for (guint i = 0; i < kernel->n_tasks; i++) {
		const struct kernel_task *task = &kernel->task[i];
		enum scheduling_exactness exactness = task->knobs.exactness;

		if (!task->known)
			continue;
		projection->n++;
		projection->refused_strategy += task->refused != SCHEDULING_ACCEPTED;
		lose(projection, task->knobs.lost);
		if (task->refused_kernel) {
			projection->refused_kernel++;
			exactness = SCHEDULING_NOT_ENFORCEABLE;
			lose(projection, "SCHED_DEADLINE where the kernel refuses it (95 % of the CPUs in all, no CPU "
					 "affinity): the vCPU runs by weight");
		}
		projection->exact += exactness == SCHEDULING_EXACT;
		projection->approximate += exactness == SCHEDULING_APPROXIMATE;
		projection->not_enforceable += exactness == SCHEDULING_NOT_ENFORCEABLE;
		projection->exactness = MAX(projection->exactness, exactness);
	}
}

void lab_scheduling_project(const struct scheduling_strategy *strategy, const struct scheduling_system *system,
			    struct scheduling_knobs *knobs, struct lab_projection *projection)
{
	g_autoptr(lab_kernel_auto) kernel = lab_kernel_new(strategy, system->values);

	kernel->n_tasks = system->n_entities;
	kernel->task = g_new0(struct kernel_task, system->n_entities);
	kernel_shadow_init(kernel, system);
	for (guint i = 0; i < system->n_entities; i++) {
		struct kernel_task *task = &kernel->task[i];

		task->refused = ask(kernel, &system->entities[i], &task->knobs);
		if (knobs)
			knobs[i] = task->knobs;
		take(kernel, task, system->n_cpus);
	}
	lab_kernel_projection(kernel, projection);
}
