/* Scheduling as a family of the lab. Options of its load ("name=value"):
 *
 *   cpus=8             of the machine, instead of the workload's
 *   threads=2          of a core
 *   model=ideal        the strategy itself; kernel: its projection on a model of the kernel
 *   sharing=off        who may share a core: off (anyone), vm (a tenant's), vcpu (nobody)
 *   seconds=10         of virtual time, instead of the workload's; of a live recording the last (600, or 5 million wake-ups)
 *   vms=1000           of recorded VMs, the first by name
 *   line=2             of a CSV of task sets
 *   jitter=10          percent: exact runs and sleeps vary by so much, each seed otherwise (select and optimize: 10) */
#pragma once

#include "lab/evaluate.h"

extern const struct lab_family lab_scheduling_family;
