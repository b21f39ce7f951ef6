/* The one command table. Help, per-command help, completion and man pages are generated from it. */
#include "cli/options.h"
#include "cli/verbs.h"
#include "cli/workload.h"

#define GROUP_VM     "Virtual machines"
#define GROUP_IMAGE  "Images"
#define GROUP_HOST   "Hosts and pools"
#define GROUP_LAB    "Strategies and the lab"
#define GROUP_SYSTEM "The daemon and this command"

static const char *const shells[] = { "bash", "zsh", "fish", NULL };

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
	{ .noun = "cpu",
	  .verb = "top",
	  .group = GROUP_HOST,
	  .carry_out = verb_cpu_top,
	  .options = cpu_top_options,
	  .doc = "Show what each vCPU gets",
	  .help = "In percent of one CPU over the last second: how long it ran, how long it was ready and waited, what "
		  "it "
		  "is entitled to were all to run at once, and how long its limit held it. With --json the counters "
		  "since it began, once. Interrupt it to end it." },
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
	  .help = "From the next decision on; nothing restarts and no VM is disturbed. The choice is recorded. With "
		  "any "
		  "scheduling strategy goes sharing=off|vm|vcpu: whose vCPUs may run on one core's hardware threads at "
		  "the "
		  "same time, anyone's, those of one tenant's VMs, or nobody's beside another.",
	  .examples = "polder strategy apply allocation best-fit\n"
		      "polder strategy apply scheduling eevdf sharing=vm" },
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
	  .help = "Each strategy runs the same vCPUs in virtual time, itself and as a model of the kernel carries out "
		  "what "
		  "it becomes there, and is scored for performance, availability and security. The same seed gives the "
		  "same bytes.",
	  .examples = "polder lab scheduling --workload examples/scheduling/mixed.json --cpus 8 --strategy all\n"
		      "polder lab scheduling --workload synthetic:attack --strategy eevdf --gantt out.svg\n"
		      "polder lab scheduling --workload synthetic:mixed,vms=24,cpus=8 --latency latency.svg",
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
