/* All that daemon/cpu asks of the kernel, in one table: tests put a kernel of their own below it. Each returns 0 or an
 * errno. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/scheduling/scheduling.h"

/* struct sched_attr of sched_setattr(2), version with utilization clamps. */
struct cpu_attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime_ns, deadline_ns, period_ns;
	uint32_t util_min, util_max;
};
_Static_assert(sizeof(struct cpu_attr) == 56, "the kernel's struct sched_attr");

enum { CPU_ATTR_RESET_ON_FORK = 1 };

struct cpu_mask {
	unsigned long bits[SCHEDULING_CPUS_MAX / (8 * sizeof(unsigned long))];
};

enum cpu_core_op { CPU_CORE_GET, CPU_CORE_CREATE, CPU_CORE_SHARE, CPU_CORE_CLEAR };

struct cpu_kernel {
	int (*make_group)(void *data, const char *path);
	int (*remove_group)(void *data, const char *path);
	/* The whole file as a string, cut at size − 1 (a list of threads may be longer: read again after moving them). */
	int (*read)(void *data, const char *path, char *text, size_t size);
	int (*write)(void *data, const char *path, const char *text);
	int (*set_attr)(void *data, pid_t tid, const struct cpu_attr *attr);
	int (*get_attr)(void *data, pid_t tid, struct cpu_attr *attr);
	int (*set_affinity)(void *data, pid_t tid, const struct cpu_mask *mask);
	int (*get_affinity)(void *data, pid_t tid, struct cpu_mask *mask);
	/* GET: is there core scheduling; CREATE: a new cookie for tid; SHARE: tid gets that of `from`; CLEAR: none. */
	int (*core)(void *data, enum cpu_core_op op, pid_t tid, pid_t from);
	void *data;
};

extern const struct cpu_kernel cpu_kernel_linux;
