/* Goal: the history tells each VM's coming and going once, in order, through rotation, kill -9 and torn rows. */
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>

#include "daemon/history/history.h"
#include "daemon/model/nouns.h"

struct fixture {
	char *dir, *file;
	struct history *history;
	GHashTable *alive; /* names, as the trace has them */
	guint creates, deletes, refuses, hosts;
	gint64 last_us;
};

static void fixture_open(struct fixture *fixture, guint64 file_bytes)
{
	g_autoptr(GError) error = NULL;

	fixture->history = history_open(fixture->dir, file_bytes, &error);
	g_assert_no_error(error);
}

static void fixture_init(struct fixture *fixture, guint64 file_bytes)
{
	memset(fixture, 0, sizeof(*fixture));
	fixture->dir = g_dir_make_tmp("polder-history-XXXXXX", NULL);
	fixture->file = g_build_filename(fixture->dir, "allocation.csv", NULL);
	fixture_open(fixture, file_bytes);
}

static void fixture_clear(struct fixture *fixture)
{
	g_autofree char *older = g_strconcat(fixture->file, ".1", NULL);

	history_free(fixture->history);
	g_unlink(fixture->file);
	g_unlink(older);
	g_assert_cmpint(g_rmdir(fixture->dir), ==, 0);
	g_free(fixture->dir);
	g_free(fixture->file);
}

static void change(struct fixture *fixture, const char *key, char *text)
{
	g_autoptr(GBytes) value = text ? g_bytes_new_take(text, strlen(text)) : g_bytes_new("", 0);
	struct store_kv kv = { .key = (char *)key, .value = value };

	history_changed(fixture->history, text ? NULL : &kv, text ? &kv : NULL);
}

static void put_plan(struct fixture *fixture, const char *name, const char *host, int desired)
{
	g_autofree char *key = g_strconcat("/plan/", name, NULL);
	struct plan plan;

	noun_init(&plan_noun, &plan);
	plan.uuid = g_strdup(name);
	g_free(plan.host);
	plan.host = g_strdup(host);
	plan.refused = host == NULL;
	plan.cpus = 2;
	plan.memory_bytes = 1ull << 30;
	plan.desired = desired;
	plan.owner_uid = 7;
	plan.groups = g_strsplit("db", ",", 0);
	change(fixture, key, noun_to_json(&plan_noun, &plan));
	noun_clear(&plan_noun, &plan);
}

static void drop_plan(struct fixture *fixture, const char *name)
{
	g_autofree char *key = g_strconcat("/plan/", name, NULL);

	change(fixture, key, NULL);
}

/* A row by the trace's rules: a delete has its create, time does not run backwards, fields are as many as columns. */
static void check_row(struct fixture *fixture, const char *row)
{
	g_auto(GStrv) field = g_strsplit(row, ",", -1);
	gint64 time_us;

	g_assert_cmpuint(g_strv_length(field), ==, 12);
	time_us = (gint64)(g_ascii_strtod(field[0], NULL) * 1e6 + 0.5);
	g_assert_cmpint(time_us, >=, fixture->last_us);
	fixture->last_us = time_us;
	if (strcmp(field[1], "create") == 0) {
		g_assert_true(g_hash_table_add(fixture->alive, g_strdup(field[2])));
		g_assert_cmpstr(field[3], ==, "2");
		g_assert_cmpstr(field[4], ==, "1024");
		g_assert_cmpstr(field[5], ==, "uid-7");
		g_assert_cmpstr(field[6], ==, "db");
		fixture->creates++;
	} else if (strcmp(field[1], "delete") == 0) {
		g_assert_true(g_hash_table_remove(fixture->alive, field[2]));
		fixture->deletes++;
	} else if (strcmp(field[1], "host") == 0) {
		fixture->hosts++;
	} else {
		g_assert_cmpstr(field[1], ==, "refuse");
		fixture->refuses++;
	}
}

/* Reads it all; returns how many are alive at its end. */
static guint read_all(struct fixture *fixture)
{
	struct history_reader *reader;
	g_autoptr(GString) text = g_string_new(NULL);
	g_auto(GStrv) rows = NULL;
	g_autoptr(GError) error = NULL;
	GBytes *bytes;
	guint alive;

	reader = history_read(fixture->history, &error);
	g_assert_no_error(error);
	while ((bytes = history_reader_next(reader, &error)) != NULL) {
		g_string_append_len(text, g_bytes_get_data(bytes, NULL), (gssize)g_bytes_get_size(bytes));
		g_bytes_unref(bytes);
	}
	g_assert_no_error(error);
	history_reader_free(reader);
	fixture->alive = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	fixture->creates = fixture->deletes = fixture->refuses = fixture->hosts = 0;
	fixture->last_us = 0;
	g_assert_true(g_str_has_prefix(text->str, "time_s,event,vm,cpus,memory_mib,tenant,group,numa_nodes,priority,"
						  "host,strategy,note\n"));
	g_assert_true(g_str_has_suffix(text->str, "\n"));
	rows = g_strsplit(text->str, "\n", -1);
	for (guint i = 1; rows[i] && *rows[i]; i++)
		check_row(fixture, rows[i]);
	alive = g_hash_table_size(fixture->alive);
	g_hash_table_unref(fixture->alive);
	return alive;
}

static void put_host(struct fixture *fixture)
{
	struct host host;
	struct host_spec spec;

	noun_init(&host_noun, &host);
	host.simulated = TRUE;
	host.cpus = 80;
	host.memory_bytes = 180ull << 30;
	host.nodes = g_strsplit("40c90G,40c90G", ",", 0);
	change(fixture, "/host/sim-0001", noun_to_json(&host_noun, &host));
	noun_clear(&host_noun, &host);
	noun_init(&host_spec_noun, &spec);
	spec.labels = g_strsplit("disk=ssd,rack=r1", ",", 0);
	change(fixture, "/host-spec/sim-0001", noun_to_json(&host_spec_noun, &spec));
	noun_clear(&host_spec_noun, &spec);
}

static void test_life(void)
{
	struct fixture fixture;
	g_autofree char *text = NULL;

	fixture_init(&fixture, 0);
	put_host(&fixture);
	put_plan(&fixture, "a", "sim-0001", VM_DESIRED_RUNNING);
	put_plan(&fixture, "a", "sim-0001", VM_DESIRED_PAUSED); /* it is no other VM for that */
	put_plan(&fixture, "b", NULL, VM_DESIRED_RUNNING);
	put_plan(&fixture, "b", "sim-0001", VM_DESIRED_RUNNING);
	put_plan(&fixture, "c", "sim-0001", VM_DESIRED_RUNNING);
	put_plan(&fixture, "a", "sim-0001", VM_DESIRED_STOPPED);
	put_plan(&fixture, "a", "sim-0001", VM_DESIRED_RUNNING);
	history_settled(fixture.history);
	drop_plan(&fixture, "c");
	drop_plan(&fixture, "d");
	put_host(&fixture);
	history_settled(fixture.history);
	g_assert_cmpuint(read_all(&fixture), ==, 2);
	g_assert_cmpuint(fixture.creates, ==, 4);
	g_assert_cmpuint(fixture.deletes, ==, 2);
	g_assert_cmpuint(fixture.refuses, ==, 1);
	g_assert_cmpuint(fixture.hosts, ==, 1);
	g_assert_true(g_file_get_contents(fixture.file, &text, NULL, NULL));
	g_assert_nonnull(strstr(text, ",host,sim-0001,80,184320,,r1,2,,,,\n"));
	fixture_clear(&fixture);
}

static void test_torn(void)
{
	struct fixture fixture;
	FILE *file;

	fixture_init(&fixture, 0);
	put_plan(&fixture, "a", "h", VM_DESIRED_RUNNING);
	put_plan(&fixture, "b", "h", VM_DESIRED_RUNNING);
	history_settled(fixture.history);
	g_clear_pointer(&fixture.history, history_free);
	file = fopen(fixture.file, "a");
	fputs("1795.000000,delete,a", file); /* cut short by kill -9 */
	fclose(file);
	fixture_open(&fixture, 0);
	put_plan(&fixture, "c", "h", VM_DESIRED_RUNNING);
	drop_plan(&fixture, "b");
	history_settled(fixture.history);
	g_assert_cmpuint(read_all(&fixture), ==, 2);
	g_assert_cmpuint(fixture.deletes, ==, 1);
	g_clear_pointer(&fixture.history, history_free);
	g_assert_true(g_file_set_contents(fixture.file, "not ours", -1, NULL));
	fixture_open(&fixture, 0);
	g_assert_cmpuint(read_all(&fixture), ==, 0);
	fixture_clear(&fixture);
}

/* However often files are put aside, what is left is one sound trace that ends with who is alive. */
static void test_rotation(void)
{
	const char *seed = g_getenv("POLDER_TEST_SEED");
	guint32 number = seed ? (guint32)g_ascii_strtoull(seed, NULL, 10) : g_random_int();
	GRand *random = g_rand_new_with_seed(number);
	gboolean alive[40] = { FALSE };
	struct fixture fixture;
	g_autofree char *older = NULL;

	g_test_message("POLDER_TEST_SEED=%u", number);
	fixture_init(&fixture, 8192);
	put_host(&fixture);
	for (guint step = 0; step < 4000; step++) {
		guint i = (guint)g_rand_int_range(random, 0, G_N_ELEMENTS(alive)), n = 0;
		g_autofree char *name = g_strdup_printf("vm-%u", i);

		if (alive[i])
			drop_plan(&fixture, name);
		else
			put_plan(&fixture, name, "sim-0001", VM_DESIRED_RUNNING);
		alive[i] = !alive[i];
		if (g_rand_int_range(random, 0, 3) == 0)
			history_settled(fixture.history);
		if (step % 500 == 250) {
			g_clear_pointer(&fixture.history, history_free);
			fixture_open(&fixture, 8192);
		}
		if (step % 100 != 99)
			continue;
		history_settled(fixture.history);
		for (guint v = 0; v < G_N_ELEMENTS(alive); v++)
			n += alive[v];
		g_assert_cmpuint(read_all(&fixture), ==, n);
		g_assert_cmpuint(fixture.hosts, ==, 1);
	}
	older = g_strconcat(fixture.file, ".1", NULL);
	g_assert_true(g_file_test(older, G_FILE_TEST_EXISTS));
	g_rand_free(random);
	fixture_clear(&fixture);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/history/life", test_life);
	g_test_add_func("/history/torn", test_torn);
	g_test_add_func("/history/rotation", test_rotation);
	return g_test_run();
}
