/* Which daemon to talk to, and starting it when none listens. */
#pragma once

#include <gio/gio.h>

#include "daemon/model/dirs.h"

struct launch {
	struct dirs dirs; /* socket: the one that accepts */
	GPid started;     /* pid of the daemon just started, 0 when one was there */
};

/* launch_daemon(launch, root, socket, error): find a daemon that accepts connections, starting one if need be:
 *
 *   socket given (or POLDER_SOCKET), no root    that one; never started
 *   root given (or POLDER_ROOT)                 the one under it; started
 *   as root                                     the system's; started
 *   otherwise                                   the system's when we may connect to it, else our own; started
 *
 * POLDER_ERROR_UNAVAILABLE with the reason and the next step. Always to be cleared. */
gboolean launch_daemon(struct launch *launch, const char *root, const char *socket, GError **error);
void launch_clear(struct launch *launch);
