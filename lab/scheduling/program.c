/* What vCPUs do when they run. */
#include "lab/scheduling/engine_private.h"

#define STEPS_AT_ONCE 4096 /* more in no time: it is taken for a sleep, so that time goes on */
#define DODGE_FIRST   50   /* parts of the tick: how long before and after it the attacker stays away */
#define TICK_DEFAULT  10000000

static guint64 random_next(guint64 *state)
{
	guint64 x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return *state = x;
}

/* ns ± spread percent, evenly. */
static gint64 spread(struct runner *runner, const struct step *step)
{
	gint64 width = step->ns / 100 * step->spread_percent;

	if (!width)
		return step->ns;
	return step->ns - width + (gint64)(random_next(&runner->random) % (2 * (guint64)width + 1));
}

static void job_done(struct engine *engine, guint id)
{
	const struct task *task = &g_array_index(engine->workload->tasks, struct task, id);
	struct engine_task *told = &engine->task[id];
	gint64 deadline = engine->runner[id].release_ns + task->deadline_ns;
	gint64 late = engine->system.now_ns - deadline;

	if (!task->deadline_ns)
		return;
	if (late <= 0) {
		told->ok_jobs++;
		return;
	}
	told->tardy_jobs++;
	told->max_tardiness_ns = MAX(told->max_tardiness_ns, late);
	if (told->first_miss_ns < 0) {
		told->first_miss_ns = deadline;
		told->first_late_ns = engine->system.now_ns;
	}
}

static gboolean take_lock(struct engine *engine, guint id, guint object)
{
	struct lock *lock = &engine->lock[object];
	struct runner *runner = &engine->runner[id];

	if (lock->owner != NONE && lock->owner != id) {
		if (runner->activity != RUNNER_SPINS)
			g_array_append_val(lock->spinners, id);
		runner->activity = RUNNER_SPINS;
		runner->left_ns = SPIN_NS;
		return FALSE;
	}
	lock->owner = id;
	if (runner->activity == RUNNER_SPINS)
		for (guint i = 0; i < lock->spinners->len; i++)
			if (g_array_index(lock->spinners, guint, i) == id) {
				g_array_remove_index(lock->spinners, i);
				break;
			}
	runner->activity = RUNNER_COMPUTES;
	return TRUE;
}

/* One that spins and runs has got its lock. */
static void grant(struct engine *engine, guint id)
{
	guint cpu = entity(engine, id)->cpu;

	engine->settle(engine, cpu);
	engine->runner[id].left_ns = 0;
	agenda_set(&engine->ends, cpu, engine->system.now_ns);
}

/* The first that spins and runs has it; one that waits for a CPU looks when it has got one. */
static void give_lock(struct engine *engine, guint object)
{
	struct lock *lock = &engine->lock[object];

	lock->owner = NONE;
	for (guint i = 0; i < lock->spinners->len; i++) {
		guint id = g_array_index(lock->spinners, guint, i);

		if (engine->runner[id].state != RUNNER_RUNNING)
			continue;
		grant(engine, id);
		return;
	}
}

/* TRUE: the last has come, and all go on. */
static gboolean meet(struct engine *engine, guint id, guint object)
{
	struct barrier *barrier = &engine->barrier[object];
	GArray *waiters = barrier->waiters;

	if (waiters->len + 1 < barrier->size) {
		g_array_append_val(waiters, id);
		return FALSE;
	}
	barrier->waiters = g_array_new(FALSE, FALSE, sizeof(guint));
	/* Woken by their agenda, after all that is due on CPUs. */
	for (guint i = 0; i < waiters->len; i++)
		engine_sleep(engine, g_array_index(waiters, guint, i), engine->system.now_ns);
	g_array_unref(waiters);
	return TRUE;
}

/* The next release of a periodic job: blocks until then, or is late already. */
static enum outcome release_next(struct engine *engine, guint id, gint64 period_ns, gint64 *wake_ns)
{
	struct runner *runner = &engine->runner[id];

	job_done(engine, id);
	runner->release_ns += period_ns;
	*wake_ns = runner->release_ns;
	return runner->release_ns > engine->system.now_ns ? OUTCOME_BLOCKS : OUTCOME_RELEASED;
}

/* ---- Recorded use: jobs, each released at its time though the one before is late ---- */

static struct sample sample_at(const struct engine *engine, guint id, gint64 at_ns)
{
	const struct task *task = &g_array_index(engine->workload->tasks, struct task, id);
	guint64 index = (guint64)((at_ns + engine->setup->offset_ns) / engine->workload->sample_ns);

	if (!task->n_samples)
		return (struct sample) { 0 };
	return g_array_index(engine->workload->samples, struct sample, task->first_sample + index % task->n_samples);
}

/* From one release to the next: a period, or that of each wake-up. */
static gint64 use_gap(const struct engine *engine, const struct sample *sample, gint64 period_ns)
{
	return sample->wakeups ? MAX(engine->workload->sample_ns / sample->wakeups, 1) : period_ns;
}

static gint64 use_job(const struct engine *engine, const struct sample *sample, gint64 period_ns)
{
	guint64 gap = (guint64)use_gap(engine, sample, period_ns);

	return (gint64)MAX(gap * sample->use_ppm / SAMPLE_PPM, 1);
}

/* How far into its gap the first job of a sample is released: drawn for each, so that vCPUs do not wake in step; no later
 * than lets the job be done in its gap, so that what a sample wants is wanted within it. */
static gint64 use_phase(const struct engine *engine, guint id, gint64 at_ns, const struct sample *sample)
{
	gint64 slack = use_gap(engine, sample, 0) - use_job(engine, sample, 0);
	guint64 draw = (engine->setup->seed * 1000003 + id) * 1000003 + (guint64)(at_ns / engine->workload->sample_ns);

	draw = (draw | 1) * G_GUINT64_CONSTANT(0x9e3779b97f4a7c15);
	random_next(&draw);
	return slack > 0 ? (gint64)(draw % (guint64)slack) : 0;
}

/* The release after the one at `at_ns`, whether there is use then or not. */
static gint64 use_next(const struct engine *engine, guint id, gint64 at_ns, gint64 period_ns)
{
	gint64 now = engine->system.now_ns, length = engine->workload->sample_ns, next, begin;
	struct sample before = sample_at(engine, id, at_ns), sample;

	next = at_ns + use_gap(engine, &before, period_ns);
	if (next + period_ns <= now)
		next += (now - next) / period_ns * period_ns;
	sample = sample_at(engine, id, next);
	if (next / length == at_ns / length || (!before.wakeups && !sample.wakeups))
		return next;
	begin = next / length * length;
	return begin + (sample.wakeups ? use_phase(engine, id, begin, &sample) : 0);
}

/* Steps over periods without work; what has passed by more than a period is lost. `left_ns` 0 tells that a job is done. */
static enum outcome use(struct engine *engine, guint id, gint64 period_ns, gint64 *wake_ns)
{
	struct runner *runner = &engine->runner[id];
	struct sample sample;

	if (runner->activity != RUNNER_WORKS) { /* the job of the release that woke it */
		sample = sample_at(engine, id, runner->release_ns);
		if (sample.use_ppm) {
			runner->activity = RUNNER_WORKS;
			runner->left_ns = use_job(engine, &sample, period_ns);
			return OUTCOME_RUNS;
		}
	}
	runner->activity = RUNNER_COMPUTES;
	do {
		runner->release_ns = use_next(engine, id, runner->release_ns, period_ns);
		sample = sample_at(engine, id, runner->release_ns);
	} while (!sample.use_ppm && runner->release_ns < engine->horizon_ns);
	*wake_ns = runner->release_ns;
	if (runner->release_ns > engine->system.now_ns)
		return OUTCOME_BLOCKS;
	runner->activity = RUNNER_WORKS;
	runner->left_ns = use_job(engine, &sample, period_ns);
	return OUTCOME_RUNS;
}

static gint64 tick_after(const struct engine *engine, const struct step *step)
{
	gint64 tick = step->ns ? step->ns : engine->ops->tick_ns > 0 ? engine->ops->tick_ns : TICK_DEFAULT;

	return (engine->system.now_ns / tick + 1) * tick;
}

/* Runs until a little before the tick, sleeps until a little after it. */
static enum outcome dodge(struct engine *engine, guint id, const struct step *step, gint64 *wake_ns)
{
	struct runner *runner = &engine->runner[id];
	gint64 now = engine->system.now_ns, next = tick_after(engine, step);
	gint64 margin = (step->ns                   ? step->ns
			 : engine->ops->tick_ns > 0 ? engine->ops->tick_ns
						    : TICK_DEFAULT) /
			DODGE_FIRST / 2;

	if (now < next - margin) {
		runner->activity = RUNNER_DODGES;
		runner->left_ns = next - margin - now;
		return OUTCOME_RUNS;
	}
	runner->activity = RUNNER_COMPUTES;
	*wake_ns = next + margin / 10;
	return OUTCOME_BLOCKS;
}

enum outcome program_advance(struct engine *engine, guint id, gint64 *wake_ns)
{
	struct runner *runner = &engine->runner[id];

	for (guint count = 0; count < STEPS_AT_ONCE; count++) {
		const struct step *step = &engine->steps[runner->first_step + runner->at];

		if (runner->at >= runner->n_steps)
			return OUTCOME_ENDS;
		runner->at++;
		switch ((enum step_kind)step->kind) {
		case STEP_RUN:
			runner->left_ns = spread(runner, step);
			if (runner->left_ns > 0)
				return OUTCOME_RUNS;
			break;
		case STEP_SLEEP:
			*wake_ns = engine->system.now_ns + spread(runner, step);
			return OUTCOME_BLOCKS;
		case STEP_TIMER:
			return release_next(engine, id, step->ns, wake_ns);
		case STEP_LOCK:
			if (!take_lock(engine, id, step->object)) {
				runner->at--;
				return OUTCOME_RUNS;
			}
			break;
		case STEP_UNLOCK:
			give_lock(engine, step->object);
			break;
		case STEP_BARRIER:
			*wake_ns = AGENDA_NEVER;
			if (!meet(engine, id, step->object))
				return OUTCOME_BLOCKS;
			break;
		case STEP_DODGE:
			runner->at--;
			return dodge(engine, id, step, wake_ns);
		case STEP_USE:
			runner->at--;
			return use(engine, id, step->ns, wake_ns);
		case STEP_LOOP:
			runner->at = step->object;
			break;
		}
	}
	*wake_ns = engine->system.now_ns + 1000;
	return OUTCOME_BLOCKS;
}

void program_resume(struct engine *engine, guint id)
{
	struct runner *runner = &engine->runner[id];
	const struct step *step = &engine->steps[runner->first_step + runner->at];

	if (runner->activity == RUNNER_SPINS) {
		if (engine->lock[step->object].owner == NONE)
			runner->left_ns = 0; /* looks at once */
	} else if (runner->activity == RUNNER_DODGES) {
		/* It knows the time: after having been put off, it runs to the same tick or stays away. */
		gint64 ignored;

		if (dodge(engine, id, step, &ignored) != OUTCOME_RUNS)
			runner->left_ns = 0;
	}
}
