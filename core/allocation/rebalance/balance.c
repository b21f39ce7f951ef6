#include "core/allocation/rebalance/balance.h"

#include <stdlib.h>

struct load {
	double cpu, memory;       /* used shares */
	double of_cpu, of_memory; /* capacities; 0: not part of it */
	bool settled;             /* nothing on it gains by moving */
};

struct loads {
	struct load *of;       /* [hosts] */
	double cpu, memory, n; /* sums over powered hosts */
};

struct gain {
	double gain;
	uint32_t vm;
	struct allocation_fit fit;
};

static void look(const struct rebalance_search *search, uint32_t host, struct load *load)
{
	const struct allocation_host_state *state = &allocation_world_hosts(search->world)[host];
	const struct allocation_host *type;

	*load = (struct load) { .settled = true };
	if (!rebalance_is_on(search->world, host))
		return;
	type = allocation_world_type(search->world, state->type);
	for (uint32_t n = 0; n < type->n_nodes; n++)
		for (unsigned d = 0; d < ALLOCATION_NODE_DIMENSIONS; d++)
			*(d == ALLOCATION_CPU ? &load->of_cpu : &load->of_memory) += type->node_capacity[n][d];
	rebalance_used(search->world, host, &load->cpu, &load->memory);
	load->settled = !state->n_vms;
}

static uint32_t most_used(const struct load *loads, uint32_t n)
{
	uint32_t best = ALLOCATION_NONE;
	double most = 0;

	for (uint32_t host = 0; host < n; host++) {
		double used = loads[host].cpu * loads[host].cpu + loads[host].memory * loads[host].memory;

		if (!loads[host].settled && (best == ALLOCATION_NONE || used > most)) {
			best = host;
			most = used;
		}
	}
	return best;
}

/* x² less what it becomes when `by` goes away. */
static double less(double x, double by)
{
	return x * x - (x - by) * (x - by);
}

static double share(double amount, double of)
{
	return of > 0 ? amount / of : 0;
}

/* The best place for one VM by what it gains; only what would gain more than `best` is asked whether it fits. */
static void try_vm(struct rebalance_search *search, const struct loads *loads, uint32_t vm, struct gain *best)
{
	const struct allocation_placement was = *allocation_world_placement(search->world, vm);
	struct allocation_world *world = search->world;
	uint32_t class_id = allocation_world_class(world, allocation_world_request(world, was.class_id));
	const struct allocation_request *request = allocation_world_request(world, class_id);
	double cpu = request->amount[ALLOCATION_CPU], memory = (double)rebalance_memory_mib(world, class_id);
	const struct load *from = &loads->of[was.host];
	struct allocation_fit home = { .host = was.host, .nodes = was.nodes }, fits[ALLOCATION_NODES_MAX];
	double away = less(from->cpu, share(cpu, from->of_cpu)) + less(from->memory, share(memory, from->of_memory));
	uint32_t penalty;

	allocation_world_remove(world, vm);
	penalty = allocation_world_penalty(world, request, was.host);
	for (uint32_t host = 0; host < allocation_world_n_hosts(world); host++) {
		const struct load *to = &loads->of[host];
		double gain;

		if (host == was.host || !(to->of_cpu > 0))
			continue;
		gain = away + less(to->cpu, -share(cpu, to->of_cpu)) + less(to->memory, -share(memory, to->of_memory));
		/* Between hosts that differ in size the mean moves, too: n × variance = sum of squares - sum² ÷ n. */
		gain -= less(loads->cpu, share(cpu, from->of_cpu) - share(cpu, to->of_cpu)) / loads->n;
		gain -= less(loads->memory, share(memory, from->of_memory) - share(memory, to->of_memory)) / loads->n;
		if (gain <= best->gain || !allocation_world_fits(world, request, host, fits) ||
		    allocation_world_penalty(world, request, host) > penalty)
			continue;
		*best = (struct gain) { gain, vm, fits[0] };
	}
	(void)allocation_world_place(world, class_id, &home, was.placed_ms);
	allocation_world_class_unref(world, class_id);
}

static bool best_off(struct rebalance_search *search, const struct loads *loads, uint32_t host, struct gain *best)
{
	uint32_t n, *vms, seen = ALLOCATION_NONE;

	*best = (struct gain) { .gain = 1e-9, .vm = ALLOCATION_NONE };
	n = rebalance_vms_on(search->world, host, &vms);
	if (!vms)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t class_id = allocation_world_placement(search->world, vms[i])->class_id;

		/* VMs alike follow one another: one stands for all. */
		if (class_id != seen && rebalance_search_may(search, vms[i]))
			try_vm(search, loads, vms[i], best);
		seen = class_id;
	}
	free(vms);
	return true;
}

static void add_up(struct loads *loads, uint32_t n_hosts)
{
	loads->cpu = loads->memory = loads->n = 0;
	for (uint32_t host = 0; host < n_hosts; host++)
		if (loads->of[host].of_cpu > 0) {
			loads->cpu += loads->of[host].cpu;
			loads->memory += loads->of[host].memory;
			loads->n++;
		}
}

bool rebalance_balance(struct rebalance_search *search, uint32_t patience)
{
	uint32_t n_hosts = allocation_world_n_hosts(search->world), idle = 0, host;
	struct loads loads = { .of = malloc(((size_t)n_hosts + 1) * sizeof *loads.of) };
	bool ok = loads.of != NULL;

	for (host = 0; host < n_hosts && ok; host++)
		look(search, host, &loads.of[host]);
	while (ok && idle < patience && (host = most_used(loads.of, n_hosts)) != ALLOCATION_NONE) {
		struct gain best;

		if (search->limits.budget && search->limits.budget->stop &&
		    search->limits.budget->stop(search->limits.budget->data))
			break;
		add_up(&loads, n_hosts);
		ok = best_off(search, &loads, host, &best);
		if (ok && best.vm != ALLOCATION_NONE) {
			ok = rebalance_search_move(search, best.vm, &best.fit);
			look(search, host, &loads.of[host]);
			look(search, best.fit.host, &loads.of[best.fit.host]);
			idle = 0;
		} else {
			loads.of[host].settled = true;
			idle++;
		}
	}
	free(loads.of);
	return ok;
}
