/* What the vCPUs got: run and ready time, throttling; and what DEADLINE has left to reserve. */
#include "daemon/cpu/cpu_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PROBE_PERIOD  100000000
#define PROBE_STEP_NS 1000 /* 10 ppm */
#define PPM           1000000

static void read_throttling(struct cpu *cpu, const char *vm, guint i, struct cpu_usage *usage)
{
	char text[1024];
	g_auto(GStrv) lines = NULL;

	if (!cpu->groups.root ||
	    cpu_read_file(cpu, text, sizeof(text), "%s/%s.vcpu%u/cpu.stat", cpu->groups.root, vm, i))
		return;
	lines = g_strsplit(text, "\n", -1);
	for (guint k = 0; lines[k]; k++) {
		unsigned long long value;

		if (sscanf(lines[k], "nr_throttled %llu", &value) == 1)
			usage->n_throttled = value;
		else if (sscanf(lines[k], "throttled_usec %llu", &value) == 1)
			usage->throttled_ns = value * 1000;
		else if (sscanf(lines[k], "throttled_time %llu", &value) == 1)
			usage->throttled_ns = value;
	}
}

/* The lines come last: a text cut off before them tells neither. */
static void read_switches(struct cpu *cpu, const struct cpu_target *target, guint i, struct cpu_usage *usage)
{
	static const char slept[] = "\nvoluntary_ctxt_switches:", preempted[] = "\nnonvoluntary_ctxt_switches:";
	char text[8192];
	const char *first, *second;

	if (cpu_read_file(cpu, text, sizeof(text), "%s/%d/task/%d/status", cpu->proc, target->pid, target->vcpus[i]))
		return;
	first = strstr(text, slept);
	second = strstr(text, preempted);
	if (!first || !second)
		return;
	usage->wakeups = g_ascii_strtoull(first + strlen(slept), NULL, 10);
	usage->switches = usage->wakeups + g_ascii_strtoull(second + strlen(preempted), NULL, 10);
	usage->has_switches = TRUE;
}

guint cpu_read_times(struct cpu *cpu, const struct cpu_target *target, struct cpu_usage *usage)
{
	guint n = 0;

	for (guint i = 0; i < target->n_vcpus; i++) {
		unsigned long long run, ready, slices;
		char text[128];

		usage[i] = (struct cpu_usage) { 0 };
		if (cpu_read_file(cpu, text, sizeof(text), "%s/%d/task/%d/schedstat", cpu->proc, target->pid,
				  target->vcpus[i]) ||
		    sscanf(text, "%llu %llu %llu", &run, &ready, &slices) != 3)
			continue;
		usage[i] = (struct cpu_usage) { .run_ns = run, .ready_ns = ready, .slices = slices, .was_read = TRUE };
		n++;
	}
	return n;
}

guint cpu_read(struct cpu *cpu, const struct cpu_target *target, struct cpu_usage *usage)
{
	guint n = cpu_read_times(cpu, target, usage);

	for (guint i = 0; i < target->n_vcpus; i++)
		if (usage[i].was_read) {
			read_throttling(cpu, target->vm, i, &usage[i]);
			read_switches(cpu, target, i, &usage[i]);
		}
	return n;
}

/* ---- Audit ---- */

static gint64 sysctl(struct cpu *cpu, const char *name, gint64 otherwise)
{
	char text[64];

	return cpu_read_file(cpu, text, sizeof(text), "%s/sys/kernel/%s", cpu->proc, name)
		       ? otherwise
		       : g_ascii_strtoll(text, NULL, 10);
}

static gint64 used_by(struct cpu *cpu, pid_t tid)
{
	struct cpu_attr attr;

	if (cpu->kernel->get_attr(cpu->kernel->data, tid, &attr) || attr.policy != CPU_POLICY_DEADLINE ||
	    !attr.period_ns)
		return 0;
	return (gint64)((double)attr.runtime_ns * PPM / (double)attr.period_ns);
}

static gint64 used_ppm(struct cpu *cpu)
{
	GDir *processes = g_dir_open(cpu->proc, 0, NULL);
	const char *pid, *tid;
	gint64 used = 0;

	while (processes && (pid = g_dir_read_name(processes))) {
		g_autofree char *tasks = g_build_filename(cpu->proc, pid, "task", NULL);
		GDir *threads = g_ascii_isdigit(pid[0]) ? g_dir_open(tasks, 0, NULL) : NULL;

		while (threads && (tid = g_dir_read_name(threads)))
			used += used_by(cpu, (pid_t)g_ascii_strtoll(tid, NULL, 10));
		if (threads)
			g_dir_close(threads);
	}
	if (processes)
		g_dir_close(processes);
	return used;
}

/* Sleepers that hold bandwidth while it is measured. */
struct sleepers {
	GMutex mutex;
	GCond changed;
	pid_t last;
	gboolean over;
};

static gpointer sleep_run(gpointer data)
{
	struct sleepers *sleepers = data;

	g_mutex_lock(&sleepers->mutex);
	sleepers->last = (pid_t)syscall(SYS_gettid);
	g_cond_broadcast(&sleepers->changed);
	while (!sleepers->over)
		g_cond_wait(&sleepers->changed, &sleepers->mutex);
	g_mutex_unlock(&sleepers->mutex);
	return NULL;
}

static pid_t start_sleeper(struct sleepers *sleepers, GThread **thread)
{
	pid_t tid;

	g_mutex_lock(&sleepers->mutex);
	sleepers->last = 0;
	*thread = g_thread_new("cpu-audit", sleep_run, sleepers);
	while (!sleepers->last)
		g_cond_wait(&sleepers->changed, &sleepers->mutex);
	tid = sleepers->last;
	g_mutex_unlock(&sleepers->mutex);
	return tid;
}

/* The most this sleeper can reserve, in ns of each period; it keeps that. */
static gint64 reserve_most(struct cpu *cpu, pid_t tid)
{
	gint64 low = 0, high = PROBE_PERIOD + PROBE_STEP_NS;

	while (high - low > PROBE_STEP_NS) {
		gint64 middle = MAX((low + high) / 2, 1024);
		struct cpu_attr attr = { .size = sizeof(attr),
					 .policy = CPU_POLICY_DEADLINE,
					 .runtime_ns = (uint64_t)middle,
					 .deadline_ns = PROBE_PERIOD,
					 .period_ns = PROBE_PERIOD };

		if (middle > PROBE_PERIOD || cpu->kernel->set_attr(cpu->kernel->data, tid, &attr))
			high = middle;
		else
			low = middle;
		if (high <= 1024)
			break;
	}
	return low;
}

static gint64 free_ppm(struct cpu *cpu, guint n_cpus)
{
	struct sleepers sleepers = { 0 };
	g_autofree GThread **threads = g_new0(GThread *, n_cpus + 1);
	g_autofree pid_t *tids = g_new0(pid_t, n_cpus + 1);
	gint64 sum_ns = 0, got = 1;
	guint n = 0;

	g_mutex_init(&sleepers.mutex);
	g_cond_init(&sleepers.changed);
	for (; n <= n_cpus && got > 0; n++) {
		tids[n] = start_sleeper(&sleepers, &threads[n]);
		got = reserve_most(cpu, tids[n]);
		sum_ns += got;
	}
	for (guint i = 0; i < n; i++) {
		struct cpu_thread thread = { .tid = tids[i] };

		cpu_thread_demote(cpu, &thread);
	}
	g_mutex_lock(&sleepers.mutex);
	sleepers.over = TRUE;
	g_cond_broadcast(&sleepers.changed);
	g_mutex_unlock(&sleepers.mutex);
	for (guint i = 0; i < n; i++)
		g_thread_join(threads[i]);
	g_mutex_clear(&sleepers.mutex);
	g_cond_clear(&sleepers.changed);
	return sum_ns / (PROBE_PERIOD / PPM);
}

/* Since Linux 6.12 each CPU keeps 50 ms of each second for the fair class; debugfs knows better where it is mounted. */
static gint64 server_ppm(struct cpu *cpu, guint n_cpus)
{
	char text[64];
	int major = 0, minor = 0;

	if (cpu_read_file(cpu, text, sizeof(text), "%s/sys/kernel/osrelease", cpu->proc) ||
	    sscanf(text, "%d.%d", &major, &minor) != 2)
		return 0;
	return major > 6 || (major == 6 && minor >= 12) ? (gint64)n_cpus * 50000 : 0;
}

gboolean cpu_audit(struct cpu *cpu, struct cpu_audit *audit)
{
	gint64 runtime_us = sysctl(cpu, "sched_rt_runtime_us", -1),
	       period_us = sysctl(cpu, "sched_rt_period_us", 1000000);
	guint n_cpus = g_get_num_processors();

	*audit = (struct cpu_audit) { 0 };
	if (!cpu->capabilities[CPU_DEADLINE].works || runtime_us < 0 || period_us <= 0)
		return FALSE;
	audit->limit_ppm = (gint64)n_cpus * runtime_us * PPM / period_us;
	audit->server_ppm = server_ppm(cpu, n_cpus);
	audit->used_ppm = used_ppm(cpu);
	audit->free_ppm = free_ppm(cpu, n_cpus);
	audit->leaked_ppm = audit->limit_ppm - audit->server_ppm - audit->used_ppm - audit->free_ppm;
	/* What rounding in the kernel's units and our own steps can hide. */
	if (ABS(audit->leaked_ppm) < 20 * (gint64)(n_cpus + 1))
		audit->leaked_ppm = 0;
	return TRUE;
}
