/* What a VM is charged, and the account of a host. */
#include "core/allocation/world_private.h"

#include <string.h>

/* Amounts are divided in whole vCPUs, whole pages and whole MiB, where they are whole to begin with. */
static const uint32_t units[ALLOCATION_NODE_DIMENSIONS] = { 1000, 1, 2, 1024 };

static uint64_t core_charge(const struct allocation_host *type)
{
	uint64_t threads = type->threads_per_core > 0 ? type->threads_per_core : 1;
	uint64_t percent = type->cpu_overcommit_percent > 0 ? type->cpu_overcommit_percent : 100;

	/* An exclusive core gives up what overcommit would have sold of it. */
	return threads * 10 * percent;
}

static uint64_t n_cores(const struct allocation_request *request, const struct allocation_host *type)
{
	uint64_t threads = type->threads_per_core > 0 ? type->threads_per_core : 1;
	uint64_t cpus = ((uint64_t)request->amount[ALLOCATION_CPU] + 999) / 1000;

	return (cpus + threads - 1) / threads;
}

static uint32_t saturate(uint64_t n, uint64_t each)
{
	return each != 0 && n > UINT32_MAX / each ? UINT32_MAX : (uint32_t)(n * each);
}

void world_total(const struct allocation_request *request, const struct allocation_host *type,
		 uint32_t total[ALLOCATION_NODE_DIMENSIONS])
{
	memcpy(total, request->amount, sizeof(uint32_t[ALLOCATION_NODE_DIMENSIONS]));
	if (request->exclusive_cores)
		total[ALLOCATION_CPU] = saturate(n_cores(request, type), core_charge(type));
}

void world_share(const struct allocation_request *request, const struct allocation_host *type, uint32_t k, uint32_t i,
		 uint32_t share[ALLOCATION_NODE_DIMENSIONS])
{
	if (k == 1) {
		world_total(request, type, share);
		return;
	}
	for (unsigned d = 0; d < ALLOCATION_NODE_DIMENSIONS; d++) {
		uint64_t unit = request->amount[d] % units[d] == 0 ? units[d] : 1;
		uint64_t n = request->amount[d] / unit;

		if (d == ALLOCATION_CPU && request->exclusive_cores) {
			unit = core_charge(type);
			n = n_cores(request, type);
		}
		share[d] = saturate(n / k + (i < n % k), unit);
	}
}

void allocation_world_charge(const struct allocation_world *world, const struct allocation_request *request,
			     const struct allocation_fit *fit,
			     uint32_t node_amount[ALLOCATION_NODES_MAX][ALLOCATION_NODE_DIMENSIONS],
			     uint32_t host_amount[ALLOCATION_HOST_DIMENSIONS])
{
	const struct allocation_host *type = &world->types[world->hosts[fit->host].type].host;
	uint32_t k = (uint32_t)__builtin_popcount(fit->nodes);
	uint32_t i = 0;

	memset(node_amount, 0, sizeof(uint32_t[ALLOCATION_NODES_MAX][ALLOCATION_NODE_DIMENSIONS]));
	for (uint32_t node = 0; node < ALLOCATION_NODES_MAX; node++)
		if (fit->nodes >> node & 1)
			world_share(request, type, k, i++, node_amount[node]);
	memcpy(host_amount, &request->amount[ALLOCATION_NODE_DIMENSIONS], sizeof(uint32_t[ALLOCATION_HOST_DIMENSIONS]));
}

static uint32_t remaining(uint32_t capacity, uint64_t used, bool *overdrawn)
{
	if (used > capacity)
		*overdrawn = true;
	return used > capacity ? 0 : (uint32_t)(capacity - used);
}

void world_host_used(const struct allocation_world *world, uint32_t host, struct world_used *used)
{
	memset(used, 0, sizeof(*used));
	for (uint32_t vm = world->hosts[host].first_vm; vm != ALLOCATION_NONE; vm = world->vms[vm].next) {
		const struct allocation_request *request = &world_class_at(world, world->vms[vm].class_id)->request;
		struct allocation_fit fit = { .host = host, .nodes = world->vms[vm].nodes };
		uint32_t node_amount[ALLOCATION_NODES_MAX][ALLOCATION_NODE_DIMENSIONS];
		uint32_t amount[ALLOCATION_HOST_DIMENSIONS];

		allocation_world_charge(world, request, &fit, node_amount, amount);
		for (unsigned d = 0; d < ALLOCATION_HOST_DIMENSIONS; d++)
			used->of[d] += amount[d];
		for (unsigned node = 0; node < ALLOCATION_NODES_MAX; node++)
			for (unsigned d = 0; d < ALLOCATION_NODE_DIMENSIONS; d++)
				used->node[node][d] += node_amount[node][d];
	}
}

void world_host_recount(struct allocation_world *world, uint32_t host)
{
	struct allocation_host_state *state = &world->hosts[host];
	const struct allocation_host *type = &world->types[state->type].host;
	struct world_used used;

	world_host_used(world, host, &used);
	state->overdrawn = false;
	for (unsigned d = 0; d < ALLOCATION_HOST_DIMENSIONS; d++)
		state->free[d] = remaining(type->capacity[d], used.of[d], &state->overdrawn);
	for (unsigned node = 0; node < ALLOCATION_NODES_MAX; node++)
		for (unsigned d = 0; d < ALLOCATION_NODE_DIMENSIONS; d++)
			state->node[node].free[d] =
				remaining(type->node_capacity[node][d], used.node[node][d], &state->overdrawn);
}
