/* Plans for the table strategy: who runs when on each CPU, over one length that repeats for ever.
 *
 * A vCPU asks for runtime_ns in each period_ns and, with latency_ns, for never being off its CPU longer than that while its
 * share lasts; without it, the bound is what its period implies, 2 × (period − runtime). It gets a period that divides the
 * plan's length, the longest that keeps the bound, and the same share of it, rounded up to a nanosecond. Then, in order:
 * partition worst-fit decreasing; what does not fit is split over CPUs, all pieces but the last with their deadline as long
 * as their runtime (C=D), so that they run at once and in a row; failing that, partition by first fit. The plan of a CPU is
 * its EDF schedule.
 *
 * M. Vanga, A. Gujarati, B. B. Brandenburg, "Tableau: A High-Throughput and Predictable VM Scheduler for High-Density
 * Workloads", EuroSys 2018; A. Burns, R. I. Davis, P. Wang, F. Zhang, "Partitioned EDF scheduling for multiprocessors using
 * a C=D task splitting scheme", Real-Time Systems 48, 2012. */
#pragma once

#include "core/scheduling/scheduling.h"

#define SCHEDULING_TABLE_NS     INT64_C(102702600) /* has 288 divisors: a dense choice of periods, as in Tableau */
#define SCHEDULING_TABLE_MIN_NS 100000             /* least period */

struct scheduling_table_slot {
	int64_t end_ns;  /* begins where the one before ends, the first at 0 */
	uint32_t entity; /* SCHEDULING_NO_ENTITY: nobody's */
};

struct scheduling_table {
	uint32_t n_cpus, n_entities;
	uint32_t *cursors;                         /* n_cpus: for going through it */
	const uint32_t *first;                     /* n_cpus + 1: where a CPU's slots begin in slots */
	const struct scheduling_table_slot *slots; /* the last of a CPU ends at SCHEDULING_TABLE_NS */
	const uint32_t *home; /* n_entities: its CPU; SCHEDULING_NO_CPU when split over several or not in the plan */
};

enum scheduling_table_result {
	SCHEDULING_TABLE_PLANNED,
	SCHEDULING_TABLE_MALFORMED, /* runtime over period, a period under SCHEDULING_TABLE_MIN_NS or over 10 s */
	SCHEDULING_TABLE_LATENCY,   /* a latency that even the shortest period cannot keep */
	SCHEDULING_TABLE_CAPACITY,  /* no plan found */
	SCHEDULING_TABLE_MEMORY,    /* less than scheduling_table_bytes() */
};

/* Of memory for scheduling_table_plan. Entities with runtime_ns = 0 are not planned: they run in slots left over. */
size_t scheduling_table_bytes(const struct scheduling_entity *entities, uint32_t n_entities, uint32_t n_cpus);

/* scheduling_table_plan(entities, n_entities, n_cpus, memory, table): `memory` (aligned for any object) holds the plan and must
 * live as long as it. A plan is returned only when scheduling_table_verify() holds. */
struct scheduling_table_memory {
	void *start;
	size_t bytes;
};
enum scheduling_table_result scheduling_table_plan(const struct scheduling_entity *entities, uint32_t n_entities,
						   uint32_t n_cpus, struct scheduling_table_memory memory,
						   struct scheduling_table *table);

/* What a vCPU is promised: never off its CPU for longer. */
int64_t scheduling_table_bound(const struct scheduling_entity *entity);

/* What the plan gives each vCPU, by going through it. */
struct scheduling_table_given {
	int64_t service_ns; /* in a length */
	int64_t gap_ns;     /* longest time without */
	int64_t first_ns, last_ns;
};
/* scheduling_table_verify(entities, table, given): every CPU's slots in order and complete, no vCPU on two CPUs at once, each
 * with its share and its bound. given[n_entities] is written. Independent of how the plan was made. */
bool scheduling_table_verify(const struct scheduling_entity *entities, const struct scheduling_table *table,
			     struct scheduling_table_given *given);
