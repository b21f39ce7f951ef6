/* Clusters in the text format of Ganeti's htools (gnt-cluster's and hscan's dumps; htools 2.x to 3.0): five sections that
 * empty lines separate, fields that '|' separates: groups, nodes, instances, cluster tags, policies.
 *
 * The score is hbal's with --ignore-dynu (htools 3.0.2): the weighted sum of the spreads of free memory, free disk and virtual
 * CPU ratio, each counted twice with weight 1/2 (now, and with what is forthcoming). Instances whose disk every node
 * reaches (ext, rbd, sharedfile, gluster, diskless) move; those on one node's disk (plain, file) stay. What this does not
 * score is refused: drbd, several node groups, exclusion tags, instances on offline nodes. */
#pragma once

#include "core/allocation/rebalance.h"
#include "lab/reassignment.h"

#define GANETI_BYTES_MAX     (64u << 20)
#define GANETI_NODES_MAX     10000u
#define GANETI_INSTANCES_MAX 200000u

struct lab_ganeti {
	struct rebalance_even even;   /* borrows the arrays below */
	GPtrArray *nodes, *instances; /* char *: names, owned */
	guint32 *node;                /* [instances]: where each is */
	guint32 *memory_mib;          /* [instances] */
	GPtrArray *parts;             /* owned arrays */
};

struct lab_ganeti *lab_ganeti_load(const char *path, GError **error);
struct lab_ganeti *lab_ganeti_parse(const struct lab_text *file, GError **error);
void lab_ganeti_free(struct lab_ganeti *cluster);
typedef struct lab_ganeti lab_ganeti_auto; /* for g_autoptr */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(lab_ganeti_auto, lab_ganeti_free)
