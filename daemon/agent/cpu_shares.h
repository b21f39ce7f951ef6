/* Whether vCPUs got what they were due since the last look, and weights corrected accordingly (core/scheduling/share.h): kernels
 * keep weights on each CPU, and even CPUs out only roughly. The worker's, between rounds. */
#pragma once

#include "daemon/agent/cpu_round.h"

#define CPU_SHARES_STRETCH_MIN_NS 20000000   /* shorter ones are joined to the next: counters tick by 4 ms */
#define CPU_SHARES_STRETCH_MAX_NS 2000000000 /* longer ones tell nothing of now */

struct cpu_shares;

struct cpu_shares *cpu_shares_new(void);
void cpu_shares_free(struct cpu_shares *shares); /* NULL is fine */

/* cpu_shares_correct(shares, round, now_ns): knobs[].weight of all vCPUs of the round that run by weight and anywhere, from
 * their usage[]; both were filled in, for all VMs. */
void cpu_shares_correct(struct cpu_shares *shares, struct cpu_round *round, gint64 now_ns);
