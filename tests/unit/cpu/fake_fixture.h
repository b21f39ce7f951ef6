/* A VM of two vCPUs on a fake kernel. */
#pragma once

#include "tests/unit/cpu/fake.h"

#define PID 1000 /* of the VM; its vCPUs are PID + 1 and PID + 2 */

struct fixture {
	struct fake fake;
	char *run;
	struct cpu *cpu;
	struct cpu_target target;
	struct scheduling_knobs knobs[2];
	struct cpu_report report;
};

/* With v1 or v2 groups; fixture_begin_with() says which controllers v2 has. */
void fixture_begin(struct fixture *f, gboolean v2);
void fixture_begin_with(struct fixture *f, gboolean v2, const char *controllers);
void fixture_end(struct fixture *f);
enum cpu_outcome fixture_apply(struct fixture *f, unsigned flags);
/* No group of ours, no journal. */
void fixture_expect_nothing_left(struct fixture *f);
