/* Allocation as a family of the lab: traces replayed on fleets. Options of its load ("name=value"):
 *
 *   hosts=2x40c90G        the fleet (fleet.h); default: the trace's own hosts, or else 2x40c90G
 *   racks=40              hosts a rack where none are named
 *   split-over=20         GiB above which a VM is split over two NUMA nodes (azure 20, huawei 10; 0: as needed)
 *   lifetime=midpoint     of binned lifetimes: midpoint, shortest, longest
 *   tune-until=1.5d       where the part to tune on ends (azure 1.5d; else half of the time in which VMs come)
 *   apart=no              members of a group on different hosts: no, soft, hard
 *   samples=32            how often the loss of a host is tried
 *   migrate=NAME          moves while the trace runs (core/allocation/migrate.h), at most
 *   max-per-vm=0.05       of them for each VM asked for so far
 *   leave-out=0           this share of the batches is left out, each seed others (select and optimize: 0.1) */
#pragma once

#include "lab/evaluate.h"
#include "lab/replay.h"

extern const struct lab_family lab_allocation_family;

/* What load returned: to look at its trace and fleet. Borrowed. */
struct allocation_workload {
	struct trace *trace;
	struct fleet *fleet; /* owned unless it is the trace's */
	struct replay_options options;
	gint64 tune_until_us;
};
