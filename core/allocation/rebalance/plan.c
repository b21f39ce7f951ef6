/* Plans for a live world: made on a copy, measured before and after, checked by carrying them out. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/allocation/family.h"
#include "core/allocation/rebalance/search.h"

void rebalance_plan_clear(struct rebalance_plan *plan)
{
	free(plan->steps);
	*plan = (struct rebalance_plan) { 0 };
}

struct measure {
	double imbalance;
	uint32_t used, overloaded;
};

static struct measure measure(const struct allocation_world *world, double overloaded_above)
{
	double sum[2] = { 0, 0 }, squares[2] = { 0, 0 }, n = 0;
	struct measure measure = { 0 };

	for (uint32_t host = 0; host < allocation_world_n_hosts(world); host++) {
		double share[2];

		if (!rebalance_is_on(world, host))
			continue;
		measure.overloaded += rebalance_used(world, host, &share[0], &share[1]) > overloaded_above;
		measure.used += allocation_world_hosts(world)[host].n_vms > 0;
		n++;
		for (unsigned d = 0; d < 2; d++) {
			sum[d] += share[d];
			squares[d] += share[d] * share[d];
		}
	}
	for (unsigned d = 0; d < 2 && n > 0; d++)
		measure.imbalance += (squares[d] / n - sum[d] / n * (sum[d] / n)) / 2;
	measure.imbalance = sqrt(measure.imbalance > 0 ? measure.imbalance : 0);
	return measure;
}

static void note_gain(struct rebalance_search *search, const struct allocation_world *start)
{
	struct measure before = measure(start, search->overloaded_above);
	struct measure after = measure(search->world, search->overloaded_above);
	struct rebalance_plan *plan = search->plan;

	plan->imbalance_before = before.imbalance;
	plan->imbalance_after = after.imbalance;
	plan->hosts_used_before = before.used;
	plan->hosts_used_after = after.used;
	plan->overloaded_before = before.overloaded;
	plan->overloaded_after = after.overloaded;
	plan->hosts_emptied = before.used > after.used ? before.used - after.used : 0;
}

static void search_clear(struct rebalance_search *search)
{
	rebalance_rooms_clear(&search->rooms);
	allocation_world_free(search->world);
}

/* false: out of memory; clear it either way. */
static bool search_init(struct rebalance_search *search, const struct allocation_world *world,
			const struct rebalance_limits *limits, struct rebalance_plan *plan)
{
	*plan = (struct rebalance_plan) { 0 };
	*search = (struct rebalance_search) { .plan = plan, .overloaded_above = 0.9 };
	if (limits)
		search->limits = *limits;
	if (!search->limits.max_moves)
		search->limits.max_moves = allocation_world_n_placements(world);
	if (!search->limits.max_hosts)
		search->limits.max_hosts = allocation_world_n_hosts(world);
	search->world = allocation_world_copy(world);
	return search->world && rebalance_rooms_init(&search->rooms, search->world);
}

bool allocation_rebalance_plan(const struct allocation_world *world, const struct allocation_strategy *strategy,
			       const struct strategy_values *values, uint64_t seed,
			       const struct rebalance_limits *limits, struct rebalance_plan *plan)
{
	struct strategy_values defaults;
	struct rebalance_search search;
	bool ok;

	*plan = (struct rebalance_plan) { 0 };
	if (!strategy->rebalance || !strategy->rebalance->plan)
		return false;
	strategy_values_init(&strategy->info, &defaults);
	ok = search_init(&search, world, limits, plan) &&
	     strategy->rebalance->plan(&search, values ? values : &defaults, seed);
	if (ok) {
		note_gain(&search, world);
	} else {
		rebalance_plan_clear(plan);
	}
	search_clear(&search);
	return ok;
}

/* ---- Draining ---- */

static struct rebalance_stuck why_stuck(const struct allocation_world *world, uint32_t vm, uint32_t from)
{
	const struct allocation_placement *placement = allocation_world_placement(world, vm);
	const struct allocation_request *request = allocation_world_request(world, placement->class_id);
	uint32_t count[ALLOCATION_CONSTRAINTS + 1] = { 0 };
	struct rebalance_stuck stuck = { .vm = vm, .most = ALLOCATION_CONSTRAINTS };

	for (uint32_t host = 0; host < allocation_world_n_hosts(world); host++)
		if (host != from && allocation_world_hosts(world)[host].present)
			count[allocation_world_violates(world, request, host)]++;
	for (unsigned c = 0; c < ALLOCATION_CONSTRAINTS; c++)
		if (count[c] > stuck.hosts) {
			stuck.hosts = count[c];
			stuck.most = (enum allocation_constraint)c;
		}
	return stuck;
}

static bool drain(struct rebalance_search *search, uint32_t host, struct rebalance_drain *drained)
{
	uint32_t n, *vms;
	bool ok;

	n = rebalance_vms_on(search->world, host, &vms);
	drained->stuck = calloc((size_t)n + 1, sizeof *drained->stuck);
	ok = vms && drained->stuck;
	for (uint32_t i = 0; i < n && ok; i++) {
		struct allocation_fit fit;

		if (rebalance_best_fit(search->world, &search->rooms, vms[i], NULL, &fit) ||
		    rebalance_scan_fit(search->world, vms[i], UINT32_MAX, 1, &fit))
			ok = rebalance_search_move(search, vms[i], &fit);
		else
			drained->stuck[drained->n_stuck++] = why_stuck(search->world, vms[i], host);
	}
	free(vms);
	return ok;
}

bool allocation_drain_plan(const struct allocation_world *world, uint32_t host, struct rebalance_drain *drained)
{
	struct rebalance_search search;
	bool ok;

	*drained = (struct rebalance_drain) { 0 };
	ok = search_init(&search, world, NULL, &drained->plan) && drain(&search, host, drained);
	if (ok) {
		note_gain(&search, world);
	} else {
		rebalance_drain_clear(drained);
	}
	search_clear(&search);
	return ok;
}

void rebalance_drain_clear(struct rebalance_drain *drained)
{
	free(drained->stuck);
	rebalance_plan_clear(&drained->plan);
	*drained = (struct rebalance_drain) { 0 };
}

/* ---- Checking ---- */

static const char *check_step(struct allocation_world *world, const struct rebalance_step *step)
{
	const struct allocation_placement *placement;
	struct allocation_fit fits[ALLOCATION_NODES_MAX];
	uint32_t class_id, vm, n;
	bool offered = false;

	if (step->vm >= allocation_world_n_placements(world) || step->to.host >= allocation_world_n_hosts(world))
		return "a step names a VM or host that is not there";
	placement = allocation_world_placement(world, step->vm);
	if (placement->class_id == ALLOCATION_NONE || placement->host != step->from || step->from == step->to.host)
		return "a step's VM is not where the step takes it from";
	class_id = allocation_world_class(world, allocation_world_request(world, placement->class_id));
	allocation_world_remove(world, step->vm);
	if (allocation_world_violates(world, allocation_world_request(world, class_id), step->to.host) !=
	    ALLOCATION_CONSTRAINTS)
		return "a step breaks a hard constraint when its turn comes";
	n = allocation_world_fits(world, allocation_world_request(world, class_id), step->to.host, fits);
	for (uint32_t i = 0; i < n; i++)
		offered |= fits[i].nodes == step->to.nodes;
	if (!offered)
		return "a step's NUMA nodes do not take its VM";
	vm = allocation_world_place(world, class_id, &step->to, 0);
	allocation_world_class_unref(world, class_id);
	return vm == step->vm ? NULL : "a VM lost its number";
}

const char *allocation_plan_check(const struct allocation_world *world, const struct rebalance_plan *plan)
{
	struct allocation_world *copy = allocation_world_copy(world);
	const char *wrong = copy ? NULL : "out of memory";

	for (uint32_t i = 0; i < plan->n_steps && !wrong; i++)
		wrong = check_step(copy, &plan->steps[i]);
	if (!wrong)
		wrong = allocation_world_verify(copy);
	if (copy)
		allocation_world_free(copy);
	return wrong;
}
