/* The options of every command: their names, values and help. */
#include "cli/options.h"

#include "cli/workload.h"

static const char *const engines[] = { "qemu", "sim", NULL };
static const char *const networks[] = { "user", "none", NULL };
static const char *const restarts[] = { "never", "on-failure", "always", NULL };

const struct option global_options[] = {
	{ "socket", 0, "PATH", VALUE_FILE, .doc = "Talk to the daemon that listens here; none is started." },
	{ "root", 0, "DIR", VALUE_DIRECTORY,
	  .doc = "Use, and if need be start, a daemon that keeps everything under DIR." },
	{ "json", 0, NULL, .doc = "Answer with one JSON document on standard output." },
	{ "help", 'h', NULL, .doc = "Show help." },
	{ "version", 'V', NULL, .doc = "Show this command's version." },
	{ NULL },
};

/* What decides where a VM may be; run and host capacity take the same. */
#define PLACEMENT_OPTIONS                                                                                                \
	{ "group", 'g', "GROUP", .repeat = TRUE, .doc = "The VM is a member of GROUP. May be repeated." },               \
		{ "affinity", 0, "TERM", .repeat = TRUE,                                                                 \
		  .doc = "Only beside group=GROUP or vm=VM; @rack or @zone widen beside, :soft makes it a wish." },      \
		{ "anti-affinity", 0, "TERM", .repeat = TRUE,                                                            \
		  .doc = "Never beside group=GROUP or vm=VM, written as affinity is; a member of that group unless "     \
			 "--group says otherwise." },                                                                    \
		{ "spread", 0, "LEVEL[:SKEW]", .repeat = TRUE,                                                           \
		  .doc = "Spread its first group over host, rack or zone; counts differ by at most SKEW (1)." },         \
		{ "require", 0, "LABEL", .repeat = TRUE, .doc = "Only hosts with this label, like disk=ssd." },          \
		{ "avoid", 0, "LABEL", .repeat = TRUE, .doc = "No host with this label." },                              \
		{ "tolerate", 0, "TAINT", .repeat = TRUE, .doc = "Also hosts with this taint." },                        \
		{ "exclusive", 0,                                                                                        \
		  "WHAT",      VALUE_CHOICE,                                                                             \
		  exclusives,  .doc = "host: no other tenant's VM beside it; core: whole processor cores of its own." }, \
		{ "numa", 0, "NODES",                                                                                    \
		  .doc = "any: one NUMA node if possible (default); one: one node only; N: evenly over N nodes." },      \
		{ "cpu-model", 0, "LEVEL", .doc = "At least this processor level: x86-64-v1 to x86-64-v4." },            \
		{ "hugepages", 0, "SIZE", VALUE_CHOICE, hugepages, .doc = "Memory in huge pages: 2M or 1G." },           \
		{ "disk", 0, "SIZE", .doc = "Local disk it takes." },                                                    \
		{ "bandwidth", 0, "RATE", .doc = "Network bandwidth it takes, in bits per second: 100M." },              \
		{ "extended", 0, "KIND=N", .repeat = TRUE, .doc = "So many of another resource: gpu=1." },               \
		{ "priority", 0, "N",                                                                                    \
		  .doc = "0 to 1000 (default 500): VMs of lower priority make room when there is none." },               \
	{                                                                                                                \
		"tenant", 0, "NAME", .doc = "Whose VM it is (default: its creator's)."                                   \
	}

static const char *const exclusives[] = { "none", "host", "core", NULL };
static const char *const hugepages[] = { "none", "2M", "1G", NULL };

const struct option run_options[] = {
	{ "name", 'n', "NAME", .doc = "The VM's name; made from the image's name when left out." },
	{ "cpus", 'c', "N", .doc = "Virtual CPUs (default 1)." },
	{ "memory", 'm', "SIZE", .doc = "Memory, like 512M or 2G (default 256M)." },
	{ "engine", 0, "ENGINE", VALUE_CHOICE, engines, .doc = "How it is run: qemu, or sim (no guest, for tests)." },
	{ "pool", 0, "POOL", .doc = "The compute pool whose hosts may run it (default: default)." },
	{ "network", 0, "NETWORK", VALUE_CHOICE, networks,
	  .doc = "user: the host's connections (default); none: no network." },
	{ "publish", 'p', "PORTS", .repeat = TRUE,
	  .doc = "Lead a host port into the guest: [ADDRESS:]HOST:GUEST[/tcp|/udp]. May be repeated." },
	{ "restart", 0, "POLICY", VALUE_CHOICE, restarts,
	  .doc = "Start again when it ends by itself: never (default), on-failure or always." },
	{ "cmdline", 0, "TEXT", .doc = "Add to the kernel's command line." },
	{ "cpu-weight", 0, "N", .doc = "Weight of each vCPU when CPUs are scarce, 1 to 10000 (default 100)." },
	{ "cpu-limit", 0, "PERCENT",
	  .doc = "The most CPU time it gets: 150% is a CPU and a half over all its vCPUs (default: no limit)." },
	{ "cpu-reserve", 0, "PERCENT",
	  .doc = "CPU time kept for it, of one CPU over all its vCPUs (default: none). A host keeps at most 90% of its "
		 "CPUs." },
	{ "cpu-latency", 0, "DURATION",
	  .doc = "A vCPU that wakes should run within this, like 2ms (default: no target)." },
	PLACEMENT_OPTIONS,
	{ "dry-run", 0, NULL, .doc = "Only say where it would go and why." },
	{ "count", 0, "N", .doc = "Create so many VMs, NAME-1 to NAME-N, and return once they are placed." },
	{ "gang", 0, NULL, .doc = "With --count: all of them or none." },
	{ "detach", 'd', NULL, .doc = "Print the name and return once the VM is running." },
	{ "keep", 'k', NULL, .doc = "With a command: keep the VM when the command has ended." },
	{ "tty", 't', NULL, .doc = "With a command: give it a terminal; standard input is passed on." },
	{ "interactive", 'i', NULL, .doc = "Pass standard input on." },
	{ "env", 'e', "NAME=VALUE", .repeat = TRUE,
	  .doc = "With a command: set an environment variable. May be repeated." },
	{ "workdir", 'w', "DIR", .doc = "With a command: the directory to execute it in." },
	{ NULL },
};

const struct option list_options[] = {
	{ "quiet", 'q', NULL, .doc = "Names only, one a line." },
	{ "wide", 'w', NULL, .doc = "Show every column." },
	{ NULL },
};

const struct option ps_options[] = {
	{ "all", 'a', NULL, .doc = "Accepted for habit's sake: stopped VMs are always listed." },
	{ "quiet", 'q', NULL, .doc = "Names only, one a line." },
	{ "wide", 'w', NULL, .doc = "Show every column." },
	{ NULL },
};

const struct option exec_options[] = {
	{ "interactive", 'i', NULL, .doc = "Pass standard input on." },
	{ "tty", 't', NULL, .doc = "Give the command a terminal; standard input is passed on." },
	{ "env", 'e', "NAME=VALUE", .repeat = TRUE, .doc = "Set an environment variable. May be repeated." },
	{ "workdir", 'w', "DIR", .doc = "The directory to execute it in." },
	{ "wait", 0, "DURATION", .doc = "How long to wait for the guest to be ready (default 60s)." },
	{ NULL },
};

const struct option logs_options[] = {
	{ "follow", 'f', NULL, .doc = "Go on until the VM ends." },
	{ "tail", 0, "SIZE", .doc = "Only the last so many bytes, like 4K." },
	{ NULL },
};

const struct option stop_options[] = {
	{ "timeout", 0, "DURATION", .doc = "Kill the VM after this long (default: the VM's own, 30s)." },
	{ "force", 'f', NULL, .doc = "Kill it now." },
	{ NULL },
};

const struct option rm_options[] = {
	{ "force", 'f', NULL, .doc = "Also when it is running: it is killed." },
	{ NULL },
};

const struct option events_options[] = {
	{ "since", 0, "REVISION", .doc = "Begin after this revision instead of now." },
	{ NULL },
};

const struct option capacity_options[] = {
	{ "cpus", 'c', "N", .doc = "Virtual CPUs (default 1)." },
	{ "memory", 'm', "SIZE", .doc = "Memory, like 512M or 2G (default 256M)." },
	{ "engine", 0, "ENGINE", VALUE_CHOICE, engines, .doc = "How it is run: qemu, or sim (no guest, for tests)." },
	{ "pool", 0, "POOL", .doc = "The compute pool (default: default)." },
	{ "cpu-reserve", 0, "PERCENT", .doc = "CPU time kept for it (default: none)." },
	PLACEMENT_OPTIONS,
	{ NULL },
};

const struct option host_add_options[] = {
	{ "engine", 0, "ENGINE", VALUE_CHOICE, engines, .doc = "sim: real hosts add themselves." },
	{ "count", 0, "N", .doc = "How many (default 1)." },
	{ "shape", 0, "SHAPE", .doc = "NUMA nodes, and processors and memory of each: 2x40c90G." },
	{ "name", 'n', "NAME", .doc = "They are called NAME-0001 and so on (default sim)." },
	{ "label", 'l', "KEY=VALUE", .repeat = TRUE, .doc = "A label of each. May be repeated." },
	{ "hosts-per-rack", 0, "N", .doc = "Label each N of them as a rack." },
	{ NULL },
};

const struct option overcommit_options[] = {
	{ "cpu", 0, "PERCENT", .doc = "vCPUs given out for each 100 processors (0: 1600, simulated hosts 100)." },
	{ "memory", 0, "PERCENT", .doc = "Memory given out for each 100 there is (0: 100)." },
	{ NULL },
};

const struct option pool_options[] = {
	{ "parent", 0, "POOL", .doc = "The pool it is a part of; none: all hosts." },
	{ "reserve", 0, "AMOUNTS", .repeat = TRUE, .doc = "Kept for it even when idle: cpu=8,memory=16G." },
	{ "limit", 0, "AMOUNTS", .repeat = TRUE, .doc = "The most it may take: cpu=16,memory=64G." },
	{ "shares", 0, "N", .doc = "Its weight among its siblings when there is too little: 1 to 10000 (1000)." },
	{ "spare-hosts", 0, "N", .doc = "Pool default: keep room for the loss of N hosts (0 to 8)." },
	{ "max-vms", 0, "N", .doc = "The most VMs in it; 0: no bound." },
	{ "description", 0, "TEXT", .doc = "What it is for." },
	{ NULL },
};

const struct option cpu_top_options[] = {
	{ "once", 0, NULL, .doc = "One table, of one second." },
	{ NULL },
};

const struct option rebalance_options[] = {
	{ "plan", 0, NULL, .doc = "Make the plan and print it. Carrying it out is not possible yet." },
	{ "max-moves", 0, "N", .doc = "At most so many moves (default 20)." },
	{ "strategy", 0, "NAME", .doc = "A continuous strategy: polder strategy ls allocation lists them." },
	{ NULL },
};

const struct option image_add_options[] = {
	{ "kernel", 0, "FILE", VALUE_FILE, .doc = "The kernel: vmlinux with a PVH note, or bzImage." },
	{ "initrd", 0, "FILE", VALUE_FILE, .doc = "The initial RAM disk." },
	{ "firmware", 0, "FILE", VALUE_FILE, .doc = "A ROM to start instead of a kernel." },
	{ "cmdline", 0, "TEXT", .doc = "The kernel's command line." },
	{ NULL },
};

#define WEIGHTS_OPTION                                                                                            \
	{                                                                                                         \
		"weights", 0, "WEIGHTS",                                                                          \
			.doc = "What efficiency is made of, like performance=0.5,availability=0.3,security=0.2; " \
			       "normalized."                                                                      \
	}
#define REQUIRE_OPTION                                                                                           \
	{                                                                                                        \
		"require", 0, "FLOOR", .repeat = TRUE,                                                           \
				       .doc = "A raw score or figure and its limit, like availability>=0.99 or " \
					      "hosts_max<=500. May be repeated."                                 \
	}

const struct option strategy_ls_options[] = {
	{ "quiet", 'q', NULL, .doc = "Names only, one a line." },
	{ NULL },
};

const struct option strategy_select_options[] = {
	WORKLOAD_OPTIONS,
	WEIGHTS_OPTION,
	REQUIRE_OPTION,
	{ "strategy", 0, "NAMES",
	  .doc = "Only these, separated by commas, like best-fit,weighted(cpu=2); default: all." },
	{ "plot", 0, "FILE", VALUE_FILE, .doc = "Also draw the scores into this SVG file." },
	{ "apply", 0, NULL, .doc = "Put the winner to work; only what can run live is compared." },
	{ NULL },
};

const struct option strategy_optimize_options[] = {
	WORKLOAD_OPTIONS,
	WEIGHTS_OPTION,
	REQUIRE_OPTION,
	{ "budget", 'b', "BUDGET", .doc = "How many evaluations (default 200), or for how long, like 30s." },
	{ "apply", 0, NULL, .doc = "Put the parameters found to work when they are a gain." },
	{ NULL },
};

const struct option strategy_apply_options[] = {
	{ "reason", 0, "TEXT", .doc = "Recorded with the choice (default: applied by hand)." },
	{ NULL },
};

static const char *const lab_parts[] = { "whole", "tune", "held-out", NULL };

const struct option lab_rebalance_options[] = {
	{ "reassignment", 0, "MODEL", VALUE_FILE,
	  .doc = "A machine reassignment instance (ROADEF/EURO 2012); the assignment follows as argument." },
	{ "ganeti", 0, "FILE", VALUE_FILE, .doc = "A Ganeti cluster in the text format of htools." },
	{ "strategy", 0, "NAME",
	  .doc = "annealing (default), lns or greedy-descent; a Ganeti cluster: greedy-descent." },
	{ "param", 0, "NAME=VALUE", .repeat = TRUE, .doc = "Set a parameter of the strategy. May be repeated." },
	{ "budget", 0, "BUDGET",
	  .doc = "Steps like 20000000 (default), or a time like 300s: the plan names the steps that repeat it." },
	{ "seed", 0, "N", .doc = "Of the random numbers (default 1)." },
	{ "max-moves", 0, "N", .doc = "Of a Ganeti cluster, no more moves than this." },
	{ "timing", 0, NULL, .doc = "Say how long it took." },
	{ NULL },
};

const struct option lab_allocation_options[] = {
	{ "trace", 0, "FILE", VALUE_FILE,
	  .doc = "The trace (azure, huawei or events CSV, may be gzip), a .vbp instance, "
		 "synthetic:vms=10000,seed=1, or live for what this daemon recorded." },
	{ "hosts", 0, "SPEC",
	  .doc = "2x40c90G: as many as needed, of 2 NUMA nodes of 40 CPUs and 90 GiB; 100*2x40c90G: exactly 100; or a "
		 "CSV file of hosts." },
	{ "strategy", 0, "NAMES", .doc = "all (default), or names separated by commas: first-fit,best-fit." },
	{ "param", 0, "NAME=VALUE", .repeat = TRUE, .doc = "A parameter of the one strategy named. May be repeated." },
	{ "option", 'o', "NAME=VALUE", .repeat = TRUE,
	  .doc = "Of the replay: racks, split-over, lifetime, tune-until, apart, samples, migrate, max-per-vm, "
		 "leave-out; of "
		 "packing: budget. "
		 "May be repeated." },
	{ "seed", 0, "N", .doc = "The first seed (default 1)." },
	{ "seeds", 0, "N", .doc = "Run with so many seeds, and show means and intervals (default 1)." },
	{ "part", 0, "PART", VALUE_CHOICE, lab_parts,
	  .doc = "whole (default), tune: arrivals before tune-until, or held-out: the rest, from an empty fleet." },
	{ "weights", 0, "WEIGHTS",
	  .doc = "What efficiency is made of (default performance=0.5,availability=0.3,security=0.2)." },
	{ "require", 0, "FLOOR", .repeat = TRUE, .doc = "A requirement like availability>=0.99. May be repeated." },
	{ "plot", 0, "FILE", VALUE_FILE, .doc = "Also draw the scores into this SVG file." },
	{ "timing", 0, NULL, .doc = "Also show what was measured with a clock; such output differs from run to run." },
	{ NULL },
};

const struct option lab_scheduling_options[] = {
	{ "workload", 0, "FILE", VALUE_FILE,
	  .doc = "rt-app-style JSON, task-set CSV, a directory or tar of recorded utilizations, or "
		 "synthetic:mixed,vms=24,cpus=8." },
	{ "cpus", 0, "N", .doc = "CPUs of the machine, instead of the workload's." },
	{ "strategy", 0, "NAMES", .doc = "all (default), or names separated by commas: eevdf,stride(slice-us=2000)." },
	{ "option", 'o', "NAME=VALUE", .repeat = TRUE,
	  .doc = "Of the simulation: threads (a core), sharing (off, vm, vcpu), seconds, vms, line. May be repeated." },
	{ "gantt", 0, "FILE", VALUE_FILE,
	  .doc = "Draw who ran where into this SVG file: the best one's first 100 ms." },
	{ "latency", 0, "FILE", VALUE_FILE,
	  .doc = "Draw into this SVG file how long vCPUs waited after they woke, a curve for each strategy." },
	{ "seed", 0, "N", .doc = "The first seed (default 1)." },
	{ "seeds", 0, "N", .doc = "Run with so many seeds, and show means and intervals (default 1)." },
	{ "weights", 0, "WEIGHTS",
	  .doc = "What efficiency is made of (default performance=0.5,availability=0.3,security=0.2)." },
	{ "require", 0, "FLOOR", .repeat = TRUE, .doc = "A requirement like availability>=0.99. May be repeated." },
	{ "timing", 0, NULL, .doc = "Also show what was measured with a clock; such output differs from run to run." },
	{ NULL },
};
