/* Taking and giving back: constant time, but for groups (a few counters each) and hosts that are overdrawn. */
#include "core/allocation/world_private.h"

#include <assert.h>

/* n × squares = sum², of 128-bit products. */
static bool is_one_tenant(const struct world_tenants *tenants, uint32_t n)
{
	__extension__ typedef unsigned __int128 wide;
	wide squares = (wide)tenants->squares_high << 64 | tenants->squares_low;

	return squares * n == (wide)tenants->sum * tenants->sum;
}

static void tenants_shift(struct world_tenants *tenants, uint32_t tenant, bool add)
{
	uint64_t square = (uint64_t)tenant * tenant;

	if (add) {
		tenants->sum += tenant;
		tenants->squares_low += square;
		tenants->squares_high += tenants->squares_low < square;
	} else {
		tenants->sum -= tenant;
		tenants->squares_high -= tenants->squares_low < square;
		tenants->squares_low -= square;
	}
}

/* After n_vms changed. A VM without tenant adds nothing to the sums, so a fleet without tenants never reads them. */
static void tenant_update(struct allocation_world *world, uint32_t host, uint32_t tenant, bool add)
{
	struct allocation_host_state *state = &world->hosts[host];
	struct world_tenants *tenants = &world->tenants[host];

	if (tenant == 0 && state->tenant == 0)
		return;
	tenants_shift(tenants, tenant, add);
	if (state->n_vms == 0)
		state->tenant = 0;
	else if (is_one_tenant(tenants, state->n_vms))
		state->tenant = (uint32_t)(tenants->sum / state->n_vms);
	else
		state->tenant = ALLOCATION_NONE;
}

/* Take or give back on one host. false: the account must be counted again. */
static bool account(struct allocation_host_state *state, const struct allocation_host *type,
		    const struct allocation_request *request, unsigned nodes, bool take)
{
	uint32_t k = (uint32_t)__builtin_popcount(nodes);
	uint32_t share[ALLOCATION_NODE_DIMENSIONS];
	uint32_t i = 0;

	if (state->overdrawn || nodes >> state->n_nodes != 0)
		return false;
	for (unsigned left = nodes; left != 0; left &= left - 1) {
		struct allocation_node *node = &state->node[__builtin_ctz(left)];

		world_share(request, type, k, i++, share);
		for (unsigned d = 0; d < ALLOCATION_NODE_DIMENSIONS; d++) {
			if (take && share[d] > node->free[d])
				return false;
			node->free[d] += take ? -share[d] : share[d];
		}
	}
	for (unsigned d = 0; d < ALLOCATION_HOST_DIMENSIONS; d++) {
		uint32_t amount = request->amount[ALLOCATION_NODE_DIMENSIONS + d];

		if (take && amount > state->free[d])
			return false;
		state->free[d] += take ? -amount : amount;
	}
	return true;
}

static void link_vm(struct allocation_world *world, uint32_t vm, uint32_t host)
{
	struct allocation_host_state *state = &world->hosts[host];
	struct allocation_placement *placement = &world->vms[vm];

	placement->host = host;
	placement->prev = ALLOCATION_NONE;
	placement->next = state->first_vm;
	if (state->first_vm != ALLOCATION_NONE)
		world->vms[state->first_vm].prev = vm;
	state->first_vm = vm;
	state->n_vms++;
}

static void unlink_vm(struct allocation_world *world, uint32_t vm)
{
	struct allocation_placement *placement = &world->vms[vm];
	struct allocation_host_state *state = &world->hosts[placement->host];

	if (placement->prev != ALLOCATION_NONE)
		world->vms[placement->prev].next = placement->next;
	else
		state->first_vm = placement->next;
	if (placement->next != ALLOCATION_NONE)
		world->vms[placement->next].prev = placement->prev;
	state->n_vms--;
}

static uint32_t number_take(struct allocation_world *world)
{
	uint32_t vm = world->free_vm - 1;

	if (world->free_vm != 0) {
		world->free_vm = world->vms[vm].next;
		return vm;
	}
	if (world->n_vms == world->vms_capacity &&
	    !world_array_reserve(&world->vms, &world->vms_capacity, (uint64_t)world->n_vms + 1, sizeof(*world->vms)))
		return ALLOCATION_NONE;
	return world->n_vms++;
}

uint32_t allocation_world_place(struct allocation_world *world, uint32_t class_id, const struct allocation_fit *fit,
				int64_t now_ms)
{
	struct world_class *class = world_class_at(world, class_id);
	const struct allocation_request *request = &class->request;
	struct allocation_host_state *state = &world->hosts[fit->host];
	bool groups = world_has_groups(request);
	uint32_t vm;

	assert(class->refs > 0 && fit->host < world->n_hosts && state->present && fit->nodes != 0);
	if (groups && !world_groups_reserve(world, request, 1))
		return ALLOCATION_NONE;
	vm = number_take(world);
	if (vm == ALLOCATION_NONE)
		return ALLOCATION_NONE;
	__builtin_prefetch(&world->tenants[fit->host], 1);
	class->refs++;
	world->vms[vm].class_id = class_id;
	world->vms[vm].nodes = fit->nodes;
	world->vms[vm].placed_ms = now_ms;
	if (world->headroom != NULL)
		world_headroom_before(world, fit->host);
	link_vm(world, vm, fit->host);
	if (!account(state, &world->types[state->type].host, request, fit->nodes, true))
		world_host_recount(world, fit->host);
	if (world->headroom != NULL)
		world_headroom_after(world, fit->host);
	state->n_exclusive += request->exclusive_host != 0;
	tenant_update(world, fit->host, request->tenant, true);
	if (groups)
		world_groups_add(world, request, fit->host);
	return vm;
}

void allocation_world_remove(struct allocation_world *world, uint32_t vm)
{
	struct allocation_placement *placement = &world->vms[vm];
	const struct allocation_request *request;
	struct allocation_host_state *state;
	uint32_t host;
	uint32_t class_id;

	assert(vm < world->n_vms && placement->class_id != ALLOCATION_NONE);
	class_id = placement->class_id;
	request = &world_class_at(world, class_id)->request;
	host = placement->host;
	state = &world->hosts[host];
	__builtin_prefetch(&state->node[0], 1);
	__builtin_prefetch(&world->tenants[host], 1);
	if (world_has_groups(request))
		world_groups_remove(world, request, host);
	if (world->headroom != NULL)
		world_headroom_before(world, host);
	unlink_vm(world, vm);
	if (!account(state, &world->types[state->type].host, request, placement->nodes, false))
		world_host_recount(world, host);
	if (world->headroom != NULL)
		world_headroom_after(world, host);
	state->n_exclusive -= request->exclusive_host != 0;
	tenant_update(world, host, request->tenant, false);
	*placement = (struct allocation_placement) { .class_id = ALLOCATION_NONE,
						     .host = ALLOCATION_NONE,
						     .next = world->free_vm };
	world->free_vm = vm + 1;
	allocation_world_class_unref(world, class_id);
}

const struct allocation_placement *allocation_world_placement(const struct allocation_world *world, uint32_t vm)
{
	return &world->vms[vm];
}

uint32_t allocation_world_n_placements(const struct allocation_world *world)
{
	return world->n_vms;
}
