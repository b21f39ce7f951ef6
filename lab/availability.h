/* The two halves of allocation's availability score (docs/architecture.md, "Scores"): what a lost rack does to groups of
 * replicas, kept up to date with each VM; and whether a lost host's VMs find room elsewhere, computed when asked. */
#pragma once

#include <glib.h>

#include "core/allocation/world.h"

struct availability;
struct availability *availability_new(void);
void availability_free(struct availability *availability);

/* A member of `group` (≥ 1) has come to, or left, `rack` (the world's dense number). */
void availability_add(struct availability *availability, guint32 group, guint32 rack);
void availability_remove(struct availability *availability, guint32 group, guint32 rack);

/* availability_groups(availability, kept): how many groups of at least two there are now, and in `kept` how many of them
 * keep a majority (more than half of their members) when the rack is lost whose loss breaks most of them. */
guint32 availability_groups(const struct availability *availability, guint32 *kept);

#define AVAILABILITY_WORST_HOSTS 8
/* availability_replaceable(world, share): the least share, over the AVAILABILITY_WORST_HOSTS hosts that are fullest by
 * dominant resource, of the host's VMs that first-fit decreasing places on the other powered hosts (CPU and memory of
 * their nodes; affinities aside). FALSE: no VM is placed. */
gboolean availability_replaceable(const struct allocation_world *world, double *share);
