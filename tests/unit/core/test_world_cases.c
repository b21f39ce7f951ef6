/* The world's rules, each in a case small enough to follow by hand. */
#include <glib.h>

#include <string.h>

#include "core/allocation/world.h"

static struct allocation_host host_of(guint32 n_nodes, guint32 cpus, guint32 memory_mib)
{
	struct allocation_host host = { .n_nodes = n_nodes, .powered = true };

	for (guint node = 0; node < n_nodes; node++) {
		host.node_capacity[node][ALLOCATION_CPU] = cpus * 1000;
		host.node_capacity[node][ALLOCATION_MEMORY] = memory_mib;
	}
	return host;
}

static struct allocation_request request_of(guint32 cpus, guint32 memory_mib)
{
	struct allocation_request request;

	memset(&request, 0, sizeof(request));
	request.amount[ALLOCATION_CPU] = cpus * 1000;
	request.amount[ALLOCATION_MEMORY] = memory_mib;
	return request;
}

static guint32 place(struct allocation_world *world, const struct allocation_request *request, guint32 host,
		     guint nodes)
{
	guint32 class_id = allocation_world_class(world, request);
	guint32 vm = allocation_world_place(world, class_id,
					    &(struct allocation_fit) { .host = host, .nodes = (uint8_t)nodes }, 0);

	allocation_world_class_unref(world, class_id);
	return vm;
}

static guint fits_on(const struct allocation_world *world, const struct allocation_request *request, guint32 host)
{
	struct allocation_fit fits[ALLOCATION_NODES_MAX];
	guint nodes = 0;

	/* As one number: each fit's set, four bits apiece. */
	for (guint i = 0, n = allocation_world_fits(world, request, host, fits); i < n; i++)
		nodes = nodes << 4 | fits[i].nodes;
	return nodes;
}

static void test_numa(void)
{
	struct allocation_world *world = allocation_world_new();
	struct allocation_host host = host_of(3, 4, 4096);
	struct allocation_request request = request_of(2, 2048);
	const struct allocation_host_state *state;

	allocation_world_host_add(world, &host);
	g_assert_cmphex(fits_on(world, &request, 0), ==, 0x124);
	place(world, &request, 0, 1);
	place(world, &request, 0, 1);
	g_assert_cmphex(fits_on(world, &request, 0), ==, 0x24);
	request = request_of(5, 4099);
	g_assert_cmphex(fits_on(world, &request, 0), ==, 0);
	g_assert_cmpint(allocation_world_violates(world, &request, 0), ==, ALLOCATION_LACKS_NUMA);
	request.numa = ALLOCATION_NUMA_ANY;
	g_assert_cmphex(fits_on(world, &request, 0), ==, 0x6);
	place(world, &request, 0, 6); /* whole vCPUs: 3 and 2; MiB: 2050 and 2049 */
	state = allocation_world_hosts(world);
	g_assert_cmpuint(state->node[1].free[ALLOCATION_CPU], ==, 1000);
	g_assert_cmpuint(state->node[2].free[ALLOCATION_CPU], ==, 2000);
	g_assert_cmpuint(state->node[1].free[ALLOCATION_MEMORY], ==, 2046);
	g_assert_cmpuint(state->node[2].free[ALLOCATION_MEMORY], ==, 2047);
	request = request_of(2, 2);
	request.numa = ALLOCATION_NUMA_SPLIT;
	request.numa_nodes = 2;
	g_assert_cmphex(fits_on(world, &request, 0), ==, 0x6);
	request.numa_nodes = 3;
	g_assert_cmphex(fits_on(world, &request, 0), ==, 0); /* nothing left on the first node … */
	request.amount[ALLOCATION_MEMORY] = 0;
	request.amount[ALLOCATION_CPU] = 0;
	g_assert_cmphex(fits_on(world, &request, 0), ==, 0x7); /* … but nothing fits there */
	request.numa_nodes = 4;
	g_assert_cmphex(fits_on(world, &request, 0), ==, 0);
	allocation_world_free(world);
}

/* 4 cores of 2 threads, sold 1.5 times: 12 vCPUs. A whole core is 3 of them. */
static void test_exclusive_cores(void)
{
	struct allocation_world *world = allocation_world_new();
	struct allocation_host host = host_of(1, 12, 8192);
	struct allocation_request request = request_of(3, 1024);
	guint32 vm;

	host.threads_per_core = 2;
	host.cpu_overcommit_percent = 150;
	allocation_world_host_add(world, &host);
	request.exclusive_cores = 1; /* 3 vCPUs: 2 cores */
	vm = place(world, &request, 0, 1);
	g_assert_cmpuint(allocation_world_hosts(world)->node[0].free[ALLOCATION_CPU], ==, 6000);
	place(world, &request, 0, 1);
	g_assert_cmpuint(allocation_world_hosts(world)->node[0].free[ALLOCATION_CPU], ==, 0);
	allocation_world_remove(world, vm);
	host.cpu_overcommit_percent = 100;
	host.node_capacity[0][ALLOCATION_CPU] = 8000;
	g_assert_true(allocation_world_host_change(world, 0, &host)); /* charged by what the host is now */
	g_assert_cmpuint(allocation_world_hosts(world)->node[0].free[ALLOCATION_CPU], ==, 4000);
	g_assert_null(allocation_world_verify(world));
	allocation_world_free(world);
}

static void test_exclusive_host(void)
{
	struct allocation_world *world = allocation_world_new();
	struct allocation_host host = host_of(1, 12, 8192);
	struct allocation_request request = request_of(1, 1024);
	guint32 vm;

	allocation_world_host_add(world, &host);
	request.tenant = 5;
	vm = place(world, &request, 0, 1);
	request.tenant = 6;
	g_assert_cmphex(fits_on(world, &request, 0), ==, 1);
	request.exclusive_host = 1;
	g_assert_cmpint(allocation_world_violates(world, &request, 0), ==, ALLOCATION_IS_EXCLUSIVE);
	allocation_world_remove(world, vm);
	place(world, &request, 0, 1);
	request.exclusive_host = 0;
	g_assert_cmphex(fits_on(world, &request, 0), ==, 1);
	request.tenant = 0;
	g_assert_cmpint(allocation_world_violates(world, &request, 0), ==, ALLOCATION_IS_EXCLUSIVE);
	allocation_world_free(world);
}

/* A host that shrinks under its VMs offers nothing until enough has gone, and then exactly what is left. */
static void test_overdrawn(void)
{
	struct allocation_world *world = allocation_world_new();
	struct allocation_host host = host_of(2, 8, 8192);
	struct allocation_request request = request_of(3, 3000);
	const struct allocation_host_state *state;
	guint32 vms[4];

	allocation_world_host_add(world, &host);
	for (guint i = 0; i < 4; i++)
		vms[i] = place(world, &request, 0, 1u << i % 2);
	host = host_of(1, 5, 8192);
	g_assert_true(allocation_world_host_change(world, 0, &host));
	state = allocation_world_hosts(world);
	g_assert_true(state->overdrawn);
	g_assert_cmpuint(state->node[0].free[ALLOCATION_CPU], ==, 0);
	g_assert_cmpuint(state->node[0].free[ALLOCATION_MEMORY], ==, 2192);
	allocation_world_remove(world, vms[0]);
	g_assert_true(state->overdrawn); /* two are on a node that is no more */
	g_assert_cmpuint(state->node[0].free[ALLOCATION_CPU], ==, 2000);
	allocation_world_remove(world, vms[1]);
	allocation_world_remove(world, vms[3]);
	g_assert_false(state->overdrawn);
	g_assert_null(allocation_world_verify(world));
	/* Sums of the largest amounts saturate. */
	request = request_of(0, 0);
	for (guint d = 0; d < ALLOCATION_DIMENSIONS; d++)
		request.amount[d] = UINT32_MAX;
	request.exclusive_cores = 1;
	vms[0] = place(world, &request, 0, 1);
	vms[1] = place(world, &request, 0, 1);
	g_assert_cmphex(fits_on(world, &request, 0), ==, 0);
	allocation_world_remove(world, vms[0]);
	allocation_world_remove(world, vms[1]);
	g_assert_cmpuint(state->node[0].free[ALLOCATION_CPU], ==, 2000);
	g_assert_false(state->overdrawn);
	allocation_world_free(world);
}

static void test_anti_affinity_both_ways(void)
{
	struct allocation_world *world = allocation_world_new();
	struct allocation_host host = host_of(1, 8, 8192);
	struct allocation_request loner = request_of(1, 1024);
	struct allocation_request member = request_of(1, 1024);
	guint32 vm;

	host.rack = 9;
	allocation_world_host_add(world, &host);
	allocation_world_host_add(world, &host);
	host.rack = 0;
	allocation_world_host_add(world, &host);
	loner.term[0] = (struct allocation_term) { .group = 4, .level = ALLOCATION_RACK, .anti = true };
	member.member_of[0] = 4;
	g_assert_false(allocation_world_is_relational(world, &member));
	vm = place(world, &loner, 0, 1);
	g_assert_true(allocation_world_is_relational(world, &member));
	g_assert_cmpint(allocation_world_violates(world, &member, 1), ==, ALLOCATION_BREAKS_ANTI_AFFINITY);
	g_assert_cmphex(fits_on(world, &member, 2), ==, 1);
	allocation_world_remove(world, vm);
	g_assert_cmphex(fits_on(world, &member, 1), ==, 1);
	place(world, &member, 1, 1);
	g_assert_cmpint(allocation_world_violates(world, &loner, 0), ==, ALLOCATION_BREAKS_ANTI_AFFINITY);
	/* Soft ones only weigh. */
	loner.term[0].soft_weight = 17;
	g_assert_cmphex(fits_on(world, &loner, 0), ==, 1);
	g_assert_cmpuint(allocation_world_penalty(world, &loner, 0), ==, 17);
	g_assert_cmpuint(allocation_world_penalty(world, &loner, 2), ==, 0);
	/* Affinity: to a group that is nowhere yet only its own members may start. */
	loner.term[0] = (struct allocation_term) { .group = 5, .level = ALLOCATION_HOST };
	g_assert_cmpint(allocation_world_violates(world, &loner, 0), ==, ALLOCATION_BREAKS_AFFINITY);
	loner.member_of[0] = 5;
	g_assert_cmphex(fits_on(world, &loner, 0), ==, 1);
	place(world, &loner, 0, 1);
	g_assert_cmphex(fits_on(world, &loner, 1), ==, 0);
	g_assert_cmphex(fits_on(world, &loner, 0), ==, 1);
	allocation_world_free(world);
}

/* Three racks, one of them without a host with the label: it does not count. */
static void test_spread(void)
{
	struct allocation_world *world = allocation_world_new();
	struct allocation_host host = host_of(1, 8, 8192);
	struct allocation_request request = request_of(1, 1024);

	host.labels = 1;
	for (guint rack = 1; rack <= 3; rack++) {
		host.rack = rack;
		host.labels = rack < 3;
		allocation_world_host_add(world, &host);
	}
	request.labels_required = 1;
	request.member_of[0] = 1;
	request.spread[0] = (struct allocation_spread) { .group = 1, .level = ALLOCATION_RACK, .max_skew = 2 };
	place(world, &request, 0, 1);
	place(world, &request, 0, 1);
	g_assert_cmpint(allocation_world_violates(world, &request, 0), ==, ALLOCATION_BREAKS_SPREAD);
	place(world, &request, 1, 1);
	g_assert_cmphex(fits_on(world, &request, 0), ==, 1);
	host.labels = 1;
	g_assert_true(allocation_world_host_change(world, 2, &host)); /* now it does, with none */
	g_assert_cmpint(allocation_world_violates(world, &request, 0), ==, ALLOCATION_BREAKS_SPREAD);
	g_assert_null(allocation_world_verify(world));
	allocation_world_free(world);
}

/* Three hosts of 8 vCPUs: without the fullest, the other two must still have room for what it holds. */
static void test_headroom(void)
{
	struct allocation_world *world = allocation_world_new();
	struct allocation_host host = host_of(1, 8, 8192);
	struct allocation_request request = request_of(5, 0);
	struct allocation_request small = request_of(1, 0);

	for (guint i = 0; i < 3; i++)
		allocation_world_host_add(world, &host);
	allocation_world_headroom(world, 1);
	place(world, &request, 0, 1);
	place(world, &request, 1, 1);
	g_assert_cmpint(allocation_world_violates(world, &request, 2), ==,
			ALLOCATION_CONSTRAINTS); /* 3 + 3 free for 5 */
	place(world, &request, 2, 1);
	g_assert_cmpint(allocation_world_violates(world, &small, 2), ==, ALLOCATION_CONSTRAINTS); /* 6 of it, 3 + 3 */
	place(world, &small, 2, 1);
	g_assert_cmpint(allocation_world_violates(world, &small, 2), ==, ALLOCATION_BREAKS_HEADROOM);
	g_assert_cmpint(allocation_world_violates(world, &small, 0), ==, ALLOCATION_BREAKS_HEADROOM);
	allocation_world_headroom(world, 0);
	g_assert_cmpint(allocation_world_violates(world, &small, 0), ==, ALLOCATION_CONSTRAINTS);
	allocation_world_free(world);
}

static void test_numbers(void)
{
	struct allocation_world *world = allocation_world_new();
	struct allocation_host host = host_of(1, 8, 8192);
	struct allocation_host none = { .powered = true };
	struct allocation_request request = request_of(1, 1);
	guint32 class_id = allocation_world_class(world, &request);
	guint32 generation = allocation_world_class_generation(world, class_id);

	g_assert_cmpuint(allocation_world_class(world, &request), ==, class_id);
	allocation_world_class_unref(world, class_id);
	allocation_world_class_unref(world, class_id);
	request.tenant = 3;
	g_assert_cmpuint(allocation_world_class(world, &request), ==, class_id);
	g_assert_cmpuint(allocation_world_class_generation(world, class_id), >, generation);
	g_assert_cmpuint(allocation_world_host_add(world, &none), ==, ALLOCATION_NONE);
	for (guint32 i = 0; i < 4; i++)
		g_assert_cmpuint(allocation_world_host_add(world, &host), ==, i);
	g_assert_cmpuint(allocation_world_n_types(world), ==, 1);
	allocation_world_host_remove(world, 2);
	allocation_world_host_remove(world, 1);
	g_assert_cmpint(allocation_world_violates(world, &request, 1), ==, ALLOCATION_IS_AWAY);
	g_assert_cmpuint(allocation_world_host_add(world, &host), ==, 1);
	g_assert_cmpuint(allocation_world_host_add(world, &host), ==, 2);
	g_assert_cmpuint(allocation_world_host_add(world, &host), ==, 4);
	g_assert_cmpuint(allocation_world_hosts(world)[2].rack, !=, allocation_world_hosts(world)[1].rack);
	g_assert_cmpuint(sizeof(struct allocation_placement), <=, 32);
	g_assert_null(allocation_world_verify(world));
	allocation_world_free(world);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/core/world/numa", test_numa);
	g_test_add_func("/core/world/exclusive-cores", test_exclusive_cores);
	g_test_add_func("/core/world/exclusive-host", test_exclusive_host);
	g_test_add_func("/core/world/overdrawn", test_overdrawn);
	g_test_add_func("/core/world/anti-affinity-both-ways", test_anti_affinity_both_ways);
	g_test_add_func("/core/world/spread", test_spread);
	g_test_add_func("/core/world/headroom", test_headroom);
	g_test_add_func("/core/world/numbers", test_numbers);
	return g_test_run();
}
