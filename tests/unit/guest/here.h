/* The guest's loop in this process, its SIGCHLD handled as PID 1 does, with one client on a socket pair. */
#pragma once

#include "guest/loop.h"
#include "tests/unit/guest/client.h"

struct here {
	struct loop *loop;
	struct watch *signals;
	int signals_fd;
	int guest_fd; /* for the agent, which owns it */
	struct client client;
};

void here_init(struct here *here);
void here_clear(struct here *here);
