#include "tests/unit/core/scheduling_driver.h"

struct scheduling_queue *driver_queue_of(struct driver *driver, const struct scheduling_entity *entity)
{
	return &driver->system.queues[driver->system.cpus[entity->cpu].queue];
}

void driver_enqueue(struct driver *driver, struct scheduling_entity *entity)
{
	entity->sequence = ++driver->sequence;
	driver->guests[entity->id].queued = TRUE;
}

static struct scheduling_entity *least(struct driver *driver, guint queue, gboolean eligibility)
{
	struct scheduling_system *system = &driver->system;
	struct scheduling_entity *best = NULL;
	gint64 best_key = 0;

	for (guint i = 0; i < system->n_entities; i++) {
		struct scheduling_entity *entity = &system->entities[i];
		gint64 key;

		if (!driver->guests[i].queued || system->cpus[entity->cpu].queue != queue)
			continue;
		if (eligibility && scheduling_before(system->queues[queue].virtual_time, entity->eligible))
			continue;
		key = driver->ops->key(system, entity);
		if (best && !scheduling_before(key, best_key) &&
		    !(key == best_key && entity->sequence < best->sequence))
			continue;
		best = entity;
		best_key = key;
	}
	return best;
}

struct scheduling_entity *driver_head(struct driver *driver, guint queue)
{
	return least(driver, queue, driver->ops->eligibility);
}

void driver_off_cpu(struct driver *driver, struct scheduling_entity *entity)
{
	if (!(entity->flags & SCHEDULING_RUNNING))
		return;
	entity->flags &= ~(guint32)SCHEDULING_RUNNING;
	driver->system.cpus[entity->cpu].running = SCHEDULING_NO_ENTITY;
}

void driver_block(struct driver *driver, struct scheduling_entity *entity)
{
	struct scheduling_queue *queue = driver_queue_of(driver, entity);

	driver_off_cpu(driver, entity);
	driver->guests[entity->id].queued = FALSE;
	entity->flags &= ~(guint32)SCHEDULING_ON_QUEUE;
	driver->system.vms[entity->vm].n_runnable--;
	if (driver->ops->block)
		driver->ops->block(&driver->system, queue, entity);
	queue->n--;
	if (driver->ops->leave)
		driver->ops->leave(&driver->system, queue, entity);
}

void driver_dispatch(struct driver *driver, guint cpu, struct scheduling_entity *entity, gint64 until_ns)
{
	struct scheduling_system *system = &driver->system;
	struct guest *guest = &driver->guests[entity->id];
	gint64 slice;

	g_assert_cmpuint(entity->flags & (SCHEDULING_HELD | SCHEDULING_RUNNING), ==, 0);
	g_assert_true(entity->flags & SCHEDULING_ON_QUEUE);
	guest->queued = FALSE;
	guest->wait_greatest_ns = MAX(guest->wait_greatest_ns, system->now_ns - guest->woken_ns);
	guest->woken_ns = system->now_ns;
	guest->runs++;
	entity->cpu = cpu;
	entity->flags |= SCHEDULING_RUNNING;
	system->cpus[cpu].running = entity->id;
	system->cpus[cpu].since_ns = system->now_ns;
	slice = driver->ops->slice(system, entity);
	driver->slice_end_ns[cpu] = slice >= until_ns - system->now_ns ? until_ns : system->now_ns + MAX(slice, 1);
}

static struct scheduling_entity *moved(struct driver *driver, struct scheduling_entity *entity, guint cpu)
{
	struct scheduling_system *system = &driver->system;

	driver_queue_of(driver, entity)->n--;
	if (driver->ops->leave)
		driver->ops->leave(system, driver_queue_of(driver, entity), entity);
	entity->cpu = cpu;
	if (driver->ops->place)
		driver->ops->place(system, driver_queue_of(driver, entity), entity, SCHEDULING_MIGRATE);
	driver_queue_of(driver, entity)->n++;
	if (driver->ops->join)
		driver->ops->join(system, driver_queue_of(driver, entity), entity);
	return entity;
}

static struct scheduling_entity *stolen(struct driver *driver, guint cpu)
{
	struct scheduling_system *system = &driver->system;
	struct scheduling_entity *entity = NULL;
	guint fullest = 0;

	for (guint i = 0; i < system->n_queues; i++) {
		struct scheduling_entity *first = least(driver, i, FALSE);

		if (!first || system->queues[i].n <= fullest)
			continue;
		fullest = system->queues[i].n;
		entity = first;
	}
	return entity ? moved(driver, entity, cpu) : NULL;
}

void driver_look(struct driver *driver, guint cpu)
{
	struct scheduling_system *system = &driver->system;
	gint64 until_ns = SCHEDULING_NEVER;
	struct scheduling_entity *entity;

	if (driver->ops->pick) {
		guint32 id = driver->ops->pick(system, cpu, &until_ns);

		driver->slice_end_ns[cpu] = until_ns; /* of an idle CPU: when to look again */
		g_assert_cmpint(until_ns, >, system->now_ns);
		if (id != SCHEDULING_NO_ENTITY) {
			entity = &system->entities[id];
			if (system->cpus[entity->cpu].queue != system->cpus[cpu].queue)
				moved(driver, entity, cpu);
			driver_dispatch(driver, cpu, entity, until_ns);
			return;
		}
		if (!driver->ops->work_conserving)
			return;
	}
	entity = driver_head(driver, system->cpus[cpu].queue);
	if (!entity && driver->ops->steals)
		entity = stolen(driver, cpu);
	if (entity)
		driver_dispatch(driver, cpu, entity, until_ns);
}

static guint cpu_for(struct driver *driver, struct scheduling_entity *entity)
{
	struct scheduling_system *system = &driver->system;
	guint idle = SCHEDULING_NO_CPU, greatest = 0;

	for (guint i = 0; i < system->n_cpus; i++) {
		guint cpu = (entity->cpu + i) % system->n_cpus;

		if (system->cpus[cpu].running == SCHEDULING_NO_ENTITY && idle == SCHEDULING_NO_CPU)
			idle = cpu;
	}
	if (driver->ops->select)
		return driver->ops->select(system, entity, idle);
	if (idle != SCHEDULING_NO_CPU)
		return idle;
	if (driver->ops->scope == SCHEDULING_PER_CPU)
		return entity->cpu;
	for (guint i = 1; i < system->n_cpus; i++) {
		const struct scheduling_entity *a = &system->entities[system->cpus[greatest].running];
		const struct scheduling_entity *b = &system->entities[system->cpus[i].running];

		if (scheduling_before(driver->ops->key(system, a), driver->ops->key(system, b)))
			greatest = i;
	}
	return greatest;
}

void driver_wake(struct driver *driver, struct scheduling_entity *entity, enum scheduling_why why)
{
	struct scheduling_system *system = &driver->system;
	guint cpu = cpu_for(driver, entity), running;
	struct scheduling_queue *queue = &system->queues[system->cpus[cpu].queue];

	g_assert_cmpuint(cpu, <, system->n_cpus);
	if (entity->flags & SCHEDULING_HELD)
		return;
	entity->cpu = cpu;
	driver->guests[entity->id].woken_ns = system->now_ns;
	if (driver->ops->place)
		driver->ops->place(system, queue, entity, why);
	if (driver->placed)
		driver->placed(driver, entity);
	queue->n++;
	entity->flags |= SCHEDULING_ON_QUEUE;
	system->vms[entity->vm].n_runnable++;
	if (driver->ops->join)
		driver->ops->join(system, queue, entity);
	driver_enqueue(driver, entity);
	running = system->cpus[cpu].running;
	if (running == SCHEDULING_NO_ENTITY) {
		if (!driver->starting)
			driver_look(driver, cpu);
	} else if (driver->ops->preempt(system, &system->entities[running], entity)) {
		driver_off_cpu(driver, &system->entities[running]);
		driver_enqueue(driver, &system->entities[running]);
		driver_look(driver, cpu);
	}
}

/* Blocks, releases and orders anew what an operation changed. */
void driver_settle(struct driver *driver)
{
	struct scheduling_system *system = &driver->system;

	for (guint i = 0; i < system->n_changed; i++) {
		struct scheduling_entity *entity = &system->entities[system->changed[i]];

		entity->flags &= ~(guint32)SCHEDULING_CHANGED;
		if ((entity->flags & SCHEDULING_HELD) && (entity->flags & SCHEDULING_ON_QUEUE))
			driver_block(driver, entity);
		else if (!(entity->flags & (SCHEDULING_HELD | SCHEDULING_ON_QUEUE)) &&
			 driver->guests[entity->id].runnable)
			driver_wake(driver, entity, SCHEDULING_RELEASE);
	}
	system->n_changed = 0;
}
