/* Random worlds: what the world says of fits, free amounts and groups is what a naive count of its VMs says, whatever
 * happened before. POLDER_TEST_SEED repeats a run, POLDER_TEST_LONG makes it long. */
#include <glib.h>

#include <stdlib.h>
#include <string.h>

#include "tests/unit/core/world_model.h"

struct run {
	struct allocation_world *world;
	struct model *model;
	struct strategy_random random;
};

static guint64 seed(void)
{
	const char *given = g_getenv("POLDER_TEST_SEED");
	guint64 seed = given != NULL ? g_ascii_strtoull(given, NULL, 10) : 20240607;

	g_test_message("POLDER_TEST_SEED=%" G_GUINT64_FORMAT, seed);
	return seed;
}

static guint32 below(struct run *run, guint32 n)
{
	return (guint32)strategy_random_below(&run->random, n);
}

static void host_set(struct run *run, guint32 number, const struct allocation_host *host)
{
	if (number >= run->model->hosts->len)
		g_array_set_size(run->model->hosts, number + 1);
	g_array_index(run->model->hosts, struct model_host, number) =
		(struct model_host) { .is_there = host != NULL,
				      .host = host != NULL ? *host : (struct allocation_host) { 0 } };
}

static void host_add(struct run *run)
{
	struct allocation_host host = model_random_host(&run->random);
	guint32 number = allocation_world_host_add(run->world, &host);

	for (guint32 i = 0; i < number; i++)
		g_assert_true(g_array_index(run->model->hosts, struct model_host, i).is_there);
	host_set(run, number, &host);
}

static void run_init(struct run *run, guint64 seed_of_run, guint n_hosts)
{
	strategy_random_init(&run->random, seed_of_run);
	run->world = allocation_world_new();
	run->model = model_new();
	for (guint i = 0; i < n_hosts; i++)
		host_add(run);
	run->model->headroom = below(run, 3) == 0 ? 1 + below(run, 2) : 0;
	allocation_world_headroom(run->world, run->model->headroom);
}

static void run_clear(struct run *run)
{
	allocation_world_free(run->world);
	model_free(run->model);
}

/* ---- questions ---- */

static gboolean has_count(const struct allocation_request *request, guint nodes)
{
	guint n = (guint)__builtin_popcount(nodes);

	return request->numa == ALLOCATION_NUMA_ONE     ? n == 1
	       : request->numa == ALLOCATION_NUMA_SPLIT ? n == MAX(request->numa_nodes, 1)
							: n > 0;
}

static guint check_fits(struct run *run, const struct allocation_request *request, guint32 host,
			struct allocation_fit fits[ALLOCATION_NODES_MAX])
{
	guint n = allocation_world_fits(run->world, request, host, fits);
	enum allocation_constraint violated = allocation_world_violates(run->world, request, host);

	g_assert_cmpint(violated == ALLOCATION_CONSTRAINTS, ==, n > 0);
	for (guint i = 0; i < n; i++) {
		g_assert_true(has_count(request, fits[i].nodes));
		g_assert_true(model_allows(run->model, request, host, fits[i].nodes));
		g_assert_cmpuint(fits[i].host, ==, host);
	}
	for (guint nodes = 1; n == 0 && nodes < 16; nodes++)
		if (has_count(request, nodes) && model_allows(run->model, request, host, nodes))
			g_error("host %u, nodes %u: %s violated, says the world; the model does not", host, nodes,
				allocation_constraint_names[violated]);
	if (g_array_index(run->model->hosts, struct model_host, host).is_there)
		g_assert_cmpuint(allocation_world_penalty(run->world, request, host), ==,
				 model_penalty(run->model, request, host));
	return n;
}

/* All that can be seen of two worlds with the same numbers. */
static void check_same(const struct allocation_world *a, const struct allocation_world *b)
{
	const struct allocation_host_state *x = allocation_world_hosts(a);
	const struct allocation_host_state *y = allocation_world_hosts(b);

	g_assert_cmpuint(allocation_world_n_hosts(a), ==, allocation_world_n_hosts(b));
	for (guint32 host = 0; host < allocation_world_n_hosts(a); host++) {
		g_assert_cmpmem(x[host].node, sizeof(x[host].node), y[host].node, sizeof(y[host].node));
		g_assert_cmpmem(x[host].free, sizeof(x[host].free), y[host].free, sizeof(y[host].free));
		g_assert_cmpuint(x[host].n_vms, ==, y[host].n_vms);
		g_assert_cmpuint(x[host].tenant, ==, y[host].tenant);
		g_assert_cmpuint(x[host].n_exclusive, ==, y[host].n_exclusive);
		g_assert_cmpint(x[host].overdrawn, ==, y[host].overdrawn);
	}
	for (guint32 group = 1; group < 8; group++)
		g_assert_cmpuint(allocation_world_members(a, group), ==, allocation_world_members(b, group));
}

static void check_verify(const struct allocation_world *world)
{
	const char *wrong = allocation_world_verify(world);

	if (wrong != NULL)
		g_error("%s", wrong);
}

/* ---- changes ---- */

static void vm_place(struct run *run, const struct allocation_request *request, struct allocation_fit fit)
{
	guint32 class_id = allocation_world_class(run->world, request);
	guint32 vm = allocation_world_place(run->world, class_id, &fit, 0);

	allocation_world_class_unref(run->world, class_id);
	if (vm >= run->model->vms->len)
		g_array_set_size(run->model->vms, vm + 1);
	g_assert_false(g_array_index(run->model->vms, struct model_vm, vm).is_there);
	g_array_index(run->model->vms, struct model_vm, vm) = (struct model_vm) { TRUE, *request, fit };
}

static void vm_remove(struct run *run, guint32 vm)
{
	struct model_vm *gone = &g_array_index(run->model->vms, struct model_vm, vm);

	if (!gone->is_there)
		return;
	gone->is_there = FALSE;
	allocation_world_remove(run->world, vm);
}

/* Placed by force, nodes that need not be there: what is so is so. */
static void force(struct run *run, const struct allocation_request *request, guint32 host)
{
	if (run->model->headroom == 0)
		vm_place(run, request, (struct allocation_fit) { host, (uint8_t)(1 + below(run, 15)) });
}

static void host_shuffle(struct run *run, guint32 number)
{
	const struct allocation_host_state *state = &allocation_world_hosts(run->world)[number];
	struct allocation_host host = model_random_host(&run->random);

	if (!state->present) {
		host_add(run);
	} else if (state->n_vms == 0 && below(run, 2) == 0) {
		allocation_world_host_remove(run->world, number);
		host_set(run, number, NULL);
	} else if (below(run, 4) == 0) {
		host = g_array_index(run->model->hosts, struct model_host, number).host;
		host.powered = !host.powered;
		allocation_world_host_power(run->world, number, host.powered);
		host_set(run, number, &host);
	} else if (run->model->headroom == 0) { /* head-room and overdrawn hosts: saturated, not in the model */
		g_assert_true(allocation_world_host_change(run->world, number, &host));
		host_set(run, number, &host);
	}
}

static void check_place_and_remove(struct run *run, const struct allocation_request *request, struct allocation_fit fit)
{
	g_autofree struct allocation_host_state *before =
		g_memdup2(allocation_world_hosts(run->world), sizeof(*before) * allocation_world_n_hosts(run->world));
	guint32 class_id = allocation_world_class(run->world, request);
	guint32 vm = allocation_world_place(run->world, class_id, &fit, 0);

	allocation_world_remove(run->world, vm);
	allocation_world_class_unref(run->world, class_id);
	g_assert_cmpmem(before, sizeof(*before) * allocation_world_n_hosts(run->world),
			allocation_world_hosts(run->world), sizeof(*before) * allocation_world_n_hosts(run->world));
}

static void step(struct run *run)
{
	struct allocation_request request = model_random_request(&run->random);
	guint32 host = below(run, allocation_world_n_hosts(run->world));
	struct allocation_fit fits[ALLOCATION_NODES_MAX];
	guint32 class_id = below(run, 2) == 0 ? allocation_world_class(run->world, &request) : ALLOCATION_NONE;
	guint n = check_fits(run, &request, host, fits);

	if (n > 0 && below(run, 4) == 0)
		check_place_and_remove(run, &request, fits[0]);
	if (n > 0)
		vm_place(run, &request, fits[below(run, n)]);
	else if (below(run, 50) == 0 && allocation_world_hosts(run->world)[host].present)
		force(run, &request, host);
	if (run->model->vms->len > 0 && below(run, 9) == 0)
		vm_remove(run, below(run, run->model->vms->len));
	if (below(run, 40) == 0)
		host_shuffle(run, host);
	if (class_id != ALLOCATION_NONE)
		allocation_world_class_unref(run->world, class_id);
}

static void test_model(void)
{
	guint64 base = seed();
	guint n_runs = g_getenv("POLDER_TEST_LONG") != NULL ? 20000 : 150;

	for (guint i = 0; i < n_runs; i++) {
		struct run run;

		run_init(&run, base + i, 1 + i % 9);
		for (guint steps = 0; steps < 300; steps++) {
			step(&run);
			if (steps % 8 == 0)
				check_verify(run.world);
		}
		check_verify(run.world);
		run_clear(&run);
	}
}

/* Built again from hosts and placements, it is the same; so is a copy, and then they go their own ways. */
static struct allocation_world *rebuild(const struct run *run)
{
	struct allocation_world *world = allocation_world_new();
	const struct model *model = run->model;

	for (guint i = 0; i < model->hosts->len; i++)
		allocation_world_host_add(world, &g_array_index(model->hosts, struct model_host, i).host);
	for (guint i = 0; i < model->vms->len; i++) {
		const struct model_vm *vm = &g_array_index(model->vms, struct model_vm, i);
		guint32 class_id;

		if (!vm->is_there)
			continue;
		class_id = allocation_world_class(world, &vm->request);
		allocation_world_place(world, class_id, &vm->fit, 0);
		allocation_world_class_unref(world, class_id);
	}
	return world;
}

static void test_rebuild(void)
{
	guint64 base = seed();

	for (guint i = 0; i < 100; i++) {
		struct run run;
		struct allocation_world *again;
		struct allocation_world *copy;

		run_init(&run, base + i, 8);
		for (guint steps = 0; steps < 400; steps++)
			step(&run);
		for (guint host = 0; host < run.model->hosts->len; host++)
			if (!g_array_index(run.model->hosts, struct model_host, host).is_there)
				host_add(&run);
		again = rebuild(&run);
		copy = allocation_world_copy(run.world);
		check_same(run.world, again);
		for (guint steps = 0; steps < 100; steps++)
			step(&run);
		check_same(copy, again);
		check_verify(again);
		check_verify(copy);
		check_verify(run.world);
		allocation_world_free(again);
		/* The copy can be taken apart to nothing. */
		for (guint32 vm = 0; vm < allocation_world_n_placements(copy); vm++)
			if (allocation_world_placement(copy, vm)->class_id != ALLOCATION_NONE)
				allocation_world_remove(copy, vm);
		for (guint32 host = 0; host < allocation_world_n_hosts(copy); host++)
			g_assert_cmpuint(allocation_world_hosts(copy)[host].n_vms, ==, 0);
		check_verify(copy);
		allocation_world_free(copy);
		run_clear(&run);
	}
}

/* Many more operations than the naive model can follow: counted again now and then. */
static void test_churn(void)
{
	guint n = g_getenv("POLDER_TEST_LONG") != NULL ? 5000000 : 100000;
	struct run run;

	run_init(&run, seed(), 300);
	allocation_world_headroom(run.world, 0);
	run.model->headroom = 0;
	for (guint i = 0; i < n; i++) {
		struct allocation_request request = model_random_request(&run.random);
		guint32 host = below(&run, allocation_world_n_hosts(run.world));
		struct allocation_fit fits[ALLOCATION_NODES_MAX];
		guint n_fits;

		request.exclusive_host = 0;
		n_fits = allocation_world_fits(run.world, &request, host, fits);
		if (n_fits > 0)
			vm_place(&run, &request, fits[0]);
		if (run.model->vms->len > 0 && below(&run, 7) == 0)
			vm_remove(&run, below(&run, run.model->vms->len));
		if (i % 1000 == 0)
			host_shuffle(&run, host);
		if (i % 1000 == 500)
			check_verify(run.world);
		if (i == n / 2)
			allocation_world_headroom(run.world, 1);
	}
	check_verify(run.world);
	run_clear(&run);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/core/world/model", test_model);
	g_test_add_func("/core/world/rebuild", test_rebuild);
	g_test_add_func("/core/world/churn", test_churn);
	return g_test_run();
}
