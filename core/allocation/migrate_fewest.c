/* empty-fewest: hosts with the fewest VMs are emptied, whole, onto the fullest hosts that take them.
 *
 * Looks only when VMs have left and more hosts are on than the VMs there need, then, every few minutes, host by
 * host, fewest VMs first: that frees a host for the least moves. VMs younger than half an hour mostly end by
 * themselves, so a host with more than three of them waits. A host is emptied whole or not at all; each VM, largest
 * first, goes where it leaves least. */
#include "core/allocation/migrate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/allocation/strategies/scored.h"

#define LOOK_EVERY_MS 300000
#define HOSTS_A_LOOK  20
#define FAILURES_MAX  6
#define VMS_MAX       20
#define YOUNG_MS      1800000
#define YOUNG_MAX     3

struct fewest {
	int64_t look_ms;
	uint32_t looks; /* counts them */
	uint32_t hosts, failures;
	bool done;
	uint32_t *tried; /* by host: the look it was last tried in */
	uint32_t capacity;
};

static void *fewest_new(const struct allocation_world *world, uint64_t seed)
{
	(void)world;
	(void)seed;
	struct fewest *fewest = calloc(1, sizeof *fewest);

	if (fewest)
		fewest->look_ms = INT64_MIN;
	return fewest;
}

static void fewest_free(void *state)
{
	struct fewest *fewest = state;

	if (fewest)
		free(fewest->tried);
	free(fewest);
}

static bool tried_reserve(struct fewest *fewest, uint32_t n)
{
	uint32_t *grown;

	if (n <= fewest->capacity)
		return true;
	grown = realloc(fewest->tried, 2 * (size_t)n * sizeof *grown);
	if (!grown)
		return false;
	memset(grown + fewest->capacity, 0, (2 * (size_t)n - fewest->capacity) * sizeof *grown);
	fewest->tried = grown;
	fewest->capacity = 2 * n;
	return true;
}

static bool holds(const struct allocation_host_state *host)
{
	return host->present && host->powered && host->n_vms > 0;
}

/* Whether more hosts are on than what is used would need if it could be poured. */
static bool worth_looking(const struct allocation_world *world)
{
	const struct allocation_host_state *hosts = allocation_world_hosts(world);
	uint32_t n = allocation_world_n_hosts(world), on = 0;
	double used[2] = { 0 }, capacity[2] = { 0 };
	static const enum allocation_dimension dimension[2] = { ALLOCATION_CPU, ALLOCATION_MEMORY };

	for (uint32_t i = 0; i < n; i++) {
		if (!holds(&hosts[i]))
			continue;
		const struct allocation_host *type = allocation_world_type(world, hosts[i].type);
		on++;
		for (uint32_t node = 0; node < hosts[i].n_nodes; node++)
			for (unsigned d = 0; d < 2; d++) {
				double all = type->node_capacity[node][dimension[d]];

				capacity[d] += all;
				used[d] += all - hosts[i].node[node].free[dimension[d]];
			}
	}
	double need = 0;
	for (unsigned d = 0; d < 2; d++)
		if (capacity[d] > 0 && used[d] / capacity[d] > need)
			need = used[d] / capacity[d];
	return on - need * on >= 1;
}

static bool may_empty(const struct allocation_world *world, const struct allocation_host_state *host, int64_t now_ms)
{
	uint32_t young = 0;

	for (uint32_t vm = host->first_vm; vm != ALLOCATION_NONE; vm = allocation_world_placement(world, vm)->next)
		young += now_ms - allocation_world_placement(world, vm)->placed_ms < YOUNG_MS;
	return young <= YOUNG_MAX;
}

/* The untried host with the fewest VMs, the highest-numbered of several; ALLOCATION_NONE: none. */
static uint32_t candidate(const struct fewest *fewest, const struct allocation_world *world, int64_t now_ms)
{
	const struct allocation_host_state *hosts = allocation_world_hosts(world);
	uint32_t n = allocation_world_n_hosts(world), best = ALLOCATION_NONE;

	for (uint32_t i = 0; i < n; i++) {
		if (!holds(&hosts[i]) || hosts[i].n_vms > VMS_MAX || fewest->tried[i] == fewest->looks)
			continue;
		if (best != ALLOCATION_NONE && hosts[i].n_vms > hosts[best].n_vms)
			continue;
		if (may_empty(world, &hosts[i], now_ms))
			best = i;
	}
	return best;
}

/* Takes what earlier moves of the plan bring to the host off what the fit leaves; false: then it no longer fits. */
static bool still_fits(struct scored_fit *view, const struct allocation_world *world, uint32_t host,
		       const struct allocation_move *moves, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t node_amount[ALLOCATION_NODES_MAX][ALLOCATION_NODE_DIMENSIONS];
		uint32_t host_amount[ALLOCATION_HOST_DIMENSIONS];

		if (moves[i].to.host != host)
			continue;
		uint32_t class_id = allocation_world_placement(world, moves[i].vm)->class_id;
		allocation_world_charge(world, allocation_world_request(world, class_id), &moves[i].to, node_amount,
					host_amount);
		for (uint32_t node = 0; node < view->n_nodes; node++)
			if (moves[i].to.nodes >> node & 1) {
				view->cpu_after[node] -= node_amount[node][ALLOCATION_CPU];
				view->memory_after[node] -= node_amount[node][ALLOCATION_MEMORY];
			}
	}
	for (uint32_t node = 0; node < view->n_nodes; node++) {
		if (view->nodes >> node & 1 && (view->cpu_after[node] < 0 || view->memory_after[node] < 0))
			return false;
		view->cpu_share[node] = view->cpu_after[node] / view->cpu_capacity;
		view->memory_share[node] = view->memory_after[node] / view->memory_capacity;
	}
	return true;
}

static bool target_find(const struct allocation_world *world, struct allocation_move *moves, size_t n)
{
	const struct allocation_placement *placement = allocation_world_placement(world, moves[n].vm);
	const struct allocation_request *request = allocation_world_request(world, placement->class_id);
	const struct allocation_host_state *hosts = allocation_world_hosts(world);
	uint32_t n_hosts = allocation_world_n_hosts(world);
	double least = INFINITY;

	for (uint32_t host = 0; host < n_hosts; host++) {
		struct allocation_fit fits[ALLOCATION_NODES_MAX];

		if (!holds(&hosts[host]) || host == placement->host)
			continue;
		unsigned count = allocation_world_fits(world, request, host, fits);
		for (unsigned i = 0; i < count; i++) {
			struct scored_fit view;

			scored_fit_init(&view, world, placement->class_id, &fits[i]);
			if (!still_fits(&view, world, host, moves, n))
				continue;
			double rest = scored_fit_rest(&view);
			if (rest < least) {
				least = rest;
				moves[n].to = fits[i];
			}
		}
	}
	return least < INFINITY;
}

static uint64_t weight_of(const struct allocation_world *world, uint32_t vm)
{
	const struct allocation_request *request =
		allocation_world_request(world, allocation_world_placement(world, vm)->class_id);

	return (uint64_t)request->amount[ALLOCATION_CPU] * 2 + request->amount[ALLOCATION_MEMORY];
}

/* 0: not all of its VMs find a place. */
static size_t empty(const struct allocation_world *world, uint32_t host, struct allocation_move *moves)
{
	uint32_t vm = allocation_world_hosts(world)[host].first_vm;
	size_t n = 0;

	for (; vm != ALLOCATION_NONE; vm = allocation_world_placement(world, vm)->next) {
		size_t at = n++;

		while (at > 0 && weight_of(world, moves[at - 1].vm) < weight_of(world, vm)) {
			moves[at].vm = moves[at - 1].vm;
			at--;
		}
		moves[at].vm = vm;
	}
	for (size_t i = 0; i < n; i++)
		if (!target_find(world, moves, i))
			return 0;
	return n;
}

static size_t fewest_plan(void *state, const struct allocation_world *world, uint32_t left, int64_t now_ms,
			  struct allocation_move *moves, size_t n_max)
{
	struct fewest *fewest = state;

	(void)left;
	if (fewest->look_ms == INT64_MIN || now_ms - fewest->look_ms >= LOOK_EVERY_MS) {
		fewest->look_ms = now_ms;
		fewest->looks++;
		fewest->hosts = fewest->failures = 0;
		fewest->done = false;
	}
	if (fewest->done || !tried_reserve(fewest, allocation_world_n_hosts(world)))
		return 0;
	uint32_t host = worth_looking(world) ? candidate(fewest, world, now_ms) : ALLOCATION_NONE;
	if (host == ALLOCATION_NONE || allocation_world_hosts(world)[host].n_vms > n_max) {
		fewest->done = true;
		return 0;
	}
	fewest->tried[host] = fewest->looks;
	size_t n = empty(world, host, moves);
	fewest->failures += n == 0;
	fewest->done = ++fewest->hosts >= HOSTS_A_LOOK || fewest->failures >= FAILURES_MAX;
	return n;
}

const struct allocation_migration allocation_migration_empty_fewest = {
	.name = "empty-fewest",
	.summary = "empty the hosts with the fewest VMs onto the fullest that take them, while more are on than needed",
	.new = fewest_new,
	.free = fewest_free,
	.plan = fewest_plan,
};
