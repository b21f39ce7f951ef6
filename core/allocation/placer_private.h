/* Inside the placer: for gang.c and explain.c. */
#pragma once

#include "core/allocation/family.h"

struct allocation_placer {
	struct allocation_world *world; /* borrowed */
	const struct allocation_strategy *strategy;
	void *state;
	bool scans; /* it could not keep up: its state is not to be trusted for anything but its parameters */
};

/* placer_remove(placer, vm, now_ms, lived_ms): lived_ms −1: it did not end (taken back, or moved). */
void placer_remove(struct allocation_placer *placer, uint32_t vm, int64_t now_ms, int64_t lived_ms);
/* placer_host_changed(placer, host): tell the strategy that the host is not what it was. */
void placer_host_changed(struct allocation_placer *placer, uint32_t host);
