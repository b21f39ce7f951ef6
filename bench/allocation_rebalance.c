/* allocation_rebalance HOSTS FULL_PERCENT EMPTY_PERCENT SEED: a plan that empties EMPTY_PERCENT of the hosts of a fleet filled at
 * random to FULL_PERCENT, checked by carrying it out on a copy; one JSON object on stdout. CPU time is this thread's.
 *
 * The fleet: hosts of two NUMA nodes with 40 CPUs and 90 GiB each, racks of 40. VMs of 1 to 16 CPUs with 2 GiB a CPU, one in eight 4; one in
 * eight belongs to a group of four that keep apart by host. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/allocation/family.h"
#include "core/allocation/rebalance.h"
#include "core/strategy/random.h"

static double seconds(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void die(const char *what)
{
	fprintf(stderr, "allocation_rebalance: %s\n", what);
	exit(1);
}

static void add_hosts(struct allocation_world *world, uint32_t n)
{
	struct allocation_host host = { .n_nodes = 2, .powered = true, .threads_per_core = 2 };

	for (unsigned node = 0; node < 2; node++) {
		host.node_capacity[node][ALLOCATION_CPU] = 40000;
		host.node_capacity[node][ALLOCATION_MEMORY] = 90 * 1024;
	}
	for (uint32_t i = 0; i < n; i++) {
		host.rack = 1 + i / 40;
		if (allocation_world_host_add(world, &host) == ALLOCATION_NONE)
			die("out of memory");
	}
}

static struct allocation_request draw(struct strategy_random *random, uint32_t *n_groups)
{
	static const uint32_t cpus[] = { 1, 1, 1, 2, 2, 2, 4, 4, 8, 16 };
	struct allocation_request request;
	uint32_t n = cpus[strategy_random_below(random, sizeof cpus / sizeof *cpus)];

	memset(&request, 0, sizeof request);
	request.amount[ALLOCATION_CPU] = n * 1000;
	request.amount[ALLOCATION_MEMORY] = n * (strategy_random_below(random, 8) ? 2048 : 4096);
	if (strategy_random_below(random, 8) == 0) {
		uint32_t group = 1 + (*n_groups)++ / 4;

		request.member_of[0] = group;
		request.term[0] = (struct allocation_term) { .group = group, .level = ALLOCATION_HOST, .anti = true };
	}
	return request;
}

/* Hosts take VMs until each is filled to its own share around the wanted one, so that some hold little. */
static uint64_t fill(struct allocation_world *world, uint32_t n_hosts, unsigned percent, struct strategy_random *random)
{
	uint32_t n_groups = 0;
	uint64_t placed = 0;

	for (uint32_t h = 0; h < n_hosts; h++) {
		uint64_t spread = 100 - percent,
			 want = 80000ull * (percent - spread + strategy_random_below(random, 2 * spread + 1)) / 100;
		unsigned refused = 0;

		for (uint64_t used = 0; used < want && refused < 8;) {
			struct allocation_request request = draw(random, &n_groups);
			struct allocation_fit fits[ALLOCATION_NODES_MAX];
			unsigned n = allocation_world_fits(world, &request, h, fits);
			uint32_t class_id;

			if (!n) {
				refused++;
				continue;
			}
			class_id = allocation_world_class(world, &request);
			if (class_id == ALLOCATION_NONE ||
			    allocation_world_place(world, class_id, &fits[strategy_random_below(random, n)], 0) ==
				    ALLOCATION_NONE)
				die("out of memory");
			allocation_world_class_unref(world, class_id);
			used += request.amount[ALLOCATION_CPU];
			placed++;
		}
	}
	return placed;
}

int main(int argc, char **argv)
{
	uint32_t hosts = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 100000;
	unsigned full = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 85;
	unsigned empty = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 5;
	struct allocation_world *world = allocation_world_new();
	const struct allocation_strategy *strategy = allocation_strategy_find("consolidation");
	struct rebalance_limits limits = { .max_hosts = hosts / 100 * empty };
	struct rebalance_plan plan;
	struct strategy_random random;
	double wall, cpu;
	const char *wrong;
	uint64_t vms;

	if (!world || !strategy || full > 99 || full < 50 || empty > 100)
		die("usage: allocation_rebalance HOSTS FULL_PERCENT(50-99) EMPTY_PERCENT SEED");
	strategy_random_init(&random, argc > 4 ? strtoull(argv[4], NULL, 10) : 1);
	add_hosts(world, hosts);
	vms = fill(world, hosts, full, &random);
	wall = seconds(CLOCK_MONOTONIC);
	cpu = seconds(CLOCK_THREAD_CPUTIME_ID);
	if (!allocation_rebalance_plan(world, strategy, NULL, 1, &limits, &plan))
		die("out of memory");
	wall = seconds(CLOCK_MONOTONIC) - wall;
	cpu = seconds(CLOCK_THREAD_CPUTIME_ID) - cpu;
	wrong = allocation_plan_check(world, &plan);
	printf("{\"hosts\": %" PRIu32 ", \"vms\": %" PRIu64 ", \"hosts_emptied\": %" PRIu32 ", \"moves\": %" PRIu32
	       ", \"memory_mib\": %" PRIu64 ", \"wall_s\": %.3f, \"cpu_s\": %.3f, \"check\": \"%s\"}\n",
	       hosts, vms, plan.hosts_emptied, plan.n_steps, plan.memory_mib, wall, cpu, wrong ? wrong : "passed");
	rebalance_plan_clear(&plan);
	allocation_world_free(world);
	return wrong != NULL;
}
