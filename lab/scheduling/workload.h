/* What is to be scheduled: a machine, virtual machines, and for each vCPU a program of steps that says when it wants to run.
 * Read from rt-app-style JSON, task-set CSV or recorded utilization, or generated; the engine never changes it. Times are
 * nanoseconds of virtual time. */
#pragma once

#include <gio/gio.h>

#define WORKLOAD_CPUS_MAX  4096
#define WORKLOAD_TASKS_MAX 1000000
#define WORKLOAD_STEPS_MAX 4000000
#define SAMPLE_PPM         1000000u /* all of a CPU */
#define WORKLOAD_TIME_MAX  (G_GINT64_CONSTANT(400) * 86400 * 1000000000)

enum step_kind {
	STEP_RUN,   /* compute for ns ± spread_percent */
	STEP_SLEEP, /* block for ns ± spread_percent */
	STEP_TIMER, /* the job is done; block until the next multiple of ns since the start, or go on when that is past */
	STEP_LOCK,    /* take the lock `object`; spin while another holds it */
	STEP_UNLOCK,  /* give it back */
	STEP_BARRIER, /* block until all who meet at `object` have come */
	STEP_DODGE,   /* run until just before the next tick (of ns), sleep over it */
	STEP_USE,  /* run as much of every ns as was recorded, in as many jobs; what is late by more than ns is lost */
	STEP_LOOP, /* go to step `object` of this program */
};

struct step {
	guint8 kind; /* enum step_kind */
	guint8 spread_percent;
	guint32 object;
	gint64 ns;
};

/* What a vCPU wanted while a sample lasted. */
struct sample {
	guint32 use_ppm; /* of a CPU */
	guint32 wakeups; /* evenly spread jobs that make it up; 0: one a period, wherever in it the vCPU began */
};

/* A vCPU (or, in a task set, a task). */
struct task {
	guint32 vm;
	guint32 first_step, n_steps; /* in workload.steps; past the last it ends */
	gint64 start_ns;
	gint64 deadline_ns;              /* of a job, since its release; 0: it has none */
	gint64 runtime_ns, period_ns;    /* reservation */
	gint64 request_ns;               /* slice asked for */
	guint32 mask;                    /* 1 + index in workload.masks; 0: may run anywhere */
	guint32 first_sample, n_samples; /* in workload.samples */
};

struct workload_vm {
	char *name; /* owned */
	guint32 tenant;
	guint32 weight;
	gint32 priority;
	gint64 limit_ns, limit_period_ns; /* of each vCPU */
	gint64 latency_ns;
	guint32 first_task, n_tasks;
	gboolean attacks;
};

struct topology {
	guint n_cpus, threads_per_core, cores_per_llc, llcs_per_node;
	gint64 switch_ns;      /* lost when a CPU turns to another vCPU */
	gint64 migrate_ns;     /* lost by a vCPU that comes to another core of the same last-level cache … */
	gint64 migrate_llc_ns; /* … to another cache or node */
};

struct workload {
	struct topology topology;
	GArray *tasks;      /* struct task, by vm */
	GArray *vms;        /* struct workload_vm */
	GArray *steps;      /* struct step */
	GArray *barriers;   /* guint32: how many meet there */
	GPtrArray *masks;   /* guint64[WORKLOAD_CPUS_MAX / 64], owned */
	GArray *samples;    /* struct sample */
	GPtrArray *tenants; /* char *, owned */
	guint n_locks;
	gint64 sample_ns;   /* how long a sample lasts; 0: there are none */
	gint64 recorded_ns; /* of a live recording: how much there was before the last of it was taken; 0: it is none */
	gboolean no_wakeups; /* when its vCPUs woke was not recorded: a job is no wake-up */
	gint64 horizon_ns;
	guint64 seed; /* of what differs between runs of it */
	gboolean is_task_set;
};

struct workload *workload_new(void);
void workload_free(struct workload *workload); /* NULL is fine */
typedef struct workload workload_auto;         /* for g_autoptr() */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(workload_auto, workload_free)

/* workload_add_vm(workload, name, tenant): its index; its tasks are those added until the next. */
guint workload_add_vm(struct workload *workload, const char *name, guint tenant);
/* workload_add_task(workload): of the last VM, running nothing yet. Valid until the next is added. */
struct task *workload_add_task(struct workload *workload);
void workload_add_step(struct workload *workload, enum step_kind kind, gint64 ns, guint object);
guint workload_add_tenant(struct workload *workload, const char *name); /* the one there is, or a new one */
struct workload_vm *workload_vm(const struct workload *workload, guint vm);
struct task *workload_task(const struct workload *workload, guint task);

/* workload_check(workload, error): what no reader may let through: nothing to run, a program that loops in no time, masks
 * without a CPU, reservations of more than their period. Names VM and rule. */
gboolean workload_check(const struct workload *workload, GError **error);

/* ---- Readers: the whole text, `name` for messages. LAB_ERROR_INVALID names file and, where there are lines, line. ---- */

/* workload_read_json(text, bytes, name, error): rt-app's grammar, what README.md documents of it, and our VMs. */
struct workload *workload_read_json(const char *text, gsize bytes, const char *name, GError **error);

/* Task sets, one a line. */
struct task_set {
	guint line, n_tasks, n_cpus;
	gint64 horizon_ns;
	gboolean feasible;
	gint64 first_miss_ns, max_tardiness_ns;
	guint64 tardy, ok;
	gboolean gfb;
	gint64 wcet_ns[64], period_ns[64];
};
/* task_sets_read(text, name, error): elements are struct task_set. */
GArray *task_sets_read(const char *text, const char *name, GError **error);
struct workload *workload_from_task_set(const struct task_set *set);

/* workload_read_utilization(path, n_vms, error): a directory of files of one whole percentage a line, or a tar of such
 * (compressed or not); the first n_vms by name. */
struct workload *workload_read_utilization(const char *path, guint n_vms, GError **error);
/* workload_add_utilization(workload, name, text, bytes, error): one VM from one such file. */
gboolean workload_add_utilization(struct workload *workload, const char *name, const char *text, gsize bytes,
				  GError **error);

/* What is taken of a file that has more; 0: the reader's own choice. */
struct workload_part {
	guint n_vms;   /* of recorded VMs: the first by name */
	guint line;    /* of a CSV of task sets: the one on it */
	guint seconds; /* of a live recording: the last */
};

/* workload_read_recorded(text, bytes, name, part, error): what the live platform recorded (README.md). */
#define WORKLOAD_RECORDED "time_s,event,vm,vcpu" /* how it begins */
struct workload *workload_read_recorded(const char *text, gsize bytes, const char *name,
					const struct workload_part *part, GError **error);

/* workload_generate(text, error): "kind:name=value,…" with a kind of mixed, cpu, bursty, realtime, locks, barrier, attack,
 * speed; values vms, cpus, seconds, seed. */
struct workload *workload_generate(const char *text, GError **error);

/* workload_open(path, part, error): by what it looks like: "synthetic:…", .json, .csv (a live recording; task sets: the first,
 * or that of the line), a directory or tar of utilizations. */
struct workload *workload_open(const char *path, const struct workload_part *part, GError **error);
