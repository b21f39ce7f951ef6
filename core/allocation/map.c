/* The world's hash table and arrays. */
#include "core/allocation/world_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static inline uint64_t mix(uint64_t x)
{
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93u;
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93u;
	return x ^ x >> 32;
}

uint64_t world_hash(const void *bytes, size_t n)
{
	const unsigned char *at = bytes;
	uint64_t hash = 0x9e3779b97f4a7c15u + n;

	while (n > 0) {
		uint64_t word = 0;
		size_t step = n < sizeof(word) ? n : sizeof(word);

		memcpy(&word, at, step);
		hash = mix(hash ^ word) + 0x9e3779b97f4a7c15u;
		at += step;
		n -= step;
	}
	return hash != 0 ? hash : 1;
}

static inline uint32_t slot_of(const struct world_map *map, uint64_t key)
{
	return (uint32_t)mix(key) & (map->capacity - 1);
}

static uint32_t find(const struct world_map *map, uint64_t key)
{
	uint32_t slot = slot_of(map, key);

	while (map->entries[slot].key != key && map->entries[slot].key != 0)
		slot = (slot + 1) & (map->capacity - 1);
	return slot;
}

const struct world_entry *world_map_get(const struct world_map *map, uint64_t key)
{
	uint32_t slot;

	if (map->n == 0)
		return NULL;
	slot = find(map, key);
	return map->entries[slot].key != 0 ? &map->entries[slot] : NULL;
}

bool world_map_reserve(struct world_map *map, uint64_t more)
{
	struct world_map bigger = { .n = map->n, .capacity = 16 };
	uint64_t capacity = map->capacity > 16 ? map->capacity : 16;

	if (map->capacity != 0 && (map->n + more) * 4 <= (uint64_t)map->capacity * 3)
		return true;
	while ((map->n + more) * 4 > capacity * 3)
		capacity *= 2;
	if (capacity > UINT32_MAX / 2)
		return false;
	bigger.capacity = (uint32_t)capacity;
	bigger.entries = calloc(capacity, sizeof(*bigger.entries));
	if (bigger.entries == NULL)
		return false;
	for (uint32_t i = 0; i < map->capacity; i++)
		if (map->entries[i].key != 0)
			bigger.entries[find(&bigger, map->entries[i].key)] = map->entries[i];
	free(map->entries);
	*map = bigger;
	return true;
}

struct world_entry *world_map_put(struct world_map *map, uint64_t key)
{
	struct world_entry *entry;

	assert(map->capacity > 0 && key != 0);
	entry = &map->entries[find(map, key)];
	if (entry->key == 0) {
		map->n++;
		assert(map->n < map->capacity);
		*entry = (struct world_entry) { .key = key };
	}
	return entry;
}

void world_map_drop(struct world_map *map, uint64_t key)
{
	uint32_t mask = map->capacity - 1;
	uint32_t hole = find(map, key);

	assert(map->entries[hole].key == key);
	for (uint32_t at = (hole + 1) & mask; map->entries[at].key != 0; at = (at + 1) & mask) {
		uint32_t home = slot_of(map, map->entries[at].key);

		/* It may move into the hole unless its home lies behind the hole. */
		if (((at - home) & mask) >= ((at - hole) & mask)) {
			map->entries[hole] = map->entries[at];
			hole = at;
		}
	}
	map->entries[hole] = (struct world_entry) { 0 };
	map->n--;
}

bool world_map_copy(struct world_map *to, const struct world_map *from)
{
	*to = (struct world_map) { 0 };
	if (from->capacity == 0)
		return true;
	to->entries = malloc((size_t)from->capacity * sizeof(*to->entries));
	if (to->entries == NULL)
		return false;
	memcpy(to->entries, from->entries, (size_t)from->capacity * sizeof(*to->entries));
	to->capacity = from->capacity;
	to->n = from->n;
	return true;
}

static size_t lines(size_t bytes)
{
	return (bytes + 63) / 64 * 64;
}

bool world_array_reserve(void *array, uint32_t *capacity, uint64_t n, size_t bytes)
{
	uint64_t wanted = *capacity > 8 ? *capacity : 8;
	void *old;
	void *grown;

	if (n <= *capacity)
		return true;
	while (wanted < n)
		wanted *= 2;
	if (wanted > UINT32_MAX / 2)
		return false;
	grown = aligned_alloc(64, lines(wanted * bytes));
	if (grown == NULL)
		return false;
	memcpy(&old, array, sizeof(old));
	if (old != NULL)
		memcpy(grown, old, *capacity * bytes);
	memset((char *)grown + *capacity * bytes, 0, (wanted - *capacity) * bytes);
	free(old);
	memcpy(array, &grown, sizeof(grown));
	*capacity = (uint32_t)wanted;
	return true;
}

bool world_array_copy(void *to, const void *from, size_t bytes)
{
	void *copy = NULL;

	if (from != NULL) {
		copy = aligned_alloc(64, lines(bytes > 0 ? bytes : 1));
		if (copy == NULL) {
			memcpy(to, &copy, sizeof(copy));
			return false;
		}
		memcpy(copy, from, bytes);
	}
	memcpy(to, &copy, sizeof(copy));
	return true;
}
