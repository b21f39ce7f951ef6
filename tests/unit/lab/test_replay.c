/* Replay: figures of small traces worked out by hand, meters against a recount, and the published figures of real ones. */
#include "lab/replay.h"

#include <string.h>

#include "core/strategy/random.h"
#include "lab/availability.h"
#include "lab/replay_meters.h"

#define EVENTS "time_s,event,vm,cpus,memory_mib,tenant,group\n"

/* Seconds as hours: 3600 of them. */
static struct replay_outcome run_text(const char *text, const char *hosts, const struct replay_options *options,
				      enum lab_part part)
{
	g_autoptr(GInputStream) stream = g_memory_input_stream_new_from_data(text, (gssize)strlen(text), NULL);
	struct trace_options trace_options = { 0 };
	g_autoptr(GError) error = NULL;
	g_autoptr(trace_auto) trace = trace_load_stream(stream, "T", &trace_options, &error);
	g_autoptr(fleet_auto) fleet = fleet_parse(hosts, 1, NULL);
	const struct allocation_strategy *strategy = allocation_strategy_find("first-fit");
	struct strategy_values values;
	struct replay_outcome outcome;

	g_assert_no_error(error);
	strategy_values_init(&strategy->info, &values);
	struct replay replay = { .trace = trace,
				 .fleet = fleet,
				 .options = *options,
				 .tune_until_us = G_GINT64_CONSTANT(7200000000),
				 .strategy = strategy,
				 .values = &values,
				 .seed = 1,
				 .part = part };
	g_assert_true(replay_run(&replay, &outcome, &error));
	g_assert_no_error(error);
	return outcome;
}

/* Hosts of 4 CPUs and 4 GiB. From 0 to 1 h: a (3 CPUs). To 2 h: a, b (2) on another host. To 3 h: b alone. */
static const char simple[] = EVENTS "0,create,a,3,1024,red,g\n3600,create,b,2,1024,blue,g\n7200,delete,a,,,,\n"
				    "10800,delete,b,,,,\n";

static void test_elastic(void)
{
	struct replay_options options = { .samples = 3 };
	struct replay_outcome outcome = run_text(simple, "1x4c4G", &options, LAB_WHOLE);

	g_assert_cmpfloat_with_epsilon(outcome.host_hours, 4, 1e-9);
	g_assert_cmpfloat_with_epsilon(outcome.bound_host_hours, 4, 1e-9);
	g_assert_cmpuint(outcome.peak_hosts, ==, 2);
	g_assert_cmpuint(outcome.requests, ==, 2);
	g_assert_cmpuint(outcome.refused, ==, 0);
	g_assert_cmpfloat_with_epsilon(outcome.vm_hours, 4, 1e-9);
	g_assert_cmpfloat_with_epsilon(outcome.own_share, 1, 1e-9);
	/* The group has two members for an hour, in two racks: each loss takes the majority. */
	g_assert_true(outcome.has_majority);
	g_assert_cmpfloat_with_epsilon(outcome.majority_share, 0, 1e-9);
	/* The samples see a alone, both, b alone: nothing can be re-placed. */
	g_assert_true(outcome.has_replaceable);
	g_assert_cmpfloat_with_epsilon(outcome.replaceable_share, 0, 1e-9);
}

static void test_shared(void)
{
	struct replay_options options = { .samples = 4 };
	struct replay_outcome outcome = run_text(simple, "1x8c8G", &options, LAB_WHOLE);

	g_assert_cmpfloat_with_epsilon(outcome.host_hours, 3, 1e-9);
	/* An hour of a alone (1), of a (3/5) and b (2/5), of b alone (1): 3 of 4 VM-hours. */
	g_assert_cmpfloat_with_epsilon(outcome.own_share, 0.75, 1e-9);
}

static void test_fixed(void)
{
	struct replay_options options = { .samples = 2 };
	struct replay_outcome outcome = run_text(simple, "1*1x4c4G", &options, LAB_WHOLE);

	/* Refused: b, 1/2 of the fleet for two hours, of 3/4 × 2 + 1/2 × 2 asked. */
	g_assert_cmpuint(outcome.refused, ==, 1);
	g_assert_cmpfloat_with_epsilon(outcome.asked_hours, 2.5, 1e-9);
	g_assert_cmpfloat_with_epsilon(outcome.accepted_hours, 1.5, 1e-9);
}

static void test_too_large(void)
{
	struct replay_options options = { .samples = 1 };
	struct replay_outcome outcome =
		run_text(EVENTS "0,create,a,64,1024,,\n3600,delete,a,,,,\n", "2x4c4G", &options, LAB_WHOLE);

	g_assert_cmpuint(outcome.refused, ==, 1);
	g_assert_cmpuint(outcome.peak_hosts, ==, 0);
	g_assert_false(outcome.has_majority);
}

static void test_parts(void)
{
	struct replay_options options = { .samples = 1 };
	static const char text[] = EVENTS "0,create,a,3,1024,,\n7200,create,b,2,1024,,\n10800,delete,a,,,,\n"
					  "14400,delete,b,,,,\n";
	struct replay_outcome tune = run_text(text, "1x4c4G", &options, LAB_TUNE);
	struct replay_outcome held_out = run_text(text, "1x4c4G", &options, LAB_HELD_OUT);

	g_assert_cmpuint(tune.requests, ==, 1);
	g_assert_cmpfloat_with_epsilon(tune.host_hours, 2, 1e-9); /* until the part ends */
	g_assert_cmpuint(held_out.requests, ==, 1);
	g_assert_cmpfloat_with_epsilon(held_out.host_hours, 2, 1e-9); /* from an empty fleet */
}

static void test_apart(void)
{
	struct replay_options options = { .samples = 1, .apart = REPLAY_APART_HARD };
	struct replay_outcome outcome = run_text(simple, "1x8c8G", &options, LAB_WHOLE);

	g_assert_cmpuint(outcome.peak_hosts, ==, 2);
}

/* a and b fill host 0, c is on host 1; when a leaves, c could not be where it is any better: b moves to c or c to b. */
static void test_migrate(void)
{
	struct replay_options options = { .samples = 1,
					  .migration = allocation_migration_find("drain-host"),
					  .max_moves_per_vm = 1 };
	static const char text[] =
		EVENTS "0,create,a,3,1024,,\n0,create,b,1,1024,,\n0,create,c,2,1024,,\n3600,delete,a,,,,\n"
		       "7200,delete,b,,,,\n7200,delete,c,,,,\n";
	struct replay_outcome outcome = run_text(text, "1x4c4G", &options, LAB_WHOLE);

	g_assert_cmpuint(outcome.migrations, ==, 1);
	g_assert_cmpfloat_with_epsilon(outcome.host_hours, 3, 1e-9);
	options.max_moves_per_vm = 0;
	outcome = run_text(text, "1x4c4G", &options, LAB_WHOLE);
	g_assert_cmpuint(outcome.migrations, ==, 0);
	g_assert_cmpfloat_with_epsilon(outcome.host_hours, 4, 1e-9);
}

/* ---- Meters against a recount ---- */

#define GROUPS 6
#define RACKS  5
#define HOSTS  4

static guint32 recount_kept(guint32 count[GROUPS][RACKS], guint32 *groups)
{
	guint32 most = 0, size[GROUPS] = { 0 };

	*groups = 0;
	for (int g = 0; g < GROUPS; g++) {
		for (int r = 0; r < RACKS; r++)
			size[g] += count[g][r];
		*groups += size[g] >= 2;
	}
	for (int r = 0; r < RACKS; r++) {
		guint32 broken = 0;
		for (int g = 0; g < GROUPS; g++)
			broken += size[g] >= 2 && 2 * (size[g] - count[g][r]) <= size[g];
		most = MAX(most, broken);
	}
	return *groups - most;
}

static void test_availability(void)
{
	const char *text = g_getenv("POLDER_TEST_SEED");
	guint64 seed = text ? g_ascii_strtoull(text, NULL, 10) : (guint64)g_random_int();
	struct availability *availability = availability_new();
	guint32 count[GROUPS][RACKS] = { 0 };
	struct strategy_random random;

	g_test_message("seed %" G_GUINT64_FORMAT, seed);
	strategy_random_init(&random, seed);
	for (int i = 0; i < 20000; i++) {
		guint32 g = (guint32)strategy_random_below(&random, GROUPS), kept, groups;
		guint32 r = (guint32)strategy_random_below(&random, RACKS);
		if (count[g][r] && strategy_random_below(&random, 2)) {
			count[g][r]--;
			availability_remove(availability, g + 1, r + 1);
		} else if (count[g][r] < 4) {
			count[g][r]++;
			availability_add(availability, g + 1, r + 1);
		}
		guint32 expected = recount_kept(count, &groups);
		g_assert_cmpuint(availability_groups(availability, &kept), ==, groups);
		g_assert_cmpuint(kept, ==, expected);
	}
	availability_free(availability);
}

static void test_sharing(void)
{
	const char *text = g_getenv("POLDER_TEST_SEED");
	guint64 seed = text ? g_ascii_strtoull(text, NULL, 10) : (guint64)g_random_int();
	struct sharing *sharing = sharing_new();
	guint32 n[HOSTS][GROUPS] = { 0 }; /* VMs of (tenant + 1) vCPUs */
	struct strategy_random random;

	g_test_message("seed %" G_GUINT64_FORMAT, seed);
	strategy_random_init(&random, seed);
	for (int i = 0; i < 5000; i++) {
		guint32 h = (guint32)strategy_random_below(&random, HOSTS);
		guint32 t = (guint32)strategy_random_below(&random, GROUPS);
		double expected = 0;
		if (n[h][t] && strategy_random_below(&random, 2)) {
			n[h][t]--;
			sharing_remove(sharing, h, t, (t + 1) * 1000);
		} else {
			n[h][t]++;
			sharing_place(sharing, h, t, (t + 1) * 1000);
		}
		for (int host = 0; host < HOSTS; host++) {
			double cpus = 0;
			for (guint32 k = 0; k < GROUPS; k++)
				cpus += n[host][k] * (k + 1);
			for (guint32 k = 0; cpus > 0 && k < GROUPS; k++)
				expected += n[host][k] * (n[host][k] * (k + 1) / cpus);
		}
		g_assert_cmpfloat_with_epsilon(sharing_sum(sharing), expected, 1e-6);
	}
	sharing_free(sharing);
}

static void test_durations(void)
{
	struct durations durations = { 0 };

	g_assert_cmpfloat(durations_quantile(&durations, 0.5), ==, 0);
	for (guint i = 1; i <= 1000; i++)
		durations_add(&durations, i * 100);
	g_assert_cmpfloat_with_epsilon(durations_quantile(&durations, 0.5), 50000, 3200);
	g_assert_cmpfloat_with_epsilon(durations_quantile(&durations, 0.99), 99000, 6200);
}

/* ---- Real traces ---- */

static char *shared_file(const char *name)
{
	const char *given = g_getenv("POLDER_SHARED");
	g_autofree char *top = given ? g_strdup(given) : g_build_filename(POLDER_SOURCE_ROOT, "..", "shared", NULL);
	char *path = g_build_filename(top, "data", "allocation", name, NULL);

	if (g_file_test(path, G_FILE_TEST_IS_REGULAR))
		return path;
	g_free(path);
	return NULL;
}

/* Host-hours above the bound, in per cent, as computed independently (../shared/data/README.md). */
static void test_azure(void)
{
	static const struct {
		const char *name;
		double over;
	} references[] = { { "first-fit", 14.9 }, { "best-fit", 15.6 } };
	g_autofree char *path = shared_file("azure_v1_dev.csv.gz");
	struct trace_options trace_options = { 0 };

	if (!path) {
		g_test_skip("../shared/data/allocation/azure_v1_dev.csv.gz is not there");
		return;
	}
	g_autoptr(trace_auto) trace = trace_load(path, &trace_options, NULL);
	g_autoptr(fleet_auto) fleet = fleet_parse("2x40c90G", 40, NULL);
	g_assert_cmpuint(trace->n_creates, ==, 259159);
	for (gsize i = 0; i < G_N_ELEMENTS(references); i++) {
		const struct allocation_strategy *strategy = allocation_strategy_find(references[i].name);
		struct strategy_values values;
		struct replay_outcome outcome;
		strategy_values_init(&strategy->info, &values);
		struct replay replay = { .trace = trace,
					 .fleet = fleet,
					 .options = { .split_over_mib = 20 * 1024, .samples = 1 },
					 .strategy = strategy,
					 .values = &values,
					 .seed = 1 };
		g_assert_true(replay_run(&replay, &outcome, NULL));
		double over = 100 * (outcome.host_hours / outcome.bound_host_hours - 1);
		g_test_message("%s: %.3f %% above the bound", references[i].name, over);
		g_assert_cmpfloat_with_epsilon(over, references[i].over, 0.1);
		g_assert_cmpuint(outcome.refused, ==, 0);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/replay/elastic", test_elastic);
	g_test_add_func("/replay/shared", test_shared);
	g_test_add_func("/replay/fixed", test_fixed);
	g_test_add_func("/replay/too-large", test_too_large);
	g_test_add_func("/replay/parts", test_parts);
	g_test_add_func("/replay/apart", test_apart);
	g_test_add_func("/replay/migrate", test_migrate);
	g_test_add_func("/replay/availability", test_availability);
	g_test_add_func("/replay/sharing", test_sharing);
	g_test_add_func("/replay/durations", test_durations);
	g_test_add_func("/replay/azure", test_azure);
	return g_test_run();
}
