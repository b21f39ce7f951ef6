#include "tests/unit/core/reassignment_random.h"

static gpointer keep(struct random_instance *instance, gsize n, gsize bytes)
{
	gpointer part = g_malloc0_n(n + 1, bytes);

	g_ptr_array_add(instance->parts, part);
	return part;
}

static gint64 *amounts(struct random_instance *instance, GRand *random, gsize n, gint32 low, gint32 high)
{
	gint64 *part = keep(instance, n, sizeof *part);

	for (gsize i = 0; i < n; i++)
		part[i] = g_rand_int_range(random, low, high);
	return part;
}

static guint32 *indexes(struct random_instance *instance, GRand *random, gsize n, guint32 below)
{
	guint32 *part = keep(instance, n, sizeof *part);

	for (gsize i = 0; i < n; i++)
		part[i] = g_rand_int_range(random, 0, (gint32)below);
	return part;
}

/* Where everything is, and capacities that just hold it. */
static void set_start(struct random_instance *instance, GRand *random)
{
	struct rebalance_problem *problem = &instance->problem;
	gsize resources = problem->n_resources, machines = problem->n_machines;
	guint32 *initial = keep(instance, problem->n_processes, sizeof *initial);
	gint64 *capacity = keep(instance, machines * resources, sizeof *capacity), *safety;
	g_autofree gboolean *is_on = g_new0(gboolean, machines * problem->n_services);

	for (guint32 p = 0; p < problem->n_processes; p++) {
		guint32 m = g_rand_int_range(random, 0, (gint32)machines);

		while (is_on[problem->service[p] * machines + m])
			m = (m + 1) % (guint32)machines;
		is_on[problem->service[p] * machines + m] = TRUE;
		initial[p] = m;
		for (gsize r = 0; r < resources; r++)
			capacity[m * resources + r] += problem->amount[p * resources + r];
	}
	safety = keep(instance, machines * resources, sizeof *safety);
	for (gsize i = 0; i < machines * resources; i++) {
		capacity[i] += g_rand_int_range(random, 0, 60);
		safety[i] = capacity[i] * g_rand_int_range(random, 40, 100) / 100;
	}
	problem->initial = initial;
	problem->capacity = capacity;
	problem->safety = safety;
}

static gboolean is_in(const struct rebalance_problem *problem, guint32 service, guint32 neighbourhood)
{
	for (guint32 p = 0; p < problem->n_processes; p++)
		if (problem->service[p] == service && problem->neighbourhood[problem->initial[p]] == neighbourhood)
			return TRUE;
	return FALSE;
}

/* Only what holds at the start is asked for. */
static void set_services(struct random_instance *instance, GRand *random)
{
	struct rebalance_problem *problem = &instance->problem;
	guint32 *start = keep(instance, problem->n_services + 1, sizeof *start), n = 0;
	guint32 *spread = keep(instance, problem->n_services, sizeof *spread);
	guint32 *needs = keep(instance, (gsize)problem->n_services * problem->n_services, sizeof *needs);

	for (guint32 s = 0; s < problem->n_services; s++) {
		g_autofree gboolean *at = g_new0(gboolean, problem->n_locations);
		guint32 locations = 0;

		for (guint32 p = 0; p < problem->n_processes; p++)
			if (problem->service[p] == s && !at[problem->location[problem->initial[p]]]) {
				at[problem->location[problem->initial[p]]] = TRUE;
				locations++;
			}
		spread[s] = g_rand_int_range(random, 0, (gint32)locations + 1);
		for (guint32 other = 0; other < problem->n_services; other++) {
			gboolean holds = other != s && g_rand_int_range(random, 0, 3) == 0;

			for (guint32 p = 0; p < problem->n_processes && holds; p++)
				holds = problem->service[p] != s ||
					is_in(problem, other, problem->neighbourhood[problem->initial[p]]);
			if (holds)
				needs[n++] = other;
		}
		start[s + 1] = n;
	}
	problem->spread_min = spread;
	problem->needs_start = start;
	problem->needs = needs;
}

void random_instance_init(struct random_instance *instance, GRand *random)
{
	struct rebalance_problem *problem = &instance->problem;
	struct rebalance_balance *balance;
	bool *transient;

	*instance = (struct random_instance) { .parts = g_ptr_array_new_with_free_func(g_free) };
	problem->n_resources = g_rand_int_range(random, 1, 5);
	problem->n_machines = g_rand_int_range(random, 4, 9);
	problem->n_services = g_rand_int_range(random, 3, 12);
	problem->n_processes = g_rand_int_range(random, 4, MIN((gint32)problem->n_services * 3, 30));
	problem->n_balances = g_rand_int_range(random, 0, 3);
	problem->n_neighbourhoods = g_rand_int_range(random, 1, 4);
	problem->n_locations = g_rand_int_range(random, 1, 5);
	transient = keep(instance, problem->n_resources, sizeof *transient);
	for (guint32 r = 0; r < problem->n_resources; r++)
		transient[r] = g_rand_boolean(random);
	problem->is_transient = transient;
	problem->load_weight = amounts(instance, random, problem->n_resources, 0, 10);
	problem->neighbourhood = indexes(instance, random, problem->n_machines, problem->n_neighbourhoods);
	problem->location = indexes(instance, random, problem->n_machines, problem->n_locations);
	problem->distance = amounts(instance, random, (gsize)problem->n_machines * problem->n_machines, 0, 5);
	problem->service = indexes(instance, random, problem->n_processes, problem->n_services);
	/* No more processes of a service than machines. */
	for (guint32 p = 0; p < problem->n_processes; p++)
		((guint32 *)problem->service)[p] = p % problem->n_services;
	problem->amount = amounts(instance, random, (gsize)problem->n_processes * problem->n_resources, 0, 50);
	problem->move_cost = amounts(instance, random, problem->n_processes, 0, 9);
	balance = keep(instance, problem->n_balances, sizeof *balance);
	for (guint32 b = 0; b < problem->n_balances; b++)
		balance[b] =
			(struct rebalance_balance) { g_rand_int_range(random, 0, (gint32)problem->n_resources),
						     g_rand_int_range(random, 0, (gint32)problem->n_resources),
						     g_rand_int_range(random, 0, 3), g_rand_int_range(random, 0, 9) };
	problem->balance = balance;
	problem->process_move_weight = g_rand_int_range(random, 0, 3);
	problem->service_move_weight = g_rand_int_range(random, 0, 30);
	problem->machine_move_weight = g_rand_int_range(random, 0, 3);
	set_start(instance, random);
	set_services(instance, random);
}

void random_instance_clear(struct random_instance *instance)
{
	g_ptr_array_unref(instance->parts);
}
