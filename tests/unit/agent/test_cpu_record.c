/* Goal: what vCPUs wanted is recorded once, whole and in order: through rotation, torn rows, threads that go, VMs made again,
 * and clocks set back. */
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/agent/cpu_record.h"

#define COLUMNS 19
#define SECOND  1000000

struct fixture {
	char *dir, *path;
	struct cpu_record *record;
	struct cpu_round *round;
	struct cpu_record_time time;
	guint64 file_bytes;
};

static void fixture_open(struct fixture *fixture)
{
	const struct cpu_record_host host = {
		.cpus = 8, .threads_per_core = 2, .cores_per_llc = 4, .llcs_per_node = 1
	};
	g_autoptr(GError) error = NULL;

	fixture->record = cpu_record_open(fixture->path, fixture->file_bytes, &host, &error);
	g_assert_no_error(error);
}

static void fixture_init(struct fixture *fixture, guint64 file_bytes)
{
	memset(fixture, 0, sizeof(*fixture));
	fixture->dir = g_dir_make_tmp("polder-record-XXXXXX", NULL);
	fixture->path = g_build_filename(fixture->dir, "scheduling.csv", NULL);
	fixture->file_bytes = file_bytes;
	fixture->time = (struct cpu_record_time) { g_get_real_time() + SECOND, 5 * SECOND };
	fixture_open(fixture);
}

static void fixture_clear(struct fixture *fixture)
{
	g_autofree char *older = g_strconcat(fixture->path, ".1", NULL);

	cpu_record_close(fixture->record);
	if (fixture->round)
		cpu_round_free(fixture->round);
	g_unlink(fixture->path);
	g_unlink(older);
	g_assert_cmpint(g_rmdir(fixture->dir), ==, 0);
	g_free(fixture->dir);
	g_free(fixture->path);
}

/* A VM with one vCPU, which has run and waited so many µs, and woken so often. */
static struct cpu_round_vm *seen(struct fixture *fixture, const char *name, pid_t thread, const guint64 counters[3])
{
	struct cpu_round_vm *vm;

	if (!fixture->round)
		fixture->round = cpu_round_new();
	vm = cpu_round_add(fixture->round, name, &thread, 1);
	vm->tenant = g_strdup("red");
	vm->pid = thread - 1;
	vm->weight = 100;
	vm->usage = g_new0(struct cpu_usage, 1);
	vm->usage[0] = (struct cpu_usage) { .run_ns = counters[0] * 1000,
					    .ready_ns = counters[1] * 1000,
					    .wakeups = counters[2],
					    .switches = counters[2] + 1,
					    .has_switches = TRUE,
					    .was_read = TRUE };
	return vm;
}

#define SEEN(fixture, name, thread, ...) seen(fixture, name, thread, (const guint64[]) { __VA_ARGS__ })

static void end_round(struct fixture *fixture)
{
	if (!fixture->round)
		fixture->round = cpu_round_new();
	cpu_record_add(fixture->record, fixture->round, &fixture->time);
	g_clear_pointer(&fixture->round, cpu_round_free);
	fixture->time.wall_us += SECOND;
	fixture->time.monotonic_us += SECOND;
}

/* The recording as it is handed out: each row without its time, which has to rise from round to round. */
static char **rows_of(struct fixture *fixture, guint *n_hosts)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) rows = g_ptr_array_new();
	g_auto(GStrv) lines = NULL;
	g_autoptr(GString) text = g_string_new(NULL);
	char piece[4096];
	double last = 0;
	ssize_t got;
	int fd = cpu_record_copy(fixture->record, &error);

	g_assert_no_error(error);
	while ((got = read(fd, piece, sizeof(piece))) > 0)
		g_string_append_len(text, piece, got);
	close(fd);
	g_assert_true(g_str_has_prefix(text->str, "time_s,event,vm,vcpu,tenant,"));
	g_assert_true(g_str_has_suffix(text->str, "\n"));
	lines = g_strsplit(text->str, "\n", -1);
	*n_hosts = 0;
	for (guint i = 1; *lines[i]; i++) {
		g_auto(GStrv) fields = g_strsplit(lines[i], ",", -1);
		double time_s = g_ascii_strtod(fields[0], NULL);

		g_assert_cmpuint(g_strv_length(fields), ==, COLUMNS);
		g_assert_cmpfloat(time_s, >=, last);
		last = time_s;
		if (strcmp(fields[1], "host") == 0)
			++*n_hosts;
		else
			g_ptr_array_add(rows, g_strdup(strchr(lines[i], ',') + 1));
	}
	g_ptr_array_add(rows, NULL);
	return (char **)g_ptr_array_free(g_steal_pointer(&rows), FALSE);
}

static void expect(struct fixture *fixture, const char *const *wanted, guint hosts)
{
	guint n_hosts;
	g_auto(GStrv) rows = rows_of(fixture, &n_hosts);

	g_assert_cmpuint(n_hosts, ==, hosts);
	for (guint i = 0; i < g_strv_length(rows) || wanted[i]; i++)
		g_assert_cmpstr(rows[i], ==, wanted[i]);
}

static void test_rows(void)
{
	static const char *const rows[] = { "vcpu,a,0,red,100,150,20,2000,1000000,400,50,0,7,7,,,,",
					    "vcpu,b,0,r_d_,100,0,0,0,1000000,1,2,0,,,,,,",
					    "vcpu,a,0,red,100,0,0,0,1000000,500,0,0,0,0,,,,", NULL };
	struct fixture fixture;
	struct cpu_round_vm *vm;

	fixture_init(&fixture, 1 << 20);
	SEEN(&fixture, "a", 11, 1000, 100, 3);
	SEEN(&fixture, "b", 21, 0, 0, 0);
	end_round(&fixture); /* what was before nobody saw */
	vm = SEEN(&fixture, "a", 11, 1400, 150, 10);
	vm->limit_percent = 150;
	vm->reserve_percent = 20;
	vm->latency_us = 2000;
	vm = SEEN(&fixture, "b", 21, 1, 2, 0);
	vm->usage[0].has_switches = FALSE;
	g_free(vm->tenant);
	vm->tenant = g_strdup("r,d\n"); /* it may not make rows of its own */
	end_round(&fixture);
	SEEN(&fixture, "a", 11, 1900, 150, 10);
	end_round(&fixture);
	expect(&fixture, rows, 1);
	fixture_clear(&fixture);
}

/* A thread that is gone has no row and no past; neither has one that came in its place, nor a VM that was away. */
static void test_gone(void)
{
	static const char *const rows[] = { "vcpu,a,0,red,100,0,0,0,1000000,5,0,0,0,0,,,,",
					    "vcpu,a,0,red,100,0,0,0,1000000,7,0,0,0,0,,,,", NULL };
	struct fixture fixture;
	struct cpu_round_vm *vm;

	fixture_init(&fixture, 1 << 20);
	SEEN(&fixture, "a", 11, 10, 0, 0);
	end_round(&fixture);
	SEEN(&fixture, "a", 11, 15, 0, 0);
	end_round(&fixture); /* the first row */
	vm = SEEN(&fixture, "a", 11, 0, 0, 0);
	vm->usage[0] = (struct cpu_usage) { 0 };
	end_round(&fixture); /* gone */
	SEEN(&fixture, "a", 31, 90, 0, 0);
	end_round(&fixture); /* made again, with more on its counters */
	SEEN(&fixture, "a", 31, 97, 0, 0);
	end_round(&fixture); /* the second row */
	SEEN(&fixture, "a", 41, 200, 0, 0);
	end_round(&fixture); /* another process at once */
	SEEN(&fixture, "a", 42, 300, 0, 0)->pid = 40;
	end_round(&fixture); /* another thread of it */
	SEEN(&fixture, "b", 51, 0, 0, 0)->usage[0].was_read = FALSE;
	end_round(&fixture);
	SEEN(&fixture, "b", 51, 5, 0, 0);
	end_round(&fixture); /* not seen to begin */
	end_round(&fixture); /* away */
	SEEN(&fixture, "a", 31, 99, 0, 0);
	end_round(&fixture);
	SEEN(&fixture, "a", 31, 1, 0, 0); /* the same ids, counters that began anew */
	end_round(&fixture);
	expect(&fixture, rows, 1);
	fixture_clear(&fixture);
}

static void test_torn(void)
{
	static const char *const rows[] = { "vcpu,a,0,red,100,0,0,0,1000000,5,0,0,0,0,,,,",
					    "vcpu,a,0,red,100,0,0,0,1000000,1,0,0,0,0,,,,", NULL };
	static const char *const nothing[] = { NULL };
	struct fixture fixture;
	FILE *file;

	fixture_init(&fixture, 1 << 20);
	SEEN(&fixture, "a", 11, 10, 0, 0);
	end_round(&fixture);
	SEEN(&fixture, "a", 11, 15, 0, 0);
	end_round(&fixture);
	cpu_record_close(fixture.record);
	file = fopen(fixture.path, "a");
	fputs("1795000000.000000,vcpu,a,0,red,1", file); /* cut short by kill -9 */
	fclose(file);
	fixture_open(&fixture);
	fixture.time.wall_us -= 3600 * (gint64)SECOND; /* and the clock was set back */
	SEEN(&fixture, "a", 11, 20, 0, 0);
	end_round(&fixture);
	SEEN(&fixture, "a", 11, 21, 0, 0);
	end_round(&fixture);
	expect(&fixture, rows, 2);
	cpu_record_close(fixture.record);
	g_assert_true(g_file_set_contents(fixture.path, "not ours\n", -1, NULL));
	fixture_open(&fixture);
	expect(&fixture, nothing, 1);
	fixture_clear(&fixture);
}

/* Two files of limited size; what is left is the newest, and whole. */
static void test_rotation(void)
{
	g_autofree char *older = NULL;
	struct fixture fixture;
	struct stat now, before;
	guint hosts;

	fixture_init(&fixture, 4096);
	older = g_strconcat(fixture.path, ".1", NULL);
	for (guint i = 0; i < 400; i++) {
		g_auto(GStrv) rows = NULL;

		SEEN(&fixture, "a", 11, i, 0, i);
		SEEN(&fixture, "b", 21, 2 * i, 0, 0);
		end_round(&fixture);
		rows = rows_of(&fixture, &hosts);
		g_assert_cmpuint(g_strv_length(rows), >=, MIN(2 * i, 40));
		g_assert_cmpuint(hosts, >=, 1);
		if (i)
			g_assert_cmpstr(rows[g_strv_length(rows) - 1], ==,
					"vcpu,b,0,red,100,0,0,0,1000000,2,0,0,0,0,,,,");
	}
	g_assert_cmpint(stat(fixture.path, &now), ==, 0);
	g_assert_cmpint(stat(older, &before), ==, 0);
	g_assert_cmpint(now.st_size, <=, 4096);
	g_assert_cmpint(before.st_size, <=, 4096);
	g_assert_cmpint(before.st_size, >, 3500);
	fixture_clear(&fixture);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/agent/cpu-record/rows", test_rows);
	g_test_add_func("/agent/cpu-record/gone", test_gone);
	g_test_add_func("/agent/cpu-record/torn", test_torn);
	g_test_add_func("/agent/cpu-record/rotation", test_rotation);
	return g_test_run();
}
