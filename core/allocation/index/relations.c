/* What relations between VMs say of a whole zone, so that a search leaves it out at once. */
#include "core/allocation/index/cells_private.h"
#include "core/allocation/world_private.h"

static bool spread_allows(const struct allocation_world *world, const struct allocation_request *request,
			  const struct allocation_spread *spread, uint32_t zone)
{
	uint64_t after = (uint64_t)world_group_count(world, world_group_key(spread->group, ALLOCATION_ZONE, zone)) +
			 world_is_member(request, spread->group);
	uint64_t skew = spread->max_skew > 0 ? spread->max_skew : 1;

	return after <= skew || after <= world_watch_least(world, request, spread) + skew;
}

static bool term_allows(const struct allocation_world *world, const struct allocation_request *request,
			const struct allocation_term *term, uint32_t zone)
{
	bool there = world_group_count(world, world_group_key(term->group, ALLOCATION_ZONE, zone)) > 0;

	if (term->anti)
		return !there;
	return there || (world_is_member(request, term->group) && allocation_world_members(world, term->group) == 0);
}

bool cells_zone_allows(const struct allocation_world *world, const struct allocation_request *request, uint32_t zone)
{
	for (unsigned i = 0; i < ALLOCATION_TERMS_MAX && request->term[i].group != 0; i++) {
		const struct allocation_term *term = &request->term[i];

		if (term->level == ALLOCATION_ZONE && term->soft_weight == 0 &&
		    !term_allows(world, request, term, zone))
			return false;
	}
	for (unsigned i = 0; i < ALLOCATION_SPREADS_MAX && request->spread[i].group != 0; i++) {
		const struct allocation_spread *spread = &request->spread[i];

		if (spread->level == ALLOCATION_ZONE && spread->soft_weight == 0 &&
		    !spread_allows(world, request, spread, zone))
			return false;
	}
	return true;
}
