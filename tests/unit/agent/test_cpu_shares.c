/* Weights corrected from look to look: what counts, what does not, what is forgotten. */
#include "daemon/agent/cpu_shares.h"

#define MS G_GINT64_CONSTANT(1000000)

struct world {
	struct cpu_shares *shares;
	struct cpu_round *round;
	gint64 now_ns;
	guint64 ran_ns[3]; /* of the threads, since they began */
	guint64 waited_ns[3];
};

static void world_open(struct world *world)
{
	*world = (struct world) { .shares = cpu_shares_new(), .now_ns = 1000 * MS };
}

static void world_close(struct world *world)
{
	cpu_round_free(world->round);
	cpu_shares_free(world->shares);
}

static struct cpu_round_vm *vm(const struct world *world, guint i)
{
	return world->round->vms->pdata[i];
}

/* A round of n VMs of one vCPU, threads 100 and on, weights 100, 400, 400, with what they have run by now. */
static void begin(struct world *world, guint n)
{
	static const guint weights[] = { 100, 400, 400 };

	if (world->round)
		cpu_round_free(world->round);
	world->round = cpu_round_new();
	for (guint i = 0; i < n; i++) {
		struct cpu_round_vm *one = cpu_round_add(world->round, "vm", (pid_t[]) { 100 + (pid_t)i }, 1);

		one->weight = weights[i];
		one->knobs = g_new0(struct scheduling_knobs, 1);
		one->knobs->weight = weights[i];
		one->usage = g_new0(struct cpu_usage, 1);
		one->usage->run_ns = world->ran_ns[i];
		one->usage->ready_ns = world->waited_ns[i];
	}
}

/* `ms` go by, in which each ran so much and waited for the rest. */
static void pass(struct world *world, guint ms, const guint *ran_ms)
{
	world->now_ns += ms * MS;
	for (guint i = 0; i < 3; i++) {
		world->ran_ns[i] += ran_ms[i] * (guint64)MS;
		world->waited_ns[i] += (ms - ran_ms[i]) * (guint64)MS;
	}
}

static void look(struct world *world)
{
	cpu_shares_correct(world->shares, world->round, world->now_ns);
}

static guint weight(const struct world *world, guint i)
{
	return vm(world, i)->knobs->weight;
}

static void test_corrects(void)
{
	struct world world;

	world_open(&world);
	begin(&world, 2);
	look(&world);
	g_assert_cmpuint(weight(&world, 0), ==, 100); /* nothing is known yet */
	g_assert_cmpuint(weight(&world, 1), ==, 400);
	pass(&world, 100, (guint[]) { 50, 50, 0 }); /* due were 20 and 80 */
	begin(&world, 2);
	look(&world);
	g_assert_cmpuint(weight(&world, 0), <, 75);
	g_assert_cmpuint(weight(&world, 1), >, 400);
	g_assert_cmpuint(weight(&world, 0) + weight(&world, 1), ==, 500); /* nothing is taken from others */
	pass(&world, 100, (guint[]) { 0, 100, 0 });
	begin(&world, 2);
	look(&world);
	g_assert_cmpuint(weight(&world, 0), <, 90); /* 10 ms of 30 are still owed */
	world_close(&world);
}

static void test_too_soon_keeps(void)
{
	struct world world;
	guint before;

	world_open(&world);
	begin(&world, 2);
	look(&world);
	pass(&world, 100, (guint[]) { 50, 50, 0 });
	begin(&world, 2);
	look(&world);
	before = weight(&world, 1);
	pass(&world, 5, (guint[]) { 5, 0, 0 });
	begin(&world, 2);
	look(&world);
	g_assert_cmpuint(weight(&world, 1), ==, before);
	/* Too late tells nothing of now either. */
	pass(&world, 60000, (guint[]) { 60000, 0, 0 });
	begin(&world, 2);
	look(&world);
	g_assert_cmpuint(weight(&world, 1), ==, 400);
	world_close(&world);
}

static void test_others_are_left_alone(void)
{
	struct world world;

	world_open(&world);
	for (guint i = 0; i < 3; i++) {
		begin(&world, 3);
		vm(&world, 0)->knobs->policy = SCHEDULING_POLICY_DEADLINE;
		vm(&world, 1)->knobs->n_cpus = 1;
		look(&world);
		/* The third takes nothing from those two, whatever they get. */
		for (guint k = 0; k < 3; k++)
			g_assert_cmpuint(weight(&world, k), ==, vm(&world, k)->weight);
		pass(&world, 100, (guint[]) { 100, 60, 40 });
	}
	world_close(&world);
}

static void test_reserved_and_limited(void)
{
	struct world world;

	world_open(&world);
	begin(&world, 3);
	look(&world);
	pass(&world, 100, (guint[]) { 30, 20, 50 });
	begin(&world, 3);
	vm(&world, 0)->reserve_percent = 30;
	vm(&world, 1)->knobs->quota_ns = 20 * MS;
	vm(&world, 1)->knobs->period_ns = 100 * MS;
	look(&world);
	/* 30 and 50 are due to weights of 100 and 400: they weigh as 3 to 5. The limited one keeps its weight to the latter's. */
	g_assert_cmpint(ABS((gint)weight(&world, 0) * 5 - (gint)weight(&world, 2) * 3), <, 10);
	g_assert_cmpuint(weight(&world, 1), ==, weight(&world, 2));
	world_close(&world);
}

/* A thread's number that another has now, and a VM that was away for a look, begin anew. */
static void test_begins_anew(void)
{
	struct world world;

	world_open(&world);
	pass(&world, 100, (guint[]) { 50, 50, 0 });
	begin(&world, 2);
	look(&world);
	pass(&world, 100, (guint[]) { 50, 50, 0 });
	world.ran_ns[1] = 0;
	begin(&world, 2);
	look(&world);
	g_assert_cmpuint(weight(&world, 1), ==, 400);
	pass(&world, 100, (guint[]) { 50, 50, 0 });
	begin(&world, 1);
	look(&world);
	pass(&world, 100, (guint[]) { 50, 50, 0 });
	begin(&world, 2);
	look(&world);
	g_assert_cmpuint(weight(&world, 1), ==, 400);
	world_close(&world);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/cpu-shares/corrects", test_corrects);
	g_test_add_func("/cpu-shares/too-soon-keeps", test_too_soon_keeps);
	g_test_add_func("/cpu-shares/others-are-left-alone", test_others_are_left_alone);
	g_test_add_func("/cpu-shares/reserved-and-limited", test_reserved_and_limited);
	g_test_add_func("/cpu-shares/begins-anew", test_begins_anew);
	return g_test_run();
}
