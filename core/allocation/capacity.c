/* How many more of a request fit, tried out on a copy. */
#include "core/allocation/explain.h"

#include <string.h>

/* Place on one host until it takes no more. false: out of memory. */
static bool fill(struct allocation_world *world, uint32_t class_id, uint32_t host, uint64_t limit, uint64_t *more)
{
	const struct allocation_request *request = allocation_world_request(world, class_id);
	struct allocation_fit fits[ALLOCATION_NODES_MAX];

	while (*more < limit && allocation_world_fits(world, request, host, fits) > 0) {
		if (allocation_world_place(world, class_id, &fits[0], 0) == ALLOCATION_NONE)
			return false;
		++*more;
	}
	return true;
}

static void rank(struct allocation_capacity *capacity)
{
	unsigned n = 0;

	for (unsigned c = 0; c < ALLOCATION_CONSTRAINTS; c++) {
		unsigned at;

		capacity->first_out[c] = ALLOCATION_CONSTRAINTS;
		if (capacity->stopped[c] == 0)
			continue;
		for (at = n++; at > 0 && capacity->stopped[capacity->first_out[at - 1]] < capacity->stopped[c]; at--)
			capacity->first_out[at] = capacity->first_out[at - 1];
		capacity->first_out[at] = c;
	}
}

bool allocation_capacity(const struct allocation_world *world, uint32_t class_id, uint64_t limit,
			 struct allocation_capacity *capacity)
{
	struct allocation_world *copy = allocation_world_copy(world);
	const struct allocation_request *request;
	uint32_t n_hosts;
	uint64_t before;
	bool ok = copy != NULL;

	memset(capacity, 0, sizeof(*capacity));
	if (!ok)
		return false;
	request = allocation_world_request(copy, class_id);
	n_hosts = allocation_world_n_hosts(copy);
	do { /* what is placed can open hosts passed before, by affinity and spread */
		before = capacity->more;
		for (uint32_t host = 0; host < n_hosts && ok && capacity->more < limit; host++)
			ok = fill(copy, class_id, host, limit, &capacity->more);
	} while (ok && capacity->more > before && capacity->more < limit);
	for (uint32_t host = 0; host < n_hosts; host++) {
		enum allocation_constraint violated = ALLOCATION_CONSTRAINTS;

		if (allocation_world_hosts(copy)[host].present)
			violated = allocation_world_violates(copy, request, host);
		if (violated != ALLOCATION_CONSTRAINTS)
			capacity->stopped[violated]++;
		else if (allocation_world_hosts(copy)[host].present)
			capacity->capped = true;
	}
	rank(capacity);
	allocation_world_free(copy);
	return ok;
}
