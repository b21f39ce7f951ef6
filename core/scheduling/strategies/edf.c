/* edf: The vCPU whose job is due first, whatever it has used: plain global earliest deadline first.
 *
 * Idea: one queue for all CPUs, ordered by absolute deadline: the release of the current job plus its period. The m
 * earliest run, at every instant. A vCPU without a period gets default-deadline-us after it woke. Nothing guards against
 * one that runs longer than it declared; that is edf-cbs.
 *
 * Source: C. L. Liu, J. W. Layland, "Scheduling Algorithms for Multiprogramming in a Hard-Real-Time Environment", Journal
 * of the ACM 20(1), 1973; on several processors S. K. Dhall, C. L. Liu, "On a Real-Time Scheduling Problem", Operations
 * Research 26(1), 1978. The admission test: J. Goossens, S. Funk, S. Baruah, "Priority-Driven Scheduling of Periodic Task
 * Systems on Multiprocessors", Real-Time Systems 25, 2003.
 *
 * Complexity: constant, beside the queue's order.
 *
 * Loses: on several CPUs a light load with one heavy task can miss (Dhall's effect: the bound is m − (m − 1)·u_max, not
 * m); an overload makes all late together; one queue costs migrations and cache.
 */
#include "core/scheduling/limit.h"
#include "core/scheduling/strategies/strategies.h"

enum { DEFAULT_DEADLINE_US };

static const struct strategy_parameter parameters[] = {
	{ .name = "default-deadline-us",
	  .type = STRATEGY_INTEGER,
	  .min = 1000,
	  .max = 10000000,
	  .initial = 100000,
	  .doc = "deadline after waking of a vCPU that declares no period" },
};

static void place(struct scheduling_system *system, struct scheduling_queue *queue, struct scheduling_entity *entity,
		  enum scheduling_why why)
{
	switch (why) {
	case SCHEDULING_NEW:
	case SCHEDULING_WAKE:
	case SCHEDULING_JOB:
		entity->deadline =
			entity->release_ns +
			(entity->period_ns ? entity->period_ns : system->parameter[DEFAULT_DEADLINE_US] * 1000);
		break;
	case SCHEDULING_REQUEUE: /* a job keeps its deadline, however late; one that never ends gets the next */
		if (!entity->period_ns)
			entity->deadline = system->now_ns + system->parameter[DEFAULT_DEADLINE_US] * 1000;
		break;
	case SCHEDULING_RELEASE: /* its job may have been released while it was held */
		if (entity->period_ns)
			entity->deadline = entity->release_ns + entity->period_ns;
		break;
	case SCHEDULING_MIGRATE:
		break;
	}
}

static int64_t key(const struct scheduling_system *system, const struct scheduling_entity *entity)
{
	return entity->deadline;
}

static bool keep(const struct scheduling_system *system, const struct scheduling_entity *running,
		 const struct scheduling_entity *head)
{
	/* One without jobs has had its turn. */
	return running->period_ns && !scheduling_before(head->deadline, running->deadline);
}

static bool preempt(const struct scheduling_system *system, const struct scheduling_entity *running,
		    const struct scheduling_entity *woken)
{
	return scheduling_before(woken->deadline, running->deadline);
}

static int64_t slice(const struct scheduling_system *system, const struct scheduling_entity *entity)
{
	int64_t most = entity->period_ns ? SCHEDULING_NEVER : system->parameter[DEFAULT_DEADLINE_US] * 1000;

	return limit_slice(system, entity, most);
}

static void project(const struct scheduling_system *system, const struct scheduling_entity *entity,
		    struct scheduling_knobs *knobs)
{
	scheduling_knobs_by_weight(entity, knobs, 0,
				   "without a reservation there is no deadline in the kernel: the vCPU runs by weight "
				   "behind the others");
	if (entity->runtime_ns && entity->period_ns) {
		scheduling_knobs_reserve(entity, knobs);
		knobs->lost = "SCHED_DEADLINE adds a budget: a job longer than its reservation is put off to the next "
			      "period";
	}
}

const struct scheduling_strategy strategy_edf = {
	.info = { .name = "edf",
		  .summary = "The vCPU whose job is due first, whatever it has used: plain global earliest deadline "
			     "first.",
		  .kind = STRATEGY_ONLINE,
		  .index = STRATEGY_INDEX_EXACT,
		  .parameters = parameters,
		  .n_parameters = sizeof(parameters) / sizeof(*parameters) },
	.scope = SCHEDULING_GLOBAL,
	.work_conserving = true,
	.admit = scheduling_admit,
	.retire = scheduling_retire,
	.place = place,
	.key = key,
	.keep = keep,
	.preempt = preempt,
	.charge = limit_charge_only,
	.slice = slice,
	.timer = limit_timer,
	.expire = limit_expire,
	.project = project,
};
