/* One look at the CPUs of all VMs, in a worker thread, which has it to itself: what each VM wishes becomes what the
 * scheduling strategy makes of it (project()), and that the host's (daemon/cpu). */
#pragma once

#include "core/scheduling/scheduling.h"
#include "daemon/cpu/cpu.h"

#define CPU_ROUND_TENANTS (1u << 30)

struct cpu_round_vm {
	/* in */
	char *name;
	char *tenant; /* NULL: not known */
	pid_t pid;
	pid_t *vcpus;
	guint n_vcpus;
	guint weight, limit_percent, reserve_percent, latency_us;
	guint32 tenant_number; /* each its own, above all thread ids (CPU_ROUND_TENANTS) */
	/* out */
	struct scheduling_knobs *knobs; /* a vCPU each */
	struct cpu_usage *usage;        /* a vCPU each; NULL: not read */
	char **notes;                   /* NULL: all is as wished */
	gboolean applied;
};

struct cpu_shares;
struct cpu_record;

struct cpu_round {
	/* in */
	struct cpu **cpu;          /* the host's; made by the first round, which also repairs */
	struct cpu_shares *shares; /* what came of weights so far; borrowed. NULL: not corrected */
	const char *run;           /* directory of the run directories */
	const struct scheduling_strategy *strategy;
	const struct strategy_values *values;
	enum scheduling_sharing sharing;     /* who may share a core */
	gboolean chosen;                     /* somebody chose the strategy: it is more than the kernel's own way */
	gboolean apply;                      /* somebody wishes something */
	gboolean read;                       /* figures are asked for, or recorded */
	struct cpu_record *record, *copy_of; /* what it is recorded in, what is to be copied after; NULL: nothing */
	guint n_cpus;
	GPtrArray *vms;   /* of struct cpu_round_vm, owned */
	GPtrArray *clear; /* of char *, owned: gone */
	/* out */
	struct cpu_repaired repaired;
	gboolean opened; /* this round did, and repaired */
	int copy;        /* owned; -1: none, or with the error */
	GError *copy_error;
	GPtrArray *cleared; /* of those to clear (borrowed), the ones that are */
};

/* cpu_round_new(): empty. */
struct cpu_round *cpu_round_new(void);
void cpu_round_free(struct cpu_round *round);
struct cpu_round_vm *cpu_round_add(struct cpu_round *round, const char *name, const pid_t *vcpus, guint n_vcpus);

/* cpu_round_reserved_ns(vm, stretch_ns): what each of its vCPUs has reserved of a stretch of time. */
gint64 cpu_round_reserved_ns(const struct cpu_round_vm *vm, gint64 stretch_ns);

/* cpu_round_run(round): blocks. */
void cpu_round_run(struct cpu_round *round);

/* cpu_round_print(round, now_us): the figures as JSON. Caller frees. */
char *cpu_round_print(const struct cpu_round *round, gint64 now_us);
