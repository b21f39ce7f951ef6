#include "lab/scheduling/engine_private.h"
#include "lab/scheduling/kernel.h"

#include <string.h>

static void cpus_init(struct engine *engine)
{
	const struct topology *topology = &engine->workload->topology;
	guint n = topology->n_cpus;

	engine->threads = MAX(topology->threads_per_core, 1);
	engine->llc_cpus = engine->threads * MAX(topology->cores_per_llc, 1);
	engine->node_cpus = engine->llc_cpus * MAX(topology->llcs_per_node, 1);
	engine->system.n_cpus = n;
	engine->system.n_cores = (n + engine->threads - 1) / engine->threads;
	engine->system.cpus = g_new0(struct scheduling_cpu, n);
	engine->cpu = g_new0(struct engine_cpu, n);
	engine->core = g_new0(struct engine_core, engine->system.n_cores);
	engine->idle = g_new0(guint64, BITS(n));
	for (guint i = 0; i < n; i++) {
		struct scheduling_cpu *cpu = &engine->system.cpus[i];

		cpu->id = i;
		cpu->core = i / engine->threads;
		cpu->llc = i / engine->llc_cpus;
		cpu->node = i / engine->node_cpus;
		cpu->running = NONE;
		cpu->queue = engine->ops->scope == SCHEDULING_PER_CPU   ? i
			     : engine->ops->scope == SCHEDULING_PER_LLC ? cpu->llc
									: 0;
		engine->cpu[i].last = NONE;
		engine->cpu[i].forced_ns = -1;
		bit_set(engine->idle, i);
	}
	engine->n_idle = n;
	engine->system.n_queues = engine->system.cpus[n - 1].queue + 1;
	engine->system.queues = g_new0(struct scheduling_queue, engine->system.n_queues);
	engine->queue = g_new0(struct queue, engine->system.n_queues);
	engine->load = g_new0(guint64, engine->system.n_queues);
	engine->waiting = g_new0(guint64, BITS(engine->system.n_queues));
	for (guint i = 0; i < n; i++) {
		guint queue = engine->system.cpus[i].queue;

		engine->cpu[i].queue_index = queue;
		engine->cpu[i].queue = &engine->queue[queue];
		engine->cpu[i].sums = &engine->system.queues[queue];
	}
}

static void entity_init(struct engine *engine, guint id)
{
	const struct task *task = &g_array_index(engine->workload->tasks, struct task, id);
	const struct workload_vm *vm = workload_vm(engine->workload, task->vm);
	struct scheduling_entity *e = &engine->system.entities[id];
	struct strategy_random random;

	e->id = id;
	e->vm = task->vm;
	e->cookie = vm->tenant + 1;
	e->weight = vm->weight;
	e->runtime_ns = task->runtime_ns;
	e->period_ns = task->period_ns;
	e->limit_ns = vm->limit_ns;
	e->limit_period_ns = vm->limit_period_ns;
	e->request_ns = task->request_ns;
	e->latency_ns = vm->latency_ns;
	e->priority = vm->priority;
	e->cpu = id % engine->system.n_cpus;
	while (task->mask && !engine_allowed(engine, id, e->cpu))
		e->cpu = (e->cpu + 1) % engine->system.n_cpus;
	strategy_random_init(&random, engine->setup->seed * 1000003 + engine->workload->seed * 7919 + id);
	engine->runner[id].random = strategy_random_next(&random) | 1;
	engine->runner[id].last_cpu = NONE;
	engine->runner[id].first_step = task->first_step;
	engine->runner[id].n_steps = task->n_steps;
	engine->task[id].first_miss_ns = -1;
}

static void tasks_init(struct engine *engine)
{
	const struct workload *workload = engine->workload;
	guint n = workload->tasks->len;

	engine->system.n_entities = n;
	engine->system.entities = g_aligned_alloc0(n, sizeof(struct scheduling_entity), CACHE_LINE);
	engine->system.changed = g_new0(guint32, n);
	engine->system.n_vms = workload->vms->len;
	engine->system.vms = g_new0(struct scheduling_vm, workload->vms->len);
	for (guint i = 0; i < workload->vms->len; i++) {
		engine->system.vms[i].first = workload_vm(workload, i)->first_task;
		engine->system.vms[i].n_vcpus = workload_vm(workload, i)->n_tasks;
	}
	engine->runner = g_aligned_alloc0(n, sizeof(struct runner), CACHE_LINE);
	engine->task = engine->result->task;
	engine->steps = (const struct step *)(const void *)workload->steps->data;
	for (guint i = 0; i < n; i++)
		entity_init(engine, i);
	engine->lock = g_new0(struct lock, workload->n_locks);
	for (guint i = 0; i < workload->n_locks; i++) {
		engine->lock[i].owner = NONE;
		engine->lock[i].spinners = g_array_new(FALSE, FALSE, sizeof(guint));
	}
	engine->barrier = g_new0(struct barrier, workload->barriers->len);
	for (guint i = 0; i < workload->barriers->len; i++) {
		engine->barrier[i].size = g_array_index(workload->barriers, guint32, i);
		engine->barrier[i].waiters = g_array_new(FALSE, FALSE, sizeof(guint));
	}
}

static void agendas_init(struct engine *engine)
{
	const struct scheduling_system *system = &engine->system;
	gboolean balances = engine->ops->steals && engine->ops->scope == SCHEDULING_PER_CPU && !engine->ops->pick &&
			    system->n_cpus > 1 && !engine->setup->no_balance;

	agenda_init(&engine->ends, system->n_cpus);
	agenda_init(&engine->timers, system->n_entities);
	wheel_init(&engine->wakes, system->n_entities);
	engine->next_tick_ns = engine->ops->tick_ns > 0 ? engine->ops->tick_ns : AGENDA_NEVER;
	engine->next_balance_ns = balances ? ENGINE_BALANCE_NS : AGENDA_NEVER;
	for (guint i = 0; i < system->n_entities; i++)
		engine_sleep(engine, i, g_array_index(engine->workload->tasks, struct task, i).start_ns);
}

static void result_init(struct engine *engine)
{
	struct engine_result *result = engine->result;
	guint n = engine->workload->tasks->len;
	guint64 windows = 1;

	memset(result, 0, sizeof(*result));
	result->n_tasks = n;
	result->horizon_ns = engine->horizon_ns;
	result->window_ns = engine->setup->window_ns;
	if (result->window_ns > 0)
		windows = (guint64)((engine->horizon_ns + result->window_ns - 1) / result->window_ns);
	result->n_windows = (guint)CLAMP(windows, 1, ENGINE_WINDOWS_MAX);
	result->task = g_aligned_alloc0(n, sizeof(struct engine_task), CACHE_LINE);
	if (result->n_windows > 1) {
		/* One more for what happens at the horizon itself. */
		result->window = g_new0(gint64, ((gsize)result->n_windows + 1) * n);
		engine->window = result->window;
		engine->window_end_ns = result->window_ns;
	}
}

void engine_init(struct engine *engine)
{
	const struct engine_setup *setup = engine->setup;
	struct scheduling_system *system = &engine->system;
	struct strategy_random random;

	engine->horizon_ns = setup->horizon_ns ? setup->horizon_ns : setup->workload->horizon_ns;
	result_init(engine);
	cpus_init(engine);
	tasks_init(engine);
	agendas_init(engine);
	engine->filters = setup->workload->masks->len > 0 || setup->sharing != SCHEDULING_SHARE_ANY;
	if (setup->values)
		engine->values = *setup->values;
	else
		strategy_values_init(&engine->ops->info, &engine->values);
	system->values = &engine->values;
	for (gsize i = 0; i < engine->ops->info.n_parameters; i++)
		system->parameter[i] = (gint64)engine->values.value[i];
	strategy_random_init(&random, setup->seed);
	system->random = strategy_random_next(&random) | 1;
	system->host = setup->host;
	if (engine->ops->start)
		engine->ops->start(system);
	if (engine->ops->plans) {
		plan_make(&engine->plan, system);
		system->table = &engine->plan.table;
	}
	for (guint i = 0; i < system->n_entities; i++) {
		struct engine_task *told = &engine->task[i];

		told->admission = engine->plan.refused && engine->plan.refused[i] ? SCHEDULING_REFUSED_CAPACITY
				  : engine->ops->admit ? engine->ops->admit(system, &system->entities[i])
						       : SCHEDULING_ACCEPTED;
		/* Without its reservation it takes part all the same, as one that never asked for any. */
		if (told->admission != SCHEDULING_ACCEPTED)
			system->entities[i].runtime_ns = system->entities[i].period_ns = 0;
	}
	if (setup->host && lab_kernel_pins(setup->host))
		engine->filters = TRUE;
}

void engine_free(struct engine *engine)
{
	for (guint i = 0; i < engine->workload->n_locks; i++)
		g_array_unref(engine->lock[i].spinners);
	for (guint i = 0; i < engine->workload->barriers->len; i++)
		g_array_unref(engine->barrier[i].waiters);
	for (guint i = 0; i < engine->system.n_queues; i++) {
		g_free(engine->queue[i].ready.rest.entry);
		g_free(engine->queue[i].future.rest.entry);
	}
	agenda_clear(&engine->ends);
	agenda_clear(&engine->timers);
	wheel_clear(&engine->wakes);
	plan_clear(&engine->plan);
	g_free(engine->lock);
	g_free(engine->barrier);
	g_free(engine->queue);
	g_free(engine->load);
	g_free(engine->waiting);
	g_free(engine->idle);
	g_free(engine->core);
	g_free(engine->cpu);
	g_aligned_free(engine->runner);
	g_free(engine->system.cpus);
	g_free(engine->system.queues);
	g_free(engine->system.vms);
	g_free(engine->system.changed);
	g_aligned_free(engine->system.entities);
}
