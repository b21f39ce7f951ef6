/* What belongs to a thread: policy, slice, affinity, cookie; and what of it this kernel knows. */
#include "daemon/cpu/cpu_private.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SLICE_MIN_NS 100000 /* the kernel clamps a custom slice to these */
#define SLICE_MAX_NS 100000000
/* A reservation so small that the kernel counts it as nothing (runtime × 2^20 ÷ period < 1). */
#define SHRUNK_RUNTIME_NS 1024
#define SHRUNK_PERIOD_NS  2000000000
#define BITS              (8 * sizeof(unsigned long))

guint64 cpu_thread_start(struct cpu *cpu, pid_t pid, pid_t tid)
{
	char text[1024];
	const char *end;
	guint64 start = 0;

	if (cpu_read_file(cpu, text, sizeof(text), "%s/%d/task/%d/stat", cpu->proc, pid, tid))
		return 0;
	end = strrchr(text, ')'); /* the name before it may hold anything */
	if (end && strlen(end) > 2) {
		g_auto(GStrv) fields = g_strsplit(end + 2, " ", -1); /* the first is the 3rd, the start time the 22nd */

		/* A zombie holds no thread we could change. */
		if (g_strv_length(fields) > 19 && fields[0][0] != 'Z' && fields[0][0] != 'X')
			start = g_ascii_strtoull(fields[19], NULL, 10) + 1; /* never 0 */
	}
	return start;
}

int cpu_thread_snapshot(struct cpu *cpu, pid_t pid, struct cpu_thread *thread)
{
	int status;

	thread->start = cpu_thread_start(cpu, pid, thread->tid);
	if (!thread->start)
		return ESRCH;
	status = cpu->kernel->get_attr(cpu->kernel->data, thread->tid, &thread->attr);
	return status ? status : cpu->kernel->get_affinity(cpu->kernel->data, thread->tid, &thread->mask);
}

static int set_attr(struct cpu *cpu, pid_t tid, const struct cpu_attr *attr)
{
	int status = cpu->kernel->set_attr(cpu->kernel->data, tid, attr);

	if (!status)
		cpu->n_writes++;
	return status;
}

static gboolean is_real_time(uint32_t policy)
{
	return policy == CPU_POLICY_FIFO || policy == CPU_POLICY_RR || policy == CPU_POLICY_DEADLINE;
}

/* A sleeping DEADLINE thread that changes its class takes what it reserved out of the kernel's books for ever. Only what
 * it has at that moment: so it is shrunk to nothing first. */
int cpu_thread_demote(struct cpu *cpu, struct cpu_thread *thread)
{
	struct cpu_attr attr;
	struct cpu_attr shrunk = { .size = sizeof(shrunk),
				   .policy = CPU_POLICY_DEADLINE,
				   .flags = CPU_ATTR_RESET_ON_FORK,
				   .runtime_ns = SHRUNK_RUNTIME_NS,
				   .deadline_ns = SHRUNK_PERIOD_NS,
				   .period_ns = SHRUNK_PERIOD_NS };
	struct cpu_attr other = { .size = sizeof(other), .policy = CPU_POLICY_OTHER, .nice = thread->attr.nice };
	int status = cpu->kernel->get_attr(cpu->kernel->data, thread->tid, &attr);

	if (status || !is_real_time(attr.policy))
		return status;
	if (attr.policy == CPU_POLICY_DEADLINE) {
		status = set_attr(cpu, thread->tid, &shrunk);
		if (status)
			return status;
	}
	return set_attr(cpu, thread->tid, &other);
}

int cpu_thread_restore(struct cpu *cpu, struct cpu_thread *thread)
{
	struct cpu_attr now, before = thread->attr;
	struct cpu_mask mask;
	int status = cpu->kernel->get_affinity(cpu->kernel->data, thread->tid, &mask);

	before.size = sizeof(before);
	before.flags &= CPU_ATTR_RESET_ON_FORK;
	if (!status && memcmp(&mask, &thread->mask, sizeof(mask))) {
		status = cpu->kernel->set_affinity(cpu->kernel->data, thread->tid, &thread->mask);
		cpu->n_writes += !status;
	}
	if (!status)
		status = cpu->kernel->get_attr(cpu->kernel->data, thread->tid, &now);
	if (!status && (now.policy != before.policy || now.priority != before.priority ||
			now.runtime_ns != before.runtime_ns || ((now.flags ^ before.flags) & CPU_ATTR_RESET_ON_FORK))) {
		if (!is_real_time(before.policy)) /* what it read was the kernel's own slice: 0 asks for that */
			before.runtime_ns = 0;
		status = set_attr(cpu, thread->tid, &before);
	}
	thread->slice_set = thread->slice_set && status;
	if (thread->cookie_set && !cpu->kernel->core(cpu->kernel->data, CPU_CORE_CLEAR, thread->tid, 0)) {
		thread->cookie_set = FALSE;
		cpu->n_writes++;
	}
	return status;
}

/* ---- Affinity ---- */

static void mask_of(const struct cpu_thread *thread, const struct scheduling_knobs *knobs, struct cpu_mask *mask)
{
	*mask = thread->mask;
	if (!knobs->n_cpus && knobs->policy != SCHEDULING_POLICY_DEADLINE)
		return;
	memset(mask, 0, sizeof(*mask));
	if (knobs->policy == SCHEDULING_POLICY_DEADLINE) { /* the kernel wants it free to run on its whole domain */
		memset(mask, 0xff, sizeof(*mask));
		return;
	}
	for (guint64 i = knobs->first_cpu; i < (guint64)knobs->first_cpu + knobs->n_cpus && i < SCHEDULING_CPUS_MAX;
	     i++)
		mask->bits[i / BITS] |= 1ul << (i % BITS);
}

int cpu_thread_affinity(struct cpu *cpu, struct cpu_thread *thread, const struct scheduling_knobs *knobs,
			struct cpu_report *report)
{
	gboolean wanted = knobs->n_cpus > 0;
	struct cpu_mask before, now, mask;
	int status = cpu->kernel->get_affinity(cpu->kernel->data, thread->tid, &now);

	if (wanted)
		cpu_report_want(report, CPU_AFFINITY);
	if (status)
		return status;
	mask_of(thread, knobs, &mask);
	before = now;
	if (memcmp(&now, &mask, sizeof(mask))) {
		status = cpu->kernel->set_affinity(cpu->kernel->data, thread->tid, &mask);
		if (!status)
			status = cpu->kernel->get_affinity(cpu->kernel->data, thread->tid, &now);
		/* CPUs of the mask that are not there, or not ours, are left out; what counts is that nothing else is in. */
		for (guint i = 0; !status && i < G_N_ELEMENTS(now.bits); i++)
			if (now.bits[i] & ~mask.bits[i])
				status = ERANGE;
	}
	/* CPUs that are not there never read back: what counts as a write is what changed. */
	cpu->n_writes += !status && memcmp(&now, &before, sizeof(now));
	if (!status && wanted && knobs->policy == SCHEDULING_POLICY_DEADLINE)
		cpu_report_why(
			report, CPU_AFFINITY,
			"a deadline thread must be free to run on every CPU of its scheduling domain; pinning it "
			"needs an exclusive cpuset, which Polder does not make");
	else if (!status && wanted)
		cpu_report_done(report, CPU_AFFINITY);
	else if (status && status != ESRCH && wanted)
		cpu_report_why(report, CPU_AFFINITY, "CPUs %u to %u: %s", knobs->first_cpu,
			       knobs->first_cpu + knobs->n_cpus - 1, g_strerror(status));
	return status == ESRCH ? ESRCH : 0;
}

/* ---- Policy ---- */

static uint32_t policy_of(const struct scheduling_knobs *knobs)
{
	switch (knobs->policy) {
	case SCHEDULING_POLICY_OTHER:
		break;
	case SCHEDULING_POLICY_BATCH:
		return CPU_POLICY_BATCH;
	case SCHEDULING_POLICY_FIFO:
		return CPU_POLICY_FIFO;
	case SCHEDULING_POLICY_DEADLINE:
		return CPU_POLICY_DEADLINE;
	}
	return CPU_POLICY_OTHER;
}

static void attr_of(const struct cpu_thread *thread, const struct scheduling_knobs *knobs, struct cpu_attr *attr)
{
	*attr = (struct cpu_attr) { .size = sizeof(*attr), .policy = policy_of(knobs), .nice = thread->attr.nice };
	switch (knobs->policy) {
	case SCHEDULING_POLICY_FIFO:
		attr->priority = (uint32_t)knobs->priority;
		break;
	case SCHEDULING_POLICY_DEADLINE:
		attr->runtime_ns = (uint64_t)knobs->runtime_ns;
		attr->period_ns =
			(uint64_t)(knobs->deadline_period_ns ? knobs->deadline_period_ns : knobs->deadline_ns);
		attr->deadline_ns = knobs->deadline_ns ? (uint64_t)knobs->deadline_ns : attr->period_ns;
		break;
	case SCHEDULING_POLICY_OTHER:
	case SCHEDULING_POLICY_BATCH:
		if (knobs->slice_ns)
			attr->runtime_ns = (uint64_t)CLAMP(knobs->slice_ns, SLICE_MIN_NS, SLICE_MAX_NS);
		break;
	}
	/* Threads it makes must not inherit FIFO, and may not inherit DEADLINE: the kernel would refuse to make them. */
	if (is_real_time(attr->policy))
		attr->flags = CPU_ATTR_RESET_ON_FORK;
}

static gboolean is_same(const struct cpu_thread *thread, const struct cpu_attr *now, const struct cpu_attr *wanted)
{
	if (now->policy != wanted->policy || ((now->flags ^ wanted->flags) & CPU_ATTR_RESET_ON_FORK))
		return FALSE;
	switch (wanted->policy) {
	case CPU_POLICY_FIFO:
		return now->priority == wanted->priority;
	case CPU_POLICY_DEADLINE:
		return now->runtime_ns == wanted->runtime_ns && now->deadline_ns == wanted->deadline_ns &&
		       now->period_ns == wanted->period_ns;
	default: /* 0 asks for the kernel's own slice, whatever that is: there unless we set another */
		return wanted->runtime_ns ? now->runtime_ns == wanted->runtime_ns : !thread->slice_set;
	}
}

static enum cpu_mechanism mechanism_of(const struct scheduling_knobs *knobs)
{
	switch (knobs->policy) {
	case SCHEDULING_POLICY_BATCH:
		return CPU_BATCH;
	case SCHEDULING_POLICY_FIFO:
		return CPU_FIFO;
	case SCHEDULING_POLICY_DEADLINE:
		return CPU_DEADLINE;
	case SCHEDULING_POLICY_OTHER:
		break;
	}
	return CPU_N_MECHANISMS;
}

static void say_refused(struct cpu_report *report, const struct scheduling_knobs *knobs, int status)
{
	switch (knobs->policy) {
	case SCHEDULING_POLICY_FIFO:
		cpu_report_why(report, CPU_FIFO, "priority %d: %s", knobs->priority, g_strerror(status));
		break;
	case SCHEDULING_POLICY_DEADLINE:
		cpu_report_why(report, CPU_DEADLINE, "%" G_GINT64_FORMAT " µs each %" G_GINT64_FORMAT " µs: %s",
			       knobs->runtime_ns / 1000, knobs->deadline_period_ns / 1000,
			       status == EBUSY   ? "the kernel has not so much left to reserve"
			       : status == EPERM ? "not permitted, or its CPUs are not a whole scheduling domain"
						 : g_strerror(status));
		break;
	case SCHEDULING_POLICY_BATCH:
		cpu_report_why(report, CPU_BATCH, "%s", g_strerror(status));
		break;
	case SCHEDULING_POLICY_OTHER:
		break;
	}
}

static void report_slice(struct cpu_report *report, const struct scheduling_knobs *knobs, const struct cpu_attr *now)
{
	if (now->runtime_ns == (uint64_t)CLAMP(knobs->slice_ns, SLICE_MIN_NS, SLICE_MAX_NS)) {
		cpu_report_done(report, CPU_SLICE);
		if (now->runtime_ns != (uint64_t)knobs->slice_ns)
			cpu_report_why(report, CPU_SLICE,
				       "a slice is 100 µs to 100 ms: %" G_GINT64_FORMAT " µs became %" G_GUINT64_FORMAT
				       " µs",
				       knobs->slice_ns / 1000, (guint64)now->runtime_ns / 1000);
	} else {
		cpu_report_why(report, CPU_SLICE, "this kernel sets no slice of a thread (Linux 6.12 does)");
	}
}

int cpu_thread_policy(struct cpu *cpu, struct cpu_thread *thread, const struct scheduling_knobs *knobs,
		      struct cpu_report *report)
{
	enum cpu_mechanism mechanism = mechanism_of(knobs);
	gboolean fair = knobs->policy == SCHEDULING_POLICY_OTHER || knobs->policy == SCHEDULING_POLICY_BATCH;
	gboolean slice = fair && knobs->slice_ns > 0;
	struct cpu_attr now, wanted;
	int status = cpu->kernel->get_attr(cpu->kernel->data, thread->tid, &now);

	if (mechanism < CPU_N_MECHANISMS)
		cpu_report_want(report, mechanism);
	if (slice)
		cpu_report_want(report, CPU_SLICE);
	if (status)
		return status;
	attr_of(thread, knobs, &wanted);
	if (fair && !cpu->capabilities[CPU_SLICE].works)
		wanted.runtime_ns = 0; /* it would never read back */
	if (!is_same(thread, &now, &wanted)) {
		if (is_real_time(now.policy) && now.policy != wanted.policy)
			status = cpu_thread_demote(cpu, thread);
		if (!status)
			status = set_attr(cpu, thread->tid, &wanted);
		if (!status)
			status = cpu->kernel->get_attr(cpu->kernel->data, thread->tid, &now);
		if (!status && now.policy != wanted.policy)
			status = ERANGE;
		if (!status && fair)
			thread->slice_set = wanted.runtime_ns > 0;
	}
	if (status == ESRCH)
		return ESRCH;
	if (status) {
		say_refused(report, knobs, status);
		return 0;
	}
	if (mechanism < CPU_N_MECHANISMS)
		cpu_report_done(report, mechanism);
	if (slice)
		report_slice(report, knobs, &now);
	return 0;
}

/* ---- Cookies ---- */

/* A running thread that has this cookie already: whose it is shared from. */
static pid_t cookie_holder(struct cpu *cpu, uint32_t cookie)
{
	GHashTableIter iter;
	gpointer value;

	g_hash_table_iter_init(&iter, cpu->vms);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		struct cpu_vm *vm = value;

		for (guint i = 0; i < vm->n_threads; i++) {
			struct cpu_thread *thread = &vm->threads[i];

			if (thread->cookie_set && thread->cookie == cookie &&
			    cpu_thread_start(cpu, vm->pid, thread->tid) == thread->start)
				return thread->tid;
		}
	}
	return 0;
}

int cpu_thread_cookie(struct cpu *cpu, struct cpu_thread *thread, uint32_t cookie, struct cpu_report *report)
{
	gboolean is_so = thread->cookie_set ? thread->cookie == cookie : !cookie;
	int status = 0;

	if (cookie)
		cpu_report_want(report, CPU_COOKIE);
	if (!is_so && !cookie) {
		status = cpu->kernel->core(cpu->kernel->data, CPU_CORE_CLEAR, thread->tid, 0);
	} else if (!is_so) {
		pid_t holder = cookie_holder(cpu, cookie);

		status = cpu->kernel->core(cpu->kernel->data, holder ? CPU_CORE_SHARE : CPU_CORE_CREATE, thread->tid,
					   holder);
	}
	if (!status && !is_so) {
		thread->cookie_set = cookie != 0;
		thread->cookie = cookie;
		cpu->n_writes++;
	}
	if (status && status != ESRCH)
		cpu_report_why(report, CPU_COOKIE, "%s",
			       status == EINVAL   ? "this kernel has no core scheduling"
			       : status == ENODEV ? "this machine's cores run one thread each: nothing to keep apart"
						  : g_strerror(status));
	else if (!status && cookie)
		cpu_report_done(report, CPU_COOKIE);
	return status == ESRCH ? ESRCH : 0;
}

/* ---- What this kernel knows ---- */

struct probe {
	GMutex mutex;
	GCond changed;
	pid_t tid;
	gboolean over;
};

static gpointer probe_run(gpointer data)
{
	struct probe *probe = data;

	g_mutex_lock(&probe->mutex);
	probe->tid = (pid_t)syscall(SYS_gettid);
	g_cond_broadcast(&probe->changed);
	while (!probe->over)
		g_cond_wait(&probe->changed, &probe->mutex);
	g_mutex_unlock(&probe->mutex);
	return NULL;
}

static void G_GNUC_PRINTF(4, 5)
	tell(struct cpu *cpu, enum cpu_mechanism mechanism, gboolean works, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	cpu->capabilities[mechanism].works = works;
	g_vsnprintf(cpu->capabilities[mechanism].why, CPU_WHY_MAX, format, arguments);
	va_end(arguments);
}

static void probe_policies(struct cpu *cpu, struct cpu_thread *thread)
{
	const struct cpu_kernel *kernel = cpu->kernel;
	struct cpu_attr attr = { .size = sizeof(attr), .policy = CPU_POLICY_OTHER, .runtime_ns = 7000000 }, now;
	int status = kernel->set_attr(kernel->data, thread->tid, &attr);
	char text[64];

	if (!status)
		status = kernel->get_attr(kernel->data, thread->tid, &now);
	if (!status && now.runtime_ns == attr.runtime_ns)
		tell(cpu, CPU_SLICE, TRUE, "sched_setattr, 100 µs to 100 ms");
	else
		tell(cpu, CPU_SLICE, FALSE, "%s",
		     status ? g_strerror(status) : "this kernel sets no slice of a thread (Linux 6.12 does)");
	attr = (struct cpu_attr) { .size = sizeof(attr), .policy = CPU_POLICY_BATCH };
	status = kernel->set_attr(kernel->data, thread->tid, &attr);
	tell(cpu, CPU_BATCH, !status, "%s", status ? g_strerror(status) : "sched_setattr");
	attr = (struct cpu_attr) { .size = sizeof(attr), .policy = CPU_POLICY_FIFO, .priority = 1 };
	status = kernel->set_attr(kernel->data, thread->tid, &attr);
	if (status == EPERM && cpu->groups.kind == CPU_GROUPS_V1 &&
	    !cpu_read_file(cpu, text, sizeof(text), "%s/cpu.rt_runtime_us", cpu->groups.base))
		tell(cpu, CPU_FIFO, g_ascii_strtoll(text, NULL, 10) > 0, "real-time groups: %s has %s µs to give",
		     cpu->groups.base, g_strchomp(text));
	else
		tell(cpu, CPU_FIFO, !status, "%s", status ? g_strerror(status) : "sched_setattr");
	cpu_thread_demote(cpu, thread);
	attr = (struct cpu_attr) { .size = sizeof(attr),
				   .policy = CPU_POLICY_DEADLINE,
				   .runtime_ns = SHRUNK_RUNTIME_NS,
				   .deadline_ns = SHRUNK_PERIOD_NS,
				   .period_ns = SHRUNK_PERIOD_NS };
	status = kernel->set_attr(kernel->data, thread->tid, &attr);
	tell(cpu, CPU_DEADLINE, !status, "%s", status ? g_strerror(status) : "sched_setattr, on all CPUs (not pinned)");
	cpu_thread_demote(cpu, thread);
}

void cpu_probe(struct cpu *cpu)
{
	const struct cpu_kernel *kernel = cpu->kernel;
	const struct cpu_groups *groups = &cpu->groups;
	struct probe probe = { 0 };
	struct cpu_thread thread = { 0 };
	struct cpu_mask mask;
	GThread *sleeper;
	int status;

	for (int i = CPU_WEIGHT; i <= CPU_LIMIT; i++)
		tell(cpu, i, groups->kind != CPU_GROUPS_NONE, "%s%s",
		     groups->kind == CPU_GROUPS_V1   ? "cgroup v1, "
		     : groups->kind == CPU_GROUPS_V2 ? "cgroup v2, "
						     : "",
		     groups->kind == CPU_GROUPS_NONE ? groups->why : groups->root);
	g_mutex_init(&probe.mutex);
	g_cond_init(&probe.changed);
	sleeper = g_thread_new("cpu-probe", probe_run, &probe);
	g_mutex_lock(&probe.mutex);
	while (!probe.tid)
		g_cond_wait(&probe.changed, &probe.mutex);
	g_mutex_unlock(&probe.mutex);
	thread.tid = probe.tid;
	status = kernel->get_affinity(kernel->data, thread.tid, &mask);
	if (!status)
		status = kernel->set_affinity(kernel->data, thread.tid, &mask);
	tell(cpu, CPU_AFFINITY, !status, "%s", status ? g_strerror(status) : "sched_setaffinity");
	status = kernel->core(kernel->data, CPU_CORE_GET, thread.tid, 0);
	tell(cpu, CPU_COOKIE, !status, "%s",
	     status == EINVAL   ? "this kernel has no core scheduling"
	     : status == ENODEV ? "this machine's cores run one thread each: nothing to keep apart"
	     : status           ? g_strerror(status)
				: "prctl");
	probe_policies(cpu, &thread);
	g_mutex_lock(&probe.mutex);
	probe.over = TRUE;
	g_cond_broadcast(&probe.changed);
	g_mutex_unlock(&probe.mutex);
	g_thread_join(sleeper);
	g_mutex_clear(&probe.mutex);
	g_cond_clear(&probe.changed);
	cpu->n_writes = 0;
}
