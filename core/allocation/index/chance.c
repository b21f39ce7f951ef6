#include "core/allocation/index/chance.h"

#include <stdlib.h>

#define DRAWS_MAX 32

struct allocation_chance {
	struct allocation_tree *tree;
	uint64_t seed;
	uint64_t digest; /* of all placements, whatever their order: exclusive or of each one's hash */
};

/* The finalizer of splitmix64 (Steele, Lea and Flood 2014). */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static uint64_t hash_of(uint32_t vm, uint32_t host)
{
	return mix((uint64_t)vm << 32 | host);
}

struct allocation_chance *allocation_chance_new(const struct allocation_world *world, uint64_t seed)
{
	struct allocation_chance *chance = calloc(1, sizeof(*chance));
	uint32_t n_vms = allocation_world_n_placements(world);

	if (!chance)
		return NULL;
	chance->seed = seed;
	chance->tree = allocation_tree_new(world);
	if (!chance->tree) {
		free(chance);
		return NULL;
	}
	for (uint32_t vm = 0; vm < n_vms; vm++) {
		const struct allocation_placement *placement = allocation_world_placement(world, vm);

		if (placement->class_id != ALLOCATION_NONE)
			chance->digest ^= hash_of(vm, placement->host);
	}
	return chance;
}

void allocation_chance_free(struct allocation_chance *chance)
{
	if (!chance)
		return;
	allocation_tree_free(chance->tree);
	free(chance);
}

bool allocation_chance_update(struct allocation_chance *chance, const struct allocation_world *world,
			      const struct allocation_event *event)
{
	if (event->change != ALLOCATION_HOST_CHANGED)
		chance->digest ^= hash_of(event->vm, event->host);
	return allocation_tree_touch(chance->tree, world, event->host);
}

struct strategy_random allocation_chance_random(const struct allocation_chance *chance, uint32_t class_id,
						int64_t now_ms)
{
	struct strategy_random random;

	strategy_random_init(&random, mix(chance->seed ^ mix(chance->digest ^ mix((uint64_t)now_ms ^ mix(class_id)))));
	return random;
}

static unsigned takes(const struct allocation_world *world, const struct allocation_request *request, uint32_t host,
		      struct allocation_fit fits[ALLOCATION_NODES_MAX])
{
	unsigned n = allocation_world_fits(world, request, host, fits);

	return n && allocation_world_penalty(world, request, host) == 0 ? n : 0;
}

/* The first in [from, to) that takes it. */
static unsigned walk(struct allocation_chance *chance, const struct allocation_world *world,
		     const struct allocation_request *request, const uint32_t from_to[2],
		     struct allocation_fit fits[ALLOCATION_NODES_MAX])
{
	for (uint32_t host = from_to[0];; host++) {
		host = allocation_tree_next(chance->tree, world, request, host);
		if (host == ALLOCATION_NONE || host >= from_to[1])
			return 0;
		unsigned n = takes(world, request, host, fits);
		if (n)
			return n;
	}
}

bool allocation_chance_draw(struct allocation_chance *chance, const struct allocation_world *world,
			    const struct allocation_request *request, struct strategy_random *random,
			    struct allocation_fit *fit)
{
	struct allocation_fit fits[ALLOCATION_NODES_MAX];
	uint32_t n_hosts = allocation_world_n_hosts(world), host = 0;
	unsigned n = 0;

	for (unsigned draw = 0; draw < DRAWS_MAX && n == 0 && n_hosts; draw++) {
		host = (uint32_t)strategy_random_below(random, n_hosts);
		n = takes(world, request, host, fits);
	}
	if (n == 0)
		n = walk(chance, world, request, (uint32_t[2]) { host, UINT32_MAX }, fits);
	if (n == 0)
		n = walk(chance, world, request, (uint32_t[2]) { 0, host }, fits);
	if (n == 0)
		return false;
	*fit = fits[strategy_random_below(random, n)];
	return true;
}
