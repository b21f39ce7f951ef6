/* eevdf: Earliest eligible virtual deadline first: by weight, and each as soon as its request asks for.
 *
 * Idea: a vCPU's virtual time is its service divided by its weight. Who is not ahead of the weighted mean is eligible;
 * each request of r gets the deadline r ÷ weight later; the eligible one with the earliest deadline runs, for its whole
 * request. Short requests come sooner and no oftener: latency is bought with slice length, not with share. Lag, the
 * distance from the mean, is kept over sleep, so that nobody gains or loses by sleeping. A vCPU with a latency target
 * and no request of its own asks for latency-slice-percent of the target.
 *
 * Source: I. Stoica, H. Abdel-Wahab, "Earliest Eligible Virtual Deadline First", Old Dominion University TR-95-22, 1995;
 * Linux 6.6 and later.
 *
 * Complexity: constant, beside the queue's order (a search tree by deadline with the least virtual time of each
 * subtree).
 *
 * Loses: real-time reservations, which edf-cbs and table keep and weights do not. The bound −r_max < lag < max(r, q) is of
 * vCPUs that come and go with a lag of 0; one that blocks with a lag shifts the mean under the others.
 */
#include "core/scheduling/average.h"
#include "core/scheduling/limit.h"
#include "core/scheduling/strategies/strategies.h"

enum { SLICE_US, LATENCY_SLICE_PERCENT };

#define REQUEST_MIN_NS 100000 /* the kernel's least slice */

static const struct strategy_parameter parameters[] = {
	{ .name = "slice-us",
	  .type = STRATEGY_INTEGER,
	  .min = 100,
	  .max = 100000,
	  .initial = 3000,
	  .doc = "request of a vCPU that names none and has no latency target" },
	{ .name = "latency-slice-percent",
	  .type = STRATEGY_INTEGER,
	  .min = 1,
	  .max = 100,
	  .initial = 10,
	  .doc = "request of a vCPU with a latency target, as a part of the target" },
};

static int64_t request_of(const struct scheduling_system *system, const struct scheduling_entity *entity)
{
	int64_t request = system->parameter[SLICE_US] * 1000, wanted;

	if (entity->request_ns)
		return entity->request_ns;
	if (!entity->latency_ns)
		return request;
	wanted = entity->latency_ns / 100 * system->parameter[LATENCY_SLICE_PERCENT];
	if (wanted < REQUEST_MIN_NS)
		wanted = REQUEST_MIN_NS;
	return wanted < request ? wanted : request;
}

static const struct scheduling_queue *queue_of(const struct scheduling_system *system,
					       const struct scheduling_entity *entity)
{
	return &system->queues[system->cpus[entity->cpu].queue];
}

static bool eligible(const struct scheduling_system *system, const struct scheduling_entity *entity)
{
	return !scheduling_before(queue_of(system, entity)->virtual_time, entity->eligible);
}

static void set_deadline(const struct scheduling_system *system, struct scheduling_entity *entity)
{
	entity->deadline = entity->virtual_time + scheduling_virtual(request_of(system, entity), entity->weight);
}

/* Joining moves the mean towards the newcomer; it is put so far off that its lag is the kept one after that. */
static int64_t lag_before_joining(const struct scheduling_queue *queue, const struct scheduling_entity *entity)
{
	int64_t most = INT64_MAX / (2 * (int64_t)SCHEDULING_WEIGHT_MAX);
	int64_t lag = entity->lag;

	if (!queue->weight)
		return 0;
	lag = lag > most ? most : lag < -most ? -most : lag;
	return lag + lag * (int64_t)entity->weight / (int64_t)queue->weight;
}

static void place(struct scheduling_system *system, struct scheduling_queue *queue, struct scheduling_entity *entity,
		  enum scheduling_why why)
{
	int64_t left = average_difference(entity->deadline, entity->virtual_time);

	switch (why) {
	case SCHEDULING_NEW:
		entity->lag = 0;
		entity->virtual_time = queue->virtual_time;
		set_deadline(system, entity);
		break;
	case SCHEDULING_WAKE:
		entity->virtual_time = queue->virtual_time - lag_before_joining(queue, entity);
		set_deadline(system, entity);
		break;
	case SCHEDULING_MIGRATE: /* it goes on with the request it has */
	case SCHEDULING_RELEASE:
		entity->virtual_time = queue->virtual_time - lag_before_joining(queue, entity);
		entity->deadline = entity->virtual_time + left;
		break;
	case SCHEDULING_REQUEUE: /* charge has renewed the request */
	case SCHEDULING_JOB:
		break;
	}
	entity->eligible = entity->virtual_time;
}

static void leave(struct scheduling_system *system, struct scheduling_queue *queue, struct scheduling_entity *entity)
{
	int64_t most = scheduling_virtual(request_of(system, entity), entity->weight);

	entity->lag = average_lag_within(queue, entity, most);
	average_remove(queue, entity);
}

static int64_t key(const struct scheduling_system *system, const struct scheduling_entity *entity)
{
	return entity->deadline;
}

static bool keep(const struct scheduling_system *system, const struct scheduling_entity *running,
		 const struct scheduling_entity *head)
{
	return eligible(system, running) && scheduling_before(running->deadline, head->deadline);
}

/* A request once begun runs to its end, unless a shorter one comes or the running one has had its share. */
static bool preempt(const struct scheduling_system *system, const struct scheduling_entity *running,
		    const struct scheduling_entity *woken)
{
	if (!eligible(system, woken) || !scheduling_before(woken->deadline, running->deadline))
		return false;
	return request_of(system, woken) < request_of(system, running) || !eligible(system, running);
}

static void charge(struct scheduling_system *system, struct scheduling_queue *queue, struct scheduling_entity *entity,
		   int64_t delta_ns)
{
	average_advance(queue, entity, delta_ns);
	entity->eligible = entity->virtual_time;
	if (!scheduling_before(entity->virtual_time, entity->deadline))
		set_deadline(system, entity);
	limit_charge(system, entity, delta_ns);
}

static int64_t slice(const struct scheduling_system *system, const struct scheduling_entity *entity)
{
	int64_t left = average_difference(entity->deadline, entity->virtual_time);

	return limit_slice(system, entity, scheduling_real(left, entity->weight));
}

static void project(const struct scheduling_system *system, const struct scheduling_entity *entity,
		    struct scheduling_knobs *knobs)
{
	scheduling_knobs_init(entity, knobs);
	knobs->slice_ns = request_of(system, entity);
	knobs->exactness = entity->runtime_ns ? SCHEDULING_APPROXIMATE : SCHEDULING_EXACT;
	knobs->lost = entity->runtime_ns ? "the reservation: admitted, but only its weight stands for it" : NULL;
}

const struct scheduling_strategy strategy_eevdf = {
	.info = { .name = "eevdf",
		  .summary = "Earliest eligible virtual deadline first: by weight, and each as soon as its request "
			     "asks for.",
		  .kind = STRATEGY_ONLINE,
		  .index = STRATEGY_INDEX_EXACT,
		  .parameters = parameters,
		  .n_parameters = sizeof(parameters) / sizeof(*parameters) },
	.scope = SCHEDULING_PER_CPU,
	.proportional = true,
	.eligibility = true,
	.work_conserving = true,
	.steals = true,
	.admit = scheduling_admit,
	.retire = scheduling_retire,
	.place = place,
	.join = average_join,
	.leave = leave,
	.key = key,
	.keep = keep,
	.preempt = preempt,
	.charge = charge,
	.slice = slice,
	.timer = limit_timer,
	.expire = limit_expire,
	.project = project,
};
