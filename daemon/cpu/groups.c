/* cgroups: the group of each thread, its weight and its limit. v1 and v2 differ in names, units and in how threads move;
 * all of that is here. */
#include "daemon/cpu/cpu_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_MAX        65536
#define SHARES_DEFAULT  1024
#define SHARES_MAX      262144
#define WEIGHT_MAX      10000
#define FIFO_GROUP      "fifo"
#define REMOVE_TRIES    50
#define REMOVE_PAUSE_US 500
#define RT_MIN_US       1000

/* ---- Arithmetic ---- */

guint64 cpu_shares_from_weight(guint64 weight)
{
	weight = CLAMP(weight, 1, WEIGHT_MAX);
	return CLAMP((weight * SHARES_DEFAULT + SCHEDULING_WEIGHT_NORMAL / 2) / SCHEDULING_WEIGHT_NORMAL, 2,
		     SHARES_MAX);
}

guint64 cpu_weight_from_shares(guint64 shares)
{
	shares = CLAMP(shares, 2, SHARES_MAX);
	return CLAMP((shares * SCHEDULING_WEIGHT_NORMAL + SHARES_DEFAULT / 2) / SHARES_DEFAULT, 1, WEIGHT_MAX);
}

gboolean cpu_limit_fit(gint64 quota_ns, gint64 period_ns, gint64 *quota_us, gint64 *period_us)
{
	const double ratio = (double)quota_ns / (double)period_ns;
	double period = CLAMP((double)period_ns / 1000, 1000, 1000000);

	if (ratio * period < 1000)
		period = MIN(1000 / ratio, 1000000);
	*period_us = (gint64)(period + 0.5);
	*quota_us = (gint64)(ratio * (double)*period_us + 0.5);
	if (*quota_us >= 1000)
		return TRUE;
	*quota_us = 1000;
	return ratio * 1000000 >= 999.5;
}

/* ---- Files ---- */

static int group_file(struct cpu *cpu, char *text, size_t size, const char *dir, const char *file)
{
	g_autofree char *path = g_build_filename(dir, file, NULL);

	return cpu->kernel->read(cpu->kernel->data, path, text, size);
}

static int put(struct cpu *cpu, const char *dir, const char *file, const char *value)
{
	g_autofree char *path = g_build_filename(dir, file, NULL);
	int status = cpu->kernel->write(cpu->kernel->data, path, value);

	if (!status)
		cpu->n_writes++;
	return status;
}

/* Make the file read `value`: written only when it differs, and read back. ERANGE: the kernel took another value. */
static int set(struct cpu *cpu, const char *dir, const char *file, const char *value)
{
	char text[256];
	int status = group_file(cpu, text, sizeof(text), dir, file);

	if (status)
		return status;
	if (!strcmp(g_strchomp(text), value))
		return 0;
	status = put(cpu, dir, file, value);
	if (!status)
		status = group_file(cpu, text, sizeof(text), dir, file);
	return status ? status : strcmp(g_strchomp(text), value) ? ERANGE : 0;
}

static int set_number(struct cpu *cpu, const char *dir, const char *file, gint64 value)
{
	char text[32];

	g_snprintf(text, sizeof(text), "%" G_GINT64_FORMAT, value);
	return set(cpu, dir, file, text);
}

static gint64 get_number(struct cpu *cpu, const char *dir, const char *file, gint64 otherwise)
{
	char text[64];

	return group_file(cpu, text, sizeof(text), dir, file) ? otherwise : g_ascii_strtoll(text, NULL, 10);
}

/* ---- Finding ours ---- */

static const char *weight_file(const struct cpu *cpu)
{
	return cpu->groups.kind == CPU_GROUPS_V1 ? "cpu.shares" : "cpu.weight";
}

static gint64 weight_default(const struct cpu *cpu)
{
	return cpu->groups.kind == CPU_GROUPS_V1 ? SHARES_DEFAULT : SCHEDULING_WEIGHT_NORMAL;
}

static char *dir_of(const struct cpu *cpu, const char *name)
{
	return g_build_filename(cpu->groups.root, name, NULL);
}

static void add_weights(struct cpu *cpu)
{
	GDir *dir = g_dir_open(cpu->groups.root, 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir))) {
		g_autofree char *child = dir_of(cpu, name);

		if (g_file_test(child, G_FILE_TEST_IS_DIR))
			cpu->groups.weights += get_number(cpu, child, weight_file(cpu), 0);
	}
	if (dir)
		g_dir_close(dir);
}

void cpu_groups_open(struct cpu *cpu)
{
	struct cpu_groups *groups = &cpu->groups;
	g_autofree char *mountinfo = g_malloc(TEXT_MAX), *cgroup = g_malloc(TEXT_MAX);
	char controllers[512];

	if (cpu_read_file(cpu, mountinfo, TEXT_MAX, "%s/self/mountinfo", cpu->proc) ||
	    cpu_read_file(cpu, cgroup, TEXT_MAX, "%s/self/cgroup", cpu->proc)) {
		g_snprintf(groups->why, CPU_WHY_MAX, "%s tells nothing of cgroups", cpu->proc);
		return;
	}
	cpu_mounts_find(mountinfo, cgroup, groups);
	if (groups->kind == CPU_GROUPS_NONE)
		return;
	if (groups->kind == CPU_GROUPS_V2) {
		int status = group_file(cpu, controllers, sizeof(controllers), groups->base, "cgroup.controllers");
		g_auto(GStrv) words = g_strsplit(g_strchomp(controllers), " ", -1);

		if (status || !g_strv_contains((const char *const *)words, "cpu")) {
			g_snprintf(groups->why, CPU_WHY_MAX, "cgroup v2 offers no cpu controller in %s", groups->base);
			groups->kind = CPU_GROUPS_NONE;
			return;
		}
	}
	if (access(groups->base, W_OK) < 0) {
		g_snprintf(groups->why, CPU_WHY_MAX, "%s: %s: groups need root, or a cgroup delegated to Polder",
			   groups->base, g_strerror(errno));
		groups->kind = CPU_GROUPS_NONE;
		return;
	}
	groups->root = g_build_filename(groups->base, cpu->group, NULL);
	add_weights(cpu);
}

void cpu_groups_close(struct cpu *cpu)
{
	g_free(cpu->groups.mount);
	g_free(cpu->groups.mount_root);
	g_free(cpu->groups.base);
	g_free(cpu->groups.root);
}

/* ---- Making ---- */

/* A controller for the children of a v2 group: never taken away again, other children may use it. */
static int give_controller(struct cpu *cpu, const char *dir)
{
	char text[512];
	int status = group_file(cpu, text, sizeof(text), dir, "cgroup.subtree_control");
	g_auto(GStrv) words = g_strsplit(g_strchomp(text), " ", -1);

	if (status || g_strv_contains((const char *const *)words, "cpu"))
		return status;
	status = put(cpu, dir, "cgroup.subtree_control", "+cpu");
	if (status == EBUSY)
		g_snprintf(cpu->groups.why, CPU_WHY_MAX,
			   "%s has processes and children with processes, so that these can't have the cpu controller: "
			   "give Polder a cgroup of its own (Delegate=yes)",
			   dir);
	else if (status)
		g_snprintf(cpu->groups.why, CPU_WHY_MAX, "give %s's children the cpu controller: %s", dir,
			   g_strerror(status));
	return status;
}

/* On a hierarchy shared with cpuset a new group has no CPUs and takes no thread (ENOSPC). */
static int fill_cpuset(struct cpu *cpu, const char *parent, const char *dir)
{
	static const char *const files[] = { "cpuset.cpus", "cpuset.mems" };
	char text[4096];
	int status = 0;

	for (guint i = 0; i < G_N_ELEMENTS(files) && !status; i++) {
		status = group_file(cpu, text, sizeof(text), parent, files[i]);
		if (!status)
			status = set(cpu, dir, files[i], g_strchomp(text));
	}
	return status;
}

static int make(struct cpu *cpu, const char *parent, const char *dir)
{
	int status = cpu->kernel->make_group(cpu->kernel->data, dir);

	if (!status)
		cpu->n_writes++;
	if (status && status != EEXIST)
		return status;
	if (cpu->groups.with_cpuset) {
		int filled = fill_cpuset(cpu, parent, dir);

		return filled ? filled : status;
	}
	return status;
}

static int make_root(struct cpu *cpu)
{
	struct cpu_groups *groups = &cpu->groups;
	int status = 0;

	if (groups->ready)
		return 0;
	groups->why[0] = '\0';
	if (groups->kind == CPU_GROUPS_V2)
		status = give_controller(cpu, groups->base);
	if (!status)
		status = make(cpu, groups->base, groups->root);
	if (status == EEXIST)
		status = 0;
	/* Threaded itself, so that our own group is the threaded domain: then that one may have processes (ours, and new
	 * ones at a restart) although its children have a controller, and VMs started by us need not be moved. */
	if (!status && groups->kind == CPU_GROUPS_V2)
		status = set(cpu, groups->root, "cgroup.type", "threaded");
	if (!status && groups->kind == CPU_GROUPS_V2)
		status = give_controller(cpu, groups->root);
	groups->ready = !status;
	if (status && !groups->why[0])
		g_snprintf(groups->why, CPU_WHY_MAX, "make %s: %s", groups->root, g_strerror(status));
	return status;
}

int cpu_group_ensure(struct cpu *cpu, const char *name)
{
	g_autofree char *dir = NULL;
	int status;

	if (cpu->groups.kind == CPU_GROUPS_NONE)
		return EOPNOTSUPP;
	status = make_root(cpu);
	if (status)
		return status;
	dir = dir_of(cpu, name);
	status = make(cpu, cpu->groups.root, dir);
	if (status == ENOENT) { /* root was removed behind us */
		cpu->groups.ready = FALSE;
		status = make_root(cpu);
		if (!status)
			status = make(cpu, cpu->groups.root, dir);
	}
	if (!status)
		cpu->groups.weights += weight_default(cpu);
	if (status == EEXIST)
		status = 0;
	if (!status && cpu->groups.kind == CPU_GROUPS_V2)
		status = set(cpu, dir, "cgroup.type", "threaded");
	if (status && !cpu->groups.why[0])
		g_snprintf(cpu->groups.why, CPU_WHY_MAX, "make %s: %s", dir, g_strerror(status));
	return status;
}

/* The budget real-time groups need, above and below: what the parent has to give, or less when others have some of it. */
static int give_real_time(struct cpu *cpu, const char *parent, const char *dir)
{
	gint64 offered = get_number(cpu, parent, "cpu.rt_runtime_us", 0);
	int status = EINVAL;

	if (get_number(cpu, dir, "cpu.rt_runtime_us", 0) > 0)
		return 0;
	for (; offered >= RT_MIN_US && status; offered -= offered / 4)
		status = set_number(cpu, dir, "cpu.rt_runtime_us", offered);
	return status;
}

int cpu_group_fifo(struct cpu *cpu)
{
	g_autofree char *dir = NULL;
	char text[64];
	int status;

	if (cpu->groups.kind != CPU_GROUPS_V1 ||
	    group_file(cpu, text, sizeof(text), cpu->groups.base, "cpu.rt_runtime_us"))
		return ENOENT;
	status = cpu_group_ensure(cpu, FIFO_GROUP);
	dir = dir_of(cpu, FIFO_GROUP);
	if (!status)
		status = give_real_time(cpu, cpu->groups.base, cpu->groups.root);
	return status ? status : give_real_time(cpu, cpu->groups.root, dir);
}

/* ---- Values ---- */

int cpu_group_weight(struct cpu *cpu, const char *name, guint64 weight)
{
	g_autofree char *dir = dir_of(cpu, name);
	gint64 before = get_number(cpu, dir, weight_file(cpu), 0);
	gint64 wanted = (gint64)CLAMP(weight, 1, WEIGHT_MAX);
	int status;

	if (cpu->groups.kind == CPU_GROUPS_V1)
		wanted = (gint64)cpu_shares_from_weight(weight);
	status = set_number(cpu, dir, weight_file(cpu), wanted);
	if (!status)
		cpu->groups.weights += wanted - before;
	return status;
}

int cpu_group_limit(struct cpu *cpu, const char *name, gint64 quota_us, gint64 period_us)
{
	g_autofree char *dir = dir_of(cpu, name);
	char text[64];
	int status = 0;

	if (cpu->groups.kind == CPU_GROUPS_V2) {
		if (quota_us)
			g_snprintf(text, sizeof(text), "%" G_GINT64_FORMAT " %" G_GINT64_FORMAT, quota_us, period_us);
		else
			g_snprintf(text, sizeof(text), "max 100000");
		return set(cpu, dir, "cpu.max", text);
	}
	if (!quota_us)
		return set_number(cpu, dir, "cpu.cfs_quota_us", -1);
	/* Two files: without a quota in between, no ratio nobody asked for is ever in force or refused. */
	if (get_number(cpu, dir, "cpu.cfs_period_us", 0) != period_us) {
		status = set_number(cpu, dir, "cpu.cfs_quota_us", -1);
		if (!status)
			status = set_number(cpu, dir, "cpu.cfs_period_us", period_us);
	}
	return status ? status : set_number(cpu, dir, "cpu.cfs_quota_us", quota_us);
}

void cpu_groups_balance(struct cpu *cpu)
{
	gint64 most = cpu->groups.kind == CPU_GROUPS_V1 ? SHARES_MAX : WEIGHT_MAX;

	if (cpu->groups.ready)
		set_number(cpu, cpu->groups.root, weight_file(cpu),
			   CLAMP(cpu->groups.weights, weight_default(cpu), most));
}

/* ---- Moving ---- */

char *cpu_group_of(struct cpu *cpu, pid_t pid, pid_t tid)
{
	char text[8192];

	if (cpu->groups.kind == CPU_GROUPS_NONE ||
	    cpu_read_file(cpu, text, sizeof(text), "%s/%d/task/%d/cgroup", cpu->proc, pid, tid))
		return NULL;
	return cpu_mounts_dir(&cpu->groups, text);
}

static gboolean is_below(const char *dir, const char *root)
{
	return dir && g_str_has_prefix(dir, root) && (dir[strlen(root)] == '/' || !dir[strlen(root)]);
}

int cpu_group_move(struct cpu *cpu, pid_t pid, pid_t tid, const char *name)
{
	g_autofree char *now = cpu_group_of(cpu, pid, tid), *dir = dir_of(cpu, name);
	char number[16];
	int status = 0;

	if (!now)
		return ESRCH;
	if (!strcmp(now, dir))
		return 0;
	if (cpu->groups.kind == CPU_GROUPS_V2 && strcmp(now, cpu->groups.base) && !is_below(now, cpu->groups.root)) {
		g_snprintf(number, sizeof(number), "%d", pid);
		status = put(cpu, cpu->groups.base, "cgroup.procs", number);
	}
	g_snprintf(number, sizeof(number), "%d", tid);
	if (!status)
		status = put(cpu, dir, cpu->groups.kind == CPU_GROUPS_V1 ? "tasks" : "cgroup.threads", number);
	g_clear_pointer(&now, g_free);
	if (!status && (now = cpu_group_of(cpu, pid, tid)) && strcmp(now, dir))
		status = ERANGE;
	return status;
}

int cpu_group_go_home(struct cpu *cpu, pid_t pid, const char *home)
{
	g_autofree char *now = cpu_group_of(cpu, pid, pid);
	char number[16];
	int status;

	if (cpu->groups.kind != CPU_GROUPS_V2 || !is_below(now, cpu->groups.root))
		return 0;
	g_snprintf(number, sizeof(number), "%d", pid);
	status = put(cpu, home, "cgroup.procs", number);
	return status == ESRCH ? 0 : status;
}

/* v1: every thread of the group goes to `home`. Threads made meanwhile are in the next reading. */
static void empty(struct cpu *cpu, const char *dir, const char *home)
{
	g_autofree char *text = g_malloc(TEXT_MAX);

	if (cpu->groups.kind != CPU_GROUPS_V1 || group_file(cpu, text, TEXT_MAX, dir, "tasks"))
		return;
	for (char *line = text, *next; (next = strchr(line, '\n')); line = next + 1) {
		*next = '\0';
		if (put(cpu, home, "tasks", line) && strcmp(home, cpu->groups.base))
			put(cpu, cpu->groups.base, "tasks", line); /* home is gone */
	}
}

int cpu_group_remove(struct cpu *cpu, const char *name, const char *home)
{
	g_autofree char *dir = dir_of(cpu, name);
	gint64 weight = get_number(cpu, dir, weight_file(cpu), 0);
	int status = EBUSY;

	/* A thread that is ending keeps its group busy for a moment. */
	for (guint try = 0; try < REMOVE_TRIES && status == EBUSY; try++) {
		if (try)
			g_usleep(REMOVE_PAUSE_US);
		if (home)
			empty(cpu, dir, home);
		status = cpu->kernel->remove_group(cpu->kernel->data, dir);
		if (!home)
			break;
	}
	if (status == ENOENT)
		return 0;
	if (!status) {
		cpu->n_writes++;
		cpu->groups.weights -= weight;
	}
	return status;
}

/* Ours and empty: nobody's. Root goes last, when nothing is left below. */
void cpu_groups_sweep(struct cpu *cpu, struct cpu_repaired *repaired)
{
	GDir *dir = cpu->groups.root ? g_dir_open(cpu->groups.root, 0, NULL) : NULL;
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	const char *name;
	gboolean fifo = FALSE;

	while (dir && (name = g_dir_read_name(dir))) {
		g_autofree char *child = dir_of(cpu, name);

		if (!g_file_test(child, G_FILE_TEST_IS_DIR))
			continue;
		if (!strcmp(name, FIFO_GROUP))
			fifo = TRUE;
		else
			g_ptr_array_add(names, g_strdup(name));
	}
	if (dir)
		g_dir_close(dir);
	for (guint i = 0; repaired && i < names->len; i++)
		repaired->orphans += !cpu_group_remove(cpu, names->pdata[i], NULL);
	if (fifo)
		cpu_group_remove(cpu, FIFO_GROUP, NULL);
	if (cpu->groups.root && !cpu->kernel->remove_group(cpu->kernel->data, cpu->groups.root)) {
		cpu->groups.ready = FALSE;
		cpu->groups.weights = 0;
	}
}
