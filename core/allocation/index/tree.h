/* Hosts in the order of their numbers under a 16-ary tree of bounding boxes: finds the next host that might take a request
 * without looking at those that cannot. Each box holds, over the hosts under it, the most free of each dimension and the
 * union of labels, engines and tolerable taints; a box may promise what no single host under it has, never the reverse.
 *
 * A change costs one mark; boxes are brought up to date when next asked: O(log hosts) a changed host, and it ends where a
 * box stays as it was. Memory: about 100 bytes a host. */
#pragma once

#include "core/allocation/family.h"

struct allocation_tree;

/* allocation_tree_new(world): NULL when out of memory. */
struct allocation_tree *allocation_tree_new(const struct allocation_world *world);
void allocation_tree_free(struct allocation_tree *tree);

/* allocation_tree_touch(tree, world, host): `host` changed. false: out of memory for a new host, and the tree is stale. */
bool allocation_tree_touch(struct allocation_tree *tree, const struct allocation_world *world, uint32_t host);

/* allocation_tree_update(tree, world, event): as a strategy's `update`, with the stamps kept. */
bool allocation_tree_update(struct allocation_tree *tree, const struct allocation_world *world,
			    const struct allocation_event *event);

/* allocation_tree_next(tree, world, request, from): the lowest host ≥ from that may take the request by what is its own
 * (allocation_world_fits says for certain), or ALLOCATION_NONE. */
uint32_t allocation_tree_next(struct allocation_tree *tree, const struct allocation_world *world,
			      const struct allocation_request *request, uint32_t from);

/* allocation_tree_each(tree, world, request, visit, data): all of them, in order. */
void allocation_tree_each(struct allocation_tree *tree, const struct allocation_world *world,
			  const struct allocation_request *request, void (*visit)(void *data, uint32_t host),
			  void *data);

/* The stamp of a host is when the latest of its VMs was placed; ALLOCATION_STAMP_NEVER without VMs. */
#define ALLOCATION_STAMP_NEVER INT64_MIN
int64_t allocation_tree_stamp(const struct allocation_tree *tree, uint32_t host);
/* The host with the latest stamp, the lowest of several; ALLOCATION_NONE when no host has a VM. */
uint32_t allocation_tree_latest(struct allocation_tree *tree, const struct allocation_world *world);

/* allocation_tree_by_stamp(tree, world, request, accept, data): calls accept(data, host) for hosts that may take the request,
 * best stamp first as far as the boxes tell; accept returns true to settle on a host, and then only hosts with a later
 * stamp, or the same and a lower number, are still asked. Returns the host settled on or ALLOCATION_NONE. */
uint32_t allocation_tree_by_stamp(struct allocation_tree *tree, const struct allocation_world *world,
				  const struct allocation_request *request, bool (*accept)(void *data, uint32_t host),
				  void *data);

/* Bytes it holds. */
size_t allocation_tree_bytes(const struct allocation_tree *tree);
