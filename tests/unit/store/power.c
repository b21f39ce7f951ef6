/* Power loss at every write and every sync: what was acknowledged is all there, nothing is half there. And the proof
 * that this test can tell: without PRAGMA synchronous it must find a loss. */
#include <stdlib.h>

#include "daemon/store/sqlite.h"
#include "tests/unit/store/fixture.h"
#include "tests/unit/store/shim.h"
#include "tests/unit/store/workload.h"

#define PATH "/power/store.db"

struct run {
	struct shim *shim;
	struct store *store;
	const char *synchronous;
	gsize large_bytes;
	guint issued, acknowledged;
	guint n_forgotten; /* power losses after which something acknowledged was not there */
	GArray *acks;      /* of struct ack, rising in both */
};

struct ack {
	guint ops; /* the shim had seen so many operations */
	guint n;
};

static void run_open(struct run *run)
{
	g_autoptr(GError) error = NULL;

	run->store = sqlite_open_synchronous(PATH, "power", run->synchronous, &error);
	g_assert_no_error(error);
}

static void on_ack(GObject *source, GAsyncResult *result, gpointer user_data)
{
	struct run *run = user_data;
	g_autoptr(GError) error = NULL;
	struct ack ack;

	store_txn_result_free(store_txn_finish(NULL, result, &error));
	g_assert_no_error(error);
	ack = (struct ack) { shim_op_count(run->shim), ++run->acknowledged };
	g_array_append_val(run->acks, ack);
}

static gboolean all_acknowledged(gpointer user_data)
{
	struct run *run = user_data;

	return run->acknowledged == run->issued;
}

/* Bursts, so that several transactions share a commit; a restart in the middle, so that the log is moved into the file. */
static void run_workload(struct run *run, GRand *rand, guint n_txns)
{
	run_open(run);
	while (run->issued < n_txns) {
		guint burst = (guint)g_rand_int_range(rand, 1, 5);

		for (guint i = 0; i < burst; i++)
			store_txn_async(run->store, workload_txn(++run->issued, run->large_bytes), NULL, on_ack, run);
		wait_until(all_acknowledged, run);
		if (run->issued >= n_txns / 2 && run->issued - burst < n_txns / 2) {
			store_unref(run->store);
			run_open(run);
		}
	}
	store_unref(run->store);
}

static guint acknowledged_before(const struct run *run, guint index)
{
	guint n = 0;

	for (guint i = 0; i < run->acks->len && g_array_index(run->acks, struct ack, i).ops <= index; i++)
		n = g_array_index(run->acks, struct ack, i).n;
	return n;
}

/* NULL, or what is wrong with the disk after losing power before operation `index`. */
static char *check_loss(struct run *run, guint index, enum shim_loss loss, GRand *rand, struct shim *disk)
{
	g_autoptr(GError) error = NULL;
	struct store *store;
	guint acknowledged = acknowledged_before(run, index);
	char *why = NULL;
	gint64 n;

	shim_recover(run->shim, index, loss, rand, disk);
	store = store_sqlite_open(PATH, "recovered", &error);
	if (store == NULL)
		return g_strdup(error->message);
	n = workload_check(store, run->large_bytes, &why);
	if (why == NULL && n < acknowledged) {
		run->n_forgotten++;
		why = g_strdup_printf("%u was acknowledged, only %" G_GINT64_FORMAT " is there", acknowledged, n);
	}
	if (why == NULL && n > run->issued)
		why = g_strdup_printf("%" G_GINT64_FORMAT " is there and was never asked for", n);
	/* And it goes on from there. */
	if (why == NULL)
		store_txn_result_free(txn_sync(store, workload_txn((guint)n + 1, run->large_bytes), -1));
	if (why == NULL && workload_check(store, run->large_bytes, &why) != n + 1 && why == NULL)
		why = g_strdup("what was written after recovery is not there");
	store_unref(store);
	return why;
}

static guint count_losses(struct run *run, GRand *rand, guint n_samples)
{
	struct shim *disk = shim_new("recovered", FALSE);
	guint n_ops = shim_op_count(run->shim), n_checked = 0, n_losses = 0;

	for (guint index = 0; index <= n_ops; index++) {
		gboolean near_sync = index < n_ops && (shim_op_is_sync(run->shim, index) ||
						       (index > 0 && shim_op_is_sync(run->shim, index - 1)));

		/* A sample has more of what matters most: the moments around a sync. */
		if (n_ops > n_samples &&
		    g_rand_int_range(rand, 0, (gint32)n_ops) >= (gint32)(near_sync ? n_samples * 16 : n_samples))
			continue;
		for (enum shim_loss loss = SHIM_LOSE_ALL; loss < SHIM_LOSS_COUNT; loss++) {
			g_autofree char *why = check_loss(run, index, loss, rand, disk);

			n_checked++;
			if (why == NULL)
				continue;
			if (n_losses++ < 3)
				g_test_message("power lost before operation %u of %u, loss %d: %s", index, n_ops, loss,
					       why);
		}
	}
	g_test_message("%u operations, %u syncs, %u power losses, %u acknowledged, %u broken (%u forgot what was "
		       "acknowledged)",
		       n_ops, shim_sync_count(run->shim), n_checked, run->acknowledged, n_losses, run->n_forgotten);
	shim_free(disk);
	return n_losses;
}

static guint losses(const char *synchronous, gboolean powersafe, guint n_txns, gsize large_bytes, guint n_samples)
{
	guint32 seed = g_test_rand_int_range(0, G_MAXINT32);
	g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
	struct run run = { .synchronous = synchronous, .large_bytes = large_bytes };
	guint n_losses;

	g_test_message("seed %u (the whole run: --seed with the line \"random seed\" above)", seed);
	run.shim = shim_new("power", powersafe);
	run.acks = g_array_new(FALSE, FALSE, sizeof(struct ack));
	run_workload(&run, rand, n_txns);
	n_losses = count_losses(&run, rand, n_samples);
	/* Not only files that can't be read: losses only the list of what was acknowledged can tell. */
	g_assert_true(n_losses == 0 || run.n_forgotten > 0);
	g_array_unref(run.acks);
	shim_free(run.shim);
	return n_losses;
}

static gboolean is_long(void)
{
	return g_getenv("POLDER_TEST_LONG") != NULL;
}

static void test_every_operation(void)
{
	for (int round = 0; round < (is_long() ? 20 : 1); round++)
		g_assert_cmpuint(losses("FULL", FALSE, 40, 0, G_MAXUINT), ==, 0);
}

static void test_powersafe(void)
{
	for (int round = 0; round < (is_long() ? 20 : 1); round++)
		g_assert_cmpuint(losses("FULL", TRUE, 40, 0, G_MAXUINT), ==, 0);
}

/* Large enough that the log is moved into the file and begun anew while the store is open. */
static void test_log_restart(void)
{
	g_assert_cmpuint(losses("FULL", TRUE, 80, 300 << 10, is_long() ? G_MAXUINT : 30), ==, 0);
}

/* The harness must go red when nothing is ever synced. */
static void test_synchronous_off_is_found(void)
{
	g_assert_cmpuint(losses("OFF", TRUE, 40, 0, G_MAXUINT), >, 0);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/store/power/every-operation", test_every_operation);
	g_test_add_func("/store/power/every-operation-powersafe", test_powersafe);
	g_test_add_func("/store/power/log-restart", test_log_restart);
	g_test_add_func("/store/power/synchronous-off-is-found", test_synchronous_off_is_found);
	return g_test_run();
}
