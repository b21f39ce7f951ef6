/* consolidation: empties the least used hosts, whole or not at all, so that they can be powered off.
 *
 * Idea: hosts in order of what they hold, the least first. Every VM of such a host goes, largest first, to the host with
 * the least room that takes it (best fit) among those that stay; where none does, one smaller VM is first moved out of its
 * way. When one VM finds no place, the whole host is left as it was. Hosts that are empty stay empty, and one that took VMs
 * is not emptied later. Each move is made after the ones before it and only into room that is there then.
 *
 * Source: Murtazaev and Oh, Sercon: Server Consolidation Algorithm using Live Migration of Virtual Machines for Green
 * Computing, IETE Technical Review, 2011.
 *
 * Complexity: O(hosts × log hosts) to order them, then O(64) hosts looked at a VM: hosts are kept in buckets of their room.
 *
 * Loses: it never exchanges VMs between hosts that stay, so it stops with room left over in pieces; large VMs keep
 * their hosts.
 */
#include <stdlib.h>
#include <string.h>

#include "core/allocation/rebalance/search.h"
#include "core/allocation/strategies/strategies.h"

static const struct strategy_parameter parameters[] = {
	{ .name = "hosts-percent",
	  .type = STRATEGY_NUMBER,
	  .min = 0,
	  .max = 100,
	  .initial = 100,
	  .doc = "Empty at most this share of the hosts in use." },
	{ .name = "patience",
	  .type = STRATEGY_INTEGER,
	  .min = 1,
	  .max = 1e7,
	  .initial = 100000,
	  .doc = "Give up after this many hosts in a row that could not be emptied." },
	{ .name = "most-used-percent",
	  .type = STRATEGY_NUMBER,
	  .min = 1,
	  .max = 100,
	  .initial = 100,
	  .doc = "Leave hosts alone that are used more than this, of CPU or memory." },
};

struct candidate {
	double used;
	uint32_t host;
};

static int least_used_first(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->used != y->used)
		return x->used < y->used ? -1 : 1;
	return (x->host > y->host) - (x->host < y->host);
}

static uint32_t order(const struct rebalance_search *search, double most_used, struct candidate *candidates)
{
	uint32_t n = 0;

	for (uint32_t host = 0; host < allocation_world_n_hosts(search->world); host++) {
		double cpu, memory, used;

		if (!rebalance_is_on(search->world, host) || !allocation_world_hosts(search->world)[host].n_vms)
			continue;
		used = rebalance_used(search->world, host, &cpu, &memory);
		if (used <= most_used)
			candidates[n++] = (struct candidate) { used, host };
	}
	qsort(candidates, n, sizeof *candidates, least_used_first);
	return n;
}

/* A host that took a VM is not emptied any more. */
static bool empty_all(struct rebalance_search *search, const struct candidate *candidates, uint32_t n,
		      uint32_t patience)
{
	uint8_t *took = calloc((size_t)allocation_world_n_hosts(search->world) + 1, 1);
	uint32_t failed = 0, emptied = 0;
	bool ok = took != NULL;

	for (uint32_t i = 0; i < n && ok && failed < patience && emptied < search->limits.max_hosts; i++) {
		uint32_t before = search->plan->n_steps;
		bool done;

		if (search->limits.budget && search->limits.budget->stop &&
		    search->limits.budget->stop(search->limits.budget->data))
			break;
		if (took[candidates[i].host])
			continue;
		ok = rebalance_search_empty(search, candidates[i].host, NULL, &done);
		for (uint32_t s = before; s < search->plan->n_steps; s++)
			took[search->plan->steps[s].to.host] = 1;
		failed = done ? 0 : failed + 1;
		emptied += done;
	}
	free(took);
	return ok;
}

static bool plan(struct rebalance_search *search, const struct strategy_values *values, uint64_t seed)
{
	uint32_t n_hosts = allocation_world_n_hosts(search->world), n, most;
	struct candidate *candidates = malloc(((size_t)n_hosts + 1) * sizeof *candidates);
	bool ok;

	if (!candidates)
		return false;
	n = order(search, values->value[2] / 100, candidates);
	most = (uint32_t)(values->value[0] / 100 * n);
	if (most < search->limits.max_hosts)
		search->limits.max_hosts = most;
	ok = empty_all(search, candidates, n, (uint32_t)values->value[1]);
	free(candidates);
	return ok;
}

static const struct rebalance_ops ops = { .plan = plan };

const struct allocation_strategy strategy_consolidation = {
	.info = { .name = "consolidation",
		  .summary = "empties the least used hosts, whole or not at all, so that they can be powered off",
		  .kind = STRATEGY_CONTINUOUS,
		  .index = STRATEGY_INDEX_BOUNDED,
		  .parameters = parameters,
		  .n_parameters = sizeof parameters / sizeof *parameters },
	.rebalance = &ops,
};
