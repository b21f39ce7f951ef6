/* empty-fewest: hosts with the fewest VMs are emptied, whole, onto the fullest hosts that take them.
 *
 * Looks only when VMs have left and notably more hosts are on than the VMs there need, then, every few minutes, host by
 * host, fewest VMs first: that frees a host for the least moves. VMs younger than half an hour mostly end by
 * themselves, so a host with more than a few of them waits. A host is emptied whole or not at all; each VM, largest
 * first, goes where it leaves least; for one that fits nowhere small VMs make way on another host. */
#include "core/allocation/migrate.h"

#include <stdlib.h>
#include <string.h>

#include "core/allocation/migrate_plan.h"

#define LOOK_EVERY_MS 150000
#define HOSTS_A_LOOK  20
#define FAILURES_MAX  12
#define VMS_MAX       30
#define WAYS_MAX      5 /* VMs of the host for which others make way … */
#define OTHERS_MAX    8 /* … and how many those may be */
#define YOUNG_MS      1800000
#define YOUNG_MAX     6
#define EXCESS_LEAST  0.03 /* of the hosts needed: below, moves buy less than they would later */

struct fewest {
	int64_t look_ms;
	uint32_t looks; /* counts them */
	uint32_t hosts, failures;
	bool done;
	uint32_t *tried; /* by host: the look it was last tried in */
	uint32_t capacity;
	struct migrate_plan plan;
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

	if (fewest) {
		free(fewest->tried);
		migrate_plan_clear(&fewest->plan);
	}
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
	return on - need * on * (1 + EXCESS_LEAST) >= 1;
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

static uint64_t weight_of(const struct allocation_world *world, uint32_t vm)
{
	const struct allocation_request *request =
		allocation_world_request(world, allocation_world_placement(world, vm)->class_id);

	return (uint64_t)request->amount[ALLOCATION_CPU] * 2 + request->amount[ALLOCATION_MEMORY];
}

/* Plans to empty the host; false: not all of its VMs find a place, or it takes too many others that make way. */
static bool empty(struct migrate_plan *plan)
{
	uint32_t vms[VMS_MAX], n = 0, ways = 0;
	uint32_t vm = allocation_world_hosts(plan->world)[plan->from].first_vm;

	for (; vm != ALLOCATION_NONE; vm = allocation_world_placement(plan->world, vm)->next) {
		uint32_t at = n++;

		while (at > 0 && weight_of(plan->world, vms[at - 1]) < weight_of(plan->world, vm)) {
			vms[at] = vms[at - 1];
			at--;
		}
		vms[at] = vm;
	}
	for (uint32_t i = 0; i < n; i++) {
		if (migrate_plan_move(plan, vms[i]))
			continue;
		if (ways++ == WAYS_MAX || !migrate_plan_make_way(plan, vms[i]))
			return false;
	}
	return plan->n <= n + OTHERS_MAX;
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
	/* As little is left to spend, only hosts are emptied that cost little. */
	if (host == ALLOCATION_NONE ||
	    allocation_world_hosts(world)[host].n_vms * ALLOCATION_MOVES_MAX > VMS_MAX * n_max) {
		fewest->done = true;
		return 0;
	}
	fewest->tried[host] = fewest->looks;
	struct migrate_plan *plan = &fewest->plan;
	plan->world = world;
	plan->now_ms = now_ms;
	plan->from = host;
	plan->moves = moves;
	plan->n_max = n_max;
	bool ok = migrate_plan_begin(plan) && empty(plan);
	fewest->failures += !ok;
	fewest->done = ++fewest->hosts >= HOSTS_A_LOOK || fewest->failures >= FAILURES_MAX;
	return ok ? plan->n : 0;
}

const struct allocation_migration allocation_migration_empty_fewest = {
	.name = "empty-fewest",
	.summary = "empty the hosts with the fewest VMs onto the fullest that take them, while more are on than needed",
	.new = fewest_new,
	.free = fewest_free,
	.plan = fewest_plan,
};
