/* What the machine is made of, as sysfs tells: NUMA nodes, cores, huge pages, disk, network. */
#pragma once

#include "daemon/model/nouns.h"

/* topology_inspect(host, root, state): fill in nodes, threads_per_core, cpu_level, disk_bytes and network_bps. `root` stands
 * before /sys and /proc: "" on a real machine. `state` is the directory whose file system VMs' disks are on. What can't be read
 * stays unknown. */
void topology_inspect(struct host *host, const char *root, const char *state);

/* topology_llc_cpus(root): processors that share the first one's last-level cache; 0: not told. */
guint topology_llc_cpus(const char *root);
