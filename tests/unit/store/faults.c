/* A file that is damaged, foreign, taken, not writable; a disk that is full or fails. */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/store/sqlite.h"
#include "tests/unit/store/fixture.h"
#include "tests/unit/store/shim.h"

struct scene {
	char *dir;
	char *path;
	char *wal;
};

static void set_up(struct scene *scene, gconstpointer data)
{
	scene->dir = g_dir_make_tmp("polder-faults-XXXXXX", NULL);
	scene->path = g_build_filename(scene->dir, "store.db", NULL);
	scene->wal = g_strconcat(scene->path, "-wal", NULL);
}

static void tear_down(struct scene *scene, gconstpointer data)
{
	remove_tree(scene->dir);
	g_free(scene->dir);
	g_free(scene->path);
	g_free(scene->wal);
}

static struct store *open_ok(const char *path, const char *vfs)
{
	g_autoptr(GError) error = NULL;
	struct store *store = store_sqlite_open(path, vfs, &error);

	g_assert_no_error(error);
	return store;
}

static void fill(struct scene *scene)
{
	struct store *store = open_ok(scene->path, NULL);
	g_autofree char *filler = g_strnfill(3000, 'x');

	for (int i = 0; i < 20; i++) {
		g_autofree char *key = g_strdup_printf("/k/%d", i);

		put_sync(store, key, filler);
	}
	store_unref(store);
}

static char *contents(const char *path, gsize *size)
{
	char *data;

	g_assert_true(g_file_get_contents(path, &data, size, NULL));
	return data;
}

/* Refused with the code, the file named and left as it was. */
static void assert_refused(struct scene *scene, int code)
{
	g_autoptr(GError) error = NULL;
	gsize size_before, size_after;
	g_autofree char *before = contents(scene->path, &size_before);
	g_autofree char *after = NULL;

	g_assert_null(store_sqlite_open(scene->path, NULL, &error));
	g_assert_error(error, POLDER_ERROR, code);
	g_test_message("%s", error->message);
	g_assert_nonnull(strstr(error->message, scene->path));
	after = contents(scene->path, &size_after);
	g_assert_cmpmem(before, size_before, after, size_after);
}

static void test_garbage(struct scene *scene, gconstpointer data)
{
	g_autofree char *garbage = g_strnfill(9000, 'g');

	g_assert_true(g_file_set_contents(scene->path, garbage, 9000, NULL));
	assert_refused(scene, POLDER_ERROR_CORRUPT);
}

static void overwrite(const char *path, gsize from, gsize to, char byte)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	g_assert_cmpint(fd, >=, 0);
	for (gsize i = from; i < to; i++)
		g_assert_cmpint(pwrite(fd, &byte, 1, (off_t)i), ==, 1);
	close(fd);
}

static void test_damaged_page(struct scene *scene, gconstpointer data)
{
	fill(scene);
	overwrite(scene->path, 4096, 3 * 4096, '\x5a');
	assert_refused(scene, POLDER_ERROR_CORRUPT);
}

static void test_cut_off(struct scene *scene, gconstpointer data)
{
	fill(scene);
	g_assert_cmpint(truncate(scene->path, 3 * 4096 + 100), ==, 0);
	assert_refused(scene, POLDER_ERROR_CORRUPT);
}

static void test_emptied_beside_log(struct scene *scene, gconstpointer data)
{
	g_autofree char *after = NULL;
	gsize size;

	g_assert_true(g_file_set_contents(scene->path, "", 0, NULL));
	g_assert_true(g_file_set_contents(scene->wal, "the user's data", -1, NULL));
	assert_refused(scene, POLDER_ERROR_CORRUPT);
	after = contents(scene->wal, &size);
	g_assert_cmpstr(after, ==, "the user's data");
}

static void test_foreign(struct scene *scene, gconstpointer data)
{
	sqlite3 *db;

	g_assert_cmpint(sqlite3_open(scene->path, &db), ==, SQLITE_OK);
	g_assert_cmpint(sqlite3_exec(db, "CREATE TABLE theirs(a); INSERT INTO theirs VALUES(1)", NULL, NULL, NULL), ==,
			SQLITE_OK);
	sqlite3_close(db);
	assert_refused(scene, POLDER_ERROR_CORRUPT);
}

static void test_other_version(struct scene *scene, gconstpointer data)
{
	sqlite3 *db;

	fill(scene);
	g_assert_cmpint(sqlite3_open(scene->path, &db), ==, SQLITE_OK);
	g_assert_cmpint(sqlite3_exec(db, "PRAGMA user_version = 99", NULL, NULL, NULL), ==, SQLITE_OK);
	sqlite3_close(db);
	assert_refused(scene, POLDER_ERROR_FAILED);
}

static void test_no_directory(struct scene *scene, gconstpointer data)
{
	g_autofree char *path = g_build_filename(scene->dir, "nowhere", "store.db", NULL);
	g_autoptr(GError) error = NULL;

	g_assert_null(store_sqlite_open(path, NULL, &error));
	g_assert_error(error, POLDER_ERROR, POLDER_ERROR_FAILED);
}

/* Taken by another process, which is not disturbed, and free again once that one is gone. */
static void test_taken(struct scene *scene, gconstpointer data)
{
	g_autofree char *value = NULL;
	struct store *store;
	int fds[2], status;
	char byte = 0;
	pid_t pid;

	g_assert_cmpint(pipe(fds), ==, 0);
	pid = fork();
	if (pid == 0) {
		store = store_sqlite_open(scene->path, NULL, NULL);
		if (store == NULL)
			_exit(1);
		put_sync(store, "/a", "theirs");
		if (write(fds[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(fds[1]);
	g_assert_cmpint(read(fds[0], &byte, 1), ==, 1);
	assert_refused(scene, POLDER_ERROR_CONFLICT);
	g_assert_cmpint(kill(pid, SIGKILL), ==, 0);
	g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
	close(fds[0]);
	store = open_ok(scene->path, NULL);
	value = get_sync(store, "/a");
	g_assert_cmpstr(value, ==, "theirs");
	store_unref(store);
}

static void test_not_writable(struct scene *scene, gconstpointer data)
{
	g_autoptr(GError) error = NULL;
	int status;
	pid_t pid;

	fill(scene);
	g_assert_cmpint(chmod(scene->path, 0444), ==, 0);
	g_assert_cmpint(chmod(scene->dir, 0755), ==, 0);
	/* Root may write anything: ask as nobody. */
	pid = fork();
	if (pid == 0) {
		if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
			_exit(1);
		if (store_sqlite_open(scene->path, NULL, &error) != NULL)
			_exit(2);
		_exit(g_error_matches(error, POLDER_ERROR, POLDER_ERROR_DENIED) ? 0 : 3);
	}
	g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
	g_assert_cmpint(status, ==, 0);
	g_assert_cmpint(chmod(scene->path, 0644), ==, 0);
}

static void test_full_disk(struct scene *scene, gconstpointer data)
{
	struct shim *shim = shim_new("full", TRUE);
	struct store *store = open_ok("/full/store.db", "full");
	gint64 revision = put_sync(store, "/a", "before");
	struct txn_wait waits[5];
	struct watched watched;
	g_autofree char *old = NULL;
	g_autofree char *new = NULL;

	watched_begin(&watched, store, "/", "0", 0);
	shim_set_full(shim, 1);
	for (guint i = 0; i < G_N_ELEMENTS(waits); i++) {
		struct store_txn *txn = store_txn_new();
		g_autofree char *key = g_strdup_printf("/full/%u", i);
		g_autoptr(GBytes) value = bytes("x");

		store_txn_put(txn, STORE_THEN, "/a", value, 0);
		store_txn_put(txn, STORE_THEN, key, value, 0);
		txn_wait_begin(&waits[i], store, txn, NULL);
	}
	for (guint i = 0; i < G_N_ELEMENTS(waits); i++) {
		wait_for(&waits[i].done);
		g_assert_error(waits[i].error, POLDER_ERROR, POLDER_ERROR_STORAGE_FULL);
		txn_wait_clear(&waits[i]);
	}
	old = get_sync(store, "/a"); /* reading goes on */
	g_assert_cmpstr(old, ==, "before");
	shim_set_full(shim, 0);
	g_assert_cmpint(put_sync(store, "/a", "after"), ==, revision + 1);
	watched_wait_revision(&watched, revision + 1);
	g_assert_cmpstr(watched.text->str, ==, "put /a after\n"); /* nobody saw what did not happen */
	watched_clear(&watched);
	store_unref(store);
	store = open_ok("/full/store.db", "full");
	new = get_sync(store, "/a");
	g_assert_cmpstr(new, ==, "after");
	store_unref(store);
	shim_free(shim);
}

/* One that does not fit fails alone, whatever shares its commit. */
static void test_full_disk_neighbours(struct scene *scene, gconstpointer data)
{
	struct shim *shim = shim_new("full", TRUE);
	struct store *store = open_ok("/full/store.db", "full");
	g_autofree char *much = g_strnfill(900 << 10, 'x');
	struct txn_wait waits[9];

	shim_set_full(shim, 600 << 10);
	for (guint i = 0; i < G_N_ELEMENTS(waits); i++) {
		struct store_txn *txn = store_txn_new();
		g_autofree char *key = g_strdup_printf("/n/%u", i);
		g_autoptr(GBytes) value = bytes(i == 4 ? much : "small");

		store_txn_put(txn, STORE_THEN, key, value, 0);
		txn_wait_begin(&waits[i], store, txn, NULL);
	}
	for (guint i = 0; i < G_N_ELEMENTS(waits); i++) {
		wait_for(&waits[i].done);
		if (i == 4)
			g_assert_error(waits[i].error, POLDER_ERROR, POLDER_ERROR_STORAGE_FULL);
		else
			g_assert_no_error(waits[i].error);
		txn_wait_clear(&waits[i]);
	}
	store_unref(store);
	shim_free(shim);
}

/* A sync that fails leaves nobody knowing: said so, and nothing more is taken until the store is opened again. */
static void test_sync_fails(struct scene *scene, gconstpointer data)
{
	struct shim *shim = shim_new("full", TRUE);
	struct store *store = open_ok("/full/store.db", "full");
	g_autofree char *value = NULL;
	g_autoptr(GBytes) x = bytes("x");
	struct store_txn *txn = store_txn_new();

	put_sync(store, "/a", "before");
	shim_set_sync_fails(shim, TRUE);
	g_test_expect_message(NULL, G_LOG_LEVEL_CRITICAL, "*closed until*");
	store_txn_put(txn, STORE_THEN, "/b", x, 0);
	txn_sync(store, txn, POLDER_ERROR_UNKNOWN_OUTCOME);
	g_test_assert_expected_messages();
	shim_set_sync_fails(shim, FALSE);
	txn = store_txn_new();
	store_txn_put(txn, STORE_THEN, "/c", x, 0);
	txn_sync(store, txn, POLDER_ERROR_UNAVAILABLE);
	range_sync(store, "/a", NULL, 0, 0, POLDER_ERROR_UNAVAILABLE);
	store_unref(store);
	store = open_ok("/full/store.db", "full");
	value = get_sync(store, "/a");
	g_assert_cmpstr(value, ==, "before");
	store_unref(store);
	shim_free(shim);
}

/* The file is private, and what is in it does not pile up in memory. */
static void test_mode(struct scene *scene, gconstpointer data)
{
	struct store *store = open_ok(scene->path, NULL);
	struct stat st;

	put_sync(store, "/a", "x");
	g_assert_cmpint(stat(scene->path, &st), ==, 0);
	g_assert_cmpint(st.st_mode & 0777, ==, 0600);
	g_assert_cmpint(stat(scene->wal, &st), ==, 0);
	g_assert_cmpint(st.st_mode & 0777, ==, 0600);
	store_unref(store);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(struct scene *scene, gconstpointer data);
	} tests[] = {
		{ "garbage", test_garbage },
		{ "damaged-page", test_damaged_page },
		{ "cut-off", test_cut_off },
		{ "emptied-beside-log", test_emptied_beside_log },
		{ "foreign", test_foreign },
		{ "other-version", test_other_version },
		{ "no-directory", test_no_directory },
		{ "taken", test_taken },
		{ "not-writable", test_not_writable },
		{ "full-disk", test_full_disk },
		{ "full-disk-neighbours", test_full_disk_neighbours },
		{ "sync-fails", test_sync_fails },
		{ "mode", test_mode },
	};

	g_test_init(&argc, &argv, NULL);
	for (guint i = 0; i < G_N_ELEMENTS(tests); i++) {
		g_autofree char *path = g_strdup_printf("/store/faults/%s", tests[i].name);

		g_test_add(path, struct scene, NULL, set_up, tests[i].run, tear_down);
	}
	return g_test_run();
}
