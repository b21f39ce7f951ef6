/* The agent: one object that holds everything polder-agent does. */
#pragma once

#include "daemon/model/dirs.h"

struct agent;

/* agent_new(dirs, store_fd, request_fd, ended, user_data): takes ownership of both fds; `dirs` is borrowed. Begins
 * recovery at once. `ended` is called once, from the main loop, when there is nothing left to do here: error NULL when
 * polderd went away. */
struct agent *agent_new(const struct dirs *dirs, int store_fd, int request_fd,
			void (*ended)(const GError *error, gpointer user_data), gpointer user_data);
void agent_free(struct agent *agent); /* VMs run on; NULL is fine */
