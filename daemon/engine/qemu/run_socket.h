/* Connecting to the unix sockets of a VM's run directory. */
#pragma once

#include <glib.h>

/* run_socket_connect(run_dir, name, error): a connected, non-blocking, close-on-exec stream socket, the caller's.
 * Works for directories whose socket paths are longer than a socket address holds. -1: POLDER_ERROR_UNAVAILABLE. */
int run_socket_connect(const char *run_dir, const char *name, GError **error);
