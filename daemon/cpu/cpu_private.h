/* What the files of daemon/cpu share. Functions return 0 or an errno unless they say otherwise. */
#pragma once

#include "daemon/cpu/cpu.h"
#include "daemon/cpu/kernel.h"

enum cpu_policy { /* the kernel's SCHED_… */
		  CPU_POLICY_OTHER = 0,
		  CPU_POLICY_FIFO = 1,
		  CPU_POLICY_RR = 2,
		  CPU_POLICY_BATCH = 3,
		  CPU_POLICY_DEADLINE = 6,
};

/* ---- groups.c, mounts.c ---- */

enum cpu_groups_kind { CPU_GROUPS_NONE, CPU_GROUPS_V1, CPU_GROUPS_V2 };
struct cpu_groups {
	enum cpu_groups_kind kind;
	char *mount; /* mount point, and what of the hierarchy is mounted there */
	char *mount_root;
	char *base;           /* directory of this process's own group */
	char *root;           /* base/GROUP */
	gboolean with_cpuset; /* v1 with cpuset on the same hierarchy: a group takes no thread before it has CPUs */
	gint64 weights;       /* sum over root's children, as the kernel counts (shares or weights) */
	gboolean ready;       /* root is there and its children can have the controller */
	char why[CPU_WHY_MAX];
};

/* cpu_mounts_find(mountinfo, cgroup, groups): kind, mount, base and with_cpuset, or kind NONE and why. Texts of
 * /proc/self/mountinfo and /proc/self/cgroup. v1 is preferred where it has the cpu controller: v2 then has it not. */
void cpu_mounts_find(const char *mountinfo, const char *cgroup, struct cpu_groups *groups);
/* cpu_mounts_dir(groups, cgroup): directory of the group that /proc/PID/cgroup's text names; NULL: unknown. Caller frees. */
char *cpu_mounts_dir(const struct cpu_groups *groups, const char *cgroup);

void cpu_groups_open(struct cpu *cpu);
void cpu_groups_close(struct cpu *cpu);
int cpu_group_ensure(struct cpu *cpu, const char *name);
/* Threads in it go to the directory `home` (NULL: leave them; EBUSY then). Not there: 0. */
int cpu_group_remove(struct cpu *cpu, const char *name, const char *home);
int cpu_group_weight(struct cpu *cpu, const char *name, guint64 weight);
int cpu_group_limit(struct cpu *cpu, const char *name, gint64 quota_us, gint64 period_us); /* quota 0: none */
int cpu_group_fifo(struct cpu *cpu); /* the group FIFO threads need; ENOENT: they need none */
/* Move a thread there unless it is there. v2 moves its process first where needed. */
int cpu_group_move(struct cpu *cpu, pid_t pid, pid_t tid, const char *name);
int cpu_group_go_home(struct cpu *cpu, pid_t pid, const char *home); /* v2: the whole process */
void cpu_groups_balance(
	struct cpu *cpu); /* root's weight is that of its children, so that VMs don't share one thread's */
void cpu_groups_sweep(struct cpu *cpu, struct cpu_repaired *repaired);
char *cpu_group_of(struct cpu *cpu, pid_t pid, pid_t tid); /* directory; caller frees */

/* ---- thread.c ---- */

struct cpu_thread {
	pid_t tid;
	guint64 start; /* its start time: tells it from a later thread of the same id */
	/* Before we came. */
	struct cpu_attr attr;
	struct cpu_mask mask;
	/* Now. */
	gboolean settled; /* `knobs` are applied, as far as they can be */
	struct scheduling_knobs knobs;
	gboolean slice_set, cookie_set;
	uint32_t cookie;
};

guint64 cpu_thread_start(struct cpu *cpu, pid_t pid, pid_t tid); /* 0: gone */
int cpu_thread_snapshot(struct cpu *cpu, pid_t pid, struct cpu_thread *thread);
/* Leave FIFO or DEADLINE, if it is in it, without leaking what it had reserved. */
int cpu_thread_demote(struct cpu *cpu, struct cpu_thread *thread);
int cpu_thread_restore(struct cpu *cpu, struct cpu_thread *thread);
int cpu_thread_affinity(struct cpu *cpu, struct cpu_thread *thread, const struct scheduling_knobs *knobs,
			struct cpu_report *report);
int cpu_thread_policy(struct cpu *cpu, struct cpu_thread *thread, const struct scheduling_knobs *knobs,
		      struct cpu_report *report);
int cpu_thread_cookie(struct cpu *cpu, struct cpu_thread *thread, uint32_t cookie, struct cpu_report *report);
void cpu_probe(struct cpu *cpu); /* fills cpu->capabilities */

/* ---- journal.c ---- */

struct cpu_vm {
	char *name;
	pid_t pid;
	guint64 start;
	char *home;     /* group of its main thread before we came; NULL: no groups then */
	guint n_groups; /* vCPU groups that may be there: .vcpu0 … */
	guint n_threads;
	struct cpu_thread *threads;
	guint n_tasks;            /* threads of the process when its I/O group was last looked after */
	gboolean half;            /* the journal says: being applied */
	struct cpu_report report; /* of the last apply */
};

void cpu_vm_free(struct cpu_vm *vm);
int cpu_journal_write(struct cpu *cpu, const struct cpu_vm *vm);
/* NULL and ENOENT: there is none; NULL and EBADMSG: it is no journal of ours. */
struct cpu_vm *cpu_journal_read(struct cpu *cpu, const char *name, int *status);
struct cpu_vm *cpu_journal_parse(const char *name, const char *text);
int cpu_journal_remove(struct cpu *cpu, const char *name);

/* ---- undo.c ---- */

/* Everything of the journal, whether the VM runs or not; the journal goes last, and only when nothing is left. */
int cpu_vm_undo(struct cpu *cpu, struct cpu_vm *vm);

/* ---- cpu.c ---- */

struct cpu {
	const struct cpu_kernel *kernel;
	char *run, *proc, *group;
	struct cpu_groups groups;
	struct cpu_capability capabilities[CPU_N_MECHANISMS];
	GHashTable *vms; /* name → struct cpu_vm */
	guint n_writes;
};

gboolean cpu_vm_name_is_valid(const char *name);
void cpu_report_want(struct cpu_report *report, enum cpu_mechanism mechanism);
void cpu_report_done(struct cpu_report *report, enum cpu_mechanism mechanism);
void cpu_report_why(struct cpu_report *report, enum cpu_mechanism mechanism, const char *format, ...)
	G_GNUC_PRINTF(3, 4);

/* cpu_read_file(cpu, text, size, format, …): a file of /proc or a group. */
int cpu_read_file(struct cpu *cpu, char *text, size_t size, const char *format, ...) G_GNUC_PRINTF(4, 5);
