/* Hosts drawn by chance. A draw depends on the seed, the placements there are, the class and the time, and on nothing else:
 * so state made again from the world draws the same, and asking twice gives the same answer. */
#pragma once

#include "core/allocation/index/tree.h"
#include "core/strategy/random.h"

struct allocation_chance;

struct allocation_chance *allocation_chance_new(const struct allocation_world *world, uint64_t seed);
void allocation_chance_free(struct allocation_chance *chance);
bool allocation_chance_update(struct allocation_chance *chance, const struct allocation_world *world,
			      const struct allocation_event *event);

/* allocation_chance_random(chance, class_id, now_ms): the numbers to draw with. */
struct strategy_random allocation_chance_random(const struct allocation_chance *chance, uint32_t class_id,
						int64_t now_ms);

/* allocation_chance_draw(chance, world, request, random, fit): a host that takes the request without any penalty, uniform over
 * these as long as 32 draws from all hosts hit one; else the first at or after a drawn host. On it, a drawn fit. false: there
 * is none. */
bool allocation_chance_draw(struct allocation_chance *chance, const struct allocation_world *world,
			    const struct allocation_request *request, struct strategy_random *random,
			    struct allocation_fit *fit);
