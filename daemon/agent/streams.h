/* The agent's end of the request link: opens streams into VMs and hands their fds to polderd. */
#pragma once

#include "daemon/agent/cpu_control.h"

struct streams;

/* streams_new(fd, vms, cpus, closed, user_data): `cpus` may be NULL: no figures. Serves requests from `fd` (owned from here on). A malformed request is answered
 * with an error when it has an id; a packet that is no JSON closes the link. `closed` is called once, from the main loop. */
struct streams *streams_new(int fd, struct vms *vms, struct cpu_control *cpus, void (*closed)(gpointer user_data),
			    gpointer user_data);
void streams_free(struct streams *streams); /* NULL is fine */
