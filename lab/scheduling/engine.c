#include "lab/scheduling/engine_private.h"

#include "core/scheduling/strategies/strategies.h"

#define LOOP_ROW(name) { &strategy_##name, engine_loop_##name },
static const struct {
	const struct scheduling_strategy *strategy;
	engine_loop loop;
} instances[] = { ENGINE_INSTANCES(LOOP_ROW) };

static engine_loop loop_of(const struct scheduling_strategy *strategy)
{
	for (guint i = 0; i < G_N_ELEMENTS(instances); i++)
		if (instances[i].strategy == strategy)
			return instances[i].loop;
	return engine_loop_any;
}

void engine_core_note(struct engine *engine, guint cpu)
{
	guint first = cpu / engine->threads * engine->threads, seen = NONE;
	struct engine_core *core = &engine->core[first / engine->threads];
	gint64 now = engine->system.now_ns;

	if (core->mixed)
		engine->result->totals.cross_tenant_ns += now - core->since_ns;
	core->since_ns = now;
	core->mixed = FALSE;
	for (guint i = first; i < first + engine->threads && i < engine->system.n_cpus; i++) {
		guint id = engine->system.cpus[i].running;

		if (id == NONE)
			continue;
		if (seen != NONE && entity(engine, id)->cookie != entity(engine, seen)->cookie)
			core->mixed = TRUE;
		seen = id;
	}
}

static void task_finish(struct engine *engine, guint id)
{
	const struct runner *runner = &engine->runner[id];
	const struct task *task = &g_array_index(engine->workload->tasks, struct task, id);
	struct engine_task *told = &engine->task[id];

	engine->result->totals.busy_ns += told->run_ns;
	told->overdue = task->deadline_ns && runner->state != RUNNER_ASLEEP && runner->state != RUNNER_ENDED &&
			runner->release_ns + task->deadline_ns < engine->horizon_ns;
	if (runner->state != RUNNER_QUEUED && runner->state != RUNNER_HELD)
		return;
	wait_note(engine, id, engine->horizon_ns);
	told->max_gap_ns = MAX(told->max_gap_ns, engine->horizon_ns - runner->gap_ns);
}

/* What is going on at the horizon counts up to there. */
static void finish(struct engine *engine)
{
	for (guint i = 0; i < engine->system.n_cpus; i++) {
		if (engine->threads > 1 && i % engine->threads == 0)
			engine_core_note(engine, i);
		if (engine->cpu[i].forced_ns >= 0)
			engine->result->totals.idle_forced_ns += engine->horizon_ns - engine->cpu[i].forced_ns;
	}
	for (guint i = 0; i < engine->system.n_entities; i++)
		task_finish(engine, i);
}

void engine_run(const struct engine_setup *setup, struct engine_result *result)
{
	struct engine engine = {
		.setup = setup, .workload = setup->workload, .ops = setup->strategy, .result = result
	};

	engine_init(&engine);
	loop_of(setup->strategy)(&engine);
	finish(&engine);
	engine_free(&engine);
}

void engine_result_clear(struct engine_result *result)
{
	g_clear_pointer(&result->task, g_aligned_free);
	g_clear_pointer(&result->window, g_free);
}
