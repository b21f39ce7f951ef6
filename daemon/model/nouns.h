/* The nouns: plain structs and their field tables. What each key in the store holds is one of these as JSON. */
#pragma once

#include "daemon/model/field.h"

/* ---- VM: what the user wants. Key: /vm/NAME. Written by the API only. ---- */

enum vm_desired { VM_DESIRED_RUNNING, VM_DESIRED_PAUSED, VM_DESIRED_STOPPED };
enum vm_restart { VM_RESTART_NEVER, VM_RESTART_ON_FAILURE, VM_RESTART_ALWAYS };
enum vm_network { VM_NETWORK_USER, VM_NETWORK_NONE };
enum vm_exclusive { VM_EXCLUSIVE_NONE, VM_EXCLUSIVE_HOST, VM_EXCLUSIVE_CORE };
enum vm_numa { VM_NUMA_ANY, VM_NUMA_ONE, VM_NUMA_SPLIT };
enum vm_hugepages { VM_HUGEPAGES_NONE, VM_HUGEPAGES_2M, VM_HUGEPAGES_1G };

struct vm {
	char *name;
	char *uuid; /* identity: a new VM of the same name has another */
	char *image;
	char *engine; /* "qemu" (default) or "sim" */
	char *pool;   /* "default" */
	guint64 cpus;
	guint64 memory_bytes;
	int network;        /* enum vm_network */
	char **publish;     /* "8080:80": host to guest, user network only */
	char *cmdline;      /* added to the kernel's command line */
	int restart;        /* enum vm_restart */
	gboolean ephemeral; /* removed when it stops or when its client goes; the key hangs on a lease */
	int desired;        /* enum vm_desired */
	guint64 run;        /* counts wanted starts: the agent starts a VM when desired is running and it has not yet
	                          * carried out this run. `polder start` adds one. */
	guint64 stop_timeout_ms;     /* how long a stop may take before the VM is killed; 0 = kill now */
	guint64 stopping_timeout_ms; /* of the stop that was asked for last: it may have been given another */
	/* Placement: daemon/model/placement.h reads the strings. */
	char **groups;                    /* "db"; empty: the group of the first anti-affinity to a group, if any */
	char **affinity, **anti_affinity; /* "group=db@rack:soft=50" */
	char **spread;                    /* "rack:2": of its first group */
	char **require, **avoid_labels, **tolerate;
	char **extended;    /* "gpu=1" */
	int exclusive;      /* enum vm_exclusive */
	int numa;           /* enum vm_numa */
	int hugepages;      /* enum vm_hugepages */
	guint64 numa_nodes; /* of VM_NUMA_SPLIT */
	guint64 priority;
	char *cpu_model; /* "x86-64-v2"; "": any */
	guint64 disk_bytes, network_bps;
	guint64 cpu_weight;        /* of each vCPU */
	guint64 cpu_limit_percent; /* of a CPU, over all vCPUs: each may run for its part of it; 0: none */
	guint64 cpu_reserve_percent, cpu_latency_us;
	char *tenant; /* "": "uid-N" of the owner */
	char *gang;
	guint64 gang_size;
	guint64 owner_uid; /* who created it (peer credentials) */
	gint64 created_at; /* µs */
};
extern const struct noun vm_noun;

/* ---- Plan: what control decided. Key: /plan/NAME. Written by control only. ---- */

struct plan {
	char *uuid;        /* of the VM it is for */
	char *host;        /* "" when refused */
	char *strategy;    /* which allocation strategy decided */
	char *reason;      /* why this host, or why refused, for people */
	char *agent;       /* host whose agent serves `host`, when it is simulated; "": its own */
	char **nodes;      /* NUMA nodes of the host, "0" */
	double score;      /* the strategy's cost */
	char *runner_up;   /* host */
	char *step;        /* core/allocation/family.h: what decided */
	char **parameters; /* of the strategy, "a=1" */
	guint64 seed;
	char **ruled_out; /* "memory=12" */
	char *relief;
	guint64 decided_revision;
	gboolean refused;    /* no host can take it: reason says what each lacked */
	guint64 vm_revision; /* revision of /vm/NAME this plan answers */
	gboolean remove;     /* /vm/NAME is gone: the agent ends the VM, removes all it has, deletes /status/NAME */
	/* what the agent needs, copied from the VM so that the agent reads only plans: */
	char *image, *engine, *cmdline;
	guint64 cpus, memory_bytes;
	int network;
	char **publish;
	int restart, desired;
	guint64 run, stop_timeout_ms; /* run: the VM's, and one for each preemption */
	guint64 preemptions;
	/* What its host is charged with, as it was when it was placed: never answered by the API. */
	char *pool, *tenant, *gang;
	char **groups, **affinity, **anti_affinity, **spread, **require, **avoid_labels, **tolerate, **extended;
	int exclusive, numa, hugepages;
	gboolean preempted; /* it was stopped for a VM of higher priority (answered, too) */
	guint64 numa_nodes, priority;
	char *cpu_model;
	guint64 disk_bytes, network_bps, owner_uid;
	guint64 cpu_weight, cpu_limit_percent, cpu_reserve_percent, cpu_latency_us; /* as the VM's */
	char *held;        /* why cpu_reserve_percent is less than the VM now asks for; "": it is not */
	gint64 decided_at; /* by the records' own times */
};
extern const struct noun plan_noun;

/* ---- Status: what the agent observed. Key: /status/NAME. Written by the VM's agent only. ---- */

enum vm_state {
	VM_STATE_PENDING,   /* no agent has taken it up yet (never written: what the API answers without a status) */
	VM_STATE_PREPARING, /* waits for its image, then its run directory and network port are made */
	VM_STATE_STARTING,  /* the engine was forked and has not answered yet */
	VM_STATE_RUNNING,
	VM_STATE_PAUSED,
	VM_STATE_STOPPING,   /* asked to stop; agent, then ACPI, then kill */
	VM_STATE_STOPPED,    /* ended cleanly, or never started */
	VM_STATE_FAILED,     /* ended otherwise; `reason` says why */
	VM_STATE_RESTARTING, /* ended, and waits to be started again by its restart policy */
	VM_STATE_REFUSED,    /* no host can take it (never written by an agent: from the plan) */
};

struct status {
	char *uuid;
	char *host;
	char *agent;            /* whose agent writes this, when it is not the host's own; else "" */
	int state;              /* enum vm_state */
	char *reason;           /* one line for people: why it is in this state; for an ended VM its exit reason */
	gboolean ready;         /* the guest agent answers */
	char *accelerator;      /* "kvm", "tcg", "none" (sim) */
	guint64 run;            /* last run carried out */
	guint64 restarts;       /* by the restart policy, within this run */
	guint64 pid;            /* of the engine's process, 0 when none */
	guint64 supervisor_pid; /* of polder-vm */
	gint64 changed_at;      /* when `state` last changed */
	gint64 started_at, ended_at;
	guint64 boot_ms;     /* from start to the guest agent's first answer, 0 when not yet */
	guint64 exit_status; /* of the engine's process: code, or 128+signal */
	char **addresses;    /* what the guest agent reports, "10.0.2.15" */
	char **notes;        /* what a user should know: "no disk: what it writes is gone at stop" */
};
extern const struct noun status_noun;

/* ---- Host. Key: /host/NAME, on the agent's lease. Written by its agent. ---- */

struct host {
	char *name;
	char **engines;                /* "qemu", "sim" */
	char *accelerator;             /* what qemu uses: "kvm" or "tcg" */
	char *accelerator_reason;      /* why, with the self-test's figures */
	guint64 cpus;                  /* online */
	guint64 memory_bytes;          /* total */
	guint64 memory_reserved_bytes; /* kept for the host itself */
	char *cpu_model, *kernel, *qemu_version;
	gboolean privileged; /* the agent runs as root */
	gboolean simulated;  /* no such machine: written by the API, without a lease, and served by `agent` */
	char *agent;         /* name of the host whose agent serves it; "": its own */
	char **nodes;        /* NUMA nodes, "40c90G+4G/2M"; empty: one of all it has */
	guint64 threads_per_core;
	char *cpu_level;                 /* "x86-64-v3"; "": unknown */
	guint64 disk_bytes, network_bps; /* 0: not known, not counted */
	char **extended;                 /* "gpu=2" */
	char **limits;                   /* what does not work here and why, one line each */
	guint64 agent_pid;
	gint64 started_at;
	char *boot_id;
};
extern const struct noun host_noun;

/* ---- Host wishes. Key: /host-spec/NAME. Written by the API only; there may be none. ---- */

struct host_spec {
	char **labels; /* "rack=r1" */
	char **taints;
	gboolean cordoned;
	guint64 cpu_overcommit_percent;    /* 0: 1600 on real hosts, 100 on simulated ones */
	guint64 memory_overcommit_percent; /* 0: 100 */
};
extern const struct noun host_spec_noun;

/* ---- Image. /image/NAME (wanted, by the API) and /image-status/NAME (observed, by the agent). ---- */

enum image_source { IMAGE_SOURCE_BUILTIN, IMAGE_SOURCE_FILES };
struct image {
	char *name;
	int source;   /* builtin: built here (tiny); files: kernel and initrd given by path */
	char *kernel; /* files: absolute path of an ELF with a PVH note (vmlinux) or any flat multiboot/bzImage kernel */
	char *initrd;
	char *firmware; /* files: a ROM started instead of a kernel (-bios) */
	char *cmdline;
	guint64 build;     /* counts wanted builds: `polder image build` adds one */
	guint64 owner_uid; /* whose permissions the given files are read with */
	gint64 created_at;
};
extern const struct noun image_noun;

enum image_state { IMAGE_STATE_ABSENT, IMAGE_STATE_BUILDING, IMAGE_STATE_READY, IMAGE_STATE_FAILED };
struct image_status {
	int state;
	char *reason; /* of a failure, with the next step */
	char *step;   /* what the build is doing */
	guint64 progress_percent;
	guint64 build;         /* last build carried out */
	char *kernel, *initrd; /* paths in the cache, for the engine */
	char *firmware;
	char *cmdline;
	guint64 size_bytes;
	guint64 memory_min_bytes; /* a VM with less could not boot it; 0: not known */
	gint64 built_at;
	char **notes; /* copied into the status of VMs: "no disk: …" */
};
extern const struct noun image_status_noun;

/* ---- Pool (compute pool). Key: /pool/NAME. "default" is always there. ---- */

struct pool {
	char *name;
	char *description;
	char *parent; /* "": the root, all hosts */
	guint64 shares;
	char **reserve, **limit;                                   /* "cpu=8", "memory=16G" */
	guint64 max_vms;                                           /* 0: no bound */
	guint64 cpu_overcommit_percent, memory_overcommit_percent; /* 0: 100 */
	guint64 spare_hosts; /* of "default": room is kept for the loss of so many hosts (N+1) */
};
extern const struct noun pool_noun;

/* ---- The strategy at work. Key: /strategy/FAMILY/SCOPE. Written by the API only; none: the family's default. ---- */

struct strategy_choice {
	char *family; /* "allocation" */
	char *scope;  /* "all" */
	char *name;
	char **parameters; /* "a=1" */
	guint64 seed;
	char *reason;
	gint64 applied_at;
	char *applied_by; /* "uid-0" */
	char **previous;  /* newest first: "name a=1 b=2" */
};
extern const struct noun strategy_choice_noun;

/* nouns[]: all of the above, NULL-terminated: for the schema, the fuzzers and the tests. */
extern const struct noun *const nouns[];
