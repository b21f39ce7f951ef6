#include "daemon/cpu/cpu.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "daemon/cpu/cpu_private.h"

#define SYSTEM_RUN "/run/polder/vm"

/* ---- Small things ---- */

const char *cpu_mechanism_name(enum cpu_mechanism mechanism)
{
	static const char *const names[CPU_N_MECHANISMS] = { "weight", "limit",    "slice",    "batch",
							     "fifo",   "deadline", "affinity", "cookie" };

	return names[mechanism];
}

void cpu_report_want(struct cpu_report *report, enum cpu_mechanism mechanism)
{
	report->of[mechanism].wanted++;
}

void cpu_report_done(struct cpu_report *report, enum cpu_mechanism mechanism)
{
	report->of[mechanism].enforced++;
}

void cpu_report_why(struct cpu_report *report, enum cpu_mechanism mechanism, const char *format, ...)
{
	va_list arguments;

	if (report->of[mechanism].why[0])
		return;
	va_start(arguments, format);
	g_vsnprintf(report->of[mechanism].why, CPU_WHY_MAX, format, arguments);
	va_end(arguments);
}

int cpu_read_file(struct cpu *cpu, char *text, size_t size, const char *format, ...)
{
	g_autofree char *path = NULL;
	va_list arguments;

	va_start(arguments, format);
	path = g_strdup_vprintf(format, arguments);
	va_end(arguments);
	text[0] = '\0';
	return cpu->kernel->read(cpu->kernel->data, path, text, size);
}

/* ---- Opening ---- */

/* Two Polders of one machine, each with a run directory of its own, must not repair each other's groups. */
static char *group_name(const char *run)
{
	return strcmp(run, SYSTEM_RUN) ? g_strdup_printf("polder-%08x", g_str_hash(run)) : g_strdup("polder");
}

struct cpu *cpu_open(const struct cpu_places *places)
{
	struct cpu *cpu = g_new0(struct cpu, 1);

	cpu->kernel = places->kernel ? places->kernel : &cpu_kernel_linux;
	cpu->run = g_strdup(places->run);
	cpu->proc = g_strdup(places->proc ? places->proc : "/proc");
	cpu->group = places->group ? g_strdup(places->group) : group_name(places->run);
	cpu->vms = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)cpu_vm_free);
	cpu_groups_open(cpu);
	cpu_probe(cpu);
	return cpu;
}

void cpu_close(struct cpu *cpu)
{
	if (!cpu)
		return;
	cpu_groups_close(cpu);
	g_hash_table_unref(cpu->vms);
	g_free(cpu->run);
	g_free(cpu->proc);
	g_free(cpu->group);
	g_free(cpu);
}

const struct cpu_capability *cpu_describe(const struct cpu *cpu, enum cpu_mechanism mechanism)
{
	return &cpu->capabilities[mechanism];
}

/* ---- Applying ---- */

/* Names go into paths of groups and journals. */
gboolean cpu_vm_name_is_valid(const char *name)
{
	return name[0] && name[0] != '.' && strlen(name) <= 63 &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") == strlen(name);
}

static gboolean is_same_process(struct cpu *cpu, const struct cpu_vm *vm, const struct cpu_target *target)
{
	return vm->pid == target->pid && cpu_thread_start(cpu, vm->pid, vm->pid) == vm->start;
}

/* What an earlier process of ours left applied: its journal knows how the threads were before. */
static void adopt(struct cpu *cpu, const struct cpu_target *target)
{
	int status;
	struct cpu_vm *vm = cpu_journal_read(cpu, target->vm, &status);

	if (!vm)
		return;
	if (!is_same_process(cpu, vm, target)) {
		cpu_vm_undo(cpu, vm);
		cpu_vm_free(vm);
		return;
	}
	for (guint i = 0; i < vm->n_threads; i++) {
		struct cpu_thread *thread = &vm->threads[i];
		struct cpu_attr now;

		thread->cookie = UINT32_MAX; /* some cookie */
		if (!cpu->kernel->get_attr(cpu->kernel->data, thread->tid, &now))
			thread->slice_set = now.runtime_ns != thread->attr.runtime_ns;
	}
	g_hash_table_insert(cpu->vms, vm->name, vm);
}

/* Take over the target's threads: known ones keep what they were before us. */
static int take_threads(struct cpu *cpu, struct cpu_vm *vm, const struct cpu_target *target)
{
	struct cpu_thread *threads = g_new0(struct cpu_thread, MAX(target->n_vcpus, 1));
	int status = 0;

	for (guint i = 0; i < target->n_vcpus && !status; i++) {
		for (guint k = 0; k < vm->n_threads; k++)
			if (vm->threads[k].tid == target->vcpus[i] &&
			    vm->threads[k].start == cpu_thread_start(cpu, vm->pid, target->vcpus[i]))
				threads[i] = vm->threads[k];
		if (threads[i].tid)
			continue;
		threads[i].tid = target->vcpus[i];
		status = cpu_thread_snapshot(cpu, target->pid, &threads[i]);
	}
	if (status) {
		g_free(threads);
		return status;
	}
	g_free(vm->threads);
	vm->threads = threads;
	vm->n_threads = target->n_vcpus;
	vm->n_groups = MAX(vm->n_groups, target->n_vcpus);
	return 0;
}

static struct cpu_vm *vm_new(struct cpu *cpu, const struct cpu_target *target)
{
	struct cpu_vm *vm = g_new0(struct cpu_vm, 1);

	vm->name = g_strdup(target->vm);
	vm->pid = target->pid;
	vm->start = cpu_thread_start(cpu, target->pid, target->pid);
	vm->home = cpu_group_of(cpu, target->pid, target->pid);
	g_hash_table_insert(cpu->vms, vm->name, vm);
	return vm;
}

static gboolean has_threads(const struct cpu_vm *vm, const struct cpu_target *target)
{
	gboolean same = vm->n_threads == target->n_vcpus;

	for (guint i = 0; same && i < target->n_vcpus; i++)
		same = vm->threads[i].tid == target->vcpus[i];
	return same;
}

static gboolean knobs_equal(const struct scheduling_knobs *a, const struct scheduling_knobs *b)
{
	return a->policy == b->policy && a->weight == b->weight && a->quota_ns == b->quota_ns &&
	       a->period_ns == b->period_ns && a->slice_ns == b->slice_ns && a->runtime_ns == b->runtime_ns &&
	       a->deadline_ns == b->deadline_ns && a->deadline_period_ns == b->deadline_period_ns &&
	       a->priority == b->priority && a->first_cpu == b->first_cpu && a->n_cpus == b->n_cpus &&
	       a->cookie == b->cookie;
}

/* Does a crash in between leave something that must be undone at once? A class does, and what the journal lacks. */
static gboolean needs_mark(const struct cpu_vm *vm, const struct scheduling_knobs *knobs)
{
	for (guint i = 0; i < vm->n_threads; i++)
		if (!vm->threads[i].settled || vm->threads[i].knobs.policy != knobs[i].policy ||
		    knobs[i].policy == SCHEDULING_POLICY_DEADLINE || (knobs[i].cookie && !vm->threads[i].cookie_set))
			return TRUE;
	return FALSE;
}

/* Everything of the process that is no vCPU. Without io group nothing is moved. */
static int apply_io(struct cpu *cpu, struct cpu_vm *vm, const struct cpu_target *target)
{
	g_autofree char *tasks = g_strdup_printf("%s/%d/task", cpu->proc, vm->pid);
	g_autofree char *io = g_strconcat(vm->name, ".io", NULL);
	GDir *dir = g_dir_open(tasks, 0, NULL);
	const char *name;
	int status = 0;

	if (!dir)
		return ESRCH;
	vm->n_tasks = 0;
	while (!status && (name = g_dir_read_name(dir))) {
		pid_t tid = (pid_t)g_ascii_strtoll(name, NULL, 10);
		gboolean is_vcpu = FALSE;

		for (guint i = 0; i < target->n_vcpus; i++)
			is_vcpu |= target->vcpus[i] == tid;
		vm->n_tasks++;
		if (is_vcpu)
			continue;
		status = cpu_group_move(cpu, vm->pid, tid, io);
		if (status == ESRCH && tid != vm->pid)
			status = 0; /* a worker that ended */
	}
	g_dir_close(dir);
	return status;
}

static void say_no_group(struct cpu *cpu, const struct scheduling_knobs *knobs, int status, struct cpu_report *report)
{
	const char *why = cpu->groups.why[0] ? cpu->groups.why : g_strerror(status);

	if (knobs->weight)
		cpu_report_want(report, CPU_WEIGHT), cpu_report_why(report, CPU_WEIGHT, "%s", why);
	if (knobs->quota_ns)
		cpu_report_want(report, CPU_LIMIT), cpu_report_why(report, CPU_LIMIT, "%s", why);
}

static void apply_weight(struct cpu *cpu, const char *name, const struct scheduling_knobs *knobs,
			 struct cpu_report *report)
{
	int status = cpu_group_weight(cpu, name, knobs->weight ? knobs->weight : SCHEDULING_WEIGHT_NORMAL);

	if (!knobs->weight)
		return;
	cpu_report_want(report, CPU_WEIGHT);
	if (status)
		cpu_report_why(report, CPU_WEIGHT, "weight of %s: %s", name, g_strerror(status));
	else
		cpu_report_done(report, CPU_WEIGHT);
	if (!status && knobs->weight > 10000)
		cpu_report_why(report, CPU_WEIGHT, "a weight is 1 to 10000: %u became 10000", knobs->weight);
}

static void apply_limit(struct cpu *cpu, const char *name, const struct scheduling_knobs *knobs,
			struct cpu_report *report)
{
	gint64 quota_us = 0, period_us = 0;
	gboolean exact = TRUE;
	int status;

	if (knobs->quota_ns > 0 && knobs->period_ns > 0)
		exact = cpu_limit_fit(knobs->quota_ns, knobs->period_ns, &quota_us, &period_us);
	status = cpu_group_limit(cpu, name, quota_us, period_us);
	if (!knobs->quota_ns)
		return;
	cpu_report_want(report, CPU_LIMIT);
	if (knobs->quota_ns < 0 || knobs->period_ns <= 0)
		cpu_report_why(report, CPU_LIMIT, "a limit needs a quota and a period above 0");
	else if (knobs->policy == SCHEDULING_POLICY_FIFO || knobs->policy == SCHEDULING_POLICY_DEADLINE)
		cpu_report_why(report, CPU_LIMIT, "groups don't limit FIFO and DEADLINE threads");
	else if (status)
		cpu_report_why(report, CPU_LIMIT, "limit of %s: %s", name, g_strerror(status));
	else
		cpu_report_done(report, CPU_LIMIT);
	if (!exact)
		cpu_report_why(report, CPU_LIMIT,
			       "the least the kernel allows is 1 ms each second: %.3f %% became 0.1 %%",
			       100.0 * (double)knobs->quota_ns / (double)knobs->period_ns);
}

static int apply_groups(struct cpu *cpu, struct cpu_vm *vm, guint i, const struct scheduling_knobs *knobs,
			struct cpu_report *report)
{
	g_autofree char *name = g_strdup_printf("%s.vcpu%u", vm->name, i);
	const char *group = name;
	int status = cpu_group_ensure(cpu, name), fifo;

	if (status) {
		say_no_group(cpu, knobs, status, report);
		return 0;
	}
	apply_weight(cpu, name, knobs, report);
	apply_limit(cpu, name, knobs, report);
	if (knobs->policy == SCHEDULING_POLICY_FIFO) {
		fifo = cpu_group_fifo(cpu);
		if (!fifo)
			group = "fifo";
		else if (fifo != ENOENT)
			cpu_report_why(report, CPU_FIFO, "no budget for real-time groups: %s", g_strerror(fifo));
	}
	status = cpu_group_move(cpu, vm->pid, vm->threads[i].tid, group);
	if (status && status != ESRCH) {
		cpu_report_why(report, CPU_WEIGHT, "move thread %d to %s: %s", vm->threads[i].tid, group,
			       g_strerror(status));
		report->of[CPU_WEIGHT].enforced = 0;
		report->of[CPU_LIMIT].enforced = 0;
		status = 0;
	}
	return status;
}

static int apply_vcpu(struct cpu *cpu, struct cpu_vm *vm, guint i, const struct scheduling_knobs *knobs,
		      struct cpu_report *report)
{
	struct cpu_thread *thread = &vm->threads[i];
	struct cpu_attr now;
	int status = cpu->kernel->get_attr(cpu->kernel->data, thread->tid, &now);
	gboolean leaves_fifo = now.policy == CPU_POLICY_FIFO && knobs->policy != SCHEDULING_POLICY_FIFO;
	gboolean leaves_deadline = now.policy == CPU_POLICY_DEADLINE && knobs->policy != SCHEDULING_POLICY_DEADLINE;

	/* Out of the class before the group that allows it is left, and before the affinity it forbids. */
	if (!status && (leaves_fifo || leaves_deadline))
		status = cpu_thread_demote(cpu, thread);
	if (status)
		return status == ESRCH ? ESRCH : 0;
	thread->settled = FALSE;
	thread->knobs = *knobs;
	status = apply_groups(cpu, vm, i, knobs, report);
	if (!status)
		status = cpu_thread_affinity(cpu, thread, knobs, report);
	if (!status)
		status = cpu_thread_policy(cpu, thread, knobs, report);
	if (!status)
		status = cpu_thread_cookie(cpu, thread, knobs->cookie, report);
	thread->settled = !status;
	return status;
}

static enum cpu_outcome not_applied(const struct cpu_target *target, const struct scheduling_knobs *knobs,
				    struct cpu_report *report, const char *why)
{
	static const enum cpu_mechanism of_policy[] = { [SCHEDULING_POLICY_BATCH] = CPU_BATCH,
							[SCHEDULING_POLICY_FIFO] = CPU_FIFO,
							[SCHEDULING_POLICY_DEADLINE] = CPU_DEADLINE };

	for (guint i = 0; i < target->n_vcpus; i++) {
		const gboolean wanted[] = { [CPU_WEIGHT] = knobs[i].weight > 0,
					    [CPU_LIMIT] = knobs[i].quota_ns != 0,
					    [CPU_SLICE] = knobs[i].slice_ns > 0,
					    [CPU_AFFINITY] = knobs[i].n_cpus > 0,
					    [CPU_COOKIE] = knobs[i].cookie > 0 };

		for (guint k = 0; k < CPU_N_MECHANISMS; k++)
			if (wanted[k] ||
			    (knobs[i].policy != SCHEDULING_POLICY_OTHER && of_policy[knobs[i].policy] == k)) {
				cpu_report_want(report, k);
				cpu_report_why(report, k, "%s", why);
			}
	}
	return CPU_NOT_APPLIED;
}

/* The VM as we know it, with the target's threads; NULL and an errno. */
static struct cpu_vm *known_vm(struct cpu *cpu, const struct cpu_target *target, int *status)
{
	struct cpu_vm *vm = g_hash_table_lookup(cpu->vms, target->vm);

	*status = 0;
	if (!vm) {
		adopt(cpu, target);
		vm = g_hash_table_lookup(cpu->vms, target->vm);
	} else if (!is_same_process(cpu, vm, target)) { /* another run of the VM */
		*status = cpu_vm_undo(cpu, vm);
		g_hash_table_remove(cpu->vms, target->vm);
		vm = NULL;
	}
	if (!vm)
		vm = vm_new(cpu, target);
	if (!vm->start)
		*status = ESRCH;
	if (!*status && !has_threads(vm, target))
		*status = take_threads(cpu, vm, target);
	return vm;
}

static gboolean differs_in_weight_only(const struct cpu_vm *vm, const struct scheduling_knobs *knobs)
{
	for (guint i = 0; i < vm->n_threads; i++) {
		struct scheduling_knobs now = vm->threads[i].knobs;

		if (!vm->threads[i].settled || (now.weight != knobs[i].weight && (!now.weight || !knobs[i].weight)))
			return FALSE;
		now.weight = knobs[i].weight;
		if (!knobs_equal(&now, &knobs[i]))
			return FALSE;
	}
	return TRUE;
}

/* What a control loop changes over and over: a file each, and nothing else is looked at. FALSE: something is in the way,
 * and the whole way says what. */
static gboolean reweigh(struct cpu *cpu, struct cpu_vm *vm, const struct scheduling_knobs *knobs)
{
	cpu->n_writes = 0;
	for (guint i = 0; i < vm->n_threads; i++) {
		g_autofree char *name = NULL;

		if (vm->threads[i].knobs.weight == knobs[i].weight)
			continue;
		name = g_strdup_printf("%s.vcpu%u", vm->name, i);
		if (cpu_group_weight(cpu, name, knobs[i].weight))
			return FALSE;
		vm->threads[i].knobs.weight = knobs[i].weight;
	}
	if (cpu->n_writes)
		cpu_groups_balance(cpu);
	return TRUE;
}

enum cpu_outcome cpu_apply(struct cpu *cpu, const struct cpu_target *target, const struct scheduling_knobs *knobs,
			   unsigned flags, struct cpu_report *report)
{
	struct cpu_vm *vm = g_hash_table_lookup(cpu->vms, target->vm);
	g_autofree char *io = g_strconcat(target->vm, ".io", NULL);
	gboolean mark;
	int status;

	if (vm && !(flags & CPU_VERIFY) && !vm->half && vm->pid == target->pid && has_threads(vm, target) &&
	    differs_in_weight_only(vm, knobs) && reweigh(cpu, vm, knobs)) {
		*report = vm->report;
		report->n_writes = cpu->n_writes;
		return CPU_APPLIED;
	}
	*report = (struct cpu_report) { 0 };
	if (!cpu_vm_name_is_valid(target->vm))
		return not_applied(target, knobs, report, "not a VM's name");
	vm = known_vm(cpu, target, &status);
	mark = vm->half || needs_mark(vm, knobs);
	if (!status && mark) {
		vm->half = TRUE;
		for (guint i = 0; i < vm->n_threads; i++)
			vm->threads[i].knobs.cookie = knobs[i].cookie; /* the journal must know */
		status = cpu_journal_write(cpu, vm);
	}
	if (status == ESRCH)
		return CPU_VM_GONE;
	if (status) {
		g_autofree char *why = g_strdup_printf("write the journal of VM %s: %s", vm->name, g_strerror(status));

		return not_applied(target, knobs, report, why);
	}
	cpu->n_writes = 0;
	if (!cpu_group_ensure(cpu, io)) /* otherwise each vCPU's result says why */
		status = apply_io(cpu, vm, target);
	for (guint i = 0; i < vm->n_threads && status != ESRCH; i++)
		status = apply_vcpu(cpu, vm, i, &knobs[i], report);
	cpu_groups_balance(cpu);
	report->n_writes = cpu->n_writes;
	if (status == ESRCH || cpu_thread_start(cpu, vm->pid, vm->pid) != vm->start)
		return CPU_VM_GONE;
	if (mark) {
		vm->half = FALSE;
		if (cpu_journal_write(cpu, vm)) /* then repair undoes what holds, and it is applied again */
			vm->half = TRUE;
	}
	vm->report = *report;
	return CPU_APPLIED;
}
