/* One queue for all CPUs: at every tick the m first of all that want to run, run.
 *
 * EDF: the job that is due first. C. L. Liu, J. W. Layland, Journal of the ACM 20(1), 1973; on several CPUs S. K. Dhall,
 * C. L. Liu, Operations Research 26(1), 1978.
 * FIFO: the highest priority; equals in order of arrival, and one that was preempted is still before those that came after
 * it. POSIX.1b, SCHED_FIFO.
 * CBS: a reservation of Q in each T is a server with a budget c and a deadline d. L. Abeni, G. Buttazzo, RTSS 1998, and
 * Linux, Documentation/scheduler/sched-deadline.rst: the first job: c = Q, d = now + T. A job that comes when c is more
 * than (d − now)·Q/T: likewise; else c and d are used as they are. c is used up: the server waits until d, then c = Q and
 * d = d + T, whether a job waits or not. Servers by EDF; those without a reservation get the CPUs that are left. */
#include "tests/unit/lab/naive/naive.h"

static bool reserved(const struct naive_task *task)
{
	return task->runtime > 0;
}

void naive_global_arrive(struct naive *sim, int id, enum naive_why why)
{
	struct naive_task *task = &sim->task[id];

	if (!task->on_cpu)
		task->sequence = ++sim->sequence;
	task->sequence_open = false;
	if (sim->algorithm == NAIVE_EDF)
		task->due = task->release + task->period;
	if (sim->algorithm != NAIVE_CBS || !reserved(task) || task->on_cpu || task->spent)
		return;
	if (why == NAIVE_NEW || sim->now >= task->due ||
	    task->budget * task->period > (task->due - sim->now) * task->runtime) {
		task->due = sim->now + task->period;
		task->budget = task->runtime;
	}
}

/* −1, 1, or 0: by definition neither is before the other. */
static int order(const struct naive *sim, const struct naive_task *a, const struct naive_task *b)
{
	int first = a->due, second = b->due;

	if (sim->algorithm == NAIVE_FIFO) {
		first = -a->priority;
		second = -b->priority;
	} else if (sim->algorithm == NAIVE_CBS && (!reserved(a) || !reserved(b))) {
		first = !reserved(a);
		second = !reserved(b);
	}
	return first < second ? -1 : first > second;
}

/* One that must wait with its next job comes after its equals; before or after those of which the same is true now depends on
 * the order of CPUs, and so does whether it must wait for an equal. For servers that is always open. */
static void check_next_jobs(struct naive *sim)
{
	int ended = 0;

	for (int i = 0; i < sim->n_tasks; i++)
		ended += sim->task[i].ended;
	for (int i = 0; i < sim->n_tasks; i++) {
		struct naive_task *task = &sim->task[i];

		for (int other = 0; other < sim->n_tasks && task->next_job && task->on_cpu; other++)
			if ((sim->algorithm == NAIVE_CBS || ended > 1) && naive_waits(&sim->task[other]) &&
			    order(sim, task, &sim->task[other]) == 0)
				naive_open(sim);
		if (task->next_job && !task->on_cpu)
			task->sequence = ++sim->sequence;
		task->sequence_open = task->sequence_open || (task->next_job && ended > 1);
		task->next_job = task->ended = false;
	}
}

void naive_global_end(struct naive *sim)
{
	for (int i = 0; i < sim->n_tasks; i++) {
		struct naive_task *task = &sim->task[i];

		if (sim->algorithm != NAIVE_CBS || !reserved(task) || !task->begun || task->budget > 0)
			continue;
		task->spent = true;
		task->on_cpu = false;
	}
	naive_global_choose(sim);
	check_next_jobs(sim);
}

void naive_global_budgets(struct naive *sim)
{
	for (int i = 0; i < sim->n_tasks; i++) {
		struct naive_task *task = &sim->task[i];

		if (!task->spent || sim->now < task->due)
			continue;
		task->spent = false;
		task->budget = task->runtime;
		task->due += task->period;
		task->sequence = ++sim->sequence;
		naive_global_choose(sim);
	}
}

/* Among equals those that run go on, then first come, first served. */
static bool before(struct naive *sim, const struct naive_task *a, const struct naive_task *b)
{
	int by_rule = order(sim, a, b);

	if (by_rule)
		return by_rule < 0;
	if (a->on_cpu != b->on_cpu)
		return a->on_cpu;
	return a->sequence < b->sequence;
}

/* Of two equals that both had a CPU one has to go, or it is open who came first: which, is open. */
static void check_open(struct naive *sim, const struct naive_task *last, const struct naive_task *next)
{
	if (order(sim, last, next) != 0 || (sim->algorithm == NAIVE_CBS && !reserved(next)))
		return;
	if ((last->on_cpu && next->on_cpu) || (!last->on_cpu && (last->sequence_open || next->sequence_open)))
		naive_open(sim);
}

static void place(struct naive *sim, bool *chosen)
{
	for (int cpu = 0; cpu < sim->n_cpus; cpu++)
		if (sim->running[cpu] >= 0 && !chosen[sim->running[cpu]])
			sim->running[cpu] = NAIVE_NOBODY;
	for (int cpu = 0; cpu < sim->n_cpus; cpu++)
		if (sim->running[cpu] >= 0)
			chosen[sim->running[cpu]] = false; /* has its CPU */
	for (int i = 0; i < sim->n_tasks; i++)
		for (int cpu = 0; cpu < sim->n_cpus && chosen[i]; cpu++)
			if (sim->running[cpu] == NAIVE_NOBODY) {
				sim->running[cpu] = i;
				chosen[i] = false;
			}
}

void naive_global_choose(struct naive *sim)
{
	bool chosen[NAIVE_TASKS] = { false };

	for (int n = 0; n <= sim->n_cpus; n++) {
		int best = NAIVE_NOBODY;

		for (int i = 0; i < sim->n_tasks; i++)
			if (naive_wants(&sim->task[i]) && !chosen[i] &&
			    (best == NAIVE_NOBODY || before(sim, &sim->task[i], &sim->task[best])))
				best = i;
		if (best == NAIVE_NOBODY)
			break;
		if (n < sim->n_cpus) {
			chosen[best] = true;
			continue;
		}
		for (int i = 0; i < sim->n_tasks; i++)
			for (int other = 0; other < sim->n_tasks && chosen[i]; other++)
				if (!chosen[other] && naive_wants(&sim->task[other]))
					check_open(sim, &sim->task[i], &sim->task[other]);
	}
	for (int i = 0; i < sim->n_tasks; i++)
		sim->task[i].on_cpu = chosen[i];
	place(sim, chosen);
}
