/* The engine against the naive simulator of naive/: small random worlds, tick by tick. POLDER_TEST_SEED repeats a run,
 * POLDER_TEST_LONG=1 tries fifty times as many. */
#include "tests/unit/lab/naive/worlds.h"

#define WORLDS 200

static const struct world_kind kinds[] = {
	{ "edf", "edf", NAIVE_EDF, .cpus_max = 4, .jobs = TRUE },
	{ "edf-limits", "edf", NAIVE_EDF, .cpus_max = 4, .jobs = TRUE, .limits = TRUE },
	{ "fifo-priority", "fifo-priority", NAIVE_FIFO, .cpus_max = 4 },
	{ "fifo-priority-limits", "fifo-priority", NAIVE_FIFO, .cpus_max = 4, .limits = TRUE },
	{ "fifo-priority-jobs", "fifo-priority", NAIVE_FIFO, .cpus_max = 4, .jobs = TRUE },
	{ "edf-cbs", "edf-cbs", NAIVE_CBS, .cpus_max = 4, .reservations = TRUE },
	{ "edf-cbs-jobs", "edf-cbs", NAIVE_CBS, .cpus_max = 4, .reservations = TRUE, .jobs = TRUE },
	{ "kernel-deadline", "edf-cbs", NAIVE_CBS, .cpus_max = 1, .reservations = TRUE, .kernel = TRUE },
	{ "kernel-fifo", "fifo-priority", NAIVE_FIFO, .cpus_max = 1, .kernel = TRUE },
	{ "round-robin", "round-robin", NAIVE_ROUND_ROBIN, .cpus_max = 4, .limits = TRUE, .slice = "slice-us",
	  .slice_least = 1, .slice_most = 60 },
	{ "pin", "pin", NAIVE_PIN, .cpus_max = 4, .limits = TRUE, .slice = "slice-us", .slice_least = 1,
	  .slice_most = 60 },
	{ "stride", "stride", NAIVE_STRIDE, .cpus_max = 4, .slice = "quantum-us", .slice_least = 1, .slice_most = 60 },
	{ "stride-awake", "stride", NAIVE_STRIDE, .cpus_max = 1, .sleeps_never = TRUE, .slice = "quantum-us",
	  .slice_least = 1, .slice_most = 60 },
	{ "stride-limits", "stride", NAIVE_STRIDE, .cpus_max = 3, .limits = TRUE, .slice = "quantum-us",
	  .slice_least = 1, .slice_most = 60 },
	{ "eevdf", "eevdf", NAIVE_EEVDF, .cpus_max = 4, .requests = TRUE, .latencies = TRUE, .slice = "slice-us",
	  .slice_least = 1, .slice_most = 60 },
	{ "eevdf-awake", "eevdf", NAIVE_EEVDF, .cpus_max = 1, .requests = TRUE, .sleeps_never = TRUE,
	  .slice = "slice-us", .slice_least = 1, .slice_most = 60 },
	{ "eevdf-limits", "eevdf", NAIVE_EEVDF, .cpus_max = 3, .requests = TRUE, .limits = TRUE, .slice = "slice-us",
	  .slice_least = 1, .slice_most = 60 },
	{ "bvt", "bvt", NAIVE_BVT, .cpus_max = 4, .latencies = TRUE, .slice = "slice-us", .slice_least = 1,
	  .slice_most = 60 },
	{ "bvt-limits", "bvt", NAIVE_BVT, .cpus_max = 3, .latencies = TRUE, .limits = TRUE, .slice = "slice-us",
	  .slice_least = 1, .slice_most = 60 },
	{ "credit", "credit", NAIVE_CREDIT, .cpus_max = 4, .slice = "slice-us", .slice_least = 10, .slice_most = 400 },
	{ "credit2", "credit2", NAIVE_CREDIT2, .cpus_max = 1, .slice = "slice-us", .slice_least = 1, .slice_most = 60 },
};

static guint32 test_seed(void)
{
	const char *given = g_getenv("POLDER_TEST_SEED");
	guint32 seed = given ? (guint32)g_ascii_strtoull(given, NULL, 10) : g_random_int();

	g_test_message("POLDER_TEST_SEED=%u", seed);
	return seed;
}

static void compare(gconstpointer data)
{
	const struct world_kind *kind = data;
	GRand *rand = g_rand_new_with_seed(test_seed());
	guint n = g_getenv("POLDER_TEST_LONG") ? 50 * WORLDS : WORLDS, wrong = 0, misses = 0;
	guint64 ticks = 0;

	for (guint i = 0; i < n; i++) {
		struct world_outcome outcome;
		struct naive sim;

		world_random(kind, rand, &sim);
		world_compare(kind, &sim, g_rand_int_range(rand, 0, 400), &outcome);
		ticks += (guint64)outcome.ticks;
		misses += (guint)outcome.misses;
		if (!outcome.same && ++wrong == 3)
			break;
	}
	g_rand_free(rand);
	g_test_message("%s: %u worlds, %.0f %% of their ticks compared, %u deadlines missed in both", kind->name, n,
		       (gdouble)ticks * 100 / (gdouble)n / WORLD_HORIZON, misses);
	g_assert_cmpuint(wrong, ==, 0);
	/* Not because all of it is open. */
	g_assert_cmpuint(ticks, >=, (guint64)n * WORLD_HORIZON / 2);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
		g_autofree char *path = g_strdup_printf("/scheduling/naive/%s", kinds[i].name);

		g_test_add_data_func(path, &kinds[i], compare);
	}
	return g_test_run();
}
