/* mmt: relieves overloaded hosts, of each the VMs that move fastest first.
 *
 * Idea: minimum migration time. From every host used above a threshold, the most used first, the VM with the least memory
 * goes (what moves fastest disturbs least), until the host is at or below the threshold. It goes to the host with least room
 * that takes it and stays at or below the threshold itself; failing that, to the least used of all, empty ones included.
 *
 * Source: Beloglazov and Buyya, Optimal Online Deterministic Algorithms and Adaptive Heuristics for Energy and Performance
 * Efficient Dynamic Consolidation of Virtual Machines in Cloud Data Centers, Concurrency and Computation, 2012.
 *
 * Complexity: O(VMs of the overloaded hosts × 64), plus O(hosts) for a VM that finds no place nearby.
 *
 * Loses: it makes many small moves where one of a large VM would do; hosts overloaded by one large VM stay so.
 */
#include <stdlib.h>
#include <string.h>

#include "core/allocation/rebalance/search.h"
#include "core/allocation/strategies/strategies.h"

static const struct strategy_parameter parameters[] = {
	{ .name = "overloaded-percent",
	  .type = STRATEGY_NUMBER,
	  .min = 1,
	  .max = 100,
	  .initial = 90,
	  .doc = "A host is overloaded when it is used above this, of CPU or memory." },
};

struct hot {
	double used;
	uint32_t host;
};

static int most_used_first(const void *a, const void *b)
{
	const struct hot *x = a, *y = b;

	if (x->used != y->used)
		return x->used > y->used ? -1 : 1;
	return (x->host > y->host) - (x->host < y->host);
}

static uint32_t find_hot(const struct rebalance_search *search, struct hot *hot, uint8_t *full)
{
	uint32_t n = 0;

	for (uint32_t host = 0; host < allocation_world_n_hosts(search->world); host++) {
		double cpu, memory, used;

		if (!rebalance_is_on(search->world, host))
			continue;
		used = rebalance_used(search->world, host, &cpu, &memory);
		if (used > search->overloaded_above) {
			hot[n++] = (struct hot) { used, host };
			full[host] = 1;
		}
	}
	qsort(hot, n, sizeof *hot, most_used_first);
	return n;
}

/* A place that is not overloaded by it. Hosts found too full on the way are marked so for this VM, then let go again. */
static bool find_place(struct rebalance_search *search, uint32_t vm, uint8_t *full, struct allocation_fit *fit)
{
	uint32_t tried[REBALANCE_TRIES], n = 0, steps = search->plan->n_steps;
	const struct allocation_placement *placement = allocation_world_placement(search->world, vm);
	uint32_t penalty = allocation_world_penalty(
		search->world, allocation_world_request(search->world, placement->class_id), placement->host);
	bool found = false;

	while (!found && n < REBALANCE_TRIES && rebalance_best_fit(search->world, &search->rooms, vm, full, fit)) {
		double cpu, memory;

		if (!rebalance_search_move(search, vm, fit))
			break;
		found = rebalance_used(search->world, fit->host, &cpu, &memory) <= search->overloaded_above;
		rebalance_search_undo(search, steps);
		if (!found) {
			full[fit->host] = 1;
			tried[n++] = fit->host;
		}
	}
	while (n-- > 0)
		full[tried[n]] = 0; /* cppcheck-suppress uninitvar */
	return found || rebalance_scan_fit(search->world, vm, penalty, search->overloaded_above, fit);
}

struct light {
	uint64_t memory;
	uint32_t vm;
};

static int lightest_first(const void *a, const void *b)
{
	const struct light *x = a, *y = b;

	if (x->memory != y->memory)
		return x->memory < y->memory ? -1 : 1;
	return (x->vm > y->vm) - (x->vm < y->vm);
}

static bool relieve(struct rebalance_search *search, uint32_t host, uint8_t *full)
{
	uint32_t n, *vms;
	struct light *light;
	double cpu, memory;
	bool ok;

	n = rebalance_vms_on(search->world, host, &vms);
	light = malloc(((size_t)n + 1) * sizeof *light);
	ok = vms && light;
	for (uint32_t i = 0; i < n && ok; i++)
		light[i] = (struct light) { rebalance_memory_mib(
						    search->world,
						    allocation_world_placement(search->world, vms[i])->class_id),
					    vms[i] };
	if (ok)
		qsort(light, n, sizeof *light, lightest_first);
	for (uint32_t i = 0; i < n && ok; i++) {
		struct allocation_fit fit;

		if (rebalance_used(search->world, host, &cpu, &memory) <= search->overloaded_above)
			break;
		if (rebalance_search_may(search, light[i].vm) && find_place(search, light[i].vm, full, &fit))
			ok = rebalance_search_move(search, light[i].vm, &fit);
	}
	free(light);
	free(vms);
	return ok;
}

static bool plan(struct rebalance_search *search, const struct strategy_values *values, uint64_t seed)
{
	size_t n_hosts = allocation_world_n_hosts(search->world);
	struct hot *hot = malloc((n_hosts + 1) * sizeof *hot);
	uint8_t *full = calloc(n_hosts + 1, 1);
	bool ok = hot && full;
	uint32_t n;

	search->overloaded_above = values->value[0] / 100;
	n = ok ? find_hot(search, hot, full) : 0;
	for (uint32_t i = 0; i < n && ok && search->plan->n_steps < search->limits.max_moves; i++)
		ok = relieve(search, hot[i].host, full);
	free(full);
	free(hot);
	return ok;
}

static const struct rebalance_ops ops = { .plan = plan };

const struct allocation_strategy strategy_mmt = {
	.info = { .name = "mmt",
		  .summary = "relieves overloaded hosts, of each the VMs that move fastest first",
		  .kind = STRATEGY_CONTINUOUS,
		  .index = STRATEGY_INDEX_BOUNDED,
		  .parameters = parameters,
		  .n_parameters = sizeof parameters / sizeof *parameters },
	.rebalance = &ops,
};
