/* The one command table. Help, per-command help, completion and man pages are generated from it. */
#include "cli/verbs.h"
#include "cli/workload.h"

#define GROUP_VM     "Virtual machines"
#define GROUP_IMAGE  "Images"
#define GROUP_HOST   "Hosts and pools"
#define GROUP_LAB    "Strategies and the lab"
#define GROUP_SYSTEM "The daemon and this command"

static const char *const engines[] = { "qemu", "sim", NULL };
static const char *const networks[] = { "user", "none", NULL };
static const char *const restarts[] = { "never", "on-failure", "always", NULL };
static const char *const shells[] = { "bash", "zsh", "fish", NULL };

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

static const struct option run_options[] = {
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

static const struct option list_options[] = {
	{ "quiet", 'q', NULL, .doc = "Names only, one a line." },
	{ "wide", 'w', NULL, .doc = "Show every column." },
	{ NULL },
};

static const struct option ps_options[] = {
	{ "all", 'a', NULL, .doc = "Accepted for habit's sake: stopped VMs are always listed." },
	{ "quiet", 'q', NULL, .doc = "Names only, one a line." },
	{ "wide", 'w', NULL, .doc = "Show every column." },
	{ NULL },
};

static const struct option exec_options[] = {
	{ "interactive", 'i', NULL, .doc = "Pass standard input on." },
	{ "tty", 't', NULL, .doc = "Give the command a terminal; standard input is passed on." },
	{ "env", 'e', "NAME=VALUE", .repeat = TRUE, .doc = "Set an environment variable. May be repeated." },
	{ "workdir", 'w', "DIR", .doc = "The directory to execute it in." },
	{ "wait", 0, "DURATION", .doc = "How long to wait for the guest to be ready (default 60s)." },
	{ NULL },
};

static const struct option logs_options[] = {
	{ "follow", 'f', NULL, .doc = "Go on until the VM ends." },
	{ "tail", 0, "SIZE", .doc = "Only the last so many bytes, like 4K." },
	{ NULL },
};

static const struct option stop_options[] = {
	{ "timeout", 0, "DURATION", .doc = "Kill the VM after this long (default: the VM's own, 30s)." },
	{ "force", 'f', NULL, .doc = "Kill it now." },
	{ NULL },
};

static const struct option rm_options[] = {
	{ "force", 'f', NULL, .doc = "Also when it is running: it is killed." },
	{ NULL },
};

static const struct option events_options[] = {
	{ "since", 0, "REVISION", .doc = "Begin after this revision instead of now." },
	{ NULL },
};

static const struct option capacity_options[] = {
	{ "cpus", 'c', "N", .doc = "Virtual CPUs (default 1)." },
	{ "memory", 'm', "SIZE", .doc = "Memory, like 512M or 2G (default 256M)." },
	{ "engine", 0, "ENGINE", VALUE_CHOICE, engines, .doc = "How it is run: qemu, or sim (no guest, for tests)." },
	{ "pool", 0, "POOL", .doc = "The compute pool (default: default)." },
	PLACEMENT_OPTIONS,
	{ NULL },
};

static const struct option host_add_options[] = {
	{ "engine", 0, "ENGINE", VALUE_CHOICE, engines, .doc = "sim: real hosts add themselves." },
	{ "count", 0, "N", .doc = "How many (default 1)." },
	{ "shape", 0, "SHAPE", .doc = "NUMA nodes, and processors and memory of each: 2x40c90G." },
	{ "name", 'n', "NAME", .doc = "They are called NAME-0001 and so on (default sim)." },
	{ "label", 'l', "KEY=VALUE", .repeat = TRUE, .doc = "A label of each. May be repeated." },
	{ "hosts-per-rack", 0, "N", .doc = "Label each N of them as a rack." },
	{ NULL },
};

static const struct option overcommit_options[] = {
	{ "cpu", 0, "PERCENT", .doc = "vCPUs given out for each 100 processors (0: 1600, simulated hosts 100)." },
	{ "memory", 0, "PERCENT", .doc = "Memory given out for each 100 there is (0: 100)." },
	{ NULL },
};

static const struct option pool_options[] = {
	{ "parent", 0, "POOL", .doc = "The pool it is a part of; none: all hosts." },
	{ "reserve", 0, "AMOUNTS", .repeat = TRUE, .doc = "Kept for it even when idle: cpu=8,memory=16G." },
	{ "limit", 0, "AMOUNTS", .repeat = TRUE, .doc = "The most it may take: cpu=16,memory=64G." },
	{ "shares", 0, "N", .doc = "Its weight among its siblings when there is too little: 1 to 10000 (1000)." },
	{ "spare-hosts", 0, "N", .doc = "Pool default: keep room for the loss of N hosts (0 to 8)." },
	{ "max-vms", 0, "N", .doc = "The most VMs in it; 0: no bound." },
	{ "description", 0, "TEXT", .doc = "What it is for." },
	{ NULL },
};

static const struct option rebalance_options[] = {
	{ "plan", 0, NULL, .doc = "Make the plan and print it. Carrying it out is not possible yet." },
	{ "max-moves", 0, "N", .doc = "At most so many moves (default 20)." },
	{ "strategy", 0, "NAME", .doc = "A continuous strategy: polder strategy ls allocation lists them." },
	{ NULL },
};

static const struct option image_add_options[] = {
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

static const struct option strategy_ls_options[] = {
	{ "quiet", 'q', NULL, .doc = "Names only, one a line." },
	{ NULL },
};

static const struct option strategy_select_options[] = {
	WORKLOAD_OPTIONS,
	WEIGHTS_OPTION,
	REQUIRE_OPTION,
	{ "strategy", 0, "NAMES",
	  .doc = "Only these, separated by commas, like best-fit,weighted(cpu=2); default: all." },
	{ "plot", 0, "FILE", VALUE_FILE, .doc = "Also draw the scores into this SVG file." },
	{ "apply", 0, NULL, .doc = "Put the winner to work; only what can run live is compared." },
	{ NULL },
};

static const struct option strategy_optimize_options[] = {
	WORKLOAD_OPTIONS,
	WEIGHTS_OPTION,
	REQUIRE_OPTION,
	{ "budget", 'b', "BUDGET", .doc = "How many evaluations (default 200), or for how long, like 30s." },
	{ "apply", 0, NULL, .doc = "Put the parameters found to work when they are a gain." },
	{ NULL },
};

static const struct option strategy_apply_options[] = {
	{ "reason", 0, "TEXT", .doc = "Recorded with the choice (default: applied by hand)." },
	{ NULL },
};

static const char *const lab_parts[] = { "whole", "tune", "held-out", NULL };

static const struct option lab_rebalance_options[] = {
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

static const struct option lab_allocation_options[] = {
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

static const struct option lab_scheduling_options[] = {
	{ "workload", 0, "FILE", VALUE_FILE,
	  .doc = "rt-app-style JSON, task-set CSV, a directory or tar of recorded utilizations, or "
		 "synthetic:mixed,vms=24,cpus=8." },
	{ "cpus", 0, "N", .doc = "CPUs of the machine, instead of the workload's." },
	{ "strategy", 0, "NAMES", .doc = "all (default), or names separated by commas: eevdf,stride(slice-us=2000)." },
	{ "option", 'o', "NAME=VALUE", .repeat = TRUE,
	  .doc = "Of the simulation: threads (a core), sharing (off, vm, vcpu), seconds, vms, line. May be repeated." },
	{ "gantt", 0, "FILE", VALUE_FILE, .doc = "Draw who ran where into this SVG file: the best one's first 200 ms." },
	{ "seed", 0, "N", .doc = "The first seed (default 1)." },
	{ "seeds", 0, "N", .doc = "Run with so many seeds, and show means and intervals (default 1)." },
	{ "weights", 0, "WEIGHTS",
	  .doc = "What efficiency is made of (default performance=0.5,availability=0.3,security=0.2)." },
	{ "require", 0, "FLOOR", .repeat = TRUE, .doc = "A requirement like availability>=0.99. May be repeated." },
	{ "timing", 0, NULL, .doc = "Also show what was measured with a clock; such output differs from run to run." },
	{ NULL },
};

#define COMMAND_STATUSES                                          \
	"N    the command's own exit status\n"                    \
	"128+N    the command was ended by signal N\n"            \
	"125    Polder itself failed after the VM was accepted\n" \
	"126, 127    the command can't be executed, or is not there"

#define ONE_VM                                          \
	{                                               \
		"NAME", VALUE_VM, NULL, 1, 1, "The VM." \
	}
#define ONE_POOL                                            \
	{                                                   \
		"NAME", VALUE_TEXT, NULL, 1, 1, "The pool." \
	}
#define SOME_HOSTS                                              \
	{                                                       \
		"NAME", VALUE_HOST, NULL, 1, 1000, "The hosts." \
	}
#define SOME_VMS                                            \
	{                                                   \
		"NAME", VALUE_VM, NULL, 1, 1000, "The VMs." \
	}

const struct command commands[] = {
	{ .verb = "run",
	  .group = GROUP_VM,
	  .carry_out = verb_run,
	  .options = run_options,
	  .tail = TAIL_OPTIONAL,
	  .argument = { "IMAGE", VALUE_IMAGE, NULL, 1, 1, "The image to boot." },
	  .doc = "Run a new VM, or one command in a throwaway VM",
	  .help = "With a command after --, boots a throwaway VM, executes the command in it, passes its output and "
		  "exit "
		  "status on and removes the VM.\n\n"
		  "Without one, creates a VM that stays. On a terminal you are attached to its console: Ctrl-] "
		  "detaches and "
		  "leaves it running. With --detach, or when there is no terminal, its name is printed once it "
		  "runs.\n\n"
		  "The image is built first when it is not there yet.",
	  .examples = "polder run tiny -- uname -a\npolder run --name web --cpus 2 --memory 512M -p 8080:80 tiny\n"
		      "polder run -it tiny -- sh",
	  .statuses = COMMAND_STATUSES },
	{ .verb = "ps",
	  .group = GROUP_VM,
	  .carry_out = verb_ps,
	  .options = ps_options,
	  .doc = "List VMs",
	  .help = "Lists every VM with what it is doing and why." },
	{ .verb = "show",
	  .group = GROUP_VM,
	  .carry_out = verb_show,
	  .argument = ONE_VM,
	  .doc = "Show everything about a VM",
	  .help = "What was asked for, what it is doing and why, and why it is on its host." },
	{ .verb = "explain",
	  .group = GROUP_VM,
	  .carry_out = verb_explain,
	  .argument = ONE_VM,
	  .doc = "Explain why a VM is where it is",
	  .help = "What was decided and why, which host was second, what ruled the others out, and what would be "
		  "decided now." },
	{ .verb = "exec",
	  .group = GROUP_VM,
	  .carry_out = verb_exec,
	  .options = exec_options,
	  .tail = TAIL_REQUIRED,
	  .argument = ONE_VM,
	  .doc = "Execute a command in a running VM",
	  .help = "Passes the command's output and exit status on. Waits for the guest when it is still booting. "
		  "Without a "
		  "terminal, SIGINT and SIGTERM go to the command; a third one gives up on it.",
	  .examples = "polder exec web -- cat /proc/cpuinfo\npolder exec -it web -- sh\n"
		      "tar c . | polder exec -i web -- tar x -C /tmp",
	  .statuses = COMMAND_STATUSES },
	{ .verb = "console",
	  .group = GROUP_VM,
	  .carry_out = verb_console,
	  .argument = ONE_VM,
	  .doc = "Attach to a VM's console",
	  .help = "Connects this terminal to the VM's serial console, beginning with its latest output. Ctrl-] "
		  "detaches and "
		  "leaves the VM running. Ends when the VM ends." },
	{ .verb = "logs",
	  .group = GROUP_VM,
	  .carry_out = verb_logs,
	  .options = logs_options,
	  .argument = ONE_VM,
	  .doc = "Show what a VM wrote to its console",
	  .help = "The newest 1 to 2 MiB are kept." },
	{ .verb = "start",
	  .group = GROUP_VM,
	  .carry_out = verb_start,
	  .argument = SOME_VMS,
	  .doc = "Start stopped VMs",
	  .help = "Returns once they are running. A VM that runs already is left alone." },
	{ .verb = "stop",
	  .group = GROUP_VM,
	  .carry_out = verb_stop,
	  .options = stop_options,
	  .argument = SOME_VMS,
	  .doc = "Stop running VMs",
	  .help = "Asks the guest to shut down, first through its agent, then by its power button, and kills it after "
		  "the "
		  "timeout. Returns once they are stopped." },
	{ .verb = "pause",
	  .group = GROUP_VM,
	  .carry_out = verb_pause,
	  .argument = SOME_VMS,
	  .doc = "Freeze running VMs",
	  .help = "Their memory stays; their clocks and connections stand still." },
	{ .verb = "resume",
	  .group = GROUP_VM,
	  .carry_out = verb_resume,
	  .argument = SOME_VMS,
	  .doc = "Let paused VMs go on",
	  .help = "Returns once they are running." },
	{ .verb = "rm",
	  .group = GROUP_VM,
	  .carry_out = verb_rm,
	  .options = rm_options,
	  .argument = SOME_VMS,
	  .doc = "Remove VMs",
	  .help = "Removes stopped VMs with their logs; running ones too with --force." },
	{ .verb = "events",
	  .group = GROUP_VM,
	  .carry_out = verb_events,
	  .options = events_options,
	  .doc = "Follow what happens",
	  .help = "A line for every visible change of a VM, image or host, until interrupted. As this is a stream, "
		  "--json "
		  "gives one JSON document a line." },

	{ .noun = "image",
	  .verb = "ls",
	  .group = GROUP_IMAGE,
	  .carry_out = verb_image_ls,
	  .options = list_options,
	  .doc = "List images",
	  .help = "Lists every image and whether it can be booted." },
	{ .noun = "image",
	  .verb = "show",
	  .group = GROUP_IMAGE,
	  .carry_out = verb_image_show,
	  .argument = { "NAME", VALUE_IMAGE, NULL, 1, 1, "The image." },
	  .doc = "Show everything about an image",
	  .help = "Where it comes from, its files in the cache, and what its users should know." },
	{ .noun = "image",
	  .verb = "build",
	  .group = GROUP_IMAGE,
	  .carry_out = verb_image_build,
	  .argument = { "NAME", VALUE_IMAGE, NULL, 1, 1, "The image." },
	  .doc = "Build an image, or build it anew",
	  .help = "Running VMs keep the one they booted." },
	{ .noun = "image",
	  .verb = "add",
	  .group = GROUP_IMAGE,
	  .carry_out = verb_image_add,
	  .options = image_add_options,
	  .argument = { "NAME", VALUE_TEXT, NULL, 1, 1, "The image's name." },
	  .doc = "Add an image from files",
	  .help = "Copies a kernel, an initial RAM disk or a firmware ROM into the cache. The files must be readable "
		  "to you.",
	  .examples = "polder image add mine --kernel ./vmlinux --initrd ./initrd.img --cmdline console=ttyS0" },
	{ .noun = "image",
	  .verb = "rm",
	  .group = GROUP_IMAGE,
	  .carry_out = verb_image_rm,
	  .argument = { "NAME", VALUE_IMAGE, NULL, 1, 1000, "The images." },
	  .doc = "Remove images",
	  .help = "Running VMs keep what they booted." },

	{ .noun = "host",
	  .verb = "ls",
	  .group = GROUP_HOST,
	  .carry_out = verb_host_ls,
	  .options = list_options,
	  .doc = "List hosts",
	  .help = "Lists the machines that run VMs." },
	{ .noun = "host",
	  .verb = "show",
	  .group = GROUP_HOST,
	  .carry_out = verb_host_show,
	  .argument = { "NAME", VALUE_HOST, NULL, 0, 1, "The host; all of them when left out." },
	  .doc = "Show what a host can do",
	  .help = "Which engines and which accelerator are used and why, and what does not work here and why." },
	{ .noun = "host",
	  .verb = "add",
	  .group = GROUP_HOST,
	  .carry_out = verb_host_add,
	  .options = host_add_options,
	  .doc = "Add simulated hosts",
	  .help = "Hosts without a machine, to try strategies on at any scale: VMs of engine sim land there and "
		  "nothing else does.",
	  .examples = "polder host add --engine sim --count 100 --shape 2x40c90G --hosts-per-rack 20" },
	{ .noun = "host",
	  .verb = "rm",
	  .group = GROUP_HOST,
	  .carry_out = verb_host_rm,
	  .argument = SOME_HOSTS,
	  .doc = "Remove simulated hosts",
	  .help = "They must have no VM. A real host goes when its agent ends." },
	{ .noun = "host",
	  .verb = "label",
	  .group = GROUP_HOST,
	  .carry_out = verb_host_label,
	  .argument = { "NAME LABEL", VALUE_HOST, NULL, 2, 65, "The host, then labels: key=value sets, key- removes." },
	  .doc = "Label a host",
	  .help = "Labels say what a host is; --require and --avoid of run refer to them. rack and zone are its "
		  "failure domains, which --spread and @rack refer to.",
	  .examples = "polder host label h1 rack=r1 disk=ssd\npolder host label h1 disk-" },
	{ .noun = "host",
	  .verb = "taint",
	  .group = GROUP_HOST,
	  .carry_out = verb_host_taint,
	  .argument = { "NAME TAINT", VALUE_HOST, NULL, 2, 65, "The host, then taints; TAINT- removes one." },
	  .doc = "Keep VMs off a host unless they tolerate it",
	  .help = "VMs that are there stay.",
	  .examples = "polder host taint h1 maintenance\npolder host taint h1 maintenance-" },
	{ .noun = "host",
	  .verb = "overcommit",
	  .group = GROUP_HOST,
	  .carry_out = verb_host_overcommit,
	  .options = overcommit_options,
	  .argument = { "NAME", VALUE_HOST, NULL, 1, 1, "The host." },
	  .doc = "Say how much of a host may be given out",
	  .help = "In percent of what it has. Memory is not overcommitted unless you say so.",
	  .examples = "polder host overcommit h1 --cpu 400" },
	{ .noun = "host",
	  .verb = "drain",
	  .group = GROUP_HOST,
	  .carry_out = verb_host_drain,
	  .argument = { "NAME", VALUE_HOST, NULL, 1, 1, "The host." },
	  .doc = "Let a host take no new VM",
	  .help = "Prints where its VMs would go, and which have nowhere to go and why." },
	{ .noun = "host",
	  .verb = "uncordon",
	  .group = GROUP_HOST,
	  .carry_out = verb_host_uncordon,
	  .argument = { "NAME", VALUE_HOST, NULL, 1, 1, "The host." },
	  .doc = "Let a drained host take VMs again",
	  .help = "The opposite of drain." },
	{ .noun = "host",
	  .verb = "capacity",
	  .group = GROUP_HOST,
	  .carry_out = verb_host_capacity,
	  .options = capacity_options,
	  .doc = "Show how many more VMs fit",
	  .help = "How many more VMs like this would be placed now, and what then stops further ones.",
	  .examples = "polder host capacity --cpus 4 --memory 8G" },
	{ .noun = "pool",
	  .verb = "ls",
	  .group = GROUP_HOST,
	  .carry_out = verb_pool_ls,
	  .options = list_options,
	  .doc = "List compute pools",
	  .help = "A pool is a share of the hosts' resources, with what is kept for it and the most it may take." },
	{ .noun = "pool",
	  .verb = "show",
	  .group = GROUP_HOST,
	  .carry_out = verb_pool_show,
	  .argument = ONE_POOL,
	  .doc = "Show a pool and what it takes",
	  .help = "Its place in the tree, its reservation, limit and shares, and what its VMs use." },
	{ .noun = "pool",
	  .verb = "create",
	  .group = GROUP_HOST,
	  .carry_out = verb_pool_create,
	  .options = pool_options,
	  .argument = ONE_POOL,
	  .doc = "Create a compute pool",
	  .help = "What its VMs take counts in it and in all pools above it. When there is too little for all, pools "
		  "take turns by their shares of the resource each uses most of.",
	  .examples = "polder pool create gold --reserve cpu=8,memory=16G --limit cpu=16 --shares 2000" },
	{ .noun = "pool",
	  .verb = "set",
	  .group = GROUP_HOST,
	  .carry_out = verb_pool_set,
	  .options = pool_options,
	  .argument = ONE_POOL,
	  .doc = "Change a pool",
	  .help = "Only what is given changes. VMs that are placed stay, also over a new limit." },
	{ .noun = "pool",
	  .verb = "rm",
	  .group = GROUP_HOST,
	  .carry_out = verb_pool_rm,
	  .argument = { "NAME", VALUE_TEXT, NULL, 1, 1000, "The pools." },
	  .doc = "Remove pools",
	  .help = "They must have neither VMs nor pools in them." },
	{ .verb = "rebalance",
	  .group = GROUP_HOST,
	  .carry_out = verb_rebalance,
	  .options = rebalance_options,
	  .doc = "Plan moves that would improve the whole",
	  .help = "Which VMs to move where, in an order that works at every step, with what it gains and costs.",
	  .examples = "polder rebalance --plan --max-moves 20" },

	{ .noun = "strategy",
	  .verb = "ls",
	  .group = GROUP_LAB,
	  .carry_out = verb_strategy_ls,
	  .options = strategy_ls_options,
	  .argument = { "FAMILY", VALUE_CHOICE, family_names, 0, 1,
			"The family of decisions; all of them when left out." },
	  .doc = "List strategies",
	  .help = "Lists what there is to choose from, and what can run live.",
	  .examples = "polder strategy ls allocation" },
	{ .noun = "strategy",
	  .verb = "show",
	  .group = GROUP_LAB,
	  .carry_out = verb_strategy_show,
	  .argument = { "NAME", VALUE_TEXT, NULL, 1, 1, "The strategy." },
	  .doc = "Show what a strategy does and its parameters",
	  .help = "The idea, where it comes from, what it costs, when it loses, and each parameter with its range and "
		  "default.",
	  .examples = "polder strategy show best-fit" },
	{ .noun = "strategy",
	  .verb = "select",
	  .group = GROUP_LAB,
	  .carry_out = verb_strategy_select,
	  .options = strategy_select_options,
	  .argument = { "FAMILY", VALUE_CHOICE, family_names, 1, 1, "The family of decisions." },
	  .doc = "Compare strategies on a trace and choose",
	  .help = "Evaluates every strategy on the trace with several seeds, ranks them by efficiency and says why the "
		  "first "
		  "is first. When none meets what is required, the nearest is shown and nothing is applied.",
	  .examples = "polder strategy select allocation --trace trace.csv --hosts 2x40c90G\n"
		      "polder strategy select allocation --trace live --require 'availability>=0.99' --apply",
	  .statuses = "4    no strategy meets what --require asks" },
	{ .noun = "strategy",
	  .verb = "optimize",
	  .group = GROUP_LAB,
	  .carry_out = verb_strategy_optimize,
	  .options = strategy_optimize_options,
	  .argument = { "FAMILY NAME", VALUE_TEXT, NULL, 2, 2, "The family and the strategy." },
	  .doc = "Tune a strategy's parameters on a trace",
	  .help = "Searches the declared parameters on one part of the trace and judges the best on the other, against "
		  "the "
		  "defaults, with an interval. A time as budget prints the number of evaluations that repeats it.",
	  .examples = "polder strategy optimize allocation weighted --trace trace.csv --budget 5000" },
	{ .noun = "strategy",
	  .verb = "apply",
	  .group = GROUP_LAB,
	  .carry_out = verb_strategy_apply,
	  .options = strategy_apply_options,
	  .argument = { "FAMILY NAME [PARAMETER=VALUE]", VALUE_TEXT, NULL, 2, 18,
			"The family, the strategy, and parameters that differ from their defaults." },
	  .doc = "Put a strategy to work",
	  .help = "From the next decision on; nothing restarts and no VM is disturbed. The choice is recorded.",
	  .examples = "polder strategy apply allocation best-fit" },
	{ .noun = "strategy",
	  .verb = "rollback",
	  .group = GROUP_LAB,
	  .carry_out = verb_strategy_rollback,
	  .argument = { "FAMILY", VALUE_CHOICE, family_names, 1, 1, "The family of decisions." },
	  .doc = "Go back to the strategy before",
	  .help = "Undoes the latest apply." },
	{ .noun = "strategy",
	  .verb = "status",
	  .group = GROUP_LAB,
	  .carry_out = verb_strategy_status,
	  .argument = { "FAMILY", VALUE_CHOICE, family_names, 1, 1, "The family of decisions." },
	  .doc = "Show which strategy is at work",
	  .help = "With its parameters, why it was chosen, and what was at work before." },

	{ .noun = "lab",
	  .verb = "allocation",
	  .group = GROUP_LAB,
	  .carry_out = verb_lab_allocation,
	  .options = lab_allocation_options,
	  .doc = "Replay a trace of VMs through allocation strategies",
	  .help = "Each strategy places the same VMs, and is scored for performance, availability and security. "
		  "Nothing is "
		  "started. The same seed gives the same bytes.",
	  .examples =
		  "polder lab allocation --trace examples/allocation/mixed.csv --hosts 2x40c90G\n"
		  "polder lab allocation --trace synthetic:vms=20000,seed=7 --hosts 50*2x40c90G --strategy best-fit",
	  .statuses = "4    no strategy meets what --require asks" },
	{ .noun = "lab",
	  .verb = "scheduling",
	  .group = GROUP_LAB,
	  .carry_out = verb_lab_scheduling,
	  .options = lab_scheduling_options,
	  .doc = "Simulate vCPU scheduling strategies on a workload",
	  .help = "Each strategy runs the same vCPUs in virtual time, itself and as a model of the kernel carries out what "
		  "it becomes there, and is scored for performance, availability and security. The same seed gives the "
		  "same bytes.",
	  .examples = "polder lab scheduling --workload examples/scheduling/mixed.json --cpus 8 --strategy all\n"
		      "polder lab scheduling --workload synthetic:attack --strategy eevdf --gantt out.svg",
	  .statuses = "4    no strategy meets what --require asks" },
	{ .noun = "lab",
	  .verb = "rebalance",
	  .group = GROUP_LAB,
	  .carry_out = verb_lab_rebalance,
	  .options = lab_rebalance_options,
	  .argument = { "ASSIGNMENT", VALUE_FILE, NULL, 0, 1, "With --reassignment: where every process is now." },
	  .doc = "Plan moves that improve what is placed, for a field's instance",
	  .help = "Prints the moves in an order in which each has room when its turn comes, then what they gain and "
		  "cost. "
		  "Every plan is checked from scratch before it is printed. The same budget and seed give the same "
		  "bytes.",
	  .examples = "polder lab rebalance --ganeti examples/allocation/ganeti-small.txt\n"
		      "polder lab rebalance --reassignment examples/allocation/reassignment-model.txt \\\n"
		      "    examples/allocation/reassignment-assignment.txt --budget 100000" },

	{ .verb = "version",
	  .group = GROUP_SYSTEM,
	  .carry_out = verb_version,
	  .doc = "Show the versions and which daemon is used",
	  .help = "The version of this command and of the daemon it talks to, with the daemon's process ids and "
		  "socket." },
	{ .verb = "daemon",
	  .group = GROUP_SYSTEM,
	  .carry_out = verb_daemon,
	  .doc = "Run the daemon in the foreground",
	  .help = "Otherwise it is started by itself when a command needs it, and ends when no VM is left." },
	{ .verb = "completion",
	  .group = GROUP_SYSTEM,
	  .carry_out = verb_completion,
	  .argument = { "SHELL", VALUE_CHOICE, shells, 1, 1, "bash, zsh or fish." },
	  .doc = "Print shell completion",
	  .help = "Prints a script for your shell to load.",
	  .examples = "eval \"$(polder completion bash)\"" },
	{ .verb = "man",
	  .group = GROUP_SYSTEM,
	  .carry_out = verb_man,
	  .argument = { "COMMAND", VALUE_COMMAND, NULL, 0, 2, "The command; all of them when left out." },
	  .doc = "Print a manual page",
	  .help = "In roff, for man(1).",
	  .examples = "polder man run | man -l -" },
	{ .verb = "help",
	  .group = GROUP_SYSTEM,
	  .carry_out = verb_help,
	  .argument = { "COMMAND", VALUE_COMMAND, NULL, 0, 2, "The command; an overview when left out." },
	  .doc = "Show help",
	  .help = "The same as --help." },
	{ .verb = NULL },
};
