/* Workloads made up, by kind: "synthetic:attack,cpus=1,seconds=10". */
#include <string.h>

#include "core/scheduling/scheduling.h"
#include "core/strategy/random.h"
#include "lab/error.h"
#include "lab/scheduling/workload.h"

#define SECOND G_GINT64_CONSTANT(1000000000)
#define MS     1000000
#define US     1000

struct plan {
	guint64 vms, cpus, seconds, seed;
	struct strategy_random random;
};

/* Uniform within [low, high]. */
static gint64 between(struct plan *plan, gint64 low, gint64 high)
{
	return low + (gint64)strategy_random_below(&plan->random, (guint64)(high - low) + 1);
}

static void step_spread(struct workload *workload, enum step_kind kind, gint64 ns, guint8 percent)
{
	workload_add_step(workload, kind, ns, 0);
	g_array_index(workload->steps, struct step, workload->steps->len - 1).spread_percent = percent;
}

static struct workload_vm *vm_add(struct workload *workload, const char *kind, guint number)
{
	g_autofree char *name = g_strdup_printf("%s%u", kind, number),
			*tenant = g_strdup_printf("tenant%u", number % 8);

	return workload_vm(workload, workload_add_vm(workload, name, workload_add_tenant(workload, tenant)));
}

static void add_hog(struct workload *workload, struct plan *plan, guint number)
{
	static const guint weights[] = { 100, 100, 200, 400 };

	vm_add(workload, "cpu", number)->weight = weights[number % G_N_ELEMENTS(weights)];
	workload_add_task(workload)->start_ns = between(plan, 0, MS);
	workload_add_step(workload, STEP_RUN, SECOND, 0);
	workload_add_step(workload, STEP_LOOP, 0, 0);
}

static void add_bursty(struct workload *workload, struct plan *plan, guint number)
{
	vm_add(workload, "bursty", number)->latency_ns = 2 * MS;
	workload_add_task(workload)->start_ns = between(plan, 0, 10 * MS);
	step_spread(workload, STEP_RUN, between(plan, 50 * US, 2 * MS), 80);
	step_spread(workload, STEP_SLEEP, between(plan, 2 * MS, 20 * MS), 80);
	workload_add_step(workload, STEP_LOOP, 0, 0);
}

static void add_realtime(struct workload *workload, struct plan *plan, guint number)
{
	gint64 period = between(plan, 5, 50) * MS, run = period / 100 * between(plan, 5, 25);
	struct task *task;

	vm_add(workload, "rt", number);
	task = workload_add_task(workload);
	task->start_ns = between(plan, 0, period);
	task->deadline_ns = task->period_ns = period;
	task->runtime_ns = run + run / 20; /* what switches cost comes out of it, too */
	workload_add_step(workload, STEP_RUN, run, 0);
	workload_add_step(workload, STEP_TIMER, period, 0);
	workload_add_step(workload, STEP_LOOP, 0, 0);
}

/* Four vCPUs that share a lock: the one that loses its CPU with the lock in hand stops the others. */
static void add_locks(struct workload *workload, struct plan *plan, guint number)
{
	guint lock = workload->n_locks++;

	vm_add(workload, "locks", number);
	for (guint i = 0; i < 4; i++) {
		workload_add_task(workload)->start_ns = between(plan, 0, MS);
		step_spread(workload, STEP_RUN, 200 * US, 50);
		workload_add_step(workload, STEP_LOCK, 0, lock);
		step_spread(workload, STEP_RUN, 20 * US, 50);
		workload_add_step(workload, STEP_UNLOCK, 0, lock);
		workload_add_step(workload, STEP_LOOP, 0, 0);
	}
}

static void add_barrier(struct workload *workload, struct plan *plan, guint number)
{
	guint32 size = 4;
	guint barrier = workload->barriers->len;

	g_array_append_val(workload->barriers, size);
	vm_add(workload, "parallel", number);
	for (guint i = 0; i < size; i++) {
		workload_add_task(workload)->start_ns = between(plan, 0, MS);
		step_spread(workload, STEP_RUN, 3 * MS, 20);
		workload_add_step(workload, STEP_BARRIER, 0, barrier);
		workload_add_step(workload, STEP_LOOP, 0, 0);
	}
}

static void add_attacker(struct workload *workload, struct plan *plan, guint number)
{
	vm_add(workload, "attacker", number)->attacks = TRUE;
	workload_add_task(workload)->start_ns = between(plan, 0, MS);
	workload_add_step(workload, STEP_DODGE, 0, 0);
}

static void add_mixed(struct workload *workload, struct plan *plan, guint number)
{
	static void (*const kinds[])(struct workload *, struct plan *,
				     guint) = { add_hog, add_bursty, add_bursty, add_realtime, add_locks, add_barrier };

	kinds[number % G_N_ELEMENTS(kinds)](workload, plan, number);
}

/* Half of them always busy, the others in and out: what the engine's speed is measured with. */
static void add_speed(struct workload *workload, struct plan *plan, guint number)
{
	if (number % 2) {
		add_hog(workload, plan, number);
		workload_vm(workload, workload->vms->len - 1)->weight = SCHEDULING_WEIGHT_NORMAL;
	} else {
		vm_add(workload, "burst", number);
		workload_add_task(workload)->start_ns = between(plan, 0, 10 * MS);
		step_spread(workload, STEP_RUN, 500 * US, 50);
		step_spread(workload, STEP_SLEEP, 10 * MS, 50);
		workload_add_step(workload, STEP_LOOP, 0, 0);
	}
}

static void add_victims(struct workload *workload, struct plan *plan, guint number)
{
	if (number == 0)
		add_attacker(workload, plan, number);
	else {
		add_hog(workload, plan, number);
		workload_vm(workload, workload->vms->len - 1)->weight = SCHEDULING_WEIGHT_NORMAL;
	}
}

static const struct kind {
	const char *name;
	void (*add)(struct workload *workload, struct plan *plan, guint number);
	guint vms, cpus;
} kinds[] = {
	{ "mixed", add_mixed, 24, 8 },      { "cpu", add_hog, 16, 4 },        { "bursty", add_bursty, 32, 4 },
	{ "realtime", add_realtime, 8, 4 }, { "locks", add_locks, 4, 4 },     { "barrier", add_barrier, 4, 4 },
	{ "attack", add_victims, 4, 1 },    { "speed", add_speed, 1000, 64 },
};

static gboolean value_set(struct plan *plan, const char *pair, GError **error)
{
	static const struct {
		const char *name;
		gsize offset;
		guint64 max;
	} values[] = {
		{ "vms", G_STRUCT_OFFSET(struct plan, vms), 100000 },
		{ "cpus", G_STRUCT_OFFSET(struct plan, cpus), WORKLOAD_CPUS_MAX },
		{ "seconds", G_STRUCT_OFFSET(struct plan, seconds), 1000000 },
		{ "seed", G_STRUCT_OFFSET(struct plan, seed), G_MAXUINT32 },
	};
	const char *equals = strchr(pair, '=');

	for (gsize i = 0; equals && i < G_N_ELEMENTS(values); i++)
		if (strlen(values[i].name) == (gsize)(equals - pair) && g_str_has_prefix(pair, values[i].name) &&
		    g_ascii_string_to_unsigned(equals + 1, 10, 1, values[i].max,
					       (guint64 *)(void *)((char *)plan + values[i].offset), NULL))
			return TRUE;
	g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID,
		    "synthetic workload: '%.60s' is none of vms=, cpus=, seconds=, seed= with a whole number above 0",
		    pair);
	return FALSE;
}

struct workload *workload_generate(const char *text, GError **error)
{
	g_auto(GStrv) words = g_strsplit(text, ",", -1);
	const struct kind *kind = NULL;
	struct plan plan = { .seconds = 10, .seed = 1 };
	struct workload *workload;

	for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++)
		if (g_strcmp0(words[0], kinds[i].name) == 0)
			kind = &kinds[i];
	if (!kind) {
		g_set_error(
			error, LAB_ERROR, LAB_ERROR_INVALID,
			"synthetic workload: there is no kind '%.60s'; there are mixed, cpu, bursty, realtime, locks, "
			"barrier, attack, speed",
			words[0] ? words[0] : "");
		return NULL;
	}
	plan.vms = kind->vms;
	plan.cpus = kind->cpus;
	for (guint i = 1; words[i]; i++)
		if (!value_set(&plan, words[i], error))
			return NULL;
	strategy_random_init(&plan.random, plan.seed);
	workload = workload_new();
	workload->topology.n_cpus = (guint)plan.cpus;
	workload->topology.switch_ns = 1500;
	workload->topology.migrate_ns = 5000;
	workload->topology.migrate_llc_ns = 20000;
	workload->horizon_ns = (gint64)plan.seconds * SECOND;
	workload->seed = plan.seed;
	for (guint i = 0; i < plan.vms; i++)
		kind->add(workload, &plan, i);
	return workload;
}
