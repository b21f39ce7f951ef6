/* All or none. */
#include "core/allocation/placer_private.h"

size_t allocation_placer_gang(struct allocation_placer *placer, const uint32_t *class_ids, size_t n, int64_t now_ms,
			      uint32_t *vms)
{
	size_t placed = 0;
	size_t first_out;

	for (; placed < n; placed++) {
		struct allocation_decision decision;

		allocation_placer_decide(placer, class_ids[placed], now_ms, &decision);
		if (decision.fit.host == ALLOCATION_NONE)
			break;
		vms[placed] = allocation_placer_place(placer, class_ids[placed], &decision.fit, now_ms);
		if (vms[placed] == ALLOCATION_NONE)
			break;
	}
	first_out = placed;
	/* Last one first: so each number goes back to where it was taken from. */
	while (first_out < n && placed > 0)
		placer_remove(placer, vms[--placed], now_ms, -1);
	return first_out;
}
