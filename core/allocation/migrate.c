#include "core/allocation/migrate.h"

#include <string.h>

/* drain-host: the host a VM has just left is emptied when all that is left on it fits on busier hosts (fewer free vCPUs), each
 * VM on the first that takes it. Pays when hosts are switched off: a host with few VMs left is worth the most moves. */
#define DRAIN_VMS_MAX 8

static uint64_t free_cpu(const struct allocation_host_state *host)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < host->n_nodes; i++)
		sum += host->node[i].free[ALLOCATION_CPU];
	return sum;
}

/* One target takes at most one VM of a plan, so that fits tested on the world as it is hold one after the other. */
static bool target_find(const struct allocation_world *world, const struct allocation_placement *placement,
			const struct allocation_move *moves, size_t n_moves, struct allocation_fit *to)
{
	const struct allocation_host_state *hosts = allocation_world_hosts(world);
	const struct allocation_request *request = allocation_world_request(world, placement->class_id);
	uint32_t n_hosts = allocation_world_n_hosts(world);
	struct allocation_fit fits[ALLOCATION_NODES_MAX];
	uint64_t least = free_cpu(&hosts[placement->host]);

	for (uint32_t i = 0; i < n_hosts; i++) {
		bool taken = i == placement->host || !hosts[i].present || !hosts[i].powered || hosts[i].n_vms == 0 ||
			     free_cpu(&hosts[i]) >= least;
		for (size_t j = 0; j < n_moves && !taken; j++)
			taken = moves[j].to.host == i;
		if (!taken && allocation_world_fits(world, request, i, fits) > 0) {
			*to = fits[0];
			return true;
		}
	}
	return false;
}

static size_t drain_plan(void *state, const struct allocation_world *world, uint32_t host, int64_t now_ms,
			 struct allocation_move *moves, size_t n_max)
{
	const struct allocation_host_state *left = &allocation_world_hosts(world)[host];
	size_t n = 0;

	(void)state;
	(void)now_ms;
	if (!left->present || left->n_vms == 0 || left->n_vms > DRAIN_VMS_MAX || left->n_vms > n_max)
		return 0;
	for (uint32_t vm = left->first_vm; vm != ALLOCATION_NONE; n++) {
		const struct allocation_placement *placement = allocation_world_placement(world, vm);
		if (!target_find(world, placement, moves, n, &moves[n].to))
			return 0;
		moves[n].vm = vm;
		vm = placement->next;
	}
	return n;
}

static const struct allocation_migration drain_host = {
	.name = "drain-host",
	.summary = "empty the host a VM has left when the rest fits on busier ones",
	.plan = drain_plan,
};

const struct allocation_migration *const allocation_migrations[] = { &drain_host, &allocation_migration_empty_fewest };
const size_t allocation_n_migrations = sizeof allocation_migrations / sizeof allocation_migrations[0];

const struct allocation_migration *allocation_migration_find(const char *name)
{
	for (size_t i = 0; i < allocation_n_migrations; i++)
		if (strcmp(allocation_migrations[i]->name, name) == 0)
			return allocation_migrations[i];
	return NULL;
}
