#include "tests/unit/core/scheduling_driver.h"

#include <string.h>

struct driver *driver_new(const struct scheduling_strategy *ops, guint n_cpus, guint n)
{
	struct driver *driver = g_new0(struct driver, 1);
	struct scheduling_system *system = &driver->system;

	driver->ops = ops;
	driver->first_miss_ns = -1;
	driver->past_ns = G_MAXINT64;
	system->n_cpus = system->n_cores = n_cpus;
	system->n_queues = ops->scope == SCHEDULING_PER_CPU ? n_cpus : 1;
	system->n_entities = system->n_vms = n;
	system->entities = g_new0(struct scheduling_entity, n);
	system->changed = g_new0(guint32, n);
	system->vms = g_new0(struct scheduling_vm, n);
	system->cpus = g_new0(struct scheduling_cpu, n_cpus);
	system->queues = g_new0(struct scheduling_queue, system->n_queues);
	system->random = 88172645463325252;
	driver->guests = g_new0(struct guest, n);
	driver->slice_end_ns = g_new0(gint64, n_cpus);
	for (guint i = 0; i < n_cpus; i++)
		system->cpus[i] = (struct scheduling_cpu) {
			.id = i, .core = i, .running = SCHEDULING_NO_ENTITY, .queue = system->n_queues > 1 ? i : 0
		};
	for (guint i = 0; i < n; i++)
		system->entities[i] = (struct scheduling_entity) {
			.id = i, .vm = i, .cookie = i, .weight = SCHEDULING_WEIGHT_NORMAL, .cpu = i % n_cpus
		};
	strategy_values_init(&ops->info, &driver->values);
	driver_gang(driver, 1);
	return driver;
}

void driver_gang(struct driver *driver, guint size)
{
	struct scheduling_system *system = &driver->system;

	system->n_vms = (system->n_entities + size - 1) / size;
	for (guint i = 0; i < system->n_vms; i++)
		system->vms[i] = (struct scheduling_vm) { .first = i * size,
							  .n_vcpus = MIN(size, system->n_entities - i * size) };
	for (guint i = 0; i < system->n_entities; i++)
		system->entities[i].vm = system->entities[i].cookie = i / size;
}

void driver_free(struct driver *driver)
{
	g_free(driver->system.entities);
	g_free(driver->system.changed);
	g_free(driver->system.vms);
	g_free(driver->system.cpus);
	g_free(driver->system.queues);
	g_free(driver->guests);
	g_free(driver->slice_end_ns);
	g_free(driver);
}

void driver_set(struct driver *driver, const gchar *parameter, const gchar *value)
{
	g_assert_cmpint(strategy_values_set(&driver->ops->info, &driver->values, parameter, strlen(parameter), value),
			==, STRATEGY_SET_OK);
}

static void begin_job(struct driver *driver, guint i, enum scheduling_why why)
{
	struct scheduling_entity *entity = &driver->system.entities[i];
	struct guest *guest = &driver->guests[i];

	guest->job_left_ns = guest->run_ns ? guest->run_ns : G_MAXINT64;
	entity->release_ns = guest->next_ns;
	entity->enqueued_ns = driver->system.now_ns;
	guest->deadline_ns = guest->next_ns + guest->period_ns;
	if (guest->period_ns)
		guest->next_ns += guest->period_ns;
	guest->runnable = TRUE;
	if (why == SCHEDULING_JOB) {
		if (driver->ops->place)
			driver->ops->place(&driver->system, driver_queue_of(driver, entity), entity, why);
		return;
	}
	driver_wake(driver, entity, why);
}

static void slice_ended(struct driver *driver, guint cpu, gboolean place)
{
	struct scheduling_system *system = &driver->system;
	struct scheduling_entity *entity = &system->entities[system->cpus[cpu].running];
	struct scheduling_entity *first = driver_head(driver, system->cpus[cpu].queue);

	driver_off_cpu(driver, entity);
	if (!driver->ops->pick && first && driver->ops->keep(system, entity, first)) {
		driver_dispatch(driver, cpu, entity, SCHEDULING_NEVER);
		return;
	}
	if (place && driver->ops->place)
		driver->ops->place(system, driver_queue_of(driver, entity), entity, SCHEDULING_REQUEUE);
	driver_enqueue(driver, entity);
	driver_look(driver, cpu);
}

/* How long a dodging guest may run before it must be asleep for the tick. */
static gint64 until_dodge(gint64 now_ns)
{
	return 9900000 - now_ns % 10000000;
}

static void job_ended(struct driver *driver, guint cpu)
{
	struct scheduling_system *system = &driver->system;
	guint i = system->cpus[cpu].running;
	struct guest *guest = &driver->guests[i];
	gint64 tardiness = system->now_ns - guest->deadline_ns;

	if (guest->period_ns) {
		if (tardiness > 0 && driver->first_miss_ns < 0)
			driver->first_miss_ns = guest->deadline_ns;
		if (tardiness > 0)
			guest->jobs_tardy++;
		else
			guest->jobs_ok++;
		guest->tardiness_greatest_ns = MAX(guest->tardiness_greatest_ns, tardiness);
	}
	guest->runnable = FALSE;
	if (guest->period_ns && guest->next_ns <= system->now_ns) {
		begin_job(driver, i, SCHEDULING_JOB);
		if (system->entities[i].flags & SCHEDULING_HELD)
			driver_block(driver, &system->entities[i]);
		else
			slice_ended(driver, cpu, FALSE);
		return;
	}
	if (!guest->period_ns)
		guest->next_ns = guest->dodges ? (system->now_ns / 10000000 + 1) * 10000000 + 100000
					       : system->now_ns + guest->sleep_ns;
	driver_block(driver, &system->entities[i]);
}

static void log_add(struct driver *driver, gchar letter, gint64 delta_ns)
{
	for (driver->logged_ns += delta_ns; driver->logged_ns >= driver->log_ns; driver->logged_ns -= driver->log_ns)
		g_string_append_c(driver->log, letter);
}

/* Every running vCPU is charged at every event: simple, and always before an operation sees it. */
static void charge(struct driver *driver, gint64 delta_ns)
{
	struct scheduling_system *system = &driver->system;

	for (guint cpu = 0; delta_ns && cpu < system->n_cpus; cpu++) {
		guint i = system->cpus[cpu].running;

		if (i == SCHEDULING_NO_ENTITY) {
			if (driver->log)
				log_add(driver, '.', delta_ns);
			continue;
		}
		driver->guests[i].service_ns += delta_ns;
		driver->guests[i].woken_ns = system->now_ns;
		if (driver->guests[i].job_left_ns != G_MAXINT64)
			driver->guests[i].job_left_ns -= delta_ns;
		driver->ops->charge(system, &system->queues[system->cpus[cpu].queue], &system->entities[i], delta_ns);
		if (driver->log)
			log_add(driver, (gchar)('A' + i), delta_ns);
	}
}

static gint64 next_event(struct driver *driver)
{
	struct scheduling_system *system = &driver->system;
	gint64 next = driver->ops->tick_ns ? driver->next_tick_ns : G_MAXINT64;

	for (guint cpu = 0; cpu < system->n_cpus; cpu++) {
		guint i = system->cpus[cpu].running;

		if (i != SCHEDULING_NO_ENTITY || driver->ops->pick)
			next = MIN(next, driver->slice_end_ns[cpu]);
		if (i == SCHEDULING_NO_ENTITY)
			continue;
		if (driver->guests[i].job_left_ns != G_MAXINT64)
			next = MIN(next, system->now_ns + driver->guests[i].job_left_ns);
		if (driver->guests[i].dodges)
			next = MIN(next, system->now_ns + MAX(until_dodge(system->now_ns), 0));
	}
	for (guint i = 0; i < system->n_entities; i++) {
		if (!driver->guests[i].runnable)
			next = MIN(next, driver->guests[i].next_ns);
		if (system->entities[i].flags & (SCHEDULING_THROTTLED | SCHEDULING_TIMED))
			next = MIN(next, driver->ops->timer(system, &system->entities[i]));
	}
	return MAX(next, system->now_ns);
}

static void cpus_done(struct driver *driver)
{
	struct scheduling_system *system = &driver->system;

	for (guint cpu = 0; cpu < system->n_cpus; cpu++) {
		guint i = system->cpus[cpu].running;

		if (i == SCHEDULING_NO_ENTITY)
			continue;
		if (driver->guests[i].job_left_ns == 0 ||
		    (driver->guests[i].dodges && until_dodge(system->now_ns) <= 0))
			job_ended(driver, cpu);
		else if (system->entities[i].flags & SCHEDULING_HELD)
			driver_block(driver, &system->entities[i]);
	}
	driver_settle(driver);
	for (guint cpu = 0; cpu < system->n_cpus; cpu++) {
		if (system->cpus[cpu].running == SCHEDULING_NO_ENTITY)
			driver_look(driver, cpu);
		else if (driver->slice_end_ns[cpu] <= system->now_ns)
			slice_ended(driver, cpu, TRUE);
	}
}

static void expire(struct driver *driver, struct scheduling_entity *entity)
{
	const guint32 timed = SCHEDULING_THROTTLED | SCHEDULING_TIMED;
	struct scheduling_system *system = &driver->system;
	gboolean held = (entity->flags & SCHEDULING_HELD) != 0;

	if (!(entity->flags & timed) || driver->ops->timer(system, entity) > system->now_ns)
		return;
	driver->ops->expire(system, entity);
	g_assert_true(!(entity->flags & timed) || driver->ops->timer(system, entity) > system->now_ns);
	if (held && !(entity->flags & SCHEDULING_HELD) && driver->guests[entity->id].runnable)
		driver_wake(driver, entity, SCHEDULING_RELEASE);
}

static void entities_due(struct driver *driver)
{
	struct scheduling_system *system = &driver->system;

	for (guint i = 0; i < system->n_entities; i++) {
		struct scheduling_entity *entity = &system->entities[i];
		struct guest *guest = &driver->guests[i];

		expire(driver, entity);
		if (!guest->runnable && guest->next_ns <= system->now_ns)
			begin_job(driver, i, guest->runs ? SCHEDULING_WAKE : SCHEDULING_NEW);
		driver_settle(driver);
	}
}

/* When to stop. Whole events: at the end of a burst that was expected once to end just past the end, even if it was
 * preempted since. */
static gint64 past(struct driver *driver, gint64 until_ns)
{
	struct scheduling_system *system = &driver->system;

	if (!driver->whole_events)
		return until_ns;
	for (guint cpu = 0; cpu < system->n_cpus; cpu++) {
		guint i = system->cpus[cpu].running;

		if (i != SCHEDULING_NO_ENTITY &&
		    system->cpus[cpu].since_ns + driver->guests[i].job_left_ns > until_ns &&
		    system->cpus[cpu].since_ns == system->now_ns)
			driver->past_ns = MIN(driver->past_ns, system->now_ns + driver->guests[i].job_left_ns);
	}
	return driver->past_ns;
}

void driver_run(struct driver *driver, gint64 until_ns)
{
	struct scheduling_system *system = &driver->system;

	if (!system->values) {
		system->values = &driver->values;
		for (gsize i = 0; i < driver->ops->info.n_parameters; i++)
			system->parameter[i] = (gint64)driver->values.value[i];
		if (driver->ops->start)
			driver->ops->start(system);
		for (guint i = 0; i < system->n_entities; i++) {
			driver->guests[i].next_ns = driver->guests[i].first_ns;
			if (!(system->entities[i].flags & SCHEDULING_ADMITTED))
				g_assert_cmpint(driver->ops->admit(system, &system->entities[i]), ==,
						SCHEDULING_ACCEPTED);
		}
		driver->next_tick_ns = driver->ops->tick_ns;
		driver->starting = TRUE;
		entities_due(driver);
		driver->starting = FALSE;
		for (guint cpu = 0; cpu < system->n_cpus; cpu++)
			driver_look(driver, cpu);
	}
	while (system->now_ns < until_ns || (driver->whole_events && system->now_ns == until_ns)) {
		gint64 next = next_event(driver), delta;

		next = MIN(next, past(driver, until_ns));
		delta = next - system->now_ns;
		system->now_ns = next;
		driver->events++;
		charge(driver, delta);
		if (next == until_ns && !driver->whole_events)
			break;
		cpus_done(driver);
		if (driver->ops->tick_ns && driver->next_tick_ns <= next) {
			driver->next_tick_ns += driver->ops->tick_ns;
			for (guint cpu = 0; cpu < system->n_cpus; cpu++) {
				driver->ops->tick(system, cpu);
				driver_settle(driver);
			}
		}
		entities_due(driver);
		for (guint cpu = 0; cpu < system->n_cpus; cpu++)
			if (system->cpus[cpu].running == SCHEDULING_NO_ENTITY)
				driver_look(driver, cpu);
		if (driver->after_event)
			driver->after_event(driver);
	}
}
