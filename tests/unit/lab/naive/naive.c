#include "tests/unit/lab/naive/naive.h"

#include <assert.h>
#include <math.h>

void naive_open(struct naive *sim)
{
	if (sim->open_at < 0)
		sim->open_at = sim->now;
}

/* An implementation in whole numbers is off by a few units for each time a task slept: far less than what a tick changes. */
bool naive_near(const struct naive *sim, long double a, long double b)
{
	return sim->rounded && fabsl(a - b) < 4096;
}

bool naive_wants(const struct naive_task *task)
{
	return task->runnable && !task->put_off && !task->spent;
}

bool naive_waits(const struct naive_task *task)
{
	return naive_wants(task) && !task->on_cpu;
}

static bool global(const struct naive *sim)
{
	return sim->algorithm < NAIVE_GLOBALS;
}

/* ---- Programs ---- */

static void job_done(struct naive *sim, struct naive_task *task)
{
	int due = task->timer + task->deadline, late = sim->now - due;

	if (!task->deadline)
		return;
	if (late <= 0) {
		task->ok_jobs++;
		return;
	}
	task->tardy_jobs++;
	if (late > task->max_tardiness)
		task->max_tardiness = late;
	if (task->first_miss < 0)
		task->first_miss = due;
}

/* To the next step that takes time. False: it sleeps. `next_job`: the next one had been released already. */
static bool advance(struct naive *sim, struct naive_task *task, bool *next_job)
{
	for (;;) {
		const struct naive_step *step = &task->step[task->at];

		task->at = (task->at + 1) % task->n_steps;
		switch (step->kind) {
		case NAIVE_RUN:
			task->left = step->ticks;
			return true;
		case NAIVE_SLEEP:
			task->wake_at = sim->now + step->ticks;
			return false;
		case NAIVE_TIMER:
			job_done(sim, task);
			task->timer += step->ticks;
			if (task->timer > sim->now) {
				task->wake_at = task->timer;
				return false;
			}
			task->release = task->timer;
			*next_job = true;
			break;
		}
	}
}

/* ---- CPUs with a queue each ---- */

static void start(struct naive *sim, int cpu, int id)
{
	struct naive_task *task = &sim->task[id];

	assert(naive_waits(task) && sim->running[cpu] == NAIVE_NOBODY);
	task->cpu = cpu;
	task->on_cpu = true;
	sim->running[cpu] = id;
	sim->since[cpu] = sim->now;
	task->turn_left = naive_turn(sim, id);
}

static void stop(struct naive *sim, int cpu)
{
	sim->task[sim->running[cpu]].on_cpu = false;
	sim->running[cpu] = NAIVE_NOBODY;
}

static int waiting(const struct naive *sim, int cpu)
{
	int n = 0;

	for (int i = 0; i < sim->n_tasks; i++)
		n += naive_waits(&sim->task[i]) && sim->task[i].cpu == cpu;
	return n;
}

/* From the fullest queue, the first one after this CPU where several are as full. */
static int stolen(struct naive *sim, int cpu)
{
	int fullest = NAIVE_NOBODY, most = 0, id;

	if (sim->algorithm == NAIVE_PIN)
		return NAIVE_NOBODY;
	for (int i = 1; i < sim->n_cpus; i++) {
		int other = (cpu + i) % sim->n_cpus, n = waiting(sim, other);

		if (n > most) {
			most = n;
			fullest = other;
		}
	}
	if (fullest == NAIVE_NOBODY)
		return NAIVE_NOBODY;
	id = naive_first(sim, fullest, false);
	naive_depart(sim, id);
	sim->task[id].cpu = cpu;
	naive_arrive(sim, id, NAIVE_MOVED);
	sim->task[id].sequence = ++sim->sequence;
	return id;
}

static void look(struct naive *sim, int cpu)
{
	int id = naive_first(sim, cpu, true);

	if (id == NAIVE_NOBODY)
		id = stolen(sim, cpu);
	if (id != NAIVE_NOBODY)
		start(sim, cpu, id);
}

static void turn_over(struct naive *sim, int cpu, bool next_job)
{
	int id = sim->running[cpu], first = naive_first(sim, cpu, true);

	if (first == NAIVE_NOBODY || naive_keeps(sim, id, first)) {
		if (first == NAIVE_NOBODY && !next_job)
			naive_turn_over(sim, id);
		sim->since[cpu] = sim->now;
		sim->task[id].turn_left = naive_turn(sim, id);
		return;
	}
	if (!next_job)
		naive_turn_over(sim, id);
	stop(sim, cpu);
	sim->task[id].sequence = ++sim->sequence;
	look(sim, cpu);
}

static void cpu_ends(struct naive *sim, int cpu)
{
	int id = sim->running[cpu];
	struct naive_task *task;
	bool next_job = false;

	if (id == NAIVE_NOBODY)
		return;
	task = &sim->task[id];
	if (task->left == 0 && !advance(sim, task, &next_job)) {
		naive_depart(sim, id);
		stop(sim, cpu);
		task->runnable = false;
		look(sim, cpu);
		return;
	}
	if (task->limit && task->limit_left == 0) {
		naive_depart(sim, id);
		stop(sim, cpu);
		task->put_off = true;
		look(sim, cpu);
		return;
	}
	if (task->turn_left == 0 || next_job)
		turn_over(sim, cpu, next_job);
}

/* Its CPU when that idles, else the first that does, else its CPU all the same. */
static void arrive(struct naive *sim, int id, enum naive_why why)
{
	struct naive_task *task = &sim->task[id];

	for (int cpu = 0; cpu < sim->n_cpus && sim->running[task->cpu] != NAIVE_NOBODY; cpu++)
		if (sim->running[cpu] == NAIVE_NOBODY && sim->algorithm != NAIVE_PIN)
			task->cpu = cpu;
	naive_arrive(sim, id, why);
	task->sequence = ++sim->sequence;
	if (sim->running[task->cpu] == NAIVE_NOBODY) {
		look(sim, task->cpu);
	} else if (naive_preempts(sim, sim->running[task->cpu], id)) {
		stop(sim, task->cpu);
		look(sim, task->cpu);
	}
}

/* ---- A tick ---- */

static void runnable(struct naive *sim, int id, enum naive_why why)
{
	sim->task[id].runnable = true;
	sim->task[id].put_off = false;
	if (!global(sim)) {
		arrive(sim, id, why);
		return;
	}
	naive_global_arrive(sim, id, why);
	naive_global_choose(sim);
}

static void cpus_end(struct naive *sim)
{
	for (int cpu = 0; cpu < sim->n_cpus && !global(sim); cpu++)
		cpu_ends(sim, cpu);
	/* Nobody idles while another waits. */
	for (int cpu = 0; cpu < sim->n_cpus && !global(sim); cpu++)
		if (sim->running[cpu] == NAIVE_NOBODY)
			look(sim, cpu);
	for (int i = 0; i < sim->n_tasks && global(sim); i++) {
		struct naive_task *task = &sim->task[i];
		bool next_job = false;

		if (!task->on_cpu)
			continue;
		task->ended = task->left == 0 || (task->limit && task->limit_left == 0);
		if (task->left == 0 && !advance(sim, task, &next_job))
			task->runnable = task->on_cpu = false;
		else if (next_job)
			naive_global_arrive(sim, i, NAIVE_WOKEN);
		if (task->limit && task->limit_left == 0 && task->runnable) {
			task->put_off = true;
			task->on_cpu = false;
		}
		task->next_job = next_job;
	}
	if (global(sim))
		naive_global_end(sim);
}

/* A new period of the limit. One that was at it comes back after what ends on CPUs. */
static void limits(struct naive *sim, bool of_waiting)
{
	for (int i = 0; i < sim->n_tasks; i++) {
		struct naive_task *task = &sim->task[i];

		if (!task->limit_ends || task->put_off != of_waiting || sim->now < task->limit_ends)
			continue;
		task->limit_left = task->limit;
		task->limit_ends += task->limit_period;
		if (of_waiting)
			runnable(sim, i, NAIVE_RELEASED);
	}
}

static void wake_up(struct naive *sim)
{
	for (int i = 0; i < sim->n_tasks; i++) {
		struct naive_task *task = &sim->task[i];
		enum naive_why why = task->begun ? NAIVE_WOKEN : NAIVE_NEW;
		bool ignored;

		if (task->runnable || task->wake_at != sim->now)
			continue;
		task->release = sim->now;
		if (!task->begun)
			task->timer = sim->now;
		task->begun = true;
		advance(sim, task, &ignored);
		if (task->limit && task->limit_ends && task->limit_left == 0 && task->limit_ends > sim->now) {
			task->runnable = task->put_off = true; /* it had used up its limit when it fell asleep */
			continue;
		}
		runnable(sim, i, why);
	}
}

static void run(struct naive *sim, int *who)
{
	for (int i = 0; i < sim->n_tasks; i++) {
		struct naive_task *task = &sim->task[i];

		if (!task->on_cpu)
			continue;
		if (task->limit && !task->limit_ends) {
			task->limit_left = task->limit;
			task->limit_ends = sim->now + task->limit_period;
		}
		task->service++;
		task->left--;
		task->limit_left--;
		task->budget--;
		task->turn_left--;
		if (!global(sim))
			naive_ran(sim, i);
	}
	for (int cpu = 0; cpu < sim->n_cpus; cpu++)
		who[sim->now * sim->n_cpus + cpu] = sim->running[cpu];
}

static void begin(struct naive *sim)
{
	int pinned = 0;

	sim->now = 0;
	sim->open_at = sim->reset_at = -1;
	for (int cpu = 0; cpu < sim->n_cpus; cpu++)
		sim->running[cpu] = NAIVE_NOBODY;
	for (int i = 0; i < sim->n_tasks; i++) {
		sim->task[i].wake_at = sim->task[i].start;
		sim->task[i].first_miss = -1;
		/* pin: the CPU with the fewest, which is in turn */
		sim->task[i].cpu = sim->algorithm == NAIVE_PIN ? pinned++ % sim->n_cpus : i % sim->n_cpus;
	}
}

void naive_run(struct naive *sim, int horizon, int *who)
{
	begin(sim);
	for (; sim->now < horizon; sim->now++) {
		limits(sim, false);
		cpus_end(sim);
		if (global(sim))
			naive_global_budgets(sim);
		limits(sim, true);
		wake_up(sim);
		if (sim->algorithm == NAIVE_CREDIT && sim->now > 0 && sim->now % 100 == 0)
			naive_account(sim);
		run(sim, who);
	}
	cpus_end(sim); /* jobs that are done at the horizon are */
}
