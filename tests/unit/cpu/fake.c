#include "tests/unit/cpu/fake.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/cpu/cpu_private.h"
#include "tests/unit/cpu/world.h"

static void put_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	g_assert_nonnull(file);
	g_assert_cmpint(fputs(text, file), >=, 0);
	fclose(file);
}

static gboolean has_cpu(struct fake *fake, const char *dir)
{
	g_autofree char *parent = g_path_get_dirname(dir);
	g_autofree char *path = g_build_filename(parent, "cgroup.subtree_control", NULL);
	g_autofree char *text = NULL;

	return !fake->v2 || (g_file_get_contents(path, &text, NULL, NULL) && strstr(text, "cpu"));
}

static void put_in(const char *dir, const char *file, const char *text)
{
	g_autofree char *path = g_build_filename(dir, file, NULL);

	if (!g_file_test(path, G_FILE_TEST_EXISTS))
		put_file(path, text);
}

static void fill_group(struct fake *fake, const char *dir)
{
	if (!fake->v2) {
		put_in(dir, "tasks", "");
		put_in(dir, "cpu.shares", "1024\n");
		put_in(dir, "cpu.cfs_quota_us", "-1\n");
		put_in(dir, "cpu.cfs_period_us", "100000\n");
		put_in(dir, "cpu.stat", "nr_periods 9\nnr_throttled 3\nthrottled_time 4000\n");
		return;
	}
	put_in(dir, "cgroup.procs", "");
	put_in(dir, "cgroup.threads", "");
	put_in(dir, "cgroup.subtree_control", "");
	put_in(dir, "cgroup.type", "domain\n");
	put_in(dir, "cgroup.controllers", "cpu\n");
	if (has_cpu(fake, dir)) {
		put_in(dir, "cpu.weight", "100\n");
		put_in(dir, "cpu.max", "max 100000\n");
		put_in(dir, "cpu.stat", "usage_usec 1\nnr_throttled 3\nthrottled_usec 4\n");
	}
}

static int make_group(void *data, const char *path)
{
	struct fake *fake = data;

	if (fake->make_status)
		return fake->make_status;
	if (mkdir(path, 0700) < 0)
		return errno;
	fill_group(fake, path);
	g_string_append_printf(fake->log, "mkdir %s\n", path + strlen(fake->mount));
	return 0;
}

/* Is any thread of the fake /proc in this group? */
static gboolean is_occupied(struct fake *fake, const char *group)
{
	GDir *processes = g_dir_open(fake->proc, 0, NULL);
	const char *pid, *tid;
	gboolean occupied = FALSE;

	while ((pid = g_dir_read_name(processes))) {
		g_autofree char *tasks = g_build_filename(fake->proc, pid, "task", NULL);
		GDir *threads = g_dir_open(tasks, 0, NULL);

		while (threads && (tid = g_dir_read_name(threads))) {
			g_autofree char *now = fake_group_of(fake, atoi(pid), atoi(tid));

			occupied |= now && !strcmp(now, group);
		}
		if (threads)
			g_dir_close(threads);
	}
	g_dir_close(processes);
	return occupied;
}

static int remove_group(void *data, const char *path)
{
	struct fake *fake = data;
	GDir *dir = g_dir_open(path, 0, NULL);
	const char *name;
	int status = 0;

	if (!dir)
		return ENOENT;
	while ((name = g_dir_read_name(dir))) {
		g_autofree char *child = g_build_filename(path, name, NULL);

		if (g_file_test(child, G_FILE_TEST_IS_DIR))
			status = EBUSY;
	}
	g_dir_close(dir);
	if (is_occupied(fake, path + strlen(fake->mount)))
		status = EBUSY;
	if (!status)
		world_remove(path);
	return status;
}

static void put_group_of(struct fake *fake, const char *pid, const char *tid, const char *group)
{
	g_autofree char *path = g_build_filename(fake->proc, pid, "task", tid, "cgroup", NULL);
	g_autofree char *text = g_strdup_printf(fake->v2 ? "0::%s\n" : "1:cpu:%s\n", group);

	put_file(path, text);
}

/* Threads of one task file: "tasks", "cgroup.threads"; v2's "cgroup.procs" moves all of a process. */
static int move(struct fake *fake, const char *dir, const char *file, const char *id)
{
	const char *group = dir[strlen(fake->mount)] ? dir + strlen(fake->mount) : "/";
	GDir *processes = g_dir_open(fake->proc, 0, NULL);
	const char *pid, *tid;
	int status = ESRCH;

	while ((pid = g_dir_read_name(processes))) {
		g_autofree char *tasks = g_build_filename(fake->proc, pid, "task", NULL);
		GDir *threads = g_dir_open(tasks, 0, NULL);

		while (threads && (tid = g_dir_read_name(threads)))
			if (!strcmp(file, "cgroup.procs") ? !strcmp(pid, id) : !strcmp(tid, id)) {
				put_group_of(fake, pid, tid, group);
				status = 0;
			}
		if (threads)
			g_dir_close(threads);
	}
	g_dir_close(processes);
	return status;
}

static int give(struct fake *fake, const char *dir)
{
	GDir *children = g_dir_open(dir, 0, NULL);
	g_autofree char *path = g_build_filename(dir, "cgroup.subtree_control", NULL);
	const char *name;

	put_file(path, "cpu\n");
	while ((name = g_dir_read_name(children))) {
		g_autofree char *child = g_build_filename(dir, name, NULL);

		if (g_file_test(child, G_FILE_TEST_IS_DIR))
			fill_group(fake, child);
	}
	g_dir_close(children);
	return 0;
}

static int write_file(void *data, const char *path, const char *text)
{
	struct fake *fake = data;
	g_autofree char *dir = g_path_get_dirname(path), *file = g_path_get_basename(path);
	g_autofree char *line = g_strconcat(text, "\n", NULL);
	gint64 value = g_ascii_strtoll(text, NULL, 10);

	if (fake->fail_file && g_str_has_suffix(path, fake->fail_file))
		return fake->fail_status;
	if (!g_file_test(path, G_FILE_TEST_EXISTS))
		return ENOENT;
	g_string_append_printf(fake->log, "%s=%s\n", path + strlen(fake->mount) + 1, text);
	if (!strcmp(file, "tasks") || !strcmp(file, "cgroup.threads") || !strcmp(file, "cgroup.procs"))
		return move(fake, dir, file, text);
	if (!strcmp(file, "cgroup.subtree_control"))
		return give(fake, dir);
	if ((!strcmp(file, "cpu.weight") && (value < 1 || value > 10000)) ||
	    (!strcmp(file, "cpu.cfs_quota_us") && value >= 0 && value < 1000) ||
	    (!strcmp(file, "cpu.max") && text[0] != 'm' && value < 1000) ||
	    (!strcmp(file, "cpu.cfs_period_us") && (value < 1000 || value > 1000000)))
		return EINVAL;
	put_file(path, line);
	return 0;
}

/* "tasks" is made from the fake /proc, so that it never disagrees with it. */
static int read_file(void *data, const char *path, char *text, size_t size)
{
	struct fake *fake = data;
	g_autofree char *file = g_path_get_basename(path), *dir = g_path_get_dirname(path);
	GDir *processes;
	const char *pid, *tid;

	if (strcmp(file, "tasks") || !g_str_has_prefix(path, fake->mount))
		return cpu_kernel_linux.read(NULL, path, text, size);
	text[0] = '\0';
	if (!g_file_test(path, G_FILE_TEST_EXISTS))
		return ENOENT;
	processes = g_dir_open(fake->proc, 0, NULL);
	while ((pid = g_dir_read_name(processes))) {
		g_autofree char *tasks = g_build_filename(fake->proc, pid, "task", NULL);
		GDir *threads = g_dir_open(tasks, 0, NULL);

		while (threads && (tid = g_dir_read_name(threads))) {
			g_autofree char *now = fake_group_of(fake, atoi(pid), atoi(tid));

			if (now && !strcmp(now, dir + strlen(fake->mount))) {
				g_strlcat(text, tid, size);
				g_strlcat(text, "\n", size);
			}
		}
		if (threads)
			g_dir_close(threads);
	}
	g_dir_close(processes);
	return 0;
}

static gboolean lives(struct fake *fake, pid_t tid)
{
	return g_hash_table_contains(fake->attrs, GINT_TO_POINTER(tid));
}

static int set_attr(void *data, pid_t tid, const struct cpu_attr *attr)
{
	struct fake *fake = data;
	struct cpu_attr *now = g_hash_table_lookup(fake->attrs, GINT_TO_POINTER(tid));

	if (!now)
		return ESRCH;
	if (attr->policy == CPU_POLICY_DEADLINE && fake->deadline_status)
		return fake->deadline_status;
	if (fake->attr_status)
		return fake->attr_status;
	g_string_append_printf(fake->log, "attr %d policy %u runtime %" G_GUINT64_FORMAT "\n", tid, attr->policy,
			       (guint64)attr->runtime_ns);
	*now = *attr;
	if (attr->policy == CPU_POLICY_OTHER || attr->policy == CPU_POLICY_BATCH)
		now->runtime_ns = fake->no_slice ? 0 : attr->runtime_ns ? attr->runtime_ns : 1400000;
	return 0;
}

static int get_attr(void *data, pid_t tid, struct cpu_attr *attr)
{
	struct fake *fake = data;

	if (!lives(fake, tid))
		return ESRCH;
	*attr = *(struct cpu_attr *)g_hash_table_lookup(fake->attrs, GINT_TO_POINTER(tid));
	return 0;
}

static int set_affinity(void *data, pid_t tid, const struct cpu_mask *mask)
{
	struct fake *fake = data;
	struct cpu_mask *now = g_hash_table_lookup(fake->masks, GINT_TO_POINTER(tid));

	if (!lives(fake, tid))
		return ESRCH;
	if (fake->affinity_status)
		return fake->affinity_status;
	*now = (struct cpu_mask) { { mask->bits[0] & 0xff } }; /* eight CPUs */
	return now->bits[0] ? 0 : EINVAL;
}

static int get_affinity(void *data, pid_t tid, struct cpu_mask *mask)
{
	struct fake *fake = data;

	if (!lives(fake, tid))
		return ESRCH;
	*mask = *(struct cpu_mask *)g_hash_table_lookup(fake->masks, GINT_TO_POINTER(tid));
	return 0;
}

static int core(void *data, enum cpu_core_op op, pid_t tid, pid_t from)
{
	struct fake *fake = data;
	guint cookie = 0;

	if (fake->core_status)
		return fake->core_status;
	if (op == CPU_CORE_CREATE)
		cookie = ++fake->cookie;
	else if (op == CPU_CORE_SHARE)
		cookie = GPOINTER_TO_UINT(g_hash_table_lookup(fake->cookies, GINT_TO_POINTER(from)));
	if (op != CPU_CORE_GET)
		g_hash_table_insert(fake->cookies, GINT_TO_POINTER(tid), GUINT_TO_POINTER(cookie));
	return 0;
}

static void add_thread(struct fake *fake, pid_t tid)
{
	struct cpu_attr *attr = g_new0(struct cpu_attr, 1);
	struct cpu_mask *mask = g_new0(struct cpu_mask, 1);

	attr->size = sizeof(*attr);
	attr->runtime_ns = fake->no_slice ? 0 : 1400000;
	mask->bits[0] = 0xff;
	g_hash_table_insert(fake->attrs, GINT_TO_POINTER(tid), attr);
	g_hash_table_insert(fake->masks, GINT_TO_POINTER(tid), mask);
}

void fake_init(struct fake *fake, gboolean v2, const char *controllers)
{
	g_autofree char *mountinfo = NULL, *self = NULL, *path = NULL;

	*fake = (struct fake) { .kernel = { make_group, remove_group, read_file, write_file, set_attr, get_attr,
					    set_affinity, get_affinity, core, fake },
				.v2 = v2 };
	fake->top = g_dir_make_tmp("polder-cgroup-XXXXXX", NULL);
	fake->proc = g_build_filename(fake->top, "proc", NULL);
	fake->mount = g_build_filename(fake->top, "cgroup", NULL);
	self = g_build_filename(fake->proc, "self", NULL);
	g_mkdir_with_parents(self, 0700);
	g_mkdir_with_parents(fake->mount, 0700);
	mountinfo = g_strdup_printf(
		"20 1 0:5 / /proc rw - proc proc rw\n31 23 0:28 / %s rw,relatime shared:9 - %s cgroup rw%s\n",
		fake->mount, v2 ? "cgroup2" : "cgroup", v2 ? "" : ",cpu");
	path = g_build_filename(self, "mountinfo", NULL);
	put_file(path, mountinfo);
	g_free(path);
	path = g_build_filename(self, "cgroup", NULL);
	put_file(path, v2 ? "0::/\n" : "1:cpu:/\n");
	g_free(path);
	path = g_build_filename(fake->mount, "cgroup.controllers", NULL);
	put_file(path, controllers);
	fake->attrs = g_hash_table_new_full(NULL, NULL, NULL, g_free);
	fake->masks = g_hash_table_new_full(NULL, NULL, NULL, g_free);
	fake->cookies = g_hash_table_new(NULL, NULL);
	fake->log = g_string_new(NULL);
	fill_group(fake, fake->mount);
}

void fake_clear(struct fake *fake)
{
	world_remove(fake->top);
	g_free(fake->top);
	g_free(fake->proc);
	g_free(fake->mount);
	g_hash_table_unref(fake->attrs);
	g_hash_table_unref(fake->masks);
	g_hash_table_unref(fake->cookies);
	g_string_free(fake->log, TRUE);
}

void fake_process(struct fake *fake, pid_t pid, guint n_threads, const char *path)
{
	for (pid_t tid = pid; tid < pid + (pid_t)n_threads; tid++) {
		g_autofree char *dir = g_strdup_printf("%s/%d/task/%d", fake->proc, pid, tid);
		g_autofree char *stat = g_build_filename(dir, "stat", NULL),
				*sched = g_build_filename(dir, "schedstat", NULL),
				*status = g_build_filename(dir, "status", NULL);
		g_autofree char *number = g_strdup_printf("%d", tid), *process = g_strdup_printf("%d", pid);

		g_mkdir_with_parents(dir, 0700);
		put_file(stat, "5 (CPU 0) KVM) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 777 0 0\n");
		put_file(sched, "1000 2000 3\n");
		put_file(status, "Name:\tCPU 0/KVM\nCpus_allowed:\tff\nvoluntary_ctxt_switches:\t30\n"
				 "nonvoluntary_ctxt_switches:\t7\n");
		put_group_of(fake, process, number, path);
		add_thread(fake, tid);
	}
}

void fake_thread_ends(struct fake *fake, pid_t pid, pid_t tid)
{
	g_autofree char *dir = g_strdup_printf("%s/%d/task/%d", fake->proc, pid, tid);

	world_remove(dir);
	g_hash_table_remove(fake->attrs, GINT_TO_POINTER(tid));
	g_hash_table_remove(fake->masks, GINT_TO_POINTER(tid));
}

char *fake_file(struct fake *fake, const char *format, ...)
{
	g_autofree char *name = NULL, *path = NULL;
	char *text = NULL;
	va_list arguments;

	va_start(arguments, format);
	name = g_strdup_vprintf(format, arguments);
	va_end(arguments);
	path = g_build_filename(fake->mount, name, NULL);
	return g_file_get_contents(path, &text, NULL, NULL) ? g_strchomp(text) : NULL;
}

char *fake_group_of(struct fake *fake, pid_t pid, pid_t tid)
{
	g_autofree char *path = g_strdup_printf("%s/%d/task/%d/cgroup", fake->proc, pid, tid);
	char *text = NULL;

	if (!g_file_get_contents(path, &text, NULL, NULL))
		return NULL;
	memmove(text, strchr(text, '/'), strlen(strchr(text, '/')) + 1);
	return g_strchomp(text);
}

/* The probe's thread is a real one: the fake learns of it as it opens. */
static int get_attr_any(void *data, pid_t tid, struct cpu_attr *attr)
{
	if (!lives(data, tid))
		add_thread(data, tid);
	return get_attr(data, tid, attr);
}

static int set_attr_any(void *data, pid_t tid, const struct cpu_attr *attr)
{
	if (!lives(data, tid))
		add_thread(data, tid);
	return set_attr(data, tid, attr);
}

static int get_affinity_any(void *data, pid_t tid, struct cpu_mask *mask)
{
	if (!lives(data, tid))
		add_thread(data, tid);
	return get_affinity(data, tid, mask);
}

struct cpu *fake_open(struct fake *fake, const char *run)
{
	struct cpu_places places = { .run = run, .proc = fake->proc, .group = "polder", .kernel = &fake->kernel };
	struct cpu *cpu;

	fake->kernel.get_attr = get_attr_any;
	fake->kernel.set_attr = set_attr_any;
	fake->kernel.get_affinity = get_affinity_any;
	cpu = cpu_open(&places);
	fake->kernel.get_attr = get_attr;
	fake->kernel.set_attr = set_attr;
	fake->kernel.get_affinity = get_affinity;
	g_string_truncate(fake->log, 0);
	return cpu;
}
