#include "core/allocation/strategies/shapes.h"

#include <stdlib.h>
#include <string.h>

void shapes_init(struct shapes *shapes, double memory_per_cpu_mib)
{
	*shapes = (struct shapes) { .memory_per_cpu_mib = memory_per_cpu_mib };
}

void shapes_clear(struct shapes *shapes)
{
	free(shapes->shape);
}

static struct shape shape_of(const struct allocation_request *request)
{
	uint32_t nodes = request->numa == ALLOCATION_NUMA_SPLIT && request->numa_nodes > 1 ? request->numa_nodes : 1;

	return (struct shape) { .cpu = request->amount[ALLOCATION_CPU] / nodes,
				.memory_mib = request->amount[ALLOCATION_MEMORY] / nodes,
				.nodes = nodes };
}

static int compare(const struct shape *a, const struct shape *b)
{
	if (a->cpu != b->cpu)
		return a->cpu < b->cpu ? -1 : 1;
	if (a->memory_mib != b->memory_mib)
		return a->memory_mib < b->memory_mib ? -1 : 1;
	return a->nodes < b->nodes ? -1 : a->nodes > b->nodes;
}

/* The first that is not before `shape`. */
static uint32_t position(const struct shapes *shapes, const struct shape *shape)
{
	uint32_t low = 0, high = shapes->n;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (compare(&shapes->shape[middle], shape) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Drops shapes nobody has, so that the account depends on what is placed and not on the past. */
static void sweep(struct shapes *shapes)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < shapes->n; i++)
		if (shapes->shape[i].n > 0)
			shapes->shape[kept++] = shapes->shape[i];
	shapes->n = kept;
}

bool shapes_add(struct shapes *shapes, const struct allocation_request *request)
{
	struct shape shape = shape_of(request);
	uint32_t at = position(shapes, &shape);

	if (at < shapes->n && compare(&shapes->shape[at], &shape) == 0) {
		shapes->shape[at].n++;
		return true;
	}
	if (shapes->n == shapes->capacity) {
		sweep(shapes);
		at = position(shapes, &shape);
	}
	if (shapes->n == shapes->capacity) {
		uint32_t capacity = shapes->capacity ? shapes->capacity * 2 : 32;
		struct shape *grown = realloc(shapes->shape, capacity * sizeof *grown);

		if (!grown)
			return false;
		shapes->shape = grown;
		shapes->capacity = capacity;
	}
	memmove(&shapes->shape[at + 1], &shapes->shape[at], (shapes->n - at) * sizeof shape);
	shape.n = 1;
	shapes->shape[at] = shape;
	shapes->n++;
	return true;
}

void shapes_remove(struct shapes *shapes, const struct allocation_request *request)
{
	struct shape shape = shape_of(request);
	uint32_t at = position(shapes, &shape);

	if (at < shapes->n && compare(&shapes->shape[at], &shape) == 0 && shapes->shape[at].n > 0)
		shapes->shape[at].n--;
}

static double size_of(const struct shapes *shapes, const struct shape *shape)
{
	double cpu = shape->cpu / 1000.0, memory = shape->memory_mib / shapes->memory_per_cpu_mib;

	return (cpu > memory ? cpu : memory) * shape->nodes;
}

/* Insertion into the few best; equal shares stay in the order of shapes. */
static void rank(struct shapes *shapes, const struct shapes_ranked *one)
{
	uint32_t at = shapes->n_ranked;

	while (at > 0 && shapes->ranked[at - 1].share < one->share)
		at--;
	if (at == SHAPES_RANKED)
		return;
	if (shapes->n_ranked < SHAPES_RANKED)
		shapes->n_ranked++;
	memmove(&shapes->ranked[at + 1], &shapes->ranked[at], (shapes->n_ranked - 1 - at) * sizeof *one);
	shapes->ranked[at] = *one;
}

void shapes_rank(struct shapes *shapes)
{
	double total = 0;

	for (uint32_t i = 0; i < shapes->n; i++)
		total += shapes->shape[i].n * size_of(shapes, &shapes->shape[i]);
	shapes->n_ranked = 0;
	for (uint32_t i = 0; i < shapes->n; i++) {
		const struct shape *shape = &shapes->shape[i];
		double size = size_of(shapes, shape);

		if (shape->n * size > SHAPES_SHARE_LEAST * total)
			rank(shapes, &(struct shapes_ranked) { .cpu = shape->cpu,
							       .memory_mib = shape->memory_mib,
							       .nodes = shape->nodes,
							       .size = size,
							       .share = shape->n * size / total });
	}
}

static double node_slots(const struct shapes_ranked *ranked, double cpu, double memory_mib)
{
	double by_cpu = ranked->cpu > 0 ? cpu / ranked->cpu : 1e9;
	double by_memory = ranked->memory_mib > 0 ? memory_mib / ranked->memory_mib : 1e9;

	return (double)(uint32_t)(by_cpu < by_memory ? by_cpu : by_memory);
}

double shapes_slots(const struct shapes_ranked *ranked, const double *cpu, const double *memory_mib, uint32_t n_nodes)
{
	double most[ALLOCATION_NODES_MAX], sum = 0;

	for (uint32_t i = 0; i < n_nodes; i++) {
		double slots = node_slots(ranked, cpu[i], memory_mib[i]);
		uint32_t at = i;

		sum += slots;
		while (at > 0 && most[at - 1] < slots) {
			most[at] = most[at - 1];
			at--;
		}
		most[at] = slots;
	}
	if (ranked->nodes <= 1)
		return sum;
	return ranked->nodes <= n_nodes ? most[ranked->nodes - 1] : 0;
}
