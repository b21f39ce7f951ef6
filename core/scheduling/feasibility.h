/* Will a set of reservations (runtime in each period, deadlines at the periods' ends) be kept? Exact in whole numbers: sums of
 * fractions are compared as fractions, never rounded. */
#pragma once

#include "core/scheduling/scheduling.h"

enum scheduling_feasible {
	SCHEDULING_FEASIBLE,           /* proved */
	SCHEDULING_INFEASIBLE,         /* proved */
	SCHEDULING_UNKNOWN,            /* neither, by this test */
	SCHEDULING_FEASIBLE_MALFORMED, /* a runtime over its period, or a period over 10 s */
};

/* scheduling_feasible_gfb(entities, n, n_cpus): under global EDF. Goossens, Funk, Baruah 2003: no miss when
 * Σu ≤ m − (m − 1)·u_max; on one CPU that is exact (Liu and Layland 1973). Σu > m: infeasible under anything. Entities with
 * runtime_ns = 0 do not count. n ≤ 2^20. */
enum scheduling_feasible scheduling_feasible_gfb(const struct scheduling_entity *entities, uint32_t n, uint32_t n_cpus);

/* scheduling_tardiness_bound_ns(entities, n, n_cpus): how late a job can be under global EDF when Σu ≤ m, rounded up:
 * ((m − 1)·C_max − C_min) ÷ (m − (m − 2)·u_max) + C_max (Devi and Anderson; Linux, Documentation/scheduler/
 * sched-deadline.rst). −1: Σu > m, or malformed: no bound. On one CPU 0. */
int64_t scheduling_tardiness_bound_ns(const struct scheduling_entity *entities, uint32_t n, uint32_t n_cpus);
