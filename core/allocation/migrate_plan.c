#include "core/allocation/migrate_plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WAY_VMS_MAX 6       /* VMs that make way for one */
#define WAY_VM_COST 0.05    /* of each of them, in the share of a node left free */
#define STAYS_MS    1800000 /* younger VMs mostly end by themselves */

struct need {
	double cpu, memory; /* on each node */
	uint32_t n_nodes;
};

static void room_init(struct migrate_room *room, const struct allocation_world *world,
		      const struct allocation_host_state *host)
{
	const struct allocation_host *type = allocation_world_type(world, host->type);
	double cpu = 1, memory = 1;

	room->open = host->present && host->powered && !host->cordoned && host->n_vms > 0;
	room->shared = host->n_exclusive == 0;
	room->type = host->type;
	room->n_nodes = host->n_nodes;
	for (uint32_t i = 0; i < host->n_nodes; i++) {
		room->cpu[i] = host->node[i].free[ALLOCATION_CPU];
		room->memory[i] = host->node[i].free[ALLOCATION_MEMORY];
		cpu = fmax(cpu, type->node_capacity[i][ALLOCATION_CPU]);
		memory = fmax(memory, type->node_capacity[i][ALLOCATION_MEMORY]);
	}
	room->per_cpu = 1 / cpu;
	room->per_memory = 1 / memory;
}

bool migrate_plan_begin(struct migrate_plan *plan)
{
	const struct allocation_host_state *hosts = allocation_world_hosts(plan->world);

	plan->n = 0;
	plan->n_hosts = allocation_world_n_hosts(plan->world);
	if (plan->n_hosts > plan->capacity) {
		struct migrate_room *grown = realloc(plan->room, 2 * (size_t)plan->n_hosts * sizeof *grown);

		if (!grown)
			return false;
		plan->room = grown;
		plan->capacity = 2 * plan->n_hosts;
	}
	for (uint32_t i = 0; i < plan->n_hosts; i++) {
		plan->room[i].open = false;
		if (hosts[i].present)
			room_init(&plan->room[i], plan->world, &hosts[i]);
	}
	return true;
}

void migrate_plan_clear(struct migrate_plan *plan)
{
	free(plan->room);
}

static const struct allocation_request *request_of(const struct migrate_plan *plan, uint32_t vm)
{
	return allocation_world_request(plan->world, allocation_world_placement(plan->world, vm)->class_id);
}

static void need_of(const struct migrate_plan *plan, uint32_t vm, struct need *need)
{
	const struct allocation_placement *placement = allocation_world_placement(plan->world, vm);
	struct allocation_fit fit = { .host = placement->host, .nodes = placement->nodes };
	uint32_t node_amount[ALLOCATION_NODES_MAX][ALLOCATION_NODE_DIMENSIONS];
	uint32_t host_amount[ALLOCATION_HOST_DIMENSIONS];

	memset(need, 0, sizeof *need);
	allocation_world_charge(plan->world, request_of(plan, vm), &fit, node_amount, host_amount);
	for (uint32_t i = 0; i < ALLOCATION_NODES_MAX; i++)
		if (placement->nodes >> i & 1) {
			need->n_nodes++;
			need->cpu = fmax(need->cpu, node_amount[i][ALLOCATION_CPU]);
			need->memory = fmax(need->memory, node_amount[i][ALLOCATION_MEMORY]);
		}
}

static void room_take(struct migrate_room *room, const struct need *need, uint32_t nodes, double sign)
{
	for (uint32_t i = 0; i < room->n_nodes; i++)
		if (nodes >> i & 1) {
			room->cpu[i] -= sign * need->cpu;
			room->memory[i] -= sign * need->memory;
		}
}

static bool room_lacks(const struct migrate_room *room, uint32_t node)
{
	return room->cpu[node] < 0 || room->memory[node] < 0;
}

/* Sum over nodes of the larger share left. */
static double room_rest(const struct migrate_room *room)
{
	double rest = 0;

	for (uint32_t i = 0; i < room->n_nodes; i++)
		rest += fmax(room->cpu[i] * room->per_cpu, room->memory[i] * room->per_memory);
	return rest;
}

static void plan_add(struct migrate_plan *plan, uint32_t vm, const struct allocation_fit *to, const struct need *need)
{
	const struct allocation_placement *placement = allocation_world_placement(plan->world, vm);

	room_take(&plan->room[to->host], need, to->nodes, 1);
	room_take(&plan->room[placement->host], need, placement->nodes, -1);
	plan->moves[plan->n++] = (struct allocation_move) { .vm = vm, .to = *to };
}

static void plan_undo(struct migrate_plan *plan, size_t n)
{
	while (plan->n > n) {
		const struct allocation_move *move = &plan->moves[--plan->n];
		const struct allocation_placement *placement = allocation_world_placement(plan->world, move->vm);
		struct need need;

		need_of(plan, move->vm, &need);
		room_take(&plan->room[move->to.host], &need, move->to.nodes, -1);
		room_take(&plan->room[placement->host], &need, placement->nodes, 1);
	}
}

/* Whether enough nodes have room, each by itself. */
static bool room_may_hold(const struct migrate_room *room, const struct need *need)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < room->n_nodes; i++)
		n += room->cpu[i] >= need->cpu && room->memory[i] >= need->memory;
	return n >= need->n_nodes;
}

/* Where it leaves least, not on `but` and not where it is; false: nowhere. */
static bool plan_move(struct migrate_plan *plan, uint32_t vm, uint32_t but)
{
	const struct allocation_request *request = request_of(plan, vm);
	uint32_t at = allocation_world_placement(plan->world, vm)->host;
	struct allocation_fit best = { .host = ALLOCATION_NONE };
	double least = INFINITY;
	struct need need;

	need_of(plan, vm, &need);
	for (uint32_t host = 0; host < plan->n_hosts && plan->n < plan->n_max; host++) {
		struct allocation_fit fits[ALLOCATION_NODES_MAX];

		if (!plan->room[host].open || host == at || host == plan->from || host == but ||
		    !room_may_hold(&plan->room[host], &need))
			continue;
		unsigned n = allocation_world_fits(plan->world, request, host, fits);
		for (unsigned i = 0; i < n; i++) {
			struct migrate_room room = plan->room[host];
			bool lacks = false;

			room_take(&room, &need, fits[i].nodes, 1);
			for (uint32_t node = 0; node < room.n_nodes; node++)
				lacks |= fits[i].nodes >> node & 1 && room_lacks(&room, node);
			double rest = room_rest(&room);
			if (!lacks && rest < least) {
				least = rest;
				best = fits[i];
			}
		}
	}
	if (best.host != ALLOCATION_NONE)
		plan_add(plan, vm, &best, &need);
	return best.host != ALLOCATION_NONE;
}

bool migrate_plan_move(struct migrate_plan *plan, uint32_t vm)
{
	return plan_move(plan, vm, ALLOCATION_NONE);
}

/* Whether nothing but room keeps the VM off a host of the type it is on. */
static bool is_plain(const struct migrate_plan *plan, const struct allocation_request *request)
{
	for (unsigned i = ALLOCATION_HUGE_2M; i < ALLOCATION_DIMENSIONS; i++)
		if (request->amount[i] > 0)
			return false;
	return !request->exclusive_host && !request->exclusive_cores &&
	       !allocation_world_is_relational(plan->world, request);
}

/* A way: VMs of one host that leave it, so that another fits. */
struct way {
	struct allocation_fit fit;
	uint32_t vm[WAY_VMS_MAX];
	unsigned n;
	double cost;
};

static bool is_taken(const struct migrate_plan *plan, const struct way *way, uint32_t vm)
{
	for (unsigned i = 0; i < way->n; i++)
		if (way->vm[i] == vm)
			return true;
	for (size_t i = 0; i < plan->n; i++)
		if (plan->moves[i].vm == vm)
			return true;
	return false;
}

/* The smaller the better: what the VM's leaving would leave of the node, or of the shortage. */
static double leaves(const struct migrate_room *room, uint32_t node, const struct need *need)
{
	double cpu = (room->cpu[node] + need->cpu) * room->per_cpu;
	double memory = (room->memory[node] + need->memory) * room->per_memory;

	return cpu >= 0 && memory >= 0 ? cpu + memory : 10 - fmin(cpu, 0) - fmin(memory, 0);
}

/* Adds to the way one VM that is on that node alone and smaller than `than`. */
static bool way_widen(const struct migrate_plan *plan, struct way *way, struct migrate_room *room, uint32_t node,
		      const struct need *than)
{
	uint32_t vm = allocation_world_hosts(plan->world)[way->fit.host].first_vm, best = ALLOCATION_NONE;
	struct need least_need = { 0 };
	double least = INFINITY;

	if (way->n == WAY_VMS_MAX)
		return false;
	for (; vm != ALLOCATION_NONE; vm = allocation_world_placement(plan->world, vm)->next) {
		const struct allocation_placement *placement = allocation_world_placement(plan->world, vm);
		struct need need;

		if (placement->nodes != 1u << node || plan->now_ms - placement->placed_ms < STAYS_MS)
			continue;
		need_of(plan, vm, &need);
		double left = leaves(room, node, &need);
		if (left >= least || need.memory >= than->n_nodes * than->memory || is_taken(plan, way, vm))
			continue;
		least = left;
		best = vm;
		least_need = need;
	}
	if (best == ALLOCATION_NONE)
		return false;
	way->vm[way->n++] = best;
	room_take(room, &least_need, 1u << node, -1);
	return true;
}

/* The way on that host with the VM on those nodes. */
static bool way_find(const struct migrate_plan *plan, struct way *way, const struct need *need)
{
	struct migrate_room room = plan->room[way->fit.host];
	double before = room_rest(&room);

	room_take(&room, need, way->fit.nodes, 1);
	for (uint32_t node = 0; node < room.n_nodes; node++)
		if (room.cpu[node] * room.per_cpu < -0.5 || room.memory[node] * room.per_memory < -0.4)
			return false;
	for (uint32_t node = 0; node < room.n_nodes; node++)
		while (way->fit.nodes >> node & 1 && room_lacks(&room, node))
			if (!way_widen(plan, way, &room, node, need))
				return false;
	way->cost = way->n * WAY_VM_COST + room_rest(&room) - before;
	return plan->n + way->n + 1 <= plan->n_max;
}

bool migrate_plan_make_way(struct migrate_plan *plan, uint32_t vm)
{
	const struct allocation_placement *placement = allocation_world_placement(plan->world, vm);
	uint32_t type = plan->room[placement->host].type;
	struct way best = { .cost = INFINITY };
	size_t n = plan->n;
	struct need need;

	need_of(plan, vm, &need);
	if (!is_plain(plan, request_of(plan, vm)))
		return false;
	for (uint32_t host = 0; host < plan->n_hosts; host++) {
		const struct migrate_room *room = &plan->room[host];
		bool all = need.n_nodes == room->n_nodes;

		if (!room->open || !room->shared || host == plan->from || host == placement->host || room->type != type)
			continue;
		for (uint32_t node = 0; node < (all ? 1 : need.n_nodes == 1 ? room->n_nodes : 0); node++) {
			uint32_t nodes = all ? (1u << room->n_nodes) - 1 : 1u << node;
			struct way way = { .fit = { .host = host, .nodes = (uint8_t)nodes } };

			if (way_find(plan, &way, &need) && way.cost < best.cost)
				best = way;
		}
	}
	if (best.cost == INFINITY)
		return false;
	for (unsigned i = 0; i < best.n; i++)
		if (!plan_move(plan, best.vm[i], best.fit.host)) {
			plan_undo(plan, n);
			return false;
		}
	plan_add(plan, vm, &best.fit, &need);
	return true;
}
