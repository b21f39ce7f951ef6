#include "lab/availability.h"

struct member {
	guint32 rack, count;
};

struct group {
	guint32 size;
	guint32 n, room;
	struct member *member; /* one a rack */
};

struct availability {
	GHashTable *groups;   /* number → struct group * */
	guint32 n_replicated; /* groups of at least two */
	guint32 *broken;      /* [rack]: groups that lose their majority with it */
	guint32 n_racks;
	guint32 *racks_with; /* [n]: racks whose loss breaks exactly n groups, n ≥ 1 */
	guint32 n_racks_with;
	guint32 most; /* max of broken */
};

static void group_free(gpointer data)
{
	struct group *group = data;

	g_free(group->member);
	g_free(group);
}

struct availability *availability_new(void)
{
	struct availability *availability = g_new0(struct availability, 1);

	availability->groups = g_hash_table_new_full(NULL, NULL, NULL, group_free);
	return availability;
}

void availability_free(struct availability *availability)
{
	if (!availability)
		return;
	g_hash_table_unref(availability->groups);
	g_free(availability->broken);
	g_free(availability->racks_with);
	g_free(availability);
}

static void room_make(guint32 **array, guint32 *n, guint32 index)
{
	if (index < *n)
		return;
	guint32 room = MAX(index + 1, *n * 2);
	*array = g_renew(guint32, *array, room);
	for (guint32 i = *n; i < room; i++)
		(*array)[i] = 0;
	*n = room;
}

/* One group more (step 1) or less (-1) breaks with this rack. `most` follows: it moves by at most one. */
static void broken_step(struct availability *a, guint32 rack, int step)
{
	guint32 old, now;

	room_make(&a->broken, &a->n_racks, rack);
	old = a->broken[rack];
	now = a->broken[rack] = old + (guint32)step;
	room_make(&a->racks_with, &a->n_racks_with, MAX(old, now));
	if (old)
		a->racks_with[old]--;
	if (now)
		a->racks_with[now]++;
	if (now > a->most)
		a->most = now;
	while (a->most && a->racks_with[a->most] == 0)
		a->most--;
}

static gboolean breaks(const struct group *group, const struct member *member)
{
	return group->size >= 2 && 2 * (guint64)member->count >= group->size;
}

/* Takes the group out of the account (-1), or into it (1). */
static void group_account(struct availability *a, const struct group *group, int step)
{
	if (group->size >= 2)
		a->n_replicated += (guint32)step;
	for (guint32 i = 0; i < group->n; i++)
		if (breaks(group, &group->member[i]))
			broken_step(a, group->member[i].rack, step);
}

void availability_add(struct availability *availability, guint32 number, guint32 rack)
{
	struct group *group = g_hash_table_lookup(availability->groups, GUINT_TO_POINTER(number));
	guint32 i = 0;

	if (!group) {
		group = g_new0(struct group, 1);
		g_hash_table_insert(availability->groups, GUINT_TO_POINTER(number), group);
	}
	group_account(availability, group, -1);
	while (i < group->n && group->member[i].rack != rack)
		i++;
	if (i == group->n) {
		if (group->n == group->room) {
			group->room = MAX(2, group->room * 2);
			group->member = g_renew(struct member, group->member, group->room);
		}
		group->member[group->n++] = (struct member) { rack, 0 };
	}
	group->member[i].count++;
	group->size++;
	group_account(availability, group, 1);
}

void availability_remove(struct availability *availability, guint32 number, guint32 rack)
{
	struct group *group = g_hash_table_lookup(availability->groups, GUINT_TO_POINTER(number));
	guint32 i = 0;

	group_account(availability, group, -1);
	while (group->member[i].rack != rack)
		i++;
	if (--group->member[i].count == 0)
		group->member[i] = group->member[--group->n];
	if (--group->size == 0)
		g_hash_table_remove(availability->groups, GUINT_TO_POINTER(number));
	else
		group_account(availability, group, 1);
}

guint32 availability_groups(const struct availability *availability, guint32 *kept)
{
	*kept = availability->n_replicated - availability->most;
	return availability->n_replicated;
}

/* ---- Losing a host ---- */

/* Free CPU and memory of every node, to place on and to take back. */
struct room {
	guint32 cpu, memory;
};

struct loss {
	const struct allocation_world *world;
	const struct allocation_host_state *hosts;
	guint32 n_hosts;
	struct room *room; /* [n_hosts][ALLOCATION_NODES_MAX] */
};

struct lost {
	guint32 vm;
	guint64 size; /* dominant share of the largest node of its host, in millionths */
	struct room amount;
};

static guint64 ratio(guint64 amount, guint64 capacity)
{
	return capacity ? amount * 1000000 / capacity : 0;
}

/* The fuller of CPU and memory, in millionths of the host. */
static guint64 fullness(const struct allocation_world *world, const struct allocation_host_state *host)
{
	const struct allocation_host *type = allocation_world_type(world, host->type);
	guint64 cpu = 0, memory = 0, cpus = 0, memories = 0;

	for (guint32 i = 0; i < host->n_nodes; i++) {
		cpus += type->node_capacity[i][ALLOCATION_CPU];
		memories += type->node_capacity[i][ALLOCATION_MEMORY];
		cpu += host->node[i].free[ALLOCATION_CPU];
		memory += host->node[i].free[ALLOCATION_MEMORY];
	}
	return MAX(ratio(cpus - MIN(cpu, cpus), cpus), ratio(memories - MIN(memory, memories), memories));
}

static int larger_first(gconstpointer a, gconstpointer b)
{
	const struct lost *x = a, *y = b;

	if (x->size != y->size)
		return x->size > y->size ? -1 : 1;
	return x->vm < y->vm ? -1 : x->vm > y->vm;
}

static gboolean room_take(struct room *room, const struct room *amount)
{
	if (room->cpu < amount->cpu || room->memory < amount->memory)
		return FALSE;
	room->cpu -= amount->cpu;
	room->memory -= amount->memory;
	return TRUE;
}

/* Spread over `nodes` nodes of a host, or not at all. */
static gboolean host_take(struct room *room, guint32 n_nodes, const struct room *amount, guint32 nodes)
{
	struct room part = { (amount->cpu + nodes - 1) / nodes, (amount->memory + nodes - 1) / nodes };
	guint32 chosen[ALLOCATION_NODES_MAX], n = 0;

	for (guint32 i = 0; i < n_nodes && n < nodes; i++)
		if (room[i].cpu >= part.cpu && room[i].memory >= part.memory)
			chosen[n++] = i;
	if (n < nodes)
		return FALSE;
	for (guint32 i = 0; i < n; i++)
		room_take(&room[chosen[i]], &part);
	return TRUE;
}

static gboolean lost_place(struct loss *loss, guint32 lost_host, const struct lost *lost)
{
	const struct allocation_placement *placement = allocation_world_placement(loss->world, lost->vm);
	const struct allocation_request *request = allocation_world_request(loss->world, placement->class_id);
	guint32 least = request->numa == ALLOCATION_NUMA_SPLIT ? MAX(request->numa_nodes, 1) : 1;
	guint32 most = request->numa == ALLOCATION_NUMA_ANY ? ALLOCATION_NODES_MAX : least;

	for (guint32 i = 0; i < loss->n_hosts; i++) {
		const struct allocation_host_state *host = &loss->hosts[i];
		if (i == lost_host || !host->present || !host->powered || host->cordoned)
			continue;
		for (guint32 nodes = least; nodes <= MIN(most, host->n_nodes); nodes++)
			if (host_take(&loss->room[i * ALLOCATION_NODES_MAX], host->n_nodes, &lost->amount, nodes))
				return TRUE;
	}
	return FALSE;
}

static void room_fill(struct loss *loss)
{
	for (guint32 i = 0; i < loss->n_hosts; i++)
		for (guint32 j = 0; j < loss->hosts[i].n_nodes; j++)
			loss->room[i * ALLOCATION_NODES_MAX + j] =
				(struct room) { loss->hosts[i].node[j].free[ALLOCATION_CPU],
						loss->hosts[i].node[j].free[ALLOCATION_MEMORY] };
}

/* The share of the host's VMs that find room. */
static double host_lose(struct loss *loss, guint32 host)
{
	const struct allocation_host *type = allocation_world_type(loss->world, loss->hosts[host].type);
	g_autoptr(GArray) vms = g_array_new(FALSE, FALSE, sizeof(struct lost));
	guint placed = 0;

	for (guint32 vm = loss->hosts[host].first_vm; vm != ALLOCATION_NONE;) {
		const struct allocation_placement *placement = allocation_world_placement(loss->world, vm);
		const struct allocation_request *request = allocation_world_request(loss->world, placement->class_id);
		struct lost lost = { vm, 0, { request->amount[ALLOCATION_CPU], request->amount[ALLOCATION_MEMORY] } };
		lost.size = MAX(ratio(lost.amount.cpu, type->node_capacity[0][ALLOCATION_CPU]),
				ratio(lost.amount.memory, type->node_capacity[0][ALLOCATION_MEMORY]));
		g_array_append_val(vms, lost);
		vm = placement->next;
	}
	g_array_sort(vms, larger_first);
	room_fill(loss);
	for (guint i = 0; i < vms->len; i++)
		placed += lost_place(loss, host, &g_array_index(vms, struct lost, i));
	return (double)placed / vms->len;
}

gboolean availability_replaceable(const struct allocation_world *world, double *share)
{
	struct loss loss = { world, allocation_world_hosts(world), allocation_world_n_hosts(world), NULL };
	struct {
		guint32 host;
		guint64 fullness;
	} worst[AVAILABILITY_WORST_HOSTS];
	guint n_worst = 0;

	for (guint32 i = 0; i < loss.n_hosts; i++) {
		if (!loss.hosts[i].present || loss.hosts[i].n_vms == 0)
			continue;
		guint64 full = fullness(world, &loss.hosts[i]);
		guint at = n_worst;
		while (at > 0 && worst[at - 1].fullness < full)
			at--;
		if (at == AVAILABILITY_WORST_HOSTS)
			continue;
		n_worst = MIN(n_worst + 1, AVAILABILITY_WORST_HOSTS);
		for (guint j = n_worst - 1; j > at; j--)
			worst[j] = worst[j - 1];
		worst[at].host = i;
		worst[at].fullness = full;
	}
	if (n_worst == 0)
		return FALSE;
	loss.room = g_new0(struct room, (gsize)loss.n_hosts * ALLOCATION_NODES_MAX);
	*share = 1;
	for (guint i = 0; i < n_worst; i++)
		*share = MIN(*share, host_lose(&loss, worst[i].host));
	g_free(loss.room);
	return TRUE;
}
