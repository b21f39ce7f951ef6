/* The hosts a trace is replayed on.
 *
 *   2x40c90G              as many as needed, each of 2 NUMA nodes of 40 CPUs and 90 GiB (an elastic fleet)
 *   100*2x40c90G          exactly 100 of them; several such parts, separated by commas
 *   FILE.csv              a host a line: name,nodes,cpus,memory_mib[,rack,zone,labels]; cpus and memory of the whole host */
#pragma once

#include <gio/gio.h>

#include "core/allocation/resources.h"

#define FLEET_HOSTS_MAX       1000000
#define FLEET_RACK_OF_DEFAULT 40

struct fleet {
	gboolean elastic;
	struct allocation_host shape; /* of every host of an elastic fleet; rack is given when one is added */
	GArray *hosts;                /* struct allocation_host; empty when elastic */
	guint rack_hosts;             /* racks of so many hosts where none are named */
	gboolean names_racks;
};

/* fleet_parse(spec, rack_hosts, error): LAB_ERROR_INVALID or LAB_ERROR_NOT_FOUND. Caller frees. */
struct fleet *fleet_parse(const char *spec, guint rack_hosts, GError **error);
/* fleet_read(stream, name, …): the CSV form from a stream. */
struct fleet *fleet_read(GInputStream *stream, const char *name, guint rack_hosts, GError **error);
struct fleet *fleet_new_fixed(guint rack_hosts); /* without hosts yet */
void fleet_free(struct fleet *fleet);
typedef struct fleet fleet_auto; /* for g_autoptr */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(fleet_auto, fleet_free)

/* fleet_host_init(host, nodes, cpus, memory_mib): both divided evenly over the nodes, remainders to the first ones. FALSE
 * when it is not a host: no node or too many, fewer CPUs than nodes, no memory, more than 4096 CPUs or 16 TiB a node. */
gboolean fleet_host_init(struct allocation_host *host, guint64 nodes, guint64 cpus, guint64 memory_mib);
/* fleet_add(fleet, host): a host more; its rack by number when it has none and no host of the fleet names one. */
void fleet_add(struct fleet *fleet, const struct allocation_host *host);
/* fleet_rack(fleet, number): the rack (from 1) of an elastic fleet's host number. */
guint32 fleet_rack(const struct fleet *fleet, guint32 number);
