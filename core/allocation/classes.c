/* Equal requests are one class, found by hash. Classes stay where they are in memory. */
#include "core/allocation/world_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static uint32_t find(const struct allocation_world *world, uint64_t hash, const struct allocation_request *request)
{
	const struct world_entry *entry = world_map_get(&world->class_of, hash);

	for (uint32_t at = entry != NULL ? entry->a : 0; at != 0; at = world_class_at(world, at - 1)->next)
		if (memcmp(&world_class_at(world, at - 1)->request, request, WORLD_REQUEST_BYTES) == 0)
			return at - 1;
	return ALLOCATION_NONE;
}

/* A number that is free now; it is taken by setting refs. */
static uint32_t number_reserve(struct allocation_world *world)
{
	uint32_t chunk = world->n_classes / WORLD_CLASS_CHUNK;

	if (world->free_class != 0)
		return world->free_class - 1;
	if (world->n_classes % WORLD_CLASS_CHUNK == 0) {
		if (!world_array_reserve(&world->class_chunks, &world->class_chunks_capacity, (uint64_t)chunk + 1,
					 sizeof(struct world_class *)))
			return ALLOCATION_NONE;
		if (world->class_chunks[chunk] == NULL)
			world->class_chunks[chunk] = calloc(WORLD_CLASS_CHUNK, sizeof(struct world_class));
		if (world->class_chunks[chunk] == NULL)
			return ALLOCATION_NONE;
	}
	return world->n_classes;
}

static void watches_unref(struct allocation_world *world, struct world_class *class)
{
	for (unsigned i = 0; i < ALLOCATION_SPREADS_MAX; i++) {
		if (class->watch[i] != 0)
			world_watch_unref(world, class->watch[i]);
		class->watch[i] = 0;
	}
}

/* Whether it wants to be near members of a group. */
static bool wants_lists(const struct allocation_request *request)
{
	for (unsigned i = 0; i < ALLOCATION_TERMS_MAX; i++)
		if (request->term[i].group != 0 && !request->term[i].anti && request->term[i].level < ALLOCATION_ZONE)
			return true;
	return false;
}

uint32_t allocation_world_class(struct allocation_world *world, const struct allocation_request *request)
{
	uint64_t hash = world_hash(request, WORLD_REQUEST_BYTES);
	uint32_t class_id = find(world, hash, request);
	struct world_class *class;
	struct world_entry *entry;

	if (class_id != ALLOCATION_NONE) {
		world_class_at(world, class_id)->refs++;
		return class_id;
	}
	class_id = number_reserve(world);
	if (class_id == ALLOCATION_NONE || !world_map_reserve(&world->class_of, 1))
		return ALLOCATION_NONE;
	if (world->lists == NULL && wants_lists(request) && !world_lists_make(world))
		return ALLOCATION_NONE;
	class = world_class_at(world, class_id);
	for (unsigned i = 0; i < ALLOCATION_SPREADS_MAX; i++) {
		if (request->spread[i].group != 0 &&
		    !world_watch_ref(world, request, &request->spread[i], &class->watch[i])) {
			watches_unref(world, class);
			return ALLOCATION_NONE;
		}
	}
	if (world->free_class != 0)
		world->free_class = class->next;
	else
		world->n_classes++;
	memcpy(&class->request, request, sizeof(*request));
	class->hash = hash;
	class->refs = 1;
	class->generation++;
	entry = world_map_put(&world->class_of, hash);
	class->next = entry->a;
	entry->a = class_id + 1;
	return class_id;
}

void allocation_world_class_unref(struct allocation_world *world, uint32_t class_id)
{
	struct world_class *class = world_class_at(world, class_id);
	struct world_entry *entry;
	uint32_t *at;

	assert(class->refs > 0);
	if (--class->refs > 0)
		return;
	watches_unref(world, class);
	entry = world_map_put(&world->class_of, class->hash);
	for (at = &entry->a; *at != class_id + 1; at = &world_class_at(world, *at - 1)->next)
		assert(*at != 0);
	*at = class->next;
	if (entry->a == 0)
		world_map_drop(&world->class_of, class->hash);
	class->next = world->free_class;
	world->free_class = class_id + 1;
}

const struct allocation_request *allocation_world_request(const struct allocation_world *world, uint32_t class_id)
{
	return &world_class_at(world, class_id)->request;
}

uint32_t allocation_world_n_classes(const struct allocation_world *world)
{
	return world->n_classes;
}

uint32_t allocation_world_class_generation(const struct allocation_world *world, uint32_t class_id)
{
	return world_class_at(world, class_id)->generation;
}
