#include "core/allocation/resources.h"

const char *const allocation_dimension_names[] = {
	[ALLOCATION_CPU] = "cpu",
	[ALLOCATION_MEMORY] = "memory",
	[ALLOCATION_HUGE_2M] = "huge-2m",
	[ALLOCATION_HUGE_1G] = "huge-1g",
	[ALLOCATION_DISK] = "disk",
	[ALLOCATION_NETWORK] = "network",
	[ALLOCATION_CPU_RESERVE] = "cpu-reserve",
	[ALLOCATION_EXTENDED] = "extended-1",
	[ALLOCATION_EXTENDED + 1] = "extended-2",
	[ALLOCATION_EXTENDED + 2] = "extended-3",
	[ALLOCATION_EXTENDED + 3] = "extended-4",
	[ALLOCATION_DIMENSIONS] = NULL,
};

const char *const allocation_level_names[] = {
	[ALLOCATION_HOST] = "host",
	[ALLOCATION_RACK] = "rack",
	[ALLOCATION_ZONE] = "zone",
	[ALLOCATION_LEVELS] = NULL,
};

const char *const allocation_constraint_names[] = {
	[ALLOCATION_IS_AWAY] = "away",
	[ALLOCATION_IS_CORDONED] = "cordoned",
	[ALLOCATION_LACKS_ENGINE] = "engine",
	[ALLOCATION_LACKS_CPU_MODEL] = "cpu-model",
	[ALLOCATION_LACKS_LABEL] = "label",
	[ALLOCATION_IS_TAINTED] = "taint",
	[ALLOCATION_IS_EXCLUSIVE] = "exclusive",
	[ALLOCATION_LACKS_CPU] = "cpu",
	[ALLOCATION_LACKS_MEMORY] = "memory",
	[ALLOCATION_LACKS_HUGE_2M] = "huge-2m",
	[ALLOCATION_LACKS_HUGE_1G] = "huge-1g",
	[ALLOCATION_LACKS_DISK] = "disk",
	[ALLOCATION_LACKS_NETWORK] = "network",
	[ALLOCATION_LACKS_CPU_RESERVE] = "cpu-reserve",
	[ALLOCATION_LACKS_EXTENDED] = "extended",
	[ALLOCATION_LACKS_NUMA] = "numa",
	[ALLOCATION_BREAKS_AFFINITY] = "affinity",
	[ALLOCATION_BREAKS_ANTI_AFFINITY] = "anti-affinity",
	[ALLOCATION_BREAKS_SPREAD] = "spread",
	[ALLOCATION_BREAKS_HEADROOM] = "headroom",
	[ALLOCATION_CONSTRAINTS] = NULL,
};
