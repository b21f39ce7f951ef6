/* A VM of three vCPU threads on this machine's own kernel. Groups have names of their own, only threads of our own are
 * touched, and what is made is removed, also when a test fails: tests run in a child, whose own children end with it, and its
 * parent sweeps the groups. */
#pragma once

#include "daemon/cpu/kernel.h"
#include "tests/unit/cpu/world.h"

#define MS 1000000ll

struct live {
	char *run, *group;
	struct cpu *cpu;
	struct victim victim;
	struct cpu_target target;
	struct scheduling_knobs knobs[3];
	struct cpu_report report;
};

struct cpu *live_open_cpu(struct live *f, const struct cpu_kernel *kernel); /* NULL: Linux */
void live_begin(struct live *f, gboolean busy);
/* Also sees that no group is left. */
void live_end(struct live *f);
enum cpu_outcome live_apply(struct live *f);
/* FALSE, and the test is skipped, where the host can't. */
gboolean live_can(struct live *f, enum cpu_mechanism mechanism);
struct cpu_attr live_attr_of(struct live *f, guint i);

/* live_main(argc, argv, add_tests): the tests in a child, one such program at a time. */
int live_main(int argc, char **argv, void (*add_tests)(void));
