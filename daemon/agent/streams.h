/* The agent's end of the request link: opens streams into VMs and hands their fds to polderd. */
#pragma once

#include "daemon/agent/vms.h"

struct streams;

/* streams_new(fd, vms, closed, user_data): serves requests from `fd` (owned from here on). A malformed request is answered
 * with an error when it has an id; a packet that is no JSON closes the link. `closed` is called once, from the main loop. */
struct streams *streams_new(int fd, struct vms *vms, void (*closed)(gpointer user_data), gpointer user_data);
void streams_free(struct streams *streams); /* NULL is fine */
