/* What a trace's create asks of the world. */
#include "lab/replay.h"

#include <string.h>

#define SOFT_WEIGHT 100

static void numa_choose(const struct replay_options *options, guint32 n_nodes, const struct trace_event *event,
			struct allocation_request *request)
{
	if (event->numa_nodes > 1) {
		request->numa = ALLOCATION_NUMA_SPLIT;
		request->numa_nodes = event->numa_nodes;
	} else if (event->numa_nodes == 1) {
		request->numa = ALLOCATION_NUMA_ONE;
	} else if (options->split_over_mib == 0) {
		request->numa = ALLOCATION_NUMA_ANY;
	} else if (event->memory_mib > options->split_over_mib && n_nodes > 1) {
		request->numa = ALLOCATION_NUMA_SPLIT;
		request->numa_nodes = 2;
	} else {
		request->numa = ALLOCATION_NUMA_ONE;
	}
}

void replay_request_make(const struct replay_options *options, guint32 n_nodes, const struct trace_event *event,
			 struct allocation_request *request)
{
	memset(request, 0, sizeof *request);
	request->amount[ALLOCATION_CPU] = event->cpus_milli;
	request->amount[ALLOCATION_MEMORY] = event->memory_mib;
	request->priority = event->priority;
	request->tenant = event->tenant;
	request->batch = event->batch;
	numa_choose(options, n_nodes, event, request);
	if (options->apart == REPLAY_APART_NO || !event->group)
		return;
	request->member_of[0] = event->group;
	request->term[0].group = event->group;
	request->term[0].level = ALLOCATION_HOST;
	request->term[0].anti = true;
	request->term[0].soft_weight = options->apart == REPLAY_APART_SOFT ? SOFT_WEIGHT : 0;
}
