/* Live enforcement of scheduling: turns a VM's knobs (core/scheduling: project()) into what the host's kernel knows:
 * cgroup v1 or v2 weights and limits, sched_setattr (EEVDF slice, BATCH, FIFO, DEADLINE), affinity, core cookies.
 *
 * Every vCPU thread gets a group of its own, all other threads of the VM share another one, so that a limit never
 * starves a VM's I/O. Groups of all VMs are siblings: weights of vCPUs compare directly, across VMs.
 *
 *     GROUP/NAME.vcpu0 … NAME.vcpuN   one thread each
 *     GROUP/NAME.io                   main loop, I/O threads, workers
 *     GROUP/fifo                      FIFO threads of all VMs, where real-time groups have a budget (RT_GROUP_SCHED)
 *
 * Nothing here fails a VM: what the host can't do is counted in the report with a reason, the rest is done. Every change
 * is read back. What must be undone is in RUN/NAME/cpu.journal, durable before it is done. */
#pragma once

#include <sys/types.h>

#include <glib.h>

#include "core/scheduling/scheduling.h"

enum cpu_mechanism {
	CPU_WEIGHT,
	CPU_LIMIT,
	CPU_SLICE,
	CPU_BATCH,
	CPU_FIFO,
	CPU_DEADLINE,
	CPU_AFFINITY,
	CPU_COOKIE,
	CPU_N_MECHANISMS
};
const char *cpu_mechanism_name(enum cpu_mechanism mechanism); /* "weight" … ; static */

struct cpu_kernel; /* kernel.h */

struct cpu_places {
	const char *run;                 /* directory of the VMs' run directories (RUN/NAME/cpu.journal) */
	const char *proc;                /* NULL: /proc */
	const char *group;               /* our cgroup's name below this process's own; NULL: made from `run` */
	const struct cpu_kernel *kernel; /* NULL: the real one; must outlive the cpu */
};

struct cpu;

/* cpu_open(places): look at what this host can enforce; changes nothing that outlasts the call. Never NULL: a host that
 * can do nothing is described as such. cpu_close(cpu): frees; what is enforced stays. */
struct cpu *cpu_open(const struct cpu_places *places);
void cpu_close(struct cpu *cpu);

#define CPU_WHY_MAX 192
struct cpu_capability {
	gboolean works;
	char why[CPU_WHY_MAX]; /* how, or why not */
};
/* cpu_describe(cpu, mechanism): borrowed, as long as cpu. */
const struct cpu_capability *cpu_describe(const struct cpu *cpu, enum cpu_mechanism mechanism);

/* A running VM. Threads of `pid` that are no vCPU count as I/O. */
struct cpu_target {
	const char *vm; /* its name: of [a-z0-9.-] */
	pid_t pid;
	const pid_t *vcpus;
	guint n_vcpus;
};

struct cpu_result {
	guint wanted, enforced; /* vCPUs that ask for it, and that have it */
	char why[CPU_WHY_MAX];  /* of the first that has it not, or not exactly; else empty */
};
struct cpu_report {
	guint n_writes; /* changes made to the host; 0: it was so already */
	struct cpu_result of[CPU_N_MECHANISMS];
};

enum cpu_outcome {
	CPU_APPLIED,    /* as far as the host can; see the report */
	CPU_VM_GONE,    /* it ended while its plan was applied: cpu_clear() it */
	CPU_NOT_APPLIED /* nothing changed: the journal can't be written; why is in every wanted result */
};

enum cpu_apply_flags { CPU_VERIFY = 1 << 0 /* look at the host also where the knobs are those of the last time */ };

/* cpu_apply(cpu, target, knobs, flags, report): make the host match knobs[0 … n_vcpus − 1]. A value of 0 means the
 * kernel's default (for affinity: the thread's own before we came). Called again with the same it costs no system call,
 * so a control loop may call it each time. Blocks for as long as the journal's fsync, at changes of groups or policies. */
enum cpu_outcome cpu_apply(struct cpu *cpu, const struct cpu_target *target, const struct scheduling_knobs *knobs,
			   unsigned flags, struct cpu_report *report);

/* cpu_clear(cpu, vm): undo everything of this VM, whether it runs or not; FALSE and *error when something stays (called
 * again it goes on). No such VM: TRUE. */
gboolean cpu_clear(struct cpu *cpu, const char *vm, GError **error);

/* cpu_repair(cpu, repaired): at start, before any apply: undoes plans that a crash left half applied and those of VMs that
 * are gone, keeps those of running VMs (apply adopts them), removes empty groups nobody owns. */
struct cpu_repaired {
	guint kept, undone, failed, orphans;
	char why[CPU_WHY_MAX]; /* of the first that failed */
};
void cpu_repair(struct cpu *cpu, struct cpu_repaired *repaired);

/* Counters of one vCPU thread since it began. */
struct cpu_usage {
	guint64 run_ns, ready_ns;          /* ran; wanted to run but waited */
	guint64 slices;                    /* times it got a CPU */
	guint64 throttled_ns, n_throttled; /* of its group's limit; 0 without groups */
	/* Times it gave up its CPU, and how many of these to sleep (each ends with a wake-up; waiting for a lock of the
	 * VM's process is one, too). */
	guint64 switches, wakeups;
	gboolean has_switches, was_read;
};
/* cpu_read(cpu, target, usage): fills usage[0 … n_vcpus − 1] from /proc, without asking the VM. A thread that is gone has
 * all zeros. Returns how many were read. */
guint cpu_read(struct cpu *cpu, const struct cpu_target *target, struct cpu_usage *usage);
/* cpu_read_times(cpu, target, usage): likewise run_ns, ready_ns and slices only, for a control loop: one file a thread. */
guint cpu_read_times(struct cpu *cpu, const struct cpu_target *target, struct cpu_usage *usage);

/* DEADLINE's admission bandwidth, in parts per million of one CPU. A thread that leaves DEADLINE asleep loses what it had
 * reserved until the kernel next rebuilds its scheduling domains; we never do that, others may have.
 * cpu_audit(cpu, audit): finds `free` by reserving it for some microseconds with threads of its own. FALSE: can't. */
struct cpu_audit {
	gint64 limit_ppm;  /* what the kernel admits in all */
	gint64 server_ppm; /* of that, kept for the fair class by the kernel (Linux 6.12 and later) */
	gint64 used_ppm;   /* of threads in /proc */
	gint64 free_ppm;
	gint64 leaked_ppm; /* the rest */
};
gboolean cpu_audit(struct cpu *cpu, struct cpu_audit *audit);

/* ---- Arithmetic, pure ---- */

/* cgroup v1 cpu.shares of a v2 weight (100 ↔ 1024), in 2 … 262144; and back, in 1 … 10000. */
guint64 cpu_shares_from_weight(guint64 weight);
guint64 cpu_weight_from_shares(guint64 shares);

/* cpu_limit_fit(quota_ns, period_ns, quota_us, period_us): the kernel's terms: both at least 1 ms, the period at most 1 s,
 * the ratio kept. FALSE when the ratio can't be kept (then the nearest the kernel takes is given). */
gboolean cpu_limit_fit(gint64 quota_ns, gint64 period_ns, gint64 *quota_us, gint64 *period_us);
