/* The placer: one way to change a world, so that the strategy hears of every change. */
#include "core/allocation/family.h"

#include <stdlib.h>

#include "core/allocation/placer_private.h"
#include "core/allocation/world_private.h"

static void *state_new(const struct allocation_world *world, const struct allocation_strategy *strategy,
		       const struct strategy_values *values, uint64_t seed)
{
	struct strategy_values defaults;

	if (values == NULL) {
		strategy_values_init(&strategy->info, &defaults);
		values = &defaults;
	}
	return strategy->new (world, values, seed); /* cppcheck-suppress returnDanglingLifetime ; it keeps a copy */
}

struct allocation_placer *allocation_placer_new(struct allocation_world *world,
						const struct allocation_strategy *strategy,
						const struct strategy_values *values, uint64_t seed)
{
	struct allocation_placer *placer = calloc(1, sizeof(*placer));

	if (placer == NULL)
		return NULL;
	placer->world = world;
	if (!allocation_placer_switch(placer, strategy, values, seed)) {
		free(placer);
		return NULL;
	}
	return placer;
}

void allocation_placer_free(struct allocation_placer *placer)
{
	if (placer == NULL)
		return;
	placer->strategy->free(placer->state);
	free(placer);
}

bool allocation_placer_switch(struct allocation_placer *placer, const struct allocation_strategy *strategy,
			      const struct strategy_values *values, uint64_t seed)
{
	void *state = state_new(placer->world, strategy, values, seed);

	if (state == NULL)
		return false;
	if (placer->strategy != NULL)
		placer->strategy->free(placer->state);
	placer->strategy = strategy;
	placer->state = state;
	placer->scans = false;
	return true;
}

struct allocation_world *allocation_placer_world(struct allocation_placer *placer)
{
	return placer->world;
}

void allocation_placer_decide(struct allocation_placer *placer, uint32_t class_id, int64_t now_ms,
			      struct allocation_decision *decision)
{
	if (placer->scans && placer->strategy->cost != NULL)
		allocation_scan(placer->strategy, placer->state, placer->world, class_id, now_ms, decision);
	else
		placer->strategy->decide(placer->state, placer->world, class_id, now_ms, decision);
}

static void tell(struct allocation_placer *placer, const struct allocation_event *event)
{
	if (placer->strategy->update != NULL && !placer->strategy->update(placer->state, placer->world, event))
		placer->scans = true;
}

uint32_t allocation_placer_place(struct allocation_placer *placer, uint32_t class_id, const struct allocation_fit *fit,
				 int64_t now_ms)
{
	uint32_t vm = allocation_world_place(placer->world, class_id, fit, now_ms);

	if (vm != ALLOCATION_NONE)
		tell(placer, &(struct allocation_event) { .change = ALLOCATION_PLACED,
							  .vm = vm,
							  .class_id = class_id,
							  .host = fit->host,
							  .nodes = fit->nodes,
							  .now_ms = now_ms });
	return vm;
}

uint32_t allocation_placer_move(struct allocation_placer *placer, uint32_t vm, const struct allocation_fit *to,
				int64_t now_ms)
{
	const struct allocation_placement *was = allocation_world_placement(placer->world, vm);
	struct allocation_event event = { .change = ALLOCATION_PLACED,
					  .class_id = was->class_id,
					  .host = to->host,
					  .nodes = to->nodes,
					  .now_ms = now_ms,
					  .moved = true,
					  .from = vm };

	/* Placed first: the class must not end with its only VM. */
	event.vm = allocation_world_place(placer->world, was->class_id, to, was->placed_ms);
	if (event.vm == ALLOCATION_NONE)
		return ALLOCATION_NONE;
	tell(placer, &event);
	placer_remove(placer, vm, now_ms, -1);
	return event.vm;
}

void placer_remove(struct allocation_placer *placer, uint32_t vm, int64_t now_ms, int64_t lived_ms)
{
	const struct allocation_placement *placement = allocation_world_placement(placer->world, vm);
	struct allocation_event event = { .change = ALLOCATION_REMOVED,
					  .vm = vm,
					  .class_id = placement->class_id,
					  .host = placement->host,
					  .nodes = placement->nodes,
					  .now_ms = now_ms,
					  .lived_ms = lived_ms };

	world_class_at(placer->world, event.class_id)->refs++; /* the event names it: not gone before it is told */
	allocation_world_remove(placer->world, vm);
	tell(placer, &event);
	allocation_world_class_unref(placer->world, event.class_id);
}

void allocation_placer_remove(struct allocation_placer *placer, uint32_t vm, int64_t now_ms)
{
	int64_t placed_ms = allocation_world_placement(placer->world, vm)->placed_ms;

	placer_remove(placer, vm, now_ms, now_ms > placed_ms ? now_ms - placed_ms : 0);
}

void placer_host_changed(struct allocation_placer *placer, uint32_t host)
{
	struct allocation_event event = {
		.change = ALLOCATION_HOST_CHANGED, .vm = ALLOCATION_NONE, .class_id = ALLOCATION_NONE, .host = host
	};

	tell(placer, &event);
}

uint32_t allocation_placer_host_add(struct allocation_placer *placer, const struct allocation_host *host)
{
	uint32_t number = allocation_world_host_add(placer->world, host);

	if (number != ALLOCATION_NONE)
		placer_host_changed(placer, number);
	return number;
}

bool allocation_placer_host_change(struct allocation_placer *placer, uint32_t host, const struct allocation_host *now)
{
	if (!allocation_world_host_change(placer->world, host, now))
		return false;
	placer_host_changed(placer, host);
	return true;
}

void allocation_placer_host_remove(struct allocation_placer *placer, uint32_t host)
{
	allocation_world_host_remove(placer->world, host);
	placer_host_changed(placer, host);
}

void allocation_placer_host_power(struct allocation_placer *placer, uint32_t host, bool powered)
{
	allocation_world_host_power(placer->world, host, powered);
	placer_host_changed(placer, host);
}
