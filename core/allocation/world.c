/* The world as a whole: made, copied, freed. */
#include "core/allocation/world_private.h"

#include <stdlib.h>
#include <string.h>

struct allocation_world *allocation_world_new(void)
{
	struct allocation_world *world = calloc(1, sizeof(*world));

	if (world == NULL)
		return NULL;
	for (uint32_t level = ALLOCATION_RACK; level < ALLOCATION_LEVELS; level++)
		world->domains[level].n = 1; /* 0 is no domain */
	return world;
}

void allocation_world_free(struct allocation_world *world)
{
	if (world == NULL)
		return;
	for (uint32_t i = 0; i < world->class_chunks_capacity; i++)
		free(world->class_chunks[i]);
	for (uint32_t level = ALLOCATION_RACK; level < ALLOCATION_LEVELS; level++) {
		free(world->domains[level].n_hosts);
		free(world->domains[level].keys);
	}
	world_watches_free(world);
	free(world->hosts);
	free(world->tenants);
	free(world->types);
	free(world->type_of.entries);
	free(world->class_chunks);
	free(world->class_of.entries);
	free(world->vms);
	free(world->domain_of.entries);
	free(world->groups.entries);
	world_lists_free(world->lists);
	free(world->headroom);
	free(world);
}

/* All arrays of `to` gone, so that it can be freed however far a copy gets. */
static void forget(struct allocation_world *to)
{
	to->hosts = NULL;
	to->tenants = NULL;
	to->types = NULL;
	to->type_of.entries = NULL;
	to->class_chunks = NULL;
	to->class_chunks_capacity = 0;
	to->class_of.entries = NULL;
	to->vms = NULL;
	to->domain_of.entries = NULL;
	to->groups.entries = NULL;
	to->eligibilities = NULL;
	to->watches = NULL;
	to->n_eligibilities = to->n_watches = 0;
	to->headroom = NULL;
	to->lists = NULL;
	for (uint32_t level = 0; level < ALLOCATION_LEVELS; level++) {
		to->domains[level].n_hosts = NULL;
		to->domains[level].keys = NULL;
	}
}

static bool classes_copy(struct allocation_world *to, const struct allocation_world *from)
{
	if (from->class_chunks_capacity == 0)
		return true;
	to->class_chunks = calloc(from->class_chunks_capacity, sizeof(*to->class_chunks));
	if (to->class_chunks == NULL)
		return false;
	to->class_chunks_capacity = from->class_chunks_capacity;
	for (uint32_t i = 0; i < from->class_chunks_capacity; i++)
		if (!world_array_copy(&to->class_chunks[i], from->class_chunks[i],
				      WORLD_CLASS_CHUNK * sizeof(**to->class_chunks)))
			return false;
	return world_map_copy(&to->class_of, &from->class_of);
}

static bool hosts_copy(struct allocation_world *to, const struct allocation_world *from)
{
	for (uint32_t level = ALLOCATION_RACK; level < ALLOCATION_LEVELS; level++) {
		const struct world_domains *domains = &from->domains[level];

		if (!world_array_copy(&to->domains[level].n_hosts, domains->n_hosts,
				      domains->n_hosts_capacity * sizeof(*domains->n_hosts)) ||
		    !world_array_copy(&to->domains[level].keys, domains->keys,
				      domains->keys_capacity * sizeof(*domains->keys)))
			return false;
	}
	return world_array_copy(&to->hosts, from->hosts, from->hosts_capacity * sizeof(*to->hosts)) &&
	       world_array_copy(&to->tenants, from->tenants, from->tenants_capacity * sizeof(*to->tenants)) &&
	       world_array_copy(&to->types, from->types, from->types_capacity * sizeof(*to->types)) &&
	       world_map_copy(&to->type_of, &from->type_of) && world_map_copy(&to->domain_of, &from->domain_of);
}

struct allocation_world *allocation_world_copy(const struct allocation_world *world)
{
	struct allocation_world *copy = malloc(sizeof(*copy));

	if (copy == NULL)
		return NULL;
	memcpy(copy, world, sizeof(*copy));
	forget(copy);
	if (hosts_copy(copy, world) && classes_copy(copy, world) &&
	    world_array_copy(&copy->vms, world->vms, world->vms_capacity * sizeof(*copy->vms)) &&
	    world_map_copy(&copy->groups, &world->groups) && world_watches_copy(copy, world) &&
	    world_lists_copy(copy, world) &&
	    world_array_copy(&copy->headroom, world->headroom, sizeof(*copy->headroom)))
		return copy;
	allocation_world_free(copy);
	return NULL;
}
