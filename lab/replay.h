/* A trace replayed through one strategy on a fleet, and what came of it.
 *
 * Elastic fleet: a strategy chooses among the hosts that are on; when none takes the VM, the lowest-numbered one that is off
 * (or a new one) is switched on and takes it. A host is switched off when its last VM leaves.
 * Fixed fleet: every host is on; what fits nowhere is refused, and stays asked for until its delete.
 *
 * A part of a trace begins with an empty fleet. Tuning sees arrivals before `tune_until_us` and is measured until then;
 * what is held out begins there and is measured until the end. */
#pragma once

#include "core/allocation/family.h"
#include "core/allocation/migrate.h"
#include "lab/evaluate.h"
#include "lab/trace.h"

enum replay_apart { REPLAY_APART_NO, REPLAY_APART_SOFT, REPLAY_APART_HARD };

struct replay_options {
	guint32 split_over_mib; /* more memory than this is split evenly over two nodes, less is on one; 0: on one where
				 * possible, else over as few as it takes */
	enum replay_apart apart;                      /* members of a group on different hosts */
	guint samples;                                /* how often the loss of a host is tried */
	const struct allocation_migration *migration; /* NULL: none */
	double max_moves_per_vm;
	double leave_out; /* this share of the batches (of VMs, where none are known) is, each seed others */
};

struct replay {
	const struct trace *trace;
	const struct fleet *fleet;
	struct replay_options options;
	gint64 tune_until_us;
	/* What is run: */
	const struct allocation_strategy *strategy;
	const struct strategy_values *values;
	guint64 seed;
	enum lab_part part;
};

struct replay_outcome {
	guint64 requests, refused, migrations, decisions;
	guint32 peak_hosts, peak_vms;
	double hours;                        /* measured */
	double host_hours, bound_host_hours; /* of hosts that hold VMs (fixed fleet: too) */
	double asked_hours, accepted_hours;  /* dominant-resource-time, in shares of a fixed fleet */
	double vm_hours;
	gboolean has_majority, has_replaceable;
	double majority_share;    /* of groups, mean over the time there are any */
	double replaceable_share; /* of the worst host's VMs, mean over samples */
	double own_share;         /* of the vCPUs on a VM's host that are its tenant's, mean over VM-time */
	double decide_p50_ns, decide_p99_ns;
};

/* replay_run(replay, outcome, error): deterministic but for decide_*_ns. */
gboolean replay_run(const struct replay *replay, struct replay_outcome *outcome, GError **error);

/* replay_can(strategy): NULL, or why it can't follow VMs that come and go (static text). */
const char *replay_can(const struct allocation_strategy *strategy);

/* replay_request_make(options, n_nodes, event, request): what a create asks for, without engine; `n_nodes`: most NUMA nodes
 * of a host of the fleet; tenant and group as they shall be. */
void replay_request_make(const struct replay_options *options, guint32 n_nodes, const struct trace_event *event,
			 struct allocation_request *request);
